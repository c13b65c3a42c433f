/* Attention on AVX512-BF16's dot products. */
#include "num/attention_forms_bf16.h"
#include "num/tiles_bf16.h"

#define KERNELS attention_tiles_bf16
#include "num/attention_tiles_kernel.h"
