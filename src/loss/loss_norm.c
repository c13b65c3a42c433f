/* sigmoid_norm (TRL 1.16): with s = policy - reference and n the response's tokens, -log sigma(beta (s_w / max(n_w, 1) - s_l / max(n_l, 1))). */
#include "loss/loss.h"

status loss_sigmoid_norm_compute(struct loss_result *r, const struct loss_batch *b, const struct loss_params *p) {
    TRY(loss_check_batch(b, "sigmoid_norm", LOSS_NEEDS_REFERENCE | LOSS_NEEDS_LENGTHS | LOSS_NEEDS_PAIRS));
    const double groups = (double)b->groups;
    double total = 0;
    for (size_t g = 0; g < b->groups; g++) {
        const double *policy = b->policy + 2 * g, *reference = b->reference + 2 * g;
        const int32_t *lengths = b->lengths + 2 * g;
        const double n_w = lengths[0] > 1 ? lengths[0] : 1, n_l = lengths[1] > 1 ? lengths[1] : 1;
        const double x = p->beta * ((policy[0] - reference[0]) / n_w - (policy[1] - reference[1]) / n_l), dx = -p->beta * loss_sigmoid(-x) / groups;
        total += loss_softplus(-x);
        r->dpolicy[2 * g] = dx / n_w;
        r->dpolicy[2 * g + 1] = -dx / n_l;
    }
    r->value = total / groups;
    return ST_OK;
}
