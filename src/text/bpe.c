#include "text/bpe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/utf8.h"
#include "text/merge_queue.h"

void ids_push(struct ids *ids, int32_t id) {
    if (ids->count == ids->capacity) {
        ids->capacity = ids->capacity ? ids->capacity * 2 : 64;
        ids->data = mem_resize(ids->data, ids->capacity * sizeof *ids->data);
    }
    ids->data[ids->count++] = id;
}

void ids_append(struct ids *ids, const int32_t *data, size_t count) {
    if (ids->count + count > ids->capacity) {
        ids->capacity = (ids->count + count) * 2;
        ids->data = mem_resize(ids->data, ids->capacity * sizeof *ids->data);
    }
    if (count) memcpy(ids->data + ids->count, data, count * sizeof *data);
    ids->count += count;
}

void ids_release(struct ids *ids) {
    free(ids->data);
    *ids = (struct ids){0};
}

static size_t table_size(size_t count) {
    size_t n = 64;
    while (n < count * 2) n *= 2;
    return n;
}

status bpe_init(struct bpe *b, struct arena *arena, size_t token_count, size_t merge_count) {
    if (token_count > 1 << 24 || merge_count > 1 << 24)
        return FAIL(ST_FORMAT, "vocabulary of %zu tokens and %zu merges: more than 2^24", token_count, merge_count);
    *b = (struct bpe){.count = (int32_t)token_count, .unk = -1};
    size_t slots = table_size(token_count), merges = table_size(merge_count);
    TRY(arena_try_take(arena, &b->text, token_count + 1, sizeof *b->text, "the vocabulary"));
    TRY(arena_try_take(arena, &b->size, token_count + 1, sizeof *b->size, "the vocabulary"));
    TRY(arena_try_take(arena, &b->slots, slots, sizeof *b->slots, "the vocabulary"));
    TRY(arena_try_take(arena, &b->whole, token_count + 1, sizeof *b->whole, "the vocabulary"));
    TRY(arena_try_take(arena, &b->merges, merges, sizeof *b->merges, "the merges"));
    b->slot_mask = slots - 1;
    b->merge_mask = merges - 1;
    memset(b->slots, 0xff, slots * sizeof *b->slots);
    memset(b->merges, 0xff, merges * sizeof *b->merges);
    return ST_OK;
}

/* The slot that holds the text, or the free one where it belongs. */
static size_t slot_of(const struct bpe *b, const char *text, size_t size) {
    size_t at = (size_t)hash_bytes(text, size, 0) & b->slot_mask;
    while (b->slots[at] >= 0) {
        int32_t id = b->slots[at];
        if (b->size[id] == size && memcmp(b->text[id], text, size) == 0) break;
        at = (at + 1) & b->slot_mask;
    }
    return at;
}

void bpe_set(struct bpe *b, int32_t id, const char *text, size_t size) {
    CHECK(id >= 0 && id < b->count && !b->text[id] && size <= UINT32_MAX);
    size_t at = slot_of(b, text, size);
    b->text[id] = text;
    b->size[id] = (uint32_t)size;
    if (b->slots[at] < 0) b->slots[at] = id;
}

int32_t bpe_find(const struct bpe *b, const char *text, size_t size) { return b->slots[slot_of(b, text, size)]; }

static size_t merge_slot(const struct bpe *b, uint64_t key) {
    size_t at = (size_t)((key * 0x9e3779b97f4a7c15u) >> 20) & b->merge_mask;
    while (b->merges[at].key != UINT64_MAX && b->merges[at].key != key) at = (at + 1) & b->merge_mask;
    return at;
}

static uint64_t pair_key(int32_t left, int32_t right) { return (uint64_t)(uint32_t)left << 32 | (uint32_t)right; }

status bpe_add_merge(struct bpe *b, const char *left, size_t left_size, const char *right, size_t right_size) {
    int32_t l = bpe_find(b, left, left_size), r = bpe_find(b, right, right_size);
    char fixed[256], *joined = left_size + right_size <= sizeof fixed ? fixed : mem_alloc(left_size + right_size);
    memcpy(joined, left, left_size);
    memcpy(joined + left_size, right, right_size);
    int32_t whole = bpe_find(b, joined, left_size + right_size);
    if (joined != fixed) free(joined);
    if (l < 0 || r < 0 || whole < 0)
        return FAIL(ST_FORMAT, "merge %zu: '%.*s' + '%.*s': %s is no token of the vocabulary", b->merge_count, (int)left_size, left,
                    (int)right_size, right,
                    l < 0   ? "the left part"
                    : r < 0 ? "the right part"
                            : "the result");
    struct bpe_merge *m = &b->merges[merge_slot(b, pair_key(l, r))];
    if (m->key == UINT64_MAX) *m = (struct bpe_merge){pair_key(l, r), (int32_t)b->merge_count, whole};
    b->merge_count++;
    return ST_OK;
}

void bpe_find_bytes(struct bpe *b) {
    for (int i = 0; i < 256; i++) {
        char text[8] = {(char)i};
        if (b->chars) snprintf(text, sizeof text, "<0x%02X>", (unsigned)i);
        b->byte_ids[i] = bpe_find(b, text, b->chars ? 6 : 1);
    }
}

/* Symbols of a piece as a doubly linked list. */
struct symbol {
    int32_t id, prev, next;
};
struct work {
    struct symbol *symbols;
    int32_t count;
    struct merge_queue queue;
};

static void consider(struct work *w, const struct bpe *b, int32_t left) {
    if (left < 0 || w->symbols[left].next < 0) return;
    int32_t l = w->symbols[left].id, r = w->symbols[w->symbols[left].next].id;
    const struct bpe_merge *m = &b->merges[merge_slot(b, pair_key(l, r))];
    if (m->key != UINT64_MAX) merge_push(&w->queue, (struct merge_candidate){m->rank, left, l, r, m->id});
}

static void merge_all(struct work *w, const struct bpe *b) {
    for (int32_t i = 0; i + 1 < w->count; i++) consider(w, b, i);
    while (w->queue.count) {
        struct merge_candidate c = merge_pop(&w->queue);
        struct symbol *s = &w->symbols[c.at];
        if (s->id != c.left || s->next < 0 || w->symbols[s->next].id != c.right) continue;
        struct symbol *gone = &w->symbols[s->next];
        gone->id = -1;
        s->id = c.id;
        s->next = gone->next;
        if (s->next >= 0) w->symbols[s->next].prev = c.at;
        consider(w, b, s->prev);
        consider(w, b, c.at);
    }
}

static void add_symbol(struct work *w, int32_t id) {
    w->symbols[w->count] = (struct symbol){id, w->count - 1, w->count + 1};
    w->count++;
}

static void seed_bytes(struct work *w, const struct bpe *b, const char *piece, size_t size) {
    for (size_t i = 0; i < size; i++) {
        int32_t id = b->byte_ids[(unsigned char)piece[i]];
        if (id >= 0) add_symbol(w, id);
    }
}

static bool fall_back(struct work *w, const struct bpe *b, const char *at, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (b->byte_ids[(unsigned char)at[i]] < 0) return false;
    for (size_t i = 0; i < n; i++) add_symbol(w, b->byte_ids[(unsigned char)at[i]]);
    return true;
}

/* As tokenizers' merge_word: an unknown token waits until the next known character, so that a run can be one token. */
static void seed_chars(struct work *w, const struct bpe *b, const char *piece, size_t size) {
    bool waiting = false;
    for (const char *at = piece, *end = piece + size; at < end;) {
        size_t n = utf8_size(at, end);
        if (!n) n = 1;
        int32_t id = bpe_find(b, at, n);
        if (id >= 0) {
            if (waiting) add_symbol(w, b->unk);
            waiting = false;
            add_symbol(w, id);
        } else if (!(b->byte_fallback && fall_back(w, b, at, n)) && b->unk >= 0) {
            if (waiting && !b->fuse_unk) add_symbol(w, b->unk);
            waiting = true;
        }
        at += n;
    }
    if (waiting) add_symbol(w, b->unk);
}

#define PIECE_SMALL 128
#define WHOLE_BYTES_MAX 64 /* longer pieces are no words */

static void merge_piece(const struct bpe *b, struct ids *out, const char *piece, size_t size) {
    struct symbol small[PIECE_SMALL];
    struct merge_candidate small_heap[3 * PIECE_SMALL];
    struct work w = {small, 0, {small_heap, 0}};
    if (size > PIECE_SMALL) {
        w.symbols = mem_zero(size, sizeof *w.symbols);
        w.queue.heap = mem_zero(size, 3 * sizeof *w.queue.heap);
    }
    (b->chars ? seed_chars : seed_bytes)(&w, b, piece, size);
    if (w.count) {
        w.symbols[w.count - 1].next = -1;
        merge_all(&w, b);
        for (int32_t i = 0; i >= 0; i = w.symbols[i].next) ids_push(out, w.symbols[i].id);
    }
    if (size > PIECE_SMALL) {
        free(w.symbols);
        free(w.queue.heap);
    }
}

enum { WHOLE_UNKNOWN, WHOLE_YES, WHOLE_NO };

/* Most words are tokens, and nearly every token is what its own text merges to: asked once a token. */
static bool merges_whole(const struct bpe *b, int32_t id) {
    uint8_t is = __atomic_load_n(&b->whole[id], __ATOMIC_RELAXED);
    if (is == WHOLE_UNKNOWN) {
        struct ids ids = {0};
        merge_piece(b, &ids, b->text[id], b->size[id]);
        is = ids.count == 1 && ids.data[0] == id ? WHOLE_YES : WHOLE_NO;
        ids_release(&ids);
        __atomic_store_n(&b->whole[id], is, __ATOMIC_RELAXED);
    }
    return is == WHOLE_YES;
}

void bpe_encode(const struct bpe *b, struct ids *out, const char *piece, size_t size) {
    const bool takes = b->ignore_merges || (size == 1 && !b->chars) || (b->lines_whole && piece[0] == '\n');
    const int32_t whole = takes || size <= WHOLE_BYTES_MAX ? bpe_find(b, piece, size) : -1;
    if (whole >= 0 && (takes || merges_whole(b, whole)))
        ids_push(out, whole);
    else
        merge_piece(b, out, piece, size);
}

/* The 188 bytes that print stand for themselves; the others, in order, are U+0100 and up. */
static bool prints(unsigned c) { return (c >= '!' && c <= '~') || (c >= 0xa1 && c <= 0xac) || c >= 0xae; }

size_t bpe_text_of_byte(char out[4], unsigned char byte) {
    uint32_t code = byte;
    if (!prints(byte)) {
        code = 0x100;
        for (unsigned c = 0; c < byte; c++) code += !prints(c);
    }
    return utf8_put(out, code);
}

bool bpe_bytes_of_text(char *out, size_t *out_size, const char *text, size_t size) {
    const char *at = text, *end = text + size;
    *out_size = 0;
    while (at < end) {
        size_t n = utf8_size(at, end);
        uint32_t code = n ? utf8_get(at, n) : 0xffff;
        if (code >= 0x100 && code < 0x144) {
            uint32_t rank = code - 0x100, c = 0;
            for (;; c++)
                if (!prints(c) && rank-- == 0) break;
            code = c;
        } else if (code >= 0x100 || !prints(code))
            return false;
        out[(*out_size)++] = (char)code;
        at += n;
    }
    return true;
}
