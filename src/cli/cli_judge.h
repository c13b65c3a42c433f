/* cli_judge: the options of a judge. */
#ifndef RAPT_CLI_CLI_JUDGE_H
#define RAPT_CLI_CLI_JUDGE_H

#include "base/opt.h"
#include "reward/reward.h"

struct judge_flags {
    const char *kind, *prompt, *endpoint, *endpoint_model, *key_env, *cache, *extra, *on_bad;
    bool logprobs;
    int64_t concurrency, request_tries, max_tokens, answer_tries;
    double per_minute, timeout, wait, price_input, price_output;
};

/* Rows of an option table; at(name) is the offset of a judge_flags member. */
#define JUDGE_ROWS(at)                                                                                                                     \
    {"judge", OPT_CHOICE, at(kind), NULL, "rating", "rating|pairwise",                                                                     \
     "rating: each response by itself, on the scale of --score-range. pairwise: each two responses of a row in both orders, the better, the " \
     "worse or a tie; a score is the mean over the others."},                                                                              \
    {"judge-prompt", OPT_STR, at(prompt), "FILE", NULL, NULL,                                                                              \
     "What the judge reads, with {prompt} and {response}, or {response_a} and {response_b}, and as you like {a} and {b}, the scale. Default: our " \
     "own (docs/scoring.md)."},                                                                                                            \
    {"judge-logprobs", OPT_FLAG, at(logprobs), NULL, NULL, NULL,                                                                           \
     "The mean of all ratings or verdicts, weighted with their probabilities, instead of the one that was given."},                        \
    {"--source judge, an endpoint", OPT_HEADING, 0, NULL, NULL, NULL, NULL},                                                               \
    {"endpoint", OPT_STR, at(endpoint), "URL", NULL, NULL, "OpenAI-compatible: https://host/v1, or the whole address of chat/completions."}, \
    {"endpoint-model", OPT_STR, at(endpoint_model), "NAME", NULL, NULL, "The model's name there."},                                        \
    {"api-key-env", OPT_STR, at(key_env), "NAME", "OPENAI_API_KEY", NULL,                                                                  \
     "The environment variable that holds the key. It is sent to the endpoint, and never printed or stored. Without the default one no key is sent."}, \
    {"cache", OPT_STR, at(cache), "FILE", NULL, NULL,                                                                                      \
     "Every answer is kept here as it comes, and nothing is asked twice: a run that was stopped goes on. Default: OUTPUT.judge.jsonl."},   \
    {"concurrency", OPT_INT, at(concurrency), "N", "8", NULL, "Requests under way at once."},                                              \
    {"requests-per-minute", OPT_DOUBLE, at(per_minute), "N", "0", NULL, "At most so many, evenly spaced; 0 is no limit."},                 \
    {"request-timeout", OPT_DOUBLE, at(timeout), "S", "120", NULL, "Seconds that an answer may take."},                                    \
    {"request-tries", OPT_INT, at(request_tries), "N", "6", NULL,                                                                          \
     "Times that a request is sent when the server fails, is not reached or says: too many requests. Then the run ends."},                 \
    {"retry-wait", OPT_DOUBLE, at(wait), "S", "1", NULL,                                                                                   \
     "Seconds before the second time; doubled each time up to 60, of which a random half to whole is waited. The server's Retry-After goes before."}, \
    {"request-extra", OPT_STR, at(extra), "JSON", NULL, NULL,                                                                              \
     "An object whose members go into every request, instead of ours of that name; null leaves ours out: "                                 \
     "{\"max_tokens\": null, \"max_completion_tokens\": 400}."},                                                                           \
    {"max-answer-tokens", OPT_INT, at(max_tokens), "N", "16", NULL, "Tokens of an answer, at most. More for prompts that let the judge reason first."}, \
    {"answer-tries", OPT_INT, at(answer_tries), "N", "3", NULL, "Times that a question is asked, at temperature 1 from the second on, until its answer can be read."}, \
    {"on-bad-answer", OPT_CHOICE, at(on_bad), NULL, "stop", "stop|null",                                                                   \
     "When none can: stop, or write null with score_error, and count it."},                                                                \
    {"price-input", OPT_DOUBLE, at(price_input), "P", "0", NULL, "Of a million tokens of prompts, for the count of the cost."},            \
    {"price-output", OPT_DOUBLE, at(price_output), "P", "0", NULL, "Of a million tokens of answers."}

/* model: of this process, or NULL. low, high: of --score-range. The rows that an endpoint or a model has no use for are refused. */
status cli_judge(struct judge_options *j, const struct judge_flags *f, const struct opt_result *given, const struct opt_spec *spec, const char *model,
    const char *output, double low, double high);

#endif
