/* qdot_form: how packed weights lie in memory; private to num/qdot*.
 *
 * A strip is 16 rows. First the numbers of all its blocks of 32 elements, then what they are multiplied by. Number v of eight vectors holds
 * elements 4v .. 4v + 3 of every row, four bytes a row; they are stored as
 *   4 bits   four vectors: byte t of row r in vector j is element 4j + t in its low and 16 + 4j + t in its high nibble
 *   5 bits   one vector more: bit v of byte t of row r is the fifth bit of element 4v + t
 *   6 bits   two vectors more: bits 2f, 2f + 1 of byte t of row r in vector p are the high ones of element 4 (4p + f) + t
 *   8 bits   eight vectors of bytes
 * and mean factor * (number - offset) + minimum. */
#ifndef RAPT_NUM_QDOT_FORM_H
#define RAPT_NUM_QDOT_FORM_H

#include "num/qdot.h"

#define QDOT_ROWS 16

enum qdot_factors {
    QDOT_D,  /* a block: half d[16] */
    QDOT_DM, /* a block: half d[16], m[16]; x = d q + m */
    QDOT_K,  /* 256 elements: half d[16], dmin[16], then eight times uint8 scale[16], min[16]; x = (d scale) q - (dmin min) */
    QDOT_K16 /* 256 elements: half d[16], then eight times int8 scale[2][16], one for each 16 elements; x = (d scale) (q - offset) */
};
struct qdot_scales {
    uint8_t d[2], m[2]; /* halves */
    uint8_t scale[16], min[8];
};
struct qdot_form {
    int bits; /* 0: not taken */
    enum qdot_factors factors;
    int offset;
    bool table; /* numbers are indices of qdot_iq4 */
    /* A block of the file's type: q[block] without its offset, and its factors as they stand. */
    void (*split)(uint8_t *q, struct qdot_scales *s, const uint8_t *block);
};
extern const struct qdot_form qdot_forms[DTYPE_COUNT];
extern const uint8_t qdot_iq4[16]; /* IQ4_NL's values plus their offset */

static inline size_t qdot_block_bytes(int bits) { return bits == 8 ? 512 : bits == 6 ? 384 : bits == 5 ? 320 : 256; }
static inline size_t qdot_factor_bytes(enum qdot_factors f) {
    return f == QDOT_D ? 32 : f == QDOT_DM ? 64 : f == QDOT_K ? 64 + 8 * 32 : 32 + 8 * 32;
}
static inline size_t qdot_factor_blocks(enum qdot_factors f) {
    return f == QDOT_K || f == QDOT_K16 ? 8 : 1;
} /* blocks of 32 that they belong to */
static inline size_t qdot_factors_at(const struct qdot_form *f, size_t blocks) { return blocks * qdot_block_bytes(f->bits); }
static inline size_t qdot_strip_bytes(const struct qdot_form *f, size_t blocks) {
    const size_t bytes = qdot_factors_at(f, blocks) + blocks / qdot_factor_blocks(f->factors) * qdot_factor_bytes(f->factors);
    return (bytes + 63) / 64 * 64;
}

/* One strip's columns of y for rows [from, m) of x. */
struct qdot_task {
    const uint8_t *strip;
    const struct qdot_input *x;
    size_t from;
    float *y;                     /* at the strip's first column */
    const float *init;            /* likewise, or NULL */
    size_t ldy, ld_init, columns; /* 1 .. 16 */
};
typedef void qdot_kernel(const struct qdot_task *t);
/* By type; only where the CPU has it: cpu_has_avx512_vnni. */
extern qdot_kernel *const qdot_vnni_kernels[DTYPE_COUNT];
/* For QDOT_AMX_LEAST rows or more, where the CPU also has cpu_has_amx_int8; between begin and end, which each thread calls. */
#define QDOT_AMX_LEAST 10
extern qdot_kernel *const qdot_amx_kernels[DTYPE_COUNT];
void qdot_amx_begin(void);
void qdot_amx_end(void);

#endif
