#define _POSIX_C_SOURCE 200809L
#include "data/augment.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/rng.h"
#include "data/augment_goal.h"
#include "data/augment_row.h"

#define RNG_SHUFFLED 0x61756730u

/* One pass over the input. */
struct run {
    const struct augment_options *o;
    struct augment_counts *counts;
    struct source source;
    struct file_out train, test;
    struct record record;
    struct augment_writer writer;
    struct augment_emits emits;
    struct pair_list pairs;
    struct buf line;
    struct goal *exact; /* [augment_responses] of the row */
    size_t exact_capacity;
    struct goal_list prompt_goals; /* of the row's responses, as printed */
    struct goal_counts goals;      /* of the training rows */
    uint64_t extra;                /* source_row - row index: under some rules a row may hold several pairs */
    /* AUGMENT_SHUFFLED: the first pass collects the goals of the used pairs, the second hands them out in another order */
    bool collect;
    double *tuples; /* [tuple_count, 2, numbers of a goal] */
    size_t tuple_count, tuple_capacity, tuple_next;
};

static size_t goal_width(const struct run *x) { return x->o->style->attribute_count ? x->o->style->attribute_count : 1; }

static void count_scale(struct run *x, const struct goal *exact) {
    const struct goal_style *style = x->o->style;
    for (size_t i = 0; i < exact->count; i++) {
        const double low = style->attribute_count ? style->attributes[i].low : style->low;
        const double high = style->attribute_count ? style->attributes[i].high : style->high;
        x->counts->scores_off_scale += exact->value[i] < low || exact->value[i] > high;
    }
}

static status tuple_take(struct run *x, struct goal goal[2]) {
    const size_t w = goal_width(x);
    if (x->collect) {
        if (x->tuple_count == x->tuple_capacity) {
            x->tuple_capacity = x->tuple_capacity ? x->tuple_capacity * 2 : 4096;
            x->tuples = mem_resize(x->tuples, x->tuple_capacity * 2 * w * sizeof *x->tuples);
        }
        for (size_t k = 0; k < 2; k++) memcpy(x->tuples + (2 * x->tuple_count + k) * w, goal[k].value, w * sizeof *x->tuples);
        x->tuple_count++;
        return ST_OK;
    }
    if (x->tuple_next == x->tuple_count) return FAIL(ST_MISMATCH, "%s changed while it was read", rows_path(&x->source.rows));
    for (size_t k = 0; k < 2; k++) {
        goal[k].count = w;
        memcpy(goal[k].value, x->tuples + (2 * x->tuple_next + k) * w, w * sizeof *x->tuples);
    }
    x->tuple_next++;
    return ST_OK;
}

/* Rows gather in x->line until the input row is done, so that a row which turns out broken leaves nothing behind. */
static void count_line(struct run *x, const struct augment_emit *e, bool test) {
    if (test) {
        x->counts->test_rows_written++;
        return;
    }
    x->counts->rows_written++;
    if (e->goal.count && !x->collect) goal_counts_add(&x->goals, &e->goal);
}

/* A pair as it is written: the scores and goals of its chosen and rejected response. */
struct scored {
    double score[2];      /* NaN: none */
    struct goal exact[2]; /* not quantised */
    struct goal goal[2];  /* as printed */
};

static status put_pair(struct run *x, const struct augment_emit *e, const struct scored *p, bool test) {
    count_line(x, e, test);
    return augment_put_pair(&x->line, &x->writer, e, p->score, p->exact);
}

static status put_test(struct run *x, const struct scored *p) {
    x->counts->pairs_test++;
    if (x->o->test_unconditioned) return put_pair(x, &(struct augment_emit){.goal_of = GOAL_OF_NONE}, p, true);
    for (size_t i = 0; i < x->o->test_goal_count; i++)
        TRY(put_pair(x, &(struct augment_emit){.goal = x->o->test_goals[i], .goal_of = GOAL_OF_NONE}, p, true));
    if (x->o->test_goal_count) return ST_OK;
    TRY(put_pair(x, &(struct augment_emit){.goal = p->goal[0], .goal_of = GOAL_OF_CHOSEN}, p, true));
    return put_pair(x, &(struct augment_emit){.swap = true, .goal = p->goal[1], .goal_of = GOAL_OF_REJECTED}, p, true);
}

static bool limit_reached(const struct run *x) { return x->o->limit && x->counts->pairs_train + x->counts->pairs_test >= x->o->limit; }

/* Scores and goals of a pair whose responses are numbers `of` in the row. A goal is needed unless nothing is written under one. */
static status score_pair(bool *dropped, struct scored *out, struct run *x, const size_t of[2], const double raw[2], bool test) {
    const struct augment_options *o = x->o;
    const bool needed = o->mode != AUGMENT_PLAIN || (test && !o->test_unconditioned);
    *dropped = false;
    for (int i = 0; i < 2; i++) {
        out->score[i] = augment_mapped(o, raw[i]);
        out->exact[i] = x->exact[of[i]];
        out->goal[i] = goal_printed(o->style, &out->exact[i]);
        if (out->goal[i].count) continue;
        if (o->style->attribute_count)
            *dropped = true;
        else if (needed)
            return FAIL(ST_FORMAT, "field %s: missing; a goal needs the score", i ? "score_rejected" : "score_chosen");
    }
    x->counts->dropped_na += *dropped;
    return ST_OK;
}

/* text, raw, of: of the chosen and the rejected response; of: their numbers in the row. */
static status one_pair(struct run *x, const struct buf *const text[2], const double raw[2], const size_t of[2], uint64_t id, bool test) {
    const struct augment_options *o = x->o;
    struct augment_counts *c = x->counts;
    bool conversational = x->record.conversational, dropped;
    c->pairs_read++;
    if (record_text_empty(text[0], conversational) || record_text_empty(text[1], conversational)) {
        c->dropped_empty++;
        return ST_OK;
    }
    if (record_text_equal(text[0], text[1], conversational)) {
        c->dropped_equal_text++;
        return ST_OK;
    }
    if (pair_score_outside(&o->rules, raw[0]) || pair_score_outside(&o->rules, raw[1])) {
        c->dropped_score++;
        return ST_OK;
    }
    const bool scored = !isnan(raw[0]) && !isnan(raw[1]);
    if (scored && x->record.kind == RECORD_PAIR && pair_margin_outside(&o->rules, fmax(raw[0], raw[1]), fmin(raw[0], raw[1]))) {
        c->dropped_margin++; /* of responses pair_choose has looked at it; which is preferred is for augment_judge to say */
        return ST_OK;
    }
    struct scored p;
    TRY(score_pair(&dropped, &p, x, of, raw, test));
    if (dropped) return ST_OK;
    enum augment_fate fate = augment_judge(c, o, p.score, p.goal, test);
    if (fate == AUGMENT_DROP) return ST_OK;
    int w = fate == AUGMENT_USE_TURNED, l = !w;
    if (w) p = (struct scored){{p.score[1], p.score[0]}, {p.exact[1], p.exact[0]}, {p.goal[1], p.goal[0]}};
    count_scale(x, &p.exact[0]);
    count_scale(x, &p.exact[1]);
    TRY(augment_writer_set(&x->writer, text[w], text[l], (int64_t)id));
    if (test) return put_test(x, &p);
    uint64_t ordinal = c->pairs_train++;
    if (fate == AUGMENT_USE_PLAIN) return put_pair(x, &(struct augment_emit){.goal_of = GOAL_OF_NONE}, &p, false);
    if (o->mode == AUGMENT_SHUFFLED) TRY(tuple_take(x, p.goal));
    augment_plan(&x->emits, c, o, p.goal, p.exact, x->prompt_goals.items, x->prompt_goals.count, id, ordinal);
    for (size_t i = 0; i < x->emits.count; i++) TRY(put_pair(x, &x->emits.items[i], &p, false));
    return ST_OK;
}

static void add_prompt_goal(struct run *x, const struct goal *exact) {
    const struct goal goal = goal_printed(x->o->style, exact);
    if (exact->count && !goal_list_has(&x->prompt_goals, &goal)) goal_list_add(&x->prompt_goals, &goal);
}

static void collect_prompt_goals(struct run *x) {
    x->prompt_goals.count = 0;
    if (x->o->goals != AUGMENT_GOALS_PROMPT) return;
    for (size_t i = 0; i < x->record.response_count; i++) add_prompt_goal(x, &x->exact[i]);
}

/* A row that is a pair knows the scores of its prompt's other responses where rapt pair --keep-scores wrote them. */
static status prompt_goals_of_pair(struct run *x) {
    const struct json scores = json_get(x->record.row, PAIR_SCORES_FIELD);
    struct json_iter it = json_iter_begin(scores);
    struct json key, value;
    x->prompt_goals.count = 0;
    if (x->o->goals != AUGMENT_GOALS_PROMPT || json_kind_of(scores) == JSON_NONE || json_kind_of(scores) == JSON_NULL) return ST_OK;
    if (json_kind_of(scores) != JSON_ARRAY)
        return FAIL(ST_FORMAT, "field " PAIR_SCORES_FIELD ": expected a list of scores, found %s", json_kind_name(json_kind_of(scores)));
    while (json_iter_next(&it, &key, &value)) {
        struct goal exact;
        TRY(augment_exact_of_item(&exact, x->o, value, PAIR_SCORES_FIELD));
        add_prompt_goal(x, &exact);
    }
    return ST_OK;
}

/* A response with an attribute that is not rated takes no part. */
static uint64_t drop_unrated(struct run *x) {
    uint64_t dropped = 0;
    for (size_t i = 0; x->o->style->attribute_count && i < x->record.response_count; i++) {
        if (x->exact[i].count || isnan(x->record.responses[i].score)) continue;
        x->record.responses[i].score = (double)NAN;
        dropped++;
    }
    return dropped;
}

static status pairs_of_responses(struct run *x, bool test) {
    const struct record *r = &x->record;
    if (x->o->rules.rule == PAIR_PAPER && pair_from_truthful_qa(r)) {
        x->counts->rows_excluded++;
        return ST_OK;
    }
    struct pair_counts counts = {0};
    const uint64_t unrated = drop_unrated(x);
    pair_choose(&x->pairs, &counts, r, &x->o->rules);
    x->counts->dropped_no_score += counts.dropped_no_score - unrated;
    x->counts->dropped_score += counts.dropped_score;
    x->counts->dropped_na += counts.dropped_na + unrated;
    x->counts->dropped_empty += counts.dropped_empty;
    x->counts->dropped_few_responses += counts.dropped_few_responses;
    x->counts->dropped_equal_text += counts.dropped_equal_text;
    x->counts->dropped_fine_order += counts.dropped_fine_order;
    x->counts->dropped_margin += counts.dropped_margin;
    x->counts->dropped_drawn += counts.dropped_drawn;
    collect_prompt_goals(x);
    for (size_t i = 0; i < x->pairs.count && !limit_reached(x); i++) {
        const size_t of[2] = {x->pairs.items[i].chosen, x->pairs.items[i].rejected};
        const struct response *w = &r->responses[of[0]], *l = &r->responses[of[1]];
        TRY(one_pair(x, (const struct buf *const[]){&w->text, &l->text}, (const double[]){w->score, l->score}, of, r->index + x->extra + i,
                     test));
    }
    if (x->pairs.count > 1) x->extra += x->pairs.count - 1;
    return ST_OK;
}

/* AUGMENT_SFT: response `number` of the row under its own goal. */
static status one_completion(struct run *x, const struct buf *text, double raw, int goal_of, size_t number) {
    const struct augment_options *o = x->o;
    const struct goal *exact = &x->exact[number];
    if (!exact->count) {
        ++*(o->style->attribute_count ? &x->counts->dropped_na : &x->counts->dropped_no_score);
        return ST_OK;
    }
    if (record_text_empty(text, x->record.conversational)) {
        x->counts->dropped_empty++;
        return ST_OK;
    }
    struct augment_emit e = {.goal = goal_printed(o->style, exact), .goal_of = goal_of};
    if (pair_score_outside(&o->rules, raw) || augment_without(o, &e.goal)) {
        ++*(pair_score_outside(&o->rules, raw) ? &x->counts->dropped_score : &x->counts->dropped_goal);
        return ST_OK;
    }
    if (o->goal_dropout > 0) {
        struct rng r = rng_at(o->seed, x->record.index, RNG_SHUFFLED, number + 1);
        if (rng_uniform(&r) < o->goal_dropout) {
            e = (struct augment_emit){.goal_of = GOAL_OF_NONE};
            x->counts->goals_dropped_out++;
        }
    }
    count_scale(x, exact);
    TRY(augment_writer_set(&x->writer, text, NULL, (int64_t)(x->record.index + x->extra)));
    x->counts->pairs_train++;
    count_line(x, &e, false);
    return augment_put_completion(&x->line, &x->writer, &e, augment_mapped(o, raw), exact);
}

static status completions_of_row(struct run *x) {
    const struct record *r = &x->record;
    if (r->kind == RECORD_SFT) return one_completion(x, &r->chosen, r->score_chosen, GOAL_OF_NONE, 0);
    if (r->kind == RECORD_PAIR) {
        TRY(one_completion(x, &r->chosen, r->score_chosen, GOAL_OF_CHOSEN, 0));
        if (limit_reached(x) || record_text_equal(&r->chosen, &r->rejected, r->conversational)) return ST_OK;
        return one_completion(x, &r->rejected, r->score_rejected, GOAL_OF_REJECTED, 1);
    }
    for (size_t i = 0; i < r->response_count && !limit_reached(x); i++)
        TRY(one_completion(x, &r->responses[i].text, r->responses[i].score, GOAL_OF_NONE, i));
    return ST_OK;
}

static status read_goals(struct run *x) {
    const size_t n = augment_responses(&x->record);
    if (n > x->exact_capacity) {
        free(x->exact);
        x->exact_capacity = 0;
        TRY(mem_try_alloc(&x->exact, n, sizeof *x->exact, "goals"));
        x->exact_capacity = n;
    }
    return augment_exact(x->exact, x->o, &x->record);
}

static status one_row(struct run *x) {
    const struct record *r = &x->record;
    bool sft = x->o->mode == AUGMENT_SFT;
    if (r->kind != RECORD_PAIR && r->kind != RECORD_RESPONSES && !(sft && r->kind == RECORD_SFT))
        return FAIL(ST_FORMAT, "expected a pair or several scored responses, found %s %s (form %s)", r->kind == RECORD_SFT ? "an" : "a",
                    record_kind_name(r->kind), r->form);
    TRY(augment_writer_begin(&x->writer, r));
    if (pair_exclude_has(x->o->exclude, r)) {
        x->counts->rows_excluded++;
        return ST_OK;
    }
    const uint64_t key = record_prompt_key(&r->prompt, r->conversational);
    bool test = x->o->test_output && augment_in_test(key, x->o->test_split);
    if (!test && x->o->folds && augment_fold(key, x->o->folds) != x->o->fold) {
        x->counts->rows_other_folds++;
        return ST_OK;
    }
    if (test && r->kind == RECORD_SFT) return FAIL(ST_FORMAT, "a row with one response cannot go into a test split of pairs");
    TRY(read_goals(x));
    if (sft && !test) return completions_of_row(x);
    if (r->kind == RECORD_RESPONSES) return pairs_of_responses(x, test);
    TRY(prompt_goals_of_pair(x));
    return one_pair(x, (const struct buf *const[]){&r->chosen, &r->rejected}, (const double[]){r->score_chosen, r->score_rejected},
                    (const size_t[]){0, 1}, r->index + x->extra, test);
}

static status put_lines(struct run *x, bool test) {
    if (!test && x->o->put) return x->o->put(x->o->put_context, x->line.data, x->line.size);
    return file_out_write(test ? &x->test : &x->train, x->line.data, x->line.size);
}

/* A row that turns out unusable leaves no trace in the counts. */
static status guarded_row(struct run *x) {
    struct augment_counts before = *x->counts;
    size_t tuples = x->tuple_count, next = x->tuple_next;
    buf_clear(&x->line);
    status s = one_row(x);
    if (s == ST_OK && (x->collect || !x->line.size)) return ST_OK;
    if (s == ST_OK) return put_lines(x, x->counts->test_rows_written > before.test_rows_written);
    if (s == ST_FORMAT) {
        *x->counts = before;
        x->tuple_count = x->collect ? tuples : x->tuple_count;
        x->tuple_next = next;
    }
    return source_reject(&x->source, &x->record, s);
}

static status all_rows(struct run *x) {
    struct progress bar;
    progress_begin(&bar, x->collect ? "augment: first pass" : "augment", "rows", 0);
    bool end = false;
    while (!limit_reached(x)) {
        TRY(source_next(&x->source, &x->record, &end));
        if (end) break;
        TRY(guarded_row(x));
        if (x->source.row_count % 1024 == 0) progress_update(&bar, x->source.row_count, NULL);
    }
    progress_end(&bar, x->source.row_count, NULL);
    x->counts->rows_read = x->source.row_count;
    x->counts->rows_skipped = x->source.skipped_count;
    return ST_OK;
}

static status open_source(struct run *x, const char *output) {
    TRY(source_open(&x->source, x->o->input, x->o->on_bad_row, output));
    x->source.map = x->o->map;
    if (x->o->input_name) rows_set_path(&x->source.rows, x->o->input_name);
    return ST_OK;
}

/* The first pass of AUGMENT_SHUFFLED: the goals of all used pairs, in a random order. */
static status collect_tuples(struct run *x) {
    struct augment_counts counts = {0}, *kept = x->counts;
    TRY(open_source(x, NULL));
    x->collect = true;
    x->counts = &counts;
    status s = all_rows(x);
    source_release(&x->source);
    x->collect = false;
    x->counts = kept;
    x->extra = 0;
    struct rng r = rng_at(x->o->seed, 0, RNG_SHUFFLED, 0);
    const size_t w = 2 * goal_width(x);
    for (size_t i = x->tuple_count; i > 1; i--) {
        size_t j = (size_t)rng_below(&r, i);
        double t[2 * GOAL_MAX], *a = x->tuples + (i - 1) * w, *b = x->tuples + j * w;
        memcpy(t, a, w * sizeof *t);
        memcpy(a, b, w * sizeof *t);
        memcpy(b, t, w * sizeof *t);
    }
    return s;
}

/* OUTPUT.goal.json; a stale one of an earlier run goes away when this one has no goals. */
static status put_sidecar(const struct augment_options *o, const struct goal_counts *counts) {
    struct stat st;
    if (strcmp(o->output, "-") == 0 || (stat(o->output, &st) == 0 && !S_ISREG(st.st_mode))) return ST_OK;
    struct buf name = {0};
    buf_printf(&name, "%s.goal.json", o->output);
    status s = ST_OK;
    bool goals = o->mode != AUGMENT_PLAIN || (o->test_output && !o->test_unconditioned);
    if (goals)
        s = goal_style_save(o->style, counts, buf_text(&name));
    else if (file_exists(buf_text(&name)) && unlink(buf_text(&name)) != 0)
        s = FAIL(ST_IO, "%s: cannot remove", buf_text(&name));
    buf_release(&name);
    return s;
}

static status run_all(struct run *x) {
    const struct augment_options *o = x->o;
    if (o->mode == AUGMENT_SHUFFLED) TRY(collect_tuples(x));
    TRY(open_source(x, o->output));
    if (!o->put) TRY(file_out_open(&x->train, o->output));
    if (o->test_output) TRY(file_out_open(&x->test, o->test_output));
    TRY(all_rows(x));
    TRY(source_commit(&x->source));
    if (o->test_output) TRY(file_out_commit(&x->test));
    if (o->put) return ST_OK;
    TRY(put_sidecar(o, &x->goals));
    return file_out_commit(&x->train);
}

status augment_run(struct augment_counts *counts, const struct augment_options *o) {
    CHECK(o->style->placement != GOAL_AUTO);
    *counts = (struct augment_counts){0};
    struct run x = {.o = o, .counts = counts, .writer = {.o = o}};
    status s = run_all(&x);
    file_out_abandon(&x.train);
    file_out_abandon(&x.test);
    source_release(&x.source);
    record_release(&x.record);
    goal_counts_release(&x.goals);
    augment_writer_release(&x.writer);
    augment_emits_release(&x.emits);
    pair_list_release(&x.pairs);
    buf_release(&x.line);
    goal_list_release(&x.prompt_goals);
    free(x.exact);
    free(x.tuples);
    return s;
}
