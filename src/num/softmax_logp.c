#include "num/softmax_logp.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "num/dtype.h"
#include "num/vexp.h"

#define LANE_BLOCK 512 /* floats summed in fp32 lanes before a double takes over */

struct row_sums {
    double z, zx, squares, sum; /* of e^d, e^d d, e^2d with d = x - most, and of x */
};

/* One pass over a row. with_squares is a constant where this is called, so that the other loop has no trace of it. */
static inline struct row_sums sum_row(const float *x, float most, size_t vocab, const bool with_squares) {
    struct row_sums s = {0};
    for (size_t from = 0; from < vocab; from += LANE_BLOCK) {
        const size_t to = from + LANE_BLOCK < vocab ? from + LANE_BLOCK : vocab;
        float bz = 0, bzx = 0, bs = 0, bq = 0;
#pragma omp simd reduction(+ : bz, bzx, bs, bq)
        for (size_t j = from; j < to; j++) {
            const float d = x[j] - most, e = vexp(d);
            bz += e;
            bzx += e * d;
            bs += x[j];
            if (with_squares) bq += e * e;
        }
        s.z += (double)bz;
        s.zx += (double)bzx;
        s.sum += (double)bs;
        s.squares += (double)bq;
    }
    return s;
}

void logp_rows(float *lse, float *entropy, int32_t *argmax, float *mean, float *log_squares, const float *logits, size_t rows, size_t vocab,
               size_t stride) {
#pragma omp parallel for schedule(dynamic, 1)
    for (size_t r = 0; r < rows; r++) {
        const float *x = logits + r * stride;
        float most = x[0];
#pragma omp simd reduction(max : most)
        for (size_t j = 0; j < vocab; j++) most = x[j] > most ? x[j] : most;
        const struct row_sums s = log_squares ? sum_row(x, most, vocab, true) : sum_row(x, most, vocab, false);
        lse[r] = (float)((double)most + log(s.z));
        entropy[r] = (float)(log(s.z) - s.zx / s.z);
        mean[r] = (float)(s.sum / (double)vocab);
        if (log_squares) log_squares[r] = (float)(log(s.squares) - 2 * log(s.z));
        size_t best = 0;
        while (x[best] != most && best + 1 < vocab) best++; /* a row of NaN ends at the last */
        argmax[r] = (int32_t)best;
    }
}

void softcap_rows(float *logits, float cap, size_t rows, size_t vocab, size_t stride) {
    if (cap == 0) return;
#pragma omp parallel for schedule(dynamic, 1)
    for (size_t r = 0; r < rows; r++) {
        float *x = logits + r * stride;
#pragma omp simd
        for (size_t j = 0; j < vocab; j++) x[j] = cap * vtanh(x[j] / cap);
    }
}

float softcap_slope(float logit, float cap) { return cap == 0 ? 1.0f : 1.0f - logit / cap * (logit / cap); }

static float inverse_of(float cap) { return cap == 0 ? 0.0f : 1.0f / cap; }

static inline float prob(float x, float lse, float inverse_cap) {
    const float y = x * inverse_cap;
    return vexp(x - lse) * (1.0f - y * y);
}

void softmax_rows(float *probs, const float *logits, const float *lse, const float *factor, float cap, size_t rows, size_t vocab, size_t stride) {
    const float inverse = inverse_of(cap);
#pragma omp parallel for schedule(dynamic, 1)
    for (size_t r = 0; r < rows; r++) {
        const float *x = logits + r * stride;
        float *p = probs + r * stride;
        const float l = lse[r], by = factor ? factor[r] : 1.0f;
#pragma omp simd
        for (size_t j = 0; j < vocab; j++) p[j] = prob(x[j], l, inverse) * by;
    }
}

/* A block is read before its narrower half is written over earlier ones. */
static void put_half(float *row, size_t from, const float *block, size_t n) {
    uint16_t *p = (uint16_t *)(void *)row;
    for (size_t j = 0; j < n; j++) p[from + j] = dtype_float_to_bf16(block[j]);
}

/* A product reads whole tiles. */
static void end_half(float *row, size_t vocab, size_t stride) {
    uint16_t *p = (uint16_t *)(void *)row;
    for (size_t j = vocab; j < vocab + 32 && j < 2 * stride; j++) p[j] = 0;
}

void softmax_rows_half(float *logits, const float *lse, float cap, size_t rows, size_t vocab, size_t stride) {
    const float inverse = inverse_of(cap);
#pragma omp parallel for schedule(dynamic, 1)
    for (size_t r = 0; r < rows; r++) {
        float *x = logits + r * stride, block[LANE_BLOCK];
        const float l = lse[r];
        for (size_t from = 0; from < vocab; from += LANE_BLOCK) {
            const size_t n = vocab - from < LANE_BLOCK ? vocab - from : LANE_BLOCK;
#pragma omp simd
            for (size_t j = 0; j < n; j++) block[j] = prob(x[from + j], l, inverse);
            put_half(x, from, block, n);
        }
        end_half(x, vocab, stride);
    }
}

void half_rows(float *x, size_t rows, size_t vocab, size_t stride) {
#pragma omp parallel for schedule(static)
    for (size_t r = 0; r < rows; r++) {
        float *row = x + r * stride, block[LANE_BLOCK];
        for (size_t from = 0; from < vocab; from += LANE_BLOCK) {
            const size_t n = vocab - from < LANE_BLOCK ? vocab - from : LANE_BLOCK;
            memcpy(block, row + from, n * sizeof *block);
            put_half(row, from, block, n);
        }
        end_half(row, vocab, stride);
    }
}
