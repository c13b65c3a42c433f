/* mc_run: multiple choice as lm-evaluation-harness counts it: the log-prob of every choice behind its question, from packed batches whose
 * questions and examples are computed once (lm_eval 0.4.13: api/task.py process_results, models/huggingface.py _loglikelihood_tokens). */
#ifndef RAPT_EVAL_MC_RUN_H
#define RAPT_EVAL_MC_RUN_H

#include "eval/harness_remote.h"
#include "eval/mc_task.h"
#include "reward/reward_pack.h"

struct mc_document {
    struct mc_item item;
    struct buf row;     /* its JSON */
    struct buf context; /* what stands before the choices */
    double *logp;       /* [item.count] sums in nats */
    bool *greedy;       /* [item.count] would greedy decoding write it? */
    double acc, acc_norm, acc_bytes;
};
struct mc_set {
    const struct mc_task *task;
    struct mc_document *items; /* [count] */
    size_t count, capacity;
    size_t rows; /* of the file, also behind a limit */
};
/* Reads at most `limit` questions (0: all). Errors name file and line. */
status mc_set_load(struct mc_set *s, const struct mc_task *task, const struct mc_extra *extra, const char *path, size_t limit);
void mc_set_release(struct mc_set *s);
/* The first `count` questions of a file with their answers, as examples. ST_FORMAT when there are fewer. */
status mc_shots_load(struct harness_shot **out, const struct mc_task *task, const struct mc_extra *extra, const char *path, size_t count);

/* Fills logp, greedy and the figures. description: of the task, or NULL. max_length: tokens of question and answer, whose head is cut to it
 * (0: the model's positions); *truncated counts sequences that were. */
status mc_run(struct mc_set *s, size_t *truncated, struct reward_pack *pack, const struct harness_prompt *prompt, const char *description,
              const struct harness_shot *shots, size_t shot_count, size_t max_length);
/* The same by a model behind an endpoint (mc_remote.c): one request a choice to /v1/completions, with echo, logprobs 1 and max_tokens 1, as
 * the harness's local-completions. With an encoder prompts are its token ids, else text, whose choice begins where the server's text_offset
 * says. */
status mc_ask(struct mc_set *s, const struct harness_remote *r, const struct harness_prompt *prompt, const char *description,
              const struct harness_shot *shots, size_t shot_count);
/* What each question's log-probs say of its choices; both call it. */
void mc_judge(struct mc_set *s);
/* The figures of the set, at most three. */
size_t mc_figures(struct harness_figure out[3], const struct mc_set *s);
/* Appends lm-eval's samples_*.jsonl. chat: choices stand without a blank before them. */
void mc_put_samples(struct buf *out, const struct mc_set *s, bool chat);

#endif
