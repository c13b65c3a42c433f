/* qdot: products y = x W^T that read quantised weights as they are. x is rounded to int8, 32 elements with one factor; dot products within
 * such a block are exact in integers, the blocks' sums are added up in fp32, one after another. Weights keep the numbers of their file,
 * only in another order: 16 rows side by side, so that a vector holds four elements of each.
 *
 * A result depends on its row of x and its row of W alone: the number of rows, threads and the kernel change no bit. Against the product
 * with x as it is, the error is that of rounding x: at most half a step of max|x| / 127 in each element of a block.
 * (ggml computes with quantised weights in the same way; its factor of a block of x is a half.) */
#ifndef RAPT_NUM_QDOT_H
#define RAPT_NUM_QDOT_H

#include "num/dtype.h"

#define QDOT_BLOCK 32 /* elements of x with one factor */

struct qdot { /* W[n, k] */
    enum dtype type;
    size_t n, k;
    uint8_t *data; /* a strip of 16 rows after the other */
};
/* Types that have products of this kind: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K, Q6_K, IQ4_NL. */
bool qdot_takes(enum dtype type);
/* Bytes of W as packed; 0: type not taken, rows do not fill its blocks, or overflow. */
size_t qdot_bytes(enum dtype type, size_t n, size_t k);
/* Row r of a matrix, as its file has it. */
typedef const void *qdot_row(const void *source, size_t r);
/* memory[qdot_bytes], aligned to 64 bytes, must live on; source need not. */
void qdot_pack(struct qdot *w, void *memory, enum dtype type, qdot_row *row, const void *source, size_t n, size_t k);

struct qdot_input { /* x[m, k] rounded */
    size_t m, k;
    int8_t *q;     /* [m, k] */
    float *factor; /* [m, k / 32] */
    float *total;  /* [m, k / 32] factor times the sum of q */
    int32_t *sum;  /* [m, k / 32, 2] sums of q over each 16 */
};
size_t qdot_input_bytes(size_t m, size_t k);
/* memory[qdot_input_bytes], aligned for floats. */
void qdot_round(struct qdot_input *out, void *memory, const float *x, size_t ld, size_t m, size_t k);

/* y[m, n of all parts] = init + x W^T, the parts' rows one after another. init: NULL = 0, may be y; ld_init 0: the same for every row. */
void qdot_product(float *y, size_t ldy, const float *init, size_t ld_init, const struct qdot_input *x, const struct qdot *parts,
                  size_t count);
/* The same for any CPU, and to test the kernels against. */
void qdot_product_plain(float *y, size_t ldy, const float *init, size_t ld_init, const struct qdot_input *x, const struct qdot *parts,
                        size_t count);

#endif
