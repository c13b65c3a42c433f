/* kv_cache_avx512: scores and weighted values of 64 positions for up to four queries, from caches in fp32 and in halves. */
#include <immintrin.h>

#include "model/kv_tile.h"

#define INLINE static inline __attribute__((always_inline))
#define LANES 16

INLINE __m512 load16(const void *base, size_t at, __mmask16 keep, bool half) {
    if (half) return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(keep, (const uint16_t *)base + at));
    return _mm512_maskz_loadu_ps(keep, (const float *)base + at);
}

/* Lines that the other step of this block will want, a part with every call, so that memory is busy while this one computes. */
INLINE void fetch_part(const void *base, size_t part, size_t part_bytes) {
    const char *at = (const char *)base + part * part_bytes;
    for (size_t line = 0; line < part_bytes; line += 64) _mm_prefetch(at + line, _MM_HINT_T0);
}

/* `groups` groups of keys from number g. n, groups and half are constants in every caller, so that sums stay in registers. */
INLINE void group_scores(struct tile *t, const struct kv_block *b, size_t g, int groups, int n, bool half) {
    const size_t size = half ? sizeof(uint16_t) : sizeof(float);
    const char *keys = (const char *)b->keys + g * KV_GROUP * b->d * size;
    __m512 acc[TILE][4];
    for (int q = 0; q < n; q++)
        for (int i = 0; i < groups; i++) acc[q][i] = _mm512_setzero_ps();
    for (size_t i = 0; i < b->d; i++) {
        fetch_part(b->values, i, b->rows * size);
        __m512 k[4];
#pragma GCC unroll 4
        for (int j = 0; j < groups; j++) k[j] = load16(keys, ((size_t)j * b->d + i) * KV_GROUP, 0xffff, half);
#pragma GCC unroll 4
        for (int q = 0; q < n; q++) {
            const __m512 x = _mm512_set1_ps(t->q[q][i]);
#pragma GCC unroll 4
            for (int j = 0; j < groups; j++) acc[q][j] = _mm512_fmadd_ps(x, k[j], acc[q][j]);
        }
    }
    for (int q = 0; q < n; q++)
        for (int j = 0; j < groups; j++) _mm512_storeu_ps(t->score[q] + (g + (size_t)j) * KV_GROUP, acc[q][j]);
}

INLINE void scores(struct tile *t, const struct kv_block *b, int n, bool half) {
    const size_t groups = (b->rows + KV_GROUP - 1) / KV_GROUP;
    size_t g = 0;
    for (; g + 4 <= groups; g += 4) group_scores(t, b, g, 4, n, half);
    for (; g < groups; g++) group_scores(t, b, g, 1, n, half);
}

/* Columns [i, i + 16 vectors). */
INLINE void column_values(struct tile *t, const struct kv_block *b, size_t i, int vectors, __mmask16 keep, int n, bool half) {
    __m512 acc[TILE][4];
    for (int q = 0; q < n; q++)
        for (int c = 0; c < vectors; c++) acc[q][c] = _mm512_maskz_loadu_ps(keep, t->o[q] + i + c * LANES);
    for (size_t j = 0; j < b->rows; j++) {
        __m512 v[4];
#pragma GCC unroll 4
        for (int c = 0; c < vectors; c++) v[c] = load16(b->values, j * b->d + i + (size_t)c * LANES, keep, half);
#pragma GCC unroll 4
        for (int q = 0; q < n; q++) {
            const __m512 x = _mm512_set1_ps(t->score[q][j]);
#pragma GCC unroll 4
            for (int c = 0; c < vectors; c++) acc[q][c] = _mm512_fmadd_ps(x, v[c], acc[q][c]);
        }
    }
    for (int q = 0; q < n; q++)
        for (int c = 0; c < vectors; c++) _mm512_mask_storeu_ps(t->o[q] + i + c * LANES, keep, acc[q][c]);
}

INLINE void values(struct tile *t, const struct kv_block *b, int n, bool half) {
    size_t i = 0;
    for (; i + 4 * LANES <= b->d; i += 4 * LANES) column_values(t, b, i, 4, 0xffff, n, half);
    for (; i + LANES <= b->d; i += LANES) column_values(t, b, i, 1, 0xffff, n, half);
    if (i < b->d) column_values(t, b, i, 1, (__mmask16)((1u << (b->d - i)) - 1), n, half);
}

/* A step for each count of queries. */
#define BY_COUNT(name, step, half)                               \
    static void name(struct tile *t, const struct kv_block *b) { \
        if (t->count == 4)                                       \
            step(t, b, 4, half);                                 \
        else if (t->count == 3)                                  \
            step(t, b, 3, half);                                 \
        else if (t->count == 2)                                  \
            step(t, b, 2, half);                                 \
        else                                                     \
            step(t, b, 1, half);                                 \
    }
BY_COUNT(scores_float, scores, false)
BY_COUNT(scores_half, scores, true)
BY_COUNT(values_float, values, false)
BY_COUNT(values_half, values, true)

const struct kv_steps kv_steps_avx512 = {scores_float, values_float}, kv_steps_avx512_half = {scores_half, values_half};
