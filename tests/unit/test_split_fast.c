/* Hand-written splitters: for every row the same pieces as its pattern under PCRE2, on every code point in context and on random text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/rng.h"
#include "base/utf8.h"
#include "text/pattern.h"
#include "text/unicode.h"

static void same_pieces(const struct split_fast *row, const struct pattern *slow, void *match, const char *text, size_t size) {
    struct pattern_scan scan = pattern_scan_begin(slow, match, text, size);
    for (size_t at = 0, begin, end; at < size;) {
        const char *stop = row->end(text + at, text + size);
        assert_int_equal(pattern_scan_next(&scan, &begin, &end), ST_OK);
        if (begin != at || end != (size_t)(stop - text))
            fail_msg("%s\ntext '%.*s' (%zu bytes): piece %zu to %zu, the pattern's %zu to %zu", row->pattern, (int)size, text, size, at,
                     (size_t)(stop - text), begin, end);
        at = end;
    }
}

/* The row's pattern, without the row. */
static struct pattern by_pcre2(const struct split_fast *row) {
    struct pattern p;
    assert_int_equal(pattern_init(&p, row->pattern), ST_OK);
    assert_ptr_equal(p.fast, row);
    p.fast = NULL;
    return p;
}

static void every_code_point(void **state) {
    (void)state;
    /* @: the code point */
    static const char *const around[] = {"a@b", "@@a 1@ @", " @ @@\n@", "'@'s@", "!@\r\n @1"};
    void *match = pattern_match_new();
    for (size_t r = 0; r < split_fast_count; r++) {
        struct pattern p = by_pcre2(&split_fast_table[r]);
        struct buf text = {0};
        for (uint32_t code = 0; code < 0x110000; code++) {
            if (code == 0xd800) code = 0xe000;
            if (code > 0x3400 && code < 0x4db0) code = 0x4db0; /* insides of the longest blocks of one kind */
            if (code > 0x4e10 && code < 0x9ff0) code = 0x9ff0;
            if (code > 0xac10 && code < 0xd790) code = 0xd790;
            if (code > 0x20010 && code < 0x2a6d0) code = 0x2a6d0;
            if (code > 0x32400 && code < 0xe0000) code = 0xe0000;
            if (code > 0xe0200 && code < 0x10fff0) code = 0x10fff0;
            char bytes[4];
            const size_t n = utf8_put(bytes, code);
            buf_clear(&text);
            for (size_t i = 0; i < sizeof around / sizeof around[0]; i++)
                for (const char *at = around[i]; *at; at++) buf_append(&text, *at == '@' ? bytes : at, *at == '@' ? n : 1);
            same_pieces(&split_fast_table[r], &p, match, text.data, text.size);
        }
        buf_release(&text);
        pattern_release(&p);
    }
    pattern_match_free(match);
}

/* What random texts are put together from. */
/* clang-format off */
static const char *const parts[] = {
    "a", "B", "word", "s", "t", "re", "LL", "'", "''", "'S", "'lL", "'ve", "\xe2\x80\x99s", " ", " ", "  ", "\n",
    "\r\n", "\r", "\t", "\v", "\xc2\xa0", "\xe3\x80\x80", "\xe2\x80\xa8", "\xe1\xa0\x8e", "1", "23", "456", "7890123",
    "\xd9\xa1", "\xc2\xbd", "\xc2\xb2", "!", "...", "-", "_", "\\", "/\n", "\xc5\xbf", "\xe2\x84\xaa", "\xc3\xa9",
    "e\xcc\x81", "\xd1\x8f", "\xe6\x95\xb0\xe5\xad\x97", "\xed\x95\x9c", "\xf0\x9f\x98\x80", "\xe2\x80\x8d",
    "\xef\xb8\x8f", "\xf0\xb1\x8d\x90", "\xf0\x9e\x93\xb0", "\xee\x80\x80", "\xcd\xb8", "\x01", "\x7f", "\xc2\x85",
};
/* clang-format on */

static void random_text(void **state) {
    (void)state;
    struct rng rng = rng_seeded(11);
    void *match = pattern_match_new();
    struct buf text = {0};
    for (size_t r = 0; r < split_fast_count; r++) {
        struct pattern p = by_pcre2(&split_fast_table[r]);
        for (int round = 0; round < 60000; round++) {
            buf_clear(&text);
            for (uint64_t i = 1 + rng_below(&rng, 12); i; i--) {
                if (rng_below(&rng, 8) == 0) {
                    char bytes[4];
                    uint32_t code = (uint32_t)rng_below(&rng, 0x110000);
                    if (code >= 0xd800 && code < 0xe000) code = ' ';
                    buf_append(&text, bytes, utf8_put(bytes, code));
                } else
                    buf_append_text(&text, parts[rng_below(&rng, sizeof parts / sizeof parts[0])]);
            }
            same_pieces(&split_fast_table[r], &p, match, text.data, text.size);
        }
        pattern_release(&p);
    }
    buf_release(&text);
    pattern_match_free(match);
}

/* 4 MB of each would take hours if a piece looked at all that follows. */
static void long_runs_are_linear(void **state) {
    (void)state;
    static const char *const units[] = {"a", "1", " ", "\n", "!", "\xe6\x95\xb0", "'", "\xc2\xa0", " \n"};
    for (size_t r = 0; r < split_fast_count; r++)
        for (size_t u = 0; u < sizeof units / sizeof units[0]; u++) {
            struct buf text = {0};
            while (text.size < 4 << 20) buf_append_text(&text, units[u]);
            const clock_t start = clock();
            for (const char *at = text.data, *end = at + text.size; at < end;) at = split_fast_table[r].end(at, end);
            assert_true(clock() - start < 5 * CLOCKS_PER_SEC);
            buf_release(&text);
        }
}

static void categories_of_unicode_16(void **state) {
    (void)state;
    assert_true(unicode_is_letter(0x31350) && unicode_is_letter(0x1c89) && unicode_is_letter('a') && !unicode_is_letter('1'));
    assert_true(unicode_is_number(0x10d40) && unicode_is_number(0xbd) && !unicode_is_number(0x31350));
    assert_false(unicode_is_letter(0x378) || unicode_is_number(0x10ffff));
    struct pattern p;
    void *match = pattern_match_new();
    size_t begin, end;
    /* script, not script extensions; Unicode 16's letters; U+180E is no blank */
    assert_int_equal(pattern_init(&p, "\\p{Han}|[\\s\\d]|\\P{Lu}\\S"), ST_OK);
    struct pattern_scan scan = pattern_scan_begin(&p, match, "\xe3\x80\x81\xe1\xa0\x8e\xf0\xb1\x8d\x90", 10);
    assert_int_equal(pattern_scan_next(&scan, &begin, &end), ST_OK);
    assert_int_equal(begin, 0);
    assert_int_equal(end, 6);
    assert_int_equal(pattern_scan_next(&scan, &begin, &end), ST_OK);
    assert_int_equal(begin, 6);
    assert_int_equal(end, 10);
    pattern_release(&p);
    pattern_match_free(match);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_code_point), cmocka_unit_test(random_text),
                                       cmocka_unit_test(long_runs_are_linear), cmocka_unit_test(categories_of_unicode_16)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
