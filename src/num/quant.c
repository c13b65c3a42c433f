#include "num/quant.h"

#include "num/quant_k.h"

#include <math.h>
#include <string.h>

/* The types of one level give gguf-py's bytes (gguf/quants.py, quantize_blocks): the reciprocal of the unrounded scale is taken once,
 * products and sums round apart. Where that reciprocal overflows (a block whose largest value is below 1e-37), gguf-py's result is not
 * defined; here such a block is 0. */

#define BLOCK 32

static float reciprocal(float d) {
    const float r = 1.0f / d;
    return isfinite(r) ? r : 0.0f;
}

static bool write_f32(uint8_t *out, const float *in, size_t count) {
    bool finite = true;
    memcpy(out, in, count * sizeof *in);
    for (size_t i = 0; i < count; i++) finite &= isfinite(in[i]) != 0;
    return finite;
}

static bool write_f16(uint8_t *out, const float *in, size_t count) {
    bool fits = true;
    for (size_t i = 0; i < count; i++) fits &= quant_put_half(out + 2 * i, in[i]);
    return fits;
}

static bool write_bf16(uint8_t *out, const float *in, size_t count) {
    bool fits = true;
    for (size_t i = 0; i < count; i++) {
        const uint16_t h = dtype_float_to_bf16(in[i]);
        memcpy(out + 2 * i, &h, sizeof h);
        fits &= (h & 0x7f80) != 0x7f80;
    }
    return fits;
}

/* The value of largest magnitude, the first of equals. */
static float extreme(const float *x) {
    float best = x[0];
    for (int j = 1; j < BLOCK; j++) {
        if (fabsf(x[j]) > fabsf(best)) best = x[j];
    }
    return best;
}

static bool block_is_finite(const float *x) {
    bool finite = true;
    for (int j = 0; j < BLOCK; j++) finite &= isfinite(x[j]) != 0;
    return finite;
}

/* q [32] = trunc((x - low) * inverse + shift), at most `top`. */
static void to_levels(uint8_t *restrict q, const float *restrict x, float low, float inverse, float shift, int top) {
    for (int j = 0; j < BLOCK; j++) {
        const int level = (int)((x[j] - low) * inverse + shift);
        q[j] = (uint8_t)(level < top ? level : top);
    }
}

static void put_nibbles(uint8_t *out, const uint8_t *q) {
    for (int j = 0; j < BLOCK / 2; j++) out[j] = (uint8_t)((q[j] & 15) | q[j + BLOCK / 2] << 4);
}

static void put_fifth_bits(uint8_t *out, const uint8_t *q) {
    uint32_t bits = 0;
    for (int j = 0; j < BLOCK; j++) bits |= (uint32_t)(q[j] >> 4) << j;
    memcpy(out, &bits, sizeof bits);
}

/* Q4_0 and Q5_0: d = the extreme / -half, so that the extreme takes the one level that has no opposite. */
static bool write_symmetric(uint8_t *out, const float *in, size_t count, int half, size_t bytes) {
    for (size_t b = 0; b < count / BLOCK; b++, in += BLOCK, out += bytes) {
        uint8_t q[BLOCK];
        const float d = extreme(in) / (float)-half;
        if (!block_is_finite(in) || !quant_put_half(out, d)) return false;
        to_levels(q, in, 0.0f, reciprocal(d), (float)half + 0.5f, 2 * half - 1);
        if (half == 16) put_fifth_bits(out + 2, q);
        put_nibbles(out + bytes - 16, q);
    }
    return true;
}
static bool write_q4_0(uint8_t *out, const float *in, size_t count) { return write_symmetric(out, in, count, 8, 18); }
static bool write_q5_0(uint8_t *out, const float *in, size_t count) { return write_symmetric(out, in, count, 16, 22); }

/* Q4_1 and Q5_1: from the least value in `top` equal steps to the largest. */
static bool write_affine(uint8_t *out, const float *in, size_t count, int top, size_t bytes) {
    for (size_t b = 0; b < count / BLOCK; b++, in += BLOCK, out += bytes) {
        uint8_t q[BLOCK];
        float low = in[0], high = in[0];
        for (int j = 1; j < BLOCK; j++) {
            low = in[j] < low ? in[j] : low;
            high = in[j] > high ? in[j] : high;
        }
        const float d = (high - low) / (float)top;
        if (!block_is_finite(in) || !quant_put_half(out, d) || !quant_put_half(out + 2, low)) return false;
        to_levels(q, in, low, reciprocal(d), 0.5f, top);
        if (top == 31) put_fifth_bits(out + 4, q);
        put_nibbles(out + bytes - 16, q);
    }
    return true;
}
static bool write_q4_1(uint8_t *out, const float *in, size_t count) { return write_affine(out, in, count, 15, 20); }
static bool write_q5_1(uint8_t *out, const float *in, size_t count) { return write_affine(out, in, count, 31, 24); }

/* Q8_0: d = the largest magnitude / 127, ties away from 0. */
static bool write_q8_0(uint8_t *out, const float *in, size_t count) {
    for (size_t b = 0; b < count / BLOCK; b++, in += BLOCK, out += 34) {
        const float d = fabsf(extreme(in)) / 127.0f, inverse = reciprocal(d);
        if (!block_is_finite(in) || !quant_put_half(out, d)) return false;
        for (int j = 0; j < BLOCK; j++) out[2 + j] = (uint8_t)(int8_t)roundf(in[j] * inverse);
    }
    return true;
}

struct quant_row_info {
    bool (*write)(uint8_t *out, const float *in, size_t count);
    enum dtype fallback; /* where the block is too long; F16 where that one's is too */
};
static const struct quant_row_info quant_table[DTYPE_COUNT] = {
    [DTYPE_F32] = {write_f32, DTYPE_F32},          [DTYPE_F16] = {write_f16, DTYPE_F16},
    [DTYPE_BF16] = {write_bf16, DTYPE_BF16},       [DTYPE_Q4_0] = {write_q4_0, DTYPE_F16},
    [DTYPE_Q4_1] = {write_q4_1, DTYPE_F16},        [DTYPE_Q5_0] = {write_q5_0, DTYPE_F16},
    [DTYPE_Q5_1] = {write_q5_1, DTYPE_F16},        [DTYPE_Q8_0] = {write_q8_0, DTYPE_F16},
    [DTYPE_Q2_K] = {quant_write_q2_k, DTYPE_Q4_0}, [DTYPE_Q3_K] = {quant_write_q3_k, DTYPE_Q4_0},
    [DTYPE_Q4_K] = {quant_write_q4_k, DTYPE_Q5_0}, [DTYPE_Q5_K] = {quant_write_q5_k, DTYPE_Q5_1},
    [DTYPE_Q6_K] = {quant_write_q6_k, DTYPE_Q8_0}, [DTYPE_IQ4_NL] = {NULL, DTYPE_F16},
    [DTYPE_IQ4_XS] = {NULL, DTYPE_IQ4_NL},
};

bool quant_writes(enum dtype type) { return quant_table[type].write != NULL; }
bool quant_can(enum dtype type, size_t cols) { return quant_writes(type) && dtype_row_bytes(type, cols) != 0; }

bool quant_row(void *out, const float *in, enum dtype type, size_t count) {
    CHECK(quant_can(type, count));
    return quant_table[type].write(out, in, count);
}

enum dtype quant_fallback(enum dtype wanted, size_t cols) {
    if (cols % dtype_table[wanted].block == 0) return wanted;
    const enum dtype next = quant_table[wanted].fallback;
    return cols % dtype_table[next].block == 0 ? next : DTYPE_F16;
}
