/* rapt eval mt-answers: a model's answers to MT-Bench's questions, two turns, in FastChat's form. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "cli/cli_counts.h"
#include "cli/cli_endpoint.h"
#include "cli/cli_infer.h"
#include "cli/cli_kwargs.h"
#include "cli/cli_model.h"
#include "cli/cmd.h"
#include "eval/mt_answer.h"
#include "model/peft_io.h"

struct options {
    const char *model, *adapter, *questions, *output, *id, *goal, *style, *kwargs, *dtype, *goal_as;
    int64_t limit, max_new, max_length, batch, seed, threads, answer_tries;
    struct endpoint_flags endpoint;
};

#define FIELD(name) offsetof(struct options, name)
#define ENDPOINT(name) offsetof(struct options, endpoint.name)
static const struct opt_row rows[] = {
    {"model", OPT_STR, FIELD(model), "M", NULL, NULL, "a Hugging Face folder or a .gguf file"},
    {"adapter", OPT_STR, FIELD(adapter), "D", NULL, NULL, "a PEFT adapter on top; its goal.json says how goals were asked in training"},
    {"questions", OPT_STR, FIELD(questions), "F.jsonl", NULL, NULL, "FastChat's question.jsonl: question_id, category, turns"},
    {"output", OPT_STR, FIELD(output), "F.jsonl", "-", NULL,
     "FastChat's model_answer rows: question_id, answer_id, model_id, choices, tstamp"},
    {"model-id", OPT_STR, FIELD(id), "NAME", NULL, NULL, "the model's name there"},
    {"goal", OPT_STR, FIELD(goal), "G", NULL, NULL,
     "the score to aim at, or best; NAME=G,NAME=G,... where goals have several attributes. It stands once: before the first turn, also "
     "when the second is asked; placement after: in the turn that is asked"},
    {"goal-style", OPT_STR, FIELD(style), "F", NULL, NULL,
     "template, placement and scale of the goal as JSON, instead of the adapter's goal.json"},
    CLI_KWARGS_ROW(FIELD(kwargs)),
    {"limit", OPT_INT, FIELD(limit), "N", "0", NULL, "the first N questions; 0 = all"},
    {"max-new-tokens", OPT_INT, FIELD(max_new), "N", "1024", NULL, "most tokens of an answer"},
    {"max-length", OPT_INT, FIELD(max_length), "N", "4096", NULL,
     "most tokens of a conversation, cut to the model's positions; sizes the memory"},
    {"batch-size", OPT_INT, FIELD(batch), "N", "16", NULL, "answers written at a time"},
    {"seed", OPT_INT, FIELD(seed), "N", "42", NULL, "of the categories that are sampled"},
    {"dtype", OPT_CHOICE, FIELD(dtype), NULL, "auto", INFER_DTYPE_CHOICES, INFER_DTYPE_HELP},
    {"threads", OPT_INT, FIELD(threads), "N", "0", NULL, "0 = all cores"},
    {"A model behind an endpoint, instead of --model", OPT_HEADING, 0, NULL, NULL, NULL, NULL},
    ENDPOINT_ROWS(ENDPOINT, "OUTPUT.remote.jsonl; without a file of --output none"),
    GOAL_AS_ROW(FIELD(goal_as)),
    {"answer-tries", OPT_INT, FIELD(answer_tries), "N", "3", NULL,
     "Times that a turn is asked until there is a text in the answer. Then the run ends."},
};

const struct opt_spec cmd_eval_mt_answers_spec = {
    .command = "eval mt-answers",
    .summary = "A model's answers to MT-Bench's two-turn questions, in FastChat's form.",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .example = "rapt eval mt-answers --model M.gguf --adapter runs/ra --goal 10 --questions question.jsonl --model-id ra-10 --output "
               "model_answer/ra-10.jsonl\n"
               "rapt eval mt-answers --endpoint http://localhost:8080/v1 --endpoint-model NAME --goal 10 --questions question.jsonl "
               "--model-id ra-10 --output ra-10.jsonl",
    .notes = "Temperatures are FastChat's: 0.7 for writing and roleplay, 0.1 for stem and humanities, 0 for the others that it names, 0.7 "
             "for any else.",
};

struct world {
    struct encoder encoder;
    struct model model;
    struct goal_asker asker;
    struct mt_asked_set set;
    struct mt_asking how;
    const float *theta;
};

static status open_world(struct world *w, const struct options *o) {
    TRY(mt_asked_load(&w->set, o->questions, (size_t)o->limit));
    TRY(encoder_open(&w->encoder, o->model));
    TRY(encoder_set_kwargs(&w->encoder, o->kwargs, &(struct kwargs_places){.adapter = o->adapter, .model = o->model}));
    if (!w->encoder.tokenizer) return FAIL(ST_UNSUPPORTED, "%s: there is no tokenizer", o->model);
    w->how = (struct mt_asking){.encoder = &w->encoder, .max_tokens = (size_t)o->max_new};
    if (o->goal) {
        TRY(goal_asker_open(&w->asker, o->model, o->adapter, o->style, &w->encoder));
        TRY(goal_asker_parse(&w->how.goal, &w->asker, o->goal));
        goal_asker_note(&w->asker, &w->how.goal);
        w->how.style = &w->asker.style;
    }
    TRY(infer_model_open(&w->model, o->model, o->dtype));
    if (!o->adapter) return ST_OK;
    TRY(adapter_load(&w->model, o->adapter, false));
    w->theta = w->model.params.value;
    return ST_OK;
}

/* Both turns at one temperature. */
static status answer_at(struct world *w, const struct options *o, double temperature) {
    const struct sampler_options sampler = {.temperature = temperature, .top_p = 1, .repetition_penalty = 1, .seed = (uint64_t)o->seed};
    struct decoder d = {0};
    const size_t batch = (size_t)o->batch < w->set.count ? (size_t)o->batch : w->set.count;
    status s = decoder_open(&d, &w->model, w->theta,
                            &(struct decode_options){.batch = batch, .length = (size_t)o->max_length, .sampler = sampler});
    for (size_t turn = 0; s == ST_OK && turn < MT_ANSWER_TURNS; turn++) s = mt_answer_turn(&w->set, &d, &w->how, temperature, turn);
    decoder_release(&d);
    return s;
}

static status answer_all(struct world *w, const struct options *o) {
    static const double temperatures[] = {0, 0.1, 0.7};
    for (size_t k = 0; k < 3; k++) {
        bool any = false;
        for (size_t i = 0; i < w->set.count; i++)
            any = any || (w->set.items[i].temperature > temperatures[k] - 1e-9 && w->set.items[i].temperature < temperatures[k] + 1e-9);
        if (any) TRY(answer_at(w, o, temperatures[k]));
    }
    return ST_OK;
}

static status write_answers(const struct world *w, const struct options *o) {
    struct buf out = {0};
    mt_answer_put(&out, &w->set, o->id, (double)time(NULL));
    status s = file_write(o->output, out.data, out.size);
    buf_release(&out);
    return s;
}

static status check_remote(const struct options *o, const struct opt_result *r) {
    static const char *const local[] = {"model", "adapter", "chat-template-kwargs", "max-length", "batch-size", "dtype", "threads", NULL};
    const struct cli_between tries = {"answer-tries", (double)o->answer_tries, 1, 100};
    TRY(cli_endpoint_instead(r, &cmd_eval_mt_answers_spec, local));
    if (!o->goal && opt_given(r, &cmd_eval_mt_answers_spec, "goal-as")) return FAIL(ST_USAGE, "--goal-as has no effect without --goal");
    if (o->style && strcmp(o->goal_as, "prompt") != 0)
        return FAIL(ST_USAGE, "--goal-style has no effect with --goal-as %s: the server writes the goal", o->goal_as);
    return cli_check_between(&tries, 1);
}

static status check_local(const struct opt_result *r) {
    static const char *const remote[] = {"goal-as", "answer-tries"};
    TRY(cli_endpoint_unused(r, &cmd_eval_mt_answers_spec));
    for (size_t i = 0; i < sizeof remote / sizeof remote[0]; i++)
        if (opt_given(r, &cmd_eval_mt_answers_spec, remote[i])) return FAIL(ST_USAGE, "--%s has no effect without --endpoint", remote[i]);
    return ST_OK;
}

static status check(const struct options *o, const struct opt_result *r) {
    if (r->positional_count) return FAIL(ST_USAGE, "'%s' is not an option of rapt eval mt-answers", r->positional[0]);
    if ((!o->model && !o->endpoint.endpoint) || !o->questions || !o->id)
        return FAIL(ST_USAGE, "--model (or --endpoint), --questions and --model-id are needed");
    TRY(o->endpoint.endpoint ? check_remote(o, r) : check_local(r));
    if (o->style && !o->goal) return FAIL(ST_USAGE, "--goal-style has no effect without --goal");
    if (o->limit < 0) return FAIL(ST_USAGE, "--limit expects 0 or more");
    if (o->max_new < 1 || o->max_new > 1 << 24) return FAIL(ST_USAGE, "--max-new-tokens expects 1 or more");
    if (o->max_length < 2 || o->max_length > 1 << 24) return FAIL(ST_USAGE, "--max-length expects 2 or more");
    if (o->batch < 1 || o->batch > 4096) return FAIL(ST_USAGE, "--batch-size expects 1 to 4096");
    return cli_threads(o->threads);
}

/* All by an endpoint. */
static status answer_remotely(struct world *w, const struct options *o, const struct opt_result *r) {
    struct remote_options remote = {
        .max_tokens = o->max_new, .answer_tries = o->answer_tries, .stop_on_bad = true, .who = "model", .item = "question"};
    struct remote_counts kept, *counts = &kept;
    struct goal_style style = {0};
    struct goal_list goals = {0};
    struct endpoint_texts texts = {0};
    const enum remote_goal_as as = remote_goal_as_parse(o->goal_as);
    TRY(cli_endpoint(&remote, &o->endpoint, r, &cmd_eval_mt_answers_spec, o->output, strcmp(o->output, "-") == 0 ? NULL : ".remote.jsonl"));
    TRY(mt_asked_load(&w->set, o->questions, (size_t)o->limit));
    w->how = (struct mt_asking){.max_tokens = (size_t)o->max_new};
    status s = o->goal ? cli_endpoint_style(&style, o->style) : ST_OK;
    if (s == ST_OK && o->goal) s = cli_endpoint_goals(&goals, &texts, o->goal, &style, as);
    if (s == ST_OK && o->goal && goals.count != 1) s = FAIL(ST_USAGE, "--goal expects one goal");
    if (s == ST_OK && o->goal) w->how.goal = goals.items[0];
    if (o->goal && as == REMOTE_GOAL_PROMPT) w->how.style = &style;
    if (s == ST_OK) s = mt_answer_remote(&w->set, counts, &w->how, &remote, texts.count ? texts.items[0] : NULL, as, (uint64_t)o->seed);
    const struct cli_count list[] = {REMOTE_COUNT_MAP(CLI_COUNT)};
    if (s == ST_OK) cli_counts_print(list, sizeof list / sizeof list[0], false);
    goal_style_release(&style);
    goal_list_release(&goals);
    endpoint_texts_release(&texts);
    return s;
}

status cmd_eval_mt_answers_run(int argc, char **argv) {
    struct options o = {0};
    struct opt_result r;
    bool done;
    TRY(cmd_parse(&r, &cmd_eval_mt_answers_spec, &o, argc, argv, &done));
    if (done) return ST_OK;
    TRY(check(&o, &r));
    struct world *w = mem_zero(1, sizeof *w);
    status s = o.endpoint.endpoint ? answer_remotely(w, &o, &r) : open_world(w, &o);
    if (s == ST_OK && !o.endpoint.endpoint) s = answer_all(w, &o);
    if (s == ST_OK) s = write_answers(w, &o);
    mt_asked_release(&w->set);
    model_release(&w->model);
    goal_asker_release(&w->asker);
    encoder_release(&w->encoder);
    free(w);
    return s;
}
