/* samples: generated texts, {"prompt": string or messages, "goal": number or {NAME: number}, "text": string, "model" / "adapter": string}.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "report/parts.h"

/* Messages, whose content other trainers also write as null or as parts; or token ids, of rows that held nothing else. */
static status check_turns(struct json prompt, const char *place) {
    struct json key, turn;
    struct json_iter it = json_iter_begin(prompt);
    const bool ids = json_iter_next(&it, &key, &turn) && json_kind_of(turn) == JSON_NUMBER;
    it = json_iter_begin(prompt);
    for (size_t i = 0; json_iter_next(&it, &key, &turn); i++) {
        char name[64];
        snprintf(name, sizeof name, ids ? "prompt[%zu]" : "prompt[%zu].role", i);
        struct json v = ids ? turn : json_get(turn, "role");
        if (json_kind_of(v) != (ids ? JSON_NUMBER : JSON_STRING)) return field_fail(place, name, ids ? "a token id" : "a string", v);
    }
    return ST_OK;
}

static status check_prompt(struct json prompt, const char *place) {
    if (json_kind_of(prompt) == JSON_STRING) return ST_OK;
    if (json_kind_of(prompt) == JSON_ARRAY && json_count(prompt)) return check_turns(prompt, place);
    return field_fail(place, "prompt", "a string or an array of messages", prompt);
}

/* A prompt beyond the first SAMPLE_PROMPTS_MAX is left out. */
static bool takes_prompt(struct samples *s, uint64_t key) {
    for (size_t i = 0; i < s->prompt_count; i++)
        if (s->prompts[i] == key) return true;
    if (s->prompt_count == SAMPLE_PROMPTS_MAX) return false;
    s->prompts[s->prompt_count++] = key;
    return true;
}

static bool takes_repeat(struct samples *s, uint64_t key) {
    for (size_t i = 0; i < s->seen_count; i++)
        if (s->seen[i].key == key) return s->seen[i].count++ < SAMPLE_REPEATS_MAX;
    if (s->seen_count == SAMPLE_KINDS_MAX) return false;
    if (s->seen_count == s->seen_capacity) {
        s->seen_capacity = s->seen_capacity ? 2 * s->seen_capacity : 64;
        s->seen = mem_resize(s->seen, s->seen_capacity * sizeof *s->seen);
    }
    s->seen[s->seen_count++] = (struct sample_seen){key, 1};
    return true;
}

static status model_of(struct json *out, struct json row, const char *place) {
    static const char *const fields[] = {"adapter", "model"};
    for (int i = 0; i < 2; i++) {
        *out = json_get(row, fields[i]);
        if (json_kind_of(*out) == JSON_STRING) return ST_OK;
        if (json_kind_of(*out) != JSON_NONE && json_kind_of(*out) != JSON_NULL)
            return field_fail(place, fields[i], "a string or null", *out);
    }
    *out = (struct json){0};
    return ST_OK;
}

/* A score, or one for each attribute; *there: false where none was asked for. */
static status check_goal(bool *there, struct json goal, const char *place) {
    struct json key, value;
    struct json_iter it = json_iter_begin(goal);
    double number;
    *there = json_kind_of(goal) != JSON_NONE && json_kind_of(goal) != JSON_NULL;
    if (!*there || json_double(&number, goal)) return ST_OK;
    if (json_kind_of(goal) != JSON_OBJECT || !json_count(goal))
        return field_fail(place, "goal", "a finite number, numbers by attribute, or null", goal);
    while (json_iter_next(&it, &key, &value)) {
        char name[64];
        snprintf(name, sizeof name, "goal.%.*s", key.size > 2 && key.size < 50 ? (int)key.size - 2 : 0, key.text + 1);
        if (!json_double(&number, value)) return field_fail(place, name, "a finite number", value);
    }
    return ST_OK;
}

/* Appends it, the same bytes for the same goal: 10 and 10.0 are one. */
static void put_goal(struct buf *out, struct json goal) {
    struct json key, value;
    struct json_iter it = json_iter_begin(goal);
    double number = 0;
    if (json_kind_of(goal) != JSON_OBJECT) {
        if (json_double(&number, goal))
            json_put_double(out, number);
        else
            buf_append_text(out, "null");
        return;
    }
    for (size_t i = 0; json_iter_next(&it, &key, &value); i++) {
        buf_append_text(out, i ? ", " : "{");
        buf_append(out, key.text, key.size);
        buf_append_text(out, ": ");
        CHECK(json_double(&number, value)); /* looked at before */
        json_put_double(out, number);
    }
    buf_append_char(out, '}');
}

static void put_row(struct samples *s, struct json prompt, const struct buf *goal, struct json answer, const char *label,
                    struct json model) {
    buf_append_text(&s->rows, s->shown++ ? ",\n{\"prompt\": " : "{\"prompt\": ");
    buf_append(&s->rows, prompt.text, prompt.size);
    buf_append_text(&s->rows, ", \"goal\": ");
    buf_append(&s->rows, goal->data, goal->size);
    buf_append_text(&s->rows, ", \"text\": ");
    buf_append(&s->rows, answer.text, answer.size);
    buf_append_text(&s->rows, ", \"run\": ");
    if (label)
        json_put_text(&s->rows, label);
    else
        buf_append_text(&s->rows, "null");
    buf_append_text(&s->rows, ", \"model\": ");
    if (model.size)
        buf_append(&s->rows, model.text, model.size);
    else
        buf_append_text(&s->rows, "null");
    buf_append_char(&s->rows, '}');
}

static status read_row(struct samples *s, const char *text, size_t size, const char *label, bool given, const char *place) {
    struct json row, model;
    if (json_parse(&row, text, size) != ST_OK) return status_note(ST_FORMAT, "%s: ", place);
    if (json_kind_of(row) != JSON_OBJECT)
        return FAIL(ST_FORMAT, "%s: expected an object, found %s", place, json_kind_name(json_kind_of(row)));
    struct json prompt = json_get(row, "prompt"), goal = json_get(row, "goal"), answer = json_get(row, "text");
    struct buf asked = {0};
    bool has_goal;
    TRY(check_prompt(prompt, place));
    if (json_kind_of(answer) == JSON_NONE && json_kind_of(json_get(row, "responses")) == JSON_ARRAY)
        return FAIL(ST_UNSUPPORTED, "%s: rows of scored responses, where samples as rapt generate writes them are shown", place);
    if (json_kind_of(answer) != JSON_STRING) return field_fail(place, "text", "a string", answer);
    TRY(check_goal(&has_goal, goal, place));
    TRY(model_of(&model, row, place));
    if (label && given) model = (struct json){0};
    s->read++;
    uint64_t key = hash_bytes(prompt.text, prompt.size, 0);
    if (!takes_prompt(s, key)) return ST_OK;
    put_goal(&asked, goal);
    key = hash_bytes(buf_text(&asked), asked.size, key + has_goal);
    if (label) key = hash_bytes(label, strlen(label), key);
    if (takes_repeat(s, hash_bytes(model.size ? model.text : "", model.size, key))) put_row(s, prompt, &asked, answer, label, model);
    buf_release(&asked);
    return ST_OK;
}

status samples_read(struct samples *s, const char *path, const char *label, bool given) {
    struct file_lines l;
    struct buf place = {0};
    TRY(file_lines_open(&l, path));
    status code = ST_OK;
    while (code == ST_OK) {
        const char *text;
        size_t size;
        code = file_lines_next(&l, &text, &size);
        if (code != ST_OK || !text) break;
        if (!size) continue;
        buf_clear(&place);
        buf_printf(&place, "%s:%llu", path, (unsigned long long)l.number);
        code = read_row(s, text, size, label, given, buf_text(&place));
    }
    buf_release(&place);
    file_lines_release(&l);
    return code;
}

void samples_release(struct samples *s) {
    buf_release(&s->rows);
    free(s->seen);
    *s = (struct samples){0};
}
