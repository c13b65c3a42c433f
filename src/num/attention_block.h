/* attention_block: the arithmetic of one block of queries or keys; compiled once for AVX2 and once for AVX-512 (attention_kernel.h). */
#ifndef RAPT_NUM_ATTENTION_BLOCK_H
#define RAPT_NUM_ATTENTION_BLOCK_H

#include "num/attention.h"

struct attention_args {
    const float *qkv;
    const struct seqtree *tree;
    size_t heads, kv_heads, head_dim, stride;
    float scale;
    float *out, *lse;               /* forward writes, backward reads */
    const float *dout, *delta;      /* [T, H D]; [T, H] sum of dout * out */
    float *dqkv;
};

/* Queries [from, from+count) of a segment and one head. */
typedef void attention_query_fn(const struct attention_args *a, int32_t segment, int32_t from, int32_t count, size_t head);
/* Keys [from, from+count) of a segment and one key/value head. */
typedef void attention_key_fn(const struct attention_args *a, int32_t segment, int32_t from, int32_t count, size_t kv_head);

struct attention_kernels {
    attention_query_fn *forward, *backward_query;
    attention_key_fn *backward_key;
};
extern const struct attention_kernels attention_kernels_avx2, attention_kernels_avx512;

#define ATTENTION_Q 32 /* queries a block */
#define ATTENTION_K 64 /* keys a block */

#endif
