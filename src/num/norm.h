/* norm: root-mean-square normalisation (Zhang and Sennrich 2019), as transformers' LlamaRMSNorm. */
#ifndef RAPT_NUM_NORM_H
#define RAPT_NUM_NORM_H

#include <stddef.h>

/* out[T,C] = x rstd w; rstd[T] = 1 / sqrt(mean(x^2) + eps). */
void rmsnorm_forward(float *out, float *rstd, const float *x, const float *weight, size_t t, size_t c, float eps);
/* dx[T,C] += ...; dweight[C] += ... unless NULL. Sums run in an order that does not depend on threads. */
void rmsnorm_backward(float *dx, float *dweight, const float *dout, const float *x, const float *weight, const float *rstd, size_t t, size_t c);

#endif
