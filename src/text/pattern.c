#define PCRE2_CODE_UNIT_WIDTH 8
#include "text/pattern.h"

#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

/* Under Unicode case folding PCRE2 lets (?i:'s) match U+017F, the long s; Oniguruma, which wrote the vocabularies, does not. */
static const struct {
    const char *from, *to;
} rewrites[] = {
    {"(?i:'s|'t|'re|'ve|'m|'ll|'d)", "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"},
    {"(?i:[sdmt]|ll|ve|re)", "(?:[sdmtSDMT]|[lL][lL]|[vV][eE]|[rR][eE])"},
};

static void put_rewritten(struct buf *out, const char *pattern) {
    while (*pattern) {
        size_t n = 0;
        for (size_t i = 0; i < sizeof rewrites / sizeof rewrites[0] && !n; i++)
            if (strncmp(pattern, rewrites[i].from, strlen(rewrites[i].from)) == 0) {
                n = strlen(rewrites[i].from);
                buf_append_text(out, rewrites[i].to);
            }
        if (!n) buf_append(out, pattern, n = 1);
        pattern += n;
    }
}

status pattern_init(struct pattern *p, const char *source) {
    struct buf text = {0};
    int error = 0;
    PCRE2_SIZE at = 0;
    put_rewritten(&text, source);
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)buf_text(&text), text.size, PCRE2_UTF | PCRE2_UCP, &error, &at, NULL);
    buf_release(&text);
    if (!code) {
        PCRE2_UCHAR message[128];
        pcre2_get_error_message(error, message, sizeof message);
        return FAIL(ST_FORMAT, "split pattern: character %zu: %s", (size_t)at, (const char *)message);
    }
    (void)pcre2_jit_compile(code, PCRE2_JIT_COMPLETE); /* without JIT the interpreter does the same, slower */
    *p = (struct pattern){mem_text(source), code};
    return ST_OK;
}

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
    const PCRE2_SIZE *ends = pcre2_get_ovector_pointer(s->match);
    *begin = *end = SIZE_MAX;
    while (s->at <= s->size) {
        int n = pcre2_match(s->pattern->code, (PCRE2_SPTR)s->text, s->size, s->at, PCRE2_NO_UTF_CHECK, s->match, NULL);
        if (n == PCRE2_ERROR_NOMATCH) break;
        if (n < 0 || ends[0] > ends[1] || ends[0] < s->at)
            return FAIL(ST_FORMAT, "split pattern gave up (PCRE2 error %d) at byte %zu of a piece of %zu", n, s->at, s->size);
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
