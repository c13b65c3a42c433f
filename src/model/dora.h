/* dora: the gains of weight-decomposed adapters (Liu et al. 2024, arXiv 2402.09353), and their part of a projection's passes. As in peft's
 * dora.py no gradient flows through the norms. */
#ifndef RAPT_MODEL_DORA_H
#define RAPT_MODEL_DORA_H

#include "model/linear.h"

/* gain and inverse from theta. |W + s B A|^2 = |W|^2 + 2 s B (A W^T) + s^2 B (A A^T) B^T, row by row: W is read once, by a product with as
 * many rows as the rank, and its own norms are not computed again. products[u_width, out]: scratch. */
status dora_bind(struct linear *l, const float *theta, float *products);
/* y[T, out] = init + bias + gain z; init NULL = 0, may be y. */
void dora_forward(float *y, const float *init, const float *z, const struct linear *l, size_t t);
/* dz[T, out] = gain dy; adds sum over T of dy z / norm to the gradient of m, unless grad is NULL. Returns dz. */
struct mat dora_backward(float *dz, float *grad, struct mat dy, const float *z, const struct linear *l, size_t t);
/* squares[rows] of w[rows, in]. */
void dora_squares(float *squares, const float *w, size_t rows, size_t in);

#endif
