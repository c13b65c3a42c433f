/* qdot_vnni: products of num/qdot.h with AVX-512 VNNI. A strip's numbers of a block are unpacked once for up to eight rows of x, whose int8
 * are broadcast four at a time. */
#include <string.h>

#include "num/qdot_lanes.h"

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
        fetch_ahead(numbers, bits);
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
    size_t row = t->from;
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
    [DTYPE_Q4_0] = strip_q4_0, [DTYPE_Q4_1] = strip_q4_1, [DTYPE_Q5_0] = strip_q5_0,
    [DTYPE_Q5_1] = strip_q5_1, [DTYPE_Q8_0] = strip_q8_0, [DTYPE_Q4_K] = strip_q4_k,
    [DTYPE_Q5_K] = strip_q5_k, [DTYPE_Q6_K] = strip_q6_k, [DTYPE_IQ4_NL] = strip_iq4_nl,
};
