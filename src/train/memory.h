/* memory: what a training run keeps in memory, from shapes alone. */
#ifndef RAPT_TRAIN_MEMORY_H
#define RAPT_TRAIN_MEMORY_H

#include "model/run.h"

struct train_memory {
    size_t weights;     /* bytes of the model, packed for its products */
    size_t trained;     /* trained parameters with gradients and AdamW's two moments */
    size_t activations; /* of plan->tokens positions, with all scratch */
};
/* m: described, its adapter attached (model_describe, lora_attach); nothing has to be loaded. */
struct train_memory train_memory_of(const struct model *m, const struct run_plan *plan);

#endif
