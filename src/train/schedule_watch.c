#include "train/schedule_watch.h"

#include <math.h>
#include <string.h>

static bool better(const struct schedule *s, double now) {
    const struct schedule_args *a = &s->args;
    const double best = s->state.best, by = a->threshold;
    if (a->mode == MODE_MIN) return now < (a->threshold_mode == THRESHOLD_REL ? best * (1 - by) : best - by);
    return now > (a->threshold_mode == THRESHOLD_REL ? best * (1 + by) : best + by);
}

static void begin(struct schedule *s) {
    s->state = (struct schedule_state){
        .rate = s->peak, .best = s->args.mode == MODE_MIN ? INFINITY : -INFINITY, .reset_start = s->args.reset_start};
}

static void reduce(struct schedule *s) {
    const double next = fmax(s->state.rate * s->args.factor, s->args.min_lr);
    if (s->state.rate - next > s->args.eps) s->state.rate = next;
}

static void raise_rate(struct schedule *s) {
    const double next = fmin(s->state.rate / s->args.factor, s->args.max_lr);
    if (next - s->state.rate > s->args.eps) s->state.rate = next;
}

/* The settings that both have. */
static status complete(struct schedule *s, double factor, double threshold, int threshold_mode, double min_lr) {
    struct schedule_args *a = &s->args;
    schedule_preset(&a->factor, factor);
    schedule_preset(&a->patience, 10);
    schedule_preset(&a->threshold, threshold);
    if (a->threshold_mode < 0) a->threshold_mode = threshold_mode;
    schedule_preset(&a->cooldown, 0);
    schedule_preset(&a->min_lr, min_lr);
    schedule_preset(&a->eps, 1e-8);
    if (!(a->factor > 0 && a->factor < 1))
        return FAIL(ST_USAGE, "--lr-scheduler-kwargs: factor must be above 0 and below 1, it is %g", a->factor);
    return ST_OK;
}

status plateau_complete(struct schedule *s) {
    TRY(complete(s, 0.1, 1e-4, THRESHOLD_REL, 0));
    begin(s);
    return ST_OK;
}

void plateau_watch(struct schedule *s, double measured) {
    struct schedule_state *t = &s->state;
    if (better(s, measured)) {
        t->best = measured;
        t->bad = 0;
    } else {
        t->bad++;
    }
    if (t->cooldown > 0) {
        t->cooldown--;
        t->bad = 0;
    }
    if (t->bad <= s->args.patience) return;
    reduce(s);
    t->cooldown = s->args.cooldown;
    t->bad = 0;
}

status greedy_complete(struct schedule *s) {
    struct schedule_args *a = &s->args;
    TRY(complete(s, 0.95, 1e-6, THRESHOLD_ABS, 1e-3));
    if (!isnan(a->window_size) && !a->smooth) return FAIL(ST_USAGE, "--lr-scheduler-kwargs: window_size has no effect without smooth=true");
    schedule_preset(&a->warmup, 0);
    schedule_preset(&a->max_lr, 1);
    schedule_preset(&a->window_size, 50);
    schedule_preset(&a->reset_start, 500);
    begin(s);
    return ST_OK;
}

/* The mean of the last window_size values. */
static double smoothed(struct schedule *s, double value) {
    struct schedule_state *t = &s->state;
    const size_t size = (size_t)s->args.window_size, at = (size_t)t->seen % size;
    t->sum += value;
    if (t->seen >= s->args.window_size) t->sum -= t->window[at];
    t->window[at] = value;
    t->seen++;
    return t->sum / fmin(t->seen, s->args.window_size);
}

void greedy_watch(struct schedule *s, double measured) {
    struct schedule_state *t = &s->state;
    const struct schedule_args *a = &s->args;
    const double now = a->smooth ? smoothed(s, measured) : measured;
    double *wait = t->cooldown > 0 ? &t->cooldown : t->warmup > 0 ? &t->warmup : NULL;
    if (wait) {
        --*wait;
        t->bad = t->good = 0;
    } else if (better(s, now)) {
        t->best = now;
        t->bad = 0;
        t->good++;
    } else {
        t->bad++;
        t->good = 0;
    }
    if (t->good > a->patience) {
        raise_rate(s);
        t->reset_start = a->reset_start;
        t->warmup = a->warmup;
        t->good = 0;
    } else if (t->bad > a->patience) {
        reduce(s);
        t->cooldown = a->cooldown;
        t->bad = 0;
        if (t->rate <= a->min_lr && --t->reset_start <= 0) { /* what is waited for afterwards is kept, as by the original */
            begin(s);
            t->cooldown = a->cooldown;
        }
    }
}
