/* tiles_bf16: tiles.h on vdpbf16ps, for files named *_bf16.c. No fp32 operands: three to six products of bf16 take longer than one of fp32
 * here. */
#ifndef RAPT_NUM_TILES_BF16_H
#define RAPT_NUM_TILES_BF16_H

#include <string.h>

#include "num/lanes16.h"
#include "num/tiles.h"

/* Two elements of a row, for all lanes. */
static inline __m512bh tiles_pair(const uint16_t *a) {
    int32_t pair;
    memcpy(&pair, a, sizeof pair);
    return (__m512bh)_mm512_set1_epi32(pair);
}

static inline __attribute__((always_inline)) void lanes_pairs(__m512 s[][2], const uint16_t *a, size_t lda, const uint16_t *b0,
                                                              const uint16_t *b1, size_t steps, size_t rows) {
    for (size_t pair = 0; pair < 16 * steps; pair++) {
        const __m512bh left = (__m512bh)_mm512_loadu_si512(b0 + pair * 32), right = (__m512bh)_mm512_loadu_si512(b1 + pair * 32);
#pragma GCC unroll 8
        for (size_t r = 0; r < rows; r++) {
            const __m512bh x = tiles_pair(a + r * lda + pair * 2);
            s[r][0] = _mm512_dpbf16_ps(s[r][0], x, left);
            s[r][1] = _mm512_dpbf16_ps(s[r][1], x, right);
        }
    }
}

#define TILES_HALVES 1
#define TILES_PLANES_OF(half) ((half) ? (size_t)1 : (size_t)GEMM_TILES_SPLIT)
#define TILES_PLANES 1
#define TILES_RUN 8
#define TILES_MULTIPLY lanes_pairs
#include "num/tiles_lanes.h"

/* --- operands with what rounding left over: one product of fp32 takes two thirds of the time of three of bf16 --- */

#define TILES_DIM_MAX 256 /* columns of a, at most */

/* 16 elements of a row, what was left over added. */
static inline __m512 tiles_whole(const uint16_t *main, const uint16_t *left) { return _mm512_add_ps(bf16_load(main), bf16_load(left)); }

/* Two rows of 16 elements in turns, what was left over added, to out[0] and out[16]. */
static inline void tiles_whole_turns(float *out, const uint16_t *main, const uint16_t *left) {
    const __m512i m = _mm512_loadu_si512(main), l = _mm512_loadu_si512(left), upper = _mm512_set1_epi32((int)0xffff0000u);
    _mm512_store_ps(out, _mm512_add_ps(_mm512_castsi512_ps(_mm512_slli_epi32(m, 16)), _mm512_castsi512_ps(_mm512_slli_epi32(l, 16))));
    _mm512_store_ps(out + 16,
                    _mm512_add_ps(_mm512_castsi512_ps(_mm512_and_si512(m, upper)), _mm512_castsi512_ps(_mm512_and_si512(l, upper))));
}

/* (a + left(a)) (b + left(b)), all 32 rows. b's two columns of tiles lie `second` elements apart. */
static inline void tiles_steps_left(struct tiles_side a, size_t lda, struct tiles_side b, size_t second, size_t steps) {
    _Alignas(64) float rows[TILES_ROWS * TILES_DIM_MAX], columns[2][TILES_DIM_MAX * 16];
    const size_t k = steps * 32;
    CHECK(k <= TILES_DIM_MAX);
    for (size_t half = 0; half < 2; half++)
        for (size_t pair = 0; pair < k / 2; pair++)
            tiles_whole_turns(columns[half] + pair * 32, b.main + half * second + pair * 32, b.left + half * second + pair * 32);
    for (size_t r = 0; r < 32; r += TILES_ROWS) {
        __m512 s[TILES_ROWS][2];
        for (size_t i = 0; i < TILES_ROWS; i++)
            for (size_t j = 0; j < k; j += 16)
                _mm512_store_ps(rows + i * k + j, tiles_whole(a.main + (r + i) * lda + j, a.left + (r + i) * lda + j));
        lanes_load(s, tiles_here.sums + r * 32, TILES_ROWS);
        lanes_fp32(s, rows, k, columns[0], columns[1], k, TILES_ROWS);
        lanes_store(tiles_here.sums + r * 32, s, TILES_ROWS);
    }
    tiles_here.zero = false;
}

#endif
