/* token_json: tokens and their log-probs as the answers of OpenAI's /v1/chat/completions have them. rapt serve gives them, and a judge in
 * this process, which is read like one behind an endpoint. */
#ifndef RAPT_INFER_TOKEN_JSON_H
#define RAPT_INFER_TOKEN_JSON_H

#include "infer/decode.h"
#include "text/tokenizer.h"

/* Appends a string of text that may be no valid UTF-8. */
void token_json_put_string(struct buf *out, const char *text, size_t size);
/* Appends a log-prob, at least OpenAI's floor of -9999. */
void token_json_put_logp(struct buf *out, float logp);
/* Appends {"token", "logprob", "bytes", "top_logprobs": [..]} of a token, with the `top` likeliest. */
void token_json_put(struct buf *out, const struct tokenizer *t, int32_t id, const struct decode_odds *o, size_t top);

#endif
