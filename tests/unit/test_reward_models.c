/* Scores by models against transformers, peft and ArmoRM's description, and the answers of lm-evaluation-harness
 * (tests/oracle/make_scores.py), in packs of all sizes. */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "data/source.h"
#include "score_rows.h"

#define GOLDEN TEST_SOURCE_DIR "/golden/"

static struct json read_json(struct buf *text, const char *path) {
    struct json root;
    ok(file_read(text, path));
    while (text->size && text->data[text->size - 1] == '\n') text->data[--text->size] = '\0';
    ok(json_parse(&root, buf_text(text), text->size));
    return root;
}

static void models_score_as_theirs(void **state) {
    (void)state;
    static const struct {
        const char *key, *source, *model, *adapter, *rows;
        double beta;
        size_t longest;
    } cases[] = {
        {"reward", "reward-model", GOLDEN "reward_tiny", NULL, GOLDEN "score/rows.jsonl", 0, 64},
        {"reward_lora", "reward-model", GOLDEN "reward_tiny", GOLDEN "reward_tiny_lora", GOLDEN "score/rows.jsonl", 0, 64},
        {"multi", "reward-model", GOLDEN "score_multi", NULL, GOLDEN "score/rows.jsonl", 0, 64},
        {"armo", "reward-model", GOLDEN "score_armo", NULL, GOLDEN "score/chat.jsonl", 0, 96},
        {"implicit", "implicit", GOLDEN "llama_tiny", GOLDEN "llama_tiny_lora", GOLDEN "score/rows.jsonl", 1, 64},
        {"implicit", "implicit", GOLDEN "llama_tiny", GOLDEN "llama_tiny_lora", GOLDEN "score/rows.jsonl", 0.25, 64},
    };
    static const size_t budgets[] = {0, 5, 20, 100, 2048}; /* beyond the longest sequence */
    struct buf text = {0};
    const struct json golden = read_json(&text, GOLDEN "score/expected.json");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (size_t b = 0; b < sizeof budgets / sizeof budgets[0]; b++) {
            const struct reward_options o = {.model = cases[i].model,
                                             .adapter = cases[i].adapter,
                                             .kind = MATMUL_F32,
                                             .budget = cases[i].longest + budgets[b],
                                             .beta = cases[i].beta};
            struct reward_values got;
            size_t width, at = 0;
            struct json key, row, number;
            score_all(&got, cases[i].source, &o, cases[i].rows, &width);
            struct json_iter rows = json_iter_begin(json_get(golden, cases[i].key));
            while (json_iter_next(&rows, &key, &row)) {
                struct json_iter numbers = json_iter_begin(row);
                for (size_t k = 0; k < width; k++) {
                    double want;
                    assert_true(json_iter_next(&numbers, &key, &number) && json_double(&want, number));
                    if (cases[i].beta > 0) want *= cases[i].beta;
                    assert_true(at < got.count);
                    if (!(fabs(got.items[at] - want) <= 1e-5 * fmax(1, fabs(want))))
                        fail_msg("%s, %zu positions: number %zu is %.9g, golden %.9g", cases[i].key, o.budget, at, got.items[at], want);
                    at++;
                }
                assert_false(json_iter_next(&numbers, &key, &number));
            }
            assert_int_equal(at, got.count);
            reward_values_release(&got);
        }
    buf_release(&text);
}

static void attributes_are_weighed(void **state) {
    (void)state;
    struct reward_options o = {.model = GOLDEN "score_multi", .kind = MATMUL_F32, .budget = 256};
    struct reward_values got;
    size_t width;
    o.weights[0] = (struct reward_weight){"correct", 2};
    o.weights[1] = (struct reward_weight){"brief", -0.5};
    o.weight_count = 2;
    score_all(&got, "reward-model", &o, GOLDEN "score/rows.jsonl", &width);
    assert_int_equal(width, 4);
    for (size_t i = 0; i < got.count; i += 4) assert_true(fabs(got.items[i] - 2 * got.items[i + 2] + 0.5 * got.items[i + 3]) <= 1e-12);
    reward_values_release(&got);
}

static void answers_are_the_harness_s(void **state) {
    (void)state;
    static const char *const kinds[] = {"flexible", "strict"};
    for (size_t k = 0; k < 2; k++) {
        const struct reward_options o = {.rule = "gsm8k", .extract = kinds[k], .answer_field = "answer"};
        struct reward_values got;
        struct source in;
        struct record record = {0};
        size_t width, n = 0;
        bool end;
        score_all(&got, "rule", &o, GOLDEN "score/answers.jsonl", &width);
        ok(source_open(&in, GOLDEN "score/answers.jsonl", SOURCE_STOP, NULL));
        for (ok(source_next(&in, &record, &end)); !end; ok(source_next(&in, &record, &end))) {
            double want;
            assert_true(json_double(&want, json_get(record.row, kinds[k])) && n < got.count);
            if (got.items[n] != want) fail_msg("%s, line %zu: %g, the harness says %g", kinds[k], n + 1, got.items[n], want);
            n++;
        }
        assert_int_equal(n, got.count);
        assert_true(n > 20);
        source_release(&in);
        record_release(&record);
        reward_values_release(&got);
    }
}

/* A row that cannot be taken leaves nothing behind, whatever is held back. */
static void unusable_rows_leave_nothing(void **state) {
    (void)state;
    static const char lines[] = "{\"prompt\":\"one\",\"responses\":[\"two\",\"three\"]}\n"
                                "{\"prompt\":\"the cat sat on\",\"responses\":[\"a\",\"the mat and ran away from the old house and the "
                                "old dog and the old man\"]}\n"
                                "{\"prompt\":\"one\",\"responses\":[\"two\"]}\n";
    static const char *const sources[] = {"reward-model", "implicit"}, *const models[] = {GOLDEN "reward_tiny", GOLDEN "llama_tiny"},
                             *const adapters[] = {NULL, GOLDEN "llama_tiny_lora"};
    for (size_t i = 0; i < 2; i++) {
        const struct reward_options o = {.model = models[i], .adapter = adapters[i], .kind = MATMUL_F32, .budget = 24, .beta = 1};
        struct reward r;
        struct record record = {0};
        struct reward_values got = {0};
        size_t refused = 0;
        ok(reward_open(&r, reward_find(sources[i]), &o));
        for (const char *at = lines; *at; at = strchr(at, '\n') + 1) {
            struct json row;
            ok(json_parse(&row, at, (size_t)(strchr(at, '\n') - at)));
            ok(source_read_row(&record, row));
            const status s = r.source->score(&r, &got, &record);
            if (s == ST_UNSUPPORTED && strstr(status_message(), "response 2"))
                refused++;
            else
                ok(s);
        }
        ok(r.source->flush(&r, &got));
        assert_int_equal(refused, 1);
        assert_int_equal(got.count, 3);
        assert_true(got.items[0] == got.items[2] && got.items[0] != got.items[1]);
        reward_values_release(&got);
        record_release(&record);
        reward_release(&r);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(models_score_as_theirs), cmocka_unit_test(attributes_are_weighed),
                                       cmocka_unit_test(answers_are_the_harness_s), cmocka_unit_test(unusable_rows_leave_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
