/* act: the gated activation of Llama's feed-forward (Shazeer 2020): silu(gate) * up. */
#ifndef RAPT_NUM_ACT_H
#define RAPT_NUM_ACT_H

#include <stddef.h>

/* out[T,F]; gate_up[T,2F] holds gate, then up. */
void swiglu_forward(float *out, const float *gate_up, size_t t, size_t f);
/* dgate_up[T,2F] is written. */
void swiglu_backward(float *dgate_up, const float *dout, const float *gate_up, size_t t, size_t f);

#endif
