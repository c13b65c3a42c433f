/* pair_choose: the rules by which the responses to a prompt become pairs. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "base/utf8.h"
#include "data/pair.h"

enum {
    RNG_PAIR = 0x70616972,
    RNG_TIES = 0x74696573,
    RNG_SOME = 0x736f6d65
}; /* keep this module's draws apart from others of the same seed and row */

static const char *const rule_names[] = {"paper", "best-worst", "all", "best-random", "adjacent", "cross", "top"};

enum pair_rule pair_rule_parse(const char *name) {
    size_t i = 0;
    while (i < sizeof rule_names / sizeof rule_names[0] && strcmp(rule_names[i], name) != 0) i++;
    CHECK(i < sizeof rule_names / sizeof rule_names[0]);
    return (enum pair_rule)i;
}

void pair_list_release(struct pair_list *l) {
    free(l->items);
    *l = (struct pair_list){0};
}

/* A response that takes part, with the number it is compared by. */
struct candidate {
    size_t index, order; /* of the response; among the candidates */
    double score;
};
struct choice {
    struct pair_list *out;
    struct pair_counts *counts;
    const struct record *r;
    const struct pair_rules *rules;
    struct candidate *items; /* [count] */
    size_t count;
};

bool pair_score_outside(const struct pair_rules *rules, double score) {
    return (rules->has_min_score && score < rules->min_score) || (rules->has_max_score && score > rules->max_score);
}

bool pair_margin_outside(const struct pair_rules *rules, double chosen, double rejected) {
    const double margin = chosen - rejected, slack = 1e-9 * fmax(fabs(chosen), fabs(rejected));
    return (rules->min_margin > 0 && margin < rules->min_margin - slack) || (rules->max_margin > 0 && margin > rules->max_margin + slack);
}

/* Why a response takes no part, or NULL; the reason is one of the counts. */
static uint64_t *unusable(struct pair_counts *counts, const struct record *r, size_t i, const struct pair_rules *rules) {
    const struct response *p = &r->responses[i];
    if (isnan(p->score)) return &counts->dropped_no_score;
    if (pair_score_outside(rules, p->score)) return &counts->dropped_score;
    if (rules->rule == PAIR_PAPER && p->has_na) return &counts->dropped_na;
    return record_text_empty(&p->text, r->conversational) ? &counts->dropped_empty : NULL;
}

/* Code points of a response; of messages those of their contents that are strings. */
static size_t characters(const struct record *r, const struct buf *text) {
    if (!r->conversational) return utf8_count(buf_text(text), text->size);
    struct json_iter it = json_iter_begin((struct json){buf_text(text), text->size});
    struct json key, message;
    struct buf content = {0};
    size_t n = 0;
    while (json_iter_next(&it, &key, &message)) {
        buf_clear(&content);
        if (json_string(&content, json_get(message, "content"))) n += utf8_count(buf_text(&content), content.size);
    }
    buf_release(&content);
    return n;
}

static void find_candidates(struct choice *x) {
    const struct pair_rules *rules = x->rules;
    for (size_t i = 0; i < x->r->response_count; i++) {
        const struct response *p = &x->r->responses[i];
        uint64_t *reason = unusable(x->counts, x->r, i, rules);
        if (reason) {
            ++*reason;
            continue;
        }
        const double penalty = rules->length_penalty != 0 ? rules->length_penalty * (double)characters(x->r, &p->text) : 0;
        x->items[x->count++] = (struct candidate){.index = i, .score = p->score - penalty};
    }
    if (rules->random_ties) {
        struct rng rng = rng_at(rules->seed, x->r->index, RNG_TIES, 0);
        for (size_t i = x->count; i > 1; i--) {
            const size_t j = rng_below(&rng, i);
            const struct candidate other = x->items[j];
            x->items[j] = x->items[i - 1];
            x->items[i - 1] = other;
        }
    }
    for (size_t i = 0; i < x->count; i++) x->items[i].order = i;
}

static void push(struct pair_list *l, size_t chosen, size_t rejected) {
    if (l->count == l->capacity) {
        l->capacity = l->capacity ? l->capacity * 2 : 16;
        l->items = mem_resize(l->items, l->capacity * sizeof *l->items);
    }
    l->items[l->count++] = (struct pair){chosen, rejected};
}

static bool same_text(const struct choice *x, size_t a, size_t b) {
    const struct response *p = x->r->responses;
    return record_text_equal(&p[x->items[a].index].text, &p[x->items[b].index].text, x->r->conversational);
}

/* Candidates a and b, unless something speaks against them as a pair. */
static void add(struct choice *x, size_t a, size_t b) {
    const struct pair_rules *rules = x->rules;
    const size_t w = x->items[a].index, l = x->items[b].index;
    const double chosen = x->r->responses[w].score, rejected = x->r->responses[l].score, margin = chosen - rejected;
    if (same_text(x, a, b))
        x->counts->dropped_equal_text++;
    else if (pair_margin_outside(rules, chosen, rejected))
        x->counts->dropped_margin++;
    else if (margin == 0 && rules->drop_ties)
        x->counts->dropped_tie++;
    else {
        x->counts->ties += margin == 0;
        x->counts->reversed += margin < 0;
        push(x->out, w, l);
    }
}

static void choose_all(struct choice *x) {
    for (size_t a = 0; a < x->count; a++)
        for (size_t b = a + 1; b < x->count; b++) {
            const bool second = x->items[b].score > x->items[a].score;
            add(x, second ? b : a, second ? a : b);
        }
}

static size_t first_best(const struct choice *x) {
    size_t best = 0;
    for (size_t a = 1; a < x->count; a++)
        if (x->items[a].score > x->items[best].score) best = a;
    return best;
}

/* The released code draws until it finds a response unlike the chosen one; drawing among the unlike ones is the same. */
static void choose_random(struct choice *x) {
    const size_t best = first_best(x);
    size_t others = 0, *other = mem_alloc(x->count * sizeof *other);
    for (size_t a = 0; a < x->count; a++)
        if (a != best && !same_text(x, a, best)) other[others++] = a;
    if (others) {
        struct rng rng = rng_at(x->rules->seed, x->r->index, RNG_PAIR, 0);
        const size_t drawn = other[rng_below(&rng, others)];
        const struct response *p = x->r->responses;
        if (x->rules->rule == PAIR_PAPER && p[x->items[best].index].fine_mean < p[x->items[drawn].index].fine_mean)
            x->counts->dropped_fine_order++;
        else
            add(x, best, drawn);
    } else {
        x->counts->dropped_equal_text++;
    }
    free(other);
}

static void choose_best_worst(struct choice *x) {
    const size_t best = first_best(x);
    size_t worst = 0;
    for (size_t a = 1; a < x->count; a++)
        if (x->items[a].score < x->items[worst].score) worst = a;
    add(x, best, best == worst ? 1 : worst); /* the same one: all scores are equal */
}

static int by_score(const void *a, const void *b) {
    const struct candidate *p = a, *q = b;
    if (p->score != q->score) return p->score > q->score ? -1 : 1;
    return (p->order > q->order) - (p->order < q->order);
}

static void choose_adjacent(struct choice *x) {
    qsort(x->items, x->count, sizeof *x->items, by_score);
    for (size_t a = 0, b = 1; b < x->count; b++) {
        if (x->items[b].score == x->items[a].score) continue;
        add(x, a, b);
        a = b;
    }
}

static void choose_cross(struct choice *x) {
    qsort(x->items, x->count, sizeof *x->items, by_score);
    for (size_t a = 0, next = 0; a < x->count; a++) {
        while (next < x->count && x->items[next].score == x->items[a].score) next++; /* to the next lower score */
        for (size_t b = next; b < x->count; b++)
            if (x->items[b].score != x->items[next].score) add(x, a, b);
    }
}

static void choose_top(struct choice *x) {
    qsort(x->items, x->count, sizeof *x->items, by_score);
    for (size_t i = 0; i < x->rules->top && i < x->count - 1 - i; i++) add(x, i, x->count - 1 - i);
}

/* Keeps `most` pairs, every choice of so many as likely, in their order (Knuth, The Art of Computer Programming 2, algorithm 3.4.2S). */
static void draw_some(struct choice *x) {
    struct pair_list *l = x->out;
    const size_t most = x->rules->max_pairs;
    struct rng rng = rng_at(x->rules->seed, x->r->index, RNG_SOME, 0);
    size_t kept = 0;
    if (!most || l->count <= most) return;
    for (size_t i = 0; i < l->count; i++) {
        if (rng_below(&rng, l->count - i) < most - kept) {
            l->items[kept++] = l->items[i];
            continue;
        }
        const double margin = x->r->responses[l->items[i].chosen].score - x->r->responses[l->items[i].rejected].score;
        x->counts->ties -= margin == 0;
        x->counts->reversed -= margin < 0;
        x->counts->dropped_drawn++;
    }
    l->count = kept;
}

void pair_choose(struct pair_list *out, struct pair_counts *counts, const struct record *r, const struct pair_rules *rules) {
    struct candidate few[16];
    struct choice x = {.out = out, .counts = counts, .r = r, .rules = rules, .items = few};
    if (r->response_count > sizeof few / sizeof few[0]) x.items = mem_alloc(r->response_count * sizeof *x.items);
    out->count = 0;
    find_candidates(&x);
    if (x.count < 2) {
        counts->dropped_few_responses++;
    } else {
        switch (rules->rule) {
        case PAIR_ALL: choose_all(&x); break;
        case PAIR_BEST_WORST: choose_best_worst(&x); break;
        case PAIR_ADJACENT: choose_adjacent(&x); break;
        case PAIR_CROSS: choose_cross(&x); break;
        case PAIR_TOP: choose_top(&x); break;
        case PAIR_PAPER:
        case PAIR_BEST_RANDOM: choose_random(&x); break;
        }
    }
    draw_some(&x);
    if (x.items != few) free(x.items);
}
