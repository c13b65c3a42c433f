/* rapt eval kl: how far policies are from their reference, by what they wrote. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "cli/cli_eval.h"
#include "cli/cli_fields.h"
#include "cli/cli_kwargs.h"
#include "cli/cli_model.h"
#include "cli/cmd.h"
#include "eval/kl.h"
#include "eval/kl_score.h"

struct options {
    struct opt_list samples, adapters, fields;
    const char *model, *reference, *reference_goal, *style, *kwargs, *dtype, *goals, *output;
    double above;
    bool raw, json;
    int64_t budget, threads, resamples, seed;
};

#define FIELD(name) offsetof(struct options, name)
static const struct opt_row rows[] = {
    {"samples", OPT_LIST, FIELD(samples), "[NAME=]FILE", NULL, NULL,
     "What a policy wrote, at temperature 1 and without top-k and the like: rapt generate --token-ids, with or without --goal, scored (rapt score) or not. Several: differences are to the first, and the "
     "runs without goals are those that are matched with it. Several of one NAME are one run with several seeds."},
    {"goals", OPT_STR, FIELD(goals), "G,G,...", NULL, NULL, "Samples under these goals alone, and those without one."},
    {"above", OPT_DOUBLE, FIELD(above), "R", NULL, NULL, "Of scored samples also the share of scores above R."},
    {"log-probs", OPT_HEADING, 0, NULL, NULL, NULL, NULL},
    {"model", OPT_STR, FIELD(model), "M", NULL, NULL,
     "The base model, which is the reference. Without it rows have logps and ref_logps (sums over the response under policy and reference, nats) and tokens."},
    {"adapter", OPT_LIST, FIELD(adapters), "NAME=D", NULL, NULL,
     "The adapter, or the fully trained model, that wrote the samples of that NAME; as many of a NAME as there are of --samples, in their order. The base model itself: NAME=M."},
    {"reference-adapter", OPT_STR, FIELD(reference), "D", NULL, NULL, "The reference is the base model with this adapter: what training started from. A fully trained model: the reference itself."},
    {"reference-goal", OPT_CHOICE, FIELD(reference_goal), NULL, "same", "same|none",
     "How the reference is asked: as the policy was, which is the distance that DPO's loss holds down; or without the goal, which counts what the goal's text alone does too, and compares runs with goals and "
     "without on one ground."},
    {"goal-style", OPT_STR, FIELD(style), "F", NULL, NULL, "template, placement and scale of the goal as JSON, instead of each adapter's goal.json: as in generate"},
    {"raw", OPT_FLAG, FIELD(raw), NULL, NULL, NULL, "string prompts went in without the chat template: as in generate"},
    CLI_KWARGS_ROW(FIELD(kwargs)),
    {"micro-batch-tokens", OPT_INT, FIELD(budget), "N", "2048", NULL, "positions computed at a time"},
    {"dtype", OPT_CHOICE, FIELD(dtype), NULL, "auto", DTYPE_CHOICES, DTYPE_HELP},
    {"threads", OPT_INT, FIELD(threads), "N", "0", NULL, "0 = all cores"},
    {"results", OPT_HEADING, 0, NULL, NULL, NULL, NULL},
    CLI_FIELD_ROW(FIELD(fields)),
    {"resamples", OPT_INT, FIELD(resamples), "N", "2000", NULL, "Bootstrap resamples, over prompts, behind the 95% intervals."},
    {"seed", OPT_INT, FIELD(seed), "N", "0", NULL, "Of the bootstrap."},
    {"json", OPT_FLAG, FIELD(json), NULL, NULL, NULL, "Print JSON instead of tables."},
    {"output", OPT_STR, FIELD(output), "FILE", NULL, NULL, "Write the JSON to this file too."},
};

const struct opt_spec cmd_eval_kl_spec = {
    .command = "eval kl",
    .summary = "How far policies are from their reference: KL by their samples, by goal; and which runs without goals are as far.",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .example = "rapt generate --model M --adapter runs/ra --goal 7,10 --input prompts.jsonl --n 4 --token-ids --output ra.jsonl\n"
               "rapt eval kl --model M --adapter ra=runs/ra --adapter dpo=runs/dpo --samples ra=ra-scored.jsonl --samples dpo=dpo-scored.jsonl --reference-goal none --above 7\n"
               "rapt eval kl --samples ra=ra.jsonl --samples dpo=dpo.jsonl",
    .notes = "docs/evaluation.md has the formulas.",
};

/* The adapter of the i-th file of samples: of those of its name the one with the same number. */
static const char *find_adapter(const struct options *o, size_t i) {
    char *name, *other;
    const char *found = NULL;
    size_t number = 0;
    cli_split_name(&name, o->samples.items[i]);
    for (size_t j = 0; j < i; j++) {
        cli_split_name(&other, o->samples.items[j]);
        number += strcmp(name, other) == 0;
        free(other);
    }
    for (size_t j = 0; j < o->adapters.count && !found; j++) {
        const char *path = cli_split_name(&other, o->adapters.items[j]);
        if (strcmp(name, other) == 0 && number-- == 0) found = path;
        free(other);
    }
    free(name);
    return found;
}

/* Policy and reference over one file. */
static status score_file(struct goal_logps *policy, struct goal_logps *reference, const char *path, const char *adapter, const struct options *o, const struct source_map *map) {
    struct kl_options k = {.style = o->style, .kwargs = o->kwargs, .what = path, .raw = o->raw, .budget = (size_t)o->budget, .map = map};
    size_t other_tokens;
    const bool whole = cli_is_model(adapter), whole_reference = o->reference && cli_is_model(o->reference);
    TRY(cli_dtype(&k.kind, o->dtype));
    k.model = k.policy_model = whole ? adapter : o->model;
    k.adapter = k.policy_adapter = whole ? NULL : adapter;
    TRY(kl_logps(policy, &other_tokens, path, &k));
    if (other_tokens)
        log_info("%s: %zu of %zu responses have another number of tokens than they say: their texts are tokenised otherwise than they were written (rapt generate --token-ids keeps the tokens)", path,
                 other_tokens, policy->count);
    k.model = whole_reference ? o->reference : o->model;
    k.adapter = whole_reference ? NULL : o->reference;
    k.without_goal = strcmp(o->reference_goal, "none") == 0;
    return kl_logps(reference, &other_tokens, path, &k);
}

static status load_file(struct goal_samples *file, size_t i, const struct options *o, const struct source_map *map) {
    struct goal_logps policy = {0}, reference = {0};
    struct goal_samples_options so = {.map = map, .log_probs = true};
    char *name;
    const char *path = cli_split_name(&name, o->samples.items[i]);
    status s = ST_OK;
    if (o->model) {
        s = score_file(&policy, &reference, path, find_adapter(o, i), o, map);
        so.policy = &policy, so.reference = &reference;
    }
    if (s == ST_OK) s = goal_samples_load(file, name, path, &so);
    goal_logps_release(&policy);
    goal_logps_release(&reference);
    free(name);
    return s;
}

static status check(const struct options *o, const struct opt_result *r) {
    static const char *const with_model[] = {"adapter", "reference-adapter", "reference-goal", "goal-style", "raw", "chat-template-kwargs", "micro-batch-tokens", "dtype", "threads"};
    if (!o->samples.count) return FAIL(ST_USAGE, "rapt eval kl expects --samples FILE, what a policy wrote (rapt generate)");
    for (size_t i = 0; !o->model && i < sizeof with_model / sizeof with_model[0]; i++)
        if (opt_given(r, &cmd_eval_kl_spec, with_model[i])) return FAIL(ST_USAGE, "--%s has no effect without --model", with_model[i]);
    for (size_t i = 0; o->model && i < o->samples.count; i++)
        if (!find_adapter(o, i)) return FAIL(ST_USAGE, "--samples %s: no --adapter NAME=D of that name says who wrote them (the base model itself: NAME=M)", o->samples.items[i]);
    if (o->adapters.count > o->samples.count) return FAIL(ST_USAGE, "%zu --adapter and %zu --samples; expected one of each name for every file of samples", o->adapters.count, o->samples.count);
    if (o->budget < 16 || o->budget > 1 << 22) return FAIL(ST_USAGE, "--micro-batch-tokens expects 16 to 4194304");
    if (o->resamples < 100 || o->resamples > 1000000) return FAIL(ST_USAGE, "--resamples must lie in 100 .. 1000000");
    if (opt_given(r, &cmd_eval_kl_spec, "above") && !isfinite(o->above)) return FAIL(ST_USAGE, "--above expects a finite number");
    return cli_threads(o->threads);
}

status cmd_eval_kl_run(int argc, char **argv) {
    struct options o = {0};
    struct opt_result r;
    struct source_map map;
    bool done;
    TRY(cmd_parse(&r, &cmd_eval_kl_spec, &o, argc, argv, &done));
    if (done) return ST_OK;
    TRY(check(&o, &r));
    TRY(cli_fields(&map, &o.fields));
    struct goal_samples *runs = mem_zero(o.samples.count, sizeof *runs);
    struct eval_input in = {.samples = runs, .bootstrap = {(size_t)o.resamples, 0.95, (uint64_t)o.seed}, .above = opt_given(&r, &cmd_eval_kl_spec, "above") ? o.above : (double)NAN};
    status s = ST_OK;
    for (size_t i = 0; s == ST_OK && i < o.samples.count; i++) {
        struct goal_samples file;
        s = load_file(&file, i, &o, &map);
        if (s == ST_OK) s = cli_add_samples(runs, &in.run_count, &file);
    }
    if (s == ST_OK) s = cli_finish_samples(runs, in.run_count, o.goals);
    if (s == ST_OK) s = cli_evaluate(kl_run, &in, o.output, o.json);
    for (size_t i = 0; i < in.run_count; i++) goal_samples_release(&runs[i]);
    free(runs);
    return s;
}
