#include "text/split_fast.h"

#include <string.h>

#include "base/utf8.h"
#include "text/pretoken.h"
#include "text/unicode.h"

enum class { MARK, LETTER, NUMBER, BLANK, LINE_END }; /* BLANK, LINE_END: \s; MARK: none of the others */

#define B BLANK
#define N LINE_END
#define D NUMBER
#define L LETTER
static const unsigned char ascii[128] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, B, N, B, B, N, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, /* controls */
    B, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, D, D, D, D, D, D, D, D, D, D, 0, 0, 0, 0, 0, 0, /* space to ? */
    0, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, 0, 0, 0, 0, 0, /* @ to _ */
    0, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, 0, 0, 0, 0, 0, /* ` to DEL */
};
#undef B
#undef N
#undef D
#undef L

static enum class class_wide(uint32_t code) {
    return unicode_is_letter(code) ? LETTER : unicode_is_number(code) ? NUMBER : utf8_is_space(code) ? BLANK : MARK;
}

static inline size_t width(const char *at) {
    const unsigned char c = (unsigned char)*at;
    return c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
}

/* The class of the character at `at` and its bytes. */
static inline enum class class_at(size_t *size, const char *at) {
    if ((unsigned char)*at < 0x80) {
        *size = 1;
        return ascii[(unsigned char)*at];
    }
    *size = width(at);
    return class_wide(utf8_get(at, *size));
}

/* Over a run of one class; never BLANK or LINE_END. */
static inline const char *over(const char *at, const char *end, enum class what) {
    size_t n;
    while (at < end && class_at(&n, at) == what) at += n;
    return at;
}

/* From the first of a run of \s; *lines: behind its last line end, NULL without one; *last: its last character. */
static const char *over_blanks(const char *at, const char *end, const char **lines, const char **last) {
    size_t n;
    *lines = NULL;
    *last = at;
    while (at < end) {
        const enum class c = class_at(&n, at);
        if (c != BLANK && c != LINE_END) break;
        *last = at;
        at += n;
        if (c == LINE_END) *lines = at;
    }
    return at;
}

/* \s+(?!\S)|\s+ */
static const char *blanks_end(const char *at, const char *stop, const char *last, const char *end) {
    return stop == end || last == at ? stop : last;
}

/* 's|'t|'re|'ve|'m|'ll|'d behind the apostrophe at `at`; bits: 0x20 takes capitals too, which A to Z become small letters by. */
static const char *contraction(const char *at, const char *end, char bits) {
    if (end - at < 2) return NULL;
    const char a = (char)(at[1] | bits), b = end - at > 2 ? (char)(at[2] | bits) : '\0';
    if (a == 's' || a == 't' || a == 'm' || a == 'd') return at + 2;
    if ((a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l')) return at + 3;
    return NULL;
}

static const char *gpt2_end(const char *at, const char *end) {
    const char *start = at, *stop, *lines, *last;
    size_t n;
    if (*at == '\'' && (stop = contraction(at, end, 0))) return stop;
    enum class c = class_at(&n, at);
    if (*at == ' ' && at + 1 < end) {
        start = at + 1;
        c = class_at(&n, start);
        if (c >= BLANK) c = class_at(&n, start = at);
    }
    if (c < BLANK) return over(start + n, end, c);
    stop = over_blanks(at, end, &lines, &last);
    return blanks_end(at, stop, last, end);
}

static inline const char *llama3_end(const char *at, const char *end, int digits) {
    const char *stop, *lines, *last;
    size_t n, next_size;
    if (*at == '\'' && (stop = contraction(at, end, 0x20))) return stop;
    const enum class c = class_at(&n, at), next = at + n < end ? class_at(&next_size, at + n) : LINE_END;
    if (c == LETTER || (next == LETTER && c != NUMBER && c != LINE_END)) return over(at + n, end, LETTER);
    if (c == NUMBER) {
        for (at += n; --digits && at < end && class_at(&n, at) == NUMBER;) at += n;
        return at;
    }
    if (c == MARK || (*at == ' ' && at + 1 < end && next == MARK)) {
        at = over(at + n, end, MARK);
        while (at < end && (*at == '\r' || *at == '\n')) at++;
        return at;
    }
    stop = over_blanks(at, end, &lines, &last);
    return lines ? lines : blanks_end(at, stop, last, end);
}

static const char *llama3_three(const char *at, const char *end) { return llama3_end(at, end, 3); }
static const char *llama3_one(const char *at, const char *end) { return llama3_end(at, end, 1); }

const struct split_fast split_fast_table[] = {
    {PRETOKEN_GPT2, gpt2_end},
    {PRETOKEN_LLAMA3("\\p{N}{1,3}"), llama3_three},
    {PRETOKEN_LLAMA3("\\p{N}"), llama3_one},
};
const size_t split_fast_count = sizeof split_fast_table / sizeof split_fast_table[0];

const struct split_fast *split_fast_find(const char *pattern) {
    for (size_t i = 0; i < split_fast_count; i++)
        if (strcmp(pattern, split_fast_table[i].pattern) == 0) return &split_fast_table[i];
    return NULL;
}
