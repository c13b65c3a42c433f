/* rng: counter-friendly random numbers. rng_at() gives independent streams keyed by integers, so that a draw depends on what it is
 * for (seed, row, sample, position) and never on the order in which rows were processed. */
#ifndef RAPT_BASE_RNG_H
#define RAPT_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

struct rng {
    uint64_t s[4]; /* xoshiro256**, Blackman and Vigna 2018; the whole state, saved in checkpoints */
};

struct rng rng_seeded(uint64_t seed);
struct rng rng_at(uint64_t seed, uint64_t a, uint64_t b, uint64_t c);
uint64_t rng_u64(struct rng *r);
/* Uniform in [0, 1), 53 bits. */
double rng_uniform(struct rng *r);
/* Uniform in [0, n), without bias; n > 0. */
uint64_t rng_below(struct rng *r, uint64_t n);
/* Standard normal. */
double rng_normal(struct rng *r);
/* Fisher-Yates over `count` indices. */
void rng_shuffle(struct rng *r, uint32_t *items, size_t count);

#endif
