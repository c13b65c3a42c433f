/* reward_column: scores that the rows have already under some name. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/source.h"
#include "reward/reward.h"

struct column {
    struct reward_weight terms[REWARD_NAMES_MAX];
    size_t count;
};

status reward_column_open(struct reward *r, const struct reward_options *o) {
    struct column *c = mem_zero(1, sizeof *c);
    r->state = c;
    if (o->column) {
        c->terms[c->count++] = (struct reward_weight){o->column, 1};
        return ST_OK;
    }
    memcpy(c->terms, o->weights, sizeof c->terms);
    c->count = o->weight_count;
    return ST_OK;
}

void reward_column_release(struct reward *r) { free(r->state); }

/* The member at a path of names joined by dots; a name that has dots itself comes first. */
static struct json at_path(struct json object, const char *path) {
    char name[64];
    for (;;) {
        const struct json value = json_get(object, path);
        const char *dot = strchr(path, '.');
        if (value.size || !dot || (size_t)(dot - path) >= sizeof name) return value;
        memcpy(name, path, (size_t)(dot - path));
        name[dot - path] = '\0';
        object = json_get(object, name);
        path = dot + 1;
    }
}

static struct json in_list(struct json list, size_t index, size_t count) {
    struct json_iter it = json_iter_begin(list);
    struct json key, value = {0};
    if (json_kind_of(list) != JSON_ARRAY || json_count(list) != count) return (struct json){0};
    for (size_t i = 0; i <= index; i++) json_iter_next(&it, &key, &value);
    return value;
}

/* Of one of K responses: its own member, an aspect of it, or its place in a list of the row. */
static struct json of_response(const struct record *row, size_t i, const char *name) {
    const struct json own = row->responses[i].source;
    struct json value = at_path(own, name);
    if (!value.size) value = json_get(json_get(json_get(own, "annotations"), name), "Rating");
    if (!value.size) value = json_get(json_get(own, "scores"), name);
    if (!value.size) value = in_list(json_get(row->row, name), i, row->response_count);
    return value;
}

/* Of a side of a pair: NAME_chosen, chosen_NAME, chosen-NAME, or NAME inside fine_grain_score_chosen or scores_chosen. */
static struct json of_side(const struct record *row, size_t i, const char *name) {
    const char *side = i ? "rejected" : "chosen";
    const struct {
        const char *a, *between, *b;
    } forms[] = {{name, "_", side}, {side, "_", name}, {side, "-", name}, {"fine_grain_score", "_", side}, {"scores", "_", side}};
    struct json value = {0};
    char key[160];
    for (size_t k = 0; k < 5 && !value.size; k++) {
        const int n = snprintf(key, sizeof key, "%s%s%s", forms[k].a, forms[k].between, forms[k].b);
        if (n < 0 || (size_t)n >= sizeof key) continue;
        value = json_get(row->row, key);
        if (k >= 3) value = json_get(value, name);
    }
    return value;
}

static status missing(const struct record *row, size_t i, const char *name) {
    if (row->kind == RECORD_RESPONSES)
        return FAIL(ST_FORMAT, "response %zu has no %s: neither a member of that name, nor annotations.%s.Rating, nor scores.%s, nor has "
            "the row a list %s of %zu numbers",
                    i + 1, name, name, name, name, row->response_count);
    const char *side = i ? "rejected" : "chosen";
    if (row->kind == RECORD_PAIR)
        return FAIL(ST_FORMAT, "no %s of the %s response: expected %s_%s, %s_%s, %s-%s, or %s inside fine_grain_score_%s or scores_%s",
            name, side, name, side, side,
                    name, side, name, name, side, side);
    return FAIL(ST_FORMAT, "field %s: missing", name);
}

/* What the program itself reads, whatever the row calls it. *known is false for other names. */
static double of_record(const struct record *row, size_t i, const char *name, bool *known) {
    const bool fine = strcmp(name, "fine-mean") == 0;
    *known = fine || strcmp(name, "score") == 0;
    if (!*known) return (double)NAN;
    if (row->kind == RECORD_RESPONSES) return fine ? row->responses[i].fine_mean : row->responses[i].score;
    if (i) return fine ? row->fine_rejected : row->score_rejected;
    return fine ? row->fine_chosen : row->score_chosen;
}

static status term(double *out, const struct record *row, size_t i, const char *name) {
    bool known;
    *out = of_record(row, i, name, &known);
    if (known) return ST_OK;
    const struct json value = row->kind == RECORD_RESPONSES ? of_response(row, i, name)
                              : row->kind == RECORD_PAIR    ? of_side(row, i, name)
                                                            : at_path(row->row, name);
    if (!value.size) return missing(row, i, name);
    char path[96];
    snprintf(path, sizeof path, "%.60s of response %zu", name, i + 1);
    TRY(field_score(out, value, path));
    return strcmp(name, "rank") == 0 ? source_score_of_rank(out, *out, reward_responses(row), path) : ST_OK;
}

status reward_column_score(struct reward *r, struct reward_values *out, const struct record *row) {
    const struct column *c = r->state;
    const size_t n = reward_responses(row), before = out->count;
    for (size_t i = 0; i < n; i++) {
        double sum = 0, value;
        for (size_t k = 0; k < c->count; k++) {
            status s = term(&value, row, i, c->terms[k].name);
            if (s != ST_OK) {
                out->count = before;
                return s;
            }
            sum += c->terms[k].weight * value; /* NaN, a part that is not rated, leaves none */
        }
        reward_values_add(out, sum);
    }
    return ST_OK;
}
