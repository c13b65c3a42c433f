/* GSM8K beside lm-evaluation-harness: both filters and the exact match on hostile texts, and greedy responses of the chat model of
 * golden/score_chat (tests/oracle/eval_gsm8k.py). */
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
#include "eval/gsm8k_run.h"
#include "format/rows.h"

#define GOLDEN TEST_SOURCE_DIR "/golden/"

static void ok(status s) {
    if (s != ST_OK) fail_msg("%s", status_message());
}

static void one_case(struct json row) {
    struct buf extracted = {0};
    char *text = json_text(json_get(row, "text")), *answer = json_text(json_get(row, "answer"));
    assert_true(text && answer);
    for (int f = 0; f < GSM8K_FILTERS; f++) {
        char name[64];
        bool match;
        char *expected = json_text(json_get(row, gsm8k_filter_names[f]));
        gsm8k_extract(&extracted, (enum gsm8k_filter)f, text, strlen(text));
        if (strcmp(buf_text(&extracted), expected) != 0)
            fail_msg("%s of '%s': '%s', lm-eval '%s'", gsm8k_filter_names[f], text, buf_text(&extracted), expected);
        snprintf(name, sizeof name, "%s match", gsm8k_filter_names[f]);
        assert_true(json_bool(&match, json_get(row, name)));
        if (gsm8k_match(&extracted, answer) != match) fail_msg("'%s' of '%s' against '%s': not %d", expected, text, answer, match);
        free(expected);
    }
    buf_release(&extracted);
    free(text);
    free(answer);
}

static void filters_as_lm_eval(void **state) {
    (void)state;
    struct rows_in rows;
    const char *text;
    size_t size;
    ok(rows_open(&rows, GOLDEN "gsm8k/filters.jsonl"));
    for (ok(rows_next(&rows, &text, &size)); text; ok(rows_next(&rows, &text, &size))) {
        struct json row;
        ok(json_parse(&row, text, size));
        one_case(row);
    }
    assert_true(rows.count > 300);
    rows_release(&rows);
}

/* One U+FFFD for several: the harness has one for each broken character, rapt for each of its bytes. */
static void collapse(char *text) {
    char *to = text;
    for (const char *at = text; *at; at++) {
        if (to - text >= 3 && strncmp(at, "\xef\xbf\xbd", 3) == 0 && strncmp(to - 3, at, 3) == 0)
            at += 2;
        else
            *to++ = *at;
    }
    *to = '\0';
}

static void responses_as_lm_eval(void **state) {
    (void)state;
    static const struct sampler_options greedy = {.top_p = 1, .repetition_penalty = 1};
    struct buf text = {0};
    struct json root, key, value;
    ok(file_read(&text, GOLDEN "gsm8k/expected.json"));
    ok(json_parse(&root, text.data, text.size - 1));
    for (int chat = 0; chat < 2; chat++) {
        const struct json expected = json_get(root, chat ? "chat" : "plain");
        struct encoder encoder;
        struct model model;
        struct decoder decoder;
        struct gsm8k_set set;
        struct harness_shot *shots;
        struct harness_figure figures[GSM8K_FILTERS];
        size_t truncated, i = 0;
        ok(encoder_open(&encoder, GOLDEN "score_chat"));
        ok(model_open(&model, GOLDEN "score_chat", MATMUL_F32, MODEL_INFER));
        ok(decoder_init(&decoder, &model, NULL, &(struct decode_options){.batch = 4, .length = 1024, .sampler = greedy}));
        ok(gsm8k_load(&set, GOLDEN "gsm8k/rows.jsonl", 0));
        ok(gsm8k_shots(&shots, GOLDEN "gsm8k/shots.jsonl", 2));
        ok(gsm8k_run(&set, &truncated, &decoder, &(struct harness_prompt){.encoder = &encoder, .chat = chat}, shots, 2, 40));
        assert_int_equal(truncated, 0);
        gsm8k_judge(figures, &set);
        char *context = json_text(json_get(expected, "context"));
        assert_string_equal(buf_text(&set.items[set.count - 1].context), context);
        free(context);
        struct json_iter it = json_iter_begin(json_get(expected, "responses"));
        for (; json_iter_next(&it, &key, &value); i++) {
            char *response = json_text(value);
            char *own = mem_text(buf_text(&set.items[i].response));
            collapse(own);
            collapse(response);
            assert_string_equal(own, response);
            free(own);
            free(response);
        }
        assert_int_equal(i, set.count);
        for (int f = 0; f < GSM8K_FILTERS; f++) {
            char name[64];
            double mean;
            snprintf(name, sizeof name, "exact_match,%s", gsm8k_filter_names[f]);
            assert_true(json_double(&mean, json_get(json_get(expected, "figures"), name)));
            assert_true(fabs(mean - figures[f].value.mean) < 1e-12);
        }
        harness_shots_release(shots, 2);
        gsm8k_release(&set);
        decoder_release(&decoder);
        model_release(&model);
        encoder_release(&encoder);
    }
    buf_release(&text);
}

static void cuts_at_end_texts(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t size;
        bool found;
    } cases[] = {{"7\n\nQuestion: more", 3, true},
                 {"abc", 3, false},
                 {"a<|im_end|>b", 1, true},
                 {"a</s>Question:", 1, true},
                 {"a</s>b<|im_end|>Question:", 1, true},
                 {"Question", 8, false},
                 {"", 0, false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool found;
        assert_int_equal(gsm8k_cut(&found, cases[i].text, strlen(cases[i].text)), cases[i].size);
        assert_int_equal(found, cases[i].found);
    }
}

static void bad_rows(void **state) {
    (void)state;
    static const struct {
        const char *row, *message;
    } cases[] = {{"3", "expected an object"},
                 {"{\"answer\": \"a\"}", "field question: expected a string"},
                 {"{\"question\": \"a\", \"answer\": 4}", "field answer: expected a string"},
                 {"{\"question\": \"a\\u0000\", \"answer\": \"a\"}", "a zero byte"},
                 {"{\"question\"", "expected"},
                 {"\n", "no rows"}};
    char path[] = "/tmp/rapt_gsm8k_XXXXXX";
    assert_true(mkstemp(path) >= 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct gsm8k_set set;
        ok(file_write(path, cases[i].row, strlen(cases[i].row)));
        if (gsm8k_load(&set, path, 0) == ST_OK) fail_msg("%s was taken", cases[i].row);
        if (!strstr(status_message(), cases[i].message) || !strstr(status_message(), path))
            fail_msg("%s: %s", cases[i].row, status_message());
    }
    remove(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filters_as_lm_eval),
        cmocka_unit_test(responses_as_lm_eval),
        cmocka_unit_test(cuts_at_end_texts),
        cmocka_unit_test(bad_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
