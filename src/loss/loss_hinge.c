/* hinge: max(0, 1 - beta margin), margin = (policy_w - reference_w) - (policy_l - reference_l) (TRL dpo_trainer.py, loss_type hinge). */
#include "loss/loss.h"

static double hinge(double *dw, double *dl, double sw, double sl, const struct loss_params *p) {
    const double room = 1 - p->beta * (sw - sl);
    *dw = room > 0 ? -p->beta : 0; /* 0 on the kink itself, as torch.relu */
    *dl = -*dw;
    return room > 0 ? room : 0;
}

status loss_hinge_compute(struct loss_result *r, const struct loss_batch *b, const struct loss_params *p) {
    return loss_of_pairs(r, b, p, "hinge", false, hinge);
}
