#include "eval/kl.h"

#include <math.h>
#include <stdlib.h>

static bool chosen(const struct goal_sample *x, double goal) { return isinf(goal) || (isnan(goal) ? isnan(x->goal) : x->goal == goal); }

/* What kl_token divides is left to its own sums. */
static double value_of(const struct goal_sample *x, enum kl_figure figure, double above) {
    switch (figure) {
    case KL_SEQUENCE:
    case KL_TOKEN: return x->logp - x->ref;
    case KL_ACHIEVED: return x->score;
    case KL_ABOVE: return isnan(above) || isnan(x->score) ? (double)NAN : x->score > above;
    case KL_FIGURES: break;
    }
    return (double)NAN;
}

struct prompt_sum {
    uint64_t key;
    double value, count; /* of kl_token the count is of tokens */
};

/* Sums by prompt, in the samples' order (by key); prompts without a value are left out. sums: [s->prompts]. */
static size_t sum_prompts(struct prompt_sum *sums, const struct goal_samples *s, enum kl_figure figure, double goal, double above) {
    size_t n = 0;
    for (size_t i = 0; i < s->count; i++) {
        const struct goal_sample *x = &s->items[i];
        const double value = chosen(x, goal) ? value_of(x, figure, above) : (double)NAN;
        if (isnan(value)) continue;
        if (!n || sums[n - 1].key != x->key) sums[n++] = (struct prompt_sum){.key = x->key};
        sums[n - 1].value += value;
        sums[n - 1].count += figure == KL_TOKEN ? x->tokens : 1;
    }
    return n;
}

struct ratio {
    const struct prompt_sum *sums;
    size_t count;
};

static double ratio(const void *context, const uint32_t *weight) {
    const struct ratio *r = context;
    double value = 0, count = 0;
    for (size_t i = 0; i < r->count; i++) value += weight[i] * r->sums[i].value, count += weight[i] * r->sums[i].count;
    return count > 0 ? value / count : (double)NAN;
}

static size_t values_in(const struct goal_samples *s, enum kl_figure figure, double goal, double above) {
    size_t n = 0;
    for (size_t i = 0; i < s->count; i++) n += chosen(&s->items[i], goal) && !isnan(value_of(&s->items[i], figure, above));
    return n;
}

status kl_estimate(struct estimate *out, const struct goal_samples *s, const struct bootstrap_params *p, enum kl_figure figure, double goal,
                   double above) {
    struct prompt_sum *sums;
    *out = (struct estimate){(double)NAN, (double)NAN, (double)NAN, 0, 0};
    TRY(mem_try_alloc(&sums, s->prompts ? s->prompts : 1, sizeof *sums, "prompts"));
    const struct ratio all = {sums, sum_prompts(sums, s, figure, goal, above)};
    const status code = all.count ? bootstrap_statistic(out, p, ratio, &all, all.count, values_in(s, figure, goal, above)) : ST_OK;
    free(sums);
    return code;
}

/* values[0, n) and keys: means of the prompts that both have. */
static size_t pair_prompts(double *values, uint64_t *keys, const struct prompt_sum *a, size_t a_count, const struct prompt_sum *b,
                           size_t b_count) {
    size_t n = 0;
    for (size_t i = 0, j = 0; i < a_count; i++) {
        while (j < b_count && b[j].key < a[i].key) j++;
        if (j == b_count || b[j].key != a[i].key) continue;
        values[n] = a[i].value / a[i].count - b[j].value / b[j].count;
        keys[n++] = a[i].key;
    }
    return n;
}

status kl_difference(struct estimate *out, const struct goal_samples *s, double goal, const struct goal_samples *other, double other_goal,
                     const struct bootstrap_params *p, enum kl_figure figure, double above) {
    const size_t most = s->prompts + 1;
    struct prompt_sum *a = NULL, *b = NULL;
    double *values = NULL;
    uint64_t *keys = NULL;
    *out = (struct estimate){(double)NAN, (double)NAN, (double)NAN, 0, 0};
    status code = mem_try_alloc(&a, most, sizeof *a, "prompts");
    if (code == ST_OK) code = mem_try_alloc(&b, other->prompts + 1, sizeof *b, "prompts");
    if (code == ST_OK) code = mem_try_alloc(&values, most, sizeof *values, "differences");
    if (code == ST_OK) code = mem_try_alloc(&keys, most, sizeof *keys, "prompts");
    if (code == ST_OK) {
        const size_t a_count = sum_prompts(a, s, figure, goal, above), b_count = sum_prompts(b, other, figure, other_goal, above);
        code = bootstrap_mean(out, p, values, keys, pair_prompts(values, keys, a, a_count, b, b_count));
    }
    free(a);
    free(b);
    free(values);
    free(keys);
    return code;
}
