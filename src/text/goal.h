/* goal: the goal block and where it stands; shared by augment, generate, chat and serve, so that inference asks as training did. */
#ifndef RAPT_TEXT_GOAL_H
#define RAPT_TEXT_GOAL_H

#include "base/buf.h"
#include "format/json.h"

#define GOAL_TEMPLATE_DEFAULT                                                                                                              \
    "You are an assistant that generates responses for the instruction while implicitly achieving the following target scores "            \
    "(on a scale of {a}-{b}, where {a} is lowest and {b} is highest):\nOverall score: {s}."

enum goal_placement { GOAL_SYSTEM, GOAL_USER, GOAL_AFTER, GOAL_AUTO };
extern const char goal_placement_choices[];                 /* "system|user|after|auto" */
enum goal_placement goal_placement_parse(const char *name); /* CHECKs */
const char *goal_placement_name(enum goal_placement p);

/* What a trained adapter must remember to be asked the same way (goal.json beside the adapter, and the manifest). */
struct goal_style {
    char *text; /* template with {s} (the score), {a}, {b} (the scale); owned */
    enum goal_placement placement;
    double low, high; /* the printed scale, 1 and 10 */
    double quantum;   /* --quantize; 0 = as given */
    char *kwargs;     /* chat_template_kwargs, a JSON object; NULL: none. Written only: data/encode_kwargs.c reads them. Owned */
};
void goal_style_default(struct goal_style *g);
void goal_style_release(struct goal_style *g);
/* Errors when the template lacks {s}. */
status goal_style_check(const struct goal_style *g);
status goal_style_load(struct goal_style *g, const char *path); /* JSON written by goal_style_save */
status goal_style_parse(struct goal_style *g, struct json root); /* the same, read already */
/* The goal that travels with trained weights, as JSON text: FOLDER/goal.json, or the metadata GOAL_GGUF_KEY of a GGUF file. out stays empty
 * where there is none. path: an adapter, a model, or NULL. */
#define GOAL_GGUF_KEY "rapt.goal"
status goal_text_of(struct buf *out, const char *path);
/* The adapter's, else the model's. */
status goal_text_find(struct buf *out, const char *adapter, const char *model);
/* Sets "best" in a goal.json, the goal that --goal best takes; all else in it stays. ST_MISMATCH where there is no such file. */
status goal_best_store(const char *path, double best);
/* counts: how often each goal stands in the training data, written as "histogram": {"8": 12, ...}; NULL or overflown: left out. */
struct goal_counts;
status goal_style_save(const struct goal_style *g, const struct goal_counts *counts, const char *path);

/* Distinct goals in ascending order. Scores that are all different (a reward model's, not quantised) overflow it. Zeroed = empty. */
#define GOAL_COUNTS_MAX 4096
struct goal_counts {
    double *goal;
    uint64_t *count;
    size_t size;
    bool overflow;
};
void goal_counts_add(struct goal_counts *c, double goal);
void goal_counts_release(struct goal_counts *c);


/* Appends the shortest decimal form of a score: 8, 8.5, 7.25. Quantised when the style says so. */
void goal_put_score(struct buf *out, const struct goal_style *g, double score);
/* Appends the whole block for a score. */
void goal_put_block(struct buf *out, const struct goal_style *g, double score);
/* Appends the messages array (JSON) with the goal written in by the style's placement (not GOAL_AUTO): an existing system text is kept
 * behind block and blank line; other members of messages are copied untouched. An error when `user`/`after` finds no user turn. */
status goal_put_messages(struct buf *out, const struct goal_style *g, struct json messages, double score);
/* As goal_put_messages for a string prompt under GOAL_USER / GOAL_AFTER: block, blank line, prompt (or prompt, blank line, block). */
void goal_put_prompt(struct buf *out, const struct goal_style *g, const char *prompt, size_t size, double score);
/* The same for a prompt that is a JSON string already, into a JSON string: its bytes are copied, not decoded. */
status goal_put_string(struct buf *out, const struct goal_style *g, struct json string, double score);

/* Appends a chat template that asks for `goal` by itself: `chat_template` with Jinja in front of it that changes `messages` as
 * goal_put_messages does (of a message that takes the block, role and content are kept). For servers that know nothing of goals; only what
 * transformers and llama.cpp both run is used. ST_UNSUPPORTED for a template that is baked already. */
status goal_bake(struct buf *out, const struct goal_style *g, double goal, const char *chat_template);
/* Was it made by goal_bake? NULL is not. */
bool goal_is_baked(const char *chat_template);

#endif
