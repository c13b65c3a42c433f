/* Matrix products on AVX512-BF16's dot products. */
#include "num/tiles_bf16.h"

#define GEMM_TILES_RUN gemm_tiles_run_bf16
#include "num/gemm_tiles_kernel.h"
