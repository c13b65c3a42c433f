/* comm_mpi: the ranks through MPI; the only file that includes mpi.h, and no part of a build without it (see CMakeLists.txt).
 *
 * Every call returns at once and is polled, never waited in: Open MPI waits by spinning, which would take the cores from the computation,
 * and in a wait nobody sees a signal. Two threads call, never at once: MPI_THREAD_SERIALIZED. */
#include <limits.h>
#include <mpi.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "train/comm_ops.h"

_Static_assert(sizeof(MPI_Request) <= sizeof(void *), "comm_ring.requests hold them");

static MPI_Comm machine; /* the ranks of this one */
static MPI_Request collective = MPI_REQUEST_NULL;

status comm_ops_begin(struct comm *c) {
    int level;
    char name[MPI_MAX_PROCESSOR_NAME] = "";
    int n = 0;
    MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &level);
    if (level < MPI_THREAD_SERIALIZED) return FAIL(ST_UNSUPPORTED, "this MPI library was built without threads (MPI_THREAD_SERIALIZED)");
    MPI_Comm_rank(MPI_COMM_WORLD, &c->rank);
    MPI_Comm_size(MPI_COMM_WORLD, &c->size);
    MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, c->rank, MPI_INFO_NULL, &machine);
    MPI_Comm_rank(machine, &c->local_rank);
    MPI_Comm_size(machine, &c->local_size);
    MPI_Get_processor_name(name, &n);
    memcpy(c->host, name, (size_t)n < sizeof c->host ? (size_t)n : sizeof c->host - 1);
    return ST_OK;
}

void comm_ops_end(void) {
    MPI_Comm_free(&machine);
    MPI_Finalize();
}

void comm_ops_abort(void) { MPI_Abort(MPI_COMM_WORLD, 1); }

void comm_ops_gather_local(void *out, const void *in, size_t n) { MPI_Allgather(in, (int)n, MPI_BYTE, out, (int)n, MPI_BYTE, machine); }

/* Where segment i begins. */
static size_t begin_of(const struct comm_ring *r, const struct comm *c, int i) {
    return r->n / (size_t)c->size * (size_t)i + r->n % (size_t)c->size * (size_t)i / (size_t)c->size;
}

/* In round k < size - 1 a rank sends segment rank - k on and receives rank - k - 1, to which it adds its own; after these it holds the
 * whole sum of segment rank + 1, and in the second half of the rounds sums are handed on the same way. */
static int segment_of(const struct comm *c, int round, bool sent) {
    const int half = c->size - 1, k = round < half ? round : round - half, first = c->rank + (round < half ? 0 : 1);
    return ((first - k - (sent ? 0 : 1)) % c->size + c->size) % c->size;
}

static void post(struct comm_ring *r, const struct comm *c) {
    MPI_Request requests[2];
    const int next = (c->rank + 1) % c->size, previous = (c->rank + c->size - 1) % c->size;
    const int in = segment_of(c, r->round, false), out = segment_of(c, r->round, true);
    const size_t at = begin_of(r, c, in), count = begin_of(r, c, in + 1) - at, from = begin_of(r, c, out);
    float *to = r->round < c->size - 1 ? r->inbox : r->x + at;
    MPI_Irecv(to, (int)count, MPI_FLOAT, previous, r->tag, MPI_COMM_WORLD, &requests[0]);
    MPI_Isend(r->x + from, (int)(begin_of(r, c, out + 1) - from), MPI_FLOAT, next, r->tag, MPI_COMM_WORLD, &requests[1]);
    memcpy(r->requests, requests, sizeof requests);
}

status comm_ops_ring_begin(struct comm_ring *r, const struct comm *c, float *x, size_t n, int tag) {
    const size_t segment = n / (size_t)c->size + 1;
    CHECK(n <= INT_MAX);
    if (segment > r->inbox_size) {
        free(r->inbox);
        r->inbox_size = 0;
        TRY(mem_try_alloc(&r->inbox, segment, sizeof *r->inbox, "gradients of other ranks"));
        r->inbox_size = segment;
    }
    r->x = x, r->n = n, r->tag = tag, r->round = 0, r->busy = true;
    post(r, c);
    return ST_OK;
}

bool comm_ops_ring_poll(struct comm_ring *r, const struct comm *c) {
    MPI_Request requests[2];
    int done = 0;
    if (!r->busy) return false;
    memcpy(requests, r->requests, sizeof requests);
    MPI_Testall(2, requests, &done, MPI_STATUSES_IGNORE);
    memcpy(r->requests, requests, sizeof requests);
    if (!done) return false;
    if (r->round < c->size - 1) {
        const int in = segment_of(c, r->round, false);
        const size_t end = begin_of(r, c, in + 1);
        const float *from = r->inbox;
        for (size_t i = begin_of(r, c, in); i < end; i++) r->x[i] += *from++;
    }
    r->round++;
    r->busy = r->round < 2 * (c->size - 1);
    if (r->busy) post(r, c);
    return true;
}

void comm_ops_ring_release(struct comm_ring *r) {
    free(r->inbox);
    *r = (struct comm_ring){0};
}

void comm_ops_reduce_begin(double *x, size_t n, enum comm_reduce how) {
    CHECK(n <= INT_MAX);
    MPI_Iallreduce(MPI_IN_PLACE, x, (int)n, MPI_DOUBLE, how == COMM_SUM ? MPI_SUM : MPI_MIN, MPI_COMM_WORLD, &collective);
}

void comm_ops_broadcast_begin(void *bytes, size_t n) {
    CHECK(n <= INT_MAX);
    MPI_Ibcast(bytes, (int)n, MPI_BYTE, 0, MPI_COMM_WORLD, &collective);
}

bool comm_ops_poll(void) {
    int done = 0;
    MPI_Test(&collective, &done, MPI_STATUS_IGNORE);
    return done;
}
