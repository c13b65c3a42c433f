/* sigmoid: DPO (arXiv 2305.18290, eq. 7), with label smoothing cDPO as TRL up to 0.24 had it (the paper's recipes use 0.3):
 *   x = beta ((policy_w - reference_w) - (policy_l - reference_l)),   loss = -(1 - e) log sigma(x) - e log sigma(-x).
 * robust (arXiv 2403.00409): (-(1 - e) log sigma(x) + e log sigma(-x)) / (1 - 2e), whose mean over labels that are wrong with probability e
 * is DPO's. exo_pair (arXiv 2402.00856, eq. 16): with q = sigma(x), q (log q - log(1 - e)) + (1 - q) (log(1 - q) - log e). discopop (arXiv
 * 2406.08414, eq. 5): with m = sigma(x / tau), -(1 - m) log sigma(x) + m e^-x. */
#include <math.h>

#include "loss/loss.h"

static double by_margin(double *dw, double *dl, double dx, const struct loss_params *p, double value) {
    *dw = p->beta * dx;
    *dl = -p->beta * dx;
    return value;
}

static double sigmoid(double *dw, double *dl, double sw, double sl, const struct loss_params *p) {
    const double x = p->beta * (sw - sl), e = p->label_smoothing;
    const double dx = e * loss_sigmoid(x) - (1 - e) * loss_sigmoid(-x);
    return by_margin(dw, dl, dx, p, (1 - e) * loss_softplus(-x) + e * loss_softplus(x));
}

static double robust(double *dw, double *dl, double sw, double sl, const struct loss_params *p) {
    const double x = p->beta * (sw - sl), e = p->label_smoothing, share = 1 - 2 * e;
    const double dx = (-(1 - e) * loss_sigmoid(-x) - e * loss_sigmoid(x)) / share;
    return by_margin(dw, dl, dx, p, ((1 - e) * loss_softplus(-x) - e * loss_softplus(x)) / share);
}

static double exo_pair(double *dw, double *dl, double sw, double sl, const struct loss_params *p) {
    const double x = p->beta * (sw - sl), q = loss_sigmoid(x), rest = loss_sigmoid(-x), keep = log1p(-p->label_smoothing),
                 flip = log(p->label_smoothing);
    return by_margin(dw, dl, q * rest * (x - keep + flip), p, q * (-loss_softplus(-x) - keep) + rest * (-loss_softplus(x) - flip));
}

/* m e^-x and its slope would be 0 times infinity for a margin far below 0: they are made from logarithms. */
static double discopop(double *dw, double *dl, double sw, double sl, const struct loss_params *p) {
    const double x = p->beta * (sw - sl), tau = p->discopop_tau > 0 ? p->discopop_tau : LOSS_DISCOPOP_TAU;
    const double rest = loss_sigmoid(-x / tau), dm = loss_sigmoid(x / tau) * rest / tau, blend = exp(-x - loss_softplus(-x / tau));
    const double dx = -loss_sigmoid(-x) * rest - loss_softplus(-x) * dm - blend + blend * rest / tau;
    return by_margin(dw, dl, dx, p, loss_softplus(-x) * rest + blend);
}

status loss_sigmoid_compute(struct loss_result *r, const struct loss_batch *b, const struct loss_params *p) {
    return loss_of_pairs(r, b, p, "sigmoid", false, sigmoid);
}
status loss_robust_compute(struct loss_result *r, const struct loss_batch *b, const struct loss_params *p) {
    return loss_of_pairs(r, b, p, "robust", false, robust);
}
status loss_exo_pair_compute(struct loss_result *r, const struct loss_batch *b, const struct loss_params *p) {
    return loss_of_pairs(r, b, p, "exo_pair", false, exo_pair);
}
status loss_discopop_compute(struct loss_result *r, const struct loss_batch *b, const struct loss_params *p) {
    return loss_of_pairs(r, b, p, "discopop", false, discopop);
}
