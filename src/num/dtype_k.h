/* dtype_k: expansion of ggml's types with two levels of scales (K-quants) and of the types with a table of values (IQ4). Rows of
 * dtype_table. */
#ifndef RAPT_NUM_DTYPE_K_H
#define RAPT_NUM_DTYPE_K_H

#include <stddef.h>
#include <stdint.h>

#define K_BLOCK 256      /* elements of a block of every K type and of IQ4_XS */
#define K_SCALE_BYTES 12 /* bytes of the packed 6-bit scales of Q3_K, Q4_K and Q5_K */

enum { Q2_K_BYTES = 84, Q3_K_BYTES = 110, Q4_K_BYTES = 144, Q5_K_BYTES = 176, Q6_K_BYTES = 210, IQ4_XS_BYTES = 136, IQ4_NL_BYTES = 18 };

/* out [count], a multiple of the block, from whole blocks; `in` may be unaligned. */
void dtype_expand_q2_k(float *restrict out, const void *in, size_t count);
void dtype_expand_q3_k(float *restrict out, const void *in, size_t count);
void dtype_expand_q4_k(float *restrict out, const void *in, size_t count);
void dtype_expand_q5_k(float *restrict out, const void *in, size_t count);
void dtype_expand_q6_k(float *restrict out, const void *in, size_t count);
void dtype_expand_iq4_nl(float *restrict out, const void *in, size_t count);
void dtype_expand_iq4_xs(float *restrict out, const void *in, size_t count);

/* The eight 6-bit scales and minima of a block of Q4_K or Q5_K. */
void dtype_k_scales(uint8_t scale[8], uint8_t min[8], const uint8_t packed[K_SCALE_BYTES]);

#endif
