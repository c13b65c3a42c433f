/* kept: what a pass keeps for the way back, in fp32, or rounded to bf16 where h is not NULL. f is then where the layers at work have
 * theirs. */
#ifndef RAPT_NUM_KEPT_H
#define RAPT_NUM_KEPT_H

#include "num/dtype.h"

struct kept {
    float *f;
    uint16_t *h;
};

static inline struct kept kept_at(struct kept x, size_t at) { return (struct kept){x.f ? x.f + at : NULL, x.h ? x.h + at : NULL}; }
static inline float kept_value(struct kept x, size_t i) { return x.h ? dtype_bf16_to_float(x.h[i]) : x.f[i]; }
/* One of the two forms alone: a loop that is made for each (always inlined) does not ask which it is in every element. */
static inline struct kept kept_half(struct kept x) { return (struct kept){.h = x.h}; }
static inline struct kept kept_float(struct kept x) { return (struct kept){.f = x.f}; }

#endif
