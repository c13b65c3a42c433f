/* merge_queue: the candidates of a merge loop in a binary heap, best first: lowest rank, then leftmost. For bpe and spm. */
#ifndef RAPT_TEXT_MERGE_QUEUE_H
#define RAPT_TEXT_MERGE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct merge_candidate {
    int32_t rank, at;    /* at: the left symbol */
    int32_t left, right; /* what the two symbols were when it was made; stale when they have changed */
    int32_t id;          /* the token they become */
};
struct merge_queue {
    struct merge_candidate *heap; /* room for 3 a symbol: a merge takes one candidate out and puts at most two in */
    size_t count;
};

static inline bool merge_before(const struct merge_candidate *a, const struct merge_candidate *b) {
    return a->rank != b->rank ? a->rank < b->rank : a->at < b->at;
}

static inline void merge_push(struct merge_queue *q, struct merge_candidate c) {
    size_t i = q->count++;
    for (; i && merge_before(&c, &q->heap[(i - 1) / 2]); i = (i - 1) / 2) q->heap[i] = q->heap[(i - 1) / 2];
    q->heap[i] = c;
}

static inline struct merge_candidate merge_pop(struct merge_queue *q) {
    struct merge_candidate top = q->heap[0], last = q->heap[--q->count];
    size_t i = 0, child;
    while ((child = 2 * i + 1) < q->count) {
        if (child + 1 < q->count && merge_before(&q->heap[child + 1], &q->heap[child])) child++;
        if (!merge_before(&q->heap[child], &last)) break;
        q->heap[i] = q->heap[child];
        i = child;
    }
    q->heap[i] = last;
    return top;
}

#endif
