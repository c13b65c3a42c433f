/* arena_hard: Arena-Hard's scores from judgement files, by its own scripts' formulas: v0.1 (lmarena/arena-hard-auto 0489bf3, utils_math.py,
 * show_result.py) and v2 (show_result.py, utils/math_utils.py), with style control. */
#ifndef RAPT_EVAL_ARENA_HARD_H
#define RAPT_EVAL_ARENA_HARD_H

#include "base/buf.h"
#include "format/json.h"
#include "format/yaml.h"

#define ARENA_STYLES 4 /* length; headers, list items and bold marks a token */

enum arena_version { ARENA_V01, ARENA_V2 };

/* One comparison with the baseline; a strong verdict is three of them. */
struct arena_battle {
    size_t model;
    double outcome; /* 1: the model won, 0: the baseline, 1/2: a tie */
    double style[ARENA_STYLES];
};
struct arena_set {
    enum arena_version version;
    char *baseline, *category;                    /* category: of v2, or NULL for all rows */
    char **models;                                /* [model_count] */
    struct arena_battle *items;                   /* [count], game by game in the files' order */
    char **questions;                             /* [count] of the battle, for style control; NULL without */
    size_t model_count, count, capacity, skipped; /* skipped: games without a verdict */
    bool keep_questions;
};
void arena_hard_release(struct arena_set *s);
/* Adds a file: rows {question_id | uid, model, games: [{score}, {score}]}, game 1 with the baseline as A, game 2 with the model as A. v2
 * also category, perhaps the baseline, which must be the set's, and leaves out rows with a game that has no score; v0.1 leaves out such
 * games. */
status arena_hard_load(struct arena_set *s, const char *path);
status arena_hard_add(struct arena_set *s, struct json row); /* one row */
/* The baseline of a category of v2 (JUDGE_SETTINGS of utils/judge_utils.py), or of v0.1, by prompts/arena_hard.yaml, which is `prompts`. A
 * view; NULL: it has none. */
const char *arena_hard_baseline(const struct yaml *prompts, enum arena_version version, const char *category);
/* Fills style from answer files: rows {uid, model, metadata: {token_len, header_count, list_count, bold_count}}, of every model and the
 * baseline. ST_MISMATCH where an answer is missing. */
status arena_hard_load_styles(struct arena_set *s, const char *const *paths, size_t count);

struct arena_score {
    size_t model, battles;
    double score, low, high; /* percent */
};
/* What an interval leaves out at either end: v0.1's are of 95 %, v2's of 90. */
double arena_hard_tail(enum arena_version version);
struct arena_params {
    size_t rounds; /* of the bootstrap: 100 */
    uint32_t seed; /* of numpy's generator, whose draws are repeated: 42 */
};
/* scores [model_count], best first. v0.1: Bradley-Terry against the baseline, which is the share of battles won with ties as halves; 2.5
 * and 97.5 % of the bootstrap over battles. v2: mean of the bootstrap within each model; 5 and 95 %. */
void arena_hard_scores(struct arena_score *scores, const struct arena_set *s, const struct arena_params *p);
/* v2 with style control: medians of the bootstrap of a Bradley-Terry fit with styles beside the models. styles [ARENA_STYLES]: medians of
 * their coefficients. ST_MISMATCH when a style is the same in all battles. */
status arena_hard_scores_styled(struct arena_score *scores, double *styles, const struct arena_set *s, const struct arena_params *p);
/* The fit itself, of battles [count] in the order `drawn` (NULL: as they are): 50 steps of L-BFGS at rate 0.1 from 0.5, as torch takes
 * them. coefficients [model_count + 1 + ARENA_STYLES]: models, baseline, styles. normalised: [count][ARENA_STYLES]. */
void arena_hard_fit(double *coefficients, const struct arena_set *s, const double *normalised, const uint32_t *drawn);
/* Styles less their mean, over their standard deviation. */
status arena_hard_normalise(double *out, const struct arena_set *s);

#endif
