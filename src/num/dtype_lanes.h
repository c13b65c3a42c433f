/* dtype_lanes: packed numbers of quantised blocks to floats, 16 and 32 at a time, for the expansions of num/dtype.h. Loads may be
 * unaligned. */
#ifndef RAPT_NUM_DTYPE_LANES_H
#define RAPT_NUM_DTYPE_LANES_H

#include "num/dtype.h"

#include <immintrin.h>
#include <string.h>

static inline float half_at(const uint8_t *at) {
    uint16_t h;
    memcpy(&h, at, sizeof h);
    return dtype_half_to_float(h);
}
static inline __m256i load32(const uint8_t *at) { return _mm256_loadu_si256((const __m256i *)(const void *)at); }
static inline __m256i bytes32(int value) { return _mm256_set1_epi8((char)value); }

/* Each byte shifted right by `by` bits and masked: the bits that come in from the neighbouring byte must lie outside the mask. */
static inline __m256i bits32(__m256i bytes, int by, int mask) {
    return _mm256_and_si256(_mm256_srl_epi16(bytes, _mm_cvtsi32_si128(by)), bytes32(mask));
}
static inline __m256i shifted_up(__m256i bytes, int by) {
    return _mm256_sll_epi16(bytes, _mm_cvtsi32_si128(by));
} /* as long as none leaves its byte */

/* out[0..15] = d * q - m, q unsigned */
static inline void put16_affine(float *out, __m128i q, float d, float m) {
    const __m256 scale = _mm256_set1_ps(d), min = _mm256_set1_ps(m);
    const __m256 a = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(q)), b = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_srli_si128(q, 8)));
    _mm256_storeu_ps(out, _mm256_sub_ps(_mm256_mul_ps(scale, a), min));
    _mm256_storeu_ps(out + 8, _mm256_sub_ps(_mm256_mul_ps(scale, b), min));
}

/* out[0..15] = d * q, q signed */
static inline void put16(float *out, __m128i q, float d) {
    const __m256 scale = _mm256_set1_ps(d);
    _mm256_storeu_ps(out, _mm256_mul_ps(scale, _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(q))));
    _mm256_storeu_ps(out + 8, _mm256_mul_ps(scale, _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(q, 8)))));
}
static inline __m128i low16(__m256i q) { return _mm256_castsi256_si128(q); }
static inline __m128i high16(__m256i q) { return _mm256_extracti128_si256(q, 1); }

/* q [32]: the low nibbles of 16 bytes, then the high ones. */
static inline __m256i nibbles32(const uint8_t *at) {
    const __m128i packed = _mm_loadu_si128((const __m128i *)(const void *)at);
    return _mm256_and_si256(_mm256_set_m128i(_mm_srli_epi16(packed, 4), packed), bytes32(15));
}

/* q [32]: bit i of a little-endian word as the number 16 (the fifth bit of element i) or 0. */
static inline __m256i fifths32(const uint8_t *at) {
    int32_t word;
    memcpy(&word, at, sizeof word);
    const __m256i byte = _mm256_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3);
    const __m256i bit = _mm256_set1_epi64x((long long)0x8040201008040201u);
    const __m256i own = _mm256_and_si256(_mm256_shuffle_epi8(_mm256_set1_epi32(word), byte), bit);
    return _mm256_and_si256(_mm256_cmpeq_epi8(own, bit), bytes32(16));
}

#endif
