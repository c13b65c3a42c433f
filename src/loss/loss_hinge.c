/* hinge: max(0, 1 - beta margin), margin = (policy_w - reference_w) - (policy_l - reference_l) (TRL dpo_trainer.py, loss_type hinge). */
#include "loss/loss.h"

status loss_hinge_compute(struct loss_result *r, const struct loss_batch *b, const struct loss_params *p) {
    TRY(loss_check_batch(b, "hinge", LOSS_NEEDS_REFERENCE | LOSS_NEEDS_PAIRS));
    double total = 0, scale = p->beta / (double)b->groups;
    for (size_t g = 0; g < b->groups; g++) {
        const double *policy = b->policy + 2 * g, *reference = b->reference + 2 * g;
        double room = 1 - p->beta * ((policy[0] - reference[0]) - (policy[1] - reference[1]));
        double slope = room > 0 ? scale : 0; /* 0 on the kink itself, as torch.relu */
        total += room > 0 ? room : 0;
        r->dpolicy[2 * g] = -slope;
        r->dpolicy[2 * g + 1] = slope;
    }
    r->value = total / (double)b->groups;
    return ST_OK;
}
