/* lc_fit: AlpacaEval 2's length-controlled win rate (arXiv 2404.04475; alpaca_eval 0.6.6, metrics/glm_winrate.py): a logistic model of the
 * preference by length difference, difficulty of the instruction and the model itself, asked for the preference at equal lengths. */
#ifndef RAPT_EVAL_LC_FIT_H
#define RAPT_EVAL_LC_FIT_H

#include "base/buf.h"

#define LC_FEATURES 3 /* tanh of the standardised length difference, difficulty, 1 */

/* A preference among those that are fitted. */
struct lc_row {
    double x[LC_FEATURES], preference, weight; /* 0 .. 1 for the model; 1 for its own rows */
};
struct lc_fit {
    double coefficients[LC_FEATURES], c; /* the inverse strength that cross-validation took */
};
/* min over w of |w|_1 + C sum weight (p log(1 + e^-xw) + (1 - p) log(1 + e^xw)), with C out of ten between 1e-4 and 1e4 by the mean loss of
 * five folds (LogisticRegressionCV with liblinear and GroupKFold). features: how many of x count. At least 5 rows. */
void lc_fit_rows(struct lc_fit *out, const struct lc_row *rows, size_t count, size_t features);
/* One minimisation; rows i with fold[i] == without are left out (fold NULL: none). */
void lc_minimise(double w[LC_FEATURES], const struct lc_row *rows, size_t count, size_t features, double c, const unsigned char *fold,
                 int without);

#endif
