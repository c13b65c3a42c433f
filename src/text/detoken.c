#include "text/detoken.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

typedef status step_read(struct detoken *d, struct detoken_step *s, struct json v);
/* Appends what becomes of one token; `first`: it is the text's first. */
typedef void step_run(const struct detoken_step *s, struct buf *out, const char *token, size_t size, bool first);
typedef void step_put(const struct detoken_step *s, struct buf *out);

struct detoken_row {
    const char *name;
    step_read *read; /* may leave out the step: it clears s->row */
    step_run *run;
    step_put *put;
};

static char *member_text(size_t *size, struct json v) {
    struct buf text = {0};
    char *copy = NULL;
    if (json_string(&text, v)) copy = mem_text_n(buf_text(&text), text.size);
    *size = text.size;
    buf_release(&text);
    return copy;
}

static status read_replace(struct detoken *d, struct detoken_step *s, struct json v) {
    (void)d;
    s->from = member_text(&s->from_size, json_get(json_get(v, "pattern"), "String"));
    s->to = member_text(&s->to_size, json_get(v, "content"));
    if (!s->from || !s->from_size || !s->to) return FAIL(ST_UNSUPPORTED, "decoder Replace: expected a pattern of String and a content");
    return ST_OK;
}

static void run_replace(const struct detoken_step *s, struct buf *out, const char *token, size_t size, bool first) {
    const bool drop = first && s->drop_first;
    for (size_t i = 0; i < size;) {
        if (s->from_size <= size - i && memcmp(token + i, s->from, s->from_size) == 0) {
            if (!drop) buf_append(out, s->to, s->to_size);
            i += s->from_size;
        } else
            buf_append_char(out, token[i++]);
    }
}

static void put_replace(const struct detoken_step *s, struct buf *out) {
    buf_append_text(out, ", \"pattern\": {\"String\": ");
    json_put_string(out, s->from, s->from_size);
    buf_append_text(out, "}, \"content\": ");
    json_put_string(out, s->to, s->to_size);
}

static status read_metaspace(struct detoken *d, struct detoken_step *s, struct json v) {
    (void)d;
    bool prefix = true;
    s->from = member_text(&s->from_size, json_get(v, "replacement"));
    if (!s->from || !s->from_size || utf8_size(s->from, s->from + s->from_size) != s->from_size)
        return FAIL(ST_FORMAT, "decoder Metaspace: expected a replacement of one character");
    s->to = mem_text(" ");
    s->to_size = 1;
    (void)json_bool(&prefix, json_get(v, "add_prefix_space"));
    s->drop_first = prefix && !json_equals(json_get(v, "prepend_scheme"), "never");
    return ST_OK;
}

static void put_metaspace(const struct detoken_step *s, struct buf *out) {
    buf_append_text(out, ", \"replacement\": ");
    json_put_string(out, s->from, s->from_size);
    buf_printf(out, ", \"prepend_scheme\": \"%s\", \"split\": false", s->drop_first ? "always" : "never");
}

int detoken_byte(const char *token, size_t size) {
    int value = 0;
    if (size != 6 || memcmp(token, "<0x", 3) != 0 || token[5] != '>') return -1;
    for (int i = 3; i < 5; i++) {
        char c = token[i];
        int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0) return -1;
        value = value * 16 + digit;
    }
    return value;
}

static void run_bytes(const struct detoken_step *s, struct buf *out, const char *token, size_t size, bool first) {
    (void)s;
    (void)first;
    int byte = detoken_byte(token, size);
    if (byte < 0)
        buf_append(out, token, size);
    else
        buf_append_char(out, (char)byte);
}

static status read_fuse(struct detoken *d, struct detoken_step *s, struct json v) {
    (void)v;
    s->row = NULL;
    d->fused = true;
    return ST_OK;
}

static status read_byte_level(struct detoken *d, struct detoken_step *s, struct json v) {
    (void)v;
    s->row = NULL;
    d->byte_level = true;
    return ST_OK;
}

static status read_strip(struct detoken *d, struct detoken_step *s, struct json v) {
    int64_t start = 0, stop = 0;
    size_t n = 0;
    char *content = member_text(&n, json_get(v, "content"));
    bool ok = content && n && n < sizeof s->content && utf8_size(content, content + n) == n;
    if (ok) memcpy(s->content, content, n + 1);
    free(content);
    if (!ok) return FAIL(ST_FORMAT, "decoder Strip: expected a content of one character");
    if (!json_int(&start, json_get(v, "start")) || !json_int(&stop, json_get(v, "stop")) || start < 0 || stop < 0)
        return FAIL(ST_FORMAT, "decoder Strip: expected counts `start` and `stop`");
    if (stop) return FAIL(ST_UNSUPPORTED, "decoder Strip: stop %lld is not supported; supported is 0", (long long)stop);
    s->start = (size_t)start;
    if (!d->fused) return ST_OK;
    if (d->start) return FAIL(ST_UNSUPPORTED, "decoder: more than one Strip behind Fuse");
    memcpy(d->content, s->content, sizeof d->content);
    d->start = s->start;
    s->row = NULL;
    return ST_OK;
}

static void run_strip(const struct detoken_step *s, struct buf *out, const char *token, size_t size, bool first) {
    (void)first;
    size_t n = strlen(s->content), at = 0;
    for (size_t i = 0; i < s->start && size - at >= n && memcmp(token + at, s->content, n) == 0; i++) at += n;
    buf_append(out, token + at, size - at);
}

static void put_strip_members(struct buf *out, const char *content, size_t start) {
    buf_append_text(out, ", \"content\": ");
    json_put_text(out, content);
    buf_printf(out, ", \"start\": %zu, \"stop\": 0", start);
}

static void put_strip(const struct detoken_step *s, struct buf *out) { put_strip_members(out, s->content, s->start); }

static const struct detoken_row rows[] = {
    {"Replace", read_replace, run_replace, put_replace},
    {"ByteFallback", NULL, run_bytes, NULL},
    {"Fuse", read_fuse, NULL, NULL},
    {"Strip", read_strip, run_strip, put_strip},
    {"Metaspace", read_metaspace, run_replace, put_metaspace},
    {"ByteLevel", read_byte_level, NULL, NULL},
};

static const struct detoken_row *row_of(const char *name) {
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(rows[i].name, name) == 0) return &rows[i];
    return NULL;
}

static status unknown(struct json type) {
    struct buf known = {0};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) buf_printf(&known, ", %s", rows[i].name);
    status s = FAIL(ST_UNSUPPORTED, "decoder %.*s is not supported; supported are Sequence%s", (int)(type.size > 40 ? 40 : type.size),
                    type.size ? type.text : "without a type", buf_text(&known));
    buf_release(&known);
    return s;
}

static status add_json(struct detoken *d, struct json v, int depth) {
    struct json type = json_get(v, "type"), key, item;
    if (json_equals(type, "Sequence") && depth < 4) {
        for (struct json_iter it = json_iter_begin(json_get(v, "decoders")); json_iter_next(&it, &key, &item);)
            TRY(add_json(d, item, depth + 1));
        return ST_OK;
    }
    char *name = json_text(type);
    const struct detoken_row *row = row_of(name ? name : "");
    free(name);
    if (!row) return unknown(type);
    if (d->count == DETOKEN_STEPS_MAX) return FAIL(ST_UNSUPPORTED, "decoder: more than %d steps", DETOKEN_STEPS_MAX);
    struct detoken_step *s = &d->steps[d->count++];
    *s = (struct detoken_step){.row = row};
    const bool fused = d->fused;
    if (row->read) TRY(row->read(d, s, v));
    if (!s->row)
        d->count--;
    else if (fused)
        return FAIL(ST_UNSUPPORTED, "decoder: %s behind Fuse is not supported; supported there is Strip", row->name);
    return ST_OK;
}

status detoken_from_json(struct detoken *d, struct json value) {
    enum json_kind k = json_kind_of(value);
    d->spaced = k == JSON_NULL || k == JSON_NONE;
    return d->spaced ? ST_OK : add_json(d, value, 0);
}

status detoken_init_spm(struct detoken *d, size_t strip) {
    d->steps[0] = (struct detoken_step){
        .row = row_of("Replace"), .from = mem_text("\xe2\x96\x81"), .to = mem_text(" "), .from_size = 3, .to_size = 1};
    d->steps[1] = (struct detoken_step){.row = row_of("ByteFallback")};
    d->count = 2;
    d->fused = true;
    d->content[0] = ' ';
    d->start = strip;
    return ST_OK;
}

void detoken_release(struct detoken *d) {
    for (size_t i = 0; i < d->count; i++) {
        free(d->steps[i].from);
        free(d->steps[i].to);
    }
    *d = (struct detoken){0};
}

void detoken_put_json(const struct detoken *d, struct buf *out) {
    if (d->spaced) {
        buf_append_text(out, "null");
        return;
    }
    const char *comma = "";
    buf_append_text(out, "{\"type\": \"Sequence\", \"decoders\": [");
    for (size_t i = 0; i < d->count; i++, comma = ", ") {
        buf_printf(out, "%s{\"type\": \"%s\"", comma, d->steps[i].row->name);
        if (d->steps[i].row->put) d->steps[i].row->put(&d->steps[i], out);
        buf_append_char(out, '}');
    }
    if (d->byte_level)
        buf_printf(out, "%s{\"type\": \"ByteLevel\", \"add_prefix_space\": true, \"trim_offsets\": true, \"use_regex\": true}", comma);
    if (d->fused) buf_printf(out, "%s{\"type\": \"Fuse\"}", d->byte_level ? ", " : comma);
    if (d->start) {
        buf_append_text(out, ", {\"type\": \"Strip\"");
        put_strip_members(out, d->content, d->start);
        buf_append_char(out, '}');
    }
    buf_append_text(out, "]}");
}

/* What Strip behind Fuse takes from the text's beginning, which may be spread over tokens. */
static size_t leading(const struct detoken *d, struct detoken_state *state, const char *text, size_t size) {
    size_t n = strlen(d->content), at = 0;
    while (!state->strip_done && at < size) {
        if (state->stripped == d->start || size - at < n || memcmp(text + at, d->content, n) != 0)
            state->strip_done = true;
        else {
            at += n;
            state->stripped++;
        }
    }
    return at;
}

void detoken_next(const struct detoken *d, struct detoken_state *state, struct buf *out, const char *token, size_t size) {
    struct buf from = {0}, to = {0};
    const char *at = token;
    size_t left = size;
    for (size_t i = 0; i < d->count; i++) {
        buf_clear(&to);
        d->steps[i].row->run(&d->steps[i], &to, at, left, state->tokens == 0);
        struct buf swap = from;
        from = to;
        to = swap;
        at = buf_text(&from);
        left = from.size;
    }
    if (d->spaced && state->tokens) buf_append_char(out, ' ');
    size_t skip = d->start ? leading(d, state, at, left) : 0;
    buf_append(out, at + skip, left - skip);
    state->tokens++;
    buf_release(&from);
    buf_release(&to);
}
