/* summary: what several evaluations found about any number of runs, in one table and one picture. It reads what `rapt eval TASK --json`
 * printed; runs are told by their names, so a run has one name in all the files. */
#ifndef RAPT_EVAL_SUMMARY_H
#define RAPT_EVAL_SUMMARY_H

#include "eval/bootstrap.h"

#define SUMMARY_RUNS_MAX 64

/* Where a figure stands in a task's JSON, and what it says. */
struct summary_figure {
    const char *name, *label;
    const char *task, *group, *stratum, *figure; /* runs[i].GROUP.STRATUM.FIGURE; NULL group: implicit, of the base raw; NULL stratum:
                                                    GROUP.FIGURE; a * in a name stands for anything */
    const char *difference;                      /* differences[i].GROUP.DIFFERENCE; NULL: there is none */
    double chance;                               /* what a policy that ignores the goal has; NaN: no such thing */
};
extern const struct summary_figure summary_figures[];
extern const size_t summary_figure_count;

struct summary_entry {
    struct estimate own, difference; /* n 0: not measured */
    bool raw;                        /* of raw log-probs: the base has no others */
};
struct summary_curve {
    double goal[256];
    struct estimate achieved[256];
    size_t count;
};
struct summary {
    char *names[SUMMARY_RUNS_MAX]; /* [run_count] in the order of appearance; owned */
    bool base[SUMMARY_RUNS_MAX];   /* the reference of some file */
    size_t run_count;
    struct summary_entry *entries; /* [summary_figure_count][SUMMARY_RUNS_MAX] */
    struct summary_curve *curves;  /* [SUMMARY_RUNS_MAX] */
    char *minus;                   /* the run that differences are to, or NULL; owned */
};
/* Errors name the file and the field. Release either way. */
status summary_load(struct summary *s, const char *const *paths, size_t count);
void summary_release(struct summary *s);
/* {"task": "summary", "minus": .., "figures": [{"name", "label", "chance", "runs": [{"name", "estimate", "raw", "difference"}]}]}, and a
 * table. */
void summary_put(struct buf *json, struct buf *text, const struct summary *s);
/* An SVG: a panel a figure with all runs and their intervals, and the goal curves. */
void summary_picture(struct buf *out, const struct summary *s);

#endif
