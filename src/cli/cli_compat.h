/* cli_compat: --compat and its lengths, which training and inspect --explain share. */
#ifndef RAPT_CLI_CLI_COMPAT_H
#define RAPT_CLI_CLI_COMPAT_H

#include "base/opt.h"
#include "data/fit.h"

struct cli_compat {
    const char *name;
    int64_t max_prompt, max_completion;
};

/* AT(member): offset of a member of struct cli_compat in the options. */
/* clang-format off */
#define CLI_COMPAT_ROWS(AT)                                                                                                       \
    {"compat", OPT_CHOICE, AT(name), NULL, "trl-1.x", FIT_CHOICES,                                                                \
     "how pairs become tokens and are cut: as TRL does since 1.0; as TRL 0.24 (prompt and responses tokenised apart, EOS behind " \
     "every response); or as TRL 0.8.2 and the paper's code (BOS and EOS always, a template without generation prompt)"},         \
    {"max-prompt-length", OPT_INT, AT(max_prompt), "N", "512", NULL,                                                              \
     "with --compat trl-0.24 or paper: what is left of a prompt that is too long, its end"},                                      \
    {"max-completion-length", OPT_INT, AT(max_completion), "N", "0", NULL,                                                        \
     "with --compat trl-0.24: what is left of a response, its beginning; 0 = no limit"}
/* clang-format on */

/* The rules that the options ask for; lengths that the chosen compat does not have are refused. */
status cli_compat_rules(struct fit_rules *rules, const struct cli_compat *o, int64_t max_length, const struct opt_result *r,
                        const struct opt_spec *spec);

#endif
