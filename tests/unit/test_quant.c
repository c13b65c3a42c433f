/* num/quant against gguf-py's bytes and ggml's error (tests/golden/gguf_quant, made by tests/oracle/make_gguf_quant.py). */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "format/gguf.h"
#include "format/safetensors.h"
#include "num/quant.h"

#define FOLDER TEST_SOURCE_DIR "/golden/gguf_quant/"
#define LONG 512 /* a multiple of every block */

static const float *values_of(const struct safetensors *values, const char *kind, size_t rows, size_t cols) {
    const struct st_tensor *t = safetensors_find(values, kind);
    assert_non_null(t);
    assert_true(t->type == DTYPE_F32 && t->rows == rows && t->cols == cols);
    return t->data;
}

static void writes_the_bytes_of_gguf_py(void **state) {
    (void)state;
    struct gguf g;
    struct safetensors values;
    if (gguf_open(&g, FOLDER "written.gguf") != ST_OK || safetensors_open(&values, FOLDER "values.safetensors") != ST_OK)
        fail_msg("%s", status_message());
    assert_int_equal(g.tensor_count, 7 * values.tensor_count);
    for (size_t i = 0; i < g.tensor_count; i++) {
        const struct gguf_tensor *t = &g.tensors[i];
        char *name = mem_text_n(t->name.data, t->name.size), *kind = strchr(name, '.') + 1;
        const float *x = values_of(&values, kind, t->rows, t->cols);
        const size_t row = dtype_row_bytes(t->type, t->cols);
        uint8_t *out = mem_alloc(row);
        for (size_t r = 0; r < t->rows; r++) {
            assert_true(quant_row(out, x + r * t->cols, t->type, t->cols));
            for (size_t b = 0; b < row; b++) {
                const uint8_t want = ((const uint8_t *)t->data)[r * row + b];
                if (out[b] != want) fail_msg("%s: row %zu, byte %zu is %u, gguf-py's is %u", name, r, b, out[b], want);
            }
        }
        free(out);
        free(name);
    }
    gguf_release(&g);
    safetensors_release(&values);
}

/* The weights of ggml's reference, which make_gguf_quant.py applies too; w [n] of one group x [n]. */
static void reference_weights(double *w, const float *x, size_t n, enum dtype type) {
    double squares = 0;
    for (size_t i = 0; i < n; i++) squares += (double)x[i] * (double)x[i];
    for (size_t i = 0; i < n; i++) {
        const double size = fabs((double)x[i]);
        w[i] = type == DTYPE_Q2_K ? size : type == DTYPE_Q3_K || type == DTYPE_Q6_K ? size * size : sqrt(squares / (double)n) + size;
    }
}

/* Root mean square error, plain and weighted, of what quant_row makes of x [rows, cols]. */
static void errors(double out[2], const float *x, size_t rows, size_t cols, enum dtype type) {
    const size_t group = type == DTYPE_Q4_K || type == DTYPE_Q5_K ? 32 : 16;
    uint8_t *bytes = mem_alloc(dtype_row_bytes(type, cols));
    float *back = mem_zero(cols, sizeof *back);
    double plain = 0, weighted = 0, weight = 0, w[32];
    for (size_t r = 0; r < rows; r++) {
        const float *row = x + r * cols;
        assert_true(quant_row(bytes, row, type, cols));
        dtype_table[type].expand(back, bytes, cols);
        for (size_t i = 0; i < cols; i++) {
            const double d = (double)back[i] - (double)row[i];
            if (i % group == 0) reference_weights(w, row + i, group, type);
            plain += d * d;
            weighted += w[i % group] * d * d;
            weight += w[i % group];
        }
    }
    out[0] = sqrt(plain / (double)(rows * cols));
    out[1] = sqrt(weighted / weight);
    free(back);
    free(bytes);
}

/* The plain error is at most ggml's on every kind of data; the one with the weights of ggml's reference, which are not all ours, on
 * average. */
static void errs_no_more_than_ggml(void **state) {
    (void)state;
    struct safetensors values, ggml;
    double ratios[DTYPE_COUNT] = {0};
    if (safetensors_open(&values, FOLDER "values.safetensors") != ST_OK || safetensors_open(&ggml, FOLDER "errors.safetensors") != ST_OK)
        fail_msg("%s", status_message());
    assert_int_equal(ggml.tensor_count, 5 * values.tensor_count);
    for (size_t i = 0; i < ggml.tensor_count; i++) {
        const struct st_tensor *t = &ggml.tensors[i];
        const char *kind = strchr(t->name, '.') + 1;
        char *type_name = mem_text_n(t->name, (size_t)(kind - 1 - t->name));
        const float *want = t->data;
        const struct st_tensor *x = safetensors_find(&values, kind);
        enum dtype type;
        double got[2];
        assert_true(dtype_from_name(&type, type_name) && x != NULL && t->cols == 2);
        errors(got, x->data, x->rows, x->cols, type);
        if (!(got[0] <= (double)want[0] * (1 + 1e-6))) fail_msg("%s: error %g, ggml's is %g", t->name, got[0], (double)want[0]);
        assert_true(got[1] > 0);
        ratios[type] += got[1] / (double)want[1];
        free(type_name);
    }
    for (int i = DTYPE_Q2_K; i <= DTYPE_Q6_K; i++) {
        const double ratio = ratios[i] / (double)values.tensor_count;
        print_message("%s: weighted error %.3f of ggml's\n", dtype_table[i].name, ratio);
        assert_true(ratio < 1);
    }
    safetensors_release(&values);
    safetensors_release(&ggml);
}

/* Blocks with nothing to choose, in every type that can be written: zeros, the least floats, one value all over, one value among zeros. */
static void writes_plain_blocks(void **state) {
    (void)state;
    for (int i = 0; i < DTYPE_COUNT; i++) {
        const enum dtype type = (enum dtype)i;
        if (!quant_writes(type)) continue;
        uint8_t bytes[LONG * sizeof(float)];
        float x[LONG] = {0}, back[LONG];
        assert_true(quant_row(bytes, x, type, LONG));
        dtype_table[type].expand(back, bytes, LONG);
        for (int j = 0; j < LONG; j++) assert_true(back[j] == 0.0f);
        for (int j = 0; j < LONG; j++) x[j] = j % 3 ? 1e-44f : -1e-44f;
        assert_true(quant_row(bytes, x, type, LONG));
        dtype_table[type].expand(back, bytes, LONG);
        for (int j = 0; j < LONG; j++) assert_true(fabsf(back[j]) < 1e-40f);
        for (int sign = -1; sign <= 1; sign += 2) {
            for (int j = 0; j < LONG; j++) x[j] = (float)sign * 0.3f;
            assert_true(quant_row(bytes, x, type, LONG));
            dtype_table[type].expand(back, bytes, LONG);
            for (int j = 0; j < LONG; j++) assert_true(fabsf(back[j] - x[j]) < 0.002f); /* bf16's rounding */
            for (int j = 0; j < LONG; j++) x[j] = j % 100 == 77 ? (float)sign * 3.0f : 0.0f;
            assert_true(quant_row(bytes, x, type, LONG));
            dtype_table[type].expand(back, bytes, LONG);
            for (int j = 0; j < LONG; j++) assert_true(fabsf(back[j] - x[j]) < 0.02f);
        }
    }
}

static void refuses_what_does_not_fit(void **state) {
    (void)state;
    static const float bad[] = {NAN, -NAN, INFINITY, -INFINITY, 3e38f};
    for (int i = 0; i < DTYPE_COUNT; i++) {
        const enum dtype type = (enum dtype)i;
        if (!quant_writes(type)) continue;
        for (size_t k = 0; k < sizeof bad / sizeof bad[0]; k++) {
            if (isfinite(bad[k]) && (type == DTYPE_F32 || type == DTYPE_BF16)) continue; /* these hold 3e38 */
            uint8_t bytes[LONG * sizeof(float)];
            float x[LONG] = {0};
            x[LONG - 3] = bad[k];
            if (quant_row(bytes, x, type, LONG)) fail_msg("%s took %g", dtype_table[i].name, (double)bad[k]);
        }
    }
}

static void falls_back_as_llama_cpp(void **state) {
    (void)state;
    static const struct {
        enum dtype wanted, at_32, at_33;
    } rows[] = {{DTYPE_Q2_K, DTYPE_Q4_0, DTYPE_F16}, {DTYPE_Q3_K, DTYPE_Q4_0, DTYPE_F16}, {DTYPE_Q4_K, DTYPE_Q5_0, DTYPE_F16},
                {DTYPE_Q5_K, DTYPE_Q5_1, DTYPE_F16}, {DTYPE_Q6_K, DTYPE_Q8_0, DTYPE_F16}, {DTYPE_Q8_0, DTYPE_Q8_0, DTYPE_F16},
                {DTYPE_Q4_0, DTYPE_Q4_0, DTYPE_F16}, {DTYPE_F32, DTYPE_F32, DTYPE_F32},   {DTYPE_BF16, DTYPE_BF16, DTYPE_BF16}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(quant_fallback(rows[i].wanted, 512), rows[i].wanted);
        assert_int_equal(quant_fallback(rows[i].wanted, 32), rows[i].at_32);
        assert_int_equal(quant_fallback(rows[i].wanted, 33), rows[i].at_33);
    }
    for (int i = 0; i < DTYPE_COUNT; i++) {
        for (size_t cols = 1; quant_writes((enum dtype)i) && cols <= LONG; cols++)
            assert_true(quant_can(quant_fallback((enum dtype)i, cols), cols));
    }
    assert_false(quant_can(DTYPE_Q4_K, 128));
    assert_false(quant_can(DTYPE_IQ4_NL, 512));
    struct buf names = {0};
    dtype_list(&names, quant_writes);
    assert_string_equal(buf_text(&names), "F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K and Q6_K");
    buf_release(&names);
    enum dtype type;
    assert_true(dtype_from_name(&type, "q4_k") && type == DTYPE_Q4_K);
    assert_false(dtype_from_name(&type, "Q4"));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(writes_the_bytes_of_gguf_py), cmocka_unit_test(errs_no_more_than_ggml),
                                       cmocka_unit_test(writes_plain_blocks), cmocka_unit_test(refuses_what_does_not_fit),
                                       cmocka_unit_test(falls_back_as_llama_cpp)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
