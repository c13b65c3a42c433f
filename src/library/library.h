/* library: what the files behind include/rapt.h share. They are in librapt.so alone; the program and the tests link the folders below. */
#ifndef RAPT_LIBRARY_LIBRARY_H
#define RAPT_LIBRARY_LIBRARY_H

#include "infer/ask.h"
#include "model/scorer.h"
#include "rapt.h"

/* Products share their scratch (num/matmul.c), so all that computes takes turns; `threads` are the cores of what follows, 0 = as many
 * as OpenMP has for the caller. RAPT_USAGE from inside a callback. Every library_enter that gave ST_OK is followed by a library_leave. */
struct library_turn {
    int threads, dynamic; /* the caller's own settings of OpenMP */
};
status library_enter(struct library_turn *turn, int threads);
/* What a handle keeps, for memory is planned by it: the number asked for, or what 0 is where the handle is opened. */
int library_threads(int asked);
void library_leave(const struct library_turn *turn);

/* A struct that the caller fills, of the size that its first member tells, over the defaults in own[0..size). given: NULL leaves those.
 * ST_USAGE when it is of a newer header and has set something that this library does not know. */
status library_options(void *own, size_t size, const void *given, const char *name);

struct rapt_model {
    char *path, *adapter, *goal_style; /* the last two may be NULL */
    int threads;
    size_t length, batch, budget;
    struct encoder encoder;
    struct goal_asker asker;
    bool asks;            /* asker is open */
    struct scorer scorer; /* its model is the model; the rest is made ready by the first log-probs */
    bool scores;
    struct decoder decoder; /* opened by the first generation */
    bool decodes;
};
/* Opens m->asker, once. */
status library_asker(struct rapt_model *m);
/* ST_UNSUPPORTED where its goals have several attributes. */
status library_one_score(const struct rapt_model *m);

/* Reads a prompt: *record (released by the caller) holds it with system text and goal. m->encoder's template decides what it becomes. */
status library_prompt(struct record *record, struct rapt_model *m, const struct rapt_prompt *prompt);
/* The struct as given, over the defaults, checked. */
status library_prompt_read(struct rapt_prompt *own, const struct rapt_prompt *given);
/* The i-th of an array of them. */
const struct rapt_prompt *library_prompt_at(const struct rapt_prompt *prompts, size_t i);
/* Appends the row {"prompt": ..} to `row`, parses it as a row of a file is and gives it to `record`, whose views are of `row`. */
status library_prompt_record(struct record *record, struct buf *row, const struct rapt_prompt *own, const char *more);
/* Ids of a prompt with the assistant's turn opened, checked against the vocabulary. */
status library_prompt_ids(struct ids *out, struct rapt_model *m, const struct record *record);
/* A response as the completion of that record: its text, or an assistant's turn. */
void library_completion(struct buf *out, const struct record *record, const char *response);

#endif
