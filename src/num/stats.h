/* stats: rank statistics. */
#ifndef RAPT_NUM_STATS_H
#define RAPT_NUM_STATS_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* Kendall's tau-b of x[n] and y[n] (no NaN among them) by Knight's algorithm (JASA 61, 1966), O(n log n); tau-b corrects for ties:
 * (C - D) / sqrt((n0 - ties of x) (n0 - ties of y)). NaN where x or y is constant or n < 2. ST_NOMEM. */
status stats_tau_b(double *tau, const double *x, const double *y, size_t n);

/* Spearman's rank correlation with repeated observations: Pearson's of the mean ranks, item i counted weight[i] times. order_x, order_y:
 * indices that sort x, y ascending (stats_order). scratch: [2 n]. NaN where one is constant. */
double stats_spearman(const double *x, const double *y, const uint32_t *weight, const size_t *order_x, const size_t *order_y, size_t n,
                      double *scratch);
/* out[n]: indices that sort x ascending, equal ones by index. ST_NOMEM. */
status stats_order(size_t *out, const double *x, size_t n);

#endif
