/* schedule: the learning rate of each optimizer step, by transformers' get_scheduler formulas (optimization.py): as a function of the step,
 * or (schedule_watch.h) as what evaluation measured so far asks for. */
#ifndef RAPT_TRAIN_SCHEDULE_H
#define RAPT_TRAIN_SCHEDULE_H

#include <stdbool.h>

#include "base/status.h"

enum schedule_curve { CURVE_LINEAR, CURVE_COSINE, CURVE_ONE_MINUS_SQRT };
enum schedule_mode { MODE_MIN, MODE_MAX };
enum schedule_threshold { THRESHOLD_REL, THRESHOLD_ABS };
#define SCHEDULE_WINDOW_MAX 1000
/* --lr-scheduler-kwargs, under transformers' names; NAN = not given. */
struct schedule_args {
    double num_cycles, lr_end, power, timescale, min_lr, min_lr_rate, warmup_lr_rate, num_decay_steps, num_stable_steps, min_lr_ratio;
    int warmup_type, decay_type; /* enum schedule_curve */
    double factor, patience, threshold, cooldown, warmup, max_lr, eps, window_size, reset_start;
    int mode, threshold_mode; /* enum schedule_mode, enum schedule_threshold (-1: not given) */
    bool smooth;
};
/* Where a schedule that watches has come to; doubles only, kept in checkpoints. */
struct schedule_state {
    double rate, best, bad, good, cooldown, warmup, reset_start; /* bad, good: evaluations in a row; the next two: to be waited for */
    double seen, sum, window[SCHEDULE_WINDOW_MAX];               /* of smooth: values seen, and the sum of those in the window, a ring */
};

struct schedule;
struct schedule_row {
    const char *name, *help;
    const char *takes; /* the settings of struct schedule_args that have an effect, separated by blanks */
    bool warms_up;     /* warm-up options have an effect */
    /* The factor on the peak rate at optimizer step `step` (0 = the first); NULL where the rate is what `watch` made of it. */
    double (*factor)(const struct schedule *s, double step);
    /* Fills in what was not given, and refuses what cannot be; NULL = nothing to do. */
    status (*complete)(struct schedule *s);
    /* Moves s->state by what an evaluation during training measured. */
    void (*watch)(struct schedule *s, double measured);
};
extern const struct schedule_row schedule_table[];
extern const size_t schedule_count;
const struct schedule_row *schedule_find(const char *name);

struct schedule {
    const struct schedule_row *row;
    double peak; /* --learning-rate */
    uint64_t warmup_steps, total_steps;
    double warmup, total, span; /* the first two as numbers; max(1, total - warmup) */
    struct schedule_args args;
    struct schedule_state state;
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
/* For `complete`: a setting that was not given. */
void schedule_preset(double *value, double otherwise);
double schedule_rate(const struct schedule *s, uint64_t step);

#endif
