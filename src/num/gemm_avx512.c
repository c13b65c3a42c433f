/* Matrix products on multiply-adds of fp32. */
#include "num/tiles_avx512.h"

#define GEMM_TILES_RUN gemm_tiles_run_avx512
#include "num/gemm_tiles_kernel.h"
