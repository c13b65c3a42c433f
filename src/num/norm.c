#include "num/norm.h"

#include <math.h>
#include <string.h>

static float rstd_of(const float *x, size_t c, float eps) {
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (size_t j = 0; j < c; j++) sum += x[j] * x[j];
    return 1.0f / sqrtf(sum / (float)c + eps);
}

#define INLINE static inline __attribute__((always_inline))

INLINE void normed_row(float *out, uint16_t *half, struct kept x, float r, const float *weight, size_t c) {
    for (size_t j = 0; out && j < c; j++) out[j] = weight[j] * (kept_value(x, j) * r);
    for (size_t j = 0; half && j < c; j++) half[j] = dtype_float_to_bf16(weight[j] * (kept_value(x, j) * r));
}

static void keep_row(uint16_t *kept, const float *x, size_t c) {
    for (size_t j = 0; kept && j < c; j++) kept[j] = dtype_float_to_bf16(x[j]);
}

static uint16_t *row_of(uint16_t *half, size_t at) { return half ? half + at : NULL; }

void rmsnorm_forward(float *out, uint16_t *half, uint16_t *kept, float *rstd, const float *x, const float *weight, size_t t, size_t c,
                     float eps) {
#pragma omp parallel for schedule(dynamic, 64)
    for (size_t i = 0; i < t; i++) {
        rstd[i] = rstd_of(x + i * c, c, eps);
        const struct kept row = {.f = (float *)(uintptr_t)(x + i * c)};
        normed_row(out ? out + i * c : NULL, row_of(half, i * c), kept_float(row), rstd[i], weight, c);
        keep_row(row_of(kept, i * c), x + i * c, c);
    }
}

void rmsnorm_forward_onto(float *out, uint16_t *kept, float *rstd, const float *init, const float *x, const float *weight, size_t t,
                          size_t c, float eps) {
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < t; i++) {
        const float *xi = x + i * c, *from = init + i * c;
        const float r = rstd[i] = rstd_of(xi, c, eps);
        for (size_t j = 0; j < c; j++) out[i * c + j] = from[j] + weight[j] * (xi[j] * r);
        keep_row(row_of(kept, i * c), xi, c);
    }
}

void rmsnorm_again(float *out, uint16_t *half, struct kept x, const float *rstd, const float *weight, size_t t, size_t c) {
#pragma omp parallel for schedule(dynamic, 64)
    for (size_t i = 0; i < t; i++) {
        const struct kept row = kept_at(x, i * c);
        if (row.h)
            normed_row(out ? out + i * c : NULL, row_of(half, i * c), kept_half(row), rstd[i], weight, c);
        else
            normed_row(out ? out + i * c : NULL, row_of(half, i * c), kept_float(row), rstd[i], weight, c);
    }
}

/* g[C] += r (w d - n mean(w d n)), with n = x r. */
INLINE void backward_row(float *g, const float *d, struct kept x, const float *weight, float r, size_t c) {
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (size_t j = 0; j < c; j++) sum += weight[j] * d[j] * kept_value(x, j);
    const float back = sum * r * r * r / (float)c;
    for (size_t j = 0; j < c; j++) g[j] += weight[j] * d[j] * r - kept_value(x, j) * back;
}

/* dweight[from, to) = sum over t of dout n. */
INLINE void weight_columns(float *dweight, const float *dout, struct kept x, const float *rstd, size_t t, size_t c, size_t from,
                           size_t to) {
    for (size_t i = 0; i < t; i++)
        for (size_t j = from; j < to; j++) dweight[j] += dout[i * c + j] * (kept_value(x, i * c + j) * rstd[i]);
}

void rmsnorm_backward(float *dx, float *dweight, const float *dout, struct kept x, const float *weight, const float *rstd, size_t t,
                      size_t c) {
#pragma omp parallel for schedule(dynamic, 64)
    for (size_t i = 0; i < t; i++) {
        const struct kept row = kept_at(x, i * c);
        if (row.h)
            backward_row(dx + i * c, dout + i * c, kept_half(row), weight, rstd[i], c);
        else
            backward_row(dx + i * c, dout + i * c, kept_float(row), weight, rstd[i], c);
    }
    if (!dweight) return;
#pragma omp parallel for schedule(dynamic, 64)
    for (size_t from = 0; from < c; from += 64) { /* each thread owns columns, so rows add up in order */
        const size_t to = from + 64 < c ? from + 64 : c;
        if (x.h)
            weight_columns(dweight, dout, kept_half(x), rstd, t, c, from, to);
        else
            weight_columns(dweight, dout, kept_float(x), rstd, t, c, from, to);
    }
}

void headnorm_forward(float *qkv, struct kept raw, float *rstd, const struct head_norm *n, size_t t) {
    const size_t all = n->heads + n->kv_heads, d = n->head_dim;
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < t; i++)
        for (size_t h = 0; h < all; h++) {
            float *x = qkv + i * n->stride + h * d;
            const float *w = h < n->heads ? n->q_norm : n->k_norm;
            const float r = rstd_of(x, d, n->eps);
            if (raw.h)
                keep_row(raw.h + (i * all + h) * d, x, d);
            else if (raw.f)
                memcpy(raw.f + (i * all + h) * d, x, d * sizeof *x);
            rstd[i * all + h] = r;
            for (size_t j = 0; j < d; j++) x[j] = w[j] * (x[j] * r);
        }
}

/* The weights' gradients want dqkv as it came, so they go first. */
static void headnorm_weights(float *dw, const float *dqkv, struct kept raw, const float *rstd, const struct head_norm *n, size_t t,
                             size_t from, size_t to) {
    const size_t all = n->heads + n->kv_heads, d = n->head_dim;
    if (!dw) return;
#pragma omp parallel for schedule(static)
    for (size_t j = 0; j < d; j++)
        for (size_t i = 0; i < t; i++)
            for (size_t h = from; h < to; h++)
                dw[j] += dqkv[i * n->stride + h * d + j] * (kept_value(raw, (i * all + h) * d + j) * rstd[i * all + h]);
}

/* g[D]: in the gradient of the normed head, out of the raw one. */
INLINE void headnorm_row(float *g, struct kept x, const float *w, float r, size_t d) {
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (size_t j = 0; j < d; j++) sum += w[j] * g[j] * kept_value(x, j);
    const float back = sum * r * r * r / (float)d;
    for (size_t j = 0; j < d; j++) g[j] = w[j] * g[j] * r - kept_value(x, j) * back;
}

void headnorm_backward(float *dqkv, float *dq_norm, float *dk_norm, struct kept raw, const float *rstd, const struct head_norm *n,
                       size_t t) {
    const size_t all = n->heads + n->kv_heads, d = n->head_dim;
    headnorm_weights(dq_norm, dqkv, raw, rstd, n, t, 0, n->heads);
    headnorm_weights(dk_norm, dqkv, raw, rstd, n, t, n->heads, all);
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < t; i++)
        for (size_t h = 0; h < all; h++) {
            const struct kept row = kept_at(raw, (i * all + h) * d);
            if (row.h)
                headnorm_row(dqkv + i * n->stride + h * d, kept_half(row), h < n->heads ? n->q_norm : n->k_norm, rstd[i * all + h], d);
            else
                headnorm_row(dqkv + i * n->stride + h * d, kept_float(row), h < n->heads ? n->q_norm : n->k_norm, rstd[i * all + h], d);
        }
}
