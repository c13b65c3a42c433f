/* mlp: the gated feed-forward half of a layer, and the normed inputs that both halves share. */
#ifndef RAPT_MODEL_MLP_H
#define RAPT_MODEL_MLP_H

#include "model/run.h"

/* The normed rows of x[T, C] in the form that products read, in r's buffers; rstd[T] out. keep: x.h too, where there is one. `again` makes
 * them from what was kept. */
struct mat mlp_normed(struct run *r, float *rstd, struct kept x, const float *weight, size_t padded, bool keep);
struct mat mlp_normed_again(struct run *r, struct kept x, const float *rstd, const float *weight, size_t padded);
/* The gradient of what a half's last projection gave: r->dx, or where a norm stands behind it (weight not NULL; x and rstd as forward kept
 * them), that taken through the norm. */
struct mat mlp_through_post(struct run *r, const float *weight, size_t offset, struct kept x, const float *rstd, size_t padded);
/* out[T, C] = a->mid + mlp(norm(a->mid)). keep: for mlp_backward. */
status mlp_forward(float *out, struct layer_acts *a, struct run *r, size_t layer, const float *theta, size_t padded, bool keep);
/* r->dx [T, C]: in the gradient of the layer's output, out that of a->mid. Adds parameter gradients. */
status mlp_backward(struct run *r, size_t layer, const float *theta, size_t padded);

#endif
