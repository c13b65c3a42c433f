#include "text/normalizer.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/utf8.h"

typedef status step_read(struct normalizer_step *s, struct json v);
typedef status step_run(const struct normalizer_step *s, struct buf *out, const char *text, size_t size);
typedef void step_put(const struct normalizer_step *s, struct buf *out);

struct normalizer_row {
    const char *name; /* of tokenizer.json */
    step_read *read;  /* NULL: it has no members */
    step_run *run;
    step_put *put;    /* appends its members behind the type, or NULL */
    bool ascii_keeps; /* ASCII text stays as it is */
};

static bool all_ascii(const char *text, size_t size) {
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)text[i] >= 128) return false;
    return true;
}

static status map_form(struct buf *out, const char *text, size_t size, utf8proc_option_t options) {
    utf8proc_uint8_t *form = NULL;
    utf8proc_ssize_t n = utf8proc_map((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)size, &form, options | UTF8PROC_STABLE);
    if (n < 0) return FAIL(ST_FORMAT, "text cannot be normalised: %s", utf8proc_errmsg(n));
    buf_append(out, form, (size_t)n);
    free(form);
    return ST_OK;
}

static status run_nfc(const struct normalizer_step *s, struct buf *out, const char *text, size_t size) {
    (void)s;
    return map_form(out, text, size, UTF8PROC_COMPOSE);
}
static status run_nfd(const struct normalizer_step *s, struct buf *out, const char *text, size_t size) {
    (void)s;
    return map_form(out, text, size, UTF8PROC_DECOMPOSE);
}
static status run_nfkc(const struct normalizer_step *s, struct buf *out, const char *text, size_t size) {
    (void)s;
    return map_form(out, text, size, UTF8PROC_COMPOSE | UTF8PROC_COMPAT);
}
static status run_nfkd(const struct normalizer_step *s, struct buf *out, const char *text, size_t size) {
    (void)s;
    return map_form(out, text, size, UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT);
}

/* Character by character: `change` appends what becomes of one. */
static void each_char(struct buf *out, const char *text, size_t size, void (*change)(struct buf *out, uint32_t code)) {
    for (const char *at = text, *end = text + size; at < end;) {
        size_t n = utf8_size(at, end);
        change(out, utf8_get(at, n));
        at += n;
    }
}

static void put_code(struct buf *out, uint32_t code) {
    char bytes[4];
    buf_append(out, bytes, utf8_put(bytes, code));
}

static void to_lower(struct buf *out, uint32_t code) {
    if (code == 0x130) /* the one capital whose small form is two characters */
        buf_append_text(out, "i\xcc\x87");
    else
        put_code(out, (uint32_t)utf8proc_tolower((utf8proc_int32_t)code));
}

static status run_lowercase(const struct normalizer_step *s, struct buf *out, const char *text, size_t size) {
    (void)s;
    each_char(out, text, size, to_lower);
    return ST_OK;
}

static void drop_mark(struct buf *out, uint32_t code) {
    utf8proc_category_t c = utf8proc_category((utf8proc_int32_t)code);
    if (c < UTF8PROC_CATEGORY_MN || c > UTF8PROC_CATEGORY_ME) put_code(out, code);
}

static status run_strip_accents(const struct normalizer_step *s, struct buf *out, const char *text, size_t size) {
    (void)s;
    each_char(out, text, size, drop_mark);
    return ST_OK;
}

/* tokenizers' do_nmt: control characters go, odd blanks become spaces. */
static void nmt_char(struct buf *out, uint32_t c) {
    if ((c >= 1 && c <= 8) || c == 0xb || (c >= 0xe && c <= 0x1f) || c == 0x7f || c == 0x8f || c == 0x9f) return;
    bool blank = c == 9 || c == 0xa || c == 0xc || c == 0xd || c == 0x1680 || (c >= 0x200b && c <= 0x200f) || c == 0x2028 || c == 0x2029 ||
                 c == 0x2581 || c == 0xfeff || c == 0xfffd;
    put_code(out, blank ? ' ' : c);
}

static status run_nmt(const struct normalizer_step *s, struct buf *out, const char *text, size_t size) {
    (void)s;
    each_char(out, text, size, nmt_char);
    return ST_OK;
}

static status run_strip(const struct normalizer_step *s, struct buf *out, const char *text, size_t size) {
    const char *at = text, *end = text + size;
    while (s->left && at < end) {
        size_t n = utf8_size(at, end);
        if (!utf8_is_space(utf8_get(at, n))) break;
        at += n;
    }
    while (s->right && at < end) {
        const char *last = end - 1;
        while (last > at && ((unsigned char)*last & 0xc0) == 0x80) last--;
        if (!utf8_is_space(utf8_get(last, (size_t)(end - last)))) break;
        end = last;
    }
    buf_append(out, at, (size_t)(end - at));
    return ST_OK;
}

static status read_strip(struct normalizer_step *s, struct json v) {
    s->left = s->right = true;
    (void)json_bool(&s->left, json_get(v, "strip_left"));
    (void)json_bool(&s->right, json_get(v, "strip_right"));
    return ST_OK;
}

static void put_strip(const struct normalizer_step *s, struct buf *out) {
    buf_printf(out, ", \"strip_left\": %s, \"strip_right\": %s", s->left ? "true" : "false", s->right ? "true" : "false");
}

static char *member_text(size_t *size, struct json v, const char *key) {
    struct buf text = {0};
    char *copy = NULL;
    if (json_string(&text, json_get(v, key))) copy = mem_text_n(buf_text(&text), text.size);
    *size = text.size;
    buf_release(&text);
    return copy;
}

static status read_prepend(struct normalizer_step *s, struct json v) {
    s->to = member_text(&s->to_size, v, "prepend");
    return s->to ? ST_OK : FAIL(ST_FORMAT, "normalizer Prepend: expected a text `prepend`");
}

static status run_prepend(const struct normalizer_step *s, struct buf *out, const char *text, size_t size) {
    if (size) buf_append(out, s->to, s->to_size);
    buf_append(out, text, size);
    return ST_OK;
}

static void put_prepend(const struct normalizer_step *s, struct buf *out) {
    buf_append_text(out, ", \"prepend\": ");
    json_put_string(out, s->to, s->to_size);
}

static status read_replace(struct normalizer_step *s, struct json v) {
    struct json pattern = json_get(v, "pattern");
    s->to = member_text(&s->to_size, v, "content");
    if (!s->to) return FAIL(ST_FORMAT, "normalizer Replace: expected a text `content`");
    s->from = member_text(&s->from_size, pattern, "String");
    if (!s->from || !s->from_size) TRY(pattern_from_json(&s->pattern, pattern, "normalizer Replace"));
    return ST_OK;
}

static status replace_pattern(const struct normalizer_step *s, struct buf *out, const char *text, size_t size) {
    void *match = pattern_match_new();
    if (!match) return FAIL(ST_NOMEM, "normalizer: out of memory");
    struct pattern_scan scan = pattern_scan_begin(&s->pattern, match, text, size);
    size_t from = 0, begin, end;
    status e;
    while ((e = pattern_scan_next(&scan, &begin, &end)) == ST_OK && begin != SIZE_MAX) {
        buf_append(out, text + from, begin - from);
        buf_append(out, s->to, s->to_size);
        from = end;
    }
    buf_append(out, text + from, size - from);
    pattern_match_free(match);
    return e;
}

static status run_replace(const struct normalizer_step *s, struct buf *out, const char *text, size_t size) {
    const char *at = text, *from = text, *end = text + size;
    if (s->pattern.code) return replace_pattern(s, out, text, size);
    while ((at = memchr(at, s->from[0], (size_t)(end - at)))) {
        if ((size_t)(end - at) < s->from_size) break;
        if (memcmp(at, s->from, s->from_size) != 0) {
            at++;
            continue;
        }
        buf_append(out, from, (size_t)(at - from));
        buf_append(out, s->to, s->to_size);
        at = from = at + s->from_size;
    }
    buf_append(out, from, (size_t)(end - from));
    return ST_OK;
}

static void put_replace(const struct normalizer_step *s, struct buf *out) {
    buf_printf(out, ", \"pattern\": {\"%s\": ", s->pattern.code ? "Regex" : "String");
    json_put_string(out, s->pattern.code ? s->pattern.source : s->from, s->pattern.code ? strlen(s->pattern.source) : s->from_size);
    buf_append_text(out, "}, \"content\": ");
    json_put_string(out, s->to, s->to_size);
}

static status read_precompiled(struct normalizer_step *s, struct json v) {
    return charsmap_from_base64(&s->map, json_get(v, "precompiled_charsmap"));
}

static status run_precompiled(const struct normalizer_step *s, struct buf *out, const char *text, size_t size) {
    charsmap_apply_graphemes(s->map, out, text, size);
    return ST_OK;
}

static void put_precompiled(const struct normalizer_step *s, struct buf *out) {
    buf_append_text(out, ", \"precompiled_charsmap\": ");
    charsmap_put_base64(s->map, out);
}

#define MARK "\xe2\x96\x81"

/* What the text begins with becomes *to; returns how much of it that is. */
static size_t sentence_prefix(const struct normalizer_step *s, const char **to, size_t *to_size, const char *at, const char *end) {
    int32_t ignored;
    size_t n = s->sentence.keep ? trie_longest(s->sentence.keep, &ignored, at, (size_t)(end - at)) : 0;
    if (!n && s->map && (n = charsmap_longest(s->map, to, to_size, at, (size_t)(end - at)))) return n;
    *to = at;
    *to_size = n ? n : utf8_size(at, end);
    return *to_size;
}

static status run_sentence(const struct normalizer_step *s, struct buf *out, const char *text, size_t size) {
    const struct sentence_rules *r = &s->sentence;
    const char *at = text, *end = text + size, *to = NULL, *space = r->escape_spaces ? MARK : " ";
    const size_t start = out->size, space_size = strlen(space);
    size_t n = 0, used;
    while (r->remove_extra_spaces && at < end) {
        used = sentence_prefix(s, &to, &n, at, end);
        if (n != 1 || to[0] != ' ') break;
        at += used;
    }
    if (at == end) return ST_OK;
    if (r->dummy_prefix && !r->space_as_suffix) buf_append(out, space, space_size);
    bool after_space = r->remove_extra_spaces;
    while (at < end) {
        at += sentence_prefix(s, &to, &n, at, end);
        for (; after_space && n && to[0] == ' '; n--) to++;
        for (size_t i = 0; i < n; i++) {
            if (to[i] == ' ')
                buf_append(out, space, space_size);
            else
                buf_append_char(out, to[i]);
        }
        if (n) after_space = r->remove_extra_spaces && to[n - 1] == ' ';
    }
    while (r->remove_extra_spaces && out->size - start >= space_size && memcmp(out->data + out->size - space_size, space, space_size) == 0)
        out->size -= space_size;
    if (r->dummy_prefix && r->space_as_suffix) buf_append(out, space, space_size);
    return ST_OK;
}

/* The first rows stand in the order of enum normal_form. */
static const struct normalizer_row rows[] = {
    {"NFC", NULL, run_nfc, NULL, true},
    {"NFD", NULL, run_nfd, NULL, true},
    {"NFKC", NULL, run_nfkc, NULL, true},
    {"NFKD", NULL, run_nfkd, NULL, true},
    {"Lowercase", NULL, run_lowercase, NULL, false},
    {"Strip", read_strip, run_strip, put_strip, false},
    {"StripAccents", NULL, run_strip_accents, NULL, true},
    {"Nmt", NULL, run_nmt, NULL, false},
    {"Prepend", read_prepend, run_prepend, put_prepend, false},
    {"Replace", read_replace, run_replace, put_replace, false},
    {"Precompiled", read_precompiled, run_precompiled, put_precompiled, false},
};
static const struct normalizer_row sentence_row = {"SentencePiece", NULL, run_sentence, NULL, false};

static const struct normalizer_row *row_of(const char *name) {
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(rows[i].name, name) == 0) return &rows[i];
    return NULL;
}

static status add_step(struct normalizer *n, struct normalizer_step **step, const struct normalizer_row *row) {
    if (n->count == NORMALIZER_STEPS_MAX) return FAIL(ST_UNSUPPORTED, "normalizer: more than %d steps", NORMALIZER_STEPS_MAX);
    *step = &n->steps[n->count++];
    **step = (struct normalizer_step){.row = row};
    return ST_OK;
}

static status unknown(struct json type) {
    struct buf known = {0};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) buf_printf(&known, ", %s", rows[i].name);
    status s = FAIL(ST_UNSUPPORTED, "normalizer %.*s is not supported; supported are Sequence%s", (int)(type.size > 40 ? 40 : type.size),
                    type.size ? type.text : "without a type", buf_text(&known));
    buf_release(&known);
    return s;
}

static status add_json(struct normalizer *n, struct json v, int depth) {
    struct json type = json_get(v, "type"), key, item;
    struct normalizer_step *step = NULL;
    if (json_kind_of(v) == JSON_NULL || json_kind_of(v) == JSON_NONE) return ST_OK;
    if (json_equals(type, "Sequence") && depth < 4) {
        struct json_iter it = json_iter_begin(json_get(v, "normalizers"));
        while (json_iter_next(&it, &key, &item)) TRY(add_json(n, item, depth + 1));
        return ST_OK;
    }
    char *name = json_text(type);
    const struct normalizer_row *row = row_of(name ? name : "");
    free(name);
    if (!row) return unknown(type);
    TRY(add_step(n, &step, row));
    return row->read ? row->read(step, v) : ST_OK;
}

status normalizer_from_json(struct normalizer *n, struct json value) { return add_json(n, value, 0); }

status normalizer_add_form(struct normalizer *n, enum normal_form form) {
    struct normalizer_step *step = NULL;
    return form == NORMAL_NONE ? ST_OK : add_step(n, &step, &rows[form - 1]);
}

status normalizer_add_replace(struct normalizer *n, const char *from, const char *to) {
    struct normalizer_step *step = NULL;
    TRY(add_step(n, &step, row_of("Replace")));
    step->from = mem_text(from);
    step->to = mem_text(to);
    step->from_size = strlen(from);
    step->to_size = strlen(to);
    return ST_OK;
}

status normalizer_add_prepend(struct normalizer *n, const char *text) {
    struct normalizer_step *step = NULL;
    TRY(add_step(n, &step, row_of("Prepend")));
    step->to = mem_text(text);
    step->to_size = strlen(text);
    return ST_OK;
}

status normalizer_add_sentence(struct normalizer *n, struct charsmap *map, struct sentence_rules rules) {
    struct normalizer_step *step = NULL;
    status s = add_step(n, &step, &sentence_row);
    if (s != ST_OK) {
        charsmap_free(map);
        return s;
    }
    step->map = map;
    step->sentence = rules;
    return ST_OK;
}

void normalizer_release(struct normalizer *n) {
    for (size_t i = 0; i < n->count; i++) {
        pattern_release(&n->steps[i].pattern);
        free(n->steps[i].from);
        free(n->steps[i].to);
        charsmap_free(n->steps[i].map);
    }
    *n = (struct normalizer){0};
}

void normalizer_put_json(const struct normalizer *n, struct buf *out) {
    if (!n->count) {
        buf_append_text(out, "null");
        return;
    }
    if (n->count > 1) buf_append_text(out, "{\"type\": \"Sequence\", \"normalizers\": [");
    for (size_t i = 0; i < n->count; i++) {
        buf_printf(out, "%s{\"type\": \"%s\"", i ? ", " : "", n->steps[i].row->name);
        if (n->steps[i].row->put) n->steps[i].row->put(&n->steps[i], out);
        buf_append_char(out, '}');
    }
    if (n->count > 1) buf_append_text(out, "]}");
}

status normalizer_run(const struct normalizer *n, struct buf *out, const char *text, size_t size) {
    struct buf from = {0}, to = {0};
    const char *at = text;
    size_t left = size;
    status s = ST_OK;
    for (size_t i = 0; i < n->count && s == ST_OK; i++) {
        const struct normalizer_step *step = &n->steps[i];
        if (step->row->ascii_keeps && all_ascii(at, left)) continue;
        buf_clear(&to);
        s = step->row->run(step, &to, at, left);
        struct buf swap = from;
        from = to;
        to = swap;
        at = buf_text(&from);
        left = from.size;
    }
    if (s == ST_OK) buf_append(out, at, left);
    buf_release(&from);
    buf_release(&to);
    return s;
}
