/* Losses of the policy alone with a cross-entropy beside them; a = policy, under simpo policy / tokens (TRL 1.16 cpo_trainer.py).
 * cpo (arXiv 2401.08417, eq. 3 and 6):  x = beta (a_w - a_l);  simpo (arXiv 2405.14734, eq. 6):  x = beta (a_w - a_l) - gamma;
 *   -(1 - e) log sigma(x) - e log sigma(-x) + cpo_alpha nll,  nll the token mean over the micro-batch's chosen responses.
 * orpo (arXiv 2403.07691, eq. 6 and 7), a = policy / tokens (TRL 1.16 orpo_trainer.py):
 *   x = (a_w - log(1 - e^a_w)) - (a_l - log(1 - e^a_l));  nll - beta log sigma(x),  nll over prompts and chosen responses. */
#include <math.h>

#include "loss/loss.h"

static double tokens_of(const struct loss_batch *b, size_t i) { return b->lengths[i] > 1 ? b->lengths[i] : 1; }

static status cpo(struct loss_result *r, const struct loss_batch *b, const struct loss_params *p, const char *name, bool means) {
    TRY(loss_check_batch(b, name, LOSS_NEEDS_PAIRS | (means ? LOSS_NEEDS_LENGTHS : 0)));
    const double e = p->label_smoothing, groups = (double)b->groups;
    double total = 0;
    r->nll = 0;
    for (size_t i = 0; i < 2 * b->groups; i += 2) {
        const double nw = means ? tokens_of(b, i) : 1, nl = means ? tokens_of(b, i + 1) : 1;
        const double x = p->beta * (b->policy[i] / nw - b->policy[i + 1] / nl) - p->simpo_gamma;
        const double dx = p->beta * (e * loss_sigmoid(x) - (1 - e) * loss_sigmoid(-x)) / groups;
        total += (1 - e) * loss_softplus(-x) + e * loss_softplus(x);
        r->dpolicy[i] = dx / nw;
        r->dpolicy[i + 1] = -dx / nl;
    }
    for (size_t i = 0; i < 2 * b->groups && p->cpo_alpha == 0; i++) r->dtext[i] = 0;
    if (p->cpo_alpha != 0) TRY(loss_nll(&r->nll, r, b, name, p->cpo_alpha));
    r->value = total / groups + p->cpo_alpha * r->nll;
    return ST_OK;
}

status loss_cpo_compute(struct loss_result *r, const struct loss_batch *b, const struct loss_params *p) {
    return cpo(r, b, p, "cpo", false);
}
status loss_simpo_compute(struct loss_result *r, const struct loss_batch *b, const struct loss_params *p) {
    return cpo(r, b, p, "simpo", true);
}

/* log(1 - e^a), a < 0, without cancellation at either end. */
static double log1mexp(double a) { return a < -0.6931471805599453 ? log1p(-exp(a)) : log(-expm1(a)); }

status loss_orpo_compute(struct loss_result *r, const struct loss_batch *b, const struct loss_params *p) {
    TRY(loss_check_batch(b, "orpo", LOSS_NEEDS_PAIRS | LOSS_NEEDS_LENGTHS));
    const double groups = (double)b->groups;
    double ratio = 0, odds = 0;
    for (size_t i = 0; i < 2 * b->groups; i += 2) {
        const double nw = tokens_of(b, i), nl = tokens_of(b, i + 1), w = b->policy[i] / nw, l = b->policy[i + 1] / nl;
        if (!(w < 0) || !(l < 0))
            return FAIL(ST_FORMAT, "loss orpo: a response of the batch has probability 1, its odds are infinite; lower --learning-rate");
        const double x = w - l - (log1mexp(w) - log1mexp(l)), dx = -p->beta * loss_sigmoid(-x) / groups;
        ratio -= loss_softplus(-x) / groups;
        odds += x / groups;
        r->dpolicy[i] = dx / -expm1(w) / nw;
        r->dpolicy[i + 1] = -dx / -expm1(l) / nl;
    }
    TRY(loss_nll(&r->nll, r, b, "orpo", 1));
    r->log_odds_ratio = ratio;
    r->log_odds_chosen = odds;
    r->value = r->nll - p->beta * ratio;
    return ST_OK;
}
