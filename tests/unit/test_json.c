/* The JSON scanner: what it accepts, where it stops, and that strings and numbers survive. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "format/json.h"

static void accepts_and_reads(void **state) {
    (void)state;
    const char *text = " {\"a\": [1, -2.5e3, \"x\\u00e9\\ud83d\\ude00\\n\"], \"b\": {\"c\": null, \"d\": true}, \"a\": 9} ";
    struct json v, item;
    assert_int_equal(json_parse(&v, text, strlen(text)), ST_OK);
    assert_int_equal(json_kind_of(v), JSON_OBJECT);
    item = json_get(v, "a");
    assert_int_equal(json_count(item), 3);
    struct json_iter it = json_iter_begin(item);
    struct json key, value;
    double d;
    assert_true(json_iter_next(&it, &key, &value) && json_double(&d, value) && d == 1);
    assert_true(json_iter_next(&it, &key, &value) && json_double(&d, value) && d == -2500);
    assert_true(json_iter_next(&it, &key, &value));
    char *s = json_text(value);
    assert_string_equal(s, "x\xc3\xa9\xf0\x9f\x98\x80\n");
    free(s);
    assert_false(json_iter_next(&it, &key, &value));
    assert_int_equal(json_kind_of(json_get(json_get(v, "b"), "c")), JSON_NULL);
    assert_int_equal(json_kind_of(json_get(v, "zzz")), JSON_NONE);
}

static void refuses_with_position(void **state) {
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "byte 1: text ends, expected a value"},
        {"{\"a\" 1}", "byte 6: expected ':' after a key, found '1'"},
        {"[1,]", "byte 4: expected a value, found ']'"},
        {"[01]", "byte 3: expected no digit after a leading zero, found '1'"},
        {"\"a\nb\"", "byte 3: expected no raw control character inside a string (write \\n or \\u000a), found byte 0x0a"},
        {"\"\xff\"", "byte 2: expected valid UTF-8, found byte 0xff"},
        {"\"\xed\xa0\x80\"", "byte 2: expected valid UTF-8, found byte 0xed"},
        {"\"\\x\"", "byte 3: expected an escape such as \\n, found 'x'"},
        {"{} {}", "byte 4: expected nothing more after the value, found '{'"},
        {"nul", "byte 1: expected a value, found 'n'"},
        {"-", "byte 2: text ends, expected a digit"},
        {"\"abc", "byte 5: text ends, expected the closing quote of a string"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct json v;
        assert_int_equal(json_parse(&v, cases[i].text, strlen(cases[i].text)), ST_FORMAT);
        assert_string_equal(status_message(), cases[i].message);
    }
    char deep[400];
    memset(deep, '[', sizeof deep);
    struct json v;
    assert_int_equal(json_parse(&v, deep, sizeof deep), ST_FORMAT);
}

static void writes_shortest_numbers(void **state) {
    (void)state;
    static const struct {
        double value;
        const char *text;
    } cases[] = {
        {8, "8"},
        {10, "10"},
        {8.5, "8.5"},
        {7.25, "7.25"},
        {0.1, "0.1"},
        {1e20, "1e+20"},
        {-0.5, "-0.5"},
        {100000, "100000"},
        {1.0 / 3, "0.3333333333333333"},
        {0, "0"},
        {-0.0, "-0"},
        {0.01, "0.01"},
        {-0.07, "-0.07"},
        {1e9, "1000000000"},
        {0.29, "0.29"},
        {0.1 + 0.2, "0.30000000000000004"},
        {0.001, "0.001"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf b = {0};
        json_put_double(&b, cases[i].value);
        assert_string_equal(buf_text(&b), cases[i].text);
        buf_release(&b);
    }
    for (int k = -100000; k <= 100000; k++) { /* hundredths take a way of their own */
        struct buf b = {0};
        char text[40];
        json_put_double(&b, k / 100.0);
        snprintf(text, sizeof text, "%.6g", k / 100.0);
        assert_string_equal(buf_text(&b), text);
        buf_release(&b);
    }
}

/* The plain twin of the scanner's string reader, byte by byte: decodes into `out`, and returns where the string ends, or 0 where it is
 * none. Bytes from 0x80 on come in the pairs that random_string makes; \\u only as \\u0041. */
static size_t plain_string(char *out, size_t *out_size, const char *text, size_t size) {
    static const char from[] = "n\"\\/trbf", to[] = "\n\"\\/\t\r\b\f";
    size_t n = 0, at = 1;
    while (at < size && text[at] != '"') {
        unsigned char c = (unsigned char)text[at++];
        if (c < 32) return 0;
        if (c >= 0x80) {
            if (c != 0xc3 || at >= size || text[at] != '\xa9') return 0;
            out[n++] = (char)c;
            out[n++] = text[at++];
        } else if (c != '\\') {
            out[n++] = (char)c;
        } else if (size - at >= 5 && memcmp(text + at, "u0041", 5) == 0) {
            out[n++] = 'A';
            at += 5;
        } else {
            const char *e = at < size && text[at] ? strchr(from, text[at]) : NULL;
            if (!e) return 0;
            out[n++] = to[e - from];
            at++;
        }
    }
    *out_size = n;
    return at < size ? at + 1 : 0;
}

/* Mostly plain text, with runs of backslashes and escapes that fall on every place of the blocks which the scanner takes at once. */
static size_t random_string(char *text, size_t limit, uint64_t *seed) {
    static const char *const parts[] = {
        "a", "xcdefgh", "\\\\", "\\n", "\\\"", "\\/", "\\u0041", "\xc3\xa9", "0123456789012345678901234567890123456789"};
    static const char *const bad[] = {"\\", "\x01", "\xc3", "\\u00g4", "\"", "\\q"};
    size_t n = 0;
    text[n++] = '"';
    while (n + 48 < limit) {
        *seed = *seed * 6364136223846793005u + 1442695040888963407u;
        unsigned draw = (unsigned)(*seed >> 40);
        const char *part = draw % 199 == 0 ? bad[draw / 199 % 6] : parts[draw % 9];
        memcpy(text + n, part, strlen(part));
        n += strlen(part);
    }
    text[n++] = '"';
    return n;
}

static void strings_agree_with_the_plain_reader(void **state) {
    (void)state;
    uint64_t seed = 7;
    size_t valid = 0, refused = 0;
    for (int round = 0; round < 40000; round++) {
        char text[400], want[400];
        size_t size = random_string(text, 50 + (size_t)round % 350, &seed), want_size = 0;
        size_t stop = plain_string(want, &want_size, text, size);
        char *exact = malloc(size + 2); /* in an array, so that the iterator passes over it, without a byte to spare */
        assert_non_null(exact);
        exact[0] = '[';
        memcpy(exact + 1, text, size);
        exact[size + 1] = ']';
        struct json v, key, item;
        bool ok = json_parse(&v, exact, size + 2) == ST_OK;
        assert_int_equal(ok, stop == size);
        if (ok) {
            struct json_iter it = json_iter_begin(v);
            assert_true(json_iter_next(&it, &key, &item) && item.size == size && !json_iter_next(&it, &key, &v));
            struct buf decoded = {0}, written = {0};
            assert_true(json_string(&decoded, item));
            assert_int_equal(decoded.size, want_size);
            assert_memory_equal(decoded.data, want, want_size);
            assert_int_equal(decoded.data[want_size], 0);
            json_put_string(&written, decoded.data, decoded.size);
            assert_int_equal(plain_string(text, &want_size, written.data, written.size), written.size);
            assert_int_equal(want_size, decoded.size);
            assert_memory_equal(text, decoded.data, want_size);
            buf_release(&decoded);
            buf_release(&written);
        }
        free(exact);
        ok ? valid++ : refused++;
    }
    assert_true(valid > 10000 && refused > 1000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_and_reads),
        cmocka_unit_test(refuses_with_position),
        cmocka_unit_test(writes_shortest_numbers),
        cmocka_unit_test(strings_agree_with_the_plain_reader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
