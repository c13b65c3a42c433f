/* gsm8k_run: the responses to a set of questions by greedy decoding, several at a time. */
#ifndef RAPT_EVAL_GSM8K_RUN_H
#define RAPT_EVAL_GSM8K_RUN_H

#include "eval/gsm8k.h"
#include "infer/decode.h"

/* Fills context and response. max_tokens: of a response. Contexts keep their last decoder length - max_tokens tokens, as HFLM.generate_until;
 * *truncated counts those that were cut. */
status gsm8k_run(struct gsm8k_set *s, size_t *truncated, struct decoder *d, const struct harness_prompt *prompt, const struct harness_shot *shots, size_t shot_count,
    size_t max_tokens);

#endif
