/* metrics: what is averaged between two log lines, under TRL's names (trl/trainer/dpo_trainer.py, _compute_loss and log). */
#ifndef RAPT_TRAIN_METRICS_H
#define RAPT_TRAIN_METRICS_H

#include "base/buf.h"
#include "loss/loss.h"
#include "model/run.h"

/* Sums over the scored tokens of one micro-batch. */
struct token_stats {
    double entropy;                        /* over both sides */
    double logits_chosen, logits_rejected; /* mean logit of the vocabulary, summed over tokens */
    double top1_chosen;
    int64_t tokens_chosen, tokens_rejected;
    int64_t positions, alone; /* of the training passes: computed, and what they would be with nothing shared */
};
/* rejected[tree->sequence_count]: on which side a sequence counts; prompts: its tokens that do not. */
void token_stats_add(struct token_stats *s, const struct run *r, const struct seqtree *tree, const uint8_t *rejected,
                     const int32_t *prompts);

/* Averages over micro-batches, but for the loss in training: its average is over steps, as transformers logs it, where a last step of fewer
 * micro-batches counts as much as the others. Plain data, saved in checkpoints. */
struct metrics {
    double losses; /* summed in `loss` */
    double loss, entropy, accuracy, logits_chosen, logits_rejected, reward_chosen, reward_rejected, reward_accuracy, reward_margin,
        logps_chosen, logps_rejected, reward_min, reward_mean, reward_max, nll, log_odds_ratio, log_odds_chosen, kl;
    double with_chosen, with_rejected, with_both; /* micro-batches that had such rows, under kto */
    double positions, alone;                      /* sums of token_stats' */
    int64_t count;                                /* micro-batches summed */
};
/* policy, reference: sums in nats of all rows' sequences, first[rows + 1] says where each row's begin; reference may be NULL. A row's first
 * response is its chosen one, of the others the mean is taken. */
void metrics_add(struct metrics *m, const struct loss_result *loss, const struct token_stats *s, const double *policy,
                 const double *reference, const uint32_t *first, size_t rows, double beta);
/* The same of rows with labels, one response each (TRL's kto_trainer.py, _compute_loss): a side that a micro-batch lacks is left out. */
void metrics_add_labels(struct metrics *m, double loss, const struct token_stats *s, const double *policy, const double *reference,
                        const uint8_t *rejected, size_t rows, double beta, double kl);
/* The same of a reward model: rewards [rows * 2] (TRL's reward_trainer.py, compute_loss). */
void metrics_add_rewards(struct metrics *m, double loss, const double *rewards, size_t rows);
/* Makes one of the losses that were summed: a step's. */
void metrics_end_step(struct metrics *m);
/* Adds up two of them. */
void metrics_sum(struct metrics *m, const struct metrics *more);
/* Which of them a run has. */
enum metrics_kind {
    METRICS_SFT = 1,
    METRICS_PAIRS_ALONE = 2,
    METRICS_PAIRS = 4,
    METRICS_REWARDS = 8,
    METRICS_LABELS = 16,
    METRICS_LABELS_KL = 32,
    METRICS_NLL = 64,
    METRICS_ODDS = 128
};
/* Appends "key": value pairs, each behind ", "; kinds: of enum metrics_kind; prefix is "" or "eval_". */
void metrics_put(struct buf *out, const struct metrics *m, const char *prefix, unsigned kinds);
/* One of them by its name, with or without "eval_"; NAN where no row was on its side. ST_USAGE names those that there are. */
status metrics_value(double *out, const struct metrics *m, const char *name, unsigned kinds);

#endif
