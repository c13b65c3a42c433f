/* rapt train: options -> struct train_options. */
#define _POSIX_C_SOURCE 200809L
#include <signal.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/utf8.h"
#include "cli/cli_lora.h"
#include "cli/cli_loss.h"
#include "cli/cli_model.h"
#include "cli/cli_compat.h"
#include "cli/cli_fields.h"
#include "cli/cli_kwargs.h"
#include "cli/cli_optim.h"
#include "cli/cmd.h"
#include "train/goal.h"
#include "train/trainer.h"

struct options {
    const char *memory, *model, *adapter, *train_data, *eval_data, *output_dir, *ref_logps, *objective, *order, *dtype, *bad_row, *margin,
        *completion_only, *kwargs, *greater;
    struct cli_loss loss;
    struct cli_optim optim;
    struct cli_lora lora;
    double epochs, max_grad_norm, mixup_alpha, patience_threshold;
    int64_t patience, max_steps, batch, eval_batch, accumulation, max_length, budget, logging_steps, save_steps, eval_steps, save_limit,
        sync_steps, seed, threads;
    struct opt_list fields;
    struct cli_compat compat;
    bool sync_ref, full, resume, overwrite, no_shuffle, recompute, allow_drift, assistant_only, keep_best;
};

#define FIELD(name) offsetof(struct options, name)
#define COMPAT(name) offsetof(struct options, compat.name)
static const struct opt_row rows[] = {
    {"what", OPT_HEADING, 0, NULL, NULL, NULL, NULL},
    {"model", OPT_STR, FIELD(model), "M", NULL, NULL, "the base model: a Hugging Face folder or a .gguf file"},
    {"adapter", OPT_STR, FIELD(adapter), "D", NULL, NULL, "go on from this PEFT adapter; it is also the reference (TRL's rule)"},
    {"train-data", OPT_STR, FIELD(train_data), "F", NULL, NULL,
     "Preference pairs (JSONL, JSON, gzip, zstd or Parquet; rapt augment writes them), for infonca and nca K scored responses, under kto "
     "also completions with labels, under sft completions"},
    {"eval-data", OPT_STR, FIELD(eval_data), "F", NULL, NULL, "Rows to evaluate on before, during (--eval-steps) and after"},
    CLI_FIELD_ROW(FIELD(fields)),
    CLI_KWARGS_ROW(FIELD(kwargs)),
    {"output-dir", OPT_STR, FIELD(output_dir), "D", NULL, NULL,
     "folder for the adapter (or model), metrics.jsonl, manifest.json, checkpoints"},
    {"objective", OPT_CHOICE, FIELD(objective), NULL, "dpo", "dpo|kto|sft|reward",
     "preference loss on pairs, or on single responses with labels, cross-entropy of completions, or a reward model on pairs"},
    {"completion-only-loss", OPT_CHOICE, FIELD(completion_only), NULL, "true", "true|false",
     "sft: the loss of completions only, or of all tokens, the prompt's too"},
    {"assistant-only-loss", OPT_FLAG, FIELD(assistant_only), NULL, NULL, NULL,
     "sft: the loss of what the assistant wrote, in every turn of a conversation (TRL): what the chat template's {% generation %} blocks "
     "hold, else what its turns add to the text; rapt template --assistant-mask shows it"},
    {"loss-type", OPT_LIST, FIELD(loss.types), "NAMES", NULL, NULL, "one loss, or the sum of several:"},
    {"loss-weights", OPT_LIST, FIELD(loss.weights), "W,W", NULL, NULL, "what each loss of --loss-type is multiplied by (1 where left out)"},
    {"margin", OPT_CHOICE, FIELD(margin), NULL, "column", "column|scores|none",
     "bradley_terry: by how much the chosen reward should lead: the rows' `margin` if there, or the difference of their scores, under a "
     "goal of the rewards -(g - score)^2"},
    {"center-rewards-coefficient", OPT_DOUBLE, FIELD(loss.center_rewards), "C", "0", NULL,
     "bradley_terry: adds C times the square of a pair's summed rewards, which keeps them around 0"},
    {"beta", OPT_DOUBLE, FIELD(loss.beta), "B", "0.1", NULL, "strength of the pull towards the reference"},
    {"label-smoothing", OPT_DOUBLE, FIELD(loss.label_smoothing), "E", "0", NULL,
     "probability that a label is wrong: sigmoid (cDPO), robust, exo_pair, aot, cpo, simpo"},
    {"discopop-tau", OPT_DOUBLE, FIELD(loss.discopop_tau), "T", "0", NULL, "temperature of discopop's blend; 0 = 0.05"},
    {"f-divergence-type", OPT_CHOICE, FIELD(loss.divergence), NULL, "reverse_kl", LOSS_DIVERGENCE_CHOICES,
     "the divergence that keeps the policy near the reference (f-DPO); not with losses that look at each response alone"},
    {"f-alpha-divergence-coef", OPT_DOUBLE, FIELD(loss.alpha_divergence), "A", "0.5", NULL,
     "of alpha_divergence: between reverse KL (1) and forward KL (0)"},
    {"use-weighting", OPT_FLAG, FIELD(loss.weighting), NULL, NULL, NULL,
     "WPO: multiply each pair's loss by how likely the policy itself is to write its responses"},
    {"ld-alpha", OPT_DOUBLE, FIELD(loss.ld_alpha), "A", "1", NULL,
     "LD-DPO: tokens behind the length of the shorter response weigh A, 0 to 1, in policy and reference"},
    {"simpo-gamma", OPT_DOUBLE, FIELD(loss.simpo_gamma), "G", "0.5", NULL, "simpo: by how much the rewards should differ"},
    {"cpo-alpha", OPT_DOUBLE, FIELD(loss.cpo_alpha), "A", NULL, NULL,
     "cpo, simpo: weight of the chosen responses' cross-entropy (default: 1 for cpo, 0 for simpo)"},
    {"odpo-alpha", OPT_DOUBLE, FIELD(loss.odpo_alpha), "A", "1", NULL, "odpo: what the offset is multiplied by"},
    {"odpo-offset", OPT_CHOICE, FIELD(loss.odpo_offset), NULL, "log", "log|gap",
     "odpo: the logarithm of score_chosen - score_rejected, or the gap itself; under a goal of the rewards -(g - score)^2"},
    {"rpo-eta", OPT_DOUBLE, FIELD(loss.rpo_eta), "E", "1", NULL,
     "rpo_*: reward a point of score: the margin is drawn to E times score_chosen - score_rejected, under a goal of the rewards -(g - "
     "score)^2"},
    {"temperature-alpha", OPT_DOUBLE, FIELD(loss.temperature_alpha), "A", "0.0001", NULL,
     "infonca, nca: labels are the softmax of scores / A; the paper's code has 0.0001, which is the best response alone; about a point of "
     "the scale shares them out"},
    {"desirable-weight", OPT_DOUBLE, FIELD(loss.desirable_weight), "W", "1", NULL, "kto: weight of the desirable rows' losses"},
    {"undesirable-weight", OPT_DOUBLE, FIELD(loss.undesirable_weight), "W", "1", NULL, "kto: weight of the undesirable rows' losses"},
    {"kto-threshold", OPT_STR, FIELD(loss.kto_threshold), "T", NULL, NULL,
     "kto: labels from scores, a response is desirable at T or more; K responses become K rows"},
    {"ref-logps", OPT_STR, FIELD(ref_logps), "F", NULL, NULL, "reference log-probs of the training data, as rapt logps writes them"},
    {"sync-ref-model", OPT_FLAG, FIELD(sync_ref), NULL, NULL, NULL,
     "the reference follows the policy (TR-DPO): (1 - alpha) reference + alpha policy, of all weights under --full, of the adapter's A and "
     "B matrices under LoRA, where it starts as --adapter or as a new adapter, which adds nothing"},
    {"ref-model-mixup-alpha", OPT_DOUBLE, FIELD(mixup_alpha), "A", "0.6", NULL, "sync-ref-model: the policy's part"},
    {"ref-model-sync-steps", OPT_INT, FIELD(sync_steps), "N", "512", NULL, "sync-ref-model: every N steps"},
    {"LoRA", OPT_HEADING, 0, NULL, NULL, NULL, NULL},
    {"full", OPT_FLAG, FIELD(full), NULL, NULL, NULL, "train every weight instead of a LoRA adapter"},
    {"lora-r", OPT_INT, FIELD(lora.rank), "R", "16", NULL, "rank"},
    {"lora-alpha", OPT_DOUBLE, FIELD(lora.alpha), "A", "32", NULL, "scale: the update is alpha / r times B A"},
    {"lora-dropout", OPT_DOUBLE, FIELD(lora.dropout), "P", "0", NULL, "dropout on the adapter's input; turns position sharing off"},
    {"lora-target-modules", OPT_LIST, FIELD(lora.targets), "NAMES", "all-linear", NULL,
     "projections to adapt (lm_head is one), all-linear (all but lm_head), or one regular expression for the whole name, e.g. "
     "'.*[.][0-7][.].*_proj'"},
    {"use-rslora", OPT_FLAG, FIELD(lora.rslora), NULL, NULL, NULL, "scale by alpha / sqrt(r) instead"},
    {"use-dora", OPT_FLAG, FIELD(lora.dora), NULL, NULL, NULL, "train the norms of the merged rows apart from their directions (DoRA)"},
    {"init-lora-weights", OPT_STR, FIELD(lora.init), "KIND", "true", NULL,
     "how an adapter begins: true (A uniform, B 0), gaussian (A normal, B 0), pissa (the largest singular values of the weight, which is "
     "left with the rest; pissa_niter_N takes N iterations)"},
    {"modules-to-save", OPT_LIST, FIELD(lora.saved), "NAMES", NULL, NULL,
     "trained in full beside the adapter and kept in its file: lm_head, embed_tokens"},
    {"optimizer", OPT_HEADING, 0, NULL, NULL, NULL, NULL},
    {"learning-rate", OPT_DOUBLE, FIELD(optim.learning_rate), "X", "1e-6", NULL,
     "peak rate (TRL's default; LoRA wants more, 1e-4 to 5e-4)"},
    {"lr-scheduler-type", OPT_STR, FIELD(optim.schedule), "NAME", "linear", NULL, "how the rate changes:"},
    {"lr-scheduler-kwargs", OPT_LIST, FIELD(optim.schedule_kwargs), "KEY=X,...", NULL, NULL, "settings of the schedule:"},
    {"metric-for-best-model", OPT_STR, FIELD(optim.watched), "NAME", "loss", NULL,
     "what reduce_lr_on_plateau and greedy follow, and --load-best-model-at-end: a metric of the evaluation, as metrics.jsonl has it "
     "behind eval_"},
    {"warmup-ratio", OPT_DOUBLE, FIELD(optim.warmup_ratio), "P", "0", NULL, "part of all steps that warms up"},
    {"warmup-steps", OPT_INT, FIELD(optim.warmup_steps), "N", "0", NULL, "the same as a number of steps; wins over the ratio"},
    {"optim", OPT_STR, FIELD(optim.name), "NAME", "adamw_torch", NULL, "the optimizer:"},
    {"optim-args", OPT_LIST, FIELD(optim.args), "KEY=X,...", NULL, NULL, "settings of the optimizer:"},
    {"loraplus-lr-ratio", OPT_DOUBLE, FIELD(optim.loraplus_ratio), "X", "1", NULL,
     "LoRA+: the rate of B (and of DoRA's norms) is X times that of A"},
    {"weight-decay", OPT_DOUBLE, FIELD(optim.weight_decay), "X", "0", NULL, "weight decay, decoupled but under sgd; norms are left out"},
    {"adam-beta1", OPT_DOUBLE, FIELD(optim.beta1), "X", "0.9", NULL, "first decay of AdamW and Lion"},
    {"adam-beta2", OPT_DOUBLE, FIELD(optim.beta2), "X", "0.999", NULL, "their second decay (of Lion 0.99 unless given)"},
    {"adam-epsilon", OPT_DOUBLE, FIELD(optim.epsilon), "X", "1e-8", NULL, "AdamW's epsilon"},
    {"max-grad-norm", OPT_DOUBLE, FIELD(max_grad_norm), "X", "1", NULL, "clip the gradient's norm; 0 = never"},
    {"how long", OPT_HEADING, 0, NULL, NULL, NULL, NULL},
    {"num-train-epochs", OPT_DOUBLE, FIELD(epochs), "X", "1", NULL, "passes over the data"},
    {"max-steps", OPT_INT, FIELD(max_steps), "N", "0", NULL, "optimizer steps; wins over the epochs when > 0"},
    {"per-device-train-batch-size", OPT_INT, FIELD(batch), "N", "8", NULL, "rows a micro-batch"},
    {"per-device-eval-batch-size", OPT_INT, FIELD(eval_batch), "N", "8", NULL, "rows a micro-batch of evaluation"},
    {"gradient-accumulation-steps", OPT_INT, FIELD(accumulation), "N", "1", NULL, "micro-batches an optimizer step"},
    {"max-length", OPT_INT, FIELD(max_length), "N", "1024", NULL,
     "responses are cut here; rows whose prompt reaches it are dropped; 0 = no limit"},
    CLI_COMPAT_ROWS(COMPAT),
    {"order", OPT_CHOICE, FIELD(order), NULL, "paired", "paired|shuffled",
     "keep the rows of a pair, one for each goal, in one step, or shuffle all rows (the paper)"},
    {"no-shuffle", OPT_FLAG, FIELD(no_shuffle), NULL, NULL, NULL, "file order"},
    {"seed", OPT_INT, FIELD(seed), "N", "42", NULL, "order of rows, initial adapter, dropout"},
    {"when", OPT_HEADING, 0, NULL, NULL, NULL, NULL},
    {"logging-steps", OPT_INT, FIELD(logging_steps), "N", "10", NULL, "a line of metrics.jsonl every N steps"},
    {"eval-steps", OPT_INT, FIELD(eval_steps), "N", "0", NULL, "evaluate every N steps; 0 = before and after only"},
    {"save-steps", OPT_INT, FIELD(save_steps), "N", "0", NULL, "a checkpoint every N steps; 0 = only when interrupted"},
    {"load-best-model-at-end", OPT_FLAG, FIELD(keep_best), NULL, NULL, NULL,
     "save the weights of the best evaluation, by --metric-for-best-model, instead of the last ones; a checkpoint holds them meanwhile"},
    {"greater-is-better", OPT_CHOICE, FIELD(greater), NULL, "auto", "auto|true|false",
     "of that metric; auto: unless its name ends with loss"},
    {"early-stopping-patience", OPT_INT, FIELD(patience), "N", "0", NULL,
     "end the run after N evaluations in a row without improvement; 0 = never"},
    {"early-stopping-threshold", OPT_DOUBLE, FIELD(patience_threshold), "X", "0", NULL, "an improvement is more than X"},
    {"save-total-limit", OPT_INT, FIELD(save_limit), "N", "0", NULL, "keep this many checkpoints; 0 = all"},
    {"resume", OPT_FLAG, FIELD(resume), NULL, NULL, NULL, "go on from the newest checkpoint of --output-dir"},
    {"overwrite-output-dir", OPT_FLAG, FIELD(overwrite), NULL, NULL, NULL, "remove the checkpoints of an earlier run in --output-dir"},
    {"allow-drift", OPT_FLAG, FIELD(allow_drift), NULL, NULL, NULL, "resume also on another instruction set, dtype or thread count"},
    {"machine", OPT_HEADING, 0, NULL, NULL, NULL, NULL},
    {"dtype", OPT_CHOICE, FIELD(dtype), NULL, "auto", DTYPE_CHOICES, DTYPE_HELP},
    {"threads", OPT_INT, FIELD(threads), "N", "0", NULL, "0 = all cores"},
    {"micro-batch-tokens", OPT_INT, FIELD(budget), "N", "0", NULL,
     "positions computed at a time; grows to the longest row; more is faster and takes memory; 0: half as much again as the longest row "
     "(with --full an eighth) and at least 1024, where memory allows"},
    {"memory", OPT_STR, FIELD(memory), "SIZE", "auto", NULL,
     MEMORY_HELP "; where that is too little, weights are expanded from their file in every product, and as few layers as will do are "
                 "computed again in backward"},
    {"recompute", OPT_FLAG, FIELD(recompute), NULL, NULL, NULL,
     "keep only layer inputs and compute every layer again in backward: less memory, up to a third more time; --memory takes as many "
     "layers as it must"},
    {"on-bad-row", OPT_CHOICE, FIELD(bad_row), NULL, "stop", "stop|skip",
     "skipped rows are counted and kept in OUTPUT/train.rejected.jsonl"},
};

/* What the tables hold, behind the help of the option. */
static void put_names(struct buf *out, const char *option) {
    if (strcmp(option, "loss-type") == 0) cli_loss_names(out);
    for (size_t i = 0; i < optim_count; i++) {
        const struct optim_row *row = &optim_table[i];
        if (strcmp(option, "optim") == 0) buf_printf(out, "%s%s", i ? ", " : "", row->name);
        if (strcmp(option, "optim-args") == 0 && row->takes[0]) buf_printf(out, "%s: %s; ", row->name, row->takes);
    }
    for (size_t i = 0; i < schedule_count; i++) {
        const struct schedule_row *row = &schedule_table[i];
        if (strcmp(option, "lr-scheduler-type") == 0) buf_printf(out, "%s%s", i ? ", " : "", row->name);
        if (strcmp(option, "lr-scheduler-kwargs") == 0 && row->takes[0]) buf_printf(out, "%s: %s; ", row->name, row->takes);
    }
}

static void put_values(struct buf *out, const char *option) {
    for (size_t i = 0; i < loss_count && strcmp(option, "loss-type") == 0; i++) buf_printf(out, "%s%s", i ? "|" : "", loss_table[i].name);
    for (size_t i = 0; i < optim_count && strcmp(option, "optim") == 0; i++) buf_printf(out, "%s%s", i ? "|" : "", optim_table[i].name);
    for (size_t i = 0; i < schedule_count && strcmp(option, "lr-scheduler-type") == 0; i++)
        buf_printf(out, "%s%s", i ? "|" : "", schedule_table[i].name);
}

const struct opt_spec cmd_train_spec = {
    .command = "train",
    .summary = "Train a goal-conditioned model: DPO and its kin on pairs, SFT, or a reward model; LoRA by default.",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .put_names = put_names,
    .put_values = put_values,
    .example = "rapt train --model SmolLM2-135M-Instruct.Q4_1.gguf --train-data pairs.aug.jsonl --eval-data test.aug.jsonl \\\n    "
               "--output-dir runs/ra --learning-rate 3e-4 --per-device-train-batch-size 4",
};

static status positive(const char *name, int64_t v, int64_t limit) {
    if (v < 1 || v > limit) return FAIL(ST_USAGE, "--%s expects 1 to %lld, not %lld", name, (long long)limit, (long long)v);
    return ST_OK;
}

static status not_negative(const char *name, int64_t v) {
    return v < 0 ? FAIL(ST_USAGE, "--%s expects 0 or more, not %lld", name, (long long)v) : ST_OK;
}

static status check_numbers(const struct options *o) {
    TRY(positive("per-device-train-batch-size", o->batch, 1024));
    TRY(positive("per-device-eval-batch-size", o->eval_batch, 1024));
    TRY(positive("gradient-accumulation-steps", o->accumulation, 1 << 20));
    if (o->budget) TRY(positive("micro-batch-tokens", o->budget, CLI_MICRO_BATCH_MOST));
    const struct {
        const char *name;
        int64_t value;
    } counts[] = {
        {"max-steps", o->max_steps},         {"warmup-steps", o->optim.warmup_steps},
        {"max-length", o->max_length},       {"logging-steps", o->logging_steps},
        {"save-steps", o->save_steps},       {"eval-steps", o->eval_steps},
        {"save-total-limit", o->save_limit}, {"early-stopping-patience", o->patience},
    };
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) TRY(not_negative(counts[i].name, counts[i].value));
    if (!o->full) TRY(positive("lora-r", o->lora.rank, 65536));
    if (!(o->epochs > 0) || !(o->optim.learning_rate >= 0))
        return FAIL(ST_USAGE, "--num-train-epochs and --learning-rate must be positive");
    return ST_OK;
}

static status check_sync(const struct opt_result *r, const struct options *o) {
    static const char *const names[] = {"ref-model-mixup-alpha", "ref-model-sync-steps"};
    for (size_t i = 0; i < 2 && !o->sync_ref; i++)
        if (opt_given(r, &cmd_train_spec, names[i])) return FAIL(ST_USAGE, "--%s has no effect without --sync-ref-model", names[i]);
    if (!o->sync_ref) return ST_OK;
    if (o->ref_logps) return FAIL(ST_USAGE, "--sync-ref-model moves the reference, and --ref-logps says that it stays: leave one out");
    if (!(o->mixup_alpha > 0 && o->mixup_alpha <= 1))
        return FAIL(ST_USAGE, "--ref-model-mixup-alpha must be above 0 and at most 1, it is %g", o->mixup_alpha);
    return positive("ref-model-sync-steps", o->sync_steps, INT64_MAX);
}

/* An option without effect is refused, not ignored. */
static status check_effect(const struct opt_result *r, const struct options *o, enum train_objective objective) {
    static const struct {
        const char *name;
        unsigned objectives; /* 1 << those in which it has an effect */
    } some[] = {{"loss-type", ~(1u << OBJECTIVE_SFT)},
                {"loss-weights", ~(1u << OBJECTIVE_SFT)},
                {"completion-only-loss", 1 << OBJECTIVE_SFT},
                {"assistant-only-loss", 1 << OBJECTIVE_SFT},
                {"beta", 1 << OBJECTIVE_DPO | 1 << OBJECTIVE_KTO},
                {"sync-ref-model", 1 << OBJECTIVE_DPO | 1 << OBJECTIVE_KTO},
                {"desirable-weight", 1 << OBJECTIVE_KTO},
                {"undesirable-weight", 1 << OBJECTIVE_KTO},
                {"kto-threshold", 1 << OBJECTIVE_KTO},
                {"temperature-alpha", 1 << OBJECTIVE_DPO},
                {"label-smoothing", 1 << OBJECTIVE_DPO},
                {"ref-logps", 1 << OBJECTIVE_DPO},
                {"compat", 1 << OBJECTIVE_DPO},
                {"discopop-tau", 1 << OBJECTIVE_DPO},
                {"f-divergence-type", 1 << OBJECTIVE_DPO},
                {"f-alpha-divergence-coef", 1 << OBJECTIVE_DPO},
                {"use-weighting", 1 << OBJECTIVE_DPO},
                {"ld-alpha", 1 << OBJECTIVE_DPO},
                {"simpo-gamma", 1 << OBJECTIVE_DPO},
                {"cpo-alpha", 1 << OBJECTIVE_DPO},
                {"odpo-alpha", 1 << OBJECTIVE_DPO},
                {"odpo-offset", 1 << OBJECTIVE_DPO},
                {"rpo-eta", 1 << OBJECTIVE_DPO},
                {"margin", 1 << OBJECTIVE_REWARD},
                {"center-rewards-coefficient", 1 << OBJECTIVE_REWARD}};
    for (size_t i = 0; i < sizeof some / sizeof some[0]; i++)
        if (!(some[i].objectives & 1u << objective) && opt_given(r, &cmd_train_spec, some[i].name))
            return FAIL(ST_USAGE, "--%s has no effect with --objective %s", some[i].name, o->objective);
    TRY(cli_lora_check_effect(r, &cmd_train_spec, o->full, o->adapter != NULL));
    if (o->full && opt_given(r, &cmd_train_spec, "loraplus-lr-ratio"))
        return FAIL(ST_USAGE, "--loraplus-lr-ratio has no effect with --full");
    if (o->full && o->adapter) return FAIL(ST_USAGE, "--adapter has no effect with --full; merge it first (rapt export --format hf)");
    if (o->no_shuffle && opt_given(r, &cmd_train_spec, "order"))
        return FAIL(ST_USAGE, "--no-shuffle is file order; --order %s contradicts it", o->order);
    if (objective == OBJECTIVE_KTO && opt_given(r, &cmd_train_spec, "order") && strcmp(o->order, "paired") == 0)
        return FAIL(ST_USAGE, "--order paired has no effect with --objective kto, whose rows are single responses");
    TRY(check_sync(r, o));
    if (o->ref_logps && strcmp(o->compat.name, "trl-1.x") != 0)
        return FAIL(ST_USAGE, "--ref-logps: rapt logps makes tokens as TRL 1.x does, not as --compat %s", o->compat.name);
    if (o->resume && o->overwrite) return FAIL(ST_USAGE, "--overwrite-output-dir removes what --resume would go on from");
    if (o->eval_steps && !o->eval_data) return FAIL(ST_USAGE, "--eval-steps has no effect without --eval-data");
    static const char *const of_best[] = {"greater-is-better", "early-stopping-patience", "early-stopping-threshold"};
    for (size_t i = 0; !o->keep_best && i < sizeof of_best / sizeof of_best[0]; i++)
        if (opt_given(r, &cmd_train_spec, of_best[i]))
            return FAIL(ST_USAGE, "--%s has no effect without --load-best-model-at-end", of_best[i]);
    if (!(o->patience_threshold >= 0) || !isfinite(o->patience_threshold))
        return FAIL(ST_USAGE, "--early-stopping-threshold must be at least 0, it is %g", o->patience_threshold);
    if (o->save_limit && !o->save_steps) return FAIL(ST_USAGE, "--save-total-limit has no effect without --save-steps");
    return ST_OK;
}

static enum train_objective objective_of(const char *name) {
    static const char *const names[] = {
        [OBJECTIVE_DPO] = "dpo", [OBJECTIVE_SFT] = "sft", [OBJECTIVE_REWARD] = "reward", [OBJECTIVE_KTO] = "kto"};
    size_t i = 0;
    while (strcmp(names[i], name) != 0) i++;
    return (enum train_objective)i;
}

static status set_loss(struct train_options *t, struct loss_mix *mix, struct options *o, const struct opt_result *r) {
    TRY(cli_loss_set(mix, &t->loss_params, &o->loss, o->objective, r, &cmd_train_spec));
    if ((mix->needs & LOSS_NEEDS_KL) && o->batch < 2)
        return FAIL(ST_USAGE,
                    "--loss-type %s measures its KL term on the rows of a micro-batch: --per-device-train-batch-size must be 2 or more",
                    mix->name);
    t->loss = mix;
    return cli_loss_threshold(&t->kto_threshold, &o->loss);
}

static void on_interrupt(int number) {
    (void)number;
    trainer_interrupt();
}

static const int interrupts[] = {SIGINT, SIGTERM, SIGUSR1}; /* the last: mpirun and Slurm pass it on, and wait */
#define INTERRUPTS (sizeof interrupts / sizeof interrupts[0])

/* Until training is over: a recipe's later stages end as they would without it. */
static void catch_interrupts(struct sigaction before[INTERRUPTS]) {
    struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = SA_RESETHAND}; /* the second one kills */
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < INTERRUPTS; i++) sigaction(interrupts[i], &action, &before[i]);
}

static void leave_interrupts(const struct sigaction before[INTERRUPTS]) {
    for (size_t i = 0; i < INTERRUPTS; i++) sigaction(interrupts[i], &before[i], NULL);
}

static status set_lora(struct train_options *t, const struct options *o) {
    if (o->adapter) {
        TRY(adapter_read_options(&t->lora, o->adapter));
        t->lora.dropout = o->lora.dropout;
        if ((t->objective == OBJECTIVE_REWARD) != (t->lora.labels > 0))
            return FAIL(ST_MISMATCH, "%s: this adapter is of a %s, --objective %s", o->adapter,
                        t->lora.labels ? "reward model" : "language model", o->objective);
        return ST_OK;
    }
    TRY(cli_lora_set(&t->lora, &o->lora));
    t->lora.labels = t->objective == OBJECTIVE_REWARD ? 1 : 0;
    return ST_OK;
}

/* peft computes W x a second time there, of the dropped x. */
static status check_dropout(const struct lora_options *o) {
    return o->dora && o->dropout > 0 ? FAIL(ST_USAGE, "--lora-dropout is not supported with DoRA") : ST_OK;
}

static void set_rest(struct train_options *t, const struct options *o) {
    t->model = o->model, t->adapter = o->adapter, t->train_data = o->train_data, t->kwargs = o->kwargs, t->eval_data = o->eval_data,
    t->output_dir = o->output_dir;
    t->ref_logps = o->ref_logps, t->full = o->full, t->epochs = o->epochs;
    t->max_grad_norm = o->max_grad_norm, t->max_steps = (uint64_t)o->max_steps;
    t->batch = (size_t)o->batch, t->accumulation = (size_t)o->accumulation, t->eval_batch = (size_t)o->eval_batch,
    t->max_length = (size_t)o->max_length;
    t->token_budget = (size_t)o->budget, t->seed = (uint64_t)o->seed, t->logging_steps = (uint64_t)o->logging_steps;
    t->save_steps = (uint64_t)o->save_steps, t->eval_steps = (uint64_t)o->eval_steps, t->save_limit = (uint64_t)o->save_limit;
    t->resume = o->resume, t->overwrite = o->overwrite, t->recompute = o->recompute, t->allow_drift = o->allow_drift,
    t->skip_bad = strcmp(o->bad_row, "skip") == 0;
    t->completion_only = strcmp(o->completion_only, "false") != 0, t->assistant_only = o->assistant_only;
    t->score_prompts = !t->completion_only || t->assistant_only;
    t->ref_sync_steps = o->sync_ref ? (uint64_t)o->sync_steps : 0, t->ref_mixup_alpha = o->mixup_alpha;
    t->margins = strcmp(o->margin, "scores") == 0 ? MARGIN_SCORES : strcmp(o->margin, "none") == 0 ? MARGIN_NONE : MARGIN_COLUMN;
    const bool pairs = t->objective == OBJECTIVE_DPO || t->objective == OBJECTIVE_REWARD;
    t->order = o->no_shuffle ? ORDER_FILE : strcmp(o->order, "paired") == 0 && pairs ? ORDER_PAIRED : ORDER_SHUFFLED;
}

static struct best_options best_of(const struct options *o) {
    const bool greater = strcmp(o->greater, "auto") == 0 ? best_is_greater(o->optim.watched) : strcmp(o->greater, "true") == 0;
    return (struct best_options){o->keep_best, greater, (uint64_t)o->patience, o->patience_threshold};
}

/* The command line to run again, in a shell. */
static void put_command(struct buf *out, int argc, char **argv) {
    buf_append_text(out, "rapt train");
    for (int i = 0; i < argc; i++) buf_append_shell_argument(out, argv[i]);
}

/* " --goal 9.5" where a goal of one score was trained, the highest; else nothing. */
static const char *goal_option(char text[48], const char *folder) {
    double goal;
    text[0] = '\0';
    if (train_goal_highest(&goal, folder)) snprintf(text, 48, " --goal %.9g", goal);
    return text;
}

status cmd_train_run(int argc, char **argv) {
    struct options o = {0};
    struct opt_result r;
    struct train_options t = {0};
    struct loss_mix mix;
    bool done;
    TRY(cmd_parse(&r, &cmd_train_spec, &o, argc, argv, &done));
    if (done) return ST_OK;
    if (!o.model || !o.train_data || !o.output_dir) return FAIL(ST_USAGE, "--model, --train-data and --output-dir are needed");
    t.objective = objective_of(o.objective);
    TRY(check_numbers(&o));
    TRY(check_effect(&r, &o, t.objective));
    t.best = best_of(&o);
    TRY(cli_optim_set(&t, &o.optim, &r, &cmd_train_spec));
    TRY(set_loss(&t, &mix, &o, &r));
    if (!o.full) TRY(set_lora(&t, &o));
    TRY(check_dropout(&t.lora));
    set_rest(&t, &o);
    TRY(cli_dtype(&t.kind, o.dtype));
    if (t.order == ORDER_PAIRED && o.batch * o.accumulation % 2)
        return FAIL(ST_USAGE, "--order paired keeps both halves of a pair in one step: batch size x accumulation must be even, is %lld",
                    (long long)(o.batch * o.accumulation));
    t.order_given = opt_given(&r, &cmd_train_spec, "order");
    TRY(cli_threads(o.threads));
    t.threads = (int)o.threads;
    struct fit_rules rules;
    TRY(cli_compat_rules(&rules, &o.compat, o.max_length, &r, &cmd_train_spec));
    t.compat = rules.compat, t.max_prompt = rules.max_prompt, t.max_completion = rules.max_completion;
    struct source_map map;
    TRY(cli_fields(&map, &o.fields));
    t.map = &map;
    if (strcmp(o.memory, "auto") != 0) TRY(cli_memory(&t.memory, o.memory));
    struct buf json = {0}, command = {0};
    opt_json(&json, &cmd_train_spec, &o);
    put_command(&command, argc, argv);
    t.options_json = buf_text(&json);
    if (utf8_valid_prefix(command.data, command.size) == command.size) t.command = buf_text(&command); /* the manifest is JSON */
    struct sigaction before[INTERRUPTS];
    catch_interrupts(before);
    status s = trainer_run(&t);
    leave_interrupts(before);
    buf_release(&json);
    buf_release(&command);
    TRY(s);
    char option[48];
    const char *kind = o.full ? "model" : "adapter", *base = o.full ? o.output_dir : o.model;
    const char *with = o.full ? "" : " --adapter ", *adapter = o.full ? "" : o.output_dir;
    if (t.objective == OBJECTIVE_REWARD)
        log_info("done: %s holds the reward model's %s; try: rapt export --model %s%s%s --output merged, which transformers loads",
                 o.output_dir, kind, base, with, adapter);
    else
        log_info("done: %s holds the %s; try: rapt generate --model %s%s%s%s --prompt \"...\"", o.output_dir, kind, base, with, adapter,
                 goal_option(option, o.output_dir));
    return ST_OK;
}
