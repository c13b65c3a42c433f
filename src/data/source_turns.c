/* source_turns: prompts that hold a whole conversation as one text with marks. */
#include <string.h>

#include "data/source_fields.h"

/* Formats as the data sets' cards give them. */
const struct turn_marks turns_hh = {"\n\nHuman:", "\n\nAssistant:", true};
const struct turn_marks turns_helpsteer = {"\n<extra_id_1>User\n", "\n<extra_id_1>Assistant\n", false};

static bool starts(const char *at, const char *end, const char *mark) {
    const size_t size = strlen(mark);
    return (size_t)(end - at) >= size && memcmp(at, mark, size) == 0;
}

/* The next mark at or behind `at`, *mark says which; `end` when there is none. Both begin with a line break. */
static const char *next_mark(const char **mark, const struct turn_marks *m, const char *at, const char *end) {
    for (; (at = memchr(at, '\n', (size_t)(end - at))); at++) {
        *mark = starts(at, end, m->user) ? m->user : starts(at, end, m->assistant) ? m->assistant : NULL;
        if (*mark) return at;
    }
    *mark = NULL;
    return end;
}

static bool blank(const char *at, const char *end) {
    for (; at < end; at++)
        if (!strchr(" \t\r\n", *at) || !*at) return false;
    return true;
}

static void put_turns(struct buf *out, const char *at, const char *end, const struct turn_marks *m) {
    const char *mark = m->user, *next_is;
    if (m->leading) at += strlen(m->user);
    buf_append_char(out, '[');
    for (bool first = true;; first = false) {
        const char *next = next_mark(&next_is, m, at, end);
        if (m->leading && at < next && *at == ' ') at++;
        if (!next_is && mark == m->assistant && blank(at, next)) break;
        buf_append_text(out, first ? "" : ",");
        buf_append_text(out, mark == m->user ? "{\"role\":\"user\",\"content\":" : "{\"role\":\"assistant\",\"content\":");
        json_put_string(out, at, (size_t)(next - at));
        buf_append_char(out, '}');
        if (!next_is) break;
        mark = next_is;
        at = next + strlen(mark);
    }
    buf_append_char(out, ']');
}

status field_put_turns(struct record *r, struct json value, const struct turn_marks *marks, const char *path) {
    struct buf text = {0};
    status s = field_put_text(&text, value, false, path);
    const char *at = buf_text(&text), *end = at + text.size;
    r->conversational = s == ST_OK && (!marks->leading || starts(at, end, marks->user));
    if (r->conversational)
        put_turns(&r->prompt, at, end, marks);
    else
        buf_append(&r->prompt, at, text.size);
    buf_release(&text);
    return s;
}

status field_put_answer(struct buf *out, const struct record *r, struct json value, const char *path) {
    if (!r->conversational || !field_is_string(value))
        return field_put_text(out, value, r->conversational && json_kind_of(value) == JSON_ARRAY, path);
    field_put_message(out, "assistant", value);
    return ST_OK;
}
