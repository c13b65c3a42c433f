/* goal: the goal block and where it stands; shared by augment, generate, chat and serve, so that inference asks as training did. */
#ifndef RAPT_TEXT_GOAL_H
#define RAPT_TEXT_GOAL_H

#include "base/buf.h"
#include "format/json.h"

#define GOAL_TEMPLATE_DEFAULT                                                                                                   \
    "You are an assistant that generates responses for the instruction while implicitly achieving the following target scores " \
    "(on a scale of {a}-{b}, where {a} is lowest and {b} is highest):\nOverall score: {s}."

#define GOAL_LINES "{lines}"
#define GOAL_SCALED "{scaled}"
#define GOAL_TEMPLATE_LINES                                                                                                     \
    "You are an assistant that generates responses for the instruction while implicitly achieving the following target scores " \
    "(on a scale of {a}-{b}, where {a} is lowest and {b} is highest):\n" GOAL_LINES
#define GOAL_TEMPLATE_SCALED                                                                                                    \
    "You are an assistant that generates responses for the instruction while implicitly achieving the following target scores " \
    "(each on the scale in brackets, from lowest to highest):\n" GOAL_SCALED

enum goal_placement { GOAL_SYSTEM, GOAL_USER, GOAL_AFTER, GOAL_AUTO };
extern const char goal_placement_choices[];                 /* "system|user|after|auto" */
enum goal_placement goal_placement_parse(const char *name); /* CHECKs */
const char *goal_placement_name(enum goal_placement p);

/* What is asked for: one score, or one for each of a style's attributes, in their order. Zeroed: no goal. */
#define GOAL_MAX 24 /* attributes; ArmoRM has 19 */
struct goal {
    size_t count; /* 0: none; 1 under a style without attributes, else its attribute_count */
    double value[GOAL_MAX];
};
static inline struct goal goal_of_score(double score) { return (struct goal){.count = 1, .value = {score}}; }
static inline bool goal_equal(const struct goal *a, const struct goal *b) {
    size_t i = 0;
    while (i < a->count && i < b->count && a->value[i] == b->value[i]) i++;
    return i == a->count && i == b->count;
}

struct goal_attribute {
    char *name;       /* owned */
    double low, high; /* its scale */
};

/* What a trained adapter must remember to be asked the same way (goal.json beside the adapter, and the manifest). */
struct goal_style {
    char *text; /* template with {s} (the score), {a}, {b} (the scale), {lines}, {scaled} (a line an attribute, without and with its scale);
                   owned */
    enum goal_placement placement;
    double low, high; /* the printed scale of a goal of one score, 1 and 10 */
    double quantum;   /* --quantize; 0 = as given */
    char *kwargs;     /* chat_template_kwargs, a JSON object; NULL: none. Written only: data/encode_kwargs.c reads them. Owned */
    struct goal_attribute attributes[GOAL_MAX]; /* [attribute_count] */
    size_t attribute_count;                     /* 0: a goal is one score without a name */
    struct goal best;                           /* what --goal best asks for; no goal: not known */
    char **tokens; /* [token_count], owned: what {s} prints for low, low + quantum, .., high instead of the number; not with attributes */
    size_t token_count; /* 0: numbers */
};
void goal_style_default(struct goal_style *g);
void goal_style_release(struct goal_style *g);
/* Errors when the template has no place for the score or scores, or a scale or a name is none. */
status goal_style_check(const struct goal_style *g);
/* Adds an attribute, of unknown scale (NaN). ST_USAGE for a name that cannot stand in NAME=VALUE,.. or is there already. */
#define GOAL_OVERALL "overall" /* the attribute that is a response's own score */
status goal_style_add(struct goal_style *g, const char *name);
/* Another text; a copy of it. */
void goal_style_set_text(struct goal_style *g, const char *text);
/* Tokens from a list with commas between them. */
void goal_style_set_tokens(struct goal_style *g, const char *list);
/* The text for attributes, where the caller gave none: the paper's, with one scale for all, or a scale a line. */
void goal_style_default_lines(struct goal_style *g);
/* ST_USAGE for a goal that lies outside the scale that the prompt states. */
status goal_check_scale(const struct goal_style *g, const struct goal *goal);
/* How far two goals are apart: the 2-norm of the differences, each divided by its scale's width. */
double goal_distance(const struct goal_style *g, const struct goal *a, const struct goal *b);
status goal_style_load(struct goal_style *g, const char *path); /* JSON written by goal_style_save */
/* Puts the style of a file (--goal-style) in g's place. Which score is best stays what g knows of its model. On failure g is empty. */
status goal_style_replace(struct goal_style *g, const char *path);
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
    double *goal; /* [size, width] */
    uint64_t *count;
    size_t size, width; /* width: numbers of a goal, set by the first */
    bool overflow;
};
void goal_counts_add(struct goal_counts *c, const struct goal *goal);
void goal_counts_release(struct goal_counts *c);

/* A goal as text: a number, or NAME=NUMBER,.. with every attribute once, in any order; or "best", which may be followed by attributes that
 * differ from it: best,verbosity=1. ST_USAGE says what is wrong; for "best" where none is known also `why_no_best` (NULL: nothing). */
status goal_parse(struct goal *out, const struct goal_style *g, const char *text, const char *why_no_best);
/* Goals of one text: numbers separated by commas, or goals of attributes by semicolons. Adds to the list. */
struct goal_list {
    struct goal *items;
    size_t count, capacity;
};
status goal_parse_list(struct goal_list *out, const struct goal_style *g, const char *text, const char *why_no_best);
void goal_list_add(struct goal_list *l, const struct goal *goal);
bool goal_list_has(const struct goal_list *l, const struct goal *goal);
void goal_list_release(struct goal_list *l);
/* The same from JSON: a number, a string as above, or {NAME: number}. */
status goal_parse_json(struct goal *out, const struct goal_style *g, struct json value, const char *why_no_best);

/* Appends a number, never -0; an attribute's name as its line has it: "instruction_following" is "Instruction following". */
void goal_put_number(struct buf *out, double value);
void goal_put_label(struct buf *out, const char *name);
/* Appends the shortest decimal form of a score: 8, 8.5, 7.25. Quantised when the style says so. */
void goal_put_score(struct buf *out, const struct goal_style *g, double score);
/* Appends a goal as goal_parse takes it: 8, or helpfulness=4,verbosity=1. */
void goal_put_name(struct buf *out, const struct goal_style *g, const struct goal *goal);
/* Appends a goal as rows have it, not quantised: 8, or {"helpfulness": 4, "verbosity": 1}; null without one. */
void goal_put_json(struct buf *out, const struct goal_style *g, const struct goal *goal);
/* The goal as it is printed: each score quantised when the style says so. */
struct goal goal_printed(const struct goal_style *g, const struct goal *exact);
/* Appends the whole block for a goal. */
void goal_put_block(struct buf *out, const struct goal_style *g, const struct goal *goal);
/* Appends the messages array (JSON) with the goal written in by the style's placement (not GOAL_AUTO): an existing system text is kept
 * behind block and blank line; other members of messages are copied untouched. An error when `user`/`after` finds no user turn. */
status goal_put_messages(struct buf *out, const struct goal_style *g, struct json messages, const struct goal *goal);
/* As goal_put_messages for a string prompt under GOAL_USER / GOAL_AFTER: block, blank line, prompt (or prompt, blank line, block). */
void goal_put_prompt(struct buf *out, const struct goal_style *g, const char *prompt, size_t size, const struct goal *goal);
/* The same for a prompt that is a JSON string already, into a JSON string: its bytes are copied, not decoded. */
status goal_put_string(struct buf *out, const struct goal_style *g, struct json string, const struct goal *goal);

/* Appends a chat template that asks for `goal` by itself: `chat_template` with Jinja in front of it that changes `messages` as
 * goal_put_messages does (of a message that takes the block, role and content are kept). For servers that know nothing of goals; only what
 * transformers and llama.cpp both run is used. ST_UNSUPPORTED for a template that is baked already. */
status goal_bake(struct buf *out, const struct goal_style *g, const struct goal *goal, const char *chat_template);
/* Was it made by goal_bake? NULL is not. */
bool goal_is_baked(const char *chat_template);

#endif
