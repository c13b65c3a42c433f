/* The largest singular values and what they span against numpy's (tests/oracle/make_svd.py). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/safetensors.h"
#include "num/svd.h"

#define CASES 5

static const struct st_tensor *tensor(const struct safetensors *st, const char *kind, int i) {
    char name[32];
    snprintf(name, sizeof name, "%s.%d", kind, i);
    const struct st_tensor *t = safetensors_find(st, name);
    if (!t) fail_msg("golden has no %s", name);
    return t;
}

static double dot(const float *a, size_t step_a, const float *b, size_t step_b, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)a[i * step_a] * (double)b[i * step_b];
    return sum;
}

/* Vectors of values that are not 0 have length 1 and stand at right angles. */
static void check_orthonormal(const float *x, size_t step, size_t next, const float *s, size_t rank, size_t n) {
    for (size_t i = 0; i < rank; i++)
        for (size_t j = 0; j <= i; j++)
            if (s[i] > 1e-3f && fabs(dot(x + i * next, step, x + j * next, step, n) - (i == j)) > 1e-5)
                fail_msg("vectors %zu and %zu: %g", i, j, dot(x + i * next, step, x + j * next, step, n));
}

static void values_and_vectors(void **state) {
    (void)state;
    struct safetensors st;
    assert_int_equal(safetensors_open(&st, TEST_SOURCE_DIR "/golden/svd/svd.safetensors"), ST_OK);
    for (int i = 0; i < CASES; i++) {
        const struct st_tensor *w = tensor(&st, "w", i), *want = tensor(&st, "s", i), *near = tensor(&st, "near", i);
        const size_t m = w->rows, n = w->cols, rank = want->cols;
        const double scale = (double)((const float *)want->data)[0];
        float *u = calloc(m * rank, sizeof *u), *s = calloc(rank, sizeof *s), *v = calloc(rank * n, sizeof *v),
              *again = calloc(m * rank, sizeof *again);
        if (svd_largest(u, s, v, w->data, m, n, rank, 0) != ST_OK) fail_msg("%s", status_message());
        check_orthonormal(u, rank, 1, s, rank, m);
        check_orthonormal(v, 1, n, s, rank, n);
        for (size_t k = 0; k < rank; k++)
            if (fabs((double)s[k] - (double)((const float *)want->data)[k]) > 1e-5 * scale)
                fail_msg("case %d: value %zu is %.9g, numpy %.9g", i, k, (double)s[k], (double)((const float *)want->data)[k]);
        for (size_t r = 0; r < m; r++)
            for (size_t c = 0; c < n; c++) {
                double sum = 0;
                for (size_t k = 0; k < rank; k++) sum += (double)u[r * rank + k] * (double)s[k] * (double)v[k * n + c];
                if (fabs(sum - (double)((const float *)near->data)[r * n + c]) > 3e-5 * scale)
                    fail_msg("case %d: [%zu, %zu] is %.9g, numpy %.9g", i, r, c, sum, (double)((const float *)near->data)[r * n + c]);
            }
        assert_int_equal(svd_largest(again, s, v, w->data, m, n, rank, 0), ST_OK);
        assert_memory_equal(again, u, m * rank * sizeof *u);
        assert_int_equal(svd_largest(again, s, v, w->data, m, n, rank, 2), ST_OK); /* a few iterations: near, never above */
        for (size_t k = 0; k < rank; k++) assert_true((double)s[k] <= (double)((const float *)want->data)[k] + 1e-5 * scale);
        assert_true((double)s[0] > 0.9 * scale);
        free(u), free(s), free(v), free(again);
    }
    safetensors_release(&st);
}

static void nothing(void **state) {
    (void)state;
    float w[12] = {0}, u[8], s[2], v[6];
    assert_int_equal(svd_largest(u, s, v, w, 4, 3, 2, 0), ST_OK);
    for (size_t i = 0; i < 8; i++) assert_true(u[i] == 0);
    assert_true(s[0] == 0 && s[1] == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(values_and_vectors), cmocka_unit_test(nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
