/* gsm8k_run: the responses to a set of questions by greedy decoding, several at a time. */
#ifndef RAPT_EVAL_GSM8K_RUN_H
#define RAPT_EVAL_GSM8K_RUN_H

#include "eval/gsm8k.h"
#include "eval/harness_remote.h"
#include "infer/decode.h"

/* Fills context and response. max_tokens: of a response. Contexts keep their last decoder length - max_tokens tokens, as
 * HFLM.generate_until; *truncated counts those that were cut. */
status gsm8k_run(struct gsm8k_set *s, size_t *truncated, struct decoder *d, const struct harness_prompt *prompt,
                 const struct harness_shot *shots, size_t shot_count, size_t max_tokens);
/* The same by a model behind an endpoint (gsm8k_remote.c): texts to /v1/completions, conversations to /v1/chat/completions, both with
 * `stop`, as the harness's local-completions and local-chat-completions. */
status gsm8k_ask(struct gsm8k_set *s, const struct harness_remote *r, const struct harness_prompt *prompt, const struct harness_shot *shots,
                 size_t shot_count, size_t max_tokens);

#endif
