/* comm_alone: what stands in for comm_mpi.c in a build without MPI: there are no other ranks, and to ask for some is an error. */
#include "train/comm_ops.h"

status comm_ops_begin(struct comm *c) {
    (void)c;
    return FAIL(
        ST_UNSUPPORTED,
        "several ranks were started, and this build has no MPI: install libopenmpi-dev, configure and build again (docs/many-machines.md)");
}

/* None of these is reached: comm.c calls them where comm_ops_begin went well. */
void comm_ops_end(void) { CHECK(false); }
void comm_ops_abort(void) { CHECK(false); }
void comm_ops_gather_local(void *out, const void *in, size_t n) { CHECK(!out && !in && !n); }
status comm_ops_ring_begin(struct comm_ring *r, const struct comm *c, float *x, size_t n, int tag) {
    CHECK(!r && !c && !x && !n && !tag);
    return ST_OK;
}
bool comm_ops_ring_poll(struct comm_ring *r, const struct comm *c) {
    CHECK(!r && !c);
    return false;
}
void comm_ops_ring_release(struct comm_ring *r) { CHECK(!r); }
void comm_ops_reduce_begin(double *x, size_t n, enum comm_reduce how) { CHECK(!x && !n && how != how); }
void comm_ops_broadcast_begin(void *bytes, size_t n) { CHECK(!bytes && !n); }
bool comm_ops_poll(void) { return true; }
