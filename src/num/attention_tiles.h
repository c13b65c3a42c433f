/* attention_tiles: attention with products in tiles (tiles.h), of bf16 (half) or of fp32; softmax, sums and gradients of scores in
 * fp32. Same meaning as attention.h. */
#ifndef RAPT_NUM_ATTENTION_TILES_H
#define RAPT_NUM_ATTENTION_TILES_H

#include "num/attention_block.h"

#define ATTENTION_BLOCK 32 /* nodes of a block */

struct attention_tiles {
    /* bf16 elements of working memory for t nodes. */
    size_t (*scratch)(size_t t, const struct attention_shape *shape, bool half, bool backward);
    void (*forward)(const struct attention_args *a, bool half, uint16_t *scratch);
    void (*backward)(const struct attention_args *a, bool half, uint16_t *scratch);
};
extern const struct attention_tiles attention_tiles_amx, attention_tiles_bf16, attention_tiles_avx512;

#endif
