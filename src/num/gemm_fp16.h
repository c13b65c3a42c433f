/* gemm_fp16: products of floats in fp16 arithmetic, for CPUs with AVX512-FP16, whose multiply-adds of fp16 are twice as fast as those of
 * fp32.
 *
 * Each row of op(a) and each column of op(b) is brought to 8 .. 16 in its largest element by a power of two and rounded to fp16; 64
 * products at a time are summed in fp16, which cannot overflow (64 x 16 x 16), and those sums in fp32. Against the exact product of the
 * floats the error is near that of operands rounded to bf16 (RMS 1.3e-3 of the products' size, test_gemm_fp16). A row or column with an
 * infinity or NaN gives NaN. Every element is summed in the same order whatever the number of threads. */
#ifndef RAPT_NUM_GEMM_FP16_H
#define RAPT_NUM_GEMM_FP16_H

#include <stdbool.h>
#include <stddef.h>

struct gemm_fp16 {
    size_t m, n, k;
    const float *a; /* [M,K], or when ta [K,M] */
    size_t lda;
    bool ta;
    const float *b; /* [K,N], or when tb [N,K] */
    size_t ldb;
    bool tb;
    float *c; /* [M,N] */
    size_t ldc;
    bool accumulate; /* adds to c */
};
/* Bytes of scratch that gemm_fp16_run takes, 64-byte aligned. */
size_t gemm_fp16_bytes(size_t m, size_t n, size_t k);
void gemm_fp16_run(const struct gemm_fp16 *g, void *scratch);

#endif
