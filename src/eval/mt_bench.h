/* mt_bench: MT-Bench's scores from FastChat's judgement files, by its formulas (fschat 0.2.36, llm_judge/show_result.py, common.py). */
#ifndef RAPT_EVAL_MT_BENCH_H
#define RAPT_EVAL_MT_BENCH_H

#include "eval/bootstrap.h"
#include "format/json.h"

#define MT_TURNS 2

/* A question's category; for tables by category. */
struct mt_question {
    int64_t id;
    size_t category;
};
/* One grade, or a pair's outcome for this model: 1 won, 1/2 tied, 0 lost. Kept for the intervals, whose clusters are the questions. */
struct mt_verdict {
    int64_t question;
    size_t category; /* SIZE_MAX: not known, or a pair */
    int turn;        /* of a grade; 0: a pair */
    double value;
};
/* Sums of grades. */
struct mt_cell {
    double sum;
    size_t count;
};
struct mt_model {
    char *name;
    struct mt_cell turn[MT_TURNS]; /* single grading */
    struct mt_cell *category;      /* [category_count][MT_TURNS] */
    size_t wins, losses, ties;     /* pairwise */
    struct mt_verdict *verdicts;   /* [verdict_count] */
    size_t verdict_count;
};
struct mt_bench {
    struct mt_question *questions;                                /* [question_count], by id */
    char **categories;                                            /* in the order of the questions */
    struct mt_model *models;                                      /* [model_count], in the order of the rows */
    char *baseline;                                               /* pairwise: rows without it are left out; NULL: none is */
    size_t question_count, category_count, model_count, ungraded; /* ungraded: rows whose grade is -1 */
    size_t singles, pairs;                                        /* rows of either kind */
};
void mt_release(struct mt_bench *b);
/* FastChat's question.jsonl; before the judgements. */
status mt_load_questions(struct mt_bench *b, const char *path);
/* Rows {question_id, model, turn, score}, or {question_id, model_1, model_2, g1_winner, g2_winner, turn}. Errors name file, line and field.
 */
status mt_load_judgements(struct mt_bench *b, const char *path);
status mt_add(struct mt_bench *b, struct json row); /* one row */
/* The grade in a judge's text: the first [[n]], else the first [n]; -1 where there is none (run_judge_single). */
double mt_grade(const char *text, size_t size);
/* A mean; NaN without grades. */
double mt_mean(const struct mt_cell *c);
enum mt_figure { MT_TURN_1, MT_TURN_2, MT_AVERAGE, MT_WIN_RATE, MT_LOSS_RATE, MT_WIN_RATE_ADJUSTED, MT_FIGURES };
/* A figure with its interval by bootstrap over questions, both turns of one drawn together. category SIZE_MAX: of all. ST_NOMEM. */
status mt_estimate(struct estimate *out, const struct mt_model *m, const struct bootstrap_params *p, enum mt_figure figure,
                   size_t category);
/* Appends the object and a table. */
status mt_put(struct buf *json, struct buf *text, const struct mt_bench *b, const struct bootstrap_params *p);

#endif
