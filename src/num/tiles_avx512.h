/* tiles_avx512: tiles.h on multiply-adds of fp32, for files named *_avx512.c. Operands are floats as they are (GEMM_TILES_WHOLE). */
#ifndef RAPT_NUM_TILES_AVX512_H
#define RAPT_NUM_TILES_AVX512_H

#include "num/tiles.h"

#define TILES_HALVES 0
#define TILES_PLANES_OF(half) ((void)(half), (size_t)GEMM_TILES_WHOLE)
#define TILES_PLANES GEMM_TILES_WHOLE
#define TILES_RUN 4
#define TILES_MULTIPLY(s, a, lda, b0, b1, steps, rows)                                                                               \
    lanes_fp32(s, (const float *)(const void *)(a), (lda) / 2, (const float *)(const void *)(b0), (const float *)(const void *)(b1), \
               32 * (steps), rows)
#include "num/tiles_lanes.h"

#endif
