#include "train/schedule.h"

#include <math.h>
#include <string.h>

#include "base/buf.h"

#define PI 3.14159265358979323846

static double ramp(uint64_t step, uint64_t warmup) { return (double)step / (double)(warmup ? warmup : 1); }

/* Share of the way from the end of the warm-up to the last step. */
static double progress(uint64_t step, uint64_t warmup, uint64_t total) {
    return (double)(step - warmup) / (double)(total > warmup ? total - warmup : 1);
}

static double linear(uint64_t step, uint64_t warmup, uint64_t total) {
    if (step < warmup) return ramp(step, warmup);
    if (step >= total) return 0;
    return (double)(total - step) / (double)(total > warmup ? total - warmup : 1);
}

static double cosine(uint64_t step, uint64_t warmup, uint64_t total) {
    if (step < warmup) return ramp(step, warmup);
    return fmax(0, 0.5 * (1 + cos(PI * progress(step, warmup, total))));
}

/* One cycle, transformers' default; past the end the rate stays 0 where cosine would rise again. */
static double cosine_with_restarts(uint64_t step, uint64_t warmup, uint64_t total) {
    if (step < warmup) return ramp(step, warmup);
    double at = progress(step, warmup, total);
    return at >= 1 ? 0 : fmax(0, 0.5 * (1 + cos(PI * at)));
}

static double constant(uint64_t step, uint64_t warmup, uint64_t total) {
    (void)step, (void)warmup, (void)total;
    return 1;
}

static double constant_with_warmup(uint64_t step, uint64_t warmup, uint64_t total) {
    (void)total;
    return step < warmup ? ramp(step, warmup) : 1;
}

static double inverse_sqrt(uint64_t step, uint64_t warmup, uint64_t total) {
    (void)total;
    if (step < warmup) return ramp(step, warmup);
    double timescale = warmup ? (double)warmup : 10000;
    return 1 / sqrt(((double)step + timescale - (double)warmup) / timescale);
}

#define SOURCE "transformers optimization.py, get_scheduler"
const struct schedule_row schedule_table[] = {
    {"linear", "rises linearly over the warm-up, then falls linearly to 0", SOURCE, true, linear},
    {"cosine", "rises linearly over the warm-up, then falls along half a cosine to 0", SOURCE, true, cosine},
    {"cosine_with_restarts", "as cosine with one cycle, held at 0 past the end", SOURCE, true, cosine_with_restarts},
    {"constant", "the peak rate at every step", SOURCE, false, constant},
    {"constant_with_warmup", "rises linearly over the warm-up, then stays", SOURCE, true, constant_with_warmup},
    {"inverse_sqrt", "rises linearly over the warm-up, then falls with 1/sqrt(step)", SOURCE, true, inverse_sqrt},
};
const size_t schedule_count = sizeof schedule_table / sizeof schedule_table[0];

const struct schedule_row *schedule_find(const char *name) {
    for (size_t i = 0; i < schedule_count; i++)
        if (strcmp(schedule_table[i].name, name) == 0) return &schedule_table[i];
    return NULL;
}

status schedule_init(struct schedule *s, const char *name, double peak, uint64_t warmup_steps, double warmup_ratio, uint64_t total_steps) {
    *s = (struct schedule){.row = schedule_find(name), .peak = peak, .total_steps = total_steps};
    if (!s->row) {
        struct buf names = {0};
        for (size_t i = 0; i < schedule_count; i++) buf_printf(&names, "%s%s", i ? ", " : "", schedule_table[i].name);
        status code = FAIL(ST_USAGE, "--lr-scheduler-type '%s' is none of %s", name, buf_text(&names));
        buf_release(&names);
        return code;
    }
    if (!(peak >= 0) || !isfinite(peak)) return FAIL(ST_USAGE, "--learning-rate must be a number of at least 0, it is %g", peak);
    if (!(warmup_ratio >= 0 && warmup_ratio <= 1)) return FAIL(ST_USAGE, "--warmup-ratio must lie in 0 .. 1, it is %g", warmup_ratio);
    if (!s->row->warms_up && (warmup_steps > 0 || warmup_ratio > 0))
        return FAIL(ST_USAGE, "warm-up has no effect with --lr-scheduler-type %s: use %s_with_warmup or leave it out", name, name);
    s->warmup_steps = warmup_steps ? warmup_steps : (uint64_t)ceil((double)total_steps * warmup_ratio);
    return ST_OK;
}

double schedule_rate(const struct schedule *s, uint64_t step) { return s->peak * s->row->factor(step, s->warmup_steps, s->total_steps); }
