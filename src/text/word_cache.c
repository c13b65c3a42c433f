#include "text/word_cache.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/buf.h"

enum { POOL_MAX = 64 };
struct word_pool {
    _Atomic(struct word_cache *) idle[POOL_MAX]; /* NULL: none here */
};

struct word_pool *word_pool_new(void) { return mem_zero(1, sizeof(struct word_pool)); }

void word_pool_free(struct word_pool *p) {
    for (size_t i = 0; p && i < POOL_MAX; i++) free(atomic_load(&p->idle[i]));
    free(p);
}

struct word_cache *word_pool_take(struct word_pool *p) {
    for (size_t i = 0; i < POOL_MAX; i++) {
        if (!atomic_load_explicit(&p->idle[i], memory_order_relaxed)) continue;
        struct word_cache *c = atomic_exchange_explicit(&p->idle[i], NULL, memory_order_acquire);
        if (c) return c;
    }
    return mem_zero(1, sizeof(struct word_cache));
}

void word_pool_give(struct word_pool *p, struct word_cache *c) {
    for (size_t i = 0; i < POOL_MAX; i++) {
        struct word_cache *none = NULL;
        if (atomic_compare_exchange_strong_explicit(&p->idle[i], &none, c, memory_order_release, memory_order_relaxed)) return;
    }
    free(c);
}
