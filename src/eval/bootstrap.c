#include "eval/bootstrap.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/rng.h"
#include "format/json.h"

struct item {
    uint64_t cluster;
    size_t order;
    double value;
};
struct sums {
    double value, count;
};

static int compare_items(const void *a, const void *b) {
    const struct item *x = a, *y = b;
    if (x->cluster != y->cluster) return x->cluster < y->cluster ? -1 : 1;
    return (x->order > y->order) - (x->order < y->order);
}

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Linear interpolation between order statistics, as numpy.quantile. */
static double quantile(const double *sorted, size_t n, double q) {
    double at = q * (double)(n - 1);
    size_t i = (size_t)at;
    if (i + 1 >= n) return sorted[n - 1];
    return sorted[i] + (at - (double)i) * (sorted[i + 1] - sorted[i]);
}

/* items[n], sorted by cluster, become one pair of sums a cluster. */
static size_t gather(struct sums *sums, const struct item *items, size_t n) {
    size_t clusters = 0;
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || items[i].cluster != items[i - 1].cluster) sums[clusters++] = (struct sums){0};
        sums[clusters - 1].value += items[i].value;
        sums[clusters - 1].count += 1;
    }
    return clusters;
}

status bootstrap_mean(struct estimate *out, const struct bootstrap_params *p, const double *values, const uint64_t *cluster, size_t n) {
    *out = (struct estimate){NAN, NAN, NAN, 0, 0};
    struct item *items = NULL;
    struct sums *sums = NULL;
    double *means = NULL;
    CHECK(p->resamples > 0);
    status code = mem_try_alloc(&items, n ? n : 1, sizeof *items, "bootstrap values");
    if (code == ST_OK) code = mem_try_alloc(&sums, n ? n : 1, sizeof *sums, "bootstrap sums");
    if (code == ST_OK) code = mem_try_alloc(&means, p->resamples, sizeof *means, "bootstrap means");
    if (code != ST_OK) goto done;
    size_t used = 0;
    for (size_t i = 0; i < n; i++)
        if (!isnan(values[i])) items[used] = (struct item){cluster[i], i, values[i]}, used++;
    if (used == 0) goto done;
    qsort(items, used, sizeof *items, compare_items);
    size_t clusters = gather(sums, items, used);
    double total = 0;
    for (size_t i = 0; i < clusters; i++) total += sums[i].value;
    *out = (struct estimate){total / (double)used, NAN, NAN, used, clusters};
#pragma omp parallel for schedule(static)
    for (size_t r = 0; r < p->resamples; r++) {
        struct rng rng = rng_at(p->seed, r, 0, 0);
        double value = 0, count = 0;
        for (size_t i = 0; i < clusters; i++) {
            const struct sums *s = &sums[rng_below(&rng, clusters)];
            value += s->value;
            count += s->count;
        }
        means[r] = value / count;
    }
    qsort(means, p->resamples, sizeof *means, compare_doubles);
    out->low = quantile(means, p->resamples, (1 - p->level) / 2);
    out->high = quantile(means, p->resamples, (1 + p->level) / 2);
done:
    free(items);
    free(sums);
    free(means);
    return code;
}

void estimate_json(struct buf *out, const struct estimate *e) {
    if (e->n == 0) {
        buf_append_text(out, "null");
        return;
    }
    buf_append_text(out, "{\"value\": ");
    json_put_double(out, e->value);
    buf_append_text(out, ", \"low\": ");
    json_put_double(out, e->low);
    buf_append_text(out, ", \"high\": ");
    json_put_double(out, e->high);
    buf_printf(out, ", \"n\": %zu, \"prompts\": %zu}", e->n, e->clusters);
}

void estimate_text(struct buf *out, const struct estimate *e) {
    char text[64] = "-";
    if (e->n) snprintf(text, sizeof text, "%.3f [%.3f, %.3f]", e->value, e->low, e->high);
    buf_printf(out, "%-24s", text);
}
