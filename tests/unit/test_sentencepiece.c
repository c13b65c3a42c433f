/* SentencePiece models in their three forms: ids equal to sentencepiece's, Hugging Face tokenizers' and llama.cpp's; broken ones are
 * refused. */
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
#include "text/tokenizer.h"

#define GOLDEN TEST_SOURCE_DIR "/golden/sentencepiece"

static void same_case(const struct tokenizer *t, struct json row, struct json text, const char *name) {
    struct buf bytes = {0}, back = {0}, want = {0};
    struct ids ids = {0};
    struct json key, v;
    size_t i = 0;
    assert_true(json_string(&bytes, text));
    if (tokenizer_encode(t, &ids, buf_text(&bytes), bytes.size, false) != ST_OK) fail_msg("%s: %s", name, status_message());
    for (struct json_iter it = json_iter_begin(json_get(row, "ids")); json_iter_next(&it, &key, &v); i++) {
        int64_t id = -1;
        assert_true(json_int(&id, v));
        if (i >= ids.count || ids.data[i] != id)
            fail_msg("%s: text %.*s: id %zu is %d, expected %lld", name, (int)text.size, text.text, i, i < ids.count ? ids.data[i] : -1,
                     (long long)id);
    }
    assert_int_equal(i, ids.count);
    assert_true(json_string(&want, json_get(row, "text")));
    tokenizer_decode(t, &back, ids.data, ids.count, false);
    if (!strstr(buf_text(&want), " \xe2\x81\x87 ") &&
        strcmp(buf_text(&want), buf_text(&back)) != 0) /* how sentencepiece shows the unknown */
        fail_msg("%s: text %.*s came back as '%s', expected '%s'", name, (int)text.size, text.text, buf_text(&back), buf_text(&want));
    ids_release(&ids);
    buf_release(&bytes);
    buf_release(&back);
    buf_release(&want);
}

static void equals_peers(void **state) {
    (void)state;
    static const char *const files[] = {"bpe.model", "plain.model",   "plain.gguf",  "runs.model",
                                        "runs.gguf", "unigram.model", "unigram.json"};
    struct buf cases = {0};
    struct json root;
    assert_int_equal(file_read(&cases, GOLDEN "/cases.json"), ST_OK);
    assert_int_equal(json_parse(&root, cases.data, cases.size), ST_OK);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[512];
        struct tokenizer *t = NULL;
        struct json k, text, row;
        size_t n = 0;
        snprintf(path, sizeof path, "%s/%s", GOLDEN, files[i]);
        if (tokenizer_open(&t, path) != ST_OK) fail_msg("%s", status_message());
        struct json_iter a = json_iter_begin(json_get(root, "texts")), b = json_iter_begin(json_get(root, files[i]));
        while (json_iter_next(&a, &k, &text) && json_iter_next(&b, &k, &row)) {
            same_case(t, row, text, files[i]);
            n++;
        }
        assert_true(n > 20);
        tokenizer_free(t);
    }
    buf_release(&cases);
}

static void remove_folder(const char *folder) {
    static const char *const names[] = {"tokenizer.json", "tokenizer_config.json", "tokenizer.model"};
    char path[512];
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    rmdir(folder);
}

/* What was saved encodes the same. */
static void saves(void **state) {
    (void)state;
    static const char *const files[] = {"bpe.model", "plain.gguf", "runs.model", "runs.gguf", "unigram.model", "unigram.json"};
    const char *text = "The quick </s> brown \xf0\x9f\x98\x80 fox, 12 \xef\xac\x81"
                       "n  x";
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char folder[] = "/tmp/rapt-sentencepiece-XXXXXX", path[512];
        struct tokenizer *t = NULL, *again = NULL;
        struct ids a = {0}, b = {0};
        assert_non_null(mkdtemp(folder));
        snprintf(path, sizeof path, "%s/%s", GOLDEN, files[i]);
        assert_int_equal(tokenizer_open(&t, path), ST_OK);
        if (tokenizer_save(t, folder) != ST_OK || tokenizer_open(&again, folder) != ST_OK) fail_msg("%s: %s", files[i], status_message());
        assert_int_equal(tokenizer_encode(t, &a, text, strlen(text), true), ST_OK);
        assert_int_equal(tokenizer_encode(again, &b, text, strlen(text), true), ST_OK);
        assert_int_equal(a.count, b.count);
        assert_memory_equal(a.data, b.data, a.count * sizeof *a.data);
        ids_release(&a);
        ids_release(&b);
        tokenizer_free(t);
        tokenizer_free(again);
        remove_folder(folder);
    }
}

static void refuses(const char *data, size_t size, const char *message) {
    char path[] = "/tmp/rapt-sentencepiece-XXXXXX";
    int fd = mkstemp(path);
    struct tokenizer *t = NULL;
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(file_write(path, data, size), ST_OK);
    status s = tokenizer_open(&t, path);
    unlink(path);
    assert_int_not_equal(s, ST_OK);
    if (!strstr(status_message(), message)) fail_msg("got '%s', expected '%s'", status_message(), message);
}

static void refuses_broken(void **state) {
    (void)state;
#define REFUSES(bytes, message) refuses(bytes, sizeof bytes - 1, message)
#define PIECE "\n\x05\n\x03<a>"
    REFUSES("\n\x05\n\x03<", "byte 1: field 1 needs 5 bytes, but only 3 are left");
    REFUSES("\n\x80", "byte 3: a number is cut off");
    REFUSES("\n\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "a number of more than 64 bits");
    REFUSES("\n\x02\n\x05", "byte 3: field 1 needs 5 bytes");
    REFUSES("\n\x02\n\x00", "piece 0: expected a text");
    REFUSES("\n\x03\n\x01\xff", "piece 0: the text is not valid UTF-8");
    REFUSES("\n\x07\n\x03<a>\x18\x09", "piece 0: expected a type from 1 to 6");
    REFUSES(PIECE "\x12\x02\x18\x07", "model type 7 is not supported");
    REFUSES(PIECE "\x12\x02\x18\x02", "trainer_spec.bos_id: 1 is no piece");
    REFUSES(PIECE "\x1a\x06\x12\x04\xff\xff\xff\xff", "precompiled_charsmap");
    REFUSES(PIECE "\x03", "byte 8: expected a field, found tag 3");
    REFUSES(PIECE "\x12\x00\x1b", "wire type 3");
    REFUSES("\n\x0a\n\x03<a>\x15\x00\x00\xc0\x7f\x12\x02\x18\x02", "score of token 0: not a number");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(equals_peers), cmocka_unit_test(saves), cmocka_unit_test(refuses_broken)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
