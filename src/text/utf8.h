/* utf8: text that comes in pieces, as tokens do. */
#ifndef RAPT_TEXT_UTF8_H
#define RAPT_TEXT_UTF8_H

#include "base/buf.h"

/* How many of the bytes may be shown now: all but a tail that is the beginning of a character whose rest is still to come. */
size_t utf8_complete(const char *text, size_t size);
/* Appends the text with U+FFFD for every byte that belongs to no character. */
void utf8_put_clean(struct buf *out, const char *text, size_t size);

#endif
