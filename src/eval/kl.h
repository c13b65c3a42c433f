/* kl: how far policies are from their reference, from what they wrote, so that runs of several strengths can be compared at equal distance.
 * Of responses y sampled from pi(.|x,g), prompts being the clusters of every interval: kl           mean of log pi(y|x,g) - log
 * pi_ref(y|x,g): an unbiased estimate of the sequence-level KL(pi || pi_ref) of what was sampled (up to max-new-tokens; at temperature 1,
 * without top-k and the like) kl_token     its sum over the sum of tokens achieved, above  where responses have scores: their mean, and the
 * share above a threshold span         mean over prompts of achieved at the highest goal minus achieved at the lowest Goals of several
 * attributes are points of their own, in the order in which the rows have them, without a span. Differences are over the prompts that both
 * have, of the prompts' means. Matched: for each goal of the first run the run without goals whose kl is nearest. */
#ifndef RAPT_EVAL_KL_H
#define RAPT_EVAL_KL_H

#include "eval/eval.h"

enum kl_figure { KL_SEQUENCE, KL_TOKEN, KL_ACHIEVED, KL_ABOVE, KL_FIGURES };
/* Which samples: those under a goal, those without one (NaN), or KL_ALL (infinity). */
#define KL_ALL ((double)INFINITY)
/* above: the threshold of KL_ABOVE, NaN: none. n is 0 where no sample has the figure. */
status kl_estimate(struct estimate *out, const struct goal_samples *s, const struct bootstrap_params *p, enum kl_figure figure, double goal,
                   double above);
/* s under one goal minus other under another, prompt by prompt. */
status kl_difference(struct estimate *out, const struct goal_samples *s, double goal, const struct goal_samples *other, double other_goal,
                     const struct bootstrap_params *p, enum kl_figure figure, double above);
/* One JSON object and the tables. in->samples have log-probs. */
status kl_run(struct buf *json, struct buf *text, const struct eval_input *in);

/* Two distances are as far where neither is more than so many times the other, both above 0. */
#define KL_MATCHED_RATIO 1.25
/* The larger divided by the smaller; NaN where one is not above 0. */
double kl_ratio(double a, double b);

#endif
