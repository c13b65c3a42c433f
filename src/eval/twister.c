#include "eval/twister.h"

#define N 624
#define M 397

static void seed_one(struct twister *r, uint32_t seed) {
    r->state[0] = seed;
    for (uint32_t i = 1; i < N; i++) r->state[i] = 1812433253u * (r->state[i - 1] ^ (r->state[i - 1] >> 30)) + i;
}

void twister_seed_python(struct twister *r, uint32_t seed) {
    uint32_t *s = r->state, i = 1;
    seed_one(r, 19650218u);
    for (uint32_t k = 0; k < N; k++) { /* the key is one word: its index stays 0 */
        s[i] = (s[i] ^ ((s[i - 1] ^ (s[i - 1] >> 30)) * 1664525u)) + seed;
        if (++i == N) s[0] = s[N - 1], i = 1;
    }
    for (uint32_t k = 1; k < N; k++) {
        s[i] = (s[i] ^ ((s[i - 1] ^ (s[i - 1] >> 30)) * 1566083941u)) - i;
        if (++i == N) s[0] = s[N - 1], i = 1;
    }
    s[0] = 0x80000000u;
    r->at = N;
}

static void refill(struct twister *r) {
    uint32_t *s = r->state;
    for (size_t i = 0; i < N; i++) {
        const uint32_t y = (s[i] & 0x80000000u) | (s[(i + 1) % N] & 0x7fffffffu);
        s[i] = s[(i + M) % N] ^ (y >> 1) ^ (y & 1 ? 0x9908b0dfu : 0);
    }
    r->at = 0;
}

static uint32_t next(struct twister *r) {
    if (r->at >= N) refill(r);
    uint32_t y = r->state[r->at++];
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680u;
    y ^= (y << 15) & 0xefc60000u;
    return y ^ (y >> 18);
}

uint32_t twister_below_python(struct twister *r, uint32_t n) {
    int bits = 0;
    uint32_t drawn;
    while (bits < 32 && n >> bits) bits++;
    do drawn = next(r) >> (32 - bits);
    while (drawn >= n);
    return drawn;
}

void twister_seed_numpy(struct twister *r, uint32_t seed) {
    seed_one(r, seed);
    r->at = N;
}

uint32_t twister_below_numpy(struct twister *r, uint32_t n) {
    uint32_t mask = n - 1, drawn;
    if (n == 1) return 0; /* nothing is drawn */
    for (int shift = 1; shift < 32; shift *= 2) mask |= mask >> shift;
    do drawn = next(r) & mask;
    while (drawn > n - 1);
    return drawn;
}
