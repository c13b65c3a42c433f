#include "loss/loss.h"

#include <math.h>
#include <string.h>

const struct loss_row loss_table[] = {
    {"sigmoid", "DPO: -log sigmoid of beta times the margin over the reference; with --label-smoothing conservative DPO",
     "Rafailov et al. 2023, arXiv 2305.18290, eq. 7; label smoothing: Mitchell 2023, cDPO", LOSS_NEEDS_REFERENCE | LOSS_NEEDS_PAIRS | LOSS_NEEDS_BETA,
     loss_sigmoid_compute, loss_sigmoid_check},
    {"hinge", "max(0, 1 - beta times the margin over the reference)", "Zhao et al. 2023 (SLiC-HF), arXiv 2305.10425; Liu et al. 2023 (RSO), arXiv 2309.06657",
     LOSS_NEEDS_REFERENCE | LOSS_NEEDS_PAIRS | LOSS_NEEDS_BETA, loss_hinge_compute, loss_hinge_check},
    {"ipo", "squared distance of the per-token margin over the reference from 1 / (2 beta)",
     "Azar et al. 2023, arXiv 2310.12036, eq. 17; normalised by length as TRL 1.x", LOSS_NEEDS_REFERENCE | LOSS_NEEDS_LENGTHS | LOSS_NEEDS_PAIRS | LOSS_NEEDS_BETA,
     loss_ipo_compute, loss_ipo_check},
    {"sft", "cross-entropy of the chosen (or only) response, the mean over all its tokens in the micro-batch", "TRL 1.x dpo_trainer.py, loss_type sft",
     LOSS_NEEDS_BATCH | LOSS_NEEDS_LENGTHS, loss_sft_compute, loss_sft_check},
};
const size_t loss_count = sizeof loss_table / sizeof loss_table[0];

const struct loss_row *loss_find(const char *name) {
    for (size_t i = 0; i < loss_count; i++)
        if (strcmp(loss_table[i].name, name) == 0) return &loss_table[i];
    return NULL;
}

static status check_finite(const double *sums, size_t n, const char *name, const char *what) {
    for (size_t i = 0; i < n; i++)
        if (!isfinite(sums[i])) return FAIL(ST_FORMAT, "loss %s: the %s log-prob of sequence %zu of the batch is %g", name, what, i, sums[i]);
    return ST_OK;
}

status loss_check_batch(const struct loss_batch *b, const char *name, unsigned needs) {
    size_t n;
    if (b->groups == 0 || b->k == 0) return FAIL(ST_MISMATCH, "loss %s: an empty batch", name);
    if (!size_mul(&n, b->groups, b->k)) return FAIL(ST_MISMATCH, "loss %s: %zu groups of %zu sequences overflow", name, b->groups, b->k);
    if ((needs & LOSS_NEEDS_PAIRS) && b->k != 2)
        return FAIL(ST_MISMATCH, "loss %s needs pairs (chosen, rejected), the batch has groups of %zu", name, b->k);
    if ((needs & LOSS_NEEDS_REFERENCE) && !b->reference) return FAIL(ST_MISMATCH, "loss %s needs reference log-probs", name);
    if ((needs & LOSS_NEEDS_LENGTHS) && !b->lengths) return FAIL(ST_MISMATCH, "loss %s needs the responses' token counts", name);
    if (needs & LOSS_NEEDS_LENGTHS)
        for (size_t i = 0; i < n; i++)
            if (b->lengths[i] < 0) return FAIL(ST_FORMAT, "loss %s: sequence %zu of the batch has %d tokens", name, i, (int)b->lengths[i]);
    TRY(check_finite(b->policy, n, name, "policy"));
    return needs & LOSS_NEEDS_REFERENCE ? check_finite(b->reference, n, name, "reference") : ST_OK;
}

status loss_check_beta(const struct loss_params *p, const char *name) {
    if (!(p->beta > 0) || !isfinite(p->beta)) return FAIL(ST_USAGE, "--beta must be a number above 0 for --loss-type %s, it is %g", name, p->beta);
    return ST_OK;
}

status loss_check_no_smoothing(const struct loss_params *p, const char *name) {
    if (p->label_smoothing != 0)
        return FAIL(ST_USAGE, "--label-smoothing has no effect with --loss-type %s (it belongs to sigmoid): leave it out", name);
    return ST_OK;
}

double loss_softplus(double x) { return (x > 0 ? x : 0) + log1p(exp(-fabs(x))); }

double loss_sigmoid(double x) {
    double e = exp(-fabs(x));
    return (x >= 0 ? 1 : e) / (1 + e);
}
