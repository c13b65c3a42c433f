#include "eval/mt_bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "format/rows.h"

#define MODELS_MAX 10000
#define QUESTIONS_MAX 100000
#define CATEGORIES_MAX 1000

void mt_release(struct mt_bench *b) {
    for (size_t i = 0; i < b->model_count; i++) {
        free(b->models[i].name);
        free(b->models[i].category);
        free(b->models[i].verdicts);
    }
    for (size_t i = 0; i < b->category_count; i++) free(b->categories[i]);
    free(b->models);
    free(b->categories);
    free(b->questions);
    free(b->baseline);
    *b = (struct mt_bench){0};
}

double mt_mean(const struct mt_cell *c) { return c->count ? c->sum / (double)c->count : (double)NAN; }

/* ---- grades ---- */

/* `open`digits, dot, digits`close` at `at`: its number, or -1. */
static double bracketed(const char *text, size_t at, size_t size, size_t brackets) {
    char number[40];
    size_t n = 0, i = at;
    for (size_t k = 0; k < brackets; k++)
        if (i == size || text[i++] != '[') return -1;
    bool dot = false;
    for (; i < size && n + 1 < sizeof number; i++) {
        const bool digit = text[i] >= '0' && text[i] <= '9';
        if (!digit && !(text[i] == '.' && n && !dot)) break;
        dot = dot || !digit;
        number[n++] = text[i];
    }
    for (size_t k = 0; k < brackets; k++)
        if (i == size || text[i++] != ']') return -1;
    number[n] = '\0';
    return n ? strtod(number, NULL) : -1;
}

double mt_grade(const char *text, size_t size) {
    for (size_t brackets = 2; brackets; brackets--)
        for (size_t at = 0; at < size; at++) {
            const double grade = bracketed(text, at, size, brackets);
            if (grade >= 0) return grade;
        }
    return -1;
}

/* ---- rows ---- */

struct taker {
    status (*take)(struct mt_bench *b, struct json row);
    struct mt_bench *b;
};

static status take_object(void *context, struct json row) {
    const struct taker *t = context;
    if (json_kind_of(row) != JSON_OBJECT) return FAIL(ST_FORMAT, "expected an object, found %s", json_kind_name(json_kind_of(row)));
    return t->take(t->b, row);
}

static status each_object(const char *path, status (*take)(struct mt_bench *b, struct json row), struct mt_bench *b) {
    return rows_each(path, take_object, &(struct taker){take, b});
}

static status number_field(int64_t *out, struct json row, const char *name) {
    const struct json value = json_get(row, name);
    return json_int(out, value) ? ST_OK
                                : FAIL(ST_FORMAT, "field %s: expected a whole number, found %s", name, json_kind_name(json_kind_of(value)));
}

static status add_question(struct mt_bench *b, struct json row) {
    const struct json category = json_get(row, "category");
    struct mt_question q;
    TRY(number_field(&q.id, row, "question_id"));
    if (json_kind_of(category) != JSON_STRING)
        return FAIL(ST_FORMAT, "field category: expected a string, found %s", json_kind_name(json_kind_of(category)));
    for (q.category = 0; q.category < b->category_count; q.category++)
        if (json_equals(category, b->categories[q.category])) break;
    if (b->question_count == QUESTIONS_MAX || q.category == CATEGORIES_MAX)
        return FAIL(ST_UNSUPPORTED, "more than %d questions or %d categories", QUESTIONS_MAX, CATEGORIES_MAX);
    if (q.category == b->category_count) {
        b->categories = mem_resize(b->categories, (b->category_count + 1) * sizeof *b->categories);
        b->categories[b->category_count++] = json_text(category);
    }
    if ((b->question_count & (b->question_count - 1)) == 0)
        b->questions = mem_resize(b->questions, (b->question_count ? 2 * b->question_count : 1) * sizeof *b->questions);
    b->questions[b->question_count++] = q;
    return ST_OK;
}

static int by_id(const void *a, const void *b) {
    const struct mt_question *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

status mt_load_questions(struct mt_bench *b, const char *path) {
    CHECK(!b->model_count);
    TRY(each_object(path, add_question, b));
    if (!b->question_count) return FAIL(ST_FORMAT, "%s: no questions", path);
    qsort(b->questions, b->question_count, sizeof *b->questions, by_id);
    for (size_t i = 1; i < b->question_count; i++)
        if (b->questions[i].id == b->questions[i - 1].id)
            return FAIL(ST_FORMAT, "%s: question %lld stands twice", path, (long long)b->questions[i].id);
    return ST_OK;
}

static status find_model(struct mt_model **out, struct mt_bench *b, struct json row, const char *field) {
    const struct json value = json_get(row, field);
    if (json_kind_of(value) != JSON_STRING)
        return FAIL(ST_FORMAT, "field %s: expected a string, found %s", field, json_kind_name(json_kind_of(value)));
    for (size_t i = 0; i < b->model_count; i++)
        if (json_equals(value, b->models[i].name)) return *out = &b->models[i], ST_OK;
    if (b->model_count == MODELS_MAX) return FAIL(ST_UNSUPPORTED, "more than %d models", MODELS_MAX);
    b->models = mem_resize(b->models, (b->model_count + 1) * sizeof *b->models);
    *out = &b->models[b->model_count++];
    **out = (struct mt_model){.name = json_text(value), .category = mem_zero(b->category_count * MT_TURNS + 1, sizeof(struct mt_cell))};
    return ST_OK;
}

static void keep(struct mt_model *m, struct mt_verdict v) {
    if ((m->verdict_count & (m->verdict_count - 1)) == 0)
        m->verdicts = mem_resize(m->verdicts, (m->verdict_count ? 2 * m->verdict_count : 1) * sizeof *m->verdicts);
    m->verdicts[m->verdict_count++] = v;
}

static status grade_of(double *out, struct json row) {
    const struct json score = json_get(row, "score"), judgement = json_get(row, "judgment");
    struct buf text = {0};
    if (json_double(out, score))
        return *out == -1 || (*out >= 0 && *out <= 100) ? ST_OK : FAIL(ST_FORMAT, "field score: expected -1, or 0 to 100, found %g", *out);
    if (json_kind_of(score) != JSON_NONE || !json_string(&text, judgement))
        return FAIL(ST_FORMAT, "field score: expected a number, found %s (without it, judgment is read)",
                    json_kind_name(json_kind_of(score)));
    *out = mt_grade(buf_text(&text), text.size);
    buf_release(&text);
    return *out <= 100 ? ST_OK : FAIL(ST_FORMAT, "field judgment: a grade of %g", *out);
}

static status add_single(struct mt_bench *b, struct json row) {
    int64_t id = 0, turn = 0;
    double grade = 0;
    struct mt_model *model;
    TRY(number_field(&id, row, "question_id"));
    TRY(number_field(&turn, row, "turn"));
    if (turn < 1 || turn > MT_TURNS) return FAIL(ST_FORMAT, "field turn: expected 1 or 2, found %lld", (long long)turn);
    TRY(grade_of(&grade, row));
    const struct mt_question wanted = {.id = id};
    const struct mt_question *q = b->question_count ? bsearch(&wanted, b->questions, b->question_count, sizeof *b->questions, by_id) : NULL;
    if (b->question_count && !q) return FAIL(ST_MISMATCH, "field question_id: question %lld is not among the questions", (long long)id);
    b->singles++;
    if (grade < 0) return b->ungraded++, ST_OK;
    TRY(find_model(&model, b, row, "model"));
    struct mt_cell *cells[] = {&model->turn[turn - 1], q ? &model->category[q->category * MT_TURNS + (size_t)turn - 1] : NULL};
    for (size_t i = 0; i < 2 && cells[i]; i++) {
        cells[i]->sum += grade;
        cells[i]->count++;
    }
    keep(model, (struct mt_verdict){id, q ? q->category : SIZE_MAX, (int)turn, grade});
    return ST_OK;
}

/* 1 or 2: a model; 0: a tie; -1: an error of the judge. */
static status winner_of(int *out, struct json row, const char *field) {
    static const char *const names[] = {"error", "tie", "model_1", "model_2"};
    const struct json value = json_get(row, field);
    for (int i = 0; json_kind_of(value) == JSON_STRING && i < 4; i++)
        if (json_equals(value, names[i])) return *out = i - 1, ST_OK;
    return FAIL(ST_FORMAT, "field %s: expected model_1, model_2, tie or error", field);
}

static status add_pair(struct mt_bench *b, struct json row) {
    struct mt_model *model;
    size_t at[2];
    int first = 0, second = 0;
    int64_t id = 0;
    TRY(winner_of(&first, row, "g1_winner"));
    TRY(winner_of(&second, row, "g2_winner"));
    b->pairs++;
    if (first < 0 || second < 0) return b->ungraded++, ST_OK;
    if (b->baseline && !json_equals(json_get(row, "model_1"), b->baseline) && !json_equals(json_get(row, "model_2"), b->baseline))
        return ST_OK;
    for (size_t i = 0; i < 2; i++) {
        TRY(find_model(&model, b, row, i ? "model_2" : "model_1"));
        at[i] = (size_t)(model - b->models);
    }
    TRY(number_field(&id, row, "question_id"));
    const int winner = first == second ? first : 0; /* orders that disagree are a tie */
    for (int i = 0; i < 2; i++) {
        model = &b->models[at[i]];
        *(winner == 0 ? &model->ties : winner == i + 1 ? &model->wins : &model->losses) += 1;
        keep(model, (struct mt_verdict){id, SIZE_MAX, 0, winner == 0 ? 0.5 : winner == i + 1});
    }
    return ST_OK;
}

status mt_add(struct mt_bench *b, struct json row) {
    return json_kind_of(json_get(row, "g1_winner")) != JSON_NONE ? add_pair(b, row) : add_single(b, row);
}

status mt_load_judgements(struct mt_bench *b, const char *path) { return each_object(path, mt_add, b); }

/* ---- figures ---- */

static const char *const figure_names[MT_FIGURES] = {"turn_1", "turn_2", "average", "win_rate", "loss_rate", "win_rate_adjusted"};

/* NaN: not one of the figure's. */
static double counted(const struct mt_verdict *v, enum mt_figure figure, size_t category) {
    const bool pair = v->turn == 0;
    if (category != SIZE_MAX && v->category != category) return (double)NAN;
    switch (figure) {
    case MT_TURN_1:
    case MT_TURN_2: return v->turn == 1 + (int)figure ? v->value : (double)NAN;
    case MT_AVERAGE: return pair ? (double)NAN : v->value;
    case MT_WIN_RATE: return pair ? v->value == 1 : (double)NAN;
    case MT_LOSS_RATE: return pair ? v->value == 0 : (double)NAN;
    case MT_WIN_RATE_ADJUSTED: return pair ? v->value : (double)NAN;
    case MT_FIGURES: break;
    }
    return (double)NAN;
}

status mt_estimate(struct estimate *out, const struct mt_model *m, const struct bootstrap_params *p, enum mt_figure figure,
                   size_t category) {
    const size_t n = m->verdict_count;
    double *values = NULL;
    uint64_t *questions = NULL;
    status s = mem_try_alloc(&values, n ? n : 1, sizeof *values, "grades");
    if (s == ST_OK) s = mem_try_alloc(&questions, n ? n : 1, sizeof *questions, "questions");
    for (size_t i = 0; s == ST_OK && i < n; i++) {
        values[i] = counted(&m->verdicts[i], figure, category);
        questions[i] = (uint64_t)m->verdicts[i].question;
    }
    if (s == ST_OK) s = bootstrap_mean(out, p, values, questions, n);
    free(values);
    free(questions);
    return s;
}

/* ---- output ---- */

static void put_number(struct buf *json, const char *name, double value) {
    buf_printf(json, ", \"%s\": ", name);
    json_put_double(json, value);
}

/* The values as FastChat has them, then their intervals; to the table, value and interval of each. */
static status put_figures(struct buf *json, struct buf *text, const struct mt_model *m, const struct bootstrap_params *p,
                          const double values[3], enum mt_figure first, size_t category) {
    for (int i = 0; i < 3; i++) put_number(json, figure_names[first + i], values[i]);
    buf_append_text(json, ", \"intervals\": {");
    for (int i = 0; i < 3; i++) {
        struct estimate e;
        TRY(mt_estimate(&e, m, p, (enum mt_figure)((int)first + i), category));
        buf_printf(json, "%s\"%s\": [", i ? ", " : "", figure_names[first + i]);
        json_put_double(json, e.low);
        buf_append_text(json, ", ");
        json_put_double(json, e.high);
        buf_append_char(json, ']');
        estimate_text(text, &e);
    }
    buf_append_char(json, '}');
    estimate_end_line(text);
    return ST_OK;
}

static status put_grades(struct buf *json, struct buf *text, const struct mt_model *m, const struct bootstrap_params *p, size_t category) {
    const struct mt_cell *cells = category == SIZE_MAX ? m->turn : m->category + category * MT_TURNS;
    const struct mt_cell both = {cells[0].sum + cells[1].sum, cells[0].count + cells[1].count};
    const double values[] = {mt_mean(&cells[0]), mt_mean(&cells[1]), mt_mean(&both)};
    buf_printf(json, "\"graded\": [%zu, %zu]", cells[0].count, cells[1].count);
    return put_figures(json, text, m, p, values, MT_TURN_1, category);
}

static status put_single(struct buf *json, struct buf *text, const struct mt_bench *b, const struct mt_model *m,
                         const struct bootstrap_params *p) {
    buf_printf(text, "%-30s  ", m->name);
    buf_append_text(json, ", \"single\": {");
    TRY(put_grades(json, text, m, p, SIZE_MAX));
    buf_append_text(json, ", \"categories\": {");
    for (size_t c = 0; c < b->category_count; c++) {
        if (c) buf_append_text(json, ", ");
        json_put_text(json, b->categories[c]);
        buf_append_text(json, ": {");
        buf_printf(text, "  %-28s  ", b->categories[c]);
        TRY(put_grades(json, text, m, p, c));
        buf_append_char(json, '}');
    }
    buf_append_text(json, "}}");
    return ST_OK;
}

static status put_pairs(struct buf *json, struct buf *text, const struct mt_model *m, const struct bootstrap_params *p) {
    const double n = (double)(m->wins + m->losses + m->ties);
    const double values[] = {(double)m->wins / n, (double)m->losses / n, ((double)m->wins + 0.5 * (double)m->ties) / n};
    buf_printf(json, ", \"pairwise\": {\"win\": %zu, \"loss\": %zu, \"tie\": %zu", m->wins, m->losses, m->ties);
    buf_printf(text, "%-30s  %zu won, %zu lost, %zu tied: shares won, lost, and won with ties as halves\n%32s", m->name, m->wins, m->losses,
               m->ties, "");
    TRY(put_figures(json, text, m, p, values, MT_WIN_RATE, SIZE_MAX));
    buf_append_char(json, '}');
    return ST_OK;
}

status mt_put(struct buf *json, struct buf *text, const struct mt_bench *b, const struct bootstrap_params *p) {
    bool any = false;
    buf_printf(json, "{\"task\": \"mt-bench\", \"judgements\": %zu, \"ungraded\": %zu, \"level\": ", b->singles + b->pairs, b->ungraded);
    json_put_double(json, p->level);
    buf_append_text(json, ", \"models\": [");
    if (b->singles) buf_printf(text, "%-30s  %-24s%-24s%s\n", "single grading", "turn 1", "turn 2", "all");
    for (size_t i = 0; i < b->model_count; i++) {
        const struct mt_model *m = &b->models[i];
        const bool paired = m->wins + m->losses + m->ties > 0;
        if (paired && b->baseline && strcmp(b->baseline, m->name) == 0) continue;
        buf_append_text(json, any ? ", {\"model\": " : "{\"model\": ");
        any = true;
        json_put_text(json, m->name);
        if (m->turn[0].count || m->turn[1].count) TRY(put_single(json, text, b, m, p));
        if (paired) TRY(put_pairs(json, text, m, p));
        buf_append_char(json, '}');
    }
    buf_append_text(json, "]}\n");
    if (b->ungraded) buf_printf(text, "%zu judgements without a grade are left out\n", b->ungraded);
    buf_printf(text, "%g%% intervals by bootstrap over questions\n", 100 * p->level);
    return ST_OK;
}
