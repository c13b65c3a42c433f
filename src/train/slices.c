#include "train/slices.h"

#include <string.h>

#include "base/buf.h"

/* Embedding and output heads are matrices that look one row up or stand at the end: what Muon's authors leave to AdamW. */
static bool is_hidden(const struct param *p) {
    return !p->vector && p->rows > 1 && !text_ends_with(p->name, "embed_tokens.weight") && !text_ends_with(p->name, "lm_head.weight") &&
           !text_ends_with(p->name, "score.weight");
}

static bool is_up(const struct param *p) {
    return text_ends_with(p->name, ".lora_B.weight") || text_ends_with(p->name, ".lora_magnitude_vector");
}

struct optim_slice *slices_of(const struct model *m, double loraplus_ratio) {
    const struct params *p = &m->params;
    struct optim_slice *slices = mem_zero(p->count ? p->count : 1, sizeof *slices);
    for (size_t i = 0; i < p->count; i++) {
        const struct param *q = &p->items[i];
        slices[i] = (struct optim_slice){.value = p->value ? p->value + q->offset : NULL,
                                         .dvalue = p->grad ? p->grad + q->offset : NULL,
                                         .rows = q->rows,
                                         .cols = q->cols,
                                         .decay = q->decay,
                                         .hidden = is_hidden(q),
                                         .rate = is_up(q) ? loraplus_ratio : 1};
    }
    return slices;
}
