/* The sampler: its filters against a plain twin and transformers' numbers, its distribution, its keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "infer/sampler.h"

#define V 16
/* transformers 5.23: [TemperatureLogitsWarper(0.8), TopKLogitsWarper(10), TopPLogitsWarper(0.9), MinPLogitsWarper(0.05)] and then softmax,
 * behind RepetitionPenaltyLogitsProcessor(1.3) over the context {3, 0, 3, 7}. */
static const float logits[V] = {2.0f, -1.0f, 0.5f, 3.1f, 0.0f, 1.7f, -2.5f, -0.4f, 2.9f, 0.9f, 1.1f, -0.7f, 0.3f, 2.2f, -3.0f, 1.0f};

static void probabilities(double *out, const struct sampler_options *o, const float *from) {
    struct sampler s;
    size_t count;
    double total;
    assert_int_equal(sampler_init(&s, o, V), ST_OK);
    assert_int_equal(sampler_filter(&s, &count, &total, from), ST_OK);
    for (size_t i = 0; i < V; i++) out[i] = 0;
    for (size_t i = 0; i < count; i++) out[s.items[i].id] = (double)s.items[i].weight / total;
    sampler_release(&s);
}

/* The same by sorting everything. */
static int falling(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? 1 : x > y ? -1 : 0;
}
static void twin(double *out, const struct sampler_options *o, const float *from) {
    double p[V], sorted[V], total = 0;
    for (size_t i = 0; i < V; i++) p[i] = exp((double)from[i] / o->temperature);
    memcpy(sorted, p, sizeof p);
    qsort(sorted, V, sizeof *sorted, falling);
    if (o->top_k > 0 && o->top_k < V)
        for (size_t i = 0; i < V; i++) p[i] = p[i] < sorted[o->top_k - 1] ? 0 : p[i];
    for (size_t i = 0; i < V; i++) total += p[i];
    for (size_t i = 0; i < V && o->top_p < 1; i++) {
        double above = 0;
        for (size_t j = 0; j < V; j++) above += exp((double)from[j] / o->temperature) > exp((double)from[i] / o->temperature) ? p[j] : 0;
        out[i] = above < o->top_p * total ? p[i] : 0;
    }
    if (o->top_p < 1) memcpy(p, out, sizeof p);
    total = 0;
    for (size_t i = 0; i < V; i++) p[i] = p[i] < o->min_p * sorted[0] ? 0 : p[i], total += p[i];
    for (size_t i = 0; i < V; i++) out[i] = p[i] / total;
}

static void test_filters(void **state) {
    (void)state;
    const double temperatures[] = {0.3, 1.0, 2.5}, top_p[] = {1.0, 0.95, 0.5, 0.01}, min_p[] = {0, 0.02, 0.5, 1.0};
    const int64_t top_k[] = {0, 1, 5, V, 1000};
    for (size_t a = 0; a < 3; a++)
        for (size_t b = 0; b < 4; b++)
            for (size_t c = 0; c < 4; c++)
                for (size_t d = 0; d < 5; d++) {
                    struct sampler_options o = sampler_options_default();
                    double got[V], want[V];
                    o.temperature = temperatures[a], o.top_p = top_p[b], o.min_p = min_p[c], o.top_k = top_k[d];
                    probabilities(got, &o, logits);
                    twin(want, &o, logits);
                    for (size_t i = 0; i < V; i++) assert_true(fabs(got[i] - want[i]) < 1e-6);
                }
}

/* Equal scores: top-k keeps all that equal the k-th, as transformers does; top-p takes the lower id first. */
static void test_ties(void **state) {
    (void)state;
    const float flat[V] = {1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0};
    struct sampler_options o = sampler_options_default();
    double p[V];
    o.top_k = 3;
    probabilities(p, &o, flat);
    for (size_t i = 0; i < V; i++) assert_true(fabs(p[i] - (flat[i] > 0 ? 0.125 : 0)) < 1e-7);
    o.top_k = 0, o.top_p = 0.05;
    probabilities(p, &o, flat);
    assert_true(p[0] > 0.99);
}

static void test_transformers(void **state) {
    (void)state;
    static const double want[V] = {0.0743367878, 0, 0,           0.214068972, 0, 0.0909699317, 0, 0,
                                   0.407698949,  0, 0.042971153, 0,           0, 0.169954207,  0, 0};
    const int32_t context[] = {3, 0, 3, 7};
    struct sampler_options o = {.temperature = 0.8, .top_p = 0.9, .min_p = 0.05, .repetition_penalty = 1.3, .top_k = 10, .seed = 1};
    struct sampler s;
    float x[V];
    int32_t id;
    size_t count;
    double total, p[V] = {0};
    memcpy(x, logits, sizeof x);
    assert_int_equal(sampler_init(&s, &o, V), ST_OK);
    assert_int_equal(sampler_pick(&id, &s, x, context, 4, (struct sampler_key){0, 0, 0}), ST_OK);
    assert_int_equal(sampler_filter(&s, &count, &total, x), ST_OK); /* x holds the penalised logits now */
    for (size_t i = 0; i < count; i++) p[s.items[i].id] = (double)s.items[i].weight / total;
    for (size_t i = 0; i < V; i++) assert_true(fabs(p[i] - want[i]) < 1e-6);
    for (size_t i = 0; i < V; i++) assert_int_equal(s.seen[i], 0);
    sampler_release(&s);
}

/* 40000 draws: chi-squared against the filtered distribution. */
static void test_distribution(void **state) {
    (void)state;
    struct sampler_options o = {.temperature = 1.2, .top_p = 0.97, .repetition_penalty = 1, .seed = 11};
    struct sampler s;
    double p[V], chi = 0;
    int counts[V] = {0}, draws = 40000, cells = 0;
    probabilities(p, &o, logits);
    assert_int_equal(sampler_init(&s, &o, V), ST_OK);
    for (int i = 0; i < draws; i++) {
        float x[V];
        int32_t id;
        memcpy(x, logits, sizeof x);
        assert_int_equal(
            sampler_pick(&id, &s, x, NULL, 0, (struct sampler_key){(uint64_t)i / 100, (uint64_t)i % 10, (uint64_t)i / 10 % 10}), ST_OK);
        counts[id]++;
    }
    for (size_t i = 0; i < V; i++) {
        if (p[i] == 0) assert_int_equal(counts[i], 0);
        if (p[i] == 0) continue;
        chi += (counts[i] - draws * p[i]) * (counts[i] - draws * p[i]) / (draws * p[i]);
        cells++;
    }
    assert_true(cells > 8);
    assert_true(chi < 40); /* the 99.9 % point for 15 degrees of freedom is 37.7 */
    sampler_release(&s);
}

static void test_keys(void **state) {
    (void)state;
    struct sampler_options o = sampler_options_default();
    struct sampler s;
    int32_t first[64], again;
    int differ = 0;
    o.seed = 5;
    assert_int_equal(sampler_init(&s, &o, V), ST_OK);
    for (uint64_t i = 0; i < 64; i++) {
        float x[V];
        memcpy(x, logits, sizeof x);
        assert_int_equal(sampler_pick(&first[i], &s, x, NULL, 0, (struct sampler_key){i % 4, i / 4 % 4, i / 16}), ST_OK);
        differ += i && first[i] != first[i - 1];
    }
    assert_true(differ > 20);
    for (uint64_t i = 64; i-- > 0;) { /* the other way round */
        float x[V];
        memcpy(x, logits, sizeof x);
        assert_int_equal(sampler_pick(&again, &s, x, NULL, 0, (struct sampler_key){i % 4, i / 4 % 4, i / 16}), ST_OK);
        assert_int_equal(again, first[i]);
    }
    sampler_release(&s);
}

static void test_greedy_and_broken(void **state) {
    (void)state;
    struct sampler_options o = sampler_options_default();
    struct sampler s;
    int32_t id;
    float x[V] = {0, 5, 2, 5}, nan[V] = {0, NAN, 1}, inf[V] = {0, INFINITY};
    o.temperature = 0;
    assert_int_equal(sampler_init(&s, &o, V), ST_OK);
    assert_int_equal(sampler_pick(&id, &s, x, NULL, 0, (struct sampler_key){0, 0, 0}), ST_OK);
    assert_int_equal(id, 1);
    assert_int_equal(sampler_pick(&id, &s, inf, NULL, 0, (struct sampler_key){0, 0, 0}), ST_FORMAT);
    sampler_release(&s);
    o.temperature = 1;
    assert_int_equal(sampler_init(&s, &o, V), ST_OK);
    assert_int_equal(sampler_pick(&id, &s, nan, NULL, 0, (struct sampler_key){0, 0, 0}), ST_FORMAT);
    assert_int_equal(sampler_pick(&id, &s, inf, NULL, 0, (struct sampler_key){0, 0, 0}), ST_FORMAT);
    sampler_release(&s);
    o.temperature = 1e-9;
    assert_int_equal(sampler_init(&s, &o, V), ST_USAGE);
    o.temperature = 1, o.top_p = 0;
    assert_int_equal(sampler_init(&s, &o, V), ST_USAGE);
}

/* Without filters the draw is found block by block: the id at which the weights, added up one by one, pass it. */
static void test_unfiltered(void **state) {
    (void)state;
    enum { MANY = 5003 };
    static float from[MANY], x[MANY];
    const struct sampler_options o = {.temperature = 0.8, .top_p = 1, .repetition_penalty = 1, .seed = 3};
    struct sampler s;
    struct rng g = rng_seeded(8);
    assert_int_equal(sampler_init(&s, &o, MANY), ST_OK);
    for (size_t i = 0; i < MANY; i++) from[i] = i % 7 == 3 ? -INFINITY : (float)(2 * rng_normal(&g));
    for (uint64_t draw = 0; draw < 3000; draw++) {
        size_t count, i = 0;
        double total, sum = 0;
        int32_t id;
        assert_int_equal(sampler_filter(&s, &count, &total, from), ST_OK);
        struct rng r = rng_at(o.seed, draw, 1, 2);
        const double at = rng_uniform(&r) * total;
        for (; i + 1 < count && (sum += (double)s.items[i].weight) <= at; i++) continue;
        memcpy(x, from, sizeof x);
        assert_int_equal(sampler_pick(&id, &s, x, NULL, 0, (struct sampler_key){draw, 1, 2}), ST_OK);
        assert_int_equal(id, s.items[i].id);
    }
    sampler_release(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_filters),      cmocka_unit_test(test_ties), cmocka_unit_test(test_transformers),
        cmocka_unit_test(test_distribution), cmocka_unit_test(test_keys), cmocka_unit_test(test_greedy_and_broken),
        cmocka_unit_test(test_unfiltered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
