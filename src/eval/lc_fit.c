#include "eval/lc_fit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FOLDS 5
#define GRID 10
#define N LC_FEATURES

static double dot(const double *a, const double *b, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

/* log(1 + e^z) */
static double softplus(double z) { return z > 0 ? z + log1p(exp(-z)) : log1p(exp(z)); }

static double objective(const double *w, const struct lc_row *rows, size_t count, size_t n, double c, const unsigned char *fold,
                        int without) {
    double sum = 0, size = 0;
    for (size_t i = 0; i < count; i++) {
        if (fold && fold[i] == without) continue;
        const double z = dot(rows[i].x, w, n);
        sum += rows[i].weight * (rows[i].preference * softplus(-z) + (1 - rows[i].preference) * softplus(z));
    }
    for (size_t k = 0; k < n; k++) size += fabs(w[k]);
    return size + c * sum;
}

static void derivatives(double *g, double h[N][N], const double *w, const struct lc_row *rows, size_t count, size_t n, double c,
                        const unsigned char *fold, int without) {
    memset(g, 0, N * sizeof *g);
    memset(h, 0, N * sizeof *h);
    for (size_t i = 0; i < count; i++) {
        if (fold && fold[i] == without) continue;
        const double z = dot(rows[i].x, w, n), p = z >= 0 ? 1 / (1 + exp(-z)) : exp(z) / (1 + exp(z));
        const double slope = c * rows[i].weight * (p - rows[i].preference), curve = c * rows[i].weight * p * (1 - p);
        for (size_t k = 0; k < n; k++) {
            g[k] += slope * rows[i].x[k];
            for (size_t m = 0; m < n; m++) h[k][m] += curve * rows[i].x[k] * rows[i].x[m];
        }
    }
}

/* min over v of g (v - w) + (v - w) H (v - w) / 2 + |v|_1, by coordinates. */
static void newton_step(double *v, const double *w, const double *g, double h[N][N], size_t n) {
    memcpy(v, w, n * sizeof *v);
    for (int sweep = 0; sweep < 1000; sweep++) {
        double moved = 0;
        for (size_t k = 0; k < n; k++) {
            const double curve = h[k][k] + 1e-12;
            double slope = g[k];
            for (size_t m = 0; m < n; m++) slope += h[k][m] * (v[m] - w[m]);
            const double free_value = v[k] - slope / curve, shrunk = fabs(free_value) - 1 / curve,
                         next = shrunk > 0 ? copysign(shrunk, free_value) : 0;
            moved = fmax(moved, fabs(next - v[k]));
            v[k] = next;
        }
        if (moved < 1e-14) break;
    }
}

void lc_minimise(double w[LC_FEATURES], const struct lc_row *rows, size_t count, size_t features, double c, const unsigned char *fold,
                 int without) {
    double g[N], h[N][N], v[N], trial[N];
    memset(w, 0, N * sizeof *w);
    double value = objective(w, rows, count, features, c, fold, without);
    for (int step = 0; step < 200; step++) {
        double length = 1, moved = 0, next = value;
        derivatives(g, h, w, rows, count, features, c, fold, without);
        newton_step(v, w, g, h, features);
        for (; length > 1e-12; length /= 2) {
            for (size_t k = 0; k < features; k++) trial[k] = w[k] + length * (v[k] - w[k]);
            next = objective(trial, rows, count, features, c, fold, without);
            if (next < value) break;
        }
        if (!(next < value)) return; /* no step goes down any more */
        for (size_t k = 0; k < features; k++) {
            moved = fmax(moved, fabs(trial[k] - w[k]));
            w[k] = trial[k];
        }
        value = next;
        if (moved < 1e-12) return;
    }
}

/* Mean weighted loss of the fold's rows: alpaca_eval's logloss, with probabilities kept off 0 and 1. */
static double held_out_loss(const double *w, const struct lc_row *rows, size_t count, size_t n, const unsigned char *fold, int which) {
    double sum = 0;
    size_t seen = 0;
    for (size_t i = 0; i < count; i++) {
        if (fold[i] != which) continue;
        const double z = dot(rows[i].x, w, n), raw = 1 / (1 + exp(-z)), p = fmin(fmax(raw, 1e-15), 1 - 1e-15);
        sum -= rows[i].weight * (rows[i].preference * log(p) + (1 - rows[i].preference) * log(1 - p));
        seen++;
    }
    return sum / (double)seen;
}

void lc_fit_rows(struct lc_fit *out, const struct lc_row *rows, size_t count, size_t features) {
    unsigned char *fold = mem_zero(count, 1);
    double best = (double)INFINITY;
    CHECK(count >= FOLDS && features >= 1 && features <= N);
    *out = (struct lc_fit){0};
    for (size_t i = 0; i < count; i++)
        fold[i] = (unsigned char)((count - 1 - i) % FOLDS); /* GroupKFold, all groups alike: from the last on */
    for (int k = 0; k < GRID; k++) {
        const double c = pow(10, -4 + 8 * (double)k / (GRID - 1));
        double loss = 0, w[N];
        for (int f = 0; f < FOLDS; f++) {
            lc_minimise(w, rows, count, features, c, fold, f);
            loss += held_out_loss(w, rows, count, features, fold, f);
        }
        if (loss < best) best = loss, out->c = c;
    }
    lc_minimise(out->coefficients, rows, count, features, out->c, NULL, 0);
    free(fold);
}
