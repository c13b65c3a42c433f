/* token_spans: which tokens of a text stand for some of its characters: tokenizers' offsets and `char_to_token`, for masks that a chat
 * template makes. */
#ifndef RAPT_TEXT_TOKEN_SPANS_H
#define RAPT_TEXT_TOKEN_SPANS_H

#include "base/utf8.h"
#include "text/tokenizer.h"

/* mask[count] = 1 for the tokens of the spans [span_count], 0 for the others; ids[count] are what tokenizer_encode made of text[0..size)
 * without add_special. As transformers' apply_chat_template(return_assistant_tokens_mask=True) does it: from the first token that has the
 * first character to the first one that has the last; a span that begins in no token ends the list, one whose last character is in none (or
 * in token 0) goes on to the end. ST_UNSUPPORTED where the tokenizer rewrites the text so that its tokens cannot be followed, or a span
 * ends within characters that it composes. */
status tokenizer_mark_spans(uint8_t *mask, const struct tokenizer *t, const int32_t *ids, size_t count, const char *text, size_t size,
                            const struct text_span *spans, size_t span_count);

#endif
