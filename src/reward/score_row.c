#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/pair.h"
#include "reward/score.h"

status score_row_check(size_t *replaced, const struct record *r, bool replace) {
    *replaced = 0;
    if (r->kind == RECORD_PROMPT) return FAIL(ST_FORMAT, "expected a row with responses (a pair, several, or a completion), found a prompt");
    if (r->kind == RECORD_RESPONSES)
        for (size_t i = 0; i < r->response_count; i++) *replaced += !isnan(r->responses[i].score) && !r->responses[i].from_rank;
    else
        *replaced = (size_t)!isnan(r->score_chosen) + (size_t)!isnan(r->score_rejected);
    if (*replaced && !replace) return FAIL(ST_USAGE, "the row has scores already; --overwrite replaces them");
    return ST_OK;
}

static void add_hole(struct score_row *out) {
    if (out->count == out->capacity) {
        out->capacity = out->capacity ? 2 * out->capacity : 4;
        out->hole = mem_resize(out->hole, out->capacity * sizeof *out->hole);
    }
    out->hole[out->count++] = out->text.size;
}

static void put_member(struct buf *out, struct json key, struct json value) {
    buf_append(out, key.text, key.size);
    buf_append(out, ": ", 2);
    buf_append(out, value.text, value.size);
    buf_append(out, ", ", 2);
}

static bool is_one_of(struct json key, const char *const *names, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (json_equals(key, names[i])) return true;
    return false;
}

/* Why an earlier run had no score says nothing about this one. */
static bool is_old_error(struct json key) {
    static const char *const names[] = {"score_error", "score_error_chosen", "score_error_rejected"};
    return is_one_of(key, names, 3);
}

/* A pair or a completion stays the row that it was; the scores stand at its end. */
static void render_in_place(struct score_row *out, const struct record *r, bool replace, bool named) {
    static const char *const sides[] = {"scores_chosen", "scores_rejected"}, *const one[] = {"scores"};
    struct json_iter it = json_iter_begin(r->row);
    struct json key, value;
    buf_append_char(&out->text, '{');
    while (json_iter_next(&it, &key, &value)) {
        if (out->pair ? source_is_pair_score(key) : json_equals(key, "score")) continue;
        if (is_old_error(key)) continue;
        if ((named || replace) && (out->pair ? is_one_of(key, sides, 2) : is_one_of(key, one, 1))) continue;
        put_member(&out->text, key, value);
    }
    add_hole(out);
    if (out->pair) {
        buf_append(&out->text, ", ", 2);
        add_hole(out);
    }
    buf_append_char(&out->text, '}');
}

/* The response's text stands under one name, whatever its own was; its other members ride along, but for what a new score makes wrong. */
static void put_response(struct score_row *out, const struct record *r, const struct response *p, bool replace, bool named) {
    static const char *const texts[] = {"text", "messages", "response", "content", "answer", "prompt", "score"}, *const scores[] = {"scores"};
    struct json_iter it = json_iter_begin(p->source);
    struct json key, value;
    pair_put_text(&out->text, r->conversational ? "{\"messages\": " : "{\"text\": ", &p->text, r->conversational);
    buf_append(&out->text, ", ", 2);
    while (json_kind_of(p->source) == JSON_OBJECT && json_iter_next(&it, &key, &value)) {
        if (is_one_of(key, texts, sizeof texts / sizeof texts[0]) || is_old_error(key)) continue;
        if ((named || replace) && is_one_of(key, scores, 1)) continue;
        if (p->own_row && !source_field_consumed(r, key, false) && pair_is_common(r, key, value)) continue; /* stands in the row */
        put_member(&out->text, key, value);
    }
    add_hole(out);
    buf_append_char(&out->text, '}');
}

void score_row_render(struct score_row *out, const struct record *r, bool replace, bool named) {
    buf_clear(&out->text);
    out->count = 0;
    out->pair = r->kind == RECORD_PAIR;
    if (r->kind != RECORD_RESPONSES) {
        render_in_place(out, r, replace, named);
        return;
    }
    pair_put_text(&out->text, "{\"prompt\": ", &r->prompt, r->conversational);
    buf_append_text(&out->text, ", \"responses\": [");
    for (size_t i = 0; i < r->response_count; i++) {
        if (i) buf_append(&out->text, ", ", 2);
        put_response(out, r, &r->responses[i], replace, named);
    }
    buf_append_char(&out->text, ']');
    pair_put_others(&out->text, r, false, false);
    buf_append_char(&out->text, '}');
}

void score_row_release(struct score_row *row) {
    buf_release(&row->text);
    free(row->hole);
    *row = (struct score_row){0};
}
