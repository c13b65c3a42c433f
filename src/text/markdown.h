/* markdown: how many headers, list items and bold marks a text has, as Arena-Hard counts them for its style control
 * (lmarena/arena-hard-auto 196f6b8, utils/add_markdown_info.py: count_markdown_elements behind remove_pattern of the insides of ```
 * blocks). */
#ifndef RAPT_TEXT_MARKDOWN_H
#define RAPT_TEXT_MARKDOWN_H

#include "text/pattern.h"

#define MARKDOWN_COUNTS 10
enum { MARKDOWN_H1, MARKDOWN_ORDERED = 6, MARKDOWN_UNORDERED, MARKDOWN_STARS, MARKDOWN_LINES }; /* H1 to H6 first */
struct markdown {
    struct pattern patterns[MARKDOWN_COUNTS], block;
    void *match;
};
status markdown_init(struct markdown *m);
void markdown_release(struct markdown *m);
/* Of valid UTF-8. */
status markdown_count(size_t counts[MARKDOWN_COUNTS], struct markdown *m, const char *text, size_t size);
/* Appends the members of an answer's metadata: "token_len": tokens, "header_count": {..}, "list_count": {..}, "bold_count": {..}. */
void markdown_put_metadata(struct buf *out, const size_t counts[MARKDOWN_COUNTS], size_t tokens);

#endif
