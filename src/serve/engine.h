/* engine: the one thread that owns the model. Requests come from any thread; their choices enter the running batch between two steps.
 *
 * Every target (the base, or an adapter on it) has a decoder of its own, since a step of the layers is under one adapter; targets with
 * work take steps in turn. Weights are shared (model_share).
 *
 * Who owns what: a request belongs to the thread that submitted it, which may free it once serve_request_over says that the engine has let
 * go of all choices. What a choice has said so far is written by the engine and read by that thread under the request's lock. */
#ifndef RAPT_SERVE_ENGINE_H
#define RAPT_SERVE_ENGINE_H

#include <pthread.h>
#include <stdatomic.h>

#include "infer/decode.h"
#include "serve/metrics.h"
#include "text/chat.h"
#include "text/goal.h"
#include "text/tokenizer.h"

/* What the model field of a request can name. All but the decoder is the caller's, and is only read. */
struct serve_choice;
struct serve_target {
    const char *name;
    const struct tokenizer *tokenizer;
    const struct chat_template *chat; /* NULL: why_no_chat */
    const char *why_no_chat;
    const struct goal_style *style; /* placement resolved */
    bool trained;                   /* the style came with the weights */
    bool baked;                     /* the chat template asks for a goal by itself */
    struct goal goal;               /* where a request names none */
    const struct goal_list *listed; /* goals that the list of models has by name; NULL: none */
    size_t vocab;
    /* the engine's */
    struct decoder decoder;
    struct serve_choice *running;
};

#define SERVE_STOPS_MAX 16
struct serve_stops {
    struct buf text[SERVE_STOPS_MAX];
    size_t count, longest; /* bytes */
};

struct serve_token {
    int32_t id;
    size_t end; /* bytes of the choice's text once it is there */
};
enum serve_finish { SERVE_RUNNING, SERVE_STOP, SERVE_LENGTH, SERVE_CANCELLED, SERVE_FAILED };

struct serve_request;
struct serve_choice {
    struct serve_request *request;
    struct serve_choice *later; /* in the queue, then among the running ones of its target */
    /* what is wanted, set before it is submitted */
    const int32_t *prompt;
    size_t prompt_count, max_new;
    bool silent; /* only the prompt's odds are wanted: what is drawn is dropped */
    uint64_t row, sample;
    struct decode_odds *prompt_odds; /* NULL, or [prompt_count]; whole as soon as there is a token, or the choice is over */
    /* the engine's */
    struct decode_odds drawn;
    struct detoken_state detoken;
    /* what it has said, under request->lock */
    struct buf text; /* bytes, not always whole characters */
    size_t ready;    /* so many of them can be shown: whole characters, and no beginning of a stop string */
    struct serve_token *tokens;
    struct decode_odds *odds; /* [count], where asked for */
    size_t count, capacity;
    size_t reused;         /* prompt tokens that were not computed again */
    bool prompt_done, cut; /* cut: a stop string ended it */
    enum serve_finish finish;
};
struct serve_request {
    struct serve_target *target;
    struct serve_choice *choices; /* [choice_count] */
    size_t choice_count;
    struct sampler_options sampler;
    struct serve_stops stops;
    bool odds;  /* of each token */
    size_t top; /* of the likeliest */
    double begun_s;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* by the monotonic clock */
    atomic_bool cancelled;
    size_t over; /* choices that the engine has let go; under lock */
    char *why;   /* of SERVE_FAILED; owned, under lock */
};
void serve_request_init(struct serve_request *r, struct serve_target *target, size_t choice_count);
/* It must be over, or never submitted. */
void serve_request_release(struct serve_request *r);
/* With r->lock held: has the engine let go of all choices? */
bool serve_request_over(const struct serve_request *r);
/* With r->lock held: waits until something has changed, at most so long. */
void serve_request_wait(struct serve_request *r, long timeout_ms);

struct serve_visit { /* what another thread wants done by the engine's */
    void (*run)(void *context);
    void *context;
    bool done;
};
struct serve_scorer;
struct serve_engine {
    struct serve_scorer *scorer; /* a view; NULL: none. Only handed through */
    struct serve_target *targets;
    size_t target_count, queue_max;
    struct serve_metrics metrics; /* has a lock of its own */
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct serve_choice *first, **last; /* the queue */
    size_t queued, running;
    bool draining, ended;      /* ended: it has stopped working */
    struct serve_visit *visit; /* NULL: none */
    pthread_cond_t visited;
};
/* What each decoder needs: sequences at a time, tokens of each. Refuses what does not fit this machine. */
struct serve_sizes {
    size_t batch, length;
};
struct serve_model { /* of a target: what its decoder runs */
    struct model *model;
    const float *theta;
};
status serve_engine_init(struct serve_engine *e, struct serve_target *targets, const struct serve_model *models, size_t count,
                         const struct serve_sizes *sizes, size_t queue_max);
void serve_engine_release(struct serve_engine *e);
/* On the thread that owns the model: works until serve_engine_drain was called and all that was taken is done. */
void serve_engine_run(struct serve_engine *e);

/* Has run(context) called on the engine's thread between two steps, and waits for that. One caller at a time. False, and it is not called:
 * the engine has ended. */
bool serve_engine_visit(struct serve_engine *e, void (*run)(void *context), void *context);

enum serve_admission { SERVE_TAKEN, SERVE_QUEUE_FULL, SERVE_DRAINING };
enum serve_admission serve_engine_submit(struct serve_engine *e, struct serve_request *r);
/* Nobody waits for the request any more: what is queued goes at once, what runs before the next step. */
void serve_engine_cancel(struct serve_engine *e, struct serve_request *r);
/* The same for all requests. */
void serve_engine_cancel_all(struct serve_engine *e);
/* Takes nothing new from now on. */
void serve_engine_drain(struct serve_engine *e);
bool serve_engine_draining(struct serve_engine *e);

#endif
