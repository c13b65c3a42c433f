/* Losses of K scored responses to a prompt (Chen et al. 2024, arXiv 2402.05369, sections 3 and 4; the released reward_trainer.py,
 * nca_loss). With x_i = beta (policy_i - reference_i) and soft labels q = softmax(score / alpha) within the group: infonca: -sum_i q_i log
 * softmax(x)_i;   nca: -sum_i q_i log sigma(x_i) - 1/K sum_i log sigma(-x_i);   the mean over groups. alpha is --temperature-alpha, the
 * paper's alpha; K may differ from group to group. infonca of two responses with q = (1, 0) is DPO's loss, nca of them nca_pair. The
 * released code adds 0.01 to the first response's score, to break ties; here a tie shares the label. */
#include <math.h>

#include "loss/loss.h"

/* One group, with the normalisers of both softmaxes. */
struct group {
    const double *policy, *reference, *scores;
    size_t k;
    double beta, alpha;
    double score_most, score_sum; /* of the labels' softmax */
    double x_most, x_sum;         /* of the responses' */
};

static double x_of(const struct group *g, size_t i) { return g->beta * (g->policy[i] - g->reference[i]); }
static double label_of(const struct group *g, size_t i) { return exp((g->scores[i] - g->score_most) / g->alpha) / g->score_sum; }

static struct group group_of(const struct loss_batch *b, const struct loss_params *p, size_t at) {
    const size_t from = loss_first(b, at);
    struct group g = {.policy = b->policy + from,
                      .reference = b->reference + from,
                      .scores = b->scores + from,
                      .k = loss_first(b, at + 1) - from,
                      .beta = p->beta,
                      .alpha = p->temperature_alpha};
    g.score_most = g.x_most = -INFINITY;
    for (size_t i = 0; i < g.k; i++) {
        g.score_most = fmax(g.score_most, g.scores[i]);
        g.x_most = fmax(g.x_most, x_of(&g, i));
    }
    for (size_t i = 0; i < g.k; i++) {
        g.score_sum += exp((g.scores[i] - g.score_most) / g.alpha);
        g.x_sum += exp(x_of(&g, i) - g.x_most);
    }
    return g;
}

static double infonca(double *dx, const struct group *g, size_t i) {
    const double x = x_of(g, i) - g->x_most, q = label_of(g, i);
    *dx = exp(x) / g->x_sum - q;
    return q * (log(g->x_sum) - x);
}

static double nca(double *dx, const struct group *g, size_t i) {
    const double x = x_of(g, i), q = label_of(g, i), k = (double)g->k;
    *dx = loss_sigmoid(x) / k - q * loss_sigmoid(-x);
    return q * loss_softplus(-x) + loss_softplus(x) / k;
}

static status of_groups(struct loss_result *r, const struct loss_batch *b, const struct loss_params *p, const char *name,
                        double (*part)(double *dx, const struct group *g, size_t i)) {
    TRY(loss_check_batch(b, name, LOSS_NEEDS_REFERENCE | LOSS_NEEDS_SCORES));
    r->value = 0;
    for (size_t at = 0; at < b->groups; at++) {
        const struct group g = group_of(b, p, at);
        for (size_t i = 0; i < g.k; i++) {
            double dx;
            r->value += part(&dx, &g, i) / (double)b->groups;
            r->dpolicy[loss_first(b, at) + i] = p->beta * dx / (double)b->groups;
        }
    }
    return ST_OK;
}

status loss_infonca_compute(struct loss_result *r, const struct loss_batch *b, const struct loss_params *p) {
    return of_groups(r, b, p, "infonca", infonca);
}
status loss_nca_compute(struct loss_result *r, const struct loss_batch *b, const struct loss_params *p) {
    return of_groups(r, b, p, "nca", nca);
}
