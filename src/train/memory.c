#include "train/memory.h"

struct train_memory train_memory_of(const struct model *m, const struct run_plan *plan) {
    const bool full = m->use == MODEL_FULL; /* then the parameters themselves are counted among the weights */
    return (struct train_memory){.weights = model_weight_bytes(&m->config, m->kind, m->use),
                                 .trained = m->params.size * sizeof(float) * (full ? 3 : 4),
                                 .activations = run_bytes(m, plan)};
}
