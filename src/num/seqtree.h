/* seqtree: a micro-batch as a forest of token positions. Sequences that begin with the same ids share nodes, so every distinct position
 * is computed once. Nodes are stored parent before child, each segment (a run of nodes without branching) contiguous.
 *
 * data/pack fills it; model runs it. position (rope) = depth. A node attends to itself and to its ancestors. */
#ifndef RAPT_NUM_SEQTREE_H
#define RAPT_NUM_SEQTREE_H

#include "base/status.h"

#define SEQTREE_SEQUENCES_MAX 4096 /* of one tree */

struct seqtree_segment {
    int32_t start, count; /* nodes [start, start+count) */
    int32_t parent;       /* index of the segment it continues, -1 for a root; it continues behind that segment's last node */
    int32_t depth;        /* position of its first node */
};
struct seqtree_score {
    int32_t node;     /* the node whose output predicts `target` */
    int32_t target;   /* token id; in a pooled tree which of its sequence's pooled positions this is */
    int32_t sequence; /* whose log-prob sum it belongs to */
    float weight;     /* in its sequence's sum: 1 unless a loss weights tokens */
};
struct seqtree {
    int32_t *ids;       /* [T] */
    int32_t *depth;     /* [T] position of each node */
    int32_t node_count; /* T */
    struct seqtree_segment *segments;
    int32_t segment_count;
    struct seqtree_score *scores; /* sorted by (node, target, sequence) so that sums run in a fixed order */
    int32_t score_count;
    int32_t sequence_count;
    /* memory: capacities of the arrays above */
    int32_t node_capacity, segment_capacity, score_capacity;
};

/* Makes room for trees of at most these sizes; seqtree_add never allocates after it. */
status seqtree_init(struct seqtree *t, int32_t nodes, int32_t segments, int32_t scores);
void seqtree_release(struct seqtree *t);
void seqtree_clear(struct seqtree *t);
/* Builds the tree of `count` sequences. ids[i] has sizes[i] tokens; tokens [score_from[i], sizes[i]) are scored (each predicted by the
 * token before it). share = false gives every sequence its own root (the unshared twin for tests, and for dropout). Sequence indices are
 * 0..count-1. ST_NOMEM when it does not fit the capacities given to seqtree_init. */
status seqtree_build(struct seqtree *t, const int32_t *const *ids, const int32_t *sizes, const int32_t *score_from, int32_t count,
                     bool share);

/* The same where marks say what is scored: tokens k >= 1 of sequence i with marks[i][k] != 0. */
status seqtree_build_marked(struct seqtree *t, const int32_t *const *ids, const int32_t *sizes, const uint8_t *const *marks, int32_t count,
                            bool share);

/* The same with other entries: those of sequence i are its positions pool[i * pools + p], p < pools, whose own output is read. */
status seqtree_build_pooled(struct seqtree *t, const int32_t *const *ids, const int32_t *sizes, const int32_t *pool, int32_t pools,
                            int32_t count, bool share);

/* Is `segment` the segment `ancestor` or a continuation of it? */
bool seqtree_descends(const struct seqtree *t, int32_t segment, int32_t ancestor);

#endif
