/* cli_scorer: the options of what scores the answers of a server. */
#ifndef RAPT_CLI_CLI_SCORER_H
#define RAPT_CLI_CLI_SCORER_H

#include "cli/cli_reward.h"
#include "reward/score.h"

struct scorer_flags {
    const char *source, *model, *adapter, *map, *range;
    struct opt_list weights, attributes;
    double quantize;
    struct rule_flags rule;
};

/* Rows of an option table; at(name) is the offset of a scorer_flags member. */
#define SCORER_RULE_AT(name) SCORER_AT(rule.name)
/* clang-format off */
#define SCORER_ROWS                                                                                                                   \
    {"Achieved scores", OPT_HEADING, 0, NULL, NULL, NULL, NULL},                                                                      \
    {"scorer", OPT_CHOICE, SCORER_AT(source), NULL, NULL, "rule|reward-model",                                                        \
     "what POST /v1/score and the playground give a finished answer its score by, as rapt score --source does"},                      \
    {"scorer-model", OPT_STR, SCORER_AT(model), "M", NULL, NULL, "reward-model: a Hugging Face folder or a .gguf file"},              \
    {"scorer-adapter", OPT_STR, SCORER_AT(adapter), "D", NULL, NULL, "reward-model: an adapter of train --objective reward on top"},  \
    {"scorer-map", OPT_STR, SCORER_AT(map), "FILE", NULL, NULL,                                                                       \
     "reward-model: the quantile map that rapt score wrote, which maps its numbers to the scale of goals; without it they stay raw"}, \
    {"weights", OPT_LIST, SCORER_AT(weights), "NAME=W,...", NULL, NULL,                                                               \
     "reward-model: the sum of W times the attribute NAME is the score"},                                                             \
    {"attributes", OPT_LIST, SCORER_AT(attributes), "NAME,...", NULL, NULL,                                                           \
     "reward-model: names for the numbers of a head that has several, in its order; default: id2label of its config.json"},           \
    RULE_ROWS(SCORER_RULE_AT),                                                                                                        \
    {"score-range", OPT_STR, SCORER_AT(range), "A,B", "1,10", NULL, "rule: wrong is A, right is B"},                                  \
    {"quantize", OPT_DOUBLE, SCORER_AT(quantize), "Q", "0.01", NULL, "round scores to multiples of Q; 0 leaves them as they are"}
/* clang-format on */

/* s->source stays NULL without --scorer. length: the most tokens of a conversation, the server's. */
status cli_scorer(struct score_options *s, const struct scorer_flags *f, size_t length, const struct opt_result *given,
                  const struct opt_spec *spec);

#endif
