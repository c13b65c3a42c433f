/* pack_amx: weights in the order in which the tile registers read them. A strip of 32 rows at a time, so that rows which are made for the
 * purpose (expanded from a quantised file) are packed while they are in the second-level cache. */
#include <omp.h>
#include <string.h>

#include "num/amx.h"
#include "num/dtype.h"
#include "num/gemm_amx.h"

#define TILE_ELEMENTS 512 /* bf16 elements of a tile */
#define STRIP 32

static size_t round_up(size_t x, size_t unit) { return (x + unit - 1) / unit * unit; }

size_t gemm_amx_bytes(size_t k, size_t n) { return round_up(k, 32) * round_up(n, 32) * sizeof(uint16_t); }

static __mmask16 first(size_t n) { return (__mmask16)(n >= 16 ? 0xffffu : (1u << n) - 1); }

/* 16 floats of lo and of hi as bf16, lo in the lower half. Rounds to nearest even; what is below bf16's normal range becomes 0. */
static __m512i halves(__m512 lo, __m512 hi) { return (__m512i)_mm512_cvtne2ps_pbh(hi, lo); }

/* r[i][j] and r[j][i] change places: dwords, then pairs of them, then quarters of registers. */
static void transpose(__m512i r[16]) {
    __m512i t[16];
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
    }
    for (int i = 0; i < 16; i += 4)
        for (int h = 0; h < 2; h++) {
            r[i + 2 * h] = _mm512_unpacklo_epi64(t[i + h], t[i + h + 2]);
            r[i + 2 * h + 1] = _mm512_unpackhi_epi64(t[i + h], t[i + h + 2]);
        }
    for (int i = 0; i < 4; i++) {
        t[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
        t[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
        t[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
    }
    for (int i = 0; i < 4; i++) {
        r[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
        r[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
        r[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88);
        r[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xdd);
    }
}

/* Rows are the operand's columns: up to 16 rows of `width` elements become the tiles of one column, one below the other. */
static void pack_column(uint16_t *out, const float *rows, size_t ld, size_t count, size_t width) {
    for (size_t p = 0; p < width; p += 32, out += TILE_ELEMENTS) {
        const __mmask16 lo = first(width - p), hi = width - p > 16 ? first(width - p - 16) : 0;
        __m512i r[16];
        for (size_t j = 0; j < 16; j++) {
            const float *at = rows + (j < count ? j : 0) * ld + p;
            const __mmask16 keep = j < count ? 0xffff : 0;
            r[j] = halves(_mm512_maskz_loadu_ps(lo & keep, at), _mm512_maskz_loadu_ps(hi & keep, at + 16));
        }
        transpose(r);
        for (size_t q = 0; q < 16; q++) _mm512_storeu_si512(out + q * 32, r[q]);
    }
}

/* Rows are the operand's rows: up to 32 rows of `width` elements become one tile in each column; columns lie `stride` elements apart. */
static void pack_step(uint16_t *out, size_t stride, const float *rows, size_t ld, size_t count, size_t width) {
    static const uint16_t turns[32] = {0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    const __m512i in_turns = _mm512_loadu_si512(turns);
    for (size_t j = 0; j < round_up(width, 32); j += 16, out += stride)
        for (size_t q = 0; q < 16; q++) {
            const __mmask16 cols = j < width ? first(width - j) : 0;
            const __mmask16 even = 2 * q < count ? cols : 0, odd = 2 * q + 1 < count ? cols : 0;
            const float *at = rows + (even ? 2 * q * ld + j : 0), *next = rows + (odd ? (2 * q + 1) * ld + j : 0);
            const __m512i pair = halves(_mm512_maskz_loadu_ps(even, at), _mm512_maskz_loadu_ps(odd, next));
            _mm512_storeu_si512(out + q * 32, _mm512_permutexvar_epi16(in_turns, pair));
        }
}

/* Strip number s of `count` rows [count, width], as columns of the operand or as its rows. */
static void pack_strip(uint16_t *out, size_t s, const float *rows, size_t ld, size_t count, size_t width, size_t all, bool transposed) {
    const size_t here = count < STRIP ? count : STRIP;
    if (transposed) {
        const size_t column = round_up(width, 32) / 32 * TILE_ELEMENTS;
        pack_column(out + 2 * s * column, rows, ld, here < 16 ? here : 16, width);
        pack_column(out + (2 * s + 1) * column, rows + (here > 16 ? 16 * ld : 0), ld, here > 16 ? here - 16 : 0, width);
    } else {
        pack_step(out + s * TILE_ELEMENTS, round_up(all, 32) / 32 * TILE_ELEMENTS, rows, ld, here, width);
    }
}

void gemm_amx_pack(uint16_t *out, const float *plain, size_t ld, bool transposed, size_t k, size_t n) {
    const size_t rows = transposed ? n : k, width = transposed ? k : n;
#pragma omp parallel for schedule(static) if (k * n > 32768)
    for (size_t s = 0; s < (rows + STRIP - 1) / STRIP; s++)
        pack_strip(out, s, plain + s * STRIP * ld, ld, rows - s * STRIP, width, rows, transposed);
}

size_t gemm_amx_strip_bytes(size_t width) { return (size_t)omp_get_max_threads() * STRIP * width * sizeof(float); }

void gemm_amx_pack_made(uint16_t *out, matmul_rows *make, const void *source, size_t from, size_t rows, size_t width, bool transposed, float *strips) {
#pragma omp parallel for schedule(static)
    for (size_t s = 0; s < (rows + STRIP - 1) / STRIP; s++) {
        float *strip = strips + (size_t)omp_get_thread_num() * STRIP * width;
        const size_t left = rows - s * STRIP, count = left < STRIP ? left : STRIP;
        make(strip, source, from + s * STRIP, count);
        pack_strip(out, s, strip, width, count, width, rows, transposed);
    }
}

void gemm_amx_pack_block(uint16_t *out, size_t k_total, size_t k_from, size_t n_from, const float *plain, size_t ld, bool transposed,
                         size_t k, size_t n) {
    const size_t steps = round_up(k_total, 32) / 32;
#pragma omp parallel for schedule(static) if (k * n > 32768)
    for (size_t j = 0; j < n; j++)
        for (size_t p = 0; p < k; p++) {
            const size_t row = k_from + p, col = n_from + j;
            out[(col / 16 * steps + row / 32) * TILE_ELEMENTS + row % 32 / 2 * 32 + col % 16 * 2 + row % 2] =
                dtype_float_to_bf16(transposed ? plain[j * ld + p] : plain[p * ld + j]);
        }
}
