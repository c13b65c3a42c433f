/* softmax_logp: rows of logits -> log-normaliser and the statistics that TRL logs, and the probabilities for the gradient. */
#ifndef RAPT_NUM_SOFTMAX_LOGP_H
#define RAPT_NUM_SOFTMAX_LOGP_H

#include <stddef.h>
#include <stdint.h>

/* Of each row of logits[R, V]: lse[R] = log sum exp, entropy[R] in nats, argmax[R] (first of ties), mean[R] of the logits, and where asked
 * for (not NULL) log_squares[R] = log sum of the squared probabilities. */
void logp_rows(float *lse, float *entropy, int32_t *argmax, float *mean, float *log_squares, const float *logits, size_t rows, size_t vocab,
               size_t stride);
/* logits = cap tanh(logits / cap), Gemma 2's; cap 0 leaves them. What follows reads capped logits. */
void softcap_rows(float *logits, float cap, size_t rows, size_t vocab, size_t stride);
/* The cap's derivative at a capped logit; 1 without a cap. */
float softcap_slope(float logit, float cap);
/* probs[R, V] = factor[R] exp(logits - lse), under a cap times its derivative: what the gradient wants. May alias logits. factor NULL: 1. */
void softmax_rows(float *probs, const float *logits, const float *lse, const float *factor, float cap, size_t rows, size_t vocab, size_t stride);
/* The same without a factor, in bf16 and in place: row r of the probabilities begins where row r of the logits did, so their stride is 2 * stride. */
void softmax_rows_half(float *logits, const float *lse, float cap, size_t rows, size_t vocab, size_t stride);
/* Rows as they are, rounded to bf16 in place, likewise. */
void half_rows(float *x, size_t rows, size_t vocab, size_t stride);

#endif
