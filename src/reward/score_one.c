#include "reward/score_one.h"

#include <math.h>

#include "text/goal.h"

double score_scaled(const struct score_options *o, const struct quantiles *map, double value) {
    if (isnan(value)) return value;
    if (o->scale == SCORE_LINEAR) return o->low + (o->high - o->low) * value;
    return o->scale == SCORE_QUANTILES ? quantiles_map(map, value) : value;
}

void score_put(struct buf *out, const struct score_options *o, const struct reward *r, const char *side, double score,
               const double *attributes) {
    const struct goal_style style = {.low = o->low, .high = o->high, .quantum = o->quantum};
    if (o->as) {
        json_put_text(out, o->as);
        buf_append(out, ": ", 2);
    } else {
        buf_printf(out, "\"score%s\": ", side);
    }
    if (isnan(score))
        buf_append_text(out, "null");
    else
        goal_put_score(out, &style, score);
    if (o->as) buf_append_char(out, '}');
    if (o->as) return;
    if (isnan(score) && r->source->unscored) {
        buf_printf(out, ", \"score_error%s\": ", side);
        json_put_text(out, r->source->unscored);
    }
    if (!r->name_count) return;
    buf_printf(out, ", \"scores%s\": {", side);
    for (size_t i = 0; i < r->name_count; i++) {
        if (i) buf_append(out, ", ", 2);
        json_put_text(out, r->names[i]);
        buf_append(out, ": ", 2);
        json_put_double(out, attributes[i]);
    }
    buf_append_char(out, '}');
}

status score_one_open(struct score_one *x, const struct score_options *o) {
    *x = (struct score_one){.o = o};
    CHECK(o->source->flags & REWARD_LONE);
    TRY(reward_open(&x->reward, o->source, &o->reward));
    return o->quantile_map ? quantiles_load(&x->map, o->quantile_map, x->reward.setting) : ST_OK;
}

void score_one_release(struct score_one *x) {
    reward_values_release(&x->values);
    reward_release(&x->reward);
    quantiles_release(&x->map);
    record_release(&x->record);
}

status score_one(struct buf *out, struct score_one *x, struct json row) {
    const struct reward_source *source = x->reward.source;
    x->values.count = 0;
    record_clear(&x->record);
    TRY(source_read_row(&x->record, row));
    if (x->record.kind != RECORD_SFT) return FAIL(ST_FORMAT, "expected one response");
    TRY(source->score(&x->reward, &x->values, &x->record));
    if (source->flush) TRY(source->flush(&x->reward, &x->values));
    CHECK(x->values.count == 1 + x->reward.name_count);
    score_put(out, x->o, &x->reward, "", score_scaled(x->o, &x->map, x->values.items[0]), x->values.items + 1);
    return ST_OK;
}
