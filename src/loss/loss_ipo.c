/* Losses of the margin a token: s = (policy - reference) / max(tokens, 1).
 * ipo (arXiv 2310.12036, eq. 17, normalised by length as TRL 1.x): (s_w - s_l - 1 / (2 beta))^2.
 * sigmoid_norm (TRL 1.16): -log sigma(beta (s_w - s_l)). */
#include "loss/loss.h"

static double ipo(double *dw, double *dl, double sw, double sl, const struct loss_params *p) {
    const double x = sw - sl - 1 / (2 * p->beta);
    *dw = 2 * x;
    *dl = -2 * x;
    return x * x;
}

static double sigmoid_norm(double *dw, double *dl, double sw, double sl, const struct loss_params *p) {
    const double x = p->beta * (sw - sl);
    *dw = -p->beta * loss_sigmoid(-x);
    *dl = -*dw;
    return loss_softplus(-x);
}

status loss_ipo_compute(struct loss_result *r, const struct loss_batch *b, const struct loss_params *p) {
    return loss_of_pairs(r, b, p, "ipo", true, ipo);
}
status loss_sigmoid_norm_compute(struct loss_result *r, const struct loss_batch *b, const struct loss_params *p) {
    return loss_of_pairs(r, b, p, "sigmoid_norm", true, sigmoid_norm);
}
