/* dtype: how numbers are stored, and their expansion to float, equal to gguf-py's dequantisation to the last bit. */
#ifndef RAPT_NUM_DTYPE_H
#define RAPT_NUM_DTYPE_H

#include "base/buf.h"
#include "base/status.h"

enum dtype {
    DTYPE_F32,
    DTYPE_F16,
    DTYPE_BF16,
    DTYPE_Q4_0,
    DTYPE_Q4_1,
    DTYPE_Q5_0,
    DTYPE_Q5_1,
    DTYPE_Q8_0,
    DTYPE_Q2_K,
    DTYPE_Q3_K,
    DTYPE_Q4_K,
    DTYPE_Q5_K,
    DTYPE_Q6_K,
    DTYPE_IQ4_NL,
    DTYPE_IQ4_XS,
    DTYPE_COUNT
};

struct dtype_info {
    const char *name;          /* "Q4_1" */
    int gguf_code;             /* ggml_type */
    const char *safetensors;   /* "F32", NULL when the format has no such type */
    size_t block, block_bytes; /* elements and bytes of one block; 1 element for plain types */
    /* Expands `count` elements (a multiple of block). Exact. */
    void (*expand)(float *out, const void *in, size_t count);
    /* The f16 factors of a block that multiply all of it or are added to it: how many, and at which bytes. */
    size_t factors, factor_at[2];
};
extern const struct dtype_info dtype_table[DTYPE_COUNT];

/* Bytes of a row of `cols` elements; 0 when cols is not a multiple of the block or the size overflows. */
size_t dtype_row_bytes(enum dtype type, size_t cols);
bool dtype_from_gguf(enum dtype *out, uint32_t code);
bool dtype_from_safetensors(enum dtype *out, const char *name, size_t size);
bool dtype_from_name(enum dtype *out, const char *name); /* "Q4_K", in either case */
/* Appends "F32, F16, ... and IQ4_XS": every type of the table that `has` says yes to; NULL: all. For messages. */
void dtype_list(struct buf *out, bool (*has)(enum dtype type));

float dtype_half_to_float(uint16_t h);
uint16_t dtype_float_to_half(float f); /* round to nearest even */
static inline float dtype_bf16_to_float(uint16_t h) {
    union {
        uint32_t u;
        float f;
    } x = {(uint32_t)h << 16};
    return x.f;
}
static inline uint16_t dtype_float_to_bf16(float f) { /* round to nearest even; NaN stays NaN; without a branch, so that loops vectorise */
    union {
        float f;
        uint32_t u;
    } x = {f};
    const uint32_t rounded = (x.u + 0x7fffu + ((x.u >> 16) & 1)) >> 16, nan = (x.u >> 16) | 64;
    return (uint16_t)((x.u & 0x7fffffffu) > 0x7f800000u ? nan : rounded);
}

#endif
