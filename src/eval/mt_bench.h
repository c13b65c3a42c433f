/* mt_bench: MT-Bench's scores from FastChat's judgement files, by its formulas (fschat 0.2.36, llm_judge/show_result.py, common.py). */
#ifndef RAPT_EVAL_MT_BENCH_H
#define RAPT_EVAL_MT_BENCH_H

#include "base/buf.h"
#include "format/json.h"

#define MT_TURNS 2

/* A question's category; for tables by category. */
struct mt_question {
    int64_t id;
    size_t category;
};
/* Sums of grades. */
struct mt_cell {
    double sum;
    size_t count;
};
struct mt_model {
    char *name;
    struct mt_cell turn[MT_TURNS];      /* single grading */
    struct mt_cell *category;           /* [category_count][MT_TURNS] */
    size_t wins, losses, ties;          /* pairwise */
};
struct mt_bench {
    struct mt_question *questions;      /* [question_count], by id */
    char **categories;                  /* in the order of the questions */
    struct mt_model *models;            /* [model_count], in the order of the rows */
    char *baseline;                     /* pairwise: rows without it are left out; NULL: none is */
    size_t question_count, category_count, model_count, ungraded; /* ungraded: rows whose grade is -1 */
    size_t singles, pairs;              /* rows of either kind */
};
void mt_release(struct mt_bench *b);
/* FastChat's question.jsonl; before the judgements. */
status mt_load_questions(struct mt_bench *b, const char *path);
/* Rows {question_id, model, turn, score}, or {question_id, model_1, model_2, g1_winner, g2_winner, turn}. Errors name file, line and field. */
status mt_load_judgements(struct mt_bench *b, const char *path);
status mt_add(struct mt_bench *b, struct json row); /* one row */
/* The grade in a judge's text: the first [[n]], else the first [n]; -1 where there is none (run_judge_single). */
double mt_grade(const char *text, size_t size);
/* A mean; NaN without grades. */
double mt_mean(const struct mt_cell *c);
/* Appends the object and a table. */
void mt_put(struct buf *json, struct buf *text, const struct mt_bench *b);

#endif
