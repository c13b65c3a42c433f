/* Losses that look at each response's reward on its own; c = beta s_w and r = beta s_l, s = policy - reference.
 * nca_pair (arXiv 2402.05369): -log sigma(c) - 1/2 log sigma(-c) - 1/2 log sigma(-r).
 * bco_pair (arXiv 2404.04656, without the running mean of rewards, as TRL 1.x): -log sigma(c) - log sigma(-r).
 * sppo_hard (arXiv 2405.00675, eq. 4.7 with P = 1 and 0): (s_w - 1 / (2 beta))^2 + (s_l + 1 / (2 beta))^2.
 * apo_zero (arXiv 2408.06266, eq. 7): 1 - sigma(c) + sigma(r).
 * apo_down (eq. 8): sigma(c) + 1 - sigma(c - r). */
#include "loss/loss.h"

static double nca_pair(double *dw, double *dl, double sw, double sl, const struct loss_params *p) {
    const double c = p->beta * sw, r = p->beta * sl;
    *dw = p->beta * (0.5 * loss_sigmoid(c) - loss_sigmoid(-c));
    *dl = p->beta * 0.5 * loss_sigmoid(r);
    return loss_softplus(-c) + 0.5 * loss_softplus(c) + 0.5 * loss_softplus(r);
}

static double bco_pair(double *dw, double *dl, double sw, double sl, const struct loss_params *p) {
    const double c = p->beta * sw, r = p->beta * sl;
    *dw = -p->beta * loss_sigmoid(-c);
    *dl = p->beta * loss_sigmoid(r);
    return loss_softplus(-c) + loss_softplus(r);
}

static double sppo_hard(double *dw, double *dl, double sw, double sl, const struct loss_params *p) {
    const double w = sw - 0.5 / p->beta, l = sl + 0.5 / p->beta;
    *dw = 2 * w;
    *dl = 2 * l;
    return w * w + l * l;
}

static double slope_of_sigmoid(double x) { return loss_sigmoid(x) * loss_sigmoid(-x); }

static double apo_zero(double *dw, double *dl, double sw, double sl, const struct loss_params *p) {
    const double c = p->beta * sw, r = p->beta * sl;
    *dw = -p->beta * slope_of_sigmoid(c);
    *dl = p->beta * slope_of_sigmoid(r);
    return loss_sigmoid(-c) + loss_sigmoid(r);
}

static double apo_down(double *dw, double *dl, double sw, double sl, const struct loss_params *p) {
    const double c = p->beta * sw, x = p->beta * (sw - sl);
    *dw = p->beta * (slope_of_sigmoid(c) - slope_of_sigmoid(x));
    *dl = p->beta * slope_of_sigmoid(x);
    return loss_sigmoid(c) + loss_sigmoid(-x);
}

status loss_nca_pair_compute(struct loss_result *r, const struct loss_batch *b, const struct loss_params *p) {
    return loss_of_pairs(r, b, p, "nca_pair", false, nca_pair);
}
status loss_bco_pair_compute(struct loss_result *r, const struct loss_batch *b, const struct loss_params *p) {
    return loss_of_pairs(r, b, p, "bco_pair", false, bco_pair);
}
status loss_sppo_hard_compute(struct loss_result *r, const struct loss_batch *b, const struct loss_params *p) {
    return loss_of_pairs(r, b, p, "sppo_hard", false, sppo_hard);
}
status loss_apo_zero_compute(struct loss_result *r, const struct loss_batch *b, const struct loss_params *p) {
    return loss_of_pairs(r, b, p, "apo_zero", false, apo_zero);
}
status loss_apo_down_compute(struct loss_result *r, const struct loss_batch *b, const struct loss_params *p) {
    return loss_of_pairs(r, b, p, "apo_down", false, apo_down);
}
