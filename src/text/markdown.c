#include "text/markdown.h"

#include <string.h>

/* Line ends are \n alone, as in Python's re. */
static const char *const sources[MARKDOWN_COUNTS] = {
    "(*LF)(?m)^#{1}\\s", "(*LF)(?m)^#{2}\\s",        "(*LF)(?m)^#{3}\\s",      "(*LF)(?m)^#{4}\\s",    "(*LF)(?m)^#{5}\\s",
    "(*LF)(?m)^#{6}\\s", "(*LF)(?m)^\\s*\\d+\\.\\s", "(*LF)(?m)^\\s*[-*+]\\s", "\\*\\*[^*\\n]+\\*\\*", "__[^_\\n]+__"};

status markdown_init(struct markdown *m) {
    *m = (struct markdown){.match = pattern_match_new()};
    status s = m->match ? ST_OK : FAIL(ST_NOMEM, "no memory for patterns");
    for (size_t i = 0; s == ST_OK && i < MARKDOWN_COUNTS; i++) s = pattern_init_plain(&m->patterns[i], sources[i]);
    if (s == ST_OK) s = pattern_init_plain(&m->block, "```([^`]*)```");
    if (s != ST_OK) markdown_release(m);
    return s;
}

void markdown_release(struct markdown *m) {
    for (size_t i = 0; i < MARKDOWN_COUNTS; i++) pattern_release(&m->patterns[i]);
    pattern_release(&m->block);
    if (m->match) pattern_match_free(m->match);
    *m = (struct markdown){0};
}

/* Every occurrence of what a block holds goes, as str.replace takes it out, wherever it stands. */
static void take_out(struct buf *text, const char *what, size_t size) {
    struct buf left = {0};
    size_t from = 0;
    if (!size) return;
    for (size_t i = 0; i + size <= text->size;) {
        if (memcmp(text->data + i, what, size) != 0) {
            i++;
            continue;
        }
        buf_append(&left, text->data + from, i - from);
        from = i += size;
    }
    buf_append(&left, buf_text(text) + from, text->size - from);
    buf_release(text);
    *text = left;
}

status markdown_count(size_t counts[MARKDOWN_COUNTS], struct markdown *m, const char *text, size_t size) {
    struct buf plain = {0};
    size_t begin, end;
    status s = ST_OK;
    memset(counts, 0, MARKDOWN_COUNTS * sizeof *counts);
    buf_append(&plain, text, size);
    struct pattern_scan blocks = pattern_scan_begin(&m->block, m->match, text, size);
    for (;;) {
        s = pattern_scan_next(&blocks, &begin, &end);
        if (s != ST_OK || begin == SIZE_MAX) break;
        take_out(&plain, text + begin + 3, end - begin - 6);
    }
    for (size_t i = 0; s == ST_OK && i < MARKDOWN_COUNTS; i++) {
        struct pattern_scan scan = pattern_scan_begin(&m->patterns[i], m->match, buf_text(&plain), plain.size);
        for (;;) {
            s = pattern_scan_next(&scan, &begin, &end);
            if (s != ST_OK || begin == SIZE_MAX) break;
            counts[i]++;
        }
    }
    buf_release(&plain);
    return s;
}

void markdown_put_metadata(struct buf *out, const size_t counts[MARKDOWN_COUNTS], size_t tokens) {
    buf_printf(out, "\"token_len\": %zu, \"header_count\": {", tokens);
    for (size_t i = 0; i < 6; i++) buf_printf(out, "%s\"h%zu\": %zu", i ? ", " : "", i + 1, counts[i]);
    buf_printf(out, "}, \"list_count\": {\"ordered\": %zu, \"unordered\": %zu}, \"bold_count\": {\"**\": %zu, \"__\": %zu}",
               counts[MARKDOWN_ORDERED], counts[MARKDOWN_UNORDERED], counts[MARKDOWN_STARS], counts[MARKDOWN_LINES]);
}
