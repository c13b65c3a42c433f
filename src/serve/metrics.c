#define _POSIX_C_SOURCE 200809L
#include "serve/metrics.h"

#include <stdio.h>
#include <unistd.h>

static const double edges[SERVE_BUCKETS] = {0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 300};

void serve_metrics_init(struct serve_metrics *m) {
    *m = (struct serve_metrics){0};
    pthread_mutex_init(&m->lock, NULL);
}

void serve_metrics_release(struct serve_metrics *m) { pthread_mutex_destroy(&m->lock); }

static void add(struct serve_histogram *h, double s) {
    h->count++;
    h->sum_s += s;
    for (size_t i = 0; i < SERVE_BUCKETS; i++)
        if (s <= edges[i]) {
            h->bucket[i]++;
            return;
        }
}

void serve_metrics_token(struct serve_metrics *m, bool first, double waited_s) {
    pthread_mutex_lock(&m->lock);
    m->generated++;
    if (first) add(&m->first_token, waited_s);
    pthread_mutex_unlock(&m->lock);
}

void serve_metrics_prompt(struct serve_metrics *m, size_t computed, size_t reused) {
    pthread_mutex_lock(&m->lock);
    m->prompt_computed += computed;
    m->prompt_reused += reused;
    pthread_mutex_unlock(&m->lock);
}

void serve_metrics_answer(struct serve_metrics *m, unsigned code, bool generation, double took_s) {
    pthread_mutex_lock(&m->lock);
    for (size_t i = 0; i < SERVE_CODES_MAX; i++) {
        if (m->codes[i].code && m->codes[i].code != code) continue;
        m->codes[i].code = code;
        m->codes[i].count++;
        break;
    }
    if (generation) add(&m->whole, took_s);
    pthread_mutex_unlock(&m->lock);
}

void serve_metrics_cut(struct serve_metrics *m) {
    pthread_mutex_lock(&m->lock);
    m->cut_links++;
    pthread_mutex_unlock(&m->lock);
}

static void put_head(struct buf *b, const char *name, const char *kind, const char *help) {
    buf_printf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind);
}

static void put_one(struct buf *b, const char *name, const char *kind, const char *help, uint64_t value) {
    put_head(b, name, kind, help);
    buf_printf(b, "%s %llu\n", name, (unsigned long long)value);
}

static void put_histogram(struct buf *b, const char *name, const char *help, const struct serve_histogram *h) {
    uint64_t below = 0;
    put_head(b, name, "histogram", help);
    for (size_t i = 0; i < SERVE_BUCKETS; i++)
        buf_printf(b, "%s_bucket{le=\"%g\"} %llu\n", name, edges[i], (unsigned long long)(below += h->bucket[i]));
    buf_printf(b, "%s_bucket{le=\"+Inf\"} %llu\n%s_sum %.6f\n%s_count %llu\n", name, (unsigned long long)h->count, name, h->sum_s, name,
               (unsigned long long)h->count);
}

static uint64_t resident_bytes(void) {
    unsigned long long size = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f) return 0;
    if (fscanf(f, "%llu %llu", &size, &resident) != 2) resident = 0;
    fclose(f);
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

void serve_metrics_put(struct buf *b, struct serve_metrics *m, size_t queued, size_t running, size_t links) {
    pthread_mutex_lock(&m->lock);
    put_head(b, "rapt_requests_total", "counter", "Answers by HTTP status code.");
    for (size_t i = 0; i < SERVE_CODES_MAX && m->codes[i].code; i++)
        buf_printf(b, "rapt_requests_total{code=\"%u\"} %llu\n", m->codes[i].code, (unsigned long long)m->codes[i].count);
    put_one(b, "rapt_generated_tokens_total", "counter", "Tokens drawn.", m->generated);
    put_head(b, "rapt_prompt_tokens_total", "counter", "Tokens of prompts, computed or taken over from an equal beginning.");
    buf_printf(b, "rapt_prompt_tokens_total{how=\"computed\"} %llu\nrapt_prompt_tokens_total{how=\"reused\"} %llu\n",
               (unsigned long long)m->prompt_computed, (unsigned long long)m->prompt_reused);
    put_one(b, "rapt_sequences_running", "gauge", "Sequences in the batch.", running);
    put_one(b, "rapt_sequences_queued", "gauge", "Sequences that wait for a place in the batch.", queued);
    put_one(b, "rapt_connections", "gauge", "Open connections.", links);
    put_one(b, "rapt_connections_cut_total", "counter", "Connections cut because the client was too slow.", m->cut_links);
    put_histogram(b, "rapt_first_token_seconds", "From a request to the first token of each of its sequences.", &m->first_token);
    put_histogram(b, "rapt_request_seconds", "From a request to its whole answer.", &m->whole);
    put_one(b, "process_resident_memory_bytes", "gauge", "Resident memory.", resident_bytes());
    pthread_mutex_unlock(&m->lock);
}
