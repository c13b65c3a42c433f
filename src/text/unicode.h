/* unicode: general categories of Unicode 16, which tokenizers' Oniguruma knows: utf8proc's and PCRE2's tables with what their versions
 * lack. */
#ifndef RAPT_TEXT_UNICODE_H
#define RAPT_TEXT_UNICODE_H

#include "base/buf.h"

/* One of utf8proc's UTF8PROC_CATEGORY_*. */
int unicode_category(uint32_t code);
bool unicode_is_letter(uint32_t code); /* \p{L} */
bool unicode_is_number(uint32_t code); /* \p{N} */

/* Appends to a character class of PCRE2 the code points of \p{NAME} that Unicode 15 to 16 added: \x{a}-\x{b}... Nothing for other names
 * than general categories of one or two letters, Alphabetic and Han. Returns how many ranges. */
size_t unicode_put_added(struct buf *out, const char *name, size_t size);

#endif
