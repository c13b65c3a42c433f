/* sft: -(sum of the chosen responses' log-probs) / (sum of their tokens), over the whole micro-batch. The first sequence of each group is
 * the chosen one; the others get no gradient (TRL dpo_trainer.py, loss_type sft). beta is not looked at. */
#include "loss/loss.h"

status loss_sft_compute(struct loss_result *r, const struct loss_batch *b, const struct loss_params *p) {
    (void)p;
    TRY(loss_check_batch(b, "sft", LOSS_NEEDS_LENGTHS));
    double total = 0, tokens = 0;
    for (size_t g = 0; g < b->groups; g++) {
        total -= b->policy[g * b->k];
        tokens += b->lengths[g * b->k];
    }
    if (tokens == 0) return FAIL(ST_MISMATCH, "loss sft: the chosen responses of the batch have no tokens");
    for (size_t i = 0; i < b->groups * b->k; i++) r->dpolicy[i] = i % b->k == 0 ? -1 / tokens : 0;
    r->value = total / tokens;
    return ST_OK;
}
