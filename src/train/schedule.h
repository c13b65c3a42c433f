/* schedule: the learning rate of each optimizer step, by transformers' get_scheduler formulas (optimization.py). */
#ifndef RAPT_TRAIN_SCHEDULE_H
#define RAPT_TRAIN_SCHEDULE_H

#include "base/status.h"

enum schedule_curve { CURVE_LINEAR, CURVE_COSINE, CURVE_ONE_MINUS_SQRT };
/* --lr-scheduler-kwargs, under transformers' names; NAN = not given. */
struct schedule_args {
    double num_cycles, lr_end, power, timescale, min_lr, min_lr_rate, warmup_lr_rate, num_decay_steps, num_stable_steps, min_lr_ratio;
    int warmup_type, decay_type; /* enum schedule_curve */
};

struct schedule;
struct schedule_row {
    const char *name, *help;
    const char *takes; /* the settings of struct schedule_args that have an effect, separated by blanks */
    bool warms_up;     /* warm-up options have an effect */
    /* The factor on the peak rate at optimizer step `step` (0 = the first). */
    double (*factor)(const struct schedule *s, double step);
    /* Fills in what was not given, and refuses what cannot be; NULL = nothing to do. */
    status (*complete)(struct schedule *s);
};
extern const struct schedule_row schedule_table[];
extern const size_t schedule_count;
const struct schedule_row *schedule_find(const char *name);

struct schedule {
    const struct schedule_row *row;
    double peak;                       /* --learning-rate */
    uint64_t warmup_steps, total_steps;
    double warmup, total, span;        /* the first two as numbers; max(1, total - warmup) */
    struct schedule_args args;
};

/* What a schedule is asked for. */
struct schedule_options {
    const char *name;
    double peak;
    uint64_t warmup_steps; /* > 0 wins over the ratio (as transformers); else ceil(total * warmup_ratio) */
    double warmup_ratio;
    const char *const *kwargs; /* "key=value" */
    size_t kwarg_count;
};
/* ST_USAGE for an unknown name (the message lists them), a ratio outside [0, 1], warm-up asked of a schedule without it, and settings that
 * the schedule does not take or needs. */
status schedule_init(struct schedule *s, const struct schedule_options *o, uint64_t total_steps);
double schedule_rate(const struct schedule *s, uint64_t step);

#endif
