#include "eval/summary.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "format/bench_results.h"

const struct summary_figure summary_figures[] = {
    {"goal_accuracy", "goal accuracy", "goal-accuracy", NULL, "all", "both", "both", 0.5},
    {"chosen", "goal accuracy: under the better's goal", "goal-accuracy", NULL, "all", "chosen", "chosen", NAN},
    {"rejected", "goal accuracy: under the worse's goal", "goal-accuracy", NULL, "all", "rejected", "rejected", NAN},
    {"strict", "strict", "goal-accuracy", NULL, "all", "strict", "strict", NAN},
    {"flip", "flip rate", "goal-accuracy", NULL, "all", "flip", "flip", 0.5},
    {"flip_token", "flip rate, log-probs a token", "goal-accuracy", NULL, "all", "flip_token", "flip_token", 0.5},
    {"sign", "midpoint: right side", "midpoint", NULL, "all", "sign", "sign", 0.5},
    {"crossing", "midpoint: correlation", "midpoint", NULL, "all", "correlation", "correlation", 0},
    {"tau", "goal curve: tau", "goal-curve", "overall", "all", "tau", "tau", 0},
    {"span", "goal curve: span", "goal-curve", "overall", "all", "span", "span", 0},
    {"calibration_error", "goal curve: calibration error", "goal-curve", "overall", "all", "calibration_error", "calibration_error", NAN},
    {"absolute_error", "goal curve: absolute error", "goal-curve", "overall", "all", "absolute_error", "absolute_error", NAN},
    {"above", "responses: above the threshold", "goal-curve", "overall", "all", "above", "above", NAN},
    {"words", "responses: words", "goal-curve", "overall", "all", "words", "words", NAN},
    {"tokens", "responses: tokens", "goal-curve", "overall", "all", "tokens", "tokens", NAN},
    {"repetition", "responses: repeated 4-grams", "goal-curve", "overall", "all", "repetition", "repetition", NAN},
    {"ended", "responses: ended by themselves", "goal-curve", "overall", "all", "ended", "ended", NAN},
    {"kl", "KL from the reference, nats", "kl", "overall", "all", "kl", "kl", NAN},
    {"unlearned", "good rejected, own goal, nats a token", "unlearning", "own_goal", "rejected", "*_and_above", "rejected_*_and_above",
     NAN},
    {"unlearned_best", "good rejected, best goal, nats a token", "unlearning", "goal_*", "rejected", "*_and_above", "rejected_*_and_above",
     NAN},
    {"unlearned_no_goal", "good rejected, no goal, nats a token", "unlearning", "no_goal", "rejected", "*_and_above",
     "rejected_*_and_above", NAN},
    {"alpaca_win_rate", "AlpacaEval: win rate, %", "alpaca", "all", NULL, "win_rate", NULL, 50},
    {"alpaca_controlled", "AlpacaEval: length-controlled, %", "alpaca", "all", NULL, "length_controlled_win_rate", NULL, 50},
    {"alpaca_length", "AlpacaEval: characters", "alpaca", "all", NULL, "average_length", NULL, NAN},
    {"arena_hard", "Arena-Hard: score, % (90% of v2)", "arena-hard", "all", NULL, "score", NULL, 50},
    {"mt_turn_1", "MT-Bench: first turn", "mt-bench", "all", NULL, "turn_1", NULL, NAN},
    {"mt_turn_2", "MT-Bench: second turn", "mt-bench", "all", NULL, "turn_2", NULL, NAN},
    {"mt_average", "MT-Bench: both turns", "mt-bench", "all", NULL, "average", NULL, NAN},
};
const size_t summary_figure_count = sizeof summary_figures / sizeof summary_figures[0];

static status find_run(size_t *out, struct summary *s, struct json name) {
    char *text = json_text(name);
    if (!text) return FAIL(ST_FORMAT, "field name: expected a string, found %s", json_kind_name(json_kind_of(name)));
    for (*out = 0; *out < s->run_count; ++*out)
        if (strcmp(s->names[*out], text) == 0) break;
    if (*out < s->run_count) {
        free(text);
        return ST_OK;
    }
    if (s->run_count == SUMMARY_RUNS_MAX) {
        free(text);
        return FAIL(ST_UNSUPPORTED, "more than %d runs", SUMMARY_RUNS_MAX);
    }
    s->names[s->run_count++] = text;
    return ST_OK;
}

/* null and absent leave n 0. */
static status read_estimate(struct estimate *e, struct json value, const char *field) {
    int64_t n = 1, prompts = 0;
    *e = (struct estimate){NAN, NAN, NAN, 0, 0};
    if (json_kind_of(value) == JSON_NONE || json_kind_of(value) == JSON_NULL) return ST_OK;
    if (!json_double(&e->value, json_get(value, "value")) || !json_double(&e->low, json_get(value, "low")) ||
        !json_double(&e->high, json_get(value, "high")))
        return FAIL(ST_FORMAT, "field %s: expected {\"value\", \"low\", \"high\"} with finite numbers, or null", field);
    if (json_kind_of(json_get(value, "n")) != JSON_NONE && (!json_int(&n, json_get(value, "n")) || n < 1))
        return FAIL(ST_FORMAT, "field %s.n: expected a whole number above 0", field);
    if (json_kind_of(json_get(value, "prompts")) != JSON_NONE && (!json_int(&prompts, json_get(value, "prompts")) || prompts < 1))
        return FAIL(ST_FORMAT, "field %s.prompts: expected a whole number above 0", field);
    e->n = (size_t)n;
    e->clusters = (size_t)prompts;
    return ST_OK;
}

static struct summary_entry *entry(struct summary *s, size_t figure, size_t run) { return &s->entries[figure * SUMMARY_RUNS_MAX + run]; }

static status read_curve(struct summary_curve *c, struct json curve) {
    struct json_iter it = json_iter_begin(curve);
    struct json key, value;
    while (json_iter_next(&it, &key, &value)) {
        char *name = json_text(key), *end = NULL;
        const double goal = name ? strtod(name, &end) : 0;
        const bool number = name && end != name && !*end && isfinite(goal);
        free(name);
        struct estimate e;
        TRY(read_estimate(&e, json_get(value, "achieved"), "curve.achieved"));
        if (!number || !e.n || c->count == sizeof c->goal / sizeof c->goal[0]) continue; /* "none" is no point of a curve */
        if (c->count && c->goal[c->count - 1] >= goal) continue;                         /* of a second file */
        c->goal[c->count] = goal;
        c->achieved[c->count++] = e;
    }
    return ST_OK;
}

/* The member of that name; where the name has a *, which stands for anything, the last of those that fit: goals come in rising order.
 * full: what it is called. */
#define MEMBER_MAX 64
static struct json member(struct json object, const char *name, char full[MEMBER_MAX]) {
    const char *star = strchr(name, '*');
    struct json found = {0}, key, value;
    snprintf(full, MEMBER_MAX, "%s", name);
    if (!star) return json_get(object, name);
    const size_t before = (size_t)(star - name), behind = strlen(star + 1);
    struct json_iter it = json_iter_begin(object);
    while (json_iter_next(&it, &key, &value)) {
        char *text = json_text(key);
        const size_t n = text ? strlen(text) : 0;
        if (n >= before + behind && memcmp(text, name, before) == 0 && strcmp(text + n - behind, star + 1) == 0) {
            found = value;
            snprintf(full, MEMBER_MAX, "%s", text);
        }
        free(text);
    }
    return found;
}

static status read_run(struct summary *s, struct json task, struct json run, bool base) {
    size_t at;
    TRY(find_run(&at, s, json_get(run, "name")));
    s->base[at] = s->base[at] || base;
    for (size_t f = 0; f < summary_figure_count; f++) {
        const struct summary_figure *figure = &summary_figures[f];
        struct estimate e;
        if (!json_equals(task, figure->task)) continue;
        bool raw = false;
        char name[MEMBER_MAX];
        struct json group = member(run, figure->group ? figure->group : "implicit", name);
        if (!figure->group && json_kind_of(group) != JSON_OBJECT) raw = true, group = json_get(run, "raw");
        if (figure->stratum) group = json_get(group, figure->stratum);
        const struct json value = member(group, figure->figure, name);
        TRY(read_estimate(&e, value, name));
        if (!e.n) continue;
        if (entry(s, f, at)->own.n)
            return FAIL(ST_MISMATCH, "%s of %s is in two files; a run has one name of its own", figure->label, s->names[at]);
        entry(s, f, at)->own = e;
        entry(s, f, at)->raw = raw;
    }
    return json_equals(task, "goal-curve") ? read_curve(&s->curves[at], json_get(run, "curve")) : ST_OK;
}

static status read_difference(struct summary *s, struct json task, struct json difference) {
    size_t at;
    char *minus = json_text(json_get(difference, "minus"));
    if (!minus) return FAIL(ST_FORMAT, "field differences.minus: expected a string");
    if (!s->minus) s->minus = mem_text(minus);
    const bool same = strcmp(s->minus, minus) == 0;
    status code =
        same ? ST_OK
             : FAIL(ST_MISMATCH, "differences to %s, in a file before to %s; name the same run first in every eval", minus, s->minus);
    free(minus);
    TRY(code);
    TRY(find_run(&at, s, json_get(difference, "name")));
    for (size_t f = 0; f < summary_figure_count; f++) {
        const struct summary_figure *figure = &summary_figures[f];
        struct estimate e;
        if (!json_equals(task, figure->task) || !figure->difference) continue;
        char name[MEMBER_MAX];
        const struct json group = member(difference, figure->group ? figure->group : "implicit", name),
                          value = member(group, figure->difference, name);
        TRY(read_estimate(&e, value, name));
        if (!e.n && !figure->group && entry(s, f, at)->raw)
            TRY(read_estimate(&e, json_get(json_get(difference, "raw"), figure->difference), figure->difference));
        if (e.n) entry(s, f, at)->difference = e;
    }
    return ST_OK;
}

static status read_file(struct summary *s, struct json root) {
    const struct json task = json_get(root, "task"), base = json_get(root, "base");
    struct json key, item;
    bool known = false;
    for (size_t f = 0; f < summary_figure_count; f++)
        known = known || (json_kind_of(task) == JSON_STRING && json_equals(task, summary_figures[f].task));
    if (!known)
        return FAIL(ST_FORMAT, "field task: expected the output of rapt eval goal-accuracy, midpoint, unlearning, goal-curve, kl, alpaca, "
                               "arena-hard or mt-bench --json");
    if (json_kind_of(json_get(root, "runs")) != JSON_ARRAY) return FAIL(ST_FORMAT, "field runs: expected an array");
    struct json_iter it = json_iter_begin(json_get(root, "runs"));
    while (json_iter_next(&it, &key, &item)) TRY(read_run(s, task, item, false));
    if (json_kind_of(base) == JSON_OBJECT) TRY(read_run(s, task, base, true));
    it = json_iter_begin(json_get(root, "differences"));
    while (json_iter_next(&it, &key, &item)) TRY(read_difference(s, task, item));
    return ST_OK;
}

status summary_load(struct summary *s, const char *const *paths, size_t count) {
    *s = (struct summary){0};
    s->entries = mem_zero(summary_figure_count * SUMMARY_RUNS_MAX, sizeof *s->entries);
    s->curves = mem_zero(SUMMARY_RUNS_MAX, sizeof *s->curves);
    for (size_t i = 0; i < count; i++) {
        struct buf text = {0}, runs = {0};
        struct json root;
        status code = file_read(&text, paths[i]);
        if (code == ST_OK) code = json_parse(&root, buf_text(&text), text.size);
        if (code == ST_OK && bench_is_results(root)) {
            code = bench_put_runs(&runs, root);
            if (code == ST_OK) CHECK(json_parse(&root, buf_text(&runs), runs.size) == ST_OK);
        }
        if (code == ST_OK) code = read_file(s, root);
        if (code != ST_OK && text.size) status_note(code, "%s: ", paths[i]);
        buf_release(&text);
        buf_release(&runs);
        TRY(code);
    }
    return ST_OK;
}

void summary_release(struct summary *s) {
    for (size_t i = 0; i < s->run_count; i++) free(s->names[i]);
    free(s->entries);
    free(s->curves);
    free(s->minus);
    *s = (struct summary){0};
}

static void put_figure(struct buf *json, struct buf *text, const struct summary *s, size_t f) {
    const struct summary_figure *figure = &summary_figures[f];
    bool first = true;
    buf_printf(json, "{\"name\": \"%s\", \"label\": \"%s\", \"chance\": ", figure->name, figure->label);
    json_put_double(json, figure->chance);
    buf_append_text(json, ", \"runs\": [");
    for (size_t r = 0; r < s->run_count; r++) {
        const struct summary_entry *e = &s->entries[f * SUMMARY_RUNS_MAX + r];
        if (!e->own.n) continue;
        buf_append_text(json, first ? "{\"name\": " : ", {\"name\": ");
        json_put_text(json, s->names[r]);
        buf_append_text(json, ", \"estimate\": ");
        estimate_json(json, &e->own);
        buf_printf(json, ", \"raw\": %s, \"difference\": ", e->raw ? "true" : "false");
        estimate_json(json, &e->difference);
        buf_append_char(json, '}');
        buf_printf(text, "%-40s%-19s ", first ? figure->label : "", s->names[r]);
        estimate_text(text, &e->own);
        buf_printf(text, "%-8zu", e->own.n);
        if (e->difference.n) estimate_text(text, &e->difference);
        if (e->raw) buf_append_text(text, "raw");
        estimate_end_line(text);
        first = false;
    }
    buf_append_text(json, "]}");
}

void summary_put(struct buf *json, struct buf *text, const struct summary *s) {
    bool first = true;
    buf_append_text(json, "{\"task\": \"summary\", \"minus\": ");
    if (s->minus)
        json_put_text(json, s->minus);
    else
        buf_append_text(json, "null");
    buf_append_text(json, ", \"figures\": [");
    buf_printf(text, "%-40s%-20s%-24s%-8s", "figure", "run", "", "n");
    if (s->minus) buf_printf(text, "minus %s", s->minus);
    estimate_end_line(text);
    const char *task = NULL;
    for (size_t f = 0; f < summary_figure_count; f++) {
        size_t known = 0;
        for (size_t r = 0; r < s->run_count; r++) known += s->entries[f * SUMMARY_RUNS_MAX + r].own.n != 0;
        if (!known) continue;
        if (!first) buf_append_text(json, ", ");
        if (task && strcmp(task, summary_figures[f].task) != 0) buf_append_char(text, '\n'); /* a group a task */
        task = summary_figures[f].task;
        put_figure(json, text, s, f);
        first = false;
    }
    buf_append_text(json, "]}\n");
}
