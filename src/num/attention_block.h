/* attention_block: the arithmetic of one block of queries or keys; for AVX2 (attention_kernel.h). */
#ifndef RAPT_NUM_ATTENTION_BLOCK_H
#define RAPT_NUM_ATTENTION_BLOCK_H

#include "num/attention.h"

struct attention_args {
    const float *qkv;
    const struct seqtree *tree;
    struct attention_shape shape;
    float *out, *lse;          /* forward writes, backward reads */
    const float *dout, *delta; /* [T, H D]; [T, H] sum of dout * out */
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
extern const struct attention_kernels attention_kernels_avx2;

/* The first node of segment s that a query at `position` sees. */
static inline int32_t attention_first(const struct attention_args *a, const struct seqtree_segment *s, int32_t position) {
    const int32_t lowest = a->shape.window ? position - a->shape.window + 1 - s->depth : 0;
    return s->start + (lowest > 0 ? lowest : 0);
}
static inline int32_t attention_position(const struct seqtree_segment *s, int32_t node) { return s->depth + node - s->start; }

#define ATTENTION_Q 32 /* queries a block */
#define ATTENTION_K 64 /* keys a block */

#endif
