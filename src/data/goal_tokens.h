/* goal_tokens: goals that are tokens (augment --goal-tokens), as a model's tokenizer reads them. */
#ifndef RAPT_DATA_GOAL_TOKENS_H
#define RAPT_DATA_GOAL_TOKENS_H

#include "data/encode.h"

struct goal_tokens {
    size_t count;  /* 0: goals are numbers */
    char *missing; /* the first that the tokenizer does not have; NULL: it has all. Owned by the caller */
};
/* Of a goal.json; none where there is no such file. */
status goal_tokens_read(struct goal_tokens *out, const struct encoder *e, const char *goal_json);

#endif
