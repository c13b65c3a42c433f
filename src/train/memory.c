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

/* In micro-batches of some size expanding the layers' weights in every product costs a few percent (bench/trl.sh), and they stay as the file has them; where products
 * of fp32 pack their operands anyway, in any. So it is with what is trained: copies would have to be made after every step as well. */
static enum model_storage first_storage(const struct model *m, const struct run_plan *plan) {
    const size_t usual = plan->usual ? plan->usual : plan->tokens;
    const bool trained = m->use == MODEL_FULL, expand = matmul_packs_tiles(m->kind) && (trained || usual >= TOKENS_TO_EXPAND);
    return expand || (!trained && matmul_packs_always(m->kind)) ? STORAGE_HEAD_PACKED : STORAGE_PACKED;
}

/* What gives way, in the order of what it costs: expanding the layers' weights in every product, some percent of a step; a forward pass more, a third of a step of a
 * frozen base without its reference; and expanding the head for every piece of logits. */
static const struct {
    enum model_storage storage;
    bool recompute;
} ways[] = {{STORAGE_PACKED, false}, {STORAGE_HEAD_PACKED, false}, {STORAGE_PACKED, true}, {STORAGE_HEAD_PACKED, true}, {STORAGE_FILE, true}};

status train_memory_fit(struct model *m, struct run_plan *plan, size_t states, size_t bytes) {
    const enum model_storage first = first_storage(m, plan), last = m->use == MODEL_FULL ? first : STORAGE_FILE;
    const bool asked = plan->recompute;
    size_t least = 0;
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        if (ways[i].storage < first || ways[i].storage > last) continue;
        m->storage = ways[i].storage;
        plan->recompute = asked || ways[i].recompute;
        const struct train_memory t = train_memory_of(m, plan, states);
        least = train_memory_total(&t);
        if (least <= bytes) return ST_OK;
    }
    return FAIL(ST_NOMEM, "this run needs %zu MiB at the least (layers computed again, weights %s), %zu MiB are allowed: lower "
                "--micro-batch-tokens or --max-length, or raise --memory", (least >> 20) + 1, model_storage_names[m->storage], bytes >> 20);
}

#define TOKENS_MOST 4096 /* beyond it nothing is gained, and activations grow */

size_t train_tokens_default(size_t longest) {
    const size_t more = longest / 2 * 3, most = more < TOKENS_MOST ? more : TOKENS_MOST;
    return most > TRAIN_TOKENS_LEAST ? most : TRAIN_TOKENS_LEAST;
}
