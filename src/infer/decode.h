/* decode: many sequences continued at once, a token each step.
 *
 * A step is one set of rows through the model's layers: a row for each sequence that is being continued, and rows of prompts that are still
 * being read, up to a fixed number, so that memory is planned beforehand. A slot that ends takes the next job at once. Prompts that begin
 * alike (one question under several goals, K samples, a conversation's next turn) are computed once as far as they agree: a slot copies the
 * keys and values of another one, or keeps its own from the job before. */
#ifndef RAPT_INFER_DECODE_H
#define RAPT_INFER_DECODE_H

#include "infer/sampler.h"
#include "model/kv_cache.h"
#include "model/run.h"

/* What the model gives a token, before any option of sampling: log-probs, in nats, by the softmax of the logits. */
#define DECODE_TOP_MAX 20
struct decode_odds {
    float logp;                     /* of the token that stands there */
    int32_t top_id[DECODE_TOP_MAX]; /* the likeliest, falling; of equals the lower id first */
    float top_logp[DECODE_TOP_MAX];
};

/* One continuation that is wanted. The prompt is copied when the job is taken. */
struct decode_job {
    const int32_t *prompt;
    size_t prompt_count;  /* 1 .. length - 1 */
    size_t max_new;       /* most tokens to add; at least 1 */
    uint64_t row, sample; /* the sampler's key */
    void *user;
    const struct sampler_options *sampler; /* NULL: the decoder's */
    /* Only where decode_options.odds, and without decode_calls.pick: */
    size_t top;               /* so many of the likeliest are told, at most DECODE_TOP_MAX */
    struct decode_odds *odds; /* NULL, or written for each token before calls->token */
    struct decode_odds
        *prompt_odds; /* NULL, or [prompt_count] written from 1 on before the first calls->token; the prompt is then computed whole */
};
enum decode_finish { DECODE_RUNNING, DECODE_STOP, DECODE_LENGTH };
const char *decode_finish_name(enum decode_finish f); /* "stop", "length" */
/* How far a job has come. Views, valid during the call. */
struct decode_state {
    const struct decode_job *job; /* job->prompt points at the slot's copy */
    const int32_t *ids;           /* the response so far, the token that ended it included */
    size_t count;
    size_t prompt_reused; /* prompt tokens whose keys and values were there already */
    enum decode_finish finish;
};
/* What decode_run asks and tells. A status other than ST_OK ends it. */
struct decode_calls {
    void *context;
    status (*next)(void *context, struct decode_job *job, bool *end);         /* the next job, or *end for good */
    bool (*is_end)(void *context, int32_t id);                                /* does this token end a response? NULL: none does */
    status (*finish)(void *context, const struct decode_state *s);            /* a job is done; in order of completion */
    status (*token)(void *context, const struct decode_state *s, bool *stop); /* after each token; *stop ends the job. May be NULL */
    status (*pick)(void *context, int32_t *id, const struct decode_state *s, const float *logits); /* instead of the sampler. May be NULL */
    bool (*gone)(void *context,
                 const struct decode_job *job); /* before each step: is nobody waiting for it? It is then finished. May be NULL */
};

struct decode_options {
    size_t batch;  /* sequences at a time */
    size_t length; /* most tokens of prompt and response */
    size_t rows;   /* rows of a step; 0 = 256, never below batch */
    bool odds;     /* jobs may ask for log-probs */
    struct sampler_options sampler;
};
struct decode_slot {
    bool active;
    uint64_t order; /* of admission */
    struct decode_job job;
    int32_t *ids; /* [length] prompt and response; behind a job's end they tell what the cache still holds */
    size_t count;
    size_t cached; /* ids[0, cached) have keys and values once the step in hand is computed */
    size_t ready;  /* ids[0, ready) have them now */
    size_t reused;
};
struct decode_want {
    size_t row, slot;
    size_t at; /* the token of the prompt whose log-prob is wanted; 0: the next token is picked */
    int32_t picked;
    status result;
};
struct decode_counts {
    uint64_t prompt, shared, generated, steps; /* tokens computed, tokens copied or kept, tokens drawn */
};
struct decoder {
    struct model *model;
    const float *theta;
    struct decode_options options;
    struct run run; /* buffers and scratch; its own forward is not used */
    struct kv_cache cache;
    struct decode_slot *slots; /* [batch] */
    struct sampler *samplers;  /* one a thread */
    size_t sampler_count;
    uint64_t admitted;
    struct decode_counts counts;
    /* the step's rows */
    size_t row_count, span_count, want_count;
    int32_t *row_id, *row_position; /* [rows] */
    struct kv_span *spans;          /* [rows] */
    struct decode_want *wants;      /* [batch], with odds [batch + rows]: rows whose logits are needed */
    float *raw;                     /* [sampler_count, V] logits before a sampler changes them; NULL without odds */
};

/* Bytes that decoder_init takes beside the weights: the cache as reserved, and all buffers. SIZE_MAX when it overflows. */
size_t decoder_bytes(const struct model *m, const struct decode_options *o);
/* The model must be open, with its adapter attached where theta is not NULL. */
status decoder_init(struct decoder *d, struct model *m, const float *theta, const struct decode_options *o);
void decoder_release(struct decoder *d);
/* Until calls->next says end and all jobs are done. The cache stays, so a later run's prompts may go on from it. */
status decode_run(struct decoder *d, const struct decode_calls *calls);
/* A single step, for callers whose jobs come at any time: takes jobs while slots are free and *end is false (calls->next sets it), and
 * computes a token of each. *busy: there was something to compute. After an error no job is left; calls->finish was not called for them. */
status decode_step(struct decoder *d, const struct decode_calls *calls, bool *end, bool *busy);

#endif
