/* quant: writing rows of floats in the storage types of num/dtype.h. */
#ifndef RAPT_NUM_QUANT_H
#define RAPT_NUM_QUANT_H

#include "num/dtype.h"

/* Is there a writer of this type? For dtype_list and the checking of options. */
bool quant_writes(enum dtype type);
/* Can rows of `cols` be written as `type`? */
bool quant_can(enum dtype type, size_t cols);
/* out [dtype_row_bytes(type, count)] from in [count], a multiple of the type's block. False: a value is not finite, or too large for the
 * type (its scale leaves half precision); what was written is then of no use. F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1 and Q8_0 give gguf-py's
 * bytes; the K types are searched for (num/quant_k.h). Rows are independent: callers run them in parallel. */
bool quant_row(void *out, const float *in, enum dtype type, size_t count);
/* The type for rows that do not fill blocks of `wanted`: `wanted` itself where they do, else llama.cpp's choice (tensor_type_fallback of
 * llama-quant.cpp: Q4_K -> Q5_0, Q5_K -> Q5_1, Q6_K -> Q8_0, Q2_K and Q3_K -> Q4_0), and F16 where no block fits. */
enum dtype quant_fallback(enum dtype wanted, size_t cols);

#endif
