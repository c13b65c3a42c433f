#include "model/heads.h"

#include <string.h>

#include "num/norm.h"
#include "num/softmax_logp.h"

/* Gathers the distinct scored nodes; scores are sorted by node. */
static void find_slots(struct run *r, const struct seqtree *tree) {
    const size_t c = r->m->config.hidden;
    r->slot_count = 0;
    for (int32_t i = 0; i < tree->score_count; i++) {
        int32_t node = tree->scores[i].node;
        if (r->slot_count == 0 || r->slot_node[r->slot_count - 1] != node) {
            memcpy(r->hs + (size_t)r->slot_count * c, r->x + (size_t)node * c, c * sizeof(float));
            r->slot_node[r->slot_count++] = node;
        }
        r->score_slot[i] = r->slot_count - 1;
    }
}

/* Rows of the next product over `left` remaining slots: even chunks, rounded up to 16. */
static size_t chunk_rows(const struct run *r, size_t left) {
    const size_t chunks = (left + r->chunk - 1) / r->chunk, rows = (left + chunks - 1) / chunks;
    return (rows + 15) / 16 * 16;
}

static float cap_of(const struct run *r) { return (float)r->m->config.logit_softcap; }

bool heads_adapted(const struct model *m) { return m->head.u_width || m->head.saved_offset != LINEAR_FROZEN; }

/* Does the head's gradient need more than `expected`? */
static bool is_trained(const struct run *r, const float *theta) {
    return r->m->head.w_offset != LINEAR_FROZEN || (theta && heads_adapted(r->m));
}

/* Scratch whose dropout masks do not repeat from chunk to chunk. */
static struct linear_scratch scratch_at(const struct run *r, size_t from) {
    struct linear_scratch s = r->scratch;
    s.dropout.first = from;
    return s;
}

status heads_logits(struct run *r, const float *theta, size_t from, size_t rows) {
    const size_t c = r->m->config.hidden, v = r->m->config.vocab;
    const struct mat x = {.f = r->hn + from * c, .ld = c};
    const struct linear_scratch s = scratch_at(r, from);
    if (theta && heads_adapted(r->m))
        TRY(linear_forward(r->logits, NULL, r->u_head, x, &r->m->head, theta, &s, rows));
    else
        TRY(matmul_weight_forward(r->logits, v, NULL, 0, x, &r->m->head.w, rows));
    softcap_rows(r->logits, cap_of(r), rows, v, v);
    return ST_OK;
}

/* expected[rows, C] = sum over v of p_v W_v (times the soft-cap's slope), from the chunk's logits. */
static status chunk_expected(struct run *r, size_t from, size_t rows, size_t real) {
    const size_t c = r->m->config.hidden, v = r->m->config.vocab;
    struct mat probs = {.f = r->logits, .ld = v};
    memset(r->logits + real * v, 0, (rows - real) * v * sizeof(float));
    if (r->m->kind == MATMUL_BF16) {
        softmax_rows_half(r->logits, r->lse + from, cap_of(r), real, v, v);
        probs = (struct mat){.h = (const uint16_t *)(const void *)r->logits, .ld = 2 * v};
    } else {
        softmax_rows(r->logits, r->logits, r->lse + from, NULL, cap_of(r), real, v, v);
    }
    return matmul_weight_backward(r->expected + from * c, c, NULL, 0, probs, &r->m->head.w, rows);
}

void heads_gather(struct run *r, const struct seqtree *tree) {
    const struct model *m = r->m;
    const size_t c = m->config.hidden;
    find_slots(r, tree);
    const size_t slots = (size_t)r->slot_count;
    memset(r->hs + slots * c, 0, 16 * c * sizeof(float));
    rmsnorm_forward(r->hn, NULL, NULL, r->rstd, r->hs, m->norm, slots, c, (float)m->config.norm_eps);
    memset(r->hn + slots * c, 0, 16 * c * sizeof(float));
}

void heads_scatter(struct run *r, size_t padded) {
    struct model *m = r->m;
    const size_t c = m->config.hidden, slots = (size_t)r->slot_count;
    float *dnorm = m->norm_offset == LINEAR_FROZEN ? NULL : m->params.grad + m->norm_offset;
    float *dhs = r->hn; /* the normed rows are not needed any more */
    memset(dhs, 0, slots * c * sizeof(float));
    rmsnorm_backward(dhs, dnorm, r->dhn, (struct kept){.f = r->hs}, m->norm, r->rstd, slots, c);
    memset(r->dx, 0, padded * c * sizeof(float));
    for (size_t s = 0; s < slots; s++) memcpy(r->dx + (size_t)r->slot_node[s] * c, dhs + s * c, c * sizeof(float));
}

status heads_forward(struct run *r, const struct seqtree *tree, const float *theta, bool keep) {
    const struct model *m = r->m;
    const size_t v = m->config.vocab;
    const bool frozen = !is_trained(r, theta);
    heads_gather(r, tree);
    const size_t slots = (size_t)r->slot_count;
    int32_t entry = 0;
    for (size_t from = 0, rows; from < slots; from += rows) {
        rows = chunk_rows(r, slots - from);
        const size_t real = slots - from < rows ? slots - from : rows;
        TRY(heads_logits(r, theta, from, rows));
        logp_rows(r->lse + from, r->entropy + from, r->argmax + from, r->mean_logit + from, r->log_squares ? r->log_squares + from : NULL,
                  r->logits, real, v, v);
        for (; entry < tree->score_count && (size_t)r->score_slot[entry] < from + real; entry++) {
            size_t slot = (size_t)r->score_slot[entry];
            r->logp[entry] = r->logits[(slot - from) * v + (size_t)tree->scores[entry].target] - r->lse[slot];
        }
        if (!keep || !frozen) continue;
        TRY(chunk_expected(r, from, rows, real));
    }
    return ST_OK;
}

/* dhn of a frozen head: sum over entries of g (W[target] - expected). */
static void frozen_backward(struct run *r, const struct seqtree *tree, const float *dlogp) {
    const size_t c = r->m->config.hidden;
    memset(r->dhn, 0, (size_t)r->slot_count * c * sizeof(float));
    for (int32_t i = 0; i < tree->score_count; i++) {
        const float g = dlogp[i];
        if (g == 0.0f) continue;
        float *d = r->dhn + (size_t)r->score_slot[i] * c;
        const float *e = r->expected + (size_t)r->score_slot[i] * c;
        model_head_row(r->row, r->m, tree->scores[i].target);
        const float slope = softcap_slope(r->logp[i] + r->lse[r->score_slot[i]], cap_of(r));
        for (size_t j = 0; j < c; j++) d[j] += g * (slope * r->row[j] - e[j]);
    }
}

/* Slots [from, from + real): their logits become sum over entries of g (onehot - p), times the soft-cap's slope. *entry: the first of slot `from`, then that behind. */
static void logits_gradient(struct run *r, const struct seqtree *tree, const float *dlogp, size_t from, size_t real, int32_t *entry) {
    const size_t v = r->m->config.vocab;
    float factor[RUN_CHUNK_MOST] = {0};
    const int32_t first = *entry;
    for (; *entry < tree->score_count && (size_t)r->score_slot[*entry] < from + real; (*entry)++) factor[(size_t)r->score_slot[*entry] - from] -= dlogp[*entry];
    softmax_rows(r->logits, r->logits, r->lse + from, factor, cap_of(r), real, v, v);
    for (int32_t i = first; i < *entry; i++)
        r->logits[((size_t)r->score_slot[i] - from) * v + (size_t)tree->scores[i].target] +=
            dlogp[i] * softcap_slope(r->logp[i] + r->lse[r->score_slot[i]], cap_of(r));
}

/* The logits' memory as an operand of two products: rounded once for both where they read bf16. */
static struct mat logits_operand(struct run *r, size_t rows, size_t real, const float *theta) {
    const size_t v = r->m->config.vocab;
    memset(r->logits + real * v, 0, (rows - real) * v * sizeof(float));
    if (r->m->kind != MATMUL_BF16 || (theta && heads_adapted(r->m))) return (struct mat){.f = r->logits, .ld = v};
    half_rows(r->logits, real, v, v);
    return (struct mat){.h = (const uint16_t *)(const void *)r->logits, .ld = 2 * v};
}

/* dhn and the head's own gradient, from logits that are made again. */
static status trained_backward(struct run *r, const struct seqtree *tree, const float *theta, const float *dlogp) {
    struct model *m = r->m;
    const size_t c = m->config.hidden, v = m->config.vocab, slots = (size_t)r->slot_count;
    int32_t entry = 0;
    for (size_t from = 0, rows; from < slots; from += rows) {
        rows = chunk_rows(r, slots - from);
        const size_t real = slots - from < rows ? slots - from : rows;
        TRY(heads_logits(r, theta, from, rows));
        logits_gradient(r, tree, dlogp, from, real, &entry);
        const struct mat dlogits = logits_operand(r, rows, real, theta), x = {.f = r->hn + from * c, .ld = c};
        if (theta && heads_adapted(m)) {
            const struct linear_scratch scratch = scratch_at(r, from);
            TRY(linear_backward(r->dhn + from * c, m->params.grad, dlogits, x, r->u_head, &m->head, theta, &scratch, rows, false));
            continue;
        }
        TRY(matmul_weight_backward(r->dhn + from * c, c, NULL, 0, dlogits, &m->head.w, rows));
        TRY(matmul(m->params.grad + m->head.w_offset, c, m->kind, dlogits, true, x, false, v, c, rows, true));
    }
    return ST_OK;
}

status heads_backward(struct run *r, const struct seqtree *tree, const float *theta, const float *dlogp, size_t padded) {
    if (!is_trained(r, theta))
        frozen_backward(r, tree, dlogp);
    else
        TRY(trained_backward(r, tree, theta, dlogp));
    heads_scatter(r, padded);
    return ST_OK;
}
