/* harness: what the tasks of lm-evaluation-harness share (lm_eval 0.4.13): prompts with few-shot examples, plain or through the chat
 * template, ids as its Hugging Face model makes them, means with their standard errors, and the two files it writes. */
#ifndef RAPT_EVAL_HARNESS_H
#define RAPT_EVAL_HARNESS_H

#include "data/encode.h"
#include "text/goal.h"

/* A question with its answer. Owned. */
struct harness_shot {
    char *text, *target;
};
void harness_shots_release(struct harness_shot *shots, size_t count);

/* How questions are put. All pointers are views. */
struct harness_prompt {
    struct encoder *encoder;        /* NULL: the model is behind an endpoint, which has the tokenizer and the chat template */
    const struct goal_style *style; /* NULL: no goal in the prompt */
    struct goal goal;
    const char *goal_told; /* a goal that an endpoint is told beside the prompt, as text; or NULL */
    const char *system;    /* system_instruction, or NULL */
    bool chat;             /* apply_chat_template */
    bool one_turn;         /* not fewshot_as_multiturn: examples and question in one user turn */
};
/* Appends the context of a question (ConfigurableTask.fewshot_context, build_qa_turn): system text and description, the examples, each with
 * a blank before its answer and an empty line behind it, the question. As chat: rendered with the assistant's turn opened. A goal is
 * written in as training wrote it. A conversation without an encoder is the messages themselves, as JSON. */
status harness_context(struct buf *out, const struct harness_prompt *p, const char *description, const struct harness_shot *shots,
                       size_t count, const char *text);

/* Ids of a text: the tokenizer's own special tokens around it, unless it begins with the begin-of-text token already (HFLM.tok_encode). */
status harness_encode(struct ids *out, const struct encoder *e, const char *text, size_t size);
/* Ids of context + continuation, and where the continuation begins (TemplateLM._encode_pair, loglikelihood): blanks at the context's end
 * count to the continuation; an empty context is the begin-of-text token. */
status harness_encode_pair(struct ids *out, size_t *from, const struct encoder *e, const struct buf *context, const char *continuation);
/* Bytes of the text without the blanks at its end, as Python's rstrip(); and of those at its beginning. */
size_t harness_rstrip(const char *text, size_t size);
size_t harness_lstrip(const char *text, size_t size);

/* Mean and standard error of it: sd / sqrt(n) with n - 1 (api/metrics.py, mean_stderr). NaN for no values, the error also for one. */
struct harness_mean {
    double mean, stderr_;
};
struct harness_mean harness_mean_of(const double *values, size_t count);

/* One figure of a task: "acc" under the filter "none", or "exact_match" under "strict-match". */
struct harness_figure {
    const char *metric, *filter;
    struct harness_mean value;
};
/* What is told of a run beside its figures. */
struct harness_run {
    const char *task, *model, *adapter, *dtype, *data; /* dtype NULL: the model is behind an endpoint, and model its name there */
    const struct harness_prompt *prompt;
    size_t shots, rows, documents; /* of the data, and evaluated */
    size_t truncated;              /* questions whose head was cut */
};
/* The model's name as EvaluationTracker has it (loggers/evaluation_tracker.py, utils.py): the adapter, else the model, and as a name of a
 * folder. A goal stands behind it as rapt serve takes it, NAME@goal=8, for it makes another model of the same files. */
void harness_model_name(struct buf *name, struct buf *sanitized, const struct harness_run *run);
/* Appends the object of lm-eval's results_*.json (results, configs, versions, n-shot, higher_is_better, n-samples, config, model_name) and
 * a table. */
void harness_put_results(struct buf *json, struct buf *text, const struct harness_run *run, const struct harness_figure *figures,
                         size_t count, const char *version);

#endif
