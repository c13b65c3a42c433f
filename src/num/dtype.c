#include "num/dtype.h"

#include "num/dtype_k.h"
#include "num/dtype_lanes.h"

#include <immintrin.h>
#include <string.h>
#include <strings.h>

/* Every formula here is gguf-py's (gguf/quants.py, *_blocks): each operation rounds to float once, so that results are equal to the
 * last bit. The block layouts are ggml's (ggml-common.h). Input may be unaligned: all loads go through memcpy or loadu. */

#define BLOCK 32

float dtype_half_to_float(uint16_t h) { return _cvtsh_ss(h); }
uint16_t dtype_float_to_half(float f) { return _cvtss_sh(f, _MM_FROUND_TO_NEAREST_INT); }

static void expand_f32(float *out, const void *in, size_t count) { memcpy(out, in, count * sizeof *out); }

static void expand_f16(float *out, const void *in, size_t count) {
    const uint8_t *at = in;
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        __m128i halves;
        memcpy(&halves, at + 2 * i, sizeof halves);
        _mm256_storeu_ps(out + i, _mm256_cvtph_ps(halves));
    }
    for (; i < count; i++) out[i] = half_at(at + 2 * i);
}

static void expand_bf16(float *out, const void *in, size_t count) {
    const uint8_t *at = in;
    for (size_t i = 0; i < count; i++) {
        uint16_t h;
        memcpy(&h, at + 2 * i, sizeof h);
        uint32_t bits = (uint32_t)h << 16;
        memcpy(out + i, &bits, sizeof bits);
    }
}

/* 32 elements: d * q, or d * q + m */
static void put32(float *out, __m256i q, float d) {
    put16(out, low16(q), d);
    put16(out + 16, high16(q), d);
}
static void put32_plus(float *out, __m256i q, float d, float m) {
    put16_affine(out, low16(q), d, -m);
    put16_affine(out + 16, high16(q), d, -m);
}

/* Q4_0: f16 d, 16 bytes: byte j holds element j in its low and element j + 16 in its high nibble. x = d * (q - 8) */
static void expand_q4_0(float *restrict out, const void *in, size_t count) {
    const uint8_t *at = in;
    for (size_t b = 0; b < count / BLOCK; b++, at += 18, out += BLOCK) {
        put32(out, _mm256_sub_epi8(nibbles32(at + 2), bytes32(8)), half_at(at));
    }
}

/* Q4_1: f16 d, f16 m, nibbles as Q4_0. x = d * q + m, product and sum rounded apart */
static void expand_q4_1(float *restrict out, const void *in, size_t count) {
    const uint8_t *at = in;
    for (size_t b = 0; b < count / BLOCK; b++, at += 20, out += BLOCK) put32_plus(out, nibbles32(at + 4), half_at(at), half_at(at + 2));
}

/* Q5_0: f16 d, 4 bytes of fifth bits, nibbles. x = d * (q - 16) */
static void expand_q5_0(float *restrict out, const void *in, size_t count) {
    const uint8_t *at = in;
    for (size_t b = 0; b < count / BLOCK; b++, at += 22, out += BLOCK) {
        const __m256i q = _mm256_or_si256(nibbles32(at + 6), fifths32(at + 2));
        put32(out, _mm256_sub_epi8(q, bytes32(16)), half_at(at));
    }
}

/* Q5_1: f16 d, f16 m, 4 bytes of fifth bits, nibbles. x = d * q + m */
static void expand_q5_1(float *restrict out, const void *in, size_t count) {
    const uint8_t *at = in;
    for (size_t b = 0; b < count / BLOCK; b++, at += 24, out += BLOCK) {
        put32_plus(out, _mm256_or_si256(nibbles32(at + 8), fifths32(at + 4)), half_at(at), half_at(at + 2));
    }
}

/* Q8_0: f16 d, 32 signed bytes. x = q * d */
static void expand_q8_0(float *restrict out, const void *in, size_t count) {
    const uint8_t *at = in;
    for (size_t b = 0; b < count / BLOCK; b++, at += 34, out += BLOCK) put32(out, load32(at + 2), half_at(at));
}

const struct dtype_info dtype_table[DTYPE_COUNT] = {
    [DTYPE_F32] = {"F32", 0, "F32", 1, 4, expand_f32, 0, {0}},
    [DTYPE_F16] = {"F16", 1, "F16", 1, 2, expand_f16, 0, {0}},
    [DTYPE_BF16] = {"BF16", 30, "BF16", 1, 2, expand_bf16, 0, {0}},
    [DTYPE_Q4_0] = {"Q4_0", 2, NULL, BLOCK, 18, expand_q4_0, 1, {0}},
    [DTYPE_Q4_1] = {"Q4_1", 3, NULL, BLOCK, 20, expand_q4_1, 2, {0, 2}},
    [DTYPE_Q5_0] = {"Q5_0", 6, NULL, BLOCK, 22, expand_q5_0, 1, {0}},
    [DTYPE_Q5_1] = {"Q5_1", 7, NULL, BLOCK, 24, expand_q5_1, 2, {0, 2}},
    [DTYPE_Q8_0] = {"Q8_0", 8, NULL, BLOCK, 34, expand_q8_0, 1, {0}},
    [DTYPE_Q2_K] = {"Q2_K", 10, NULL, K_BLOCK, Q2_K_BYTES, dtype_expand_q2_k, 2, {80, 82}},
    [DTYPE_Q3_K] = {"Q3_K", 11, NULL, K_BLOCK, Q3_K_BYTES, dtype_expand_q3_k, 1, {108}},
    [DTYPE_Q4_K] = {"Q4_K", 12, NULL, K_BLOCK, Q4_K_BYTES, dtype_expand_q4_k, 2, {0, 2}},
    [DTYPE_Q5_K] = {"Q5_K", 13, NULL, K_BLOCK, Q5_K_BYTES, dtype_expand_q5_k, 2, {0, 2}},
    [DTYPE_Q6_K] = {"Q6_K", 14, NULL, K_BLOCK, Q6_K_BYTES, dtype_expand_q6_k, 1, {208}},
    [DTYPE_IQ4_NL] = {"IQ4_NL", 20, NULL, BLOCK, IQ4_NL_BYTES, dtype_expand_iq4_nl, 1, {0}},
    [DTYPE_IQ4_XS] = {"IQ4_XS", 23, NULL, K_BLOCK, IQ4_XS_BYTES, dtype_expand_iq4_xs, 1, {0}},
};

size_t dtype_row_bytes(enum dtype type, size_t cols) {
    const struct dtype_info *info = &dtype_table[type];
    size_t bytes;
    if (cols % info->block != 0 || !size_mul(&bytes, cols / info->block, info->block_bytes)) return 0;
    return bytes;
}

bool dtype_from_gguf(enum dtype *out, uint32_t code) {
    for (int i = 0; i < DTYPE_COUNT; i++) {
        if ((uint32_t)dtype_table[i].gguf_code == code) {
            *out = (enum dtype)i;
            return true;
        }
    }
    return false;
}

bool dtype_from_safetensors(enum dtype *out, const char *name, size_t size) {
    for (int i = 0; i < DTYPE_COUNT; i++) {
        const char *own = dtype_table[i].safetensors;
        if (own && strlen(own) == size && memcmp(own, name, size) == 0) {
            *out = (enum dtype)i;
            return true;
        }
    }
    return false;
}

bool dtype_from_name(enum dtype *out, const char *name) {
    for (int i = 0; i < DTYPE_COUNT; i++) {
        if (strcasecmp(dtype_table[i].name, name) == 0) {
            *out = (enum dtype)i;
            return true;
        }
    }
    return false;
}

void dtype_list(struct buf *out, bool (*has)(enum dtype type)) {
    const char *last = NULL; /* held back until it is known whether it is the last */
    size_t listed = 0;
    for (int i = 0; i < DTYPE_COUNT; i++) {
        if (has && !has((enum dtype)i)) continue;
        if (last) buf_printf(out, "%s%s", listed++ > 0 ? ", " : "", last);
        last = dtype_table[i].name;
    }
    if (last) buf_printf(out, "%s%s", listed > 0 ? " and " : "", last);
}
