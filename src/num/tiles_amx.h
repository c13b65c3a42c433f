/* amx: the tile registers, for files named *_amx.c. A tile is 16 rows of 64 bytes. _tile_dpbf16ps(c, a, b) adds to c[16,16] (fp32) the
 * product of a[16,32] (bf16, row-major) and b, which holds 32 x 16 bf16 with rows 2i and 2i+1 interleaved: b[i][2j] and b[i][2j+1] are
 * elements (2i, j) and (2i+1, j). */
#ifndef RAPT_NUM_AMX_H
#define RAPT_NUM_AMX_H

#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "num/gemm_amx.h"

/* Tiles 0..3: sums, two rows of two; 4, 5: a; 6, 7: b. rows: of the 32 that the sums have; fewer make shorter tiles, so that nothing behind
 * a matrix is read or written. Per thread; whoever else uses tiles (oneDNN) sets its own, so every parallel region begins with it. */
static inline void amx_begin(size_t rows) {
    struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } config = {.palette = 1};
    for (int i = 0; i < 8; i++) config.row_bytes[i] = 64, config.rows[i] = 16;
    config.rows[0] = config.rows[1] = config.rows[4] = (uint8_t)(rows < 16 ? rows : 16);
    config.rows[2] = config.rows[3] = config.rows[5] = (uint8_t)(rows > 16 ? rows - 16 : 16);
    __asm__ volatile("" : : "m"(config)); /* gcc 12 believes that the instruction reads 8 bytes of it */
    _tile_loadconfig(&config);
}

static inline void amx_sums_zero(void) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
}

/* The sums from and to c[rows, ld]: columns 0..15 and [second, second + 16). */
static inline void amx_sums_load(const float *c, size_t ld, size_t rows, size_t second) {
    const size_t stride = ld * sizeof *c;
    _tile_loadd(0, c, stride);
    _tile_loadd(1, c + second, stride);
    if (rows <= 16) return;
    _tile_loadd(2, c + 16 * ld, stride);
    _tile_loadd(3, c + 16 * ld + second, stride);
}

static inline void amx_sums_store(float *c, size_t ld, size_t rows, size_t second) {
    const size_t stride = ld * sizeof *c;
    _tile_stored(0, c, stride);
    _tile_stored(1, c + second, stride);
    if (rows <= 16) return;
    _tile_stored(2, c + 16 * ld, stride);
    _tile_stored(3, c + 16 * ld + second, stride);
}

/* What is done beside the steps of a block, while the tiles are busy. The block before is finished, `finish_each` rows a step. And of what will be touched
 * next, a line (64 bytes) of each of `rows` rows in every stream, the first `written` of which are stored to, is brought to the first-level cache, `each`
 * rows a step: a store that misses would hold up loads of tiles. */
#define AMX_STREAMS 6
struct amx_beside {
    gemm_amx_finish *finish;
    void *context;
    const float *block;
    size_t i, j, second, left, finish_each;
    struct amx_stream {
        const char *at;
        size_t stride; /* bytes */
    } stream[AMX_STREAMS];
    size_t count, written, rows, each;
};

/* One more stream; those that are stored to come first. */
static inline void amx_look_at(struct amx_beside *p, const void *at, size_t stride, bool written) {
    p->stream[p->count++] = (struct amx_stream){at, stride};
    p->written += written;
}

static inline void amx_finish_rows(struct amx_beside *p, size_t most) {
    const size_t rows = p->left < most ? p->left : most;
    if (!rows) return;
    p->finish(p->context, p->block, p->i, rows, p->j, p->second);
    p->block += rows * 32, p->i += rows, p->left -= rows;
}

static inline void amx_beside(struct amx_beside *p) {
    if (!p) return;
    amx_finish_rows(p, p->finish_each);
    for (size_t i = 0; i < p->each && p->rows; i++, p->rows--)
        for (size_t n = 0; n < p->count; n++) {
            if (n < p->written)
                _m_prefetchw((void *)(uintptr_t)p->stream[n].at);
            else
                _mm_prefetch(p->stream[n].at, _MM_HINT_T0);
            p->stream[n].at += p->stream[n].stride;
        }
}

/* Tiles 0..3 (two rows of two) += a[32, 32 steps] times b0 and b1, each [32 steps, 16] in consecutive tiles; 4 to 7 are used up. The order of the four
 * products turns round with every step, so that each step begins with two operands that the one before was done with early: they are loaded beside its last
 * products, also where the core's other thread leaves no spare registers to load into. */
static inline void amx_steps(const uint16_t *a, size_t lda, const uint16_t *b0, const uint16_t *b1, size_t steps, struct amx_beside *beside) {
    const uint16_t *lower = a + 16 * lda;
    const size_t stride = lda * sizeof *a;
    _tile_loadd(4, a, stride);
    _tile_loadd(6, b0, 64);
    _tile_loadd(7, b1, 64);
    _tile_loadd(5, lower, stride);
    for (size_t s = 1;; s++) { /* the step whose operands are loaded */
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        if (s < steps) _tile_loadd(4, a + s * 32, stride);
        _tile_dpbf16ps(3, 5, 7);
        if (s < steps) _tile_loadd(7, b1 + s * 512, 64);
        _tile_dpbf16ps(2, 5, 6);
        amx_beside(beside);
        if (s == steps) return;
        _tile_loadd(6, b0 + s * 512, 64);
        _tile_loadd(5, lower + s * 32, stride);
        s++;
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(0, 4, 6);
        if (s < steps) _tile_loadd(4, a + s * 32, stride);
        _tile_dpbf16ps(2, 5, 6);
        if (s < steps) _tile_loadd(6, b0 + s * 512, 64);
        _tile_dpbf16ps(3, 5, 7);
        amx_beside(beside);
        if (s == steps) return;
        _tile_loadd(7, b1 + s * 512, 64);
        _tile_loadd(5, lower + s * 32, stride);
    }
}

/* One row of tiles: 0 and 1 += a[16, 32 steps] times b0 and b1. */
static inline void amx_steps_one_row(const uint16_t *a, size_t lda, const uint16_t *b0, const uint16_t *b1, size_t steps, struct amx_beside *beside) {
    const size_t stride = lda * sizeof *a;
    for (size_t s = 0; s < steps; s++) {
        _tile_loadd(4, a + s * 32, stride);
        _tile_loadd(6, b0 + s * 512, 64);
        _tile_dpbf16ps(0, 4, 6);
        _tile_loadd(7, b1 + s * 512, 64);
        _tile_dpbf16ps(1, 4, 7);
        amx_beside(beside);
    }
}

/* --- fp32 operands: each element is the sum of three bf16, high + middle + low, to the last bit of its fp32. Six of the nine products make
 * the sum; the others are below 2^-24 of it, of either sign. (Henry, Tang, Heinecke 2019, "Leveraging the bfloat16 artificial intelligence datatype for
 * higher-precision computations", section 2.) Every 32 columns of a row, and every tile, come three times: high, middle, low. --- */

#define AMX_SPLIT 3

/* A tile of a in each row, or of b in each column, is loaded just before it is used; four sums lie between two uses of one. */
static inline void amx_next_a(const uint16_t *a, const uint16_t *lower, size_t stride) {
    _tile_loadd(4, a, stride);
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_loadd(5, lower, stride);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
}

static inline void amx_next_b(const uint16_t *b0, const uint16_t *b1) {
    _tile_loadd(6, b0, 64);
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(2, 5, 6);
    _tile_loadd(7, b1, 64);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(3, 5, 7);
}

static inline void amx_load_b(const uint16_t *b0, const uint16_t *b1) {
    _tile_loadd(6, b0, 64);
    _tile_loadd(7, b1, 64);
}

/* The parts of b's columns that are there: `used` counts them for each tile (1: high alone, .. 3), NULL where all three are. What a tile lacks is
 * not multiplied, which changes no bit of the sums. */
static inline size_t amx_parts(const uint8_t *used0, const uint8_t *used1, size_t s) {
    if (!used0) return AMX_SPLIT;
    return used0[s] > used1[s] ? used0[s] : used1[s];
}

/* amx_steps for such operands; small products first, so that they round less. */
static inline void amx_steps_split(const uint16_t *a, size_t lda, const uint16_t *b0, const uint16_t *b1, const uint8_t *used0, const uint8_t *used1, size_t steps, struct amx_beside *beside) {
    const uint16_t *lower = a + 16 * lda;
    const size_t stride = lda * sizeof *a;
    for (size_t s = 0; s < steps; s++, a += AMX_SPLIT * 32, lower += AMX_SPLIT * 32, b0 += AMX_SPLIT * 512, b1 += AMX_SPLIT * 512) {
        const size_t parts = amx_parts(used0, used1, s);
        amx_load_b(b0, b1);
        amx_next_a(a + 64, lower + 64, stride); /* low high */
        amx_next_a(a + 32, lower + 32, stride); /* middle high */
        if (parts > 1) amx_next_b(b0 + 512, b1 + 512); /* middle middle */
        amx_next_a(a, lower, stride); /* high middle; high high where there is no middle */
        if (parts > 2) amx_next_b(b0 + 1024, b1 + 1024); /* high low */
        if (parts > 1) amx_next_b(b0, b1); /* high high */
        amx_beside(beside);
    }
}

static inline void amx_two(void) {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
}

static inline void amx_two_of_b(const uint16_t *b0, const uint16_t *b1) {
    amx_load_b(b0, b1);
    amx_two();
}

static inline void amx_steps_split_one_row(const uint16_t *a, size_t lda, const uint16_t *b0, const uint16_t *b1, const uint8_t *used0, const uint8_t *used1, size_t steps, struct amx_beside *beside) {
    const size_t stride = lda * sizeof *a;
    for (size_t s = 0; s < steps; s++, a += AMX_SPLIT * 32, b0 += AMX_SPLIT * 512, b1 += AMX_SPLIT * 512) {
        const size_t parts = amx_parts(used0, used1, s);
        amx_load_b(b0, b1);
        _tile_loadd(4, a + 64, stride);
        amx_two();
        _tile_loadd(4, a + 32, stride);
        amx_two();
        if (parts > 1) amx_two_of_b(b0 + 512, b1 + 512);
        _tile_loadd(4, a, stride);
        amx_two();
        if (parts > 2) amx_two_of_b(b0 + 1024, b1 + 1024);
        if (parts > 1) amx_two_of_b(b0, b1);
        amx_beside(beside);
    }
}

static inline void amx_end(void) { _tile_release(); }

#endif
