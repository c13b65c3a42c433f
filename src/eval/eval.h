/* eval: the table of evaluations over log-prob rows. A row of the table turns runs into a JSON object and a table for people. */
#ifndef RAPT_EVAL_EVAL_H
#define RAPT_EVAL_EVAL_H

#include "eval/bootstrap.h"
#include "eval/logps_file.h"

struct eval_input {
    const struct logps_rows *runs; /* [run_count]; the differences are to the first */
    size_t run_count;
    const struct logps_rows *base; /* the reference's own rows, or NULL */
    double low, high;              /* the scale of the scores: 1, 10 */
    struct bootstrap_params bootstrap;
};
struct eval_task {
    const char *name, *help, *citation;
    /* Appends one JSON object and a table. ST_MISMATCH for rows that cannot answer the question. */
    status (*run)(struct buf *json, struct buf *text, const struct eval_input *in);
};
extern const struct eval_task eval_table[];
extern const size_t eval_count;
const struct eval_task *eval_find(const char *name);

status goal_accuracy_run(struct buf *json, struct buf *text, const struct eval_input *in);
status unlearning_run(struct buf *json, struct buf *text, const struct eval_input *in);

#endif
