/* norm: root-mean-square normalisation (Zhang and Sennrich 2019), as transformers' LlamaRMSNorm. */
#ifndef RAPT_NUM_NORM_H
#define RAPT_NUM_NORM_H

#include <stddef.h>
#include <stdint.h>

#include "num/kept.h"

/* out[T,C] = x rstd w; rstd[T] = 1 / sqrt(mean(x^2) + eps). half: the same in bf16. out or half may be NULL. kept: x in bf16, for backward,
 * or NULL. */
void rmsnorm_forward(float *out, uint16_t *half, uint16_t *kept, float *rstd, const float *x, const float *weight, size_t t, size_t c,
                     float eps);
/* out[T,C] = init + x rstd w: a norm behind a projection, added to the residual stream (Gemma 2, 3). out may be init. */
void rmsnorm_forward_onto(float *out, uint16_t *kept, float *rstd, const float *init, const float *x, const float *weight, size_t t,
                          size_t c, float eps);
/* forward's output once more from rstd[T]: cheaper than keeping it for every layer. out or half may be NULL. */
void rmsnorm_again(float *out, uint16_t *half, struct kept x, const float *rstd, const float *weight, size_t t, size_t c);
/* dx[T,C] += ...; dweight[C] += ... unless NULL. Sums run in an order that does not depend on threads. */
void rmsnorm_backward(float *dx, float *dweight, const float *dout, struct kept x, const float *weight, const float *rstd, size_t t,
                      size_t c);

/* Every query and key head of qkv[T, stride] normed by itself, in place: the first `heads` by q_norm[D], the next `kv_heads` by k_norm[D].
 * raw[T, (H + K) D], in fp32 or in bf16, keeps what they were and rstd[T, H + K] the factors, for backward; both of raw may be NULL. */
struct head_norm {
    const float *q_norm, *k_norm;
    size_t heads, kv_heads, head_dim, stride;
    float eps;
};
void headnorm_forward(float *qkv, struct kept raw, float *rstd, const struct head_norm *n, size_t t);
/* dqkv: in the gradient of the normed heads, out of the raw ones. dq_norm, dk_norm [D] are added to, or NULL. */
void headnorm_backward(float *dqkv, float *dq_norm, float *dk_norm, struct kept raw, const float *rstd, const struct head_norm *n,
                       size_t t);

#endif
