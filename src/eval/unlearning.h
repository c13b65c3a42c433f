/* unlearning: how far each response's log-prob a token moved from the reference, by the response's own score. Direct alignment on plain
 * pairs pushes good rejected responses down with the bad ones; this shows it. The figure is the mean over responses of (log pi - log
 * pi_ref) / tokens. */
#ifndef RAPT_EVAL_UNLEARNING_H
#define RAPT_EVAL_UNLEARNING_H

#include "eval/eval.h"

#define UNLEARNING_BUCKETS 8
#define UNLEARNING_GOALS_MAX 64 /* other goals than the responses' own */

/* What the prompt asks for: this response's score (goal_of says so), the other's, a goal that is neither's half (rows of rapt augment
 * --test-goals), or nothing. */
enum unlearning_kind { UNLEARNING_OWN, UNLEARNING_OTHER, UNLEARNING_AT, UNLEARNING_NONE };
struct unlearning_asked {
    enum unlearning_kind kind;
    const struct logps_row *like; /* of UNLEARNING_AT: a row under that goal, a view; NULL otherwise */
};

/* The response's bucket holds low <= score < high (the last is open above); bucket 0 holds every score, also none. */
struct unlearning_bucket {
    char name[64];
    double low, high;
};
/* Those of the scale 1 to 10, with 5 counted as good. */
extern const struct unlearning_bucket unlearning_buckets[UNLEARNING_BUCKETS];
/* Of the scale low to high: all, from its middle, below it, and its five fifths. */
void unlearning_cut(struct unlearning_bucket out[UNLEARNING_BUCKETS], double low, double high);

/* side: 0 = y_w, 1 = y_l. n is 0 where the rows have no such response or no reference. */
status unlearning_estimate(struct estimate *out, const struct logps_rows *rows, const struct bootstrap_params *p,
                           const struct unlearning_asked *asked, int side, const struct unlearning_bucket *bucket);
/* rows minus other, over the responses that both have: a paired bootstrap. */
status unlearning_difference(struct estimate *out, const struct logps_rows *rows, const struct logps_rows *other,
                             const struct bootstrap_params *p, const struct unlearning_asked *asked, int side,
                             const struct unlearning_bucket *bucket);

#endif
