/* rapt eval TASK: evaluations from a table of tasks, over log-prob files. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "cli/cmd.h"
#include "eval/eval.h"

struct eval_options {
    struct opt_list logps;
    const char *reference, *output, *score_range;
    bool json;
    int64_t resamples, seed;
};

static const struct opt_row rows[] = {
    {"logps", OPT_LIST, offsetof(struct eval_options, logps), "[NAME=]FILE", NULL, NULL,
     "Log-prob rows of a policy, as rapt logps writes them. Several: differences are to the first."},
    {"reference", OPT_STR, offsetof(struct eval_options, reference), "FILE", NULL, NULL,
     "Log-prob rows of the reference model on the same data. Rows that carry ref_logps_chosen and ref_logps_rejected do without."},
    {"score-range", OPT_STR, offsetof(struct eval_options, score_range), "A,B", "1,10", NULL, "The scale of the scores; its middle parts high from low pairs."},
    {"resamples", OPT_INT, offsetof(struct eval_options, resamples), "N", "2000", NULL, "Bootstrap resamples, over prompts, behind the 95% intervals."},
    {"seed", OPT_INT, offsetof(struct eval_options, seed), "N", "0", NULL, "Of the bootstrap."},
    {"json", OPT_FLAG, offsetof(struct eval_options, json), NULL, NULL, NULL, "Print JSON instead of tables."},
    {"output", OPT_STR, offsetof(struct eval_options, output), "FILE", NULL, NULL, "Write the JSON to this file too."},
};

const struct opt_spec cmd_eval_spec = {
    .command = "eval",
    .summary = "measure what training changed: goal accuracy, unlearning",
    .positional = "TASK",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .example = "rapt eval goal-accuracy --logps policy.jsonl --reference base.jsonl\n"
               "rapt eval goal-accuracy --logps paired=a.jsonl --logps plain=b.jsonl --reference base.jsonl --json\n"
               "rapt eval unlearning --logps policy.jsonl --reference base.jsonl",
    .notes = "TASK is goal-accuracy (each half, strict, flip rate, by stratum) or unlearning (change of log-prob a token by score).",
};

static status unknown_task(const char *name) {
    struct buf names = {0};
    for (size_t i = 0; i < eval_count; i++) buf_printf(&names, "%s%s", i ? ", " : "", eval_table[i].name);
    status code = name ? FAIL(ST_USAGE, "unknown task '%s'; expected one of: %s", name, buf_text(&names))
                       : FAIL(ST_USAGE, "expected one TASK: %s", buf_text(&names));
    buf_release(&names);
    return code;
}

/* "name=file", or a file whose path is its name. A file that exists under the whole text is taken whole. */
static status load_run(struct logps_rows *run, const char *text) {
    const char *equals = strchr(text, '=');
    if (!equals || equals == text || file_exists(text)) return logps_rows_load(run, text, text);
    char *name = mem_text_n(text, (size_t)(equals - text));
    status code = logps_rows_load(run, name, equals + 1);
    free(name);
    return code;
}

static status load_all(struct logps_rows *runs, struct logps_rows *base, const struct eval_options *o) {
    if (o->reference) TRY(logps_rows_load(base, "reference", o->reference));
    for (size_t i = 0; i < o->logps.count; i++) {
        TRY(load_run(&runs[i], o->logps.items[i]));
        if (o->reference) TRY(logps_rows_join(&runs[i], base));
    }
    return ST_OK;
}

static status evaluate(const struct eval_task *task, const struct eval_input *in, const struct eval_options *o) {
    struct buf json = {0}, text = {0};
    status code = task->run(&json, &text, in);
    if (code == ST_OK && o->output) code = file_write(o->output, json.data, json.size);
    if (code == ST_OK) fputs(buf_text(o->json ? &json : &text), stdout);
    buf_release(&json);
    buf_release(&text);
    return code;
}

status cmd_eval_run(int argc, char **argv) {
    struct eval_options o = {0};
    struct opt_result result;
    bool done;
    TRY(cmd_parse(&result, &cmd_eval_spec, &o, argc, argv, &done));
    if (done) return ST_OK;
    const struct eval_task *task = result.positional_count == 1 ? eval_find(result.positional[0]) : NULL;
    if (!task) return unknown_task(result.positional_count == 1 ? result.positional[0] : NULL);
    if (o.logps.count == 0) return FAIL(ST_USAGE, "rapt eval %s expects --logps FILE", task->name);
    if (o.resamples < 100 || o.resamples > 1000000) return FAIL(ST_USAGE, "--resamples must lie in 100 .. 1000000");
    struct eval_input in = {.run_count = o.logps.count, .bootstrap = {(size_t)o.resamples, 0.95, (uint64_t)o.seed}};
    char behind;
    if (sscanf(o.score_range, "%lf,%lf%c", &in.low, &in.high, &behind) != 2 || !(in.low < in.high))
        return FAIL(ST_USAGE, "--score-range expects two numbers such as 1,10, found '%s'", o.score_range);
    struct logps_rows *runs = mem_zero(o.logps.count, sizeof *runs), base = {0};
    status code = load_all(runs, &base, &o);
    in.runs = runs;
    in.base = o.reference ? &base : NULL;
    if (code == ST_OK) code = evaluate(task, &in, &o);
    for (size_t i = 0; i < o.logps.count; i++) logps_rows_release(&runs[i]);
    logps_rows_release(&base);
    free(runs);
    return code;
}
