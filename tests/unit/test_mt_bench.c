/* MT-Bench beside FastChat's show_result.py on made judgements (tests/oracle/eval_mt_bench.py); where the goal stands in the second turn;
 * files that are none. */
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
#include "eval/mt_answer.h"
#include "eval/mt_bench.h"

#define GOLDEN TEST_SOURCE_DIR "/golden/mt_bench/"

static void ok(status s) {
    if (s != ST_OK) fail_msg("%s", status_message());
}

static const struct mt_model *model_of(const struct mt_bench *b, struct json name) {
    for (size_t i = 0; i < b->model_count; i++)
        if (json_equals(name, b->models[i].name)) return &b->models[i];
    fail_msg("no model %.*s", (int)name.size, name.text);
    return NULL;
}

/* {"turn_1": {MODEL: mean}, ..}: category SIZE_MAX is all. */
static size_t compare_means(const struct mt_bench *b, struct json expected, size_t category) {
    static const char *const names[] = {"turn_1", "turn_2", "average"};
    size_t seen = 0;
    for (int k = 0; k < 3; k++) {
        struct json key, value;
        for (struct json_iter it = json_iter_begin(json_get(expected, names[k])); json_iter_next(&it, &key, &value); seen++) {
            const struct mt_model *m = model_of(b, key);
            const struct mt_cell *cells = category == SIZE_MAX ? m->turn : m->category + category * MT_TURNS;
            const struct mt_cell all = {cells[0].sum + cells[1].sum, cells[0].count + cells[1].count};
            double mean;
            assert_true(json_double(&mean, value));
            assert_true(fabs(mt_mean(k == 2 ? &all : &cells[k]) - mean) < 1e-12);
        }
    }
    return seen;
}

static const struct bootstrap_params params = {2000, 0.95, 0};

static void compare_pairs(struct json expected, const char *baseline) {
    struct mt_bench b = {.baseline = baseline ? mem_text(baseline) : NULL};
    struct buf json = {0}, text = {0};
    struct json key, value, shown, model;
    size_t seen = 0;
    ok(mt_load_judgements(&b, GOLDEN "pair.jsonl"));
    ok(mt_put(&json, &text, &b, &params));
    ok(json_parse(&shown, json.data, json.size - 1));
    for (struct json_iter it = json_iter_begin(json_get(shown, "models")); json_iter_next(&it, &key, &model); seen++) {
        char *name = json_text(json_get(model, "model"));
        const struct json theirs = json_get(expected, name);
        assert_int_equal(json_count(theirs), 6);
        for (struct json_iter of = json_iter_begin(theirs); json_iter_next(&of, &key, &value);) {
            double mine, yours;
            char *field = json_text(key);
            assert_true(json_double(&yours, value) && json_double(&mine, json_get(json_get(model, "pairwise"), field)));
            assert_true(fabs(mine - yours) < 1e-12);
            free(field);
        }
        free(name);
    }
    assert_int_equal(seen, json_count(expected));
    buf_release(&json);
    buf_release(&text);
    mt_release(&b);
}

static void as_fastchat(void **state) {
    (void)state;
    struct buf text = {0};
    struct json root, key, value;
    struct mt_bench b = {0};
    ok(file_read(&text, GOLDEN "expected.json"));
    ok(json_parse(&root, text.data, text.size - 1));
    ok(mt_load_questions(&b, GOLDEN "question.jsonl"));
    ok(mt_load_judgements(&b, GOLDEN "single.jsonl"));
    assert_int_equal(compare_means(&b, json_get(root, "single"), SIZE_MAX), 6);
    assert_int_equal(b.category_count, 4);
    for (struct json_iter it = json_iter_begin(json_get(root, "categories")); json_iter_next(&it, &key, &value);) {
        size_t c = 0;
        while (c < b.category_count && !json_equals(key, b.categories[c])) c++;
        assert_true(c < b.category_count && compare_means(&b, value, c) >= 3);
    }
    mt_release(&b);
    compare_pairs(json_get(root, "pairs"), NULL);
    compare_pairs(json_get(root, "pairs_two"), "two");
    for (struct json_iter it = json_iter_begin(json_get(root, "grades")); json_iter_next(&it, &key, &value);) {
        struct json judgement, grade;
        struct json_iter of = json_iter_begin(value);
        double expected;
        assert_true(json_iter_next(&of, &key, &judgement) && json_iter_next(&of, &key, &grade) && json_double(&expected, grade));
        char *said = json_text(judgement);
        if (fabs(mt_grade(said, strlen(said)) - expected) > 1e-12)
            fail_msg("'%s': %g, FastChat %g", said, mt_grade(said, strlen(said)), expected);
        free(said);
    }
    buf_release(&text);
}

/* Both turns of a question are drawn together: where they always sum to 10 their mean is sure, however far the turns are apart. The
 * intervals of the turns are about those of the normal distribution. */
static void intervals_are_over_questions(void **state) {
    (void)state;
    struct mt_bench b = {0};
    struct estimate e[3];
    double squares = 0;
    for (int i = 0; i < 100; i++) {
        const int grades[2] = {i % 9 + 1, 9 - i % 9};
        for (int turn = 0; turn < 2; turn++) {
            char text[96];
            struct json row;
            snprintf(text, sizeof text, "{\"question_id\": %d, \"model\": \"m\", \"turn\": %d, \"score\": %d}", 81 + i, turn + 1,
                     grades[turn]);
            ok(json_parse(&row, text, strlen(text)));
            ok(mt_add(&b, row));
        }
    }
    for (int k = 0; k < 3; k++) ok(mt_estimate(&e[k], &b.models[0], &params, (enum mt_figure)k, SIZE_MAX));
    assert_true(e[0].n == 100 && e[0].clusters == 100 && e[2].n == 200 && e[2].clusters == 100);
    assert_true(e[2].value == 5 && e[2].low == 5 && e[2].high == 5);
    for (int i = 0; i < 100; i++) squares += (i % 9 + 1 - e[0].value) * (i % 9 + 1 - e[0].value);
    const double error = sqrt(squares / 99 / 100);
    assert_true(fabs(e[0].value - mt_mean(&b.models[0].turn[0])) < 1e-12);
    assert_true(fabs(e[0].low - (e[0].value - 1.96 * error)) < 0.2 * error && fabs(e[0].high - (e[0].value + 1.96 * error)) < 0.2 * error);
    mt_release(&b);
}

static size_t times(const char *text, const char *what) {
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, what)); at++) count++;
    return count;
}

/* The goal stands once, in front of everything or in the turn that is asked. */
static void goal_in_the_second_turn(void **state) {
    (void)state;
    static const struct {
        enum goal_placement placement;
        const char *prompt;
    } cases[] = {
        {GOAL_SYSTEM,
         "<|im_start|>system\nAim "
         "7<|im_end|>\n<|im_start|>user\nfirst<|im_end|>\n<|im_start|>assistant\nsaid<|im_end|>\n<|im_start|>user\nsecond<|im_end|>\n"
         "<|im_start|>assistant\n"},
        {GOAL_USER,
         "<|im_start|>user\nAim "
         "7\n\nfirst<|im_end|>\n<|im_start|>assistant\nsaid<|im_end|>\n<|im_start|>user\nsecond<|im_end|>\n<|im_start|>assistant\n"},
        {GOAL_AFTER, "<|im_start|>user\nfirst<|im_end|>\n<|im_start|>assistant\nsaid<|im_end|>\n<|im_start|>user\nsecond\n\nAim "
                     "7<|im_end|>\n<|im_start|>assistant\n"},
    };
    char first[] = "first", second[] = "second", aim[] = "Aim {s}";
    struct encoder encoder;
    ok(encoder_open(&encoder, TEST_SOURCE_DIR "/golden/score_chat"));
    struct mt_asked q = {.turns = {first, second}};
    buf_append_text(&q.answers[0], "said");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct goal_style style = {.text = aim, .placement = cases[i].placement, .low = 1, .high = 10};
        struct buf prompt = {0};
        ok(mt_answer_prompt(&prompt, &(struct mt_asking){.encoder = &encoder, .style = &style, .goal = {1, {7}}}, &q, 1));
        assert_string_equal(buf_text(&prompt), cases[i].prompt);
        assert_int_equal(times(buf_text(&prompt), "Aim 7"), 1);
        buf_release(&prompt);
    }
    buf_release(&q.answers[0]);
    encoder_release(&encoder);
}

static void bad_files(void **state) {
    (void)state;
    static const struct {
        const char *text, *message;
        int kind; /* 0 judgements, 1 questions, 2 questions that are asked */
    } cases[] = {{"3", "expected an object", 0},
                 {"{}", "field question_id: expected a whole number", 0},
                 {"{\"question_id\": 81, \"turn\": 3}", "field turn: expected 1 or 2", 0},
                 {"{\"question_id\": 81, \"turn\": 1}", "field score: expected a number", 0},
                 {"{\"question_id\": 81, \"turn\": 1, \"score\": -2}", "expected -1, or 0 to 100", 0},
                 {"{\"question_id\": 81, \"turn\": 1, \"score\": null, \"judgment\": \"[[7]]\"}", "field score: expected a number", 0},
                 {"{\"question_id\": 81, \"turn\": 1, \"judgment\": \"[[777]]\"}", "a grade of 777", 0},
                 {"{\"question_id\": 81, \"turn\": 1, \"score\": 7}", "field model: expected a string", 0},
                 {"{\"question_id\": 1, \"turn\": 1, \"score\": 7, \"model\": \"m\"}", "question 1 is not among the questions", 0},
                 {"{\"g1_winner\": \"A\"}", "field g1_winner: expected model_1", 0},
                 {"{\"g1_winner\": \"tie\"}", "field g2_winner: expected model_1", 0},
                 {"{\"g1_winner\": \"tie\", \"g2_winner\": \"tie\", \"model_1\": 4}", "field model_1: expected a string", 0},
                 {"{\"g1_winner\": \"tie\", \"g2_winner\": \"tie\", \"model_1\": \"a\", \"model_2\": \"b\"}",
                  "field question_id: expected a whole number", 0},
                 {"{\"question_id\": 81}", "field category: expected a string", 1},
                 {"{\"question_id\": 81, \"category\": \"a\"}\n{\"question_id\": 81, \"category\": \"a\"}", "question 81 stands twice", 1},
                 {"\n", "no questions", 1},
                 {"{\"question_id\": \"81\"}", "field question_id: expected a whole number", 2},
                 {"{\"question_id\": 81, \"category\": \"a\", \"turns\": []}", "field turns: expected an array", 2},
                 {"{\"question_id\": 81, \"category\": \"a\", \"turns\": [\"a\", 3]}", "field turns: expected texts", 2},
                 {"\n", "no questions", 2}};
    char path[] = "/tmp/rapt_mt_XXXXXX";
    assert_true(mkstemp(path) >= 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mt_bench b = {0};
        struct mt_asked_set set = {0};
        ok(file_write(path, cases[i].text, strlen(cases[i].text)));
        if (cases[i].kind == 0) ok(mt_load_questions(&b, GOLDEN "question.jsonl"));
        status s = cases[i].kind == 0   ? mt_load_judgements(&b, path)
                   : cases[i].kind == 1 ? mt_load_questions(&b, path)
                                        : mt_asked_load(&set, path, 0);
        if (s == ST_OK) fail_msg("%s was taken", cases[i].text);
        if (!strstr(status_message(), cases[i].message) || !strstr(status_message(), path))
            fail_msg("%s: %s", cases[i].text, status_message());
        mt_release(&b);
        mt_asked_release(&set);
    }
    remove(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_fastchat),
        cmocka_unit_test(intervals_are_over_questions),
        cmocka_unit_test(goal_in_the_second_turn),
        cmocka_unit_test(bad_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
