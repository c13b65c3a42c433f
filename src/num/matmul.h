/* matmul: every matrix product goes through here; the one file that calls oneDNN, with its plain reference twin.
 *
 * Matrices are row-major floats. Under MATMUL_BF16 operands are rounded to bf16 (nearest even), products accumulate in fp32 and results
 * are fp32; MATMUL_F16 sums 64 products at a time in fp16; under MATMUL_F32 all is fp32 (where the CPU has AMX, large products are made of
 * exact bf16 parts: gemm_tiles.h); MATMUL_REFERENCE is the twin: plain loops with double accumulation. Same shapes, threads and machine
 * give the same bits. */
#ifndef RAPT_NUM_MATMUL_H
#define RAPT_NUM_MATMUL_H

#include "base/arena.h"

enum matmul_kind {
    MATMUL_F32,
    MATMUL_BF16,
    MATMUL_REFERENCE,
    MATMUL_F16, /* products of fp16 in fp16 (gemm_fp16.h); small ones, and all else than products, in fp32 */
    MATMUL_INT8 /* of a model that only generates: quantised weights take the products of num/qdot.h; no operand of matmul() has this kind
                 */
};
const char *matmul_kind_name(enum matmul_kind kind);
/* "f32", "bf16", "reference", "f16"; all else, as "auto", is matmul_kind_auto(). */
enum matmul_kind matmul_kind_parse(const char *name);
/* The kind that --dtype auto means on this CPU: bf16 where it has tiles (cpu_has_tiles), else f32. */
enum matmul_kind matmul_kind_auto(void);

/* An operand: fp32 data, and under MATMUL_BF16 optionally its bf16 form where the caller has made it once for several products. */
struct mat {
    const float *f;    /* [rows, ld] may be NULL when h is given */
    const uint16_t *h; /* [rows, ld] bf16, or NULL: converted into scratch */
    size_t ld;         /* elements from one row to the next */
};

/* c[M,N] (+)= op(a)[M,K] op(b)[K,N]. ta: a is stored [K,M]; tb: b is stored [N,K]. accumulate adds to c. */
status matmul(float *c, size_t ldc, enum matmul_kind kind, struct mat a, bool ta, struct mat b, bool tb, size_t m, size_t n, size_t k,
              bool accumulate);

/* Writes rows [from, from + rows) of a matrix [.., K] as floats; called by several threads. */
typedef void matmul_rows(float *out, const void *source, size_t from, size_t rows);

/* A weight W[N,K] of y = x W^T that is used often: packed for its kind, or stored as its file has it and expanded in every product. */
struct qdot;
struct matmul_weight {
    enum matmul_kind kind;
    size_t n, k;
    bool tiles;         /* packed for gemm_tiles */
    bool split;         /* MATMUL_F32 on gemm_tiles, which packs it in every product */
    const float *plain; /* [N,K] fp32, view; what MATMUL_F32 and MATMUL_REFERENCE read, or what MATMUL_BF16 packs in every product */
    void *forward;      /* MATMUL_BF16, plain being NULL: tiles for x W^T; without tiles W [N,K] in bf16, for both directions */
    void *backward;     /* tiles for dy W; NULL when no input gradient is needed */
    matmul_rows *make;  /* stored: then the three above are NULL */
    const void *source;
    size_t first; /* of a view (matmul_weight_rows): rows of the whole weight before its own; and tiles of 32 that a column of `backward`
                     has, 0 = as many as n takes */
    size_t steps;
    const struct qdot *int8; /* quantised: W's rows in so many parts; then all above but kind, n and k is NULL */
    size_t int8_count;
};
/* Prepares w. Under MATMUL_BF16 the data is copied into `memory` and `plain` may go away afterwards; else it must live on. */
status matmul_weight_init(struct matmul_weight *w, struct arena *memory, enum matmul_kind kind, const float *plain, size_t n, size_t k,
                          bool with_backward);
/* Does this CPU pack weights of that kind for gemm_tiles? */
bool matmul_packs_tiles(enum matmul_kind kind);
/* Bytes that matmul_weight_init takes. */
size_t matmul_weight_bytes(enum matmul_kind kind, size_t n, size_t k, bool with_backward);
/* A stored weight, for both directions; source must live on. whole: gemm_tiles_run_weight will be called. Takes no memory but scratch,
 * which all stored weights share: at most matmul_stored_bytes. */
status matmul_weight_init_stored(struct matmul_weight *w, enum matmul_kind kind, matmul_rows *make, const void *source, size_t n, size_t k,
                                 bool whole);
size_t matmul_stored_bytes(enum matmul_kind kind, size_t n, size_t k, bool whole);
/* A weight that is trained, where matmul_packs_tiles(kind): each product packs plain[N,K] as it then is, into scratch that all such weights
 * share, at most matmul_live_bytes. whole: as above. */
status matmul_weight_init_live(struct matmul_weight *w, enum matmul_kind kind, const float *plain, size_t n, size_t k, bool whole);
size_t matmul_live_bytes(size_t n, size_t k, bool whole);
/* A weight that products read as it is quantised (num/qdot.h), for x W^T only; parts must live on. x must come as fp32. */
void matmul_weight_init_int8(struct matmul_weight *w, const struct qdot *parts, size_t count, size_t n, size_t k);
/* Does this CPU multiply floats of that kind as sums of bf16 (gemm_tiles.h)? And a product of that shape? Few rows do not repay splitting
 * b; but those of a batch in training are never fewer than 16, so that a row has the same value in every batch. */
bool matmul_may_split(enum matmul_kind kind);
bool matmul_splits(enum matmul_kind kind, size_t m, size_t n, size_t k);
/* Does a split weight [N,K] go through its backward product in one panel of fp32 as it is, so that blocks may go to a function? */
bool matmul_split_finishes(enum matmul_kind kind, size_t n, size_t k);
/* Are operands packed anew in every product, so that a weight may as well stay as its file has it? */
bool matmul_packs_always(enum matmul_kind kind);
/* Rows [from, from + rows) of w, a view: `from` a multiple of 64. Of int8 only all of them. */
struct matmul_weight matmul_weight_rows(const struct matmul_weight *w, size_t from, size_t rows);
/* After `plain` changed (full training): packs again into the same memory. */
status matmul_weight_update(struct matmul_weight *w, const float *plain);
/* y[M,N] = init + x[M,K] W^T; dx[M,K] = init + dy[M,N] W. init: NULL = 0, may be the output itself: to dx sums are added that were made
 * apart, so that a weight's panels may be added up without one long chain of additions. */
status matmul_weight_forward(float *y, size_t ldy, const float *init, size_t ld_init, struct mat x, const struct matmul_weight *w,
                             size_t m);
status matmul_weight_backward(float *dx, size_t lddx, const float *init, size_t ld_init, struct mat dy, const struct matmul_weight *w,
                              size_t m);

/* Rounds rows of floats to bf16: out [rows, ldo], zero behind cols. */
void matmul_to_bf16(uint16_t *out, size_t ldo, const float *in, size_t ldi, size_t rows, size_t cols);
/* Frees every cached primitive and scratch buffer (for leak checks). */
void matmul_shutdown(void);

#endif
