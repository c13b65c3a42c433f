/* utf8: well-formedness, byte by byte (Unicode 15, table 3-7), also of text that comes in pieces, as tokens do. */
#ifndef RAPT_BASE_UTF8_H
#define RAPT_BASE_UTF8_H

#include "base/buf.h"

/* Characters [start, end) of a text. */
struct text_span {
    size_t start, end;
};

/* Length of the well-formed sequence at `at` (at < end), 0 if ill-formed. */
size_t utf8_size(const char *at, const char *end);
/* Bytes of the longest well-formed prefix. */
size_t utf8_valid_prefix(const char *text, size_t size);
/* The code point of a well-formed sequence of n bytes, and back; utf8_put writes up to 4 bytes and returns how many. */
uint32_t utf8_get(const char *at, size_t n);
size_t utf8_put(char out[4], uint32_t code);
/* Characters of a text, code points that is. */
size_t utf8_count(const char *text, size_t size);
/* Unicode's White_Space. */
bool utf8_is_space(uint32_t code);
/* How many of the bytes may be shown now: all but a tail that is the beginning of a character whose rest is still to come. */
size_t utf8_complete(const char *text, size_t size);
/* Appends the text with U+FFFD for every byte that belongs to no character. */
void utf8_put_clean(struct buf *out, const char *text, size_t size);

#endif
