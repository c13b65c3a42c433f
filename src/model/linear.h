/* linear: projections that read the same input, fused into one product (q|k|v, gate|up), each with its own LoRA pair.
 *
 * y = x W^T + (alpha / r) B A dropout(x)      (Hu et al. 2021; peft tuners/lora/layer.py) */
#ifndef RAPT_MODEL_LINEAR_H
#define RAPT_MODEL_LINEAR_H

#include "model/arch.h"
#include "model/params.h"
#include "num/matmul.h"

#define LINEAR_PARTS_MAX 3
#define LINEAR_FROZEN SIZE_MAX

struct linear_part {
    enum tensor_role role;
    size_t row, rows; /* its rows of the fused output */
    bool adapted;
    size_t u_col;     /* its first column in u */
    size_t b_offset;  /* B [rows, rank] in the parameter vector */
};
struct linear {
    size_t layer, in, out, part_count;
    struct linear_part part[LINEAR_PARTS_MAX];
    struct matmul_weight w; /* [out, in] */
    float *owned;           /* frozen fp32 copy behind w, or NULL */
    size_t w_offset;        /* in the parameter vector under full training, else LINEAR_FROZEN */
    size_t rank, u_width;   /* u_width = rank x adapted parts; 0 = no adapter */
    size_t a_offset;        /* A of the adapted parts, one after another: [u_width, in] */
    float scale;            /* alpha / rank */
};

/* Keeps an element of a LoRA input with probability 1 - p; drawn from (key, row, column), so that backward draws the same. */
struct dropout {
    float p; /* 0 = off */
    uint64_t key;
};

/* Working memory of one run; sized for the widest linear. */
struct linear_scratch {
    uint16_t *half;      /* [T, max(in, out)] bf16 form of an operand; NULL under fp32 */
    float *du;           /* [T, max u_width]; NULL without adapters */
    float *dropped;      /* [T, max in]; NULL without dropout */
    struct dropout dropout;
};

/* y[T, out] (+)= ... ; theta: the vector that adapters are read from, NULL = adapter off. u[T, u_width] keeps scale * A x for backward. */
status linear_forward(float *y, float *u, const float *x, const struct linear *l, const float *theta, const struct linear_scratch *s, size_t t,
                      bool accumulate);
/* dx[T, in] (+)=; grad: gradients of the parameter vector, added to, NULL = only dx. dx may be NULL when nobody needs it. */
status linear_backward(float *dx, float *grad, const float *dy, const float *x, const float *u, const struct linear *l, const float *theta,
                       const struct linear_scratch *s, size_t t, bool accumulate);

#endif
