#define _POSIX_C_SOURCE 200809L
#include "data/augment.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/rng.h"
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
    double *prompt_goals; /* [prompt_goal_count] of the row's responses */
    size_t prompt_goal_count, prompt_goal_capacity;
    struct goal_counts goals; /* of the training rows */
    uint64_t extra; /* source_row - row index: under some rules a row may hold several pairs */
    /* AUGMENT_SHUFFLED: the first pass collects the goals of the used pairs, the second hands them out in another order */
    bool collect;
    double (*tuples)[2];
    size_t tuple_count, tuple_capacity, tuple_next;
};

static double mapped(const struct augment_options *o, double score) {
    if (!o->map_scores) return score;
    double low = o->style->low, high = o->style->high;
    return round((low + (score - o->from_low) * (high - low) / (o->from_high - o->from_low)) * 100) / 100;
}

static void count_scale(struct run *x, double score) {
    x->counts->scores_off_scale += score < x->o->style->low || score > x->o->style->high;
}

static status tuple_take(struct run *x, double goal[2]) {
    if (x->collect) {
        if (x->tuple_count == x->tuple_capacity) {
            x->tuple_capacity = x->tuple_capacity ? x->tuple_capacity * 2 : 4096;
            x->tuples = mem_resize(x->tuples, x->tuple_capacity * sizeof *x->tuples);
        }
        memcpy(x->tuples[x->tuple_count++], goal, sizeof *x->tuples);
        return ST_OK;
    }
    if (x->tuple_next == x->tuple_count) return FAIL(ST_MISMATCH, "%s changed while it was read", rows_path(&x->source.rows));
    memcpy(goal, x->tuples[x->tuple_next++], sizeof *x->tuples);
    return ST_OK;
}

/* Rows gather in x->line until the input row is done, so that a row which turns out broken leaves nothing behind. */
static void count_line(struct run *x, const struct augment_emit *e, bool test) {
    if (test) {
        x->counts->test_rows_written++;
        return;
    }
    x->counts->rows_written++;
    if (e->has_goal && !x->collect) goal_counts_add(&x->goals, e->goal);
}

static status put_pair(struct run *x, const struct augment_emit *e, const double score[2], bool test) {
    count_line(x, e, test);
    return augment_put_pair(&x->line, &x->writer, e, score);
}

static status put_test(struct run *x, const double goal[2], const double score[2]) {
    x->counts->pairs_test++;
    if (x->o->test_unconditioned) return put_pair(x, &(struct augment_emit){.goal_of = GOAL_OF_NONE}, score, true);
    for (size_t i = 0; i < x->o->test_goal_count; i++)
        TRY(put_pair(x, &(struct augment_emit){.has_goal = true, .goal = x->o->test_goals[i], .goal_of = GOAL_OF_NONE}, score, true));
    if (x->o->test_goal_count) return ST_OK;
    TRY(put_pair(x, &(struct augment_emit){.has_goal = true, .goal = goal[0], .goal_of = GOAL_OF_CHOSEN}, score, true));
    return put_pair(x, &(struct augment_emit){.swap = true, .has_goal = true, .goal = goal[1], .goal_of = GOAL_OF_REJECTED}, score, true);
}

static bool limit_reached(const struct run *x) { return x->o->limit && x->counts->pairs_train + x->counts->pairs_test >= x->o->limit; }

/* text, raw: of the chosen and the rejected response. */
static status one_pair(struct run *x, const struct buf *const text[2], const double raw[2], uint64_t id, bool test) {
    const struct augment_options *o = x->o;
    struct augment_counts *c = x->counts;
    bool conversational = x->record.conversational;
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
    double score[2], goal[2];
    for (int i = 0; i < 2; i++) {
        if (isnan(raw[i]) && (o->mode != AUGMENT_PLAIN || (test && !o->test_unconditioned)))
            return FAIL(ST_FORMAT, "field %s: missing; a goal needs the score", i ? "score_rejected" : "score_chosen");
        score[i] = mapped(o, raw[i]);
        goal[i] = augment_goal(o->style, score[i]);
    }
    enum augment_fate fate = augment_judge(c, o, score, goal, test);
    if (fate == AUGMENT_DROP) return ST_OK;
    int w = fate == AUGMENT_USE_TURNED, l = !w;
    double s[2] = {score[w], score[l]}, g[2] = {goal[w], goal[l]};
    count_scale(x, s[0]);
    count_scale(x, s[1]);
    TRY(augment_writer_set(&x->writer, text[w], text[l], (int64_t)id));
    if (test) return put_test(x, g, s);
    uint64_t ordinal = c->pairs_train++;
    if (fate == AUGMENT_USE_PLAIN) return put_pair(x, &(struct augment_emit){.goal_of = GOAL_OF_NONE}, s, false);
    if (o->mode == AUGMENT_SHUFFLED) TRY(tuple_take(x, g));
    augment_plan(&x->emits, c, o, g, s, x->prompt_goals, x->prompt_goal_count, id, ordinal);
    for (size_t i = 0; i < x->emits.count; i++) TRY(put_pair(x, &x->emits.items[i], s, false));
    return ST_OK;
}

static void add_prompt_goal(struct run *x, double score) {
    const double goal = augment_goal(x->o->style, mapped(x->o, score));
    size_t j = 0;
    while (j < x->prompt_goal_count && x->prompt_goals[j] != goal) j++;
    if (j < x->prompt_goal_count) return;
    if (x->prompt_goal_count == x->prompt_goal_capacity) {
        x->prompt_goal_capacity = x->prompt_goal_capacity ? x->prompt_goal_capacity * 2 : 16;
        x->prompt_goals = mem_resize(x->prompt_goals, x->prompt_goal_capacity * sizeof *x->prompt_goals);
    }
    x->prompt_goals[x->prompt_goal_count++] = goal;
}

static void collect_prompt_goals(struct run *x) {
    x->prompt_goal_count = 0;
    if (x->o->goals != AUGMENT_GOALS_PROMPT) return;
    for (size_t i = 0; i < x->record.response_count; i++)
        if (!isnan(x->record.responses[i].score)) add_prompt_goal(x, x->record.responses[i].score);
}

/* A row that is a pair knows the scores of its prompt's other responses where rapt pair --keep-scores wrote them. */
static status prompt_goals_of_pair(struct run *x) {
    const struct json scores = json_get(x->record.row, PAIR_SCORES_FIELD);
    struct json_iter it = json_iter_begin(scores);
    struct json key, value;
    x->prompt_goal_count = 0;
    if (x->o->goals != AUGMENT_GOALS_PROMPT || json_kind_of(scores) == JSON_NONE || json_kind_of(scores) == JSON_NULL) return ST_OK;
    if (json_kind_of(scores) != JSON_ARRAY)
        return FAIL(ST_FORMAT, "field " PAIR_SCORES_FIELD ": expected a list of scores, found %s", json_kind_name(json_kind_of(scores)));
    while (json_iter_next(&it, &key, &value)) {
        double score;
        TRY(field_score(&score, value, PAIR_SCORES_FIELD));
        if (!isnan(score)) add_prompt_goal(x, score);
    }
    return ST_OK;
}

static status pairs_of_responses(struct run *x, bool test) {
    const struct record *r = &x->record;
    if (x->o->rules.rule == PAIR_PAPER && pair_from_truthful_qa(r)) {
        x->counts->rows_excluded++;
        return ST_OK;
    }
    struct pair_counts counts = {0};
    pair_choose(&x->pairs, &counts, r, &x->o->rules);
    x->counts->dropped_no_score += counts.dropped_no_score;
    x->counts->dropped_score += counts.dropped_score;
    x->counts->dropped_na += counts.dropped_na;
    x->counts->dropped_empty += counts.dropped_empty;
    x->counts->dropped_few_responses += counts.dropped_few_responses;
    x->counts->dropped_equal_text += counts.dropped_equal_text;
    x->counts->dropped_fine_order += counts.dropped_fine_order;
    x->counts->dropped_margin += counts.dropped_margin;
    x->counts->dropped_drawn += counts.dropped_drawn;
    collect_prompt_goals(x);
    for (size_t i = 0; i < x->pairs.count && !limit_reached(x); i++) {
        const struct response *w = &r->responses[x->pairs.items[i].chosen], *l = &r->responses[x->pairs.items[i].rejected];
        TRY(one_pair(x, (const struct buf *const[]){&w->text, &l->text}, (const double[]){w->score, l->score}, r->index + x->extra + i,
                     test));
    }
    if (x->pairs.count > 1) x->extra += x->pairs.count - 1;
    return ST_OK;
}

/* AUGMENT_SFT: one response under its own goal. */
static status one_completion(struct run *x, const struct buf *text, double raw, int goal_of, size_t number) {
    const struct augment_options *o = x->o;
    if (isnan(raw)) {
        x->counts->dropped_no_score++;
        return ST_OK;
    }
    if (record_text_empty(text, x->record.conversational)) {
        x->counts->dropped_empty++;
        return ST_OK;
    }
    double score = mapped(o, raw);
    struct augment_emit e = {.has_goal = true, .goal = augment_goal(o->style, score), .goal_of = goal_of};
    if (pair_score_outside(&o->rules, raw) || augment_without(o, e.goal)) {
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
    count_scale(x, score);
    TRY(augment_writer_set(&x->writer, text, NULL, (int64_t)(x->record.index + x->extra)));
    x->counts->pairs_train++;
    count_line(x, &e, false);
    return augment_put_completion(&x->line, &x->writer, &e, score);
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
    if (sft && !test) return completions_of_row(x);
    if (r->kind == RECORD_RESPONSES) return pairs_of_responses(x, test);
    TRY(prompt_goals_of_pair(x));
    return one_pair(x, (const struct buf *const[]){&r->chosen, &r->rejected}, (const double[]){r->score_chosen, r->score_rejected},
                    r->index + x->extra, test);
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
    for (size_t i = x->tuple_count; i > 1; i--) {
        size_t j = (size_t)rng_below(&r, i);
        double t[2];
        memcpy(t, x->tuples[i - 1], sizeof t);
        memcpy(x->tuples[i - 1], x->tuples[j], sizeof t);
        memcpy(x->tuples[j], t, sizeof t);
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
    free(x.prompt_goals);
    free(x.tuples);
    return s;
}
