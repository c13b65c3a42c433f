/* tiles_lanes: what the units of tiles.h share whose sums lie in memory between the calls and in registers within one: 8 rows by 2 vectors,
 * each pair of b's vectors loaded once for all of them. Included by tiles_bf16.h and tiles_avx512.h, which define TILES_PLANES what
 * gemm_tiles.h's planes must be TILES_RUN                                                steps that all rows take before the next: 16 KB of
 * b, in the first-level cache TILES_MULTIPLY(s, a, lda, b0, b1, steps, rows)           s[rows][2] += a[rows, 32 steps] times b0 and b1;
 * rows is a constant */
#include <string.h>

#define TILES_ROWS 8 /* whose sums are in registers */

static _Thread_local struct {
    _Alignas(64) float sums[32 * 32];
    size_t rows; /* there are */
    bool zero;   /* instead of what lies in sums */
} tiles_here;

static inline void tiles_begin(size_t rows) { tiles_here.rows = rows; }
static inline void tiles_end(void) {}
static inline void tiles_sums_zero(void) { tiles_here.zero = true; }

static inline void tiles_sums_load(const float *c, size_t ld, size_t rows, size_t second) {
    tiles_here.zero = false;
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

/* s[rows][2] += a[rows, k] times b0 and b1, each [k, 16]. */
static inline __attribute__((always_inline)) void lanes_fp32(__m512 s[][2], const float *a, size_t lda, const float *b0, const float *b1,
                                                             size_t k, size_t rows) {
    for (size_t i = 0; i < k; i++) {
        const __m512 left = _mm512_loadu_ps(b0 + i * 16), right = _mm512_loadu_ps(b1 + i * 16);
#pragma GCC unroll 8
        for (size_t r = 0; r < rows; r++) {
            const __m512 x = _mm512_set1_ps(a[r * lda + i]);
            s[r][0] = _mm512_fmadd_ps(x, left, s[r][0]);
            s[r][1] = _mm512_fmadd_ps(x, right, s[r][1]);
        }
    }
}

static inline __attribute__((always_inline)) void lanes_load(__m512 s[][2], const float *sums, size_t rows) {
    for (size_t r = 0; r < rows; r++)
        if (tiles_here.zero)
            s[r][0] = s[r][1] = _mm512_setzero_ps();
        else
            s[r][0] = _mm512_load_ps(sums + r * 32), s[r][1] = _mm512_load_ps(sums + r * 32 + 16);
}

static inline __attribute__((always_inline)) void lanes_store(float *sums, __m512 s[][2], size_t rows) {
    for (size_t r = 0; r < rows; r++) _mm512_store_ps(sums + r * 32, s[r][0]), _mm512_store_ps(sums + r * 32 + 16, s[r][1]);
}

static inline __attribute__((always_inline)) void tiles_some_rows(float *sums, const uint16_t *a, size_t lda, const uint16_t *b0,
                                                                  const uint16_t *b1, size_t steps, size_t rows) {
    __m512 s[TILES_ROWS][2];
    lanes_load(s, sums, rows);
    TILES_MULTIPLY(s, a, lda, b0, b1, steps, rows);
    lanes_store(sums, s, rows);
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
    tiles_here.zero = false;
}

static inline void tiles_steps_of(size_t planes, const uint16_t *a, size_t lda, const uint16_t *b0, const uint16_t *b1,
                                  const uint8_t *used0, const uint8_t *used1, size_t steps, size_t rows, struct tiles_beside *beside) {
    (void)rows, (void)used0, (void)used1; /* as begun; of operands that are split */
    CHECK(planes == TILES_PLANES);
    for (size_t s = 0; s < steps; s += TILES_RUN) {
        const size_t now = steps - s < TILES_RUN ? steps - s : TILES_RUN;
        tiles_all_rows(a + s * 32 * TILES_PLANES, lda, b0 + s * TILE_ELEMENTS * TILES_PLANES, b1 + s * TILE_ELEMENTS * TILES_PLANES, now);
        for (size_t i = 0; i < now; i++) tiles_beside(beside);
    }
}
