/* qdot_vnni: products of num/qdot.h with AVX-512 VNNI. A strip's numbers of a block are unpacked once for up to eight rows of x, whose int8
 * are broadcast four at a time. */
#include <immintrin.h>
#include <string.h>

#include "num/qdot_form.h"

/* A core alone does not ask for memory early enough: numbers are fetched this far ahead, which doubles the speed of a product with one row. */
#define FETCH_AHEAD 8192

#define INLINE static inline __attribute__((always_inline))

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

/* sum + the products of vectors [v, end) with x's 32 int8. */
INLINE __m512i dot(__m512i sum, const __m512i w[8], const int8_t *x, int v, int end) {
#pragma GCC unroll 8
    for (; v < end; v++) {
        int32_t four;
        memcpy(&four, x + 4 * v, sizeof four);
        sum = _mm512_dpbusd_epi32(sum, w[v], _mm512_set1_epi32(four));
    }
    return sum;
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

/* Rows [row, row + n); n and what follows it are constants in every caller. */
INLINE void rows(const struct qdot_task *t, size_t row, int n, int bits, enum qdot_factors kind, int offset, bool table) {
    const struct qdot_form form = {.bits = bits, .factors = kind};
    const size_t k = t->x->k, blocks = k / QDOT_BLOCK;
    const __mmask16 columns = (__mmask16)((1u << t->columns) - 1);
    const uint8_t *numbers = t->strip, *factors = t->strip + qdot_factors_at(&form, blocks);
    __m512 y[8];
#pragma GCC unroll 8
    for (int i = 0; i < n; i++)
        y[i] = t->init ? _mm512_maskz_loadu_ps(columns, t->init + (row + (size_t)i) * t->ld_init) : _mm512_setzero_ps();
    for (size_t b = 0; b < blocks; b++, numbers += qdot_block_bytes(bits)) {
        __m512i w[8];
#pragma GCC unroll 8
        for (size_t line = 0; line < qdot_block_bytes(bits); line += 64) _mm_prefetch((const char *)numbers + FETCH_AHEAD + line, _MM_HINT_T0);
        unpack(w, numbers, bits, table);
        const struct multipliers s = multipliers_of(factors + b / qdot_factor_blocks(kind) * qdot_factor_bytes(kind), b, kind);
#pragma GCC unroll 8
        for (int i = 0; i < n; i++) {
            const size_t at = (row + (size_t)i) * blocks + b;
            const int8_t *x = t->x->q + (row + (size_t)i) * k + b * QDOT_BLOCK;
            const int32_t *sum = t->x->sum + 2 * at;
            const __m512 factor = _mm512_set1_ps(t->x->factor[at]);
            const __m512i begin = _mm512_set1_epi32(-offset * (kind == QDOT_K16 ? sum[0] : sum[0] + sum[1]));
            const __m512i first = dot(begin, w, x, 0, kind == QDOT_K16 ? 4 : 8);
            y[i] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(first), _mm512_mul_ps(s.first, factor), y[i]);
            if (kind == QDOT_K16) {
                const __m512i second = dot(_mm512_set1_epi32(-offset * sum[1]), w, x, 4, 8);
                y[i] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(second), _mm512_mul_ps(s.second, factor), y[i]);
            }
            if (kind == QDOT_DM) y[i] = _mm512_fmadd_ps(s.minimum, _mm512_set1_ps(t->x->total[at]), y[i]);
            if (kind == QDOT_K) y[i] = _mm512_fnmadd_ps(s.minimum, _mm512_set1_ps(t->x->total[at]), y[i]);
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < n; i++) _mm512_mask_storeu_ps(t->y + (row + (size_t)i) * t->ldy, columns, y[i]);
}

INLINE void strip(const struct qdot_task *t, int bits, enum qdot_factors kind, int offset, bool table) {
    size_t row = 0;
    for (; row + 8 <= t->x->m; row += 8) rows(t, row, 8, bits, kind, offset, table);
    if (row + 4 <= t->x->m) rows(t, row, 4, bits, kind, offset, table), row += 4;
    if (row + 2 <= t->x->m) rows(t, row, 2, bits, kind, offset, table), row += 2;
    if (row + 1 <= t->x->m) rows(t, row, 1, bits, kind, offset, table);
}

/* As in qdot_forms. */
static void strip_q4_0(const struct qdot_task *t) { strip(t, 4, QDOT_D, 8, false); }
static void strip_q4_1(const struct qdot_task *t) { strip(t, 4, QDOT_DM, 0, false); }
static void strip_q5_0(const struct qdot_task *t) { strip(t, 5, QDOT_D, 16, false); }
static void strip_q5_1(const struct qdot_task *t) { strip(t, 5, QDOT_DM, 0, false); }
static void strip_q8_0(const struct qdot_task *t) { strip(t, 8, QDOT_D, 128, false); }
static void strip_q4_k(const struct qdot_task *t) { strip(t, 4, QDOT_K, 0, false); }
static void strip_q5_k(const struct qdot_task *t) { strip(t, 5, QDOT_K, 0, false); }
static void strip_q6_k(const struct qdot_task *t) { strip(t, 6, QDOT_K16, 32, false); }
static void strip_iq4_nl(const struct qdot_task *t) { strip(t, 4, QDOT_D, 128, true); }

qdot_kernel *const qdot_vnni_kernels[DTYPE_COUNT] = {
    [DTYPE_Q4_0] = strip_q4_0, [DTYPE_Q4_1] = strip_q4_1, [DTYPE_Q5_0] = strip_q5_0, [DTYPE_Q5_1] = strip_q5_1,
    [DTYPE_Q8_0] = strip_q8_0, [DTYPE_Q4_K] = strip_q4_k, [DTYPE_Q5_K] = strip_q5_k, [DTYPE_Q6_K] = strip_q6_k,
    [DTYPE_IQ4_NL] = strip_iq4_nl,
};
