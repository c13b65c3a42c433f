/* Products on the tile registers against plain loops over the same bf16 values: edges, a second product in the same pass, sums that start
 * from a matrix, blocks that go to a function; and a linear with adapters in one pass against the reference twin. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "model/linear.h"
#include "num/act.h"
#include "num/cpu.h"
#include "num/dtype.h"

static void ok(status s) {
    if (s != ST_OK) fail_msg("%s", status_message());
}

static float *filled(size_t n, uint64_t seed) {
    float *x = test_calloc(n + 1, sizeof *x);
    struct rng r = rng_seeded(seed);
    for (size_t i = 0; i < n; i++) x[i] = dtype_bf16_to_float(dtype_float_to_bf16((float)rng_normal(&r)));
    return x;
}

static uint16_t *halves(const float *x, size_t rows, size_t cols, size_t ld) {
    uint16_t *h = test_calloc(rows * ld + GEMM_AMX_K, sizeof *h);
    gemm_amx_half(h, ld, x, cols, rows, cols);
    return h;
}

static uint16_t *packed(const float *plain, size_t ld, bool transposed, size_t k, size_t n) {
    uint16_t *p = aligned_alloc(64, gemm_amx_bytes(k, n));
    gemm_amx_pack(p, plain, ld, transposed, k, n);
    return p;
}

struct blocks {
    float *out;
    size_t n;
};
static void keep_block(void *context, const float *block, size_t i, size_t rows, size_t j, size_t second) {
    const struct blocks *b = context;
    for (size_t r = 0; r < rows; r++)
        for (size_t l = 0; l < 16; l++) {
            if (j + l < b->n) b->out[(i + r) * b->n + j + l] = block[r * 32 + l];
            if (second + l < b->n) b->out[(i + r) * b->n + second + l] = block[r * 32 + 16 + l];
        }
}

static void check_product(size_t m, size_t n, size_t k, size_t k2, bool init, int finish, bool transposed) {
    float *a = filled(m * k, 1), *b = filled(k * n, 2), *a2 = filled(m * 32, 3), *b2 = filled(32 * n, 4), *c = filled(m * n, 5),
          *c0 = filled(m * n, 5);
    uint16_t *ah = halves(a, m, k, k), *a2h = halves(a2, m, 32, 32), *bp = packed(b, transposed ? k : n, transposed, k, n),
             *b2p = packed(b2, n, false, 32, n);
    struct blocks kept = {c, n};
    struct gemm_amx g = {.m = m, .n = n, .k = k, .a = ah, .lda = k, .b = bp, .c = c, .ldc = n, .init = init ? c : NULL, .ld_init = n};
    if (k2) g.a2 = a2h, g.lda2 = g.k2 = 32, g.b2 = b2p;
    if (finish) g.finish = keep_block, g.context = &kept, g.c = NULL, g.init = init ? c0 : NULL;
    if (finish == 2) g.half_offset = n / 2;
    gemm_amx_run(&g);
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++) {
            double want = init ? (double)c0[i * n + j] : 0;
            for (size_t p = 0; p < k; p++) want += (double)a[i * k + p] * (double)(transposed ? b[j * k + p] : b[p * n + j]);
            for (size_t p = 0; p < k2; p++) want += (double)a2[i * 32 + p] * (double)b2[p * n + j];
            if (!(fabs(want - (double)c[i * n + j]) < 1e-5 * sqrt((double)(k + k2)) * 4))
                fail_msg("%zux%zux%zu second %zu init %d finish %d transposed %d: [%zu,%zu] is %g, want %g", m, n, k, k2, init, finish,
                         transposed, i, j, (double)c[i * n + j], want);
        }
    test_free(a), test_free(b), test_free(a2), test_free(b2), test_free(c), test_free(c0), test_free(ah), test_free(a2h);
    free(bp), free(b2p);
}

static void products(void **state) {
    (void)state;
    if (!cpu_has_amx_bf16()) {
        print_message("no AMX: skipped\n");
        skip();
    }
    static const size_t shapes[][3] = {{1, 1, 1},     {16, 32, 32},   {33, 48, 70},   {150, 100, 33},
                                       {17, 700, 40}, {300, 64, 576}, {40, 40, 4200}, {5, 31, 64}};
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++)
        for (int how = 0; how < 8; how++) check_product(shapes[s][0], shapes[s][1], shapes[s][2], how & 1 ? 32 : 0, how & 2, 0, how & 4);
    for (int how = 0; how < 2; how++) {
        check_product(45, 96, 64, how ? 32 : 0, false, 1, false);
        check_product(130, 80, 50, how ? 32 : 0, false, 1, true);
        check_product(45, 96, 64, how ? 32 : 0, false, 2, true);
        check_product(130, 1600, 576, how ? 32 : 0, false, 2, true);
    }
}

struct floats {
    const float *at;
    size_t width;
};
static void copy_rows(float *out, const void *source, size_t from, size_t rows) {
    const struct floats *f = source;
    memcpy(out, f->at + from * f->width, rows * f->width * sizeof *out);
}

/* A whole matrix is packed as its elements are one by one, and rows that a function makes as rows that are there. */
static void packing(void **state) {
    (void)state;
    if (!cpu_has_amx_bf16()) skip();
    static const size_t shapes[][2] = {{1, 1}, {16, 16}, {17, 15}, {31, 33}, {32, 64}, {100, 70}, {257, 129}};
    for (size_t i = 0; i < 2 * sizeof shapes / sizeof shapes[0]; i++) {
        const bool transposed = i & 1;
        const size_t k = shapes[i / 2][0], n = shapes[i / 2][1], rows = transposed ? n : k, width = transposed ? k : n, bytes = gemm_amx_bytes(k, n);
        struct rng r = rng_seeded(i);
        float *x = test_calloc(k * n, sizeof *x), *strips = test_calloc(1, gemm_amx_strip_bytes(width));
        for (size_t j = 0; j < k * n; j++) x[j] = (float)rng_normal(&r);
        uint16_t *want = aligned_alloc(64, bytes), *got = packed(x, width, transposed, k, n), *made = aligned_alloc(64, bytes);
        memset(want, 0, bytes);
        memset(made, 255, bytes);
        gemm_amx_pack_block(want, k, 0, 0, x, width, transposed, k, n);
        gemm_amx_pack_made(made, copy_rows, &(struct floats){x, width}, 0, rows, width, transposed, strips);
        assert_memory_equal(got, want, bytes);
        assert_memory_equal(made, want, bytes);
        free(want), free(got), free(made);
        test_free(x), test_free(strips);
    }
}

/* One linear of gate | up or q | k | v; the two ways to run it. */
#define T 45
#define IN 72
#define RANK 12
#define PARTS 3
static const size_t part_rows[PARTS] = {64, 20, 44};
#define OUT 128
#define THETA (PARTS * RANK * IN + OUT * RANK)

static void describe(struct linear *l) {
    size_t row = 0, b = PARTS * RANK * IN;
    *l = (struct linear){.in = IN, .out = OUT, .part_count = PARTS, .w_offset = LINEAR_FROZEN, .saved_offset = LINEAR_FROZEN};
    for (size_t i = 0; i < PARTS; i++) {
        l->part[i] = (struct linear_part){.row = row, .rows = part_rows[i], .adapted = i != 1, .rank = RANK, .scale = 1.5f, .u_col = l->u_width, .b_offset = b};
        row += part_rows[i];
        if (i != 1) b += part_rows[i] * RANK, l->u_width += RANK;
    }
}

static double distance(const float *x, const float *y, size_t n) {
    double d = 0, s = 0;
    for (size_t i = 0; i < n; i++) d += pow((double)x[i] - (double)y[i], 2), s += pow((double)y[i], 2);
    return sqrt(d / (s + 1e-30));
}

struct side { /* what one way of running leaves */
    float y[T * OUT], u[T * 2 * RANK], dx[T * IN], grad[THETA];
};

static void run_side(struct side *s, enum matmul_kind kind, const float *w, const float *x, const float *dy, const float *theta,
                     bool accumulate) {
    struct linear l;
    struct arena memory = {0};
    struct linear_scratch scratch = {.du = arena_take(&memory, T * 2 * RANK, sizeof(float))};
    describe(&l);
    ok(matmul_weight_init(&l.w, &memory, kind, w, OUT, IN, true));
    if (kind == MATMUL_BF16) {
        scratch.half = arena_take(&memory, T * OUT + GEMM_AMX_K, sizeof(uint16_t));
        scratch.u_half = arena_take(&memory, T * 32, sizeof(uint16_t));
        scratch.pack_a = arena_take(&memory, gemm_amx_bytes(OUT, 2 * RANK), 1);
        scratch.pack_b = arena_take(&memory, gemm_amx_bytes(OUT, 2 * RANK), 1);
    }
    for (size_t i = 0; i < T * IN; i++) s->dx[i] = x[i];
    const struct mat xm = {.f = x, .ld = IN}, dym = {.f = dy, .ld = OUT};
    memcpy(s->y, dy, sizeof s->y);
    ok(linear_forward(s->y, accumulate ? s->y : NULL, s->u, xm, &l, theta, &scratch, T));
    ok(linear_backward(s->dx, s->grad, dym, xm, s->u, &l, theta, &scratch, T, accumulate));
    arena_release(&memory);
}

static void linear_in_one_pass(void **state) {
    (void)state;
    if (!cpu_has_amx_bf16()) {
        print_message("no AMX: skipped\n");
        skip();
    }
    float *w = filled(OUT * IN, 6), *x = filled(T * IN, 7), *dy = filled(T * OUT, 8), *theta = filled(THETA, 9);
    static struct side tiles, plain;
    for (int accumulate = 0; accumulate < 2; accumulate++) {
        memset(&tiles, 0, sizeof tiles), memset(&plain, 0, sizeof plain);
        run_side(&tiles, MATMUL_BF16, w, x, dy, theta, accumulate);
        run_side(&plain, MATMUL_REFERENCE, w, x, dy, theta, accumulate);
        assert_true(distance(tiles.u, plain.u, T * 2 * RANK) < 1e-5);
        assert_true(distance(tiles.y, plain.y, T * OUT) < 3e-3); /* u and du are rounded to bf16 on their way */
        assert_true(distance(tiles.dx, plain.dx, T * IN) < 3e-3);
        assert_true(distance(tiles.grad, plain.grad, THETA) < 3e-3);
    }
    test_free(w), test_free(x), test_free(dy), test_free(theta);
}

/* The activation behind a product gives what it gives on its own. */
static void check_activation(enum glu_kind kind) {
    enum { F = 48, ROWS = 19, K = 40 };
    float *a = filled(ROWS * K, 10), *b = filled(K * 2 * F, 11), *d = filled(K * F, 12), *y = filled(ROWS * 2 * F, 0),
          *dact = filled(ROWS * F, 0);
    uint16_t *ah = halves(a, ROWS, K, K), *bp = packed(b, 2 * F, false, K, 2 * F), *dp = packed(d, F, false, K, F);
    uint16_t act[2][ROWS * F], kept[2][ROWS * 2 * F], dgate_up[2][ROWS * 2 * F], again[ROWS * F];
    struct gemm_amx g = {.m = ROWS, .n = 2 * F, .k = K, .a = ah, .lda = K, .b = bp, .c = y, .ldc = 2 * F};
    gemm_amx_run(&g);
    glu_forward_half(act[0], kept[0], y, glu_of(kind), ROWS, F);
    struct glu_blocks s = {.act = act[1], .kept = kept[1], .kind = glu_of(kind), .f = F};
    g.c = NULL, g.finish = glu_forward_blocks, g.context = &s, g.half_offset = F;
    gemm_amx_run(&g);
    assert_memory_equal(kept[0], kept[1], sizeof kept[0]);
    for (size_t i = 0; i < ROWS * F; i++)
        assert_true(fabsf(dtype_bf16_to_float(act[0][i]) - dtype_bf16_to_float(act[1][i])) <=
                    0.01f * fabsf(dtype_bf16_to_float(act[0][i])) + 1e-6f);
    g = (struct gemm_amx){.m = ROWS, .n = F, .k = K, .a = ah, .lda = K, .b = dp, .c = dact, .ldc = F};
    gemm_amx_run(&g);
    glu_expand(y, kept[0], ROWS, F);
    glu_backward_half(dgate_up[0], dact, y, glu_of(kind), ROWS, F);
    s = (struct glu_blocks){.act = again, .kept = kept[0], .dgate_up = dgate_up[1], .kind = glu_of(kind), .f = F};
    g.c = NULL, g.finish = glu_backward_blocks, g.context = &s;
    gemm_amx_run(&g);
    for (size_t i = 0; i < ROWS * 2 * F; i++)
        assert_true(fabsf(dtype_bf16_to_float(dgate_up[0][i]) - dtype_bf16_to_float(dgate_up[1][i])) <=
                    0.01f * fabsf(dtype_bf16_to_float(dgate_up[0][i])) + 1e-6f);
    for (size_t i = 0; i < ROWS * F; i++)
        assert_true(fabsf(dtype_bf16_to_float(again[i]) - dtype_bf16_to_float(act[1][i])) <=
                    0.03f * fabsf(dtype_bf16_to_float(again[i])) + 0.02f);
    test_free(a), test_free(b), test_free(d), test_free(y), test_free(dact), test_free(ah);
    free(bp), free(dp);
}

static void activation_behind(void **state) {
    (void)state;
    if (!cpu_has_amx_bf16()) {
        print_message("no AMX: skipped\n");
        skip();
    }
    for (int kind = 0; kind < GLU_KINDS; kind++) check_activation((enum glu_kind)kind);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products),
        cmocka_unit_test(packing),
        cmocka_unit_test(linear_in_one_pass),
        cmocka_unit_test(activation_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
