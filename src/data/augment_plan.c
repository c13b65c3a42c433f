/* augment_plan: what a pair becomes, as decisions without texts. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/rng.h"
#include "data/augment.h"

/* Keep this module's draws apart from each other and from others of the same seed and row. */
enum { DRAW_DROPOUT = 0x61756731, DRAW_ORDER, DRAW_HALF_PAIRS, DRAW_HALF_GOALS };

#define NOISE 1e-9 /* of a scale's width */

static const char *const mode_names[] = {"own", "plain", "prefix-only", "random-order", "shuffled", "half-pairs", "half-goals", "sft"};

const char *augment_mode_name(enum augment_mode mode) { return mode_names[mode]; }

enum augment_mode augment_mode_parse(const char *name) {
    size_t i = 0;
    while (i < sizeof mode_names / sizeof mode_names[0] && strcmp(mode_names[i], name) != 0) i++;
    CHECK(i < sizeof mode_names / sizeof mode_names[0]);
    return (enum augment_mode)i;
}

void augment_emits_release(struct augment_emits *e) {
    free(e->items);
    *e = (struct augment_emits){0};
}

static void push(struct augment_emits *e, struct augment_emit emit) {
    if (e->count == e->capacity) {
        e->capacity = e->capacity ? e->capacity * 2 : 8;
        e->items = mem_resize(e->items, e->capacity * sizeof *e->items);
    }
    e->items[e->count++] = emit;
}

bool augment_in_test(uint64_t prompt_key, double fraction) {
    uint64_t hash = hash_bytes(&prompt_key, sizeof prompt_key, 0x74657374u);
    return (double)(hash >> 11) * 0x1p-53 < fraction;
}

size_t augment_fold(uint64_t prompt_key, size_t folds) {
    return (size_t)((hash_bytes(&prompt_key, sizeof prompt_key, 0x666f6c64u) >> 32) * folds >> 32);
}

bool augment_without(const struct augment_options *o, const struct goal *goal) {
    for (size_t i = 0; i < o->without_goal_count; i++)
        if (goal_equal(&o->without_goals[i], goal)) return true;
    return false;
}

enum augment_fate augment_judge(struct augment_counts *counts, const struct augment_options *o, const double score[2],
                                const struct goal goal[2], bool test) {
    if (!goal[0].count || !goal[1].count) return AUGMENT_USE; /* only plain pairs come without goals */
    if (!test && (augment_without(o, &goal[0]) || augment_without(o, &goal[1]))) {
        counts->dropped_goal++;
        return AUGMENT_DROP;
    }
    if (goal_equal(&goal[0], &goal[1])) {
        if (test || o->ties == AUGMENT_TIES_DROP) {
            counts->dropped_tie++;
            return AUGMENT_DROP;
        }
        if (o->ties == AUGMENT_TIES_PLAIN) {
            counts->ties_plain++;
            return AUGMENT_USE_PLAIN;
        }
        counts->ties_kept++;
        return AUGMENT_USE;
    }
    if (!(score[0] < score[1])) return AUGMENT_USE; /* attributes may differ where the scores do not, or are not there */
    switch (o->on_disagree) {
    case AUGMENT_DISAGREE_DROP: counts->dropped_disagree++; return AUGMENT_DROP;
    case AUGMENT_DISAGREE_RELABEL: counts->disagree_relabelled++; return AUGMENT_USE_TURNED;
    case AUGMENT_DISAGREE_KEEP: counts->disagree_kept++; return AUGMENT_USE;
    }
    return AUGMENT_DROP;
}

/* Is the goal above both responses, in every attribute? */
static bool above_both(const struct goal *g, const struct goal exact[2], const struct goal_style *style) {
    for (size_t i = 0; i < g->count; i++) {
        const double width = style->attribute_count ? style->attributes[i].high - style->attributes[i].low : style->high - style->low;
        if (g->value[i] <= exact[0].value[i] + NOISE * width || g->value[i] <= exact[1].value[i] + NOISE * width) return false;
    }
    return true;
}

/* The pair under an arbitrary goal: the response that is nearer to it wins. Distances that differ only by rounding are equal. */
static void plan_goal(struct augment_emits *out, struct augment_counts *counts, const struct augment_options *o, const struct goal own[2],
                      const struct goal exact[2], const struct goal *g) {
    for (size_t i = 0; i < out->count; i++)
        if (goal_equal(&out->items[i].goal, g)) return;
    if (augment_without(o, g)) return;
    const double w = goal_distance(o->style, g, &exact[0]), l = goal_distance(o->style, g, &exact[1]);
    if (fabs(w - l) <= NOISE) {
        counts->goals_equidistant++;
        return;
    }
    counts->goals_above_both += above_both(g, exact, o->style);
    push(out, (struct augment_emit){
                  .swap = l < w,
                  .goal = *g,
                  .goal_of = goal_equal(g, &own[0])   ? GOAL_OF_CHOSEN
                             : goal_equal(g, &own[1]) ? GOAL_OF_REJECTED
                                                      : GOAL_OF_NONE,
              });
}

static void plan_own(struct augment_emits *out, struct augment_counts *counts, const struct augment_options *o, const struct goal goal[2],
                     uint64_t id) {
    bool first = true, second = true, exchange = false;
    if (o->mode == AUGMENT_RANDOM_ORDER) {
        struct rng r = rng_at(o->seed, id, DRAW_ORDER, 0);
        exchange = rng_u64(&r) >> 63;
    } else if (o->mode == AUGMENT_HALF_GOALS) {
        struct rng r = rng_at(o->seed, id, DRAW_HALF_GOALS, 0);
        first = rng_u64(&r) >> 63;
        second = !first;
        counts->dropped_half++;
    }
    bool turn = o->mode != AUGMENT_PREFIX_ONLY && !o->paper_nosys_bug;
    if (first) push(out, (struct augment_emit){.swap = exchange, .goal = goal[0], .goal_of = GOAL_OF_CHOSEN});
    if (second) push(out, (struct augment_emit){.swap = turn && !exchange, .goal = goal[1], .goal_of = GOAL_OF_REJECTED});
}

void augment_plan(struct augment_emits *out, struct augment_counts *counts, const struct augment_options *o, const struct goal goal[2],
                  const struct goal exact[2], const struct goal *prompt_goals, size_t prompt_goal_count, uint64_t id, uint64_t ordinal) {
    out->count = 0;
    if (o->mode == AUGMENT_PLAIN) {
        push(out, (struct augment_emit){.goal_of = GOAL_OF_NONE});
        return;
    }
    if (o->mode == AUGMENT_HALF_PAIRS) { /* one draw for every two neighbours: the count is exact and nothing is held back */
        struct rng r = rng_at(o->seed, ordinal / 2, DRAW_HALF_PAIRS, 0);
        if (rng_u64(&r) >> 63 != (ordinal & 1)) {
            counts->dropped_half++;
            return;
        }
    }
    if (o->goal_dropout > 0) {
        struct rng r = rng_at(o->seed, id, DRAW_DROPOUT, 0);
        if (rng_uniform(&r) < o->goal_dropout) {
            counts->goals_dropped_out++;
            push(out, (struct augment_emit){.goal_of = GOAL_OF_NONE});
            return;
        }
    }
    if (o->goals == AUGMENT_GOALS_OWN) {
        plan_own(out, counts, o, goal, id);
        return;
    }
    if (o->goals == AUGMENT_GOALS_PROMPT) { /* the pair's own two first, so that they stand together */
        plan_goal(out, counts, o, goal, exact, &goal[0]);
        plan_goal(out, counts, o, goal, exact, &goal[1]);
        for (size_t i = 0; i < prompt_goal_count; i++) plan_goal(out, counts, o, goal, exact, &prompt_goals[i]);
        return;
    }
    for (size_t i = 0; i < o->goal_count; i++) plan_goal(out, counts, o, goal, exact, &o->goal_list[i]);
}
