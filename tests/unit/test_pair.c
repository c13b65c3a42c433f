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
    pair_choose(&l, &counts, &r, &(struct pair_rules){.rule = PAIR_BEST_WORST, .seed = 0});
    expect_pairs(&l, (const size_t[][2]){{1, 3}}, 1); /* b is the first of the two eights */
    pair_choose(&l, &counts, &r, &(struct pair_rules){.rule = PAIR_ALL, .seed = 0});
    expect_pairs(&l, (const size_t[][2]){{1, 0}, {2, 0}, {0, 3}, {1, 2}, {1, 3}, {2, 3}}, 6);
    assert_int_equal(counts.ties, 1);
    unsigned seen = 0;
    for (uint64_t seed = 0; seed < 64; seed++) {
        pair_choose(&l, &counts, &r, &(struct pair_rules){.rule = PAIR_PAPER, .seed = seed});
        assert_int_equal(l.count, 1);
        assert_int_equal(l.items[0].chosen, 1);
        seen |= 1u << l.items[0].rejected;
        size_t first = l.items[0].rejected;
        pair_choose(&l, &counts, &r, &(struct pair_rules){.rule = PAIR_PAPER, .seed = seed});
        assert_int_equal(l.items[0].rejected, first);
    }
    assert_int_equal(seen, 1u << 0 | 1u << 2 | 1u << 3);
    record_release(&r);
    pair_list_release(&l);
}

static void choose(struct pair_list *l, struct pair_counts *counts, const struct record *r, struct pair_rules rules) {
    *counts = (struct pair_counts){0};
    pair_choose(l, counts, r, &rules);
}

static void rules_beyond_the_paper(void **state) {
    (void)state;
    struct record r = {0};
    struct pair_list l = {0};
    struct pair_counts counts;
    unsigned seen = 0, first = 0;
    read_text(&r, text_scores); /* a 3, b 8, c 8, d 1 */
    choose(&l, &counts, &r, (struct pair_rules){.rule = PAIR_ADJACENT});
    expect_pairs(&l, (const size_t[][2]){{1, 0}, {0, 3}}, 2);
    choose(&l, &counts, &r, (struct pair_rules){.rule = PAIR_TOP, .top = 5});
    expect_pairs(&l, (const size_t[][2]){{1, 3}, {2, 0}}, 2);
    choose(&l, &counts, &r, (struct pair_rules){.rule = PAIR_TOP, .top = 1});
    expect_pairs(&l, (const size_t[][2]){{1, 3}}, 1);
    choose(&l, &counts, &r, (struct pair_rules){.rule = PAIR_ALL, .min_margin = 5});
    expect_pairs(&l, (const size_t[][2]){{1, 0}, {2, 0}, {1, 3}, {2, 3}}, 4);
    assert_int_equal(counts.dropped_margin, 2); /* 3 over 1, 8 over 8 */
    choose(&l, &counts, &r, (struct pair_rules){.rule = PAIR_ALL, .max_margin = 2, .drop_ties = true});
    expect_pairs(&l, (const size_t[][2]){{0, 3}}, 1);
    assert_true(counts.dropped_margin == 4 && counts.dropped_tie == 1 && counts.ties == 0);
    for (uint64_t seed = 0; seed < 64; seed++) {
        choose(&l, &counts, &r, (struct pair_rules){.rule = PAIR_BEST_RANDOM, .seed = seed});
        assert_true(l.count == 1 && l.items[0].chosen == 1);
        seen |= 1u << l.items[0].rejected;
        choose(&l, &counts, &r, (struct pair_rules){.rule = PAIR_BEST_WORST, .seed = seed, .random_ties = true});
        assert_true(l.count == 1 && l.items[0].rejected == 3);
        first |= 1u << l.items[0].chosen;
        const size_t chosen = l.items[0].chosen;
        choose(&l, &counts, &r, (struct pair_rules){.rule = PAIR_BEST_WORST, .seed = seed, .random_ties = true});
        assert_int_equal(l.items[0].chosen, chosen);
    }
    assert_int_equal(seen, 1u << 0 | 1u << 2 | 1u << 3);
    assert_int_equal(first, 1u << 1 | 1u << 2);
    record_release(&r);
    pair_list_release(&l);
}

/* cross is what adjacent leaves: with one response a score they share no pair, and together they are all pairs. */
static void cross_leaves_out_neighbours(void **state) {
    (void)state;
    struct record r = {0};
    struct pair_list l = {0};
    struct pair_counts counts;
    bool seen[5][5] = {{0}};
    read_text(&r, text_scores); /* a 3, b 8, c 8, d 1 */
    choose(&l, &counts, &r, (struct pair_rules){.rule = PAIR_CROSS});
    expect_pairs(&l, (const size_t[][2]){{1, 3}, {2, 3}}, 2);
    read_text(&r, "{\"prompt\":\"q\",\"responses\":[\"a\",\"b\",\"c\",\"d\",\"e\"],\"scores\":[4,9,1,8,2]}");
    choose(&l, &counts, &r, (struct pair_rules){.rule = PAIR_ADJACENT});
    expect_pairs(&l, (const size_t[][2]){{1, 3}, {3, 0}, {0, 4}, {4, 2}}, 4);
    for (size_t i = 0; i < l.count; i++) seen[l.items[i].chosen][l.items[i].rejected] = true;
    choose(&l, &counts, &r, (struct pair_rules){.rule = PAIR_CROSS});
    assert_int_equal(l.count, 6);
    for (size_t i = 0; i < l.count; i++) {
        assert_true(r.responses[l.items[i].chosen].score > r.responses[l.items[i].rejected].score);
        assert_false(seen[l.items[i].chosen][l.items[i].rejected]);
        seen[l.items[i].chosen][l.items[i].rejected] = true;
    }
    record_release(&r);
    pair_list_release(&l);
}

/* The window of scores goes before the rule; of a rule's pairs as many as asked are drawn, each as often as another, in their order. */
static void fewer_responses_and_pairs(void **state) {
    (void)state;
    struct record r = {0};
    struct pair_list l = {0};
    struct pair_counts counts;
    unsigned drawn[4] = {0};
    read_text(&r, text_scores); /* a 3, b 8, c 8, d 1 */
    choose(&l, &counts, &r, (struct pair_rules){.rule = PAIR_BEST_WORST, .has_max_score = true, .max_score = 3});
    expect_pairs(&l, (const size_t[][2]){{0, 3}}, 1);
    assert_int_equal(counts.dropped_score, 2);
    choose(&l, &counts, &r, (struct pair_rules){.rule = PAIR_BEST_WORST, .has_min_score = true, .min_score = 3});
    expect_pairs(&l, (const size_t[][2]){{1, 0}}, 1);
    choose(&l, &counts, &r,
           (struct pair_rules){.rule = PAIR_BEST_WORST, .has_min_score = true, .min_score = 2, .has_max_score = true, .max_score = 7});
    assert_true(l.count == 0 && counts.dropped_score == 3 && counts.dropped_few_responses == 1);
    for (uint64_t seed = 0; seed < 4000; seed++) { /* 4 pairs: 8 over 3 and over 1, twice each; 2 of them */
        const size_t all[4][2] = {{1, 0}, {2, 0}, {1, 3}, {2, 3}};
        choose(&l, &counts, &r, (struct pair_rules){.rule = PAIR_ALL, .min_margin = 5, .max_pairs = 2, .seed = seed});
        assert_int_equal(l.count, 2);
        for (size_t i = 0, at = 0; i < 2; i++, at++) {
            while (at < 4 && (all[at][0] != l.items[i].chosen || all[at][1] != l.items[i].rejected)) at++;
            assert_true(at < 4);
            drawn[at]++;
        }
    }
    for (size_t i = 0; i < 4; i++) assert_true(drawn[i] > 1880 && drawn[i] < 2120); /* 2000, deviation 32 */
    choose(&l, &counts, &r, (struct pair_rules){.rule = PAIR_ALL, .min_margin = 5, .max_pairs = 4});
    assert_true(l.count == 4 && counts.dropped_drawn == 0);
    for (uint64_t seed = 0, tied = 0; seed < 64; seed++) { /* 8 over 8 is one of 6 pairs; a tie that is not drawn is not kept */
        choose(&l, &counts, &r, (struct pair_rules){.rule = PAIR_ALL, .max_pairs = 1, .seed = seed});
        assert_true(l.count == 1 && counts.dropped_drawn == 5);
        assert_int_equal(counts.ties, l.items[0].chosen == 1 && l.items[0].rejected == 2);
        tied += counts.ties;
        assert_true(seed < 63 || (tied > 0 && tied < 32));
    }
    record_release(&r);
    pair_list_release(&l);
}

/* The penalty counts characters, not bytes or JSON, and decides who wins; the margin is that of the scores. */
static void length_penalty(void **state) {
    (void)state;
    struct record r = {0};
    struct pair_list l = {0};
    struct pair_counts counts;
    read_text(&r, "{\"prompt\":\"q\",\"responses\":[{\"text\":\"\u00e4\u00f6\u00fc\u00e4\",\"score\":8},{\"text\":\"abc\",\"score\":7},{"
                  "\"text\":\"a\",\"score\":5}]}");
    choose(&l, &counts, &r, (struct pair_rules){.rule = PAIR_BEST_WORST, .length_penalty = 0.9}); /* 4.4, 4.3, 4.1 */
    expect_pairs(&l, (const size_t[][2]){{0, 2}}, 1);
    choose(&l, &counts, &r, (struct pair_rules){.rule = PAIR_BEST_WORST, .length_penalty = 2}); /* 0, 1, 3 */
    expect_pairs(&l, (const size_t[][2]){{2, 0}}, 1);
    assert_int_equal(counts.reversed, 1);
    choose(&l, &counts, &r, (struct pair_rules){.rule = PAIR_BEST_WORST, .length_penalty = 2, .min_margin = 0.5});
    assert_true(l.count == 0 && counts.dropped_margin == 1);
    read_text(
        &r,
        "{\"prompt\":[{\"role\":\"user\",\"content\":\"q\"}],\"responses\":["
        "{\"messages\":[{\"role\":\"assistant\",\"content\":\"\u00e4\u00f6\u00fc\u00e4\"}],\"score\":8},{\"text\":\"a\",\"score\":5}]}");
    choose(&l, &counts, &r, (struct pair_rules){.rule = PAIR_BEST_WORST, .length_penalty = 0.9}); /* 4.4, 4.1 */
    expect_pairs(&l, (const size_t[][2]){{0, 1}}, 1);
    choose(&l, &counts, &r, (struct pair_rules){.rule = PAIR_BEST_WORST, .length_penalty = 1.1}); /* 3.6, 3.9 */
    expect_pairs(&l, (const size_t[][2]){{1, 0}}, 1);
    record_release(&r);
    pair_list_release(&l);
}

/* 2 pairs of margin 1 and 2 of margin 3, in bins of 0.2; every pair is in a bar. */
static void margins(void **state) {
    (void)state;
    struct pair_margins m = {0};
    struct buf out = {0};
    pair_margins_text(&out, &m);
    assert_int_equal(out.size, 0);
    for (int i = 0; i < 4; i++) pair_margins_add(&m, 5, i % 2 ? 4 : 2);
    pair_margins_text(&out, &m);
    assert_non_null(strstr(out.data, "margin: mean 2, median 2, 10% 1, 90% 3; mean score: chosen 5, rejected 3\n"));
    assert_non_null(strstr(out.data, "       1 to 1.2      ######################################## 2\n"));
    assert_non_null(strstr(out.data, "     2.8 to 3        ######################################## 2\n"));
    buf_clear(&out);
    pair_margins_picture(&out, &m);
    assert_non_null(strstr(out.data, "</svg>\n"));
    pair_margins_add(&m, 1e308, -1e308); /* a margin that is no number a bin could hold */
    pair_margins_picture(&out, &m);
    pair_margins_text(&out, &m);
    pair_margins_release(&m);
    buf_release(&out);
}

static void what_takes_no_part(void **state) {
    (void)state;
    struct record r = {0};
    struct pair_list l = {0};
    struct pair_counts counts = {0};
    read_text(&r, "{\"prompt\":\"q\",\"responses\":[{\"text\":\" "
                  "\\n\",\"score\":9},{\"text\":\"b\"},{\"text\":\"c\",\"score\":\"N/A\"},{\"text\":\"d\",\"score\":1}]}");
    pair_choose(&l, &counts, &r, &(struct pair_rules){.rule = PAIR_ALL, .seed = 0});
    assert_true(l.count == 0 && counts.dropped_empty == 1 && counts.dropped_no_score == 2 && counts.dropped_few_responses == 1);
    read_text(&r, "{\"prompt\":\"q\",\"responses\":[{\"text\":\"x\",\"score\":9},{\"text\":\"x\",\"score\":1}]}");
    for (enum pair_rule rule = PAIR_PAPER; rule <= PAIR_ALL; rule++) {
        pair_choose(&l, &counts, &r, &(struct pair_rules){.rule = rule, .seed = 0});
        assert_true(l.count == 0 && counts.dropped_equal_text == (uint64_t)rule + 1);
    }
    read_text(&r, "{\"prompt\":\"q\",\"responses\":[{\"text\":\"x\",\"score\":5},{\"text\":\"y\",\"score\":5}]}");
    pair_choose(&l, &counts, &r, &(struct pair_rules){.rule = PAIR_BEST_WORST, .seed = 0});
    expect_pairs(&l, (const size_t[][2]){{0, 1}}, 1);
    record_release(&r);
    pair_list_release(&l);
}

#define COMPLETION(text, score, rating) \
    "{\"response\":\"" text "\",\"overall_score\":" score ",\"annotations\":{\"honesty\":{\"Rating\":\"" rating "\"}}}"

static void paper_rule_reads_ratings(void **state) {
    (void)state;
    struct record r = {0};
    struct pair_list l = {0};
    struct pair_counts counts = {0};
    read_text(&r, "{\"instruction\":\"q\",\"completions\":[" COMPLETION("a", "9", "N/A") "," COMPLETION("b", "7", "4") "," COMPLETION(
                      "c", "2", "4") "]}");
    pair_choose(&l, &counts, &r, &(struct pair_rules){.rule = PAIR_PAPER, .seed = 1});
    expect_pairs(&l, (const size_t[][2]){{1, 2}}, 1); /* equal means are kept; a is out by its N/A */
    assert_int_equal(counts.dropped_na, 1);
    pair_choose(&l, &counts, &r, &(struct pair_rules){.rule = PAIR_BEST_WORST, .seed = 1});
    expect_pairs(&l, (const size_t[][2]){{0, 2}}, 1);
    read_text(&r, "{\"instruction\":\"q\",\"completions\":[" COMPLETION("b", "7", "3") "," COMPLETION("c", "2", "4") "]}");
    pair_choose(&l, &counts, &r, &(struct pair_rules){.rule = PAIR_PAPER, .seed = 1});
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
    pair_put_row(&out, &r, (struct pair){1, 3}, &(struct pair_attributes){0}, false);
    assert_string_equal(
        out.data, "{\"prompt\": \"q\", \"chosen\": \"b\", \"rejected\": \"d\", \"score_chosen\": 8, \"score_rejected\": 1, \"id\": 7}");
    buf_clear(&out);
    read_text(&r, "{\"prompt\":[{\"role\":\"user\",\"content\":\"q\\u00e9\"}],\"responses\":[{\"text\":\"a\",\"score\":1.5},"
                  "{\"messages\":[{\"role\":\"assistant\",\"content\":\"b\"}],\"score\":-2}]}");
    pair_put_row(&out, &r, (struct pair){0, 1}, &(struct pair_attributes){0}, false);
    assert_string_equal(
        out.data, "{\"prompt\": [{\"role\":\"user\",\"content\":\"q\\u00e9\"}], \"chosen\": [{\"role\":\"assistant\",\"content\":\"a\"}], "
                  "\"rejected\": [{\"role\":\"assistant\",\"content\":\"b\"}], \"score_chosen\": 1.5, \"score_rejected\": -2}");
    buf_clear(&out);
    read_text(&r, "{\"source\":\"s\",\"instruction\":\"q\",\"completions\":[" COMPLETION("b", "7", "3") "," COMPLETION("c", "2", "4") "]}");
    pair_put_row(&out, &r, (struct pair){0, 1}, &(struct pair_attributes){0}, false);
    assert_string_equal(out.data, "{\"prompt\": \"q\", \"chosen\": \"b\", \"rejected\": \"c\", \"score_chosen\": 7, \"score_rejected\": 2, "
                                  "\"avg_fine_score_chosen\": 3, \"avg_fine_score_rejected\": 4, \"source\": \"s\"}");
    record_release(&r);
    buf_release(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_rule),
        cmocka_unit_test(rules_beyond_the_paper),
        cmocka_unit_test(cross_leaves_out_neighbours),
        cmocka_unit_test(fewer_responses_and_pairs),
        cmocka_unit_test(length_penalty),
        cmocka_unit_test(margins),
        cmocka_unit_test(what_takes_no_part),
        cmocka_unit_test(paper_rule_reads_ratings),
        cmocka_unit_test(writes_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
