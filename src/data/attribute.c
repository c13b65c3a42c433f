#include "data/attribute.h"

#include <stdio.h>
#include <string.h>

#include "data/source.h"

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
    if (!value.size) value = json_get(json_get(own, "attributes"), name);
    if (!value.size) value = in_list(json_get(row->row, name), i, row->response_count);
    return value;
}

static struct json of_side(const struct record *row, size_t i, const char *name) {
    const char *side = i ? "rejected" : "chosen";
    const struct {
        const char *a, *between, *b;
    } forms[] = {{name, "_", side},     {side, "_", name},        {side, "-", name}, {"fine_grain_score", "_", side},
                 {"scores", "_", side}, {"attributes", "_", side}};
    struct json value = {0};
    char key[160];
    for (size_t k = 0; k < sizeof forms / sizeof forms[0] && !value.size; k++) {
        const int n = snprintf(key, sizeof key, "%s%s%s", forms[k].a, forms[k].between, forms[k].b);
        if (n < 0 || (size_t)n >= sizeof key) continue;
        value = json_get(row->row, key);
        if (k >= 3) value = json_get(value, name);
    }
    return value;
}

static struct json of_completion(struct json row, const char *name) {
    struct json value = at_path(row, name);
    if (!value.size) value = json_get(json_get(row, "scores"), name);
    return value.size ? value : json_get(json_get(row, "attributes"), name);
}

static status missing(const struct record *row, size_t i, const char *name) {
    if (row->kind == RECORD_RESPONSES)
        return FAIL(
            ST_FORMAT,
            "response %zu has no %s: neither a member of that name, nor annotations.%s.Rating, nor scores.%s, nor attributes.%s, nor has "
            "the row a list %s of %zu numbers",
            i + 1, name, name, name, name, name, row->response_count);
    const char *side = i ? "rejected" : "chosen";
    if (row->kind == RECORD_PAIR)
        return FAIL(ST_FORMAT,
                    "no %s of the %s response: expected %s_%s, %s_%s, %s-%s, or %s inside fine_grain_score_%s, scores_%s or attributes_%s",
                    name, side, name, side, side, name, side, name, name, side, side, side);
    return FAIL(ST_FORMAT, "field %s: missing, and neither scores nor attributes has it", name);
}

status attribute_find(double *out, const struct record *row, size_t i, const char *name) {
    const struct json value = row->kind == RECORD_RESPONSES ? of_response(row, i, name)
                              : row->kind == RECORD_PAIR    ? of_side(row, i, name)
                                                            : of_completion(row->row, name);
    char path[96];
    if (!value.size) return missing(row, i, name);
    snprintf(path, sizeof path, "%.60s of response %zu", name, i + 1);
    return field_score(out, value, path);
}

static bool is_one_of(struct json key, const char *const *names, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (json_equals(key, names[i])) return true;
    return false;
}

bool attribute_is_of_side(struct json key) {
    static const char *const names[] = {"scores_chosen", "scores_rejected", "attributes_chosen", "attributes_rejected"};
    return is_one_of(key, names, sizeof names / sizeof names[0]);
}

bool attribute_is_member(struct json key) {
    static const char *const names[] = {"scores", "attributes"};
    return attribute_is_of_side(key) || is_one_of(key, names, sizeof names / sizeof names[0]);
}
