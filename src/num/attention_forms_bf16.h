/* attention_forms_bf16: the layouts of attention_tiles_kernel.h where elements are bf16, or sums of three. */
#ifndef RAPT_NUM_ATTENTION_FORMS_BF16_H
#define RAPT_NUM_ATTENTION_FORMS_BF16_H

#include "num/attention_tiles.h"
#include "num/gemm_tiles.h"
#include "num/lanes16.h"

/* Columns [j, j + 16) of a row of an a operand, j a multiple of 16: what `planes` keep of x. Returns what one loses. */
static inline __m512 store_planes(uint16_t *row, size_t j, __m512 x, size_t planes) {
    uint16_t *at = row + j / 32 * 32 * planes + j % 32;
    for (size_t p = 0; p + 1 < planes; p++, at += 32) {
        const __m512 part = bf16_part(x, p);
        bf16_store(at, part);
        x = _mm512_sub_ps(x, part);
    }
    bf16_store(at, x);
    return planes == 1 ? _mm512_sub_ps(x, bf16_load(at)) : x;
}

/* left: what rounding to bf16 lost, itself in bf16; may be NULL. */
static void to_rows(uint16_t *out, uint16_t *left, const float *in, size_t stride, size_t count, size_t d, size_t dp, size_t planes) {
    for (size_t r = 0; r < ATTENTION_BLOCK; r++)
        for (size_t j = 0; j < dp; j += 16) {
            const __mmask16 mask = (__mmask16)(r >= count || j >= d ? 0u : d - j >= 16 ? 0xffffu : (1u << (d - j)) - 1);
            const __m512 lost = store_planes(out + r * dp * planes, j, _mm512_maskz_loadu_ps(mask, in + r * stride + j), planes);
            if (left) bf16_store(left + r * dp + j, lost);
        }
}

static void to_across(uint16_t *out, const uint16_t *rows, size_t dp, size_t planes) {
    for (size_t half = 0; half < 2; half++)
        for (size_t step = 0; step < dp / 32 * planes; step++, out += 512) {
            __m512i r[16];
            for (size_t i = 0; i < 16; i++) r[i] = _mm512_loadu_si512(rows + (half * 16 + i) * dp * planes + step * 32);
            transpose16(r);
            for (size_t i = 0; i < 16; i++) _mm512_storeu_si512(out + i * 32, r[i]);
        }
}

static void to_along(uint16_t *out, const uint16_t *rows, size_t dp, size_t planes) {
    const size_t ld = dp * planes;
    for (size_t tile = 0; tile < dp / 16; tile++)
        for (size_t p = 0; p < planes; p++)
            for (size_t pair = 0; pair < 16; pair++, out += 32) {
                const uint16_t *even = rows + 2 * pair * ld + (tile / 2 * planes + p) * 32 + tile % 2 * 16;
                const __m512i low = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)even));
                const __m512i high = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)(even + ld)));
                _mm512_storeu_si512(out, _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
            }
}

/* out[32][32]: the transpose of a block of 32 rows `ld` elements apart. */
static void turn_block(uint16_t *out, const uint16_t *in, size_t ld, size_t planes) {
    uint16_t order[2][32]; /* the lower halves of 16 dwords and 16 more, the upper halves */
    for (uint16_t i = 0; i < 32; i++) order[0][i] = (uint16_t)(2 * i), order[1][i] = (uint16_t)(2 * i + 1);
    const __m512i even = _mm512_loadu_si512(order[0]), odd = _mm512_loadu_si512(order[1]);
    for (size_t p = 0; p < planes; p++, in += 32, out += 32) {
        __m512i lo[16], hi[16];
        for (size_t i = 0; i < 16; i++)
            lo[i] = _mm512_loadu_si512(in + i * ld * planes), hi[i] = _mm512_loadu_si512(in + (16 + i) * ld * planes);
        transpose16(lo);
        transpose16(hi);
        for (size_t i = 0; i < 16; i++) {
            _mm512_storeu_si512(out + 2 * i * ATTENTION_BLOCK * planes, _mm512_permutex2var_epi16(lo[i], even, hi[i]));
            _mm512_storeu_si512(out + (2 * i + 1) * ATTENTION_BLOCK * planes, _mm512_permutex2var_epi16(lo[i], odd, hi[i]));
        }
    }
}

#endif
