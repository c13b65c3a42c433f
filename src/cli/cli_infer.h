/* cli_infer: what generate and chat share: options of sampling, the goal as it was trained, and the messages that carry it. */
#ifndef RAPT_CLI_CLI_INFER_H
#define RAPT_CLI_CLI_INFER_H

#include "base/opt.h"
#include "data/encode.h"
#include "infer/decode.h"
#include "text/goal.h"

struct sampling_flags {
    double temperature, top_p, min_p, repetition_penalty;
    int64_t top_k, seed;
};
/* Rows of an option table; at(name) is the offset of a sampling_flags member. */
#define SAMPLING_ROWS(at, heat, nucleus)                                                                                                   \
    {                                                                                                                                      \
        "temperature",                                                                                                                     \
        OPT_DOUBLE,                                                                                                                        \
        at(temperature),                                                                                                                   \
        "T",                                                                                                                               \
        heat,                                                                                                                              \
        NULL,                                                                                                                              \
        "0 takes the most likely token; 1 samples the model's own distribution"},                                                          \
        {"top-k", OPT_INT, at(top_k), "N", "0", NULL, "sample from the N most likely tokens; 0 = off"},                                    \
        {"top-p",                                                                                                                          \
         OPT_DOUBLE,                                                                                                                       \
         at(top_p),                                                                                                                        \
         "P",                                                                                                                              \
         nucleus,                                                                                                                          \
         NULL,                                                                                                                             \
         "sample from the most likely tokens that hold P of the mass together; 1 = off"},                                                  \
        {"min-p", OPT_DOUBLE, at(min_p), "P", "0", NULL, "sample from tokens at least P times as likely as the likeliest; 0 = off"},       \
        {"repetition-penalty",                                                                                                             \
         OPT_DOUBLE,                                                                                                                       \
         at(repetition_penalty),                                                                                                           \
         "R",                                                                                                                              \
         "1",                                                                                                                              \
         NULL,                                                                                                                             \
         "above 1: tokens of prompt and response become less likely"},                                                                     \
    {                                                                                                                                      \
        "seed", OPT_INT, at(seed), "N", "42", NULL, "a sample depends on seed, row, sample number and position, not on the batch"          \
    }

/* Checks the ranges and refuses filters that greedy decoding would ignore. */
status sampling_from_flags(struct sampler_options *out, const struct sampling_flags *f, const struct opt_result *given,
                           const struct opt_spec *spec);

/* How goals are asked for. */
struct goal_asker {
    struct goal_style style; /* placement resolved */
    bool trained;            /* came with the adapter or the model */
    bool baked;              /* the chat template asks for a goal by itself */
    struct buf text;         /* as JSON */
    struct json root;
};
/* Reads style_file, else what came with the adapter, else with the model, else the default. e decides the placement where the style leaves
 * it open. */
status goal_asker_open(struct goal_asker *g, const char *model, const char *adapter, const char *style_file, const struct encoder *e);
void goal_asker_release(struct goal_asker *g);
/* A goal from the command line: a number, or "best" where goal.json has one. */
status goal_asker_parse(double *goal, const struct goal_asker *g, const char *text);
/* Tells on stderr how often the goal was trained, or what is not known about that. */
void goal_asker_note(const struct goal_asker *g, double goal);

#define INFER_DTYPE_CHOICES "auto|f32|bf16|int8|reference"
#define INFER_DTYPE_HELP                                                                                                                   \
    "arithmetic of matrix products: int8 takes the quantised weights of a .gguf as they are, with inputs rounded to int8, as llama.cpp does; "  \
    "auto: that where the file has such weights and the CPU AVX-512 VNNI, else bf16 with AMX, else f32"
/* Opens a model for generation, as --dtype says. int8 is refused where the file has no weights for it. */
status infer_model_open(struct model *m, const char *path, const char *dtype);
/* Opens the sequences' memory for `length` tokens each, cut to what the model takes. Refuses what does not fit this machine. */
status decoder_open(struct decoder *d, struct model *m, const float *theta, size_t batch, size_t length,
                    const struct sampler_options *sampler);
/* The response as text: the token that ended it left out, valid UTF-8. */
void response_text(struct buf *out, const struct tokenizer *t, const struct decode_state *s);

#endif
