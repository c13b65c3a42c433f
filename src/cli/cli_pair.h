/* cli_pair: how rows with several responses are paired: the options that pair and augment share. */
#ifndef RAPT_CLI_CLI_PAIR_H
#define RAPT_CLI_CLI_PAIR_H

#include "base/opt.h"
#include "data/pair.h"

struct pair_flags {
    const char *rule, *tie_break;
    int64_t top, max_pairs;
    double length_penalty, min_margin, max_margin, min_score, max_score;
};
/* Rows of an option table; at(name) is the offset of a pair_flags member. */
/* clang-format off */
#define PAIR_RULE_ROWS(at)                                                                                                             \
    {"rule", OPT_CHOICE, at(rule), NULL, "paper", PAIR_RULE_CHOICES,                                                                   \
     "How rows with several responses are paired. paper: responses with an aspect rated N/A are dropped; the first of the highest "    \
     "score against a random other, kept where its fine-grained mean is not the lower; no TruthfulQA. best-worst: the highest "        \
     "against the lowest score. best-random: the highest against a random other. all: every two responses. adjacent: each score "      \
     "against the next lower one. cross: every two with another response's score between theirs, what adjacent leaves. top: the i-th " \
     "best against the i-th worst, --top of them."},                                                                                   \
    {"top", OPT_INT, at(top), "N", "2", NULL, "Pairs of a row at most, for --rule top."},                                              \
    {"max-pairs", OPT_INT, at(max_pairs), "N", "0", NULL,                                                                              \
     "Pairs of a row at most, drawn by --seed from those of the rule; 0 is no limit."},                                                \
    {"min-margin", OPT_DOUBLE, at(min_margin), "M", "0", NULL, "Drop pairs whose scores differ by less."},                             \
    {"max-margin", OPT_DOUBLE, at(max_margin), "M", "0", NULL, "Drop pairs whose scores differ by more; 0 is no limit."},              \
    {"min-score", OPT_DOUBLE, at(min_score), "R", NULL, NULL, "Responses that score below take no part, as the data has the scores."}, \
    {"max-score", OPT_DOUBLE, at(max_score), "R", NULL, NULL, "Responses that score above take no part."},                             \
    {"length-penalty", OPT_DOUBLE, at(length_penalty), "L", "0", NULL,                                                                 \
     "Compare responses by score - L * characters; the scores in the rows stay (arXiv 2405.07863)."},                                  \
    {"tie-break", OPT_CHOICE, at(tie_break), NULL, "first", "first|random",                                                            \
     "Which of several responses with one score is taken: the first in the row, or one that --seed draws."}
/* clang-format on */

/* ST_USAGE for what cannot be or has no effect. seed: the command's. */
status pair_rules_from_flags(struct pair_rules *out, const struct pair_flags *f, const struct opt_result *given,
                             const struct opt_spec *spec, int64_t seed);
/* Does the rule draw anything? */
bool pair_rules_draw(const struct pair_rules *rules);

#endif
