/* amx_tiles: the tile registers in memory, so that machines without AMX run what is written for it: the build option RAPT_EMULATE_AMX puts
 * this before every file named *_amx.c, whose intrinsics become these functions. What the processor would refuse (no configuration, shapes
 * that do not fit each other) ends the program. Source: Intel Architecture Instruction Set Extensions Programming Reference, chapter 3,
 * operations of TILELOADD, TDPBF16PS, TDPBSSD. */
#ifndef RAPT_TESTS_AMX_TILES_H
#define RAPT_TESTS_AMX_TILES_H

#ifdef __AMX_TILE__ /* other files of such a library are compiled for less */
#include <immintrin.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EMULATED static inline __attribute__((unused))

static _Thread_local struct {
    _Alignas(64) uint8_t data[8][16][64];
    uint8_t rows[8];
    uint16_t bytes[8]; /* of a row */
    int configured;
} emulated_tiles;

EMULATED void emulated_must(int fine, const char *what) {
    if (fine) return;
    fprintf(stderr, "emulated tiles: %s\n", what);
    abort();
}

EMULATED void emulated_release(void) { memset(&emulated_tiles, 0, sizeof emulated_tiles); }

EMULATED void emulated_loadconfig(const void *config) {
    const uint8_t *c = config;
    emulated_release();
    emulated_must(c[0] == 1 && c[1] == 0, "palette 1, row 0 expected");
    for (int i = 2; i < 16; i++) emulated_must(c[i] == 0, "reserved bytes are not 0");
    for (int t = 0; t < 8; t++) {
        memcpy(&emulated_tiles.bytes[t], c + 16 + 2 * t, 2);
        emulated_tiles.rows[t] = c[48 + t];
        emulated_must(emulated_tiles.bytes[t] <= 64 && emulated_tiles.rows[t] <= 16, "a tile has at most 16 rows of 64 bytes");
    }
    emulated_tiles.configured = 1;
}

EMULATED void emulated_used(int t) {
    emulated_must(emulated_tiles.configured && emulated_tiles.rows[t] && emulated_tiles.bytes[t], "a tile that is not configured");
}

EMULATED void emulated_zero(int t) {
    emulated_used(t);
    memset(emulated_tiles.data[t], 0, sizeof emulated_tiles.data[t]);
}

EMULATED void emulated_loadd(int t, const void *base, size_t stride) {
    emulated_zero(t);
    for (size_t r = 0; r < emulated_tiles.rows[t]; r++)
        memcpy(emulated_tiles.data[t][r], (const char *)base + r * stride, emulated_tiles.bytes[t]);
}

EMULATED void emulated_stored(int t, void *base, size_t stride) {
    emulated_used(t);
    for (size_t r = 0; r < emulated_tiles.rows[t]; r++)
        memcpy((char *)base + r * stride, emulated_tiles.data[t][r], emulated_tiles.bytes[t]);
}

/* c[M, N] of 4 bytes, a[M, K] and b[K, N] of 4 bytes that hold pairs or fours. */
EMULATED void emulated_shapes(int c, int a, int b) {
    emulated_used(c), emulated_used(a), emulated_used(b);
    emulated_must(c != a && c != b && a != b, "one tile twice");
    emulated_must(emulated_tiles.rows[a] == emulated_tiles.rows[c], "rows of a and of the sums");
    emulated_must(emulated_tiles.bytes[a] == 4 * emulated_tiles.rows[b], "columns of a, rows of b");
    emulated_must(emulated_tiles.bytes[b] == emulated_tiles.bytes[c], "columns of b and of the sums");
}

/* Even and odd elements have sums of their own, which are added up at the end. */
EMULATED void emulated_dpbf16ps(int c, int a, int b) {
    emulated_shapes(c, a, b);
    const __m512i high = _mm512_set1_epi32((int)0xffff0000u);
    for (size_t m = 0; m < emulated_tiles.rows[c]; m++) {
        __m512 even = _mm512_setzero_ps(), odd = _mm512_setzero_ps();
        for (size_t k = 0; k < emulated_tiles.rows[b]; k++) {
            uint32_t pair;
            memcpy(&pair, emulated_tiles.data[a][m] + 4 * k, sizeof pair);
            const __m512i row = _mm512_load_si512(emulated_tiles.data[b][k]);
            even = _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_set1_epi32((int)(pair << 16))),
                                   _mm512_castsi512_ps(_mm512_slli_epi32(row, 16)), even);
            odd = _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_set1_epi32((int)(pair & 0xffff0000u))),
                                  _mm512_castsi512_ps(_mm512_and_si512(row, high)), odd);
        }
        float *sums = (float *)(void *)emulated_tiles.data[c][m];
        const __mmask16 there = (__mmask16)((1u << (emulated_tiles.bytes[c] / 4)) - 1);
        _mm512_mask_store_ps(sums, there, _mm512_add_ps(_mm512_load_ps(sums), _mm512_add_ps(even, odd)));
    }
}

EMULATED void emulated_dpbssd(int c, int a, int b) {
    emulated_shapes(c, a, b);
    for (size_t m = 0; m < emulated_tiles.rows[c]; m++)
        for (size_t n = 0; n < emulated_tiles.bytes[c] / 4u; n++) {
            int32_t sum;
            memcpy(&sum, emulated_tiles.data[c][m] + 4 * n, sizeof sum);
            for (size_t k = 0; k < emulated_tiles.rows[b]; k++)
                for (size_t i = 0; i < 4; i++)
                    sum += (int8_t)emulated_tiles.data[a][m][4 * k + i] * (int8_t)emulated_tiles.data[b][k][4 * n + i];
            memcpy(emulated_tiles.data[c][m] + 4 * n, &sum, sizeof sum);
        }
}

#undef _tile_loadconfig
#undef _tile_release
#undef _tile_zero
#undef _tile_loadd
#undef _tile_stored
#undef _tile_dpbf16ps
#undef _tile_dpbssd
#define _tile_loadconfig(config) emulated_loadconfig(config)
#define _tile_release() emulated_release()
#define _tile_zero(t) emulated_zero(t)
#define _tile_loadd(t, base, stride) emulated_loadd(t, base, stride)
#define _tile_stored(t, base, stride) emulated_stored(t, base, stride)
#define _tile_dpbf16ps(c, a, b) emulated_dpbf16ps(c, a, b)
#define _tile_dpbssd(c, a, b) emulated_dpbssd(c, a, b)

#endif
#endif
