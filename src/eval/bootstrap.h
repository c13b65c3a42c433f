/* bootstrap: means with percentile intervals, resampling whole prompts (clusters), since the rows of one prompt are not independent. */
#ifndef RAPT_EVAL_BOOTSTRAP_H
#define RAPT_EVAL_BOOTSTRAP_H

#include "base/buf.h"

struct estimate {
    double value, low, high; /* NaN when n is 0 */
    size_t n, clusters;      /* values and prompts behind it */
};
struct bootstrap_params {
    size_t resamples; /* 1000 and more */
    double level;     /* 0.95 */
    uint64_t seed;
};

/* The mean of values[n] and its interval (Efron's percentile method over clusters drawn with replacement). NaN values are left out.
 * The draws depend on the seed alone, so the same call gives the same interval on any number of threads. ST_NOMEM. */
status bootstrap_mean(struct estimate *out, const struct bootstrap_params *p, const double *values, const uint64_t *cluster, size_t n);
/* The same of any figure: fn(context, weight) gives it for a sample that holds cluster i weight[i] times (it runs on several threads at
 * once; NaN: it has none there, and the resample is left out). clusters > 0; n is only passed on. ST_NOMEM. */
typedef double bootstrap_fn(const void *context, const uint32_t *weight);
status bootstrap_statistic(struct estimate *out, const struct bootstrap_params *p, bootstrap_fn *fn, const void *context, size_t clusters,
                           size_t n);
/* {"value": .., "low": .., "high": .., "n": ..}, or null when n is 0. */
void estimate_json(struct buf *out, const struct estimate *e);
/* "0.612 [0.550, 0.671]", or "-", padded to 24 columns, a blank at its end in any case. */
void estimate_text(struct buf *out, const struct estimate *e);
/* Ends a line of a table: blanks at its end go. */
void estimate_end_line(struct buf *text);

#endif
