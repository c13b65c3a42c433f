#include "text/utf8.h"

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
    const unsigned char *bytes = (const unsigned char *)text;
    size_t plain = 0; /* where the stretch that is not yet copied begins */
    for (size_t at = 0; at < size;) {
        const size_t whole = length_of(bytes[at]);
        if (whole && whole <= size - at && fitting(bytes + at, whole) == whole) {
            at += whole;
            continue;
        }
        buf_append(out, text + plain, at - plain);
        buf_append_text(out, "\xef\xbf\xbd");
        plain = ++at;
    }
    buf_append(out, text + plain, size - plain);
}
