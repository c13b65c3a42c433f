#include "num/norm.h"

#include <math.h>
#include <string.h>

#include "num/dtype.h"

static float rstd_of(const float *x, size_t c, float eps) {
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (size_t j = 0; j < c; j++) sum += x[j] * x[j];
    return 1.0f / sqrtf(sum / (float)c + eps);
}

static void normed_row(float *out, uint16_t *half, const float *x, float r, const float *weight, size_t c) {
    for (size_t j = 0; out && j < c; j++) out[j] = weight[j] * (x[j] * r);
    for (size_t j = 0; half && j < c; j++) half[j] = dtype_float_to_bf16(weight[j] * (x[j] * r));
}

void rmsnorm_forward(float *out, uint16_t *half, float *rstd, const float *x, const float *weight, size_t t, size_t c, float eps) {
#pragma omp parallel for schedule(dynamic, 64)
    for (size_t i = 0; i < t; i++) {
        rstd[i] = rstd_of(x + i * c, c, eps);
        normed_row(out ? out + i * c : NULL, half ? half + i * c : NULL, x + i * c, rstd[i], weight, c);
    }
}

void rmsnorm_forward_onto(float *out, float *rstd, const float *init, const float *x, const float *weight, size_t t, size_t c, float eps) {
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < t; i++) {
        const float *xi = x + i * c, *from = init + i * c;
        const float r = rstd[i] = rstd_of(xi, c, eps);
        for (size_t j = 0; j < c; j++) out[i * c + j] = from[j] + weight[j] * (xi[j] * r);
    }
}

void rmsnorm_again(float *out, uint16_t *half, const float *x, const float *rstd, const float *weight, size_t t, size_t c) {
#pragma omp parallel for schedule(dynamic, 64)
    for (size_t i = 0; i < t; i++) normed_row(out ? out + i * c : NULL, half ? half + i * c : NULL, x + i * c, rstd[i], weight, c);
}

/* With n = x r: dx = r (w dout - n mean(w dout n)); dweight = sum over t of dout n. */
void rmsnorm_backward(float *dx, float *dweight, const float *dout, const float *x, const float *weight, const float *rstd, size_t t,
                      size_t c) {
#pragma omp parallel for schedule(dynamic, 64)
    for (size_t i = 0; i < t; i++) {
        const float *xi = x + i * c, *di = dout + i * c;
        float *gi = dx + i * c, sum = 0;
        const float r = rstd[i];
#pragma omp simd reduction(+ : sum)
        for (size_t j = 0; j < c; j++) sum += weight[j] * di[j] * xi[j];
        const float back = sum * r * r * r / (float)c;
        for (size_t j = 0; j < c; j++) gi[j] += weight[j] * di[j] * r - xi[j] * back;
    }
    if (!dweight) return;
#pragma omp parallel for schedule(dynamic, 64)
    for (size_t from = 0; from < c; from += 64) { /* each thread owns columns, so rows add up in order */
        size_t to = from + 64 < c ? from + 64 : c;
        for (size_t i = 0; i < t; i++)
            for (size_t j = from; j < to; j++) dweight[j] += dout[i * c + j] * (x[i * c + j] * rstd[i]);
    }
}

void headnorm_forward(float *qkv, float *raw, float *rstd, const struct head_norm *n, size_t t) {
    const size_t all = n->heads + n->kv_heads, d = n->head_dim;
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < t; i++)
        for (size_t h = 0; h < all; h++) {
            float *x = qkv + i * n->stride + h * d;
            const float *w = h < n->heads ? n->q_norm : n->k_norm;
            const float r = rstd_of(x, d, n->eps);
            if (raw) memcpy(raw + (i * all + h) * d, x, d * sizeof *x);
            rstd[i * all + h] = r;
            for (size_t j = 0; j < d; j++) x[j] = w[j] * (x[j] * r);
        }
}

/* The weights' gradients want dqkv as it came, so they go first. */
static void headnorm_weights(float *dw, const float *dqkv, const float *raw, const float *rstd, const struct head_norm *n, size_t t,
                             size_t from, size_t to) {
    const size_t all = n->heads + n->kv_heads, d = n->head_dim;
    if (!dw) return;
#pragma omp parallel for schedule(static)
    for (size_t j = 0; j < d; j++)
        for (size_t i = 0; i < t; i++)
            for (size_t h = from; h < to; h++) dw[j] += dqkv[i * n->stride + h * d + j] * (raw[(i * all + h) * d + j] * rstd[i * all + h]);
}

void headnorm_backward(float *dqkv, float *dq_norm, float *dk_norm, const float *raw, const float *rstd, const struct head_norm *n,
                       size_t t) {
    const size_t all = n->heads + n->kv_heads, d = n->head_dim;
    headnorm_weights(dq_norm, dqkv, raw, rstd, n, t, 0, n->heads);
    headnorm_weights(dk_norm, dqkv, raw, rstd, n, t, n->heads, all);
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < t; i++)
        for (size_t h = 0; h < all; h++) {
            float *g = dqkv + i * n->stride + h * d, sum = 0;
            const float *x = raw + (i * all + h) * d, *w = h < n->heads ? n->q_norm : n->k_norm;
            const float r = rstd[i * all + h];
#pragma omp simd reduction(+ : sum)
            for (size_t j = 0; j < d; j++) sum += w[j] * g[j] * x[j];
            const float back = sum * r * r * r / (float)d;
            for (size_t j = 0; j < d; j++) g[j] = w[j] * g[j] * r - x[j] * back;
        }
}
