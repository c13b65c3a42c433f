/* mt_answer: a model's answers to MT-Bench's two-turn questions, in FastChat's form (fschat 0.2.36, llm_judge/gen_model_answer.py):
 * categories have their temperatures, the second turn stands behind the first one's answer. */
#ifndef RAPT_EVAL_MT_ANSWER_H
#define RAPT_EVAL_MT_ANSWER_H

#include "data/encode.h"
#include "infer/decode.h"
#include "net/remote.h"
#include "text/goal.h"

#define MT_ANSWER_TURNS 2

struct mt_asked {
    int64_t id;
    char *category;
    double temperature;           /* of the category (common.py, temperature_config) */
    char *turns[MT_ANSWER_TURNS]; /* the second NULL where there is one */
    struct buf answers[MT_ANSWER_TURNS];
};
struct mt_asked_set {
    struct mt_asked *items; /* [count] */
    size_t count, capacity;
};
/* question.jsonl: question_id, category, turns of one or two texts. At most `limit` (0: all). Errors name file, line and field. */
status mt_asked_load(struct mt_asked_set *s, const char *path, size_t limit);
status mt_asked_add(struct mt_asked_set *s, struct json row); /* one row */
void mt_asked_release(struct mt_asked_set *s);

/* How they are asked. The goal stands once: under `system` and `user` in front of the first turn, also when the second is asked; under
 * `after` behind the turn that is asked. */
struct mt_asking {
    struct encoder *encoder;        /* of a model in this process */
    const struct goal_style *style; /* NULL: no goal */
    struct goal goal;
    size_t max_tokens; /* of an answer */
};
/* Appends the conversation up to the question of `turn` as messages. */
status mt_answer_messages(struct buf *out, const struct mt_asking *how, const struct mt_asked *q, size_t turn);
/* The same as the model sees it. */
status mt_answer_prompt(struct buf *out, const struct mt_asking *how, const struct mt_asked *q, size_t turn);
/* Answers the turn of all questions of this temperature, which is the decoder's. */
status mt_answer_turn(struct mt_asked_set *s, struct decoder *d, const struct mt_asking *how, double temperature, size_t turn);
/* Answers both turns of all questions by a model behind an endpoint (mt_answer_remote.c). goal: as text, where the server is told it in
 * another way than in the messages; NULL. seed: of the requests that are sampled, plus the question's place and the turn. counts is filled
 * also where it fails. */
status mt_answer_remote(struct mt_asked_set *s, struct remote_counts *counts, const struct mt_asking *how, const struct remote_options *o,
                        const char *goal, enum remote_goal_as as, uint64_t seed);
/* Appends FastChat's model_answer rows. */
void mt_answer_put(struct buf *out, const struct mt_asked_set *s, const char *model_id, double seconds);

#endif
