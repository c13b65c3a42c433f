/* softmax_logp: rows of logits -> log-normaliser and the statistics that TRL logs, and the probabilities for the gradient. */
#ifndef RAPT_NUM_SOFTMAX_LOGP_H
#define RAPT_NUM_SOFTMAX_LOGP_H

#include <stddef.h>
#include <stdint.h>

/* Of each row of logits[R, V]: lse[R] = log sum exp, entropy[R] in nats, argmax[R] (first of ties), mean[R] of the logits. */
void logp_rows(float *lse, float *entropy, int32_t *argmax, float *mean, const float *logits, size_t rows, size_t vocab, size_t stride);
/* probs[R, V] = exp(logits - lse); may alias logits. */
void softmax_rows(float *probs, const float *logits, const float *lse, size_t rows, size_t vocab, size_t stride);
/* The same in bf16 and in place: row r of the probabilities begins where row r of the logits did, so their stride is 2 * stride. */
void softmax_rows_half(float *logits, const float *lse, size_t rows, size_t vocab, size_t stride);

#endif
