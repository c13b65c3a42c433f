/* goal_samples: responses that were written under a goal and then scored, from rows as `rapt generate` writes and `rapt score` scores them
 * (or any form of rows with one or several responses that carry goal and score). What the goal curve is made of. */
#ifndef RAPT_EVAL_GOAL_SAMPLES_H
#define RAPT_EVAL_GOAL_SAMPLES_H

#include "data/source.h"
#include "eval/goal_names.h"

#define GOAL_SAMPLES_GOALS_MAX 256

struct goal_sample {
    uint64_t key;   /* of the prompt without its goal (record_prompt_key) */
    size_t prompt;  /* the same as a number from 0, after goal_samples_load */
    double goal;    /* NaN: written without one; of several attributes: its number in goal_names */
    size_t goal_at; /* its place among goals, SIZE_MAX: none; after goal_samples_load */
    double score;
    double words;      /* what blanks part */
    double tokens;     /* NaN: not in the row */
    double repetition; /* seq-rep-4 (arXiv 1908.04319): 1 - different / all runs of 4 words; 0 of a text without one */
    double ended;      /* 1: the model ended it, 0: it was cut (finish is stop or length); NaN: not in the row */
    double logp, ref;  /* sums over the response under the policy and the reference, nats; NaN: not known */
};
struct goal_samples {
    char *name;                /* of the run, for tables; owned */
    struct goal_sample *items; /* [count] by prompt, then by goal, those without a goal last */
    size_t count, capacity;
    size_t prompts;
    size_t unscored;                      /* responses without a score, left out unless goal_samples_options.log_probs */
    double goals[GOAL_SAMPLES_GOALS_MAX]; /* [goal_count] different goals, ascending */
    size_t goal_count;
    bool without_goal; /* some have none */
    size_t pooled;     /* files added to the first */
};
/* Log-probs of the responses of a file, in its order. */
struct goal_logps {
    double *sums;    /* [count] nats */
    int32_t *tokens; /* [count] of the responses */
    size_t count, capacity;
};
void goal_logps_release(struct goal_logps *l);

struct goal_samples_options {
    const struct source_map *map; /* NULL: none */
    const char *attribute;        /* of goals of several: goal and score are those of this attribute (data/attribute.h); NULL: one score */
    struct goal_names *names;     /* without attribute: goals of several attributes are numbered; NULL: they are refused */
    bool log_probs;               /* they are wanted, and responses without a score count too */
    const struct goal_logps *policy, *reference; /* NULL: those that rows have as logps and ref_logps, with tokens */
};
/* Errors name file, line and field. ST_MISMATCH where nothing is scored, unless that is allowed: rapt score is what is missing. o: NULL for
 * none of it. */
status goal_samples_load(struct goal_samples *s, const char *name, const char *path, const struct goal_samples_options *o);
/* What a field of the i-th response is read from: its own object or row, else its record's. */
struct json goal_sample_owner(const struct record *r, size_t i, const char *field);
/* What the i-th response's row says of it: tokens, ended. */
status goal_sample_read(struct goal_sample *sample, const struct record *r, size_t i);
/* ST_MISMATCH for a response whose row says that it was sampled at another temperature than 1 (rapt generate says so where it had several).
 */
status goal_sample_check_heat(const struct record *r, size_t i);
/* Leaves the samples of these goals, with those without a goal. ST_MISMATCH where a goal has none. names: of numbered goals, or NULL. */
status goal_samples_keep(struct goal_samples *s, const double *goals, size_t count, const struct goal_names *names);
/* Adds the samples of another seed's policy: a prompt's samples under one goal are then of all of them. */
status goal_samples_pool(struct goal_samples *s, const struct goal_samples *seed);
void goal_samples_release(struct goal_samples *s);

#endif
