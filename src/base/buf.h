/* buf: growable bytes, always NUL-terminated after the first append, with a stated maximum. */
#ifndef RAPT_BASE_BUF_H
#define RAPT_BASE_BUF_H

#include <string.h>

#include "base/status.h"

struct buf {
    char *data;      /* size bytes, then a NUL; NULL while empty and untouched */
    size_t size;     /* bytes in use */
    size_t capacity; /* bytes allocated */
};

#define BUF_SIZE_MAX ((size_t)1 << 36)

/* A zeroed struct buf is a valid empty one. buf_release frees the contents and zeroes the struct. */
void buf_release(struct buf *b);
/* Forgets the contents, keeps the memory. */
void buf_clear(struct buf *b);
/* Room for `extra` more bytes. Running out of memory aborts through CHECK only past BUF_SIZE_MAX; else ST_NOMEM. */
status buf_reserve(struct buf *b, size_t extra);

/* Appending never returns a status: small buffers are used everywhere and a failed allocation of one ends the process with a message. */
void buf_grow(struct buf *b, size_t extra); /* buf_room's slow path */
/* Where `extra` bytes and a NUL may be written; whoever writes n of them adds n to size and sees to the NUL. */
static inline char *buf_room(struct buf *b, size_t extra) {
    if (b->capacity - b->size <= extra) buf_grow(b, extra);
    return b->data + b->size;
}
static inline void buf_append(struct buf *b, const void *data, size_t size) {
    char *to = buf_room(b, size);
    if (size) memcpy(to, data, size);
    to[size] = '\0';
    b->size += size;
}
static inline void buf_append_char(struct buf *b, char c) {
    char *to = buf_room(b, 1);
    to[0] = c;
    to[1] = '\0';
    b->size++;
}
static inline void buf_append_text(struct buf *b, const char *text) { buf_append(b, text, strlen(text)); }
void buf_append_int(struct buf *b, int64_t value);
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The contents as a C string ("" while empty). View, do not free. */
const char *buf_text(const struct buf *b);

/* malloc, calloc, realloc, strdup that end the process with "out of memory" instead of returning NULL. For small, bounded sizes;
 * sizes that a file decides use mem_try_alloc and return ST_NOMEM. */
void *mem_alloc(size_t size);
void *mem_zero(size_t count, size_t size);
void *mem_resize(void *old, size_t size);
char *mem_text(const char *text);
char *mem_text_n(const char *text, size_t size);
/* Keeps a malloc'ed text for the rest of the process and returns it: for option values, which nobody owns. One thread only. */
char *mem_keep(char *text);
/* *out = zeroed count * size bytes, or ST_NOMEM naming `what`. Freed with free(). */
status mem_try_alloc(void *out, size_t count, size_t size, const char *what);
/* The same for what is touched from end to end: on 2 MB pages where it is large and the kernel gives them (base/pages.h). */
status mem_try_whole(void *out, size_t count, size_t size, const char *what);
/* Allocations made so far through this file and base/arena; a test asserts that a training step makes none. */
uint64_t mem_alloc_count(void);
void mem_count_one(void);

bool text_ends_with(const char *text, const char *end);

/* A word as a POSIX shell reads it: in single quotes. */
void buf_append_shell_word(struct buf *out, const char *word);
/* A blank, and the word as it is where the shell reads nothing into it, else in quotes. */
void buf_append_shell_argument(struct buf *out, const char *word);

#endif
