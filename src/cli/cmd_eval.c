/* rapt eval TASK: evaluations from a table of tasks, over models or log-prob files. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "cli/cli_attributes.h"
#include "cli/cli_eval.h"
#include "cli/cli_model.h"
#include "cli/cli_fields.h"
#include "cli/cli_kwargs.h"
#include "cli/cli_range.h"
#include "cli/cmd.h"
#include "eval/goal_curve.h"
#include "eval/score_pairs.h"
#include "eval/summary.h"
#include "model/peft_io.h"
#include "text/goal.h"

struct eval_options {
    struct opt_list logps, references, adapters, fields, samples, results;
    const char *model, *data, *dtype, *kwargs;
    const char *output, *score_range;
    const char *best_output, *picture, *goals, *attribute;
    double above;
    bool json;
    int64_t resamples, seed, max_length, budget, threads;
};

static const struct opt_row rows[] = {
    {"with models", OPT_HEADING, 0, NULL, NULL, NULL, NULL},
    {"model", OPT_STR, offsetof(struct eval_options, model), "M", NULL, NULL, "the base model; it is evaluated too and is the reference"},
    {"adapter", OPT_LIST, offsetof(struct eval_options, adapters), "[NAME=]D", NULL, NULL,
     "adapters trained on it, or folders of fully trained models. Several: differences are to the first. Several of one NAME are one run "
     "with several seeds: "
     "their pairs count together, and intervals stay over prompts."},
    {"data", OPT_STR, offsetof(struct eval_options, data), "F", NULL, NULL,
     "goal-conditioned test rows, both halves of each pair (rapt augment --test-output)"},
    CLI_FIELD_ROW(offsetof(struct eval_options, fields)),
    CLI_KWARGS_ROW(offsetof(struct eval_options, kwargs)),
    {"max-length", OPT_INT, offsetof(struct eval_options, max_length), "N", "1024", NULL,
     "as in train; rows whose prompt reaches it are left out and counted; 0 = no limit"},
    {"micro-batch-tokens", OPT_INT, offsetof(struct eval_options, budget), "N", "2048", NULL, "positions computed at a time"},
    {"dtype", OPT_CHOICE, offsetof(struct eval_options, dtype), NULL, "auto", DTYPE_CHOICES, DTYPE_HELP},
    {"threads", OPT_INT, offsetof(struct eval_options, threads), "N", "0", NULL, "0 = all cores"},
    {"with log-prob files", OPT_HEADING, 0, NULL, NULL, NULL, NULL},
    {"logps", OPT_LIST, offsetof(struct eval_options, logps), "[NAME=]FILE", NULL, NULL,
     "Log-prob rows of a policy, as rapt logps writes them. Several, and several of one NAME: as with --adapter."},
    {"reference", OPT_LIST, offsetof(struct eval_options, references), "[NAME=]FILE", NULL, NULL,
     "Log-prob rows of the reference model on the same data; NAME=FILE: of the run NAME, whose rows have other goals than those of the "
     "others. Rows that carry ref_logps_chosen and "
     "ref_logps_rejected do without."},
    {"goal-curve", OPT_HEADING, 0, NULL, NULL, NULL, NULL},
    {"samples", OPT_LIST, offsetof(struct eval_options, samples), "[NAME=]FILE", NULL, NULL,
     "Scored responses with the goal that each was written under: rapt generate --goal 2,6,10 --n 4, then rapt score. Several, and several "
     "of one NAME: as "
     "with --adapter."},
    {"goals", OPT_STR, offsetof(struct eval_options, goals), "G,G,...", NULL, NULL,
     "Samples under these goals alone, and those without one: with two goals span is the difference between them."},
    {"above", OPT_DOUBLE, offsetof(struct eval_options, above), "R", NULL, NULL, "Also the share of scores above R at each goal."},
    {"best-output", OPT_STR, offsetof(struct eval_options, best_output), "D/goal.json", NULL, NULL,
     "Set \"best\", the goal with the highest mean score, in the goal.json of an adapter or model folder, for --goal best."},
    {"summary", OPT_HEADING, 0, NULL, NULL, NULL, NULL},
    {"results", OPT_LIST, offsetof(struct eval_options, results), "FILE", NULL, NULL,
     "What the other tasks printed with --json, of the same runs under the same names: one table of all of it, with the differences to the "
     "run that stood "
     "first."},
    {"picture", OPT_STR, offsetof(struct eval_options, picture), "F.svg", NULL, NULL,
     "Draw it: each figure with all runs and their intervals, and the goal curves."},
    {"all tasks", OPT_HEADING, 0, NULL, NULL, NULL, NULL},
    {"attribute", OPT_STR, offsetof(struct eval_options, attribute), "NAME", NULL, NULL,
     "Of goals of several attributes. goal-curve: what was asked of this one against what the responses' scores have of it, whatever was "
     "asked of the others. midpoint: does the "
     "preference turn where this one's goal passes the point that the pair's scores and the goals of the others say, these being the same; "
     "needs --score-range."},
    {"score-range", OPT_STR, offsetof(struct eval_options, score_range), "A,B", "1,10", NULL,
     "goal-accuracy: the scale of the scores; its middle parts high from low pairs. unlearning: buckets are cut at its middle and into its "
     "fifths; where it is not "
     "given at 5, 3, 7 and 9. midpoint --attribute: the attributes' scales, which weigh them: A,B for all, or NAME=A,B;NAME=A,B as in "
     "augment."},
    CLI_BOOTSTRAP_ROWS(offsetof(struct eval_options, resamples), offsetof(struct eval_options, seed), "prompts"),
    {"json", OPT_FLAG, offsetof(struct eval_options, json), NULL, NULL, NULL, "Print JSON instead of tables."},
    {"output", OPT_STR, offsetof(struct eval_options, output), "FILE", NULL, NULL, "Write the JSON to this file too."},
};

static void put_values(struct buf *out, const char *option) {
    if (option[0]) return;
    buf_append_text(out, "summary");
    for (size_t i = 0; i < eval_count; i++) buf_printf(out, "|%s", eval_table[i].name);
    for (size_t i = 0; i < eval_cmd_count; i++) buf_printf(out, "|%s", eval_cmd_table[i].name);
}

const struct opt_spec cmd_eval_spec = {
    .command = "eval",
    .summary = "measure what training changed: goal accuracy, midpoint, unlearning, goal curve",
    .positional = "TASK",
    .put_values = put_values,
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .example = "rapt eval goal-accuracy --model M.gguf --adapter ra=runs/ra --adapter plain=runs/plain --data test.jsonl\n"
               "rapt eval goal-accuracy --logps policy.jsonl --reference base.jsonl\n"
               "rapt eval goal-accuracy --logps paired=a.jsonl --logps plain=b.jsonl --reference base.jsonl --json\n"
               "rapt eval unlearning --logps policy.jsonl --reference base.jsonl\n"
               "rapt eval midpoint --logps sweep.jsonl --reference base-sweep.jsonl\n"
               "rapt eval summary --results accuracy.json --results curve.json --picture runs.svg\n"
               "rapt eval goal-curve --samples ra=scored.jsonl --samples plain=scored-plain.jsonl --best-output runs/ra/goal.json",
    .notes =
        "TASK is goal-accuracy (each half, strict, flip rate, by stratum), unlearning (change of log-prob a token by score), midpoint "
        "(does the\n"
        "preference turn at the middle of the two scores; rows of rapt augment --test-goals) or goal-curve (requested against achieved "
        "score).\n"
        "summary puts what these found about any number of runs into one table and one picture.\n"
        "Tasks with options of their own, rapt eval TASK --help: kl (how far policies are from their reference), multiple-choice, gsm8k,\n"
        "judge (asks a language model for the judgements of the next three), alpaca, arena-hard, mt-bench, mt-answers.",
};

static status unknown_task(const char *name) {
    struct buf names = {0};
    for (size_t i = 0; i < eval_count; i++) buf_printf(&names, "%s, ", eval_table[i].name);
    for (size_t i = 0; i < eval_cmd_count; i++) buf_printf(&names, "%s, ", eval_cmd_table[i].name);
    buf_append_text(&names, "summary");
    status code = name ? FAIL(ST_USAGE, "unknown task '%s'; expected one of: %s", name, buf_text(&names))
                       : FAIL(ST_USAGE, "expected one TASK: %s", buf_text(&names));
    buf_release(&names);
    return code;
}

/* A file's rows, joined with the base's where there is one, become a run or go to the run of that name. Takes the file. */
static status add_run(struct logps_rows *runs, size_t *count, struct logps_rows *file, const struct logps_rows *base) {
    size_t at = 0;
    status code = base->count ? logps_rows_join(file, base) : ST_OK;
    while (at < *count && strcmp(runs[at].name, file->name) != 0) at++;
    if (code == ST_OK && at == *count) {
        runs[(*count)++] = *file;
        return ST_OK;
    }
    if (code == ST_OK) code = logps_rows_pool(&runs[at], file);
    logps_rows_release(file);
    return code;
}

/* named: [count] references of runs of that name; base: that of all others. */
static status load_references(struct logps_rows *named, size_t *count, struct logps_rows *base, const struct eval_options *o,
                              const struct logps_sweep *sweep) {
    for (size_t i = 0; i < o->references.count; i++) {
        const char *text = o->references.items[i];
        char *name;
        const char *path = cli_split_name(&name, text);
        const bool all = path == text;
        status s = ST_OK;
        for (size_t k = 0; k < *count && !all; k++)
            if (strcmp(named[k].name, name) == 0) s = FAIL(ST_USAGE, "--reference: two of %s", name);
        if (all && base->count)
            s = FAIL(ST_USAGE, "--reference: two files, %s the second, for runs without one of their own (NAME=FILE)", text);
        if (s == ST_OK) s = logps_rows_load(all ? base : &named[*count], all ? "reference" : name, path, sweep);
        *count += s == ST_OK && !all;
        free(name);
        TRY(s);
    }
    return ST_OK;
}

static const struct logps_rows *reference_of(const struct logps_rows *named, size_t count, const struct logps_rows *base,
                                             const char *name) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(named[i].name, name) == 0) return &named[i];
    return base;
}

static status load_runs(struct logps_rows *runs, size_t *count, const struct logps_rows *named, size_t named_count,
                        const struct logps_rows *base, const struct eval_options *o, const struct logps_sweep *sweep) {
    for (size_t i = 0; i < o->logps.count; i++) {
        char *name;
        struct logps_rows file;
        const char *path = cli_split_name(&name, o->logps.items[i]);
        status s = logps_rows_load(&file, name, path, sweep);
        free(name);
        TRY(s);
        TRY(add_run(runs, count, &file, reference_of(named, named_count, base, file.name)));
    }
    for (size_t i = 0; i < named_count; i++) {
        size_t at = 0;
        while (at < *count && strcmp(runs[at].name, named[i].name) != 0) at++;
        if (at == *count) return FAIL(ST_USAGE, "--reference %s=FILE: no --logps is called %s", named[i].name, named[i].name);
    }
    return ST_OK;
}

static status load_files(struct logps_rows *runs, size_t *count, struct logps_rows *base, const struct eval_options *o,
                         const struct logps_sweep *sweep) {
    struct logps_rows *named = mem_zero(o->references.count + 1, sizeof *named);
    size_t named_count = 0;
    status s = load_references(named, &named_count, base, o, sweep);
    if (s == ST_OK) s = load_runs(runs, count, named, named_count, base, o, sweep);
    for (size_t i = 0; i < named_count; i++) logps_rows_release(&named[i]);
    free(named);
    return s;
}

/* Adapters sit on the model, or are models of their own. */
static status score_one(struct logps_rows *run, const struct eval_options *o, const char *name, const char *adapter,
                        const struct logps_sweep *sweep) {
    struct score_options so = {.model = o->model,
                               .adapter = adapter,
                               .input = o->data,
                               .what = name,
                               .max_length = (size_t)o->max_length,
                               .budget = (size_t)o->budget,
                               .kwargs = o->kwargs};
    uint64_t nulls;
    struct source_map map;
    char *first = NULL; /* the base model is asked as the first of those that are compared with it */
    TRY(cli_fields(&map, &o->fields));
    TRY(cli_dtype(&so.kind, o->dtype));
    so.map = &map;
    if (!adapter && o->adapters.count) so.kwargs_from = cli_split_name(&first, o->adapters.items[0]);
    free(first);
    if (adapter && adapter_is_model(adapter)) so.model = adapter, so.adapter = NULL;
    TRY(score_pairs_rows(run, &nulls, name, &so, sweep));
    if (nulls && !adapter) log_warn("%s: %llu rows left out: the prompt reaches --max-length", o->data, (unsigned long long)nulls);
    return ST_OK;
}

static status score_models(struct logps_rows *runs, size_t *count, struct logps_rows *base, const struct eval_options *o,
                           const struct logps_sweep *sweep) {
    TRY(score_one(base, o, "base", NULL, sweep));
    for (size_t i = 0; i < o->adapters.count; i++) {
        char *name;
        struct logps_rows file;
        const char *path = cli_split_name(&name, o->adapters.items[i]);
        status s = score_one(&file, o, name, path, sweep);
        free(name);
        TRY(s);
        TRY(add_run(runs, count, &file, base));
    }
    return ST_OK;
}

static bool given(const struct opt_result *r, const char *name) { return opt_given(r, &cmd_eval_spec, name); }

static status none_given(const struct opt_result *r, const char *const *names, const char *why) {
    for (; *names; names++)
        if (given(r, *names)) return FAIL(ST_USAGE, "--%s has no effect %s", *names, why);
    return ST_OK;
}

static status check_samples(const struct eval_options *o, const struct opt_result *r) {
    static const char *const others[] = {"model",       "adapter", "data",    "max-length", "micro-batch-tokens",
                                         "dtype",       "threads", "logps",   "reference",  "chat-template-kwargs",
                                         "score-range", "results", "picture", NULL};
    TRY(none_given(r, others, "on goal-curve, which looks at --samples"));
    if (o->samples.count == 0)
        return FAIL(ST_USAGE, "rapt eval goal-curve expects --samples FILE, responses under several goals with scores: rapt generate "
                              "--goal 2,6,10, then rapt score");
    if (o->best_output && o->attribute)
        return FAIL(ST_USAGE, "--best-output takes samples under goals that are one score; what is best of attributes is said in training "
                              "(rapt augment --best)");
    if (o->best_output && o->samples.count != 1) return FAIL(ST_USAGE, "--best-output takes the samples of one model, in one file");
    return ST_OK;
}

static status check_inputs(const struct eval_options *o, const struct opt_result *r, const struct eval_task *task) {
    static const char *const
        with_model[] = {"adapter", "data", "max-length", "micro-batch-tokens", "dtype", "threads", "field", "chat-template-kwargs", NULL},
        *const with_files[] = {"logps", "reference", NULL}, *const with_samples[] = {"samples", "goals", "above", "best-output", NULL},
        *const with_results[] = {"results", "picture", NULL}, *const scale[] = {"score-range", NULL},
        *const attribute[] = {"attribute", NULL};
    const bool along = o->attribute && task->rows == EVAL_SWEEPS;
    if (task->rows == EVAL_SAMPLES) return check_samples(o, r);
    if (!o->model && o->logps.count == 0) return FAIL(ST_USAGE, "rapt eval %s expects --model M --data F, or --logps FILE", task->name);
    TRY(none_given(r, with_samples, "on a task other than goal-curve"));
    TRY(none_given(r, with_results, "on a task other than summary"));
    if (!o->model) TRY(none_given(r, with_model, "without --model"));
    if (o->model) TRY(none_given(r, with_files, "with --model"));
    if (!along) TRY(none_given(r, attribute, "on a task other than goal-curve and midpoint"));
    if (task->run != goal_accuracy_run && task->run != unlearning_run && !along)
        TRY(none_given(r, scale, "on a task other than goal-accuracy and unlearning, but for midpoint --attribute"));
    if (along && !given(r, "score-range"))
        return FAIL(ST_USAGE, "--attribute expects --score-range, the attributes' scales as in rapt augment: how much the others' goals "
                              "count depends on them");
    if (o->model && !o->data) return FAIL(ST_USAGE, "--model needs --data F, the test rows");
    TRY(cli_micro_batch_tokens(o->budget));
    if (o->max_length < 0) return FAIL(ST_USAGE, "--max-length expects 0 or more");
    return cli_threads(o->threads);
}

/* Tasks over log-probs: of models or of files. */
static status run_logps(const struct eval_task *task, struct eval_input *in, const struct eval_options *o,
                        const struct goal_style *scales) {
    const struct logps_sweep goals = {o->attribute, scales}, *sweep = task->rows == EVAL_SWEEPS ? &goals : NULL;
    struct logps_rows *runs = mem_zero(o->adapters.count + o->logps.count + 1, sizeof *runs), base = {0};
    status code = o->model ? score_models(runs, &in->run_count, &base, o, sweep) : load_files(runs, &in->run_count, &base, o, sweep);
    for (size_t i = 1; code == ST_OK && i < in->run_count; i++) {
        code = cli_check_pooled(runs[i].name, runs[i].pooled, runs[0].name, runs[0].pooled);
        if (code == ST_OK) code = logps_rows_check_pairs(&runs[0], &runs[i]);
    }
    in->runs = runs;
    in->base = base.count ? &base : NULL;
    if (code == ST_OK) code = cli_evaluate(task->run, in, o->output, o->json);
    for (size_t i = 0; i < in->run_count; i++) logps_rows_release(&runs[i]);
    logps_rows_release(&base);
    free(runs);
    return code;
}

static status load_samples(struct goal_samples *runs, size_t *count, const struct eval_options *o) {
    struct source_map map;
    TRY(cli_fields(&map, &o->fields));
    for (size_t i = 0; i < o->samples.count; i++) {
        char *name;
        struct goal_samples file;
        const char *path = cli_split_name(&name, o->samples.items[i]);
        const status s = goal_samples_load(&file, name, path, &(struct goal_samples_options){.map = &map, .attribute = o->attribute});
        free(name);
        TRY(s);
        TRY(cli_add_samples(runs, count, &file));
    }
    return cli_finish_samples(runs, *count, o->goals, NULL);
}

static status store_best(const struct goal_samples *run, const char *path) {
    const double best = goal_curve_best(run);
    if (run->goal_count < 2)
        return FAIL(ST_MISMATCH, "--best-output: the samples have %s; it takes several goals to find the best",
                    run->goal_count ? "one goal only" : "no goals");
    TRY(goal_best_store(path, best));
    log_info("%s: the best goal is %g; rapt generate --goal best and rapt chat --goal best take it", path, best);
    return ST_OK;
}

static status run_samples(const struct eval_task *task, struct eval_input *in, const struct eval_options *o) {
    struct goal_samples *runs = mem_zero(o->samples.count, sizeof *runs);
    status code = load_samples(runs, &in->run_count, o);
    in->samples = runs;
    if (code == ST_OK) code = cli_evaluate(task->run, in, o->output, o->json);
    if (code == ST_OK && o->best_output) code = store_best(&runs[0], o->best_output);
    for (size_t i = 0; i < in->run_count; i++) goal_samples_release(&runs[i]);
    free(runs);
    return code;
}

/* Everything but --results, --picture, --json and --output is for the tasks. */
static status run_summary(const struct eval_options *o, const struct opt_result *r) {
    struct summary summary;
    struct buf json = {0}, text = {0}, picture = {0};
    for (size_t i = 0; i < cmd_eval_spec.row_count; i++) {
        static const char *const own[] = {"results", "picture", "json", "output"};
        const struct opt_row *row = &cmd_eval_spec.rows[i];
        bool taken = row->kind == OPT_HEADING;
        for (size_t j = 0; j < sizeof own / sizeof own[0]; j++) taken = taken || strcmp(row->name, own[j]) == 0;
        if (!taken && given(r, row->name)) return FAIL(ST_USAGE, "--%s has no effect on summary, which looks at --results", row->name);
    }
    if (!o->results.count) return FAIL(ST_USAGE, "rapt eval summary expects --results FILE, what rapt eval TASK --json printed");
    status code = summary_load(&summary, o->results.items, o->results.count);
    if (code == ST_OK) summary_put(&json, &text, &summary);
    if (code == ST_OK && o->picture) {
        summary_picture(&picture, &summary);
        code = file_write(o->picture, picture.data, picture.size);
    }
    if (code == ST_OK) code = cli_put_results(&json, &text, o->output, o->json);
    summary_release(&summary);
    buf_release(&json);
    buf_release(&text);
    buf_release(&picture);
    return code;
}

status cmd_eval_run(int argc, char **argv) {
    struct eval_options o = {0};
    struct opt_result result;
    bool done;
    const struct cmd *own = argc > 0 ? cmd_eval_find(argv[0]) : NULL;
    if (own) return own->run(argc - 1, argv + 1);
    TRY(cmd_parse(&result, &cmd_eval_spec, &o, argc, argv, &done));
    if (done) return ST_OK;
    if (result.positional_count == 1 && strcmp(result.positional[0], "summary") == 0) return run_summary(&o, &result);
    const struct eval_task *task = result.positional_count == 1 ? eval_find(result.positional[0]) : NULL;
    if (!task) return unknown_task(result.positional_count == 1 ? result.positional[0] : NULL);
    TRY(check_inputs(&o, &result, task));
    struct eval_input in = {
        .above = given(&result, "above") ? o.above : (double)NAN, .attribute = o.attribute, .scaled = given(&result, "score-range")};
    TRY(cli_bootstrap(&in.bootstrap, o.resamples, o.seed));
    if (task->rows == EVAL_SAMPLES) return run_samples(task, &in, &o);
    struct goal_style scales = {0};
    status s = task->rows == EVAL_SWEEPS ? cli_attributes_named_scales(&scales, o.score_range)
                                         : cli_range(&in.low, &in.high, "score-range", o.score_range);
    if (s == ST_OK) s = run_logps(task, &in, &o, &scales);
    goal_style_release(&scales);
    return s;
}
