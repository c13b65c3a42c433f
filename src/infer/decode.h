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

/* One continuation that is wanted. The prompt is copied when the job is taken. */
struct decode_job {
    const int32_t *prompt;
    size_t prompt_count;  /* 1 .. length - 1 */
    size_t max_new;       /* most tokens to add; at least 1 */
    uint64_t row, sample; /* the sampler's key */
    void *user;
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
};

struct decode_options {
    size_t batch;  /* sequences at a time */
    size_t length; /* most tokens of prompt and response */
    size_t rows;   /* rows of a step; 0 = 256, never below batch */
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
    size_t *want_row, *want_slot;   /* [batch] rows whose logits are sampled */
    int32_t *picked;                /* [batch] */
    status *pick_status;            /* [batch] */
};

/* Bytes that decoder_init takes beside the weights: the cache as reserved, and all buffers. SIZE_MAX when it overflows. */
size_t decoder_bytes(const struct model *m, const struct decode_options *o);
/* The model must be open, with its adapter attached where theta is not NULL. */
status decoder_init(struct decoder *d, struct model *m, const float *theta, const struct decode_options *o);
void decoder_release(struct decoder *d);
/* Until calls->next says end and all jobs are done. The cache stays, so a later run's prompts may go on from it. */
status decode_run(struct decoder *d, const struct decode_calls *calls);

#endif
