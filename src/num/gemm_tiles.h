/* gemm_tiles: matrix products in tiles (tiles.h), of bf16 for CPUs where cpu_has_tiles(), of fp32 where cpu_has_avx512(). What oneDNN does
 * not offer and training needs: LoRA's product added in the same pass, accumulators that start from another matrix (the residual), work on
 * a block while it is in the first-level cache (the activation), weights that stay in the file's type, and with AMX fp32 at more than the
 * speed of fp32 units. Every element is summed in the same order whatever the number of threads.
 *
 * `planes` says what operands are, and how many bf16 an element takes the place of: 1, bf16; GEMM_TILES_WHOLE, fp32 as it is;
 * GEMM_TILES_SPLIT, fp32 as sums of three bf16 (tiles.h), where cpu_has_amx_bf16(): then every 32 columns of a, and every tile of b, come
 * three times. Those err less than a chain of fp32 multiply-adds; infinities become NaN. */
#ifndef RAPT_NUM_GEMM_TILES_H
#define RAPT_NUM_GEMM_TILES_H

#include "num/matmul.h"

#define GEMM_TILES_K 32 /* the a operand is read up to the next multiple of this many columns; what lies there must be finite */
#define GEMM_TILES_BLOCK 32
#define GEMM_TILES_WHOLE 2
#define GEMM_TILES_SPLIT 3

/* The planes of fp32 operands on this CPU. */
size_t gemm_tiles_fp32(void);
/* uint16_t that a row of a takes. */
size_t gemm_tiles_row(size_t k, size_t planes);
/* Bytes of a packed [K,N] operand; K and N are rounded up to 32 with zeros. */
size_t gemm_tiles_bytes(size_t k, size_t n, size_t planes);
/* Packs b[K,N] into out (64-byte aligned). Plain is row-major [K,N] with leading dimension ld, or when `transposed` [N,K]. */
void gemm_tiles_pack(uint16_t *out, const float *plain, size_t ld, bool transposed, size_t k, size_t n, size_t planes);
/* The same in the calling thread alone. used: for GEMM_TILES_SPLIT a byte for each tile: how many of its parts there are, up to the last
 * that is not all zero. A weight that was bf16 needs one, one that was fp16 or has few bits needs two. */
void gemm_tiles_pack_here(uint16_t *out, uint8_t *used, const float *plain, size_t ld, bool transposed, size_t k, size_t n, size_t planes);
/* The same of rows [from, from + rows) of a matrix [.., width] that `make` writes as floats, a few at a time and in several threads:
 * transposed, they are columns of the operand [width, rows], else its rows. strips: gemm_tiles_strip_bytes(width) of scratch. */
void gemm_tiles_pack_made(uint16_t *out, matmul_rows *make, const void *source, size_t from, size_t rows, size_t width, bool transposed,
                          size_t planes, float *strips);
size_t gemm_tiles_strip_bytes(size_t width);
/* Rows that `make` writes as columns of the operand, in the calling thread: of each the elements [skip, skip + k). strip: 32 rows of
 * scratch. */
void gemm_tiles_pack_made_here(uint16_t *out, uint8_t *used, matmul_rows *make, const void *source, size_t from, size_t rows, size_t width,
                               size_t skip, size_t k, size_t planes, float *strip);
/* Takes rows [i, i+rows) of a finished block: block[32][32], whose columns 0..15 are columns [j, j+16) of the product and 16..31 are
 * [second, second+16). Called by several threads, each for rows and columns of its own. */
typedef void gemm_tiles_finish(void *context, const float *block, size_t i, size_t rows, size_t j, size_t second);
/* What it will read and write at such a block (num/tiles.h). */
struct tiles_beside;
typedef void gemm_tiles_look(void *context, struct tiles_beside *beside, size_t i, size_t j, size_t second);

struct gemm_tiles {
    size_t m, n, k, planes; /* planes: 0 means 1 */
    const uint16_t *a;      /* [M,K] bf16, or [M, gemm_tiles_row(K)]; floats under GEMM_TILES_WHOLE */
    size_t lda;             /* in uint16_t */
    const uint16_t *b;  /* packed [K,N]; NULL: packed from `plain`, or from what `make` writes, strip by strip, while the product runs */
    const float *plain; /* as gemm_tiles_pack's */
    size_t ld_plain;
    size_t b_steps; /* tiles that a column of b has, where that is more than K takes; 0 = as many */
    bool transposed;
    matmul_rows *make; /* where plain is NULL: writes rows of b transposed, whole ones (K), the first of which is row `first` */
    const void *source;
    size_t first;
    void *strips;       /* gemm_tiles_plain_bytes(K) of scratch for that */
    const uint16_t *a2; /* [M,K2] and packed [K2,N]: a product added in the same pass; NULL = none. K2 a multiple of 32 */
    size_t lda2, k2;
    const uint16_t *b2;
    const float *init; /* [M,N] where the sums start; NULL = 0; may be c */
    size_t ld_init;
    bool add; /* instead: the sums, made from 0, are added to c */
    float *c; /* [M,N] out; NULL when finish stores instead */
    size_t ldc;
    gemm_tiles_finish *finish;
    gemm_tiles_look *look; /* may be NULL */
    void *context;
    size_t half_offset; /* with finish: 0 = blocks of 32 neighbouring columns; else columns j and j + half_offset go together, half_offset =
                           N/2, a multiple of 16 */
};
void gemm_tiles_run(const struct gemm_tiles *g);
size_t gemm_tiles_plain_bytes(size_t k);
/* Runs g with w (`tiles` or `split`) as its b, for x W^T or for dy W. A weight that is not packed comes in panels of its rows. */
void gemm_tiles_run_weight(struct gemm_tiles *g, const struct matmul_weight *w, bool backward);

/* Rows of floats to bf16 (nearest even): out[rows, ldo], columns behind `cols` up to ldo are zero. */
void gemm_tiles_half(uint16_t *out, size_t ldo, const float *in, size_t ldi, size_t rows, size_t cols);
/* Rows of floats as a operand of fp32: out[rows, gemm_tiles_row(cols)]. transposed (GEMM_TILES_SPLIT only): in is [cols, ldi], and its
 * columns are the rows. */
void gemm_tiles_split(uint16_t *out, const float *in, size_t ldi, bool transposed, size_t rows, size_t cols, size_t planes);
/* g's a from x[g->m, ld], of gemm_tiles_fp32(): x itself where that can be read as it is, else made in `into`. */
void gemm_tiles_operand(struct gemm_tiles *g, uint16_t *into, const float *x, size_t ld, size_t cols);
/* uint16_t that `into` must have for a row. */
size_t gemm_tiles_operand_row(size_t cols);

#endif
