#include "num/softmax_logp.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "num/dtype.h"
#include "num/vexp.h"

#define LANE_BLOCK 512 /* floats summed in fp32 lanes before a double takes over */

static float inverse_of(float cap) { return cap == 0 ? 0.0f : 1.0f / cap; }

/* The cap's derivative at a capped logit, with the cap's inverse. */
static inline float slope(float x, float inverse_cap) {
    const float y = x * inverse_cap;
    return 1.0f - y * y;
}

/* A block is read before its narrower half is written over earlier ones. */
static void put_half(float *row, size_t from, const float *block, size_t n) {
    uint16_t *p = (uint16_t *)(void *)row;
    for (size_t j = 0; j < n; j++) p[from + j] = dtype_float_to_bf16(block[j]);
}

/* A product reads whole tiles. */
static void end_half(float *row, size_t vocab) {
    uint16_t *p = (uint16_t *)(void *)row;
    for (size_t j = vocab; j < vocab + 32 && j < 2 * vocab; j++) p[j] = 0;
}

void logp_begin(struct logp_sums *s, size_t rows) {
    for (size_t r = 0; r < rows; r++) s[r] = (struct logp_sums){.base = -INFINITY, .most = -INFINITY, .again = 1};
}

/* The largest of the row, and whence exponents are taken from now on. */
static void meet_row(struct logp_sums *s, const float *x, size_t first, size_t n) {
    float most = x[0];
#pragma omp simd reduction(max : most)
    for (size_t j = 0; j < n; j++) most = x[j] > most ? x[j] : most;
    s->again = 1;
    if (!(most > s->most)) return;
    size_t best = 0;
    while (best + 1 < n && x[best] != most) best++;
    s->most = most, s->argmax = (int32_t)(first + best);
    if (most - s->base <= LOGP_SPREAD) return;
    if (first) {
        const double by = exp((double)s->base - (double)most);
        s->z *= by, s->zx = by * s->zx + ((double)s->base - (double)most) * s->z, s->squares *= by * by;
        s->again = (float)by;
    }
    s->base = most;
}

/* One pass over a row. squares and weights are constants where this is called, so that each loop has no trace of what it does not do. */
static inline void add_row(struct logp_sums *s, float *x, const struct logp_panel *p, const bool squares, const enum logp_weights weights) {
    const float base = s->base, inverse = inverse_of(p->cap);
    float block[LANE_BLOCK];
    for (size_t from = 0; from < p->n; from += LANE_BLOCK) {
        const size_t n = p->n - from < LANE_BLOCK ? p->n - from : LANE_BLOCK;
        float *at = x + from, bz = 0, bzx = 0, bs = 0, bq = 0;
#pragma omp simd reduction(+ : bz, bzx, bs, bq)
        for (size_t j = 0; j < n; j++) {
            const float d = at[j] - base, e = vexp(d);
            bz += e;
            bzx += e * d;
            bs += at[j];
            if (squares) bq += e * e;
            if (weights == LOGP_FLOATS) at[j] = e * slope(at[j], inverse);
            if (weights == LOGP_HALVES) block[j] = e * slope(at[j], inverse);
        }
        if (weights == LOGP_HALVES) put_half(x, from, block, n);
        s->z += (double)bz;
        s->zx += (double)bzx;
        s->sum += (double)bs;
        s->squares += (double)bq;
    }
    if (weights == LOGP_HALVES) end_half(x, p->n);
}

void logp_add(struct logp_sums *s, const struct logp_panel *p) {
#pragma omp parallel for schedule(dynamic, 1) if (p->rows > 1)
    for (size_t r = 0; r < p->rows; r++) {
        float *x = p->logits + r * p->n;
        meet_row(&s[r], x, p->first, p->n);
        if (p->squares) {
            if (p->weights == LOGP_NONE)
                add_row(&s[r], x, p, true, LOGP_NONE);
            else if (p->weights == LOGP_FLOATS)
                add_row(&s[r], x, p, true, LOGP_FLOATS);
            else
                add_row(&s[r], x, p, true, LOGP_HALVES);
        } else {
            if (p->weights == LOGP_NONE)
                add_row(&s[r], x, p, false, LOGP_NONE);
            else if (p->weights == LOGP_FLOATS)
                add_row(&s[r], x, p, false, LOGP_FLOATS);
            else
                add_row(&s[r], x, p, false, LOGP_HALVES);
        }
    }
}

void logp_end(float *lse, float *entropy, int32_t *argmax, float *mean, float *log_squares, const struct logp_sums *s, size_t rows,
              size_t vocab) {
    for (size_t r = 0; r < rows; r++) {
        lse[r] = (float)((double)s[r].base + log(s[r].z));
        entropy[r] = (float)(log(s[r].z) - s[r].zx / s[r].z);
        mean[r] = (float)(s[r].sum / (double)vocab);
        argmax[r] = s[r].argmax;
        if (log_squares) log_squares[r] = (float)(log(s[r].squares) - 2 * log(s[r].z));
    }
}

void logp_rows(float *lse, float *entropy, int32_t *argmax, float *mean, float *log_squares, const float *logits, size_t rows,
               size_t vocab) {
    for (size_t r = 0; r < rows; r++) {
        struct logp_sums s;
        logp_begin(&s, 1);
        logp_add(&s, &(struct logp_panel){.logits = (float *)(uintptr_t)(logits + r * vocab),
                                          .rows = 1,
                                          .n = vocab,
                                          .squares = log_squares != NULL}); /* which reads them only */
        logp_end(lse + r, entropy + r, argmax + r, mean + r, log_squares ? log_squares + r : NULL, &s, 1, vocab);
    }
}

void softcap_rows(float *logits, float cap, size_t rows, size_t vocab) {
    if (cap == 0) return;
#pragma omp parallel for schedule(dynamic, 1)
    for (size_t r = 0; r < rows; r++) {
        float *x = logits + r * vocab;
#pragma omp simd
        for (size_t j = 0; j < vocab; j++) x[j] = cap * vtanh(x[j] / cap);
    }
}

float softcap_slope(float logit, float cap) { return cap == 0 ? 1.0f : 1.0f - logit / cap * (logit / cap); }

void softmax_rows(float *probs, const float *logits, const float *lse, const float *factor, float cap, size_t rows, size_t vocab) {
    const float inverse = inverse_of(cap);
#pragma omp parallel for schedule(dynamic, 1)
    for (size_t r = 0; r < rows; r++) {
        const float *x = logits + r * vocab;
        float *p = probs + r * vocab;
        const float l = lse[r], by = factor ? factor[r] : 1.0f;
#pragma omp simd
        for (size_t j = 0; j < vocab; j++) p[j] = vexp(x[j] - l) * slope(x[j], inverse) * by;
    }
}

void half_rows(float *x, size_t rows, size_t vocab) {
#pragma omp parallel for schedule(static)
    for (size_t r = 0; r < rows; r++) {
        float *row = x + r * vocab, block[LANE_BLOCK];
        for (size_t from = 0; from < vocab; from += LANE_BLOCK) {
            const size_t n = vocab - from < LANE_BLOCK ? vocab - from : LANE_BLOCK;
            memcpy(block, row + from, n * sizeof *block);
            put_half(row, from, block, n);
        }
        end_half(row, vocab);
    }
}
