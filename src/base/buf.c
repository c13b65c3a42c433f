#include "base/buf.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/pages.h"

static atomic_uint_fast64_t alloc_count;

uint64_t mem_alloc_count(void) { return atomic_load_explicit(&alloc_count, memory_order_relaxed); }
void mem_count_one(void) { atomic_fetch_add_explicit(&alloc_count, 1, memory_order_relaxed); }

static _Noreturn void out_of_memory(size_t size) {
    fprintf(stderr, "rapt: out of memory (asked for %zu bytes)\n", size);
    exit(1);
}

void *mem_alloc(size_t size) { return mem_resize(NULL, size); }

void *mem_zero(size_t count, size_t size) {
    mem_count_one();
    void *p = calloc(count ? count : 1, size ? size : 1);
    if (!p) out_of_memory(count * size);
    return p;
}

void *mem_resize(void *old, size_t size) {
    mem_count_one();
    void *p = realloc(old, size ? size : 1);
    if (!p) out_of_memory(size);
    return p;
}

char *mem_text_n(const char *text, size_t size) {
    char *copy = mem_alloc(size + 1);
    if (size) memcpy(copy, text, size);
    copy[size] = '\0';
    return copy;
}

char *mem_text(const char *text) { return mem_text_n(text, strlen(text)); }

char *mem_keep(char *text) {
    static struct kept { /* reachable, so that leak checkers see what is meant */
        struct kept *next;
        char *text;
    } *first;
    struct kept *k = mem_alloc(sizeof *k);
    *k = (struct kept){first, text};
    first = k;
    return text;
}

status mem_try_alloc(void *out, size_t count, size_t size, const char *what) {
    size_t bytes;
    void *p = NULL;
    if (!size_mul(&bytes, count, size)) return FAIL(ST_NOMEM, "%s: size overflows (%zu x %zu bytes)", what, count, size);
    mem_count_one();
    p = calloc(count ? count : 1, size ? size : 1);
    if (!p) return FAIL(ST_NOMEM, "%s: cannot allocate %zu bytes", what, bytes);
    memcpy(out, &p, sizeof p);
    return ST_OK;
}

status mem_try_whole(void *out, size_t count, size_t size, const char *what) {
    void *p;
    TRY(mem_try_alloc(out, count, size, what));
    memcpy(&p, out, sizeof p);
    if (count * size >= PAGES_WORTH) pages_prefer(p, count * size); /* fresh from the kernel, so nothing of it is touched yet */
    return ST_OK;
}

void buf_release(struct buf *b) {
    free(b->data);
    *b = (struct buf){0};
}

void buf_clear(struct buf *b) {
    b->size = 0;
    if (b->data) b->data[0] = '\0';
}

status buf_reserve(struct buf *b, size_t extra) {
    size_t need;
    if (!size_add(&need, b->size, extra) || need >= BUF_SIZE_MAX) return FAIL(ST_NOMEM, "buffer would exceed %zu bytes", BUF_SIZE_MAX);
    need++;
    if (need <= b->capacity) return ST_OK;
    size_t capacity = b->capacity ? b->capacity : 64;
    while (capacity < need) capacity += capacity / 2 + 64;
    mem_count_one();
    char *data = realloc(b->data, capacity);
    if (!data) return FAIL(ST_NOMEM, "cannot allocate %zu bytes", capacity);
    b->data = data;
    b->capacity = capacity;
    b->data[b->size] = '\0';
    return ST_OK;
}

void buf_grow(struct buf *b, size_t extra) {
    if (buf_reserve(b, extra) != ST_OK) out_of_memory(extra);
}

void buf_append_int(struct buf *b, int64_t value) {
    char text[24], *at = text + sizeof text;
    uint64_t n = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do *--at = (char)('0' + n % 10);
    while (n /= 10);
    if (value < 0) *--at = '-';
    buf_append(b, at, (size_t)(text + sizeof text - at));
}

void buf_printf(struct buf *b, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int size = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (size > 0) {
        if (buf_reserve(b, (size_t)size) != ST_OK) out_of_memory((size_t)size);
        vsnprintf(b->data + b->size, (size_t)size + 1, format, again);
        b->size += (size_t)size;
    }
    va_end(again);
}

const char *buf_text(const struct buf *b) { return b->data ? b->data : ""; }

void buf_append_shell_word(struct buf *out, const char *word) {
    buf_append_char(out, '\'');
    for (; *word; word++) {
        if (*word == '\'')
            buf_append_text(out, "'\\''");
        else
            buf_append_char(out, *word);
    }
    buf_append_char(out, '\'');
}

void buf_append_shell_argument(struct buf *out, const char *word) {
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./,=:+@%";
    buf_append_char(out, ' ');
    if (*word && strspn(word, plain) == strlen(word)) {
        buf_append_text(out, word);
        return;
    }
    buf_append_shell_word(out, word);
}

bool text_ends_with(const char *text, const char *end) {
    const size_t size = strlen(text), tail = strlen(end);
    return size >= tail && strcmp(text + size - tail, end) == 0;
}
