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
#include "model/peft_io.h"

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
     "What a policy wrote, at temperature 1 and without top-k and the like: rapt generate --token-ids, with or without --goal, scored "
     "(rapt score) or not. Several: differences are to the first, and the "
     "runs without goals are those that are matched with it. Several of one NAME are one run with several seeds."},
    {"goals", OPT_STR, FIELD(goals), "G,G,...", NULL, NULL,
     "Samples under these goals alone, and those without one. Of several attributes: NAME=G,NAME=G;NAME=G,NAME=G."},
    {"above", OPT_DOUBLE, FIELD(above), "R", NULL, NULL, "Of scored samples also the share of scores above R."},
    {"log-probs", OPT_HEADING, 0, NULL, NULL, NULL, NULL},
    {"model", OPT_STR, FIELD(model), "M", NULL, NULL,
     "The base model, which is the reference. Without it rows have logps and ref_logps (sums over the response under policy and reference, "
     "nats) and tokens."},
    {"adapter", OPT_LIST, FIELD(adapters), "NAME=D", NULL, NULL,
     "The adapter, or the fully trained model, that wrote the samples of that NAME; as many of a NAME as there are of --samples, in their "
     "order. The base model itself: NAME=M."},
    {"reference-adapter", OPT_STR, FIELD(reference), "D", NULL, NULL,
     "The reference is the base model with this adapter: what training started from. A fully trained model: the reference itself."},
    {"reference-goal", OPT_CHOICE, FIELD(reference_goal), NULL, "same", "same|none",
     "How the reference is asked: as the policy was, which is the distance that DPO's loss holds down; or without the goal, which counts "
     "what the goal's text alone does too, and compares runs with goals and "
     "without on one ground."},
    {"goal-style", OPT_STR, FIELD(style), "F", NULL, NULL,
     "template, placement and scale of the goal as JSON, instead of each adapter's goal.json: as in generate"},
    {"raw", OPT_FLAG, FIELD(raw), NULL, NULL, NULL, "string prompts went in without the chat template: as in generate"},
    CLI_KWARGS_ROW(FIELD(kwargs)),
    {"micro-batch-tokens", OPT_INT, FIELD(budget), "N", "2048", NULL, "positions computed at a time"},
    {"dtype", OPT_CHOICE, FIELD(dtype), NULL, "auto", DTYPE_CHOICES, DTYPE_HELP},
    {"threads", OPT_INT, FIELD(threads), "N", "0", NULL, "0 = all cores"},
    {"results", OPT_HEADING, 0, NULL, NULL, NULL, NULL},
    CLI_FIELD_ROW(FIELD(fields)),
    CLI_BOOTSTRAP_ROWS(FIELD(resamples), FIELD(seed), "prompts"),
    {"json", OPT_FLAG, FIELD(json), NULL, NULL, NULL, "Print JSON instead of tables."},
    {"output", OPT_STR, FIELD(output), "FILE", NULL, NULL, "Write the JSON to this file too."},
};

const struct opt_spec cmd_eval_kl_spec = {
    .command = "eval kl",
    .summary = "How far policies are from their reference: KL by their samples, by goal; and which runs without goals are as far.",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .example = "rapt generate --model M --adapter runs/ra --goal 7,10 --input prompts.jsonl --n 4 --token-ids --output ra.jsonl\n"
               "rapt eval kl --model M --adapter ra=runs/ra --adapter dpo=runs/dpo --samples ra=ra-scored.jsonl --samples "
               "dpo=dpo-scored.jsonl --reference-goal none --above 7\n"
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

static const char *sample_path(const struct options *o, size_t i) {
    char *name;
    const char *path = cli_split_name(&name, o->samples.items[i]);
    free(name);
    return path;
}

/* What is computed of one file. */
struct computed {
    struct goal_logps policy, reference;
};

/* The files under their policies, one after the other. */
static status score_policies(struct computed *files, const struct options *o, const struct kl_options *shared) {
    for (size_t i = 0; i < o->samples.count; i++) {
        struct kl_options k = *shared;
        struct kl_scorer *scorer;
        const char *adapter = find_adapter(o, i), *path = sample_path(o, i);
        const bool whole = adapter_is_model(adapter);
        size_t other_tokens;
        k.model = whole ? adapter : o->model;
        k.adapter = whole ? NULL : adapter;
        TRY(kl_scorer_open(&scorer, &k));
        const status s = kl_scorer_file(&files[i].policy, &other_tokens, scorer, path, k.model, k.adapter);
        kl_scorer_free(scorer);
        TRY(s);
        if (other_tokens)
            log_info("%s: %zu of %zu responses have another number of tokens than they say: their texts are tokenised otherwise than they "
                     "were written "
                     "(rapt generate --token-ids keeps the tokens)",
                     path, other_tokens, files[i].policy.count);
    }
    return ST_OK;
}

/* All files under the reference, which is opened once, each asked as its policy was. */
static status score_reference(struct computed *files, const struct options *o, const struct kl_options *shared) {
    struct kl_options k = *shared;
    struct kl_scorer *scorer;
    const bool whole = o->reference && adapter_is_model(o->reference);
    k.model = whole ? o->reference : o->model;
    k.adapter = whole ? NULL : o->reference;
    k.without_goal = strcmp(o->reference_goal, "none") == 0;
    TRY(kl_scorer_open(&scorer, &k));
    status s = ST_OK;
    for (size_t i = 0; s == ST_OK && i < o->samples.count; i++) {
        const char *adapter = find_adapter(o, i);
        const bool own = adapter_is_model(adapter);
        size_t other_tokens;
        s = kl_scorer_file(&files[i].reference, &other_tokens, scorer, sample_path(o, i), own ? adapter : o->model, own ? NULL : adapter);
    }
    kl_scorer_free(scorer);
    return s;
}

static status score_files(struct computed *files, const struct options *o, const struct source_map *map) {
    struct kl_options k = {.style = o->style, .kwargs = o->kwargs, .raw = o->raw, .budget = (size_t)o->budget, .map = map};
    TRY(cli_dtype(&k.kind, o->dtype));
    TRY(score_policies(files, o, &k));
    return score_reference(files, o, &k);
}

static status load_file(struct goal_samples *file, size_t i, const struct computed *c, const struct options *o,
                        const struct source_map *map, struct goal_names *names) {
    struct goal_samples_options so = {.map = map, .names = names, .log_probs = true};
    char *name;
    const char *path = cli_split_name(&name, o->samples.items[i]);
    if (o->model) so.policy = &c->policy, so.reference = &c->reference;
    const status s = goal_samples_load(file, name, path, &so);
    free(name);
    return s;
}

static status check(const struct options *o, const struct opt_result *r) {
    static const char *const with_model[] = {"adapter", "reference-adapter",    "reference-goal",     "goal-style",
                                             "raw",     "chat-template-kwargs", "micro-batch-tokens", "dtype",
                                             "threads"};
    if (!o->samples.count) return FAIL(ST_USAGE, "rapt eval kl expects --samples FILE, what a policy wrote (rapt generate)");
    for (size_t i = 0; !o->model && i < sizeof with_model / sizeof with_model[0]; i++)
        if (opt_given(r, &cmd_eval_kl_spec, with_model[i])) return FAIL(ST_USAGE, "--%s has no effect without --model", with_model[i]);
    for (size_t i = 0; o->model && i < o->samples.count; i++)
        if (!find_adapter(o, i))
            return FAIL(ST_USAGE, "--samples %s: no --adapter NAME=D of that name says who wrote them (the base model itself: NAME=M)",
                        o->samples.items[i]);
    if (o->adapters.count > o->samples.count)
        return FAIL(ST_USAGE, "%zu --adapter and %zu --samples; expected one of each name for every file of samples", o->adapters.count,
                    o->samples.count);
    TRY(cli_micro_batch_tokens(o->budget));
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
    struct eval_input in = {.above = opt_given(&r, &cmd_eval_kl_spec, "above") ? o.above : (double)NAN};
    TRY(check(&o, &r));
    TRY(cli_bootstrap(&in.bootstrap, o.resamples, o.seed));
    TRY(cli_fields(&map, &o.fields));
    struct goal_samples *runs = mem_zero(o.samples.count, sizeof *runs);
    struct computed *files = mem_zero(o.samples.count, sizeof *files);
    struct goal_names names = {0};
    in.samples = runs;
    in.names = &names;
    status s = o.model ? score_files(files, &o, &map) : ST_OK;
    for (size_t i = 0; s == ST_OK && i < o.samples.count; i++) {
        struct goal_samples file;
        s = load_file(&file, i, &files[i], &o, &map, &names);
        if (s == ST_OK) s = cli_add_samples(runs, &in.run_count, &file);
    }
    if (s == ST_OK) s = cli_finish_samples(runs, in.run_count, o.goals, &names);
    if (s == ST_OK) s = cli_evaluate(kl_run, &in, o.output, o.json);
    for (size_t i = 0; i < in.run_count; i++) goal_samples_release(&runs[i]);
    for (size_t i = 0; i < o.samples.count; i++) {
        goal_logps_release(&files[i].policy);
        goal_logps_release(&files[i].reference);
    }
    goal_names_release(&names);
    free(files);
    free(runs);
    return s;
}
