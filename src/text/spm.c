#include "text/spm.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/utf8.h"
#include "text/merge_queue.h"

struct scored {
    float score;
    int32_t id;
};

static int compare_score(const void *a, const void *b) {
    const struct scored *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

status spm_init(struct spm *s, struct arena *arena, const struct bpe *vocabulary, const float *scores, const uint8_t *joins) {
    const size_t count = (size_t)vocabulary->count;
    struct scored *order;
    *s = (struct spm){0};
    TRY(arena_try_take(arena, &s->rank, count, sizeof *s->rank, "the scores"));
    TRY(mem_try_alloc(&order, count, sizeof *order, "the scores"));
    for (size_t i = 0; i < count; i++) {
        order[i] = (struct scored){scores[i], (int32_t)i};
        if (!(scores[i] == scores[i])) {
            free(order);
            return FAIL(ST_FORMAT, "score of token %zu: not a number", i);
        }
        if (vocabulary->size[i] > s->size_max) s->size_max = vocabulary->size[i];
    }
    qsort(order, count, sizeof *order, compare_score);
    int32_t rank = 0;
    for (size_t i = 0; i < count; i++) {
        if (i && order[i].score < order[i - 1].score) rank = (int32_t)i;
        s->rank[order[i].id] = joins && !joins[order[i].id] ? -1 : rank;
    }
    free(order);
    return ST_OK;
}

struct symbol {
    int32_t at, size, prev, next;
};
/* How an unused token was put together last. */
struct split {
    int32_t id, left_size;
};
struct work {
    struct buf splits; /* struct split */
    const struct spm *s;
    const struct bpe *vocabulary;
    const char *text;
    struct symbol *symbols;
    struct merge_queue queue;
};

static void consider(struct work *w, int32_t left) {
    if (left < 0 || w->symbols[left].next < 0) return;
    const struct symbol *l = &w->symbols[left], *r = &w->symbols[l->next];
    const size_t size = (size_t)l->size + (size_t)r->size;
    if (size > w->s->size_max) return;
    int32_t id = bpe_find(w->vocabulary, w->text + l->at, size);
    if (id < 0 || w->s->rank[id] < 0) return;
    merge_push(&w->queue, (struct merge_candidate){w->s->rank[id], left, l->size, r->size, id});
    if (w->s->unused && w->s->unused[id]) {
        struct split made = {id, l->size};
        buf_append(&w->splits, &made, sizeof made);
    }
}

static void merge_all(struct work *w) {
    while (w->queue.count) {
        struct merge_candidate c = merge_pop(&w->queue);
        struct symbol *s = &w->symbols[c.at];
        if (s->size != c.left || s->next < 0 || w->symbols[s->next].size != c.right) continue;
        struct symbol *gone = &w->symbols[s->next];
        s->size += gone->size;
        s->next = gone->next;
        gone->size = 0;
        if (s->next >= 0) w->symbols[s->next].prev = c.at;
        consider(w, s->prev);
        consider(w, c.at);
    }
}

static bool put_bytes(const struct bpe *v, struct ids *out, const char *at, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (v->byte_ids[(unsigned char)at[i]] < 0) return false;
    for (size_t i = 0; i < n; i++) ids_push(out, v->byte_ids[(unsigned char)at[i]]);
    return true;
}

/* Appends what a symbol has become. *unknown: the token before was the unknown one. */
static void put_symbol(const struct work *w, struct ids *out, bool *unknown, const char *at, size_t n) {
    const struct bpe *v = w->vocabulary;
    int32_t id = bpe_find(v, at, n);
    const bool known = id >= 0 && w->s->rank[id] >= 0;
    if (known && w->s->unused && w->s->unused[id])
        for (size_t i = w->splits.size; i; i -= sizeof(struct split)) {
            struct split made;
            memcpy(&made, w->splits.data + i - sizeof made, sizeof made);
            if (made.id != id) continue;
            put_symbol(w, out, unknown, at, (size_t)made.left_size);
            put_symbol(w, out, unknown, at + made.left_size, n - (size_t)made.left_size);
            return;
        }
    if (known)
        ids_push(out, id);
    else if (!v->byte_fallback || !put_bytes(v, out, at, n)) {
        if (!*unknown && v->unk >= 0) ids_push(out, v->unk);
        *unknown = true;
        return;
    }
    *unknown = false;
}

#define TEXT_SMALL 96

void spm_encode(const struct spm *s, const struct bpe *vocabulary, struct ids *out, const char *text, size_t size) {
    struct symbol small[TEXT_SMALL];
    struct merge_candidate small_heap[3 * TEXT_SMALL];
    struct work w = {.s = s, .vocabulary = vocabulary, .text = text, .symbols = small, .queue = {small_heap, 0}};
    if (!size) return;
    if (size > TEXT_SMALL) {
        w.symbols = mem_zero(size, sizeof *w.symbols);
        w.queue.heap = mem_zero(size, 3 * sizeof *w.queue.heap);
    }
    int32_t count = 0;
    for (const char *at = text, *end = text + size; at < end; count++) {
        size_t n = utf8_size(at, end);
        if (!n) n = 1;
        w.symbols[count] = (struct symbol){(int32_t)(at - text), (int32_t)n, count - 1, count + 1};
        at += n;
    }
    w.symbols[count - 1].next = -1;
    for (int32_t i = 0; i + 1 < count; i++) consider(&w, i);
    merge_all(&w);
    bool unknown = false;
    for (int32_t i = 0; i >= 0; i = w.symbols[i].next) {
        put_symbol(&w, out, &unknown, text + w.symbols[i].at, (size_t)w.symbols[i].size);
    }
    buf_release(&w.splits);
    if (size > TEXT_SMALL) {
        free(w.symbols);
        free(w.queue.heap);
    }
}
