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
#include "kept_rows.h"
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

/* The same, not rounded to bf16 where operands are fp32. */
static float *filled_for(size_t planes, size_t n, uint64_t seed) {
    float *x = filled(n, seed);
    struct rng r = rng_seeded(seed + 100);
    for (size_t i = 0; planes > 1 && i < n; i++) x[i] = (float)rng_normal(&r) * exp2f((float)(i % 7) - 3.0f);
    return x;
}

static uint16_t *halves(const float *x, size_t rows, size_t cols, size_t ld) {
    uint16_t *h = test_calloc(rows * ld + GEMM_TILES_K, sizeof *h);
    gemm_tiles_half(h, ld, x, cols, rows, cols);
    return h;
}

static uint16_t *packed(const float *plain, size_t ld, bool transposed, size_t k, size_t n, size_t planes) {
    uint16_t *p = aligned_alloc(64, gemm_tiles_bytes(k, n, planes));
    gemm_tiles_pack(p, plain, ld, transposed, k, n, planes);
    return p;
}

/* The a operand; under GEMM_TILES_SPLIT from x or from its transpose. */
static uint16_t *operand_of(const float *x, size_t rows, size_t cols, size_t planes, bool turned) {
    if (planes == 1) return halves(x, rows, cols, cols);
    uint16_t *h = aligned_alloc(64, rows * gemm_tiles_row(cols, planes) * sizeof *h);
    float *t = test_calloc(rows * cols, sizeof *t);
    for (size_t i = 0; turned && i < rows * cols; i++) t[i % cols * rows + i / cols] = x[i];
    gemm_tiles_split(h, turned ? t : x, turned ? rows : cols, turned, rows, cols, planes);
    test_free(t);
    return h;
}

static void drop_operand(uint16_t *h, size_t planes) {
    if (planes == 1)
        test_free(h);
    else
        free(h);
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

enum how { SECOND = 1, INIT = 2, TRANSPOSED = 4, PLAIN = 8, TURNED = 16, FINISH = 32, HALVES = 64, FEW_BITS = 128, MADE = 256 };

/* Stretches of bf16, of fp16 and of fp32: tiles with one, two and three parts, and tiles of both. */
static void keep_few_bits(float *x, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (i / 5000 % 3 == 0) x[i] = dtype_bf16_to_float(dtype_float_to_bf16(x[i]));
        if (i / 5000 % 3 == 1) x[i] = dtype_half_to_float(dtype_float_to_half(x[i]));
    }
}

static void check_product(size_t m, size_t n, size_t k, size_t planes, int how) {
    const bool init = how & INIT, transposed = how & TRANSPOSED;
    const size_t k2 = how & SECOND ? 32 : 0, lda = gemm_tiles_row(k, planes), lda2 = gemm_tiles_row(32, planes);
    float *a = filled_for(planes, m * k, 1), *b = filled_for(planes, k * n, 2), *a2 = filled_for(planes, m * 32, 3),
          *b2 = filled_for(planes, 32 * n, 4), *c = filled(m * n, 5), *c0 = filled(m * n, 5);
    if (how & FEW_BITS) keep_few_bits(b, k * n);
    uint16_t *ah = operand_of(a, m, k, planes, how & TURNED), *a2h = operand_of(a2, m, 32, planes, how & TURNED),
             *bp = packed(b, transposed ? k : n, transposed, k, n, planes), *b2p = packed(b2, n, false, 32, n, planes);
    void *strips = aligned_alloc(64, gemm_tiles_plain_bytes(k));
    struct blocks kept = {c, n};
    struct gemm_tiles g = {
        .m = m, .n = n, .k = k, .planes = planes, .a = ah, .lda = lda, .c = c, .ldc = n, .init = init ? c : NULL, .ld_init = n};
    if (how & PLAIN)
        g.plain = b, g.ld_plain = transposed ? k : n, g.transposed = transposed, g.strips = strips;
    else
        g.b = bp;
    const struct kept_rows rows = {b, k};
    if (how & MADE) g.plain = NULL, g.make = kept_rows, g.source = &rows;
    if (k2) g.a2 = a2h, g.lda2 = lda2, g.k2 = 32, g.b2 = b2p;
    if (how & (FINISH | HALVES)) g.finish = keep_block, g.context = &kept, g.c = NULL, g.init = init ? c0 : NULL;
    if (how & HALVES) g.half_offset = n / 2;
    gemm_tiles_run(&g);
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++) {
            double want = init ? (double)c0[i * n + j] : 0, size = fabs(want);
            for (size_t p = 0; p < k; p++) {
                const double x = (double)a[i * k + p] * (double)(transposed ? b[j * k + p] : b[p * n + j]);
                want += x, size += fabs(x);
            }
            for (size_t p = 0; p < k2; p++) {
                const double x = (double)a2[i * 32 + p] * (double)b2[p * n + j];
                want += x, size += fabs(x);
            }
            const double least = 4e-7,
                         chain = planes == GEMM_TILES_WHOLE ? 6e-8 * (double)(k + k2 + 1) : 0; /* of fp32 multiply-adds, at worst */
            if (!(fabs(want - (double)c[i * n + j]) <= (chain > least ? chain : least) * size))
                fail_msg("%zux%zux%zu planes %zu how %d: [%zu,%zu] is %g, want %g", m, n, k, planes, how, i, j, (double)c[i * n + j], want);
        }
    test_free(a), test_free(b), test_free(a2), test_free(b2), test_free(c), test_free(c0), drop_operand(ah, planes),
        drop_operand(a2h, planes);
    free(bp), free(b2p), free(strips);
}

static void products_of(size_t planes, int more) {
    static const size_t shapes[][3] = {{1, 1, 1},     {16, 32, 32},   {33, 48, 70},   {150, 100, 33},
                                       {17, 700, 40}, {300, 64, 576}, {40, 40, 4200}, {5, 31, 64}};
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++)
        for (int how = 0; how < 8; how++) check_product(shapes[s][0], shapes[s][1], shapes[s][2], planes, how | more);
    for (int second = 0; second < 2; second++) {
        check_product(45, 96, 64, planes, second | FINISH | more);
        check_product(130, 80, 50, planes, second | FINISH | TRANSPOSED | more);
        check_product(45, 96, 64, planes, second | HALVES | TRANSPOSED | more);
        check_product(130, 1600, 576, planes, second | HALVES | TRANSPOSED | more);
        check_product(70, 64, 4200, planes, second | HALVES | TRANSPOSED | more);
    }
}

static void products(void **state) {
    (void)state;
    if (!cpu_has_tiles()) {
        print_message("no tiles: skipped\n");
        skip();
    }
    products_of(1, 0);
    products_of(1, PLAIN);
}

/* fp32 operands as they are: also what a function makes of the file's weights, and an operand that is read in place. */
static void whole_products(void **state) {
    (void)state;
    if (!cpu_has_avx512()) skip();
    products_of(GEMM_TILES_WHOLE, 0);
    products_of(GEMM_TILES_WHOLE, PLAIN);
    check_product(70, 100, 600, GEMM_TILES_WHOLE, PLAIN | TRANSPOSED | MADE);
    check_product(33, 200, 1700, GEMM_TILES_WHOLE, PLAIN | TRANSPOSED | MADE | SECOND | INIT);
}

/* fp32 operands, as sums of bf16. */
static void split_products(void **state) {
    (void)state;
    if (!cpu_has_amx_bf16()) skip();
    products_of(GEMM_TILES_SPLIT, 0);
    products_of(GEMM_TILES_SPLIT, PLAIN);
    products_of(GEMM_TILES_SPLIT, PLAIN | TURNED);
    products_of(GEMM_TILES_SPLIT, PLAIN | FEW_BITS);
    check_product(70, 100, 600, GEMM_TILES_SPLIT, PLAIN | FEW_BITS | TRANSPOSED | MADE);
    check_product(33, 200, 1700, GEMM_TILES_SPLIT, PLAIN | FEW_BITS | TRANSPOSED | MADE | SECOND | INIT);
}

/* What a tile lacks changes no bit: the same product with all parts, from a packed b, and with those that are there. */
static void parts_counted(void **state) {
    (void)state;
    if (!cpu_has_amx_bf16()) skip();
    enum { M = 50, N = 96, K = 320, TILES = K / 32 * (N / 16) };
    float *a = filled_for(3, M * K, 1), *b = filled_for(3, K * N, 2), *all = test_calloc(M * N, sizeof *all),
          *few = test_calloc(M * N, sizeof *few);
    keep_few_bits(b, K * N);
    uint16_t *ah = operand_of(a, M, K, 3, false), *bp = packed(b, N, false, K, N, 3);
    uint8_t *used = test_calloc(TILES, 1);
    uint16_t *again = aligned_alloc(64, gemm_tiles_bytes(K, N, 3));
    gemm_tiles_pack_here(again, used, b, N, false, K, N, 3);
    size_t count[4] = {0};
    for (size_t t = 0; t < TILES; t++) {
        assert_in_range(used[t], 1, 3);
        count[used[t]]++;
        for (size_t i = used[t] * 512u; i < 3 * 512; i++) assert_int_equal(again[t * 1536 + i] & 0x7fff, 0);
    }
    assert_true(count[1] && count[2] && count[3]);
    void *strips = aligned_alloc(64, gemm_tiles_plain_bytes(K));
    struct gemm_tiles g = {.m = M, .n = N, .k = K, .planes = 3, .a = ah, .lda = gemm_tiles_row(K, 3), .b = bp, .c = all, .ldc = N};
    gemm_tiles_run(&g);
    g.b = NULL, g.plain = b, g.ld_plain = N, g.strips = strips, g.c = few;
    gemm_tiles_run(&g);
    assert_memory_equal(all, few, M * N * sizeof *all);
    g.add = true;
    gemm_tiles_run(&g);
    for (size_t i = 0; i < M * N; i++) assert_true(few[i] == 2 * all[i]);
    test_free(a), test_free(b), test_free(all), test_free(few), test_free(used), free(ah), free(bp), free(again), free(strips);
}

/* Where an element of a packed [K,N] lies, by the definition of the layout. */
static void pack_one_by_one(uint16_t *out, const float *plain, size_t ld, bool transposed, size_t k, size_t n, size_t planes) {
    const size_t steps = (k + 31) / 32;
    memset(out, 0, gemm_tiles_bytes(k, n, planes));
    for (size_t j = 0; j < n; j++)
        for (size_t i = 0; i < k && planes == GEMM_TILES_WHOLE; i++)
            ((float *)(void *)out)[(j / 16 * steps + i / 32) * 512 + i % 32 * 16 + j % 16] =
                transposed ? plain[j * ld + i] : plain[i * ld + j];
    for (size_t j = 0; j < n && planes != GEMM_TILES_WHOLE; j++)
        for (size_t i = 0; i < k; i++) {
            uint16_t *at = out + (j / 16 * steps + i / 32) * planes * 512 + i % 32 / 2 * 32 + j % 16 * 2 + i % 2;
            float x = transposed ? plain[j * ld + i] : plain[i * ld + j];
            for (size_t p = 0; p < planes; p++) {
                uint32_t bits;
                memcpy(&bits, &x, sizeof bits);
                at[p * 512] = planes > 1 ? (uint16_t)((p ? bits : bits + 0x8000u) >> 16) : dtype_float_to_bf16(x);
                x -= dtype_bf16_to_float(at[p * 512]);
            }
            if (planes > 1) assert_true(x == 0); /* nothing of an fp32 is left */
        }
}

/* A whole matrix is packed as its elements are one by one, and rows that a function makes as rows that are there. */
static void packing(void **state) {
    (void)state;
    if (!cpu_has_avx512()) skip();
    static const size_t shapes[][2] = {{1, 1}, {16, 16}, {17, 15}, {31, 33}, {32, 64}, {100, 70}, {257, 129}};
    for (size_t i = 0; i < 6 * sizeof shapes / sizeof shapes[0]; i++) {
        const bool transposed = i & 1;
        const size_t k = shapes[i / 6][0], n = shapes[i / 6][1], rows = transposed ? n : k, width = transposed ? k : n,
                     planes = 1 + i / 2 % 3, bytes = gemm_tiles_bytes(k, n, planes);
        if (planes != GEMM_TILES_WHOLE && !cpu_has_tiles()) continue;
        struct rng r = rng_seeded(i);
        float *x = test_calloc(k * n, sizeof *x), *strips = test_calloc(1, gemm_tiles_strip_bytes(width));
        for (size_t j = 0; j < k * n; j++) x[j] = (float)rng_normal(&r);
        uint16_t *want = aligned_alloc(64, bytes), *got = packed(x, width, transposed, k, n, planes), *made = aligned_alloc(64, bytes);
        memset(made, 255, bytes);
        pack_one_by_one(want, x, width, transposed, k, n, planes);
        gemm_tiles_pack_made(made, kept_rows, &(struct kept_rows){x, width}, 0, rows, width, transposed, planes, strips);
        assert_memory_equal(got, want, bytes);
        assert_memory_equal(made, want, bytes);
        free(want), free(got), free(made);
        test_free(x), test_free(strips);
    }
}

/* One linear of gate | up or q | k | v; the two ways to run it. */
#define T 77
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
        l->part[i] = (struct linear_part){
            .row = row, .rows = part_rows[i], .adapted = i != 1, .rank = RANK, .scale = 1.5f, .u_col = l->u_width, .b_offset = b};
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
    if (kind != MATMUL_REFERENCE) {
        scratch.half = arena_take(&memory, T * gemm_tiles_row(OUT, GEMM_TILES_SPLIT) + GEMM_TILES_K, sizeof(uint16_t));
        scratch.u_half = arena_take(&memory, T * gemm_tiles_row(32, GEMM_TILES_SPLIT), sizeof(uint16_t));
        scratch.pack_a = arena_take(&memory, gemm_tiles_bytes(OUT, 2 * RANK, GEMM_TILES_SPLIT), 1);
        scratch.pack_b = arena_take(&memory, gemm_tiles_bytes(OUT, 2 * RANK, GEMM_TILES_SPLIT), 1);
        scratch.up = arena_take(&memory, OUT * 2 * RANK, sizeof(float));
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
    if (!cpu_has_avx512()) skip();
    static struct side tiles, plain;
    for (int how = 0; how < 4; how++) {
        const bool accumulate = how & 1, half = how & 2;
        if (half && !cpu_has_tiles()) continue;
        const size_t planes = half ? 1 : GEMM_TILES_SPLIT;
        const double u_most = half ? 1e-5 : 1e-6, most = half ? 3e-3 : 1e-6; /* u and du are rounded to bf16 on their way */
        float *w = filled_for(planes, OUT * IN, 6), *x = filled_for(planes, T * IN, 7), *dy = filled_for(planes, T * OUT, 8),
              *theta = filled_for(planes, THETA, 9);
        memset(&tiles, 0, sizeof tiles), memset(&plain, 0, sizeof plain);
        run_side(&tiles, half ? MATMUL_BF16 : MATMUL_F32, w, x, dy, theta, accumulate);
        run_side(&plain, MATMUL_REFERENCE, w, x, dy, theta, accumulate);
        assert_true(distance(tiles.u, plain.u, T * 2 * RANK) < u_most);
        assert_true(distance(tiles.y, plain.y, T * OUT) < most);
        assert_true(distance(tiles.dx, plain.dx, T * IN) < most);
        assert_true(distance(tiles.grad, plain.grad, THETA) < most);
        test_free(w), test_free(x), test_free(dy), test_free(theta);
    }
}

/* The activation behind a product gives what it gives on its own. */
static void check_activation(enum glu_kind kind) {
    enum { F = 48, ROWS = 19, K = 40 };
    float *a = filled(ROWS * K, 10), *b = filled(K * 2 * F, 11), *d = filled(K * F, 12), *y = filled(ROWS * 2 * F, 0),
          *dact = filled(ROWS * F, 0);
    uint16_t *ah = halves(a, ROWS, K, K), *bp = packed(b, 2 * F, false, K, 2 * F, 1), *dp = packed(d, F, false, K, F, 1);
    uint16_t act[2][ROWS * F], kept[2][ROWS * 2 * F], dgate_up[2][ROWS * 2 * F], again[ROWS * F];
    struct gemm_tiles g = {.m = ROWS, .n = 2 * F, .k = K, .a = ah, .lda = K, .b = bp, .c = y, .ldc = 2 * F};
    gemm_tiles_run(&g);
    glu_forward_half(act[0], kept[0], y, glu_of(kind), ROWS, F);
    struct glu_blocks s = {.act = act[1], .kept = kept[1], .kind = glu_of(kind), .f = F};
    g.c = NULL, g.finish = glu_forward_blocks, g.context = &s, g.half_offset = F;
    gemm_tiles_run(&g);
    assert_memory_equal(kept[0], kept[1], sizeof kept[0]);
    for (size_t i = 0; i < ROWS * F; i++)
        assert_true(fabsf(dtype_bf16_to_float(act[0][i]) - dtype_bf16_to_float(act[1][i])) <=
                    0.01f * fabsf(dtype_bf16_to_float(act[0][i])) + 1e-6f);
    g = (struct gemm_tiles){.m = ROWS, .n = F, .k = K, .a = ah, .lda = K, .b = dp, .c = dact, .ldc = F};
    gemm_tiles_run(&g);
    glu_expand(y, kept[0], ROWS, F);
    glu_backward_half(dgate_up[0], dact, y, glu_of(kind), ROWS, F);
    s = (struct glu_blocks){.act = again, .kept = kept[0], .dgate_up = dgate_up[1], .kind = glu_of(kind), .f = F};
    g.c = NULL, g.finish = glu_backward_blocks, g.context = &s;
    gemm_tiles_run(&g);
    for (size_t i = 0; i < ROWS * 2 * F; i++)
        assert_true(fabsf(dtype_bf16_to_float(dgate_up[0][i]) - dtype_bf16_to_float(dgate_up[1][i])) <=
                    0.01f * fabsf(dtype_bf16_to_float(dgate_up[0][i])) + 1e-6f);
    for (size_t i = 0; i < ROWS * F; i++)
        assert_true(fabsf(dtype_bf16_to_float(again[i]) - dtype_bf16_to_float(act[1][i])) <=
                    0.03f * fabsf(dtype_bf16_to_float(again[i])) + 0.02f);
    test_free(a), test_free(b), test_free(d), test_free(y), test_free(dact), test_free(ah);
    free(bp), free(dp);
}

/* The same in fp32, where the two ways differ by the order of a few operations. */
static void near_floats(const float *x, const float *want, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!(fabsf(x[i] - want[i]) <= 2e-6f * fabsf(want[i]) + 1e-6f)) fail_msg("[%zu] is %g, want %g", i, (double)x[i], (double)want[i]);
}

static void check_activation_floats(enum glu_kind kind, size_t F) {
    enum { ROWS = 37, K = 64 };
    float *a = filled_for(2, ROWS * K, 10), *b = filled_for(2, K * 2 * F, 11), *d = filled_for(2, K * F, 12), *y = filled(ROWS * 2 * F, 0),
          *dact = filled(ROWS * F, 0), *act = filled(ROWS * F, 0), *kept = filled(ROWS * 2 * F, 0), *act2 = filled(ROWS * F, 0);
    for (size_t i = 0; i < ROWS * K; i++) a[i] /= 64; /* gates of a few units */
    uint16_t *bp = packed(b, 2 * F, false, K, 2 * F, GEMM_TILES_WHOLE), *dp = packed(d, F, false, K, F, GEMM_TILES_WHOLE);
    struct glu_floats s = {act, kept, glu_of(kind), F};
    struct gemm_tiles g = {.m = ROWS, .n = 2 * F, .k = K, .b = bp, .c = y, .ldc = 2 * F};
    g.planes = GEMM_TILES_WHOLE, g.a = (const uint16_t *)(const void *)a, g.lda = 2 * K;
    gemm_tiles_run(&g);
    glu_forward(act2, y, glu_of(kind), ROWS, F);
    g.c = NULL, g.finish = glu_forward_floats, g.look = glu_forward_floats_look, g.context = &s, g.half_offset = F;
    gemm_tiles_run(&g);
    assert_memory_equal(kept, y, ROWS * 2 * F * sizeof *y);
    near_floats(act, act2, ROWS * F);
    memset(act, 0, ROWS * F * sizeof *act);
    g.n = F, g.b = dp, g.c = dact, g.ldc = F, g.finish = NULL, g.look = NULL, g.half_offset = 0;
    gemm_tiles_run(&g);
    glu_backward(y, dact, y, glu_of(kind), ROWS, F);
    g.c = NULL, g.finish = glu_backward_floats, g.look = glu_backward_floats_look;
    gemm_tiles_run(&g);
    near_floats(act, act2, ROWS * F);
    near_floats(kept, y, ROWS * 2 * F);
    test_free(a), test_free(b), test_free(d), test_free(y), test_free(dact), test_free(act), test_free(kept), test_free(act2);
    free(bp), free(dp);
}

static void activation_of_floats(void **state) {
    (void)state;
    if (!cpu_has_avx512()) skip();
    for (int kind = 0; kind < GLU_KINDS; kind++)
        check_activation_floats((enum glu_kind)kind, 48), check_activation_floats((enum glu_kind)kind, 128);
}

/* Gates far from 0, where e^-x leaves the range of floats, and NaN. */
static void activation_of_extremes(void **state) {
    (void)state;
    if (!cpu_has_tiles()) {
        print_message("no tiles: skipped\n");
        skip();
    }
    static const float gates[16] = {0, -0.0f, 1e-30f, -1e-30f, 1, -1, 20, -20, 88, -88, 300, -300, 1e30f, -1e30f, NAN, 3};
    enum { F = 16 };
    float block[32] = {0}, both[2 * F];
    uint16_t act[2][F], kept[2][2 * F];
    for (int kind = 0; kind < GLU_KINDS; kind++) {
        for (size_t j = 0; j < F; j++) block[j] = both[j] = gates[j], block[F + j] = both[F + j] = 0.5f;
        struct glu_blocks s = {.act = act[0], .kept = kept[0], .kind = glu_of(kind), .f = F};
        glu_forward_blocks(&s, block, 0, 1, 0, F);
        glu_forward_half(act[1], kept[1], both, glu_of(kind), 1, F);
        assert_memory_equal(kept[0], kept[1], sizeof kept[0]);
        for (size_t j = 0; j < F; j++) {
            const float x = dtype_bf16_to_float(act[0][j]), y = dtype_bf16_to_float(act[1][j]);
            assert_true(isnan(gates[j]) ? isnan(x) : fabsf(x - y) <= 0.01f * fabsf(y) + 1e-6f);
        }
    }
}

static void activation_behind(void **state) {
    (void)state;
    if (!cpu_has_tiles()) {
        print_message("no tiles: skipped\n");
        skip();
    }
    for (int kind = 0; kind < GLU_KINDS; kind++) check_activation((enum glu_kind)kind);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products),          cmocka_unit_test(split_products),       cmocka_unit_test(whole_products),
        cmocka_unit_test(packing),           cmocka_unit_test(parts_counted),        cmocka_unit_test(linear_in_one_pass),
        cmocka_unit_test(activation_behind), cmocka_unit_test(activation_of_floats), cmocka_unit_test(activation_of_extremes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
