/* schedule: the learning rate of each optimizer step, by transformers' get_scheduler formulas (optimization.py). */
#ifndef RAPT_TRAIN_SCHEDULE_H
#define RAPT_TRAIN_SCHEDULE_H

#include "base/status.h"

struct schedule_row {
    const char *name, *help, *citation;
    bool warms_up; /* warm-up options have an effect */
    /* The factor on the peak rate at optimizer step `step` (0 = the first), after `warmup` steps of warm-up, of `total`. */
    double (*factor)(uint64_t step, uint64_t warmup, uint64_t total);
};
extern const struct schedule_row schedule_table[];
extern const size_t schedule_count;
const struct schedule_row *schedule_find(const char *name);

struct schedule {
    const struct schedule_row *row;
    double peak; /* --learning-rate */
    uint64_t warmup_steps, total_steps;
};

/* warmup_steps > 0 wins over the ratio (as transformers); else ceil(total * warmup_ratio). ST_USAGE for an unknown name (the message lists
 * them), a ratio outside [0, 1], and warm-up asked of a schedule without it. */
status schedule_init(struct schedule *s, const char *name, double peak, uint64_t warmup_steps, double warmup_ratio, uint64_t total_steps);
double schedule_rate(const struct schedule *s, uint64_t step);

#endif
