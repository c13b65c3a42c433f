/* ranks: how a run's work is divided among its ranks, and what they tell each other. One process is a run of one rank.
 *
 * What is divided is an optimizer step: per-device batch x accumulation x ranks rows, as under TRL and accelerate, in the order in which
 * one rank with ranks times the accumulation would take them. Micro-batches stay whole, so that a loss sees the same rows whatever the
 * number of ranks (the metrics and KTO's KL estimate too), and each rank takes neighbouring ones: both halves of a pair under --order
 * paired. */
#ifndef RAPT_TRAIN_RANKS_H
#define RAPT_TRAIN_RANKS_H

#include <signal.h>

#include "model/run.h"
#include "train/comm.h"
#include "train/metrics.h"

struct span {
    size_t first, end;
};
/* This rank's share of `count` things in a row, of which `unit` neighbours stay together. */
struct span ranks_share(const struct comm *c, size_t count, size_t unit);

/* Which gradients are complete after which stage of the backward pass, so that they can leave while it goes on. */
struct overlap {
    struct comm *comm;
    struct span *ranges; /* [ranges of params], by falling stage, in a stage by falling place */
    size_t *first;       /* [stages + 1] where the ranges of each stage begin, stage RUN_STAGE_HEAD first */
    size_t stages;
    float *grad;
    struct span pending; /* complete, not sent: less than COMM_CHUNK */
    status result;       /* of the first comm_start that failed */
};
status overlap_init(struct overlap *o, struct comm *c, const struct params *p, size_t layers);
void overlap_release(struct overlap *o);
/* run.graded: sends what is complete, in pieces of COMM_CHUNK floats. */
void overlap_graded(void *overlap, size_t stage);
/* A rank without rows in this step sends its zeros. */
void overlap_send_all(struct overlap *o);

/* What a step's ranks add up beside gradients, in one message: its metrics and tokens, whether any of them was asked to stop, and the
 * reference sums that were computed. values: [RANKS_NUMBERS + count] scratch; cache: where the reference sums of `count` responses are
 * kept, by index[count] (NaN: not computed here); count may be 0. */
#define RANKS_NUMBERS (sizeof(struct metrics) / sizeof(double) + 2)
status ranks_sum_step(struct comm *c, struct metrics *m, int64_t *tokens, bool *stop, double *values, float *cache, const uint32_t *index,
                      size_t count);
status ranks_sum_metrics(struct comm *c, struct metrics *m, double *more);
/* x[n], of which every rank computed its part: the others' are NaN here. */
status ranks_merge(struct comm *c, float *x, size_t n);

#endif
