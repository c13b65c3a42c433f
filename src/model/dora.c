#include "model/dora.h"

#include <math.h>

#include "num/dtype.h"

void dora_squares(float *squares, const float *w, size_t rows, size_t in) {
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < rows; i++) {
        double sum = 0;
        for (size_t j = 0; j < in; j++) sum += (double)w[i * in + j] * (double)w[i * in + j];
        squares[i] = (float)sum;
    }
}

static double dot(const float *a, const float *b, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)a[i] * (double)b[i];
    return sum;
}

/* b^T (A A^T) b = |A^T b|^2 of row b[rank]. */
static double quadratic(const float *b, const float *gram, size_t rank) {
    double sum = 0;
    for (size_t k = 0; k < rank; k++) sum += (double)b[k] * dot(gram + k * rank, b, rank);
    return sum;
}

static void bind_part(struct dora *d, const struct linear_part *p, const float *theta, const float *a, float *gram, const float *products,
                      size_t in, size_t out) {
    const double s = (double)p->scale;
#pragma omp parallel for schedule(static)
    for (size_t k = 0; k < p->rank; k++)
        for (size_t j = 0; j < p->rank; j++) gram[k * p->rank + j] = (float)dot(a + k * in, a + j * in, in);
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < p->rows; i++) {
        const float *b = theta + p->b_offset + i * p->rank;
        double cross = 0;
        for (size_t k = 0; k < p->rank; k++) cross += (double)b[k] * (double)products[k * out + p->row + i];
        const double square = (double)d->squares[p->row + i] + 2 * s * cross + s * s * quadratic(b, gram, p->rank),
                     norm = sqrt(fmax(square, 0));
        d->inverse[p->row + i] = norm > 0 ? (float)(1 / norm) : 0;
        d->gain[p->row + i] = norm > 0 ? (float)((double)theta[p->m_offset + i] / norm) : 0; /* peft: NaN */
    }
}

status dora_bind(struct linear *l, const float *theta, float *products) {
    float *gram = products + l->u_width * l->out;
    TRY(matmul_weight_forward(products, l->out, NULL, 0, (struct mat){.f = theta + l->a_offset, .ld = l->in}, &l->w, l->u_width));
    for (size_t i = 0; i < l->part_count; i++) {
        const struct linear_part *p = &l->part[i];
        if (p->adapted)
            bind_part(l->dora, p, theta, theta + l->a_offset + p->u_col * l->in, gram, products + p->u_col * l->out, l->in, l->out);
    }
    return ST_OK;
}

void dora_forward(float *y, const float *init, const float *z, const struct linear *l, size_t t) {
    const float *gain = l->dora->gain;
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < t; i++)
        for (size_t j = 0; j < l->out; j++) {
            const size_t at = i * l->out + j;
            y[at] = (init ? init[at] : 0) + (l->bias ? l->bias[j] : 0) + gain[j] * z[at];
        }
}

static float at(struct mat m, size_t row, size_t col) { return m.f ? m.f[row * m.ld + col] : dtype_bf16_to_float(m.h[row * m.ld + col]); }

/* Each thread owns columns, so rows add up in order. */
struct mat dora_backward(float *dz, float *grad, struct mat dy, const float *z, const struct linear *l, size_t t) {
    const struct dora *d = l->dora;
    for (size_t k = 0; k < l->part_count; k++) {
        const struct linear_part *p = &l->part[k];
#pragma omp parallel for schedule(static)
        for (size_t from = 0; from < p->rows; from += 64)
            for (size_t i = 0; i < t; i++)
                for (size_t j = from; j < p->rows && j < from + 64; j++) {
                    const size_t col = p->row + j;
                    const float g = at(dy, i, col);
                    if (grad && p->adapted) grad[p->m_offset + j] += g * z[i * l->out + col] * d->inverse[col];
                    dz[i * l->out + col] = g * d->gain[col];
                }
    }
    return (struct mat){.f = dz, .ld = l->out};
}
