/* quant_k: writing ggml's K types. A block of 256 is described by its groups' scales (and minima) in few bits and one or two half-precision
 * factors; which of them describe it best is searched for, by weighted least squares:
 *
 * 1. For each group of 16 or 32, a row of candidate step widths around range / levels turns the group into levels; for these levels the
 * best scale (and minimum) has a closed form; the candidate with the least weighted squared error wins. The weights make large values count
 *    more, as ggml's reference does (ggml-quants.c, quantize_row_*_ref): rms + |x| for types with minima, mean square + x^2 for the others.
 *    (ggml has |x| for Q2_K and x^2 for Q3_K and Q6_K, which leaves small values out.)
 * 2. The block's factors follow from its largest scale and minimum, rounded to half precision.
 * 3. Each group takes those integers next to its ideal scale and minimum, judged together and with the rounded factors, that leave the
 * least error. ggml rounds each on its own; this is where most of the difference to its error comes from.
 * 4. For these integers the block's best factors have a closed form; steps 3 and 4 repeat, twice at most, while the error falls.
 *
 * Results are the same on every machine: eight lanes, one order of summing. */
#ifndef RAPT_NUM_QUANT_K_H
#define RAPT_NUM_QUANT_K_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* out: whole blocks (num/dtype_k.h) from in [count], a multiple of 256. False: a value is not finite or its scale leaves half precision. */
bool quant_write_q2_k(uint8_t *out, const float *in, size_t count);
bool quant_write_q3_k(uint8_t *out, const float *in, size_t count);
bool quant_write_q4_k(uint8_t *out, const float *in, size_t count);
bool quant_write_q5_k(uint8_t *out, const float *in, size_t count);
bool quant_write_q6_k(uint8_t *out, const float *in, size_t count);

/* at [2] = f as a half; false when that is not finite. */
bool quant_put_half(uint8_t *at, float f);

#endif
