/* Goal curves and the midpoint test against figures worked out pair by pair (tests/oracle/make_goal_curve.py), rank statistics and the
 * bootstrap of any figure against the definitions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/rng.h"
#include "eval/goal_curve.h"
#include "eval/midpoint.h"
#include "num/stats.h"

#define FOLDER TEST_SOURCE_DIR "/golden/goal_curve/"
static const struct bootstrap_params params = {400, 0.95, 1};

static struct buf text; /* of expected.json */
static struct json expected;

static int load_expected(void **state) {
    (void)state;
    return file_read(&text, FOLDER "expected.json") == ST_OK && json_parse(&expected, buf_text(&text), text.size) == ST_OK ? 0 : -1;
}
static int drop_expected(void **state) {
    (void)state;
    buf_release(&text);
    return 0;
}

static void same(const char *what, const struct estimate *e, struct json want) {
    double value;
    if (json_kind_of(want) == JSON_NULL) {
        if (e->n) fail_msg("%s: %g, want none", what, e->value);
        return;
    }
    if (!json_double(&value, want)) fail_msg("%s is not among the expected figures", what);
    if (!e->n || fabs(e->value - value) > 1e-12) fail_msg("%s: %.17g, want %.17g", what, e->value, value);
    assert_true(e->low <= e->value + 1e-12 && e->value <= e->high + 1e-12);
}

/* Every expected figure is looked at; what there is beside them fails too. */
static void compare(const char *run, const char *printed, struct json want) {
    struct json got, key, goal, figure, value;
    assert_int_equal(json_parse(&got, printed, strlen(printed)), ST_OK);
    struct json_iter goals = json_iter_begin(want);
    assert_int_equal(json_count(got), json_count(want));
    while (json_iter_next(&goals, &key, &goal)) {
        char *name = json_text(key);
        struct json_iter figures = json_iter_begin(goal);
        struct json own = json_get(got, name);
        assert_int_equal(json_count(own), json_count(goal));
        while (json_iter_next(&figures, &figure, &value)) {
            char *what = json_text(figure), label[128];
            struct json e = json_get(own, what);
            struct estimate estimate = {0};
            snprintf(label, sizeof label, "%s %s %s", run, name, what);
            if (json_kind_of(e) == JSON_OBJECT) {
                int64_t n;
                assert_true(json_double(&estimate.value, json_get(e, "value")) && json_double(&estimate.low, json_get(e, "low")) &&
                            json_double(&estimate.high, json_get(e, "high")) && json_int(&n, json_get(e, "n")));
                estimate.n = (size_t)n;
            }
            same(label, &estimate, value);
            free(what);
        }
        free(name);
    }
}

static void put_span(struct buf *out, struct json value) {
    buf_clear(out);
    buf_append(out, value.text, value.size);
}

static void curves_by_definition(void **state) {
    static const char *const names[] = {"obeys", "deaf", "plain"};
    struct goal_samples runs[3];
    struct buf json = {0}, table = {0}, part = {0};
    struct json root, key, run;
    (void)state;
    for (int i = 0; i < 3; i++) {
        char path[256];
        snprintf(path, sizeof path, FOLDER "%s.jsonl", names[i]);
        if (goal_samples_load(&runs[i], names[i], path, NULL) != ST_OK) fail_msg("%s", status_message());
    }
    const struct eval_input in = {.samples = runs, .run_count = 3, .above = 7, .bootstrap = params};
    assert_int_equal(goal_curve_run(&json, &table, &in), ST_OK);
    assert_int_equal(json_parse(&root, buf_text(&json), json.size - 1), ST_OK);
    struct json_iter it = json_iter_begin(json_get(root, "runs"));
    for (int i = 0; json_iter_next(&it, &key, &run); i++) {
        struct json want = json_get(json_get(expected, "curves"), names[i]);
        put_span(&part, json_get(run, "curve"));
        compare(names[i], buf_text(&part), json_get(want, "curve"));
        struct json all = json_get(json_get(run, "overall"), "all");
        struct json_iter figures = json_iter_begin(json_get(want, "overall"));
        struct json figure, value;
        while (json_iter_next(&figures, &figure, &value)) {
            char *what = json_text(figure);
            struct estimate e = {0};
            if (json_double(&e.value, json_get(json_get(all, what), "value"))) e.n = 1, e.low = e.high = e.value;
            same(what, &e, value);
            free(what);
        }
    }
    assert_true(goal_curve_best(&runs[0]) == 10);
    assert_true(isnan(goal_curve_best(&runs[2])));
    for (int i = 0; i < 3; i++) goal_samples_release(&runs[i]);
    buf_release(&json);
    buf_release(&table);
    buf_release(&part);
}

static void differences_by_definition(void **state) {
    struct goal_samples runs[2];
    struct buf json = {0}, table = {0};
    struct json root, key, difference;
    (void)state;
    assert_int_equal(goal_samples_load(&runs[0], "obeys", FOLDER "obeys.jsonl", NULL), ST_OK);
    assert_int_equal(goal_samples_load(&runs[1], "deaf", FOLDER "deaf.jsonl", NULL), ST_OK);
    const struct eval_input in = {.samples = runs, .run_count = 2, .above = 7, .bootstrap = params};
    assert_int_equal(goal_curve_run(&json, &table, &in), ST_OK);
    assert_int_equal(json_parse(&root, buf_text(&json), json.size - 1), ST_OK);
    struct json_iter it = json_iter_begin(json_get(root, "differences"));
    assert_true(json_iter_next(&it, &key, &difference));
    for (int part = 0; part < 2; part++) {
        const char *group = part ? "overall" : "curve";
        struct json_iter figures = json_iter_begin(json_get(json_get(expected, "deaf_minus_obeys"), group));
        struct json figure, value;
        while (json_iter_next(&figures, &figure, &value)) {
            char *what = json_text(figure);
            struct json e = json_get(json_get(difference, group), what);
            struct estimate estimate = {.n = 1};
            assert_true(json_double(&estimate.value, json_get(e, "value")) && json_double(&estimate.low, json_get(e, "low")) &&
                        json_double(&estimate.high, json_get(e, "high")));
            same(what, &estimate, value);
            free(what);
        }
    }
    for (int i = 0; i < 2; i++) goal_samples_release(&runs[i]);
    buf_release(&json);
    buf_release(&table);
}

static void midpoints_of(const char *files, const char *group, const struct logps_sweep *sweep, size_t pairs, size_t left_out) {
    static const char *const names[] = {"turns", "still"}, *const figures[] = {"sign", "crossed", "distance", "correlation"};
    struct logps_rows base;
    struct midpoint m[2];
    char path[256];
    snprintf(path, sizeof path, FOLDER "%s_base.jsonl", files);
    if (logps_rows_load(&base, "base", path, sweep) != ST_OK) fail_msg("%s", status_message());
    for (int i = 0; i < 2; i++) {
        struct logps_rows rows;
        snprintf(path, sizeof path, FOLDER "%s_%s.jsonl", files, names[i]);
        assert_int_equal(logps_rows_load(&rows, names[i], path, sweep), ST_OK);
        assert_int_equal(logps_rows_join(&rows, &base), ST_OK);
        assert_int_equal(midpoint_init(&m[i], &rows), ST_OK);
        assert_int_equal(m[i].count, pairs);
        assert_int_equal(m[i].left_out, left_out);
        for (int kind = 0; kind < GOAL_KINDS; kind++)
            for (int f = 0; f < MIDPOINT_FIGURES; f++) {
                struct estimate e;
                assert_int_equal(midpoint_estimate(&e, &m[i], &params, (enum goal_kind)kind, (enum midpoint_figure)f), ST_OK);
                assert_true(e.clusters >= 4 && e.low < e.high); /* distance: of the pairs that turn */
                same(figures[f], &e, json_get(json_get(json_get(json_get(expected, group), names[i]), goal_kind_names[kind]), figures[f]));
            }
        logps_rows_release(&rows);
    }
    struct estimate a, b, d;
    midpoint_estimate(&a, &m[0], &params, GOAL_RAW, MIDPOINT_CORRELATION);
    midpoint_estimate(&b, &m[1], &params, GOAL_RAW, MIDPOINT_CORRELATION);
    assert_int_equal(midpoint_difference(&d, &m[1], &m[0], &params, GOAL_RAW, MIDPOINT_CORRELATION), ST_OK);
    assert_true(fabs(d.value - (b.value - a.value)) < 1e-12 && d.low < d.value && d.value < d.high);
    midpoint_release(&m[0]);
    midpoint_release(&m[1]);
    logps_rows_release(&base);
}

static void midpoints_by_definition(void **state) {
    (void)state;
    midpoints_of("sweep", "midpoint", &(struct logps_sweep){0}, 30, 0);
}

/* Along one of two attributes, under two goals of the other, which move the midpoint. */
static void midpoints_along_an_attribute(void **state) {
    struct goal_style scales = {.attributes = {{(char *)(uintptr_t)"long", 1, 10}, {(char *)(uintptr_t)"help", 0, 4}},
                                .attribute_count = 2};
    (void)state;
    midpoints_of("along", "midpoint_along", &(struct logps_sweep){"help", &scales}, 26, 2);
}

static void crossings(void **state) {
    const double g[] = {1, 2, 3, 4};
    (void)state;
    assert_true(midpoint_crossing(g, (double[]){-1, -1, 1, 1}, 4) == 2.5);
    assert_true(midpoint_crossing(g, (double[]){-3, -1, 3, 1}, 4) == 2.25);
    assert_true(midpoint_crossing(g, (double[]){1, 1, 1, 1}, 4) == -(double)INFINITY);
    assert_true(midpoint_crossing(g, (double[]){-1, -1, -1, -1}, 4) == (double)INFINITY);
    assert_true(midpoint_crossing(g, (double[]){-5, 1, -2, 4}, 4) == 3 + 2.0 / 6); /* 1 between costs less than -2 */
    assert_true(midpoint_crossing(g, (double[]){-5, 0, 0, 4}, 4) == 1.5);          /* of equal cuts the first; no straight line through 0 */
    assert_true(isnan(midpoint_crossing(g, (double[]){-1, (double)NAN, 1, 1}, 4)));
}

/* tau-b pair by pair. */
static double slow_tau(const double *x, const double *y, size_t n) {
    double sum = 0, in_x = 0, in_y = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++) {
            const double a = (x[i] > x[j]) - (x[i] < x[j]), b = (y[i] > y[j]) - (y[i] < y[j]);
            sum += a * b;
            in_x += a * a;
            in_y += b * b;
        }
    return sum / sqrt(in_x * in_y);
}

static void tau_of_any_size(void **state) {
    double x[200], y[200], tau;
    (void)state;
    for (size_t n = 2; n <= 200; n += n < 20 ? 1 : 37) {
        struct rng r = rng_seeded(n);
        for (size_t i = 0; i < n; i++) x[i] = (double)rng_below(&r, 2 + n / 3), y[i] = (double)rng_below(&r, 2 + n / 5) + x[i] / 4;
        assert_int_equal(stats_tau_b(&tau, x, y, n), ST_OK);
        const double want = slow_tau(x, y, n);
        if (isnan(want) ? !isnan(tau) : !(fabs(tau - want) < 1e-12)) fail_msg("n %zu: %.17g, want %.17g", n, tau, want);
    }
    assert_int_equal(stats_tau_b(&tau, x, (double[3]){4, 4, 4}, 3), ST_OK);
    assert_true(isnan(tau));
    assert_int_equal(stats_tau_b(&tau, x, y, 1), ST_OK);
    assert_true(isnan(tau));
}

/* An item counted twice is two items. */
static void spearman_with_weights(void **state) {
    const double x[] = {3, 1, 4, 1, 5}, y[] = {2, 7, 1, 8, 2}, x2[] = {3, 3, 1, 4, 1, 1, 1, 5}, y2[] = {2, 2, 7, 1, 8, 8, 8, 2};
    const uint32_t weight[] = {2, 1, 1, 3, 1}, once[] = {1, 1, 1, 1, 1, 1, 1, 1};
    size_t a[8], b[8], c[8], d[8];
    double scratch[16];
    (void)state;
    assert_true(stats_order(a, x, 5) == ST_OK && stats_order(b, y, 5) == ST_OK && stats_order(c, x2, 8) == ST_OK &&
                stats_order(d, y2, 8) == ST_OK);
    const double rho = stats_spearman(x, y, weight, a, b, 5, scratch), want = stats_spearman(x2, y2, once, c, d, 8, scratch);
    assert_true(fabs(rho - want) < 1e-14);
}

struct numbers {
    const double *values;
    size_t n;
};
static double weighted_mean(const void *context, const uint32_t *weight) {
    const struct numbers *v = context;
    double sum = 0, count = 0;
    for (size_t i = 0; i < v->n; i++) sum += weight[i] * v->values[i], count += weight[i];
    return sum / count;
}

static void any_figure_as_the_mean(void **state) {
    double values[40];
    uint64_t cluster[40];
    struct rng r = rng_seeded(3);
    struct estimate a, b;
    (void)state;
    for (size_t i = 0; i < 40; i++) values[i] = rng_normal(&r), cluster[i] = i;
    assert_int_equal(bootstrap_mean(&a, &params, values, cluster, 40), ST_OK);
    assert_int_equal(bootstrap_statistic(&b, &params, weighted_mean, &(struct numbers){values, 40}, 40, 40), ST_OK);
    assert_true(fabs(a.value - b.value) < 1e-14 && fabs(a.low - b.low) < 1e-14 && fabs(a.high - b.high) < 1e-14);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(curves_by_definition),
        cmocka_unit_test(differences_by_definition),
        cmocka_unit_test(midpoints_by_definition),
        cmocka_unit_test(midpoints_along_an_attribute),
        cmocka_unit_test(crossings),
        cmocka_unit_test(tau_of_any_size),
        cmocka_unit_test(spearman_with_weights),
        cmocka_unit_test(any_figure_as_the_mean),
    };
    return cmocka_run_group_tests(tests, load_expected, drop_expected);
}
