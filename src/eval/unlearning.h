/* unlearning: how far each response's log-prob a token moved from the reference, by the response's own score. Direct alignment on plain pairs
 * pushes good rejected responses down with the bad ones; this shows it. The figure is the mean over responses of
 * (log pi - log pi_ref) / tokens. */
#ifndef RAPT_EVAL_UNLEARNING_H
#define RAPT_EVAL_UNLEARNING_H

#include "eval/eval.h"

enum unlearning_goal { UNLEARNING_OWN, UNLEARNING_OTHER, UNLEARNING_NONE, UNLEARNING_GOALS }; /* the prompt asks: this response's score, the other's, nothing */
#define UNLEARNING_BUCKETS 8

/* The response's bucket holds low <= score < high (the last is open above); bucket 0 holds every score, also none. */
extern const struct unlearning_bucket { const char *name; double low, high; } unlearning_buckets[UNLEARNING_BUCKETS];

/* side: 0 = y_w, 1 = y_l. n is 0 where the rows have no such response or no reference. */
status unlearning_estimate(struct estimate *out, const struct logps_rows *rows, const struct bootstrap_params *p, enum unlearning_goal goal, int side,
                           size_t bucket);
/* rows minus other, over the responses that both have: a paired bootstrap. */
status unlearning_difference(struct estimate *out, const struct logps_rows *rows, const struct logps_rows *other, const struct bootstrap_params *p,
                             enum unlearning_goal goal, int side, size_t bucket);

#endif
