/* trainer: the loop. Rows -> micro-batches -> log-probs -> loss -> gradients -> optimizer, with evaluation, metrics and checkpoints.
 *
 * An optimizer step is per_device_batch x accumulation x ranks (train/ranks.h) rows, normalised as TRL does it: the mean over rows of each
 * micro-batch, then the mean over micro-batches; the last ones may be short. Under sft: the mean over the step's response tokens. */
#ifndef RAPT_TRAIN_TRAINER_H
#define RAPT_TRAIN_TRAINER_H

#include "loss/loss.h"
#include "model/peft_io.h"
#include "train/best.h"
#include "train/metrics.h"
#include "train/optim.h"
#include "train/order.h"
#include "train/schedule.h"

enum train_objective { OBJECTIVE_DPO, OBJECTIVE_SFT, OBJECTIVE_REWARD, OBJECTIVE_KTO };
/* Where bradley_terry's margins come from: the rows' `margin` where the data has it (TRL), the difference of their scores, or nowhere. */
enum margin_source { MARGIN_COLUMN, MARGIN_SCORES, MARGIN_NONE };

struct train_options {
    /* what */
    const char *model, *adapter, *train_data, *eval_data, *output_dir, *ref_logps;
    const char *kwargs; /* chat_template_kwargs as asked for; NULL: as kept with the adapter, the model or the data */
    enum train_objective objective;
    enum margin_source margins;
    double kto_threshold; /* a score of at least this makes a response desirable; NaN: the rows say it */
    bool full;
    bool score_prompts;      /* sft: the loss is over prompts too (TRL's completion_only_loss=False), or over what the rows' marks say */
    bool completion_only;    /* sft: nothing of a prompt that a row has apart is in the loss */
    bool assistant_only;     /* sft: the loss is over what the template's generation blocks hold (TRL's assistant_only_loss) */
    uint64_t ref_sync_steps; /* the reference follows the policy every so many steps; 0 = never */
    double ref_mixup_alpha;  /* by this much */
    const struct loss_mix *loss; /* under sft: sft */
    struct loss_params loss_params;
    struct lora_options lora;
    /* how long, how fast */
    double epochs, max_grad_norm;
    uint64_t max_steps;
    struct schedule_options schedule;
    const char *watched; /* the metric of evaluation that a schedule follows, and of which there is a best */
    struct best_options best;
    const struct optim_row *optimizer;
    struct optim_params optim;
    double loraplus_ratio; /* the rate of B over that of A */
    size_t memory;         /* bytes the run may take; 0 = model_memory_auto() */
    int threads;           /* --threads: how many the caller has set; 0: all cores, which ranks on one machine divide */
    size_t batch, accumulation, eval_batch, max_length;
    size_t token_budget; /* positions of a micro-batch; 0: from the data and the memory */
    enum order_kind order;
    bool order_given; /* asked for by name: ORDER_PAIRED is then an error where the data has no pairs, else shuffled takes over */
    uint64_t seed;
    /* when to speak and save; 0 = never */
    uint64_t logging_steps, save_steps, eval_steps, save_limit;
    enum fit_compat compat;
    size_t max_prompt, max_completion; /* of compat other than FIT_TRL_1 */
    const struct source_map *map;      /* of the columns of train_data and eval_data; NULL: none */
    bool resume, overwrite, skip_bad, recompute, allow_drift;
    enum matmul_kind kind;
    const char *options_json; /* resolved options, for the manifest */
    const char *command;      /* the command line as a shell reads it, likewise; NULL: not known */
};

/* Runs to the end, or to the next step after trainer_interrupt. Under mpirun as one of several ranks, of which the first writes and tells
 * what all of them do (log_set_level); where all fail together one of them returns why, the others ST_OK. */
status trainer_run(const struct train_options *o);
/* Asks the loop to finish its step, save and stop; may be called from a signal handler. */
void trainer_interrupt(void);

#endif
