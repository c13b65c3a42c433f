/* attention_forms_fp32: the layouts of attention_tiles_kernel.h where elements are floats as they are (GEMM_TILES_WHOLE), each in the place
 * of two uint16_t. */
#ifndef RAPT_NUM_ATTENTION_FORMS_FP32_H
#define RAPT_NUM_ATTENTION_FORMS_FP32_H

#include <string.h>

#include "num/attention_tiles.h"
#include "num/gemm_tiles.h"
#include "num/lanes16.h"

static inline float *floats_at(uint16_t *x) { return (float *)(void *)x; }
static inline const float *floats_of(const uint16_t *x) { return (const float *)(const void *)x; }

/* Columns [j, j + 16) of a row of an a operand. Nothing is lost. */
static inline __m512 store_planes(uint16_t *row, size_t j, __m512 x, size_t planes) {
    (void)planes;
    _mm512_storeu_ps(floats_at(row) + j, x);
    return _mm512_setzero_ps();
}

static void to_rows(uint16_t *out, uint16_t *left, const float *in, size_t stride, size_t count, size_t d, size_t dp, size_t planes) {
    CHECK(!left && planes == GEMM_TILES_WHOLE);
    float *to = floats_at(out);
    for (size_t r = 0; r < ATTENTION_BLOCK; r++, to += dp) {
        const size_t there = r < count ? d : 0;
        if (there) memcpy(to, in + r * stride, there * sizeof *to);
        memset(to + there, 0, (dp - there) * sizeof *to);
    }
}

/* 16 columns of 16 rows `ld` apart to rows of 16. */
static inline void turn16(float *out, size_t ldo, const float *in, size_t ld) {
    __m512i r[16];
    for (size_t i = 0; i < 16; i++) r[i] = _mm512_loadu_si512(in + i * ld);
    transpose16(r);
    for (size_t i = 0; i < 16; i++) _mm512_storeu_si512(out + i * ldo, r[i]);
}

static void to_across(uint16_t *out, const uint16_t *rows, size_t dp, size_t planes) {
    (void)planes;
    float *to = floats_at(out);
    for (size_t half = 0; half < 2; half++)
        for (size_t k = 0; k < dp; k += 16, to += 256) turn16(to, 16, floats_of(rows) + half * 16 * dp + k, dp);
}

static void to_along(uint16_t *out, const uint16_t *rows, size_t dp, size_t planes) {
    (void)planes;
    float *to = floats_at(out);
    for (size_t j = 0; j < dp; j += 16)
        for (size_t r = 0; r < ATTENTION_BLOCK; r++, to += 16) _mm512_storeu_ps(to, _mm512_loadu_ps(floats_of(rows) + r * dp + j));
}

/* out[32][32]: the transpose of a block of 32 rows `ld` elements apart. */
static void turn_block(uint16_t *out, const uint16_t *in, size_t ld, size_t planes) {
    (void)planes;
    for (size_t i = 0; i < ATTENTION_BLOCK; i += 16)
        for (size_t j = 0; j < ATTENTION_BLOCK; j += 16)
            turn16(floats_at(out) + j * ATTENTION_BLOCK + i, ATTENTION_BLOCK, floats_of(in) + i * ld + j, ld);
}

#endif
