/* best: which of a run's evaluations was the best so far, for the weights that are kept at its end and for ending early (transformers'
 * load_best_model_at_end and EarlyStoppingCallback, whose rules these are). The evaluation before the first step does not count. */
#ifndef RAPT_TRAIN_BEST_H
#define RAPT_TRAIN_BEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "format/json.h"

struct best_options {
    bool keep;         /* the weights of the best evaluation are what the run leaves */
    bool greater;      /* is better; else less is */
    uint64_t patience; /* evaluations in a row without improvement that end the run; 0: none do */
    double threshold;  /* an improvement is more than this */
};
struct best {
    uint64_t step; /* of the best evaluation; 0: there was none yet */
    uint64_t idle; /* evaluations since the last improvement */
    double value;
};

/* Is greater better of a metric of that name? Not of losses, as transformers has it. */
bool best_is_greater(const char *metric);
/* The evaluation behind step `step` measured value. true: it is the best so far; one that is no number is not. */
bool best_meet(struct best *b, const struct best_options *o, uint64_t step, double value);
bool best_is_over(const struct best *b, const struct best_options *o);
/* Members of a JSON object, each behind a comma: transformers' names. */
void best_put(struct buf *out, const struct best *b);
/* From such an object; without the members there was none yet. false: they are broken. */
bool best_read(struct best *b, struct json from);

#endif
