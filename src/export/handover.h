/* handover: rows and configuration for an existing distributed trainer, in a folder from which it starts as it is.
 *
 * A trainer is a struct handover_form: what its loader takes, and functions that write its files and say what it does otherwise than
 * `rapt train`. handover_run does what they share: presets, rows, goal.json, README.md. Everything that is said of a trainer was read in
 * the source of the version that the form names; tests/oracle/check_handover.py holds the files against that version's own loader. */
#ifndef RAPT_EXPORT_HANDOVER_H
#define RAPT_EXPORT_HANDOVER_H

#include "export/export.h"
#include "text/goal.h"

/* Settings of the method's published runs (scripts and recipes of the released code of arXiv 2410.08067):
 * X(name, model, where the goal stood, beta, label smoothing, rows a device at once, where the figures come from).
 * All of them: AdamW without weight decay, rate 5e-7 along a cosine after a warm-up of 10 %, one epoch over the relabelled pairs, 128 rows
 * a step, 1024 tokens, seed 42, bf16, all parameters trained. */
#define HANDOVER_RECIPE "the released code's recipe for this model (arXiv 2410.08067)"
/* One row a preset */
/* clang-format off */
#define HANDOVER_PRESET_LIST(X) \
    X("mistral-7b", "mistralai/Mistral-7B-Instruct-v0.3", GOAL_USER, 0.01, 0, 8, HANDOVER_RECIPE) \
    X("qwen2-7b", "Qwen/Qwen2-7B-Instruct", GOAL_SYSTEM, 0.01, 0.3, 4, HANDOVER_RECIPE) \
    X("llama-3.1-8b", "meta-llama/Llama-3.1-8B-Instruct", GOAL_AUTO, 0.01, 0, 4, \
      "what the released recipes of the other models have in common (arXiv 2410.08067); none was published for this one") \
    X("gemma-2-9b", "google/gemma-2-9b-it", GOAL_USER, 0.01, 0.3, 2, HANDOVER_RECIPE) \
    X("sppo-gemma-2-9b", "UCLA-AGI/Gemma-2-9B-It-SPPO-Iter3", GOAL_USER, 0.01, 0, 2, HANDOVER_RECIPE)
/* clang-format on */

#define HANDOVER_NAME_CHOICE(name, ...) "|" name
#define HANDOVER_PRESET_CHOICES HANDOVER_PRESET_LIST(HANDOVER_NAME_CHOICE)

struct handover_preset {
    const char *name, *model;
    enum goal_placement placement; /* GOAL_AUTO: not stated */
    double beta, label_smoothing;
    int64_t device_rows; /* per_device_train_batch_size */
    const char *source;
};

/* What the trainer is told. */
struct handover_settings {
    double beta, label_smoothing, rate, warmup, epochs;
    const char *scheduler;
    int64_t max_length, device_rows, accumulation, gpus;
    const char *source;
};

struct handover {
    const struct handover_form *form;
    const struct export_request *request;
    char *model; /* a name, or an absolute path */
    struct handover_settings set;
    bool sft;         /* rows are prompt and completion, else pairs */
    bool strings;     /* texts are strings, not messages */
    bool has_eval;    /* there is an evaluation file */
    uint64_t rows[2]; /* of training and evaluation */
    uint64_t goals;   /* training rows with a goal */
    bool has_style;   /* style is what the data's goal.json says */
    struct goal_style style;
};

struct handover_form {
    const char *title;       /* "TRL 1.16" */
    const char *install;     /* a shell command */
    const char *files[2];    /* names of the training and the evaluation file */
    const char *pair_prompt; /* the key of a pair's prompt */
    const char *sft_prompt;  /* of an SFT row's; its completion stands under "completion", or behind the prompt in the same list: */
    bool sft_joined;
    bool sft_marks;       /* each message of a joined list says in "train" whether it is trained */
    bool one_turn;        /* chosen and rejected are one message, not lists */
    bool turns_alternate; /* the loader passes over prompts that are not user, assistant, ..., user behind a system message */
    bool plain_messages;  /* role and content are all that a message may have */
    bool takes_strings, takes_tools, takes_kwargs;
    bool smooths;                                             /* label smoothing has an effect */
    status (*write)(const struct handover *h);                /* its files and run.sh */
    void (*notes)(struct buf *out, const struct handover *h); /* Markdown list items: what it does otherwise */
};

/* Everything: rows, files, goal.json, README.md, run.sh. */
status handover_run(const struct export_request *r, const struct handover_form *form);

/* The rows of `from` in the form's shape in `to` (handover_rows.c). The first row of the training file decides h->sft and h->strings;
 * set 0 is training, 1 evaluation. */
status handover_rows(struct handover *h, const char *from, const char *to, int set);

/* For the forms' own files. */
status handover_file(const struct handover *h, const char *name, const struct buf *text);
/* run.sh: `command` from the folder, then goal.json beside what was trained. */
status handover_script(const struct handover *h, const char *command);
/* A number that YAML 1.1 and Arrow read as one with a fraction: 8.0, 5.0e-07. */
void handover_put_number(struct buf *out, double value);
/* `key: value` lines of a YAML file. */
void handover_yaml_text(struct buf *out, const char *key, const char *value);
void handover_yaml_number(struct buf *out, const char *key, double value);
void handover_yaml_int(struct buf *out, const char *key, int64_t value);
/* What trainers on transformers' Trainer take under its own names: rate, schedule, epochs, batch, seed, bf16, logging, evaluation, output.
 */
void handover_yaml_trainer(struct buf *out, const struct handover *h);
/* DeepSpeed's ZeRO-3 for trainers on transformers' Trainer, which fills in what says "auto". */
status handover_zero3(const struct handover *h, const char *name);

#define HANDOVER_OUTPUT "out"   /* what is trained lies there */
#define HANDOVER_EVAL_STEPS 100 /* the released recipes' */
#define HANDOVER_SEED 42

#endif
