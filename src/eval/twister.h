/* twister: MT19937 (Matsumoto and Nishimura, ACM TOMACS 8, 1998) as Python's random and numpy's legacy generator seed and use it, so that
 * what the reference programs shuffle and resample is shuffled and resampled alike. */
#ifndef RAPT_EVAL_TWISTER_H
#define RAPT_EVAL_TWISTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct twister {
    uint32_t state[624];
    size_t at;
};
/* random.seed(n) (Modules/_randommodule.c), and random._randbelow: uniform in [0, n), n > 0. */
void twister_seed_python(struct twister *r, uint32_t seed);
/* random.seed(text) of version 2: the text's bytes and their SHA-512 as one number; and random.choices([False, True])[0]. */
void twister_seed_python_text(struct twister *r, const char *text, size_t size);
bool twister_coin_python(struct twister *r);
uint32_t twister_below_python(struct twister *r, uint32_t n);
/* numpy.random.seed(n), and RandomState.randint(0, n), n > 0 (numpy/random, masked rejection). */
void twister_seed_numpy(struct twister *r, uint32_t seed);
uint32_t twister_below_numpy(struct twister *r, uint32_t n);

#endif
