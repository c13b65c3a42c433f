#include "model/linear.h"

#include <string.h>

#include "base/rng.h"
#include "model/dora.h"

void linear_stored_rows(float *out, const void *source, size_t from, size_t rows) {
    const struct linear *l = source;
    size_t part = 0;
    for (size_t r = from; r < from + rows; r++, out += l->in) {
        while (r >= l->part[part].row + l->part[part].rows) part++;
        tensor_view_row(out, &l->stored[part], r - l->part[part].row);
    }
}

/* out = x with dropped elements 0 and kept ones scaled by 1 / (1 - p). */
static void drop(float *out, const float *x, const struct dropout *d, uint64_t salt, size_t t, size_t n) {
    const float keep = 1.0f / (1.0f - d->p);
    const uint32_t limit = (uint32_t)((double)d->p * 4294967296.0);
#pragma omp parallel for schedule(static)
    for (size_t r = 0; r < t; r++) {
        struct rng g = rng_at(d->key, salt, d->first + r, 0);
        for (size_t i = 0; i < n; i += 2) {
            uint64_t bits = rng_u64(&g);
            out[r * n + i] = (uint32_t)bits < limit ? 0.0f : x[r * n + i] * keep;
            if (i + 1 < n) out[r * n + i + 1] = (uint32_t)(bits >> 32) < limit ? 0.0f : x[r * n + i + 1] * keep;
        }
    }
}

static uint64_t dropout_salt(const struct linear *l) { return l->layer * TENSOR_ROLES + l->part[0].role; }

/* x[t, u_width]: the columns of each part times its scale. */
static void scale_parts(float *x, const struct linear *l, size_t t) {
    for (size_t k = 0; k < l->part_count; k++) {
        const struct linear_part *p = &l->part[k];
        if (!p->adapted) continue;
        for (size_t i = 0; i < t; i++)
            for (size_t j = 0; j < p->rank; j++) x[i * l->u_width + p->u_col + j] *= p->scale;
    }
}

static bool is_saved(const struct linear *l, const float *theta) { return theta && l->saved_offset != LINEAR_FROZEN; }

static const struct matmul_weight *weight_of(const struct linear *l, const float *theta) { return is_saved(l, theta) ? &l->saved : &l->w; }

/* Where the gradient of the matrix goes. */
static size_t trained_at(const struct linear *l, const float *theta) { return is_saved(l, theta) ? l->saved_offset : l->w_offset; }

size_t linear_kept(const struct linear *l) { return l->u_width + (l->dora ? l->out : 0); }

/* x with its bf16 form where products read that, rounded once for all of them. */
static struct mat operand(struct mat x, size_t n, enum matmul_kind kind, const struct linear_scratch *s, size_t t) {
    if (kind != MATMUL_BF16 || x.h || !s->half) return x;
    matmul_to_bf16(s->half, n, x.f, x.ld, t, n);
    return (struct mat){.f = x.f, .h = s->half, .ld = n};
}

/* A column block of m. */
static struct mat columns(struct mat m, size_t col) {
    if (m.f) m.f += col;
    if (m.h) m.h += col;
    return m;
}

static bool in_one_pass(const struct linear *l, const struct linear_scratch *s, size_t t) {
    return (l->w.tiles || (l->w.split && matmul_splits(l->w.kind, t, l->out, l->in))) && s->half && s->dropout.p == 0;
}

/* --- the adapter's product in the same pass as the weight's: u is made first, then [x | u] times [W | B] --- */

/* x[t, n] as an operand of that pass: in `into` where it is not there yet. */
static void begin_pass(struct gemm_tiles *g, struct mat x, size_t n, const struct linear *l, const struct linear_scratch *s) {
    g->k = n;
    if (l->w.split) {
        gemm_tiles_operand(g, s->half, x.f, x.ld, n);
    } else {
        x = operand(x, n, l->w.kind, s, g->m);
        g->a = x.h, g->lda = x.ld, g->planes = 1;
    }
}

/* The B of all parts as one [out, u_width]: a part's rows are zero in the columns of the others. */
static const float *gather_up(const struct linear *l, const float *theta, const struct linear_scratch *s) {
    memset(s->up, 0, l->out * l->u_width * sizeof *s->up);
    for (size_t i = 0; i < l->part_count; i++) {
        const struct linear_part *p = &l->part[i];
        for (size_t r = 0; p->adapted && r < p->rows; r++)
            memcpy(s->up + (p->row + r) * l->u_width + p->u_col, theta + p->b_offset + r * p->rank, p->rank * sizeof *s->up);
    }
    return s->up;
}

/* u[m, u_width] = scale * a times b[k, u_width], which becomes `packed`; g has a. */
static void adapter_product(float *u, const struct gemm_tiles *g, uint16_t *packed, const float *b, size_t ld, bool transposed,
                            const struct linear *l) {
    gemm_tiles_pack(packed, b, ld, transposed, g->k, l->u_width, g->planes);
    gemm_tiles_run(&(struct gemm_tiles){
        .m = g->m, .n = l->u_width, .k = g->k, .planes = g->planes, .a = g->a, .lda = g->lda, .b = packed, .c = u, .ldc = l->u_width});
    scale_parts(u, l, g->m);
}

/* g's product gets a second: a2 = u[m, u_width], b2 = b[u_width, n], packed. */
static void add_second(struct gemm_tiles *g, const float *u, uint16_t *packed, const float *b, size_t ld, bool transposed,
                       const struct linear *l, const struct linear_scratch *s) {
    g->k2 = size_round_up(l->u_width, 32);
    g->lda2 = g->k2 * g->planes;
    if (l->w.split)
        gemm_tiles_split(s->u_half, u, l->u_width, false, g->m, l->u_width, g->planes);
    else
        gemm_tiles_half(s->u_half, g->lda2, u, l->u_width, g->m, l->u_width);
    gemm_tiles_pack(packed, b, ld, transposed, l->u_width, g->n, g->planes);
    g->a2 = s->u_half, g->b2 = packed;
}

static void forward_pass(struct gemm_tiles *g, float *u, struct mat x, const struct linear *l, const float *theta,
                         const struct linear_scratch *s) {
    g->n = l->out;
    begin_pass(g, x, l->in, l, s);
    if (theta && l->u_width) {
        adapter_product(u, g, s->pack_a, theta + l->a_offset, l->in, true, l);
        add_second(g, u, s->pack_b, gather_up(l, theta, s), l->u_width, true, l, s);
    }
    gemm_tiles_run_weight(g, weight_of(l, theta), false);
}

/* du = scale * dy B; then dx = [dy | du] [W | A]. */
static void backward_pass(struct gemm_tiles *g, struct mat dy, const struct linear *l, const float *theta, const struct linear_scratch *s) {
    g->n = l->in;
    begin_pass(g, dy, l->out, l, s);
    if (theta && l->u_width) {
        adapter_product(s->du, g, s->pack_b, gather_up(l, theta, s), l->u_width, false, l);
        add_second(g, s->du, s->pack_a, theta + l->a_offset, l->in, false, l, s);
    }
    if (!g->c && !g->finish) return;
    gemm_tiles_run_weight(g, weight_of(l, theta), true);
}

status linear_forward_finish(const struct linear_finish *f, float *u, struct mat x, const struct linear *l, const float *theta,
                             const struct linear_scratch *s, size_t t) {
    CHECK(in_one_pass(l, s, t) && !l->dora);
    forward_pass(&(struct gemm_tiles){.m = t, .finish = f->block, .look = f->look, .context = f->context, .half_offset = f->half_offset}, u,
                 x, l, theta, s);
    return ST_OK;
}

static void add_rows(float *y, const float *row, size_t t, size_t n) {
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < t; i++)
        for (size_t j = 0; j < n; j++) y[i * n + j] += row[j];
}

/* y = begin + x W^T + scale B A x; ld 0: every row starts from the same. */
static status product(float *y, const float *begin, size_t ld, float *u, struct mat x, const struct linear *l, const float *theta,
                      const struct linear_scratch *s, size_t t) {
    if (in_one_pass(l, s, t)) {
        forward_pass(&(struct gemm_tiles){.m = t, .init = begin, .ld_init = ld, .c = y, .ldc = l->out}, u, x, l, theta, s);
        return ST_OK;
    }
    struct mat in = operand(x, l->in, l->w.kind, s, t);
    TRY(matmul_weight_forward(y, l->out, begin, ld, in, weight_of(l, theta), t));
    if (!theta || !l->u_width) return ST_OK;
    if (s->dropout.p > 0) {
        drop(s->dropped, x.f, &s->dropout, dropout_salt(l), t, l->in);
        in = operand((struct mat){.f = s->dropped, .ld = l->in}, l->in, l->w.kind, s, t);
    }
    TRY(matmul(u, l->u_width, l->w.kind, in, false, (struct mat){.f = theta + l->a_offset, .ld = l->in}, true, t, l->u_width, l->in,
               false));
    scale_parts(u, l, t);
    for (size_t i = 0; i < l->part_count; i++) {
        const struct linear_part *p = &l->part[i];
        if (!p->adapted) continue;
        struct mat up = {.f = u + p->u_col, .ld = l->u_width}, b = {.f = theta + p->b_offset, .ld = p->rank};
        TRY(matmul(y + p->row, l->out, l->w.kind, up, false, b, true, t, p->rows, p->rank, true));
    }
    return ST_OK;
}

status linear_forward(float *y, const float *init, float *u, struct mat x, const struct linear *l, const float *theta,
                      const struct linear_scratch *s, size_t t) {
    if (theta && l->dora) {
        float *z = u + t * l->u_width;
        TRY(product(z, NULL, 0, u, x, l, theta, s, t));
        dora_forward(y, init, z, l, t);
        return ST_OK;
    }
    if (l->bias && init) { /* both: the bias goes to where the sums start */
        if (init != y) memcpy(y, init, t * l->out * sizeof *y);
        add_rows(y, l->bias, t, l->out);
        init = y;
    }
    return product(y, init ? init : l->bias, init ? l->out : 0, u, x, l, theta, s, t);
}

/* Gradients of A and B from du = scale * dy B. `du_half`: its bf16 form where there is one. */
static status adapter_gradients(float *grad, struct mat dy, struct mat x, const float *u, const uint16_t *du_half, const struct linear *l,
                                const struct linear_scratch *s, size_t t) {
    for (size_t i = 0; i < l->part_count; i++) {
        const struct linear_part *p = &l->part[i];
        if (!p->adapted) continue;
        struct mat up = {.f = u + p->u_col, .ld = l->u_width};
        TRY(matmul(grad + p->b_offset, p->rank, l->w.kind, columns(dy, p->row), true, up, false, p->rows, p->rank, t, true));
    }
    struct mat du = {.f = s->du, .ld = l->u_width};
    if (du_half) du = (struct mat){.h = du_half, .ld = size_round_up(l->u_width, 32)};
    if (s->dropout.p > 0) {
        drop(s->dropped, x.f, &s->dropout, dropout_salt(l), t, l->in);
        x = (struct mat){.f = s->dropped, .ld = l->in};
    }
    return matmul(grad + l->a_offset, l->in, l->w.kind, du, true, x, false, l->u_width, l->in, t, true);
}

/* Each thread owns columns, so rows add up in order. */
static void bias_gradient(float *dbias, const float *dy, size_t t, size_t n) {
#pragma omp parallel for schedule(static)
    for (size_t from = 0; from < n; from += 64)
        for (size_t i = 0; i < t; i++)
            for (size_t j = from; j < n && j < from + 64; j++) dbias[j] += dy[i * n + j];
}

static status weight_gradient(float *grad, size_t at, struct mat dy, struct mat x, const struct linear *l, size_t t) {
    if (l->bias) bias_gradient(grad + l->bias_offset, dy.f, t, l->out);
    return matmul(grad + at, l->in, l->w.kind, dy, true, x, false, l->out, l->in, t, true);
}

/* After dx in one pass: what the parameters get. */
static status gradients_after_pass(float *grad, struct mat dy, struct mat x, const float *u, const struct linear *l, const float *theta,
                                   const struct linear_scratch *s, size_t t) {
    if (!grad) return ST_OK;
    const size_t at = trained_at(l, theta);
    if (at != LINEAR_FROZEN) TRY(weight_gradient(grad, at, dy, x, l, t));
    if (!theta || !l->u_width) return ST_OK;
    return adapter_gradients(grad, dy, x, u, l->w.split ? NULL : s->u_half, l, s, t);
}

status linear_backward_finish(const struct linear_finish *f, float *grad, struct mat dy, struct mat x, const float *u,
                              const struct linear *l, const float *theta, const struct linear_scratch *s, size_t t) {
    CHECK(in_one_pass(l, s, t) && !l->dora);
    dy = operand(dy, l->out, l->w.kind, s, t);
    backward_pass(&(struct gemm_tiles){.m = t, .finish = f->block, .look = f->look, .context = f->context, .half_offset = f->half_offset},
                  dy, l, theta, s);
    return gradients_after_pass(grad, dy, x, u, l, theta, s, t);
}

/* The adapter's part of dx, through the dropout mask where there is one. */
static status adapter_input_gradient(float *dx, const struct linear *l, const float *theta, const struct linear_scratch *s, size_t t) {
    struct mat du = {.f = s->du, .ld = l->u_width}, a = {.f = theta + l->a_offset, .ld = l->in};
    if (s->dropout.p == 0) return matmul(dx, l->in, l->w.kind, du, false, a, false, t, l->in, l->u_width, true);
    TRY(matmul(s->dropped, l->in, l->w.kind, du, false, a, false, t, l->in, l->u_width, false));
    drop(s->dropped, s->dropped, &s->dropout, dropout_salt(l), t, l->in);
    for (size_t i = 0; i < t * l->in; i++) dx[i] += s->dropped[i];
    return ST_OK;
}

status linear_backward(float *dx, float *grad, struct mat dy, struct mat x, const float *u, const struct linear *l, const float *theta,
                       const struct linear_scratch *s, size_t t, bool accumulate) {
    if (theta && l->dora) dy = dora_backward(s->dz, grad, dy, u + t * l->u_width, l, t);
    dy = operand(dy, l->out, l->w.kind, s, t);
    if (in_one_pass(l, s, t)) {
        backward_pass(&(struct gemm_tiles){.m = t, .init = accumulate ? dx : NULL, .ld_init = l->in, .c = dx, .ldc = l->in}, dy, l, theta,
                      s);
        return gradients_after_pass(grad, dy, x, u, l, theta, s, t);
    }
    const size_t at = trained_at(l, theta);
    if (dx) TRY(matmul_weight_backward(dx, l->in, accumulate ? dx : NULL, l->in, dy, weight_of(l, theta), t));
    if (grad && at != LINEAR_FROZEN) TRY(weight_gradient(grad, at, dy, x, l, t));
    if (!theta || !l->u_width) return ST_OK;
    for (size_t i = 0; i < l->part_count; i++) {
        const struct linear_part *p = &l->part[i];
        if (!p->adapted) continue;
        struct mat b = {.f = theta + p->b_offset, .ld = p->rank};
        TRY(matmul(s->du + p->u_col, l->u_width, l->w.kind, columns(dy, p->row), false, b, false, t, p->rank, p->rows, false));
    }
    scale_parts(s->du, l, t);
    if (grad) TRY(adapter_gradients(grad, dy, x, u, NULL, l, s, t));
    return dx ? adapter_input_gradient(dx, l, theta, s, t) : ST_OK;
}

static size_t offset_at(size_t offset, size_t by) { return offset == LINEAR_FROZEN ? offset : offset + by; }

struct linear linear_rows(const struct linear *l, size_t from, size_t rows, struct dora *dora) {
    struct linear v = *l;
    CHECK(l->part_count == 1);
    v.out = rows, v.part[0].rows = rows;
    v.part[0].b_offset += from * l->part[0].rank, v.part[0].m_offset += from;
    v.w = matmul_weight_rows(&l->w, from, rows);
    v.w_offset = offset_at(l->w_offset, from * l->in), v.saved_offset = offset_at(l->saved_offset, from * l->in);
    if (l->saved_offset != LINEAR_FROZEN) v.saved = matmul_weight_rows(&l->saved, from, rows);
    if (l->bias) v.bias = l->bias + from;
    v.bias_offset = offset_at(l->bias_offset, from);
    if (l->dora) *dora = (struct dora){l->dora->squares + from, l->dora->gain + from, l->dora->inverse + from}, v.dora = dora;
    return v;
}

status linear_bind(struct linear *l, const float *theta, float *products) {
    if (is_saved(l, theta)) {
        if (l->saved.kind == MATMUL_BF16)
            TRY(matmul_weight_update(&l->saved, theta + l->saved_offset));
        else
            l->saved.plain = theta + l->saved_offset;
    }
    return theta && l->dora ? dora_bind(l, theta, products) : ST_OK;
}
