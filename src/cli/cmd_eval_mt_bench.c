/* rapt eval mt-bench: means of a judge's grades by turn and category. */
#include "cli/cli_eval.h"
#include "cli/cmd.h"
#include "eval/mt_bench.h"

struct options {
    struct opt_list judgments;
    const char *questions, *baseline, *output;
    int64_t resamples, seed;
    bool json;
};

#define FIELD(name) offsetof(struct options, name)
static const struct opt_row rows[] = {
    {"judgments", OPT_LIST, FIELD(judgments), "F.jsonl", NULL, NULL,
     "FastChat's model_judgment rows: question_id, model, turn, score; or of pairs model_1, model_2, g1_winner, g2_winner"},
    {"questions", OPT_STR, FIELD(questions), "F.jsonl", NULL, NULL, "FastChat's question.jsonl: also by category"},
    {"baseline", OPT_STR, FIELD(baseline), "NAME", NULL, NULL, "pairs: only those with this model, which is not listed itself"},
    CLI_BOOTSTRAP_ROWS(FIELD(resamples), FIELD(seed), "questions"),
    {"json", OPT_FLAG, FIELD(json), NULL, NULL, NULL, "Print JSON instead of a table."},
    {"output", OPT_STR, FIELD(output), "FILE", NULL, NULL, "Write the JSON to this file too."},
};

const struct opt_spec cmd_eval_mt_bench_spec = {
    .command = "eval mt-bench",
    .summary = "MT-Bench: mean grades by turn and category, or win rates of pairs, with intervals, from a judge's rows.",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .example = "rapt eval mt-bench --judgments model_judgment/gpt-4_single.jsonl --questions question.jsonl\n"
               "rapt eval mt-bench --judgments model_judgment/gpt-4_pair.jsonl --baseline base",
    .notes = "rapt eval mt-answers writes a model's answers; docs/evaluation.md has the forms.",
};

static status evaluate(const struct options *o, struct mt_bench *b, const struct bootstrap_params *p) {
    struct buf json = {0}, text = {0};
    if (o->questions) TRY(mt_load_questions(b, o->questions));
    for (size_t i = 0; i < o->judgments.count; i++) TRY(mt_load_judgements(b, o->judgments.items[i]));
    if (!b->model_count) return FAIL(ST_FORMAT, "%s: no judgements%s", o->judgments.items[0], o->baseline ? " with the baseline" : "");
    if (o->baseline && !b->pairs) return FAIL(ST_USAGE, "--baseline has no effect: the rows are no pairs");
    if (o->questions && !b->singles) return FAIL(ST_USAGE, "--questions has no effect: the rows are pairs");
    status s = mt_put(&json, &text, b, p);
    if (s == ST_OK) s = cli_put_results(&json, &text, o->output, o->json);
    buf_release(&json);
    buf_release(&text);
    return s;
}

status cmd_eval_mt_bench_run(int argc, char **argv) {
    struct options o = {0};
    struct opt_result r;
    struct mt_bench b = {0};
    struct bootstrap_params p;
    bool done;
    TRY(cmd_parse(&r, &cmd_eval_mt_bench_spec, &o, argc, argv, &done));
    if (done) return ST_OK;
    if (!o.judgments.count) return FAIL(ST_USAGE, "--judgments FILE is needed");
    TRY(cli_bootstrap(&p, o.resamples, o.seed));
    if (o.baseline) b.baseline = mem_text(o.baseline);
    const status s = evaluate(&o, &b, &p);
    mt_release(&b);
    return s;
}
