#define _POSIX_C_SOURCE 200809L
/* Rows as single responses with a label: pairs in the order in which TRL takes them apart (tests/oracle/make_group_traces.py), labels from
 * scores, and what is refused. */
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
#include "data/loader.h"

static char path[] = "/tmp/rapt_loader_XXXXXX";
static struct encoder encoder;

static int set_up(void **state) {
    (void)state;
    const int fd = mkstemp(path);
    return fd < 0 || close(fd) || encoder_open(&encoder, TEST_SOURCE_DIR "/golden/llama_tiny") != ST_OK;
}

static int tear_down(void **state) {
    (void)state;
    encoder_release(&encoder);
    return unlink(path);
}

static status load(struct loaded *d, const char *text, struct loader_options o) {
    assert_int_equal(file_write(path, text, strlen(text)), ST_OK);
    o.unpaired = true;
    return loaded_read(d, path, &encoder, &o);
}

static void pairs_come_apart_as_in_trl(void **state) {
    (void)state;
    struct buf golden = {0}, rows = {0};
    struct json all, key, run, part;
    double pairs, numbers[2];
    assert_int_equal(file_read(&golden, TEST_SOURCE_DIR "/golden/trl_groups/unpaired.json"), ST_OK);
    assert_int_equal(json_parse(&all, golden.data, golden.size), ST_OK);
    assert_true(json_double(&pairs, json_get(all, "pairs")));
    for (int i = 0; i < (int)pairs; i++) buf_printf(&rows, "{\"prompt\": \"the cat\", \"chosen\": \" sat\", \"rejected\": \" ran\"}\n");
    struct loaded d;
    assert_int_equal(load(&d, buf_text(&rows), (struct loader_options){.threshold = (double)NAN}), ST_OK);
    assert_int_equal(d.count, 2 * (size_t)pairs);
    assert_int_equal(d.k, 1);
    size_t at = 0;
    struct json_iter runs = json_iter_begin(json_get(all, "runs"));
    while (json_iter_next(&runs, &key, &run)) {
        bool label = false;
        struct json_iter parts = json_iter_begin(run);
        for (int i = 0; i < 2; i++) assert_true(json_iter_next(&parts, &key, &part) && json_double(&numbers[i], part));
        assert_true(json_iter_next(&parts, &key, &part) && json_bool(&label, part));
        for (uint64_t i = 0; i < (uint64_t)numbers[1]; i++, at++) {
            assert_int_equal(d.rows[at].index, (uint64_t)numbers[0] + i);
            assert_int_equal(loaded_response(&d, at, 0)->rejected, !label);
        }
    }
    assert_int_equal(at, d.count);
    loaded_release(&d);
    buf_release(&golden);
    buf_release(&rows);
}

static void labels_come_from_scores(void **state) {
    (void)state;
    struct loaded d;
    assert_int_equal(
        load(&d,
             "{\"prompt\": \"the cat\", \"responses\": [{\"text\": \" sat\", \"score\": 7}, {\"text\": \" ran\", \"score\": 6.9}, "
             "{\"text\": \" ate\", \"score\": 9}]}\n"
             "{\"prompt\": \"a dog\", \"chosen\": \" sat\", \"rejected\": \" ran\", \"score_chosen\": 9, \"score_rejected\": 8}\n"
             "{\"prompt\": \"a dog\", \"completion\": \" sat\", \"label\": true, \"score\": 2}\n",
             (struct loader_options){.threshold = 7}),
        ST_OK);
    static const bool rejected[] = {false, true, false, false, true, false}; /* the pair's second response stands at the end of its block */
    static const double scores[] = {7, 6.9, 9, 9, 2, 8};
    assert_int_equal(d.count, 6);
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(loaded_response(&d, i, 0)->rejected, rejected[i]);
        assert_true(loaded_response(&d, i, 0)->score == scores[i]);
    }
    loaded_release(&d);
}

/* A response that its own prompt leaves no room for keeps what a shorter prompt may take. */
static void responses_keep_what_a_shorter_prompt_has_room_for(void **state) {
    (void)state;
    struct loaded d;
    assert_int_equal(load(&d,
                          "{\"prompt_ids\": [1, 2, 3, 4], \"chosen_ids\": [5, 6, 7, 8], \"rejected_ids\": [9]}\n"
                          "{\"prompt_ids\": [1, 2, 3, 4, 5, 6], \"chosen_ids\": [5], \"rejected_ids\": [9]}\n"
                          "{\"prompt_ids\": [2], \"chosen_ids\": [5, 6], \"rejected_ids\": [9]}\n",
                          (struct loader_options){.threshold = (double)NAN, .max_length = 6}),
                     ST_OK);
    assert_int_equal(d.count, 4);
    assert_int_equal(d.dropped_long, 1);
    assert_int_equal(d.cut, 1);
    const struct loaded_response *x = loaded_response(&d, 0, 0);
    assert_int_equal(x->count, 2);
    assert_int_equal(x->kept, 4);
    assert_int_equal(loaded_sequence(&d, 0, 0)[4 + 3], 8);
    assert_int_equal(d.longest, 6);
    loaded_release(&d);
}

static void refused(const char *row, double threshold, const char *text) {
    struct loaded d;
    assert_int_equal(load(&d, row, (struct loader_options){.threshold = threshold}), ST_FORMAT);
    if (!strstr(status_message(), text) || !strstr(status_message(), ":1: ")) fail_msg("no '%s' in: %s", text, status_message());
}

static void what_has_no_label_is_refused(void **state) {
    (void)state;
    refused("{\"prompt\": \"the cat\", \"completion\": \" sat\"}\n", (double)NAN, "no label");
    refused("{\"prompt\": \"the cat\", \"completion\": \" sat\", \"label\": \"good\"}\n", (double)NAN, "expected true or false");
    refused("{\"prompt\": \"the cat\", \"responses\": [{\"text\": \" sat\", \"score\": 7}]}\n", (double)NAN,
            "--kto-threshold makes labels");
    refused("{\"prompt\": \"the cat\", \"responses\": [{\"text\": \" sat\"}]}\n", 5, "without a score");
    refused("{\"prompt\": \"the cat\", \"chosen\": \" sat\", \"rejected\": \" ran\", \"score_chosen\": 9, "
            "\"score_rejected\": 8, \"goal\": 8}\n",
            5, "under a goal");
    refused("{\"prompt\": \"the cat\"}\n", 5, "expected a completion with a label");
}

/* A row whose last response is bad leaves nothing of its others behind. */
static void skipped_rows_are_skipped_whole(void **state) {
    (void)state;
    struct loaded d;
    assert_int_equal(
        load(&d,
             "{\"prompt\": \"the cat\", \"responses\": [{\"text\": \" sat\", \"score\": 8}, {\"text\": \" ran\", \"score\": 2}, "
             "{\"text\": \" ate\", \"score\": null}]}\n"
             "{\"prompt\": \"a dog\", \"chosen\": \" sat\", \"rejected\": \" ran\", \"score_chosen\": 9}\n"
             "{\"prompt\": \"a dog\", \"chosen\": \" sat\", \"rejected\": \" ran\", \"score_chosen\": 9, \"score_rejected\": 3}\n",
             (struct loader_options){.threshold = 5, .skip_bad = true}),
        ST_OK);
    assert_int_equal(d.count, 2);
    assert_int_equal(d.response_count, 2);
    assert_int_equal(d.rows[0].line, 3);
    assert_int_equal(d.rows[1].line, 3);
    assert_false(loaded_response(&d, 0, 0)->rejected);
    assert_true(loaded_response(&d, 1, 0)->rejected);
    loaded_release(&d);
}

static status load_groups(struct loaded *d, const char *text, size_t max_length) {
    const struct loader_options o = {.groups = true, .max_length = max_length};
    assert_int_equal(file_write(path, text, strlen(text)), ST_OK);
    return loaded_read(d, path, &encoder, &o);
}

/* The best reward first, equal ones in the row's order; under a goal the reward is -(goal - score)^2. */
static void groups_are_ranked(void **state) {
    (void)state;
    struct loaded d;
    assert_int_equal(load_groups(&d,
                                 "{\"prompt\": \"the cat\", \"responses\": [{\"text\": \" sat\", \"score\": 3}, "
                                 "{\"text\": \" sat on a mat\", \"score\": 9}, {\"text\": \" ran home\", \"score\": 3}]}\n"
                                 "{\"prompt\": \"the cat\", \"goal\": 4, \"responses\": [{\"text\": \" sat\", \"score\": 9}, "
                                 "{\"text\": \" sat on a mat\", \"score\": 3}]}\n"
                                 "{\"prompt\": \"the cat\", \"goal\": 3, \"chosen\": \" sat\", \"rejected\": \" ran\", "
                                 "\"score_chosen\": 3, \"score_rejected\": 8}\n",
                                 0),
                     ST_OK);
    static const double scores[] = {9, 3, 3, -1, -25, 0, -25};
    assert_int_equal(d.count, 3);
    assert_int_equal(d.k, 0);
    for (size_t i = 0, at = 0; i < 3; i++)
        for (size_t j = 0; j < (size_t)d.rows[i].responses; j++, at++) {
            assert_true(loaded_response(&d, i, j)->score == scores[at]);
            assert_int_equal(loaded_response(&d, i, j)->rejected, j > 0);
        }
    assert_int_equal(d.rows[0].responses, 3);
    assert_true(loaded_response(&d, 0, 0)->count > loaded_response(&d, 0, 2)->count);
    assert_true(loaded_response(&d, 0, 2)->count > loaded_response(&d, 0, 1)->count);
    loaded_release(&d);
    struct buf many = {0};
    buf_append_text(&many, "{\"prompt\": \"the cat\", \"responses\": [");
    for (int i = 0; i <= LOADED_RESPONSES_MAX; i++) buf_printf(&many, "%s{\"text\": \" sat\", \"score\": %d}", i ? ", " : "", i);
    buf_append_text(&many, "]}\n");
    assert_int_equal(load_groups(&d, buf_text(&many), 0), ST_FORMAT);
    assert_non_null(strstr(status_message(), "1025 responses, at most 1024 are read"));
    buf_release(&many);
}

/* Every response is cut to what the prompt leaves; a row whose prompt leaves nothing goes whole. */
static void groups_are_cut(void **state) {
    (void)state;
    struct loaded d;
    const char *rows = "{\"prompt\": \"a\", \"responses\": [{\"text\": \" sat on a mat and ran to a red hat again\", \"score\": 3}, "
                       "{\"text\": \" b\", \"score\": 1}]}\n"
                       "{\"prompt\": \"the cat sat on a mat and dog ran to a red hat again\", "
                       "\"responses\": [{\"text\": \" a\", \"score\": 3}, {\"text\": \" b\", \"score\": 1}]}\n";
    assert_int_equal(load_groups(&d, rows, 8), ST_OK);
    assert_int_equal(d.count, 1);
    assert_int_equal(d.dropped_long, 1);
    assert_int_equal(d.cut, 1);
    assert_int_equal(d.rows[0].prompt + loaded_response(&d, 0, 0)->count, 8);
    assert_int_equal(d.longest, 8);
    loaded_release(&d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_come_apart_as_in_trl),
        cmocka_unit_test(labels_come_from_scores),
        cmocka_unit_test(responses_keep_what_a_shorter_prompt_has_room_for),
        cmocka_unit_test(groups_are_ranked),
        cmocka_unit_test(groups_are_cut),
        cmocka_unit_test(what_has_no_label_is_refused),
        cmocka_unit_test(skipped_rows_are_skipped_whole),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
