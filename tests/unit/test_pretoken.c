/* Pre-tokenizers: every name of the table gives llama.cpp's ids, loses no byte, and survives being saved. */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "format/json.h"
#include "text/pretoken.h"
#include "text/tokenizer.h"

#define GOLDEN TEST_SOURCE_DIR "/golden/pretoken"

/* base.gguf (or chars.gguf) with another name behind tokenizer.ggml.pre, its last key. */
static struct tokenizer *open_named(const char *name, size_t size, bool chars) {
    char path[] = "/tmp/rapt-pretoken-XXXXXX";
    struct buf file = {0};
    struct tokenizer *t = NULL;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(file_read(&file, chars ? GOLDEN "/chars.gguf" : GOLDEN "/base.gguf"), ST_OK);
    size_t at = file.size;
    while (at && memcmp(file.data + at - 7, "default", 7) != 0) at--;
    assert_true(at > 15);
    uint64_t n = size;
    struct buf named = {0};
    buf_append(&named, file.data, at - 15);
    buf_append(&named, &n, 8);
    buf_append(&named, name, size);
    buf_append(&named, file.data + at, file.size - at);
    assert_int_equal(file_write(path, named.data, named.size), ST_OK);
    if (tokenizer_open(&t, path) != ST_OK) fail_msg("%.*s: %s", (int)size, name, status_message());
    unlink(path);
    buf_release(&file);
    buf_release(&named);
    return t;
}

static size_t same_ids(const struct tokenizer *t, struct json want, struct json text, const char *name) {
    struct buf bytes = {0};
    struct ids ids = {0};
    struct json key, v;
    size_t i = 0, differ = 0;
    assert_true(json_string(&bytes, text));
    assert_int_equal(tokenizer_encode(t, &ids, buf_text(&bytes), bytes.size, false), ST_OK);
    for (struct json_iter it = json_iter_begin(want); json_iter_next(&it, &key, &v) && !differ; i++) {
        int64_t id = -1;
        assert_true(json_int(&id, v));
        differ = i >= ids.count || ids.data[i] != id;
        if (differ)
            print_error("%s: text %.*s: id %zu is %d, expected %lld\n", name, (int)text.size, text.text, i,
                        i < ids.count ? ids.data[i] : -1, (long long)id);
    }
    if (!differ && i != ids.count) print_error("%s: text %.*s: %zu ids, expected %zu\n", name, (int)text.size, text.text, ids.count, i);
    differ |= i != ids.count;
    ids_release(&ids);
    buf_release(&bytes);
    return differ;
}

static const struct pretoken_row *row_named(const char *name, size_t size) {
    struct pretoken p = {0};
    const struct pretoken_row *row = NULL;
    if (pretoken_from_name(&p, &row, name, size) != ST_OK) fail_msg("%s", status_message());
    pretoken_release(&p);
    return row;
}

static void equals_llama_cpp(void **state) {
    (void)state;
    struct buf file = {0};
    struct json root, key, lists;
    size_t names = 0, differ = 0;
    assert_int_equal(file_read(&file, GOLDEN "/cases.json"), ST_OK);
    assert_int_equal(json_parse(&root, file.data, file.size), ST_OK);
    for (struct json_iter it = json_iter_begin(json_get(root, "names")); json_iter_next(&it, &key, &lists); names++) {
        struct buf name = {0};
        json_string(&name, key);
        struct tokenizer *t = open_named(name.data, name.size, row_named(name.data, name.size)->flags & PRE_CHARS);
        struct json k, text, want;
        struct json_iter a = json_iter_begin(json_get(root, "texts")), b = json_iter_begin(lists);
        while (json_iter_next(&a, &k, &text) && json_iter_next(&b, &k, &want))
            if (json_kind_of(want) == JSON_ARRAY) differ += same_ids(t, want, text, buf_text(&name));
        tokenizer_free(t);
        buf_release(&name);
    }
    assert_true(names > 30);
    assert_int_equal(differ, 0);
    buf_release(&file);
}

static void keeps_bytes(const struct tokenizer *t, const char *name, const char *text) {
    struct ids ids = {0};
    struct buf back = {0};
    assert_int_equal(tokenizer_encode(t, &ids, text, strlen(text), false), ST_OK);
    tokenizer_decode(t, &back, ids.data, ids.count, false);
    if (strcmp(buf_text(&back), text) != 0) fail_msg("%s: '%s' came back as '%s'", name, text, buf_text(&back));
    ids_release(&ids);
    buf_release(&back);
}

static void every_name_keeps_bytes(void **state) {
    (void)state;
    static const char *const texts[] = {"", " ", "It's 12345 caf\u00e9s,\r\n\n\t  \u6570\u5b57 \u0430\u0411 \U0001f600!?  ", "a\n\nb   ",
                                        "\u00a0\u2003x"};
    for (size_t i = 0; i < pretoken_count; i++)
        for (const char *at = pretoken_table[i].names; *at;) {
            size_t n = strcspn(at, ",");
            struct tokenizer *t = open_named(at, n, pretoken_table[i].flags & PRE_CHARS);
            for (size_t k = 0; k < sizeof texts / sizeof texts[0]; k++) keeps_bytes(t, at, texts[k]);
            tokenizer_free(t);
            at += n + (at[n] == ',');
        }
}

static void unknown_name_lists_known(void **state) {
    (void)state;
    struct pretoken p = {0};
    const struct pretoken_row *row;
    assert_int_equal(pretoken_from_name(&p, &row, "gpt-9", 5), ST_UNSUPPORTED);
    assert_non_null(strstr(status_message(), "'gpt-9' is not known; known are gpt-2"));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(equals_llama_cpp), cmocka_unit_test(every_name_keeps_bytes),
                                       cmocka_unit_test(unknown_name_lists_known)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
