#include "format/bench_results.h"

#include <string.h>

static const char *const task_names[] = {"alpaca", "arena-hard", "mt-bench"};

bool bench_is_results(struct json file) {
    const struct json task = json_get(file, "task");
    for (size_t i = 0; json_kind_of(task) == JSON_STRING && i < sizeof task_names / sizeof task_names[0]; i++)
        if (json_equals(task, task_names[i])) return true;
    return false;
}

/* ---- figures ---- */

static status expected(const char *field, const char *what, struct json found) {
    return FAIL(ST_FORMAT, "field '%s': expected %s, found %s", field, what, json_kind_name(json_kind_of(found)));
}

/* One figure's name here, its name there, and its standard error's, or NULL. */
struct figure {
    const char *name, *field, *error;
};
static const struct figure alpaca_figures[] = {{"win_rate", "win_rate", "standard_error"},
                                               {"length_controlled_win_rate", "length_controlled_winrate", "lc_standard_error"},
                                               {"average_length", "avg_length", NULL}};
static const struct figure grade_figures[] = {{"turn_1", "turn_1", NULL}, {"turn_2", "turn_2", NULL}, {"average", "average", NULL}};
static const struct figure pair_figures[] = {
    {"win_rate", "win_rate", NULL}, {"loss_rate", "loss_rate", NULL}, {"win_rate_adjusted", "win_rate_adjusted", NULL}};

/* n 0: not known. */
static void put_estimate(struct buf *out, double value, double low, double high, int64_t n) {
    buf_append_text(out, "{\"value\": ");
    json_put_double(out, value);
    buf_append_text(out, ", \"low\": ");
    json_put_double(out, low);
    buf_append_text(out, ", \"high\": ");
    json_put_double(out, high);
    if (n > 0) buf_printf(out, ", \"n\": %lld", (long long)n);
    buf_append_char(out, '}');
}

#define COUNT_MAX ((int64_t)1 << 40) /* sums of a few stay far from overflow */
static int64_t count_named(struct json object, const char *name) {
    int64_t n;
    return json_int(&n, json_get(object, name)) && n > 0 && n < COUNT_MAX ? n : 0;
}

/* What figure i is the mean of: preferences; grades of the first turn, of the second, of both; pairs. */
static int64_t count_of(struct json object, size_t i) {
    struct json_iter it = json_iter_begin(json_get(object, "graded"));
    struct json key, value;
    int64_t n, graded[2] = {0};
    for (size_t k = 0; k < 2 && json_iter_next(&it, &key, &value); k++)
        if (json_int(&n, value) && n > 0 && n < COUNT_MAX) graded[k] = n;
    return count_named(object, "n_total") + count_named(object, "win") + count_named(object, "loss") + count_named(object, "tie") +
           (i < 2 ? graded[i] : graded[0] + graded[1]);
}

/* "intervals": {FIELD: [low, high]}. False: there is none of this field. */
static bool interval_of(double *low, double *high, struct json object, const char *field) {
    const struct json pair = json_get(json_get(object, "intervals"), field);
    struct json_iter it = json_iter_begin(pair);
    struct json key, a, b;
    return json_kind_of(pair) == JSON_ARRAY && json_count(pair) == 2 && json_iter_next(&it, &key, &a) && json_iter_next(&it, &key, &b) &&
           json_double(low, a) && json_double(high, b);
}

/* A figure that is null or not there is null. */
static status put_figure(struct buf *out, struct json object, const struct figure *f, int64_t n) {
    const struct json given = json_get(object, f->field);
    double value, low, high, error;
    if (json_kind_of(given) == JSON_NONE || json_kind_of(given) == JSON_NULL) return buf_append_text(out, "null"), ST_OK;
    if (!json_double(&value, given)) return expected(f->field, "a number", given);
    if (!interval_of(&low, &high, object, f->field)) {
        if (!f->error || !json_double(&error, json_get(object, f->error)))
            return FAIL(ST_FORMAT, "field '%s': there is no interval of it (intervals.%s: [low, high]); make the file again with rapt eval",
                        f->field, f->field);
        low = value - 1.96 * error;
        high = value + 1.96 * error;
    }
    put_estimate(out, value, low, high, n);
    return ST_OK;
}

static status put_figures(struct buf *out, struct json object, const struct figure *figures, size_t count) {
    buf_append_char(out, '{');
    for (size_t i = 0; i < count; i++) {
        buf_printf(out, "%s\"%s\": ", i ? ", " : "", figures[i].name);
        TRY(put_figure(out, object, &figures[i], count_of(object, i)));
    }
    buf_append_char(out, '}');
    return ST_OK;
}
#define FIGURES(table) table, sizeof table / sizeof table[0]

/* ---- models ---- */

static status put_name(struct buf *out, struct json model, const char *field) {
    const struct json name = json_get(model, field);
    if (json_kind_of(name) != JSON_STRING) return expected(field, "a string", name);
    buf_append_text(out, "{\"name\": ");
    buf_append(out, name.text, name.size);
    return ST_OK;
}

/* ", "NAME": VALUE" of what the page may show; nothing where it is not there. */
static void put_kept(struct buf *out, struct json object, const char *name) {
    const struct json value = json_get(object, name);
    const enum json_kind kind = json_kind_of(value);
    if (kind != JSON_STRING && kind != JSON_NUMBER && kind != JSON_BOOL) return;
    buf_printf(out, ", \"%s\": ", name);
    buf_append(out, value.text, value.size);
}

static status put_alpaca(struct buf *out, struct json model) {
    TRY(put_name(out, model, "generator"));
    put_kept(out, model, "baseline");
    put_kept(out, model, "glm");
    put_kept(out, model, "n_total");
    buf_append_text(out, ", \"all\": ");
    return put_figures(out, model, FIGURES(alpaca_figures));
}

/* Its interval stands beside the score. */
static status put_arena(struct buf *out, struct json model) {
    static const char *const names[] = {"score", "low", "high"};
    double numbers[3];
    TRY(put_name(out, model, "model"));
    put_kept(out, model, "battles");
    for (size_t i = 0; i < 3; i++)
        if (!json_double(&numbers[i], json_get(model, names[i]))) return expected(names[i], "a number", json_get(model, names[i]));
    buf_append_text(out, ", \"all\": {\"score\": ");
    put_estimate(out, numbers[0], numbers[1], numbers[2], count_named(model, "battles"));
    buf_append_char(out, '}');
    return ST_OK;
}

static status put_mt_bench(struct buf *out, struct json model) {
    const struct json single = json_get(model, "single"), pairwise = json_get(model, "pairwise");
    struct json_iter it = json_iter_begin(json_get(single, "categories"));
    struct json key, category;
    bool first = true;
    TRY(put_name(out, model, "model"));
    if (json_kind_of(single) == JSON_OBJECT) {
        buf_append_text(out, ", \"all\": ");
        TRY(put_figures(out, single, FIGURES(grade_figures)));
        buf_append_text(out, ", \"categories\": {");
        for (; json_iter_next(&it, &key, &category); first = false) {
            buf_append_text(out, first ? "" : ", ");
            buf_append(out, key.text, key.size);
            buf_append_text(out, ": ");
            TRY(put_figures(out, category, FIGURES(grade_figures)));
        }
        buf_append_char(out, '}');
    }
    if (json_kind_of(pairwise) == JSON_OBJECT) {
        buf_append_text(out, ", \"pairwise\": {\"all\": ");
        TRY(put_figures(out, pairwise, FIGURES(pair_figures)));
        buf_append_char(out, '}');
    }
    return ST_OK;
}

/* alpaca's files name it at each model: the one of all, where there is one. */
static struct json common_baseline(struct json models) {
    struct json key, model, first = {0};
    for (struct json_iter it = json_iter_begin(models); json_iter_next(&it, &key, &model);) {
        const struct json own = json_get(model, "baseline");
        if (json_kind_of(own) != JSON_STRING || (first.size && (own.size != first.size || memcmp(own.text, first.text, own.size) != 0)))
            return (struct json){0};
        first = own;
    }
    return first;
}

/* Where the file does not say it: what Arena-Hard's scripts print. */
static status level_of(double *out, struct json file) {
    const struct json level = json_get(file, "level");
    *out = json_equals(json_get(file, "task"), "arena-hard") && !json_equals(json_get(file, "bench"), "v0.1") ? 0.9 : 0.95;
    if (json_kind_of(level) == JSON_NONE || (json_double(out, level) && *out > 0 && *out < 1)) return ST_OK;
    return expected("level", "a number between 0 and 1", level);
}

status bench_put_runs(struct buf *out, struct json file) {
    const struct json models = json_get(file, "models"), task = json_get(file, "task");
    double level;
    struct json_iter it = json_iter_begin(models);
    struct json key, model;
    CHECK(bench_is_results(file));
    if (json_kind_of(models) != JSON_ARRAY) return expected("models", "an array", models);
    TRY(level_of(&level, file));
    buf_append_text(out, "{\"task\": ");
    buf_append(out, task.text, task.size);
    buf_append_text(out, ", \"level\": ");
    json_put_double(out, level);
    static const char *const kept[] = {"bench", "category", "baseline", "style_control"};
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) put_kept(out, file, kept[i]);
    const struct json baseline = common_baseline(models);
    if (baseline.size) {
        buf_append_text(out, ", \"baseline\": ");
        buf_append(out, baseline.text, baseline.size);
    }
    buf_append_text(out, ", \"runs\": [");
    for (bool first = true; json_iter_next(&it, &key, &model); first = false) {
        buf_append_text(out, first ? "" : ", ");
        if (json_kind_of(model) != JSON_OBJECT) return expected("models", "objects", model);
        TRY(json_equals(task, "alpaca")       ? put_alpaca(out, model)
            : json_equals(task, "arena-hard") ? put_arena(out, model)
                                              : put_mt_bench(out, model));
        buf_append_char(out, '}');
    }
    buf_append_text(out, "]}");
    return ST_OK;
}
