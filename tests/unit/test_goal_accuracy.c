/* Goal accuracy and the unlearning probe on pairs small enough to work out by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "eval/goal_accuracy.h"
#include "eval/unlearning.h"

static const struct bootstrap_params params = {500, 0.95, 1};

static void add(struct logps_rows *r, const char *text) {
    struct json object;
    struct logps_row row;
    assert_int_equal(json_parse(&object, text, strlen(text)), ST_OK);
    if (logps_row_read(&row, r, object, r->count) != ST_OK) fail_msg("%s", status_message());
    assert_int_equal(logps_rows_add(r, &row), ST_OK);
}

/* Source 0: scores 8, 3 (straddling, gap 5). m(8) = (-10+12) - (-20+19) = 3 > 0; m(3) = (-15+12) - (-16+19) = -6 < 0: all right.
 * D(8) = 10, D(3) = -15+16 = 1: raw chosen right, raw rejected wrong, raw flip right.
 * Source 1: scores 9, 8.5 (both high, gap .5). m(9) = 0: a tie; m(8.5) = 2 > 0: wrong. D(9) = -5, D(8.5) = -3. */
static void fill(struct logps_rows *r, bool scores_follow) {
    add(r, "{\"source_row\":0,\"goal\":8,\"goal_of\":\"chosen\",\"score_chosen\":8,\"score_rejected\":3,\"prompt\":[{\"role\":\"system\","
           "\"content\":\"g 8.\"},{\"role\":\"user\",\"content\":\"q\"}],"
           "\"chosen\":\"W\",\"rejected\":\"L\",\"logps_chosen\":-10,\"logps_rejected\":-20,\"tokens_chosen\":10,\"tokens_rejected\":4,"
           "\"ref_logps_chosen\":-12,\"ref_logps_rejected\":-19}");
    add(r, scores_follow ? "{\"source_row\":0,\"goal\":3,\"goal_of\":\"rejected\",\"score_chosen\":3,\"score_rejected\":8,\"prompt\":[{"
                           "\"role\":\"system\",\"content\":\"g 3.\"},{\"role\":\"user\",\"content\":\"q\"}],"
                           "\"chosen\":\"L\",\"rejected\":\"W\",\"logps_chosen\":-16,\"logps_rejected\":-15,\"tokens_chosen\":4,\"tokens_"
                           "rejected\":10,\"ref_logps_chosen\":-19,\"ref_logps_rejected\":-12}"
                         : "{\"source_row\":0,\"goal\":3,\"goal_of\":\"rejected\",\"score_chosen\":8,\"score_rejected\":3,\"prompt\":[{"
                           "\"role\":\"user\",\"content\":\"q\"}],"
                           "\"chosen\":\"L\",\"rejected\":\"W\",\"logps_chosen\":-16,\"logps_rejected\":-15,\"tokens_chosen\":4,\"tokens_"
                           "rejected\":10,\"ref_logps_chosen\":-19,\"ref_logps_rejected\":-12}");
    add(r, "{\"source_row\":1,\"goal\":8.5,\"goal_of\":\"rejected\",\"score_chosen\":8.5,\"score_rejected\":9,\"prompt\":\"score: "
           "8.5.\",\"logps_chosen\":-9,\"logps_rejected\":-12,"
           "\"tokens_chosen\":3,\"tokens_rejected\":6,\"ref_logps_chosen\":-7,\"ref_logps_rejected\":-12}");
    add(r, "{\"source_row\":1,\"goal\":9,\"goal_of\":\"chosen\",\"score_chosen\":9,\"score_rejected\":8.5,\"prompt\":\"score: "
           "9.\",\"logps_chosen\":-13,\"logps_rejected\":-8,"
           "\"tokens_chosen\":6,\"tokens_rejected\":3,\"ref_logps_chosen\":-13,\"ref_logps_rejected\":-8}");
    if (logps_rows_finish(r) != ST_OK) fail_msg("%s", status_message());
}

static void expect(const struct goal_accuracy *g, enum goal_stratum s, enum goal_kind k, enum goal_figure f, double want, size_t n) {
    struct estimate e;
    assert_int_equal(goal_accuracy_estimate(&e, g, &params, s, k, f, 5.5), ST_OK);
    assert_int_equal(e.n, n);
    if (n && fabs(e.value - want) > 1e-12) fail_msg("stratum %d kind %d figure %d: %g, want %g", s, k, f, e.value, want);
    if (n) assert_true(e.low <= e.value && e.value <= e.high);
}

static void figures_by_hand(void **state) {
    (void)state;
    for (int follow = 0; follow < 2; follow++) {
        struct logps_rows r = {0};
        fill(&r, follow);
        struct goal_accuracy g;
        assert_int_equal(goal_accuracy_init(&g, &r), ST_OK);
        assert_int_equal(g.count, 2);
        assert_true(g.pairs[0].score[0] == 8 && g.pairs[0].score[1] == 3 && g.pairs[1].score[0] == 9 && g.pairs[1].score[1] == 8.5);
        expect(&g, STRATUM_ALL, GOAL_IMPLICIT, GOAL_CHOSEN, 0.75, 2);  /* 1, 1/2 */
        expect(&g, STRATUM_ALL, GOAL_IMPLICIT, GOAL_REJECTED, 0.5, 2); /* 1, 0 */
        expect(&g, STRATUM_ALL, GOAL_IMPLICIT, GOAL_BOTH, 0.625, 2);
        expect(&g, STRATUM_ALL, GOAL_IMPLICIT, GOAL_STRICT, 0.5, 2); /* 1, 0 */
        expect(&g, STRATUM_ALL, GOAL_IMPLICIT, GOAL_FLIP, 0.5, 2);   /* 3 > -6, 0 < 2 */
        expect(&g, STRATUM_ALL, GOAL_RAW, GOAL_CHOSEN, 0.5, 2);
        expect(&g, STRATUM_ALL, GOAL_RAW, GOAL_REJECTED, 0.5, 2); /* 1 > 0 wrong, -3 < 0 right */
        expect(&g, STRATUM_ALL, GOAL_RAW, GOAL_STRICT, 0, 2);
        expect(&g, STRATUM_ALL, GOAL_RAW, GOAL_FLIP, 0.5, 2); /* 10 > 1, -5 < -3 */
        /* a token: -1+5 = 4 against -1.5+4 = 2.5; -13/6+8/3 = 0.5 against -2+3 = 1 */
        expect(&g, STRATUM_ALL, GOAL_RAW, GOAL_FLIP_TOKEN, 0.5, 2);
        expect(&g, STRATUM_STRADDLING, GOAL_IMPLICIT, GOAL_BOTH, 1, 1);
        expect(&g, STRATUM_HIGH, GOAL_IMPLICIT, GOAL_BOTH, 0.25, 1);
        expect(&g, STRATUM_LOW, GOAL_IMPLICIT, GOAL_BOTH, 0, 0);
        expect(&g, STRATUM_GAP_SMALL, GOAL_IMPLICIT, GOAL_BOTH, 0.25, 1);
        expect(&g, STRATUM_GAP_LARGE, GOAL_IMPLICIT, GOAL_BOTH, 1, 1);
        struct estimate e;
        assert_int_equal(goal_accuracy_difference(&e, &g, &g, &params, GOAL_IMPLICIT, GOAL_BOTH), ST_OK);
        assert_true(e.value == 0 && e.low == 0 && e.high == 0 && e.n == 2);
        goal_accuracy_release(&g);

        /* own goal: W of 0 moved by 2/10, L of 0 by 3/4, W of 1 by 0, L of 1 by -2/3 */
        const struct unlearning_asked own = {UNLEARNING_OWN, NULL}, none = {UNLEARNING_NONE, NULL};
        assert_int_equal(unlearning_estimate(&e, &r, &params, &own, 0, &unlearning_buckets[0]), ST_OK);
        assert_true(e.n == 2 && fabs(e.value - 0.1) < 1e-12);
        assert_int_equal(unlearning_estimate(&e, &r, &params, &own, 1, &unlearning_buckets[2]), ST_OK); /* below 5: L of 0 */
        assert_true(e.n == 1 && fabs(e.value - 0.75) < 1e-12);
        assert_int_equal(unlearning_estimate(&e, &r, &params, &none, 1, &unlearning_buckets[0]), ST_OK);
        assert_true(e.n == 0 && isnan(e.value));
        logps_rows_release(&r);
    }
}

static void base_has_raw_figures_only(void **state) {
    (void)state;
    struct logps_rows r = {0}, base = {0};
    fill(&r, true);
    fill(&base, true);
    for (size_t i = 0; i < base.count; i++) base.rows[i].ref[0] = base.rows[i].ref[1] = NAN;
    struct goal_accuracy g;
    assert_int_equal(goal_accuracy_init(&g, &base), ST_OK);
    expect(&g, STRATUM_ALL, GOAL_IMPLICIT, GOAL_FLIP, 0, 0);
    expect(&g, STRATUM_ALL, GOAL_RAW, GOAL_FLIP, 0.5, 2);
    goal_accuracy_release(&g);
    base.name = mem_text("reference");
    assert_int_equal(logps_rows_join(&r, &base), ST_OK); /* the policy is its own reference: every implicit margin is a tie */
    assert_int_equal(goal_accuracy_init(&g, &r), ST_OK);
    for (int f = 0; f < GOAL_FIGURES; f++) expect(&g, STRATUM_ALL, GOAL_IMPLICIT, (enum goal_figure)f, 0.5, 2);
    goal_accuracy_release(&g);
    base.rows[0].tokens[0]++;
    assert_int_equal(logps_rows_join(&r, &base), ST_MISMATCH);
    base.count = 1;
    assert_int_equal(logps_rows_join(&r, &base), ST_MISMATCH);
    logps_rows_release(&r);
    logps_rows_release(&base);
}

/* Pairs of one prompt are one cluster whatever their goals, also those that stand in the template's own text. */
static void a_prompt_is_a_cluster(void **state) {
    (void)state;
    static const char *const goals[] = {"10", "1", "8.5", "-3", "6"}, *const asked[] = {"Why?", "How?"};
    struct logps_rows r = {0};
    for (size_t i = 0; i < 10; i++) {
        struct buf row = {0};
        buf_printf(
            &row,
            "{\"prompt\":[{\"role\":\"user\",\"content\":\"%s\\n\\nYou (on a scale of 1-10, where 1 is lowest and 10 is "
            "highest):\\nOverall "
            "score: "
            "%s.\"}],\"goal_of\":\"chosen\",\"source_row\":%zu,\"goal\":%s,\"logps_chosen\":-1,\"logps_rejected\":-2,\"tokens_chosen\":1,"
            "\"tokens_rejected\":1}",
            asked[i / 5], goals[i % 5], i, goals[i % 5]);
        add(&r, buf_text(&row));
        buf_release(&row);
    }
    for (size_t i = 0; i < 10; i++) assert_true((r.rows[i].cluster == r.rows[0].cluster) == (i < 5));
    logps_rows_release(&r);
}

static void halves_must_belong_together(void **state) {
    (void)state;
    struct logps_rows r = {0};
    fill(&r, true);
    assert_true(r.rows[0].cluster == r.rows[1].cluster && r.rows[2].cluster == r.rows[3].cluster && r.rows[0].cluster != r.rows[2].cluster);
    struct logps_row again = r.rows[0];
    assert_int_equal(logps_rows_add(&r, &again), ST_OK);
    assert_int_equal(logps_rows_finish(&r), ST_MISMATCH);
    logps_rows_release(&r);
    struct goal_accuracy g;
    add(&r, "{\"goal_of\":\"chosen\",\"goal\":8,\"logps_chosen\":-1,\"logps_rejected\":-2,\"tokens_chosen\":1,\"tokens_rejected\":1}");
    add(&r, "{\"goal_of\":\"chosen\",\"goal\":8,\"logps_chosen\":-1,\"logps_rejected\":-2,\"tokens_chosen\":1,\"tokens_rejected\":1}");
    assert_int_equal(logps_rows_finish(&r), ST_OK);
    assert_true(r.rows[0].cluster != r.rows[1].cluster); /* no prompt: each its own */
    assert_int_equal(goal_accuracy_init(&g, &r), ST_MISMATCH);
    logps_rows_release(&r);
    assert_int_equal(logps_rows_finish(&r), ST_FORMAT);
}

static void interval_counts_prompts(void **state) {
    (void)state;
    /* 50 prompts of 2 equal rows: the interval must be that of 50 draws, sd sqrt(.25 / 50), not of 100. */
    double values[100];
    uint64_t cluster[100];
    for (size_t i = 0; i < 100; i++) values[i] = (double)(i / 2 % 2), cluster[i] = 1000 - i / 2;
    struct estimate e;
    assert_int_equal(bootstrap_mean(&e, &(struct bootstrap_params){4000, 0.95, 9}, values, cluster, 100), ST_OK);
    assert_true(e.value == 0.5 && e.n == 100 && e.clusters == 50);
    double half = 1.96 * sqrt(0.25 / 50);
    assert_true(fabs(e.high - 0.5 - half) < 0.02 && fabs(0.5 - e.low - half) < 0.02);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_by_hand),         cmocka_unit_test(base_has_raw_figures_only),
        cmocka_unit_test(a_prompt_is_a_cluster),   cmocka_unit_test(halves_must_belong_together),
        cmocka_unit_test(interval_counts_prompts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
