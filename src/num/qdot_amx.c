/* qdot_amx: products of num/qdot.h with tiles, for 16 rows of x at a time. A block's eight vectors of weights are one operand as they
 * stand, with the offset subtracted; x's int8 the other. Sums are the integers of num/qdot_vnni.c, and what follows are its operations in
 * its order, so that both give the same bits. */
#include <string.h>

#include "num/qdot_lanes.h"

#define GROUP 16 /* rows of x */

/* Tiles 0, 5: sums [16, 16]; 1: x [16, 32]; 2: weights [8, 16 x 4]; 3, 4: both with 16 elements. */
void qdot_amx_begin(void) {
    static const struct { /* static: gcc 12 believes that only its first eight bytes are read */
        uint8_t palette, start_row, reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } config = {.palette = 1, .row_bytes = {64, 32, 64, 16, 64, 64}, .rows = {16, 16, 8, 16, 4, 16}};
    _tile_loadconfig(&config);
}

void qdot_amx_end(void) { _tile_release(); }

/* Tiles wait for data that was stored just before, and so does who reads what they stored. So weights are unpacked a chunk of blocks at a
 * time, and a block's sums are taken up when the tiles are LAG blocks further. */
#define CHUNK 16
#define LAG 2
struct chunk {
    _Alignas(64) uint8_t weights[CHUNK][512];
    struct multipliers by[CHUNK];
    _Alignas(64) int32_t sums[LAG + 2][2][16 * GROUP];
};

INLINE void unpack_chunk(struct chunk *c, const uint8_t *numbers, const uint8_t *factors, size_t from, size_t count, int bits,
                         enum qdot_factors kind, int offset, bool table) {
    for (size_t b = 0; b < count; b++) {
        const uint8_t *at = numbers + (from + b) * qdot_block_bytes(bits);
        __m512i w[8];
        unpack(w, at, bits, table);
#pragma GCC unroll 8
        for (int v = 0; v < 8; v++)
            _mm512_store_si512(c->weights[b] + 64 * v, offset ? _mm512_sub_epi8(w[v], _mm512_set1_epi8((char)offset)) : w[v]);
        c->by[b] = multipliers_of(factors + (from + b) / qdot_factor_blocks(kind) * qdot_factor_bytes(kind), from + b, kind);
    }
}

INLINE void run_tiles(struct chunk *c, size_t b, const int8_t *x, size_t k, enum qdot_factors kind) {
    int32_t (*sums)[16 * GROUP] = c->sums[b % (LAG + 2)];
    _tile_zero(0);
    if (kind != QDOT_K16) {
        _tile_loadd(1, x, k);
        _tile_loadd(2, c->weights[b], 64);
        _tile_dpbssd(0, 1, 2);
        _tile_stored(0, sums[0], 64);
        return;
    }
    _tile_loadd(3, x, k);
    _tile_loadd(4, c->weights[b], 64);
    _tile_dpbssd(0, 3, 4);
    _tile_stored(0, sums[0], 64);
    _tile_zero(5);
    _tile_loadd(3, x + 16, k);
    _tile_loadd(4, c->weights[b] + 256, 64);
    _tile_dpbssd(5, 3, 4);
    _tile_stored(5, sums[1], 64);
}

INLINE __m512 scaled(__m512 y, const int32_t *sums, __m512 multiplier, float factor) {
    return _mm512_fmadd_ps(_mm512_cvtepi32_ps(_mm512_load_si512(sums)), _mm512_mul_ps(multiplier, _mm512_set1_ps(factor)), y);
}

/* y[i] += what block b's sums of row i stand for; factor and total: of x's row 0 in this block, those of the next row `blocks` further. */
INLINE void add_sums(__m512 y[GROUP], const struct chunk *c, size_t b, const float *factor, const float *total, size_t blocks,
                     enum qdot_factors kind) {
    const int32_t (*sums)[16 * GROUP] = c->sums[b % (LAG + 2)];
    const struct multipliers s = c->by[b];
#pragma GCC unroll 16
    for (size_t i = 0; i < GROUP; i++) {
        y[i] = scaled(y[i], sums[0] + 16 * i, s.first, factor[i * blocks]);
        if (kind == QDOT_K16) y[i] = scaled(y[i], sums[1] + 16 * i, s.second, factor[i * blocks]);
        if (kind == QDOT_DM) y[i] = _mm512_fmadd_ps(s.minimum, _mm512_set1_ps(total[i * blocks]), y[i]);
        if (kind == QDOT_K) y[i] = _mm512_fnmadd_ps(s.minimum, _mm512_set1_ps(total[i * blocks]), y[i]);
    }
}

/* Rows [row, row + 16), of which those behind m are padding; blocks [from, from + n), which the chunk holds. y goes on from init. */
INLINE void group(const struct qdot_task *t, struct chunk *c, size_t row, size_t from, size_t n, const float *init, size_t ld_init,
                  int bits, enum qdot_factors kind) {
    const size_t k = t->x->k, blocks = k / QDOT_BLOCK, count = t->x->m - row < GROUP ? t->x->m - row : GROUP;
    const __mmask16 columns = (__mmask16)((1u << t->columns) - 1);
    const int8_t *x = t->x->q + row * k + from * QDOT_BLOCK;
    const float *factor = t->x->factor + row * blocks + from, *total = t->x->total + row * blocks + from;
    __m512 y[GROUP];
#pragma GCC unroll 16
    for (size_t i = 0; i < GROUP; i++)
        y[i] = init && i < count ? _mm512_maskz_loadu_ps(columns, init + (row + i) * ld_init) : _mm512_setzero_ps();
    for (size_t b = 0; b < n + LAG; b++) {
        if (b < n) fetch_ahead(t->strip + (from + b) * qdot_block_bytes(bits), bits);
        if (b < n) run_tiles(c, b, x + b * QDOT_BLOCK, k, kind);
        if (b >= LAG) add_sums(y, c, b - LAG, factor + b - LAG, total + b - LAG, blocks, kind);
    }
#pragma GCC unroll 16
    for (size_t i = 0; i < GROUP; i++)
        if (i < count) _mm512_mask_storeu_ps(t->y + (row + i) * t->ldy, columns, y[i]);
}

INLINE void strip(const struct qdot_task *t, enum dtype type, int bits, enum qdot_factors kind, int offset, bool table) {
    const struct qdot_form form = {.bits = bits, .factors = kind};
    const size_t blocks = t->x->k / QDOT_BLOCK;
    struct chunk c;
    size_t row = t->from;
    for (size_t from = 0; from < blocks; from += CHUNK) {
        const size_t n = blocks - from < CHUNK ? blocks - from : CHUNK;
        unpack_chunk(&c, t->strip, t->strip + qdot_factors_at(&form, blocks), from, n, bits, kind, offset, table);
        for (row = t->from; row + QDOT_AMX_LEAST <= t->x->m; row += GROUP)
            group(t, &c, row, from, n, from ? t->y : t->init, from ? t->ldy : t->ld_init, bits, kind);
    }
    if (row >= t->x->m) return;
    struct qdot_task rest = *t;
    rest.from = row;
    qdot_vnni_kernels[type](&rest);
}

/* As in qdot_forms. */
static void strip_q4_0(const struct qdot_task *t) { strip(t, DTYPE_Q4_0, 4, QDOT_D, 8, false); }
static void strip_q4_1(const struct qdot_task *t) { strip(t, DTYPE_Q4_1, 4, QDOT_DM, 0, false); }
static void strip_q5_0(const struct qdot_task *t) { strip(t, DTYPE_Q5_0, 5, QDOT_D, 16, false); }
static void strip_q5_1(const struct qdot_task *t) { strip(t, DTYPE_Q5_1, 5, QDOT_DM, 0, false); }
static void strip_q8_0(const struct qdot_task *t) { strip(t, DTYPE_Q8_0, 8, QDOT_D, 128, false); }
static void strip_q4_k(const struct qdot_task *t) { strip(t, DTYPE_Q4_K, 4, QDOT_K, 0, false); }
static void strip_q5_k(const struct qdot_task *t) { strip(t, DTYPE_Q5_K, 5, QDOT_K, 0, false); }
static void strip_q6_k(const struct qdot_task *t) { strip(t, DTYPE_Q6_K, 6, QDOT_K16, 32, false); }
static void strip_iq4_nl(const struct qdot_task *t) { strip(t, DTYPE_IQ4_NL, 4, QDOT_D, 128, true); }

qdot_kernel *const qdot_amx_kernels[DTYPE_COUNT] = {
    [DTYPE_Q4_0] = strip_q4_0, [DTYPE_Q4_1] = strip_q4_1, [DTYPE_Q5_0] = strip_q5_0,
    [DTYPE_Q5_1] = strip_q5_1, [DTYPE_Q8_0] = strip_q8_0, [DTYPE_Q4_K] = strip_q4_k,
    [DTYPE_Q5_K] = strip_q5_k, [DTYPE_Q6_K] = strip_q6_k, [DTYPE_IQ4_NL] = strip_iq4_nl,
};
