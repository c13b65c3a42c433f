/* softmax_logp: rows of logits -> log-normaliser and the statistics that TRL logs, and the probabilities for the gradient. */
#ifndef RAPT_NUM_SOFTMAX_LOGP_H
#define RAPT_NUM_SOFTMAX_LOGP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Rows of logits that come in panels of columns, from the first to the last: what is known of a row so far. Exponents are taken from
 * `base`, the largest of the first panel, which changes only where a later logit lies LOGP_SPREAD above it: so sums over e^(logit - base),
 * of which one may be a product's, rarely have to follow (Milakov, Gimelshein 2018, arXiv 1805.02867, with the threshold of
 * FlashAttention-4). */
#define LOGP_SPREAD 30.0f
struct logp_sums {
    double z, zx, squares, sum; /* of e^d, e^d d, e^2d with d = logit - base, and of the logits */
    float base, most;           /* the largest so far */
    float again;                /* what sums over earlier panels are to be multiplied by since the last one; 1 mostly */
    int32_t argmax;             /* first of ties */
};
enum logp_weights {
    LOGP_NONE,
    LOGP_FLOATS,
    LOGP_HALVES
}; /* left in the place of logits: nothing new; e^d, under a cap times its derivative; that in bf16 */
struct logp_panel {
    float *logits; /* [rows, n]; in bf16 row r begins where row r of the floats did, and what a product reads behind n is 0 */
    size_t first, rows, n;
    float cap;
    bool squares; /* are wanted */
    enum logp_weights weights;
};
void logp_begin(struct logp_sums *s, size_t rows);
void logp_add(struct logp_sums *s, const struct logp_panel *p);
/* Of rows[R]: as logp_rows has them. */
void logp_end(float *lse, float *entropy, int32_t *argmax, float *mean, float *log_squares, const struct logp_sums *s, size_t rows,
              size_t vocab);

/* Of each row of logits[R, V]: lse[R] = log sum exp, entropy[R] in nats, argmax[R] (first of ties), mean[R] of the logits, and where asked
 * for (not NULL) log_squares[R] = log sum of the squared probabilities. */
void logp_rows(float *lse, float *entropy, int32_t *argmax, float *mean, float *log_squares, const float *logits, size_t rows,
               size_t vocab);
/* logits = cap tanh(logits / cap), Gemma 2's; cap 0 leaves them. What follows reads capped logits. */
void softcap_rows(float *logits, float cap, size_t rows, size_t vocab);
/* The cap's derivative at a capped logit; 1 without a cap. */
float softcap_slope(float logit, float cap);
/* probs[R, V] = factor[R] exp(logits - lse), under a cap times its derivative: what the gradient wants. May alias logits. factor NULL: 1.
 */
void softmax_rows(float *probs, const float *logits, const float *lse, const float *factor, float cap, size_t rows, size_t vocab);
/* Rows as they are, rounded to bf16 in place: row r begins where row r of the floats did; what a product reads behind it is 0. */
void half_rows(float *x, size_t rows, size_t vocab);

#endif
