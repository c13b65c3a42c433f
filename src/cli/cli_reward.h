/* cli_reward: the options of rules and of attributes' weights, which every command with a source of scores shares. */
#ifndef RAPT_CLI_CLI_REWARD_H
#define RAPT_CLI_CLI_REWARD_H

#include "base/opt.h"
#include "reward/reward_rule.h"

struct rule_flags {
    const char *rule, *pattern, *unit, *command;
    int64_t length;
    double command_timeout;
    /* where rows are read */
    const char *answer_field, *extract;
    int64_t command_batch;
};

/* Rows of an option table; at(name) is the offset of a rule_flags member. */
/* clang-format off */
#define RULE_ROWS(at)                                                                                                                  \
    {"rule", OPT_STR, at(rule), "NAME", NULL, NULL, "What is checked:"},                                                               \
    {"pattern", OPT_STR, at(pattern), "P", NULL, NULL, "regex: a PCRE2 pattern (UTF-8, Unicode classes)."},                            \
    {"length", OPT_INT, at(length), "N", NULL, NULL, "length: the length that is best."},                                              \
    {"unit", OPT_CHOICE, at(unit), NULL, "words", "words|characters", "length: words are what blanks part."},                          \
    {"command", OPT_STR, at(command), "TEXT", NULL, NULL,                                                                              \
     "command: a command line for sh. Its standard input has a line {\"prompt\", \"response\", \"row\"} for each response; it prints " \
     "as many lines, numbers from 0 (wrong) to 1 (right) or null, and ends with code 0."},                                             \
    {"command-timeout", OPT_DOUBLE, at(command_timeout), "S", "60", NULL, "command: seconds that it may take for them."}
/* clang-format on */
/* The same of rules over the rows of a file. */
/* clang-format off */
#define RULE_ROW_ROWS(at)                                                                                               \
    {"answer-field", OPT_STR, at(answer_field), "NAME", "answer", NULL,                                                 \
     "gsm8k: the row's field with the right answer, a number or \"... #### n\"."},                                      \
    {"extract", OPT_CHOICE, at(extract), NULL, "flexible", "flexible|strict",                                           \
     "gsm8k: flexible takes the last number of the response, strict the first behind \"#### \"."},                      \
    {"command-batch", OPT_INT, at(command_batch), "N", "256", NULL, "command: responses for which it is started once."}
/* clang-format on */

/* Appends the rules to the help of --rule, or as words "a|b|c". lone: only those that judge a response by itself. */
void cli_rule_names(struct buf *out, bool lone);
void cli_rule_values(struct buf *out, bool lone);
/* Checks and copies; refuses the options of other rules. option: "--source rule", which makes --rule needed. */
status cli_rule(struct reward_options *r, const struct rule_flags *f, const char *option, bool lone, const struct opt_result *given,
                const struct opt_spec *spec);
/* NAME=W, ... */
status cli_weights(struct reward_options *r, const struct opt_list *list);
/* Is a name in a list that ends in NULL? */
bool cli_among(const char *const *names, const char *name);

#endif
