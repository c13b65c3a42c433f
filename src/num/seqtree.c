#include "num/seqtree.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

status seqtree_init(struct seqtree *t, int32_t nodes, int32_t segments, int32_t scores) {
    *t = (struct seqtree){.node_capacity = nodes, .segment_capacity = segments, .score_capacity = scores};
    TRY(mem_try_alloc(&t->ids, (size_t)nodes, sizeof *t->ids, "packed ids"));
    TRY(mem_try_alloc(&t->depth, (size_t)nodes, sizeof *t->depth, "packed positions"));
    TRY(mem_try_alloc(&t->segments, (size_t)segments, sizeof *t->segments, "segments"));
    return mem_try_alloc(&t->scores, (size_t)scores, sizeof *t->scores, "scored entries");
}

void seqtree_release(struct seqtree *t) {
    free(t->ids);
    free(t->depth);
    free(t->segments);
    free(t->scores);
    *t = (struct seqtree){0};
}

void seqtree_clear(struct seqtree *t) { t->node_count = t->segment_count = t->score_count = t->sequence_count = 0; }

/* The sequences of a call, and which of them still walk together. */
struct builder {
    struct seqtree *t;
    const int32_t *const *ids;
    const int32_t *sizes, *score_from;
    const uint8_t *const *marks; /* [count], or NULL: score_from says what is scored */
    const int32_t *pool;         /* [count * pools]; NULL: the above */
    int32_t pools;
    bool share;
};

static status push_score(struct seqtree *t, int32_t node, int32_t target, int32_t sequence) {
    if (t->score_count == t->score_capacity) return FAIL(ST_NOMEM, "packed batch: more than %d scored tokens", t->score_capacity);
    t->scores[t->score_count++] = (struct seqtree_score){.node = node, .target = target, .sequence = sequence, .weight = 1.0f};
    return ST_OK;
}

static status add_scores(struct builder *b, int32_t sequence, int32_t depth, int32_t node) {
    for (int32_t p = 0; p < b->pools; p++)
        if (b->pool[sequence * b->pools + p] == depth) TRY(push_score(b->t, node, p, sequence));
    int32_t next = depth + 1; /* the node predicts the token behind it */
    if (b->pool || next >= b->sizes[sequence] || (b->marks ? !b->marks[sequence][next] : next < b->score_from[sequence])) return ST_OK;
    return push_score(b->t, node, b->ids[sequence][next], sequence);
}

/* Lays `members` (count sequence indices, which agree on all ids before depth) out below `parent`: their common run is one segment,
 * then each group that goes on with the same id follows. Members keep their order, so the result does not depend on anything else. */
static status grow(struct builder *b, int32_t *members, int32_t count, int32_t parent, int32_t depth) {
    struct seqtree *t = b->t;
    while (count > 0) {
        int32_t group = 0, first = -1;
        for (int32_t i = 0; i < count; i++) { /* stable partition: those that share the first one's next id come first */
            int32_t s = members[i];
            if (b->sizes[s] <= depth) continue;
            if (first >= 0 && (!b->share || b->ids[s][depth] != b->ids[first][depth])) continue;
            if (first < 0) first = s;
            memmove(members + group + 1, members + group, (size_t)(i - group) * sizeof *members);
            members[group++] = s;
        }
        if (group == 0) return ST_OK; /* all have ended */
        if (t->segment_count == t->segment_capacity) return FAIL(ST_NOMEM, "packed batch: more than %d segments", t->segment_capacity);
        int32_t segment = t->segment_count++, at = depth;
        t->segments[segment] = (struct seqtree_segment){.start = t->node_count, .count = 0, .parent = parent, .depth = depth};
        for (;; at++) {
            bool together = true;
            for (int32_t i = 0; i < group && together; i++)
                together = b->sizes[members[i]] > at && b->ids[members[i]][at] == b->ids[members[0]][at];
            if (!together) break;
            if (t->node_count == t->node_capacity) return FAIL(ST_NOMEM, "packed batch: more than %d positions", t->node_capacity);
            int32_t node = t->node_count++;
            t->ids[node] = b->ids[members[0]][at];
            t->depth[node] = at;
            t->segments[segment].count++;
            for (int32_t i = 0; i < group; i++) TRY(add_scores(b, members[i], at, node));
        }
        TRY(grow(b, members, group, segment, at));
        members += group;
        count -= group;
    }
    return ST_OK;
}

static int by_node(const void *x, const void *y) {
    const struct seqtree_score *a = x, *b = y;
    if (a->node != b->node) return a->node < b->node ? -1 : 1;
    if (a->target != b->target) return a->target < b->target ? -1 : 1;
    return a->sequence < b->sequence ? -1 : a->sequence > b->sequence;
}

static status build(struct builder *b, int32_t count) {
    struct seqtree *t = b->t;
    int32_t members[SEQTREE_SEQUENCES_MAX];
    CHECK(count <= SEQTREE_SEQUENCES_MAX);
    seqtree_clear(t);
    t->sequence_count = count;
    for (int32_t i = 0; i < count; i++) members[i] = i;
    if (b->share) {
        TRY(grow(b, members, count, -1, 0));
    } else {
        for (int32_t i = 0; i < count; i++) TRY(grow(b, members + i, 1, -1, 0));
    }
    qsort(t->scores, (size_t)t->score_count, sizeof *t->scores, by_node);
    return ST_OK;
}

status seqtree_build(struct seqtree *t, const int32_t *const *ids, const int32_t *sizes, const int32_t *score_from, int32_t count,
                     bool share) {
    struct builder b = {.t = t, .ids = ids, .sizes = sizes, .score_from = score_from, .share = share};
    return build(&b, count);
}

status seqtree_build_marked(struct seqtree *t, const int32_t *const *ids, const int32_t *sizes, const uint8_t *const *marks, int32_t count,
                            bool share) {
    struct builder b = {.t = t, .ids = ids, .sizes = sizes, .marks = marks, .share = share};
    return build(&b, count);
}

status seqtree_build_pooled(struct seqtree *t, const int32_t *const *ids, const int32_t *sizes, const int32_t *pool, int32_t pools,
                            int32_t count, bool share) {
    struct builder b = {.t = t, .ids = ids, .sizes = sizes, .pool = pool, .pools = pools, .share = share};
    return build(&b, count);
}

bool seqtree_descends(const struct seqtree *t, int32_t segment, int32_t ancestor) {
    while (segment > ancestor) segment = t->segments[segment].parent;
    return segment == ancestor;
}
