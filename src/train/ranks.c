#include "train/ranks.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

struct span ranks_share(const struct comm *c, size_t count, size_t unit) {
    const size_t units = (count + unit - 1) / unit, n = (size_t)c->size, r = (size_t)c->rank;
    const size_t first = units * r / n * unit, end = units * (r + 1) / n * unit;
    return (struct span){first < count ? first : count, end < count ? end : count};
}

/* An input embedding is added to by both ends of the backward pass where it is the head too. */
static size_t stage_of(const struct param *p, size_t layers) {
    size_t layer;
    const char *at = strstr(p->name, "layers.");
    if (at && sscanf(at, "layers.%zu.", &layer) == 1 && layer < layers) return RUN_STAGE_LAYER(layer);
    return strstr(p->name, "embed_tokens") ? RUN_STAGE_EMBEDDING : RUN_STAGE_HEAD(layers);
}

status overlap_init(struct overlap *o, struct comm *c, const struct params *p, size_t layers) {
    size_t n = 0;
    *o = (struct overlap){.comm = c, .grad = p->grad, .stages = layers + 2};
    TRY(mem_try_alloc(&o->ranges, p->count + 1, sizeof *o->ranges, "gradients' order"));
    TRY(mem_try_alloc(&o->first, o->stages + 1, sizeof *o->first, "gradients' order"));
    for (size_t s = o->stages; s-- > 0;) {
        o->first[o->stages - 1 - s] = n;
        for (size_t i = p->count; i-- > 0;) {
            const struct param *q = &p->items[i];
            const struct span x = {q->offset, q->offset + q->rows * q->cols};
            if (stage_of(q, layers) != s) continue;
            if (n > o->first[o->stages - 1 - s] && o->ranges[n - 1].first == x.end)
                o->ranges[n - 1].first = x.first;
            else
                o->ranges[n++] = x;
        }
    }
    o->first[o->stages] = n;
    return ST_OK;
}

void overlap_release(struct overlap *o) {
    free(o->ranges);
    free(o->first);
    *o = (struct overlap){0};
}

/* The last `least` floats or more of what is pending leave in whole pieces. */
static void send(struct overlap *o, size_t least) {
    while (o->result == ST_OK && o->pending.end > o->pending.first && o->pending.end - o->pending.first >= least) {
        const size_t have = o->pending.end - o->pending.first, n = have < COMM_CHUNK ? have : COMM_CHUNK;
        o->pending.end -= n;
        o->result = comm_start(o->comm, o->grad + o->pending.end, n);
    }
}

void overlap_graded(void *overlap, size_t stage) {
    struct overlap *o = overlap;
    const size_t at = o->stages - 1 - stage;
    for (size_t i = o->first[at]; i < o->first[at + 1]; i++) {
        const struct span x = o->ranges[i];
        if (x.end != o->pending.first) {
            send(o, 1);
            o->pending = x;
        }
        o->pending.first = x.first;
        send(o, COMM_CHUNK);
    }
    if (stage == RUN_STAGE_EMBEDDING) {
        send(o, 1);
        o->pending = (struct span){0, 0};
    }
}

void overlap_send_all(struct overlap *o) {
    for (size_t s = o->stages; s-- > 0;) overlap_graded(o, s);
}

enum { MEANS = sizeof(struct metrics) / sizeof(double) - 1 }; /* all of a struct metrics are doubles but the count, which is its last */

static void put_metrics(double *out, const struct metrics *m) {
    memcpy(out, m, MEANS * sizeof *out);
    out[MEANS] = (double)m->count;
}

static void take_metrics(struct metrics *m, const double *in) {
    memcpy(m, in, MEANS * sizeof *in);
    m->count = (int64_t)in[MEANS];
}

status ranks_sum_step(struct comm *c, struct metrics *m, int64_t *tokens, bool *stop, double *values, float *cache, const uint32_t *index,
                      size_t count) {
    if (c->size == 1) return ST_OK;
    put_metrics(values, m);
    values[MEANS + 1] = (double)*tokens;
    values[MEANS + 2] = *stop;
    double *sums = values + RANKS_NUMBERS;
    for (size_t i = 0; i < count; i++) sums[i] = isnan(cache[index[i]]) ? 0 : (double)cache[index[i]];
    TRY(comm_sum(c, values, RANKS_NUMBERS + count));
    for (size_t i = 0; i < count; i++) cache[index[i]] = (float)sums[i];
    take_metrics(m, values);
    *tokens = (int64_t)values[MEANS + 1];
    *stop = values[MEANS + 2] > 0;
    return ST_OK;
}

status ranks_sum_metrics(struct comm *c, struct metrics *m, double *more) {
    double values[MEANS + 2];
    if (c->size == 1) return ST_OK;
    put_metrics(values, m);
    values[MEANS + 1] = *more;
    TRY(comm_sum(c, values, MEANS + 2));
    take_metrics(m, values);
    *more = values[MEANS + 1];
    return ST_OK;
}

status ranks_merge(struct comm *c, float *x, size_t n) {
    if (c->size == 1) return ST_OK;
    for (size_t i = 0; i < n; i++)
        if (isnan(x[i])) x[i] = 0;
    TRY(comm_start(c, x, n));
    return comm_finish(c);
}
