/* scorer: gives finished answers the score that they achieved, one at a time. */
#ifndef RAPT_SERVE_SCORER_H
#define RAPT_SERVE_SCORER_H

#include <pthread.h>

#include "reward/score_one.h"
#include "serve/api.h"

struct serve_scorer {
    struct score_one one;
    pthread_mutex_t lock; /* of one */
};
status serve_scorer_open(struct serve_scorer *s, const struct score_options *o); /* o lives on. Release it either way */
void serve_scorer_release(struct serve_scorer *s);
/* Appends the members of the score of a row {"prompt", "completion"}. Waits for those before it, at most so long; a model computes between
 * two steps of the engine, on its thread. False: e says why. */
bool serve_scorer_score(struct buf *out, struct api_error *e, struct serve_scorer *s, struct serve_engine *engine, struct json row,
                        double timeout_s);
/* {"source", "rule" or "model", "low", "high"}; the ends are null where the scores have no scale. */
void serve_scorer_describe(struct buf *out, const struct serve_scorer *s);

#endif
