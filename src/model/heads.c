#include "model/heads.h"

#include <string.h>

#include "base/buf.h"
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

static float cap_of(const struct run *r) { return (float)r->m->config.logit_softcap; }

bool heads_adapted(const struct model *m) { return m->head.u_width || m->head.saved_offset != LINEAR_FROZEN; }

/* Does the head's gradient need more than `expected`? */
static bool is_trained(const struct run *r, const float *theta) {
    return r->m->head.w_offset != LINEAR_FROZEN || (theta && heads_adapted(r->m));
}

/* Slots [from, from + rows) of a pass and columns [first, first + n) of the vocabulary: what there are logits of at a time. */
struct piece {
    size_t from, rows, real; /* rows: with padding */
    size_t first, n;
    int32_t entry, entries; /* the scored entries of the slots: [entry, entries) */
    struct linear view;     /* the head's rows of those columns */
    struct dora dora;
};

/* The slots behind those of p: even pieces, in whole `unit`s of rows. Scored entries lie in the order of their slots. */
static bool next_rows(struct piece *p, struct run *r, const struct seqtree *tree, size_t unit) {
    const size_t c = r->m->config.hidden, slots = (size_t)r->slot_count;
    p->from += p->rows, p->entry = p->entries, p->first = p->n = 0;
    if (p->from >= slots) return false;
    const size_t left = slots - p->from, pieces = (left + r->chunk - 1) / r->chunk;
    p->rows = size_round_up((left + pieces - 1) / pieces, unit);
    p->real = left < p->rows ? left : p->rows;
    while (p->entries < tree->score_count && (size_t)r->score_slot[p->entries] < p->from + p->real) p->entries++;
    if (r->h_half) matmul_to_bf16(r->h_half, c, r->hn + p->from * c, c, p->rows, c); /* once for all columns; layers are not at work */
    return true;
}

static bool next_columns(struct piece *p, const struct run *r) {
    const size_t vocab = r->m->config.vocab, first = p->first + p->n, left = vocab - first;
    if (!left) return false;
    p->first = first, p->n = left < r->panel ? left : r->panel;
    p->view = linear_rows(&r->m->head, first, p->n, &p->dora);
    return true;
}

static struct mat normed_of(const struct run *r, const struct piece *p) {
    const size_t c = r->m->config.hidden;
    return (struct mat){.f = r->hn + p->from * c, .h = r->h_half, .ld = c};
}

/* Where in the logits the target of a scored entry is; NULL in other columns. */
static float *target_in(const struct run *r, const struct seqtree *tree, const struct piece *p, int32_t entry) {
    const size_t target = (size_t)tree->scores[entry].target;
    if (target < p->first || target >= p->first + p->n) return NULL;
    return r->logits + ((size_t)r->score_slot[entry] - p->from) * p->n + target - p->first;
}

/* Scratch whose dropout masks are those of the slots. */
static struct linear_scratch scratch_at(const struct run *r, size_t from) {
    struct linear_scratch s = r->scratch;
    s.dropout.first = from;
    return s;
}

/* logits[rows, l->out] = x times the head, or of its view; soft-capped. */
static status make_logits(struct run *r, struct mat x, const struct linear *l, const float *theta, size_t from, size_t rows) {
    const struct linear_scratch s = scratch_at(r, from);
    if (theta && heads_adapted(r->m))
        TRY(linear_forward(r->logits, NULL, r->u_head, x, l, theta, &s, rows));
    else
        TRY(matmul_weight_forward(r->logits, l->out, NULL, 0, x, &l->w, rows));
    softcap_rows(r->logits, cap_of(r), rows, l->out);
    return ST_OK;
}

status heads_logits(struct run *r, const float *theta, size_t rows) {
    return make_logits(r, (struct mat){.f = r->hn, .ld = r->m->config.hidden}, &r->m->head, theta, 0, rows);
}

/* What stands in the logits' memory, bf16 in place of floats or not, as an operand. */
static struct mat logits_operand(const struct run *r, size_t n, bool half) {
    return half ? (struct mat){.h = (const uint16_t *)(const void *)r->logits, .ld = 2 * n} : (struct mat){.f = r->logits, .ld = n};
}

static void clear_padding(struct run *r, const struct piece *p) {
    memset(r->logits + p->real * p->n, 0, (p->rows - p->real) * p->n * sizeof(float));
}

void heads_gather(struct run *r, const struct seqtree *tree) {
    const struct model *m = r->m;
    const size_t c = m->config.hidden;
    find_slots(r, tree);
    const size_t slots = (size_t)r->slot_count;
    rmsnorm_forward(r->hn, NULL, NULL, r->rstd, r->hs, m->norm, slots, c, (float)m->config.norm_eps);
    memset(r->hn + slots * c, 0, RUN_UNIT_MOST * c * sizeof(float));
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

/* expected[rows, C] += sum over the panel's columns of e^(l_v - base) W_v (times the soft-cap's slope), which stands in place of the
 * logits. */
static status add_expected(struct run *r, const struct piece *p) {
    const size_t c = r->m->config.hidden;
    float *e = r->expected + p->from * c;
    clear_padding(r, p);
    for (size_t i = 0; p->first && i < p->real; i++)
        for (size_t j = 0; r->sums[i].again != 1 && j < c; j++) e[i * c + j] *= r->sums[i].again;
    return matmul_weight_backward(e, c, p->first ? e : NULL, c, logits_operand(r, p->n, r->m->kind == MATMUL_BF16), &p->view.w, p->rows);
}

/* What the sums over all columns give. */
static void end_rows(struct run *r, const struct piece *p, bool expected) {
    const size_t c = r->m->config.hidden, at = p->from;
    logp_end(r->lse + at, r->entropy + at, r->argmax + at, r->mean_logit + at, r->log_squares ? r->log_squares + at : NULL, r->sums,
             p->real, r->m->config.vocab);
    for (int32_t i = p->entry; i < p->entries; i++) r->logp[i] -= r->lse[r->score_slot[i]];
    for (size_t i = 0; expected && i < p->real; i++) {
        const float inverse = (float)(1 / r->sums[i].z);
        for (size_t j = 0; j < c; j++) r->expected[(at + i) * c + j] *= inverse;
    }
}

status heads_forward(struct run *r, const struct seqtree *tree, const float *theta, bool keep) {
    const bool expected = keep && !is_trained(r, theta);
    const enum logp_weights weights = !expected ? LOGP_NONE : r->m->kind == MATMUL_BF16 ? LOGP_HALVES : LOGP_FLOATS;
    struct piece p = {0};
    heads_gather(r, tree);
    while (next_rows(&p, r, tree, 16)) {
        logp_begin(r->sums, p.real);
        while (next_columns(&p, r)) {
            TRY(make_logits(r, normed_of(r, &p), &p.view, theta, p.from, p.rows));
            for (int32_t i = p.entry; i < p.entries; i++) {
                const float *target = target_in(r, tree, &p, i);
                if (target) r->logp[i] = *target;
            }
            logp_add(r->sums, &(struct logp_panel){r->logits, p.first, p.real, p.n, cap_of(r), r->log_squares != NULL, weights});
            if (expected) TRY(add_expected(r, &p));
        }
        end_rows(r, &p, expected);
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

/* The logits become sum over entries of g (onehot - p), times the soft-cap's slope. factor[real]: the entries' -g together. */
static void logits_gradient(struct run *r, const struct seqtree *tree, const float *dlogp, const float *factor, const struct piece *p) {
    softmax_rows(r->logits, r->logits, r->lse + p->from, factor, cap_of(r), p->real, p->n);
    for (int32_t i = p->entry; i < p->entries; i++) {
        float *target = target_in(r, tree, p, i);
        if (target) *target += dlogp[i] * softcap_slope(r->logp[i] + r->lse[r->score_slot[i]], cap_of(r));
    }
    clear_padding(r, p);
}

/* The panel's part of dhn and of the head's own gradient. */
static status panel_backward(struct run *r, const struct piece *p, const float *theta) {
    struct model *m = r->m;
    const size_t c = m->config.hidden;
    const bool adapted = theta && heads_adapted(m), half = m->kind == MATMUL_BF16 && !adapted;
    const struct mat x = normed_of(r, p);
    float *dhn = r->dhn + p->from * c;
    if (half) half_rows(r->logits, p->real, p->n); /* rounded once for both products */
    const struct mat dlogits = logits_operand(r, p->n, half);
    if (adapted) {
        const struct linear_scratch scratch = scratch_at(r, p->from);
        return linear_backward(dhn, m->params.grad, dlogits, x, r->u_head, &p->view, theta, &scratch, p->rows, p->first > 0);
    }
    TRY(matmul_weight_backward(dhn, c, p->first ? dhn : NULL, c, dlogits, &p->view.w, p->rows));
    return matmul(m->params.grad + p->view.w_offset, c, m->kind, dlogits, true, x, false, p->n, c, p->rows, true);
}

/* dhn and the head's own gradient, from logits that are made again. */
static status trained_backward(struct run *r, const struct seqtree *tree, const float *theta, const float *dlogp) {
    struct piece p = {0};
    while (next_rows(&p, r, tree, RUN_UNIT_MOST)) {
        float factor[RUN_CHUNK_MOST] = {0};
        for (int32_t i = p.entry; i < p.entries; i++) factor[(size_t)r->score_slot[i] - p.from] -= dlogp[i];
        while (next_columns(&p, r)) {
            TRY(make_logits(r, normed_of(r, &p), &p.view, theta, p.from, p.rows));
            logits_gradient(r, tree, dlogp, factor, &p);
            TRY(panel_backward(r, &p, theta));
        }
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
