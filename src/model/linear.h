/* linear: projections that read the same input, fused into one product (q|k|v, gate|up), each with its own LoRA pair.
 *
 * y = x W^T + bias + scale B A dropout(x)      (Hu et al. 2021; peft tuners/lora/layer.py)
 * DoRA (Liu et al. 2024; peft tuners/lora/dora.py): y = bias + m / |W + scale B A| (W + scale B A) x, the norm of each row, without
 * gradient */
#ifndef RAPT_MODEL_LINEAR_H
#define RAPT_MODEL_LINEAR_H

#include "model/hf_io.h"
#include "model/params.h"
#include "num/gemm_tiles.h"
#include "num/matmul.h"
#include "num/qdot.h"

#define LINEAR_PARTS_MAX 3
#define LINEAR_FROZEN SIZE_MAX

struct linear_part {
    enum tensor_role role;
    size_t row, rows; /* its rows of the fused output */
    bool adapted;
    size_t rank;     /* of its adapter */
    float scale;     /* alpha / rank, or alpha / sqrt(rank) */
    size_t u_col;    /* its first column in u */
    size_t b_offset; /* B [rows, rank] in the parameter vector */
    size_t m_offset; /* DoRA: m [rows] there */
};
struct dora {       /* of one linear; 1 in rows that have no adapter */
    float *squares; /* [out] |W|^2 of each row */
    float *gain;    /* [out] m / |W + scale B A| */
    float *inverse; /* [out] 1 / |W + scale B A| */
};
struct linear {
    size_t layer, in, out, part_count;
    struct linear_part part[LINEAR_PARTS_MAX];
    struct matmul_weight w;                      /* [out, in] */
    float *owned;                                /* frozen fp32 copy behind w, or NULL */
    struct tensor_view stored[LINEAR_PARTS_MAX]; /* the parts in their file, where w is stored */
    struct qdot int8[LINEAR_PARTS_MAX];          /* behind w where products read the parts as they are quantised */
    size_t w_offset;                             /* in the parameter vector under full training, else LINEAR_FROZEN */
    bool biased;
    float *bias;         /* [out], or NULL */
    size_t bias_offset;  /* as w_offset */
    size_t u_width;      /* ranks of the adapted parts together; 0 = no adapter */
    size_t a_offset;     /* A of the adapted parts, one after another: [u_width, in] */
    struct dora *dora;   /* NULL = plain LoRA */
    size_t saved_offset; /* a full matrix trained in the place of W (PEFT's modules_to_save), in the parameter vector; else LINEAR_FROZEN */
    struct matmul_weight saved; /* its product, of the values that linear_bind saw last */
};

/* Rows of a stored weight: a matmul_rows whose source is the linear. */
void linear_stored_rows(float *out, const void *source, size_t from, size_t rows);

/* Keeps an element of a LoRA input with probability 1 - p; drawn from (key, row, column), so that backward draws the same. */
struct dropout {
    float p; /* 0 = off */
    uint64_t key;
    size_t first; /* the number of the first row */
};

/* Working memory of one run; sized for the widest linear. bf16 buffers have GEMM_TILES_K elements to spare behind them. */
struct linear_scratch {
    uint16_t *half;            /* [T, max(in, out)] bf16 form of an operand, or gemm_tiles_split's; NULL under fp32 without tiles */
    uint16_t *u_half;          /* [T, max u_width rounded up to 32] the same of u; these four NULL without adapters or tiles */
    uint16_t *pack_a, *pack_b; /* LoRA's A and B, packed */
    float *up;                 /* [max out, max u_width] the B of all parts, each in its rows and columns */
    float *du;                 /* [T, max u_width]; NULL without adapters */
    float *dropped;            /* [T, max in]; NULL without dropout */
    float *dz;                 /* [T, max out]; NULL without DoRA */
    struct dropout dropout;
};

/* Operands come as fp32, bf16 or both (struct mat); where products read bf16 and only fp32 is there, it is rounded here. Dropout wants x in
 * fp32. */

/* Floats that u below needs for every row: scale * A x [u_width], and under DoRA what the gain multiplies [out]. */
size_t linear_kept(const struct linear *l);
/* What of the linear depends on theta but not on x: the product of a saved matrix, DoRA's gains. Once after each change of theta or its
 * values, before the passes. products[u_width, out]: scratch, NULL without DoRA. theta NULL: nothing to do. */
status linear_bind(struct linear *l, const float *theta, float *products);
/* y[T, out] = init + ...; init: NULL = 0, may be y. theta: the vector that adapters are read from, NULL = adapter off. u[T, linear_kept]
 * keeps scale * A x for backward. */
status linear_forward(float *y, const float *init, float *u, struct mat x, const struct linear *l, const float *theta,
                      const struct linear_scratch *s, size_t t);
/* dx[T, in] (+)=; grad: gradients of the parameter vector, added to, NULL = only dx. dx may be NULL when nobody needs it. */
status linear_backward(float *dx, float *grad, struct mat dy, struct mat x, const float *u, const struct linear *l, const float *theta,
                       const struct linear_scratch *s, size_t t, bool accumulate);

/* Rows [from, from + rows) of a linear of one part, `from` a multiple of 64, as a linear of its own: its forward passes put their columns
 * of y, its backward passes add up. Of one that is bound. dora: where the view's is put. */
struct linear linear_rows(const struct linear *l, size_t from, size_t rows, struct dora *dora);

/* Products whose finished blocks go to a function instead of memory: where the weight is packed in tiles and dropout is off. */
struct linear_finish {
    gemm_tiles_finish *block;
    gemm_tiles_look *look; /* may be NULL */
    void *context;
    size_t half_offset; /* struct gemm_tiles */
};
status linear_forward_finish(const struct linear_finish *f, float *u, struct mat x, const struct linear *l, const float *theta,
                             const struct linear_scratch *s, size_t t);
/* x is read after the last block is finished: the function may write it. */
status linear_backward_finish(const struct linear_finish *f, float *grad, struct mat dy, struct mat x, const float *u,
                              const struct linear *l, const float *theta, const struct linear_scratch *s, size_t t);

#endif
