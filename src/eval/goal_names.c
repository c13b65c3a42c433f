#include "eval/goal_names.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct part {
    char *name; /* owned */
    double score;
};
struct parts {
    struct part items[GOAL_MAX];
    size_t count;
};

static void release(struct parts *p) {
    for (size_t i = 0; i < p->count; i++) free(p->items[i].name);
    p->count = 0;
}

/* Takes the name. */
static status add(struct parts *p, char *name, double score) {
    for (size_t i = 0; i < p->count; i++)
        if (strcmp(p->items[i].name, name) == 0) {
            status s = FAIL(ST_FORMAT, "two scores for %s", name);
            free(name);
            return s;
        }
    if (p->count == GOAL_MAX) {
        free(name);
        return FAIL(ST_FORMAT, "more than %d attributes", GOAL_MAX);
    }
    p->items[p->count++] = (struct part){name, score};
    return ST_OK;
}

static status of_json(struct parts *p, struct json goal) {
    struct json_iter it = json_iter_begin(goal);
    struct json key, value;
    while (json_iter_next(&it, &key, &value)) {
        double score;
        char *name = json_text(key);
        if (!name) return FAIL(ST_FORMAT, "a name that is no text");
        if (!json_double(&score, value) || !isfinite(score)) {
            status s = FAIL(ST_FORMAT, "%s: expected a finite number, found %s", name, json_kind_name(json_kind_of(value)));
            free(name);
            return s;
        }
        TRY(add(p, name, score));
    }
    return p->count ? ST_OK : FAIL(ST_FORMAT, "expected NAME: score");
}

/* NAME=G,NAME=G up to a semicolon. */
static status of_text(struct parts *p, const char *text) {
    for (const char *at = text;; at++) {
        const size_t name = strcspn(at, "=,;");
        char *end = NULL;
        const double score = at[name] == '=' ? strtod(at + name + 1, &end) : (double)NAN;
        if (!name || !isfinite(score) || end == at + name + 1 || !strchr(",;", *end)) /* strchr finds the end too */
            return FAIL(ST_USAGE, "expected goals as the samples have them, NAME=G,NAME=G;NAME=G,..");
        TRY(add(p, mem_text_n(at, name), score));
        at = end;
        if (*at != ',') return ST_OK;
    }
}

static int by_name(const void *a, const void *b) { return strcmp(((const struct part *)a)->name, ((const struct part *)b)->name); }

static char *written(const struct parts *p, bool json) {
    struct buf out = {0};
    for (size_t i = 0; i < p->count; i++) {
        buf_append_text(&out, i ? json ? ", " : "," : json ? "{" : "");
        if (json)
            json_put_text(&out, p->items[i].name);
        else
            buf_append_text(&out, p->items[i].name);
        buf_append_text(&out, json ? ": " : "=");
        goal_put_number(&out, p->items[i].score);
    }
    if (json) buf_append_char(&out, '}');
    char *text = mem_text(buf_text(&out));
    buf_release(&out);
    return text;
}

/* Sorts the parts; key: what tells goals apart, the caller's. */
static size_t find(char **key, const struct goal_names *n, struct parts *p) {
    size_t at = 0;
    qsort(p->items, p->count, sizeof *p->items, by_name);
    *key = written(p, true);
    while (at < n->count && strcmp(n->items[at].key, *key) != 0) at++;
    return at;
}

status goal_names_number(double *out, struct goal_names *n, struct json goal) {
    struct parts p = {0};
    status s = of_json(&p, goal);
    if (s == ST_OK) {
        struct goal_name name = {.text = written(&p, false), .json = written(&p, true)};
        const size_t at = find(&name.key, n, &p);
        *out = (double)at;
        if (at < n->count) {
            free(name.text);
            free(name.json);
            free(name.key);
        } else {
            if (n->count == n->capacity) {
                n->capacity = n->capacity ? 2 * n->capacity : 16;
                n->items = mem_resize(n->items, n->capacity * sizeof *n->items);
            }
            n->items[n->count++] = name;
        }
    }
    release(&p);
    return s == ST_OK ? s : status_note(s, "field goal: ");
}

status goal_names_find(double *out, size_t *count, size_t most, const struct goal_names *n, const char *text) {
    *count = 0;
    for (const char *at = text; at; at = strchr(at, ';') ? strchr(at, ';') + 1 : NULL) {
        struct parts p = {0};
        char *key = NULL;
        status s = *count < most ? of_text(&p, at) : FAIL(ST_USAGE, "more than %zu goals", most);
        if (s == ST_OK) {
            const size_t found = find(&key, n, &p);
            out[(*count)++] = (double)found;
            if (found == n->count) s = FAIL(ST_MISMATCH, "no samples under %.*s", (int)strcspn(at, ";"), at);
        }
        free(key);
        release(&p);
        if (s != ST_OK) return status_note(s, "--goals '%s': ", text);
    }
    return ST_OK;
}

void goal_names_release(struct goal_names *n) {
    for (size_t i = 0; i < n->count; i++) {
        free(n->items[i].text);
        free(n->items[i].json);
        free(n->items[i].key);
    }
    free(n->items);
    *n = (struct goal_names){0};
}
