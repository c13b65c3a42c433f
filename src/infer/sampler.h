/* sampler: a row of logits -> the next token.
 *
 * The steps are transformers' logits processors in their order (generation/utils.py _get_logits_processor, 5.x): repetition penalty,
 * temperature, top-k, top-p, min-p. Random numbers are keyed by (seed, row, sample, position), so a sample does not depend on the batch
 * it was drawn in, up to rounding of the logits. */
#ifndef RAPT_INFER_SAMPLER_H
#define RAPT_INFER_SAMPLER_H

#include "base/status.h"

struct sampler_options {
    double temperature;        /* 0 = greedy: the largest logit, the lower id of equals */
    double top_p;              /* 1 = off */
    double min_p;              /* 0 = off */
    double repetition_penalty; /* 1 = off */
    int64_t top_k;             /* 0 = off */
    uint64_t seed;
};
/* temperature 1 and everything off. */
struct sampler_options sampler_options_default(void);
/* ST_USAGE with the option's name and range. */
status sampler_options_check(const struct sampler_options *o);

struct sampler_key {
    uint64_t row, sample, position;
};
struct sampler_item {
    float score;  /* logit / temperature */
    float weight; /* exp(score - largest); unnormalised probability */
    int32_t id;
};
/* Working memory of one row; rows of a batch that are sampled in parallel need one each. */
struct sampler {
    struct sampler_options options;
    size_t vocab;
    struct sampler_item *items; /* [V] */
    float *heap;                /* [heap_size] at least min(top_k, V) */
    size_t heap_size;
    uint8_t *seen; /* [V] all zero between calls; NULL while there was no repetition penalty */
};
status sampler_init(struct sampler *s, const struct sampler_options *o, size_t vocab);
/* Other options from now on; the memory that they need beyond the earlier ones' is taken here. */
status sampler_set(struct sampler *s, const struct sampler_options *o);
void sampler_release(struct sampler *s);

/* The tokens that the filters leave, in s->items[0..*count), and their summed weight; temperature > 0. */
status sampler_filter(struct sampler *s, size_t *count, double *total, const float *logits);
/* Picks from logits[V], which the repetition penalty changes in place. context: the sequence so far, prompt included.
 * ST_FORMAT when the logits are not finite (a broken checkpoint or adapter). */
status sampler_pick(int32_t *id, struct sampler *s, float *logits, const int32_t *context, size_t context_count, struct sampler_key key);

#endif
