/* tiles_bf16: tiles.h on vdpbf16ps, for files named *_bf16.c. No fp32 operands: three to six products of bf16 take longer than one of fp32 here. Sums lie in memory between the calls and in registers within one: 8 rows by 2 vectors, each pair
 * of b's rows loaded once for all of them. */
#ifndef RAPT_NUM_TILES_BF16_H
#define RAPT_NUM_TILES_BF16_H

#include <string.h>

#include "num/tiles.h"

#define TILES_FP32 0

#define TILES_ROWS 8  /* whose sums are in registers */
#define TILES_RUN 8   /* steps that all rows take before the next: 16 KB of b, in the first-level cache */

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

/* The products that one step is the sum of, in their order: parts of a and of b, as elements behind those of the step. */
struct tiles_products {
    size_t count, a_step, b_step; /* elements from one step to the next */
    ptrdiff_t a[3], b[3];
};

/* Two elements of a row, for all lanes. */
static inline __m512bh tiles_pair(const uint16_t *a) {
    int32_t pair;
    memcpy(&pair, a, sizeof pair);
    return (__m512bh)_mm512_set1_epi32(pair);
}

/* sums[rows, 32] += `steps` steps; rows is a constant where this is inlined. */
static inline __attribute__((always_inline)) void tiles_some_rows(float *sums, const uint16_t *a, size_t lda, const uint16_t *b0, const uint16_t *b1,
                                                                  size_t steps, const struct tiles_products *p, size_t rows) {
    __m512 s[TILES_ROWS][2];
    for (size_t r = 0; r < rows; r++) s[r][0] = _mm512_load_ps(sums + r * 32), s[r][1] = _mm512_load_ps(sums + r * 32 + 16);
    for (size_t step = 0; step < steps; step++, a += p->a_step, b0 += p->b_step, b1 += p->b_step)
        for (size_t n = 0; n < p->count; n++) {
            const uint16_t *row = a + p->a[n], *left = b0 + p->b[n], *right = b1 + p->b[n];
            for (size_t pair = 0; pair < 16; pair++) {
                const __m512bh l = (__m512bh)_mm512_loadu_si512(left + pair * 32), r2 = (__m512bh)_mm512_loadu_si512(right + pair * 32);
#pragma GCC unroll 8
                for (size_t r = 0; r < rows; r++) {
                    const __m512bh x = tiles_pair(row + r * lda + pair * 2);
                    s[r][0] = _mm512_dpbf16_ps(s[r][0], x, l);
                    s[r][1] = _mm512_dpbf16_ps(s[r][1], x, r2);
                }
            }
        }
    for (size_t r = 0; r < rows; r++) _mm512_store_ps(sums + r * 32, s[r][0]), _mm512_store_ps(sums + r * 32 + 16, s[r][1]);
}

static inline void tiles_all_rows(const uint16_t *a, size_t lda, const uint16_t *b0, const uint16_t *b1, size_t steps, const struct tiles_products *p) {
    float *sums = tiles_here.sums;
    for (size_t left = tiles_here.rows; left;) {
        const size_t rows = left < TILES_ROWS ? left : TILES_ROWS;
        switch (rows) {
        case 8: tiles_some_rows(sums, a, lda, b0, b1, steps, p, 8); break;
        case 7: tiles_some_rows(sums, a, lda, b0, b1, steps, p, 7); break;
        case 6: tiles_some_rows(sums, a, lda, b0, b1, steps, p, 6); break;
        case 5: tiles_some_rows(sums, a, lda, b0, b1, steps, p, 5); break;
        case 4: tiles_some_rows(sums, a, lda, b0, b1, steps, p, 4); break;
        case 3: tiles_some_rows(sums, a, lda, b0, b1, steps, p, 3); break;
        case 2: tiles_some_rows(sums, a, lda, b0, b1, steps, p, 2); break;
        default: tiles_some_rows(sums, a, lda, b0, b1, steps, p, 1);
        }
        sums += rows * 32, a += rows * lda, left -= rows;
    }
}

static inline void tiles_steps(const uint16_t *a, size_t lda, const uint16_t *b0, const uint16_t *b1, size_t steps, size_t rows, struct tiles_beside *beside) {
    static const struct tiles_products one = {.count = 1, .a_step = 32, .b_step = 512};
    (void)rows; /* as begun */
    for (size_t s = 0; s < steps; s += TILES_RUN) {
        const size_t now = steps - s < TILES_RUN ? steps - s : TILES_RUN;
        tiles_all_rows(a + s * 32, lda, b0 + s * 512, b1 + s * 512, now, &one);
        for (size_t i = 0; i < now; i++) tiles_beside(beside);
    }
}

/* left(a) b + a b + a left(b), small products first. b's two columns of tiles lie `second` elements apart. */
static inline void tiles_steps_left(struct tiles_side a, size_t lda, struct tiles_side b, size_t second, size_t steps) {
    const struct tiles_products three = {.count = 3, .a_step = 32, .b_step = 512, .a = {a.left - a.main, 0, 0}, .b = {0, 0, b.left - b.main}};
    tiles_all_rows(a.main, lda, b.main, b.main + second, steps, &three);
}

#endif
