/* Every row of the loss table: gradients against finite differences, goldens of tests/oracle/make_loss_cases.py, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/rng.h"
#include "format/json.h"
#include "loss/loss.h"

#define SEQUENCES_MAX 64

static void gradients_are_the_slopes(void **state) {
    (void)state;
    struct rng rng = rng_seeded(7);
    for (size_t row = 0; row < loss_count; row++) {
        for (int trial = 0; trial < 20; trial++) {
            double policy[SEQUENCES_MAX], reference[SEQUENCES_MAX], scores[SEQUENCES_MAX], d[SEQUENCES_MAX], unused[SEQUENCES_MAX];
            int32_t lengths[SEQUENCES_MAX];
            size_t k = loss_table[row].needs & LOSS_NEEDS_PAIRS ? 2 : 1 + rng_below(&rng, 4), groups = 1 + rng_below(&rng, 8);
            for (size_t i = 0; i < groups * k; i++) {
                policy[i] = -20 - 10 * rng_uniform(&rng);
                reference[i] = policy[i] + 5 * rng_normal(&rng);
                scores[i] = policy[i] + rng_normal(&rng);
                lengths[i] = 1 + (int32_t)rng_below(&rng, 40);
            }
            struct loss_params p = {.beta = 0.05 + rng_uniform(&rng)};
            if (loss_table[row].needs & LOSS_TAKES_SMOOTHING) p.label_smoothing = 0.01 + 0.4 * rng_uniform(&rng);
            if ((loss_table[row].needs & LOSS_TAKES_TAU) && trial % 2) p.discopop_tau = 0.2 + rng_uniform(&rng);
            if (loss_table[row].needs & LOSS_TAKES_MARGINS) p.center_rewards = 0.01 * (trial % 3);
            assert_int_equal(loss_check_params(&loss_table[row], &p), ST_OK);
            struct loss_batch b = {groups, k, policy, reference, lengths, scores, trial % 2 ? scores : NULL};
            struct loss_result r = {0, d}, up = {0, unused}, down = {0, unused};
            assert_int_equal(loss_table[row].compute(&r, &b, &p), ST_OK);
            for (size_t i = 0; i < groups * k; i++) {
                double at = policy[i], h = 1e-5;
                policy[i] = at + h;
                assert_int_equal(loss_table[row].compute(&up, &b, &p), ST_OK);
                policy[i] = at - h;
                assert_int_equal(loss_table[row].compute(&down, &b, &p), ST_OK);
                policy[i] = at;
                double slope = (up.value - down.value) / (2 * h);
                if (fabs(slope - d[i]) > 1e-7 * (1 + fabs(d[i])))
                    fail_msg("%s: d[%zu] is %.12g, slope %.12g", loss_table[row].name, i, d[i], slope);
            }
        }
    }
}

static size_t read_numbers(double *out, struct json array) {
    struct json_iter it = json_iter_begin(array);
    struct json key, value;
    size_t n = 0;
    while (json_iter_next(&it, &key, &value)) {
        assert_true(n < SEQUENCES_MAX);
        assert_true(json_double(&out[n++], value));
    }
    return n;
}

static bool near(double a, double b) { return fabs(a - b) <= 1e-12 * (1 + fabs(b)); }

static void goldens(void **state) {
    (void)state;
    struct buf text = {0};
    assert_int_equal(file_read(&text, TEST_SOURCE_DIR "/golden/loss/cases.json"), ST_OK);
    struct json all, key, c;
    assert_int_equal(json_parse(&all, text.data, text.size), ST_OK);
    bool seen[64] = {false};
    struct json_iter it = json_iter_begin(all);
    while (json_iter_next(&it, &key, &c)) {
        char *name = json_text(json_get(c, "loss"));
        const struct loss_row *row = loss_find(name);
        assert_non_null(row);
        seen[row - loss_table] = true;
        double policy[SEQUENCES_MAX], reference[SEQUENCES_MAX], lengths[SEQUENCES_MAX], want[SEQUENCES_MAX], d[SEQUENCES_MAX], value, k;
        double scores[SEQUENCES_MAX], margins[SEQUENCES_MAX];
        int32_t tokens[SEQUENCES_MAX];
        struct loss_params p = {0};
        assert_true(json_double(&p.beta, json_get(c, "beta")) && json_double(&p.label_smoothing, json_get(c, "label_smoothing")));
        assert_true(json_double(&value, json_get(c, "value")) && json_double(&k, json_get(c, "k")));
        size_t n = read_numbers(policy, json_get(c, "policy"));
        assert_int_equal(n, read_numbers(reference, json_get(c, "reference")));
        assert_int_equal(n, read_numbers(lengths, json_get(c, "lengths")));
        assert_int_equal(n, read_numbers(want, json_get(c, "dpolicy")));
        for (size_t i = 0; i < n; i++) tokens[i] = (int32_t)lengths[i];
        const bool of_rewards = row->needs & LOSS_OF_REWARDS;
        if (of_rewards) {
            assert_int_equal(n, read_numbers(scores, json_get(c, "scores")));
            read_numbers(margins, json_get(c, "margins"));
            assert_true(json_double(&p.center_rewards, json_get(c, "center_rewards")));
        }
        struct loss_batch b = {n / (size_t)k, (size_t)k, policy, reference, tokens, of_rewards ? scores : NULL, of_rewards ? margins : NULL};
        struct loss_result r = {0, d};
        assert_int_equal(row->compute(&r, &b, &p), ST_OK);
        if (!near(r.value, value)) fail_msg("%s: value %.17g, golden %.17g", name, r.value, value);
        for (size_t i = 0; i < n; i++)
            if (!near(d[i], want[i])) fail_msg("%s: d[%zu] %.17g, golden %.17g", name, i, d[i], want[i]);
        free(name);
    }
    for (size_t i = 0; i < loss_count; i++)
        if (!seen[i]) fail_msg("no golden case for loss %s", loss_table[i].name);
    buf_release(&text);
}

static void refusals(void **state) {
    (void)state;
    for (size_t row = 0; row < loss_count; row++) {
        const struct loss_row *l = &loss_table[row];
        const bool smoothing = l->needs & LOSS_TAKES_SMOOTHING;
        assert_true(l->help[0] && l->citation[0] && loss_find(l->name) == l);
        assert_int_equal(loss_check_params(l, &(struct loss_params){.beta = 0.1, .label_smoothing = 0.1}), smoothing ? ST_OK : ST_USAGE);
        assert_int_equal(loss_check_params(l, &(struct loss_params){.beta = 0.1, .label_smoothing = 0.5}), ST_USAGE);
        assert_int_equal(loss_check_params(l, &(struct loss_params){.beta = 0.1, .label_smoothing = NAN}), ST_USAGE);
        if (l->needs & LOSS_NEEDS_BETA) {
            assert_int_equal(loss_check_params(l, &(struct loss_params){.beta = 0}), ST_USAGE);
            assert_int_equal(loss_check_params(l, &(struct loss_params){.beta = INFINITY}), ST_USAGE);
        }
        assert_int_equal(
            loss_check_params(l, &(struct loss_params){.beta = 0.1, .label_smoothing = smoothing ? 0.1 : 0, .discopop_tau = 0.1}),
            l->needs & LOSS_TAKES_TAU ? ST_OK : ST_USAGE);
        assert_int_equal(loss_check_params(l, &(struct loss_params){.beta = 0.1}), l->needs & LOSS_NEEDS_SMOOTHING ? ST_USAGE : ST_OK);
        double policy[2] = {-1, -2}, d[3], broken[2] = {NAN, -1};
        int32_t lengths[2] = {3, 4}, negative[2] = {-1, 4};
        struct loss_params p = {.beta = 0.1, .label_smoothing = smoothing ? 0.1 : 0};
        struct loss_result r = {0, d};
        const double *scores = l->needs & LOSS_NEEDS_SCORES ? policy : NULL;
        assert_int_equal(loss_check_params(l, &(struct loss_params){.beta = 0.1, .label_smoothing = p.label_smoothing, .center_rewards = 0.1}),
                         l->needs & LOSS_TAKES_MARGINS ? ST_OK : ST_USAGE);
        struct loss_batch b = {1, 2, policy, policy, lengths, scores, NULL};
        assert_int_equal(l->compute(&r, &b, &p), ST_OK);
        b.scores = NULL;
        assert_int_equal(l->compute(&r, &b, &p), scores ? ST_MISMATCH : ST_OK);
        b.groups = 0;
        assert_int_equal(l->compute(&r, &b, &p), ST_MISMATCH);
        b = (struct loss_batch){1, 2, broken, policy, lengths, scores, NULL};
        assert_int_equal(l->compute(&r, &b, &p), ST_FORMAT);
        b = (struct loss_batch){1, 2, policy, NULL, lengths, scores, NULL};
        assert_int_equal(l->compute(&r, &b, &p), l->needs & LOSS_NEEDS_REFERENCE ? ST_MISMATCH : ST_OK);
        b = (struct loss_batch){1, 2, policy, policy, NULL, scores, NULL};
        assert_int_equal(l->compute(&r, &b, &p), l->needs & LOSS_NEEDS_LENGTHS ? ST_MISMATCH : ST_OK);
        b = (struct loss_batch){1, 2, policy, policy, negative, scores, NULL};
        assert_int_equal(l->compute(&r, &b, &p), l->needs & LOSS_NEEDS_LENGTHS ? ST_FORMAT : ST_OK);
        b = (struct loss_batch){2, 1, policy, policy, lengths, scores, NULL};
        assert_int_equal(l->compute(&r, &b, &p), l->needs & LOSS_NEEDS_PAIRS ? ST_MISMATCH : ST_OK);
    }
    assert_null(loss_find("nothing"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_are_the_slopes),
        cmocka_unit_test(goldens),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
