/* Tokenizers: ids equal to Hugging Face tokenizers' and llama.cpp's, saving and opening again changes nothing, broken files are refused. */
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
#include "base/rng.h"
#include "base/utf8.h"
#include "format/json.h"
#include "text/tokenizer.h"

#define GOLDEN TEST_SOURCE_DIR "/golden/tokenizer"

static const char *shared(void) {
    const char *dir = getenv("RAPT_SHARED_DATA");
    return dir ? dir : TEST_SOURCE_DIR "/../../shared/data";
}

static void same_ids(const struct ids *got, struct json want, const char *text) {
    struct json key, v;
    size_t i = 0;
    for (struct json_iter it = json_iter_begin(want); json_iter_next(&it, &key, &v); i++) {
        int64_t id = -1;
        assert_true(json_int(&id, v));
        if (i >= got->count || got->data[i] != id)
            fail_msg("text '%s': id %zu is %d, expected %lld", text, i, i < got->count ? got->data[i] : -1, (long long)id);
    }
    assert_int_equal(got->count, i);
}

/* `want`: the text, 1 for the row's own text, or absent. */
static void same_text(const struct tokenizer *t, const struct ids *ids, struct json want, const struct buf *own, bool skip) {
    struct buf got = {0}, text = {0};
    if (json_kind_of(want) == JSON_NONE) return;
    if (!json_string(&text, want)) buf_append(&text, buf_text(own), own->size);
    tokenizer_decode(t, &got, ids->data, ids->count, skip);
    if (got.size != text.size || memcmp(buf_text(&got), buf_text(&text), got.size) != 0)
        fail_msg("text '%s' decodes to '%s', expected '%s'", buf_text(own), buf_text(&got), buf_text(&text));
    buf_release(&got);
    buf_release(&text);
}

static size_t run_cases(const struct tokenizer *t, struct json rows) {
    struct json key, row;
    size_t n = 0;
    for (struct json_iter it = json_iter_begin(rows); json_iter_next(&it, &key, &row); n++) {
        struct buf text = {0};
        struct ids ids = {0}, special = {0};
        assert_true(json_string(&text, json_get(row, "text")));
        assert_int_equal(tokenizer_encode(t, &ids, buf_text(&text), text.size, false), ST_OK);
        same_ids(&ids, json_get(row, "ids"), buf_text(&text));
        assert_int_equal(tokenizer_encode(t, &special, buf_text(&text), text.size, true), ST_OK);
        struct json other = json_get(row, "special");
        same_ids(&special, json_kind_of(other) == JSON_NONE ? json_get(row, "ids") : other, buf_text(&text));
        same_text(t, &special, json_get(row, "decoded"), &text, false);
        same_text(t, &special, json_get(row, "skipped"), &text, true);
        buf_release(&text);
        ids_release(&ids);
        ids_release(&special);
    }
    return n;
}

static void equals_tokenizers(void **state) {
    (void)state;
    static const char *const kinds[] = {"gpt2", "smollm", "llama3", "llama2", "gemma", "metaspace", "mixed"};
    struct buf text = {0};
    struct json root;
    char folder[] = "/tmp/rapt-tokenizer-XXXXXX", path[512];
    assert_non_null(mkdtemp(folder));
    assert_int_equal(file_read(&text, GOLDEN "/cases.json"), ST_OK);
    assert_int_equal(json_parse(&root, text.data, text.size), ST_OK);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct tokenizer *t = NULL, *again = NULL;
        snprintf(path, sizeof path, "%s/%s.json", GOLDEN, kinds[i]);
        if (tokenizer_open(&t, path) != ST_OK) fail_msg("%s", status_message());
        assert_true(run_cases(t, json_get(root, kinds[i])) > 100);
        if (tokenizer_save(t, folder) != ST_OK || tokenizer_open(&again, folder) != ST_OK) fail_msg("%s", status_message());
        assert_true(run_cases(again, json_get(root, kinds[i])) > 100);
        assert_string_equal(tokenizer_hash(t), tokenizer_hash(again));
        tokenizer_free(t);
        tokenizer_free(again);
    }
    const char *names[] = {"tokenizer.json", "tokenizer_config.json"};
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    rmdir(folder);
    buf_release(&text);
}

/* The ids of one block of an .out file; moves *line behind it. */
static void same_line(const struct ids *ids, const char **line, const char *name, size_t n) {
    for (size_t i = 0; i < ids->count; i++) {
        char *next;
        long id = strtol(*line, &next, 10);
        if (next == *line || id != ids->data[i]) fail_msg("%s: text %zu: id %zu is %d, expected %ld", name, n, i, ids->data[i], id);
        *line = next;
    }
    while (**line == ' ') (*line)++;
    assert_int_equal(**line, '\n');
    (*line)++;
}

/* llama.cpp's own vocabulary tests: texts and ids, one text a block. */
static void equals_llama_cpp(void **state) {
    (void)state;
    static const struct {
        const char *tokenizer, *cases;
    } sets[] = {
        {"llama3.1", "llama-bpe"}, {"qwen3", "qwen2"}, {"llama2/tokenizer.model", "llama-spm"}, {"llama2", "phi-3"}, {"gpt2", "gpt-2"}};
    for (size_t k = 0; k < sizeof sets / sizeof sets[0]; k++) {
        char path[512];
        struct tokenizer *t = NULL;
        struct buf in = {0}, out = {0};
        snprintf(path, sizeof path, "%s/tokenizers/%s", shared(), sets[k].tokenizer);
        if (!file_exists(path)) {
            print_message("skipped: %s is not there\n", path);
            skip();
        }
        if (tokenizer_open(&t, path) != ST_OK) fail_msg("%s", status_message());
        snprintf(path, sizeof path, "%s/tokenizers/llamacpp_vocab/ggml-vocab-%s.gguf.inp", shared(), sets[k].cases);
        assert_int_equal(file_read(&in, path), ST_OK);
        snprintf(path, sizeof path, "%s/tokenizers/llamacpp_vocab/ggml-vocab-%s.gguf.out", shared(), sets[k].cases);
        assert_int_equal(file_read(&out, path), ST_OK);
        const char *at = buf_text(&in), *line = buf_text(&out), *mark = "\n__ggml_vocab_test__\n";
        size_t n = 0;
        for (; *line; n++) {
            const char *end = strstr(at, mark);
            size_t size = end ? (size_t)(end - at) : strlen(at);
            struct ids ids = {0};
            assert_int_equal(tokenizer_encode(t, &ids, at, size, false), ST_OK);
            same_line(&ids, &line, sets[k].cases, n);
            ids_release(&ids);
            at = end ? end + strlen(mark) : at + size;
        }
        assert_true(n > 20);
        buf_release(&in);
        buf_release(&out);
        tokenizer_free(t);
    }
}

static void decodes_what_it_encoded(void **state) {
    (void)state;
    struct tokenizer *t = NULL;
    const char *text = "It's 数字 \xf0\x9f\x98\x80<|im_end|>\n\tend";
    assert_int_equal(tokenizer_open(&t, GOLDEN "/llama3.json"), ST_OK);
    struct ids ids = {0};
    struct buf out = {0};
    assert_int_equal(tokenizer_encode(t, &ids, text, strlen(text), true), ST_OK);
    tokenizer_decode(t, &out, ids.data, ids.count, false);
    assert_string_equal(buf_text(&out), "<s>It's 数字 \xf0\x9f\x98\x80<|im_end|>\n\tend</s>");
    buf_clear(&out);
    tokenizer_decode(t, &out, ids.data, ids.count, true);
    assert_string_equal(buf_text(&out), "It's 数字 \xf0\x9f\x98\x80\n\tend");
    assert_true(tokenizer_is_end(t, tokenizer_token_id(t, "<|im_end|>")));
    assert_int_equal(tokenizer_encode(t, &ids, "a\xff", 2, false), ST_FORMAT);
    assert_non_null(strstr(status_message(), "byte 2"));
    ids_release(&ids);
    buf_release(&out);
    tokenizer_free(t);
}

static void put_random(struct buf *text, struct rng *rng) {
    static const uint32_t from[] = {0x20, 0x20, 0xa0, 0x300, 0x3040, 0x4e00, 0x1f300, 0xe000, 0x1, 0x10000, 0x20000};
    buf_clear(text);
    for (uint64_t i = 1 + rng_below(rng, 40); i; i--) {
        char bytes[4];
        const uint32_t code = from[rng_below(rng, sizeof from / sizeof from[0])] + (uint32_t)rng_below(rng, 0x5f);
        buf_append(text, bytes, utf8_put(bytes, code));
    }
}

/* As a server streams it: bytes wait until their character is whole. */
static void same_stream(const struct tokenizer *t, const struct ids *ids, const struct buf *text) {
    struct detoken_state state = {0};
    struct buf held = {0}, shown = {0};
    for (size_t i = 0; i < ids->count; i++) {
        tokenizer_decode_next(t, &state, &held, ids->data[i], false);
        const size_t n = utf8_complete(buf_text(&held), held.size);
        assert_int_equal(utf8_valid_prefix(buf_text(&held), n), n);
        assert_true(held.size - n < 4);
        buf_append(&shown, buf_text(&held), n);
        memmove(held.data, held.data + n, held.size - n);
        held.size -= n;
    }
    assert_int_equal(held.size, 0);
    assert_int_equal(shown.size, text->size);
    assert_memory_equal(buf_text(&shown), text->data, text->size);
    buf_release(&held);
    buf_release(&shown);
}

/* decode(encode(x)) = x, at once and streamed: bytes always, SentencePiece models where they normalise nothing. */
static void random_text_comes_back(void **state) {
    (void)state;
    static const char *const paths[] = {GOLDEN "/llama3.json", "llama3.1", "gpt2", "llama2/tokenizer.model"};
    struct rng rng = rng_seeded(5);
    for (size_t k = 0; k < sizeof paths / sizeof paths[0]; k++) {
        char path[512];
        struct tokenizer *t = NULL;
        struct buf text = {0}, back = {0};
        struct ids ids = {0};
        snprintf(path, sizeof path, "%s/tokenizers/%s", shared(), paths[k]);
        if (k && !file_exists(path)) {
            print_message("left out: %s is not there\n", path);
            continue;
        }
        if (tokenizer_open(&t, k ? path : paths[k]) != ST_OK) fail_msg("%s", status_message());
        for (int round = 0; round < 3000; round++) {
            put_random(&text, &rng);
            ids.count = 0;
            buf_clear(&back);
            assert_int_equal(tokenizer_encode(t, &ids, text.data, text.size, false), ST_OK);
            tokenizer_decode(t, &back, ids.data, ids.count, false);
            if (back.size != text.size || memcmp(back.data, text.data, text.size) != 0)
                fail_msg("%s: '%.*s' came back as '%s'", paths[k], (int)text.size, text.data, buf_text(&back));
            same_stream(t, &ids, &text);
        }
        tokenizer_free(t);
        buf_release(&text);
        buf_release(&back);
        ids_release(&ids);
    }
}

static void refuses(const char *json, const char *message) {
    char path[] = "/tmp/rapt-tokenizer-XXXXXX";
    int fd = mkstemp(path);
    struct tokenizer *t = NULL;
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(file_write(path, json, strlen(json)), ST_OK);
    status s = tokenizer_open(&t, path);
    unlink(path);
    assert_int_not_equal(s, ST_OK);
    if (!strstr(status_message(), message)) fail_msg("got '%s', expected '%s'", status_message(), message);
}

static void refuses_broken(void **state) {
    (void)state;
#define MODEL(vocab, merges) \
    "{\"pre_tokenizer\":{\"type\":\"ByteLevel\"},\"model\":{\"type\":\"BPE\",\"vocab\":" vocab ",\"merges\":" merges "}}"
    refuses("{", "byte 2");
    refuses("[]", "expected model.vocab");
    refuses("{\"model\":{\"type\":\"WordPiece\",\"vocab\":{},\"merges\":[]}}", "WordPiece");
#define CHARS(members, model) "{" members "\"model\":{\"vocab\":{\"a\":0},\"merges\":[]" model "}}"
    refuses(CHARS("", ",\"unk_token\":\"<unk>\""), "'<unk>' is no token");
    refuses(CHARS("", ",\"continuing_subword_prefix\":\"##\""), "continuing_subword_prefix is not supported");
    refuses(CHARS("", ",\"dropout\":0.5"), "ids would be random");
    refuses(CHARS("\"normalizer\":{\"type\":\"Funny\"},", ""), "normalizer \"Funny\" is not supported; supported are Sequence, NFC");
    refuses(CHARS("\"normalizer\":{\"type\":\"Prepend\"},", ""), "expected a text `prepend`");
    refuses(CHARS("\"normalizer\":{\"type\":\"Replace\",\"content\":\"\"},", ""), "normalizer Replace: expected a pattern");
    refuses(CHARS("\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"*\"},", ""), "expected base64");
    refuses(CHARS("\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"/wAAAAA=\"},", ""), "a trie of 255 bytes in 5");
    refuses(CHARS("\"decoder\":{\"type\":\"CTC\"},", ""), "decoder \"CTC\" is not supported; supported are Sequence, Replace");
    refuses(CHARS("\"decoder\":{\"type\":\"Strip\",\"content\":\"ab\",\"start\":1,\"stop\":0},", ""), "content of one character");
    refuses(CHARS("\"decoder\":{\"type\":\"Strip\",\"content\":\"a\",\"start\":1,\"stop\":2},", ""), "stop 2 is not supported");
    refuses(CHARS("\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Fuse\"},{\"type\":\"ByteFallback\"}]},", ""),
            "ByteFallback behind Fuse");
    refuses(CHARS("\"pre_tokenizer\":{\"type\":\"UnicodeScripts\"},", ""), "UnicodeScripts");
    refuses(CHARS("\"pre_tokenizer\":{\"type\":\"Metaspace\"},", ""), "replacement of one character");
    refuses(MODEL("{}", "[]"), "no tokens");
    refuses(MODEL("{\"a\":-1}", "[]"), "expected an id below 2^24, found -1");
    refuses(MODEL("{\"a\":99999999999}", "[]"), "expected an id below 2^24");
    refuses(MODEL("{\"a\":0,\"b\":0}", "[]"), "id 0 stands twice");
    refuses(MODEL("{\"a\":0,\"b\":1}", "[\"a b\"]"), "the result is no token");
    refuses(MODEL("{\"a\":0,\"ab\":1}", "[\"a b\"]"), "the right part is no token");
    refuses(MODEL("{\"a\":0}", "[\"ab\"]"), "model.merges[0]: expected two parts");
    refuses(MODEL("{\"a\":0}", "[3]"), "model.merges[0]: expected two parts");
    refuses("{\"pre_tokenizer\":{\"type\":\"Split\",\"behavior\":\"Isolated\",\"pattern\":{\"Regex\":\"(\"}},\"model\":{\"vocab\":{\"a\":0}"
            ",\"merges\":[]}}",
            "split pattern");
    refuses("{\"added_tokens\":[{\"id\":5,\"content\":\"\"}],\"pre_tokenizer\":{\"type\":\"ByteLevel\"},\"model\":{\"vocab\":{\"a\":0},"
            "\"merges\":[]}}",
            "non-empty content");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(equals_tokenizers), cmocka_unit_test(equals_llama_cpp),
                                       cmocka_unit_test(decodes_what_it_encoded), cmocka_unit_test(random_text_comes_back),
                                       cmocka_unit_test(refuses_broken)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
