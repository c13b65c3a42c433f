/* metrics: what /metrics tells in Prometheus' text form (version 0.0.4). Every function may be called from any thread. */
#ifndef RAPT_SERVE_METRICS_H
#define RAPT_SERVE_METRICS_H

#include <pthread.h>

#include "base/buf.h"

#define SERVE_CODES_MAX 16 /* distinct HTTP codes */
#define SERVE_BUCKETS 12
struct serve_histogram {
    uint64_t bucket[SERVE_BUCKETS], count; /* not yet summed up */
    double sum_s;
};
struct serve_metrics {
    pthread_mutex_t lock;
    struct {
        unsigned code;
        uint64_t count;
    } codes[SERVE_CODES_MAX];
    uint64_t generated, prompt_computed, prompt_reused, cut_links;
    struct serve_histogram first_token, whole;
};
void serve_metrics_init(struct serve_metrics *m);
void serve_metrics_release(struct serve_metrics *m);
/* A token was drawn; first: of its choice, so long after the request came. */
void serve_metrics_token(struct serve_metrics *m, bool first, double waited_s);
void serve_metrics_prompt(struct serve_metrics *m, size_t computed, size_t reused);
/* A request was answered with this code. generation: it went through the model, and took so long. */
void serve_metrics_answer(struct serve_metrics *m, unsigned code, bool generation, double took_s);
/* A connection was cut because its client was too slow. */
void serve_metrics_cut(struct serve_metrics *m);
/* queued, running: of the engine. */
void serve_metrics_put(struct buf *out, struct serve_metrics *m, size_t queued, size_t running, size_t links);

#endif
