/* Attention on the tile registers. */
#include "num/tiles_amx.h"

#define KERNELS attention_tiles_amx
#include "num/attention_tiles_kernel.h"
