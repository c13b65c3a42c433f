/* reward_rule: the table of verifiable rules. Each gives a response a number from 0, wrong, to 1, right. */
#ifndef RAPT_REWARD_REWARD_RULE_H
#define RAPT_REWARD_REWARD_RULE_H

#include "reward/reward.h"
#include "text/pattern.h"

struct rule;
struct rule_row {
    const char *name, *help;
    const char *const *options; /* those of the command that have an effect on it, NULL at the end */
    status (*open)(struct rule *r, const struct reward_options *o);
    /* *value 0 .. 1 of a text. ST_FORMAT where the row has not what the rule asks for. */
    status (*judge)(double *value, struct rule *r, const struct record *row, const struct buf *text);
};
extern const struct rule_row rule_table[];
extern const size_t rule_count;
const struct rule_row *rule_find(const char *name); /* NULL: no such rule */

struct rule {
    const struct rule_row *row;
    struct pattern pattern;
    void *match;               /* search area */
    const char *answer_field;  /* gsm8k */
    bool strict;
    double length;             /* length */
    bool words;
    struct buf text, answer, found; /* scratch */
};

#endif
