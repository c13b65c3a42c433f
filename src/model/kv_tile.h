/* kv_tile: a few queries against one head of a cache, block by block; private to model/kv_cache*. The AVX-512 twins do the same operations
 * in the same order as those of kv_cache.c, so both give the same bits. */
#ifndef RAPT_MODEL_KV_TILE_H
#define RAPT_MODEL_KV_TILE_H

#include "model/kv_cache.h"

#define TILE 4   /* queries that share the loads of a key or value */
#define BLOCK 64 /* positions between two updates of the running maximum */

/* Up to TILE queries of one key/value head. */
struct tile {
    int count;
    const float *q[TILE];
    float *out[TILE];
    size_t first[TILE], seen[TILE]; /* positions [first, seen) are attended to */
    float most[TILE], sum[TILE];
    float score[TILE][BLOCK];
    float o[TILE][ATTENTION_HEAD_DIM_MAX];
};

/* score[q][j] = q . k_j for `rows` positions of a block (whole groups are computed), and o[q] += sum over j of score[q][j] v_j. */
struct kv_block {
    const void *keys, *values; /* fp32, or halves */
    size_t d, rows;
};
typedef void kv_block_step(struct tile *t, const struct kv_block *b);
struct kv_steps {
    kv_block_step *scores, *values;
};
extern const struct kv_steps kv_steps_avx512, kv_steps_avx512_half;

#endif
