#include "num/dtype_k.h"

#include "num/dtype_lanes.h"

/* The formulas are gguf-py's (gguf/quants.py), each operation rounded to float once and never fused, so that every result is equal to its
 * to the last bit; the block layouts are ggml's (ggml-common.h). A block has one or two half-precision factors, small integer scales, one
 * for each 16 or 32 elements, that multiply them, and the packed numbers q: Q2_K, Q4_K, Q5_K    x = (d * scale) * q - (dmin * min) Q3_K,
 * Q6_K, IQ4_XS  x = (d * scale) * q Bytes are taken 32 at a time; byte l of such a group always belongs to element l of some 32 elements in
 * a row. */

/* Q2_K: 16 bytes, a scale in the low and a minimum in the high nibble; 64 bytes of four 2-bit numbers; f16 d, f16 dmin.
 * Bits 2s and 2s + 1 of byte 32h + l are element 128h + 32s + l. */
void dtype_expand_q2_k(float *restrict out, const void *in, size_t count) {
    const uint8_t *at = in;
    for (size_t b = 0; b < count / K_BLOCK; b++, at += Q2_K_BYTES) {
        const uint8_t *scale = at;
        const float d = half_at(at + 80), dmin = half_at(at + 82);
        for (int h = 0; h < 2; h++) {
            const __m256i packed = load32(at + 16 + 32 * h);
            for (int s = 0; s < 4; s++, scale += 2, out += 32) {
                const __m256i q = bits32(packed, 2 * s, 3);
                put16_affine(out, low16(q), d * (float)(scale[0] & 15), dmin * (float)(scale[0] >> 4));
                put16_affine(out + 16, high16(q), d * (float)(scale[1] & 15), dmin * (float)(scale[1] >> 4));
            }
        }
    }
}

/* Q3_K's sixteen 6-bit scales: low nibbles of scales 0 to 7 and 8 to 15 in the nibbles of eight bytes; two high bits of scale i in byte
 * 8 + i % 4, at 2 * (i / 4). They are stored with 32 added. */
static void q3_scales(float *scale, const uint8_t *packed, float d) {
    for (int i = 0; i < 16; i++) {
        const int low = packed[i % 8] >> 4 * (i / 8) & 15, high = packed[8 + i % 4] >> 2 * (i / 4) & 3;
        scale[i] = d * (float)((low | high << 4) - 32);
    }
}

/* Q3_K: 32 bytes of third bits, 64 bytes of low bits laid out as Q2_K's, 12 bytes of scales, f16 d.
 * Bit 4h + s of byte l belongs to element 128h + 32s + l; a third bit that is *not* set subtracts 4. */
void dtype_expand_q3_k(float *restrict out, const void *in, size_t count) {
    const uint8_t *at = in;
    for (size_t b = 0; b < count / K_BLOCK; b++, at += Q3_K_BYTES) {
        float scale[16];
        q3_scales(scale, at + 96, half_at(at + 108));
        const __m256i third = load32(at);
        for (int h = 0; h < 2; h++) {
            const __m256i packed = load32(at + 32 + 32 * h);
            for (int s = 0; s < 4; s++, out += 32) {
                const __m256i unset = _mm256_andnot_si256(bits32(third, 4 * h + s, 1), bytes32(1));
                const __m256i q = _mm256_sub_epi8(bits32(packed, 2 * s, 3), shifted_up(unset, 2));
                put16(out, low16(q), scale[8 * h + 2 * s]);
                put16(out + 16, high16(q), scale[8 * h + 2 * s + 1]);
            }
        }
    }
}

/* Bytes 0 to 3: scales 0 to 3 in six bits; bytes 4 to 7: minima 0 to 3. Bytes 8 to 11: low nibbles of scales (low) and minima (high) 4 to
 * 7, whose two high bits are the two high bits of bytes 0 to 3 and 4 to 7. */
void dtype_k_scales(uint8_t scale[8], uint8_t min[8], const uint8_t packed[K_SCALE_BYTES]) {
    for (int i = 0; i < 4; i++) {
        scale[i] = packed[i] & 63;
        min[i] = packed[4 + i] & 63;
        scale[4 + i] = (uint8_t)((packed[8 + i] & 15) | (packed[i] >> 6) << 4);
        min[4 + i] = (uint8_t)(packed[8 + i] >> 4 | (packed[4 + i] >> 6) << 4);
    }
}

/* 64 elements of Q4_K and Q5_K: q of the first 32 with scale and minimum 0, q of the second with 1. */
static void put64_affine(float *out, __m256i first, __m256i second, const uint8_t *scale, const uint8_t *min, float d, float dmin) {
    const float d0 = d * (float)scale[0], m0 = dmin * (float)min[0], d1 = d * (float)scale[1], m1 = dmin * (float)min[1];
    put16_affine(out, low16(first), d0, m0);
    put16_affine(out + 16, high16(first), d0, m0);
    put16_affine(out + 32, low16(second), d1, m1);
    put16_affine(out + 48, high16(second), d1, m1);
}

/* Q4_K: f16 d, f16 dmin, 12 bytes of scales, 128 bytes: the low nibble of byte 32g + l is element 64g + l, the high one 64g + 32 + l. */
void dtype_expand_q4_k(float *restrict out, const void *in, size_t count) {
    const uint8_t *at = in;
    for (size_t b = 0; b < count / K_BLOCK; b++, at += Q4_K_BYTES) {
        uint8_t scale[8], min[8];
        dtype_k_scales(scale, min, at + 4);
        const float d = half_at(at), dmin = half_at(at + 2);
        for (int g = 0; g < 4; g++, out += 64) {
            const __m256i packed = load32(at + 16 + 32 * g);
            put64_affine(out, bits32(packed, 0, 15), bits32(packed, 4, 15), scale + 2 * g, min + 2 * g, d, dmin);
        }
    }
}

/* Q5_K: f16 d, f16 dmin, 12 bytes of scales, 32 bytes of fifth bits, 128 bytes of nibbles laid out as Q4_K's. Bit i of byte l of the fifth
 * bits belongs to element 32i + l. */
void dtype_expand_q5_k(float *restrict out, const void *in, size_t count) {
    const uint8_t *at = in;
    for (size_t b = 0; b < count / K_BLOCK; b++, at += Q5_K_BYTES) {
        uint8_t scale[8], min[8];
        dtype_k_scales(scale, min, at + 4);
        const float d = half_at(at), dmin = half_at(at + 2);
        const __m256i fifth = load32(at + 16);
        for (int g = 0; g < 4; g++, out += 64) {
            const __m256i packed = load32(at + 48 + 32 * g);
            const __m256i first = _mm256_or_si256(bits32(packed, 0, 15), shifted_up(bits32(fifth, 2 * g, 1), 4));
            const __m256i second = _mm256_or_si256(bits32(packed, 4, 15), shifted_up(bits32(fifth, 2 * g + 1, 1), 4));
            put64_affine(out, first, second, scale + 2 * g, min + 2 * g, d, dmin);
        }
    }
}

/* Q6_K: 128 bytes of low nibbles, 64 bytes of two high bits, 16 signed scales, f16 d; q has 32 added. Element 128h + 32k + l: the nibble of
 * byte 64h + 32 (k % 2) + l, low for k < 2, and bits 2k, 2k + 1 of byte 32h + l of the high bits. */
void dtype_expand_q6_k(float *restrict out, const void *in, size_t count) {
    const uint8_t *at = in;
    for (size_t b = 0; b < count / K_BLOCK; b++, at += Q6_K_BYTES) {
        const uint8_t *scale = at + 192;
        const float d = half_at(at + 208);
        for (int h = 0; h < 2; h++) {
            const __m256i high = load32(at + 128 + 32 * h);
            for (int k = 0; k < 4; k++, scale += 2, out += 32) {
                const __m256i low = bits32(load32(at + 64 * h + 32 * (k % 2)), 4 * (k / 2), 15);
                const __m256i q = _mm256_sub_epi8(_mm256_or_si256(low, shifted_up(bits32(high, 2 * k, 3), 4)), bytes32(32));
                put16(out, low16(q), d * (float)(int8_t)scale[0]);
                put16(out + 16, high16(q), d * (float)(int8_t)scale[1]);
            }
        }
    }
}

/* What the sixteen numbers of IQ4_NL and IQ4_XS stand for (kvalues_iq4nl). */
static __m128i iq4_values(__m128i index) {
    return _mm_shuffle_epi8(_mm_setr_epi8(-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113), index);
}

/* 32 elements from 16 bytes: low nibbles, then high nibbles. */
static void put32_iq4(float *out, const uint8_t *at, float d) {
    const __m256i index = nibbles32(at);
    put16(out, iq4_values(low16(index)), d);
    put16(out + 16, iq4_values(high16(index)), d);
}

/* IQ4_NL: f16 d, 16 bytes, 32 elements. */
void dtype_expand_iq4_nl(float *restrict out, const void *in, size_t count) {
    const uint8_t *at = in;
    for (size_t b = 0; b < count / 32; b++, at += IQ4_NL_BYTES, out += 32) put32_iq4(out, at + 2, half_at(at));
}

/* IQ4_XS: f16 d, two bytes of high bits of the eight scales, two for each, four bytes of their low nibbles, 8 times 16 bytes. The scales
 * are stored with 32 added. */
void dtype_expand_iq4_xs(float *restrict out, const void *in, size_t count) {
    const uint8_t *at = in;
    for (size_t b = 0; b < count / K_BLOCK; b++, at += IQ4_XS_BYTES) {
        const float d = half_at(at);
        const int high = at[2] | at[3] << 8;
        for (int i = 0; i < 8; i++, out += 32) {
            const int low = at[4 + i / 2] >> 4 * (i % 2) & 15;
            put32_iq4(out, at + 8 + 16 * i, d * (float)((low | (high >> 2 * i & 3) << 4) - 32));
        }
    }
}
