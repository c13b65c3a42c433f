/* trainer_state: what the loop, its evaluation and its checkpoints share; private to src/train. */
#ifndef RAPT_TRAIN_TRAINER_STATE_H
#define RAPT_TRAIN_TRAINER_STATE_H

#include <stdio.h>

#include "base/hash.h"
#include "train/batch.h"
#include "train/ranks.h"
#include "train/trainer.h"

struct trainer {
    char model_hash[HASH_HEX_SIZE], data_hash[HASH_HEX_SIZE]; /* of the base model's files, and of the training data */
    const struct train_options *o;
    struct comm comm;
    struct overlap overlap;
    struct encoder encoder;
    struct loaded train, eval;
    struct model model;
    struct run run;
    struct seqtree tree;
    struct optim optim;
    struct schedule schedule;
    bool needs_reference, share;
    float *start;                /* PiSSA: the adapter as it began, which is part of the base model; else NULL */
    float *initial;              /* the reference's trained parameters: the adapter as it was given under --adapter; NULL = adapter off, or
                                  * under --full sums known beforehand */
    uint64_t reference_until;    /* full training with a reference that moves: its sums are known for the steps before this one */
    float *train_ref, *eval_ref; /* [responses] cached reference sums, NaN = not computed yet */
    float *train_mismatched, *eval_mismatched; /* the same of KTO's mismatched pairs: [epochs or 1, rows], [rows] */
    uint64_t mismatched_epochs;
    int32_t *mismatched_ids;    /* [tokens of a pack] their sequences */
    double kl;                  /* loss_batch.kl of the micro-batch */
    uint32_t *order;            /* [train rows] of the current epoch */
    enum order_kind order_kind; /* what is really done */
    int64_t order_epoch;        /* whose order that is; -1 none */
    uint64_t step, total_steps, steps_per_epoch;
    size_t micros_per_step, rows_per_step; /* of all ranks */
    bool last_micro;                       /* of this rank in this step: gradients are complete as its backward pass leaves them */
    bool stop;                             /* a signal asked this rank or another to stop behind this step */
    uint32_t *step_responses;              /* [responses of a step] whose reference sums ranks tell each other */
    double *step_numbers;                  /* [RANKS_NUMBERS + responses of a step] */
    double longest_step_s;
    int64_t tokens_seen;         /* TRL's num_tokens: every sequence with its prompt */
    struct metrics metrics;      /* since the last log, of all ranks */
    struct metrics step_metrics; /* of the last step: while it runs of this rank's part */
    double norm_last;
    struct best best; /* of the evaluations so far */
    FILE *log;
    char *log_path;
    double started_s;
    uint64_t step_logged; /* of the last line of metrics, and the page faults until then */
    int64_t faults_logged;
    int64_t tokens_at_start;
    /* Of a micro-batch: by sequence, those of its first row first; first[i] is where row i's begin, [BATCH_ROWS_MAX + 1]. */
    uint32_t *first;
    double *policy, *reference, *dpolicy, *scores, *text, *dtext;
    double *loss_scratch;                      /* two of them */
    double *margins, *weights;                 /* by row */
    uint8_t *rejected;                         /* by sequence: on which side metrics count it */
    bool with_scores, takes_margins;           /* the loss looks at them, at margins where the rows have any */
    int32_t *lengths, *text_lengths, *prompts; /* tokens, by sequence */
    float *dlogp;
};

/* Is something done behind this step that is done every so many? 0: never. */
static inline bool step_due(uint64_t step, uint64_t every) { return every && step % every == 0; }

/* What run_forward takes for the reference; under full training its weights stand in the model itself then. */
static inline const float *reference_theta(const struct trainer *t) { return t->o->full ? NULL : t->initial; }

/* reference.c: fills reference sums of the rows of the packed tree (already built) and rounds both to fp32, so that equal models give
 * equal sums; cached in `cache`. theta of the reference is NULL (adapter off) or the initial adapter. */
status reference_fill(struct trainer *t, double *out, float *cache, const struct loaded *data, const uint32_t *rows, size_t count);
/* The same of a batch, pack by pack; the sums are left in the cache. */
status reference_fill_batch(struct trainer *t, float *cache, const struct loaded *data, const uint32_t *rows, size_t count);
/* Full training: the sums of all rows that the run will see, before its first step; and those of the evaluation data. */
status reference_precompute(struct trainer *t);
status reference_precompute_evaluation(struct trainer *t);
status reference_from_file(struct trainer *t, float *cache, const struct loaded *data, const char *path);

/* mismatch.c: loss_batch.kl of a micro-batch; overwrites t->policy, t->reference and the tree. */
status mismatched_kl(double *kl, struct trainer *t, const struct loaded *data, const uint32_t *rows, size_t count);
/* Full training: the reference's part of it, for every micro-batch of t->mismatched_epochs, before the first step. */
status mismatched_precompute(struct trainer *t);
/* The reference's part for one micro-batch, kept where it is not known. */
status mismatched_reference(struct trainer *t, const struct loaded *data, const uint32_t *rows, size_t count);

/* reference_sync.c: moves the reference where one is due behind step t->step; and computes its sums for the steps or the evaluation ahead,
 * under full training. */
status reference_sync(struct trainer *t);
/* Makes sums of the reference unknown, so that they are computed where they are wanted. cache: NULL: none. */
void reference_forget(float *cache, size_t n);
status reference_ready(struct trainer *t);
status reference_ready_for_evaluation(struct trainer *t);
/* pack.c: does this run's loss look at the tokens of prompts? */
bool pack_scores_prompts(const struct trainer *t);
/* batch_pack for this run's loss: t->tree with the weights of its entries. */
status pack_rows(struct trainer *t, size_t *taken, const struct loaded *data, const uint32_t *rows, size_t count);
/* After run_forward over rows [from, from + taken) of the micro-batch: the text sums and the pairs' weights that the loss needs. */
void pack_statistics(struct trainer *t, size_t from, size_t taken);

/* accumulate.c */
/* Row numbers of optimizer step `step`, of all ranks. */
status step_rows(struct trainer *t, const uint32_t **rows, size_t *count, uint64_t step);
/* This rank's rows among the count of a step. */
struct span step_share(const struct trainer *t, size_t count);
/* One optimizer step up to its gradients, which are then those of all ranks, as are t->step_metrics and t->tokens_seen. */
status step_gradients(struct trainer *t);

/* step.c: one micro-batch of rows: forward, loss, and (train) backward with gradients scaled by `weight`. */
status step_micro(struct trainer *t, const struct loaded *data, float *cache, const uint32_t *rows, size_t count, bool train, double weight,
                  struct metrics *m);
status step_evaluate(struct trainer *t, struct metrics *m);
/* This rank's rows of the evaluation data. */
struct span evaluation_share(const struct trainer *t);

/* checkpoint.c; rank 0 writes, all ranks call. */
/* What the bits of a run depend on, as JSON. */
void checkpoint_identity(struct buf *out, const struct trainer *t);
/* ST_MISMATCH on all ranks where their parameters are not the same. */
status checkpoint_same_parameters(struct trainer *t);
status checkpoint_save(struct trainer *t);
/* A fresh run in a folder with checkpoints: refused, or under overwrite they are removed, so that no later --resume takes them for its own.
 */
status checkpoint_clear(const struct trainer *t);
/* The checkpoint of what was the best evaluation goes away where --save-steps would not have left it. */
void checkpoint_drop_best(const struct trainer *t, uint64_t step);
/* At the end: the parameters of the best evaluation. A run that leaves no checkpoints does not leave that one. */
status checkpoint_take_best(struct trainer *t);
/* Finds the newest whole checkpoint of output_dir and loads it; *found = false when there is none. */
status checkpoint_resume(struct trainer *t, bool *found);
status checkpoint_save_final(struct trainer *t, const char *folder);
status manifest_write(struct trainer *t, bool finished);
bool manifest_says_finished(const char *folder);

#endif
