/* goal: see goal.h. */
#include "text/goal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

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
    *g = (struct goal_style){0};
}

status goal_style_check(const struct goal_style *g) {
    if (g->text == NULL || strstr(g->text, "{s}") == NULL) return FAIL(ST_USAGE, "the goal template has no {s}, the place of the score");
    if (!isfinite(g->low) || !isfinite(g->high) || g->low >= g->high)
        return FAIL(ST_USAGE, "the goal's scale must run from a lower to a higher number, not from %g to %g", g->low, g->high);
    if (!isfinite(g->quantum) || g->quantum < 0) return FAIL(ST_USAGE, "the goal's quantum must be 0 or more, not %g", g->quantum);
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
    struct {
        const char *key;
        double *to;
    } numbers[] = {{"low", &g->low}, {"high", &g->high}, {"quantum", &g->quantum}};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        struct json value = json_get(root, numbers[i].key);
        if (value.text != NULL && !json_double(numbers[i].to, value)) return FAIL(ST_FORMAT, "\"%s\" must be a number", numbers[i].key);
    }
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

void goal_counts_add(struct goal_counts *c, double goal) {
    size_t low = 0, high = c->size;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (c->goal[middle] < goal) low = middle + 1;
        else high = middle;
    }
    if (low < c->size && c->goal[low] == goal) {
        c->count[low]++;
        return;
    }
    if (c->size == GOAL_COUNTS_MAX) {
        c->overflow = true;
        return;
    }
    if (!c->goal) {
        c->goal = mem_alloc(GOAL_COUNTS_MAX * sizeof *c->goal);
        c->count = mem_alloc(GOAL_COUNTS_MAX * sizeof *c->count);
    }
    memmove(c->goal + low + 1, c->goal + low, (c->size - low) * sizeof *c->goal);
    memmove(c->count + low + 1, c->count + low, (c->size - low) * sizeof *c->count);
    c->goal[low] = goal;
    c->count[low] = 1;
    c->size++;
}

void goal_counts_release(struct goal_counts *c) {
    free(c->goal);
    free(c->count);
    *c = (struct goal_counts){0};
}

static void put_counts(struct buf *out, const struct goal_style *g, const struct goal_counts *c) {
    buf_append_text(out, ", \"histogram\": {");
    for (size_t i = 0; i < c->size; i++) {
        buf_append_text(out, i ? ", \"" : "\"");
        goal_put_score(out, g, c->goal[i]);
        buf_printf(out, "\": %llu", (unsigned long long)c->count[i]);
    }
    buf_append_char(out, '}');
}

status goal_style_save(const struct goal_style *g, const struct goal_counts *counts, const char *path) {
    struct buf out = {0};
    buf_append_text(&out, "{\"text\": ");
    json_put_text(&out, g->text);
    buf_printf(&out, ", \"placement\": \"%s\", \"low\": ", goal_placement_name(g->placement));
    json_put_double(&out, g->low);
    buf_append_text(&out, ", \"high\": ");
    json_put_double(&out, g->high);
    buf_append_text(&out, ", \"quantum\": ");
    json_put_double(&out, g->quantum);
    if (g->kwargs) buf_printf(&out, ", \"chat_template_kwargs\": %s", g->kwargs);
    if (counts && !counts->overflow) put_counts(&out, g, counts);
    buf_append_text(&out, "}\n");
    status code = file_write(path, out.data, out.size);
    buf_release(&out);
    return code;
}

/* Drops the noise that a product or quotient of decimal fractions leaves behind the twelfth digit (73 * 0.1 is not 7.3). */
static double snap(double value) {
    char text[40];
    snprintf(text, sizeof text, "%.12g", value);
    return strtod(text, NULL);
}

static void put_number(struct buf *out, double value) { json_put_double(out, value == 0 ? 0 : value); /* no "-0" */ }

void goal_put_score(struct buf *out, const struct goal_style *g, double score) {
    if (g->quantum > 0 && isfinite(score)) score = snap(round(snap(score / g->quantum)) * g->quantum);
    put_number(out, score);
}

void goal_put_block(struct buf *out, const struct goal_style *g, double score) {
    for (const char *at = g->text; *at != '\0';) {
        if (at[0] == '{' && at[1] != '\0' && at[2] == '}' && strchr("sab", at[1]) != NULL) {
            if (at[1] == 's')
                goal_put_score(out, g, score);
            else
                put_number(out, at[1] == 'a' ? g->low : g->high);
            at += 3;
            continue;
        }
        size_t plain = 1 + strcspn(at + 1, "{");
        buf_append(out, at, plain);
        at += plain;
    }
}

/* The block as the inside of a JSON string (escaped, no quotes), so that it can stand beside another string's untouched bytes. */
static void put_block_escaped(struct buf *out, const struct goal_style *g, double score) {
    struct buf plain = {0}, quoted = {0};
    goal_put_block(&plain, g, score);
    json_put_string(&quoted, buf_text(&plain), plain.size);
    buf_append(out, quoted.data + 1, quoted.size - 2);
    buf_release(&plain);
    buf_release(&quoted);
}

/* A message's content with the block at its head or tail. Text parts ([{"type": "text", ...}]) get one more part. */
static status put_content(struct buf *out, struct json content, const struct buf *block, bool at_end) {
    enum json_kind kind = json_kind_of(content);
    if (kind == JSON_STRING) {
        bool empty = content.size == 2;
        buf_append_char(out, '"');
        if (at_end) buf_append(out, content.text + 1, content.size - 2);
        if (at_end && !empty) buf_append_text(out, "\\n\\n");
        buf_append(out, block->data, block->size);
        if (!at_end && !empty) buf_append_text(out, "\\n\\n");
        if (!at_end) buf_append(out, content.text + 1, content.size - 2);
        buf_append_char(out, '"');
        return ST_OK;
    }
    if (kind == JSON_NONE || kind == JSON_NULL) {
        buf_printf(out, "\"%s\"", buf_text(block));
        return ST_OK;
    }
    if (kind != JSON_ARRAY)
        return FAIL(ST_FORMAT, "a message's \"content\" must be a string or a list of parts, not %s", json_kind_name(kind));
    bool empty = json_count(content) == 0;
    const char *blank = empty ? "" : "\\n\\n";
    buf_append_char(out, '[');
    if (!at_end) buf_printf(out, "{\"type\": \"text\", \"text\": \"%s%s\"}%s", buf_text(block), blank, empty ? "" : ", ");
    buf_append(out, content.text + 1, content.size - 2);
    if (at_end) buf_printf(out, "%s{\"type\": \"text\", \"text\": \"%s%s\"}", empty ? "" : ", ", blank, buf_text(block));
    buf_append_char(out, ']');
    return ST_OK;
}

/* Copies a message with its content changed; every other member keeps its bytes and place. */
static status put_message(struct buf *out, struct json message, const struct buf *block, bool at_end) {
    struct json_iter it = json_iter_begin(message);
    struct json key, value;
    bool first = true, done = false;
    buf_append_char(out, '{');
    while (json_iter_next(&it, &key, &value)) {
        if (!first) buf_append_text(out, ", ");
        first = false;
        buf_append(out, key.text, key.size);
        buf_append_text(out, ": ");
        if (!done && json_equals(key, "content")) {
            TRY(put_content(out, value, block, at_end));
            done = true;
        } else
            buf_append(out, value.text, value.size);
    }
    if (!done) {
        buf_append_text(out, first ? "\"content\": " : ", \"content\": ");
        TRY(put_content(out, (struct json){0}, block, at_end));
    }
    buf_append_char(out, '}');
    return ST_OK;
}

/* The index of the message that takes the block, or SIZE_MAX for a new first system turn. */
static status find_target(size_t *target, const struct goal_style *g, struct json messages) {
    *target = SIZE_MAX;
    if (json_kind_of(messages) != JSON_ARRAY)
        return FAIL(ST_FORMAT, "messages must be a list, not %s", json_kind_name(json_kind_of(messages)));
    struct json_iter it = json_iter_begin(messages);
    struct json key, message;
    for (size_t i = 0; json_iter_next(&it, &key, &message); i++) {
        if (json_kind_of(message) != JSON_OBJECT)
            return FAIL(ST_FORMAT, "message %zu must be an object with \"role\" and \"content\", not %s", i + 1,
                        json_kind_name(json_kind_of(message)));
        struct json role = json_get(message, "role");
        bool user = json_equals(role, "user");
        if (g->placement == GOAL_SYSTEM && i == 0 && json_equals(role, "system")) *target = 0;
        if (g->placement == GOAL_USER && user && *target == SIZE_MAX) *target = i;
        if (g->placement == GOAL_AFTER && user) *target = i;
    }
    if (g->placement != GOAL_SYSTEM && *target == SIZE_MAX)
        return FAIL(ST_FORMAT, "the goal goes into a user turn (placement %s), but the messages have none",
                    goal_placement_name(g->placement));
    return ST_OK;
}

static status put_messages(struct buf *out, const struct goal_style *g, struct json messages, const struct buf *block) {
    size_t target;
    TRY(find_target(&target, g, messages));
    struct json_iter it = json_iter_begin(messages);
    struct json key, message;
    buf_append_char(out, '[');
    if (target == SIZE_MAX) {
        buf_append_text(out, "{\"role\": \"system\", \"content\": \"");
        buf_append(out, block->data, block->size);
        buf_append_text(out, "\"}");
    }
    for (size_t i = 0; json_iter_next(&it, &key, &message); i++) {
        if (i > 0 || target == SIZE_MAX) buf_append_text(out, ", ");
        if (i != target) {
            buf_append(out, message.text, message.size);
            continue;
        }
        status code = put_message(out, message, block, g->placement == GOAL_AFTER);
        if (code != ST_OK) return status_note(code, "message %zu: ", i + 1);
    }
    buf_append_char(out, ']');
    return ST_OK;
}

status goal_put_messages(struct buf *out, const struct goal_style *g, struct json messages, double score) {
    CHECK(g->placement != GOAL_AUTO);
    size_t start = out->size;
    struct buf block = {0};
    put_block_escaped(&block, g, score);
    status code = put_messages(out, g, messages, &block);
    buf_release(&block);
    if (code != ST_OK && out->data != NULL) {
        out->size = start;
        out->data[start] = '\0';
    }
    return code;
}

status goal_put_string(struct buf *out, const struct goal_style *g, struct json string, double score) {
    CHECK(g->placement == GOAL_USER || g->placement == GOAL_AFTER);
    struct buf block = {0};
    put_block_escaped(&block, g, score);
    status code = put_content(out, string, &block, g->placement == GOAL_AFTER);
    buf_release(&block);
    return code;
}

void goal_put_prompt(struct buf *out, const struct goal_style *g, const char *prompt, size_t size, double score) {
    CHECK(g->placement == GOAL_USER || g->placement == GOAL_AFTER);
    if (g->placement == GOAL_USER) {
        goal_put_block(out, g, score);
        if (size > 0) buf_append_text(out, "\n\n");
        buf_append(out, prompt, size);
        return;
    }
    buf_append(out, prompt, size);
    if (size > 0) buf_append_text(out, "\n\n");
    goal_put_block(out, g, score);
}
