#include "model/linear.h"

#include <string.h>

#include "base/rng.h"

/* out = x with dropped elements 0 and kept ones scaled by 1 / (1 - p). */
static void drop(float *out, const float *x, const struct dropout *d, uint64_t salt, size_t t, size_t n) {
    const float keep = 1.0f / (1.0f - d->p);
    const uint32_t limit = (uint32_t)((double)d->p * 4294967296.0);
#pragma omp parallel for schedule(static)
    for (size_t r = 0; r < t; r++) {
        struct rng g = rng_at(d->key, salt, r, 0);
        for (size_t i = 0; i < n; i += 2) {
            uint64_t bits = rng_u64(&g);
            out[r * n + i] = (uint32_t)bits < limit ? 0.0f : x[r * n + i] * keep;
            if (i + 1 < n) out[r * n + i + 1] = (uint32_t)(bits >> 32) < limit ? 0.0f : x[r * n + i + 1] * keep;
        }
    }
}

static uint64_t dropout_salt(const struct linear *l) { return l->layer * TENSOR_ROLES + l->part[0].role; }

static void scale_rows(float *x, float scale, size_t n) {
    for (size_t i = 0; i < n; i++) x[i] *= scale;
}

/* The operand of x, rounded once for all products that read it. */
static struct mat operand(const float *x, size_t ld, enum matmul_kind kind, const struct linear_scratch *s, size_t t) {
    struct mat m = {.f = x, .ld = ld};
    if (kind == MATMUL_BF16 && s->half) {
        matmul_to_bf16(s->half, x, ld, t, ld);
        m.h = s->half;
    }
    return m;
}

/* Rows [from, from+..) of a column block of m. */
static struct mat columns(struct mat m, size_t col) {
    if (m.f) m.f += col;
    if (m.h) m.h += col;
    return m;
}

status linear_forward(float *y, float *u, const float *x, const struct linear *l, const float *theta, const struct linear_scratch *s, size_t t,
                      bool accumulate) {
    struct mat in = operand(x, l->in, l->w.kind, s, t);
    TRY(matmul_weight_forward(y, l->out, in, &l->w, t, accumulate));
    if (!theta || !l->u_width) return ST_OK;
    if (s->dropout.p > 0) {
        drop(s->dropped, x, &s->dropout, dropout_salt(l), t, l->in);
        in = operand(s->dropped, l->in, l->w.kind, s, t);
    }
    TRY(matmul(u, l->u_width, l->w.kind, in, false, (struct mat){.f = theta + l->a_offset, .ld = l->in}, true, t, l->u_width, l->in, false));
    scale_rows(u, l->scale, t * l->u_width);
    for (size_t i = 0; i < l->part_count; i++) {
        const struct linear_part *p = &l->part[i];
        if (!p->adapted) continue;
        struct mat up = {.f = u + p->u_col, .ld = l->u_width}, b = {.f = theta + p->b_offset, .ld = l->rank};
        TRY(matmul(y + p->row, l->out, l->w.kind, up, false, b, true, t, p->rows, l->rank, true));
    }
    return ST_OK;
}

/* Gradients of A and B, and du = scale * dy B, from which the adapter's part of dx follows. */
static status adapter_backward(float *grad, struct mat dy, const float *x, const float *u, const struct linear *l, const float *theta,
                               const struct linear_scratch *s, size_t t) {
    for (size_t i = 0; i < l->part_count; i++) {
        const struct linear_part *p = &l->part[i];
        if (!p->adapted) continue;
        struct mat up = {.f = u + p->u_col, .ld = l->u_width}, b = {.f = theta + p->b_offset, .ld = l->rank}, dyp = columns(dy, p->row);
        if (grad) TRY(matmul(grad + p->b_offset, l->rank, l->w.kind, dyp, true, up, false, p->rows, l->rank, t, true));
        TRY(matmul(s->du + p->u_col, l->u_width, l->w.kind, dyp, false, b, false, t, l->rank, p->rows, false));
    }
    scale_rows(s->du, l->scale, t * l->u_width);
    if (!grad) return ST_OK;
    struct mat du = {.f = s->du, .ld = l->u_width}, in = {.f = x, .ld = l->in};
    if (s->dropout.p > 0) {
        drop(s->dropped, x, &s->dropout, dropout_salt(l), t, l->in);
        in.f = s->dropped;
    }
    return matmul(grad + l->a_offset, l->in, l->w.kind, du, true, in, false, l->u_width, l->in, t, true);
}

status linear_backward(float *dx, float *grad, const float *dy, const float *x, const float *u, const struct linear *l, const float *theta,
                       const struct linear_scratch *s, size_t t, bool accumulate) {
    struct mat dym = operand(dy, l->out, l->w.kind, s, t);
    if (dx) TRY(matmul_weight_backward(dx, l->in, dym, &l->w, t, accumulate));
    if (grad && l->w_offset != LINEAR_FROZEN)
        TRY(matmul(grad + l->w_offset, l->in, l->w.kind, dym, true, (struct mat){.f = x, .ld = l->in}, false, l->out, l->in, t, true));
    if (!theta || !l->u_width) return ST_OK;
    TRY(adapter_backward(grad, dym, x, u, l, theta, s, t));
    if (!dx) return ST_OK;
    struct mat du = {.f = s->du, .ld = l->u_width}, a = {.f = theta + l->a_offset, .ld = l->in};
    if (s->dropout.p == 0) return matmul(dx, l->in, l->w.kind, du, false, a, false, t, l->in, l->u_width, true);
    TRY(matmul(s->dropped, l->in, l->w.kind, du, false, a, false, t, l->in, l->u_width, false));
    drop(s->dropped, s->dropped, &s->dropout, dropout_salt(l), t, l->in);
    for (size_t i = 0; i < t * l->in; i++) dx[i] += s->dropped[i];
    return ST_OK;
}
