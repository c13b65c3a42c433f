/* goal_names: goals of several attributes as numbers 0, 1, .. in the order in which they are found, so that what sorts and compares goals
 * of one score takes them too. One table serves all runs that are compared. The same attributes with the same scores are one goal, in
 * whatever order. */
#ifndef RAPT_EVAL_GOAL_NAMES_H
#define RAPT_EVAL_GOAL_NAMES_H

#include "text/goal.h"

struct goal_name {
    char *text; /* helpfulness=4,verbosity=1, as the first row has it; owned */
    char *json; /* the same as JSON; owned */
    char *key;  /* the same with its names sorted; owned */
};
struct goal_names {
    struct goal_name *items; /* [count] */
    size_t count, capacity;
    bool numbers; /* there are goals of one score, which cannot stand beside them */
};
/* The number of a row's goal, an object {NAME: score}. ST_FORMAT where it is none. */
status goal_names_number(double *out, struct goal_names *n, struct json goal);
/* The numbers of goals as text, NAME=G,NAME=G;NAME=G,..: at most `most`. ST_USAGE for a text that is none, ST_MISMATCH for a goal that is
 * not there. */
status goal_names_find(double *out, size_t *count, size_t most, const struct goal_names *n, const char *text);
void goal_names_release(struct goal_names *n);

#endif
