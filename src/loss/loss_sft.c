/* sft: -(sum of the chosen responses' log-probs) / (sum of their tokens), over the whole micro-batch. The first sequence of each group is
 * the chosen one; the others get no gradient (TRL dpo_trainer.py, loss_type sft). beta is not looked at. */
#include "loss/loss.h"

status loss_nll(double *value, struct loss_result *r, const struct loss_batch *b, const char *name, double scale) {
    double total = 0, tokens = 0;
    TRY(loss_check_batch(b, name, LOSS_NEEDS_TEXT));
    for (size_t g = 0; g < b->groups; g++) {
        total -= b->text[loss_first(b, g)];
        tokens += b->text_lengths[loss_first(b, g)];
    }
    if (tokens == 0) return FAIL(ST_MISMATCH, "loss %s: the chosen responses of the batch have no tokens", name);
    for (size_t g = 0; g < b->groups; g++)
        for (size_t i = loss_first(b, g); i < loss_first(b, g + 1); i++) r->dtext[i] = i == loss_first(b, g) ? -scale / tokens : 0;
    *value = total / tokens;
    return ST_OK;
}

status loss_sft_compute(struct loss_result *r, const struct loss_batch *b, const struct loss_params *p) {
    (void)p;
    TRY(loss_nll(&r->value, r, b, "sft", 1));
    for (size_t i = 0; i < loss_first(b, b->groups); i++) r->dpolicy[i] = 0;
    return ST_OK;
}
