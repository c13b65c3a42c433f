#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/pair.h"
#include "reward/score.h"

/* The attributes that a response has already. */
static struct json scores_of(const struct record *r, size_t i) {
    if (r->kind == RECORD_RESPONSES) return json_get(r->responses[i].source, "scores");
    return json_get(r->row, r->kind == RECORD_SFT ? "scores" : i ? "scores_rejected" : "scores_chosen");
}

static status check_named(size_t *replaced, const struct record *r, bool replace, const char *as) {
    for (size_t i = 0; i < reward_responses(r); i++) {
        const struct json scores = scores_of(r, i);
        const enum json_kind kind = json_kind_of(scores);
        if (kind != JSON_NONE && kind != JSON_NULL && kind != JSON_OBJECT)
            return FAIL(ST_FORMAT, "field scores of response %zu: expected an object, found %s", i + 1, json_kind_name(kind));
        *replaced += json_kind_of(json_get(scores, as)) != JSON_NONE;
    }
    return *replaced && !replace ? FAIL(ST_USAGE, "the row has %s in its scores already; --overwrite replaces it", as) : ST_OK;
}

status score_row_check(size_t *replaced, const struct record *r, bool replace, const char *as) {
    *replaced = 0;
    if (r->kind == RECORD_PROMPT)
        return FAIL(ST_FORMAT, "expected a row with responses (a pair, several, or a completion), found a prompt");
    if (as) return check_named(replaced, r, replace, as);
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

/* A hole: where the score goes, or, with `as`, what ends the object of attributes, which begins in front of it. */
static void put_hole(struct score_row *out, const struct record *r, size_t i, const char *as) {
    struct json_iter it = json_iter_begin(as ? scores_of(r, i) : (struct json){0});
    struct json key, value;
    if (as) buf_printf(&out->text, "\"scores%s\": {", r->kind != RECORD_PAIR ? "" : i ? "_rejected" : "_chosen");
    while (as && json_iter_next(&it, &key, &value))
        if (!json_equals(key, as)) put_member(&out->text, key, value);
    add_hole(out);
}

/* Why an earlier run had no score says nothing about this one. */
static bool is_old_error(struct json key) {
    static const char *const names[] = {"score_error", "score_error_chosen", "score_error_rejected"};
    return is_one_of(key, names, 3);
}

/* A pair or a completion stays the row that it was; the scores stand at its end. */
static void render_in_place(struct score_row *out, const struct record *r, bool replace, bool named, const char *as) {
    static const char *const sides[] = {"scores_chosen", "scores_rejected"}, *const one[] = {"scores"};
    struct json_iter it = json_iter_begin(r->row);
    struct json key, value;
    buf_append_char(&out->text, '{');
    while (json_iter_next(&it, &key, &value)) {
        if (!as && (out->pair ? source_is_pair_score(key) : json_equals(key, "score"))) continue;
        if (!as && is_old_error(key)) continue;
        if ((named || replace || as) && (out->pair ? is_one_of(key, sides, 2) : is_one_of(key, one, 1))) continue;
        put_member(&out->text, key, value);
    }
    put_hole(out, r, 0, as);
    if (out->pair) {
        buf_append(&out->text, ", ", 2);
        put_hole(out, r, 1, as);
    }
    buf_append_char(&out->text, '}');
}

/* The response's text stands under one name, whatever its own was; its other members ride along, but for what a new score makes wrong. */
static void put_response(struct score_row *out, const struct record *r, size_t i, bool replace, bool named, const char *as) {
    const struct response *p = &r->responses[i];
    static const char *const texts[] = {"text", "messages", "response", "content", "answer", "prompt", "score"};
    static const char *const scores[] = {"scores"};
    struct json_iter it = json_iter_begin(p->source);
    struct json key, value;
    pair_put_text(&out->text, r->conversational ? "{\"messages\": " : "{\"text\": ", &p->text, r->conversational);
    buf_append(&out->text, ", ", 2);
    while (json_kind_of(p->source) == JSON_OBJECT && json_iter_next(&it, &key, &value)) {
        if (is_one_of(key, texts, sizeof texts / sizeof texts[0]) || (!as && is_old_error(key))) continue;
        if ((named || replace || as) && is_one_of(key, scores, 1)) continue;
        if (p->own_row && !source_field_consumed(r, key, false) && pair_is_common(r, key, value)) continue; /* stands in the row */
        put_member(&out->text, key, value);
    }
    if (as && !isnan(p->score)) {
        buf_append_text(&out->text, "\"score\": ");
        json_put_double(&out->text, p->score);
        buf_append(&out->text, ", ", 2);
    }
    put_hole(out, r, i, as);
    buf_append_char(&out->text, '}');
}

void score_row_render(struct score_row *out, const struct record *r, bool replace, bool named, const char *as) {
    buf_clear(&out->text);
    out->count = 0;
    out->pair = r->kind == RECORD_PAIR;
    if (r->kind != RECORD_RESPONSES) {
        render_in_place(out, r, replace, named, as);
        return;
    }
    pair_put_text(&out->text, "{\"prompt\": ", &r->prompt, r->conversational);
    buf_append_text(&out->text, ", \"responses\": [");
    for (size_t i = 0; i < r->response_count; i++) {
        if (i) buf_append(&out->text, ", ", 2);
        put_response(out, r, i, replace, named, as);
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
