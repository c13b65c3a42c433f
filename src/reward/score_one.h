/* score_one: one response at a time through a source of scores, and what of a score is printed. */
#ifndef RAPT_REWARD_SCORE_ONE_H
#define RAPT_REWARD_SCORE_ONE_H

#include "reward/score.h"

/* A source's number on the scale that the options ask for; NaN stays. map: of SCORE_QUANTILES. */
double score_scaled(const struct score_options *o, const struct quantiles *map, double value);
/* Appends "score": 7, without one "score": null and where the source has words for it "score_error", and with attributes "scores": {..}.
 * With o->as: that name and the score alone, and the end of the object that holds them. side: "", or "_chosen", "_rejected" behind each
 * key. score is scaled; attributes: [r->name_count]. */
void score_put(struct buf *out, const struct score_options *o, const struct reward *r, const char *side, double score,
               const double *attributes);

/* An open source of the kind REWARD_LONE, for one caller at a time. */
struct score_one {
    const struct score_options *o; /* a view: source, reward, scale, quantile_map, low, high, quantum count */
    struct reward reward;
    struct quantiles map;
    struct reward_values values;
    struct record record;
};
/* ST_MISMATCH when the quantile map is for other numbers. Release it either way. */
status score_one_open(struct score_one *x, const struct score_options *o);
void score_one_release(struct score_one *x);
/* Of a row {"prompt", "completion"}, texts or messages: appends score_put's members. ST_FORMAT and ST_UNSUPPORTED: this response cannot be
 * scored; after any failure the next one can be. */
status score_one(struct buf *out, struct score_one *x, struct json row);

#endif
