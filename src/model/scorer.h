/* scorer: forward-only log-probs of packed rows; scoring, evaluation and `rapt logps` all call it. */
#ifndef RAPT_MODEL_SCORER_H
#define RAPT_MODEL_SCORER_H

#include "model/peft_io.h"
#include "model/run.h"

struct scorer {
    struct model model;
    struct run run;
    struct seqtree tree;
    const float *theta; /* the adapter's values, NULL without adapter */
};
/* adapter may be NULL. token_budget: most positions of a pack; sequences up to longest tokens. */
status scorer_open(struct scorer *s, const char *model, const char *adapter, enum matmul_kind kind, size_t token_budget, size_t longest);
/* The same of a reward model, for pooled trees (model/reward_head.h) of at most so many sequences with two positions each. */
status scorer_open_rewards(struct scorer *s, const char *model, const char *adapter, enum matmul_kind kind, size_t token_budget,
                           size_t sequences);
/* The second half of scorer_open, for a model in s->model that the caller has opened. A failure leaves it open. */
status scorer_prepare(struct scorer *s, size_t token_budget, size_t longest);
void scorer_release(struct scorer *s);
/* Makes ready for sequences of `count` tokens, and a little longer ones, so that tables are not grown for every row. */
status scorer_need_positions(struct scorer *s, size_t count);
/* Log-probs of `count` sequences, packed with shared prefixes: tokens [from[i], sizes[i]) of ids[i]. sums[count] in nats.
 * ST_UNSUPPORTED when they do not fit the budget together. The entries' own log-probs stay in s->run.logp, beside s->tree.scores. */
status scorer_sums(double *sums, struct scorer *s, const int32_t *const *ids, const int32_t *sizes, const int32_t *from, int32_t count);
/* Log-probs of tokens [from, from + count) of one of the sequences, in order: out[count]. */
void scorer_token_logps(float *out, const struct scorer *s, int32_t sequence, size_t from, size_t count);

#endif
