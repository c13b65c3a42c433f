/* goal_samples: responses that were written under a goal and then scored, from rows as `rapt generate` writes and `rapt score` scores them (or any
 * form of rows with one or several responses that carry goal and score). What the goal curve is made of. */
#ifndef RAPT_EVAL_GOAL_SAMPLES_H
#define RAPT_EVAL_GOAL_SAMPLES_H

#include "data/source.h"

#define GOAL_SAMPLES_GOALS_MAX 256

struct goal_sample {
    uint64_t key;      /* of the prompt without its goal (record_prompt_key) */
    size_t prompt;     /* the same as a number from 0, after goal_samples_load */
    double goal;       /* NaN: written without one */
    size_t goal_at;    /* its place among goals, SIZE_MAX: none; after goal_samples_load */
    double score;
    double words;      /* what blanks part */
    double tokens;     /* NaN: not in the row */
    double repetition; /* seq-rep-4 (arXiv 1908.04319): 1 - different / all runs of 4 words; 0 of a text without one */
    double ended;      /* 1: the model ended it, 0: it was cut (finish is stop or length); NaN: not in the row */
};
struct goal_samples {
    char *name; /* of the run, for tables; owned */
    struct goal_sample *items; /* [count] by prompt, then by goal, those without a goal last */
    size_t count, capacity;
    size_t prompts;
    size_t unscored; /* responses left out */
    double goals[GOAL_SAMPLES_GOALS_MAX]; /* [goal_count] different goals, ascending */
    size_t goal_count;
    bool without_goal; /* some have none */
    size_t pooled;     /* files added to the first */
};
/* Errors name file, line and field. ST_MISMATCH where nothing is scored: rapt score is what is missing. map: NULL for none. */
status goal_samples_load(struct goal_samples *s, const char *name, const char *path, const struct source_map *map);
/* Leaves the samples of these goals, with those without a goal. ST_MISMATCH where a goal has none. */
status goal_samples_keep(struct goal_samples *s, const double *goals, size_t count);
/* Adds the samples of another seed's policy: a prompt's samples under one goal are then of all of them. */
status goal_samples_pool(struct goal_samples *s, const struct goal_samples *seed);
void goal_samples_release(struct goal_samples *s);

#endif
