/* block: one decoder layer. x = x + attention(norm(x)); x = x + mlp(norm(x)). */
#ifndef RAPT_MODEL_BLOCK_H
#define RAPT_MODEL_BLOCK_H

#include "model/run.h"
#include "num/attention.h"

/* What a layer's attention looks like. */
struct attention_shape block_attention_shape(const struct model *m, size_t layer);
/* Turns queries and keys of qkv[T, (H + 2K) D] by the layer's rotations; inverse: their gradients back. */
void block_rotate(float *qkv, const struct run *r, size_t layer, const int32_t *depth, size_t t, bool inverse);
/* A layer's attention: reads a->qkv [T, (H + 2K) D] as the product left it, turns queries and keys by their positions and writes
 * a->attn [T, H D]. block_forward's looks at the tree of the packed batch, infer/decode's at a cache. */
typedef status block_attend_fn(struct layer_acts *a, void *context, const struct run *r, size_t layer);
/* out[T, C] = the layer on a->x, which it may be; t rows are real, padded (a multiple of MODEL_T_UNIT) are computed. keep: for
 * block_backward. */
status block_forward_attend(float *out, struct layer_acts *a, struct run *r, size_t layer, block_attend_fn *attend, void *context,
                            const float *theta, size_t t, size_t padded, bool keep);
status block_forward(float *out, struct layer_acts *a, struct run *r, size_t layer, const struct seqtree *tree, const float *theta,
                     size_t padded, bool keep);
/* r->dx [T, C]: in the gradient of the layer's output, out that of its input. Adds parameter gradients. */
status block_backward(struct run *r, size_t layer, const struct seqtree *tree, const float *theta, size_t padded);
/* Bytes that attention wants as scratch for t tokens. */
size_t block_attention_scratch(const struct model *m, size_t t, bool backward);
/* t rounded up to MODEL_T_UNIT. */
size_t run_round(size_t t);

#endif
