#include <math.h>
#include <string.h>

#include "num/dtype.h"
#include "num/matmul.h"
#include "train/optim_apply.h"

/* Of torch/optim/_muon.py, from Jordan's post. */
#define COEFFICIENT_A 3.4445f
#define COEFFICIENT_B -4.7750f
#define COEFFICIENT_C 2.0315f
#define EPSILON 1e-7f
#define BLOCK ((size_t)4096) /* numbers in one partial sum of the norm */

static float bf16(float x) { return dtype_bf16_to_float(dtype_float_to_bf16(x)); }

size_t optim_muon_state(const struct optim_slice *slice, const struct optim_params *p) {
    return slice->hidden ? slice->rows * slice->cols * sizeof(float) : optim_adamw_state(slice, p);
}

static size_t shorter(size_t a, size_t b) { return a < b ? a : b; }

size_t optim_muon_work(const struct optim_slice *slice) {
    const size_t m = shorter(slice->rows, slice->cols);
    return slice->hidden ? 2 * slice->rows * slice->cols + 2 * m * m : 0;
}

/* Frobenius norm of bf16 numbers, rounded to bf16 as torch's is. */
static float norm_of(const float *x, size_t count, float *partial) {
    const size_t blocks = count / BLOCK + (count % BLOCK != 0);
    double sum = 0;
#pragma omp parallel for schedule(static)
    for (size_t b = 0; b < blocks; b++) {
        double part = 0;
        for (size_t i = b * BLOCK; i < count && i < (b + 1) * BLOCK; i++) part += (double)x[i] * (double)x[i];
        partial[b] = (float)part;
    }
    for (size_t b = 0; b < blocks; b++) sum += (double)partial[b];
    return bf16((float)sqrt(sum));
}

/* out = bf16(beta * base + alpha * out): torch's addmm, whose sum is rounded once. */
static void combine(float *out, const float *base, float beta, float alpha, size_t count) {
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < count; i++) out[i] = bf16(beta * base[i] + alpha * out[i]);
}

/* x[m, n], m <= n, becomes about U V^T of its singular value decomposition; y: as large; gram, square, update: [m, m]. */
static status orthogonalise(float **x, float **y, float *gram, float *square, size_t m, size_t n, size_t steps) {
    const enum matmul_kind kind = matmul_kind_auto(); /* operands are bf16 numbers: products are the same under either kind */
    const float norm = fmaxf(norm_of(*x, m * n, *y), bf16(EPSILON));
    for (size_t i = 0; i < m * n; i++) (*x)[i] = bf16((*x)[i] / norm);
    for (size_t k = 0; k < steps; k++) {
        struct mat a = {.f = *x, .ld = n}, g = {.f = gram, .ld = m}, s = {.f = square, .ld = m};
        TRY(matmul(gram, m, kind, a, false, a, true, m, m, n, false));
        combine(gram, gram, 0, 1, m * m);
        TRY(matmul(square, m, kind, g, false, g, false, m, m, m, false));
        combine(square, gram, COEFFICIENT_B, COEFFICIENT_C, m * m);
        TRY(matmul(*y, n, kind, s, false, a, false, m, n, m, false));
        combine(*y, *x, COEFFICIENT_A, 1, m * n);
        float *t = *x;
        *x = *y, *y = t;
    }
    return ST_OK;
}

/* How the rate depends on the shape. */
static double adjusted(double rate, const struct optim_update *u, const struct optim_params *p) {
    const double rows = (double)u->rows, cols = (double)u->cols;
    return rate * (p->adjust_lr_fn == MUON_ORIGINAL ? sqrt(fmax(1, rows / cols)) : 0.2 * sqrt(fmax(rows, cols)));
}

status optim_muon(const struct optim_update *u, const struct optim_params *p) {
    if (!u->hidden) return optim_adamw(u, p);
    const size_t rows = u->rows, cols = u->cols, m = shorter(rows, cols), n = rows + cols - m;
    const bool turned = rows > cols;
    const float fresh = (float)(1 - p->momentum), momentum = (float)p->momentum;
    float *buffer = u->state, *x = u->work, *y = x + u->count, *gram = y + u->count, *square = gram + m * m;
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < u->count; i++) {
        const float g = u->dvalue[i] * u->scale;
        buffer[i] += fresh * (g - buffer[i]);
        /* torch's lerp: from the nearer end */
        const float d = buffer[i] - g, ahead = momentum < 0.5f ? g + momentum * d : buffer[i] - d * (1 - momentum);
        x[turned ? i % cols * rows + i / cols : i] = bf16(p->nesterov ? ahead : buffer[i]);
    }
    TRY(orthogonalise(&x, &y, gram, square, m, n, (size_t)p->ns_steps));
    const float keep = (float)(1 - u->rate * u->weight_decay), step = (float)adjusted(u->rate, u, p);
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < u->count; i++) u->value[i] = u->value[i] * keep - step * x[turned ? i % cols * rows + i / cols : i];
    return ST_OK;
}

status optim_muon_check(const struct optim_params *p) {
    if (!(p->momentum >= 0 && p->momentum < 1))
        return FAIL(ST_USAGE, "--optim-args: momentum must be at least 0 and below 1, it is %g", p->momentum);
    return ST_OK;
}
