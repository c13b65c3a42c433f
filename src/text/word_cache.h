/* word_cache: pieces that came up lately and their ids, so that a common word is merged once. One cache serves one thread at a time; a
 * pool of them belongs to a tokenizer. */
#ifndef RAPT_TEXT_WORD_CACHE_H
#define RAPT_TEXT_WORD_CACHE_H

#include <string.h>

#include "text/bpe.h"

#define WORD_BYTES_MAX 32
#define WORD_IDS_MAX 7
/* A line of the processor's cache. The words determine the bytes together with the size. */
struct word_entry {
    uint64_t word[4];
    int32_t ids[WORD_IDS_MAX];
    uint8_t size, count; /* size 0: free */
};
#define WORD_CACHE_BITS 14
struct word_cache {
    struct word_entry entries[1 << WORD_CACHE_BITS];
};

struct word_pool;
struct word_pool *word_pool_new(void);
void word_pool_free(struct word_pool *p);
/* A cache for this thread until it is given back; the latest first. */
struct word_cache *word_pool_take(struct word_pool *p);
void word_pool_give(struct word_pool *p, struct word_cache *c);

/* Bytes as four words that differ where the bytes do; 0 < size <= WORD_BYTES_MAX. */
static inline void word_key(uint64_t key[4], const char *at, size_t size) {
    key[0] = key[1] = key[2] = key[3] = 0;
    if (size > 16) {
        memcpy(key, at, 16);
        memcpy(key + 2, at + size - 16, 16);
    } else if (size >= 8) {
        memcpy(key, at, 8);
        memcpy(key + 1, at + size - 8, 8);
    } else if (size >= 4) {
        uint32_t a, b;
        memcpy(&a, at, 4);
        memcpy(&b, at + size - 4, 4);
        key[0] = (uint64_t)a | (uint64_t)b << 32;
    } else
        key[0] = (uint64_t)(unsigned char)at[0] | (uint64_t)(unsigned char)at[size / 2] << 8 | (uint64_t)(unsigned char)at[size - 1] << 16;
}

/* Where the piece belongs. */
static inline struct word_entry *word_slot(struct word_cache *c, const uint64_t key[4], size_t size) {
    uint64_t h = (key[0] ^ size) * 0x9e3779b97f4a7c15u;
    if (size >= 8) h = ((h ^ h >> 29) + key[1]) * 0xbf58476d1ce4e5b9u;
    if (size > 16) h = (((h ^ h >> 31) + key[2]) * 0x94d049bb133111ebu ^ key[3]) * 0x9e3779b97f4a7c15u;
    return &c->entries[h >> (64 - WORD_CACHE_BITS)];
}

static inline bool word_is(const struct word_entry *e, const uint64_t key[4], size_t size) {
    return e->size == size && !((e->word[0] ^ key[0]) | (e->word[1] ^ key[1]) | (e->word[2] ^ key[2]) | (e->word[3] ^ key[3]));
}

#endif
