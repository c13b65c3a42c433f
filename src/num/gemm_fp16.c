#include "num/gemm_fp16.h"

#include <immintrin.h>
#include <math.h>
#include <stdint.h>

#include "num/lanes16.h"

/* A block of outputs is 12 x 64: 24 registers of sums, two of b. */
#define ROWS ((size_t)12)
#define COLS ((size_t)64)
#define CHUNK ((size_t)64)     /* products that are summed in fp16 */
#define TASK_ROWS (8 * ROWS)   /* whose packed a stays in the second-level cache while strips of b pass by */
#define K_BLOCK ((size_t)2048) /* longer sums are made in parts, so that strips stay in that cache too */
#define BLOCKS(x, unit) (((x) + (unit) - 1) / (unit))

/* Packed: a as [M/12][K][12] fp16, each twice in a dword, which broadcasts without a shuffle; b as [N/64][K][64] fp16. Inverse scales
 * behind. */
struct packed {
    uint32_t *a;
    uint16_t *b;
    float *a_scale, *b_scale;
};

static struct packed places(void *scratch, size_t m, size_t n, size_t k) {
    struct packed p = {.a = scratch};
    const size_t rows = BLOCKS(m, ROWS) * ROWS, cols = BLOCKS(n, COLS) * COLS;
    p.b = (uint16_t *)(p.a + BLOCKS(rows * k, (size_t)16) * 16);
    p.b_scale = (float *)(void *)(p.b + cols * k);
    p.a_scale = p.b_scale + cols;
    return p;
}

size_t gemm_fp16_bytes(size_t m, size_t n, size_t k) {
    if (k > K_BLOCK) k = K_BLOCK;
    const size_t rows = BLOCKS(m, ROWS) * ROWS, cols = BLOCKS(n, COLS) * COLS;
    return BLOCKS(rows * k, (size_t)16) * 64 + cols * k * sizeof(uint16_t) + (cols + rows + 16) * sizeof(float);
}

/* 2^e with largest * 2^e in 8 .. 16; *inverse = 2^-e. */
static float scale_of(float largest, float *inverse) {
    int e = 0;
    if (largest > 0 && isfinite(largest)) frexpf(largest, &e), e = 4 - e;
    e = e > 100 ? 100 : e < -100 ? -100 : e;
    *inverse = ldexpf(1, -e);
    return ldexpf(1, e);
}

static __mmask16 below(size_t count) { return (__mmask16)(count >= 16 ? 0xffff : (1u << count) - 1); }

/* The largest magnitude of n floats; NaN counts as nothing here, and stays one in the product. */
static float largest_of(const float *x, size_t n) {
    __m512 most = _mm512_setzero_ps();
    for (size_t i = 0; i < n; i += 16) most = _mm512_max_ps(_mm512_abs_ps(_mm512_maskz_loadu_ps(below(n - i), x + i)), most);
    return _mm512_reduce_max_ps(most);
}

/* The same of each of 16 columns (fewer: count) of [rows, ld]. */
static __m512 largest_columns(const float *x, size_t ld, size_t rows, size_t count) {
    __m512 most = _mm512_setzero_ps();
    for (size_t r = 0; r < rows; r++) most = _mm512_max_ps(_mm512_abs_ps(_mm512_maskz_loadu_ps(below(count), x + r * ld)), most);
    return most;
}

/* 16 floats, scaled, as fp16 in the lower halves of dwords. */
static __m512i halves_of(__m512 x, __m512 scale) {
    return _mm512_cvtepu16_epi32(_mm512_cvtps_ph(_mm512_mul_ps(x, scale), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}

static __m512i twice(__m512i h) { return _mm512_or_si512(h, _mm512_slli_epi32(h, 16)); }

/* 16 x 16 halves of up to 16 rows [.., ld] beginning with column k, turned: r[j] holds column k + j of all rows. */
static void turned_halves(__m512i r[16], const float *x, size_t ld, size_t rows, size_t cols, const float *scale) {
    for (size_t i = 0; i < 16; i++)
        r[i] = i < rows ? halves_of(_mm512_maskz_loadu_ps(below(cols), x + i * ld), _mm512_set1_ps(scale[i])) : _mm512_setzero_si512();
    transpose16(r);
}

static void scales_of_rows(float *scale, float *inverse, const float *x, size_t ld, size_t rows, size_t k) {
    for (size_t i = 0; i < rows; i++) scale[i] = scale_of(largest_of(x + i * ld, k), inverse + i);
}

static void scales_of_columns(float *scale, float *inverse, const float *x, size_t ld, size_t k, size_t cols) {
    float most[16];
    _mm512_storeu_ps(most, largest_columns(x, ld, k, cols));
    for (size_t j = 0; j < cols && j < 16; j++) scale[j] = scale_of(most[j], inverse + j);
}

static void pack_rows(const struct gemm_fp16 *g, const struct packed *p, size_t block) {
    const size_t i = block * ROWS, rows = g->m - i < ROWS ? g->m - i : ROWS;
    uint32_t *out = p->a + i * g->k;
    float scale[16] = {0};
    if (g->ta) {
        scales_of_columns(scale, p->a_scale + i, g->a + i, g->lda, g->k, rows);
        const __m512 by = _mm512_loadu_ps(scale);
        for (size_t k = 0; k < g->k; k++)
            _mm512_mask_storeu_epi32(out + k * ROWS, below(ROWS),
                                     twice(halves_of(_mm512_maskz_loadu_ps(below(rows), g->a + k * g->lda + i), by)));
        return;
    }
    scales_of_rows(scale, p->a_scale + i, g->a + i * g->lda, g->lda, rows, g->k);
    for (size_t k = 0; k < g->k; k += 16) {
        __m512i r[16];
        const size_t cols = g->k - k < 16 ? g->k - k : 16;
        turned_halves(r, g->a + i * g->lda + k, g->lda, rows, cols, scale);
        for (size_t j = 0; j < cols; j++) _mm512_mask_storeu_epi32(out + (k + j) * ROWS, below(ROWS), twice(r[j]));
    }
}

/* Columns [j, j + 64). All of a row of the packed strip is written at once: two cache lines. */
static void pack_columns(const struct gemm_fp16 *g, const struct packed *p, size_t j) {
    const size_t cols = g->n - j < COLS ? g->n - j : COLS;
    uint16_t *out = p->b + j * g->k;
    float scale[COLS] = {0};
    if (g->tb) scales_of_rows(scale, p->b_scale + j, g->b + j * g->ldb, g->ldb, cols, g->k);
    for (size_t q = 0; q < cols && !g->tb; q += 16) scales_of_columns(scale + q, p->b_scale + j + q, g->b + j + q, g->ldb, g->k, cols - q);
    for (size_t k = 0; k < g->k; k += g->tb ? 16 : 1)
        for (size_t q = 0; q < COLS; q += 16) {
            const size_t count = q >= cols ? 0 : cols - q < 16 ? cols - q : 16, steps = g->k - k < 16 ? g->k - k : 16;
            __m512i r[16];
            if (g->tb) {
                turned_halves(r, count ? g->b + (j + q) * g->ldb + k : g->b, g->ldb, count, steps, scale + q);
                for (size_t i = 0; i < steps; i++)
                    _mm256_storeu_si256((__m256i *)(void *)(out + (k + i) * COLS + q), _mm512_cvtepi32_epi16(r[i]));
            } else {
                const __m512 x = _mm512_maskz_loadu_ps(below(count), g->b + k * g->ldb + j + (count ? q : 0));
                _mm256_storeu_si256((__m256i *)(void *)(out + k * COLS + q),
                                    _mm512_cvtepi32_epi16(halves_of(x, _mm512_loadu_ps(scale + q))));
            }
        }
}

static void add_halves(float *to, __m512i sums, bool first) {
    __m512 lo = _mm512_cvtph_ps(_mm512_castsi512_si256(sums)), hi = _mm512_cvtph_ps(_mm512_extracti64x4_epi64(sums, 1));
    if (!first) lo = _mm512_add_ps(lo, _mm512_load_ps(to)), hi = _mm512_add_ps(hi, _mm512_load_ps(to + 16));
    _mm512_store_ps(to, lo);
    _mm512_store_ps(to + 16, hi);
}

/* sums[12][64] = a [K][12] b [K][64]. */
static void block_product(float *sums, const uint32_t *a, const uint16_t *b, size_t k) {
    for (size_t from = 0; from < k; from += CHUNK) {
        const size_t to = k - from < CHUNK ? k : from + CHUNK;
        __m512h s[ROWS][2];
#pragma GCC unroll 12
        for (size_t r = 0; r < ROWS; r++) s[r][0] = s[r][1] = _mm512_setzero_ph();
        for (size_t at = from; at < to; at++) {
            const __m512h b0 = _mm512_loadu_ph(b + at * COLS), b1 = _mm512_loadu_ph(b + at * COLS + 32);
#pragma GCC unroll 12
            for (size_t r = 0; r < ROWS; r++) {
                const __m512h x = _mm512_castsi512_ph(_mm512_set1_epi32((int)a[at * ROWS + r]));
                s[r][0] = _mm512_fmadd_ph(x, b0, s[r][0]);
                s[r][1] = _mm512_fmadd_ph(x, b1, s[r][1]);
            }
        }
#pragma GCC unroll 12
        for (size_t r = 0; r < ROWS; r++)
            for (size_t h = 0; h < 2; h++) add_halves(sums + r * COLS + 32 * h, _mm512_castph_si512(s[r][h]), from == 0);
    }
}

static void store_block(const struct gemm_fp16 *g, const struct packed *p, const float *sums, size_t i, size_t j) {
    const size_t rows = g->m - i < ROWS ? g->m - i : ROWS, cols = g->n - j < COLS ? g->n - j : COLS;
    for (size_t r = 0; r < rows; r++)
        for (size_t q = 0; q < cols; q += 16) {
            const __mmask16 mask = below(cols - q);
            float *c = g->c + (i + r) * g->ldc + j + q;
            __m512 y = _mm512_mul_ps(_mm512_mul_ps(_mm512_load_ps(sums + r * COLS + q), _mm512_set1_ps(p->a_scale[i + r])),
                                     _mm512_maskz_loadu_ps(mask, p->b_scale + j + q));
            if (g->accumulate) y = _mm512_add_ps(y, _mm512_maskz_loadu_ps(mask, c));
            _mm512_mask_storeu_ps(c, mask, y);
        }
}

static void run_steps(const struct gemm_fp16 *g, void *scratch) {
    const struct packed p = places(scratch, g->m, g->n, g->k);
    const size_t row_blocks = BLOCKS(g->m, ROWS), strips = BLOCKS(g->n, COLS), groups = BLOCKS(g->m, TASK_ROWS);
#pragma omp parallel
    {
#pragma omp for schedule(static) nowait
        for (size_t i = 0; i < row_blocks; i++) pack_rows(g, &p, i);
#pragma omp for schedule(static)
        for (size_t j = 0; j < strips; j++) pack_columns(g, &p, j * COLS);
#pragma omp for schedule(static)
        for (size_t task = 0; task < groups * strips; task++) {
            _Alignas(64) float sums[ROWS * COLS];
            const size_t first = task / strips * TASK_ROWS, j = task % strips;
            for (size_t i = first; i < first + TASK_ROWS && i < g->m; i += ROWS) {
                block_product(sums, p.a + i * g->k, p.b + j * COLS * g->k, g->k);
                store_block(g, &p, sums, i, j * COLS);
            }
        }
    }
}

void gemm_fp16_run(const struct gemm_fp16 *g, void *scratch) {
    for (size_t k = 0; k < g->k; k += K_BLOCK) {
        struct gemm_fp16 part = *g;
        part.k = g->k - k < K_BLOCK ? g->k - k : K_BLOCK;
        part.a += g->ta ? k * g->lda : k;
        part.b += g->tb ? k : k * g->ldb;
        part.accumulate = g->accumulate || k;
        run_steps(&part, scratch);
    }
}
