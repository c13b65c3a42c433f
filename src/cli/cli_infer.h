/* cli_infer: the options of sampling, which every command that generates shares. */
#ifndef RAPT_CLI_CLI_INFER_H
#define RAPT_CLI_CLI_INFER_H

#include "base/opt.h"
#include "infer/ask.h"

struct sampling_flags {
    double temperature, top_p, min_p, repetition_penalty;
    int64_t top_k, seed;
};
/* Rows of an option table; at(name) is the offset of a sampling_flags member. */
#define SAMPLING_HEAT_HELP "0 takes the most likely token; 1 samples the model's own distribution"
/* clang-format off */
#define SAMPLING_ROWS(at, heat, nucleus)                                               \
    {"temperature", OPT_DOUBLE, at(temperature), "T", heat, NULL, SAMPLING_HEAT_HELP}, \
    SAMPLING_OTHER_ROWS(at, nucleus)
/* clang-format on */
/* clang-format off */
#define SAMPLING_OTHER_ROWS(at, nucleus)                                                                                         \
    {"top-k", OPT_INT, at(top_k), "N", "0", NULL, "sample from the N most likely tokens; 0 = off"},                              \
    {"top-p", OPT_DOUBLE, at(top_p), "P", nucleus, NULL,                                                                         \
     "sample from the most likely tokens that hold P of the mass together; 1 = off"},                                            \
    {"min-p", OPT_DOUBLE, at(min_p), "P", "0", NULL, "sample from tokens at least P times as likely as the likeliest; 0 = off"}, \
    {"repetition-penalty", OPT_DOUBLE, at(repetition_penalty), "R", "1", NULL,                                                   \
     "above 1: tokens of prompt and response become less likely"},                                                               \
    {"seed", OPT_INT, at(seed), "N", "42", NULL, "a sample depends on seed, row, sample number and position, not on the batch"}
/* clang-format on */

/* Checks the ranges and refuses filters that greedy decoding would ignore. */
status sampling_from_flags(struct sampler_options *out, const struct sampling_flags *f, const struct opt_result *given,
                           const struct opt_spec *spec);
/* The same at each of several temperatures, those of an OPT_LIST in place of f's: out[0, *count), room for OPT_LIST_MAX. */
status sampling_from_list(struct sampler_options *out, size_t *count, const struct sampling_flags *f, const struct opt_list *temperatures,
                          const struct opt_result *given, const struct opt_spec *spec);

#endif
