/* comm_ops: what comm.c asks of the library that connects ranks: comm_mpi.c, or comm_alone.c in a build without one; private to src/train.
 * One thread at a time calls in. */
#ifndef RAPT_TRAIN_COMM_OPS_H
#define RAPT_TRAIN_COMM_OPS_H

#include "train/comm.h"

enum comm_reduce { COMM_SUM, COMM_LEAST };

/* A ring sum in progress. The caller zeroes it before the first use. */
struct comm_ring {
    float *x;
    size_t n;
    float *inbox; /* [inbox_size] one segment */
    size_t inbox_size;
    int round, tag;
    void *requests[2];
    bool busy;
};

status comm_ops_begin(struct comm *c);
void comm_ops_end(void);
void comm_ops_abort(void);
/* out[local_size * n] of the ranks of this machine. */
void comm_ops_gather_local(void *out, const void *in, size_t n);

status comm_ops_ring_begin(struct comm_ring *r, const struct comm *c, float *x, size_t n, int tag);
/* Moves it on; true when anything happened. busy is false when the sum is there. */
bool comm_ops_ring_poll(struct comm_ring *r, const struct comm *c);
void comm_ops_ring_release(struct comm_ring *r);

/* One collective at a time: begin, then poll until it says true. */
void comm_ops_reduce_begin(double *x, size_t n, enum comm_reduce how);
void comm_ops_broadcast_begin(void *bytes, size_t n);
bool comm_ops_poll(void);

#endif
