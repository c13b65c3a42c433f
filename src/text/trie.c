#include "text/trie.h"

#include <string.h>

#include "base/status.h"

status trie_init(struct trie *t, struct arena *arena, size_t bytes) {
    size_t slots = 64;
    if (bytes > (size_t)1 << 28) return FAIL(ST_FORMAT, "vocabulary of %zu bytes: more than 2^28", bytes);
    while (slots < 2 * bytes) slots *= 2;
    *t = (struct trie){.mask = slots - 1, .node_count = 1, .node_max = (uint32_t)bytes + 1};
    TRY(arena_try_take(arena, &t->edges, slots, sizeof *t->edges, "the vocabulary's trie"));
    TRY(arena_try_take(arena, &t->values, t->node_max, sizeof *t->values, "the vocabulary's trie"));
    memset(t->edges, 0xff, slots * sizeof *t->edges);
    memset(t->values, 0xff, t->node_max * sizeof *t->values);
    return ST_OK;
}

static size_t edge_slot(const struct trie *t, uint64_t key) {
    size_t at = (size_t)((key * 0x9e3779b97f4a7c15u) >> 24) & t->mask;
    while (t->edges[at].key != UINT64_MAX && t->edges[at].key != key) at = (at + 1) & t->mask;
    return at;
}

static uint64_t edge_key(uint32_t node, char byte) { return (uint64_t)node << 8 | (unsigned char)byte; }

void trie_add(struct trie *t, const char *key, size_t size, int32_t value) {
    uint32_t node = 0;
    for (size_t i = 0; i < size; i++) {
        struct trie_edge *e = &t->edges[edge_slot(t, edge_key(node, key[i]))];
        if (e->key == UINT64_MAX) {
            CHECK(t->node_count < t->node_max);
            *e = (struct trie_edge){edge_key(node, key[i]), t->node_count++};
        }
        node = e->next;
    }
    if (node && t->values[node] < 0) t->values[node] = value;
}

bool trie_step(const struct trie *t, uint32_t *node, int32_t *value, char byte) {
    const struct trie_edge *e = &t->edges[edge_slot(t, edge_key(*node, byte))];
    if (e->key == UINT64_MAX) return false;
    *node = e->next;
    *value = t->values[e->next];
    return true;
}

size_t trie_longest(const struct trie *t, int32_t *value, const char *text, size_t size) {
    uint32_t node = 0;
    int32_t found;
    size_t best = 0;
    for (size_t i = 0; i < size && trie_step(t, &node, &found, text[i]); i++)
        if (found >= 0) {
            *value = found;
            best = i + 1;
        }
    return best;
}
