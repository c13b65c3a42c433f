/* tiles_amx: tiles.h on the tile registers, for files named *_amx.c. _tile_dpbf16ps(c, a, b) adds to c[16,16] (fp32) the product of a tile
 * of a and one of b. */
#ifndef RAPT_NUM_TILES_AMX_H
#define RAPT_NUM_TILES_AMX_H

#include "num/tiles.h"

#define TILES_HALVES 1 /* there are operands of bf16 */
#define TILES_PLANES_OF(half) ((half) ? (size_t)1 : (size_t)GEMM_TILES_SPLIT)

/* Tiles 0..3: sums, two rows of two; 4, 5: a; 6, 7: b. rows: of the 32 that the sums have; fewer make shorter tiles, so that nothing behind
 * a matrix is read or written. Per thread; whoever else uses tiles (oneDNN) sets its own, so every parallel region begins with it. */
static inline void tiles_begin(size_t rows) {
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

static inline void tiles_sums_zero(void) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
}

/* The sums from and to c[rows, ld]: columns 0..15 and [second, second + 16). */
static inline void tiles_sums_load(const float *c, size_t ld, size_t rows, size_t second) {
    const size_t stride = ld * sizeof *c;
    _tile_loadd(0, c, stride);
    _tile_loadd(1, c + second, stride);
    if (rows <= 16) return;
    _tile_loadd(2, c + 16 * ld, stride);
    _tile_loadd(3, c + 16 * ld + second, stride);
}

static inline void tiles_sums_store(float *c, size_t ld, size_t rows, size_t second) {
    const size_t stride = ld * sizeof *c;
    _tile_stored(0, c, stride);
    _tile_stored(1, c + second, stride);
    if (rows <= 16) return;
    _tile_stored(2, c + 16 * ld, stride);
    _tile_stored(3, c + 16 * ld + second, stride);
}

/* Tiles 0..3 (two rows of two) += a[32, 32 steps] times b0 and b1, each [32 steps, 16] in consecutive tiles; 4 to 7 are used up. The order
 * of the four products turns round with every step, so that each step begins with two operands that the one before was done with early:
 * they are loaded beside its last products, also where the core's other thread leaves no spare registers to load into. */
static inline void tiles_steps_both_rows(const uint16_t *a, size_t lda, const uint16_t *b0, const uint16_t *b1, size_t steps,
                                         struct tiles_beside *beside) {
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
        tiles_beside(beside);
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
        tiles_beside(beside);
        if (s == steps) return;
        _tile_loadd(7, b1 + s * 512, 64);
        _tile_loadd(5, lower + s * 32, stride);
    }
}

/* One row of tiles: 0 and 1 += a[16, 32 steps] times b0 and b1. */
static inline void tiles_steps_one_row(const uint16_t *a, size_t lda, const uint16_t *b0, const uint16_t *b1, size_t steps,
                                       struct tiles_beside *beside) {
    const size_t stride = lda * sizeof *a;
    for (size_t s = 0; s < steps; s++) {
        _tile_loadd(4, a + s * 32, stride);
        _tile_loadd(6, b0 + s * 512, 64);
        _tile_dpbf16ps(0, 4, 6);
        _tile_loadd(7, b1 + s * 512, 64);
        _tile_dpbf16ps(1, 4, 7);
        tiles_beside(beside);
    }
}

static inline void tiles_steps(const uint16_t *a, size_t lda, const uint16_t *b0, const uint16_t *b1, size_t steps, size_t rows,
                               struct tiles_beside *beside) {
    (rows > 16 ? tiles_steps_both_rows : tiles_steps_one_row)(a, lda, b0, b1, steps, beside);
}

/* A tile of a in each row, or of b in each column, is loaded just before it is used; four sums lie between two uses of one. */
static inline void tiles_next_a(const uint16_t *a, const uint16_t *lower, size_t stride) {
    _tile_loadd(4, a, stride);
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_loadd(5, lower, stride);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
}

static inline void tiles_next_b(const uint16_t *b0, const uint16_t *b1) {
    _tile_loadd(6, b0, 64);
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(2, 5, 6);
    _tile_loadd(7, b1, 64);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(3, 5, 7);
}

static inline void tiles_load_b(const uint16_t *b0, const uint16_t *b1) {
    _tile_loadd(6, b0, 64);
    _tile_loadd(7, b1, 64);
}

/* tiles_steps for fp32 operands; small products first, so that they round less. */
static inline void tiles_steps_split_both_rows(const uint16_t *a, size_t lda, const uint16_t *b0, const uint16_t *b1, const uint8_t *used0,
                                               const uint8_t *used1, size_t steps, struct tiles_beside *beside) {
    const uint16_t *lower = a + 16 * lda;
    const size_t stride = lda * sizeof *a;
    for (size_t s = 0; s < steps;
         s++, a += GEMM_TILES_SPLIT * 32, lower += GEMM_TILES_SPLIT * 32, b0 += GEMM_TILES_SPLIT * 512, b1 += GEMM_TILES_SPLIT * 512) {
        const size_t parts = tiles_parts(used0, used1, s);
        tiles_load_b(b0, b1);
        tiles_next_a(a + 64, lower + 64, stride);          /* low high */
        tiles_next_a(a + 32, lower + 32, stride);          /* middle high */
        if (parts > 1) tiles_next_b(b0 + 512, b1 + 512);   /* middle middle */
        tiles_next_a(a, lower, stride);                    /* high middle; high high where there is no middle */
        if (parts > 2) tiles_next_b(b0 + 1024, b1 + 1024); /* high low */
        if (parts > 1) tiles_next_b(b0, b1);               /* high high */
        tiles_beside(beside);
    }
}

static inline void tiles_two(void) {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
}

static inline void tiles_two_of_b(const uint16_t *b0, const uint16_t *b1) {
    tiles_load_b(b0, b1);
    tiles_two();
}

static inline void tiles_steps_split_one_row(const uint16_t *a, size_t lda, const uint16_t *b0, const uint16_t *b1, const uint8_t *used0,
                                             const uint8_t *used1, size_t steps, struct tiles_beside *beside) {
    const size_t stride = lda * sizeof *a;
    for (size_t s = 0; s < steps; s++, a += GEMM_TILES_SPLIT * 32, b0 += GEMM_TILES_SPLIT * 512, b1 += GEMM_TILES_SPLIT * 512) {
        const size_t parts = tiles_parts(used0, used1, s);
        tiles_load_b(b0, b1);
        _tile_loadd(4, a + 64, stride);
        tiles_two();
        _tile_loadd(4, a + 32, stride);
        tiles_two();
        if (parts > 1) tiles_two_of_b(b0 + 512, b1 + 512);
        _tile_loadd(4, a, stride);
        tiles_two();
        if (parts > 2) tiles_two_of_b(b0 + 1024, b1 + 1024);
        if (parts > 1) tiles_two_of_b(b0, b1);
        tiles_beside(beside);
    }
}

static inline void tiles_steps_split(const uint16_t *a, size_t lda, const uint16_t *b0, const uint16_t *b1, const uint8_t *used0,
                                     const uint8_t *used1, size_t steps, size_t rows, struct tiles_beside *beside) {
    (rows > 16 ? tiles_steps_split_both_rows : tiles_steps_split_one_row)(a, lda, b0, b1, used0, used1, steps, beside);
}

static inline void tiles_steps_of(size_t planes, const uint16_t *a, size_t lda, const uint16_t *b0, const uint16_t *b1,
                                  const uint8_t *used0, const uint8_t *used1, size_t steps, size_t rows, struct tiles_beside *beside) {
    CHECK(planes == 1 || planes == GEMM_TILES_SPLIT);
    if (planes == GEMM_TILES_SPLIT)
        tiles_steps_split(a, lda, b0, b1, used0, used1, steps, rows, beside);
    else
        tiles_steps(a, lda, b0, b1, steps, rows, beside);
}

/* left(a) b + a b + a left(b), small products first; a tile that two of them want is loaded once. b's two columns of tiles lie `second`
 * elements apart. All 32 rows. */
static inline void tiles_steps_left(struct tiles_side a, size_t lda, struct tiles_side b, size_t second, size_t steps) {
    const size_t stride = lda * sizeof *a.main;
    for (size_t s = 0; s < steps; s++) {
        const uint16_t *tile = b.main + s * 512, *left = b.left + s * 512;
        tiles_load_b(tile, tile + second);
        tiles_next_a(a.left + s * 32, a.left + 16 * lda + s * 32, stride);
        tiles_next_a(a.main + s * 32, a.main + 16 * lda + s * 32, stride);
        tiles_next_b(left, left + second);
    }
}

static inline void tiles_end(void) { _tile_release(); }

#endif
