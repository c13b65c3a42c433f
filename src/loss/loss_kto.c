/* Losses of single responses with a label; s = policy - reference of one.
 * kto (Ethayarajh et al. 2024, arXiv 2402.01306, eq. 7): 1 - sigma(beta (s - z)) of a desirable response, 1 - sigma(beta (z - s)) of an
 * undesirable one, where z, loss_batch.kl, is a constant. apo_zero_unpaired (D'Oosterlinck et al. 2024, arXiv 2408.06266, eq. 7, each half
 * on its own): the same with z = 0. Both are weighted by label and averaged over rows, as TRL 1.16's kto_trainer.py does it. */
#include "loss/loss.h"

static status of_labels(struct loss_result *r, const struct loss_batch *b, const struct loss_params *p, const char *name, double kl) {
    TRY(loss_check_batch(b, name, LOSS_NEEDS_REFERENCE | LOSS_OF_LABELS));
    const double groups = (double)b->groups;
    r->value = 0;
    for (size_t i = 0; i < b->groups; i++) {
        const double side = b->rejected[i] ? -1 : 1, weight = (b->rejected[i] ? p->undesirable_weight : p->desirable_weight) / groups;
        const double x = side * p->beta * (b->policy[i] - b->reference[i] - kl);
        r->value += weight * loss_sigmoid(-x);
        r->dpolicy[i] = -weight * side * p->beta * loss_sigmoid(x) * loss_sigmoid(-x);
    }
    return ST_OK;
}

status loss_kto_compute(struct loss_result *r, const struct loss_batch *b, const struct loss_params *p) {
    return of_labels(r, b, p, "kto", b->kl);
}
status loss_apo_zero_unpaired_compute(struct loss_result *r, const struct loss_batch *b, const struct loss_params *p) {
    return of_labels(r, b, p, "apo_zero_unpaired", 0);
}
