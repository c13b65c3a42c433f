/* goal_curve: requested against achieved score. Of samples with goal g and score r, prompts being the clusters of every interval:
 *   achieved     mean of r at each g, beside length, repetition and the share that the model ended itself
 *   tau          mean over prompts of Kendall's tau-b between g and r of the prompt's samples. A prompt whose responses all have one score
 * counts 0: what was asked made no difference. Prompts asked for one goal only have none span         mean over prompts of achieved at the
 * highest goal minus achieved at the lowest calibration_error  mean over goals of |achieved - g|        absolute_error  mean over samples
 * of |r - g| words, tokens, repetition, ended, above  means over all samples under goals; of a run without goals over all it has
 * Differences of runs are taken over the cells (prompt, goal) that both have; that of the calibration errors over the samples in them. */
#ifndef RAPT_EVAL_GOAL_CURVE_H
#define RAPT_EVAL_GOAL_CURVE_H

#include "eval/eval.h"

enum curve_figure { CURVE_ACHIEVED, CURVE_WORDS, CURVE_TOKENS, CURVE_REPETITION, CURVE_ENDED, CURVE_ABOVE, CURVE_FIGURES };
#define CURVE_ALL_GOALS (SIZE_MAX - 1)
/* At one of the run's goals; SIZE_MAX: the samples without a goal; CURVE_ALL_GOALS: those with one. above: the threshold of CURVE_ABOVE,
 * the share of scores above it. */
status goal_curve_at(struct estimate *out, const struct goal_samples *s, const struct bootstrap_params *p, enum curve_figure figure,
                     size_t goal, double above);

/* What a run's samples say about each prompt and each cell. */
struct goal_cell {
    uint64_t key;
    size_t count;                         /* samples */
    double goal, mean[CURVE_FIGURES + 1]; /* of each figure; NaN: no sample has it */
};
#define CURVE_CELL_ERROR CURVE_FIGURES /* of |r - g| */
struct goal_curve {
    const struct goal_samples *samples;
    struct goal_cell *cells; /* [cell_count] in the order of the samples, those without a goal left out */
    size_t cell_count;
    uint64_t *keys;  /* [prompts] */
    double *tau;     /* [prompts], NaN: asked for one goal only */
    double *span;    /* [prompts], NaN: not asked for both ends */
    size_t constant; /* prompts with one score for all that was asked */
};
status goal_curve_init(struct goal_curve *c, const struct goal_samples *s, double above);
void goal_curve_release(struct goal_curve *c);

enum curve_overall { CURVE_TAU, CURVE_SPAN, CURVE_CALIBRATION, CURVE_ERROR, CURVE_OVERALL };
status goal_curve_overall(struct estimate *out, const struct goal_curve *c, const struct bootstrap_params *p, enum curve_overall which);

/* Run minus first over the cells that both have; figure up to CURVE_CELL_ERROR. goal NaN: of all. */
status goal_curve_cell_difference(struct estimate *out, const struct goal_curve *c, const struct goal_curve *first,
                                  const struct bootstrap_params *p, double goal, int figure);
status goal_curve_calibration_difference(struct estimate *out, const struct goal_curve *c, const struct goal_curve *first,
                                         const struct bootstrap_params *p);
/* Of a figure that every prompt has, tau or span: own [c's prompts], other [first's]. */
status goal_curve_prompt_difference(struct estimate *out, const struct goal_curve *c, const struct goal_curve *first,
                                    const struct bootstrap_params *p, const double *own, const double *other);

/* The goal with the highest mean score (of equal ones the lowest); NaN without goals. */
double goal_curve_best(const struct goal_samples *s);

#endif
