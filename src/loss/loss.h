/* loss: the table of preference losses. A loss takes a batch of groups of k >= 1 sequences, as sums of log-probs, and returns the value
 * and its derivative by every policy sum. It knows neither tensors nor models.
 *
 * Adding a loss: one file loss_NAME.c with a compute and a check, one row in loss_table, one set of cases in
 * tests/oracle/make_loss_cases.py. tests/grad/test_loss.c loops over the table. */
#ifndef RAPT_LOSS_LOSS_H
#define RAPT_LOSS_LOSS_H

#include "base/buf.h"

enum loss_needs {
    LOSS_NEEDS_REFERENCE = 1 << 0, /* loss_batch.reference must be there */
    LOSS_NEEDS_BATCH = 1 << 1,   /* a statistic over the whole batch (such as its token count): the caller passes TRL's micro-batch whole */
    LOSS_NEEDS_LENGTHS = 1 << 2, /* loss_batch.lengths must be there */
    LOSS_NEEDS_PAIRS = 1 << 3,   /* k must be 2: chosen, rejected */
    LOSS_NEEDS_BETA = 1 << 4,    /* loss_params.beta has an effect and must be > 0 */
    LOSS_TAKES_SMOOTHING = 1 << 5,   /* loss_params.label_smoothing has an effect: 0 <= e < 0.5 */
    LOSS_NEEDS_SMOOTHING = 1 << 6,   /* and must be > 0 */
    LOSS_TAKES_TAU = 1 << 7,         /* loss_params.discopop_tau has an effect */
    LOSS_OF_REWARDS = 1 << 8,        /* loss_batch.policy holds rewards: a loss of --objective reward and of no other */
    LOSS_NEEDS_SCORES = 1 << 9,      /* loss_batch.scores must be there */
    LOSS_TAKES_MARGINS = 1 << 10,    /* loss_batch.margins and loss_params.center_rewards have an effect */
    LOSS_TAKES_DIVERGENCE = 1 << 11, /* loss_params.divergence has an effect */
    LOSS_TAKES_OFFSET = 1 << 12,     /* loss_params.odpo_alpha and odpo_linear have an effect */
    LOSS_TAKES_ETA = 1 << 13,        /* loss_params.rpo_eta has an effect */
    LOSS_OF_LABELS = 1 << 16,        /* k must be 1 and loss_batch.rejected be there: a loss of --objective kto and of no other */
    LOSS_NEEDS_HALVES = 1 << 14,  /* groups 2 i and 2 i + 1 are the two halves of a relabelled pair, in one batch: what is chosen in the one
                                     is rejected in the other */
    LOSS_OF_GROUPS = 1 << 15,     /* groups of any size, which may differ, with scores; loss_params.temperature_alpha must be > 0 */
    LOSS_NEEDS_KL = 1 << 17,      /* loss_batch.kl must be there: the caller scores mismatched pairs too */
    LOSS_TAKES_WEIGHTS = 1 << 18, /* loss_batch.weights (WPO) has an effect */
    LOSS_TAKES_TAIL = 1 << 19,    /* loss_params.ld_alpha (LD-DPO) has an effect: the caller weights the sums */
    LOSS_NEEDS_TEXT = 1 << 20,    /* loss_batch.text and text_lengths must be there; the result has a dtext */
    LOSS_NEEDS_PROMPT = 1 << 21,  /* and the chosen's text begins with the prompt */
    LOSS_TAKES_GAMMA = 1 << 22,   /* loss_params.simpo_gamma has an effect */
    LOSS_TAKES_NLL = 1 << 23,     /* loss_params.cpo_alpha has an effect */
    LOSS_OF_POLICY = 1 << 24, /* of the policy alone, with a cross-entropy of its own (TRL's CPO and ORPO trainers): stands alone, and its
                                 rewards are beta times the policy's log-probs */
    LOSS_OF_MEANS = 1 << 25,  /* looks at log-probs per token, and so do its rewards and what is logged */
};

#define LOSS_DISCOPOP_TAU 0.05

/* TRL's --f-divergence-type's names in this order are LOSS_DIVERGENCE_CHOICES. A response's log-ratio x is replaced by its score
 * s = f'(e^x) (Wang et al. 2023, arXiv 2309.16240, table 1; the constants cancel in a difference):
 *   reverse_kl x; forward_kl 1 - e^-x; js_divergence log 2 + log sigma(x); alpha_divergence (e^min((a - 1) x, 80) - 1) / (a - 1). */
enum loss_divergence { LOSS_REVERSE_KL, LOSS_FORWARD_KL, LOSS_JS_DIVERGENCE, LOSS_ALPHA_DIVERGENCE };
#define LOSS_DIVERGENCE_CHOICES "reverse_kl|forward_kl|js_divergence|alpha_divergence"

struct loss_params {
    double beta;            /* TRL's --beta */
    double label_smoothing; /* TRL's --label-smoothing: 0 <= e < 0.5 */
    double discopop_tau;    /* TRL's --discopop-tau; 0 = its default, LOSS_DISCOPOP_TAU */
    double center_rewards;  /* TRL's --center-rewards-coefficient; 0 = none */
    enum loss_divergence divergence;
    double alpha_divergence;                     /* TRL's --f-alpha-divergence-coef: a of alpha_divergence */
    double temperature_alpha;                    /* of losses of groups: what scores are divided by before their softmax; else 0 */
    double desirable_weight, undesirable_weight; /* TRL's; of losses of labels, else 0 */
    bool weighting;                              /* TRL's --use-weighting: loss_batch.weights will be there */
    bool ld;                                     /* TRL's --ld-alpha was given: */
    double ld_alpha;    /* tokens behind the length of the pair's shorter response weigh this much in its sums, 0 to 1 */
    double simpo_gamma; /* TRL's --simpo-gamma */
    double cpo_alpha;   /* TRL's --cpo-alpha */
    double odpo_alpha;  /* of odpo's offset, */
    bool odpo_linear;   /* which is alpha times the gap of the scores, else its logarithm */
    double rpo_eta;     /* NeMo-Aligner's gt_reward_scale: what rpo's gaps are multiplied by */
};

struct loss_batch {
    size_t groups;
    size_t k;                /* sequences a group: 2 = chosen, rejected; 1 = one response; 0 = as `first` says. Below "groups * k" is all */
    const uint32_t *first;   /* [groups + 1] where each group begins, counted from first[0]; NULL where k says it */
    const double *policy;    /* [groups * k] log-prob sums under the policy, nats */
    const double *reference; /* [groups * k] the same under the reference, or NULL */
    const int32_t *lengths;  /* [groups * k] scored tokens (the sum of TRL's unshifted completion mask), or NULL */
    const double *scores;    /* [groups * k] or NULL */
    const double *margins;   /* [groups] or NULL */
    const uint8_t *rejected; /* [groups * k] 1 = rejected or undesirable, or NULL */
    double kl;               /* the mean of policy - reference over TRL's micro-batch, each prompt with another's response, at least 0 */
    const double *weights;   /* [groups] what each group's loss is multiplied by, without a gradient, or NULL */
    /* What cross-entropy is taken over, where a row needs it: log-prob sums of the response's tokens, each counted as 1 whatever it weighs
     * in `policy`, with LOSS_NEEDS_PROMPT the chosen's with all tokens of its prompt but the first. */
    const double *text;          /* [groups * k] nats */
    const int32_t *text_lengths; /* [groups * k] tokens in it */
};

/* The index of the first sequence of a group; of group `groups` how many sequences there are. */
static inline size_t loss_first(const struct loss_batch *b, size_t group) {
    return b->first ? b->first[group] - b->first[0] : group * b->k;
}

struct loss_result {
    double value;    /* the mean over groups, as TRL */
    double *dpolicy; /* [groups * k] d value / d policy sum; caller's memory, every entry is written */
    double *dtext;   /* [groups * k] d value / d text sum; every entry is written by rows that need text, none by others */
    double nll, log_odds_ratio, log_odds_chosen; /* to be logged (TRL's names), by LOSS_OF_POLICY */
};

struct loss_row {
    const char *name, *help, *citation;
    unsigned needs; /* enum loss_needs */
    /* ST_MISMATCH for a batch that lacks what the row needs or has none of the tokens it averages over, ST_FORMAT for a log-prob that is
     * not finite (a broken model, or a run that diverged). */
    status (*compute)(struct loss_result *r, const struct loss_batch *b, const struct loss_params *p);
};

extern const struct loss_row loss_table[];
extern const size_t loss_count;
/* NULL when there is no such row. */
const struct loss_row *loss_find(const char *name);

/* The --objective of rapt train that it belongs to: "dpo", "kto" or "reward". */
const char *loss_objective(const struct loss_row *row);

/* ST_USAGE for a parameter out of range, and for one that this loss would ignore. */
status loss_check_params(const struct loss_row *row, const struct loss_params *p);

/* A weighted sum of losses (TRL's loss_type and loss_weights as lists); one alone is a sum of one. */
#define LOSS_MIX_MAX 8
struct loss_mix {
    char name[128]; /* "sigmoid,sft" */
    unsigned needs; /* of any of them */
    size_t count;
    const struct loss_row *rows[LOSS_MIX_MAX];
    double weights[LOSS_MIX_MAX];
};
/* Adds a loss; ST_USAGE where the two cannot stand beside each other, or the weight is no number above 0. */
status loss_mix_add(struct loss_mix *m, const struct loss_row *row, double weight);
struct loss_mix loss_mix_of(const struct loss_row *row);
/* loss_check_params: a parameter must have an effect on one of them. Takes away from `needs` what is not needed under these. */
status loss_mix_check(struct loss_mix *m, const struct loss_params *p);
/* Appends members of a JSON object, "loss": ..., that name everything the value depends on beside the batch: what a checkpoint is held to.
 */
void loss_mix_describe(struct buf *out, const struct loss_mix *m, const struct loss_params *p);
/* scratch: [2 * groups * k]. r->dtext is written where the mix needs text, else it may be NULL. */
status loss_mix_compute(struct loss_result *r, const struct loss_mix *m, const struct loss_batch *b, const struct loss_params *p,
                        double *scratch);

/* For the rows' own files. */
/* Is everything there that `needs` (enum loss_needs) names, and finite? */
status loss_check_batch(const struct loss_batch *b, const char *name, unsigned needs);
/* log(1 + e^x) and 1 / (1 + e^-x) without overflow or cancellation. */
double loss_softplus(double x);
double loss_sigmoid(double x);
/* -log-prob of all chosen text over its tokens, and scale times its derivative in r->dtext. */
status loss_nll(double *value, struct loss_result *r, const struct loss_batch *b, const char *name, double scale);
/* Of group i. */
static inline double loss_weight(const struct loss_batch *b, size_t i) { return b->weights ? b->weights[i] : 1; }
/* A loss that is a mean over pairs of a function of s_w and s_l, s the score of policy - reference (loss_divergence), per_token divided by
 * the response's tokens (at least 1): writes r from `point`, which returns the loss of a pair and writes its derivatives. */
typedef double loss_point_fn(double *dw, double *dl, double sw, double sl, const struct loss_params *p);
status loss_of_pairs(struct loss_result *r, const struct loss_batch *b, const struct loss_params *p, const char *name, bool per_token,
                     loss_point_fn *point);

/* One line a row: what each computes stands in its file. */
typedef status loss_compute_fn(struct loss_result *r, const struct loss_batch *b, const struct loss_params *p);
loss_compute_fn loss_sigmoid_compute, loss_hinge_compute, loss_ipo_compute, loss_sft_compute, loss_sigmoid_norm_compute;
loss_compute_fn loss_exo_pair_compute, loss_nca_pair_compute, loss_robust_compute, loss_bco_pair_compute, loss_sppo_hard_compute;
loss_compute_fn loss_aot_compute, loss_aot_unpaired_compute, loss_apo_zero_compute, loss_apo_down_compute, loss_discopop_compute;

loss_compute_fn loss_joint_compute;
loss_compute_fn loss_cpo_compute, loss_simpo_compute, loss_orpo_compute;
loss_compute_fn loss_infonca_compute, loss_nca_compute;
loss_compute_fn loss_kto_compute, loss_apo_zero_unpaired_compute;
loss_compute_fn loss_odpo_compute, loss_rpo_bwd_kl_compute, loss_rpo_fwd_kl_compute, loss_rpo_sq_compute;
loss_compute_fn loss_bradley_terry_compute, loss_mse_compute;

#endif
