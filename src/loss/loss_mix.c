/* loss_mix: TRL's combination of losses: the sum over its types of weight times loss (dpo_trainer.py, _compute_loss). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "loss/loss.h"

status loss_mix_add(struct loss_mix *m, const struct loss_row *row, double weight) {
    if (m->count == LOSS_MIX_MAX) return FAIL(ST_USAGE, "--loss-type takes at most %d losses", LOSS_MIX_MAX);
    if (!(weight > 0) || !isfinite(weight))
        return FAIL(ST_USAGE, "--loss-weights: the weight of %s must be a number above 0, it is %g", row->name, weight);
    for (size_t i = 0; i < m->count; i++)
        if (m->rows[i] == row) return FAIL(ST_USAGE, "--loss-type names %s twice", row->name);
    if (m->count && (m->needs | row->needs) & LOSS_OF_REWARDS)
        return FAIL(ST_USAGE, "--loss-type: losses of reward models stand alone, not %s beside %s", row->name, m->name);
    if (m->count && (m->needs ^ row->needs) & LOSS_OF_LABELS)
        return FAIL(ST_USAGE, "--loss-type: losses of labels do not stand beside others: %s and %s", m->name, row->name);
    if (m->count && (m->needs | row->needs) & LOSS_OF_POLICY)
        return FAIL(ST_USAGE, "--loss-type: %s brings a cross-entropy of its own and stands alone",
                    m->needs & LOSS_OF_POLICY ? m->name : row->name);
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

status loss_mix_check(struct loss_mix *m, const struct loss_params *p) {
    /* A divergence would leave a term over that only cancels in a difference of scores, and a sum whose tokens weigh less is so for all: as
     * in TRL every loss must take these, but for sft, which has neither scores nor weighted sums. Weights are of pairs: every loss must be
     * too (TRL 1.16 fails on sft with use_weighting). */
    const unsigned all = (p->weighting ? LOSS_TAKES_WEIGHTS : 0) | (p->ld ? LOSS_TAKES_TAIL : 0) |
                         (p->divergence != LOSS_REVERSE_KL ? LOSS_TAKES_DIVERGENCE : 0);
    for (size_t i = 0; i < m->count; i++) {
        const unsigned missing = all & ~m->rows[i]->needs;
        if (missing & LOSS_TAKES_WEIGHTS || (missing && m->rows[i]->needs & LOSS_NEEDS_REFERENCE))
            TRY(loss_check_params(&(struct loss_row){.name = m->rows[i]->name, .needs = m->needs & ~missing}, p));
    }
    TRY(loss_check_params(&(struct loss_row){.name = m->name, .needs = m->needs}, p));
    if ((m->needs & LOSS_TAKES_NLL) && p->cpo_alpha == 0)
        m->needs &= ~(unsigned)(LOSS_NEEDS_BATCH | LOSS_NEEDS_TEXT); /* a mean over pairs */
    return ST_OK;
}

/* d = (add ? d : 0) + weight * from */
static void take(double *d, bool add, double weight, const double *from, size_t n) {
    for (size_t j = 0; j < n; j++) d[j] = weight * from[j] + (add ? d[j] : 0);
}

status loss_mix_compute(struct loss_result *r, const struct loss_mix *m, const struct loss_batch *b, const struct loss_params *p,
                        double *scratch) {
    const size_t n = loss_first(b, b->groups);
    struct loss_result sum = {.dpolicy = r->dpolicy, .dtext = r->dtext};
    bool with_text = false;
    for (size_t i = 0; i < m->count; i++) {
        struct loss_result one = {.dpolicy = scratch, .dtext = scratch + n};
        TRY(m->rows[i]->compute(&one, b, p));
        sum.value += m->weights[i] * one.value;
        take(sum.dpolicy, i > 0, m->weights[i], one.dpolicy, n);
        if (!(m->needs & m->rows[i]->needs & LOSS_NEEDS_TEXT)) continue;
        take(sum.dtext, with_text, m->weights[i], one.dtext, n);
        with_text = true;
        sum.nll = one.nll, sum.log_odds_ratio = one.log_odds_ratio, sum.log_odds_chosen = one.log_odds_chosen;
    }
    *r = sum;
    return ST_OK;
}

void loss_mix_describe(struct buf *out, const struct loss_mix *m, const struct loss_params *p) {
    buf_printf(out, "\"loss\": \"%s\", \"loss_weights\": [", m->name);
    for (size_t i = 0; i < m->count; i++) buf_printf(out, "%s%.17g", i ? ", " : "", m->weights[i]);
    buf_printf(out, "], \"loss_options\": [%.17g, %.17g, %.17g, %.17g, %d, %.17g, %d, %d, %.17g", p->beta, p->label_smoothing,
               p->discopop_tau, p->center_rewards, (int)p->divergence, p->alpha_divergence, p->weighting, p->ld, p->ld_alpha);
    buf_printf(out, ", %.17g, %.17g, %.17g, %.17g, %.17g, %d, %.17g, %.17g]", p->simpo_gamma, p->cpo_alpha, p->desirable_weight,
               p->undesirable_weight, p->odpo_alpha, p->odpo_linear, p->rpo_eta, p->temperature_alpha);
}
