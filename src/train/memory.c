#include "train/memory.h"

#include <stdlib.h>

#include "train/slices.h"

size_t train_state_bytes(const struct model *m, const struct optim_row *row, const struct optim_params *params) {
    struct optim_slice *slices = slices_of(m, 1);
    const size_t bytes = optim_bytes(row, params, slices, m->params.count);
    free(slices);
    return bytes;
}

#define PROGRAM_BYTES ((size_t)48 << 20)

struct train_memory train_memory_of(const struct model *m, const struct run_plan *plan, size_t states) {
    const bool full = m->use == MODEL_FULL; /* then the parameters themselves are counted among the weights */
    return (struct train_memory){.weights = model_weight_bytes(m),
                                 .trained = m->adapter.used_total + m->params.size * sizeof(float) * (full ? 1 : 2) + states,
                                 .activations = run_bytes(m, plan),
                                 .program = PROGRAM_BYTES};
}

size_t train_memory_total(const struct train_memory *t) { return t->weights + t->trained + t->activations + t->program; }

/* A forward pass more costs a third of a step of a frozen base; weights that are expanded in every product cost more than that unless a
 * micro-batch has thousands of positions. Where products of fp32 split their operands anyway, expanding the layers' weights first costs a few
 * percent (bench/trl.sh), and they stay as the file has them. */
status train_memory_fit(struct model *m, struct run_plan *plan, size_t states, size_t bytes) {
    const bool asked = plan->recompute;
    const enum model_storage last = m->use == MODEL_FULL ? STORAGE_PACKED : STORAGE_FILE;
    const enum model_storage first = m->use != MODEL_FULL && matmul_packs_always(m->kind) ? STORAGE_HEAD_PACKED : STORAGE_PACKED;
    size_t least = 0;
    for (m->storage = first;; m->storage++) {
        for (plan->recompute = asked;; plan->recompute = true) {
            const struct train_memory t = train_memory_of(m, plan, states);
            least = train_memory_total(&t);
            if (least <= bytes) return ST_OK;
            if (plan->recompute) break;
        }
        if (m->storage == last) break;
    }
    return FAIL(ST_NOMEM, "this run needs %zu MiB at the least (layers computed again, weights %s), %zu MiB are allowed: lower "
                "--micro-batch-tokens or --max-length, or raise --memory", (least >> 20) + 1, model_storage_names[m->storage], bytes >> 20);
}

#define TOKENS_MOST 4096 /* beyond it nothing is gained, and activations grow */

size_t train_tokens_default(size_t longest) {
    const size_t more = longest / 2 * 3, most = more < TOKENS_MOST ? more : TOKENS_MOST;
    return most > TRAIN_TOKENS_LEAST ? most : TRAIN_TOKENS_LEAST;
}
