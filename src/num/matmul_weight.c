/* matmul_weight: weights of y = x W^T, packed for their kind, or left as their file has them and expanded when a product wants them. */
#include <stdlib.h>
#include <string.h>

#include "num/cpu.h"
#include "num/dtype.h"
#include "num/gemm_tiles.h"
#include "num/matmul_operand.h"
#include "num/qdot.h"

/* Rows that are expanded for a product come in panels of this size, so that most of them are still in the cache when it reads them. */
#define PANEL_BYTES ((size_t)4 << 20)

/* The same as floats, where a product on tiles reads columns of them: in the third-level cache. */
#define SPLIT_BYTES ((size_t)8 << 20)

static struct operand_scratch stage, panel, strips; /* a whole weight in tiles; a panel of one; a strip of rows for each thread */

static status grow_bytes(struct operand_scratch *scratch, size_t bytes) { return matmul_grow_operand(scratch, bytes, 1, 1); }

bool matmul_packs_tiles(enum matmul_kind kind) { return kind == MATMUL_BF16 && cpu_has_tiles(); }

size_t matmul_weight_bytes(enum matmul_kind kind, size_t n, size_t k, bool with_backward) {
    if (kind != MATMUL_BF16) return 0;
    return matmul_packs_tiles(kind) ? gemm_tiles_bytes(k, n, 1) * (with_backward ? 2 : 1) : n * k * sizeof(uint16_t);
}

/* --- fp32 on tiles: every product packs the weight anew --- */

/* Rows of a panel; a multiple of 64, and about as many in each panel. */
static size_t split_rows(const struct matmul_weight *w) {
    const size_t fit = SPLIT_BYTES / sizeof(float) / w->k / 64 * 64, most = fit < 64 ? 64 : fit, panels = (w->n + most - 1) / most;
    return ((w->n + panels - 1) / panels + 63) / 64 * 64;
}

bool matmul_split_finishes(enum matmul_kind kind, size_t n, size_t k) {
    return matmul_may_split(kind) && gemm_tiles_fp32() == GEMM_TILES_WHOLE && split_rows(&(struct matmul_weight){.n = n, .k = k}) >= n;
}

static status grow_split(const struct matmul_weight *w) {
    return grow_bytes(&matmul_strips, gemm_tiles_plain_bytes(w->n > w->k ? w->n : w->k));
}

/* x W^T: rows of W are columns of the result, and each thread makes those it packs. */
static void run_split_forward(const struct gemm_tiles *g, const struct matmul_weight *w) {
    struct gemm_tiles whole = *g;
    whole.planes = gemm_tiles_fp32(), whole.strips = matmul_strips.data, whole.transposed = true;
    whole.plain = w->plain, whole.ld_plain = w->k, whole.make = w->make, whole.source = w->source, whole.first = w->first;
    gemm_tiles_run(&whole);
}

/* Rows [from, from + rows) of w as floats, rounded to bf16 where products are of that kind. */
static status plain_panel(const float **out, size_t *ld, const struct matmul_weight *w, size_t from, size_t rows) {
    *ld = w->k;
    if (!w->make)
        return matmul_as_rounded(out, ld, &matmul_scratch_b, (struct mat){.h = (const uint16_t *)w->forward + from * w->k, .ld = w->k},
                                 rows, w->k);
    TRY(matmul_grow_operand(&matmul_scratch_b, rows, w->k, sizeof(float)));
    float *to = matmul_scratch_b.data;
#pragma omp parallel for schedule(static)
    for (size_t r = 0; r < rows; r++) {
        w->make(to + r * w->k, w->source, w->first + from + r, 1);
        for (size_t i = 0; w->kind == MATMUL_BF16 && i < w->k; i++)
            to[r * w->k + i] = dtype_bf16_to_float(dtype_float_to_bf16(to[r * w->k + i]));
    }
    *out = to;
    return ST_OK;
}

/* dy W: a panel's rows are terms of the sums. `dy`: g's a operand where that is not split yet; then it is, so much of it as a panel needs.
 */
static void run_split_backward(const struct gemm_tiles *g, struct mat dy, const struct matmul_weight *w) {
    const size_t most = w->make || dy.f ? split_rows(w) : w->n;
    CHECK(!g->finish || most >= w->n);
    for (size_t from = 0; from < w->n; from += most) {
        const size_t rows = w->n - from < most ? w->n - from : most;
        struct gemm_tiles part = *g;
        part.planes = gemm_tiles_fp32(), part.strips = matmul_strips.data, part.k = rows, part.add = g->add || from,
        part.transposed = false;
        if (w->make && part.planes == GEMM_TILES_WHOLE)
            gemm_tiles_pack_made(panel.data, w->make, w->source, w->first + from, rows, w->k, false, part.planes, strips.data),
                part.b = panel.data;
        else if (w->make)
            CHECK(plain_panel(&part.plain, &part.ld_plain, w, from, rows) == ST_OK); /* into memory that init took */
        else
            part.plain = w->plain + from * w->k, part.ld_plain = w->k;
        if (dy.f)
            gemm_tiles_operand(&part, matmul_split_a.data, dy.f + from, dy.ld, rows);
        else
            part.a += from * part.planes;
        if (from + rows < w->n) part.a2 = NULL;
        gemm_tiles_run(&part);
    }
}

static status split_product(float *out, size_t ldo, const float *init, size_t ld_init, struct mat x, const struct matmul_weight *w,
                            bool backward, size_t m) {
    struct gemm_tiles g = {.m = m,
                           .n = backward ? w->k : w->n,
                           .k = backward ? w->n : w->k,
                           .init = init,
                           .ld_init = ld_init,
                           .add = backward && init == out,
                           .c = out,
                           .ldc = ldo};
    if (gemm_tiles_operand_row(g.k))
        TRY(matmul_grow_operand(&matmul_split_a, m, gemm_tiles_row(backward ? split_rows(w) : w->k, gemm_tiles_fp32()), sizeof(uint16_t)));
    if (backward) {
        run_split_backward(&g, x, w);
        return ST_OK;
    }
    gemm_tiles_operand(&g, matmul_split_a.data, x.f, x.ld, w->k);
    run_split_forward(&g, w);
    return ST_OK;
}

status matmul_weight_init(struct matmul_weight *w, struct arena *memory, enum matmul_kind kind, const float *plain, size_t n, size_t k,
                          bool with_backward) {
    *w = (struct matmul_weight){
        .kind = kind, .n = n, .k = k, .plain = plain, .tiles = matmul_packs_tiles(kind), .split = matmul_may_split(kind)};
    if (w->split) return grow_split(w);
    if (kind != MATMUL_BF16) return ST_OK;
    w->plain = NULL;
    if (w->tiles) {
        TRY(arena_try_take(memory, &w->forward, gemm_tiles_bytes(k, n, 1), 1, "packed weight"));
        if (with_backward) TRY(arena_try_take(memory, &w->backward, gemm_tiles_bytes(n, k, 1), 1, "packed weight"));
        return matmul_weight_update(w, plain);
    }
    size_t count;
    if (!size_mul(&count, n, k)) return FAIL(ST_NOMEM, "matrix product: weight size overflows");
    TRY(arena_try_take(memory, &w->forward, count, sizeof(uint16_t), "bf16 weight"));
    return matmul_weight_update(w, plain);
}

status matmul_weight_update(struct matmul_weight *w, const float *plain) {
    if (w->kind != MATMUL_BF16 || w->plain) return ST_OK;
    if (w->tiles) {
        gemm_tiles_pack(w->forward, plain, w->k, true, w->k, w->n, 1);
        if (w->backward) gemm_tiles_pack(w->backward, plain, w->k, false, w->n, w->k, 1);
        return ST_OK;
    }
    matmul_to_bf16(w->forward, w->k, plain, w->k, w->n, w->k);
    return ST_OK;
}

/* Rows of a panel of w: all, or a multiple of 64. */
static size_t panel_rows(const struct matmul_weight *w) {
    const size_t fit = PANEL_BYTES / (w->tiles ? sizeof(uint16_t) : sizeof(float)) / w->k, rows = fit < 64 ? 64 : fit / 64 * 64;
    return rows < w->n ? rows : w->n;
}

size_t matmul_live_bytes(size_t n, size_t k, bool whole) {
    return gemm_tiles_bytes(k, whole ? n : panel_rows(&(struct matmul_weight){.tiles = true, .n = n, .k = k}), 1);
}

size_t matmul_stored_bytes(enum matmul_kind kind, size_t n, size_t k, bool whole) {
    const struct matmul_weight w = {.kind = kind, .tiles = matmul_packs_tiles(kind), .n = n, .k = k};
    if (!w.tiles)
        return panel_rows(&w) * k * sizeof(float) +
               (matmul_may_split(kind) ? gemm_tiles_plain_bytes(n > k ? n : k) + gemm_tiles_strip_bytes(k) : 0);
    return matmul_live_bytes(n, k, whole) + gemm_tiles_strip_bytes(k);
}

status matmul_weight_init_stored(struct matmul_weight *w, enum matmul_kind kind, matmul_rows *make, const void *source, size_t n, size_t k,
                                 bool whole) {
    *w = (struct matmul_weight){
        .kind = kind, .n = n, .k = k, .make = make, .source = source, .tiles = matmul_packs_tiles(kind), .split = matmul_may_split(kind)};
    if (w->split) TRY(grow_split(w));
    if (w->split && gemm_tiles_fp32() == GEMM_TILES_WHOLE) {
        TRY(grow_bytes(&strips, gemm_tiles_strip_bytes(k)));
        return grow_bytes(&panel, gemm_tiles_bytes(k, split_rows(w) < n ? split_rows(w) : n, GEMM_TILES_WHOLE));
    }
    if (!w->tiles) return matmul_grow_operand(&matmul_scratch_b, panel_rows(w), k, sizeof(float));
    TRY(grow_bytes(&strips, gemm_tiles_strip_bytes(k)));
    return grow_bytes(whole ? &stage : &panel, matmul_live_bytes(n, k, whole));
}

status matmul_weight_init_live(struct matmul_weight *w, enum matmul_kind kind, const float *plain, size_t n, size_t k, bool whole) {
    CHECK(matmul_packs_tiles(kind));
    *w = (struct matmul_weight){.kind = kind, .n = n, .k = k, .plain = plain, .tiles = true};
    return grow_bytes(whole ? &stage : &panel, matmul_live_bytes(n, k, whole));
}

void matmul_weight_init_int8(struct matmul_weight *w, const struct qdot *parts, size_t count, size_t n, size_t k) {
    *w = (struct matmul_weight){.kind = MATMUL_F32, .n = n, .k = k, .int8 = parts, .int8_count = count};
}

static status int8_product(float *y, size_t ldy, const float *init, size_t ld_init, struct mat x, const struct matmul_weight *w, size_t m) {
    struct qdot_input in;
    CHECK(x.f);
    TRY(grow_bytes(&matmul_scratch_a, qdot_input_bytes(m, w->k)));
    qdot_round(&in, matmul_scratch_a.data, x.f, x.ld, m, w->k);
    qdot_product(y, ldy, init, ld_init, &in, w->int8, w->int8_count);
    return ST_OK;
}

struct matmul_weight matmul_weight_rows(const struct matmul_weight *w, size_t from, size_t rows) {
    struct matmul_weight v = *w;
    if (rows == w->n) return v;
    CHECK(!w->int8 && from % 64 == 0 && from + rows <= w->n);
    const size_t tile = 16 * GEMM_TILES_K, deep = size_round_up(w->k, 32) / 32;
    v.n = rows, v.first = w->first + from;
    if (w->plain) v.plain = w->plain + from * w->k;
    if (w->tiles && w->forward) v.forward = (uint16_t *)w->forward + from / 16 * deep * tile;
    if (w->tiles && w->backward)
        v.backward = (uint16_t *)w->backward + from / 32 * tile, v.steps = w->steps ? w->steps : size_round_up(w->n, 32) / 32;
    if (!w->tiles && w->forward) v.forward = (uint16_t *)w->forward + from * w->k;
    return v;
}

/* Rows [from, from + rows) of a weight that is not packed, in tiles: as columns of the operand, or as its rows. */
static void pack_rows(uint16_t *out, const struct matmul_weight *w, size_t from, size_t rows, bool columns) {
    if (w->make)
        gemm_tiles_pack_made(out, w->make, w->source, w->first + from, rows, w->k, columns, 1, strips.data);
    else
        gemm_tiles_pack(out, w->plain + from * w->k, w->k, columns, columns ? w->k : rows, columns ? rows : w->k, 1);
}

static bool is_packed(const struct matmul_weight *w) { return !w->make && !w->plain; }

void gemm_tiles_run_weight(struct gemm_tiles *g, const struct matmul_weight *w, bool backward) {
    if (w->split) {
        if (backward)
            run_split_backward(g, (struct mat){0}, w);
        else
            run_split_forward(g, w);
        return;
    }
    if (is_packed(w)) {
        g->b = backward ? w->backward : w->forward;
        g->b_steps = backward ? w->steps : 0;
    } else {
        CHECK(stage.bytes >= gemm_tiles_bytes(w->k, w->n, 1));
        pack_rows(stage.data, w, 0, w->n, !backward);
        g->b = stage.data;
    }
    gemm_tiles_run(g);
}

/* out[m,n] = init + a[m,k] b, with b as gemm_tiles packed it; steps, add: b_steps and add there. */
static status tiled_product(float *out, size_t ldo, const float *init, size_t ld_init, struct mat a, const void *b, size_t steps, bool add,
                            size_t m, size_t n, size_t k) {
    const uint16_t *ah = NULL;
    size_t lda = 0;
    TRY(matmul_as_half(&ah, &lda, &matmul_scratch_a, a, m, k));
    gemm_tiles_run(&(struct gemm_tiles){.m = m,
                                        .n = n,
                                        .k = k,
                                        .a = ah,
                                        .lda = lda,
                                        .b = b,
                                        .b_steps = steps,
                                        .init = init,
                                        .ld_init = ld_init,
                                        .add = add,
                                        .c = out,
                                        .ldc = ldo});
    return ST_OK;
}

/* The same with rows that are made and packed panel by panel: columns of the result going forward, terms of its sums going backward. */
static status tiled_panels(float *out, size_t ldo, const float *init, size_t ld_init, struct mat a, const struct matmul_weight *w,
                           bool forward, size_t m) {
    const size_t most = panel_rows(w);
    const uint16_t *ah = NULL;
    size_t lda = 0;
    TRY(matmul_as_half(&ah, &lda, &matmul_scratch_a, a, m, forward ? w->k : w->n));
    TRY(grow_bytes(&panel, matmul_live_bytes(w->n, w->k, false)));
    for (size_t from = 0; from < w->n; from += most) {
        const size_t rows = w->n - from < most ? w->n - from : most;
        pack_rows(panel.data, w, from, rows, forward);
        struct gemm_tiles g = {.m = m,
                               .n = w->k,
                               .k = rows,
                               .a = ah + from,
                               .lda = lda,
                               .b = panel.data,
                               .init = init,
                               .ld_init = ld_init,
                               .add = !forward && (from || init == out),
                               .c = out,
                               .ldc = ldo};
        if (forward) g.n = rows, g.k = w->k, g.a = ah, g.init = init ? init + from : NULL, g.c = out + from;
        gemm_tiles_run(&g);
    }
    return ST_OK;
}

/* Without tiles. */
static status plain_panels(float *out, size_t ldo, bool accumulate, struct mat in, const struct matmul_weight *w, bool forward, size_t m) {
    const enum matmul_kind kind = w->kind == MATMUL_BF16 ? MATMUL_F32 : w->kind;
    const float *a = in.f, *b = NULL;
    const size_t most = panel_rows(w);
    size_t lda = in.ld, ldb = 0;
    if (w->kind == MATMUL_BF16) TRY(matmul_as_rounded(&a, &lda, &matmul_scratch_a, in, m, forward ? w->k : w->n));
    for (size_t from = 0; from < w->n; from += most) {
        const size_t rows = w->n - from < most ? w->n - from : most;
        TRY(plain_panel(&b, &ldb, w, from, rows));
        const struct mat right = {.f = b, .ld = ldb};
        if (forward)
            TRY(matmul(out + from, ldo, kind, (struct mat){.f = a, .ld = lda}, false, right, true, m, rows, w->k, accumulate));
        else
            TRY(matmul(out, ldo, kind, (struct mat){.f = a + from, .ld = lda}, false, right, false, m, w->k, rows, accumulate || from));
    }
    return ST_OK;
}

static void copy_rows(float *out, size_t ldo, const float *in, size_t ldi, size_t rows, size_t cols) {
#pragma omp parallel for schedule(static) if (rows * cols > 16384)
    for (size_t r = 0; r < rows; r++) memcpy(out + r * ldo, in + r * ldi, cols * sizeof(float));
}

status matmul_weight_forward(float *y, size_t ldy, const float *init, size_t ld_init, struct mat x, const struct matmul_weight *w,
                             size_t m) {
    if (!m) return ST_OK;
    if (w->int8) return int8_product(y, ldy, init, ld_init, x, w, m);
    if (w->tiles && !is_packed(w)) return tiled_panels(y, ldy, init, ld_init, x, w, true, m);
    if (w->tiles) return tiled_product(y, ldy, init, ld_init, x, w->forward, 0, false, m, w->n, w->k);
    if (w->split && matmul_splits(w->kind, m, w->n, w->k)) return split_product(y, ldy, init, ld_init, x, w, false, m);
    if (init && init != y) copy_rows(y, ldy, init, ld_init, m, w->n);
    if (w->make || w->kind == MATMUL_BF16) return plain_panels(y, ldy, init != NULL, x, w, true, m);
    return matmul(y, ldy, w->kind, x, false, (struct mat){.f = w->plain, .ld = w->k}, true, m, w->n, w->k, init != NULL);
}

status matmul_weight_backward(float *dx, size_t lddx, const float *init, size_t ld_init, struct mat dy, const struct matmul_weight *w,
                              size_t m) {
    if (!m) return ST_OK;
    CHECK(!w->int8);
    if (w->tiles && !is_packed(w)) return tiled_panels(dx, lddx, init, ld_init, dy, w, false, m);
    if (w->tiles) return tiled_product(dx, lddx, init, ld_init, dy, w->backward, w->steps, init == dx, m, w->k, w->n);
    if (w->split && matmul_splits(w->kind, m, w->k, w->n)) return split_product(dx, lddx, init, ld_init, dy, w, true, m);
    if (init && init != dx) copy_rows(dx, lddx, init, ld_init, m, w->k);
    if (w->make || w->kind == MATMUL_BF16) return plain_panels(dx, lddx, init != NULL, dy, w, false, m);
    return matmul(dx, lddx, w->kind, dy, false, (struct mat){.f = w->plain, .ld = w->k}, false, m, w->k, w->n, init != NULL);
}

void matmul_weight_shutdown(void) {
    struct operand_scratch *const all[] = {&stage, &panel, &strips};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        free(all[i]->data);
        *all[i] = (struct operand_scratch){0};
    }
}
