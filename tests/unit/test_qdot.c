/* num/qdot: the kernels against their plain twin to the last bit, and both against the expanded weights in double. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "num/cpu.h"
#include "num/qdot.h"

#define M_MAX 19
#define N_MAX 53
#define K_MAX 1536

static const size_t ms[] = {1, 2, 3, 4, 7, 8, 9, 16, M_MAX}, ns[] = {1, 15, 16, 17, N_MAX}, ks[] = {256, 768, K_MAX};

struct weights {
    enum dtype type;
    size_t n, k, row;
    uint8_t *bytes;  /* [n, row] */
    float *expanded; /* [n, k] */
    struct qdot packed;
};

static const void *row_at(const void *source, size_t r) {
    const struct weights *w = source;
    return w->bytes + r * w->row;
}

static void *aligned(size_t bytes) {
    void *p = aligned_alloc(64, (bytes + 63) / 64 * 64);
    assert_non_null(p);
    return p;
}

/* Any bytes, with factors of a sensible size where the type has its halves. */
static void weights_open(struct weights *w, enum dtype type, size_t n, size_t k, uint64_t seed) {
    const struct dtype_info *info = &dtype_table[type];
    struct rng r = rng_seeded(seed);
    *w = (struct weights){.type = type, .n = n, .k = k, .row = dtype_row_bytes(type, k)};
    w->bytes = mem_alloc(n * w->row);
    w->expanded = mem_alloc(n * k * sizeof(float));
    for (size_t i = 0; i < n * w->row; i++) w->bytes[i] = (uint8_t)rng_u64(&r);
    const bool two = type == DTYPE_Q4_1 || type == DTYPE_Q5_1 || type == DTYPE_Q4_K || type == DTYPE_Q5_K;
    for (size_t at = 0; at < n * w->row; at += info->block_bytes)
        for (size_t i = 0; i < (two ? 2 : 1); i++) {
            const uint16_t h = dtype_float_to_half((float)(0.02 * rng_normal(&r)));
            memcpy(w->bytes + at + (type == DTYPE_Q6_K ? 208 : 2 * i), &h, 2);
        }
    for (size_t i = 0; i < n; i++) info->expand(w->expanded + i * k, w->bytes + i * w->row, k);
    const size_t bytes = qdot_bytes(type, n, k);
    assert_true(bytes > 0);
    qdot_pack(&w->packed, aligned(bytes), type, row_at, w, n, k);
}

static void weights_close(struct weights *w) {
    free(w->bytes);
    free(w->expanded);
    free(w->packed.data);
}

/* Rows of quite different size, a block of zeros among them. */
static void fill(float *x, size_t m, size_t k) {
    struct rng r = rng_seeded(5);
    for (size_t i = 0; i < m * k; i++) x[i] = (float)(rng_normal(&r) * exp(2 * rng_normal(&r)));
    memset(x + 32, 0, 32 * sizeof *x);
}

/* One result against exact sums: with x as rounded, where only fp32 sums differ, and with x itself, where half a step of each element may.
 */
static void check_value(float y, double init, const struct qdot_input *x, const float *plain, const struct weights *w, size_t m, size_t n) {
    double rounded = init, exact = init, size = fabs(init), bound = 0;
    for (size_t i = 0; i < w->k; i++) {
        const double factor = (double)x->factor[m * (w->k / QDOT_BLOCK) + i / QDOT_BLOCK], v = (double)w->expanded[n * w->k + i];
        rounded += factor * x->q[m * w->k + i] * v;
        exact += (double)plain[m * w->k + i] * v;
        size += fabs(factor * x->q[m * w->k + i] * v);
        bound += 0.5001 * factor * fabs(v);
    }
    /* an integer sum may be as large as all numbers at their offset; 16 rounding errors are plenty for these lengths */
    if (!(fabs((double)y - rounded) <= 2e-6 * size + 1e-30))
        fail_msg("%s: %.9g, exact with rounded x %.9g", dtype_table[w->type].name, (double)y, rounded);
    if (!(fabs((double)y - exact) <= bound + 2e-6 * size + 1e-30))
        fail_msg("%s: %.9g, exact %.9g, bound %g", dtype_table[w->type].name, (double)y, exact, bound);
}

static void run_case(enum dtype type, size_t m, size_t n, size_t k) {
    struct weights w[2];
    struct qdot parts[2];
    float *x = mem_alloc(m * k * sizeof *x), *y = mem_alloc(m * (2 * n + 3) * sizeof *y), *twin = mem_alloc(m * (2 * n + 3) * sizeof *y),
          *init = mem_alloc(m * 2 * n * sizeof *init);
    struct qdot_input in;
    void *memory = aligned(qdot_input_bytes(m, k));
    struct rng r = rng_seeded(9);
    fill(x, m, k);
    for (size_t i = 0; i < m * 2 * n; i++) init[i] = (float)rng_normal(&r);
    for (size_t i = 0; i < 2; i++) {
        weights_open(&w[i], i ? DTYPE_Q8_0 : type, n, k, 3 + i);
        parts[i] = w[i].packed;
    }
    qdot_round(&in, memory, x, k, m, k);
    for (int with = 0; with < 3; with++) { /* from 0; from rows; all from the first row */
        const float *begin = with ? init : NULL;
        const size_t ldy = 2 * n + 3, ld = with == 1 ? 2 * n : 0;
        for (size_t i = 0; i < m * ldy; i++) y[i] = twin[i] = 77;
        qdot_product(y, ldy, begin, ld, &in, parts, 2);
        qdot_product_plain(twin, ldy, begin, ld, &in, parts, 2);
        assert_memory_equal(y, twin, m * ldy * sizeof *y);
        for (size_t i = 0; i < m; i++) {
            for (size_t j = 0; j < 2 * n; j++)
                check_value(y[i * ldy + j], with ? (double)init[i * ld + j] : 0, &in, x, &w[j / n], i, j % n);
            for (size_t j = 2 * n; j < ldy; j++) assert_true(y[i * ldy + j] == 77);
        }
    }
    weights_close(&w[0]);
    weights_close(&w[1]);
    free(x), free(y), free(twin), free(init), free(memory);
}

static void every_type_and_odd_sizes(void **state) {
    (void)state;
    size_t taken = 0;
    if (!cpu_has_avx512_vnni()) print_message("no AVX-512 VNNI: the plain twin alone is tested\n");
    for (int type = 0; type < DTYPE_COUNT; type++) {
        if (!qdot_takes((enum dtype)type)) continue;
        taken++;
        for (size_t i = 0; i < sizeof ms / sizeof *ms; i++) run_case((enum dtype)type, ms[i], ns[i % 5], ks[i % 3]);
        for (size_t i = 0; i < sizeof ns / sizeof *ns; i++) run_case((enum dtype)type, 3, ns[i], ks[(i + 1) % 3]);
    }
    assert_true(taken >= 9);
}

/* A row's result does not depend on the rows beside it. */
static void rows_are_independent(void **state) {
    (void)state;
    const size_t k = 512, n = 33;
    float *x = mem_alloc(M_MAX * k * sizeof *x), all[M_MAX][33], one[33];
    void *memory = aligned(qdot_input_bytes(M_MAX, k));
    struct weights w;
    struct qdot_input in;
    fill(x, M_MAX, k);
    weights_open(&w, DTYPE_Q4_K, n, k, 1);
    qdot_round(&in, memory, x, k, M_MAX, k);
    qdot_product(&all[0][0], n, NULL, 0, &in, &w.packed, 1);
    for (size_t i = 0; i < M_MAX; i++) {
        qdot_round(&in, memory, x + i * k, k, 1, k);
        qdot_product(one, n, NULL, 0, &in, &w.packed, 1);
        assert_memory_equal(one, all[i], sizeof one);
    }
    weights_close(&w);
    free(x), free(memory);
}

/* What is not finite must be seen in the result. */
static void broken_numbers_stay_broken(void **state) {
    (void)state;
    const float bad[] = {NAN, -NAN, INFINITY, -INFINITY};
    float x[256], y[16];
    void *memory = aligned(qdot_input_bytes(1, 256));
    struct weights w;
    struct qdot_input in;
    weights_open(&w, DTYPE_Q4_1, 16, 256, 1);
    for (size_t i = 0; i < 4; i++) {
        fill(x, 1, 256);
        x[100] = bad[i];
        qdot_round(&in, memory, x, 256, 1, 256);
        qdot_product(y, 16, NULL, 0, &in, &w.packed, 1);
        for (size_t j = 0; j < 16; j++) assert_false(isfinite(y[j]));
    }
    weights_close(&w);
    free(memory);
}

static void refuses_what_does_not_fit(void **state) {
    (void)state;
    assert_int_equal(qdot_bytes(DTYPE_F16, 16, 256), 0);
    assert_int_equal(qdot_bytes(DTYPE_Q3_K, 16, 256), 0);
    assert_int_equal(qdot_bytes(DTYPE_Q4_K, 16, 128), 0);
    assert_int_equal(qdot_bytes(DTYPE_Q4_0, 16, 33), 0);
    assert_int_equal(qdot_bytes(DTYPE_Q4_0, SIZE_MAX - 3, 32), 0);
    assert_int_equal(qdot_bytes(DTYPE_Q4_0, SIZE_MAX / 64, SIZE_MAX / 32 * 32), 0);
    assert_int_equal(qdot_bytes(DTYPE_Q4_1, 17, 64), 2 * (2 * 256 + 2 * 64)); /* the file's bytes, rows rounded up to 16 */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_and_odd_sizes),
        cmocka_unit_test(rows_are_independent),
        cmocka_unit_test(broken_numbers_stay_broken),
        cmocka_unit_test(refuses_what_does_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
