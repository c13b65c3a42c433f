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
/* {"value": .., "low": .., "high": .., "n": ..}, or null when n is 0. */
void estimate_json(struct buf *out, const struct estimate *e);
/* "0.612 [0.550, 0.671]", or "-", padded to 24 columns. */
void estimate_text(struct buf *out, const struct estimate *e);

#endif
