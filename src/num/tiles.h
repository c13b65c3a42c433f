/* tiles: products of bf16 in blocks of 32 x 32 sums, for gemm_tiles_kernel.h and attention_tiles_kernel.h, which are compiled for each of
 * the units that make them: tiles_amx.h, the tile registers, and tiles_bf16.h, AVX512-BF16's dot products; and products of fp32 by
 * tiles_avx512.h. A tile of a is 16 rows of 32 bf16 of a row-major matrix; a tile of b holds 32 x 16 bf16, 1 KB, with rows 2i and 2i+1
 * interleaved: b[i][2j] and b[i][2j+1] are elements (2i, j) and (2i+1, j). Under GEMM_TILES_WHOLE elements are floats, a has as many, and a
 * tile of b is 32 rows of 16 of them.
 *
 * Each unit has, for the calling thread's sums of up to 32 rows and twice 16 columns:
 *   tiles_begin, tiles_end       around a thread's work
 *   tiles_sums_zero, .._load, .._store
 *   tiles_steps_of               sums += a[rows, 32 steps] times b0 and b1, each [32 steps, 16] in consecutive tiles, of operands of
 * `planes` that it has tiles_steps_left             the same of bf16 operands with what rounding to bf16 left over, where the unit has
 * operands of bf16 */
#ifndef RAPT_NUM_TILES_H
#define RAPT_NUM_TILES_H

#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "num/gemm_tiles.h"

#define TILE_ELEMENTS 512 /* of a tile of b */

/* What is done beside the steps of a block, while the tiles are busy. The block before is finished, `finish_each` rows a step. And of what
 * will be touched next, a line (64 bytes) of each of `rows` rows in every stream, the first `written` of which are stored to, is brought to
 * the first-level cache, `each` rows a step: a store that misses would hold up loads of tiles. */
#define TILES_STREAMS 6
struct tiles_beside {
    gemm_tiles_finish *finish;
    void *context;
    const float *block;
    size_t i, j, second, left, finish_each;
    struct tiles_stream {
        const char *at;
        size_t stride; /* bytes */
    } stream[TILES_STREAMS];
    size_t count, written, rows, each;
};

/* One more stream; those that are stored to come first. */
static inline void tiles_look_at(struct tiles_beside *p, const void *at, size_t stride, bool written) {
    p->stream[p->count++] = (struct tiles_stream){at, stride};
    p->written += written;
}

static inline void tiles_finish_rows(struct tiles_beside *p, size_t most) {
    const size_t rows = p->left < most ? p->left : most;
    if (!rows) return;
    p->finish(p->context, p->block, p->i, rows, p->j, p->second);
    p->block += rows * 32, p->i += rows, p->left -= rows;
}

static inline void tiles_beside(struct tiles_beside *p) {
    if (!p) return;
    tiles_finish_rows(p, p->finish_each);
    for (size_t i = 0; i < p->each && p->rows; i++, p->rows--)
        for (size_t n = 0; n < p->count; n++) {
            if (n < p->written)
                __builtin_prefetch(p->stream[n].at, 1, 3);
            else
                _mm_prefetch(p->stream[n].at, _MM_HINT_T0);
            p->stream[n].at += p->stream[n].stride;
        }
}

/* GEMM_TILES_SPLIT, fp32 operands of bf16: each element is the sum of three bf16, high + middle + low, to the last bit of its fp32. Six of
 * the nine products make the sum; the others are below 2^-24 of it, of either sign. (Henry, Tang, Heinecke 2019, "Leveraging the bfloat16
 * artificial intelligence datatype for higher-precision computations", section 2.) Every 32 columns of a row, and every tile, come three
 * times: high, middle, low. */

/* The parts of b's columns that are there: `used` counts them for each tile (1: high alone, .. 3), NULL where all three are. What a tile
 * lacks is not multiplied, which changes no bit of the sums. */
static inline size_t tiles_parts(const uint8_t *used0, const uint8_t *used1, size_t s) {
    if (!used0) return GEMM_TILES_SPLIT;
    return used0[s] > used1[s] ? used0[s] : used1[s];
}

/* Rows, or tiles of a column, with what rounding to bf16 left over of each, laid out alike. */
struct tiles_side {
    const uint16_t *main, *left; /* left: NULL = not kept */
};

#define TILES_STRIP ((size_t)768 << 10) /* bytes of packed b that a task works on */

/* Bytes of a thread that packs a strip itself: its tiles, a byte for each, and rows that are made for it. At least 64 columns of all of K,
 * up to TILES_FINISHED_K: what is finished at once is not cut along K. */
#define TILES_FINISHED_K 16384
struct tiles_room {
    size_t tiles, used, rows, all;
};
struct tiles_room tiles_room_of(size_t k);

void gemm_tiles_run_amx(const struct gemm_tiles *g);
void gemm_tiles_run_bf16(const struct gemm_tiles *g);
void gemm_tiles_run_avx512(const struct gemm_tiles *g);

#endif
