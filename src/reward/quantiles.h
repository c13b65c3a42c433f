/* quantiles: a stored map from numbers without a scale to a printed range, by their place among those that it was made of: the lowest
 * becomes `low`, the highest `high`, what lies between goes by rank. */
#ifndef RAPT_REWARD_QUANTILES_H
#define RAPT_REWARD_QUANTILES_H

#include "base/status.h"

#define QUANTILES_MAX 1001

struct quantiles {
    char *setting; /* owned: what the numbers are (struct reward) */
    double low, high;
    uint64_t made_of;         /* numbers that it was made of */
    double at[QUANTILES_MAX]; /* [count] ascending: the i-th is the quantile i / (count - 1) */
    size_t count;             /* 1 .. QUANTILES_MAX */
};
/* Of values[n], NaN left out; all of them up to QUANTILES_MAX, else evenly spaced ones, between two values as numpy's linear method.
 * ST_FORMAT when none is left. */
status quantiles_make(struct quantiles *q, const double *values, size_t n, const char *setting, double low, double high);
/* low .. high; the middle of a run of equal quantiles, linear between two, the ends outside. NaN stays. Numbers nearer than 1e-5 of all
 * that the map spans are equal. */
double quantiles_map(const struct quantiles *q, double value);
/* JSON. */
status quantiles_save(const struct quantiles *q, const char *path);
/* ST_MISMATCH when it is for other numbers than `setting` names. */
status quantiles_load(struct quantiles *q, const char *path, const char *setting);
void quantiles_release(struct quantiles *q);

#endif
