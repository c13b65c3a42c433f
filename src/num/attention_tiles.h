/* attention_amx: attention with products on the tile registers, of bf16 (half) or of fp32 as sums of bf16 (amx.h); softmax, sums and gradients
 * of scores in fp32. Same meaning as attention.h. */
#ifndef RAPT_NUM_ATTENTION_AMX_H
#define RAPT_NUM_ATTENTION_AMX_H

#include "num/attention_block.h"

/* bf16 elements of working memory for t nodes. */
size_t attention_amx_scratch(size_t t, const struct attention_shape *shape, bool half, bool backward);
void attention_amx_forward(const struct attention_args *a, bool half, uint16_t *scratch);
void attention_amx_backward(const struct attention_args *a, bool half, uint16_t *scratch);

#endif
