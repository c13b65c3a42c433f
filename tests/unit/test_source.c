#define _POSIX_C_SOURCE 200809L
/* Every form of row is read through its own example; TRL's prompt split; errors name file, line, field; skipped rows are kept aside. */
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

#include "data/source.h"

static status read_text(struct record *r, const char *text) {
    struct json row;
    status s = json_parse(&row, text, strlen(text));
    return s == ST_OK ? source_read_row(r, row) : s;
}

static void every_form_reads_its_example(void **state) {
    (void)state;
    struct record r = {0};
    for (size_t i = 0; i < source_form_count; i++) {
        assert_int_equal(read_text(&r, source_form_table[i].example), ST_OK);
        assert_string_equal(r.form, source_form_table[i].name);
        if (r.kind == RECORD_RESPONSES) {
            assert_int_equal(r.response_count, 2);
            assert_string_equal(buf_text(&r.responses[0].text), "a");
            assert_true(r.responses[0].score > r.responses[1].score);
        }
        if (r.kind == RECORD_PAIR && !r.prompt_ids.size && !r.conversational) {
            assert_string_equal(buf_text(&r.prompt), "q");
            assert_string_equal(buf_text(&r.chosen), "a");
            assert_string_equal(buf_text(&r.rejected), "b");
            assert_true(r.score_chosen > r.score_rejected);
        }
    }
    record_release(&r);
}

static void splits_as_trl(void **state) {
    (void)state;
    static const struct { const char *row, *prompt, *chosen, *rejected; } cases[] = {
        {"{\"chosen\":\"The sky is blue.\",\"rejected\":\"The sky is green.\"}", "The sky is", " blue.", " green."},
        {"{\"chosen\":\"ab\",\"rejected\":\"abc\"}", "a", "b", "bc"},
        {"{\"chosen\":\"q\xc3\xa9\",\"rejected\":\"q\xc3\xa8\"}", "q", "\xc3\xa9", "\xc3\xa8"},
        {"{\"chosen\":[{\"role\":\"user\",\"content\":\"x\"}, {\"role\":\"assistant\",\"content\":\"1\"}],"
         "\"rejected\":[{\"content\":\"\\u0078\",\"role\":\"user\"},{\"role\":\"assistant\",\"content\":\"2\"}]}",
         "[{\"role\":\"user\",\"content\":\"x\"}]", "[{\"role\":\"assistant\",\"content\":\"1\"}]", "[{\"role\":\"assistant\",\"content\":\"2\"}]"},
        {"{\"prompt\":\"x\",\"chosen\":[{\"role\":\"user\",\"content\":\"x\"},{\"role\":\"assistant\",\"content\":\"1\"}],"
         "\"rejected\":[{\"role\":\"user\",\"content\":\"x\"},{\"role\":\"assistant\",\"content\":\"1\"}]}",
         "[{\"role\":\"user\",\"content\":\"x\"}]", "[{\"role\":\"assistant\",\"content\":\"1\"}]", "[{\"role\":\"assistant\",\"content\":\"1\"}]"},
    };
    struct record r = {0};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(read_text(&r, cases[i].row), ST_OK);
        assert_string_equal(buf_text(&r.prompt), cases[i].prompt);
        assert_string_equal(buf_text(&r.chosen), cases[i].chosen);
        assert_string_equal(buf_text(&r.rejected), cases[i].rejected);
    }
    assert_int_equal(record_text_equal(&r.chosen, &r.rejected, true), 1);
    record_release(&r);
}

static void reads_scores_where_they_are(void **state) {
    (void)state;
    struct record r = {0};
    assert_int_equal(read_text(&r, "{\"prompt\":\"q\",\"chosen\":\"a\",\"rejected\":\"b\",\"metadata\":{\"score_chosen\":7.5,\"score_rejected\":\"3\"},"
                                   "\"goal\":3,\"goal_of\":\"rejected\",\"source_row\":12}"), ST_OK);
    assert_true(r.score_chosen == 7.5 && r.score_rejected == 3 && r.goal == 3 && r.goal_of == GOAL_OF_REJECTED && r.source_row == 12);
    assert_int_equal(read_text(&r, "{\"instruction\":\"q\",\"completions\":[{\"response\":\"a\",\"overall_score\":8.5,\"annotations\":"
                                   "{\"honesty\":{\"Rating\":\"4\"},\"truthfulness\":{\"Rating\":\"5\"}}},"
                                   "{\"response\":\"b\",\"overall_score\":2,\"annotations\":{\"honesty\":{\"Rating\":\"N/A\"}}}]}"), ST_OK);
    assert_true(r.responses[0].score == 8.5 && r.responses[0].fine_mean == 4.5 && !r.responses[0].has_na);
    assert_true(r.responses[1].has_na && isnan(r.responses[1].fine_mean));
    record_release(&r);
}

static void errors_name_the_field(void **state) {
    (void)state;
    static const struct { const char *row, *message; } cases[] = {
        {"[1]", "expected an object, found an array"},
        {"{\"prompt\":\"q\",\"chosen\":\"a\",\"rejected\":5}", "field rejected: expected a string as in chosen, found a number"},
        {"{\"prompt\":\"q\",\"chosen\":\"a\",\"rejected\":\"b\",\"score_chosen\":\"high\"}", "field score_chosen: expected a finite number, found \"high\""},
        {"{\"messages\":[{\"role\":\"user\",\"content\":7}]}", "field messages[0].content: expected a string, found a number"},
        {"{\"messages\":[{\"content\":\"x\"}]}", "field messages[0].role: expected a string, found nothing"},
        {"{\"chosen\":\"a\",\"rejected\":\"b\"}", "they share no beginning"},
        {"{\"prompt\":\"q\",\"responses\":[\"a\",\"b\"],\"scores\":[1]}", "2 responses, 1 scores"},
        {"{\"instruction\":\"q\",\"completions\":[{\"response\":\"a\",\"overall_score\":true}]}", "field completions[0].overall_score"},
        {"{\"text\":\"q\"}", "fields of no known form (text); expected one of:"},
        {"{\"prompt_ids\":[1,-2],\"chosen_ids\":[],\"rejected_ids\":[]}", "field prompt_ids[1]: expected a token id, found -2"},
    };
    struct record r = {0};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(read_text(&r, cases[i].row), ST_FORMAT);
        if (!strstr(status_message(), cases[i].message)) fail_msg("case %zu: %s", i, status_message());
    }
    record_release(&r);
}

static void skips_and_keeps_bad_rows(void **state) {
    (void)state;
    char path[] = "/tmp/rapt_source_XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    const char *text = "{\"prompt\":\"1\"}\n\n{broken\n{\"prompt\":\"2\"}\r\n";
    assert_int_equal(file_write(path, text, strlen(text)), ST_OK);
    struct source s;
    struct record r = {0};
    bool end;
    assert_int_equal(source_open(&s, path, SOURCE_STOP, NULL), ST_OK);
    assert_int_equal(source_next(&s, &r, &end), ST_OK);
    assert_int_equal(source_next(&s, &r, &end), ST_FORMAT);
    assert_non_null(strstr(status_message(), ":3: byte 2: expected a key in quotes"));
    source_release(&s);
    assert_int_equal(source_open(&s, path, SOURCE_SKIP, path), ST_OK);
    size_t rows = 0;
    while (source_next(&s, &r, &end) == ST_OK && !end) rows++;
    assert_true(end && rows == 2 && s.skipped_count == 1 && r.index == 2);
    assert_int_equal(source_commit(&s), ST_OK);
    struct buf name = {0}, kept = {0};
    buf_printf(&name, "%s.rejected.jsonl", path);
    assert_int_equal(file_read(&kept, name.data), ST_OK);
    assert_string_equal(buf_text(&kept), "{broken\n");
    source_release(&s);
    unlink(path);
    unlink(name.data);
    buf_release(&name);
    buf_release(&kept);
    record_release(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_reads_its_example), cmocka_unit_test(splits_as_trl), cmocka_unit_test(reads_scores_where_they_are),
        cmocka_unit_test(errors_name_the_field),        cmocka_unit_test(skips_and_keeps_bad_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
