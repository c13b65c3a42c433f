/* fit: which tokens of a row stay when it must fit into --max-length, by the rules of TRL's DPO trainer in three ages of it.
 *
 * trl-1.x (trl/trainer/dpo_trainer.py of 1.16): a response loses its end; a row whose prompt alone reaches the limit is dropped.
 * trl-0.24: the prompt keeps its last max_prompt tokens, a response its first max_completion, then a sequence its last max_length
 * (truncation_mode keep_end, the default there).
 * paper (TRL 0.8.2, which the paper's code pins; tokenize_row): where prompt and the longer response exceed max_length, the prompt keeps
 * its last max_prompt tokens; where they still do, both responses keep their first max_length - max_prompt. */
#ifndef RAPT_DATA_FIT_H
#define RAPT_DATA_FIT_H

#include "base/status.h"

#define FIT_CHOICES "trl-1.x|trl-0.24|paper"
enum fit_compat { FIT_TRL_1, FIT_TRL_024, FIT_PAPER };
enum fit_compat fit_compat_parse(const char *name); /* CHECKs */

struct fit_rules {
    enum fit_compat compat;
    size_t max_length;     /* 0: no limit (FIT_TRL_1 alone) */
    size_t max_prompt;     /* not of FIT_TRL_1 */
    size_t max_completion; /* of FIT_TRL_024; 0: no limit */
    bool whole;            /* FIT_TRL_1: prompt and response are one text, which loses its end (TRL's SFTTrainer on all tokens) */
};

/* What stays of one sequence: `prompt` tokens from prompt_at on, then `count` of the response from `at` on. */
struct fit_side {
    size_t prompt_at, prompt, at, count;
};

/* side[n] from the lengths of the prompts and responses [n]; n is 2 for a pair. False: the row is dropped. */
bool fit_row(struct fit_side *side, const size_t *prompt, const size_t *response, size_t n, const struct fit_rules *rules);

#endif
