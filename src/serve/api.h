/* api: OpenAI's requests and answers as JSON. It knows nothing of HTTP but status codes. */
#ifndef RAPT_SERVE_API_H
#define RAPT_SERVE_API_H

#include "format/json.h"
#include "serve/engine.h"

enum api_kind { API_CHAT = 1, API_TEXT = 2 }; /* /v1/chat/completions, /v1/completions */

/* Why a request is refused, in OpenAI's form. Zeroed: it is not. */
struct api_error {
    unsigned code;      /* HTTP's */
    const char *reason; /* "code" of the form, e.g. "model_not_found"; NULL = null */
    char param[64];     /* the field; "" = null */
    struct buf message;
};
/* Sets all of it; the first one set stays. Returns false. */
bool api_refuse(struct api_error *e, unsigned code, const char *reason, const char *param, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
void api_put_error(struct buf *out, const struct api_error *e);
void api_error_release(struct api_error *e);

struct api_limits {
    size_t max_new;     /* tokens of a choice; 0: what its target's length leaves */
    size_t choices_max; /* of a request */
};
struct api_prompt {
    struct buf text; /* what echo gives back */
    struct ids ids;
    size_t *ends;    /* [ids.count] bytes of text behind each token; only for echo */
    bool hidden_bos; /* the tokenizer put a beginning-of-text token in front that the text has not */
};
struct api_call {
    enum api_kind kind;
    char id[40];
    int64_t created;
    struct serve_target *target;
    struct goal goal;
    bool stream, usage_chunk, usage_always, echo, logprobs; /* usage_always: in every chunk, where there is a usage_chunk */
    int64_t top, n, max_new, seed;                          /* max_new -1: not given */
    bool seeded;
    struct api_prompt *prompts;
    size_t prompt_count;
    struct serve_request request; /* prompt i's sample j is choice i n + j */
    struct api_shown *shown;      /* [choices] how much of each a stream has given */
};
/* Reads and checks a body. False: e says why. The call must be released either way. */
bool api_read(struct api_call *c, struct api_error *e, enum api_kind kind, const char *body, size_t size, struct serve_engine *engine,
              const struct api_limits *limits);
/* The request in it must be over, or never submitted. */
void api_release(struct api_call *c);

/* The whole answer; the request must be over. False where the model failed or the request was cancelled: e says so. */
bool api_put_answer(struct buf *out, struct api_error *e, struct api_call *c);
/* Server-sent events for all that came since the last call; *last: that was the end. Waits at most so long where there is nothing. */
void api_put_events(struct buf *out, struct api_call *c, bool *last, long timeout_ms);
/* An event that tells why a stream breaks off. */
void api_put_error_event(struct buf *out, const struct api_error *e);
/* A body {"messages": [.., the answer]} or {"prompt", "completion"} as a row {"prompt", "completion"} for the scorer. False: e says why. */
bool api_read_score(struct buf *row, struct api_error *e, const char *body, size_t size);
/* members: of the score. */
void api_put_score(struct buf *out, const struct buf *members);
/* The model of a name as requests give it, NAME or NAME@goal=G. False: e says why. */
bool api_put_named_model(struct buf *out, struct api_error *e, const struct serve_engine *engine, const char *name, int64_t created);
/* All, each with the goals that are listed by name behind it. */
void api_put_models(struct buf *out, const struct serve_engine *engine, int64_t created);

#endif
