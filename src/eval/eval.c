#include "eval/eval.h"

#include <string.h>

const struct eval_task eval_table[] = {
    {"goal-accuracy", "does the preference between the two responses follow the goal: each half, strict, flip rate, by stratum",
     "docs/TOUR.md, what is measured; reward augmentation: arXiv 2410.08067", EVAL_HALVES, goal_accuracy_run},
    {"unlearning", "how far each response's log-prob a token moved from the reference, by its score", "arXiv 2410.08067, section 3", EVAL_HALVES, unlearning_run},
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
