#define PCRE2_CODE_UNIT_WIDTH 8
#include "text/pattern.h"

#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

#include "text/unicode.h"

/* Under Unicode case folding PCRE2 lets (?i:'s) match U+017F, the long s; Oniguruma, which wrote the vocabularies, does not. */
static const struct {
    const char *from, *to;
} rewrites[] = {
    {"(?i:'s|'t|'re|'ve|'m|'ll|'d)", "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"},
    {"(?i:[sdmt]|ll|ve|re)", "(?:[sdmtSDMT]|[lL][lL]|[vV][eE]|[rR][eE])"},
};

#define BLANK_CHARS "\\t-\\r \\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}"

/* Scripts: PCRE2's plain names mean script extensions. */
static bool is_script(const char *name, size_t size) {
    static const char *const names[] = {"Han",   "Hiragana", "Katakana", "Hangul", "Latin",      "Cyrillic",
                                        "Greek", "Arabic",   "Hebrew",   "Thai",   "Devanagari", "Bengali"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strlen(names[i]) == size && memcmp(names[i], name, size) == 0) return true;
    return false;
}

/* A property as a class, or as a part of the class around it. */
static void put_property(struct buf *out, const char *name, size_t size, bool negated, bool in_class) {
    struct buf more = {0};
    const bool script = is_script(name, size), grown = unicode_put_added(&more, name, size) > 0 && !(in_class && negated);
    if (grown && !in_class) buf_append_text(out, negated ? "[^" : "[");
    buf_printf(out, "\\%c{%s%.*s}", negated && !grown ? 'P' : 'p', script ? "sc:" : "", (int)size, name);
    if (grown) buf_append(out, more.data, more.size);
    if (grown && !in_class) buf_append_char(out, ']');
    buf_release(&more);
}

/* What stands at `at`, a backslash; returns how many bytes of the pattern that was. */
static size_t put_escape(struct buf *out, const char *at, bool in_class) {
    const char c = at[1];
    if (c == 's' || (c == 'S' && !in_class)) {
        buf_append_text(out, in_class ? BLANK_CHARS : c == 's' ? "[" BLANK_CHARS "]" : "[^" BLANK_CHARS "]");
        return 2;
    }
    if (c == 'd') {
        put_property(out, "Nd", 2, false, in_class);
        return 2;
    }
    if ((c == 'p' || c == 'P') && at[2] == '{') {
        const size_t n = strcspn(at + 3, "}^");
        if (n && at[3 + n] == '}') {
            put_property(out, at + 3, n, c == 'P', in_class);
            return n + 4;
        }
    }
    buf_append(out, at, c ? 2 : 1);
    return c ? 2 : 1;
}

static size_t put_known(struct buf *out, const char *at) {
    for (size_t i = 0; i < sizeof rewrites / sizeof rewrites[0]; i++) {
        const size_t n = strlen(rewrites[i].from);
        if (strncmp(at, rewrites[i].from, n) != 0) continue;
        buf_append_text(out, rewrites[i].to);
        return n;
    }
    return 0;
}

static void put_rewritten(struct buf *out, const char *pattern) {
    const char *class_from = NULL; /* the first character of the class that `at` is in; a ] there is a letter */
    for (const char *at = pattern; *at;) {
        size_t n = class_from ? 0 : put_known(out, at);
        if (!n && *at == '\\')
            n = put_escape(out, at, class_from != NULL);
        else if (!n) {
            if (!class_from && *at == '[')
                class_from = at + (at[1] == '^' ? 2 : 1);
            else if (class_from && *at == ']' && at != class_from)
                class_from = NULL;
            buf_append(out, at, n = 1);
        }
        at += n;
    }
}

static status compile(struct pattern *p, const char *source, const char *text, const char *what) {
    int error = 0;
    PCRE2_SIZE at = 0;
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_UCP, &error, &at, NULL);
    if (!code) {
        PCRE2_UCHAR message[128];
        pcre2_get_error_message(error, message, sizeof message);
        return FAIL(ST_FORMAT, "%s: character %zu: %s", what, (size_t)at, (const char *)message);
    }
    (void)pcre2_jit_compile(code, PCRE2_JIT_COMPLETE); /* without JIT the interpreter does the same, slower */
    *p = (struct pattern){mem_text(source), code, NULL};
    return ST_OK;
}

status pattern_init(struct pattern *p, const char *source) {
    struct buf text = {0};
    put_rewritten(&text, source);
    status s = compile(p, source, buf_text(&text), "split pattern");
    buf_release(&text);
    if (s == ST_OK) p->fast = split_fast_find(source);
    return s;
}

status pattern_init_plain(struct pattern *p, const char *source) { return compile(p, source, source, "pattern"); }

/* A literal string as a pattern. */
static void put_quoted(struct buf *out, const char *text, size_t size) {
    for (size_t i = 0; i < size; i++) {
        if (strchr("\\^$.[]|()?*+{}#- \n", text[i]) && text[i]) buf_append_char(out, '\\');
        buf_append_char(out, text[i]);
    }
}

status pattern_from_json(struct pattern *p, struct json value, const char *where) {
    struct buf in = {0}, quoted = {0};
    status s;
    if (json_string(&in, json_get(value, "Regex")))
        s = pattern_init(p, buf_text(&in));
    else if (json_string(&in, json_get(value, "String"))) {
        put_quoted(&quoted, buf_text(&in), in.size);
        s = pattern_init(p, buf_text(&quoted));
    } else
        s = FAIL(ST_FORMAT, "expected a pattern of Regex or String");
    buf_release(&in);
    buf_release(&quoted);
    return s == ST_OK ? s : status_note(s, "%s: ", where);
}

void pattern_release(struct pattern *p) {
    free(p->source);
    pcre2_code_free(p->code);
    *p = (struct pattern){0};
}

void *pattern_match_new(void) { return pcre2_match_data_create(1, NULL); }
void pattern_match_free(void *match) { pcre2_match_data_free(match); }

struct pattern_scan pattern_scan_begin(const struct pattern *p, void *match, const char *text, size_t size) {
    return (struct pattern_scan){p, match, text, size, 0, SIZE_MAX};
}

static size_t char_size(const struct pattern_scan *s, size_t at) {
    size_t n = at < s->size ? 1 : 0;
    while (n && at + n < s->size && ((unsigned char)s->text[at + n] & 0xc0) == 0x80) n++;
    return n;
}

status pattern_scan_next(struct pattern_scan *s, size_t *begin, size_t *end) {
    *begin = *end = SIZE_MAX;
    if (s->pattern->fast && s->at < s->size) {
        *begin = s->at;
        *end = s->at = (size_t)(s->pattern->fast->end(s->text + s->at, s->text + s->size) - s->text);
        return ST_OK;
    }
    if (s->pattern->fast) return ST_OK;
    const PCRE2_SIZE *ends = pcre2_get_ovector_pointer(s->match);
    while (s->at <= s->size) {
        int n = pcre2_match(s->pattern->code, (PCRE2_SPTR)s->text, s->size, s->at, PCRE2_NO_UTF_CHECK, s->match, NULL);
        if (n == PCRE2_ERROR_NOMATCH) break;
        if (n < 0 || ends[0] > ends[1] || ends[0] < s->at)
            return FAIL(ST_FORMAT, "pattern gave up (PCRE2 error %d) at byte %zu of a piece of %zu", n, s->at, s->size);
        bool empty = ends[0] == ends[1], touches = empty && ends[0] == s->last;
        size_t step = empty ? char_size(s, ends[0]) : 0;
        s->at = empty && !step ? s->size + 1 : ends[1] + step;
        if (touches) continue;
        *begin = ends[0];
        *end = s->last = ends[1];
        return ST_OK;
    }
    s->at = s->size + 1;
    return ST_OK;
}
