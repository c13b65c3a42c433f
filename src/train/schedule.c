#include "train/schedule.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "base/buf.h"
#include "train/kwargs.h"
#include "train/schedule_watch.h"

#define PI 3.14159265358979323846

static double ramp(const struct schedule *s, double step) { return step / fmax(1, s->warmup); }

/* Share of the way from the end of the warm-up to the last step. */
static double progress(const struct schedule *s, double step) { return (step - s->warmup) / s->span; }

static double wave(double cycles, double at) { return 0.5 * (1 + cos(PI * cycles * 2 * at)); }

static double linear(const struct schedule *s, double step) {
    if (step < s->warmup) return ramp(s, step);
    return fmax(0, (s->total - step) / s->span);
}

/* cosine, and with min_lr_rate above 0 cosine_with_min_lr. */
static double cosine(const struct schedule *s, double step) {
    if (step < s->warmup) return ramp(s, step);
    const double low = s->args.min_lr_rate;
    return fmax(0, wave(s->args.num_cycles, progress(s, step)) * (1 - low) + low);
}

static double cosine_with_restarts(const struct schedule *s, double step) {
    if (step < s->warmup) return ramp(s, step);
    const double at = progress(s, step);
    return at >= 1 ? 0 : fmax(0, 0.5 * (1 + cos(PI * fmod(s->args.num_cycles * at, 1))));
}

/* Counts from 1: no step has rate 0, and the last one has the lowest. */
static double cosine_warmup_with_min_lr(const struct schedule *s, double step) {
    const double low = s->args.min_lr_rate, start = s->args.warmup_lr_rate;
    if (step < s->warmup) return isnan(start) ? (step + 1) / fmax(1, s->warmup) : start + (1 - start) * step / fmax(1, s->warmup - 1);
    return fmax(0, wave(s->args.num_cycles, (step - s->warmup + 1) / s->span) * (1 - low) + low);
}

static double polynomial(const struct schedule *s, double step) {
    const double end = s->args.lr_end;
    if (step < s->warmup) return ramp(s, step);
    if (step > s->total) return end / s->peak;
    return ((s->peak - end) * pow(1 - progress(s, step), s->args.power) + end) / s->peak;
}

static double constant(const struct schedule *s, double step) {
    (void)s, (void)step;
    return 1;
}

static double constant_with_warmup(const struct schedule *s, double step) { return step < s->warmup ? ramp(s, step) : 1; }

static double inverse_sqrt(const struct schedule *s, double step) {
    const double scale = s->args.timescale;
    if (step < s->warmup) return ramp(s, step);
    return 1 / sqrt((step + (scale - s->warmup)) / scale);
}

/* at: 0 .. 1, rising. */
static double rise(int curve, double at) {
    return curve == CURVE_LINEAR ? at : curve == CURVE_COSINE ? 0.5 * (1 - cos(PI * at)) : 1 - sqrt(1 - at);
}

static double fall(int curve, double cycles, double at) {
    return curve == CURVE_LINEAR ? 1 - at : curve == CURVE_COSINE ? wave(cycles, at) : 1 - sqrt(at);
}

static double warmup_stable_decay(const struct schedule *s, double step) {
    const struct schedule_args *a = &s->args;
    const double low = a->min_lr_ratio, stable = s->warmup + a->num_stable_steps;
    if (step < s->warmup) return fmax(0, rise(a->warmup_type, ramp(s, step)) * (1 - low) + low);
    if (step < stable) return 1;
    if (step < stable + a->num_decay_steps)
        return fmax(0, fall(a->decay_type, a->num_cycles, (step - stable) / fmax(1, a->num_decay_steps)) * (1 - low) + low);
    return low;
}

void schedule_preset(double *value, double otherwise) {
    if (isnan(*value)) *value = otherwise;
}

static status complete_cosine(struct schedule *s) {
    schedule_preset(&s->args.num_cycles, 0.5);
    schedule_preset(&s->args.min_lr_rate, 0);
    return ST_OK;
}

static status complete_restarts(struct schedule *s) {
    schedule_preset(&s->args.num_cycles, 1);
    return ST_OK;
}

static status complete_min_lr(struct schedule *s) {
    struct schedule_args *a = &s->args;
    if (isnan(a->min_lr) == isnan(a->min_lr_rate))
        return FAIL(ST_USAGE, "--lr-scheduler-type %s needs one of min_lr and min_lr_rate, e.g. --lr-scheduler-kwargs min_lr_rate=0.1",
                    s->row->name);
    if (isnan(a->min_lr_rate)) a->min_lr_rate = s->peak > 0 ? a->min_lr / s->peak : 0;
    return complete_cosine(s);
}

static status complete_polynomial(struct schedule *s) {
    schedule_preset(&s->args.lr_end, 1e-7);
    schedule_preset(&s->args.power, 1);
    if (s->peak > s->args.lr_end) return ST_OK;
    return FAIL(ST_USAGE, "--lr-scheduler-type polynomial ends at the rate lr_end=%g, which must be below --learning-rate %g",
                s->args.lr_end, s->peak);
}

static status complete_inverse_sqrt(struct schedule *s) {
    schedule_preset(&s->args.timescale, s->warmup > 0 ? s->warmup : 10000);
    return ST_OK;
}

static status complete_stable(struct schedule *s) {
    struct schedule_args *a = &s->args;
    if (isnan(a->num_decay_steps))
        return FAIL(ST_USAGE, "--lr-scheduler-type %s needs --lr-scheduler-kwargs num_decay_steps=N", s->row->name);
    schedule_preset(&a->num_cycles, 0.5);
    schedule_preset(&a->min_lr_ratio, 0);
    schedule_preset(&a->num_stable_steps, s->total - s->warmup - a->num_decay_steps);
    return ST_OK;
}

const struct schedule_row schedule_table[] = {
    {"linear", "rises linearly over the warm-up, then falls linearly to 0", "", true, linear, NULL, NULL},
    {"cosine", "rises linearly over the warm-up, then falls along a cosine, half a wave to 0", "num_cycles", true, cosine, complete_cosine,
     NULL},
    {"cosine_with_restarts", "as cosine, starting again num_cycles times", "num_cycles", true, cosine_with_restarts, complete_restarts,
     NULL},
    {"polynomial", "rises linearly over the warm-up, then falls to lr_end as (1 - progress)^power", "lr_end power", true, polynomial,
     complete_polynomial, NULL},
    {"constant", "the peak rate at every step", "", false, constant, NULL, NULL},
    {"constant_with_warmup", "rises linearly over the warm-up, then stays", "", true, constant_with_warmup, NULL, NULL},
    {"inverse_sqrt", "rises linearly over the warm-up, then falls with 1/sqrt(step)", "timescale", true, inverse_sqrt,
     complete_inverse_sqrt, NULL},
    {"cosine_with_min_lr", "as cosine, down to min_lr", "num_cycles min_lr min_lr_rate", true, cosine, complete_min_lr, NULL},
    {"cosine_warmup_with_min_lr", "the same with steps counted from 1 and a warm-up that may start above 0",
     "num_cycles min_lr min_lr_rate warmup_lr_rate", true, cosine_warmup_with_min_lr, complete_min_lr, NULL},
    {"warmup_stable_decay", "rises over the warm-up, stays, and falls over the last num_decay_steps",
     "num_decay_steps num_stable_steps warmup_type decay_type min_lr_ratio num_cycles", true, warmup_stable_decay, complete_stable, NULL},
    {"reduce_lr_on_plateau", "the peak rate, multiplied by factor where evaluation no longer improves",
     "mode factor patience threshold threshold_mode cooldown min_lr eps", false, NULL, plateau_complete, plateau_watch},
    {"greedy", "multiplied by factor where evaluation no longer improves, divided by it where it keeps improving",
     "mode factor patience threshold threshold_mode cooldown warmup min_lr max_lr eps smooth window_size reset_start", false, NULL,
     greedy_complete, greedy_watch},
};
const size_t schedule_count = sizeof schedule_table / sizeof schedule_table[0];

#define ARG(name) offsetof(struct schedule_args, name)
static const struct kwarg args[] = {
    {"num_cycles", KWARG_NUMBER, ARG(num_cycles), 0, 1e6, NULL},
    {"lr_end", KWARG_NUMBER, ARG(lr_end), 0, 1e6, NULL},
    {"power", KWARG_NUMBER, ARG(power), 0, 1e3, NULL},
    {"timescale", KWARG_COUNT, ARG(timescale), 1, 1e15, NULL},
    {"min_lr", KWARG_NUMBER, ARG(min_lr), 0, 1e6, NULL},
    {"min_lr_rate", KWARG_NUMBER, ARG(min_lr_rate), 0, 1e6, NULL},
    {"warmup_lr_rate", KWARG_NUMBER, ARG(warmup_lr_rate), 0, 1e6, NULL},
    {"num_decay_steps", KWARG_COUNT, ARG(num_decay_steps), 0, 1e15, NULL},
    {"num_stable_steps", KWARG_COUNT, ARG(num_stable_steps), 0, 1e15, NULL},
    {"min_lr_ratio", KWARG_NUMBER, ARG(min_lr_ratio), 0, 1e6, NULL},
    {"warmup_type", KWARG_CHOICE, ARG(warmup_type), 0, 0, "linear|cosine|1-sqrt"},
    {"decay_type", KWARG_CHOICE, ARG(decay_type), 0, 0, "linear|cosine|1-sqrt"},
    {"mode", KWARG_CHOICE, ARG(mode), 0, 0, "min|max"},
    {"factor", KWARG_NUMBER, ARG(factor), 0, 1, NULL},
    {"patience", KWARG_COUNT, ARG(patience), 0, 1e15, NULL},
    {"threshold", KWARG_NUMBER, ARG(threshold), 0, 1e15, NULL},
    {"threshold_mode", KWARG_CHOICE, ARG(threshold_mode), 0, 0, "rel|abs"},
    {"cooldown", KWARG_COUNT, ARG(cooldown), 0, 1e15, NULL},
    {"warmup", KWARG_COUNT, ARG(warmup), 0, 1e15, NULL},
    {"max_lr", KWARG_NUMBER, ARG(max_lr), 0, 1e6, NULL},
    {"eps", KWARG_NUMBER, ARG(eps), 0, 1e6, NULL},
    {"smooth", KWARG_BOOL, ARG(smooth), 0, 0, NULL},
    {"window_size", KWARG_COUNT, ARG(window_size), 1, SCHEDULE_WINDOW_MAX, NULL},
    {"reset_start", KWARG_COUNT, ARG(reset_start), 0, 1e15, NULL},
};
static const struct kwargs kwargs = {"--lr-scheduler-kwargs", args, sizeof args / sizeof args[0]};

const struct schedule_row *schedule_find(const char *name) {
    for (size_t i = 0; i < schedule_count; i++)
        if (strcmp(schedule_table[i].name, name) == 0) return &schedule_table[i];
    return NULL;
}

static status unknown(const char *name) {
    struct buf names = {0};
    for (size_t i = 0; i < schedule_count; i++) buf_printf(&names, "%s%s", i ? ", " : "", schedule_table[i].name);
    status code = FAIL(ST_USAGE, "--lr-scheduler-type '%s' is none of %s", name, buf_text(&names));
    buf_release(&names);
    return code;
}

status schedule_init(struct schedule *s, const struct schedule_options *o, uint64_t total_steps) {
    *s = (struct schedule){.row = schedule_find(o->name), .peak = o->peak, .total_steps = total_steps};
    if (!s->row) return unknown(o->name);
    if (!(o->peak >= 0) || !isfinite(o->peak)) return FAIL(ST_USAGE, "--learning-rate must be a number of at least 0, it is %g", o->peak);
    if (!(o->warmup_ratio >= 0 && o->warmup_ratio <= 1))
        return FAIL(ST_USAGE, "--warmup-ratio must lie in 0 .. 1, it is %g", o->warmup_ratio);
    if (!s->row->warms_up && (o->warmup_steps > 0 || o->warmup_ratio > 0))
        return FAIL(ST_USAGE, "warm-up has no effect with --lr-scheduler-type %s: %s", o->name,
                    s->row->watch ? "leave it out" : "use constant_with_warmup or leave it out");
    s->warmup_steps = o->warmup_steps ? o->warmup_steps : (uint64_t)ceil((double)total_steps * o->warmup_ratio);
    s->warmup = (double)s->warmup_steps;
    s->total = (double)total_steps;
    s->span = fmax(1, s->total - s->warmup);
    for (size_t i = 0; i < kwargs.count; i++) {
        char *field = (char *)&s->args + args[i].offset;
        if (args[i].kind == KWARG_NUMBER || args[i].kind == KWARG_COUNT) *(double *)(void *)field = NAN; /* the others begin with 0 */
    }
    s->args.decay_type = CURVE_COSINE;
    s->args.threshold_mode = -1;
    TRY(kwargs_read(&kwargs, &s->args, o->name, s->row->takes, o->kwargs, o->kwarg_count));
    return s->row->complete ? s->row->complete(s) : ST_OK;
}

double schedule_rate(const struct schedule *s, uint64_t step) {
    return s->row->watch ? s->state.rate : s->peak * s->row->factor(s, (double)step);
}
