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

/* The percentile interval of figures[n], which are sorted. */
static void put_interval(struct estimate *out, const struct bootstrap_params *p, double *figures, size_t n) {
    if (!n) return;
    qsort(figures, n, sizeof *figures, compare_doubles);
    out->low = quantile(figures, n, (1 - p->level) / 2);
    out->high = quantile(figures, n, (1 + p->level) / 2);
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
    put_interval(out, p, means, p->resamples);
done:
    free(items);
    free(sums);
    free(means);
    return code;
}

/* A resample's weights: as many draws as there are clusters. */
static double resampled(bootstrap_fn *fn, const void *context, uint64_t seed, size_t number, size_t clusters) {
    struct rng rng = rng_at(seed, number, 0, 0);
    uint32_t *weight = mem_zero(clusters, sizeof *weight);
    for (size_t i = 0; i < clusters; i++) weight[rng_below(&rng, clusters)]++;
    const double figure = fn(context, weight);
    free(weight);
    return figure;
}

status bootstrap_statistic(struct estimate *out, const struct bootstrap_params *p, bootstrap_fn *fn, const void *context, size_t clusters,
                           size_t n) {
    double *figures = NULL;
    uint32_t *once = NULL;
    size_t kept = 0;
    CHECK(p->resamples > 0 && clusters > 0);
    *out = (struct estimate){NAN, NAN, NAN, 0, 0};
    status code = mem_try_alloc(&figures, p->resamples, sizeof *figures, "bootstrap figures");
    if (code == ST_OK) code = mem_try_alloc(&once, clusters, sizeof *once, "bootstrap weights");
    if (code != ST_OK) goto done;
    for (size_t i = 0; i < clusters; i++) once[i] = 1;
    const double value = fn(context, once);
    if (isnan(value)) goto done;
    *out = (struct estimate){value, value, value, n, clusters};
#pragma omp parallel for schedule(static)
    for (size_t r = 0; r < p->resamples; r++) figures[r] = resampled(fn, context, p->seed, r, clusters);
    for (size_t r = 0; r < p->resamples; r++)
        if (!isnan(figures[r])) figures[kept++] = figures[r];
    put_interval(out, p, figures, kept);
done:
    free(figures);
    free(once);
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
    buf_printf(out, "%-23s ", text);
}

void estimate_end_line(struct buf *text) {
    while (text->size && text->data[text->size - 1] == ' ') text->size--;
    buf_append_char(text, '\n');
}
