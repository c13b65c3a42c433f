#include "eval/alpaca.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "eval/harness.h"
#include "format/csv.h"
#include "format/rows.h"

/* ---- annotations ---- */

static status length_of(double *out, struct json row, const char *name) {
    struct buf text = {0};
    const struct json value = json_get(row, name);
    *out = 0;
    if (!json_string(&text, value))
        return FAIL(ST_FORMAT, "field %s: expected a string, found %s", name, json_kind_name(json_kind_of(value)));
    *out = (double)utf8_count(buf_text(&text), text.size);
    buf_release(&text);
    return ST_OK;
}

static status same_generator(char **known, struct json row, const char *name) {
    const struct json value = json_get(row, name);
    if (json_kind_of(value) != JSON_STRING)
        return FAIL(ST_FORMAT, "field %s: expected a string, found %s", name, json_kind_name(json_kind_of(value)));
    if (!*known) *known = json_text(value);
    if (json_equals(value, *known)) return ST_OK;
    return FAIL(ST_MISMATCH, "field %s: another model than '%.80s' in the rows before; give one file a model", name, *known);
}

/* In front of what it is of; a DataFrame with an "index" column keeps that where it would number its rows. */
static status index_of(struct alpaca_row *r, struct alpaca_set *s, struct json row) {
    const struct json value = json_get(row, "index");
    const bool there = json_kind_of(value) != JSON_NONE;
    int64_t index = 0;
    r->index = s->count;
    if (s->count && there != s->indexed)
        return FAIL(ST_FORMAT, "field index: expected in all rows or in none, and here it is %s", there ? "given" : "missing");
    s->indexed = there;
    if (!there) return ST_OK;
    if (!json_int(&index, value) || index < 0)
        return FAIL(ST_FORMAT, "field index: expected a whole number of 0 or more, found %s", json_kind_name(json_kind_of(value)));
    r->index = (size_t)index;
    return ST_OK;
}

status alpaca_add(struct alpaca_set *s, struct json row) {
    struct alpaca_row r;
    const struct json preference = json_get(row, "preference");
    if (json_kind_of(row) != JSON_OBJECT) return FAIL(ST_FORMAT, "expected an object, found %s", json_kind_name(json_kind_of(row)));
    TRY(same_generator(&s->generator[0], row, "generator_1"));
    TRY(same_generator(&s->generator[1], row, "generator_2"));
    TRY(length_of(&r.length[0], row, "output_1"));
    TRY(length_of(&r.length[1], row, "output_2"));
    TRY(index_of(&r, s, row));
    r.preference = (double)NAN;
    if (json_kind_of(preference) != JSON_NULL && !json_double(&r.preference, preference))
        return FAIL(ST_FORMAT, "field preference: expected a number or null, found %s", json_kind_name(json_kind_of(preference)));
    if (r.preference == 0) r.preference = 1.5;
    if (!isnan(r.preference) && !(r.preference >= 1 && r.preference <= 2))
        return FAIL(ST_FORMAT, "field preference: expected 1 to 2, 0 for a draw, or null, found %g", r.preference);
    if (s->count == s->capacity) {
        s->capacity = s->capacity ? 2 * s->capacity : 1024;
        s->items = mem_resize(s->items, s->capacity * sizeof *s->items);
    }
    s->items[s->count++] = r;
    return ST_OK;
}

static status read_rows(struct alpaca_set *s, struct rows_in *rows) {
    const char *text;
    size_t size;
    for (;;) {
        struct json row;
        TRY(rows_next(rows, &text, &size));
        if (!text) return ST_OK;
        status code = json_parse(&row, text, size);
        if (code == ST_OK) code = alpaca_add(s, row);
        if (code != ST_OK) return status_note(code, "%s:%llu: ", rows_path(rows), (unsigned long long)rows->number);
    }
}

status alpaca_load(struct alpaca_set *s, const char *path) {
    struct rows_in rows;
    *s = (struct alpaca_set){0};
    TRY(rows_open(&rows, path));
    status code = read_rows(s, &rows);
    rows_release(&rows);
    if (code == ST_OK && !s->count) code = FAIL(ST_FORMAT, "%s: no rows", path);
    if (code != ST_OK) alpaca_release(s);
    return code;
}

void alpaca_release(struct alpaca_set *s) {
    free(s->items);
    free(s->generator[0]);
    free(s->generator[1]);
    *s = (struct alpaca_set){0};
}

/* ---- raw win rates ---- */

void alpaca_win_rates(struct alpaca_rates *out, const struct alpaca_set *s) {
    double *values = mem_zero(s->count, sizeof *values), discrete = 0, length = 0;
    *out = (struct alpaca_rates){0};
    for (size_t i = 0; i < s->count; i++) {
        const double p = s->items[i].preference;
        length += s->items[i].length[1];
        if (isnan(p)) continue;
        values[out->total++] = p - 1;
        out->wins += p > 1.5;
        out->wins_base += p < 1.5;
        out->draws += p == 1.5;
        discrete += p == 1.5 ? 0.5 : p > 1.5; /* ZeroOneScoringRule: rounded, draws in the middle */
    }
    const struct harness_mean mean = harness_mean_of(values, out->total);
    out->win_rate = 100 * mean.mean;
    out->standard_error = 100 * mean.stderr_;
    out->discrete_win_rate = 100 * discrete / (double)out->total;
    out->average_length = length / (double)s->count;
    free(values);
}

/* In percent of values[count], NaN ones left out. */
static status interval_of(struct estimate *out, const struct alpaca_set *s, const double *values, double unit,
                          const struct bootstrap_params *p) {
    uint64_t *instructions;
    TRY(mem_try_alloc(&instructions, s->count ? s->count : 1, sizeof *instructions, "instructions"));
    for (size_t i = 0; i < s->count; i++) instructions[i] = s->items[i].index;
    const status code = bootstrap_mean(out, p, values, instructions, s->count);
    out->value *= unit;
    out->low *= unit;
    out->high *= unit;
    free(instructions);
    return code;
}

status alpaca_intervals(struct alpaca_intervals *out, const struct alpaca_set *s, const struct bootstrap_params *p) {
    double *preferences = mem_zero(s->count + 1, sizeof *preferences), *lengths = mem_zero(s->count + 1, sizeof *lengths);
    for (size_t i = 0; i < s->count; i++) {
        preferences[i] = s->items[i].preference - 1;
        lengths[i] = s->items[i].length[1];
    }
    status code = interval_of(&out->win_rate, s, preferences, 100, p);
    if (code == ST_OK) code = interval_of(&out->length, s, lengths, 1, p);
    free(preferences);
    free(lengths);
    return code;
}

/* ---- the length-controlled one ---- */

const struct alpaca_glm alpaca_glm_table[] = {
    {"length_controlled_v1", "AlpacaEval 2's: length, difficulty and model, held near the baseline's own gamed outputs", true, 0.2},
    {"length_controlled_noreg", "the same without those outputs", true, 0},
    {"length_controlled_minimal", "length and model alone; needs no --gamed", false, 0},
};
const size_t alpaca_glm_count = sizeof alpaca_glm_table / sizeof alpaca_glm_table[0];

const struct alpaca_glm *alpaca_glm_find(const char *name) {
    for (size_t i = 0; i < alpaca_glm_count; i++)
        if (strcmp(alpaca_glm_table[i].name, name) == 0) return &alpaca_glm_table[i];
    return NULL;
}

void alpaca_gamed_release(struct alpaca_gamed *g) {
    free(g->rows);
    free(g->difficulty);
    *g = (struct alpaca_gamed){0};
}

struct gamed_columns {
    size_t index, length, preference, difficulty, clean;
};

static status find_columns(struct gamed_columns *c, const struct csv *csv) {
    const struct {
        const char *name;
        size_t *at;
    } names[] = {{"index", &c->index},
                 {"std_delta_len", &c->length},
                 {"preference", &c->preference},
                 {"instruction_difficulty", &c->difficulty},
                 {"not_gamed_baseline", &c->clean}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        *names[i].at = csv_column(csv, names[i].name);
        if (*names[i].at == SIZE_MAX)
            return FAIL(ST_FORMAT,
                        "%s: no column %s; expected AlpacaEval's df_gamed.csv with index, std_delta_len, preference, "
                        "instruction_difficulty, not_gamed_baseline",
                        csv->path, names[i].name);
    }
    return ST_OK;
}

static bool is_true(const char *text, bool *value) {
    *value = strcmp(text, "True") == 0 || strcmp(text, "true") == 0 || strcmp(text, "1") == 0;
    return *value || strcmp(text, "False") == 0 || strcmp(text, "false") == 0 || strcmp(text, "0") == 0;
}

struct placed {
    double index;
    size_t at;
};

static int by_index(const void *a, const void *b) {
    const struct placed *x = a, *y = b;
    if (x->index != y->index) return x->index < y->index ? -1 : 1;
    return (x->at > y->at) - (x->at < y->at);
}

/* One record. index: of the instruction, to be compared later. */
static status gamed_row(struct alpaca_gamed *g, double *index, const struct csv *csv, const struct gamed_columns *c) {
    double length, preference, difficulty;
    bool clean;
    TRY(csv_number(index, csv, c->index));
    TRY(csv_number(&length, csv, c->length));
    TRY(csv_number(&preference, csv, c->preference));
    TRY(csv_number(&difficulty, csv, c->difficulty));
    if (!is_true(csv->fields[c->clean], &clean))
        return FAIL(ST_FORMAT, "%s: the record before line %zu, column not_gamed_baseline: expected True or False", csv->path, csv->line);
    if (isnan(length) || isnan(difficulty) || isnan(*index))
        return FAIL(ST_FORMAT, "%s: the record before line %zu: a number is missing", csv->path, csv->line);
    if (!isnan(preference) && !(preference >= 0 && preference <= 1))
        return FAIL(ST_FORMAT, "%s: the record before line %zu, column preference: expected 0 to 1, found %g", csv->path, csv->line,
                    preference);
    g->difficulty[g->order_count++] = difficulty;
    if (!isnan(preference)) g->rows[g->count++] = (struct lc_row){{tanh(length), difficulty, clean}, preference, clean};
    return ST_OK;
}

/* Of rows of one instruction the first's difficulty counts (drop_duplicates). */
static void keep_first(struct alpaca_gamed *g, const double *index) {
    struct placed *sorted = mem_zero(g->order_count, sizeof *sorted);
    for (size_t i = 0; i < g->order_count; i++) sorted[i] = (struct placed){index[i], i};
    qsort(sorted, g->order_count, sizeof *sorted, by_index);
    g->instructions = g->order_count;
    for (size_t i = 1; i < g->order_count; i++)
        if (sorted[i].index == sorted[i - 1].index) g->difficulty[sorted[i].at] = (double)NAN, g->instructions--;
    free(sorted);
}

#define GAMED_ROWS_MAX 200000

static status read_gamed(struct alpaca_gamed *g, struct csv *csv) {
    struct gamed_columns columns;
    size_t capacity = 0;
    double *index = NULL;
    bool end = false;
    status s = find_columns(&columns, csv);
    while (s == ST_OK) {
        s = csv_next(csv, &end);
        if (s != ST_OK || end) break;
        if (g->order_count == GAMED_ROWS_MAX) s = FAIL(ST_UNSUPPORTED, "%s: more than %d rows", csv->path, GAMED_ROWS_MAX);
        if (s != ST_OK) break;
        if (g->order_count == capacity) {
            capacity = capacity ? 2 * capacity : 4096;
            g->rows = mem_resize(g->rows, capacity * sizeof *g->rows);
            g->difficulty = mem_resize(g->difficulty, capacity * sizeof *g->difficulty);
            index = mem_resize(index, capacity * sizeof *index);
        }
        s = gamed_row(g, &index[g->order_count], csv, &columns);
    }
    if (s == ST_OK && !g->order_count) s = FAIL(ST_FORMAT, "%s: no rows", csv->path);
    if (s == ST_OK) keep_first(g, index);
    free(index);
    return s;
}

status alpaca_gamed_load(struct alpaca_gamed *g, const char *path) {
    struct csv csv;
    *g = (struct alpaca_gamed){0};
    TRY(csv_open(&csv, path));
    status s = read_gamed(g, &csv);
    csv_release(&csv);
    if (s != ST_OK) alpaca_gamed_release(g);
    return s;
}

/* Standard deviation of the length differences, with n - 1. */
static double length_spread(const struct alpaca_set *s) {
    double mean = 0, squares = 0;
    for (size_t i = 0; i < s->count; i++) mean += s->items[i].length[0] - s->items[i].length[1];
    mean /= (double)s->count;
    for (size_t i = 0; i < s->count; i++) {
        const double d = s->items[i].length[0] - s->items[i].length[1] - mean;
        squares += d * d;
    }
    return s->count > 1 ? sqrt(squares / (double)(s->count - 1)) : 0;
}

/* Features by place: length, then difficulty where it is one, then 1. */
static void place_features(double x[LC_FEATURES], double length, double difficulty, double model, bool with_difficulty) {
    x[0] = length;
    x[1] = with_difficulty ? difficulty : model;
    x[2] = with_difficulty ? model : 0;
}

static status own_difficulty(double *out, const struct alpaca_set *s, size_t i, const struct alpaca_glm *glm,
                             const struct alpaca_gamed *gamed) {
    const size_t index = s->items[i].index;
    *out = 0;
    if (!glm->difficulty) return ST_OK;
    if (index < gamed->order_count && !isnan(gamed->difficulty[index])) return *out = gamed->difficulty[index], ST_OK;
    return FAIL(ST_MISMATCH,
                "--gamed has no difficulty of instruction %zu; annotations stand in the evaluation set's order, one an instruction, or "
                "have an index each",
                index + 1);
}

bool alpaca_is_short(const struct alpaca_set *s, const struct alpaca_glm *glm, const struct alpaca_gamed *gamed) {
    return glm->difficulty && !s->indexed && s->count < gamed->instructions;
}

static status gather(struct lc_row *rows, size_t *count, const struct alpaca_set *s, const struct alpaca_glm *glm,
                     const struct alpaca_gamed *gamed) {
    const double spread = length_spread(s);
    if (!(spread > 0)) return FAIL(ST_MISMATCH, "all length differences are equal: there is nothing to control");
    *count = 0;
    for (size_t i = 0; glm->lambda > 0 && i < gamed->count; i++) {
        const struct lc_row *g = &gamed->rows[i];
        struct lc_row *row = &rows[(*count)++];
        place_features(row->x, g->x[0], g->x[1], g->x[2], glm->difficulty);
        row->preference = g->preference;
        row->weight = g->weight > 0 ? 1 : glm->lambda / 2;
    }
    for (size_t i = 0; i < s->count; i++) {
        double difficulty;
        TRY(own_difficulty(&difficulty, s, i, glm, gamed));
        if (isnan(s->items[i].preference)) continue;
        struct lc_row *row = &rows[(*count)++];
        place_features(row->x, tanh((s->items[i].length[0] - s->items[i].length[1]) / spread), difficulty, 1, glm->difficulty);
        row->preference = s->items[i].preference - 1;
        row->weight = 1;
    }
    if (*count < 20) return FAIL(ST_MISMATCH, "%zu comparisons with a preference are too few for the fit, which needs 20", *count);
    return ST_OK;
}

static status predict(struct alpaca_lc *out, const struct alpaca_set *s, const struct alpaca_glm *glm, const struct alpaca_gamed *gamed,
                      const struct bootstrap_params *p) {
    double *values = mem_zero(s->count, sizeof *values);
    for (size_t i = 0; i < s->count; i++) {
        double x[LC_FEATURES], z = 0;
        place_features(x, 0, glm->difficulty ? gamed->difficulty[s->items[i].index] : 0, 1, glm->difficulty);
        for (size_t k = 0; k < LC_FEATURES; k++) z += x[k] * out->fit.coefficients[k];
        values[i] = 1 / (1 + exp(-z));
    }
    const struct harness_mean mean = harness_mean_of(values, s->count);
    out->win_rate = 100 * mean.mean;
    out->standard_error = 100 * mean.stderr_;
    const status code = interval_of(&out->interval, s, values, 100, p);
    free(values);
    return code;
}

status alpaca_length_controlled(struct alpaca_lc *out, const struct alpaca_set *s, const struct alpaca_glm *glm,
                                const struct alpaca_gamed *gamed, const struct bootstrap_params *p) {
    *out = (struct alpaca_lc){.win_rate = 50, .interval = {50, 50, 50, s->count, s->count}};
    if (strcmp(s->generator[0], s->generator[1]) == 0) return ST_OK; /* the baseline against itself */
    size_t count = 0;
    struct lc_row *rows = mem_zero(s->count + (glm->lambda > 0 ? gamed->count : 0) + 1, sizeof *rows);
    status code = gather(rows, &count, s, glm, gamed);
    if (code == ST_OK) {
        lc_fit_rows(&out->fit, rows, count, glm->difficulty ? 3 : 2);
        code = predict(out, s, glm, gamed, p);
    }
    free(rows);
    return code;
}

bool alpaca_is_extreme(double raw, double controlled) {
    return controlled < fmin(raw - raw / 4, raw - 10) || controlled > fmax(raw + (100 - raw) / 4, raw + 10);
}
