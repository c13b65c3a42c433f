/* reward: what gives responses their scores. Every source of scores is one row of reward_table; src/reward/score.h takes a file through
 * one. */
#ifndef RAPT_REWARD_REWARD_H
#define RAPT_REWARD_REWARD_H

#include "data/record.h"
#include "model/scorer.h"
#include "net/remote.h"
#include "reward/judge_answer.h"

#define REWARD_NAMES_MAX 64

struct reward_weight {
    const char *name; /* a view */
    double weight;
};
struct judge_options {
    struct judge_scale scale;
    bool logprobs;                /* the mean over answers, weighted with their probabilities */
    const char *prompt_file;      /* NULL: our own */
    struct remote_options remote; /* endpoint NULL: the model of reward_options, in this process */
};

/* Of all sources; each looks at its own. Checked beforehand by the caller against the table's flags. */
struct reward_options {
    /* column */
    const char *column;                             /* NULL: weights */
    struct reward_weight weights[REWARD_NAMES_MAX]; /* also of a reward model's attributes */
    size_t weight_count;
    /* rule */
    const char *rule, *pattern, *answer_field, *extract, *unit, *command;
    int64_t length, command_batch, command_timeout_ms;
    /* models */
    const char *model, *adapter; /* adapter may be NULL */
    enum matmul_kind kind;
    size_t budget;             /* positions computed at a time */
    const char *budget_option; /* what the command calls it; NULL: micro-batch-tokens */
    double beta;               /* implicit */
    const char *reference;     /* implicit: an adapter, a model, or "none": the model alone; NULL: what the policy's manifest says */
    const char *attributes[REWARD_NAMES_MAX]; /* names for the labels of a head; none: the model's own */
    size_t attribute_count;
    const char *cross_fit[2]; /* implicit: adapters trained on folds 1/2 and 2/2 (data/augment.h) instead of `adapter`; NULL: none */
    /* self */
    const double *goals; /* [goal_count]; none: the whole numbers of the goal's scale */
    size_t goal_count;
    bool per_token, expected;
    struct judge_options judge;
};

/* What sources count besides scores; the names are keys of --json. Tokens and cost are those of answers that came in this run. */
#define REWARD_TALLY_MAP(X)                                                                  \
    X(judge_asked, "questions to the judge")                                                 \
    X(judge_cached, "answers that were in the cache")                                        \
    X(requests_sent, "requests sent")                                                        \
    X(requests_repeated, "of them sent again: no answer, or one that says to")               \
    X(requests_limited, "answers that said: too many requests")                              \
    X(judge_bad_answers, "answers of the judge that cannot be read")                         \
    X(judge_given_up, "questions given up after such answers")                               \
    X(judge_without_logprobs, "answers without log-probs of their value, taken as they are") \
    X(judge_orders_disagree, "comparisons whose two orders disagree")                        \
    X(prompt_tokens, "tokens of prompts")                                                    \
    X(completion_tokens, "tokens of answers")                                                \
    X(cost_millionths, "cost, in millionths of what prices are given in")                    \
    X(cost_cached_millionths, "cost of the answers that were in the cache, likewise")
struct reward_tally {
#define REWARD_TALLY_MEMBER(name, text) uint64_t name;
    REWARD_TALLY_MAP(REWARD_TALLY_MEMBER)
#undef REWARD_TALLY_MEMBER
};

/* Numbers by response, in the order of the responses: `width` each, the score first, then the attributes. NaN: none. */
struct reward_values {
    double *items;
    size_t count, capacity;
};
void reward_values_add(struct reward_values *v, double value);
void reward_values_drop(struct reward_values *v, size_t count); /* the first ones */
void reward_values_release(struct reward_values *v);

/* An open source. */
struct reward {
    const struct reward_source *source;
    void *state;
    char **names; /* [name_count] of the attributes that stand beside the score; owned */
    size_t name_count;
    struct reward_tally tally;
    char *setting; /* owned: what its numbers depend on, in words ("implicit, beta 0.1"); a stored quantile map is for this only */
};

/* What a row can do and what has an effect on it. */
enum {
    REWARD_UNIT = 1,   /* its numbers lie in 0 .. 1 and are mapped linearly to the range of scores */
    REWARD_RAW = 2,    /* its numbers have no scale of their own: they stay raw or go through a quantile map */
    REWARD_MAPPED = 4, /* of those: mapped unless told otherwise */
    REWARD_NEEDS_MODEL = 8,
    REWARD_NEEDS_ADAPTER = 16,
    REWARD_LONE = 32 /* scores a response that comes alone, and has forgotten it when flush fails */
};
struct reward_source {
    const char *name, *help, *citation;
    const char *needs; /* in words: of the rows, of the options */
    unsigned flags;
    const char *unscored;       /* why a response has no score, written beside its null; NULL: the row itself has none */
    const char *const *options; /* names of the command's options that only some sources take, NULL at the end */
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
/* Appends the text of a message's content: a string, or the texts of a list of parts. */
void reward_put_content(struct buf *out, struct json content);

#define REWARD_DECLARE(name)                                                                    \
    status name##_open(struct reward *r, const struct reward_options *o);                       \
    status name##_score(struct reward *r, struct reward_values *out, const struct record *row); \
    void name##_release(struct reward *r);
REWARD_DECLARE(reward_column)
REWARD_DECLARE(reward_rule)
REWARD_DECLARE(reward_model)
REWARD_DECLARE(reward_implicit)
REWARD_DECLARE(reward_judge)
REWARD_DECLARE(reward_self)
status reward_rule_flush(struct reward *r, struct reward_values *out);
status reward_judge_flush(struct reward *r, struct reward_values *out);
status reward_self_flush(struct reward *r, struct reward_values *out);
status reward_model_flush(struct reward *r, struct reward_values *out);
status reward_implicit_flush(struct reward *r, struct reward_values *out);

#endif
