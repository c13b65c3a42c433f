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

/* Of fewer positions than this a product repays no weight that is expanded for it. */
#define TOKENS_TO_EXPAND 768

/* The storage to begin with. In micro-batches of some size expanding weights in every product costs little (bench/trl.sh), and they stay as
 * the file has them; where products of fp32 pack their operands anyway, in any. What is trained is there in fp32, and copies would have to
 * be made after every step as well: there are some only where products cannot do without (`last`: the storage that there is no other
 * behind). */
static enum model_storage first_storage(const struct model *m, const struct run_plan *plan, enum model_storage *last) {
    const size_t usual = plan->usual ? plan->usual : plan->tokens;
    const bool packs = matmul_packs_tiles(m->kind);
    *last = m->use == MODEL_FULL && !packs ? STORAGE_PACKED : STORAGE_FILE;
    if (m->use == MODEL_FULL) return *last;
    return matmul_packs_always(m->kind) || (packs && usual >= TOKENS_TO_EXPAND) ? STORAGE_FILE : STORAGE_PACKED;
}

/* What gives way, in the order of what it costs: expanding weights in every product, some percent of a step; then layers that are computed
 * again, as many as must be: all of them are a forward pass more, a third of a step of a frozen base without its reference. */
status train_memory_fit(struct model *m, struct run_plan *plan, size_t states, size_t bytes) {
    const size_t layers = m->config.layers, asked = plan->recompute_layers < layers ? plan->recompute_layers : layers;
    enum model_storage last;
    for (m->storage = first_storage(m, plan, &last);; m->storage++) {
        struct train_memory t = train_memory_of(m, plan, states);
        for (size_t again = asked; again <= (m->storage < last ? asked : layers); again++) { /* changes the activations alone */
            plan->recompute_layers = again < layers ? again : RUN_ALL_LAYERS;
            t.activations = run_bytes(m, plan);
            if (train_memory_total(&t) <= bytes) return ST_OK;
        }
        if (m->storage == last)
            return FAIL(ST_NOMEM,
                        "this run needs %zu MiB at the least (layers computed again, weights %s), %zu MiB are allowed: lower "
                        "--micro-batch-tokens or --max-length, or raise --memory",
                        (train_memory_total(&t) >> 20) + 1, model_storage_name(m), bytes >> 20);
    }
}

#define TOKENS_MOST 4096 /* beyond it nothing is gained, and activations grow */

/* full: parameters, gradients and the optimizer's state are most of the peak, and larger micro-batches do not pay for what they add to it:
 * on UltraFeedback at 512 tokens half as much again as the longest row shares 34.3 % of the positions instead of 32.3 %, and has 5 % more
 * at the peak. */
size_t train_tokens_default(size_t longest, bool full) {
    const size_t more = full ? longest + longest / 8 : longest / 2 * 3, most = more < TOKENS_MOST ? more : TOKENS_MOST;
    return most > TRAIN_TOKENS_LEAST ? most : TRAIN_TOKENS_LEAST;
}
