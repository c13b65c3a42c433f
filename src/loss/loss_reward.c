/* Losses of reward models: `policy` holds the rewards of chosen and rejected themselves.
 *
 * bradley_terry: -log sigmoid(r_w - r_l - margin) + c (r_w + r_l)^2, the mean over pairs (TRL 1.16 reward_trainer.py; the margin: Llama 2,
 * arXiv 2307.09288, eq. 2; c, center_rewards_coefficient: arXiv 2312.09244). mse: the squared distance of each reward from its score, the
 * mean over responses (regression, as HelpSteer2's and ArmoRM's first stage). */
#include "loss/loss.h"

#include <math.h>

status loss_bradley_terry_compute(struct loss_result *r, const struct loss_batch *b, const struct loss_params *p) {
    TRY(loss_check_batch(b, "bradley_terry", LOSS_NEEDS_PAIRS));
    const double groups = (double)b->groups, c = p->center_rewards;
    double total = 0;
    for (size_t i = 0; i < b->groups; i++) {
        const double w = b->policy[2 * i], l = b->policy[2 * i + 1], margin = b->margins ? b->margins[i] : 0;
        const double slope = -loss_sigmoid(-(w - l - margin)), centre = 2 * c * (w + l);
        total += loss_softplus(-(w - l - margin)) + c * (w + l) * (w + l);
        r->dpolicy[2 * i] = (slope + centre) / groups;
        r->dpolicy[2 * i + 1] = (-slope + centre) / groups;
    }
    r->value = total / groups;
    return ST_OK;
}

status loss_mse_compute(struct loss_result *r, const struct loss_batch *b, const struct loss_params *p) {
    (void)p;
    TRY(loss_check_batch(b, "mse", LOSS_NEEDS_SCORES));
    const size_t n = loss_first(b, b->groups);
    double total = 0;
    for (size_t i = 0; i < n; i++) {
        const double off = b->policy[i] - b->scores[i];
        total += off * off;
        r->dpolicy[i] = 2 * off / (double)n;
    }
    r->value = total / (double)n;
    return ST_OK;
}
