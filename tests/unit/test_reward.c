/* The tables of score sources and rules, and the quantile map. */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "reward/quantiles.h"
#include "reward/reward_rule.h"

static void ok(status s) {
    if (s != ST_OK) fail_msg("%s", status_message());
}

/* Every row says what it is, and is found by its name and by no other's. */
static void tables_are_whole(void **state) {
    (void)state;
    assert_true(reward_count >= 2 && rule_count >= 4);
    for (size_t i = 0; i < reward_count; i++) {
        const struct reward_source *s = &reward_table[i];
        assert_ptr_equal(reward_find(s->name), s);
        assert_true(s->help[0] && s->citation[0] && s->needs[0] && s->options && s->open && s->score && s->release);
        assert_false((s->flags & REWARD_UNIT) && (s->flags & REWARD_RAW));
        assert_false((s->flags & REWARD_MAPPED) && !(s->flags & REWARD_RAW));
    }
    for (size_t i = 0; i < rule_count; i++) {
        assert_ptr_equal(rule_find(rule_table[i].name), &rule_table[i]);
        assert_true(rule_table[i].help[0] && rule_table[i].options);
    }
    assert_null(reward_find("nothing"));
    assert_null(rule_find("nothing"));
}

static void near(double got, double want) {
    if (!(fabs(got - want) <= 1e-12 * fmax(1, fabs(want)))) fail_msg("%.17g, expected %.17g", got, want);
}

/* Worked out by hand. */
static void quantiles_go_by_rank(void **state) {
    (void)state;
    const double values[] = {30, -2, (double)NAN, 0.5, 7, 0.5}; /* in order: -2, 0.5, 0.5, 7, 30 */
    struct quantiles q;
    ok(quantiles_make(&q, values, 6, "x", 1, 10));
    assert_int_equal(q.count, 5);
    assert_int_equal(q.made_of, 5);
    near(quantiles_map(&q, -2), 1);
    near(quantiles_map(&q, -3), 1);
    near(quantiles_map(&q, 0.5), 1 + 9 * 0.375);        /* between the second and the third of five */
    near(quantiles_map(&q, 0.5 + 1e-4), 1 + 9 * 0.375); /* equal */
    assert_true(quantiles_map(&q, 0.5 + 1e-3) > 1 + 9 * 0.5 && quantiles_map(&q, 0.5 - 1e-3) < 1 + 9 * 0.25);
    near(quantiles_map(&q, 7), 7.75);
    near(quantiles_map(&q, 18.5), 8.875); /* half way from 7 to 30 */
    near(quantiles_map(&q, 30), 10);
    near(quantiles_map(&q, 31), 10);
    assert_true(isnan(quantiles_map(&q, (double)NAN)));
    quantiles_release(&q);
    ok(quantiles_make(&q, values, 1, "x", 0, 4));
    near(quantiles_map(&q, 30), 2);
    near(quantiles_map(&q, 29), 0);
    near(quantiles_map(&q, 31), 4);
    quantiles_release(&q);
    assert_int_equal(quantiles_make(&q, values + 2, 1, "x", 1, 10), ST_FORMAT);
}

/* 0 .. 5000 in another order: the quantiles of 1001 evenly spaced places are every fifth, and the map is the straight line. */
static void many_values_are_thinned(void **state) {
    (void)state;
    static double values[5001];
    struct quantiles q;
    for (size_t i = 0; i < 5001; i++) values[i] = (double)(i * 1237 % 5001);
    ok(quantiles_make(&q, values, 5001, "x", 1, 10));
    assert_int_equal(q.count, QUANTILES_MAX);
    near(q.at[1], 5);
    near(q.at[700], 3500);
    near(quantiles_map(&q, 1234.5), 1 + 9 * 1234.5 / 5000);
    quantiles_release(&q);
    ok(quantiles_make(&q, values, 2000, "x", 1, 10)); /* 2000 values: the last quantile is the last value */
    for (size_t i = 1; i < q.count; i++) assert_true(q.at[i - 1] <= q.at[i]);
    quantiles_release(&q);
}

static void maps_are_stored(void **state) {
    (void)state;
    char path[] = "/tmp/rapt_map_XXXXXX";
    const double values[] = {3.25, 1e-3, 8};
    struct quantiles q, r;
    close(mkstemp(path));
    ok(quantiles_make(&q, values, 3, "implicit, \"beta\" 0.1", -1, 4.5));
    ok(quantiles_save(&q, path));
    ok(quantiles_load(&r, path, q.setting));
    assert_true(r.low == q.low && r.high == q.high && r.count == 3 && r.made_of == 3 && memcmp(r.at, q.at, 3 * sizeof *q.at) == 0);
    quantiles_release(&r);
    assert_int_equal(quantiles_load(&r, path, "another"), ST_MISMATCH);
    quantiles_release(&q);
    static const char *const broken[][2] = {
        {"{}", "field source"},
        {"{\"source\": \"x\", \"low\": 2, \"high\": 2, \"made_of\": 1, \"quantiles\": [1]}", "fields low, high"},
        {"{\"source\": \"x\", \"low\": 1, \"high\": 2, \"made_of\": 0, \"quantiles\": [1]}", "field made_of"},
        {"{\"source\": \"x\", \"low\": 1, \"high\": 2, \"made_of\": 1, \"quantiles\": []}", "field quantiles: expected a list"},
        {"{\"source\": \"x\", \"low\": 1, \"high\": 2, \"made_of\": 1, \"quantiles\": [2, 1]}", "field quantiles[1]"},
        {"{\"source\": \"x\", \"low\": 1, \"high\": 2, \"made_of\": 1, \"quantiles\": [2, null]}", "field quantiles[1]"},
        {"{\"source\": ", "byte"}};
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        ok(file_write(path, broken[i][0], strlen(broken[i][0])));
        assert_int_equal(quantiles_load(&r, path, "x"), ST_FORMAT);
        if (!strstr(status_message(), broken[i][1]) || !strstr(status_message(), path)) fail_msg("%s: %s", broken[i][0], status_message());
    }
    remove(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(tables_are_whole), cmocka_unit_test(quantiles_go_by_rank),
                                       cmocka_unit_test(many_values_are_thinned), cmocka_unit_test(maps_are_stored)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
