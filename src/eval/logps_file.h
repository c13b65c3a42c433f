/* logps_file: the rows that goal accuracy and the unlearning probe work on, read from the JSONL that `rapt logps` writes (or that other
 * tools write in the same form). Rows from a model running inside eval are added through the same three functions. */
#ifndef RAPT_EVAL_LOGPS_FILE_H
#define RAPT_EVAL_LOGPS_FILE_H

#include "data/record.h" /* enum goal_of: whose score the goal is, the original winner's or loser's */
#include "text/goal.h"   /* GOAL_MAX */

/* Index 0 is y_w, the original winner, and 1 is y_l, also in rows of the rejected half, whose file form has them swapped. */
struct logps_row {
    int64_t source_row;
    uint64_t cluster;        /* of the prompt without its goal */
    double goal;             /* NaN: none, or of several attributes; along an attribute: what is asked of it */
    bool attributes;         /* the goal has several attributes */
    double wanted[GOAL_MAX]; /* them, in the order of logps_rows.attributes */
    enum goal_of goal_of;
    uint64_t others; /* along an attribute: hash of what is asked of the others; else 0 */
    double middle;   /* along an attribute: where the wanted preference turns; NaN: in the middle of the scores */
    double score[2]; /* NaN: none; along an attribute: its own */
    double logp[2];  /* sums over the response, nats */
    double ref[2];   /* the reference's; NaN: none */
    int32_t tokens[2];
    uint64_t text[2];     /* hashes of the responses, 0 = not in the file */
    uint64_t prompt, ids; /* hashes of the prompt with its goal, and of the prompt's token ids; 0 = not in the file */
    bool oriented;        /* already in the order y_w, y_l */
};
/* A sweep: each pair under several goals. Goals of several attributes are looked at along one of them, those with the same others being one
 * sweep. What is asked of the others moves the point where R(x, y, g) = -sum of ((g_i - r_i) / w_i)^2, w being the scales' widths, prefers
 * the other response: (r_w + r_l) / 2 + w^2 / (2 (r_w - r_l)) * sum over the others of [(g_i - r_wi)^2 - (g_i - r_li)^2] / w_i^2,  r and w
 * without index those of the one */
struct logps_sweep {
    const char *attribute;           /* NULL: goals of one score */
    const struct goal_style *scales; /* with it: the attributes' scales; without attributes one scale for all */
};
struct logps_rows {
    char *name; /* of the run, for tables; owned */
    struct logps_row *rows;
    size_t count, capacity;
    size_t unscored;            /* rows whose log-probs are null, left out */
    size_t pooled;              /* files added to the first */
    char *attributes[GOAL_MAX]; /* [attribute_count] of goals of several, as the first such row has them; owned */
    size_t attribute_count;
    const struct logps_sweep *sweep; /* a pair has a row for each of several goals, sorted by them; NULL: one for each half */
};

/* Reads one row object as `rapt logps` writes it, in the file's order. `number` stands in for a missing source_row. The attributes of the
 * first goal of several go into r, and all others must have the same. Along an attribute rows have scores_chosen and scores_rejected, as
 * rapt augment writes them. */
status logps_row_read(struct logps_row *row, struct logps_rows *r, struct json object, uint64_t number);
status logps_rows_add(struct logps_rows *r, const struct logps_row *row);
/* The order of finished rows: by source row, half, and where they are no half (GOAL_OF_NONE) by what the prompt asks for. */
int logps_row_compare(const struct logps_row *x, const struct logps_row *y);
/* By the goals alone: numbers, then none, then several attributes. */
int logps_row_compare_asked(const struct logps_row *x, const struct logps_row *y);
/* Puts every row into the order y_w, y_l (by the responses' texts where the file has them, else the rejected half is taken as swapped),
 * gives the rows of a pair one cluster, sorts by logps_row_compare. Rows under a goal that is neither response's have y_w with the higher
 * score, where they have scores. ST_MISMATCH for two rows of the same half of one pair or under one goal, or halves that hold other
 * responses. */
status logps_rows_finish(struct logps_rows *r);
/* The same for a sweep (r->sweep): rows of one source_row are one pair under different goals (those without a goal last). y_w is the
 * response with the higher score, in rows with other texts or scores than the pair's first found by the text. ST_MISMATCH for two rows with
 * one goal. */
status logps_rows_finish_sweep(struct logps_rows *r);
/* All of a file: read, add, finish. Errors name file and line. */
status logps_rows_load(struct logps_rows *r, const char *name, const char *path, const struct logps_sweep *sweep);
/* Fills ref from the rows of the base, matched by source row and half (goal, in a sweep). ST_MISMATCH when one is missing, or has another
 * prompt, other ids of it, other responses or other token counts. */
status logps_rows_join(struct logps_rows *r, const struct logps_rows *base);
/* Adds the rows of another seed's run on the same data: its pairs stay apart (the k-th file's source_row by k 2^40), its prompts are the
 * same clusters. */
status logps_rows_pool(struct logps_rows *r, const struct logps_rows *seed);
/* Two runs are compared pair by pair: rows of one source_row must be of the same two responses, where both files have their texts.
 * ST_MISMATCH names the first that are not. */
status logps_rows_check_pairs(const struct logps_rows *r, const struct logps_rows *other);
void logps_rows_release(struct logps_rows *r);

#endif
