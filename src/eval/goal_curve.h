/* goal_curve: requested against achieved score. Of samples with goal g and score r, prompts being the clusters of every interval:
 *   achieved     mean of r at each g, beside length, repetition and the share that the model ended itself
 *   tau          mean over prompts of Kendall's tau-b between g and r of the prompt's samples. A prompt whose responses all have one score counts 0:
 *                what was asked made no difference. Prompts asked for one goal only have none
 *   span         mean over prompts of achieved at the highest goal minus achieved at the lowest
 *   calibration_error  mean over goals of |achieved - g|        absolute_error  mean over samples of |r - g|
 * Differences of runs are taken over the cells (prompt, goal) that both have. */
#ifndef RAPT_EVAL_GOAL_CURVE_H
#define RAPT_EVAL_GOAL_CURVE_H

#include "eval/eval.h"

enum curve_figure { CURVE_ACHIEVED, CURVE_WORDS, CURVE_TOKENS, CURVE_REPETITION, CURVE_ENDED, CURVE_ABOVE, CURVE_FIGURES };
/* At one of the run's goals, or SIZE_MAX: the samples without a goal. above: the threshold of CURVE_ABOVE, the share of scores above it. */
status goal_curve_at(struct estimate *out, const struct goal_samples *s, const struct bootstrap_params *p, enum curve_figure figure, size_t goal, double above);

/* What a run's samples say about each prompt and each cell. */
struct goal_cell {
    uint64_t key;
    double goal, achieved, error; /* means over the cell's samples of r and |r - g| */
};
struct goal_curve {
    const struct goal_samples *samples;
    struct goal_cell *cells; /* [cell_count] in the order of the samples, those without a goal left out */
    size_t cell_count;
    uint64_t *keys; /* [prompts] */
    double *tau;    /* [prompts], NaN: asked for one goal only */
    double *span;   /* [prompts], NaN: not asked for both ends */
    size_t constant; /* prompts with one score for all that was asked */
};
status goal_curve_init(struct goal_curve *c, const struct goal_samples *s);
void goal_curve_release(struct goal_curve *c);

enum curve_overall { CURVE_TAU, CURVE_SPAN, CURVE_CALIBRATION, CURVE_ERROR, CURVE_OVERALL };
status goal_curve_overall(struct estimate *out, const struct goal_curve *c, const struct bootstrap_params *p, enum curve_overall which);

/* The goal with the highest mean score (of equal ones the lowest); NaN without goals. */
double goal_curve_best(const struct goal_samples *s);

#endif
