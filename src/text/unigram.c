#include "text/unigram.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/utf8.h"

#define UNK_PENALTY 10.0

status unigram_init(struct unigram *u, struct arena *arena, const struct bpe *vocabulary, const double *scores, const uint8_t *takes,
                    double lowest) {
    size_t bytes = 0;
    for (int32_t i = 0; i < vocabulary->count; i++) {
        if (!vocabulary->text[i]) continue;
        bytes += vocabulary->size[i];
        if (!(scores[i] > -1e30 && scores[i] < 1e30)) return FAIL(ST_FORMAT, "score of token %d: expected a number of ordinary size", i);
    }
    TRY(trie_init(&u->trie, arena, bytes));
    TRY(arena_try_take(arena, &u->score, (size_t)vocabulary->count, sizeof *u->score, "the scores"));
    for (int32_t i = 0; i < vocabulary->count; i++) {
        u->score[i] = scores[i];
        if (vocabulary->text[i] && (!takes || takes[i])) trie_add(&u->trie, vocabulary->text[i], vocabulary->size[i], i);
    }
    u->unk_score = u->single ? (double)(float)(lowest - UNK_PENALTY) : lowest - UNK_PENALTY;
    u->on = true;
    return ST_OK;
}

/* The best path that ends at a byte. */
struct node {
    double score;
    int32_t start, id; /* start -1: none ends here; id -1: unknown */
};

static void offer(const struct unigram *u, struct node *to, double score, size_t start, int32_t id) {
    if (u->single) score = (double)(float)score;
    if (to->start >= 0 && !(score > to->score)) return;
    *to = (struct node){score, (int32_t)start, id};
}

static void fill(const struct unigram *u, struct node *nodes, const char *text, size_t size) {
    for (size_t i = 0; i <= size; i++) nodes[i] = (struct node){0, -1, -1};
    for (size_t at = 0; at < size;) {
        const double here = nodes[at].score;
        size_t n = utf8_size(text + at, text + size);
        if (!n) n = 1;
        uint32_t node = 0;
        int32_t id;
        bool whole = false;
        for (size_t i = at; i < size && trie_step(&u->trie, &node, &id, text[i]); i++) {
            if (id < 0) continue;
            offer(u, &nodes[i + 1], u->score[id] + here, at, id);
            whole |= i + 1 - at == n;
        }
        if (!whole) offer(u, &nodes[at + n], u->unk_score + here, at, -1);
        at += n;
    }
}

static status put_unknown(const struct bpe *v, struct ids *out, const char *at, size_t n) {
    bool bytes = v->byte_fallback;
    for (size_t i = 0; i < n && bytes; i++) bytes = v->byte_ids[(unsigned char)at[i]] >= 0;
    for (size_t i = 0; i < n && bytes; i++) ids_push(out, v->byte_ids[(unsigned char)at[i]]);
    if (bytes) return ST_OK;
    if (v->unk < 0) return FAIL(ST_FORMAT, "text has a character without a token, and the tokenizer has no unknown token");
    ids_push(out, v->unk);
    return ST_OK;
}

#define TEXT_SMALL 128

status unigram_encode(const struct unigram *u, const struct bpe *vocabulary, struct ids *out, const char *text, size_t size) {
    struct node small[TEXT_SMALL + 1], *nodes = small;
    status s = ST_OK;
    if (size > TEXT_SMALL) TRY(mem_try_alloc(&nodes, size + 1, sizeof *nodes, "the paths of a text"));
    fill(u, nodes, text, size);
    /* Backwards along the best path, turning the links around; then forwards. */
    int32_t end = (int32_t)size, next = -1;
    while (end > 0) {
        const int32_t start = nodes[end].start;
        nodes[end].start = next;
        next = end;
        end = start;
    }
    size_t at = 0, unknown = 0;
    bool run = false;
    for (int32_t i = next; i > 0 && s == ST_OK; i = nodes[i].start) {
        const bool is_unknown = nodes[i].id < 0 || nodes[i].id == vocabulary->unk;
        if (is_unknown && !run) unknown = at;
        if (!is_unknown && run) s = put_unknown(vocabulary, out, text + unknown, at - unknown);
        if (!is_unknown) ids_push(out, nodes[i].id);
        run = is_unknown;
        at = (size_t)i;
    }
    if (run && s == ST_OK) s = put_unknown(vocabulary, out, text + unknown, at - unknown);
    if (nodes != small) free(nodes);
    return s;
}
