/* bench_answers: answer files of AlpacaEval, MT-Bench and Arena-Hard. */
#include <stdlib.h>
#include <string.h>

#include "eval/bench_judge.h"
#include "format/rows.h"

char *bench_id_text(struct json value) {
    int64_t n;
    char text[24];
    if (json_kind_of(value) == JSON_STRING) return json_text(value);
    if (!json_int(&n, value)) return NULL;
    snprintf(text, sizeof text, "%lld", (long long)n);
    return mem_text(text);
}

static void answer_release(struct bench_answer *a) {
    free(a->id);
    free(a->model);
    free(a->turns[0]);
    free(a->turns[1]);
    free(a->dataset);
}

void bench_answers_release(struct bench_answers *a) {
    for (size_t i = 0; i < a->count; i++) answer_release(&a->items[i]);
    free(a->items);
    free(a->order);
    *a = (struct bench_answers){0};
}

static status wanted(char **out, struct json value, const char *field, const char *what) {
    *out = json_text(value);
    return *out ? ST_OK : FAIL(ST_FORMAT, "field %s: expected %s, found %s", field, what, json_kind_name(json_kind_of(value)));
}

static struct json first_of(struct json array) {
    struct json_iter it = json_iter_begin(json_kind_of(array) == JSON_ARRAY ? array : (struct json){0});
    struct json key, value;
    return json_iter_next(&it, &key, &value) ? value : (struct json){0};
}

/* choices[0].turns: texts, or objects with their content. */
static status read_turns(struct bench_answer *a, struct json row) {
    const struct json turns = json_get(first_of(json_get(row, "choices")), "turns");
    struct json_iter it = json_iter_begin(turns);
    struct json key, turn;
    if (json_kind_of(turns) != JSON_ARRAY || json_count(turns) < 1 || json_count(turns) > 2)
        return FAIL(ST_FORMAT, "field choices: expected [{\"turns\": [one or two texts]}]");
    for (size_t i = 0; json_iter_next(&it, &key, &turn); i++)
        TRY(wanted(&a->turns[i], json_kind_of(turn) == JSON_OBJECT ? json_get(turn, "content") : turn, "choices[0].turns", "texts"));
    return ST_OK;
}

/* messages[-1].content: a text, or {answer: text}. */
static status read_last_message(struct bench_answer *a, struct json row) {
    struct json_iter it = json_iter_begin(json_get(row, "messages"));
    struct json key, message = {0}, next;
    while (json_iter_next(&it, &key, &next)) message = next;
    const struct json content = json_get(message, "content");
    return wanted(&a->turns[0], json_kind_of(content) == JSON_OBJECT ? json_get(content, "answer") : content, "messages",
                  "a last message with content: {\"answer\": text}");
}

static status read_answer(struct bench_answer *a, struct json row, enum bench_form form) {
    if (json_kind_of(row) != JSON_OBJECT) return FAIL(ST_FORMAT, "expected an object, found %s", json_kind_name(json_kind_of(row)));
    if (form == BENCH_FORM_ALPACA) {
        a->dataset = json_text(json_get(row, "dataset"));
        TRY(wanted(&a->id, json_get(row, "instruction"), "instruction", "a string"));
        TRY(wanted(&a->model, json_get(row, "generator"), "generator", "a string"));
        return wanted(&a->turns[0], json_get(row, "output"), "output", "a string");
    }
    const bool new = form == BENCH_FORM_ARENA && json_get(row, "uid").size;
    const struct json id = json_get(row, new ? "uid" : "question_id");
    a->id = bench_id_text(id);
    if (!a->id)
        return FAIL(ST_FORMAT, "field %s: expected a string or a whole number, found %s",
                    form == BENCH_FORM_ARENA ? "uid or question_id" : "question_id", json_kind_name(json_kind_of(id)));
    TRY(wanted(&a->model, json_get(row, new ? "model" : "model_id"), new ? "model" : "model_id", "a string"));
    return new ? read_last_message(a, row) : read_turns(a, row);
}

struct reading {
    struct bench_answers *set;
    enum bench_form form;
};

static status take(void *context, struct json row) {
    const struct reading *x = context;
    struct bench_answers *s = x->set;
    struct bench_answer a = {0};
    status code = read_answer(&a, row, x->form);
    if (code != ST_OK) {
        answer_release(&a);
        return code;
    }
    if (s->count == s->capacity) {
        s->capacity = s->capacity ? 2 * s->capacity : 1024;
        s->items = mem_resize(s->items, s->capacity * sizeof *s->items);
    }
    s->items[s->count++] = a;
    return ST_OK;
}

static const struct bench_answers *sorting; /* qsort has no context; one thread */

static int by_id(const void *a, const void *b) {
    const size_t i = *(const size_t *)a, j = *(const size_t *)b;
    const struct bench_answer *x = &sorting->items[i], *y = &sorting->items[j];
    int c = strcmp(x->id, y->id);
    if (!c) c = strcmp(x->model, y->model);
    return c ? c : (i > j) - (i < j);
}

static bool same(const struct bench_answer *x, const struct bench_answer *y) {
    return strcmp(x->id, y->id) == 0 && strcmp(x->model, y->model) == 0;
}

status bench_answers_load(struct bench_answers *a, const char *path, enum bench_form form) {
    struct reading x = {a, form};
    const size_t before = a->count;
    TRY(rows_each(path, take, &x));
    if (a->count == before) return FAIL(ST_FORMAT, "%s: no answers", path);
    a->order = mem_resize(a->order, a->count * sizeof *a->order);
    for (size_t i = 0; i < a->count; i++) a->order[i] = i;
    sorting = a;
    qsort(a->order, a->count, sizeof *a->order, by_id);
    for (size_t i = 0; i < a->count; i++) {
        struct bench_answer *y = &a->items[a->order[i]];
        const struct bench_answer *x1 = i ? &a->items[a->order[i - 1]] : NULL;
        y->twin = x1 && same(x1, y) ? x1->twin + 1 : 0;
        if (y->twin && !a->twins) return FAIL(ST_FORMAT, "%s: an answer of %.80s to %.80s stands twice", path, y->model, y->id);
    }
    return ST_OK;
}

status bench_answers_one_model(const struct bench_answers *a, const char *path, const char *what) {
    for (size_t i = 1; i < a->count; i++)
        if (strcmp(a->items[i].model, a->items[0].model) != 0)
            return FAIL(ST_MISMATCH, "%s: %s of '%.80s' and of '%.80s'; give one file a model", path, what, a->items[0].model,
                        a->items[i].model);
    return ST_OK;
}

const struct bench_answer *bench_answers_find(const struct bench_answers *a, const char *id, const char *model, size_t twin) {
    size_t low = 0, high = a->count;
    while (low < high) { /* the first that is not before id */
        const size_t middle = (low + high) / 2;
        if (strcmp(a->items[a->order[middle]].id, id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < a->count; low++) {
        const struct bench_answer *x = &a->items[a->order[low]];
        if (strcmp(x->id, id) != 0) return NULL;
        if (x->twin == twin && (!model || strcmp(x->model, model) == 0)) return x;
    }
    return NULL;
}
