/* cli_endpoint: the options of a model behind an OpenAI-compatible endpoint (net/remote.h). */
#ifndef RAPT_CLI_CLI_ENDPOINT_H
#define RAPT_CLI_CLI_ENDPOINT_H

#include "base/opt.h"
#include "net/remote.h"
#include "text/goal.h"

struct endpoint_flags {
    const char *endpoint, *model, *key_env, *cache, *extra;
    int64_t concurrency, request_tries;
    double per_minute, timeout, wait, price_input, price_output;
};

/* Rows of an option table; at(name) is the offset of an endpoint_flags member. cache: the default's name, a text. */
/* clang-format off */
#define ENDPOINT_ROWS(at, cache_name)                                                                                                 \
    {"endpoint", OPT_STR, at(endpoint), "URL", NULL, NULL,                                                                            \
     "OpenAI-compatible: https://host/v1, or the whole address of chat/completions."},                                                \
    {"endpoint-model", OPT_STR, at(model), "NAME", NULL, NULL, "The model's name there."},                                            \
    {"api-key-env", OPT_STR, at(key_env), "NAME", "OPENAI_API_KEY", NULL,                                                             \
     "The environment variable that holds the key. It is sent to the endpoint, and never printed or stored. Without the default one " \
     "no key is sent."},                                                                                                              \
    {"cache", OPT_STR, at(cache), "FILE", NULL, NULL,                                                                                 \
     "Every answer is kept here as it comes, and nothing is asked twice: a run that was stopped goes on. Default: " cache_name "."},  \
    {"concurrency", OPT_INT, at(concurrency), "N", "8", NULL, "Requests under way at once."},                                         \
    {"requests-per-minute", OPT_DOUBLE, at(per_minute), "N", "0", NULL, "At most so many, evenly spaced; 0 is no limit."},            \
    {"request-timeout", OPT_DOUBLE, at(timeout), "S", "120", NULL, "Seconds that an answer may take."},                               \
    {"request-tries", OPT_INT, at(request_tries), "N", "6", NULL,                                                                     \
     "Times that a request is sent when the server fails, is not reached or says: too many requests. Then the run ends."},            \
    {"retry-wait", OPT_DOUBLE, at(wait), "S", "1", NULL,                                                                              \
     "Seconds before the second time; doubled each time up to 60, of which a random half to whole is waited. The server's "           \
     "Retry-After goes before."},                                                                                                     \
    {"request-extra", OPT_STR, at(extra), "JSON", NULL, NULL,                                                                         \
     "An object whose members go into every request, instead of ours of that name; null leaves ours out: {\"max_tokens\": null, "     \
     "\"max_completion_tokens\": 400}."},                                                                                             \
    {"price-input", OPT_DOUBLE, at(price_input), "P", "0", NULL, "Of a million tokens of prompts, for the count of the cost."},       \
    {"price-output", OPT_DOUBLE, at(price_output), "P", "0", NULL, "Of a million tokens of answers."}
/* clang-format on */

/* Their names, NULL at the end: where there is no --endpoint they have no effect. */
extern const char *const endpoint_options[];
/* ST_USAGE where one of them was given, but for --endpoint. */
status cli_endpoint_unused(const struct opt_result *given, const struct opt_spec *spec);
/* names: of options of a model in this process, NULL at the end. ST_USAGE where one was given: the command has an endpoint. */
status cli_endpoint_instead(const struct opt_result *given, const struct opt_spec *spec, const char *const *names);
/* o: all but max_tokens, answer_tries, stop_on_bad, who, item. suffix: of the default cache's name, ".judge.jsonl"; with output "-" or
 * NULL --cache is needed. suffix NULL: without --cache there is none. */
status cli_endpoint(struct remote_options *o, const struct endpoint_flags *f, const struct opt_result *given, const struct opt_spec *spec,
                    const char *output, const char *suffix);

/* The goal of a model behind an endpoint. */
/* clang-format off */
#define GOAL_AS_ROW(offset)                                                                                                          \
    {"goal-as", OPT_CHOICE, offset, NULL, "prompt", REMOTE_GOAL_CHOICES,                                                             \
     "how the server is told the goal. prompt: in the messages, as --goal-style says, for any server; field: \"goal\" in the body; " \
     "suffix: NAME@goal=G as the model's name (both: rapt serve)"}
/* clang-format on */
/* The style of a file, else the default; a placement that is left open is the system turn. Either way the caller releases. */
status cli_endpoint_style(struct goal_style *style, const char *file);
/* Goals of an option's text. In the messages they are those of the style: numbers, or NAME=G,.. where it has attributes, or best where it
 * knows one; warned about outside the scale that a prompt states. In the body or the name the server reads them: a number, best, or
 * NAME=G,.., which may begin with best; several as goal_parse_list takes them. Such a goal stands in texts as it is sent, and in goals as
 * its number, NaN where it is no number. */
struct endpoint_texts {
    char **items; /* [count] */
    size_t count;
};
status cli_endpoint_goals(struct goal_list *goals, struct endpoint_texts *texts, const char *text, const struct goal_style *style,
                          enum remote_goal_as as);
void endpoint_texts_release(struct endpoint_texts *t);

/* A row of numbers that lie between two others. */
struct cli_between {
    const char *name; /* the option's */
    double value, low, high;
};
status cli_check_between(const struct cli_between *list, size_t count);

#endif
