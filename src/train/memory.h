/* memory: what a training run keeps in memory, from shapes alone, and what gives way when that is too much. */
#ifndef RAPT_TRAIN_MEMORY_H
#define RAPT_TRAIN_MEMORY_H

#include "model/run.h"
#include "train/optim.h"

struct train_memory {
    size_t weights;     /* bytes of the model, as m->storage keeps it */
    size_t trained;     /* trained parameters with gradients and the optimizer's state */
    size_t activations; /* of plan->tokens positions, with all scratch */
    size_t program;     /* the rest: libraries, the tokenizer, the thread stacks; about */
};
/* m: described, its adapter attached (model_describe, lora_attach); nothing has to be loaded. states: bytes of the
 * optimizer, train_state_bytes. */
struct train_memory train_memory_of(const struct model *m, const struct run_plan *plan, size_t states);
size_t train_memory_total(const struct train_memory *t);
/* Sets m->storage and plan->recompute_layers to the first way that fits `bytes`: weights packed where micro-batches are small, else
 * expanded in every product; then as few layers computed again in backward as will do. recompute_layers: at least so many. ST_NOMEM, with
 * what the least would be, when nothing fits; the model and the plan are then set to that least. */
status train_memory_fit(struct model *m, struct run_plan *plan, size_t states, size_t bytes);
/* Positions of a micro-batch where nobody said how many and memory allows: half as much again as the longest row, so that most pairs have
 * the rows of both their goals in one and share what these have in common; full (all weights are trained): an eighth more than it; at least
 * TRAIN_TOKENS_LEAST. */
enum { TRAIN_TOKENS_LEAST = 1024 };
size_t train_tokens_default(size_t longest, bool full);
/* What the optimizer keeps, and its working memory. */
size_t train_state_bytes(const struct model *m, const struct optim_row *row, const struct optim_params *params);

#endif
