/* lanes16: sixteen floats at a time, for files compiled for AVX-512 with bf16: the exponential, and bf16 in memory. */
#ifndef RAPT_NUM_LANES16_H
#define RAPT_NUM_LANES16_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

static inline void bf16_store(uint16_t *out, __m512 x) { _mm256_storeu_si256((__m256i *)(void *)out, (__m256i)_mm512_cvtneps_pbh(x)); }

static inline __m512 bf16_load(const uint16_t *x) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)x)), 16));
}

/* 16 floats of lo and of hi as bf16, lo in the lower half. Rounds to nearest even; what is below bf16's normal range becomes 0. */
static inline __m512i bf16_two(__m512 lo, __m512 hi) { return (__m512i)_mm512_cvtne2ps_pbh(hi, lo); }

/* Part number p of the three bf16 that x is the sum of: the nearest to it, then what is left, cut off behind bf16's bits; the third cut
 * loses nothing. The first is rounded so that the others have either sign: what products of them leave out (tiles.h) has mean 0. Infinities
 * leave NaN. */
static inline __m512 bf16_part(__m512 x, size_t p) {
    const __m512i bits = _mm512_castps_si512(x), mask = _mm512_set1_epi32((int)0xffff0000u);
    return _mm512_castsi512_ps(_mm512_and_si512(p == 0 ? _mm512_add_epi32(bits, _mm512_set1_epi32(0x8000)) : bits, mask));
}

/* bf16_two of part p; lo and hi become what is left. */
static inline __m512i bf16_split(__m512 *lo, __m512 *hi, size_t p) {
    const __m512 a = bf16_part(*lo, p), b = bf16_part(*hi, p);
    *lo = _mm512_sub_ps(*lo, a);
    *hi = _mm512_sub_ps(*hi, b);
    return bf16_two(a, b);
}

/* The same in turns: element i of even in the lower half of dword i, that of odd in the upper. */
static inline __m512i bf16_split_turns(__m512 *even, __m512 *odd, size_t p) {
    const __m512 a = bf16_part(*even, p), b = bf16_part(*odd, p);
    *even = _mm512_sub_ps(*even, a);
    *odd = _mm512_sub_ps(*odd, b);
    return _mm512_or_si512(_mm512_srli_epi32(_mm512_castps_si512(a), 16), _mm512_castps_si512(b));
}

/* r[i][j] and r[j][i] change places: dwords, then pairs of them, then quarters of registers. */
static inline void transpose16(__m512i r[16]) {
    __m512i t[16];
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
    }
    for (int i = 0; i < 16; i += 4)
        for (int h = 0; h < 2; h++) {
            r[i + 2 * h] = _mm512_unpacklo_epi64(t[i + h], t[i + h + 2]);
            r[i + 2 * h + 1] = _mm512_unpackhi_epi64(t[i + h], t[i + h + 2]);
        }
    for (int i = 0; i < 4; i++) {
        t[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
        t[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
        t[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
    }
    for (int i = 0; i < 4; i++) {
        r[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
        r[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
        r[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88);
        r[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xdd);
    }
}

/* e^x by vexp's polynomial. Below -87.3 gives 0, far above 88 inf; NaN stays. */
static inline __m512 exp16(__m512 x) {
    /* max and min return their second operand when one is NaN */
    const __m512 y = _mm512_min_ps(_mm512_set1_ps(89.0f), _mm512_max_ps(_mm512_set1_ps(-87.3f), x));
    const __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(y, _mm512_set1_ps(1.44269504088896341f)), 0);
    const __m512 r = _mm512_fmadd_ps(n, _mm512_set1_ps(2.12194440e-4f), _mm512_fmadd_ps(n, _mm512_set1_ps(-0.693359375f), y));
    __m512 p = _mm512_set1_ps(1.9875691500e-4f);
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.3981999507e-3f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(8.3334519073e-3f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(4.1665795894e-2f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.6666665459e-1f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(5.0000001201e-1f));
    p = _mm512_fmadd_ps(p, _mm512_mul_ps(r, r), _mm512_add_ps(r, _mm512_set1_ps(1.0f)));
    return _mm512_maskz_scalef_ps(_mm512_cmp_ps_mask(x, _mm512_set1_ps(-87.3f), _CMP_NLT_UQ), p, n);
}

/* vexp.h's vtanh. */
static inline __m512 tanh16(__m512 x) {
    const __m512 a = _mm512_abs_ps(x), z = _mm512_mul_ps(x, x);
    __m512 p = _mm512_set1_ps(-5.70498872745e-3f);
    p = _mm512_fmadd_ps(p, z, _mm512_set1_ps(2.06390887954e-2f));
    p = _mm512_fmadd_ps(p, z, _mm512_set1_ps(-5.37397155531e-2f));
    p = _mm512_fmadd_ps(p, z, _mm512_set1_ps(1.33314422036e-1f));
    p = _mm512_fmadd_ps(p, z, _mm512_set1_ps(-3.33332819422e-1f));
    const __m512 near = _mm512_fmadd_ps(_mm512_mul_ps(p, z), x, x);
    const __m512 e = exp16(_mm512_add_ps(a, a)), one = _mm512_set1_ps(1.0f);
    const __m512 far = _mm512_sub_ps(one, _mm512_div_ps(_mm512_set1_ps(2.0f), _mm512_add_ps(e, one)));
    const __m512 sign = _mm512_and_ps(x, _mm512_set1_ps(-0.0f));
    return _mm512_mask_mov_ps(_mm512_or_ps(far, sign), _mm512_cmp_ps_mask(a, _mm512_set1_ps(0.625f), _CMP_LT_OQ), near);
}

#endif
