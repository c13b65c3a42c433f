#include "eval/midpoint.h"

#include <math.h>
#include <stdlib.h>

#include "num/stats.h"

double midpoint_crossing(const double *goals, const double *margins, size_t n) {
    double cost = 0, least;
    size_t cut = 0;
    for (size_t i = 0; i < n; i++) {
        if (isnan(margins[i])) return (double)NAN;
        cost += fmax(0, -margins[i]);
    }
    least = cost;
    for (size_t i = 0; i < n; i++) { /* the cut moves behind goal i */
        cost += fmax(0, margins[i]) - fmax(0, -margins[i]);
        if (cost < least) least = cost, cut = i + 1;
    }
    if (cut == 0) return -INFINITY;
    if (cut == n) return INFINITY;
    const double a = margins[cut - 1], b = margins[cut];
    return a < 0 && b > 0 ? goals[cut - 1] + (goals[cut] - goals[cut - 1]) * a / (a - b) : (goals[cut - 1] + goals[cut]) / 2;
}

/* rows[n] of one pair, by goal. */
static void look_at_pair(struct midpoint_pair *pair, const struct logps_row *rows, size_t n, double *goals, double *margins) {
    *pair = (struct midpoint_pair){
        .source_row = rows[0].source_row, .others = rows[0].others, .cluster = rows[0].cluster, .middle = rows[0].middle};
    if (isnan(pair->middle)) pair->middle = (rows[0].score[0] + rows[0].score[1]) / 2;
    const double noise = 1e-9 * (rows[0].score[0] - rows[0].score[1]); /* of the middle's sum */
    for (int kind = 0; kind < GOAL_KINDS; kind++) {
        double right = 0, counted = 0;
        for (size_t i = 0; i < n; i++) {
            goals[i] = rows[i].goal;
            margins[i] = rows[i].logp[0] - rows[i].logp[1];
            if (kind == GOAL_IMPLICIT) margins[i] -= rows[i].ref[0] - rows[i].ref[1];
            if (fabs(goals[i] - pair->middle) <= noise || isnan(margins[i])) continue;
            right += margins[i] == 0 ? 0.5 : (margins[i] > 0) == (goals[i] > pair->middle);
            counted++;
        }
        const double crossing = pair->crossing[kind] = midpoint_crossing(goals, margins, n);
        pair->value[kind][MIDPOINT_SIGN] = counted > 0 ? right / counted : (double)NAN;
        pair->value[kind][MIDPOINT_CROSSED] = isnan(crossing) ? crossing : isfinite(crossing);
        pair->value[kind][MIDPOINT_DISTANCE] = isfinite(crossing) ? fabs(crossing - pair->middle) : (double)NAN;
    }
}

/* Rows without a goal stand behind the source row's last sweep. */
static bool in_sweep(const struct logps_row *first, const struct logps_row *row) {
    return row->source_row == first->source_row && (row->others == first->others || isnan(row->goal));
}

status midpoint_init(struct midpoint *m, const struct logps_rows *rows) {
    double *goals;
    *m = (struct midpoint){0};
    TRY(mem_try_alloc(&goals, 2 * rows->count + 1, sizeof *goals, "margins"));
    status code = mem_try_alloc(&m->pairs, rows->count ? rows->count : 1, sizeof *m->pairs, "pairs");
    for (size_t i = 0; code == ST_OK && i < rows->count;) {
        const struct logps_row *first = &rows->rows[i];
        size_t n = 0;
        while (i < rows->count && in_sweep(first, &rows->rows[i])) i++, n++;
        while (n && isnan(first[n - 1].goal)) n--; /* rows without a goal are no part of a sweep */
        if (n < 2 || !(first->score[0] > first->score[1]))
            m->left_out++;
        else
            look_at_pair(&m->pairs[m->count++], first, n, goals, goals + rows->count);
    }
    free(goals);
    if (code == ST_OK && m->count) return ST_OK;
    midpoint_release(m);
    if (code != ST_OK) return code;
    return FAIL(
        ST_MISMATCH,
        "%s: no pair with two scores under several goals; rapt augment --split F --test-output T --test-goals 1,2,...,10 writes such rows",
        rows->name);
}

void midpoint_release(struct midpoint *m) {
    free(m->pairs);
    *m = (struct midpoint){0};
}

static int compare_pairs(const struct midpoint_pair *x, const struct midpoint_pair *y) {
    if (x->source_row != y->source_row) return x->source_row < y->source_row ? -1 : 1;
    return (x->others > y->others) - (x->others < y->others);
}

/* other's pair that is m's, from *at on; NULL: it has none. */
static const struct midpoint_pair *same_pair(const struct midpoint *other, size_t *at, const struct midpoint_pair *pair) {
    while (*at < other->count && compare_pairs(&other->pairs[*at], pair) < 0) ++*at;
    return *at < other->count && compare_pairs(&other->pairs[*at], pair) == 0 ? &other->pairs[*at] : NULL;
}

/* Spearman's correlation of runs' crossings with the midpoints, or the difference of two runs'; clusters numbered from 0. */
struct correlation {
    size_t n, clusters, runs;
    size_t *cluster;                    /* [n] */
    double *middle, *crossing[2];       /* [n] each */
    size_t *by_middle, *by_crossing[2]; /* [n] each */
};

static double correlate(const void *context, const uint32_t *weight) {
    const struct correlation *c = context;
    double *scratch = mem_alloc(2 * c->n * sizeof *scratch), figure[2] = {0};
    uint32_t *own = mem_alloc(c->n * sizeof *own);
    for (size_t i = 0; i < c->n; i++) own[i] = weight[c->cluster[i]];
    for (size_t r = 0; r < c->runs; r++)
        figure[r] = stats_spearman(c->middle, c->crossing[r], own, c->by_middle, c->by_crossing[r], c->n, scratch);
    free(scratch);
    free(own);
    return c->runs == 1 ? figure[0] : figure[0] - figure[1];
}

static int by_key(const void *a, const void *b) {
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Numbers the clusters keys[n]. */
static status number_clusters(struct correlation *c, const uint64_t *keys) {
    uint64_t *sorted;
    TRY(mem_try_alloc(&sorted, c->n, sizeof *sorted, "clusters"));
    for (size_t i = 0; i < c->n; i++) sorted[i] = keys[i];
    qsort(sorted, c->n, sizeof *sorted, by_key);
    for (size_t i = 0; i < c->n; i++)
        if (i == 0 || sorted[i] != sorted[c->clusters - 1]) sorted[c->clusters++] = sorted[i];
    for (size_t i = 0; i < c->n; i++)
        c->cluster[i] = (size_t)((uint64_t *)bsearch(&keys[i], sorted, c->clusters, sizeof *sorted, by_key) - sorted);
    free(sorted);
    return ST_OK;
}

/* other: NULL for one run. Pairs that both have, and whose crossings are known. */
static status correlation_fill(struct correlation *c, uint64_t *keys, const struct midpoint *m, const struct midpoint *other,
                               enum goal_kind kind) {
    for (size_t i = 0, j = 0; i < m->count; i++) {
        const struct midpoint_pair *pair = &m->pairs[i];
        const struct midpoint_pair *its = other ? same_pair(other, &j, pair) : pair;
        if (!its || isnan(its->crossing[kind]) || isnan(pair->crossing[kind])) continue;
        c->middle[c->n] = pair->middle;
        c->crossing[0][c->n] = pair->crossing[kind];
        if (other) c->crossing[1][c->n] = its->crossing[kind];
        keys[c->n++] = pair->cluster;
    }
    if (!c->n) return ST_OK;
    TRY(number_clusters(c, keys));
    TRY(stats_order(c->by_middle, c->middle, c->n));
    for (size_t r = 0; r < c->runs; r++) TRY(stats_order(c->by_crossing[r], c->crossing[r], c->n));
    return ST_OK;
}

static status correlation(struct estimate *out, const struct midpoint *m, const struct midpoint *other, const struct bootstrap_params *p,
                          enum goal_kind kind) {
    struct correlation c = {.runs = other ? 2 : 1};
    uint64_t *keys = NULL;
    *out = (struct estimate){NAN, NAN, NAN, 0, 0};
    status code = mem_try_alloc(&keys, m->count, sizeof *keys, "clusters");
    if (code == ST_OK) code = mem_try_alloc(&c.middle, 3 * m->count, sizeof *c.middle, "crossings");
    if (code == ST_OK) code = mem_try_alloc(&c.cluster, 4 * m->count, sizeof *c.cluster, "ranks");
    if (code == ST_OK) {
        for (size_t r = 0; r < 2; r++) {
            c.crossing[r] = c.middle + (1 + r) * m->count;
            c.by_crossing[r] = c.cluster + (2 + r) * m->count;
        }
        c.by_middle = c.cluster + m->count;
        code = correlation_fill(&c, keys, m, other, kind);
    }
    if (code == ST_OK && c.n) code = bootstrap_statistic(out, p, correlate, &c, c.clusters, c.n);
    free(keys);
    free(c.middle);
    free(c.cluster);
    return code;
}

/* The mean of a figure that every pair has, of m or of m - other. */
static status pair_mean(struct estimate *out, const struct midpoint *m, const struct midpoint *other, const struct bootstrap_params *p,
                        enum goal_kind kind, enum midpoint_figure figure) {
    double *values;
    uint64_t *keys = NULL;
    TRY(mem_try_alloc(&values, m->count, sizeof *values, "figures"));
    status code = mem_try_alloc(&keys, m->count, sizeof *keys, "clusters");
    for (size_t i = 0, j = 0; code == ST_OK && i < m->count; i++) {
        const struct midpoint_pair *pair = &m->pairs[i];
        const struct midpoint_pair *its = other ? same_pair(other, &j, pair) : NULL;
        values[i] = other && !its ? (double)NAN : pair->value[kind][figure] - (its ? its->value[kind][figure] : 0);
        keys[i] = pair->cluster;
    }
    if (code == ST_OK) code = bootstrap_mean(out, p, values, keys, m->count);
    free(values);
    free(keys);
    return code;
}

status midpoint_estimate(struct estimate *out, const struct midpoint *m, const struct bootstrap_params *p, enum goal_kind kind,
                         enum midpoint_figure figure) {
    return figure == MIDPOINT_CORRELATION ? correlation(out, m, NULL, p, kind) : pair_mean(out, m, NULL, p, kind, figure);
}

status midpoint_difference(struct estimate *out, const struct midpoint *m, const struct midpoint *other, const struct bootstrap_params *p,
                           enum goal_kind kind, enum midpoint_figure figure) {
    return figure == MIDPOINT_CORRELATION ? correlation(out, m, other, p, kind) : pair_mean(out, m, other, p, kind, figure);
}
