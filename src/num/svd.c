#include "num/svd.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/rng.h"
#include "num/matmul.h"

#define STEPS_A_ROUND 12
#define ROUNDS_MAX 200
#define SWEEPS_MAX 60
#define LANES 16
#define RESIDUAL 3e-6

struct work {
    const float *w; /* [m, n] */
    size_t m, n, l; /* l: vectors that are iterated, more than wanted: the others converge faster for it */
    double *q;      /* [l, n] right vectors, as rows */
    double *b;      /* [l, m] W q, as rows */
    float *qf, *bf; /* [l, n], [l, m] */
    double *r, *j;  /* [l, l] of a Rayleigh-Ritz step */
    double *row;    /* [l, max(m, n)] */
    double *value;  /* [l] */
    size_t *order;  /* [l] */
};

/* Lanes, so that the sum's order is the same in vector and in scalar code. */
static double dot(const double *a, const double *b, size_t n) {
    double lane[LANES] = {0}, sum = 0;
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t l = 0; l < LANES; l++) lane[l] += a[i + l] * b[i + l];
    for (size_t l = 0; i < n; i++, l++) lane[l] += a[i] * b[i];
    for (size_t l = 0; l < LANES; l++) sum += lane[l];
    return sum;
}

static void to_double(double *out, const float *in, size_t n) {
    for (size_t i = 0; i < n; i++) out[i] = (double)in[i];
}

static void to_float(float *out, const double *in, size_t n) {
    for (size_t i = 0; i < n; i++) out[i] = (float)in[i];
}

/* Gram-Schmidt, twice; a row that vanishes is drawn anew. */
static void orthonormalise(double *q, size_t l, size_t n, struct rng *r) {
    for (size_t i = 0; i < l; i++) {
        double *x = q + i * n;
        for (int tries = 0;; tries++) {
            const double before = sqrt(dot(x, x, n));
            for (int pass = 0; pass < 2; pass++)
                for (size_t j = 0; j < i; j++) {
                    const double c = dot(q + j * n, x, n);
                    for (size_t k = 0; k < n; k++) x[k] -= c * q[j * n + k];
                }
            const double norm = sqrt(dot(x, x, n));
            if (norm > 1e-12 * before && norm > 0) {
                for (size_t k = 0; k < n; k++) x[k] /= norm;
                break;
            }
            CHECK(tries < 8);
            for (size_t k = 0; k < n; k++) x[k] = rng_normal(r);
        }
    }
}

/* b = q W^T; then, where asked, q = b W. */
static status multiply(struct work *k, bool back) {
    to_float(k->qf, k->q, k->l * k->n);
    TRY(matmul(k->bf, k->m, MATMUL_F32, (struct mat){.f = k->qf, .ld = k->n}, false, (struct mat){.f = k->w, .ld = k->n}, true, k->l, k->m,
               k->n, false));
    to_double(k->b, k->bf, k->l * k->m);
    if (!back) return ST_OK;
    TRY(matmul(k->qf, k->n, MATMUL_F32, (struct mat){.f = k->bf, .ld = k->m}, false, (struct mat){.f = k->w, .ld = k->n}, false, k->l, k->n,
               k->m, false));
    to_double(k->q, k->qf, k->l * k->n);
    return ST_OK;
}

static void rotate(double *x, double *y, double c, double s, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const double a = x[i], b = y[i];
        x[i] = c * a - s * b;
        y[i] = s * a + c * b;
    }
}

/* b = r e: the rows of e, which take the place of b's, are orthonormal (0 where b's depend on those before), r is lower triangular. */
static void factor(struct work *k) {
    memset(k->r, 0, k->l * k->l * sizeof *k->r);
    for (size_t i = 0; i < k->l; i++) {
        double *x = k->b + i * k->m, *r = k->r + i * k->l;
        const double before = sqrt(dot(x, x, k->m));
        for (int pass = 0; pass < 2; pass++)
            for (size_t j = 0; j < i; j++) {
                const double c = dot(k->b + j * k->m, x, k->m);
                for (size_t n = 0; n < k->m; n++) x[n] -= c * k->b[j * k->m + n];
                r[j] += c;
            }
        const double norm = sqrt(dot(x, x, k->m));
        r[i] = norm > 1e-14 * before ? norm : 0;
        for (size_t n = 0; n < k->m; n++) x[n] = r[i] > 0 ? x[n] / norm : 0;
    }
}

/* x[l, n] becomes a[l, l] x. */
static void apply(double *x, const double *a, double *scratch, size_t l, size_t n) {
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < l; i++) {
        double *out = scratch + i * n;
        memset(out, 0, n * sizeof *out);
        for (size_t j = 0; j < l; j++)
            for (size_t c = 0; c < n; c++) out[c] += a[i * l + j] * x[j * n + c];
    }
    memcpy(x, scratch, l * n * sizeof *x);
}

/* Rotates rows of b, and those of q with them, until all rows of b are orthogonal: their norms are then the singular values. */
static void ritz(struct work *k) {
    const size_t l = k->l;
    bool again = true;
    factor(k);
    for (size_t i = 0; i < l * l; i++) k->j[i] = i % (l + 1) == 0;
    for (int sweep = 0; again && sweep < SWEEPS_MAX; sweep++) {
        again = false;
        for (size_t i = 0; i + 1 < l; i++)
            for (size_t j = i + 1; j < l; j++) {
                double *x = k->r + i * l, *y = k->r + j * l;
                const double a = dot(x, x, l), d = dot(y, y, l), g = dot(x, y, l);
                if (fabs(g) <= 1e-13 * sqrt(a * d) || g == 0) continue;
                const double zeta = (d - a) / (2 * g), t = (zeta >= 0 ? 1 : -1) / (fabs(zeta) + sqrt(1 + zeta * zeta)),
                             c = 1 / sqrt(1 + t * t);
                rotate(x, y, c, c * t, l);
                rotate(k->j + i * l, k->j + j * l, c, c * t, l);
                again = true;
            }
    }
    apply(k->b, k->r, k->row, l, k->m);
    apply(k->q, k->j, k->row, l, k->n);
    for (size_t i = 0; i < k->l; i++) {
        k->value[i] = sqrt(dot(k->b + i * k->m, k->b + i * k->m, k->m));
        size_t at = i;
        for (; at > 0 && k->value[k->order[at - 1]] < k->value[i]; at--) k->order[at] = k->order[at - 1];
        k->order[at] = i;
    }
}

/* The largest |W^T u - s v| of the wanted, over the largest value. */
static status residual(double *worst, struct work *k, size_t rank) {
    const double first = k->value[k->order[0]];
    *worst = 0;
    if (first <= 0) return ST_OK;
    to_float(k->bf, k->b, k->l * k->m); /* s u */
    TRY(matmul(k->qf, k->n, MATMUL_F32, (struct mat){.f = k->bf, .ld = k->m}, false, (struct mat){.f = k->w, .ld = k->n}, false, k->l, k->n,
               k->m, false));
    for (size_t i = 0; i < rank; i++) {
        const size_t at = k->order[i];
        const double s = k->value[at];
        double sum = 0;
        for (size_t j = 0; j < k->n && s > 0; j++) {
            const double off = (double)k->qf[at * k->n + j] / s - s * k->q[at * k->n + j];
            sum += off * off;
        }
        *worst = fmax(*worst, sqrt(sum) / first);
    }
    return ST_OK;
}

static status iterate(struct work *k, size_t rank, size_t steps) {
    struct rng r = rng_at(0x5eed, k->m, k->n, rank);
    const size_t each = steps ? steps : k->l == k->n ? 0 : STEPS_A_ROUND; /* all of the space needs no iterations */
    double before = INFINITY;
    for (size_t i = 0; i < k->l * k->n; i++) k->q[i] = rng_normal(&r);
    for (int round = 0; round < ROUNDS_MAX; round++) {
        double worst;
        orthonormalise(k->q, k->l, k->n, &r);
        for (size_t i = 0; i < each; i++) {
            TRY(multiply(k, true));
            orthonormalise(k->q, k->l, k->n, &r);
        }
        TRY(multiply(k, false));
        ritz(k);
        if (steps || k->l == k->n) return ST_OK;
        TRY(residual(&worst, k, rank));
        if (worst <= RESIDUAL || (worst < 10 * RESIDUAL && worst > 0.9 * before)) return ST_OK; /* or as near as fp32 gets */
        before = worst;
    }
    return FAIL(ST_UNSUPPORTED, "the %zu largest singular values of a [%zu, %zu] matrix are too near to the next ones to be told apart",
                rank, k->m, k->n);
}

static status take(struct arena *a, struct work *k) {
    TRY(arena_try_take(a, &k->q, k->l * k->n, sizeof(double), "singular vectors"));
    TRY(arena_try_take(a, &k->b, k->l * k->m, sizeof(double), "singular vectors"));
    TRY(arena_try_take(a, &k->qf, k->l * k->n, sizeof(float), "singular vectors"));
    TRY(arena_try_take(a, &k->bf, k->l * k->m, sizeof(float), "singular vectors"));
    TRY(arena_try_take(a, &k->r, k->l * k->l, sizeof(double), "singular vectors"));
    TRY(arena_try_take(a, &k->j, k->l * k->l, sizeof(double), "singular vectors"));
    TRY(arena_try_take(a, &k->row, k->l * (k->m > k->n ? k->m : k->n), sizeof(double), "singular vectors"));
    TRY(arena_try_take(a, &k->value, k->l, sizeof(double), "singular values"));
    return arena_try_take(a, &k->order, k->l, sizeof *k->order, "singular values");
}

status svd_largest(float *u, float *s, float *v, const float *w, size_t m, size_t n, size_t rank, size_t steps) {
    struct arena arena = {0};
    CHECK(rank >= 1 && rank <= m && rank <= n);
    const size_t wide = 2 * rank + 16;
    struct work k = {.w = w, .m = m, .n = n, .l = wide < n ? wide : n};
    status code = take(&arena, &k);
    if (code == ST_OK) code = iterate(&k, rank, steps);
    for (size_t i = 0; i < rank && code == ST_OK; i++) {
        const size_t at = k.order[i];
        s[i] = (float)k.value[at];
        for (size_t j = 0; j < n; j++) v[i * n + j] = (float)k.q[at * n + j];
        for (size_t j = 0; j < m; j++) u[j * rank + i] = k.value[at] > 0 ? (float)(k.b[at * m + j] / k.value[at]) : 0;
    }
    arena_release(&arena);
    return code;
}
