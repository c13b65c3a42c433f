#include "eval/eval.h"

#include <stdlib.h>
#include <string.h>

const struct eval_task eval_table[] = {
    {"goal-accuracy", "does the preference between the two responses follow the goal: each half, strict, flip rate, by stratum",
     "docs/TOUR.md, what is measured; reward augmentation: arXiv 2410.08067", EVAL_HALVES, goal_accuracy_run},
    {"unlearning", "how far each response's log-prob a token moved from the reference, by its score", "arXiv 2410.08067, section 3",
     EVAL_HALVES, unlearning_run},
    {"midpoint", "does the preference turn where the goal passes the middle of the two scores: each pair under a sweep of goals",
     "docs/TOUR.md, what is measured", EVAL_SWEEPS, midpoint_run},
    {"goal-curve", "requested against achieved score of samples: Kendall's tau within prompts, calibration, length, repetition",
     "Kendall: Biometrika 30 (1938); repetition: arXiv 1908.04319", EVAL_SAMPLES, goal_curve_run},
};
const size_t eval_count = sizeof eval_table / sizeof eval_table[0];

const struct eval_task *eval_find(const char *name) {
    for (size_t i = 0; i < eval_count; i++)
        if (strcmp(eval_table[i].name, name) == 0) return &eval_table[i];
    return NULL;
}

static status put_difference(struct buf *json, struct buf *text, const struct eval_report *report, const char *runs, size_t i,
                             const struct eval_input *in) {
    buf_append_text(json, "{\"name\": ");
    json_put_text(json, in->runs[i].name);
    buf_append_text(json, ", \"minus\": ");
    json_put_text(json, in->runs[0].name);
    buf_printf(text, "%s minus %s, the same pairs\n", in->runs[i].name, in->runs[0].name);
    TRY(report->put_difference(json, text, runs + i * report->size, runs, in));
    buf_append_char(json, '}');
    buf_append_char(text, '\n');
    return ST_OK;
}

static status put_run(struct buf *json, struct buf *text, const struct eval_report *report, char *run, const struct logps_rows *rows,
                      const struct eval_input *in) {
    TRY(report->init(run, rows));
    return report->put(json, text, run, rows->name, in);
}

/* runs: one more than run_count, for the base. */
static status put_all(struct buf *json, struct buf *text, const struct eval_report *report, char *runs, const struct eval_input *in) {
    buf_append_text(json, "\"runs\": [");
    for (size_t i = 0; i < in->run_count; i++) {
        if (i) buf_append_text(json, ", ");
        TRY(put_run(json, text, report, runs + i * report->size, &in->runs[i], in));
    }
    buf_append_text(json, "], \"base\": ");
    if (in->base)
        TRY(put_run(json, text, report, runs + in->run_count * report->size, in->base, in));
    else
        buf_append_text(json, "null");
    buf_append_text(json, ", \"differences\": [");
    for (size_t i = 1; i < in->run_count; i++) {
        if (i > 1) buf_append_text(json, ", ");
        TRY(put_difference(json, text, report, runs, i, in));
    }
    buf_append_char(json, ']');
    return ST_OK;
}

status eval_put_report(struct buf *json, struct buf *text, const struct eval_report *report, const struct eval_input *in) {
    char *runs = mem_zero(in->run_count + 1, report->size);
    buf_printf(json, "{\"task\": \"%s\", ", report->task);
    if (in->attribute) {
        buf_append_text(json, "\"attribute\": ");
        json_put_text(json, in->attribute);
        buf_append_text(json, ", ");
    }
    const status code = put_all(json, text, report, runs, in);
    buf_append_text(json, "}\n");
    for (size_t i = 0; i <= in->run_count; i++) report->release(runs + i * report->size);
    free(runs);
    return code;
}
