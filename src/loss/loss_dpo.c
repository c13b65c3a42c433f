/* sigmoid: DPO (arXiv 2305.18290, eq. 7), with label smoothing cDPO as TRL up to 0.24 had it (the paper's recipes use 0.3):
 *   x = beta ((policy_w - reference_w) - (policy_l - reference_l)),   loss = -(1 - e) log sigma(x) - e log sigma(-x). */
#include "loss/loss.h"

status loss_sigmoid_check(const struct loss_params *p) {
    TRY(loss_check_beta(p, "sigmoid"));
    if (!(p->label_smoothing >= 0 && p->label_smoothing < 0.5))
        return FAIL(ST_USAGE, "--label-smoothing must be at least 0 and below 0.5, it is %g", p->label_smoothing);
    return ST_OK;
}

status loss_sigmoid_compute(struct loss_result *r, const struct loss_batch *b, const struct loss_params *p) {
    TRY(loss_check_batch(b, "sigmoid", LOSS_NEEDS_REFERENCE | LOSS_NEEDS_PAIRS));
    double e = p->label_smoothing, total = 0, scale = p->beta / (double)b->groups;
    for (size_t g = 0; g < b->groups; g++) {
        const double *policy = b->policy + 2 * g, *reference = b->reference + 2 * g;
        double x = p->beta * ((policy[0] - reference[0]) - (policy[1] - reference[1]));
        total += (1 - e) * loss_softplus(-x) + e * loss_softplus(x);
        double dx = e * loss_sigmoid(x) - (1 - e) * loss_sigmoid(-x);
        r->dpolicy[2 * g] = scale * dx;
        r->dpolicy[2 * g + 1] = -scale * dx;
    }
    r->value = total / (double)b->groups;
    return ST_OK;
}
