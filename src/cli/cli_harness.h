/* cli_harness: what the tasks of lm-evaluation-harness share on the command line: the model, how questions are put, where results go. */
#ifndef RAPT_CLI_CLI_HARNESS_H
#define RAPT_CLI_CLI_HARNESS_H

#include "cli/cli_endpoint.h"
#include "cli/cli_infer.h"
#include "cli/cli_kwargs.h"
#include "eval/harness.h"
#include "eval/harness_remote.h"

struct harness_flags {
    const char *model, *adapter, *data, *fewshot_data, *system, *goal, *style, *kwargs, *dtype, *output;
    bool chat, multiturn, json;
    int64_t shots, limit, threads, answer_tries;
    const char *goal_as;
    struct endpoint_flags endpoint;
};

/* Rows of an option table; at(name) is the offset of a harness_flags member. shots: the default of --num-fewshot. */
/* clang-format off */
#define HARNESS_ROWS(at, preset_shots, dtypes, dtype_help)                                                                              \
    {"model", OPT_STR, at(model), "M", NULL, NULL, "a Hugging Face folder or a .gguf file"},                                            \
    {"adapter", OPT_STR, at(adapter), "D", NULL, NULL, "a PEFT adapter on top; its goal.json says how goals were asked in training"},   \
    {"data", OPT_STR, at(data), "F", NULL, NULL, "the questions: JSONL, JSON, gzip, zstd or Parquet, as the data set has them"},        \
    {"num-fewshot", OPT_INT, at(shots), "N", preset_shots, NULL, "examples before each question"},                                      \
    {"fewshot-data", OPT_STR, at(fewshot_data), "F", NULL, NULL,                                                                        \
     "rows of the same form, of which the first N are the examples (sampler first_n)"},                                                 \
    {"limit", OPT_INT, at(limit), "N", "0", NULL, "the first N questions; 0 = all"},                                                    \
    {"how questions are put", OPT_HEADING, 0, NULL, NULL, NULL, NULL},                                                                  \
    {"apply-chat-template", OPT_FLAG, at(chat), NULL, NULL, NULL, "as a conversation, through the model's chat template"},              \
    {"fewshot-as-multiturn", OPT_FLAG, at(multiturn), NULL, "true", NULL,                                                               \
     "examples as turns of that conversation, else all in one user turn"},                                                              \
    {"system-instruction", OPT_STR, at(system), "TEXT", NULL, NULL, "a system text; without a chat template it stands in front"},       \
    {"goal", OPT_STR, at(goal), "G", NULL, NULL,                                                                                        \
     "the score to aim at, or best; written in as in training. Without it no goal is asked for"},                                       \
    {"goal-style", OPT_STR, at(style), "F", NULL, NULL,                                                                                 \
     "template, placement and scale of the goal as JSON, instead of the adapter's goal.json"},                                          \
    CLI_KWARGS_ROW(at(kwargs)),                                                                                                         \
    {"execution and results", OPT_HEADING, 0, NULL, NULL, NULL, NULL},                                                                  \
    {"dtype", OPT_CHOICE, at(dtype), NULL, "auto", dtypes, dtype_help},                                                                 \
    {"threads", OPT_INT, at(threads), "N", "0", NULL, "0 = all cores"},                                                                 \
    {"output-path", OPT_STR, at(output), "D", NULL, NULL, "write D/results_TASK.json and D/samples_TASK.jsonl in the harness's forms"}, \
    {"json", OPT_FLAG, at(json), NULL, NULL, NULL, "print results as JSON"}
/* clang-format on */

/* The rows of a model behind an endpoint, behind those; cache: where answers are kept without --cache, a text. */
/* clang-format off */
#define HARNESS_ENDPOINT_ROWS(at, cache)                                                        \
    {"A model behind an endpoint, instead of --model", OPT_HEADING, 0, NULL, NULL, NULL, NULL}, \
    ENDPOINT_ROWS(at##_ENDPOINT, cache),                                                        \
    GOAL_AS_ROW(at(goal_as)),                                                                   \
    {"answer-tries", OPT_INT, at(answer_tries), "N", "3", NULL,                                 \
     "times that a question is asked until its answer can be read. Then the run ends"}
/* clang-format on */

/* Checks what does not need the model. local: names of the options that only a model in this process has, NULL at the end. */
status cli_harness_check(const struct harness_flags *f, const struct opt_result *given, const struct opt_spec *spec,
                         const char *const *local);
/* How questions are put, once the tokenizer is open. asker is released by the caller, also after a failure. */
status cli_harness_prompt(struct harness_prompt *p, struct goal_asker *asker, const struct harness_flags *f, struct encoder *e);
/* A model behind an endpoint, as the options say it. */
struct harness_endpoint {
    struct remote_options options;
    struct remote_counts counts;
    struct goal_style style;
    struct goal_list goals;
    struct endpoint_texts texts;
    struct harness_remote remote;
};
/* x and how questions are put. text: whether /v1/completions is asked. e: of a tokenizer beside the endpoint, or NULL. task: names the
 * default cache. x is released by the caller, also after a failure. */
status cli_harness_endpoint(struct harness_endpoint *x, struct harness_prompt *p, const struct harness_flags *f,
                            const struct opt_result *given, const struct opt_spec *spec, const char *task, bool text, struct encoder *e);
/* Says what was asked and paid, in any case. */
void cli_harness_endpoint_release(struct harness_endpoint *x);
/* Prints the results, and with --output-path writes both files. samples is not looked at without it. */
status cli_harness_write(const struct harness_flags *f, const char *task, const struct buf *json, const struct buf *text,
                         const struct buf *samples);

#endif
