#define _GNU_SOURCE /* CPU_COUNT */
#include "train/comm.h"

#include <limits.h>
#include <omp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/log.h"
#include "train/comm_ops.h"

#define LANES 2      /* pieces on their way at a time: while one waits for the network the other's numbers are added */
#define NAP_US 50    /* between two looks at the network while the cores compute */
#define SPINS 2000   /* looks without a nap when nothing but the network is waited for */
#define NOTICE_S 0.4 /* behind a signal; mpirun kills a second after its own */
#define BYTES_AT_A_TIME ((size_t)1 << 26)

static int number(const char *name, int otherwise) {
    const char *text = getenv(name);
    char *end;
    if (!text || !*text) return otherwise;
    const long n = strtol(text, &end, 10);
    return *end || n < 0 || n > INT_MAX ? otherwise : (int)n;
}

struct comm_launch comm_launched(void) {
    if (getenv("OMPI_COMM_WORLD_SIZE")) return (struct comm_launch){number("OMPI_COMM_WORLD_RANK", 0), number("OMPI_COMM_WORLD_SIZE", 1)};
    if (getenv("PMI_SIZE")) return (struct comm_launch){number("PMI_RANK", 0), number("PMI_SIZE", 1)};
    if (getenv("PMIX_RANK")) return (struct comm_launch){number("PMIX_RANK", 0), number("SLURM_STEP_NUM_TASKS", 0)};
    return (struct comm_launch){0, 1};
}

static void nap(long us) {
    const struct timespec t = {.tv_nsec = us * 1000};
    nanosleep(&t, NULL);
}

/* What a wait knows of time. */
struct patience {
    double since_s; /* when the signal was seen; 0: not yet */
    bool told;
    int spins;
};

/* One look was in vain: waits a little, or gives up on the others. A rank that died leaves the rest waiting; mpirun then sends them a
 * signal. */
static status wait_a_little(struct patience *p, const struct comm *c) {
    if (p->spins++ < SPINS)
        sched_yield();
    else
        nap(NAP_US);
    if (!c->stop || !*c->stop) return ST_OK;
    const double now = log_now_s();
    if (p->since_s <= 0) p->since_s = now;
    if (now - p->since_s < NOTICE_S) return ST_OK;
    if (!p->told)
        log_info("stopping; waiting for the other ranks. If one of them died, the run ends here, and --resume goes on from its newest "
                 "checkpoint");
    p->told = true;
    if (now - p->since_s < c->patience_s) return ST_OK;
    return FAIL(ST_IO,
                "the other ranks were waited for for %.0f seconds after the signal to stop: one of them is gone; --resume goes on from the "
                "newest checkpoint",
                c->patience_s);
}

/* The thread: takes pieces in their order into LANES and moves these on. */
static void *sum_pieces(void *context) {
    struct comm *c = context;
    struct comm_ring lanes[LANES] = {0};
    int idle = 0;
    for (;;) {
        pthread_mutex_lock(&c->lock);
        while (c->done == c->begun && !c->ending) pthread_cond_wait(&c->changed, &c->lock);
        const bool over = c->done == c->begun, hurry = c->waiting;
        bool moved = false;
        while (!over && c->taken < c->begun && !lanes[c->taken % LANES].busy) {
            const struct comm_piece *p = &c->queue[c->taken % COMM_QUEUE];
            CHECK(comm_ops_ring_begin(&lanes[c->taken % LANES], c, p->x, p->n, (int)(c->taken % LANES)) ==
                  ST_OK); /* 4 MB at most, once a lane */
            c->taken++;
        }
        pthread_mutex_unlock(&c->lock);
        if (over) break;
        for (int i = 0; i < LANES; i++) moved = comm_ops_ring_poll(&lanes[i], c) || moved;
        size_t busy = 0;
        for (int i = 0; i < LANES; i++) busy += lanes[i].busy;
        pthread_mutex_lock(&c->lock);
        if (c->taken - busy > c->done) {
            c->done = c->taken - busy;
            pthread_cond_broadcast(&c->changed);
        }
        pthread_mutex_unlock(&c->lock);
        idle = moved ? 0 : idle + 1;
        if (!moved && (!hurry || idle > SPINS))
            nap(NAP_US);
        else if (!moved)
            sched_yield();
    }
    for (int i = 0; i < LANES; i++) comm_ops_ring_release(&lanes[i]);
    return NULL;
}

status comm_begin(struct comm *c) {
    *c = (struct comm){.size = 1, .local_size = 1};
    const int launched = comm_launched().size;
    if (launched == 1) return ST_OK;
    TRY(comm_ops_begin(c));
    if (launched > 1 && launched != c->size)
        return FAIL(
            ST_UNSUPPORTED,
            "%d processes were started together, and the MPI that this build was linked with sees %d: start them with its own mpirun",
            launched, c->size);
    if (c->size == 1) return ST_OK;
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->changed, NULL);
    if (pthread_create(&c->thread, NULL, sum_pieces, c) != 0) return FAIL(ST_NOMEM, "cannot start the thread that sums gradients");
    return ST_OK;
}

void comm_end(struct comm *c) {
    if (c->size > 1) {
        pthread_mutex_lock(&c->lock);
        c->ending = true;
        pthread_cond_broadcast(&c->changed);
        pthread_mutex_unlock(&c->lock);
        pthread_join(c->thread, NULL);
        pthread_cond_destroy(&c->changed);
        pthread_mutex_destroy(&c->lock);
    }
    if (c->host[0]) comm_ops_end();
    *c = (struct comm){.size = 1, .local_size = 1};
}

void comm_abort(struct comm *c) {
    if (c->size > 1) comm_ops_abort();
}

/* mpirun's own choice of a core a rank, which it makes for up to two ranks, leaves the others idle. */
static bool bound_by_default(void) {
    return getenv("OMPI_MCA_orte_bound_at_launch") && !getenv("OMPI_MCA_hwloc_base_binding_policy") &&
           !getenv("OMPI_MCA_rmaps_base_mapping_policy");
}

/* The place-th of `parts` equal parts of a set of cores. */
static void part_of(cpu_set_t *out, const cpu_set_t *all, int place, int parts) {
    const int cores = CPU_COUNT(all), begin = cores * place / parts, end = cores * (place + 1) / parts;
    CPU_ZERO(out);
    for (int i = 0, seen = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, all) && seen++ >= begin && seen <= end) CPU_SET(i, out);
}

status comm_share_cores(struct comm *c, bool given) {
    cpu_set_t mine, *all;
    if (c->size == 1) return ST_OK;
    if (bound_by_default()) {
        memset(&mine, 0xff, sizeof mine); /* the system leaves out what this process may not have */
        sched_setaffinity(0, sizeof mine, &mine);
    }
    if (given) return ST_OK;
    if (sched_getaffinity(0, sizeof mine, &mine) != 0) return FAIL(ST_IO, "cannot learn which cores this process may use");
    TRY(mem_try_alloc(&all, (size_t)c->local_size, sizeof *all, "cores"));
    comm_ops_gather_local(all, &mine, sizeof mine);
    int sharing = 0, place = 0;
    for (int i = 0; i < c->local_size; i++) {
        cpu_set_t both;
        CPU_AND(&both, &mine, &all[i]);
        if (!CPU_COUNT(&both)) continue;
        if (i < c->local_rank) place++;
        sharing++;
    }
    free(all);
    const int cores = CPU_COUNT(&mine), threads = cores / sharing > 1 ? cores / sharing : 1;
    omp_set_num_threads(threads);
    if (sharing > 1 && cores >= sharing) {
        cpu_set_t part;
        part_of(&part, &mine, place, sharing);
        omp_set_num_threads(CPU_COUNT(&part));
        sched_setaffinity(0, sizeof part, &part);
    }
    return ST_OK;
}

/* Behind the pieces that are there; waits where the queue is full. */
static status enqueue(struct comm *c, float *x, size_t n) {
    struct patience p = {.spins = SPINS};
    pthread_mutex_lock(&c->lock);
    while (c->begun - c->done == COMM_QUEUE) {
        pthread_mutex_unlock(&c->lock);
        TRY(wait_a_little(&p, c));
        pthread_mutex_lock(&c->lock);
    }
    c->queue[c->begun++ % COMM_QUEUE] = (struct comm_piece){x, n};
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
    return ST_OK;
}

status comm_start(struct comm *c, float *x, size_t n) {
    if (c->size == 1) return ST_OK;
    for (size_t at = 0; at < n; at += COMM_CHUNK) TRY(enqueue(c, x + at, n - at < COMM_CHUNK ? n - at : COMM_CHUNK));
    return ST_OK;
}

status comm_finish(struct comm *c) {
    struct patience p = {.spins = SPINS}; /* the thread spins, not this one */
    status s = ST_OK;
    if (c->size == 1) return ST_OK;
    pthread_mutex_lock(&c->lock);
    c->waiting = true;
    while (s == ST_OK && c->done < c->begun) {
        pthread_mutex_unlock(&c->lock);
        s = wait_a_little(&p, c);
        pthread_mutex_lock(&c->lock);
    }
    c->waiting = false;
    pthread_mutex_unlock(&c->lock);
    return s;
}

static status wait_for_collective(struct comm *c) {
    struct patience p = {0};
    while (!comm_ops_poll()) TRY(wait_a_little(&p, c));
    return ST_OK;
}

status comm_sum(struct comm *c, double *x, size_t n) {
    if (c->size == 1) return ST_OK;
    comm_ops_reduce_begin(x, n, COMM_SUM);
    return wait_for_collective(c);
}

status comm_broadcast(struct comm *c, void *bytes, size_t n) {
    char *at = bytes;
    for (size_t left = n, part; c->size > 1 && left > 0; left -= part, at += part) {
        part = left < BYTES_AT_A_TIME ? left : BYTES_AT_A_TIME;
        comm_ops_broadcast_begin(at, part);
        TRY(wait_for_collective(c));
    }
    return ST_OK;
}

void comm_end_together(struct comm *c) {
    c->together = true;
    c->silent = c->rank > 0;
}

status comm_agree(struct comm *c, status s) {
    double first = s == ST_OK ? c->size : c->rank;
    if (c->size == 1) return s;
    comm_ops_reduce_begin(&first, 1, COMM_LEAST);
    TRY(wait_for_collective(c));
    if (first >= c->size) return ST_OK;
    c->together = true;
    c->silent = (int)first != c->rank;
    if (!c->silent && c->rank > 0) status_note(s, "rank %d on %s: ", c->rank, c->host);
    return s != ST_OK ? s : FAIL(ST_IO, "another rank failed");
}

status comm_same(struct comm *c, const char *text, const char *what) {
    size_t size = strlen(text);
    char *first = NULL;
    if (c->size == 1) return ST_OK;
    TRY(comm_broadcast(c, &size, sizeof size));
    TRY(mem_try_alloc(&first, size + 1, 1, "what ranks must have in common"));
    if (c->rank == 0) memcpy(first, text, size);
    status s = comm_broadcast(c, first, size);
    first[size] = '\0';
    if (s == ST_OK)
        s = comm_agree(c, strcmp(first, text) == 0
                              ? ST_OK
                              : FAIL(ST_MISMATCH, "it has another %s than rank 0: %s, and rank 0 has %s", what, text, first));
    free(first);
    return s;
}
