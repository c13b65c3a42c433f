/* cli_judge: the options of a judge. */
#ifndef RAPT_CLI_CLI_JUDGE_H
#define RAPT_CLI_CLI_JUDGE_H

#include "cli/cli_endpoint.h"
#include "reward/reward.h"

struct judge_flags {
    const char *kind, *prompt, *on_bad;
    bool logprobs;
    int64_t max_tokens, answer_tries;
    struct endpoint_flags endpoint;
};

/* Rows of an option table; at(name) is the offset of a judge_flags member, JUDGE_ENDPOINT(name) that of one of its endpoint. */
/* clang-format off */
#define JUDGE_ROWS(at)                                                                                                                \
    {"judge", OPT_CHOICE, at(kind), NULL, "rating", "rating|pairwise",                                                                \
     "rating: each response by itself, on the scale of --score-range. pairwise: each two responses of a row in both orders, the "     \
     "better, the worse or a tie; a score is the mean over the others."},                                                             \
    {"judge-prompt", OPT_STR, at(prompt), "FILE", NULL, NULL,                                                                         \
     "What the judge reads, with {prompt} and {response}, or {response_a} and {response_b}, and as you like {a} and {b}, the scale. " \
     "Default: our own (docs/scoring.md)."},                                                                                          \
    {"judge-logprobs", OPT_FLAG, at(logprobs), NULL, NULL, NULL,                                                                      \
     "The mean of all ratings or verdicts, weighted with their probabilities, instead of the one that was given."},                   \
    {"--source judge, an endpoint", OPT_HEADING, 0, NULL, NULL, NULL, NULL},                                                          \
    ENDPOINT_ROWS(JUDGE_ENDPOINT, "OUTPUT.judge.jsonl"),                                                                              \
    {"max-answer-tokens", OPT_INT, at(max_tokens), "N", "16", NULL,                                                                   \
     "Tokens of an answer, at most. More for prompts that let the judge reason first."},                                              \
    {"answer-tries", OPT_INT, at(answer_tries), "N", "3", NULL,                                                                       \
     "Times that a question is asked, at temperature 1 from the second on, until its answer can be read."},                           \
    {"on-bad-answer", OPT_CHOICE, at(on_bad), NULL, "stop", "stop|null",                                                              \
     "When none can: stop, or write null with score_error, and count it."}
/* clang-format on */

/* model: of this process, or NULL. low, high: of --score-range. The rows that an endpoint or a model has no use for are refused. */
status cli_judge(struct judge_options *j, const struct judge_flags *f, const struct opt_result *given, const struct opt_spec *spec,
                 const char *model, const char *output, double low, double high);

#endif
