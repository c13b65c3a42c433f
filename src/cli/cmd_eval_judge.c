/* rapt eval judge: judgements of a language model in a benchmark's own file form. */
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/log.h"
#include "cli/cli_counts.h"
#include "cli/cli_endpoint.h"
#include "cli/cli_kwargs.h"
#include "cli/cli_model.h"
#include "cli/cmd.h"
#include "eval/bench_judge.h"
#include "infer/ask.h"
#include "model/peft_io.h"

struct options {
    const char *bench, *answers, *baseline, *questions, *references, *prompts, *output, *on_bad, *judge, *model, *adapter, *dtype, *kwargs;
    struct opt_list baselines;
    int64_t limit, max_tokens, answer_tries, max_length, batch, threads;
    bool json;
    struct endpoint_flags endpoint;
};

#define FIELD(name) offsetof(struct options, name)
#define ENDPOINT(name) offsetof(struct options, endpoint.name)
static const struct opt_row rows[] = {
    {"bench", OPT_STR, FIELD(bench), "NAME", NULL, NULL, "whose questions and files they are:"},
    {"answers", OPT_STR, FIELD(answers), "F", NULL, NULL,
     "the model's answers: AlpacaEval's model_outputs.json, MT-Bench's or Arena-Hard's model_answer/NAME.jsonl"},
    {"baseline-answers", OPT_LIST, FIELD(baselines), "F", NULL, NULL,
     "answers in the same form that they are compared with; of arena-hard-v2 a file for each baseline"},
    {"baseline", OPT_STR, FIELD(baseline), "NAME", NULL, NULL, "the model of --baseline-answers, instead of the benchmark's own"},
    {"questions", OPT_STR, FIELD(questions), "F.jsonl", NULL, NULL, "the benchmark's question.jsonl"},
    {"reference-answers", OPT_STR, FIELD(references), "F.jsonl", NULL, NULL,
     "MT-Bench's reference_answer/gpt-4.jsonl, for questions of the categories math, reasoning and coding"},
    {"judge-prompts", OPT_STR, FIELD(prompts), "F", NULL, NULL,
     "what the judge reads, in the benchmark's own form: alpaca's template in ChatML, MT-Bench's judge_prompts.jsonl, Arena-Hard's config "
     "YAML (of which "
     "prompt_template, system_prompt and system_prompts are taken). Default: the benchmark's own"},
    {"limit", OPT_INT, FIELD(limit), "N", "0", NULL, "the first N questions; 0 = all"},
    {"output", OPT_STR, FIELD(output), "F", NULL, NULL, "the judgements: annotations.json, or rows of model_judgment"},
    {"json", OPT_FLAG, FIELD(json), NULL, NULL, NULL, "Print the counts on stdout as JSON."},
    {"judge-id", OPT_STR, FIELD(judge), "NAME", NULL, NULL, "the judge's name in the output; default: that of --endpoint-model or --model"},
    {"The judge", OPT_HEADING, 0, NULL, NULL, NULL, NULL},
    {"max-answer-tokens", OPT_INT, FIELD(max_tokens), "N", "0", NULL, "Tokens of an answer, at most; 0 is what the benchmark has."},
    {"answer-tries", OPT_INT, FIELD(answer_tries), "N", "0", NULL,
     "Times that a question is asked until its answer can be read; 0 is what the benchmark has: 2 for arena-hard-v0.1, which goes on with "
     "the conversation, else 1. "
     "Others are asked again at temperature 1."},
    {"on-bad-answer", OPT_CHOICE, FIELD(on_bad), NULL, "null", "stop|null",
     "When none can: stop, or, as the benchmarks do, write a judgement without verdict, and count it."},
    {"A judge behind an endpoint", OPT_HEADING, 0, NULL, NULL, NULL, NULL},
    ENDPOINT_ROWS(ENDPOINT, "OUTPUT.judge.jsonl"),
    {"A judge in this process", OPT_HEADING, 0, NULL, NULL, NULL, NULL},
    {"model", OPT_STR, FIELD(model), "M", NULL, NULL, "a Hugging Face folder or a .gguf file, with a chat template"},
    {"adapter", OPT_STR, FIELD(adapter), "D", NULL, NULL, "a PEFT adapter on top"},
    CLI_KWARGS_ROW(FIELD(kwargs)),
    {"batch-size", OPT_INT, FIELD(batch), "N", "16", NULL, "answers written at a time"},
    {"max-length", OPT_INT, FIELD(max_length), "N", "0", NULL,
     "most tokens of question and answer, cut to the model's positions; sizes the memory. 0: the longest question with its longest answer. "
     "A question that leaves no "
     "room for an answer is one that cannot be read"},
    {"dtype", OPT_CHOICE, FIELD(dtype), NULL, "auto", INFER_DTYPE_CHOICES, INFER_DTYPE_HELP},
    {"threads", OPT_INT, FIELD(threads), "N", "0", NULL, "0 = all cores"},
};

static void put_names(struct buf *out, const char *option) {
    for (size_t i = 0; strcmp(option, "bench") == 0 && i < bench_protocol_count; i++)
        buf_printf(out, "%s%s: %s", i ? "; " : " ", bench_protocols[i]->name, bench_protocols[i]->help);
}

static void put_values(struct buf *out, const char *option) {
    for (size_t i = 0; strcmp(option, "bench") == 0 && i < bench_protocol_count; i++)
        buf_printf(out, "%s%s", i ? "|" : "", bench_protocols[i]->name);
}

const struct opt_spec cmd_eval_judge_spec = {
    .command = "eval judge",
    .summary = "A language model's judgements for AlpacaEval, MT-Bench and Arena-Hard, in their own files.",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .put_names = put_names,
    .put_values = put_values,
    .example =
        "rapt eval judge --bench alpaca --answers model_outputs.json --baseline-answers gpt4_turbo.json --output annotations.json \\\n"
        "    --endpoint https://api.openai.com/v1 --endpoint-model gpt-4-1106-preview\n"
        "rapt eval judge --bench alpaca --answers model_outputs.json --baseline-answers gpt4_turbo.json --output annotations.json --model "
        "judge.gguf\n"
        "rapt eval judge --bench mt-bench --questions question.jsonl --reference-answers gpt-4.jsonl --answers mine.jsonl --output "
        "single.jsonl \\\n"
        "    --endpoint http://localhost:8000/v1 --endpoint-model NAME\n"
        "rapt eval judge --bench arena-hard-v2 --questions question.jsonl --answers mine.jsonl \\\n"
        "    --baseline-answers o3-mini.jsonl,gemini.jsonl --output judged.jsonl --endpoint http://localhost:8000/v1 --endpoint-model NAME",
    .notes = "rapt eval alpaca, mt-bench and arena-hard read what it writes, and so do the benchmarks' own scripts. docs/evaluation.md has "
             "the protocols.",
};

static status need(const char *value, const char *option, const struct bench_protocol *p) {
    return value ? ST_OK : FAIL(ST_USAGE, "--bench %s expects --%s FILE", p->name, option);
}

static status check_judge(const struct options *o, const struct opt_result *r) {
    static const char *const local[] = {"adapter", "chat-template-kwargs", "batch-size", "max-length", "dtype", "threads", NULL};
    const struct cli_between numbers[] = {{"batch-size", (double)o->batch, 1, 4096}, {"max-length", (double)o->max_length, 0, 1 << 24}};
    if ((o->endpoint.endpoint != NULL) == (o->model != NULL))
        return FAIL(ST_USAGE, "rapt eval judge expects --endpoint URL, or --model M for a judge in this process");
    TRY(o->model ? cli_endpoint_unused(r, &cmd_eval_judge_spec) : cli_endpoint_instead(r, &cmd_eval_judge_spec, local));
    if (o->max_length == 1) return FAIL(ST_USAGE, "--max-length expects 0, or 2 and more");
    TRY(cli_check_between(numbers, sizeof numbers / sizeof numbers[0]));
    return cli_threads(o->threads);
}

static status check(const struct options *o, const struct opt_result *r, const struct bench_protocol *p) {
    const struct {
        const char *option;
        unsigned flag;
    } of_some[] = {{"baseline-answers", BENCH_NEEDS_BASELINES},
                   {"questions", BENCH_NEEDS_QUESTIONS},
                   {"reference-answers", BENCH_TAKES_REFERENCES},
                   {"baseline", BENCH_TAKES_BASELINE}};
    const struct cli_between numbers[] = {{"limit", (double)o->limit, 0, 1e9},
                                          {"max-answer-tokens", (double)o->max_tokens, 0, 1e6},
                                          {"answer-tries", (double)o->answer_tries, 0, 100}};
    if (r->positional_count) return FAIL(ST_USAGE, "'%s' is not an option of rapt eval judge", r->positional[0]);
    TRY(need(o->answers, "answers", p));
    TRY(need(o->output, "output", p));
    TRY(check_judge(o, r));
    for (size_t i = 0; i < sizeof of_some / sizeof of_some[0]; i++)
        if (!(p->needs & of_some[i].flag) && opt_given(r, &cmd_eval_judge_spec, of_some[i].option))
            return FAIL(ST_USAGE, "--%s has no effect with --bench %s", of_some[i].option, p->name);
    if (p->needs & BENCH_NEEDS_BASELINES) TRY(need(o->baselines.count ? o->baselines.items[0] : NULL, "baseline-answers", p));
    if (p->needs & BENCH_NEEDS_QUESTIONS) TRY(need(o->questions, "questions", p));
    if (o->baselines.count > BENCH_FILES_MAX) return FAIL(ST_USAGE, "--baseline-answers expects at most %d files", BENCH_FILES_MAX);
    if (p->max_tokens == 1 && o->max_tokens > 1)
        return FAIL(ST_USAGE, "--max-answer-tokens: the judge of --bench %s is read by one token", p->name);
    if (o->json && strcmp(o->output, "-") == 0) return FAIL(ST_USAGE, "--json and --output - would both write to stdout");
    return cli_check_between(numbers, sizeof numbers / sizeof numbers[0]);
}

static status find_protocol(const struct bench_protocol **p, const char *name) {
    struct buf names = {0};
    *p = name ? bench_protocol_find(name) : NULL;
    if (*p) return ST_OK;
    put_values(&names, "bench");
    status s = FAIL(ST_USAGE, "--bench expects one of %s%s%s", buf_text(&names), name ? "; found " : "", name ? name : "");
    buf_release(&names);
    return s;
}

static status write_file(const struct bench *b, const char *path) {
    struct buf out = {0};
    b->protocol->write(&out, b);
    status s = file_write(path, out.data, out.size);
    buf_release(&out);
    return s;
}

static status ask_model(struct bench *b, struct remote_counts *counts, const struct options *o, const struct remote_options *how) {
    struct encoder encoder = {0};
    struct model model = {0};
    struct bench_model m = {
        .name = o->model, .encoder = &encoder, .model = &model, .batch = (size_t)o->batch, .length = (size_t)o->max_length};
    status s = encoder_open(&encoder, o->model);
    if (s == ST_OK) s = encoder_set_kwargs(&encoder, o->kwargs, &(struct kwargs_places){.adapter = o->adapter, .model = o->model});
    if (s == ST_OK) s = infer_model_open(&model, o->model, o->dtype);
    if (s == ST_OK && o->adapter) s = adapter_load(&model, o->adapter, false);
    if (s == ST_OK && o->adapter) m.theta = model.params.value;
    if (s == ST_OK) s = bench_ask_local(b, counts, how, &m);
    model_release(&model);
    encoder_release(&encoder);
    return s;
}

static status judge(const struct options *o, const struct bench_protocol *p, struct remote_options *remote) {
    struct bench b;
    struct bench_options bo = {.answers = o->answers,
                               .baseline_count = o->baselines.count,
                               .baseline = o->baseline,
                               .questions = o->questions,
                               .references = o->references,
                               .prompts = o->prompts,
                               .limit = (size_t)o->limit,
                               .judge = o->judge   ? o->judge
                                        : o->model ? o->model
                                                   : remote->model,
                               .seconds = (double)time(NULL)};
    struct remote_counts kept = {0}, *counts = &kept;
    for (size_t i = 0; i < o->baselines.count; i++) bo.baselines[i] = o->baselines.items[i];
    TRY(bench_open(&b, p, &bo));
    if (b.missing)
        log_warn("%s: %zu questions have no answer in it, and are left out%s%s", o->answers, b.missing, p->missing_hint ? "; " : "",
                 p->missing_hint ? p->missing_hint : "");
    status s = o->model ? ask_model(&b, counts, o, remote) : bench_ask(&b, counts, remote);
    if (s == ST_OK) s = write_file(&b, o->output);
    const struct cli_count list[] = {{"judgements", "questions about answers, and equal ones", b.count + b.equal},
                                     {"equal", "of them equal: not asked", b.equal},
                                     REMOTE_COUNT_MAP(CLI_COUNT)};
    if (s == ST_OK || kept.requests_sent) /* what was paid for is told in any case */
        cli_counts_print(list, sizeof list / sizeof list[0], o->json && s == ST_OK);
    if (s == ST_OK && kept.given_up) log_warn("%llu judgements have no verdict", (unsigned long long)kept.given_up);
    bench_release(&b);
    return s;
}

status cmd_eval_judge_run(int argc, char **argv) {
    struct options o = {0};
    struct opt_result r;
    const struct bench_protocol *p;
    bool done;
    TRY(cmd_parse(&r, &cmd_eval_judge_spec, &o, argc, argv, &done));
    if (done) return ST_OK;
    TRY(find_protocol(&p, o.bench));
    TRY(check(&o, &r, p));
    struct remote_options remote = {.max_tokens = o.max_tokens,
                                    .answer_tries = o.answer_tries,
                                    .stop_on_bad = strcmp(o.on_bad, "stop") == 0,
                                    .who = "judge",
                                    .item = "question",
                                    .go_on = "--on-bad-answer null"};
    if (!o.model) TRY(cli_endpoint(&remote, &o.endpoint, &r, &cmd_eval_judge_spec, o.output, ".judge.jsonl"));
    return judge(&o, p, &remote);
}
