/* judge: questions to a language model that rates or compares responses, and who answers them: an endpoint (judge_remote.c) or a model in
 * this process (judge_local.c). reward_judge.c makes questions of rows and scores of answers. */
#ifndef RAPT_REWARD_JUDGE_H
#define RAPT_REWARD_JUDGE_H

#include "net/remote.h"
#include "reward/judge_answer.h"
#include "reward/reward.h"

struct judge_question {
    struct remote_question remote; /* first; its state is that of any judge's question, its number the row's line */
    struct judge_question *next;   /* judge_local: of those that wait for an answer */
    struct buf text;               /* what the judge reads; released once answered */
    double value; /* 0 .. 1: of a rating its place on the scale; of a comparison 1 where the response shown first is the better */
};

struct judge_backend {
    status (*open)(void **state, struct reward *r, const struct reward_options *o, const struct judge_scale *scale);
    /* Begins; the answer may be there at once. ST_FORMAT and ST_UNSUPPORTED: this question cannot be asked, nothing of it was taken. */
    status (*ask)(void *state, struct judge_question *q);
    /* Goes on until some question that waits is answered, or, where that needs more of them, returns with *stuck. */
    status (*work)(void *state, bool all, bool *stuck);
    /* Takes back the last `count` questions, none of them answered. NULL where ask never fails for the question's sake. */
    void (*undo)(void *state, size_t count);
    size_t most; /* questions that may wait, at most, before work is called */
    void (*release)(void *state);
};
extern const struct judge_backend judge_remote, judge_local;

/* The judge's prompt: our own, or a file's. {prompt} and {response}, or {response_a} and {response_b}, and where they like {a} and {b}, the
 * scale. */
struct judge_prompt {
    char *text; /* owned */
};
/* file NULL: ours. ST_FORMAT where a place is missing. */
status judge_prompt_open(struct judge_prompt *p, const char *file, const struct judge_scale *scale);
void judge_prompt_release(struct judge_prompt *p);
/* Appends it with its places filled. Of what is filled in nothing is a place again. second: of comparisons. */
void judge_prompt_put(struct buf *out, const struct judge_prompt *p, const struct judge_scale *scale, const struct buf *prompt,
                      const struct buf *first, const struct buf *second);
/* A row's prompt as text (cleared): the user's one message alone, else turn by turn with their roles. ST_FORMAT where there is none. */
status judge_prompt_of_row(struct buf *out, const struct record *row);

#endif
