/* mc_task: multiple-choice tasks as lm-evaluation-harness puts them (lm_eval 0.4.13, lm_eval/tasks). A row of the table turns a row of the
 * data into a question, its choices and which of them is right. */
#ifndef RAPT_EVAL_MC_TASK_H
#define RAPT_EVAL_MC_TASK_H

#include "eval/harness.h"
#include "eval/twister.h"
#include "format/json.h"

#define MC_CHOICES_MAX 256

/* One question. Owned. */
struct mc_item {
    char *text;     /* doc_to_text */
    char **choices; /* [count] doc_to_choice */
    bool *right;    /* [count] of tasks with several right answers; NULL otherwise */
    size_t count, gold;
    struct buf gold_text; /* doc_to_target as the sample file shows it: a JSON string */
};
void mc_item_release(struct mc_item *item);

/* What a task reads beside its rows: a YAML file of lm-eval with description, doc_to_choice and fewshot_config.samples. */
struct mc_extra {
    char *name, *description;
    char **choices;
    size_t choice_count;
    struct harness_shot *shots;
    size_t shot_count;
};
void mc_extra_release(struct mc_extra *x);

struct mc_reader {
    struct twister random;
    const struct mc_extra *extra; /* MC_NEEDS_FILE */
    struct buf text;              /* scratch */
};

enum {
    MC_NEEDS_FILE = 1, /* --task-file */
    MC_MASS = 2,       /* acc is the probability of all right answers together (mc2) */
    MC_NO_SHOTS = 4    /* its prompt brings its own examples: the harness sets num_fewshot 0 */
};
struct mc_task {
    const char *name, *help, *version;
    const char *fields; /* of a row, in words */
    unsigned flags;
    /* ST_FORMAT names the field. */
    status (*read)(struct mc_item *out, struct mc_reader *r, struct json row);
};
extern const struct mc_task mc_task_table[];
extern const size_t mc_task_count;
const struct mc_task *mc_task_find(const char *name);

/* Reads lm-eval's YAML of a task that has MC_NEEDS_FILE, without what it includes. */
status mc_extra_load(struct mc_extra *x, const char *path);
/* The strings of a Python list literal, as MuSR's rows hold their choices: ['a', "b's"]. ST_FORMAT for anything else. */
status mc_python_list(char ***out, size_t *count, const char *text, size_t size);

#endif
