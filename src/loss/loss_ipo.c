/* ipo (arXiv 2310.12036, eq. 17, normalised by length as TRL 1.x): with s = policy - reference and n the response's tokens,
 *   (s_w / max(n_w, 1) - s_l / max(n_l, 1) - 1 / (2 beta))^2. */
#include "loss/loss.h"

status loss_ipo_compute(struct loss_result *r, const struct loss_batch *b, const struct loss_params *p) {
    TRY(loss_check_batch(b, "ipo", LOSS_NEEDS_REFERENCE | LOSS_NEEDS_LENGTHS | LOSS_NEEDS_PAIRS));
    double total = 0, groups = (double)b->groups;
    for (size_t g = 0; g < b->groups; g++) {
        const double *policy = b->policy + 2 * g, *reference = b->reference + 2 * g;
        const int32_t *lengths = b->lengths + 2 * g;
        double n_w = lengths[0] > 1 ? lengths[0] : 1, n_l = lengths[1] > 1 ? lengths[1] : 1;
        double x = (policy[0] - reference[0]) / n_w - (policy[1] - reference[1]) / n_l - 1 / (2 * p->beta);
        total += x * x;
        r->dpolicy[2 * g] = 2 * x / (n_w * groups);
        r->dpolicy[2 * g + 1] = -2 * x / (n_l * groups);
    }
    r->value = total / groups;
    return ST_OK;
}
