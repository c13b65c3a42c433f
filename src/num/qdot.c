#include "num/qdot.h"

#include <immintrin.h>
#include <omp.h>
#include <string.h>

#include "num/cpu.h"
#include "num/qdot_form.h"

bool qdot_takes(enum dtype type) { return qdot_forms[type].bits != 0; }

static size_t strips_of(size_t n) { return (n + QDOT_ROWS - 1) / QDOT_ROWS; }

size_t qdot_bytes(enum dtype type, size_t n, size_t k) {
    size_t bytes, all;
    if (!qdot_takes(type) || k % dtype_table[type].block || !size_mul(&all, k, 64) || n > SIZE_MAX - QDOT_ROWS ||
        !size_mul(&bytes, strips_of(n), qdot_strip_bytes(&qdot_forms[type], k / QDOT_BLOCK)))
        return 0;
    return bytes;
}

/* 32 numbers of row r into its block's vectors. */
static void put_numbers(uint8_t *block, const uint8_t *q, size_t r, int bits) {
    uint32_t word[8], out;
    memcpy(word, q, sizeof word);
    for (size_t v = 0; v < 8 && bits == 8; v++) memcpy(block + 64 * v + 4 * r, &word[v], 4);
    if (bits == 8) return;
    for (size_t j = 0; j < 4; j++) {
        out = (word[j] & 0x0f0f0f0fu) | (word[4 + j] & 0x0f0f0f0fu) << 4;
        memcpy(block + 64 * j + 4 * r, &out, 4);
    }
    if (bits == 5) {
        out = 0;
        for (size_t v = 0; v < 8; v++) out |= (word[v] >> 4 & 0x01010101u) << v;
        memcpy(block + 256 + 4 * r, &out, 4);
    }
    for (size_t p = 0; p < 2 && bits == 6; p++) {
        out = 0;
        for (size_t f = 0; f < 4; f++) out |= (word[4 * p + f] >> 4 & 0x03030303u) << 2 * f;
        memcpy(block + 256 + 64 * p + 4 * r, &out, 4);
    }
}

static void put_factors(uint8_t *at, const struct qdot_scales *s, size_t r, enum qdot_factors kind) {
    memcpy(at + 2 * r, s->d, 2);
    if (kind == QDOT_D) return;
    if (kind != QDOT_K16) memcpy(at + 32 + 2 * r, s->m, 2);
    if (kind == QDOT_DM) return;
    at += kind == QDOT_K ? 64 : 32;
    for (size_t b = 0; b < 8; b++, at += 32) {
        at[r] = s->scale[kind == QDOT_K ? b : 2 * b];
        at[16 + r] = kind == QDOT_K ? s->min[b] : s->scale[2 * b + 1];
    }
}

static void pack_row(uint8_t *strip, const uint8_t *row, size_t r, size_t k, enum dtype type) {
    const struct qdot_form *f = &qdot_forms[type];
    const size_t step = dtype_table[type].block;
    uint8_t *numbers = strip, *factors = strip + qdot_factors_at(f, k / QDOT_BLOCK);
    for (size_t at = 0; at < k; at += step, row += dtype_table[type].block_bytes, factors += qdot_factor_bytes(f->factors)) {
        _Alignas(32) uint8_t q[256];
        struct qdot_scales s;
        f->split(q, &s, row);
        for (size_t b = 0; b < step; b += QDOT_BLOCK, numbers += qdot_block_bytes(f->bits)) put_numbers(numbers, q + b, r, f->bits);
        put_factors(factors, &s, r, f->factors);
    }
}

void qdot_pack(struct qdot *w, void *memory, enum dtype type, qdot_row *row, const void *source, size_t n, size_t k) {
    *w = (struct qdot){.type = type, .n = n, .k = k, .data = memory};
    const size_t bytes = qdot_strip_bytes(&qdot_forms[type], k / QDOT_BLOCK);
#pragma omp parallel for schedule(static)
    for (size_t s = 0; s < strips_of(n); s++) {
        uint8_t *strip = w->data + s * bytes;
        if (n - s * QDOT_ROWS < QDOT_ROWS) memset(strip, 0, bytes); /* rows that are not there: factors of 0 */
        for (size_t r = 0; r < QDOT_ROWS && s * QDOT_ROWS + r < n; r++) pack_row(strip, row(source, s * QDOT_ROWS + r), r, k, type);
    }
}

/* --- x to int8 --- */

static size_t padded_rows(size_t m) { return (m + 15) / 16 * 16; }

size_t qdot_input_bytes(size_t m, size_t k) {
    size_t bytes;
    return m < SIZE_MAX - 16 && size_mul(&bytes, padded_rows(m), k) && size_mul(&bytes, bytes, 2)
               ? bytes
               : SIZE_MAX; /* k bytes, and 16 for each 32 of them */
}

static int32_t sum8(__m256i x) {
    const __m128i a = _mm_add_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
    const __m128i b = _mm_add_epi32(a, _mm_shuffle_epi32(a, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(b, _mm_shuffle_epi32(b, 0xb1)));
}

/* The largest magnitude. Compared as integers, so that a NaN is larger than all. */
static float largest32(const float *x) {
    const __m256i magnitude = _mm256_set1_epi32(0x7fffffff);
    __m256i most = _mm256_setzero_si256();
    for (int i = 0; i < 4; i++) most = _mm256_max_epi32(most, _mm256_and_si256(_mm256_castps_si256(_mm256_loadu_ps(x + 8 * i)), magnitude));
    __m128i a = _mm_max_epi32(_mm256_castsi256_si128(most), _mm256_extracti128_si256(most, 1));
    a = _mm_max_epi32(a, _mm_shuffle_epi32(a, 0x4e));
    a = _mm_max_epi32(a, _mm_shuffle_epi32(a, 0xb1));
    return _mm_cvtss_f32(_mm_castsi128_ps(a));
}

/* q = x / factor to nearest even, factor = max|x| / 127. What is not finite makes the factor so. */
static void round_block(int8_t *q, float *factor, float *total, int32_t *sum, const float *x) {
    const float most = largest32(x), d = most < 1e-30f ? 0.0f : most / 127.0f;
    const __m256 inverse = _mm256_set1_ps(most < 1e-30f ? 0.0f : 127.0f / most);
    __m256i v[4];
    for (int i = 0; i < 4; i++) v[i] = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x + 8 * i), inverse));
    sum[0] = sum8(_mm256_add_epi32(v[0], v[1]));
    sum[1] = sum8(_mm256_add_epi32(v[2], v[3]));
    *factor = d;
    *total = d * (float)(sum[0] + sum[1]);
    const __m256i packed = _mm256_packs_epi16(_mm256_packs_epi32(v[0], v[1]), _mm256_packs_epi32(v[2], v[3]));
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    _mm256_storeu_si256((__m256i *)(void *)q, _mm256_permutevar8x32_epi32(packed, order));
}

void qdot_round(struct qdot_input *out, void *memory, const float *x, size_t ld, size_t m, size_t k) {
    const size_t blocks = k / QDOT_BLOCK, padded = padded_rows(m);
    CHECK(k % QDOT_BLOCK == 0);
    *out = (struct qdot_input){.m = m, .k = k, .q = memory};
    out->factor = (float *)(void *)(out->q + padded * k);
    out->total = out->factor + padded * blocks;
    out->sum = (int32_t *)(void *)(out->total + padded * blocks);
    if (m % 16 >= QDOT_AMX_LEAST) { /* tiles read whole groups of rows */
        memset(out->q + m * k, 0, (padded - m) * k);
        memset(out->factor + m * blocks, 0, (padded - m) * blocks * sizeof(float));
        memset(out->total + m * blocks, 0, (padded - m) * blocks * sizeof(float));
    }
#pragma omp parallel for schedule(static) if (m * k > 32768)
    for (size_t r = 0; r < m; r++)
        for (size_t b = 0; b < blocks; b++) {
            const size_t at = r * blocks + b;
            round_block(out->q + r * k + b * QDOT_BLOCK, out->factor + at, out->total + at, out->sum + 2 * at, x + r * ld + b * QDOT_BLOCK);
        }
}

/* --- products --- */

static float half_of(const uint8_t *at) {
    uint16_t h;
    memcpy(&h, at, sizeof h);
    return dtype_half_to_float(h);
}

/* The 32 numbers of each row of a block, the offset subtracted. */
static void take_apart(int16_t w[QDOT_ROWS][QDOT_BLOCK], const uint8_t *block, const struct qdot_form *f) {
    for (size_t r = 0; r < QDOT_ROWS; r++)
        for (size_t i = 0; i < QDOT_BLOCK; i++) {
            const size_t v = i / 4, t = i % 4;
            int q = block[64 * v + 4 * r + t];
            if (f->bits != 8) q = block[64 * (v % 4) + 4 * r + t] >> (v < 4 ? 0 : 4) & 15;
            if (f->bits == 5) q |= (block[256 + 4 * r + t] >> v & 1) << 4;
            if (f->bits == 6) q |= (block[256 + 64 * (v / 4) + 4 * r + t] >> 2 * (v % 4) & 3) << 4;
            w[r][i] = (int16_t)((f->table ? qdot_iq4[q] : q) - f->offset);
        }
}

/* dot[h] = the products of each half of a block; integers, so that no order of sums matters. */
static void dot_halves(int32_t dot[2], const int16_t *w, const int8_t *x) {
    for (size_t h = 0; h < 2; h++) {
        const __m256i wide = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)(x + 16 * h)));
        dot[h] = sum8(_mm256_madd_epi16(_mm256_loadu_si256((const __m256i *)(const void *)(w + 16 * h)), wide));
    }
}

/* The fused operations are the kernels', in their order. */
static float add_block(float y, const int32_t dot[2], const struct qdot_input *x, size_t at, const uint8_t *factors, size_t r, size_t b,
                       enum qdot_factors kind) {
    const float factor = x->factor[at], d = half_of(factors + 2 * r);
    if (kind == QDOT_D || kind == QDOT_DM) y = __builtin_fmaf((float)(dot[0] + dot[1]), d * factor, y);
    if (kind == QDOT_DM) y = __builtin_fmaf(half_of(factors + 32 + 2 * r), x->total[at], y);
    if (kind == QDOT_K) {
        const uint8_t *scale = factors + 64 + b % 8 * 32;
        y = __builtin_fmaf((float)(dot[0] + dot[1]), d * (float)scale[r] * factor, y);
        y = __builtin_fmaf(-(half_of(factors + 32 + 2 * r) * (float)scale[16 + r]), x->total[at], y);
    }
    for (size_t h = 0; h < 2 && kind == QDOT_K16; h++)
        y = __builtin_fmaf((float)dot[h], d * (float)(int8_t)factors[32 + b % 8 * 32 + 16 * h + r] * factor, y);
    return y;
}

static void plain_strip(const struct qdot_task *t, enum dtype type) {
    const struct qdot_form *f = &qdot_forms[type];
    const size_t blocks = t->x->k / QDOT_BLOCK;
    for (size_t m = 0; m < t->x->m; m++)
        for (size_t r = 0; r < t->columns; r++) t->y[m * t->ldy + r] = t->init ? t->init[m * t->ld_init + r] : 0.0f;
    for (size_t b = 0; b < blocks; b++) {
        const uint8_t *factors = t->strip + qdot_factors_at(f, blocks) + b / qdot_factor_blocks(f->factors) * qdot_factor_bytes(f->factors);
        int16_t w[QDOT_ROWS][QDOT_BLOCK];
        take_apart(w, t->strip + b * qdot_block_bytes(f->bits), f);
        for (size_t m = 0; m < t->x->m; m++)
            for (size_t r = 0; r < t->columns; r++) {
                int32_t dot[2];
                float *y = &t->y[m * t->ldy + r];
                dot_halves(dot, w[r], t->x->q + m * t->x->k + b * QDOT_BLOCK);
                *y = add_block(*y, dot, t->x, m * blocks + b, factors, r, b, f->factors);
            }
    }
}

/* Strip number s of all parts. */
static void run_strip(float *y, size_t ldy, const float *init, size_t ld_init, const struct qdot_input *x, const struct qdot *parts,
                      size_t s, qdot_kernel *const *kernels) {
    size_t column = 0;
    for (; s >= strips_of(parts->n); parts++) s -= strips_of(parts->n), column += parts->n;
    column += s * QDOT_ROWS;
    const size_t left = parts->n - s * QDOT_ROWS;
    const struct qdot_task task = {.strip = parts->data + s * qdot_strip_bytes(&qdot_forms[parts->type], x->k / QDOT_BLOCK),
                                   .x = x,
                                   .y = y + column,
                                   .init = init ? init + column : NULL,
                                   .ldy = ldy,
                                   .ld_init = ld_init,
                                   .columns = left < QDOT_ROWS ? left : QDOT_ROWS};
    if (kernels)
        kernels[parts->type](&task);
    else
        plain_strip(&task, parts->type);
}

/* kernels: NULL = plain loops. */
static void product(float *y, size_t ldy, const float *init, size_t ld_init, const struct qdot_input *x, const struct qdot *parts,
                    size_t count, qdot_kernel *const *kernels) {
    size_t strips = 0;
    for (size_t i = 0; i < count; i++) strips += strips_of(parts[i].n);
    size_t share = strips / (4 * (size_t)omp_get_max_threads());
    if (share == 0) share = 1;
#pragma omp parallel if (strips > 1)
    {
        if (kernels == qdot_amx_kernels) qdot_amx_begin();
#pragma omp for schedule(dynamic, share)
        for (size_t s = 0; s < strips; s++) run_strip(y, ldy, init, ld_init, x, parts, s, kernels);
        if (kernels == qdot_amx_kernels) qdot_amx_end();
    }
}

void qdot_product_plain(float *y, size_t ldy, const float *init, size_t ld_init, const struct qdot_input *x, const struct qdot *parts,
                        size_t count) {
    product(y, ldy, init, ld_init, x, parts, count, NULL);
}

void qdot_product(float *y, size_t ldy, const float *init, size_t ld_init, const struct qdot_input *x, const struct qdot *parts,
                  size_t count) {
    const bool tiles = x->m >= QDOT_AMX_LEAST && cpu_has_amx_int8();
    product(y, ldy, init, ld_init, x, parts, count, tiles ? qdot_amx_kernels : cpu_has_avx512_vnni() ? qdot_vnni_kernels : NULL);
}
