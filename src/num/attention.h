/* attention: causal grouped-query attention over the segments of a tree, in blocks, without a T x T matrix (Dao et al. 2022).
 *
 * A node sees itself, the nodes before it in its segment, and all nodes of its ancestor segments, or of these the `window` nearest. Every
 * output element is written by one thread in a fixed order: the result does not depend on threads. */
#ifndef RAPT_NUM_ATTENTION_H
#define RAPT_NUM_ATTENTION_H

#include "num/kept.h"
#include "num/seqtree.h"

#define ATTENTION_HEAD_DIM_MAX 256

struct attention_shape {
    size_t heads, kv_heads, head_dim; /* H, K, D: rows of qkv hold H query heads, K key heads, K value heads of D floats */
    size_t stride;                    /* floats from one row of qkv to the next */
    float scale;                      /* score = scale q k */
    float softcap;                    /* Gemma 2: score = cap tanh(scale q k / cap); 0 = none */
    int32_t window;                   /* positions a node sees, itself counted; 0 = all */
};

/* out[T, H D]; lse[T, H] = log sum exp of the scores, for backward. half: products may be bf16, on CPUs that have tiles for them.
 * scratch: attention_scratch() bytes, aligned to 64. */
void attention_forward(float *out, float *lse, const float *qkv, const struct seqtree *tree, const struct attention_shape *shape, bool half,
                       void *scratch);
/* dqkv[T, stride] is written. */
void attention_backward(float *dqkv, const float *dout, struct kept out, const float *lse, const float *qkv, const struct seqtree *tree,
                        const struct attention_shape *shape, bool half, void *scratch);
size_t attention_scratch(size_t tokens, const struct attention_shape *shape, bool half, bool backward);

/* The twins: node by node along its ancestors, sums in double. */
void attention_forward_reference(float *out, float *lse, const float *qkv, const struct seqtree *tree, const struct attention_shape *shape);
void attention_backward_reference(float *dqkv, const float *dout, const float *out, const float *lse, const float *qkv,
                                  const struct seqtree *tree, const struct attention_shape *shape);

#endif
