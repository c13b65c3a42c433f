/* qdot_form: the blocks of each type taken apart. Layouts as in num/dtype.c and num/dtype_k.c, after ggml-common.h. */
#include "num/qdot_form.h"

#include "num/dtype_k.h"
#include "num/dtype_lanes.h"

static void put32(uint8_t *q, __m256i x) { _mm256_storeu_si256((__m256i *)(void *)q, x); }

static void split_q4_0(uint8_t *q, struct qdot_scales *s, const uint8_t *at) {
    memcpy(s->d, at, 2);
    put32(q, nibbles32(at + 2));
}

static void split_q4_1(uint8_t *q, struct qdot_scales *s, const uint8_t *at) {
    memcpy(s->d, at, 2);
    memcpy(s->m, at + 2, 2);
    put32(q, nibbles32(at + 4));
}

static void split_q5_0(uint8_t *q, struct qdot_scales *s, const uint8_t *at) {
    memcpy(s->d, at, 2);
    put32(q, _mm256_or_si256(nibbles32(at + 6), fifths32(at + 2)));
}

static void split_q5_1(uint8_t *q, struct qdot_scales *s, const uint8_t *at) {
    memcpy(s->d, at, 2);
    memcpy(s->m, at + 2, 2);
    put32(q, _mm256_or_si256(nibbles32(at + 8), fifths32(at + 4)));
}

static void split_q8_0(uint8_t *q, struct qdot_scales *s, const uint8_t *at) {
    memcpy(s->d, at, 2);
    put32(q, _mm256_xor_si256(load32(at + 2), bytes32(128)));
}

static void split_q4_k(uint8_t *q, struct qdot_scales *s, const uint8_t *at) {
    memcpy(s->d, at, 2);
    memcpy(s->m, at + 2, 2);
    dtype_k_scales(s->scale, s->min, at + 4);
    for (int g = 0; g < 4; g++) {
        const __m256i packed = load32(at + 16 + 32 * g);
        put32(q + 64 * g, bits32(packed, 0, 15));
        put32(q + 64 * g + 32, bits32(packed, 4, 15));
    }
}

static void split_q5_k(uint8_t *q, struct qdot_scales *s, const uint8_t *at) {
    memcpy(s->d, at, 2);
    memcpy(s->m, at + 2, 2);
    dtype_k_scales(s->scale, s->min, at + 4);
    const __m256i fifth = load32(at + 16);
    for (int g = 0; g < 4; g++) {
        const __m256i packed = load32(at + 48 + 32 * g);
        put32(q + 64 * g, _mm256_or_si256(bits32(packed, 0, 15), shifted_up(bits32(fifth, 2 * g, 1), 4)));
        put32(q + 64 * g + 32, _mm256_or_si256(bits32(packed, 4, 15), shifted_up(bits32(fifth, 2 * g + 1, 1), 4)));
    }
}

static void split_q6_k(uint8_t *q, struct qdot_scales *s, const uint8_t *at) {
    memcpy(s->d, at + 208, 2);
    memcpy(s->scale, at + 192, 16);
    for (int h = 0; h < 2; h++) {
        const __m256i high = load32(at + 128 + 32 * h);
        for (int k = 0; k < 4; k++) {
            const __m256i low = bits32(load32(at + 64 * h + 32 * (k % 2)), 4 * (k / 2), 15);
            put32(q + 128 * h + 32 * k, _mm256_or_si256(low, shifted_up(bits32(high, 2 * k, 3), 4)));
        }
    }
}

const uint8_t qdot_iq4[16] = {1, 24, 45, 63, 79, 93, 106, 118, 129, 141, 153, 166, 181, 197, 217, 241};

const struct qdot_form qdot_forms[DTYPE_COUNT] = {
    [DTYPE_Q4_0] = {4, QDOT_D, 8, false, split_q4_0},    [DTYPE_Q4_1] = {4, QDOT_DM, 0, false, split_q4_1},
    [DTYPE_Q5_0] = {5, QDOT_D, 16, false, split_q5_0},   [DTYPE_Q5_1] = {5, QDOT_DM, 0, false, split_q5_1},
    [DTYPE_Q8_0] = {8, QDOT_D, 128, false, split_q8_0},  [DTYPE_Q4_K] = {4, QDOT_K, 0, false, split_q4_k},
    [DTYPE_Q5_K] = {5, QDOT_K, 0, false, split_q5_k},    [DTYPE_Q6_K] = {6, QDOT_K16, 32, false, split_q6_k},
    [DTYPE_IQ4_NL] = {4, QDOT_D, 128, true, split_q4_0},
};
