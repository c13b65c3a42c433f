/* Products in fp16 arithmetic against double: their error, edges of blocks, transposed operands, sums onto a matrix, rows and columns of
 * any size, what is not finite, and the same bits on one thread and two. Skips, saying so, where the CPU has no AVX512-FP16. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "num/cpu.h"
#include "num/matmul.h"

static float *filled(size_t n, uint64_t seed) {
    float *x = test_calloc(n + 1, sizeof *x);
    struct rng r = rng_seeded(seed);
    for (size_t i = 0; i < n; i++) x[i] = (float)rng_normal(&r);
    return x;
}

struct shape {
    size_t m, n, k;
    bool ta, tb, accumulate;
};

static float at(const float *x, size_t ld, bool turned, size_t i, size_t j) { return turned ? x[j * ld + i] : x[i * ld + j]; }

/* The root mean square of the error over that of the product, each element in units of its row's and column's sizes. */
static double error_of(const float *c, const float *before, const float *a, const float *b, const struct shape *s) {
    double error = 0, all = 0;
    for (size_t i = 0; i < s->m; i++)
        for (size_t j = 0; j < s->n; j++) {
            double sum = s->accumulate ? (double)before[i * s->n + j] : 0, aa = 0, bb = 0;
            for (size_t p = 0; p < s->k; p++) {
                const double x = (double)at(a, s->ta ? s->m : s->k, s->ta, i, p), y = (double)at(b, s->tb ? s->k : s->n, s->tb, p, j);
                sum += x * y, aa += x * x, bb += y * y;
            }
            const double unit = aa * bb / (double)s->k;
            if (!(unit > 0)) continue;
            error += (sum - (double)c[i * s->n + j]) * (sum - (double)c[i * s->n + j]) / unit;
            all += 1;
        }
    return sqrt(error / all);
}

static void run(float *c, const float *a, const float *b, const struct shape *s) {
    const struct mat x = {.f = a, .ld = s->ta ? s->m : s->k}, y = {.f = b, .ld = s->tb ? s->k : s->n};
    if (matmul(c, s->n, MATMUL_F16, x, s->ta, y, s->tb, s->m, s->n, s->k, s->accumulate) != ST_OK) fail_msg("%s", status_message());
}

static void errors_are_small(void **state) {
    (void)state;
    static const struct shape shapes[] = {
        {16, 64, 64, false, false, false},    {100, 130, 576, false, true, false}, {97, 576, 100, false, false, true},
        {129, 200, 1536, true, false, false}, {61, 65, 67, true, true, true},      {16, 1536, 97, false, true, true},
        {193, 64, 4096, true, true, false},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        const struct shape *s = &shapes[i];
        float *a = filled(s->m * s->k, 2 * i + 1), *b = filled(s->n * s->k, 2 * i + 2), *before = filled(s->m * s->n, i + 50),
              *c = filled(s->m * s->n, i + 50);
        run(c, a, b, s);
        const double error = error_of(c, before, a, b, s);
        print_message("%zu x %zu x %zu%s%s%s: %.2e\n", s->m, s->n, s->k, s->ta ? " ta" : "", s->tb ? " tb" : "", s->accumulate ? " +=" : "",
                      error);
        assert_true(error < 1.6e-3); /* operands rounded to bf16: 2.3e-3 */
        test_free(a), test_free(b), test_free(before), test_free(c);
    }
}

/* Rows of a and columns of b between 1e-30 and 1e30, their products between 1e-37 and 1e37, and rows of zeros. */
static void sizes_do_not_matter(void **state) {
    (void)state;
    const struct shape s = {40, 80, 200, false, true, false};
    float *a = filled(s.m * s.k, 1), *b = filled(s.n * s.k, 2), *c = filled(s.m * s.n, 3);
    for (size_t i = 0; i < s.m * s.k; i++) a[i] *= i / s.k == 7 ? 0 : powf(10, (float)(i / s.k % 31) * 2 - 30);
    for (size_t i = 0; i < s.n * s.k; i++) b[i] *= powf(10, (float)(i / s.k % 7) - 3);
    run(c, a, b, &s);
    assert_true(error_of(c, NULL, a, b, &s) < 1.6e-3);
    for (size_t j = 0; j < s.n; j++) assert_true(c[7 * s.n + j] == 0);
    test_free(a), test_free(b), test_free(c);
}

static void what_is_not_finite_stays_so(void **state) {
    (void)state;
    const struct shape s = {16, 64, 64, false, true, false};
    float *a = filled(s.m * s.k, 1), *b = filled(s.n * s.k, 2), *c = filled(s.m * s.n, 3);
    a[3 * s.k + 5] = (float)NAN, b[9 * s.k + 1] = INFINITY;
    run(c, a, b, &s);
    for (size_t i = 0; i < s.m; i++)
        for (size_t j = 0; j < s.n; j++) assert_int_equal(isfinite(c[i * s.n + j]) != 0, i != 3 && j != 9);
    test_free(a), test_free(b), test_free(c);
}

static void threads_give_the_same_bits(void **state) {
    (void)state;
    const struct shape s = {211, 333, 700, false, true, false};
    float *a = filled(s.m * s.k, 1), *b = filled(s.n * s.k, 2), *one = filled(s.m * s.n, 3), *two = filled(s.m * s.n, 4);
    omp_set_num_threads(1);
    run(one, a, b, &s);
    omp_set_num_threads(2);
    run(two, a, b, &s);
    assert_memory_equal(one, two, s.m * s.n * sizeof *one);
    /* and a row is the same whatever stands beside it */
    const struct shape few = {20, 333, 700, false, true, false};
    run(two, a + 100 * s.k, b, &few);
    assert_memory_equal(one + 100 * s.n, two, few.m * s.n * sizeof *one);
    test_free(a), test_free(b), test_free(one), test_free(two);
}

int main(void) {
    if (!cpu_has_avx512_fp16()) {
        puts("skipped: this CPU has no AVX512-FP16");
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_are_small),
        cmocka_unit_test(sizes_do_not_matter),
        cmocka_unit_test(what_is_not_finite_stays_so),
        cmocka_unit_test(threads_give_the_same_bits),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    matmul_shutdown();
    return failed;
}
