#include "num/stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

struct point {
    double x, y;
};
struct place {
    double x;
    size_t index;
};

static int compare(double a, double b) { return (a > b) - (a < b); }

static int by_x_then_y(const void *a, const void *b) {
    const struct point *p = a, *q = b;
    const int c = compare(p->x, q->x);
    return c ? c : compare(p->y, q->y);
}

static int by_place(const void *a, const void *b) {
    const struct place *p = a, *q = b;
    const int c = compare(p->x, q->x);
    return c ? c : (p->index > q->index) - (p->index < q->index);
}

static double pairs(size_t n) { return 0.5 * (double)n * ((double)n - 1); }

/* Pairs of equal values among runs of a sorted sequence: same(i) tells whether i equals i - 1. */
#define TIED_PAIRS(out, n, same)            \
    do {                                    \
        size_t run_ = 1;                    \
        (out) = 0;                          \
        for (size_t i = 1; i <= (n); i++) { \
            if (i < (n) && (same)) {        \
                run_++;                     \
                continue;                   \
            }                               \
            (out) += pairs(run_);           \
            run_ = 1;                       \
        }                                   \
    } while (0)

/* Sorts p[n] by y, stably, and returns the exchanges of neighbours that it took: pairs in the other order than x's. */
static double exchanges(struct point *p, struct point *spare, size_t n) {
    double count = 0;
    for (size_t width = 1; width < n; width *= 2) {
        for (size_t begin = 0; begin < n; begin += 2 * width) {
            const size_t middle = begin + width < n ? begin + width : n, end = begin + 2 * width < n ? begin + 2 * width : n;
            size_t left = begin, right = middle;
            for (size_t at = begin; at < end; at++) {
                if (left < middle && (right == end || p[left].y <= p[right].y)) {
                    spare[at] = p[left++];
                } else {
                    spare[at] = p[right++];
                    count += (double)(middle - left);
                }
            }
        }
        memcpy(p, spare, n * sizeof *p);
    }
    return count;
}

status stats_tau_b(double *tau, const double *x, const double *y, size_t n) {
    struct point *p;
    double ties_x, ties_y, ties_both;
    *tau = (double)NAN;
    if (n < 2) return ST_OK;
    TRY(mem_try_alloc(&p, 2 * n, sizeof *p, "ranks"));
    for (size_t i = 0; i < n; i++) p[i] = (struct point){x[i], y[i]};
    qsort(p, n, sizeof *p, by_x_then_y);
    TIED_PAIRS(ties_x, n, p[i].x == p[i - 1].x);
    TIED_PAIRS(ties_both, n, p[i].x == p[i - 1].x && p[i].y == p[i - 1].y);
    const double against = exchanges(p, p + n, n);
    TIED_PAIRS(ties_y, n, p[i].y == p[i - 1].y);
    free(p);
    const double all = pairs(n);
    if (all > ties_x && all > ties_y) *tau = (all - ties_x - ties_y + ties_both - 2 * against) / sqrt(all - ties_x) / sqrt(all - ties_y);
    return ST_OK;
}

status stats_order(size_t *out, const double *x, size_t n) {
    struct place *p;
    TRY(mem_try_alloc(&p, n ? n : 1, sizeof *p, "ranks"));
    for (size_t i = 0; i < n; i++) p[i] = (struct place){x[i], i};
    qsort(p, n, sizeof *p, by_place);
    for (size_t i = 0; i < n; i++) out[i] = p[i].index;
    free(p);
    return ST_OK;
}

/* rank[n]: mean ranks, from 1. */
static void weighted_ranks(double *rank, const double *x, const uint32_t *weight, const size_t *order, size_t n) {
    double before = 0;
    for (size_t i = 0; i < n;) {
        size_t end = i;
        double here = 0;
        for (; end < n && x[order[end]] == x[order[i]]; end++) here += weight[order[end]];
        for (; i < end; i++) rank[order[i]] = before + (here + 1) / 2;
        before += here;
    }
}

double stats_spearman(const double *x, const double *y, const uint32_t *weight, const size_t *order_x, const size_t *order_y, size_t n,
                      double *scratch) {
    double *a = scratch, *b = scratch + n, total = 0, xy = 0, xx = 0, yy = 0;
    weighted_ranks(a, x, weight, order_x, n);
    weighted_ranks(b, y, weight, order_y, n);
    for (size_t i = 0; i < n; i++) total += weight[i];
    const double middle = (total + 1) / 2;
    for (size_t i = 0; i < n; i++) {
        const double u = a[i] - middle, v = b[i] - middle;
        xy += weight[i] * u * v;
        xx += weight[i] * u * u;
        yy += weight[i] * v * v;
    }
    return xx > 0 && yy > 0 ? xy / sqrt(xx * yy) : (double)NAN;
}
