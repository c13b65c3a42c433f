/* reward: what gives responses their scores. Every source of scores is one row of reward_table; src/reward/score.h takes a file through one. */
#ifndef RAPT_REWARD_REWARD_H
#define RAPT_REWARD_REWARD_H

#include "data/record.h"
#include "model/scorer.h"

#define REWARD_NAMES_MAX 64

struct reward_weight {
    const char *name; /* a view */
    double weight;
};
/* Of all sources; each looks at its own. Checked beforehand by the caller against the table's flags. */
struct reward_options {
    /* column */
    const char *column;                            /* NULL: weights */
    struct reward_weight weights[REWARD_NAMES_MAX]; /* also of a reward model's attributes */
    size_t weight_count;
    /* rule */
    const char *rule, *pattern, *answer_field, *extract, *unit;
    int64_t length;
    /* models */
    const char *model, *adapter; /* adapter may be NULL */
    enum matmul_kind kind;
    size_t budget;                        /* positions computed at a time */
    double beta;                          /* implicit */
    const char *attributes[REWARD_NAMES_MAX]; /* names for the labels of a head; none: the model's own */
    size_t attribute_count;
};

/* Numbers by response, in the order of the responses: `width` each, the score first, then the attributes. NaN: none. */
struct reward_values {
    double *items;
    size_t count, capacity;
};
void reward_values_add(struct reward_values *v, double value);
void reward_values_release(struct reward_values *v);

/* An open source. */
struct reward {
    const struct reward_source *source;
    void *state;
    char **names; /* [name_count] of the attributes that stand beside the score; owned */
    size_t name_count;
    char *setting; /* owned: what its numbers depend on, in words ("implicit, beta 0.1"); a stored quantile map is for this only */
};

/* What a row can do and what has an effect on it. */
enum {
    REWARD_UNIT = 1,         /* its numbers lie in 0 .. 1 and are mapped linearly to the range of scores */
    REWARD_RAW = 2,          /* its numbers have no scale of their own: they stay raw or go through a quantile map */
    REWARD_MAPPED = 4,       /* of those: mapped unless told otherwise */
    REWARD_NEEDS_MODEL = 8,
    REWARD_NEEDS_ADAPTER = 16
};
struct reward_source {
    const char *name, *help, *citation;
    const char *needs;           /* in words: of the rows, of the options */
    unsigned flags;
    const char *const *options;  /* names of the command's options that only some sources take, NULL at the end */
    status (*open)(struct reward *r, const struct reward_options *o);
    /* The responses of one row. Values may come later, with another row or with flush, but in order. ST_FORMAT and ST_UNSUPPORTED mean that
     * nothing of this row was taken: the row is unusable. */
    status (*score)(struct reward *r, struct reward_values *out, const struct record *row);
    status (*flush)(struct reward *r, struct reward_values *out); /* NULL: nothing is held back */
    void (*release)(struct reward *r);                            /* of the state; safe on a state half opened, or NULL */
};
extern const struct reward_source reward_table[];
extern const size_t reward_count;
/* NULL: no such row. */
const struct reward_source *reward_find(const char *name);
status reward_open(struct reward *r, const struct reward_source *source, const struct reward_options *o);
void reward_release(struct reward *r);

/* Responses of a row, and the i-th: chosen and rejected of a pair, K, or a completion. */
size_t reward_responses(const struct record *row);
const struct buf *reward_response(const struct record *row, size_t i);
/* Its plain text into `out` (cleared): of messages the last one's content. ST_FORMAT for rows of token ids. */
status reward_response_text(struct buf *out, const struct record *row, size_t i);

#define REWARD_DECLARE(name)                                                                                                               \
    status name##_open(struct reward *r, const struct reward_options *o);                                                                  \
    status name##_score(struct reward *r, struct reward_values *out, const struct record *row);                                            \
    void name##_release(struct reward *r);
REWARD_DECLARE(reward_column)
REWARD_DECLARE(reward_rule)
REWARD_DECLARE(reward_model)
REWARD_DECLARE(reward_implicit)
status reward_model_flush(struct reward *r, struct reward_values *out);
status reward_implicit_flush(struct reward *r, struct reward_values *out);

#endif
