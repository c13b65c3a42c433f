/* Attention on multiply-adds of fp32. */
#include "num/attention_forms_fp32.h"
#include "num/tiles_avx512.h"

#define KERNELS attention_tiles_avx512
#include "num/attention_tiles_kernel.h"
