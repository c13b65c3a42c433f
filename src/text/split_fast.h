/* split_fast: pre-tokenizers' commonest patterns by hand. An accelerator of pattern: a row's `end` gives what its pattern matches, and
 * test_split_fast holds it to that on random and hostile text. Patterns without a row go through PCRE2. */
#ifndef RAPT_TEXT_SPLIT_FAST_H
#define RAPT_TEXT_SPLIT_FAST_H

#include <stddef.h>

struct split_fast {
    const char *pattern; /* as tokenizer files have it; matches at every character, so that pieces lie side by side */
    /* Where the piece that begins at `at` ends; at < end, valid UTF-8. */
    const char *(*end)(const char *at, const char *end);
};
extern const struct split_fast split_fast_table[];
extern const size_t split_fast_count;

/* The row of a pattern, or NULL. */
const struct split_fast *split_fast_find(const char *pattern);

#endif
