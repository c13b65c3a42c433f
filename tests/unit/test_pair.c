/* K responses -> pairs: each rule on rows small enough to decide by hand, what takes no part, what a pair row looks like. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "data/pair.h"

static const char text_scores[] = "{\"prompt\":\"q\",\"id\":7,\"responses\":[{\"text\":\"a\",\"score\":3},{\"text\":\"b\",\"score\":8},"
                                  "{\"text\":\"c\",\"score\":8},{\"text\":\"d\",\"score\":1}]}";

static void read_text(struct record *r, const char *text) {
    struct json row;
    assert_int_equal(json_parse(&row, text, strlen(text)), ST_OK);
    assert_int_equal(source_read_row(r, row), ST_OK);
    assert_int_equal(r->kind, RECORD_RESPONSES);
}

static void expect_pairs(const struct pair_list *l, const size_t (*pairs)[2], size_t count) {
    assert_int_equal(l->count, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(l->items[i].chosen, pairs[i][0]);
        assert_int_equal(l->items[i].rejected, pairs[i][1]);
    }
}

static void every_rule(void **state) {
    (void)state;
    struct record r = {0};
    struct pair_list l = {0};
    struct pair_counts counts = {0};
    read_text(&r, text_scores);
    pair_choose(&l, &counts, &r, PAIR_BEST_WORST, 0);
    expect_pairs(&l, (const size_t[][2]){{1, 3}}, 1); /* b is the first of the two eights */
    pair_choose(&l, &counts, &r, PAIR_ALL, 0);
    expect_pairs(&l, (const size_t[][2]){{1, 0}, {2, 0}, {0, 3}, {1, 2}, {1, 3}, {2, 3}}, 6);
    assert_int_equal(counts.ties, 1);
    unsigned seen = 0;
    for (uint64_t seed = 0; seed < 64; seed++) {
        pair_choose(&l, &counts, &r, PAIR_PAPER, seed);
        assert_int_equal(l.count, 1);
        assert_int_equal(l.items[0].chosen, 1);
        seen |= 1u << l.items[0].rejected;
        size_t first = l.items[0].rejected;
        pair_choose(&l, &counts, &r, PAIR_PAPER, seed);
        assert_int_equal(l.items[0].rejected, first);
    }
    assert_int_equal(seen, 1u << 0 | 1u << 2 | 1u << 3);
    record_release(&r);
    pair_list_release(&l);
}

static void what_takes_no_part(void **state) {
    (void)state;
    struct record r = {0};
    struct pair_list l = {0};
    struct pair_counts counts = {0};
    read_text(&r, "{\"prompt\":\"q\",\"responses\":[{\"text\":\" "
                  "\\n\",\"score\":9},{\"text\":\"b\"},{\"text\":\"c\",\"score\":\"N/A\"},{\"text\":\"d\",\"score\":1}]}");
    pair_choose(&l, &counts, &r, PAIR_ALL, 0);
    assert_true(l.count == 0 && counts.dropped_empty == 1 && counts.dropped_no_score == 2 && counts.dropped_few_responses == 1);
    read_text(&r, "{\"prompt\":\"q\",\"responses\":[{\"text\":\"x\",\"score\":9},{\"text\":\"x\",\"score\":1}]}");
    for (enum pair_rule rule = PAIR_PAPER; rule <= PAIR_ALL; rule++) {
        pair_choose(&l, &counts, &r, rule, 0);
        assert_true(l.count == 0 && counts.dropped_equal_text == (uint64_t)rule + 1);
    }
    read_text(&r, "{\"prompt\":\"q\",\"responses\":[{\"text\":\"x\",\"score\":5},{\"text\":\"y\",\"score\":5}]}");
    pair_choose(&l, &counts, &r, PAIR_BEST_WORST, 0);
    expect_pairs(&l, (const size_t[][2]){{0, 1}}, 1);
    record_release(&r);
    pair_list_release(&l);
}

#define COMPLETION(text, score, rating)                                                                                                    \
    "{\"response\":\"" text "\",\"overall_score\":" score ",\"annotations\":{\"honesty\":{\"Rating\":\"" rating "\"}}}"

static void paper_rule_reads_ratings(void **state) {
    (void)state;
    struct record r = {0};
    struct pair_list l = {0};
    struct pair_counts counts = {0};
    read_text(&r, "{\"instruction\":\"q\",\"completions\":[" COMPLETION("a", "9", "N/A") "," COMPLETION("b", "7", "4") "," COMPLETION(
                      "c", "2", "4") "]}");
    pair_choose(&l, &counts, &r, PAIR_PAPER, 1);
    expect_pairs(&l, (const size_t[][2]){{1, 2}}, 1); /* equal means are kept; a is out by its N/A */
    assert_int_equal(counts.dropped_na, 1);
    pair_choose(&l, &counts, &r, PAIR_BEST_WORST, 1);
    expect_pairs(&l, (const size_t[][2]){{0, 2}}, 1);
    read_text(&r, "{\"instruction\":\"q\",\"completions\":[" COMPLETION("b", "7", "3") "," COMPLETION("c", "2", "4") "]}");
    pair_choose(&l, &counts, &r, PAIR_PAPER, 1);
    assert_true(l.count == 0 && counts.dropped_fine_order == 1);
    assert_false(pair_from_truthful_qa(&r));
    read_text(&r, "{\"source\":\"truthful_qa\",\"instruction\":\"q\",\"completions\":[" COMPLETION("b", "7", "3") "]}");
    assert_true(pair_from_truthful_qa(&r));
    record_release(&r);
    pair_list_release(&l);
}

static void writes_rows(void **state) {
    (void)state;
    struct record r = {0};
    struct buf out = {0};
    read_text(&r, text_scores);
    pair_put_row(&out, &r, (struct pair){1, 3});
    assert_string_equal(
        out.data, "{\"prompt\": \"q\", \"chosen\": \"b\", \"rejected\": \"d\", \"score_chosen\": 8, \"score_rejected\": 1, \"id\": 7}");
    buf_clear(&out);
    read_text(&r, "{\"prompt\":[{\"role\":\"user\",\"content\":\"q\\u00e9\"}],\"responses\":[{\"text\":\"a\",\"score\":1.5},"
                  "{\"messages\":[{\"role\":\"assistant\",\"content\":\"b\"}],\"score\":-2}]}");
    pair_put_row(&out, &r, (struct pair){0, 1});
    assert_string_equal(
        out.data, "{\"prompt\": [{\"role\":\"user\",\"content\":\"q\\u00e9\"}], \"chosen\": [{\"role\":\"assistant\",\"content\":\"a\"}], "
                  "\"rejected\": [{\"role\":\"assistant\",\"content\":\"b\"}], \"score_chosen\": 1.5, \"score_rejected\": -2}");
    buf_clear(&out);
    read_text(&r, "{\"source\":\"s\",\"instruction\":\"q\",\"completions\":[" COMPLETION("b", "7", "3") "," COMPLETION("c", "2", "4") "]}");
    pair_put_row(&out, &r, (struct pair){0, 1});
    assert_string_equal(out.data, "{\"prompt\": \"q\", \"chosen\": \"b\", \"rejected\": \"c\", \"score_chosen\": 7, \"score_rejected\": 2, "
                                  "\"avg_fine_score_chosen\": 3, \"avg_fine_score_rejected\": 4, \"source\": \"s\"}");
    record_release(&r);
    buf_release(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_rule),
        cmocka_unit_test(what_takes_no_part),
        cmocka_unit_test(paper_rule_reads_ratings),
        cmocka_unit_test(writes_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
