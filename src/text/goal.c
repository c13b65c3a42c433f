/* goal: see goal.h. */
#include "text/goal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A line an attribute, each as the paper's one. An overall score that has a place of its own is left out. */
static void put_lines(struct buf *out, const struct goal_style *g, const struct goal *goal, bool scaled) {
    const bool apart = strstr(g->text, "{s}") != NULL;
    bool first = true;
    for (size_t i = 0; i < g->attribute_count; i++) {
        const struct goal_attribute *a = &g->attributes[i];
        if (apart && strcmp(a->name, GOAL_OVERALL) == 0) continue;
        if (!first) buf_append_char(out, '\n');
        first = false;
        goal_put_label(out, a->name);
        if (scaled) {
            buf_append_text(out, " (");
            goal_put_number(out, a->low);
            buf_append_char(out, '-');
            goal_put_number(out, a->high);
            buf_append_char(out, ')');
        }
        buf_append_text(out, ": ");
        goal_put_score(out, g, goal->value[i]);
        buf_append_char(out, '.');
    }
}

/* {s}: the number, or the token that stands for it; for one beyond the scale that of its end. */
static void put_said(struct buf *out, const struct goal_style *g, double score) {
    if (!g->token_count) {
        goal_put_score(out, g, score);
        return;
    }
    const double at = round((score - g->low) / g->quantum), last = (double)(g->token_count - 1);
    buf_append_text(out, g->tokens[at > 0 ? (size_t)(at < last ? at : last) : 0]);
}

/* Writes what the place at `at` stands for; its length, 0 where there is none. */
static size_t put_place(struct buf *out, const struct goal_style *g, const struct goal *goal, const char *at) {
    const bool many = g->attribute_count > 0;
    size_t overall = 0;
    while (overall + 1 < g->attribute_count && strcmp(g->attributes[overall].name, GOAL_OVERALL) != 0) overall++;
    if (strncmp(at, "{s}", 3) == 0) return put_said(out, g, goal->value[overall]), 3;
    if (strncmp(at, "{a}", 3) == 0) return goal_put_number(out, many ? g->attributes[0].low : g->low), 3;
    if (strncmp(at, "{b}", 3) == 0) return goal_put_number(out, many ? g->attributes[0].high : g->high), 3;
    if (many && strncmp(at, GOAL_LINES, sizeof GOAL_LINES - 1) == 0) return put_lines(out, g, goal, false), sizeof GOAL_LINES - 1;
    if (many && strncmp(at, GOAL_SCALED, sizeof GOAL_SCALED - 1) == 0) return put_lines(out, g, goal, true), sizeof GOAL_SCALED - 1;
    return 0;
}

void goal_put_block(struct buf *out, const struct goal_style *g, const struct goal *goal) {
    CHECK(goal->count == (g->attribute_count ? g->attribute_count : 1));
    for (const char *at = g->text; *at != '\0';) {
        size_t plain = put_place(out, g, goal, at);
        if (!plain) buf_append(out, at, plain = 1 + strcspn(at + 1, "{"));
        at += plain;
    }
}

/* The block as the inside of a JSON string (escaped, no quotes), so that it can stand beside another string's untouched bytes. */
static void put_block_escaped(struct buf *out, const struct goal_style *g, const struct goal *goal) {
    struct buf plain = {0}, quoted = {0};
    goal_put_block(&plain, g, goal);
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

status goal_put_messages(struct buf *out, const struct goal_style *g, struct json messages, const struct goal *goal) {
    CHECK(g->placement != GOAL_AUTO);
    size_t start = out->size;
    struct buf block = {0};
    put_block_escaped(&block, g, goal);
    status code = put_messages(out, g, messages, &block);
    buf_release(&block);
    if (code != ST_OK && out->data != NULL) {
        out->size = start;
        out->data[start] = '\0';
    }
    return code;
}

status goal_put_string(struct buf *out, const struct goal_style *g, struct json string, const struct goal *goal) {
    CHECK(g->placement == GOAL_USER || g->placement == GOAL_AFTER);
    struct buf block = {0};
    put_block_escaped(&block, g, goal);
    status code = put_content(out, string, &block, g->placement == GOAL_AFTER);
    buf_release(&block);
    return code;
}

void goal_put_prompt(struct buf *out, const struct goal_style *g, const char *prompt, size_t size, const struct goal *goal) {
    CHECK(g->placement == GOAL_USER || g->placement == GOAL_AFTER);
    if (g->placement == GOAL_USER) {
        goal_put_block(out, g, goal);
        if (size > 0) buf_append_text(out, "\n\n");
        buf_append(out, prompt, size);
        return;
    }
    buf_append(out, prompt, size);
    if (size > 0) buf_append_text(out, "\n\n");
    goal_put_block(out, g, goal);
}
