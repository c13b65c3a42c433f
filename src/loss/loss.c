#include "loss/loss.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define SORTED (LOSS_NEEDS_REFERENCE | LOSS_NEEDS_PAIRS | LOSS_NEEDS_BETA | LOSS_NEEDS_BATCH | LOSS_TAKES_TAIL)
#define PAIRWISE (LOSS_NEEDS_REFERENCE | LOSS_NEEDS_PAIRS | LOSS_NEEDS_BETA | LOSS_TAKES_WEIGHTS | LOSS_TAKES_TAIL)
#define GAPS (LOSS_NEEDS_REFERENCE | LOSS_NEEDS_PAIRS | LOSS_NEEDS_BETA | LOSS_NEEDS_SCORES)
#define OF_POLICY (LOSS_OF_POLICY | LOSS_NEEDS_PAIRS | LOSS_NEEDS_BETA | LOSS_NEEDS_BATCH | LOSS_NEEDS_TEXT)
#define SCORED (PAIRWISE | LOSS_TAKES_DIVERGENCE) /* of the scores' difference, in which what f-divergences leave over cancels */
#define GROUPED (LOSS_NEEDS_REFERENCE | LOSS_NEEDS_BETA | LOSS_NEEDS_SCORES | LOSS_OF_GROUPS)
#define LABELLED (LOSS_NEEDS_REFERENCE | LOSS_NEEDS_BETA | LOSS_OF_LABELS)

const struct loss_row loss_table[] = {
    {"sigmoid", "DPO: -log sigmoid of beta times the margin over the reference; with --label-smoothing conservative DPO",
     "Rafailov et al. 2023, arXiv 2305.18290, eq. 7; label smoothing: Mitchell 2023, cDPO", SCORED | LOSS_TAKES_SMOOTHING,
     loss_sigmoid_compute},
    {"hinge", "max(0, 1 - beta times the margin over the reference)",
     "Zhao et al. 2023 (SLiC-HF), arXiv 2305.10425; Liu et al. 2023 (RSO), arXiv 2309.06657", SCORED, loss_hinge_compute},
    {"ipo", "squared distance of the per-token margin over the reference from 1 / (2 beta)",
     "Azar et al. 2023, arXiv 2310.12036, eq. 17; normalised by length as TRL 1.x", SCORED | LOSS_NEEDS_LENGTHS, loss_ipo_compute},
    {"exo_pair", "reverse KL of the pair's policy from the labels smoothed by --label-smoothing",
     "Ji et al. 2024 (EXO), arXiv 2402.00856, eq. 16", SCORED | LOSS_TAKES_SMOOTHING | LOSS_NEEDS_SMOOTHING, loss_exo_pair_compute},
    {"nca_pair", "noise-contrastive alignment of each response against the reference", "Chen et al. 2024 (NCA), arXiv 2402.05369", PAIRWISE,
     loss_nca_pair_compute},
    {"robust", "DPO's loss, unbiased where a share of --label-smoothing of the labels is wrong", "Chowdhury et al. 2024, arXiv 2403.00409",
     SCORED | LOSS_TAKES_SMOOTHING, loss_robust_compute},
    {"bco_pair", "binary classification of chosen against rejected by their rewards",
     "Jung et al. 2024 (BCO), arXiv 2404.04656; without the running mean, as TRL 1.x", PAIRWISE, loss_bco_pair_compute},
    {"sppo_hard", "squared distance of the two log-ratios from 1 / (2 beta) and -1 / (2 beta)",
     "Wu et al. 2024 (SPPO), arXiv 2405.00675, eq. 4.7 with hard labels", PAIRWISE, loss_sppo_hard_compute},
    {"aot", "DPO's loss on the sorted log-ratios of the micro-batch's pairs: stochastic dominance over the reference's",
     "Melnyk et al. 2024 (AOT), arXiv 2406.05882", SORTED | LOSS_TAKES_SMOOTHING, loss_aot_compute},
    {"aot_unpaired", "the same of the sorted chosen against the sorted rejected rewards", "Melnyk et al. 2024 (AOT), arXiv 2406.05882",
     SORTED | LOSS_TAKES_SMOOTHING, loss_aot_unpaired_compute},
    {"apo_zero", "chosen up, rejected down: for chosen responses better than the model's own",
     "D'Oosterlinck et al. 2024 (APO), arXiv 2408.06266, eq. 7", PAIRWISE, loss_apo_zero_compute},
    {"apo_down", "both down, rejected more: for chosen responses worse than the model's own",
     "D'Oosterlinck et al. 2024 (APO), arXiv 2408.06266, eq. 8", PAIRWISE, loss_apo_down_compute},
    {"discopop", "logistic loss blended into the exponential one where the margin grows; --discopop-tau",
     "Lu et al. 2024 (DiscoPOP), arXiv 2406.08414, eq. 5", SCORED | LOSS_TAKES_TAU, loss_discopop_compute},
    {"sigmoid_norm", "DPO's loss with each response's log-ratio divided by its tokens", "TRL 1.16 dpo_trainer.py, loss_type sigmoid_norm",
     SCORED | LOSS_NEEDS_LENGTHS, loss_sigmoid_norm_compute},
    {"sft", "cross-entropy of the chosen (or only) response, the mean over all its tokens in the micro-batch",
     "TRL 1.x dpo_trainer.py, loss_type sft", LOSS_NEEDS_BATCH | LOSS_NEEDS_TEXT, loss_sft_compute},
    {"infonca", "cross-entropy of K responses' rewards with the softmax of their scores; DPO is its case of a pair",
     "Chen et al. 2024 (InfoNCA), arXiv 2402.05369, section 3", GROUPED, loss_infonca_compute},
    {"nca", "noise-contrastive alignment of K responses, each against the reference, weighted by the softmax of their scores",
     "Chen et al. 2024 (NCA), arXiv 2402.05369, section 4", GROUPED, loss_nca_compute},
    {"kto", "prospect theory: desirable responses up, undesirable down, against the KL estimate of mismatched pairs",
     "Ethayarajh et al. 2024 (KTO), arXiv 2402.01306, eq. 7", LABELLED | LOSS_NEEDS_KL, loss_kto_compute},
    {"apo_zero_unpaired", "apo_zero of single responses: desirable up, undesirable down",
     "D'Oosterlinck et al. 2024 (APO), arXiv 2408.06266, eq. 7", LABELLED, loss_apo_zero_unpaired_compute},
    {"cpo", "-log sigmoid of beta times the difference of the log-probs, and --cpo-alpha times the chosen's cross-entropy; no reference",
     "Xu et al. 2024 (CPO), arXiv 2401.08417, eq. 3 and 6", OF_POLICY | LOSS_TAKES_SMOOTHING | LOSS_TAKES_NLL, loss_cpo_compute},
    {"simpo", "the same of log-probs per token, which should differ by --simpo-gamma; no reference",
     "Meng et al. 2024 (SimPO), arXiv 2405.14734, eq. 6",
     OF_POLICY | LOSS_OF_MEANS | LOSS_NEEDS_LENGTHS | LOSS_TAKES_SMOOTHING | LOSS_TAKES_NLL | LOSS_TAKES_GAMMA, loss_simpo_compute},
    {"orpo", "cross-entropy of prompt and chosen, less beta times log sigmoid of the log odds ratio; no reference",
     "Hong et al. 2024 (ORPO), arXiv 2403.07691, eq. 6 and 7; cross-entropy as TRL 1.16",
     OF_POLICY | LOSS_OF_MEANS | LOSS_NEEDS_LENGTHS | LOSS_NEEDS_PROMPT, loss_orpo_compute},
    {"odpo", "DPO whose margin must beat --odpo-alpha times the logarithm of the scores' gap (--odpo-offset)",
     "Amini et al. 2024 (ODPO), arXiv 2402.10571, section 4", GAPS | LOSS_TAKES_OFFSET, loss_odpo_compute},
    {"rpo_bwd_kl",
     "distance of beta times the margin over the reference from --rpo-eta times the scores' gap: "
     "KL of the scores' preference from the policy's",
     "Nvidia 2024 (Nemotron-4 340B), arXiv 2406.11704, section 3.3.2 (RPO)", GAPS | LOSS_TAKES_ETA, loss_rpo_bwd_kl_compute},
    {"rpo_fwd_kl", "the same the other way round", "NeMo-Aligner, preference_loss rpo_fwd_kl; arXiv 2502.00203", GAPS | LOSS_TAKES_ETA,
     loss_rpo_fwd_kl_compute},
    {"rpo_sq", "the same as a square", "NeMo-Aligner, preference_loss rpo_sq; arXiv 2502.00203", GAPS | LOSS_TAKES_ETA,
     loss_rpo_sq_compute},
    {"joint",
     "one loss for both halves of a pair: -log sigmoid of beta times the difference of the chosen response's margins under the two goals; "
     "blind "
     "to what does not depend on the goal",
     "ours; src/loss/loss_joint.c", LOSS_NEEDS_REFERENCE | LOSS_NEEDS_PAIRS | LOSS_NEEDS_BETA | LOSS_NEEDS_BATCH | LOSS_NEEDS_HALVES,
     loss_joint_compute},
    {"bradley_terry", "-log sigmoid of the difference of the rewards, less the row's margin",
     "Ouyang et al. 2022, arXiv 2203.02155, eq. 1; "
     "margin: Touvron et al. 2023, arXiv 2307.09288, eq. 2",
     LOSS_OF_REWARDS | LOSS_NEEDS_PAIRS | LOSS_TAKES_MARGINS, loss_bradley_terry_compute},
    {"mse", "squared distance of each reward from its response's score", "Wang et al. 2024 (ArmoRM), arXiv 2406.12845, eq. 1",
     LOSS_OF_REWARDS | LOSS_NEEDS_SCORES, loss_mse_compute},
};
const size_t loss_count = sizeof loss_table / sizeof loss_table[0];

const struct loss_row *loss_find(const char *name) {
    for (size_t i = 0; i < loss_count; i++)
        if (strcmp(loss_table[i].name, name) == 0) return &loss_table[i];
    return NULL;
}

const char *loss_objective(const struct loss_row *row) {
    return row->needs & LOSS_OF_REWARDS ? "reward" : row->needs & LOSS_OF_LABELS ? "kto" : "dpo";
}

static status check_finite(const double *sums, size_t n, const char *name, const char *what) {
    for (size_t i = 0; i < n; i++)
        if (!isfinite(sums[i]))
            return FAIL(ST_FORMAT, "loss %s: the %s log-prob of sequence %zu of the batch is %g", name, what, i, sums[i]);
    return ST_OK;
}

status loss_check_batch(const struct loss_batch *b, const char *name, unsigned needs) {
    size_t n;
    if (b->groups == 0 || (b->k == 0 && !b->first)) return FAIL(ST_MISMATCH, "loss %s: an empty batch", name);
    if (b->first)
        n = loss_first(b, b->groups);
    else if (!size_mul(&n, b->groups, b->k))
        return FAIL(ST_MISMATCH, "loss %s: %zu groups of %zu sequences overflow", name, b->groups, b->k);
    for (size_t i = 0; b->first && i < b->groups; i++)
        if (b->first[i + 1] <= b->first[i]) return FAIL(ST_MISMATCH, "loss %s: group %zu of the batch is empty", name, i);
    if ((needs & LOSS_NEEDS_PAIRS) && b->k != 2)
        return FAIL(ST_MISMATCH, "loss %s needs pairs (chosen, rejected), the batch has groups of %zu", name, b->k);
    if ((needs & LOSS_NEEDS_HALVES) && b->groups % 2)
        return FAIL(ST_MISMATCH, "loss %s needs both halves of every pair, the batch has %zu rows", name, b->groups);
    if ((needs & LOSS_NEEDS_REFERENCE) && !b->reference) return FAIL(ST_MISMATCH, "loss %s needs reference log-probs", name);
    if ((needs & LOSS_OF_LABELS) && b->k != 1)
        return FAIL(ST_MISMATCH, "loss %s needs single responses, the batch has groups of %zu", name, b->k);
    if ((needs & LOSS_OF_LABELS) && !b->rejected) return FAIL(ST_MISMATCH, "loss %s needs labels", name);
    if ((needs & LOSS_NEEDS_LENGTHS) && !b->lengths) return FAIL(ST_MISMATCH, "loss %s needs the responses' token counts", name);
    const int32_t *const lengths[] = {needs & LOSS_NEEDS_LENGTHS ? b->lengths : NULL, needs & LOSS_NEEDS_TEXT ? b->text_lengths : NULL};
    for (size_t i = 0; i < 2 * n; i++)
        if (lengths[i / n] && lengths[i / n][i % n] < 0)
            return FAIL(ST_FORMAT, "loss %s: sequence %zu of the batch has %d tokens", name, i % n, (int)lengths[i / n][i % n]);
    if ((needs & LOSS_NEEDS_SCORES) && !b->scores) return FAIL(ST_MISMATCH, "loss %s needs the responses' scores", name);
    for (size_t i = 0; needs & LOSS_NEEDS_SCORES && i < n; i++)
        if (!isfinite(b->scores[i])) return FAIL(ST_FORMAT, "loss %s: the score of sequence %zu of the batch is %g", name, i, b->scores[i]);
    if ((needs & LOSS_NEEDS_TEXT) && !(b->text && b->text_lengths))
        return FAIL(ST_MISMATCH, "loss %s needs the log-probs of the responses' text", name);
    if (needs & LOSS_NEEDS_TEXT) TRY(check_finite(b->text, n, name, "policy"));
    TRY(check_finite(b->policy, n, name, "policy"));
    return needs & LOSS_NEEDS_REFERENCE ? check_finite(b->reference, n, name, "reference") : ST_OK;
}

/* An option of loss_params that was set and that nothing looks at. */
static status refuse(const char *option, unsigned taken_by, const char *name) {
    char names[512] = "";
    for (size_t i = 0, used = 0; i < loss_count && used < sizeof names; i++)
        if (loss_table[i].needs & taken_by)
            used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", used ? ", " : "", loss_table[i].name);
    return FAIL(ST_USAGE, "--%s has no effect with --loss-type %s (it belongs to %s): leave it out", option, name, names);
}

static status check_smoothing(const struct loss_row *row, double e) {
    if (!(row->needs & LOSS_TAKES_SMOOTHING) && e != 0) return refuse("label-smoothing", LOSS_TAKES_SMOOTHING, row->name);
    if (!(e >= 0 && e < 0.5)) return FAIL(ST_USAGE, "--label-smoothing must be at least 0 and below 0.5, it is %g", e);
    if ((row->needs & LOSS_NEEDS_SMOOTHING) && e == 0)
        return FAIL(ST_USAGE, "--loss-type %s needs --label-smoothing above 0: the share of labels taken to be wrong, e.g. 0.001",
                    row->name);
    return ST_OK;
}

static status check_weights(const struct loss_row *row, double desirable, double undesirable) {
    if (!(row->needs & LOSS_OF_LABELS) && desirable != 0) return refuse("desirable-weight", LOSS_OF_LABELS, row->name);
    if (!(row->needs & LOSS_OF_LABELS) && undesirable != 0) return refuse("undesirable-weight", LOSS_OF_LABELS, row->name);
    if (!(row->needs & LOSS_OF_LABELS)) return ST_OK;
    if (!(desirable >= 0) || !(undesirable >= 0) || !isfinite(desirable) || !isfinite(undesirable) || !(desirable + undesirable > 0))
        return FAIL(ST_USAGE, "--desirable-weight and --undesirable-weight must be numbers of at least 0, not both 0; they are %g and %g",
                    desirable, undesirable);
    return ST_OK;
}

status loss_check_params(const struct loss_row *row, const struct loss_params *p) {
    if ((row->needs & LOSS_NEEDS_BETA) && (!(p->beta > 0) || !isfinite(p->beta)))
        return FAIL(ST_USAGE, "--beta must be a number above 0 for --loss-type %s, it is %g", row->name, p->beta);
    TRY(check_smoothing(row, p->label_smoothing));
    if (!(row->needs & LOSS_OF_GROUPS) && p->temperature_alpha != 0) return refuse("temperature-alpha", LOSS_OF_GROUPS, row->name);
    if ((row->needs & LOSS_OF_GROUPS) && (!(p->temperature_alpha > 0) || !isfinite(p->temperature_alpha)))
        return FAIL(ST_USAGE, "--temperature-alpha must be a number above 0, it is %g", p->temperature_alpha);
    TRY(check_weights(row, p->desirable_weight, p->undesirable_weight));
    if (!(row->needs & LOSS_TAKES_TAU) && p->discopop_tau != 0) return refuse("discopop-tau", LOSS_TAKES_TAU, row->name);
    if (!(row->needs & LOSS_TAKES_MARGINS) && p->center_rewards != 0)
        return refuse("center-rewards-coefficient", LOSS_TAKES_MARGINS, row->name);
    if (!(row->needs & LOSS_TAKES_DIVERGENCE) && p->divergence != LOSS_REVERSE_KL)
        return refuse("f-divergence-type", LOSS_TAKES_DIVERGENCE, row->name);
    if (!(row->needs & LOSS_TAKES_WEIGHTS) && p->weighting) return refuse("use-weighting", LOSS_TAKES_WEIGHTS, row->name);
    if (!(row->needs & LOSS_TAKES_TAIL) && p->ld) return refuse("ld-alpha", LOSS_TAKES_TAIL, row->name);
    if (p->ld && !(p->ld_alpha >= 0 && p->ld_alpha <= 1)) return FAIL(ST_USAGE, "--ld-alpha must be from 0 to 1, it is %g", p->ld_alpha);
    if (!(row->needs & LOSS_TAKES_GAMMA) && p->simpo_gamma != 0) return refuse("simpo-gamma", LOSS_TAKES_GAMMA, row->name);
    if (!(row->needs & LOSS_TAKES_NLL) && p->cpo_alpha != 0) return refuse("cpo-alpha", LOSS_TAKES_NLL, row->name);
    if (!(row->needs & LOSS_TAKES_OFFSET) && (p->odpo_alpha != 0 || p->odpo_linear))
        return refuse("odpo-alpha", LOSS_TAKES_OFFSET, row->name);
    if (!(row->needs & LOSS_TAKES_ETA) && p->rpo_eta != 0) return refuse("rpo-eta", LOSS_TAKES_ETA, row->name);
    if (!(p->odpo_alpha >= 0) || !isfinite(p->odpo_alpha))
        return FAIL(ST_USAGE, "--odpo-alpha must be a number of at least 0, it is %g", p->odpo_alpha);
    if (!(p->rpo_eta >= 0) || !isfinite(p->rpo_eta))
        return FAIL(ST_USAGE, "--rpo-eta must be a number of at least 0, it is %g", p->rpo_eta);
    if (!isfinite(p->simpo_gamma)) return FAIL(ST_USAGE, "--simpo-gamma must be a number, it is %g", p->simpo_gamma);
    if (!(p->cpo_alpha >= 0) || !isfinite(p->cpo_alpha))
        return FAIL(ST_USAGE, "--cpo-alpha must be a number of at least 0, it is %g", p->cpo_alpha);
    if (!isfinite(p->alpha_divergence)) return FAIL(ST_USAGE, "--f-alpha-divergence-coef must be a number, it is %g", p->alpha_divergence);
    if (!(p->center_rewards >= 0) || !isfinite(p->center_rewards))
        return FAIL(ST_USAGE, "--center-rewards-coefficient must be a number of at least 0, it is %g", p->center_rewards);
    if (!(p->discopop_tau >= 0) || !isfinite(p->discopop_tau))
        return FAIL(ST_USAGE, "--discopop-tau must be a number above 0, it is %g", p->discopop_tau);
    return ST_OK;
}

/* A log-ratio's score and its slope, as TRL's dpo_trainer.py has them. */
static double score_of(double *slope, double x, const struct loss_params *p) {
    const double a = p->alpha_divergence - 1;
    *slope = 1;
    if (p->divergence == LOSS_REVERSE_KL || (p->divergence == LOSS_ALPHA_DIVERGENCE && fabs(a) < 1e-6)) return x;
    if (p->divergence == LOSS_FORWARD_KL) {
        *slope = exp(-x);
        return -expm1(-x);
    }
    if (p->divergence == LOSS_JS_DIVERGENCE) {
        *slope = loss_sigmoid(-x);
        return log(2) - loss_softplus(-x);
    }
    const double most = 80, t = a * x;
    *slope = t <= most ? exp(t) : 0;
    return expm1(t <= most ? t : most) / a;
}

static double tokens_of(const struct loss_batch *b, size_t i, bool per_token) { return per_token && b->lengths[i] > 1 ? b->lengths[i] : 1; }

status loss_of_pairs(struct loss_result *r, const struct loss_batch *b, const struct loss_params *p, const char *name, bool per_token,
                     loss_point_fn *point) {
    TRY(loss_check_batch(b, name, LOSS_NEEDS_REFERENCE | LOSS_NEEDS_PAIRS | (per_token ? LOSS_NEEDS_LENGTHS : 0)));
    const double groups = (double)b->groups;
    double total = 0;
    for (size_t i = 0; i < 2 * b->groups; i += 2) {
        const double nw = tokens_of(b, i, per_token), nl = tokens_of(b, i + 1, per_token);
        double dw = 0, dl = 0, slope_w, slope_l;
        const double sw = score_of(&slope_w, b->policy[i] - b->reference[i], p),
                     sl = score_of(&slope_l, b->policy[i + 1] - b->reference[i + 1], p);
        const double weight = loss_weight(b, i / 2);
        total += weight * point(&dw, &dl, sw / nw, sl / nl, p);
        r->dpolicy[i] = weight * dw * slope_w / nw / groups;
        r->dpolicy[i + 1] = weight * dl * slope_l / nl / groups;
    }
    r->value = total / groups;
    return ST_OK;
}

double loss_softplus(double x) { return (x > 0 ? x : 0) + log1p(exp(-fabs(x))); }

double loss_sigmoid(double x) {
    double e = exp(-fabs(x));
    return (x >= 0 ? 1 : e) / (1 + e);
}
