/* ranks KB...: how long ranks take to sum so many KB of floats in place, started by mpirun: for each size a line of rank 0 with the median
 * of SUMS of rapt's ring (train/comm.h), of MPI_Allreduce in pieces of 4 MB, and of MPI_Allreduce in one, in seconds. */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/log.h"
#include "train/comm.h"

#define SUMS 5

static void sum_by(int how, struct comm *c, float *x, size_t n) {
    const size_t piece = how == 2 ? n : COMM_CHUNK;
    if (how == 0) {
        CHECK(comm_start(c, x, n) == ST_OK && comm_finish(c) == ST_OK);
        return;
    }
    for (size_t at = 0; at < n; at += piece)
        MPI_Allreduce(MPI_IN_PLACE, x + at, (int)(n - at < piece ? n - at : piece), MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
}

static int rising(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(int how, struct comm *c, float *x, size_t n) {
    double seconds[SUMS];
    sum_by(how, c, x, n);
    for (int i = 0; i < SUMS; i++) {
        for (size_t k = 0; k < n; k++) x[k] = 1;
        MPI_Barrier(MPI_COMM_WORLD);
        const double start = log_now_s();
        sum_by(how, c, x, n);
        seconds[i] = log_now_s() - start;
        for (size_t k = 0; k < n; k++) CHECK(x[k] == (float)c->size);
    }
    qsort(seconds, SUMS, sizeof *seconds, rising);
    return seconds[SUMS / 2];
}

int main(int argc, char **argv) {
    struct comm c;
    if (comm_begin(&c) != ST_OK) {
        log_error("%s", status_message());
        return 1;
    }
    for (int i = 1; i < argc; i++) {
        const size_t n = (size_t)atol(argv[i]) * 256;
        float *x = mem_alloc(n * sizeof *x);
        double s[3];
        for (int how = 0; how < 3; how++) s[how] = median(how, &c, x, n);
        if (c.rank == 0) printf("%d ranks %s KB ring %.6f pieces %.6f whole %.6f\n", c.size, argv[i], s[0], s[1], s[2]);
        fflush(stdout);
        free(x);
    }
    comm_end(&c);
    return 0;
}
