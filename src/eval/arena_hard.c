/* arena_hard: reading judgements and answers. */
#include "eval/arena_hard.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "format/rows.h"

#define MODELS_MAX 10000

void arena_hard_release(struct arena_set *s) {
    for (size_t i = 0; i < s->model_count; i++) free(s->models[i]);
    for (size_t i = 0; s->questions && i < s->count; i++) free(s->questions[i]);
    free(s->models);
    free(s->questions);
    free(s->items);
    free(s->baseline);
    free(s->category);
    *s = (struct arena_set){0};
}

const char *arena_hard_baseline(const struct yaml *prompts, enum arena_version version, const char *category) {
    const struct yaml_node *node = yaml_get(yaml_get(prompts->root, "baselines"), version == ARENA_V2 ? category : "arena-hard-v0.1");
    return node ? node->text : NULL;
}

/* ---- judgements ---- */

struct verdict {
    const char *label;
    double outcome; /* for A */
    size_t weight;
};
/* The first five are v0.1's, all are v2's. */
static const struct verdict verdicts[] = {{"A=B", 0.5, 1}, {"A>B", 1, 1},  {"A>>B", 1, 3},  {"B>A", 0, 1}, {"B>>A", 0, 3},
                                          {"A<B", 0, 1},   {"A<<B", 0, 3}, {"B=A", 0.5, 1}, {"B<A", 1, 1}, {"B<<A", 1, 3}};

/* NULL without *wrong: there is no verdict. */
static const struct verdict *verdict_of(bool *wrong, const struct arena_set *s, struct json games, size_t which) {
    const size_t known = s->version == ARENA_V01 ? 5 : sizeof verdicts / sizeof verdicts[0];
    struct json key, game = {0}, score;
    struct json_iter it = json_iter_begin(games);
    *wrong = false;
    for (size_t i = 0; i <= which; i++)
        if (!json_iter_next(&it, &key, &game)) return NULL;
    score = json_get(game, "score");
    for (size_t i = 0; json_kind_of(score) == JSON_STRING && i < known; i++)
        if (json_equals(score, verdicts[i].label)) return &verdicts[i];
    *wrong = json_kind_of(score) == JSON_STRING && s->version == ARENA_V2; /* v0.1 passes over what it does not know */
    return NULL;
}

/* Behind the last slash: v2 shows models so. */
static char *short_name(struct json value, bool cut) {
    char *name = json_text(value), *slash = name && cut ? strrchr(name, '/') : NULL;
    if (slash) memmove(name, slash + 1, strlen(slash + 1) + 1);
    return name;
}

static status model_index(size_t *out, struct arena_set *s, struct json value) {
    if (json_kind_of(value) != JSON_STRING)
        return FAIL(ST_FORMAT, "field model: expected a string, found %s", json_kind_name(json_kind_of(value)));
    char *name = short_name(value, s->version == ARENA_V2);
    for (*out = 0; *out < s->model_count; ++*out)
        if (strcmp(s->models[*out], name) == 0) return free(name), ST_OK;
    if (s->model_count == MODELS_MAX || strcmp(name, s->baseline) == 0) {
        status code = s->model_count == MODELS_MAX
                          ? FAIL(ST_UNSUPPORTED, "more than %d models", MODELS_MAX)
                          : FAIL(ST_MISMATCH, "field model: '%.80s' is the baseline; give another --baseline", name);
        free(name);
        return code;
    }
    s->models = mem_resize(s->models, (s->model_count + 1) * sizeof *s->models);
    s->models[s->model_count++] = name;
    return ST_OK;
}

static void add_battles(struct arena_set *s, const struct verdict *v, size_t model, bool model_is_a, const char *question) {
    for (size_t i = 0; i < v->weight; i++) {
        if (s->count == s->capacity) {
            s->capacity = s->capacity ? 2 * s->capacity : 4096;
            s->items = mem_resize(s->items, s->capacity * sizeof *s->items);
            if (s->keep_questions) s->questions = mem_resize(s->questions, s->capacity * sizeof *s->questions);
        }
        if (s->keep_questions) s->questions[s->count] = mem_text(question);
        s->items[s->count++] = (struct arena_battle){.model = model, .outcome = model_is_a ? v->outcome : 1 - v->outcome};
    }
}

status arena_hard_add(struct arena_set *s, struct json row) {
    const struct json games = json_get(row, "games"), id = json_get(row, s->version == ARENA_V2 ? "uid" : "question_id");
    const struct verdict *v[2];
    bool wrong[2];
    size_t model = 0;
    if (json_kind_of(row) != JSON_OBJECT) return FAIL(ST_FORMAT, "expected an object, found %s", json_kind_name(json_kind_of(row)));
    if (s->category) {
        const struct json category = json_get(row, "category");
        if (json_kind_of(category) != JSON_STRING)
            return FAIL(ST_FORMAT, "field category: expected a string, found %s", json_kind_name(json_kind_of(category)));
        if (!json_equals(category, s->category)) return ST_OK;
    }
    const struct json against = json_get(row, "baseline");
    if (s->version == ARENA_V2 && json_kind_of(against) == JSON_STRING && !json_equals(against, s->baseline))
        return FAIL(ST_MISMATCH, "field baseline: judged against %.*s, and the baseline is %.80s; --baseline NAME says another",
                    (int)(against.size < 80 ? against.size : 80), against.text, s->baseline);
    if (json_kind_of(id) != JSON_STRING)
        return FAIL(ST_FORMAT, "field %s: expected a string, found %s", s->version == ARENA_V2 ? "uid" : "question_id",
                    json_kind_name(json_kind_of(id)));
    if (json_kind_of(games) != JSON_ARRAY || json_count(games) < 2)
        return FAIL(ST_FORMAT, "field games: expected an array of two games, one in each order");
    for (size_t i = 0; i < 2; i++) {
        v[i] = verdict_of(&wrong[i], s, games, i);
        if (wrong[i]) return FAIL(ST_FORMAT, "field games: the score of game %zu is no verdict such as A>B", i + 1);
    }
    TRY(model_index(&model, s, json_get(row, "model")));
    char *question = json_text(id);
    const bool all = v[0] && v[1];
    const size_t first = s->version == ARENA_V2; /* its list has game 2 first */
    s->skipped += s->version == ARENA_V2 ? (all ? 0 : 2) : (size_t)!v[0] + !v[1];
    for (size_t i = 0; i < 2; i++) {
        const size_t game = first ? 1 - i : i;
        if (v[game] && (all || s->version == ARENA_V01)) add_battles(s, v[game], model, game == 1, question);
    }
    free(question);
    return ST_OK;
}

static status take_judgement(void *context, struct json row) { return arena_hard_add(context, row); }

status arena_hard_load(struct arena_set *s, const char *path) { return rows_each(path, take_judgement, s); }

/* ---- answers ---- */

struct answer {
    uint64_t key; /* of model and question */
    double count[ARENA_STYLES];
};
struct answers {
    const struct arena_set *set;
    struct answer *items;
    size_t count, capacity;
};

static uint64_t answer_key(const char *model, const char *question) {
    return hash_bytes(question, strlen(question), hash_bytes(model, strlen(model), 1));
}

/* A whole number, or the sum of an object's. */
static status count_of(double *out, struct json metadata, const char *name) {
    const struct json value = json_get(metadata, name);
    struct json key, part;
    int64_t n;
    *out = 0;
    if (json_kind_of(value) == JSON_OBJECT) {
        for (struct json_iter it = json_iter_begin(value); json_iter_next(&it, &key, &part);) {
            if (!json_int(&n, part) || n < 0) return FAIL(ST_FORMAT, "field metadata.%s: expected whole numbers of 0 or more", name);
            *out += (double)n;
        }
        return ST_OK;
    }
    if (!json_int(&n, value) || n < 0)
        return FAIL(ST_FORMAT, "field metadata.%s: expected a whole number of 0 or more, or an object of them", name);
    *out = (double)n;
    return ST_OK;
}

static status take_answer(void *context, struct json row) {
    static const char *const names[ARENA_STYLES] = {"token_len", "header_count", "list_count", "bold_count"};
    struct answers *a = context;
    struct answer answer;
    const struct json metadata = json_get(row, "metadata"), model = json_get(row, "model"), uid = json_get(row, "uid");
    if (json_kind_of(model) != JSON_STRING || json_kind_of(uid) != JSON_STRING)
        return FAIL(ST_FORMAT, "expected an answer with uid and model, two strings");
    if (json_kind_of(metadata) != JSON_OBJECT)
        return FAIL(ST_FORMAT, "field metadata: expected an object, found %s", json_kind_name(json_kind_of(metadata)));
    for (size_t i = 0; i < ARENA_STYLES; i++) TRY(count_of(&answer.count[i], metadata, names[i]));
    char *name = short_name(model, true), *question = json_text(uid);
    answer.key = answer_key(name, question);
    free(name);
    free(question);
    if (a->count == a->capacity) {
        a->capacity = a->capacity ? 2 * a->capacity : 1024;
        a->items = mem_resize(a->items, a->capacity * sizeof *a->items);
    }
    a->items[a->count++] = answer;
    return ST_OK;
}

static int by_key(const void *a, const void *b) {
    const struct answer *x = a, *y = b;
    return (x->key > y->key) - (x->key < y->key);
}

static const struct answer *find_answer(const struct answers *a, const char *model, const char *question) {
    const struct answer wanted = {.key = answer_key(model, question)};
    return a->count ? bsearch(&wanted, a->items, a->count, sizeof *a->items, by_key) : NULL;
}

/* show_result.py: the length's difference over its sum; the marks a token, their difference over their sum and 1. */
static void style_of(double *style, const double *own, const double *base) {
    style[0] = own[0] + base[0] > 0 ? (own[0] - base[0]) / (own[0] + base[0]) : 0;
    for (size_t i = 1; i < ARENA_STYLES; i++) {
        const double x = own[i] / (own[0] + 1), y = base[i] / (base[0] + 1);
        style[i] = (x - y) / (x + y + 1);
    }
}

status arena_hard_load_styles(struct arena_set *s, const char *const *paths, size_t count) {
    struct answers a = {.set = s};
    status code = ST_OK;
    CHECK(s->keep_questions);
    for (size_t i = 0; code == ST_OK && i < count; i++) code = rows_each(paths[i], take_answer, &a);
    if (code == ST_OK && a.count) qsort(a.items, a.count, sizeof *a.items, by_key);
    for (size_t i = 0; code == ST_OK && i < s->count; i++) {
        const char *model = s->models[s->items[i].model], *question = s->questions[i];
        const struct answer *own = find_answer(&a, model, question), *base = find_answer(&a, s->baseline, question);
        if (own && base)
            style_of(s->items[i].style, own->count, base->count);
        else
            code = FAIL(ST_MISMATCH, "--answers: there is no answer of %.80s to question %.80s", own ? s->baseline : model, question);
    }
    free(a.items);
    return code;
}
