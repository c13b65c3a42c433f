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
    /* Or, for a rule that judges many at a time (judge is NULL): takes a text, whose value comes now or with a later one, and all that are
     * left. */
    status (*hold)(struct rule *r, struct reward_values *out, const struct record *row, const struct buf *text);
    status (*flush)(struct rule *r, struct reward_values *out);
    void (*close)(struct rule *r);
    bool reads_row; /* looks at other fields of the row than the response: no response can be judged alone */
};
extern const struct rule_row rule_table[];
extern const size_t rule_count;
const struct rule_row *rule_find(const char *name); /* NULL: no such rule */

struct rule {
    const struct rule_row *row;
    struct pattern pattern;
    void *match;              /* search area */
    const char *answer_field; /* gsm8k */
    bool strict;
    double length; /* length */
    bool words;
    struct rule_command *command;
    struct buf text, answer, found; /* scratch */
};

/* rule_command.c */
status rule_command_open(struct rule *r, const struct reward_options *o);
status rule_command_hold(struct rule *r, struct reward_values *out, const struct record *row, const struct buf *text);
status rule_command_flush(struct rule *r, struct reward_values *out);
void rule_command_close(struct rule *r);

#endif
