/* gemm_amx: blocks of 32 x 32 outputs in four tiles; a strip of b stays in the second-level cache while rows of a pass by. */
#include "num/gemm_amx.h"

#include <omp.h>
#include <string.h>

#include "num/amx.h"

#define TILE_ELEMENTS 512               /* bf16 elements of a tile */
#define STRIP_BYTES ((size_t)768 << 10) /* of packed b that a task works on */
#define TASK_ROWS 128
#define K_BLOCK 4096 /* longer sums go through c in between */

static size_t round_up(size_t x, size_t unit) { return (x + unit - 1) / unit * unit; }

static void steps_one_row(const uint16_t *a, size_t lda, const uint16_t *b0, const uint16_t *b1, size_t steps) {
    const size_t stride = lda * sizeof *a;
    for (size_t s = 0; s < steps; s++) {
        _tile_loadd(4, a + s * 32, stride);
        _tile_loadd(6, b0 + s * TILE_ELEMENTS, 64);
        _tile_dpbf16ps(0, 4, 6);
        _tile_loadd(7, b1 + s * TILE_ELEMENTS, 64);
        _tile_dpbf16ps(1, 4, 7);
    }
}

static void product_steps(const struct gemm_amx *g, size_t i, size_t rows, size_t j, size_t second, size_t from, size_t steps, bool last) {
    const size_t all = round_up(g->k, 32) / 32, extra = g->k2 / 32;
    const uint16_t *a = g->a + i * g->lda + from * 32, *b0 = g->b + (j / 16 * all + from) * TILE_ELEMENTS,
                   *b1 = g->b + (second / 16 * all + from) * TILE_ELEMENTS;
    if (rows > 16)
        amx_steps(a, g->lda, b0, b1, steps);
    else
        steps_one_row(a, g->lda, b0, b1, steps);
    if (!last || !g->a2) return;
    const uint16_t *a2 = g->a2 + i * g->lda2, *c0 = g->b2 + j / 16 * extra * TILE_ELEMENTS,
                   *c1 = g->b2 + second / 16 * extra * TILE_ELEMENTS;
    if (rows > 16)
        amx_steps(a2, g->lda2, c0, c1, extra);
    else
        steps_one_row(a2, g->lda2, c0, c1, extra);
}

/* Columns [j, n) at the right edge, fewer than a block: through a buffer that is as wide as the tiles. */
static void edge_block(const struct gemm_amx *g, const float *init, size_t ld_init, size_t i, size_t rows, size_t j, size_t from,
                       size_t steps, bool last) {
    _Alignas(64) float block[GEMM_AMX_BLOCK * GEMM_AMX_BLOCK] = {0};
    const size_t cols = g->n - j;
    for (size_t r = 0; init && r < rows; r++) memcpy(block + r * 32, init + r * ld_init + j, cols * sizeof(float));
    amx_sums_load(block, 32, rows, 16);
    product_steps(g, i, rows, j, j + 16, from, steps, last);
    amx_sums_store(block, 32, rows, 16);
    for (size_t r = 0; r < rows; r++) memcpy(g->c + (i + r) * g->ldc + j, block + r * 32, cols * sizeof(float));
}

static void one_block(const struct gemm_amx *g, size_t i, size_t rows, size_t j, size_t from, size_t steps, bool last) {
    const float *init = from ? g->c : g->init;
    const size_t ld_init = from ? g->ldc : g->ld_init, second = g->half_offset ? j + g->half_offset : j + 16;
    if (init) init += i * ld_init;
    if (!g->half_offset && g->n - j < 32 && !g->finish) {
        edge_block(g, init, ld_init, i, rows, j, from, steps, last);
        return;
    }
    if (init)
        amx_sums_load(init + j, ld_init, rows, second - j);
    else
        amx_sums_zero();
    product_steps(g, i, rows, j, second, from, steps, last);
    if (last && g->finish) {
        _Alignas(64) float block[GEMM_AMX_BLOCK * GEMM_AMX_BLOCK];
        amx_sums_store(block, 32, rows, 16);
        g->finish(g->context, block, i, rows, j, second);
        return;
    }
    amx_sums_store(g->c + i * g->ldc + j, g->ldc, rows, second - j);
}

/* Rows [i, to) by columns [j, j_to): b's strip is read once a row block, from the second-level cache. */
static void run_task(const struct gemm_amx *g, size_t i, size_t to, size_t j_from, size_t j_to) {
    const size_t all = round_up(g->k, 32) / 32, most = g->finish ? all : K_BLOCK / 32, width = g->half_offset ? 16 : 32;
    size_t configured = 0;
    for (size_t from = 0; from < all; from += most) {
        const size_t steps = all - from < most ? all - from : most;
        for (size_t r = i; r < to; r += 32) {
            const size_t rows = to - r < 32 ? to - r : 32;
            if (rows != configured) amx_begin(configured = rows);
            for (size_t j = j_from; j < j_to; j += width) one_block(g, r, rows, j, from, steps, from + steps == all);
        }
    }
}

void gemm_amx_run(const struct gemm_amx *g) {
    const size_t columns = g->half_offset ? g->half_offset : g->n, width = g->half_offset ? 16 : 32;
    size_t strip =
        STRIP_BYTES / (round_up(g->k < K_BLOCK ? g->k : K_BLOCK, 32) * sizeof(uint16_t) * (g->half_offset ? 2 : 1)) / width * width;
    if (strip < 2 * width) strip = 2 * width;
    const size_t row_tasks = (g->m + TASK_ROWS - 1) / TASK_ROWS, threads = (size_t)omp_get_max_threads();
    if (row_tasks < 4 * threads) { /* few rows: more tasks along the columns */
        const size_t want = (4 * threads + row_tasks - 1) / row_tasks, most = round_up((columns + want - 1) / want, width);
        if (most < strip) strip = most;
    }
    const size_t strips = (columns + strip - 1) / strip;
    CHECK(!g->a2 || g->k2 % 32 == 0);
#pragma omp parallel for schedule(dynamic, 1) if (row_tasks * strips > 1)
    for (size_t task = 0; task < row_tasks * strips; task++) {
        const size_t s = task / row_tasks, r = task % row_tasks, to = (r + 1) * TASK_ROWS, end = (s + 1) * strip;
        run_task(g, r * TASK_ROWS, to < g->m ? to : g->m, s * strip, end < columns ? end : columns);
        amx_end();
    }
}

void gemm_amx_half(uint16_t *out, size_t ldo, const float *in, size_t ldi, size_t rows, size_t cols) {
#pragma omp parallel for schedule(static) if (rows * cols > 16384)
    for (size_t r = 0; r < rows; r++)
        for (size_t j = 0; j < ldo; j += 16) {
            const __mmask16 read = (__mmask16)(j + 16 <= cols ? 0xffffu : j < cols ? (1u << (cols - j)) - 1 : 0u);
            const __mmask16 write = (__mmask16)(j + 16 <= ldo ? 0xffffu : (1u << (ldo - j)) - 1);
            const __m512 x = _mm512_maskz_loadu_ps(read, in + r * ldi + j);
            _mm256_mask_storeu_epi16(out + r * ldo + j, write, (__m256i)_mm512_cvtneps_pbh(x));
        }
}
