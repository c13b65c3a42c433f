#include "eval/goal_curve.h"

#include <math.h>
#include <stdlib.h>

#include "num/stats.h"

static double value_of(const struct goal_sample *x, enum curve_figure figure, double above) {
    switch (figure) {
    case CURVE_ACHIEVED: return x->score;
    case CURVE_WORDS: return x->words;
    case CURVE_TOKENS: return x->tokens;
    case CURVE_REPETITION: return x->repetition;
    case CURVE_ENDED: return x->ended;
    case CURVE_ABOVE: return x->score > above;
    case CURVE_FIGURES: break;
    }
    return (double)NAN;
}

static bool is_at(const struct goal_sample *x, size_t goal) {
    return goal == CURVE_ALL_GOALS ? x->goal_at != SIZE_MAX : x->goal_at == goal;
}

status goal_curve_at(struct estimate *out, const struct goal_samples *s, const struct bootstrap_params *p, enum curve_figure figure,
                     size_t goal, double above) {
    double *values = NULL;
    uint64_t *keys = NULL;
    status code = mem_try_alloc(&values, s->count ? s->count : 1, sizeof *values, "figures");
    if (code == ST_OK) code = mem_try_alloc(&keys, s->count ? s->count : 1, sizeof *keys, "prompts");
    if (code == ST_OK) {
        for (size_t i = 0; i < s->count; i++) {
            values[i] = is_at(&s->items[i], goal) ? value_of(&s->items[i], figure, above) : (double)NAN;
            keys[i] = s->items[i].key;
        }
        code = bootstrap_mean(out, p, values, keys, s->count);
    }
    free(values);
    free(keys);
    return code;
}

/* tau and span of one prompt's samples items[n]: those without a goal stand at the end and are not among them. */
static status look_at_prompt(struct goal_curve *c, size_t prompt, const struct goal_sample *items, size_t n) {
    double *x, low = 0, high = 0;
    size_t lows = 0, highs = 0;
    bool constant = true;
    c->tau[prompt] = c->span[prompt] = (double)NAN;
    if (n == 0 || items[0].goal == items[n - 1].goal) return ST_OK;
    TRY(mem_try_alloc(&x, 2 * n, sizeof *x, "scores"));
    for (size_t i = 0; i < n; i++) {
        x[i] = items[i].goal;
        x[n + i] = items[i].score;
        constant = constant && items[i].score == items[0].score;
        if (items[i].goal_at == 0) low += items[i].score, lows++;
        if (items[i].goal_at + 1 == c->samples->goal_count) high += items[i].score, highs++;
    }
    status code = stats_tau_b(&c->tau[prompt], x, x + n, n);
    free(x);
    if (constant) c->tau[prompt] = 0, c->constant++;
    if (lows && highs) c->span[prompt] = high / (double)highs - low / (double)lows;
    return code;
}

/* The mean of what is no NaN. */
static double cell_mean(const struct goal_sample *items, size_t n, int figure, double above) {
    double sum = 0;
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        const double value =
            figure == CURVE_CELL_ERROR ? fabs(items[i].score - items[i].goal) : value_of(&items[i], (enum curve_figure)figure, above);
        if (!isnan(value)) sum += value, count++;
    }
    return count ? sum / (double)count : (double)NAN;
}

static void add_to_cells(struct goal_curve *c, const struct goal_sample *items, size_t n, double above) {
    for (size_t i = 0, begin = 0; i < n; i++) {
        if (i + 1 < n && items[i + 1].goal == items[i].goal) continue;
        struct goal_cell *cell = &c->cells[c->cell_count++];
        *cell = (struct goal_cell){.key = items[i].key, .count = i + 1 - begin, .goal = items[i].goal};
        for (int f = 0; f <= CURVE_CELL_ERROR; f++) cell->mean[f] = cell_mean(items + begin, cell->count, f, above);
        begin = i + 1;
    }
}

status goal_curve_init(struct goal_curve *c, const struct goal_samples *s, double above) {
    *c = (struct goal_curve){.samples = s};
    status code = mem_try_alloc(&c->cells, s->count ? s->count : 1, sizeof *c->cells, "cells");
    if (code == ST_OK) code = mem_try_alloc(&c->keys, s->prompts ? s->prompts : 1, sizeof *c->keys, "prompts");
    if (code == ST_OK) code = mem_try_alloc(&c->tau, s->prompts ? s->prompts : 1, sizeof *c->tau, "prompts");
    if (code == ST_OK) code = mem_try_alloc(&c->span, s->prompts ? s->prompts : 1, sizeof *c->span, "prompts");
    for (size_t i = 0; code == ST_OK && i < s->count;) {
        const size_t begin = i, prompt = s->items[i].prompt;
        size_t asked = 0;
        for (; i < s->count && s->items[i].prompt == prompt; i++) asked += s->items[i].goal_at != SIZE_MAX;
        c->keys[prompt] = s->items[begin].key;
        add_to_cells(c, &s->items[begin], asked, above);
        code = look_at_prompt(c, prompt, &s->items[begin], asked);
    }
    if (code != ST_OK) goal_curve_release(c);
    return code;
}

void goal_curve_release(struct goal_curve *c) {
    free(c->cells);
    free(c->keys);
    free(c->tau);
    free(c->span);
    *c = (struct goal_curve){0};
}

/* Mean over goals of |mean score - goal|; a resample may have no sample of some goal, which then does not count. */
static double calibration(const void *context, const uint32_t *weight) {
    const struct goal_samples *s = context;
    double sum[GOAL_SAMPLES_GOALS_MAX] = {0}, count[GOAL_SAMPLES_GOALS_MAX] = {0}, total = 0;
    size_t goals = 0;
    for (size_t i = 0; i < s->count; i++) {
        const struct goal_sample *x = &s->items[i];
        if (x->goal_at == SIZE_MAX) continue;
        sum[x->goal_at] += weight[x->prompt] * x->score;
        count[x->goal_at] += weight[x->prompt];
    }
    for (size_t i = 0; i < s->goal_count; i++)
        if (count[i] > 0) total += fabs(sum[i] / count[i] - s->goals[i]), goals++;
    return goals ? total / (double)goals : (double)NAN;
}

static status absolute_error(struct estimate *out, const struct goal_samples *s, const struct bootstrap_params *p) {
    double *values;
    uint64_t *keys = NULL;
    TRY(mem_try_alloc(&values, s->count, sizeof *values, "errors"));
    status code = mem_try_alloc(&keys, s->count, sizeof *keys, "prompts");
    for (size_t i = 0; code == ST_OK && i < s->count; i++) {
        values[i] = fabs(s->items[i].score - s->items[i].goal); /* NaN without a goal */
        keys[i] = s->items[i].key;
    }
    if (code == ST_OK) code = bootstrap_mean(out, p, values, keys, s->count);
    free(values);
    free(keys);
    return code;
}

status goal_curve_overall(struct estimate *out, const struct goal_curve *c, const struct bootstrap_params *p, enum curve_overall which) {
    const struct goal_samples *s = c->samples;
    switch (which) {
    case CURVE_TAU: return bootstrap_mean(out, p, c->tau, c->keys, s->prompts);
    case CURVE_SPAN: return bootstrap_mean(out, p, c->span, c->keys, s->prompts);
    case CURVE_CALIBRATION: return bootstrap_statistic(out, p, calibration, s, s->prompts, s->count);
    case CURVE_ERROR: return absolute_error(out, s, p);
    case CURVE_OVERALL: break;
    }
    return ST_OK;
}

double goal_curve_best(const struct goal_samples *s) {
    double sum[GOAL_SAMPLES_GOALS_MAX] = {0}, count[GOAL_SAMPLES_GOALS_MAX] = {0};
    size_t best = 0;
    for (size_t i = 0; i < s->count; i++)
        if (s->items[i].goal_at != SIZE_MAX) sum[s->items[i].goal_at] += s->items[i].score, count[s->items[i].goal_at]++;
    for (size_t i = 1; i < s->goal_count; i++)
        if (sum[i] / count[i] > sum[best] / count[best]) best = i;
    return s->goal_count ? s->goals[best] : (double)NAN;
}
