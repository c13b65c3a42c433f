/* Attention on the tile registers. */
#include "num/attention_forms_bf16.h"
#include "num/tiles_amx.h"

#define KERNELS attention_tiles_amx
#include "num/attention_tiles_kernel.h"
