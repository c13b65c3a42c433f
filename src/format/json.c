#include "format/json.h"

#include "base/utf8.h"

#include <immintrin.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct scan {
    const char *start, *at, *end;
};

static status bad(const struct scan *s, const char *expected) {
    if (s->at >= s->end) return FAIL(ST_FORMAT, "byte %zu: text ends, expected %s", (size_t)(s->at - s->start) + 1, expected);
    unsigned char c = (unsigned char)*s->at;
    if (c >= 32 && c < 127) return FAIL(ST_FORMAT, "byte %zu: expected %s, found '%c'", (size_t)(s->at - s->start) + 1, expected, c);
    return FAIL(ST_FORMAT, "byte %zu: expected %s, found byte 0x%02x", (size_t)(s->at - s->start) + 1, expected, c);
}

static inline const char *skip_blank(const char *at, const char *end) {
    while (at < end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')) at++;
    return at;
}

/* One bit for each of 64 bytes. */
struct string_bits {
    uint64_t quote, slash, control, high;
};

static inline void bits_of_half(struct string_bits *b, const char *at, int shift) {
    const __m256i quote = _mm256_set1_epi8('"'), slash = _mm256_set1_epi8('\\'), limit = _mm256_set1_epi8(31);
    __m256i x = _mm256_loadu_si256((const __m256i *)(const void *)at);
    b->quote |= (uint64_t)(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(x, quote)) << shift;
    b->slash |= (uint64_t)(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(x, slash)) << shift;
    b->control |= (uint64_t)(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_min_epu8(x, limit), x)) << shift;
    b->high |= (uint64_t)(uint32_t)_mm256_movemask_epi8(x) << shift;
}

static inline struct string_bits string_bits(const char *at) {
    struct string_bits b = {0};
    bits_of_half(&b, at, 0);
    bits_of_half(&b, at + 32, 32);
    return b;
}

/* The bytes that a backslash stands before and makes its own, of 64; `*carry`: the last backslash belongs to the next block's first byte.
 * Where backslashes stand in a row every second one is escaped itself. */
static inline uint64_t escaped_bits(uint64_t slash, uint64_t *carry) {
    uint64_t escaped = *carry;
    *carry = 0;
    slash &= ~escaped;
    while (slash) {
        uint64_t first = slash & -slash, next = first << 1;
        if (!next) *carry = 1;
        escaped |= next;
        slash &= ~(first | next);
    }
    return escaped;
}

/* The first byte at or after `at` that is a quote, a backslash, a control or (when `ascii`) not ASCII. */
static inline const char *string_stop(const char *at, const char *end, bool ascii) {
    for (; end - at >= 64; at += 64) {
        struct string_bits b = string_bits(at);
        uint64_t hit = b.quote | b.slash | b.control | (ascii ? b.high : 0);
        if (hit) return at + __builtin_ctzll(hit);
    }
    for (; at < end; at++) {
        unsigned char c = (unsigned char)*at;
        if (c == '"' || c == '\\' || c < 32 || (ascii && c >= 128)) return at;
    }
    return at;
}

/* What a backslash and `c` stand for; 0 when that is no escape (\\u apart). */
static inline char escape_value(char c) {
    static const char meaning[256] = {['n'] = '\n', ['"'] = '"',  ['\\'] = '\\', ['/'] = '/',
                                      ['t'] = '\t', ['r'] = '\r', ['b'] = '\b',  ['f'] = '\f'};
    return meaning[(unsigned char)c];
}

static int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* Passes blocks of 64 bytes inside a string that have nothing in them to complain of, up to its quote, and stops before the first other
 * one. A \\u and what stands at a block's end is left to the caller. */
static void scan_plain_blocks(struct scan *s) {
    while (s->end - s->at >= 64) {
        struct string_bits b = string_bits(s->at);
        uint64_t carry = 0, escaped = escaped_bits(b.slash, &carry), quotes = b.quote & ~escaped;
        uint64_t inside = quotes ? (quotes & -quotes) - 1 : ~(uint64_t)0;
        if ((b.control | b.high) & inside || (carry && !quotes)) return;
        for (uint64_t left = escaped & inside; left; left &= left - 1)
            if (!escape_value(s->at[__builtin_ctzll(left)])) return;
        if (quotes) {
            s->at += __builtin_ctzll(quotes);
            return;
        }
        s->at += 64;
    }
}

static status scan_string(struct scan *s) {
    s->at++; /* the quote */
    for (;;) {
        scan_plain_blocks(s);
        s->at = string_stop(s->at, s->end, true);
        if (s->at >= s->end) return bad(s, "the closing quote of a string");
        unsigned char c = (unsigned char)*s->at;
        if (c == '"') {
            s->at++;
            return ST_OK;
        }
        if (c >= 128) {
            size_t n = utf8_size(s->at, s->end);
            if (!n) return bad(s, "valid UTF-8");
            s->at += n;
        } else if (c == '\\') {
            s->at++;
            if (s->at < s->end && *s->at == 'u') {
                for (int i = 0; i < 4; i++) {
                    s->at++;
                    if (s->at >= s->end || hex_value(*s->at) < 0) return bad(s, "four hex digits after \\u");
                }
                s->at++;
            } else {
                if (s->at >= s->end || !escape_value(*s->at)) return bad(s, "an escape such as \\n");
                s->at++;
            }
        } else {
            return bad(s, "no raw control character inside a string (write \\n or \\u000a)");
        }
    }
}

static bool digits(struct scan *s) {
    const char *start = s->at;
    while (s->at < s->end && *s->at >= '0' && *s->at <= '9') s->at++;
    return s->at > start;
}

static status scan_number(struct scan *s) {
    if (*s->at == '-') s->at++;
    const char *first = s->at;
    if (!digits(s)) return bad(s, "a digit");
    if (*first == '0' && s->at - first > 1) {
        s->at = first + 1;
        return bad(s, "no digit after a leading zero");
    }
    if (s->at < s->end && *s->at == '.') {
        s->at++;
        if (!digits(s)) return bad(s, "a digit after the point");
    }
    if (s->at < s->end && (*s->at == 'e' || *s->at == 'E')) {
        s->at++;
        if (s->at < s->end && (*s->at == '+' || *s->at == '-')) s->at++;
        if (!digits(s)) return bad(s, "a digit in the exponent");
    }
    return ST_OK;
}

static status scan_word(struct scan *s, const char *word) {
    size_t n = strlen(word);
    if ((size_t)(s->end - s->at) < n || memcmp(s->at, word, n) != 0) return bad(s, "a value");
    s->at += n;
    return ST_OK;
}

static status scan_value(struct scan *s, int depth);

static status scan_members(struct scan *s, int depth, bool object) {
    const char close = object ? '}' : ']';
    if (depth >= JSON_DEPTH_MAX) return bad(s, "nesting of at most 128 levels");
    s->at = skip_blank(s->at + 1, s->end);
    if (s->at < s->end && *s->at == close) {
        s->at++;
        return ST_OK;
    }
    for (;;) {
        s->at = skip_blank(s->at, s->end);
        if (object) {
            if (s->at >= s->end || *s->at != '"') return bad(s, "a key in quotes");
            TRY(scan_string(s));
            s->at = skip_blank(s->at, s->end);
            if (s->at >= s->end || *s->at != ':') return bad(s, "':' after a key");
            s->at = skip_blank(s->at + 1, s->end);
        }
        TRY(scan_value(s, depth + 1));
        s->at = skip_blank(s->at, s->end);
        if (s->at < s->end && *s->at == ',') {
            s->at++;
            continue;
        }
        if (s->at < s->end && *s->at == close) {
            s->at++;
            return ST_OK;
        }
        return bad(s, object ? "',' or '}'" : "',' or ']'");
    }
}

static status scan_value(struct scan *s, int depth) {
    if (s->at >= s->end) return bad(s, "a value");
    switch (*s->at) {
    case '{': return scan_members(s, depth, true);
    case '[': return scan_members(s, depth, false);
    case '"': return scan_string(s);
    case 't': return scan_word(s, "true");
    case 'f': return scan_word(s, "false");
    case 'n': return scan_word(s, "null");
    default:
        if (*s->at == '-' || (*s->at >= '0' && *s->at <= '9')) return scan_number(s);
        return bad(s, "a value");
    }
}

status json_parse(struct json *out, const char *text, size_t size) {
    struct scan s = {text, skip_blank(text, text + size), text + size};
    const char *start = s.at;
    *out = (struct json){0};
    TRY(scan_value(&s, 0));
    const char *end = s.at;
    s.at = skip_blank(s.at, s.end);
    if (s.at != s.end) return bad(&s, "nothing more after the value");
    *out = (struct json){start, (size_t)(end - start)};
    return ST_OK;
}

enum json_kind json_kind_of(struct json v) {
    if (!v.size) return JSON_NONE;
    switch (*v.text) {
    case '{': return JSON_OBJECT;
    case '[': return JSON_ARRAY;
    case '"': return JSON_STRING;
    case 't':
    case 'f': return JSON_BOOL;
    case 'n': return JSON_NULL;
    default: return JSON_NUMBER;
    }
}

const char *json_kind_name(enum json_kind kind) {
    static const char *const names[] = {"nothing", "null", "true or false", "a number", "a string", "an array", "an object"};
    return names[kind];
}

/* Past the string that starts at `at`; the text is known to be valid. */
static const char *pass_string(const char *at, const char *end) {
    uint64_t carry = 0;
    for (at++; end - at >= 64; at += 64) {
        struct string_bits b = string_bits(at);
        if (!(b.quote | b.slash >> 63)) { /* no quote, and no backslash that reaches into the next block: most of a text */
            carry = 0;
            continue;
        }
        uint64_t quotes = b.quote & ~escaped_bits(b.slash, &carry);
        if (quotes) return at + __builtin_ctzll(quotes) + 1;
    }
    for (at += carry;;) {
        at = string_stop(at, end, false);
        if (at >= end || *at == '"') return at + 1;
        at += 2;
    }
}

/* Past the valid value that starts at `at`. */
static const char *pass_value(const char *at, const char *end) {
    if (*at == '"') return pass_string(at, end);
    if (*at == '{' || *at == '[') {
        for (int depth = 0; at < end;) {
            char c = *at;
            if (c == '"') {
                at = pass_string(at, end);
                continue;
            }
            at++;
            if (c == '{' || c == '[') depth++;
            if ((c == '}' || c == ']') && --depth == 0) break;
        }
        return at;
    }
    while (at < end && *at != ',' && *at != '}' && *at != ']' && *at != ' ' && *at != '\n' && *at != '\r' && *at != '\t') at++;
    return at;
}

struct json_iter json_iter_begin(struct json v) {
    enum json_kind kind = json_kind_of(v);
    if (kind != JSON_ARRAY && kind != JSON_OBJECT) return (struct json_iter){0};
    return (struct json_iter){v.text + 1, v.text + v.size - 1, kind == JSON_OBJECT};
}

bool json_iter_next(struct json_iter *it, struct json *key, struct json *value) {
    const char *at = it->at ? skip_blank(it->at, it->end) : it->end;
    if (at < it->end && *at == ',') at = skip_blank(at + 1, it->end);
    if (at >= it->end) return false;
    *key = (struct json){0};
    if (it->object) {
        const char *end = pass_string(at, it->end);
        *key = (struct json){at, (size_t)(end - at)};
        at = skip_blank(end, it->end);
        at = skip_blank(at + 1, it->end);
    }
    const char *end = pass_value(at, it->end);
    *value = (struct json){at, (size_t)(end - at)};
    it->at = end;
    return true;
}

size_t json_count(struct json value) {
    struct json_iter it = json_iter_begin(value);
    struct json k, v;
    size_t count = 0;
    while (json_iter_next(&it, &k, &v)) count++;
    return count;
}

struct json json_get(struct json object, const char *key) {
    struct json k, v;
    if (json_kind_of(object) != JSON_OBJECT) return (struct json){0};
    struct json_iter it = json_iter_begin(object);
    while (json_iter_next(&it, &k, &v))
        if (json_equals(k, key)) return v;
    return (struct json){0};
}

bool json_equals(struct json s, const char *text) {
    size_t size = strlen(text);
    if (json_kind_of(s) != JSON_STRING) return false;
    if (!memchr(s.text, '\\', s.size)) return s.size == size + 2 && memcmp(s.text + 1, text, size) == 0;
    struct buf decoded = {0};
    json_string(&decoded, s);
    bool same = decoded.size == size && memcmp(buf_text(&decoded), text, size) == 0;
    buf_release(&decoded);
    return same;
}

static unsigned hex4(const char *p) {
    unsigned v = 0;
    for (int i = 0; i < 4; i++) v = v * 16 + (unsigned)hex_value(p[i]);
    return v;
}

static void put_codepoint(struct buf *out, unsigned c) {
    char u[4];
    size_t n;
    if (c < 0x80)
        u[0] = (char)c, n = 1;
    else if (c < 0x800)
        u[0] = (char)(0xc0 | c >> 6), u[1] = (char)(0x80 | (c & 63)), n = 2;
    else if (c < 0x10000)
        u[0] = (char)(0xe0 | c >> 12), u[1] = (char)(0x80 | (c >> 6 & 63)), u[2] = (char)(0x80 | (c & 63)), n = 3;
    else
        u[0] = (char)(0xf0 | c >> 18), u[1] = (char)(0x80 | (c >> 12 & 63)), u[2] = (char)(0x80 | (c >> 6 & 63)),
        u[3] = (char)(0x80 | (c & 63)), n = 4;
    buf_append(out, u, n);
}

/* Copies up to the first byte among 32 that `stops`; `to` has room for 32. The bytes copied. */
static inline size_t copy_until(char *to, const char *at, const char *end, bool slash_only) {
    if (end - at < 32) {
        size_t n = 0;
        while (at + n < end && at[n] != '\\' && (slash_only || (at[n] != '"' && (unsigned char)at[n] >= 32))) to[n] = at[n], n++;
        return n;
    }
    struct string_bits b = {0};
    bits_of_half(&b, at, 0);
    _mm256_storeu_si256((__m256i *)(void *)to, _mm256_loadu_si256((const __m256i *)(const void *)at));
    uint64_t stop = slash_only ? b.slash : b.slash | b.quote | b.control;
    return stop ? (size_t)__builtin_ctzll(stop) : 32;
}

/* Past the escape that begins behind the backslash before `at`. */
static const char *put_escaped(struct buf *out, const char *at, const char *end) {
    if (*at != 'u') {
        buf_append_char(out, escape_value(*at));
        return at + 1;
    }
    unsigned c = hex4(at + 1);
    at += 5;
    if (c >= 0xd800 && c < 0xdc00 && end - at >= 6 && at[0] == '\\' && at[1] == 'u') {
        unsigned d = hex4(at + 2);
        if (d >= 0xdc00 && d < 0xe000) {
            c = 0x10000 + ((c - 0xd800) << 10) + (d - 0xdc00);
            at += 6;
        }
    }
    put_codepoint(out, c >= 0xd800 && c < 0xe000 ? 0xfffd : c);
    return at;
}

bool json_string(struct buf *out, struct json value) {
    if (json_kind_of(value) != JSON_STRING) return false;
    const char *at = value.text + 1, *end = value.text + value.size - 1;
    while (at < end) {
        size_t n = copy_until(buf_room(out, 32), at, end, true);
        out->size += n;
        at += n;
        if (at < end && *at == '\\') at = put_escaped(out, at + 1, end);
    }
    buf_append(out, "", 0);
    return true;
}

char *json_text(struct json value) {
    struct buf b = {0};
    return json_string(&b, value) ? b.data : NULL;
}

bool json_double(double *out, struct json value) {
    char text[64];
    if (json_kind_of(value) != JSON_NUMBER) return false;
    if (value.size < sizeof text) {
        memcpy(text, value.text, value.size);
        text[value.size] = '\0';
        *out = strtod(text, NULL);
    } else {
        char *copy = mem_text_n(value.text, value.size);
        *out = strtod(copy, NULL);
        free(copy);
    }
    return isfinite(*out);
}

bool json_int(int64_t *out, struct json value) {
    double d;
    if (!json_double(&d, value) || d != floor(d) || fabs(d) > 9007199254740992.0) return false;
    *out = (int64_t)d;
    return true;
}

bool json_bool(bool *out, struct json value) {
    if (json_kind_of(value) != JSON_BOOL) return false;
    *out = *value.text == 't';
    return true;
}

static void put_escape_of(struct buf *out, unsigned char c) {
    static const char letter[32] = {['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};
    char escape[2] = {'\\', (char)(c < 32 ? letter[c] : c)};
    if (escape[1])
        buf_append(out, escape, 2);
    else
        buf_printf(out, "\\u%04x", c);
}

void json_put_string(struct buf *out, const char *text, size_t size) {
    const char *at = text, *end = text + size;
    buf_append_char(out, '"');
    while (at < end) {
        size_t n = copy_until(buf_room(out, 32), at, end, false);
        out->size += n;
        at += n;
        if (n < 32 && at < end) put_escape_of(out, (unsigned char)*at++);
    }
    buf_append_char(out, '"');
}

void json_put_text(struct buf *out, const char *text) { json_put_string(out, text, strlen(text)); }

/* A multiple of 0.01, without printf; false for any other number and for -0. */
static bool put_hundredths(struct buf *out, double value) {
    double hundredths = nearbyint(value * 100);
    if (hundredths / 100 != value || (value == 0 && signbit(value))) return false;
    char text[24], *at = text + sizeof text;
    uint64_t n = (uint64_t)fabs(hundredths);
    unsigned cents = (unsigned)(n % 100);
    if (cents % 10) *--at = (char)('0' + cents % 10);
    if (cents) *--at = (char)('0' + cents / 10), *--at = '.';
    n /= 100;
    do *--at = (char)('0' + n % 10);
    while (n /= 10);
    if (value < 0) *--at = '-';
    buf_append(out, at, (size_t)(text + sizeof text - at));
    return true;
}

void json_put_double(struct buf *out, double value) {
    char text[40];
    if (!isfinite(value)) {
        buf_append_text(out, "null");
        return;
    }
    /* Scores have few decimals: below 2^53 / 100 no two decimals of two places are one double, so this is the shortest text too. */
    if (fabs(value) < 1e9 && put_hundredths(out, value)) return;
    for (int precision = 1; precision <= 17; precision++) {
        snprintf(text, sizeof text, "%.*g", precision, value);
        if (strtod(text, NULL) == value) break;
    }
    /* 1e+01 is how %.1g writes 10: prefer plain digits where they are short */
    if (strchr(text, 'e') && value == floor(value) && fabs(value) < 1e15) snprintf(text, sizeof text, "%.0f", value);
    buf_append_text(out, text);
}
