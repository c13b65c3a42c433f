#include "base/utf8.h"

size_t utf8_size(const char *at, const char *end) {
    const unsigned char *p = (const unsigned char *)at;
    size_t rest = (size_t)(end - at);
    unsigned c = p[0];
    if (c < 0x80) return 1;
    if (c < 0xc2 || c > 0xf4) return 0;
    size_t n = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    if (rest < n) return 0;
    unsigned low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80, high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
    if (p[1] < low || p[1] > high) return 0;
    for (size_t i = 2; i < n; i++)
        if ((p[i] & 0xc0) != 0x80) return 0;
    return n;
}

size_t utf8_valid_prefix(const char *text, size_t size) {
    const char *at = text, *end = text + size;
    while (at < end) {
        size_t n = utf8_size(at, end);
        if (!n) break;
        at += n;
    }
    return (size_t)(at - text);
}

uint32_t utf8_get(const char *at, size_t n) {
    const unsigned char *p = (const unsigned char *)at;
    if (n == 1) return p[0];
    uint32_t code = p[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) code = code << 6 | (p[i] & 0x3f);
    return code;
}

size_t utf8_put(char out[4], uint32_t code) {
    size_t n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    if (n == 1) {
        out[0] = (char)code;
        return 1;
    }
    for (size_t i = n - 1; i; i--, code >>= 6) out[i] = (char)(0x80 | (code & 0x3f));
    out[0] = (char)(0xf00u >> n | code);
    return n;
}

size_t utf8_count(const char *text, size_t size) {
    size_t n = 0;
    for (size_t i = 0; i < size; i++) n += ((unsigned char)text[i] & 0xc0) != 0x80;
    return n;
}

bool utf8_is_space(uint32_t c) {
    return c == ' ' || (c >= 9 && c <= 13) || c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 ||
           c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

/* Bytes of the character that begins with c, 0 when none does. */
static size_t length_of(unsigned char c) { return c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0; }

/* May `next` be the second byte behind `first`? Rules out overlong forms, surrogates and what lies above U+10FFFF (RFC 3629). */
static bool second_fits(unsigned char first, unsigned char next) {
    if (first == 0xe0) return next >= 0xa0 && next < 0xc0;
    if (first == 0xed) return next >= 0x80 && next < 0xa0;
    if (first == 0xf0) return next >= 0x90 && next < 0xc0;
    if (first == 0xf4) return next >= 0x80 && next < 0x90;
    return next >= 0x80 && next < 0xc0;
}

/* How many of the first `most` bytes fit the character that begins here. */
static size_t fitting(const unsigned char *at, size_t most) {
    size_t n = 1;
    while (n < most && (n == 1 ? second_fits(at[0], at[1]) : (at[n] & 0xc0) == 0x80)) n++;
    return n;
}

size_t utf8_complete(const char *text, size_t size) {
    const unsigned char *bytes = (const unsigned char *)text;
    for (size_t back = 1; back <= 3 && back <= size; back++) {
        const size_t whole = length_of(bytes[size - back]);
        if (whole > back && fitting(bytes + size - back, back) == back) return size - back;
        if (whole) break;
    }
    return size;
}

void utf8_put_clean(struct buf *out, const char *text, size_t size) {
    const char *end = text + size, *plain = text; /* plain: where the stretch that is not yet copied begins */
    for (const char *at = text; at < end;) {
        size_t n = utf8_size(at, end);
        if (n) {
            at += n;
            continue;
        }
        buf_append(out, plain, (size_t)(at - plain));
        buf_append_text(out, "\xef\xbf\xbd");
        plain = ++at;
    }
    buf_append(out, plain, (size_t)(end - plain));
}
