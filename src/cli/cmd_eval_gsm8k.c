/* rapt eval gsm8k: grade-school arithmetic by generation, as lm-evaluation-harness counts it. */
#include <stdlib.h>

#include "cli/cli_harness.h"
#include "cli/cli_model.h"
#include "cli/cmd.h"
#include "eval/gsm8k_run.h"
#include "model/peft_io.h"

struct options {
    struct harness_flags h;
    int64_t max_gen, max_length, batch;
};

#define FIELD(name) offsetof(struct options, name)
#define HARNESS(name) offsetof(struct options, h.name)
#define HARNESS_ENDPOINT(name) offsetof(struct options, h.endpoint.name)
static const struct opt_row rows[] = {
    HARNESS_ROWS(HARNESS, "5", INFER_DTYPE_CHOICES, INFER_DTYPE_HELP),
    {"max-gen-toks", OPT_INT, FIELD(max_gen), "N", "256", NULL, "most tokens of a response"},
    {"max-length", OPT_INT, FIELD(max_length), "N", "2048", NULL,
     "tokens of examples, question and response, cut to the model's positions; longer contexts lose their head and are counted"},
    {"batch-size", OPT_INT, FIELD(batch), "N", "16", NULL, "responses written at a time"},
    HARNESS_ENDPOINT_ROWS(HARNESS, "D/gsm8k.remote.jsonl of --output-path; without it none"),
};

const struct opt_spec cmd_eval_gsm8k_spec = {
    .command = "eval gsm8k",
    .summary = "GSM8K by greedy generation: strict-match and flexible-extract, as lm-evaluation-harness.",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .example =
        "rapt eval gsm8k --model M.gguf --data test.jsonl --fewshot-data train.jsonl\n"
        "rapt eval gsm8k --model M --adapter runs/ra --goal 10 --apply-chat-template --data test.jsonl --num-fewshot 0 --output-path out\n"
        "rapt eval gsm8k --endpoint http://localhost:8000/v1 --endpoint-model NAME --data test.jsonl --fewshot-data train.jsonl "
        "--output-path out",
    .notes = "Rows have question and answer, whose last line is #### NUMBER. docs/evaluation.md has the formulas.",
};

static status check(const struct options *o, const struct opt_result *r) {
    static const char *const local[] = {"model", "adapter", "chat-template-kwargs", "dtype", "threads", "max-length", "batch-size", NULL};
    TRY(cli_harness_check(&o->h, r, &cmd_eval_gsm8k_spec, local));
    if (o->h.shots && !o->h.fewshot_data)
        return FAIL(ST_USAGE, "--num-fewshot %lld needs --fewshot-data F, the training rows; or --num-fewshot 0", (long long)o->h.shots);
    if (o->max_gen < 1 || o->max_gen > 1 << 24) return FAIL(ST_USAGE, "--max-gen-toks expects 1 or more");
    if (o->max_length < 2 || o->max_length > 1 << 24) return FAIL(ST_USAGE, "--max-length expects 2 or more");
    if (o->batch < 1 || o->batch > 4096) return FAIL(ST_USAGE, "--batch-size expects 1 to 4096");
    return ST_OK;
}

/* The model with everything around it. */
struct world {
    struct encoder encoder;
    struct model model;
    struct decoder decoder;
    struct goal_asker asker;
    struct harness_prompt prompt;
    struct harness_shot *shots;
    struct gsm8k_set set;
    struct harness_endpoint endpoint;
};

static void world_release(struct world *w, size_t shots) {
    if (w->shots) harness_shots_release(w->shots, shots);
    gsm8k_release(&w->set);
    decoder_release(&w->decoder);
    model_release(&w->model);
    goal_asker_release(&w->asker);
    encoder_release(&w->encoder);
}

static status open_data(struct world *w, const struct options *o) {
    TRY(gsm8k_load(&w->set, o->h.data, (size_t)o->h.limit));
    return o->h.shots ? gsm8k_shots(&w->shots, o->h.fewshot_data, (size_t)o->h.shots) : ST_OK;
}

static status open_model(struct world *w, const struct options *o) {
    static const struct sampler_options greedy = {.top_p = 1, .repetition_penalty = 1};
    const float *theta = NULL;
    TRY(encoder_open(&w->encoder, o->h.model));
    TRY(encoder_set_kwargs(&w->encoder, o->h.kwargs, &(struct kwargs_places){.adapter = o->h.adapter, .model = o->h.model}));
    TRY(cli_harness_prompt(&w->prompt, &w->asker, &o->h, &w->encoder));
    TRY(infer_model_open(&w->model, o->h.model, o->h.dtype));
    if (o->h.adapter) {
        TRY(adapter_load(&w->model, o->h.adapter, false));
        theta = w->model.params.value;
    }
    const size_t batch = (size_t)o->batch < w->set.count ? (size_t)o->batch : w->set.count;
    return decoder_open(&w->decoder, &w->model, theta,
                        &(struct decode_options){.batch = batch, .length = (size_t)o->max_length, .sampler = greedy});
}

static status report(const struct options *o, struct world *w, size_t truncated) {
    struct harness_figure figures[GSM8K_FILTERS];
    struct buf json = {0}, text = {0}, samples = {0};
    const struct harness_run run = {.task = "gsm8k",
                                    .model = o->h.model ? o->h.model : o->h.endpoint.model,
                                    .adapter = o->h.adapter,
                                    .dtype = !o->h.model     ? NULL
                                             : w->model.int8 ? "int8"
                                                             : matmul_kind_name(w->model.kind),
                                    .data = o->h.data,
                                    .prompt = &w->prompt,
                                    .shots = (size_t)o->h.shots,
                                    .rows = w->set.rows,
                                    .documents = w->set.count,
                                    .truncated = truncated};
    gsm8k_judge(figures, &w->set);
    harness_put_results(&json, &text, &run, figures, GSM8K_FILTERS, "3.0");
    if (o->h.output) gsm8k_put_samples(&samples, &w->set, (size_t)o->max_gen);
    const status s = cli_harness_write(&o->h, "gsm8k", &json, &text, &samples);
    buf_release(&json);
    buf_release(&text);
    buf_release(&samples);
    return s;
}

static status answer_here(struct world *w, size_t *truncated, const struct options *o) {
    TRY(open_model(w, o));
    return gsm8k_run(&w->set, truncated, &w->decoder, &w->prompt, w->shots, (size_t)o->h.shots, (size_t)o->max_gen);
}

static status answer_remotely(struct world *w, const struct options *o, const struct opt_result *r) {
    struct harness_endpoint *x = &w->endpoint;
    status s = cli_harness_endpoint(x, &w->prompt, &o->h, r, &cmd_eval_gsm8k_spec, "gsm8k", !o->h.chat, NULL);
    x->remote.max_tokens = o->max_gen;
    if (s == ST_OK) s = gsm8k_ask(&w->set, &x->remote, &w->prompt, w->shots, (size_t)o->h.shots, (size_t)o->max_gen);
    if (s == ST_OK) s = report(o, w, 0);
    cli_harness_endpoint_release(x);
    return s;
}

status cmd_eval_gsm8k_run(int argc, char **argv) {
    struct options o = {0};
    struct opt_result r;
    bool done;
    size_t truncated = 0;
    TRY(cmd_parse(&r, &cmd_eval_gsm8k_spec, &o, argc, argv, &done));
    if (done) return ST_OK;
    TRY(check(&o, &r));
    struct world *w = mem_zero(1, sizeof *w);
    status s = open_data(w, &o);
    if (s == ST_OK) s = o.h.model ? answer_here(w, &truncated, &o) : answer_remotely(w, &o, &r);
    if (s == ST_OK && o.h.model) s = report(&o, w, truncated);
    world_release(w, (size_t)o.h.shots);
    free(w);
    return s;
}
