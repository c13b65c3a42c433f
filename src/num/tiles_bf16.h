/* tiles_bf16: tiles.h on vdpbf16ps, for files named *_bf16.c. No fp32 operands: three to six products of bf16 take longer than one of fp32 here. Sums lie in
 * memory between the calls and in registers within one: 8 rows by 2 vectors, each pair of b's rows loaded once for all of them. */
#ifndef RAPT_NUM_TILES_BF16_H
#define RAPT_NUM_TILES_BF16_H

#include <string.h>

#include "num/lanes16.h"
#include "num/tiles.h"

#define TILES_FP32 0

#define TILES_ROWS 8 /* whose sums are in registers */
#define TILES_RUN 8  /* steps that all rows take before the next: 16 KB of b, in the first-level cache */

static _Thread_local struct {
    _Alignas(64) float sums[32 * 32];
    size_t rows; /* there are */
} tiles_here;

static inline void tiles_begin(size_t rows) { tiles_here.rows = rows; }
static inline void tiles_end(void) {}
static inline void tiles_sums_zero(void) { memset(tiles_here.sums, 0, tiles_here.rows * 32 * sizeof(float)); }

static inline void tiles_sums_load(const float *c, size_t ld, size_t rows, size_t second) {
    for (size_t r = 0; r < rows; r++) {
        _mm512_store_ps(tiles_here.sums + r * 32, _mm512_loadu_ps(c + r * ld));
        _mm512_store_ps(tiles_here.sums + r * 32 + 16, _mm512_loadu_ps(c + r * ld + second));
    }
}

static inline void tiles_sums_store(float *c, size_t ld, size_t rows, size_t second) {
    for (size_t r = 0; r < rows; r++) {
        _mm512_storeu_ps(c + r * ld, _mm512_load_ps(tiles_here.sums + r * 32));
        _mm512_storeu_ps(c + r * ld + second, _mm512_load_ps(tiles_here.sums + r * 32 + 16));
    }
}

/* Two elements of a row, for all lanes. */
static inline __m512bh tiles_pair(const uint16_t *a) {
    int32_t pair;
    memcpy(&pair, a, sizeof pair);
    return (__m512bh)_mm512_set1_epi32(pair);
}

/* sums[rows, 32] += `steps` steps; rows is a constant where this is inlined. */
static inline __attribute__((always_inline)) void tiles_some_rows(float *sums, const uint16_t *a, size_t lda, const uint16_t *b0, const uint16_t *b1,
                                                                  size_t steps, size_t rows) {
    __m512 s[TILES_ROWS][2];
    for (size_t r = 0; r < rows; r++) s[r][0] = _mm512_load_ps(sums + r * 32), s[r][1] = _mm512_load_ps(sums + r * 32 + 16);
    for (size_t pair = 0; pair < 16 * steps; pair++) {
        const __m512bh left = (__m512bh)_mm512_loadu_si512(b0 + pair * 32), right = (__m512bh)_mm512_loadu_si512(b1 + pair * 32);
#pragma GCC unroll 8
        for (size_t r = 0; r < rows; r++) {
            const __m512bh x = tiles_pair(a + r * lda + pair * 2);
            s[r][0] = _mm512_dpbf16_ps(s[r][0], x, left);
            s[r][1] = _mm512_dpbf16_ps(s[r][1], x, right);
        }
    }
    for (size_t r = 0; r < rows; r++) _mm512_store_ps(sums + r * 32, s[r][0]), _mm512_store_ps(sums + r * 32 + 16, s[r][1]);
}

/* The same for all rows that were begun. */
static inline void tiles_all_rows(const uint16_t *a, size_t lda, const uint16_t *b0, const uint16_t *b1, size_t steps) {
    float *sums = tiles_here.sums;
    for (size_t left = tiles_here.rows; left;) {
        const size_t rows = left < TILES_ROWS ? left : TILES_ROWS;
        switch (rows) {
        case 8: tiles_some_rows(sums, a, lda, b0, b1, steps, 8); break;
        case 7: tiles_some_rows(sums, a, lda, b0, b1, steps, 7); break;
        case 6: tiles_some_rows(sums, a, lda, b0, b1, steps, 6); break;
        case 5: tiles_some_rows(sums, a, lda, b0, b1, steps, 5); break;
        case 4: tiles_some_rows(sums, a, lda, b0, b1, steps, 4); break;
        case 3: tiles_some_rows(sums, a, lda, b0, b1, steps, 3); break;
        case 2: tiles_some_rows(sums, a, lda, b0, b1, steps, 2); break;
        default: tiles_some_rows(sums, a, lda, b0, b1, steps, 1);
        }
        sums += rows * 32, a += rows * lda, left -= rows;
    }
}

static inline void tiles_steps(const uint16_t *a, size_t lda, const uint16_t *b0, const uint16_t *b1, size_t steps, size_t rows, struct tiles_beside *beside) {
    (void)rows; /* as begun */
    for (size_t s = 0; s < steps; s += TILES_RUN) {
        const size_t now = steps - s < TILES_RUN ? steps - s : TILES_RUN;
        tiles_all_rows(a + s * 32, lda, b0 + s * 512, b1 + s * 512, now);
        for (size_t i = 0; i < now; i++) tiles_beside(beside);
    }
}

/* --- operands with what rounding left over: one product of fp32 takes two thirds of the time of three of bf16 --- */

#define TILES_DIM_MAX 256 /* columns of a, at most */

/* 16 elements of a row, what was left over added. */
static inline __m512 tiles_whole(const uint16_t *main, const uint16_t *left) { return _mm512_add_ps(bf16_load(main), bf16_load(left)); }

/* Two rows of 16 elements in turns, what was left over added, to out[0] and out[32]. */
static inline void tiles_whole_turns(float *out, const uint16_t *main, const uint16_t *left) {
    const __m512i m = _mm512_loadu_si512(main), l = _mm512_loadu_si512(left), upper = _mm512_set1_epi32((int)0xffff0000u);
    _mm512_store_ps(out, _mm512_add_ps(_mm512_castsi512_ps(_mm512_slli_epi32(m, 16)), _mm512_castsi512_ps(_mm512_slli_epi32(l, 16))));
    _mm512_store_ps(out + 32, _mm512_add_ps(_mm512_castsi512_ps(_mm512_and_si512(m, upper)), _mm512_castsi512_ps(_mm512_and_si512(l, upper))));
}

/* sums[8, 32] += a[8, k] b[k, 32] */
static inline void tiles_eight_rows_fp32(float *sums, const float *a, const float *b, size_t k) {
    __m512 s[TILES_ROWS][2];
    for (size_t r = 0; r < TILES_ROWS; r++) s[r][0] = _mm512_load_ps(sums + r * 32), s[r][1] = _mm512_load_ps(sums + r * 32 + 16);
    for (size_t i = 0; i < k; i++) {
        const __m512 left = _mm512_load_ps(b + i * 32), right = _mm512_load_ps(b + i * 32 + 16);
#pragma GCC unroll 8
        for (size_t r = 0; r < TILES_ROWS; r++) {
            const __m512 x = _mm512_set1_ps(a[r * k + i]);
            s[r][0] = _mm512_fmadd_ps(x, left, s[r][0]);
            s[r][1] = _mm512_fmadd_ps(x, right, s[r][1]);
        }
    }
    for (size_t r = 0; r < TILES_ROWS; r++) _mm512_store_ps(sums + r * 32, s[r][0]), _mm512_store_ps(sums + r * 32 + 16, s[r][1]);
}

/* (a + left(a)) (b + left(b)), all 32 rows. b's two columns of tiles lie `second` elements apart. */
static inline void tiles_steps_left(struct tiles_side a, size_t lda, struct tiles_side b, size_t second, size_t steps) {
    _Alignas(64) float rows[TILES_ROWS * TILES_DIM_MAX], columns[TILES_DIM_MAX * 32];
    const size_t k = steps * 32;
    CHECK(k <= TILES_DIM_MAX);
    for (size_t pair = 0; pair < k / 2; pair++)
        for (size_t half = 0; half < 2; half++) tiles_whole_turns(columns + pair * 64 + half * 16, b.main + half * second + pair * 32, b.left + half * second + pair * 32);
    for (size_t r = 0; r < 32; r += TILES_ROWS) {
        for (size_t i = 0; i < TILES_ROWS; i++)
            for (size_t j = 0; j < k; j += 16) _mm512_store_ps(rows + i * k + j, tiles_whole(a.main + (r + i) * lda + j, a.left + (r + i) * lda + j));
        tiles_eight_rows_fp32(tiles_here.sums + r * 32, rows, columns, k);
    }
}

#endif
