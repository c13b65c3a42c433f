/* svd: the largest singular values of a matrix and their vectors, by subspace iteration with Rayleigh-Ritz steps (Halko, Martinsson and
 * Tropp 2011, algorithm 4.4; the small problems by one-sided Jacobi, Golub and Van Loan 8.6). */
#ifndef RAPT_NUM_SVD_H
#define RAPT_NUM_SVD_H

#include "base/status.h"

/* W[m,n] ~ U diag(s) V^T with the `rank` largest values, falling: u[m, rank], s[rank], v[rank, n]. rank <= min(m, n). steps: so many
 * iterations; 0 = until the residuals |W^T u - s v| are below 3e-6 of the largest value (ST_UNSUPPORTED where that takes too long). The
 * same bits on the same machine and threads. Signs of pairs u, v are not fixed. */
status svd_largest(float *u, float *s, float *v, const float *w, size_t m, size_t n, size_t rank, size_t steps);

#endif
