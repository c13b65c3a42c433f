/* qdot_lanes: packed weights of num/qdot_form.h into vectors, for the kernels that are compiled for AVX-512. */
#ifndef RAPT_NUM_QDOT_LANES_H
#define RAPT_NUM_QDOT_LANES_H

#include <immintrin.h>

#include "num/qdot_form.h"

/* A core alone does not ask for memory early enough: numbers are fetched this far ahead, which doubles the speed of a product with one row.
 */
#define FETCH_AHEAD 8192

#define INLINE static inline __attribute__((always_inline))

INLINE void fetch_ahead(const uint8_t *numbers, int bits) {
#pragma GCC unroll 8
    for (size_t line = 0; line < qdot_block_bytes(bits); line += 64) _mm_prefetch((const char *)numbers + FETCH_AHEAD + line, _MM_HINT_T0);
}

/* The eight vectors of a block. */
INLINE void unpack(__m512i w[8], const uint8_t *at, int bits, bool table) {
    const __m512i low = _mm512_set1_epi8(15), fifth = _mm512_set1_epi8(16), high = _mm512_set1_epi8(48);
    if (bits == 8) {
#pragma GCC unroll 8
        for (int v = 0; v < 8; v++) w[v] = _mm512_load_si512(at + 64 * v);
        return;
    }
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
        const __m512i packed = _mm512_load_si512(at + 64 * j);
        w[j] = _mm512_and_si512(packed, low);
        w[4 + j] = _mm512_and_si512(_mm512_srli_epi16(packed, 4), low);
    }
    if (table) {
        const __m512i values = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(const void *)qdot_iq4));
#pragma GCC unroll 8
        for (int v = 0; v < 8; v++) w[v] = _mm512_shuffle_epi8(values, w[v]);
    }
    if (bits == 5) { /* 0xf8: a | (b & c) */
        const __m512i plane = _mm512_load_si512(at + 256);
#pragma GCC unroll 8
        for (int v = 0; v < 8; v++)
            w[v] = _mm512_ternarylogic_epi32(w[v], v < 4 ? _mm512_slli_epi16(plane, 4 - v) : _mm512_srli_epi16(plane, v - 4), fifth, 0xf8);
    }
    if (bits == 6) {
        const __m512i planes[2] = {_mm512_load_si512(at + 256), _mm512_load_si512(at + 320)};
#pragma GCC unroll 8
        for (int v = 0; v < 8; v++) {
            const __m512i p = planes[v / 4];
            w[v] = _mm512_ternarylogic_epi32(w[v], v % 4 < 3 ? _mm512_slli_epi16(p, 4 - 2 * (v % 4)) : _mm512_srli_epi16(p, 2), high, 0xf8);
        }
    }
}

INLINE __m512 halves16(const uint8_t *at) { return _mm512_cvtph_ps(_mm256_load_si256((const __m256i *)(const void *)at)); }
INLINE __m512 bytes16(const uint8_t *at, bool is_signed) {
    const __m128i b = _mm_load_si128((const __m128i *)(const void *)at);
    return _mm512_cvtepi32_ps(is_signed ? _mm512_cvtepi8_epi32(b) : _mm512_cvtepu8_epi32(b));
}

/* What 16 rows' numbers of a block are multiplied by; minimum of QDOT_K is to be subtracted. */
struct multipliers {
    __m512 first, second, minimum;
};
INLINE struct multipliers multipliers_of(const uint8_t *at, size_t b, enum qdot_factors kind) {
    struct multipliers s;
    s.first = s.second = halves16(at);
    s.minimum = _mm512_setzero_ps();
    if (kind == QDOT_DM) s.minimum = halves16(at + 32);
    if (kind == QDOT_K) {
        s.first = _mm512_mul_ps(s.first, bytes16(at + 64 + b % 8 * 32, false));
        s.minimum = _mm512_mul_ps(halves16(at + 32), bytes16(at + 64 + b % 8 * 32 + 16, false));
    }
    if (kind == QDOT_K16) {
        const __m512 d = s.first;
        s.first = _mm512_mul_ps(d, bytes16(at + 32 + b % 8 * 32, true));
        s.second = _mm512_mul_ps(d, bytes16(at + 32 + b % 8 * 32 + 16, true));
    }
    return s;
}

#endif
