/* Broken files: hundreds of truncated, bit-flipped and lying GGUF, safetensors and JSON inputs. Each open fails with a message or
 * succeeds with a file that can be read from end to end; a table of particular lies pins the messages. */
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

#include "data/source.h"
#include "format/gguf.h"
#include "format/json.h"
#include "format/safetensors.h"

static char path[] = "/tmp/rapt_malformed_XXXXXX";
static float sink;

static void put(struct buf *b, uint64_t value, size_t size) { buf_append(b, &value, size); }
static void put_text(struct buf *b, const char *text) {
    put(b, strlen(text), 8);
    buf_append_text(b, text);
}

/* Everything that a small GGUF says, each of which a case may turn into a lie. */
struct plan {
    const char *magic;
    uint64_t version, tensor_count, value_count;
    const char *key[2];
    uint64_t kind, item_kind, item_count, alignment, text_size;
    const char *name[2];
    uint64_t dims, cols, rows, type, offset[2];
    uint64_t flag;
    size_t data, cut; /* bytes of the tensors; bytes taken off the end */
};
static const struct plan good_plan = {.magic = "GGUF",
                                      .version = 3,
                                      .tensor_count = 2,
                                      .value_count = 5,
                                      .key = {"a.array", "a.text"},
                                      .kind = GGUF_ARRAY,
                                      .item_kind = GGUF_U32,
                                      .item_count = 3,
                                      .alignment = 32,
                                      .text_size = 4,
                                      .name = {"x", "y"},
                                      .dims = 2,
                                      .cols = 32,
                                      .rows = 2,
                                      .type = 8,
                                      .offset = {0, 96},
                                      .flag = 1,
                                      .data = 96 + 68};

static void build(struct buf *b, const struct plan *p) {
    buf_append_text(b, p->magic);
    put(b, p->version, 4);
    put(b, p->tensor_count, 8);
    put(b, p->value_count, 8);
    put_text(b, "general.alignment");
    put(b, GGUF_U32, 4);
    put(b, p->alignment, 4);
    put_text(b, p->key[0]);
    put(b, p->kind, 4);
    put(b, p->item_kind, 4);
    put(b, p->item_count, 8);
    for (uint64_t i = 0; i < 3; i++) put(b, i, 4);
    put_text(b, p->key[1]);
    put(b, GGUF_STRING, 4);
    put(b, p->text_size, 8);
    buf_append_text(b, "text");
    put_text(b, "a.flag");
    put(b, GGUF_BOOL, 4);
    put(b, p->flag, 1);
    put_text(b, "a.texts");
    put(b, GGUF_ARRAY, 4);
    put(b, GGUF_STRING, 4);
    put(b, 1, 8);
    put_text(b, "one");
    for (int t = 0; t < 2; t++) {
        put_text(b, p->name[t]);
        put(b, p->dims, 4);
        put(b, p->cols, 8);
        put(b, p->rows, 8);
        put(b, p->type, 4);
        put(b, p->offset[t], 8);
    }
    while (b->size % 32) buf_append_char(b, 0);
    for (size_t i = 0; i < p->data; i++) buf_append_char(b, (char)(i % 50));
    b->size -= p->cut;
}

/* file_write syncs to disk, which thousands of cases need not wait for. */
static void write_case(const struct buf *b) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(b->data, 1, b->size, f), b->size);
    assert_int_equal(fclose(f), 0);
}

/* Opens, and on success touches all that the struct promises to be readable. */
static status try_gguf(const struct buf *b) {
    write_case(b);
    struct gguf g;
    status st = gguf_open(&g, path);
    if (st != ST_OK) {
        assert_true(strlen(status_message()) > strlen(path) + 2);
        return st;
    }
    for (size_t i = 0; i < g.value_count; i++) {
        const struct gguf_value *v = &g.values[i];
        for (size_t j = 0; j < v->count; j++) {
            if (v->texts) {
                for (size_t k = 0; k < v->texts[j].size; k++) sink += (float)v->texts[j].data[k];
            } else {
                sink += (float)gguf_item_double(v, j) + (float)gguf_item_int(v, j);
            }
        }
    }
    for (size_t i = 0; i < g.tensor_count; i++) {
        const struct gguf_tensor *t = &g.tensors[i];
        float *out = mem_zero(t->rows * t->cols, sizeof *out);
        dtype_table[t->type].expand(out, t->data, t->rows * t->cols);
        sink += out[0];
        free(out);
    }
    gguf_release(&g);
    return ST_OK;
}

static status try_safetensors(const struct buf *b) {
    write_case(b);
    struct safetensors s;
    status st = safetensors_open(&s, path);
    if (st != ST_OK) {
        assert_true(strlen(status_message()) > strlen(path) + 2);
        return st;
    }
    for (size_t i = 0; i < s.tensor_count; i++) {
        const struct st_tensor *t = &s.tensors[i];
        if (t->rows * t->cols == 0) continue;
        float *out = mem_zero(t->rows * t->cols, sizeof *out);
        dtype_table[t->type].expand(out, t->data, t->rows * t->cols);
        sink += out[0];
        free(out);
    }
    safetensors_release(&s);
    return ST_OK;
}

static void read_spans(struct json value, int depth) {
    struct json_iter it = json_iter_begin(value);
    struct json key, item;
    struct buf text = {0};
    double d;
    if (json_string(&text, value)) sink += (float)text.size;
    if (json_double(&d, value)) sink += 1;
    buf_release(&text);
    assert_true(depth <= JSON_DEPTH_MAX);
    while (json_iter_next(&it, &key, &item)) read_spans(item, depth + 1);
}

static status try_json(const struct buf *b) {
    char *exact = mem_alloc(b->size); /* so that the sanitizer sees a read past the end */
    memcpy(exact, b->data, b->size);
    struct json v;
    status st = json_parse(&v, exact, b->size);
    if (st == ST_OK) read_spans(v, 0);
    if (st != ST_OK) assert_true(*status_message() != '\0');
    free(exact);
    return st;
}

/* Reads all rows twice: stopping at the first bad one, and skipping. Skipping may fail only on what is no matter of a row. */
static status try_rows(const struct buf *b) {
    write_case(b);
    status first = ST_OK;
    for (int skip = 0; skip < 2; skip++) {
        struct source s;
        struct record record = {0};
        bool end = false;
        assert_int_equal(source_open(&s, path, skip ? SOURCE_SKIP : SOURCE_STOP, NULL), ST_OK);
        status st = ST_OK;
        while (!end && (st = source_next(&s, &record, &end)) == ST_OK) {
            if (!end) sink += (float)record.prompt.size + (float)record.response_count;
        }
        if (skip == 0) first = st;
        if (skip == 1) assert_int_equal(st, ST_OK);
        if (skip == 1 && first != ST_OK) assert_true(s.skipped_count > 0);
        if (st != ST_OK) { /* PATH:LINE: ... */
            const char *message = status_message();
            size_t size = strlen(path);
            if (strncmp(message, path, size) != 0 || message[size] != ':' || strtol(message + size + 1, NULL, 10) < 1)
                fail_msg("no line in: %s", message);
        }
        record_release(&record);
        source_release(&s);
    }
    return first;
}

static void good_rows(struct buf *b) {
    for (size_t i = 0; i < source_form_count; i++) {
        buf_append_text(b, source_form_table[i].example);
        buf_append_char(b, '\n');
    }
}

static void good_safetensors(struct buf *b) {
    const char *header = "{\"__metadata__\":{\"format\":\"pt\"},\"x\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
                         "\"y\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[24,32]},\"z\":{\"dtype\":\"BF16\",\"shape\":[4],"
                         "\"data_offsets\":[32,40]}}";
    put_text(b, header);
    for (int i = 0; i < 40; i++) buf_append_char(b, (char)i);
}

static void good_json(struct buf *b) {
    buf_append_text(b, "{\"prompt\": [{\"role\": \"user\", \"content\": \"h\\u00e9\\ud83d\\ude00 \xc3\xa9\"}], \"chosen\": \"a\\n\", "
                       "\"score_chosen\": -8.5e0, \"ok\": [true, false, null, [], {}]}");
}

static uint64_t draw(uint64_t *state) { /* splitmix64: the cases are the same on every run */
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Every truncation, 300 bit flips and 300 overwritten words of one good file. */
static void mutate(const struct buf *good, status (*attempt)(const struct buf *), bool truncations_fail) {
    struct buf b = {0};
    uint64_t seed = 7;
    assert_int_equal(attempt(good), ST_OK);
    for (size_t size = 1; size < good->size; size++) {
        buf_clear(&b);
        buf_append(&b, good->data, size);
        status st = attempt(&b);
        if (truncations_fail) assert_int_not_equal(st, ST_OK);
    }
    static const uint64_t words[] = {
        0, 1, 0xff, 0x7fffffff, 0x80000000u, 0xffffffffu, INT64_MAX, (uint64_t)1 << 63, UINT64_MAX, UINT64_MAX - 7};
    for (int i = 0; i < 600; i++) {
        buf_clear(&b);
        buf_append(&b, good->data, good->size);
        size_t at = draw(&seed) % b.size;
        if (i < 300) {
            b.data[at] = (char)(b.data[at] ^ (1 << draw(&seed) % 8));
        } else {
            size_t size = draw(&seed) % 2 ? 4 : 8;
            if (size > b.size - at) size = b.size - at;
            memcpy(b.data + at, &words[draw(&seed) % 10], size);
        }
        attempt(&b);
    }
    buf_release(&b);
}

static void mutated_gguf(void **state) {
    (void)state;
    static const enum dtype types[] = {DTYPE_Q8_0, DTYPE_Q4_K, DTYPE_Q6_K};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) { /* two rows of a block each */
        const struct dtype_info *info = &dtype_table[types[i]];
        struct buf b = {0};
        struct plan p = good_plan;
        const size_t bytes = 2 * info->block_bytes;
        p.type = (uint64_t)info->gguf_code;
        p.cols = info->block;
        p.offset[1] = (bytes + 31) / 32 * 32;
        p.data = p.offset[1] + bytes;
        build(&b, &p);
        mutate(&b, try_gguf, true);
        buf_release(&b);
    }
}
static void mutated_safetensors(void **state) {
    (void)state;
    struct buf b = {0};
    good_safetensors(&b);
    mutate(&b, try_safetensors, true);
    buf_release(&b);
}
static void mutated_rows(void **state) {
    (void)state;
    struct buf b = {0};
    good_rows(&b);
    mutate(&b, try_rows, false);
    buf_release(&b);
}
static void mutated_json(void **state) {
    (void)state;
    struct buf b = {0};
    good_json(&b);
    mutate(&b, try_json, true);
    buf_release(&b);
}

struct lie {
    size_t offset, size; /* of the field in the plan */
    uint64_t value;
    const char *text, *message;
};
#define FIELD(f, v, m) {offsetof(struct plan, f), sizeof(uint64_t), v, NULL, m}
#define TEXT(f, v, m) {offsetof(struct plan, f), sizeof(char *), 0, v, m}
static const struct lie gguf_lies[] = {
    TEXT(magic, "GGML", "not a GGUF file"),
    FIELD(version, 0, "GGUF version 0 is not supported"),
    FIELD(version, 1, "GGUF version 1 is not supported"),
    FIELD(version, 4, "GGUF version 4 is not supported"),
    FIELD(version, 0x03000000, "big-endian"),
    FIELD(tensor_count, UINT64_MAX, "tensor count 18446744073709551615 is more"),
    FIELD(tensor_count, 3, "tensor name has 0 bytes"),
    FIELD(tensor_count, (uint64_t)1 << 63, "tensor count"),
    FIELD(value_count, UINT64_MAX, "key count"),
    FIELD(value_count, 60, "key count 60 is more than the file can hold"),
    FIELD(alignment, 0, "'general.alignment': 0, expected a power of two"),
    FIELD(alignment, 24, "expected a power of two"),
    FIELD(alignment, 0xffffffff, "expected a power of two"),
    FIELD(alignment, 64, "is not a multiple of the alignment 64"),
    TEXT(key[1], "a.array", "duplicate key 'a.array'"),
    TEXT(key[0], "", "key has 0 bytes"),
    TEXT(key[0], "a\xff", "holds the byte 0xff"),
    TEXT(key[0], "a\x1b[2J", "holds the byte 0x1b"),
    FIELD(kind, 13, "unknown value type 13"),
    FIELD(kind, UINT32_MAX, "unknown value type"),
    FIELD(item_kind, GGUF_ARRAY, "arrays of arrays"),
    FIELD(item_kind, 99, "unknown array item type 99"),
    FIELD(item_count, UINT64_MAX, "array of 18446744073709551615 items"),
    FIELD(item_count, (uint64_t)1 << 62, "items, but the file has only"),
    FIELD(text_size, UINT64_MAX, "string needs 18446744073709551615 bytes"),
    FIELD(text_size, INT64_MAX, "but the file has only"),
    FIELD(flag, 2, "bool is 2"),
    TEXT(name[1], "x", "duplicate tensor name 'x'"),
    TEXT(name[0], "", "tensor name has 0 bytes"),
    FIELD(dims, 0, "0 dimensions"),
    FIELD(dims, 5, "5 dimensions"),
    FIELD(dims, UINT32_MAX, "4294967295 dimensions"),
    FIELD(cols, 0, "dimension 0 is 0"),
    FIELD(cols, 33, "not a multiple of Q8_0's block of 32"),
    FIELD(cols, UINT64_MAX, "dimension 0 is 18446744073709551615"),
    FIELD(cols, (uint64_t)1 << 62, "pass the end of the file"),
    FIELD(rows, INT64_MAX, "the shape overflows"),
    FIELD(rows, 3, "102 bytes at offset 96 pass the end of the file"),
    FIELD(rows, 1000, "pass the end of the file"),
    FIELD(type, 16,
          "tensor type 16 (IQ2_XXS) is not supported; requantise to one of F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, "
          "Q5_K, Q6_K, IQ4_NL and IQ4_XS"),
    FIELD(type, 12, "32 columns are not a multiple of Q4_K's block of 256"),
    FIELD(type, 23, "32 columns are not a multiple of IQ4_XS's block of 256"),
    FIELD(cols, 256, "pass the end of the file"),
    FIELD(type, UINT32_MAX, "(unknown) is not supported"),
    FIELD(offset[1], 0, "overlap"),
    FIELD(offset[1], 100, "is not a multiple of the alignment"),
    FIELD(offset[1], UINT64_MAX - 31, "pass the end of the file"),
    FIELD(offset[0], (uint64_t)1 << 63, "pass the end of the file"),
    FIELD(cut, 1, "truncated?"),
};

static void gguf_lies_are_named(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof gguf_lies / sizeof gguf_lies[0]; i++) {
        const struct lie *lie = &gguf_lies[i];
        struct plan p = good_plan;
        memcpy((char *)&p + lie->offset, lie->text ? (const void *)&lie->text : (const void *)&lie->value, lie->size);
        struct buf b = {0};
        build(&b, &p);
        status st = try_gguf(&b);
        if (st == ST_OK) fail_msg("lie %zu (%s) was accepted", i, lie->message);
        if (!strstr(status_message(), lie->message)) fail_msg("lie %zu: expected '%s', got '%s'", i, lie->message, status_message());
        buf_release(&b);
    }
}

#define ROW(dtype, shape, offsets) "{\"x\":{\"dtype\":" dtype ",\"shape\":" shape ",\"data_offsets\":" offsets "}}"
static void safetensors_lies_are_named(void **state) {
    (void)state;
    static const struct {
        const char *header;
        size_t data;
        const char *message;
    } lies[] = {
        {"[]", 0, "the header is an array"},
        {"{\"x\":3}", 0, "is not an object with dtype"},
        {"{\"x\":{}}", 0, "'dtype' is not a string"},
        {"{", 0, "header: byte 2"},
        {"{\"\xff\":1}", 0, "valid UTF-8"},
        {"{\"\":"
         "{}}",
         0, "name is empty"},
        {"{\"a\\u0000b\":{}}", 0, "holds a NUL"},
        {ROW("\"F8_E4M3\"", "[1]", "[0,1]"), 1, "dtype \"F8_E4M3\" is not supported"},
        {ROW("\"F32\"", "3", "[0,4]"), 4, "'shape' is not an array"},
        {ROW("\"F32\"", "[-1]", "[0,4]"), 4, "'shape' holds '-1'"},
        {ROW("\"F32\"", "[1.5]", "[0,4]"), 4, "'shape' holds '1.5'"},
        {ROW("\"F32\"", "[1,1,1,1,1,1,1,1,1]", "[0,4]"), 4, "9 dimensions"},
        {ROW("\"F32\"", "[4294967296,4294967296]", "[0,4]"), 4, "the shape overflows"},
        {ROW("\"F32\"", "[4503599627370496,1024]", "[0,4]"), 4, "the shape overflows"},
        {ROW("\"F32\"", "[1]", "[0]"), 4, "is not [begin, end]"},
        {ROW("\"F32\"", "[1]", "[0,4,8]"), 4, "is not [begin, end]"},
        {ROW("\"F32\"", "[1]", "[4,0]"), 4, "run backwards"},
        {ROW("\"F32\"", "[1]", "[-4,0]"), 4, "is not [begin, end]"},
        {ROW("\"F32\"", "[1]", "[0,8]"), 4, "pass the end of the data"},
        {ROW("\"F32\"", "[1]", "[0,99999999999999999999]"), 4, "is not [begin, end]"},
        {ROW("\"F32\"", "[2]", "[0,4]"), 4, "shape and dtype need 8"},
        {ROW("\"F32\"", "[1]", "[4,8]"), 8, "leave a gap"},
        {ROW("\"F32\"", "[1]", "[0,4]"), 8, "the tensors end at byte 4"},
        {"{\"x\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,4]},\"y\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[2,6]}}",
         6, "overlap"},
        {"{\"x\":{\"dtype\":\"F16\",\"shape\":[1],\"data_offsets\":[0,2]},\"x\":{\"dtype\":\"F16\",\"shape\":[1],\"data_offsets\":[2,4]}}",
         4, "duplicate tensor 'x'"},
    };
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        struct buf b = {0};
        put_text(&b, lies[i].header);
        for (size_t j = 0; j < lies[i].data; j++) buf_append_char(&b, 0);
        status st = try_safetensors(&b);
        if (st == ST_OK) fail_msg("%s was accepted", lies[i].header);
        if (!strstr(status_message(), lies[i].message)) fail_msg("%s: got '%s'", lies[i].header, status_message());
        buf_release(&b);
    }
    static const struct {
        uint64_t header_size;
        const char *message;
    } sizes[] = {{UINT64_MAX, "above the format's limit"},
                 {100000001, "above the format's limit"},
                 {50, "passes the end of the file"},
                 {0, "text ends"}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct buf b = {0};
        put(&b, sizes[i].header_size, 8);
        buf_append_text(&b, "{}");
        assert_int_not_equal(try_safetensors(&b), ST_OK);
        if (!strstr(status_message(), sizes[i].message)) fail_msg("got '%s'", status_message());
        buf_release(&b);
    }
}

int main(void) {
    int fd = mkstemp(path);
    if (fd < 0) return 1;
    close(fd);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mutated_gguf), cmocka_unit_test(mutated_safetensors), cmocka_unit_test(mutated_json),
        cmocka_unit_test(mutated_rows), cmocka_unit_test(gguf_lies_are_named), cmocka_unit_test(safetensors_lies_are_named),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    return failed || sink == -1.5f;
}
