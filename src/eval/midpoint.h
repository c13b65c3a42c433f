/* midpoint: sweep the goal over one pair. Under R(x, y, g) = -(g - r)^2 the pair's preference turns at (r_w + r_l) / 2: below it y_l is
 * wanted, above it y_w. With the margins m(g) = D(g) - D_ref(g) (implicit) or D(g) (raw) of goal_accuracy.h at the goals g_1 < .. < g_n of
 * the sweep: sign         share of (pair, goal) whose margin has the wanted sign; a tie counts 1/2, a goal at the midpoint is left out
 *   crossing     where m turns from below to above 0: the cut k at which the margins of the wrong sign, m > 0 up to g_k and m < 0 behind
 * it, sum to the least; between the two goals by a straight line where their margins have the wanted signs, else in their middle. A pair
 * that never turns has none: it stands below g_1 (y_w whatever is asked) or above g_n (y_l) crossed      share of pairs that turn inside
 * the sweep     distance  mean of |crossing - midpoint| over those correlation  Spearman's of crossing and midpoint over all pairs, those
 * that never turn ranked at their end Along an attribute (logps_sweep) a pair under other goals of the other attributes is another one, and
 * its midpoint is where those put it. */
#ifndef RAPT_EVAL_MIDPOINT_H
#define RAPT_EVAL_MIDPOINT_H

#include "eval/goal_accuracy.h"

enum midpoint_figure { MIDPOINT_SIGN, MIDPOINT_CROSSED, MIDPOINT_DISTANCE, MIDPOINT_CORRELATION, MIDPOINT_FIGURES };

struct midpoint_pair {
    int64_t source_row;
    uint64_t others, cluster;
    double middle;
    double value[GOAL_KINDS][MIDPOINT_DISTANCE + 1]; /* NaN: none */
    double crossing[GOAL_KINDS];                     /* -INFINITY, INFINITY: never turns; NaN: no margins */
};
struct midpoint {
    struct midpoint_pair *pairs; /* [count] by source row and others */
    size_t count;
    size_t left_out; /* pairs without scores, with equal ones, or with fewer than two goals */
};
/* From rows of a sweep (logps_rows_finish_sweep). ST_MISMATCH when no pair is left. */
status midpoint_init(struct midpoint *m, const struct logps_rows *rows);
void midpoint_release(struct midpoint *m);
/* Where margins[n] at ascending goals[n] turn. */
double midpoint_crossing(const double *goals, const double *margins, size_t n);
status midpoint_estimate(struct estimate *out, const struct midpoint *m, const struct bootstrap_params *p, enum goal_kind kind,
                         enum midpoint_figure figure);
/* m - other over the pairs that both have: a paired bootstrap, of the correlation too. */
status midpoint_difference(struct estimate *out, const struct midpoint *m, const struct midpoint *other, const struct bootstrap_params *p,
                           enum goal_kind kind, enum midpoint_figure figure);

#endif
