/* comm: the ranks of one training run: processes that mpirun or srun started, on one machine or many; or one process alone, for which every
 * function here returns at once. The trainer sees nothing of MPI; comm_mpi.c is the only file that does.
 *
 * Gradients are summed behind the backward pass: comm_start hands a piece over, a thread moves it while layers below are computed,
 * comm_finish waits for all. The sum is a ring (Patarasuk and Yuan 2009, doi 10.1016/j.jpdc.2008.09.002): each segment is added up from
 * rank to rank in one fixed order and then handed round, so that all ranks get the same bits, and the same number of ranks gives the same
 * bits again whatever the network. All ranks must make the same calls in the same order. */
#ifndef RAPT_TRAIN_COMM_H
#define RAPT_TRAIN_COMM_H

#include <pthread.h>
#include <signal.h>

#include "base/status.h"

#define COMM_CHUNK ((size_t)1 << 20) /* floats summed at a time: 4 MB, which stay in the cache while they are added */
#define COMM_QUEUE 256

struct comm_piece {
    float *x; /* [n] */
    size_t n;
};

struct comm {
    int rank, size;             /* of the run */
    int local_rank, local_size; /* of this machine */
    char host[64];
    const volatile sig_atomic_t *stop; /* not 0: a signal asked the run to stop; NULL: nothing will */
    double
        patience_s; /* after such a signal: how long others are waited for before they count as gone; they may be in the middle of a step */
    bool together;  /* all ranks end now, each knows; else a rank that fails must end the others (comm_abort) */
    bool silent; /* and another one says why: this one leaves as if all were well, since mpirun kills the rest behind the first bad exit */
    /* of the thread that sums; guarded by lock */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct comm_piece queue[COMM_QUEUE];
    size_t begun, taken, done; /* pieces started, taken up by the thread, summed */
    bool waiting, ending;      /* someone is in comm_finish; the thread should end */
};

/* How this process was started, from the environment alone: size 1 and rank 0 unless mpirun or srun say otherwise; size 0 where only they
 * know. */
struct comm_launch {
    int rank, size;
};
struct comm_launch comm_launched(void);

/* Joins the ranks that were started together. ST_UNSUPPORTED in a build without MPI. */
status comm_begin(struct comm *c);
/* Leaves them; all ranks must. */
void comm_end(struct comm *c);
/* Ends all ranks at once, without their leave. Returns only for one process. */
void comm_abort(struct comm *c);

/* Divides the cores of this machine among its ranks and sets the number of threads, unless `given` (by --threads or OMP_NUM_THREADS).
 * mpirun binds each rank to one core where nothing was said: that is undone. */
status comm_share_cores(struct comm *c, bool given);

/* x[n] becomes the sum over all ranks, in place, in the background; x must be left alone until comm_finish. Pieces are summed in the order
 * in which they were started, which must be the same everywhere, as must n. */
status comm_start(struct comm *c, float *x, size_t n);
status comm_finish(struct comm *c);

/* These wait. Not between comm_start and comm_finish. */
status comm_sum(struct comm *c, double *x, size_t n);
status comm_broadcast(struct comm *c, void *bytes, size_t n); /* rank 0's */
/* Every rank says how it fared. All fail where one did, with `together` set; the first of them keeps its message. */
status comm_agree(struct comm *c, status s);
/* What follows is an end that every rank comes to and rank 0 tells. */
void comm_end_together(struct comm *c);
/* ST_MISMATCH on all ranks, as comm_agree, where a rank's text is not rank 0's. what: a noun. */
status comm_same(struct comm *c, const char *text, const char *what);

#endif
