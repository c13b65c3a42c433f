/* rapt.h: rapt as a library (librapt): goal-conditioned prompts, log-probs, generation, scores, and the relabelling of preference data
 * (arXiv 2410.08067), with the numbers of the commands rapt logps, generate, score and augment.
 *
 *     struct rapt_model *m;
 *     struct rapt_response answer = {0};
 *     struct rapt_prompt prompt = RAPT_PROMPT_INIT;
 *     prompt.text = "Why is the sky blue?";
 *     prompt.goal = 10;
 *     if (rapt_model_open(&m, "SmolLM2-135M-Instruct.Q4_1.gguf", NULL) != RAPT_OK) { fputs(rapt_message(), stderr); return 1; }
 *     if (rapt_generate(m, &answer, &prompt, 1, NULL) == RAPT_OK) puts(answer.text);
 *     rapt_responses_release(&answer, 1);
 *     rapt_model_free(m);
 *
 * Build with `cc main.c $(pkg-config --cflags --libs rapt)`. examples/library holds whole programs in C and Python.
 *
 * Errors. What depends on input, disk or memory returns a status. rapt_message() then says what went wrong, where (file, line, byte, field)
 * and what was expected. Outputs are written on RAPT_OK only. The library prints nothing and does not end the process, with one exception:
 * a bug in it, or no memory even for a small buffer, ends the process with a line on standard error.
 *
 * Threads. Any thread may call anything; calls that compute take turns, whatever their models, and each uses as many cores as its model was
 * opened with. A handle is freed when no call uses it. A callback must not call the library (it gets RAPT_USAGE). The threads that compute
 * wait by spinning, as libgomp's do; where cores are shared, set GOMP_SPINCOUNT=20000 in the environment, as the command does for itself.
 *
 * Memory. Every text and array that a function returns is freed by the function named beside it. Texts are UTF-8 and end with a NUL;
 * a model may also write NULs, which is why what it wrote comes with its size.
 *
 * Versions. Structs that the caller fills begin with their size, which the INIT macros set: new members come at the end, and a program that
 * was built with an older header keeps its meaning. rapt_abi() changes, and with it the library's file name, when this does not hold. */
#ifndef RAPT_H
#define RAPT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RAPT_API __attribute__((visibility("default")))

#define RAPT_ABI_VERSION 0
/* RAPT_ABI_VERSION of the library that runs: another one than the header's does not fit it. */
RAPT_API int rapt_abi(void);
/* "0.1.0": the program's version. */
RAPT_API const char *rapt_version(void);

typedef enum {
    RAPT_OK,
    RAPT_NOMEM,
    RAPT_IO,
    RAPT_FORMAT,      /* malformed input */
    RAPT_UNSUPPORTED, /* well-formed input that is not handled */
    RAPT_USAGE,       /* an argument out of its range, or without effect */
    RAPT_MISMATCH,    /* inputs that do not belong together */
    RAPT_INTERRUPTED
} rapt_status;
/* The message of this thread's last failure, valid until its next one. */
RAPT_API const char *rapt_message(void);
/* Frees what is said to be freed with it. NULL is fine. */
RAPT_API void rapt_free(void *memory);

/* ---- a model ---- */

struct rapt_model;

struct rapt_model_options {
    size_t size;         /* of this struct */
    const char *adapter; /* a PEFT adapter's folder on top; NULL: none */
    const char *dtype; /* NULL or "auto": bf16 where the CPU has AMX, else f32. "f32", "bf16", "reference"; "int8": the quantised weights of
                        * a GGUF as they are, what generate's own auto takes: less memory, faster, rounded */
    const char *goal_style;  /* a goal.json that says how goals are asked; NULL: the adapter's, else the model's, else the default */
    const char *chat_kwargs; /* chat_template_kwargs as a JSON object; NULL: those kept with the adapter or the model */
    size_t max_length;       /* most tokens of prompt and response together; 0: 2048, cut to what the model takes */
    size_t batch;            /* responses written at a time; 0: 8. Memory is taken where it is used */
    int threads; /* 0: all cores, or OMP_NUM_THREADS. Give models of one process the same: products are prepared for one number */
};
#define RAPT_MODEL_OPTIONS_INIT {sizeof(struct rapt_model_options), 0, 0, 0, 0, 0, 0, 0}

/* PATH: a Hugging Face folder or a .gguf file. options may be NULL. */
RAPT_API rapt_status rapt_model_open(struct rapt_model **out, const char *path, const struct rapt_model_options *options);
RAPT_API void rapt_model_free(struct rapt_model *m);
/* "llama", "qwen2", ...; rows of its embedding; most tokens that it takes. Valid as long as the model. */
RAPT_API const char *rapt_model_family(const struct rapt_model *m);
RAPT_API size_t rapt_model_vocab(const struct rapt_model *m);
RAPT_API size_t rapt_model_positions(const struct rapt_model *m);
/* The goal that did best on validation, as rapt eval goal-curve --best-output has noted it beside the adapter. RAPT_USAGE where none is. */
RAPT_API rapt_status rapt_model_best_goal(double *goal, struct rapt_model *m);

/* Token ids of text[0..size), special tokens recognised; add_special: with those that the tokenizer puts around a text. rapt_free(*ids). */
RAPT_API rapt_status rapt_tokenize(int32_t **ids, size_t *count, struct rapt_model *m, const char *text, size_t size, int add_special);
/* The text of ids, special tokens left out where skip_special is not 0; bytes that are no UTF-8 become U+FFFD. size: of the text, may be
 * NULL. rapt_free(*text). */
RAPT_API rapt_status rapt_detokenize(char **text, size_t *size, struct rapt_model *m, const int32_t *ids, size_t count, int skip_special);

/* ---- prompts ---- */

struct rapt_prompt {
    size_t size;          /* of this struct */
    const char *text;     /* one user's turn; or */
    const char *messages; /* a JSON array [{"role": "user", "content": "..."}, ...]. One of the two */
    const char *system;   /* a system text for prompts that bring none; NULL: none */
    double goal;          /* the score to aim at, written into the prompt as in training; RAPT_NO_GOAL: none */
    int raw;              /* not 0: text goes in as it is, without the chat template */
};
#define RAPT_NO_GOAL ((double)__builtin_nanf(""))
#define RAPT_PROMPT_INIT {sizeof(struct rapt_prompt), 0, 0, 0, RAPT_NO_GOAL, 0}

/* What the model is shown: the chat template's rendering with the assistant's turn opened. rapt_free(*text). */
RAPT_API rapt_status rapt_render(char **text, struct rapt_model *m, const struct rapt_prompt *prompt);
/* Its token ids. rapt_free(*ids). */
RAPT_API rapt_status rapt_encode(int32_t **ids, size_t *count, struct rapt_model *m, const struct rapt_prompt *prompt);

/* ---- log-probs ---- */

struct rapt_logps {
    double sum;   /* nats */
    size_t count; /* tokens of the response, the end of its turn included */
    int32_t *ids; /* [count] */
    float *logps; /* [count] nats */
};
/* Log-probs of `count` responses to one prompt, whose tokens are computed once: out[count]. A response is the text of an assistant's turn.
 * rapt_logps_release(out, count). */
RAPT_API rapt_status rapt_logps(struct rapt_model *m, struct rapt_logps *out, const struct rapt_prompt *prompt,
                                const char *const *responses, size_t count);
RAPT_API void rapt_logps_release(struct rapt_logps *logps, size_t count);

/* ---- generation ---- */

/* A piece of a response's text as it comes: whole characters, not ended by a NUL. prompt: its index. Not 0 ends this response. */
typedef int rapt_piece_fn(void *context, size_t prompt, size_t sample, const char *text, size_t size);

struct rapt_generation {
    size_t size;               /* of this struct */
    size_t samples;            /* responses to each prompt */
    size_t max_new_tokens;     /* 0: 256 */
    double temperature;        /* 0: always the most likely token */
    double top_p;              /* 1: off */
    double min_p;              /* 0: off */
    double repetition_penalty; /* 1: off */
    int64_t top_k;             /* 0: off */
    uint64_t seed;             /* a sample depends on seed, prompt's index, sample number and position, not on what it is computed beside */
    rapt_piece_fn *piece;      /* NULL: none */
    void *context;             /* handed to it */
};
#define RAPT_GENERATION_INIT {sizeof(struct rapt_generation), 1, 0, 1, 1, 0, 1, 0, 42, 0, 0}

enum rapt_finish { RAPT_FINISH_STOP, RAPT_FINISH_LENGTH, RAPT_FINISH_CALLBACK };
struct rapt_response {
    char *text;
    size_t size;   /* bytes of text */
    size_t tokens; /* the one that ended it included */
    int finish;    /* enum rapt_finish: the model ended it, a limit did, the callback did */
};
/* out[count * samples]: samples of the first prompt, then of the second. Prompts that begin alike share that beginning, also with the call
 * before: a conversation's next turn computes only what is new. generation may be NULL. rapt_responses_release(out, count * samples). */
RAPT_API rapt_status rapt_generate(struct rapt_model *m, struct rapt_response *out, const struct rapt_prompt *prompts, size_t count,
                                   const struct rapt_generation *generation);
RAPT_API void rapt_responses_release(struct rapt_response *responses, size_t count);

/* ---- scores ---- */

/* A reward model: a *ForSequenceClassification, ArmoRM, or an adapter of rapt train --objective reward. */
struct rapt_scorer;

/* Of options adapter, dtype, max_length (0: 2048) and threads count; the others must be as INIT has them. */
RAPT_API rapt_status rapt_scorer_open(struct rapt_scorer **out, const char *path, const struct rapt_model_options *options);
RAPT_API void rapt_scorer_free(struct rapt_scorer *s);
/* The scores of `count` responses to one prompt (which has no goal), raw as the head gives them: out[count]. */
RAPT_API rapt_status rapt_score(struct rapt_scorer *s, double *out, const struct rapt_prompt *prompt, const char *const *responses,
                                size_t count);

/* ---- relabelling ---- */

/* Members are the options of rapt augment of these names, with its defaults where they are NULL or 0. */
struct rapt_augmentation {
    size_t size;                  /* of this struct */
    const char *mode;             /* "own", "plain", "prefix-only", "random-order", "shuffled", "half-pairs", "half-goals", "sft" */
    const char *placement;        /* "system", "user", "after" */
    const char *goal_template;    /* with {s}, the score; {a} and {b}, the scale */
    const char *rule;             /* of rows with several responses: "paper", "best-worst", "all", "best-random", "adjacent" */
    const char *ties;             /* "drop", "keep", "plain" */
    const char *on_disagree;      /* "drop", "relabel", "keep" */
    double scale_low, scale_high; /* --score-range; both 0: 1 and 10 */
    double from_low, from_high;   /* --score-from; both 0: scores are taken as they are */
    double quantize, goal_dropout;
    uint64_t seed; /* RAPT_AUGMENTATION_INIT: 42 */
};
#define RAPT_AUGMENTATION_INIT {sizeof(struct rapt_augmentation), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 42}

/* Scored rows as JSONL (or one JSON array), any form that rapt augment reads -> goal-conditioned rows as JSONL. *counts (NULL: not wanted)
 * is a JSON object that says what was used and dropped. rapt_free both. */
RAPT_API rapt_status rapt_augment(char **rows_out, char **counts, const char *rows, size_t size,
                                  const struct rapt_augmentation *augmentation);
/* The same from file to file, with OUTPUT.goal.json beside the output; nothing stands there before all of it is written. */
RAPT_API rapt_status rapt_augment_file(const char *output, char **counts, const char *input, const struct rapt_augmentation *augmentation);

#ifdef __cplusplus
}
#endif
#endif
