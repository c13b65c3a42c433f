/* alpaca: AlpacaEval's win rates from annotations.json (alpaca_eval 0.6.6: metrics/winrate.py, helpers.py, glm_winrate.py). */
#ifndef RAPT_EVAL_ALPACA_H
#define RAPT_EVAL_ALPACA_H

#include "eval/bootstrap.h"
#include "eval/lc_fit.h"
#include "format/json.h"

/* One comparison: output_1 is the baseline's, output_2 the model's. */
struct alpaca_row {
    double preference; /* 1 .. 2, 2: the model's is better; 1.5 or 0: a draw; NaN: none */
    double length[2];  /* characters of the outputs */
    size_t index;      /* of the instruction in the evaluation set: the row's own, where it says it, else its place */
};
struct alpaca_set {
    struct alpaca_row *items; /* [count] */
    size_t count, capacity;
    bool indexed; /* rows say their index; without, they stand in the order of the evaluation set, none missing, on which the difficulties
                     depend */
    char *generator[2]; /* of all rows */
};
/* Reads a JSON array or JSONL of {output_1, generator_1, output_2, generator_2, preference}, all or none with an "index" too, which the
 * package then takes for the instruction's instead of the row's place (glm_winrate.py, reset_index). Errors name file, line and field. */
status alpaca_load(struct alpaca_set *s, const char *path);
void alpaca_release(struct alpaca_set *s);
/* One row; for readers of other files and for tests. */
status alpaca_add(struct alpaca_set *s, struct json row);

/* In percent, as the package's leaderboard. */
struct alpaca_rates {
    double win_rate, standard_error, discrete_win_rate, average_length;
    size_t wins, wins_base, draws, total; /* total: preferences that count */
};
void alpaca_win_rates(struct alpaca_rates *out, const struct alpaca_set *s);
/* Intervals by bootstrap over instructions, in the same units: of the win rate and of the mean length. */
struct alpaca_intervals {
    struct estimate win_rate, length;
};
status alpaca_intervals(struct alpaca_intervals *out, const struct alpaca_set *s, const struct bootstrap_params *p);

/* The models of glm_winrate.py. */
struct alpaca_glm {
    const char *name, *help;
    bool difficulty; /* a feature */
    double lambda;   /* weight of the gamed baselines, halved among the two; 0: none */
};
extern const struct alpaca_glm alpaca_glm_table[];
extern const size_t alpaca_glm_count;
const struct alpaca_glm *alpaca_glm_find(const char *name);

/* The package's df_gamed.csv (hub: tatsu-lab/alpaca_eval): annotations of the baseline when it writes longer or shorter on purpose, and the
 * difficulty of each instruction. */
struct alpaca_gamed {
    struct lc_row *rows; /* [count] those with a preference; weights 0 or 1 by not_gamed_baseline, scaled by the caller */
    double *difficulty;  /* [order_count] by row of the file; NaN where the row's index stood before */
    size_t count, order_count;
    size_t instructions; /* different ones */
};
status alpaca_gamed_load(struct alpaca_gamed *g, const char *path);
void alpaca_gamed_release(struct alpaca_gamed *g);

struct alpaca_lc {
    double win_rate, standard_error; /* percent */
    struct estimate interval;        /* percent: bootstrap over instructions with the fit as it is, which is what the error is of too */
    struct lc_fit fit;
};
/* gamed: NULL only for a model without difficulty and without regularisation. ST_MISMATCH when the rows do not go with it. */
status alpaca_length_controlled(struct alpaca_lc *out, const struct alpaca_set *s, const struct alpaca_glm *glm,
                                const struct alpaca_gamed *gamed, const struct bootstrap_params *p);
/* Rows that do not say their index are fewer than the instructions that have a difficulty: what is missing can only be guessed. */
bool alpaca_is_short(const struct alpaca_set *s, const struct alpaca_glm *glm, const struct alpaca_gamed *gamed);
/* Is the controlled rate so far from the raw one that the fit is doubtful (get_is_extreme_changes)? */
bool alpaca_is_extreme(double raw, double controlled);

#endif
