/* harness_remote: what the harness's tasks share where the model is behind an OpenAI-compatible endpoint. */
#ifndef RAPT_EVAL_HARNESS_REMOTE_H
#define RAPT_EVAL_HARNESS_REMOTE_H

#include "net/remote.h"

struct harness_remote {
    const struct remote_options *o;
    struct remote_counts *counts; /* filled also where it fails */
    const char *goal;             /* as text, where the server is told it in another way than in the prompt; NULL */
    enum remote_goal_as as;
    int64_t max_tokens; /* of an answer's JSON: bounds its size */
};
/* Asks all questions: [count] structs of `size` bytes that begin with a struct remote_question, whose number is set. `name` is what the bar
 * counts. */
status harness_ask_all(const struct harness_remote *r, const struct remote_calls *calls, void *questions, size_t size, size_t count,
                       const char *name);

#endif
