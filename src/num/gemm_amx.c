/* Matrix products on the tile registers. */
#include "num/tiles_amx.h"

#define GEMM_TILES_RUN gemm_tiles_run_amx
#include "num/gemm_tiles_kernel.h"
