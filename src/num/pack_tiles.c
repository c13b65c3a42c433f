/* pack_tiles: weights in the order in which the tile registers read them. A strip of 32 rows at a time, so that rows which are made for the
 * purpose (expanded from a quantised file) are packed while they are in the second-level cache. */
#include <omp.h>
#include <string.h>

#include "num/tiles.h"
#include "num/gemm_tiles.h"
#include "num/lanes16.h"

#define STRIP 32

size_t gemm_tiles_bytes(size_t k, size_t n, size_t planes) {
    return size_round_up(k, 32) * size_round_up(n, 32) * sizeof(uint16_t) * planes;
}

size_t gemm_tiles_row(size_t k, size_t planes) { return planes == 1 ? k : size_round_up(k, 32) * planes; }

static __mmask16 first(size_t n) { return (__mmask16)(n >= 16 ? 0xffffu : (1u << n) - 1); }

static const uint16_t turns[32] = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                   8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};

/* Rows are the operand's columns: up to 16 rows of `width` elements become the tiles of one column, one below the other. */
static void pack_column_half(uint16_t *out, const float *rows, size_t ld, size_t count, size_t width) {
    for (size_t k = 0; k < width; k += 32, out += TILE_ELEMENTS) {
        const __mmask16 lo = first(width - k), hi = width - k > 16 ? first(width - k - 16) : 0;
        __m512i r[16];
        for (size_t j = 0; j < 16; j++) {
            const float *at = rows + (j < count ? j : 0) * ld + k;
            const __mmask16 keep = j < count ? 0xffff : 0;
            r[j] = bf16_two(_mm512_maskz_loadu_ps(lo & keep, at), _mm512_maskz_loadu_ps(hi & keep, at + 16));
        }
        transpose16(r);
        for (size_t q = 0; q < 16; q++) _mm512_storeu_si512(out + q * 32, r[q]);
    }
}

/* What is left of a tile's floats after the first plane, and after the second: any bit that is set in one of them. */
struct left {
    __m512i after[GEMM_TILES_SPLIT - 1];
};

static uint8_t planes_used(const struct left *l) {
    return _mm512_test_epi32_mask(l->after[1], l->after[1]) ? 3 : _mm512_test_epi32_mask(l->after[0], l->after[0]) ? 2 : 1;
}

/* The planes of two vectors, in turns, `step` elements apart. */
static void put_planes(uint16_t *out, size_t step, __m512 even, __m512 odd, struct left *left) {
    for (size_t p = 0; p < GEMM_TILES_SPLIT; p++) {
        _mm512_storeu_si512(out + p * step, bf16_split_turns(&even, &odd, p));
        if (p < GEMM_TILES_SPLIT - 1)
            left->after[p] = _mm512_or_si512(left->after[p], _mm512_or_si512(_mm512_castps_si512(even), _mm512_castps_si512(odd)));
    }
}

/* Planes are made of the transposed floats, where the two of a dword lie in one lane. */
static void pack_column(uint16_t *out, uint8_t *used, const float *rows, size_t ld, size_t count, size_t width) {
    struct left left = {0};
    for (size_t k = 0; k < width; k += 16) {
        if (k % 32 == 0) left = (struct left){0};
        const __mmask16 there = first(width - k);
        __m512i r[16];
        for (size_t j = 0; j < 16; j++)
            r[j] = _mm512_castps_si512(_mm512_maskz_loadu_ps(j < count ? there : 0, rows + (j < count ? j : 0) * ld + k));
        transpose16(r);
        uint16_t *at = out + k / 32 * GEMM_TILES_SPLIT * TILE_ELEMENTS + k % 32 / 2 * 32;
        for (size_t q = 0; q < 16; q += 2, at += 32)
            put_planes(at, TILE_ELEMENTS, _mm512_castsi512_ps(r[q]), _mm512_castsi512_ps(r[q + 1]), &left);
        if (used) used[k / 32] = planes_used(&left);
    }
    if ((width + 15) / 16 % 2) /* the other half of the last tiles */
        for (size_t p = 0; p < GEMM_TILES_SPLIT; p++) memset(out + (width / 32 * GEMM_TILES_SPLIT + p) * TILE_ELEMENTS + 256, 0, 512);
}

/* The same of floats as they are. */
static void pack_column_whole(uint16_t *out, const float *rows, size_t ld, size_t count, size_t width) {
    float *to = (float *)(void *)out;
    for (size_t k = 0; k < size_round_up(width, 32); k += 16, to += 256) {
        const __mmask16 there = k < width ? first(width - k) : 0;
        __m512i r[16];
        for (size_t j = 0; j < 16; j++)
            r[j] = _mm512_castps_si512(_mm512_maskz_loadu_ps(j < count ? there : 0, rows + (j < count ? j : 0) * ld + (there ? k : 0)));
        transpose16(r);
        for (size_t q = 0; q < 16; q++) _mm512_storeu_si512(to + q * 16, r[q]);
    }
}

/* pack_step of floats as they are. */
static void pack_step_whole(uint16_t *out, size_t tiles, const float *rows, size_t ld, size_t count, size_t width) {
    float *to = (float *)(void *)out;
    for (size_t q = 0; q < 32; q++, to += 16)
        for (size_t j = 0; j < size_round_up(width, 32); j += 16) { /* along a row, as it lies */
            const __mmask16 there = q < count && j < width ? first(width - j) : 0;
            _mm512_storeu_ps(to + j / 16 * tiles * TILE_ELEMENTS, _mm512_maskz_loadu_ps(there, rows + (there ? q * ld + j : 0)));
        }
}

/* Two rows of up to 16 elements, in turns, as one vector for each plane, `step` vectors of 32 apart. */
static void pair_planes(uint16_t *out, size_t step, const float *even, const float *odd, __mmask16 even_mask, __mmask16 odd_mask,
                        size_t planes, struct left *left) {
    const __m512 lo = _mm512_maskz_loadu_ps(even_mask, even), hi = _mm512_maskz_loadu_ps(odd_mask, odd);
    if (planes == 1) {
        _mm512_storeu_si512(out, _mm512_permutexvar_epi16(_mm512_loadu_si512(turns), bf16_two(lo, hi)));
        return;
    }
    put_planes(out, step, lo, hi, left);
}

/* Rows are the operand's rows: up to 32 rows of `width` elements become one tile in each column; columns lie `tiles` tiles apart. */
static void pack_step(uint16_t *out, uint8_t *used, size_t tiles, const float *rows, size_t ld, size_t count, size_t width, size_t planes) {
    for (size_t j = 0; j < size_round_up(width, 32); j += 16, out += tiles * planes * TILE_ELEMENTS) {
        struct left left = {0};
        for (size_t q = 0; q < 16; q++) {
            const __mmask16 cols = j < width ? first(width - j) : 0;
            const __mmask16 even = 2 * q < count ? cols : 0, odd = 2 * q + 1 < count ? cols : 0;
            const float *at = rows + (even ? 2 * q * ld + j : 0), *next = rows + (odd ? (2 * q + 1) * ld + j : 0);
            pair_planes(out + q * 32, TILE_ELEMENTS, at, next, even, odd, planes, &left);
        }
        if (used) used[j / 16 * tiles] = planes_used(&left);
    }
}

/* Strip number s of `count` rows [count, width], as columns of the operand or as its rows. */
static void pack_strip(uint16_t *out, uint8_t *used, size_t s, const float *rows, size_t ld, size_t count, size_t width, size_t all,
                       bool transposed, size_t planes) {
    const size_t here = count < STRIP ? count : STRIP, tile = planes * TILE_ELEMENTS;
    if (transposed) {
        const size_t tiles = size_round_up(width, 32) / 32;
        for (size_t half = 0; half < 2; half++) {
            const float *at = rows + (here > 16 * half ? 16 * half * ld : 0);
            const size_t there = here > 16 * half ? here - 16 * half : 0;
            uint16_t *to = out + (2 * s + half) * tiles * tile;
            if (planes == 1)
                pack_column_half(to, at, ld, there < 16 ? there : 16, width);
            else if (planes == GEMM_TILES_WHOLE)
                pack_column_whole(to, at, ld, there < 16 ? there : 16, width);
            else
                pack_column(to, used ? used + (2 * s + half) * tiles : NULL, at, ld, there < 16 ? there : 16, width);
        }
    } else if (planes == GEMM_TILES_WHOLE) {
        pack_step_whole(out + s * tile, size_round_up(all, 32) / 32, rows, ld, here, width);
    } else {
        pack_step(out + s * tile, used ? used + s : NULL, size_round_up(all, 32) / 32, rows, ld, here, width, planes);
    }
}

static size_t strips_of(size_t rows) { return (rows + STRIP - 1) / STRIP; }

void gemm_tiles_pack(uint16_t *out, const float *plain, size_t ld, bool transposed, size_t k, size_t n, size_t planes) {
    const size_t rows = transposed ? n : k, width = transposed ? k : n;
#pragma omp parallel for schedule(static) if (k * n > 32768)
    for (size_t s = 0; s < strips_of(rows); s++)
        pack_strip(out, NULL, s, plain + s * STRIP * ld, ld, rows - s * STRIP, width, rows, transposed, planes);
}

void gemm_tiles_pack_here(uint16_t *out, uint8_t *used, const float *plain, size_t ld, bool transposed, size_t k, size_t n, size_t planes) {
    const size_t rows = transposed ? n : k, width = transposed ? k : n;
    for (size_t s = 0; s < strips_of(rows); s++)
        pack_strip(out, used, s, plain + s * STRIP * ld, ld, rows - s * STRIP, width, rows, transposed, planes);
}

size_t gemm_tiles_strip_bytes(size_t width) { return (size_t)omp_get_max_threads() * STRIP * width * sizeof(float); }

void gemm_tiles_pack_made(uint16_t *out, matmul_rows *make, const void *source, size_t from, size_t rows, size_t width, bool transposed,
                          size_t planes, float *strips) {
#pragma omp parallel for schedule(static)
    for (size_t s = 0; s < strips_of(rows); s++) {
        float *strip = strips + (size_t)omp_get_thread_num() * STRIP * width;
        const size_t left = rows - s * STRIP, count = left < STRIP ? left : STRIP;
        make(strip, source, from + s * STRIP, count);
        pack_strip(out, NULL, s, strip, width, count, width, rows, transposed, planes);
    }
}

void gemm_tiles_pack_made_here(uint16_t *out, uint8_t *used, matmul_rows *make, const void *source, size_t from, size_t rows, size_t width,
                               size_t skip, size_t k, size_t planes, float *strip) {
    for (size_t s = 0; s < strips_of(rows); s++) {
        const size_t left = rows - s * STRIP, count = left < STRIP ? left : STRIP;
        make(strip, source, from + s * STRIP, count);
        pack_strip(out, used, s, strip + skip, width, count, k, rows, true, planes);
    }
}

/* --- the a operand --- */

static void split_row(uint16_t *out, const float *in, size_t cols) {
    for (size_t j = 0; j < cols; j += 32, out += GEMM_TILES_SPLIT * 32) {
        __m512 lo = _mm512_maskz_loadu_ps(first(cols - j), in + j),
               hi = _mm512_maskz_loadu_ps(cols - j > 16 ? first(cols - j - 16) : 0, in + j + 16);
        for (size_t p = 0; p < GEMM_TILES_SPLIT; p++) _mm512_storeu_si512(out + p * 32, bf16_split(&lo, &hi, p));
    }
}

/* 16 columns of in, `count` of which are there, become rows: 32 rows of it at a time are a tile, whose transpose is what a wants. */
static void split_columns(uint16_t *out, size_t ldo, const float *in, size_t ldi, size_t count, size_t cols) {
    _Alignas(64) uint16_t tiles[GEMM_TILES_SPLIT * TILE_ELEMENTS];
    struct left unused = {0};
    for (size_t j = 0; j < cols; j += 32) {
        for (size_t q = 0; q < 16; q++) {
            const __mmask16 even = j + 2 * q < cols ? first(count) : 0, odd = j + 2 * q + 1 < cols ? first(count) : 0;
            pair_planes(tiles + q * 32, TILE_ELEMENTS, in + (even ? (j + 2 * q) * ldi : 0), in + (odd ? (j + 2 * q + 1) * ldi : 0), even,
                        odd, GEMM_TILES_SPLIT, &unused);
        }
        for (size_t p = 0; p < GEMM_TILES_SPLIT; p++) {
            __m512i r[16];
            for (size_t q = 0; q < 16; q++) r[q] = _mm512_load_si512(tiles + p * TILE_ELEMENTS + q * 32);
            transpose16(r);
            for (size_t q = 0; q < count && q < 16; q++) _mm512_storeu_si512(out + q * ldo + (j / 32 * GEMM_TILES_SPLIT + p) * 32, r[q]);
        }
    }
}

static void whole_row(uint16_t *out, const float *in, size_t cols) {
    memcpy(out, in, cols * sizeof *in);
    memset(out + cols * GEMM_TILES_WHOLE, 0, (size_round_up(cols, 32) - cols) * sizeof *in);
}

void gemm_tiles_split(uint16_t *out, const float *in, size_t ldi, bool transposed, size_t rows, size_t cols, size_t planes) {
    const size_t ldo = gemm_tiles_row(cols, planes);
    CHECK(planes == GEMM_TILES_SPLIT || !transposed);
    if (planes == GEMM_TILES_WHOLE) {
#pragma omp parallel for schedule(dynamic, 64) if (rows * cols > 16384)
        for (size_t r = 0; r < rows; r++) whole_row(out + r * ldo, in + r * ldi, cols);
    } else if (transposed) {
#pragma omp parallel for schedule(static) if (rows * cols > 16384)
        for (size_t r = 0; r < rows; r += 16) split_columns(out + r * ldo, ldo, in + r, ldi, rows - r, cols);
    } else {
#pragma omp parallel for schedule(dynamic, 64) if (rows * cols > 16384)
        for (size_t r = 0; r < rows; r++) split_row(out + r * ldo, in + r * ldi, cols);
    }
}
