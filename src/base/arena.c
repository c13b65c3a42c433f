#include "base/arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/pages.h"

#define ARENA_ALIGN ((size_t)64)

struct arena_block {
    struct arena_block *next;
    char *memory;             /* aligned start inside the allocation */
    size_t used, size, total; /* total: bytes of the allocation that the block is the head of */
};

void arena_release(struct arena *a) {
    for (struct arena_block *b = a->head; b;) {
        struct arena_block *next = b->next;
        if (b->total >= PAGES_WORTH)
            pages_give(b, b->total);
        else
            free(b);
        b = next;
    }
    *a = (struct arena){.block_size = a->block_size};
}

static struct arena_block *arena_grow(struct arena *a, size_t bytes) {
    size_t size = a->block_size ? a->block_size : (size_t)64 << 10, total;
    if (bytes > size) size = bytes;
    if (!size_add(&total, size, sizeof(struct arena_block) + ARENA_ALIGN)) return NULL;
    mem_count_one();
    struct arena_block *b = total >= PAGES_WORTH ? pages_take(total) : calloc(1, total);
    if (!b) return NULL;
    b->total = total;
    uintptr_t start = ((uintptr_t)(b + 1) + ARENA_ALIGN - 1) & ~(uintptr_t)(ARENA_ALIGN - 1);
    b->memory = (char *)b + (start - (uintptr_t)b);
    b->size = size;
    b->next = a->head;
    a->head = b;
    return b;
}

status arena_try_take(struct arena *a, void *out, size_t count, size_t size, const char *what) {
    size_t bytes;
    if (!size_mul(&bytes, count, size) || !size_add(&bytes, bytes, ARENA_ALIGN - 1))
        return FAIL(ST_NOMEM, "%s: size overflows (%zu x %zu bytes)", what, count, size);
    bytes &= ~(ARENA_ALIGN - 1);
    struct arena_block *b = a->head;
    if (!b || b->size - b->used < bytes) b = arena_grow(a, bytes);
    if (!b) return FAIL(ST_NOMEM, "%s: cannot allocate %zu bytes", what, bytes);
    void *p = b->memory + b->used;
    b->used += bytes;
    a->used_total += bytes;
    memcpy(out, &p, sizeof p);
    return ST_OK;
}

void *arena_take(struct arena *a, size_t count, size_t size) {
    void *p = NULL;
    if (arena_try_take(a, &p, count, size, "arena") != ST_OK) {
        fprintf(stderr, "rapt: out of memory: %s\n", status_message());
        exit(1);
    }
    return p;
}

char *arena_text(struct arena *a, const char *text, size_t size) {
    char *copy = arena_take(a, size + 1, 1);
    if (size) memcpy(copy, text, size);
    return copy;
}
