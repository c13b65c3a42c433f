/* bench_judge: judgements of the benchmarks that a language model judges: their questions to it, how its answers are read, and the files
 * that their own scripts write, which rapt eval alpaca, arena-hard and mt-bench read. A benchmark's protocol is a row of bench_protocols.
 */
#ifndef RAPT_EVAL_BENCH_JUDGE_H
#define RAPT_EVAL_BENCH_JUDGE_H

#include "data/encode.h"
#include "model/model.h"
#include "net/remote.h"

#define BENCH_FILES_MAX 16
struct bench_options {
    const char *answers;                    /* the model's, in the benchmark's form */
    const char *baselines[BENCH_FILES_MAX]; /* [baseline_count] answers that they are compared with */
    size_t baseline_count;
    const char *baseline;               /* name in their files, instead of the benchmark's own; NULL */
    const char *questions, *references; /* NULL: none */
    const char *prompts;                /* file; NULL: the benchmark's own, built in */
    size_t limit;                       /* questions at most; 0: all */
    const char *judge;                  /* its name, for the files */
    double seconds;                     /* now, for time stamps */
};

/* A question to the judge. */
struct bench_question {
    struct remote_question remote; /* first */
    struct buf messages;           /* what is asked: a JSON array */
    struct buf said;               /* the judge's text, of all tries that count */
    struct buf raw;                /* its choice as JSON; of protocols that keep it */
    double value;                  /* a preference 1 .. 2 of what was shown, or a grade */
    char verdict[16];              /* A>>B, ..; "" none */
};

struct bench;
struct bench_protocol {
    const char *name, *help, *citation;
    unsigned needs; /* BENCH_NEEDS_.. */
    double temperature;
    int64_t max_tokens, tries; /* of an answer; askings until one can be read, as the benchmark's own script has it */
    const char *missing_hint;  /* what missing answers mean for the file, or NULL */
    const char *members;       /* further ones of the request, ", \"top_p\": 1"; "" */
    size_t top;                /* log-probs of so many likeliest tokens come with the answer; 0: none */
    bool continues; /* read puts more behind the messages: a second asking goes on with the conversation, at the same temperature */
    /* Reads the files and makes the questions. */
    status (*open)(struct bench *b);
    /* ST_FORMAT: nothing that can be read. */
    status (*read)(struct bench_question *q, const struct remote_answer *a);
    /* Appends the whole file. */
    void (*write)(struct buf *out, const struct bench *b);
    void (*release)(void *state); /* NULL is none */
};
enum { BENCH_NEEDS_BASELINES = 1, BENCH_NEEDS_QUESTIONS = 2, BENCH_TAKES_REFERENCES = 4, BENCH_TAKES_BASELINE = 8 };
extern const struct bench_protocol *const bench_protocols[];
extern const size_t bench_protocol_count;
const struct bench_protocol *bench_protocol_find(const char *name); /* NULL: no such row */

struct bench {
    const struct bench_protocol *protocol;
    const struct bench_options *o;
    struct bench_question *questions; /* [count] */
    size_t count, capacity;
    size_t missing; /* answers that the benchmark has a place for, and the file has not */
    size_t equal;   /* comparisons of equal texts: nobody is asked */
    void *state;
};
/* Files read, questions made. */
status bench_open(struct bench *b, const struct bench_protocol *protocol, const struct bench_options *o);
/* Asks all; counts is filled also where it fails. remote: answer_tries and max_tokens 0 are the protocol's. */
status bench_ask(struct bench *b, struct remote_counts *counts, struct remote_options *remote);
/* The same by a model in this process (bench_local.c), whose answers are those of rapt serve with this model. Of how: answer_tries,
 * max_tokens and what is done about bad answers. A question that leaves no room for an answer is refused. ST_UNSUPPORTED: the model cannot
 * be asked in a conversation, or not with the benchmark's system text. */
struct bench_model {
    const char *name; /* for messages */
    struct encoder *encoder;
    struct model *model;
    const float *theta;   /* of an adapter; or NULL */
    size_t batch, length; /* questions at a time; tokens of question and answer, 0: as many as they can have */
};
status bench_ask_local(struct bench *b, struct remote_counts *counts, const struct remote_options *how, const struct bench_model *m);
void bench_release(struct bench *b);
/* Index of a fresh one. */
size_t bench_add(struct bench *b);
/* What is 0 becomes the protocol's. */
void bench_resolve(struct remote_options *o, const struct bench *b);
/* Of the next asking: the protocol's, or 1 where at 0 the same answer would come again. */
double bench_temperature(const struct bench *b, const struct bench_question *q);
/* For tests: the request's body, and an answer read, without a server. */
void bench_put_request(struct buf *out, const struct bench *b, const struct bench_question *q, const struct remote_options *remote);

/* ---- of protocols ---- */
extern const struct bench_protocol bench_alpaca, bench_mt_single, bench_mt_pair, bench_arena_v01, bench_arena_v2;
const char *bench_prompts_alpaca(void), *bench_prompts_mt(void), *bench_prompts_arena(void);
/* Appends [{"role": .., "content": ..}, ..] piece by piece: the first call opens the array, bench_end_messages closes it. */
void bench_put_message(struct buf *messages, const char *role, const char *text, size_t size);
void bench_end_messages(struct buf *messages);
/* All messages of a question: a system turn, none where it is NULL, and one user turn. */
void bench_put_asked(struct buf *messages, const char *system, const struct buf *text);
/* Appends "name": "text", with a comma and a blank. */
void bench_put_text(struct buf *out, const char *name, const char *text);

/* A model's answers, by the identity of their questions. */
struct bench_answer {
    char *id; /* uid, question_id, instruction */
    char *model;
    char *turns[2]; /* the second NULL where there is one */
    char *dataset;  /* of AlpacaEval's, or NULL */
    size_t twin;    /* how many of the same id stand before it */
};
struct bench_answers {
    struct bench_answer *items; /* [count], as in the files */
    size_t count, capacity;
    size_t *order; /* [count] by (id, twin) */
    bool twins;    /* an id may stand several times; else that is an error */
};
enum bench_form { BENCH_FORM_ALPACA, BENCH_FORM_MT, BENCH_FORM_ARENA };
/* Adds a file's rows: {instruction, output, generator}; {question_id, model_id, choices: [{turns: [..]}]}; of Arena-Hard that with turns of
 * {content}, or {uid, model, messages: [.., {content: {answer}}]}. Errors name file, line and field. */
status bench_answers_load(struct bench_answers *a, const char *path, enum bench_form form);
/* The answers of several files: of `model` only, or of all where it is NULL. NULL: there is none. */
const struct bench_answer *bench_answers_find(const struct bench_answers *a, const char *id, const char *model, size_t twin);
/* ST_MISMATCH where two models wrote the file's `what` (outputs, answers). */
status bench_answers_one_model(const struct bench_answers *a, const char *path, const char *what);
void bench_answers_release(struct bench_answers *a);
/* A whole number or a string, as text; NULL for anything else. Caller frees. */
char *bench_id_text(struct json value);

#endif
