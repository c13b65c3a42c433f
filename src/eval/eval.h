/* eval: the table of evaluations over log-prob rows and scored samples. A row of the table turns runs into a JSON object and a table for
 * people. */
#ifndef RAPT_EVAL_EVAL_H
#define RAPT_EVAL_EVAL_H

#include "eval/bootstrap.h"
#include "eval/goal_samples.h"
#include "eval/logps_file.h"

/* What a task looks at. */
enum eval_rows {
    EVAL_HALVES, /* log-prob rows, both halves of each pair */
    EVAL_SWEEPS, /* log-prob rows, each pair under several goals */
    EVAL_SAMPLES /* scored responses */
};

struct eval_input {
    const struct logps_rows *runs;      /* [run_count]; the differences are to the first */
    const struct goal_samples *samples; /* [run_count] of EVAL_SAMPLES tasks, in place of runs */
    size_t run_count;
    const struct logps_rows *base;  /* the reference's own rows, or NULL */
    const struct goal_names *names; /* EVAL_SAMPLES: of goals that are numbered; NULL: none */
    const char *attribute;          /* EVAL_SAMPLES, EVAL_SWEEPS: whose goals and scores they are, NULL: those of one score */
    double low, high;               /* the scale of the scores: 1, 10 */
    bool scaled;                    /* the scale was named */
    double above;                   /* EVAL_SAMPLES: a score whose exceedance counts; NaN: none */
    struct bootstrap_params bootstrap;
};
/* Appends one JSON object and a table. ST_MISMATCH for rows that cannot answer the question. */
typedef status eval_run(struct buf *json, struct buf *text, const struct eval_input *in);

struct eval_task {
    const char *name, *help, *citation;
    enum eval_rows rows;
    eval_run *run;
};
extern const struct eval_task eval_table[];
extern const size_t eval_count;
const struct eval_task *eval_find(const char *name);

/* What a task over log-prob rows keeps of a run, and how it tells it; `run` points to `size` zeroed bytes. */
struct eval_report {
    const char *task;
    size_t size;
    status (*init)(void *run, const struct logps_rows *rows);
    void (*release)(void *run);
    status (*put)(struct buf *json, struct buf *text, const void *run, const char *name, const struct eval_input *in);
    /* The kinds of figures of run minus first, behind the two names. */
    status (*put_difference)(struct buf *json, struct buf *text, const void *run, const void *first, const struct eval_input *in);
};
/* The whole object: {"task", "runs": [..], "base", "differences": [..]}. */
status eval_put_report(struct buf *json, struct buf *text, const struct eval_report *report, const struct eval_input *in);

status goal_accuracy_run(struct buf *json, struct buf *text, const struct eval_input *in);
status unlearning_run(struct buf *json, struct buf *text, const struct eval_input *in);
status midpoint_run(struct buf *json, struct buf *text, const struct eval_input *in);
status goal_curve_run(struct buf *json, struct buf *text, const struct eval_input *in);

#endif
