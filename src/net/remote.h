/* remote: questions to a language model behind an OpenAI-compatible /v1/chat/completions: who asks says what the request is and reads the
 * answer.
 *
 * Every answer goes into the cache before it is looked at, so that a run that was stopped goes on where it was, and repeats none that it
 * has. */
#ifndef RAPT_NET_REMOTE_H
#define RAPT_NET_REMOTE_H

#include "base/buf.h"
#include "base/hash.h"
#include "format/json.h"

enum remote_state { REMOTE_ASKED, REMOTE_ANSWERED, REMOTE_GIVEN_UP };
/* The caller's, often the first member of what it knows about the question; stays where it is until its state is another than REMOTE_ASKED.
 */
struct remote_question {
    struct remote_question *next; /* ours */
    uint64_t number;              /* for messages: of the row, .. */
    enum remote_state state;
    int64_t tries;           /* answers that could not be read */
    char key[HASH_HEX_SIZE]; /* of the request that is under way */
};

/* OpenAI's form: {"choices": [{"message": {"content": TEXT} (completions: "text": TEXT), "finish_reason": .., "logprobs": {"content":
 * [{token, bytes, logprob, top_logprobs: [{token, logprob}]}]}}], "usage": {prompt_tokens, completion_tokens}}. Everything in it is
 * hostile. Views but for the text. */
struct remote_answer {
    struct buf text;                           /* of the first choice */
    struct json root, logprobs;                /* all of it; JSON_NONE without log-probs */
    struct json finish;                        /* finish_reason */
    uint64_t prompt_tokens, completion_tokens; /* that the endpoint counted; 0 where it says nothing */
};
/* text is cleared first. Tokens are filled also where the status is ST_FORMAT: no answer of that form. */
status remote_answer_parse(struct remote_answer *out, struct json answer);

struct remote_options {
    const char *endpoint; /* https://host/v1, or the whole address of chat/completions (text: of completions) */
    bool text;            /* asks completions, which go on from a text, instead of chat/completions */
    const char *model;    /* as the endpoint names it; for who writes requests */
    const char *secret;   /* NULL: none */
    const char *cache;    /* file; NULL: none */
    struct json extra; /* an object: members of every request instead of those that the caller writes, null leaves one out; or JSON_NONE */
    int64_t concurrency, timeout_ms, request_tries, wait_ms;
    int64_t max_tokens;               /* of an answer: bounds its size */
    double per_minute;                /* 0: no limit */
    int64_t answer_tries;             /* answers that cannot be read, until the question is given up */
    bool stop_on_bad;                 /* then the run ends */
    double price_input, price_output; /* of a million tokens */
    const char *who, *item;           /* for messages: "judge"; "row of line", which stands before a question's number */
    const char *go_on;                /* the option that goes on without an answer; NULL: none */
};

struct remote_calls {
    void *context;
    /* Appends the request as a JSON object; q->tries says how often it was asked before. Of equal requests one is sent. */
    void (*put)(void *context, struct buf *out, const struct remote_question *q);
    /* ST_FORMAT: nothing that can be used; the question is asked again, or given up. */
    status (*read)(void *context, struct remote_question *q, const struct remote_answer *answer);
};

/* Tokens and cost are those of answers that came in this run. The names are keys of --json. */
#define REMOTE_COUNT_MAP(X)                                                    \
    X(asked, "questions")                                                      \
    X(cached, "answers that were in the cache")                                \
    X(requests_sent, "requests sent")                                          \
    X(requests_repeated, "of them sent again: no answer, or one that says to") \
    X(requests_limited, "answers that said: too many requests")                \
    X(bad_answers, "answers that cannot be read")                              \
    X(given_up, "questions given up after such answers")                       \
    X(prompt_tokens, "tokens of prompts")                                      \
    X(completion_tokens, "tokens of answers")                                  \
    X(cost_millionths, "cost, in millionths of what prices are given in")      \
    X(cost_cached_millionths, "cost of the answers that were in the cache, likewise")
struct remote_counts {
#define REMOTE_COUNT_MEMBER(name, text) uint64_t name;
    REMOTE_COUNT_MAP(REMOTE_COUNT_MEMBER)
#undef REMOTE_COUNT_MEMBER
};

/* How a server is told a goal (text/goal.h): in the messages, by a member "goal", or by the model's name, NAME@goal=8. */
enum remote_goal_as { REMOTE_GOAL_PROMPT, REMOTE_GOAL_FIELD, REMOTE_GOAL_SUFFIX };
#define REMOTE_GOAL_CHOICES "prompt|field|suffix"
enum remote_goal_as remote_goal_as_parse(const char *name); /* CHECKs */
/* Appends "model": "NAME", and where it is told so "goal": G. goal: as text, which is a string in the field unless it is a number; NULL:
 * none. */
void remote_put_model(struct buf *out, const char *model, const char *goal, enum remote_goal_as as);
/* The seed that a server is given for a response: each has its own, whatever `seed` is and how many there are; the first of the first row
 * has `seed` itself. 53 bits, which every JSON reader keeps. */
uint64_t remote_seed(uint64_t seed, uint64_t row, uint64_t sample);

/* An answer that cannot be used, with the failure's message: q is asked again, or given up where that was the last try or it is `final`;
 * ST_IO where the run ends for it. Of o the tries and what stands in messages. */
status remote_not_read(struct remote_question *q, struct remote_counts *counts, const struct remote_options *o, bool final);

struct remote;
#define REMOTE_WAITING_MAX 512 /* questions that may wait before who asks should let remote_work run */
/* o and calls stay the caller's and live as long. */
status remote_open(struct remote **out, const struct remote_options *o, const struct remote_calls *calls);
/* Takes a question; its answer may be there at once. */
status remote_ask(struct remote *c, struct remote_question *q);
/* Questions that wait for an answer. */
size_t remote_waiting(const struct remote *c);
/* Goes on until a request is answered; there is one under way. */
status remote_work(struct remote *c);
const struct remote_counts *remote_counted(struct remote *c);
/* The secret, should a server repeat it, is not in a message. Waits for the answers that are under way, which are paid for, and keeps them.
 */
void remote_free(struct remote *c);
/* All of that for questions which are there from the start: [count] structs of `size` bytes that begin with a struct remote_question, whose
 * number is set. counts is filled also where it fails; command and name are the progress bar's. */
status remote_ask_all(struct remote_counts *counts, const struct remote_options *o, const struct remote_calls *calls, void *questions,
                      size_t size, size_t count, const char *command, const char *name);

#endif
