/* Losses that know by how much the chosen response was scored higher: gap = score_w - score_l, x = beta (s_w - s_l), s = policy -
 * reference. Under a goal g the loader gives -(g - score)^2 for a score, so that the gap is the reward's, (r_w - r_l)^2 in either half of a
 * pair. odpo (Amini et al. 2024, arXiv 2402.10571, section 4, and the authors' preference_loss): -log sigma(x - offset), offset = alpha
 * log(gap), or alpha gap (the paper's identity as scaling function). rpo_bwd_kl, rpo_fwd_kl, rpo_sq (Nemotron-4 340B, arXiv 2406.11704,
 * section 3.3.2, reward-aware preference optimization; names and the other two distances: NeMo-Aligner): the distance of x from t = eta
 * gap: with p = sigma(x), q = sigma(t) bwd_kl  q log(q / p) + (1 - q) log((1 - q) / (1 - p));  fwd_kl  p log(p / q) + (1 - p) log((1 - p) /
 * (1 - q));  sq  (x - t)^2. */
#include <math.h>

#include "loss/loss.h"

/* The loss of a pair and its derivative by x. */
typedef double gap_fn(double *dx, double x, double gap, const struct loss_params *p);

static double odpo(double *dx, double x, double gap, const struct loss_params *p) {
    const double z = x - p->odpo_alpha * (p->odpo_linear ? gap : log(gap));
    *dx = -loss_sigmoid(-z);
    return loss_softplus(-z);
}

/* log sigma(t) is -softplus(-t). */
static double bwd_kl(double *dx, double x, double gap, const struct loss_params *p) {
    const double t = p->rpo_eta * gap;
    *dx = loss_sigmoid(x) - loss_sigmoid(t);
    return loss_sigmoid(t) * (loss_softplus(-x) - loss_softplus(-t)) + loss_sigmoid(-t) * (loss_softplus(x) - loss_softplus(t));
}

static double fwd_kl(double *dx, double x, double gap, const struct loss_params *p) {
    const double t = p->rpo_eta * gap;
    *dx = loss_sigmoid(x) * loss_sigmoid(-x) * (x - t);
    return loss_sigmoid(x) * (loss_softplus(-t) - loss_softplus(-x)) + loss_sigmoid(-x) * (loss_softplus(t) - loss_softplus(x));
}

static double sq(double *dx, double x, double gap, const struct loss_params *p) {
    const double d = x - p->rpo_eta * gap;
    *dx = 2 * d;
    return d * d;
}

static status of_gaps(struct loss_result *r, const struct loss_batch *b, const struct loss_params *p, const char *name, gap_fn *of_pair) {
    TRY(loss_check_batch(b, name, LOSS_NEEDS_REFERENCE | LOSS_NEEDS_PAIRS | LOSS_NEEDS_SCORES));
    const double groups = (double)b->groups;
    double total = 0;
    for (size_t i = 0; i < 2 * b->groups; i += 2) {
        const double x = p->beta * (b->policy[i] - b->reference[i] - (b->policy[i + 1] - b->reference[i + 1]));
        const double gap = b->scores[i] - b->scores[i + 1];
        double dx = 0;
        if (of_pair == odpo && !p->odpo_linear && !(gap > 0))
            return FAIL(ST_FORMAT,
                        "loss odpo: the chosen response's score is not above the rejected one's (by %g), their gap has no logarithm", gap);
        total += of_pair(&dx, x, gap, p);
        r->dpolicy[i] = p->beta * dx / groups;
        r->dpolicy[i + 1] = -r->dpolicy[i];
    }
    r->value = total / groups;
    return ST_OK;
}

status loss_odpo_compute(struct loss_result *r, const struct loss_batch *b, const struct loss_params *p) {
    return of_gaps(r, b, p, "odpo", odpo);
}
status loss_rpo_bwd_kl_compute(struct loss_result *r, const struct loss_batch *b, const struct loss_params *p) {
    return of_gaps(r, b, p, "rpo_bwd_kl", bwd_kl);
}
status loss_rpo_fwd_kl_compute(struct loss_result *r, const struct loss_batch *b, const struct loss_params *p) {
    return of_gaps(r, b, p, "rpo_fwd_kl", fwd_kl);
}
status loss_rpo_sq_compute(struct loss_result *r, const struct loss_batch *b, const struct loss_params *p) {
    return of_gaps(r, b, p, "rpo_sq", sq);
}
