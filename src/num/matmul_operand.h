/* matmul_operand: operands of products in another type, in scratch memory that grows to what is asked for; private to num/matmul*. */
#ifndef RAPT_NUM_MATMUL_OPERAND_H
#define RAPT_NUM_MATMUL_OPERAND_H

#include "num/matmul.h"

struct operand_scratch {
    void *data;
    size_t bytes;
};
extern struct operand_scratch matmul_scratch_a, matmul_scratch_b; /* one for each side of a product */
extern struct operand_scratch matmul_strips;                      /* gemm_tiles_plain_bytes */

extern struct operand_scratch matmul_split_a; /* the a operand of products of fp32 on the tiles */

/* At least rows x cols elements of `size` bytes, and what a product in bf16 reads behind them. */
status matmul_grow_operand(struct operand_scratch *scratch, size_t rows, size_t cols, size_t size);
/* The bf16 form of an operand of [rows, cols], and its leading dimension. */
status matmul_as_half(const uint16_t **out, size_t *ld, struct operand_scratch *scratch, struct mat x, size_t rows, size_t cols);
/* The operand's bf16 values as floats: where the CPU has no tiles (cpu_has_tiles), products of bf16 run on fp32 units, which on Intel's are
 * twice as fast as vdpbf16ps (and exact in the products, as that is); only memory is saved. */
status matmul_as_rounded(const float **out, size_t *ld, struct operand_scratch *scratch, struct mat x, size_t rows, size_t cols);
/* Frees matmul_weight's scratch. */
void matmul_weight_shutdown(void);

#endif
