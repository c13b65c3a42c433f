#include "eval/twister.h"

#include <sha512.h>
#include <stdlib.h>

#include "base/buf.h"

#define N 624
#define M 397

static void seed_one(struct twister *r, uint32_t seed) {
    r->state[0] = seed;
    for (uint32_t i = 1; i < N; i++) r->state[i] = 1812433253u * (r->state[i - 1] ^ (r->state[i - 1] >> 30)) + i;
}

/* init_by_array of MT19937: key [count], count > 0. */
static void seed_array(struct twister *r, const uint32_t *key, size_t count) {
    uint32_t *s = r->state, i = 1;
    size_t at = 0;
    seed_one(r, 19650218u);
    for (size_t k = count > N ? count : N; k; k--) {
        s[i] = (s[i] ^ ((s[i - 1] ^ (s[i - 1] >> 30)) * 1664525u)) + key[at] + (uint32_t)at;
        if (++i == N) s[0] = s[N - 1], i = 1;
        if (++at == count) at = 0;
    }
    for (uint32_t k = 1; k < N; k++) {
        s[i] = (s[i] ^ ((s[i - 1] ^ (s[i - 1] >> 30)) * 1566083941u)) - i;
        if (++i == N) s[0] = s[N - 1], i = 1;
    }
    s[0] = 0x80000000u;
    r->at = N;
}

void twister_seed_python(struct twister *r, uint32_t seed) { seed_array(r, &seed, 1); }

void twister_seed_python_text(struct twister *r, const char *text, size_t size) {
    struct buf number = {0}; /* big endian */
    uint8_t hash[SHA512_DIGEST_LENGTH];
    SHA512_CTX sha;
    SHA512_Init(&sha);
    SHA512_Update(&sha, (const uint8_t *)text, size);
    SHA512_Final(hash, &sha);
    buf_append(&number, text, size);
    buf_append(&number, hash, sizeof hash);
    size_t first = 0;
    while (first + 1 < number.size && !number.data[first]) first++;
    const size_t bytes = number.size - first, count = (bytes + 3) / 4;
    uint32_t *key = mem_zero(count, sizeof *key);
    for (size_t i = 0; i < bytes; i++) key[i / 4] |= (uint32_t)(unsigned char)number.data[number.size - 1 - i] << (8 * (i % 4));
    seed_array(r, key, count);
    free(key);
    buf_release(&number);
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

bool twister_coin_python(struct twister *r) {
    const bool second = next(r) >> 31; /* random() is made of two draws, of which the first holds its first bits */
    (void)next(r);
    return second;
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
