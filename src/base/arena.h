/* arena: one lifetime, one release. Memory is zeroed, 64-byte aligned, and never moves. */
#ifndef RAPT_BASE_ARENA_H
#define RAPT_BASE_ARENA_H

#include "base/status.h"

struct arena_block;
struct arena {
    struct arena_block *head; /* the block in use; older ones hang behind it */
    size_t used_total;        /* bytes handed out */
    size_t block_size;        /* size of a fresh block; 0 = 64 KiB */
};

/* A zeroed struct arena is a valid empty one. */
void arena_release(struct arena *a);
/* Zeroed memory owned by the arena. Ends the process when memory is out: use for bounded sizes; else arena_try_take. */
void *arena_take(struct arena *a, size_t count, size_t size);
/* As arena_take, with ST_NOMEM naming `what`. `out` points at the pointer. */
status arena_try_take(struct arena *a, void *out, size_t count, size_t size, const char *what);
/* Copies with a NUL behind. */
char *arena_text(struct arena *a, const char *text, size_t size);

#endif
