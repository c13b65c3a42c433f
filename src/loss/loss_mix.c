/* loss_mix: TRL's combination of losses: the sum over its types of weight times loss (dpo_trainer.py, _compute_loss). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "loss/loss.h"

status loss_mix_add(struct loss_mix *m, const struct loss_row *row, double weight) {
    if (m->count == LOSS_MIX_MAX) return FAIL(ST_USAGE, "--loss-type takes at most %d losses", LOSS_MIX_MAX);
    if (!(weight > 0) || !isfinite(weight)) return FAIL(ST_USAGE, "--loss-weights: the weight of %s must be a number above 0, it is %g", row->name, weight);
    for (size_t i = 0; i < m->count; i++)
        if (m->rows[i] == row) return FAIL(ST_USAGE, "--loss-type names %s twice", row->name);
    if (m->count && (m->needs | row->needs) & LOSS_OF_REWARDS)
        return FAIL(ST_USAGE, "--loss-type: losses of reward models stand alone, not %s beside %s", row->name, m->name);
    if (m->count && (m->needs ^ row->needs) & LOSS_OF_LABELS)
        return FAIL(ST_USAGE, "--loss-type: losses of labels do not stand beside others: %s and %s", m->name, row->name);
    const size_t used = strlen(m->name);
    snprintf(m->name + used, sizeof m->name - used, "%s%s", used ? "," : "", row->name);
    m->needs |= row->needs;
    m->rows[m->count] = row;
    m->weights[m->count++] = weight;
    return ST_OK;
}

struct loss_mix loss_mix_of(const struct loss_row *row) {
    struct loss_mix m = {0};
    CHECK(loss_mix_add(&m, row, 1) == ST_OK);
    return m;
}

status loss_mix_check(const struct loss_mix *m, const struct loss_params *p) {
    /* A divergence would leave a term over that only cancels in a difference of scores, so all must take it, as in TRL; sft has no scores. */
    for (size_t i = 0; i < m->count && p->divergence != LOSS_REVERSE_KL; i++) {
        const unsigned needs = m->rows[i]->needs;
        if (needs & LOSS_NEEDS_REFERENCE && !(needs & LOSS_TAKES_DIVERGENCE)) return loss_check_params(m->rows[i], p);
    }
    return loss_check_params(&(struct loss_row){.name = m->name, .needs = m->needs}, p);
}

status loss_mix_compute(struct loss_result *r, const struct loss_mix *m, const struct loss_batch *b, const struct loss_params *p,
                        double *scratch) {
    const size_t n = b->groups * b->k;
    double total = 0;
    for (size_t i = 0; i < m->count; i++) {
        struct loss_result one = {.dpolicy = i ? scratch : r->dpolicy};
        TRY(m->rows[i]->compute(&one, b, p));
        total += m->weights[i] * one.value;
        for (size_t j = 0; j < n; j++) r->dpolicy[j] = m->weights[i] * one.dpolicy[j] + (i ? r->dpolicy[j] : 0);
    }
    r->value = total;
    return ST_OK;
}

void loss_mix_describe(struct buf *out, const struct loss_mix *m, const struct loss_params *p) {
    buf_printf(out, "\"loss\": \"%s\", \"loss_weights\": [", m->name);
    for (size_t i = 0; i < m->count; i++) buf_printf(out, "%s%.17g", i ? ", " : "", m->weights[i]);
    buf_printf(out, "], \"loss_options\": [%.17g, %.17g, %.17g, %.17g, %d, %.17g, %.17g, %.17g]", p->beta, p->label_smoothing, p->discopop_tau,
               p->center_rewards, (int)p->divergence, p->alpha_divergence, p->desirable_weight, p->undesirable_weight);
}
