/* goal_curve_difference: what one run's goal curve is more than another's, over what both have. */
#include <math.h>
#include <stdlib.h>

#include "eval/goal_curve.h"

static int compare_cells(const struct goal_cell *a, const struct goal_cell *b) {
    if (a->key != b->key) return a->key < b->key ? -1 : 1;
    return (a->goal > b->goal) - (a->goal < b->goal);
}

/* The other's cell of this prompt and goal, or NULL; *at goes on through its cells, which stand in the same order. */
static const struct goal_cell *same_cell(size_t *at, const struct goal_curve *other, const struct goal_cell *cell) {
    while (*at < other->cell_count && compare_cells(&other->cells[*at], cell) < 0) ++*at;
    return *at < other->cell_count && compare_cells(&other->cells[*at], cell) == 0 ? &other->cells[*at] : NULL;
}

status goal_curve_cell_difference(struct estimate *out, const struct goal_curve *c, const struct goal_curve *first,
                                  const struct bootstrap_params *p, double goal, int figure) {
    double *values;
    uint64_t *keys = NULL;
    TRY(mem_try_alloc(&values, c->cell_count ? c->cell_count : 1, sizeof *values, "differences"));
    status code = mem_try_alloc(&keys, c->cell_count ? c->cell_count : 1, sizeof *keys, "prompts");
    for (size_t i = 0, j = 0; code == ST_OK && i < c->cell_count; i++) {
        const struct goal_cell *cell = &c->cells[i], *other = same_cell(&j, first, cell);
        values[i] = other && (isnan(goal) || cell->goal == goal) ? cell->mean[figure] - other->mean[figure] : (double)NAN;
        keys[i] = cell->key;
    }
    if (code == ST_OK) code = bootstrap_mean(out, p, values, keys, c->cell_count);
    free(values);
    free(keys);
    return code;
}

status goal_curve_prompt_difference(struct estimate *out, const struct goal_curve *c, const struct goal_curve *first,
                                    const struct bootstrap_params *p, const double *own, const double *other) {
    const size_t n = c->samples->prompts;
    double *values;
    TRY(mem_try_alloc(&values, n ? n : 1, sizeof *values, "differences"));
    for (size_t i = 0, j = 0; i < n; i++) {
        while (j < first->samples->prompts && first->keys[j] < c->keys[i]) j++;
        values[i] = j < first->samples->prompts && first->keys[j] == c->keys[i] ? own[i] - other[j] : (double)NAN;
    }
    status code = bootstrap_mean(out, p, values, c->keys, n);
    free(values);
    return code;
}

/* ---- calibration ---- */

/* A cell that both have. */
struct shared_cell {
    size_t prompt, goal; /* counted through the shared prompts; index among the goals */
    double count[2], sum[2];
};
struct shared {
    struct shared_cell *cells;
    size_t count;
    const struct goal_samples *samples;
};

/* As the runs' own calibration errors, of the same resample. */
static double calibration_of_both(const void *context, const uint32_t *weight) {
    const struct shared *s = context;
    double sum[2][GOAL_SAMPLES_GOALS_MAX] = {{0}}, count[2][GOAL_SAMPLES_GOALS_MAX] = {{0}}, total[2] = {0};
    size_t goals = 0;
    for (size_t i = 0; i < s->count; i++) {
        const struct shared_cell *cell = &s->cells[i];
        for (int k = 0; k < 2; k++) {
            sum[k][cell->goal] += weight[cell->prompt] * cell->sum[k];
            count[k][cell->goal] += weight[cell->prompt] * cell->count[k];
        }
    }
    for (size_t i = 0; i < s->samples->goal_count; i++) {
        if (!(count[0][i] > 0)) continue;
        goals++;
        for (int k = 0; k < 2; k++) total[k] += fabs(sum[k][i] / count[k][i] - s->samples->goals[i]);
    }
    return goals ? (total[0] - total[1]) / (double)goals : (double)NAN;
}

status goal_curve_calibration_difference(struct estimate *out, const struct goal_curve *c, const struct goal_curve *first,
                                         const struct bootstrap_params *p) {
    struct shared s = {.samples = c->samples};
    size_t prompts = 0, samples = 0;
    *out = (struct estimate){NAN, NAN, NAN, 0, 0};
    TRY(mem_try_alloc(&s.cells, c->cell_count ? c->cell_count : 1, sizeof *s.cells, "cells"));
    uint64_t last = 0;
    for (size_t i = 0, j = 0; i < c->cell_count; i++) {
        const struct goal_cell *cell = &c->cells[i], *other = same_cell(&j, first, cell);
        if (!other) continue;
        if (!s.count || cell->key != last) prompts++;
        last = cell->key;
        struct shared_cell *shared = &s.cells[s.count++];
        *shared = (struct shared_cell){.prompt = prompts - 1, .count = {(double)cell->count, (double)other->count}};
        while (c->samples->goals[shared->goal] != cell->goal) shared->goal++;
        shared->sum[0] = shared->count[0] * cell->mean[CURVE_ACHIEVED];
        shared->sum[1] = shared->count[1] * other->mean[CURVE_ACHIEVED];
        samples += cell->count;
    }
    const status code = prompts ? bootstrap_statistic(out, p, calibration_of_both, &s, prompts, samples) : ST_OK;
    free(s.cells);
    return code;
}
