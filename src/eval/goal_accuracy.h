/* goal_accuracy: does the policy's preference between the two responses of a pair follow the goal in the prompt?
 *
 * With D(g) = log pi(y_w|x,g) - log pi(y_l|x,g), D_ref the reference's and m = D - D_ref (implicit):
 *   chosen    share of pairs with m(r_w) > 0            rejected  share with m(r_l) < 0          both  the mean of the two
 *   strict    share with both                           flip      share with m(r_w) > m(r_l)     flip_token  the same, log-probs a token
 * and the same figures of D itself (raw). A tie counts 1/2. A change from the reference that is blind to the goal has 0.5 on `both`.
 * Rows without a goal, which plain DPO is trained on, have one figure, without_goal: the share with m > 0, DPO's implicit-reward accuracy
 * (TRL's rewards/accuracies, but for ties). */
#ifndef RAPT_EVAL_GOAL_ACCURACY_H
#define RAPT_EVAL_GOAL_ACCURACY_H

#include "eval/eval.h"

enum goal_figure { GOAL_CHOSEN, GOAL_REJECTED, GOAL_BOTH, GOAL_STRICT, GOAL_FLIP, GOAL_FLIP_TOKEN, GOAL_FIGURES };
enum goal_kind { GOAL_IMPLICIT, GOAL_RAW, GOAL_KINDS };
extern const char *const goal_kind_names[GOAL_KINDS];
/* Strata by the pair's two scores; middle = the middle of the scale. A pair lies in one of the levels and in one of the gaps. */
enum goal_stratum {
    STRATUM_ALL,
    STRATUM_STRADDLING, /* one score below the middle, the other not */
    STRATUM_HIGH,       /* both at or above it */
    STRATUM_LOW,        /* both below it */
    STRATUM_GAP_TINY,   /* |r_w - r_l| < 0.5 */
    STRATUM_GAP_SMALL,  /* 0.5 .. 1 */
    STRATUM_GAP_MIDDLE, /* above 1 .. 3 */
    STRATUM_GAP_LARGE,  /* above 3 */
    GOAL_STRATA
};
/* Of goals of several attributes also, behind these: the two goals are opposed (one asks for more here, the other there: no single score
 * tells them apart); then for each attribute, that they differ in it, and that they differ in it alone. */
static inline int goal_stratum_differ(size_t attribute) { return GOAL_STRATA + 1 + 2 * (int)attribute; }
static inline int goal_stratum_alone(size_t attribute) { return goal_stratum_differ(attribute) + 1; }
#define STRATUM_OPPOSED GOAL_STRATA

/* A pair asked for without a goal. preferred: 1, 1/2 or 0, is m (implicit; NaN without a reference), or D (raw), above 0? */
struct goal_free_pair {
    int64_t source_row;
    uint64_t cluster;
    double preferred[GOAL_KINDS];
};
/* One pair, both halves there. value is 0, 1/2, 1 (1/4 steps for `both`), NaN for implicit figures without a reference. */
struct goal_pair {
    int64_t source_row;
    uint64_t cluster;
    double score[2];  /* r_w, r_l; NaN: unknown, then it is in no stratum of scores */
    uint32_t differs; /* bit k: the two goals differ in attribute k */
    bool opposed;
    double value[GOAL_KINDS][GOAL_FIGURES];
};
struct goal_accuracy {
    struct goal_pair *pairs; /* [count] by source row */
    size_t count;
    size_t incomplete;                 /* rows left out because the pair's other half is missing */
    struct goal_free_pair *free_pairs; /* [free_count] by source row: rows without a goal */
    size_t free_count;
    char *const *attributes; /* [attribute_count] a view of the rows' */
    size_t attribute_count;
};

/* From finished rows, which stay. ST_MISMATCH when no pair has both halves and no row is without a goal. */
status goal_accuracy_init(struct goal_accuracy *g, const struct logps_rows *rows);
void goal_accuracy_release(struct goal_accuracy *g);
status goal_accuracy_estimate(struct estimate *out, const struct goal_accuracy *g, const struct bootstrap_params *p, int stratum,
                              enum goal_kind kind, enum goal_figure figure, double middle);
/* Of the pairs without goals the share that is preferred; other: NULL, or what is taken from it over the pairs that both have. */
status goal_accuracy_free(struct estimate *out, const struct goal_accuracy *g, const struct goal_accuracy *other,
                          const struct bootstrap_params *p, enum goal_kind kind);
/* The mean of g - other over the pairs that both have: a paired bootstrap. */
status goal_accuracy_difference(struct estimate *out, const struct goal_accuracy *g, const struct goal_accuracy *other,
                                const struct bootstrap_params *p, enum goal_kind kind, enum goal_figure figure);

#endif
