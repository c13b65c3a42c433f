/* goal_style: how a goal is asked for, and its file. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/utf8.h"
#include "text/goal.h"

const char goal_placement_choices[] = "system|user|after|auto";

static const char *const placement_names[] = {"system", "user", "after", "auto"};

static bool placement_find(enum goal_placement *out, const char *name) {
    for (size_t i = 0; i < sizeof placement_names / sizeof placement_names[0]; i++) {
        if (strcmp(placement_names[i], name) == 0) {
            *out = (enum goal_placement)i;
            return true;
        }
    }
    return false;
}

enum goal_placement goal_placement_parse(const char *name) {
    enum goal_placement p = GOAL_AUTO;
    CHECK(placement_find(&p, name));
    return p;
}

const char *goal_placement_name(enum goal_placement p) { return placement_names[p]; }

void goal_style_default(struct goal_style *g) {
    *g = (struct goal_style){.text = mem_text(GOAL_TEMPLATE_DEFAULT), .placement = GOAL_SYSTEM, .low = 1, .high = 10, .quantum = 0};
}

void goal_style_release(struct goal_style *g) {
    free(g->text);
    free(g->kwargs);
    for (size_t i = 0; i < g->attribute_count; i++) free(g->attributes[i].name);
    for (size_t i = 0; i < g->token_count; i++) free(g->tokens[i]);
    free(g->tokens);
    *g = (struct goal_style){0};
}

void goal_style_set_text(struct goal_style *g, const char *text) {
    free(g->text);
    g->text = mem_text(text);
}

static bool same_label(const char *a, const char *b) {
    struct buf x = {0}, y = {0};
    goal_put_label(&x, a);
    goal_put_label(&y, b);
    const bool same = strcmp(buf_text(&x), buf_text(&y)) == 0;
    buf_release(&x);
    buf_release(&y);
    return same;
}

#define NAME_MAX_BYTES 64
#define TOKENS_MOST 4096
status goal_style_add(struct goal_style *g, const char *name) {
    const size_t size = strlen(name);
    bool plain = size > 0 && size <= NAME_MAX_BYTES && strcmp(name, "best") != 0 && utf8_valid_prefix(name, size) == size;
    for (const char *at = name; plain && *at; at++) plain = (unsigned char)*at >= ' ' && *at != 127 && !strchr("=,;\"#{}", *at);
    if (!plain || name[0] == ' ' || name[size - 1] == ' ')
        return FAIL(ST_USAGE, "'%.80s' is no name for an attribute: 1 to %d bytes of UTF-8, not best, without = , ; # { } and quotes", name,
                    NAME_MAX_BYTES);
    if (g->attribute_count == GOAL_MAX) return FAIL(ST_USAGE, "a goal has at most %d attributes", GOAL_MAX);
    for (size_t i = 0; i < g->attribute_count; i++)
        if (same_label(g->attributes[i].name, name))
            return FAIL(ST_USAGE, "the attributes %s and %s would stand under one name in the goal's text", g->attributes[i].name, name);
    g->attributes[g->attribute_count++] = (struct goal_attribute){.name = mem_text(name), .low = NAN, .high = NAN};
    return ST_OK;
}

static void add_token(struct goal_style *g, char *owned) {
    g->tokens = mem_resize(g->tokens, (g->token_count + 1) * sizeof *g->tokens);
    g->tokens[g->token_count++] = owned;
}

void goal_style_set_tokens(struct goal_style *g, const char *list) {
    for (const char *at = list;; at++) {
        const size_t size = strcspn(at, ",");
        add_token(g, mem_text_n(at, size));
        at += size;
        if (!*at) return;
    }
}

/* One for each goal of the scale, and no two alike. */
static status check_tokens(const struct goal_style *g) {
    if (!g->token_count) return ST_OK;
    const double steps = g->quantum > 0 ? (g->high - g->low) / g->quantum : 0, goals = round(steps) + 1,
                 first = g->quantum > 0 ? g->low / g->quantum : 0;
    if (g->attribute_count) return FAIL(ST_USAGE, "goals of attributes have no tokens");
    if (!(steps > 0) || fabs(steps - round(steps)) > 1e-6 || fabs(first - round(first)) > 1e-6)
        return FAIL(ST_USAGE, "tokens for goals need a scale of whole steps: the scale %g to %g, a quantum of %g", g->low, g->high,
                    g->quantum);
    if (goals != (double)g->token_count)
        return FAIL(ST_USAGE, "%zu tokens for the %g goals from %g to %g in steps of %g", g->token_count, goals, g->low, g->high,
                    g->quantum);
    for (size_t i = 0; i < g->token_count; i++) {
        if (!*g->tokens[i]) return FAIL(ST_USAGE, "a goal's token is empty");
        for (size_t j = 0; j < i; j++)
            if (strcmp(g->tokens[i], g->tokens[j]) == 0) return FAIL(ST_USAGE, "two goals have the token %.80s", g->tokens[i]);
    }
    return ST_OK;
}

static bool one_scale(const struct goal_style *g) {
    size_t i = 1;
    while (i < g->attribute_count && g->attributes[i].low == g->attributes[0].low && g->attributes[i].high == g->attributes[0].high) i++;
    return i >= g->attribute_count;
}

void goal_style_default_lines(struct goal_style *g) { goal_style_set_text(g, one_scale(g) ? GOAL_TEMPLATE_LINES : GOAL_TEMPLATE_SCALED); }

static status check_scale(double low, double high, const char *of) {
    if (isfinite(low) && isfinite(high) && low < high && isfinite(high - low)) return ST_OK;
    return FAIL(ST_USAGE, "the goal's scale%s must run from a lower to a higher number, not from %g to %g", of, low, high);
}

static status check_attributes(const struct goal_style *g) {
    bool overall = false;
    if (!g->text || (!strstr(g->text, GOAL_LINES) && !strstr(g->text, GOAL_SCALED)))
        return FAIL(ST_USAGE, "the goal template has neither " GOAL_LINES " nor " GOAL_SCALED ", the place of the attributes");
    for (size_t i = 0; i < g->attribute_count; i++) {
        char of[NAME_MAX_BYTES + 8];
        snprintf(of, sizeof of, " of %s", g->attributes[i].name);
        TRY(check_scale(g->attributes[i].low, g->attributes[i].high, of));
        overall = overall || strcmp(g->attributes[i].name, GOAL_OVERALL) == 0;
    }
    if (strstr(g->text, "{s}") && !overall)
        return FAIL(ST_USAGE, "the goal template has {s}, the overall score, but " GOAL_OVERALL " is none of the attributes");
    if ((strstr(g->text, "{a}") || strstr(g->text, "{b}")) && !one_scale(g))
        return FAIL(ST_USAGE,
                    "the goal template names one scale, {a} to {b}, but the attributes have different ones: " GOAL_SCALED " writes them");
    CHECK(g->best.count == g->attribute_count);
    return ST_OK;
}

status goal_style_check(const struct goal_style *g) {
    if (g->attribute_count) {
        TRY(check_attributes(g));
    } else {
        if (g->text == NULL || strstr(g->text, "{s}") == NULL)
            return FAIL(ST_USAGE, "the goal template has no {s}, the place of the score");
        TRY(check_scale(g->low, g->high, ""));
    }
    if (!isfinite(g->quantum) || g->quantum < 0) return FAIL(ST_USAGE, "the goal's quantum must be 0 or more, not %g", g->quantum);
    return check_tokens(g);
}

static status read_number(double *to, struct json object, const char *key) {
    struct json value = json_get(object, key);
    return value.text == NULL || json_double(to, value) ? ST_OK : FAIL(ST_FORMAT, "\"%s\" must be a number", key);
}

static status read_attribute(struct goal_style *g, struct json item) {
    char *name = json_text(json_get(item, "name"));
    const bool whole = name && json_equals(json_get(item, "name"), name); /* a NUL ends no name */
    status s = whole ? goal_style_add(g, name) : FAIL(ST_FORMAT, "\"name\" must be a string");
    free(name);
    TRY(s);
    struct goal_attribute *a = &g->attributes[g->attribute_count - 1];
    TRY(read_number(&a->low, item, "low"));
    TRY(read_number(&a->high, item, "high"));
    g->best.value[g->best.count] = a->high;
    return read_number(&g->best.value[g->best.count++], item, "best");
}

static status read_attributes(struct goal_style *g, struct json list) {
    struct json_iter it = json_iter_begin(list);
    struct json key, item;
    if (json_kind_of(list) == JSON_NONE) return ST_OK;
    if (json_kind_of(list) != JSON_ARRAY || !json_count(list))
        return FAIL(ST_FORMAT, "\"attributes\" must be a list of {\"name\", \"low\", \"high\", \"best\"}");
    g->best = (struct goal){0};
    for (size_t i = 0; json_iter_next(&it, &key, &item); i++) {
        status s = read_attribute(g, item);
        if (s != ST_OK) return status_note(s, "attribute %zu: ", i + 1);
    }
    return ST_OK;
}

static status read_tokens(struct goal_style *g, struct json list) {
    struct json_iter it = json_iter_begin(list);
    struct json key, item;
    if (json_kind_of(list) == JSON_NONE) return ST_OK;
    if (json_kind_of(list) != JSON_ARRAY) return FAIL(ST_FORMAT, "\"tokens\" must be a list of strings");
    while (json_iter_next(&it, &key, &item)) {
        char *token = json_text(item);
        const bool whole = token && json_equals(item, token); /* a NUL ends no token */
        if (!whole || g->token_count == TOKENS_MOST) {
            free(token);
            return FAIL(ST_FORMAT, "\"tokens\" must be at most %d strings", TOKENS_MOST);
        }
        add_token(g, token);
    }
    return ST_OK;
}

static status style_read(struct goal_style *g, struct json root) {
    if (json_kind_of(root) != JSON_OBJECT) return FAIL(ST_FORMAT, "expected an object with \"text\" and \"placement\"");
    free(g->text);
    g->text = json_text(json_get(root, "text"));
    if (g->text == NULL) return FAIL(ST_FORMAT, "\"text\" must be a string");
    char *name = json_text(json_get(root, "placement"));
    bool known = name != NULL && placement_find(&g->placement, name);
    free(name);
    if (!known) return FAIL(ST_FORMAT, "\"placement\" must be one of %s", goal_placement_choices);
    TRY(read_number(&g->low, root, "low"));
    TRY(read_number(&g->high, root, "high"));
    TRY(read_number(&g->quantum, root, "quantum"));
    if (json_double(&g->best.value[0], json_get(root, "best"))) g->best.count = 1;
    TRY(read_attributes(g, json_get(root, "attributes")));
    TRY(read_tokens(g, json_get(root, "tokens")));
    return goal_style_check(g);
}

status goal_style_parse(struct goal_style *g, struct json root) {
    goal_style_default(g);
    status code = style_read(g, root);
    if (code != ST_OK) goal_style_release(g);
    return code == ST_USAGE ? ST_FORMAT : code;
}

status goal_style_load(struct goal_style *g, const char *path) {
    *g = (struct goal_style){0};
    struct buf text = {0};
    struct json root = {0};
    status code = file_read(&text, path);
    if (code == ST_OK) {
        code = json_parse(&root, buf_text(&text), text.size);
        if (code == ST_OK) code = goal_style_parse(g, root);
        if (code != ST_OK) status_note(code, "%s: ", path);
    }
    buf_release(&text);
    return code;
}

status goal_style_replace(struct goal_style *g, const char *path) {
    const struct goal best = g->attribute_count ? (struct goal){0} : g->best;
    goal_style_release(g);
    TRY(goal_style_load(g, path));
    if (!g->attribute_count) g->best = best;
    return ST_OK;
}

static void put_counts(struct buf *out, const struct goal_style *g, const struct goal_counts *c) {
    struct goal goal = {.count = c->width};
    struct buf name = {0};
    buf_append_text(out, ", \"histogram\": {");
    for (size_t i = 0; i < c->size; i++) {
        memcpy(goal.value, c->goal + i * c->width, c->width * sizeof *goal.value);
        buf_clear(&name);
        goal_put_name(&name, g, &goal);
        buf_append_text(out, i ? ", " : "");
        json_put_text(out, buf_text(&name));
        buf_printf(out, ": %llu", (unsigned long long)c->count[i]);
    }
    buf_append_char(out, '}');
    buf_release(&name);
}

static void put_attributes(struct buf *out, const struct goal_style *g) {
    for (size_t i = 0; i < g->attribute_count; i++) {
        const struct goal_attribute *a = &g->attributes[i];
        buf_append_text(out, i ? ", {\"name\": " : ", \"attributes\": [{\"name\": ");
        json_put_text(out, a->name);
        buf_append_text(out, ", \"low\": ");
        json_put_double(out, a->low);
        buf_append_text(out, ", \"high\": ");
        json_put_double(out, a->high);
        buf_append_text(out, ", \"best\": ");
        json_put_double(out, g->best.value[i]);
        buf_append_char(out, '}');
    }
    buf_append_char(out, ']');
}

static void put_tokens(struct buf *out, const struct goal_style *g) {
    for (size_t i = 0; i < g->token_count; i++) {
        buf_append_text(out, i ? ", " : ", \"tokens\": [");
        json_put_text(out, g->tokens[i]);
    }
    if (g->token_count) buf_append_char(out, ']');
}

status goal_style_save(const struct goal_style *g, const struct goal_counts *counts, const char *path) {
    struct buf out = {0};
    buf_append_text(&out, "{\"text\": ");
    json_put_text(&out, g->text);
    buf_printf(&out, ", \"placement\": \"%s\"", goal_placement_name(g->placement));
    if (g->attribute_count) {
        put_attributes(&out, g);
    } else {
        buf_append_text(&out, ", \"low\": ");
        json_put_double(&out, g->low);
        buf_append_text(&out, ", \"high\": ");
        json_put_double(&out, g->high);
    }
    buf_append_text(&out, ", \"quantum\": ");
    json_put_double(&out, g->quantum);
    put_tokens(&out, g);
    if (g->kwargs) buf_printf(&out, ", \"chat_template_kwargs\": %s", g->kwargs);
    if (counts && !counts->overflow) put_counts(&out, g, counts);
    buf_append_text(&out, "}\n");
    status code = file_write(path, out.data, out.size);
    buf_release(&out);
    return code;
}
