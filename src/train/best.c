#include "train/best.h"

#include <math.h>

bool best_is_greater(const char *metric) { return !text_ends_with(metric, "loss"); }

bool best_meet(struct best *b, const struct best_options *o, uint64_t step, double value) {
    const bool first = b->step == 0 && isfinite(value),
               better = first || (b->step && isfinite(value) && (o->greater ? value > b->value : value < b->value));
    b->idle = first || (better && fabs(value - b->value) > o->threshold) ? 0 : b->idle + 1;
    if (better) b->step = step, b->value = value;
    return better;
}

bool best_is_over(const struct best *b, const struct best_options *o) { return o->patience && b->idle >= o->patience; }

void best_put(struct buf *out, const struct best *b) {
    buf_printf(out, ", \"best_global_step\": %llu, \"best_metric\": ", (unsigned long long)b->step);
    json_put_double(out, b->value);
    buf_printf(out, ", \"evaluations_without_improvement\": %llu", (unsigned long long)b->idle);
}

bool best_read(struct best *b, struct json from) {
    const struct json step = json_get(from, "best_global_step");
    int64_t at, idle;
    *b = (struct best){0};
    if (!step.size) return true;
    if (!json_int(&at, step) || !json_double(&b->value, json_get(from, "best_metric")) ||
        !json_int(&idle, json_get(from, "evaluations_without_improvement")) || at < 0 || idle < 0)
        return false;
    b->step = (uint64_t)at, b->idle = (uint64_t)idle;
    return true;
}
