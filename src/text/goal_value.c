/* goal_value: a goal's numbers: as text, as JSON, counted, compared. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/goal.h"

/* Drops the noise that a product or quotient of decimal fractions leaves behind the twelfth digit (73 * 0.1 is not 7.3). */
static double snap(double value) {
    char text[40];
    snprintf(text, sizeof text, "%.12g", value);
    return strtod(text, NULL);
}

void goal_put_number(struct buf *out, double value) { json_put_double(out, value == 0 ? 0 : value); /* no "-0" */ }

void goal_put_score(struct buf *out, const struct goal_style *g, double score) {
    if (g->quantum > 0 && isfinite(score)) score = snap(round(snap(score / g->quantum)) * g->quantum);
    goal_put_number(out, score);
}

/* "instruction_following" -> "Instruction following". */
void goal_put_label(struct buf *out, const char *name) {
    if (strcmp(name, GOAL_OVERALL) == 0) {
        buf_append_text(out, "Overall score");
        return;
    }
    for (const char *at = name; *at; at++) {
        const char c = *at == '_' || *at == '-' ? ' ' : *at;
        buf_append_char(out, at == name && c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c);
    }
}

struct goal goal_printed(const struct goal_style *g, const struct goal *exact) {
    struct goal printed = *exact;
    struct buf text = {0};
    for (size_t i = 0; g->quantum > 0 && i < exact->count; i++) {
        buf_clear(&text);
        goal_put_score(&text, g, exact->value[i]);
        printed.value[i] = strtod(buf_text(&text), NULL);
    }
    buf_release(&text);
    return printed;
}

void goal_put_name(struct buf *out, const struct goal_style *g, const struct goal *goal) {
    for (size_t i = 0; i < goal->count; i++) {
        if (g->attribute_count) buf_printf(out, "%s%s=", i ? "," : "", g->attributes[i].name);
        goal_put_score(out, g, goal->value[i]);
    }
}

void goal_put_json(struct buf *out, const struct goal_style *g, const struct goal *goal) {
    if (!goal->count) {
        buf_append_text(out, "null");
        return;
    }
    if (!g->attribute_count) {
        goal_put_number(out, goal->value[0]);
        return;
    }
    for (size_t i = 0; i < goal->count; i++) {
        buf_append_text(out, i ? ", " : "{");
        json_put_text(out, g->attributes[i].name);
        buf_append_text(out, ": ");
        goal_put_number(out, goal->value[i]);
    }
    buf_append_char(out, '}');
}

status goal_check_scale(const struct goal_style *g, const struct goal *goal) {
    struct buf name = {0};
    status s = ST_OK;
    goal_put_name(&name, g, goal);
    if (!g->attribute_count && (goal->value[0] < g->low || goal->value[0] > g->high))
        s = FAIL(ST_USAGE, "goal %s lies outside the scale of %g to %g that the prompt states", buf_text(&name), g->low, g->high);
    for (size_t i = 0; s == ST_OK && i < g->attribute_count; i++) {
        const struct goal_attribute *a = &g->attributes[i];
        if (goal->value[i] < a->low || goal->value[i] > a->high)
            s = FAIL(ST_USAGE, "goal %s: its %s lies outside the scale of %g to %g", buf_text(&name), a->name, a->low, a->high);
    }
    buf_release(&name);
    return s;
}

double goal_distance(const struct goal_style *g, const struct goal *a, const struct goal *b) {
    double sum = 0;
    for (size_t i = 0; i < a->count; i++) {
        const double width = g->attribute_count ? g->attributes[i].high - g->attributes[i].low : g->high - g->low;
        const double d = (a->value[i] - b->value[i]) / width;
        sum += d * d;
    }
    return sqrt(sum);
}

/* What is wrong with `text`, and what would be right. */
static status wrong(const struct goal_style *g, const char *text, const char *what, const char *name) {
    struct buf names = {0};
    for (size_t i = 0; i < g->attribute_count; i++) buf_printf(&names, "%s%s=G", i ? "," : "", g->attributes[i].name);
    status s = FAIL(ST_USAGE, "goal '%.200s': %s%.80s; expected %s, or best, or best with some of these behind it", text, what, name,
                    buf_text(&names));
    buf_release(&names);
    return s;
}

static size_t find_attribute(const struct goal_style *g, const char *name, size_t size) {
    size_t i = 0;
    while (i < g->attribute_count && (strlen(g->attributes[i].name) != size || memcmp(g->attributes[i].name, name, size) != 0)) i++;
    return i;
}

/* Which attributes the text gave, and whether it began with best. */
struct given {
    bool each[GOAL_MAX], best;
};

static status set_one(struct goal *out, struct given *given, const struct goal_style *g, const char *text, const char *name, size_t size,
                      double value) {
    char shown[80];
    snprintf(shown, sizeof shown, "%.*s", size < 70 ? (int)size : 70, name);
    const size_t i = find_attribute(g, name, size);
    if (i == g->attribute_count) return wrong(g, text, "it has no attribute ", shown);
    if (given->each[i]) return wrong(g, text, "it has two numbers for ", shown);
    if (!isfinite(value)) return wrong(g, text, "it has no finite number for ", shown);
    given->each[i] = true;
    out->value[i] = value;
    return ST_OK;
}

static status all_given(const struct given *given, const struct goal_style *g, const char *text) {
    for (size_t i = 0; i < g->attribute_count; i++)
        if (!given->best && !given->each[i]) return wrong(g, text, "it lacks ", g->attributes[i].name);
    return ST_OK;
}

static status parse_attributes(struct goal *out, const struct goal_style *g, const char *text) {
    struct given given = {0};
    *out = (struct goal){.count = g->attribute_count};
    for (const char *at = text;; at++) {
        const size_t size = strcspn(at, ","), name = strcspn(at, "=,");
        if (at == text && size == 4 && memcmp(at, "best", 4) == 0) {
            given.best = true;
            *out = g->best;
        } else {
            char *end = NULL;
            const double value = at[name] == '=' ? strtod(at + name + 1, &end) : 0;
            if (!end) return wrong(g, text, "it is no NAME=G", "");
            const bool number = end > at + name + 1 && end == at + size;
            TRY(set_one(out, &given, g, text, at, name, number ? value : (double)NAN));
        }
        at += size;
        if (!*at) return all_given(&given, g, text);
    }
}

status goal_parse(struct goal *out, const struct goal_style *g, const char *text, const char *why_no_best) {
    char *end;
    if (g->attribute_count) return parse_attributes(out, g, text);
    if (strcmp(text, "best") == 0) {
        *out = g->best;
        return g->best.count ? ST_OK : FAIL(ST_USAGE, "%s", why_no_best ? why_no_best : "no best goal is known");
    }
    *out = goal_of_score(strtod(text, &end));
    if (end == text || *end || !isfinite(out->value[0])) return FAIL(ST_USAGE, "a goal is a number or best, not '%s'", text);
    return ST_OK;
}

status goal_parse_list(struct goal_list *out, const struct goal_style *g, const char *text, const char *why_no_best) {
    const char *mark = g->attribute_count ? ";" : ",";
    struct goal goal;
    for (const char *at = text;; at++) {
        const size_t size = strcspn(at, mark);
        char *one = mem_text_n(at, size);
        status s = size ? goal_parse(&goal, g, one, why_no_best) : ST_OK;
        free(one);
        TRY(s);
        if (size) goal_list_add(out, &goal);
        at += size;
        if (!*at) return ST_OK;
    }
}

void goal_list_add(struct goal_list *l, const struct goal *goal) {
    if (l->count == l->capacity) {
        l->capacity = l->capacity ? 2 * l->capacity : 16;
        l->items = mem_resize(l->items, l->capacity * sizeof *l->items);
    }
    l->items[l->count++] = *goal;
}

bool goal_list_has(const struct goal_list *l, const struct goal *goal) {
    size_t i = 0;
    while (i < l->count && !goal_equal(&l->items[i], goal)) i++;
    return i < l->count;
}

void goal_list_release(struct goal_list *l) {
    free(l->items);
    *l = (struct goal_list){0};
}

status goal_parse_json(struct goal *out, const struct goal_style *g, struct json value, const char *why_no_best) {
    char *text = json_text(value);
    if (text) {
        const bool whole = json_equals(value, text); /* a NUL ends no goal */
        status s = whole ? goal_parse(out, g, text, why_no_best) : FAIL(ST_USAGE, "a goal holds no NUL");
        free(text);
        return s;
    }
    if (!g->attribute_count) {
        *out = goal_of_score(NAN);
        return json_double(&out->value[0], value) ? ST_OK : FAIL(ST_USAGE, "a goal is a number, \"best\" or \"none\"");
    }
    struct given given = {0};
    struct json_iter it = json_iter_begin(value);
    struct json key, item;
    struct buf name = {0};
    status s = json_kind_of(value) == JSON_OBJECT ? ST_OK : wrong(g, "", "it is no object {NAME: G}", "");
    *out = (struct goal){.count = g->attribute_count};
    while (s == ST_OK && json_iter_next(&it, &key, &item)) {
        double number;
        buf_clear(&name);
        json_string(&name, key);
        s = set_one(out, &given, g, "{..}", buf_text(&name), name.size, json_double(&number, item) ? number : (double)NAN);
    }
    buf_release(&name);
    return s == ST_OK ? all_given(&given, g, "{..}") : s;
}

static int compare(const double *a, const double *b, size_t width) {
    for (size_t i = 0; i < width; i++)
        if (a[i] != b[i]) return a[i] < b[i] ? -1 : 1;
    return 0;
}

void goal_counts_add(struct goal_counts *c, const struct goal *goal) {
    size_t low = 0, high = c->size;
    if (!c->width) c->width = goal->count;
    CHECK(c->width == goal->count);
    const size_t w = c->width;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (compare(c->goal + middle * w, goal->value, w) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < c->size && compare(c->goal + low * w, goal->value, w) == 0) {
        c->count[low]++;
        return;
    }
    if (c->size == GOAL_COUNTS_MAX) {
        c->overflow = true;
        return;
    }
    if (!c->goal) {
        c->goal = mem_alloc(GOAL_COUNTS_MAX * w * sizeof *c->goal);
        c->count = mem_alloc(GOAL_COUNTS_MAX * sizeof *c->count);
    }
    memmove(c->goal + (low + 1) * w, c->goal + low * w, (c->size - low) * w * sizeof *c->goal);
    memmove(c->count + low + 1, c->count + low, (c->size - low) * sizeof *c->count);
    memcpy(c->goal + low * w, goal->value, w * sizeof *c->goal);
    c->count[low] = 1;
    c->size++;
}

void goal_counts_release(struct goal_counts *c) {
    free(c->goal);
    free(c->count);
    *c = (struct goal_counts){0};
}
