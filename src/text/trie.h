/* trie: byte strings to numbers, for finding every key that a text begins with. */
#ifndef RAPT_TEXT_TRIE_H
#define RAPT_TEXT_TRIE_H

#include "base/arena.h"

struct trie_edge {
    uint64_t key; /* node << 8 | byte; UINT64_MAX: free */
    uint32_t next;
};
struct trie {
    struct trie_edge *edges; /* open addressing */
    int32_t *values;         /* [node_max] -1: no key ends here */
    size_t mask;
    uint32_t node_count, node_max;
};

/* Room for keys of `bytes` bytes together. Memory belongs to the arena. */
status trie_init(struct trie *t, struct arena *arena, size_t bytes);
/* The first of equal keys stays. value >= 0. */
void trie_add(struct trie *t, const char *key, size_t size, int32_t value);

/* One byte down from *node (0: the root). False when no key goes on so; *value as in values. */
bool trie_step(const struct trie *t, uint32_t *node, int32_t *value, char byte);
/* Bytes of the longest key that text begins with; 0: none. */
size_t trie_longest(const struct trie *t, int32_t *value, const char *text, size_t size);

#endif
