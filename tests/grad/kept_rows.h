/* kept_rows: a weight's rows that are made when a product wants them (matmul_weight.make, gemm_tiles.make), here copied from a matrix that
 * is kept. */
#ifndef RAPT_TESTS_KEPT_ROWS_H
#define RAPT_TESTS_KEPT_ROWS_H

#include <string.h>

struct kept_rows {
    const float *at; /* [rows, width] */
    size_t width;
};
static void kept_rows(float *out, const void *source, size_t from, size_t rows) {
    const struct kept_rows *k = source;
    memcpy(out, k->at + from * k->width, rows * k->width * sizeof *out);
}

#endif
