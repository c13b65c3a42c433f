/* GGUF, safetensors and dtype expansion: files written here, and the goldens made with gguf-py where they are. */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "format/gguf.h"
#include "format/safetensors.h"

static char folder[] = "/tmp/rapt_formats_XXXXXX";

static char *path_of(const char *name) { return file_join(folder, name); }

static void put(struct buf *b, uint64_t value, size_t size) { buf_append(b, &value, size); }
static void put_text(struct buf *b, const char *text) {
    put(b, strlen(text), 8);
    buf_append_text(b, text);
}
static void put_key(struct buf *b, const char *key, enum gguf_kind kind) {
    put_text(b, key);
    put(b, kind, 4);
}
static void put_tensor(struct buf *b, const char *name, size_t cols, size_t rows, int code, size_t offset) {
    put_text(b, name);
    put(b, 2, 4);
    put(b, cols, 8);
    put(b, rows, 8);
    put(b, (uint64_t)code, 4);
    put(b, offset, 8);
}

static const float kinds_matrix[6] = {1, 2, 3, -4, 5.5f, 6};

/* A file with a value of every kind and two tensors, of f32 and of Q8_0. */
static void put_kinds(struct buf *b, uint64_t version) {
    buf_append_text(b, "GGUF");
    put(b, version, 4);
    put(b, 2, 8);
    put(b, 9, 8);
    put_key(b, "general.architecture", GGUF_STRING);
    put_text(b, "llama");
    put_key(b, "general.alignment", GGUF_U32);
    put(b, 64, 4);
    put_key(b, "a.i8", GGUF_I8);
    put(b, (uint8_t)-3, 1);
    put_key(b, "a.u64", GGUF_U64);
    put(b, UINT64_MAX, 8);
    put_key(b, "a.f32", GGUF_F32);
    float f = 1e-5f;
    buf_append(b, &f, 4);
    put_key(b, "a.f64", GGUF_F64);
    double d = 0.1;
    buf_append(b, &d, 8);
    put_key(b, "a.bool", GGUF_BOOL);
    put(b, 1, 1);
    put_key(b, "a.texts", GGUF_ARRAY);
    put(b, GGUF_STRING, 4);
    put(b, 2, 8);
    put_text(b, "");
    put_text(b, "\xc3\xa9");
    put_key(b, "a.ints", GGUF_ARRAY);
    put(b, GGUF_I32, 4);
    put(b, 2, 8);
    put(b, 7, 4);
    put(b, (uint32_t)-8, 4);
    put_tensor(b, "x.weight", 3, 2, 0, 0);
    put_tensor(b, "y.weight", 32, 1, 8, 64);
    while (b->size % 64) buf_append_char(b, 0);
    buf_append(b, kinds_matrix, sizeof kinds_matrix);
    for (int i = 0; i < 40; i++) buf_append_char(b, 0);
    uint16_t half = dtype_float_to_half(0.5f);
    buf_append(b, &half, 2);
    for (int i = 0; i < 32; i++) put(b, (uint8_t)(i - 16), 1);
}

static void gguf_reads_every_kind(void **state) {
    (void)state;
    for (uint64_t version = 2; version <= 3; version++) {
        struct buf b = {0};
        put_kinds(&b, version);
        char *path = path_of("kinds.gguf");
        assert_int_equal(file_write(path, b.data, b.size), ST_OK);

        struct gguf g;
        if (gguf_open(&g, path) != ST_OK) fail_msg("%s", status_message());
        assert_int_equal(g.version, version);
        struct gguf_text text;
        assert_true(gguf_text_of(&text, &g, "general.architecture"));
        assert_int_equal(text.size, 5);
        int64_t i;
        double v;
        bool flag;
        assert_true(gguf_int(&i, &g, "a.i8") && i == -3);
        assert_false(gguf_int(&i, &g, "a.u64"));
        assert_false(gguf_int(&i, &g, "a.f32"));
        assert_true(gguf_double(&v, &g, "a.u64") && v == 18446744073709551615.0);
        assert_true(gguf_double(&v, &g, "a.f32") && v == (double)1e-5f);
        assert_true(gguf_double(&v, &g, "a.f64") && v == 0.1);
        assert_true(gguf_bool(&flag, &g, "a.bool") && flag);
        const struct gguf_value *texts = gguf_find(&g, "a.texts"), *ints = gguf_find(&g, "a.ints");
        assert_true(texts && texts->count == 2 && texts->texts[0].size == 0 && texts->texts[1].size == 2);
        assert_true(ints && ints->count == 2 && gguf_item_int(ints, 0) == 7 && gguf_item_int(ints, 1) == -8);
        assert_null(gguf_find(&g, "absent"));
        const struct gguf_tensor *t = gguf_tensor_find(&g, "x.weight"), *y = gguf_tensor_find(&g, "y.weight");
        assert_true(t && t->rows == 2 && t->cols == 3 && memcmp(t->data, kinds_matrix, sizeof kinds_matrix) == 0);
        float out[32];
        assert_true(y && y->type == DTYPE_Q8_0 && dtype_row_bytes(y->type, 32) == 34);
        dtype_table[y->type].expand(out, y->data, 32);
        for (int j = 0; j < 32; j++) assert_true(out[j] == 0.5f * (float)(j - 16));
        gguf_release(&g);
        free(path);
        buf_release(&b);
    }
}

static void safetensors_round_trip(void **state) {
    (void)state;
    const float x[6] = {1, 2, 3, 4, 5, 6};
    const uint16_t h[3] = {0x3c00, 0xc000, 0x3555};
    struct safetensors_writer w = {0};
    safetensors_add(&w, "odd", DTYPE_F16, (size_t[]){3}, 1, h);
    safetensors_add(&w, "m.weight", DTYPE_F32, (size_t[]){1, 2, 3}, 3, x); /* lands on 2 mod 4: the reader copies it */
    safetensors_add(&w, "na\"me\\", DTYPE_BF16, NULL, 0, h);
    safetensors_add(&w, "empty", DTYPE_F32, (size_t[]){0, 4}, 2, x);
    char *path = path_of("model.safetensors");
    if (safetensors_write(&w, path) != ST_OK) fail_msg("%s", status_message());
    const char *const paths[] = {path, folder};
    for (int k = 0; k < 2; k++) {
        struct safetensors s;
        if (safetensors_open(&s, paths[k]) != ST_OK) fail_msg("%s", status_message());
        assert_int_equal(s.tensor_count, 4);
        const struct st_tensor *t = safetensors_find(&s, "m.weight");
        assert_true(t && t->dims == 3 && t->rows == 2 && t->cols == 3 && (uintptr_t)t->data % 4 == 0);
        assert_memory_equal(t->data, x, sizeof x);
        t = safetensors_find(&s, "na\"me\\");
        assert_true(t && t->dims == 0 && t->rows == 1 && t->cols == 1 && t->type == DTYPE_BF16);
        t = safetensors_find(&s, "empty");
        assert_true(t && t->rows == 0 && t->cols == 4);
        safetensors_release(&s);
    }
    unlink(path);
    free(path);
}

/* Tensors that come one after the other make the same file; where one fails there is none. */
static void safetensors_stream(void **state) {
    (void)state;
    const float x[6] = {1, 2, 3, 4, 5, 6};
    char *path = path_of("model.safetensors");
    for (int fails = 0; fails < 2; fails++) {
        struct safetensors_writer w = {0};
        struct safetensors_stream f;
        struct safetensors s;
        safetensors_add(&w, "a", DTYPE_F32, (size_t[]){2, 2}, 2, NULL);
        safetensors_add(&w, "b", DTYPE_F32, (size_t[]){2}, 1, NULL);
        assert_int_equal(safetensors_begin(&f, &w, path), ST_OK);
        assert_int_equal(safetensors_put(&f, x, 3 * sizeof *x), ST_OK);
        assert_false(file_exists(path));
        if (!fails) assert_int_equal(safetensors_put(&f, x + 3, 3 * sizeof *x), ST_OK);
        assert_int_equal(safetensors_end(&f, fails ? FAIL(ST_IO, "no more") : ST_OK), fails ? ST_IO : ST_OK);
        assert_int_equal(file_exists(path), !fails);
        if (fails) break;
        if (safetensors_open(&s, path) != ST_OK) fail_msg("%s", status_message());
        assert_memory_equal(safetensors_find(&s, "a")->data, x, 4 * sizeof *x);
        assert_memory_equal(safetensors_find(&s, "b")->data, x + 4, 2 * sizeof *x);
        safetensors_release(&s);
        unlink(path);
    }
    free(path);
}

static void write_one(const char *file, const char *name, const float *x) {
    struct safetensors_writer w = {0};
    safetensors_add(&w, name, DTYPE_F32, (size_t[]){2}, 1, x);
    char *path = path_of(file);
    assert_int_equal(safetensors_write(&w, path), ST_OK);
    free(path);
}

static status open_index(struct safetensors *s, const char *json) {
    char *path = path_of("model.safetensors.index.json");
    assert_int_equal(file_write(path, json, strlen(json)), ST_OK);
    status st = safetensors_open(s, path);
    free(path);
    return st;
}

static void safetensors_shards(void **state) {
    (void)state;
    const float x[4] = {1, 2, 3, 4};
    struct safetensors s;
    write_one("a.safetensors", "x", x);
    write_one("b.safetensors", "y", x + 2);
    const char *good = "{\"metadata\":{},\"weight_map\":{\"x\":\"a.safetensors\",\"y\":\"b.safetensors\"}}";
    if (open_index(&s, good) != ST_OK) fail_msg("%s", status_message());
    assert_int_equal(s.map_count, 2);
    assert_memory_equal(safetensors_find(&s, "y")->data, x + 2, 8);
    safetensors_release(&s);
    static const struct {
        const char *json, *message;
    } lies[] = {
        {"{\"weight_map\":{\"x\":\"../a.safetensors\"}}", "is not a file name"},
        {"{\"weight_map\":{\"x\":\"c.safetensors\"}}", "cannot open"},
        {"{\"weight_map\":{\"z\":\"a.safetensors\"}}", "which no shard holds"},
        {"{\"weight_map\":{\"x\":3}}", "is not a file name"},
        {"{\"weight_map\":[]}", "'weight_map' is not an object"},
        {"{\"weight_map\":{}}", "weight_map is empty"},
        {"{\"weight_map\":", "text ends"},
    };
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        assert_int_not_equal(open_index(&s, lies[i].json), ST_OK);
        if (!strstr(status_message(), lies[i].message)) fail_msg("%s: %s", lies[i].json, status_message());
    }
    write_one("b.safetensors", "x", x);
    assert_int_equal(open_index(&s, "{\"weight_map\":{\"x\":\"a.safetensors\",\"y\":\"b.safetensors\"}}"), ST_FORMAT);
    assert_non_null(strstr(status_message(), "no shard holds"));
    assert_int_equal(open_index(&s, "{\"weight_map\":{\"x\":\"a.safetensors\",\"x\":\"b.safetensors\"}}"), ST_FORMAT);
    assert_non_null(strstr(status_message(), "duplicate tensor 'x'"));
}

/* One block of each type by hand: d = 0.5 (0x3800), m = 0.25 (0x3400); element j has q = j mod 16, fifth bit set for odd j. */
static void expands_blocks(void **state) {
    (void)state;
    for (int type = DTYPE_Q4_0; type <= DTYPE_Q8_0; type++) {
        bool five = type == DTYPE_Q5_0 || type == DTYPE_Q5_1, with_min = type == DTYPE_Q4_1 || type == DTYPE_Q5_1;
        struct buf b = {0};
        put(&b, 0x3800, 2);
        if (with_min) put(&b, 0x3400, 2);
        if (five) put(&b, 0xaaaaaaaau, 4);
        for (unsigned j = 0; j < 16 && type != DTYPE_Q8_0; j++) put(&b, j | j << 4, 1);
        for (int j = 0; j < 32 && type == DTYPE_Q8_0; j++) put(&b, (uint8_t)(j - 20), 1);
        assert_int_equal(b.size, dtype_row_bytes((enum dtype)type, 32));
        float out[32];
        dtype_table[type].expand(out, b.data, 32);
        for (int j = 0; j < 32; j++) {
            int q = type == DTYPE_Q8_0 ? j - 20 : j % 16 + (five && j % 2 ? 16 : 0);
            if (type == DTYPE_Q4_0) q -= 8;
            if (type == DTYPE_Q5_0) q -= 16;
            assert_true(out[j] == 0.5f * (float)q + (with_min ? 0.25f : 0.0f));
        }
        buf_release(&b);
    }
}

static void expands_every_half(void **state) {
    (void)state;
    uint16_t in[11];
    float out[11];
    for (uint32_t base = 0; base + 11 <= 65536; base += 11) {
        for (uint32_t i = 0; i < 11; i++) in[i] = (uint16_t)(base + i);
        dtype_table[DTYPE_F16].expand(out, in, 11);
        for (uint32_t i = 0; i < 11; i++) {
            uint32_t h = in[i], exponent = (h >> 10) & 31, fraction = h & 1023;
            double want = exponent == 31 ? (fraction ? (double)NAN : (double)INFINITY)
                                         : ldexp(exponent ? 1024 + fraction : fraction, (int)(exponent ? exponent : 1) - 25);
            if (h & 0x8000) want = -want;
            assert_true(isnan(want) ? isnan(out[i]) : (double)out[i] == want);
            if (!isnan(want)) assert_int_equal(dtype_float_to_half(out[i]), h);
        }
        dtype_table[DTYPE_BF16].expand(out, in, 11);
        for (uint32_t i = 0; i < 11; i++) {
            uint32_t bits;
            memcpy(&bits, &out[i], 4);
            assert_int_equal(bits, (uint32_t)in[i] << 16);
        }
    }
    assert_int_equal(dtype_float_to_half(65520.0f), 0x7c00); /* rounds past the largest half */
    assert_int_equal(dtype_float_to_half(2049.0f), 0x6800);  /* a tie goes to even */
    assert_int_equal(dtype_row_bytes(DTYPE_Q4_0, 33), 0);
    assert_int_equal(dtype_row_bytes(DTYPE_F32, SIZE_MAX / 2), 0);
}

/* tests/golden/gguf_types: one tensor of every type and gguf-py's expansion of it (tests/oracle). */
static void agrees_with_gguf_py(void **state) {
    (void)state;
    const char *path = TEST_SOURCE_DIR "/golden/gguf_types/types.gguf",
               *want_path = TEST_SOURCE_DIR "/golden/gguf_types/expected.safetensors";
    if (!file_exists(path)) {
        print_message("skipped: %s is absent\n", path);
        skip();
    }
    struct gguf g;
    struct safetensors s;
    if (gguf_open(&g, path) != ST_OK || safetensors_open(&s, want_path) != ST_OK) fail_msg("%s", status_message());
    assert_true(g.tensor_count > 0);
    for (size_t i = 0; i < g.tensor_count; i++) {
        const struct gguf_tensor *t = &g.tensors[i];
        char *name = mem_text_n(t->name.data, t->name.size);
        const struct st_tensor *want = safetensors_find(&s, name);
        assert_non_null(want);
        assert_int_equal(want->rows * want->cols, t->rows * t->cols);
        assert_int_equal(want->type, DTYPE_F32);
        size_t row = dtype_row_bytes(t->type, t->cols);
        float *out = mem_zero(t->cols, sizeof *out);
        for (size_t r = 0; r < t->rows; r++) {
            dtype_table[t->type].expand(out, (const char *)t->data + r * row, t->cols);
            if (memcmp(out, (const float *)want->data + r * t->cols, t->cols * sizeof *out) != 0) fail_msg("%s row %zu differs", name, r);
        }
        free(out);
        free(name);
    }
    gguf_release(&g);
    safetensors_release(&s);
}

int main(void) {
    if (!mkdtemp(folder)) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gguf_reads_every_kind), cmocka_unit_test(safetensors_round_trip), cmocka_unit_test(safetensors_stream),
        cmocka_unit_test(safetensors_shards),    cmocka_unit_test(expands_blocks),         cmocka_unit_test(expands_every_half),
        cmocka_unit_test(agrees_with_gguf_py),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    static const char *const files[] = {"kinds.gguf", "model.safetensors.index.json", "a.safetensors", "b.safetensors"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char *path = path_of(files[i]);
        unlink(path);
        free(path);
    }
    rmdir(folder);
    return failed;
}
