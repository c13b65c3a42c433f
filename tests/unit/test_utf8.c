/* Text in pieces: what may be shown, and what is no text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/utf8.h"

static void clean_is(const char *in, const char *want) {
    struct buf b = {0};
    utf8_put_clean(&b, in, strlen(in));
    assert_string_equal(buf_text(&b), want);
    buf_release(&b);
}

static void test_clean(void **state) {
    (void)state;
    clean_is("", "");
    clean_is("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80z", "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80z");
    clean_is("a\xffz", "a\xef\xbf\xbdz");
    clean_is("\xc0\x80", "\xef\xbf\xbd\xef\xbf\xbd");                                 /* overlong */
    clean_is("\xe0\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");                 /* overlong */
    clean_is("\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");                 /* a surrogate */
    clean_is("\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"); /* above U+10FFFF */
    clean_is("\xe2\x82", "\xef\xbf\xbd\xef\xbf\xbd");
    clean_is("\xe2\x82z", "\xef\xbf\xbd\xef\xbf\xbdz");
}

/* Every cut of a text is shown up to the last whole character, and the pieces make up the whole. */
static void test_complete(void **state) {
    (void)state;
    const char *text = "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80z\xc3\xa9";
    const size_t starts[] = {0, 1, 3, 6, 10, 11, 13};
    for (size_t cut = 0; cut <= strlen(text); cut++) {
        size_t want = 0;
        for (size_t i = 0; i < 7; i++)
            if (starts[i] <= cut) want = starts[i];
        assert_int_equal(utf8_complete(text, cut), want);
    }
    assert_int_equal(utf8_complete("\x80\x80\x80\x80", 4), 4); /* nothing that more bytes would mend is held back */
    assert_int_equal(utf8_complete("\xff", 1), 1);
    assert_int_equal(utf8_complete("\xe0\x80", 2), 2);
    assert_int_equal(utf8_complete("ab\xed\xa0", 4), 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_clean), cmocka_unit_test(test_complete)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
