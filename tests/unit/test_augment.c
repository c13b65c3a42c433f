#define _POSIX_C_SOURCE 200809L
/* The relabelling: plans of every mode against what follows by hand, whole rows byte for byte, and the released data's edge cases. */
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

#include "data/augment.h"

static struct goal_style style;
static struct augment_options own(void) {
    return (struct augment_options){.input = "in.jsonl", .output = "out.jsonl", .style = &style, .seed = 42};
}

static void expect_plan(const struct augment_emits *e, const struct augment_emit *want, size_t count) {
    assert_int_equal(e->count, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(e->items[i].swap, want[i].swap);
        assert_true(goal_equal(&e->items[i].goal, &want[i].goal));
        assert_int_equal(e->items[i].goal_of, want[i].goal_of);
    }
}

#define EMIT(swap, goal, of) {swap, {1, {goal}}, GOAL_OF_##of}
static void modes_plan_as_defined(void **state) {
    (void)state;
    const struct goal s[2] = {{1, {8}}, {1, {3}}};
    struct augment_options o = own();
    struct augment_counts c = {0};
    struct augment_emits e = {0};
    augment_plan(&e, &c, &o, s, s, NULL, 0, 0, 0);
    expect_plan(&e, (const struct augment_emit[]){EMIT(false, 8, CHOSEN), EMIT(true, 3, REJECTED)}, 2);
    o.mode = AUGMENT_PREFIX_ONLY;
    augment_plan(&e, &c, &o, s, s, NULL, 0, 0, 0);
    expect_plan(&e, (const struct augment_emit[]){EMIT(false, 8, CHOSEN), EMIT(false, 3, REJECTED)}, 2);
    o.mode = AUGMENT_PLAIN;
    augment_plan(&e, &c, &o, s, s, NULL, 0, 0, 0);
    expect_plan(&e, (const struct augment_emit[]){{false, {0}, GOAL_OF_NONE}}, 1);
    size_t exchanged = 0, first = 0;
    for (uint64_t id = 0; id < 1000; id++) {
        o.mode = AUGMENT_RANDOM_ORDER;
        augment_plan(&e, &c, &o, s, s, NULL, 0, id, id);
        bool x = e.items[0].swap;
        expect_plan(&e, (const struct augment_emit[]){EMIT(x, 8, CHOSEN), EMIT(!x, 3, REJECTED)}, 2);
        exchanged += x;
        o.mode = AUGMENT_HALF_GOALS;
        augment_plan(&e, &c, &o, s, s, NULL, 0, id, id);
        assert_int_equal(e.count, 1);
        assert_true(e.items[0].swap == (e.items[0].goal.value[0] == 3));
        first += !e.items[0].swap;
    }
    assert_true(exchanged > 430 && exchanged < 570 && first > 430 && first < 570);
    assert_int_equal(c.dropped_half, 1000);
    size_t kept[2] = {0, 0};
    o.mode = AUGMENT_HALF_PAIRS;
    for (uint64_t n = 0; n < 1000; n += 2) { /* exactly one of two neighbours */
        augment_plan(&e, &c, &o, s, s, NULL, 0, n, n);
        size_t a = e.count;
        augment_plan(&e, &c, &o, s, s, NULL, 0, n + 1, n + 1);
        assert_int_equal(a + e.count, 2);
        kept[a == 0]++;
    }
    assert_true(kept[0] > 200 && kept[1] > 200);
    augment_emits_release(&e);
}

static void any_goal_prefers_the_nearer(void **state) {
    (void)state;
    const struct goal s[2] = {{1, {8}}, {1, {3}}}, list[] = {{1, {10}}, {1, {5.5}}, {1, {5}}, {1, {6}}, {1, {8}}, {1, {1}}};
    struct augment_options o = own();
    struct augment_counts c = {0};
    struct augment_emits e = {0};
    o.goals = AUGMENT_GOALS_LIST;
    o.goal_list = list;
    o.goal_count = 6;
    augment_plan(&e, &c, &o, s, s, NULL, 0, 0, 0);
    expect_plan(&e,
                (const struct augment_emit[]){EMIT(false, 10, NONE), EMIT(true, 5, NONE), EMIT(false, 6, NONE), EMIT(false, 8, CHOSEN),
                                              EMIT(true, 1, NONE)},
                5);
    assert_true(c.goals_equidistant == 1 && c.goals_above_both == 1);
    const struct goal near[2] = {{1, {7.1}}, {1, {6.9}}}, seven = {1, {7}}; /* |7 - 7.1| and |7 - 6.9| differ in the last bit only */
    o.goal_list = &seven;
    o.goal_count = 1;
    augment_plan(&e, &c, &o, near, near, NULL, 0, 0, 0);
    assert_true(e.count == 0 && c.goals_equidistant == 2);
    o.goals = AUGMENT_GOALS_PROMPT;
    const struct goal all[] = {{1, {6}}, {1, {8}}, {1, {3}}, {1, {1}}};
    augment_plan(&e, &c, &o, s, s, all, 4, 0, 0);
    expect_plan(
        &e, (const struct augment_emit[]){EMIT(false, 8, CHOSEN), EMIT(true, 3, REJECTED), EMIT(false, 6, NONE), EMIT(true, 1, NONE)}, 4);
    augment_emits_release(&e);
}

static void dropout_leaves_one_plain_row(void **state) {
    (void)state;
    const struct goal s[2] = {{1, {8}}, {1, {3}}};
    struct augment_options o = own();
    struct augment_counts c = {0};
    struct augment_emits e = {0};
    o.goal_dropout = 0.25;
    size_t plain = 0;
    for (uint64_t id = 0; id < 1000; id++) {
        augment_plan(&e, &c, &o, s, s, NULL, 0, id, id);
        if (e.count == 1) {
            expect_plan(&e, (const struct augment_emit[]){{false, {0}, GOAL_OF_NONE}}, 1);
            plain++;
        } else
            assert_int_equal(e.count, 2);
    }
    assert_true(plain > 190 && plain < 310 && c.goals_dropped_out == plain);
    augment_emits_release(&e);
}

/* goal: two numbers, NaN none. */
static enum augment_fate judge(struct augment_counts *c, const struct augment_options *o, const double score[2], const double goal[2],
                               bool test) {
    struct goal g[2] = {{0}};
    for (int i = 0; i < 2; i++)
        if (goal[i] == goal[i]) g[i] = goal_of_score(goal[i]);
    return augment_judge(c, o, score, g, test);
}

static void judges_ties_and_disagreement(void **state) {
    (void)state;
    struct augment_options o = own();
    struct augment_counts c = {0};
    const double good[2] = {8, 3}, bad[2] = {3, 8}, close[2] = {7.6, 8.4}, rounded[2] = {8, 8}, none[2] = {(double)NAN, 3};
    assert_int_equal(judge(&c, &o, good, good, false), AUGMENT_USE);
    assert_int_equal(judge(&c, &o, none, none, false), AUGMENT_USE);
    assert_int_equal(judge(&c, &o, bad, bad, false), AUGMENT_DROP);
    o.on_disagree = AUGMENT_DISAGREE_RELABEL;
    assert_int_equal(judge(&c, &o, bad, bad, false), AUGMENT_USE_TURNED);
    o.on_disagree = AUGMENT_DISAGREE_KEEP;
    assert_int_equal(judge(&c, &o, bad, bad, true), AUGMENT_USE);
    assert_int_equal(judge(&c, &o, close, rounded, false), AUGMENT_DROP); /* a tie as printed, before any disagreement */
    o.ties = AUGMENT_TIES_KEEP;
    assert_int_equal(judge(&c, &o, close, rounded, false), AUGMENT_USE);
    assert_int_equal(judge(&c, &o, close, rounded, true), AUGMENT_DROP);
    o.ties = AUGMENT_TIES_PLAIN;
    assert_int_equal(judge(&c, &o, close, rounded, false), AUGMENT_USE_PLAIN);
    assert_true(c.dropped_disagree == 1 && c.disagree_relabelled == 1 && c.disagree_kept == 1);
    assert_true(c.dropped_tie == 2 && c.ties_kept == 1 && c.ties_plain == 1);
}

static char folder[] = "/tmp/rapt_augment_XXXXXX";

static void run_text(struct augment_counts *c, const struct augment_options *o, const char *input) {
    assert_int_equal(file_write(o->input, input, strlen(input)), ST_OK);
    status s = augment_run(c, o);
    if (s != ST_OK) fail_msg("%s", status_message());
}
static void expect_file(const char *path, const char *want) {
    struct buf text = {0};
    assert_int_equal(file_read(&text, path), ST_OK);
    assert_string_equal(buf_text(&text), want);
    buf_release(&text);
}
static void expect_rows(const struct augment_options *o, const char *input, const char *want) {
    struct augment_counts c;
    run_text(&c, o, input);
    expect_file(o->output, want);
}

#define SYS(s)                                                                                                                        \
    "You are an assistant that generates responses for the instruction while implicitly achieving the following target scores (on a " \
    "scale of 1-10, where 1 is lowest and 10 is highest):\\nOverall score: " s "."
#define GOAL_TURN(s) "{\"role\": \"system\", \"content\": \"" SYS(s) "\"}"
#define Q "{\"role\": \"user\", \"content\": \"q\\n\"}"
#define A(text) "[{\"role\": \"assistant\", \"content\": \"" text "\"}]"
#define ROW \
    "{\"id\":1.0,\"prompt\":\"q\\n\",\"chosen\":\"w\",\"rejected\":\"l\",\"score_chosen\":8.5,\"score_rejected\":3,\"x\":{\"y\": [1]}}\n"
#define REST ", \"source_row\": 0, \"id\": 1.0, \"x\": {\"y\": [1]}}\n"

static void writes_both_halves(void **state) {
    (void)state;
    struct augment_options o = own();
    expect_rows(&o, ROW,
                "{\"prompt\": [" GOAL_TURN("8.5") ", " Q "], \"chosen\": " A("w") ", \"rejected\": " A(
                    "l") ", \"goal\": 8.5, \"goal_of\": \"chosen\", "
                         "\"score_chosen\": 8.5, \"score_rejected\": 3" REST "{\"prompt\": [" GOAL_TURN("3") ", " Q "], \"chosen\": " A(
                             "l") ", \"rejected\": " A("w") ", \"goal\": 3, \"goal_of\": \"rejected\", "
                                                            "\"score_chosen\": 3, \"score_rejected\": 8.5" REST);
    struct goal_style saved;
    assert_int_equal(goal_style_load(&saved, "out.jsonl.goal.json"), ST_OK);
    assert_string_equal(saved.text, style.text);
    goal_style_release(&saved);
    o.mode = AUGMENT_PLAIN;
    expect_rows(&o, ROW,
                "{\"prompt\": [" Q
                "], \"chosen\": " A("w") ", \"rejected\": " A("l") ", \"score_chosen\": 8.5, \"score_rejected\": 3" REST);
    assert_false(file_exists("out.jsonl.goal.json"));
    o.mode = AUGMENT_SFT;
    expect_rows(&o, ROW,
                "{\"prompt\": [" GOAL_TURN("8.5") ", " Q "], \"completion\": " A(
                    "w") ", \"goal\": 8.5, \"goal_of\": \"chosen\", \"score\": 8.5" REST
                         "{\"prompt\": [" GOAL_TURN("3") ", " Q "], \"completion\": " A(
                             "l") ", \"goal\": 3, \"goal_of\": \"rejected\", \"score\": 3" REST);
}

/* What belongs to one response of a pair does not ride along: after the swap it would be the other's. */
static void numbers_of_one_side_stay_behind(void **state) {
    (void)state;
    struct goal_style user = style;
    user.placement = GOAL_USER;
    struct augment_options o = own();
    struct augment_counts c;
    struct buf text = {0};
    o.style = &user;
    run_text(&c, &o,
             "{\"prompt\":\"q\",\"chosen\":\"w\",\"rejected\":\"l\",\"score_chosen\":8,\"score_rejected\":3,"
             "\"scores_chosen\":{\"help\":4},\"attributes_rejected\":{\"help\":1},\"scores\":[8,3],\"id\":7}\n");
    assert_int_equal(c.rows_written, 2);
    assert_int_equal(file_read(&text, o.output), ST_OK);
    assert_null(strstr(buf_text(&text), "help"));
    assert_non_null(strstr(buf_text(&text), "\"scores\": [8,3], \"id\": 7}"));
    buf_release(&text);
}

static void strings_stay_strings_in_user_turns(void **state) {
    (void)state;
    struct goal_style user = style;
    user.placement = GOAL_USER;
    struct augment_options o = own();
    o.style = &user;
    o.mode = AUGMENT_PREFIX_ONLY;
    expect_rows(&o, ROW,
                "{\"prompt\": \"" SYS(
                    "8.5") "\\n\\nq\\n\", \"chosen\": \"w\", \"rejected\": \"l\", \"goal\": 8.5, \"goal_of\": \"chosen\", "
                           "\"score_chosen\": 8.5, \"score_rejected\": 3" REST "{\"prompt\": \"" SYS(
                               "3") "\\n\\nq\\n\", \"chosen\": \"w\", \"rejected\": \"l\", \"goal\": 3, \"goal_of\": \"rejected\", "
                                    "\"score_chosen\": 8.5, \"score_rejected\": 3" REST);
    user.placement = GOAL_AFTER;
    o.mode = AUGMENT_OWN;
    o.goals = AUGMENT_GOALS_LIST;
    o.goal_list = &(const struct goal){1, {4}};
    o.goal_count = 1;
    expect_rows(
        &o, ROW,
        "{\"prompt\": [{\"role\": \"user\", \"content\": \"q\\n\\n\\n" SYS("4") "\"}], \"chosen\": " A("l") ", \"rejected\": " A(
            "w") ", \"goal\": 4, \"score_chosen\": 3, \"score_rejected\": 8.5" REST); /* at the end of a turn: strings become messages */
}

/* Whatever form a pair or its responses came in, the rows made of it are read again, with the goal in their prompt: no other name of the
 * prompt (instruction, question) may ride along and contradict it. */
static void rows_of_every_form_are_read_again(void **state) {
    (void)state;
    static const enum goal_placement places[] = {GOAL_SYSTEM, GOAL_USER, GOAL_AFTER};
    struct goal_style placed = style;
    struct augment_options o = own();
    size_t read = 0;
    o.style = &placed;
    for (size_t i = 0; i < source_form_count * 6; i++) {
        const struct source_form *form = &source_form_table[i / 6];
        struct augment_counts c;
        placed.placement = places[i % 3];
        o.mode = i % 6 < 3 ? AUGMENT_OWN : AUGMENT_SFT;
        assert_int_equal(file_write(o.input, form->example, strlen(form->example)), ST_OK);
        if (augment_run(&c, &o) != ST_OK || !c.rows_written) continue; /* no pair, or no score */
        struct source out;
        struct record r = {0};
        bool end = false;
        assert_int_equal(source_open(&out, "out.jsonl", SOURCE_STOP, NULL), ST_OK);
        for (size_t rows = 0; !end; rows++) {
            if (source_next(&out, &r, &end) != ST_OK)
                fail_msg("%s, %s: %s", form->name, goal_placement_name(placed.placement), status_message());
            if (end) {
                assert_int_equal(rows, c.rows_written);
                break;
            }
            assert_int_equal(r.kind, o.mode == AUGMENT_SFT ? RECORD_SFT : RECORD_PAIR);
            assert_non_null(strstr(buf_text(&r.prompt), "Overall score: "));
            read++;
        }
        source_release(&out);
        record_release(&r);
    }
    assert_true(read >= 60);
}

static void released_bug_on_request(void **state) {
    (void)state;
    struct goal_style user = style;
    user.placement = GOAL_USER;
    struct augment_options o = own();
    o.style = &user;
    o.paper_nosys_bug = true;
#define TURN(text) "{\"role\": \"user\", \"content\": \"" text "\"}"
#define ANSWER(text) "{\"role\": \"assistant\", \"content\": \"" text "\"}"
    expect_rows(&o, "{\"prompt\":\"q\",\"chosen\":\"w\",\"rejected\":\"l\",\"score_chosen\":9,\"score_rejected\":2}",
                "{\"chosen\": [" TURN(SYS("9") "\\n\\nq") ", " ANSWER("w") "], \"rejected\": [" TURN(SYS("9") "\\n\\nq") ", " ANSWER(
                    "l") "], "
                         "\"goal\": 9, \"goal_of\": \"chosen\", \"score_chosen\": 9, \"score_rejected\": 2, \"source_row\": 0}\n"
                         "{\"chosen\": [" TURN(SYS("2") "\\n\\nq") ", " ANSWER("w") "], \"rejected\": [" TURN(SYS("2") "\\n\\n" SYS(
                             "2") "\\n\\nq") ", " ANSWER("l") "], "
                                                              "\"goal\": 2, \"goal_of\": \"rejected\", \"score_chosen\": 9, "
                                                              "\"score_rejected\": 2, \"source_row\": 0}\n");
}

static void maps_and_quantises(void **state) {
    (void)state;
    struct goal_style half = style;
    half.quantum = 0.5;
    half.text = (char[]){"{a}..{b}: {s}"};
    half.placement = GOAL_USER;
    struct augment_options o = own();
    o.style = &half;
    o.map_scores = true;
    o.from_low = -1;
    o.from_high = 1;
    /* -1..1 to 1..10: 0.5 -> 1 + 1.5 * 4.5 = 7.75 -> goal 8; -0.3 -> 1 + 0.7 * 4.5 = 4.15 -> goal 4 */
    expect_rows(&o, "{\"prompt\":\"q\",\"chosen\":\"w\",\"rejected\":\"l\",\"metadata\":{\"score_chosen\":0.5,\"score_rejected\":-0.3}}",
                "{\"prompt\": \"1..10: 8\\n\\nq\", \"chosen\": \"w\", \"rejected\": \"l\", \"goal\": 8, \"goal_of\": \"chosen\", "
                "\"score_chosen\": 7.75, "
                "\"score_rejected\": 4.15, \"source_row\": 0, \"metadata\": {\"score_chosen\":0.5,\"score_rejected\":-0.3}}\n"
                "{\"prompt\": \"1..10: 4\\n\\nq\", \"chosen\": \"l\", \"rejected\": \"w\", \"goal\": 4, \"goal_of\": \"rejected\", "
                "\"score_chosen\": 4.15, "
                "\"score_rejected\": 7.75, \"source_row\": 0, \"metadata\": {\"score_chosen\":0.5,\"score_rejected\":-0.3}}\n");
}

static void responses_become_pairs(void **state) {
    (void)state;
    struct goal_style bare = style;
    bare.text = (char[]){"{s}"};
    bare.placement = GOAL_USER;
    struct augment_options o = own();
    o.style = &bare;
    o.rules.rule = PAIR_ALL;
    static const char input[] =
        "{\"prompt\":\"q\",\"responses\":[{\"text\":\"a\",\"score\":1},{\"text\":\"b\",\"score\":9},{\"text\":\"c\",\"score\":9}]}\n"
        "{\"prompt\":\"r\",\"chosen\":\"w\",\"rejected\":\"l\",\"score_chosen\":5,\"score_rejected\":4}\n";
    struct augment_counts c;
    run_text(&c, &o, input);
    /* three pairs in row 0, of which b, c tie: source_row 0, 1, (2); so row 1 is 3 */
    expect_file("out.jsonl", "{\"prompt\": \"9\\n\\nq\", \"chosen\": \"b\", \"rejected\": \"a\", \"goal\": 9, \"goal_of\": \"chosen\", "
                             "\"score_chosen\": 9, \"score_rejected\": 1, \"source_row\": 0}\n"
                             "{\"prompt\": \"1\\n\\nq\", \"chosen\": \"a\", \"rejected\": \"b\", \"goal\": 1, \"goal_of\": \"rejected\", "
                             "\"score_chosen\": 1, \"score_rejected\": 9, \"source_row\": 0}\n"
                             "{\"prompt\": \"9\\n\\nq\", \"chosen\": \"c\", \"rejected\": \"a\", \"goal\": 9, \"goal_of\": \"chosen\", "
                             "\"score_chosen\": 9, \"score_rejected\": 1, \"source_row\": 1}\n"
                             "{\"prompt\": \"1\\n\\nq\", \"chosen\": \"a\", \"rejected\": \"c\", \"goal\": 1, \"goal_of\": \"rejected\", "
                             "\"score_chosen\": 1, \"score_rejected\": 9, \"source_row\": 1}\n"
                             "{\"prompt\": \"5\\n\\nr\", \"chosen\": \"w\", \"rejected\": \"l\", \"goal\": 5, \"goal_of\": \"chosen\", "
                             "\"score_chosen\": 5, \"score_rejected\": 4, \"source_row\": 3}\n"
                             "{\"prompt\": \"4\\n\\nr\", \"chosen\": \"l\", \"rejected\": \"w\", \"goal\": 4, \"goal_of\": \"rejected\", "
                             "\"score_chosen\": 4, \"score_rejected\": 5, \"source_row\": 3}\n");
    assert_true(c.pairs_read == 4 && c.pairs_train == 3 && c.dropped_tie == 1 && c.rows_written == 6);
}

/* Rows 0..n-1 with scores (i + 2, i + 1) * 0.01. */
static void many_rows(struct buf *out, size_t count) {
    for (size_t i = 0; i < count; i++)
        buf_printf(out, "{\"prompt\":\"q%zu\",\"chosen\":\"w%zu\",\"rejected\":\"l%zu\",\"score_chosen\":%g,\"score_rejected\":%g}\n", i, i,
                   i, (double)(i + 2) * 0.01, (double)(i + 1) * 0.01);
}

static size_t read_records(struct record *records, size_t capacity, const char *path) {
    struct source s;
    bool end = false;
    size_t count = 0;
    assert_int_equal(source_open(&s, path, SOURCE_STOP, NULL), ST_OK);
    for (;; count++) {
        struct record r = {0};
        assert_int_equal(source_next(&s, &r, &end), ST_OK);
        if (end) break;
        assert_true(count < capacity);
        records[count] = r;
    }
    source_release(&s);
    return count;
}

static void shuffled_permutes_goals_alone(void **state) {
    (void)state;
    enum { N = 200 };
    struct augment_options o = own();
    o.mode = AUGMENT_SHUFFLED;
    struct buf input = {0};
    struct augment_counts c;
    static struct record r[2 * N + 1];
    many_rows(&input, N);
    run_text(&c, &o, input.data);
    assert_int_equal(read_records(r, 2 * N + 1, "out.jsonl"), 2 * N);
    bool seen[N] = {false};
    size_t moved = 0;
    for (size_t i = 0; i < N; i++) {
        size_t t = (size_t)lround(r[2 * i].goal * 100) - 2; /* the pair whose goals these were */
        assert_true(t < N && !seen[t] && lround(r[2 * i + 1].goal * 100) == (long)t + 1);
        seen[t] = true;
        moved += t != i;
        assert_true(r[2 * i].source_row == (int64_t)i && r[2 * i].goal_of == GOAL_OF_CHOSEN && r[2 * i + 1].goal_of == GOAL_OF_REJECTED);
        assert_true(fabs(r[2 * i].score_chosen - (double)(i + 2) * 0.01) < 1e-12);
        assert_string_equal(buf_text(&r[2 * i].chosen), buf_text(&r[2 * i + 1].rejected));
    }
    assert_true(moved > N / 2);
    for (size_t i = 0; i < 2 * N; i++) record_release(&r[i]);
    buf_release(&input);
}

static void splits_by_prompt(void **state) {
    (void)state;
    enum { N = 1000 };
    struct augment_options o = own();
    o.test_output = "test.jsonl";
    o.test_split = 0.2;
    struct buf input = {0};
    struct augment_counts c;
    static struct record r[2 * N];
    many_rows(&input, N);
    run_text(&c, &o, input.data);
    assert_true(c.pairs_train + c.pairs_test == N && c.pairs_test > 160 && c.pairs_test < 240);
    assert_true(c.rows_written == 2 * c.pairs_train && c.test_rows_written == 2 * c.pairs_test);
    uint64_t in_test = c.pairs_test;
    size_t count = read_records(r, 2 * N, "test.jsonl");
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(r[i].goal_of, i % 2 ? GOAL_OF_REJECTED : GOAL_OF_CHOSEN);
        record_release(&r[i]);
    }
    o.mode = AUGMENT_PLAIN; /* the same prompts, under both goals still */
    o.seed = 7;
    run_text(&c, &o, input.data);
    assert_true(c.pairs_test == in_test && c.rows_written == c.pairs_train && c.test_rows_written == 2 * c.pairs_test);
    assert_true(file_exists("out.jsonl.goal.json"));
    o.test_unconditioned = true;
    run_text(&c, &o, input.data);
    assert_int_equal(c.test_rows_written, c.pairs_test);
    assert_false(file_exists("out.jsonl.goal.json"));
    buf_release(&input);
}

static void broken_rows(void **state) {
    (void)state;
    static const struct {
        const char *row, *message;
    } cases[] = {
        {"{\"prompt\":\"q\",\"chosen\":\"a\",\"rejected\":\"b\",\"score_chosen\":1}", "in.jsonl:1: field score_rejected: missing"},
        {"{\"prompt\":\"q\",\"chosen\":\"a\",\"rejected\":\"b\",\"score_chosen\":2,\"score_rejected\":1,\"goal\":2}",
         "field goal: the row is goal-conditioned already"},
        {"{\"prompt_ids\":[1],\"chosen_ids\":[2],\"rejected_ids\":[3]}", "field prompt_ids: a goal cannot be written into token ids"},
        {"{\"prompt\":\"q\"}", "expected a pair or several scored responses, found a prompt (form prompt)"},
        {"{\"chosen\":[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":\"x\"},{\"role\":\"assistant\",\"content\":"
         "\"1\"}],"
         "\"rejected\":[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":\"y\"},{\"role\":\"assistant\",\"content\":"
         "\"2\"}],"
         "\"score_chosen\":2,\"score_rejected\":1}",
         "field chosen: its answer begins with a user turn; the prompts of chosen and rejected must be the same"},
    };
    struct augment_options o = own();
    struct augment_counts c;
    unlink("out.jsonl");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(file_write("in.jsonl", cases[i].row, strlen(cases[i].row)), ST_OK);
        o.on_bad_row = SOURCE_STOP;
        assert_int_equal(augment_run(&c, &o), ST_FORMAT);
        if (!strstr(status_message(), cases[i].message)) fail_msg("case %zu: %s", i, status_message());
        assert_false(file_exists("out.jsonl"));
    }
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf text = {0};
        buf_printf(&text, "%s\n" ROW, cases[i].row);
        o.on_bad_row = SOURCE_SKIP;
        run_text(&c, &o, text.data);
        assert_true(c.rows_read == 2 && c.rows_skipped == 1 && c.pairs_read == 1 && c.rows_written == 2);
        expect_file("out.jsonl.rejected.jsonl", (buf_clear(&text), buf_printf(&text, "%s\n", cases[i].row), text.data));
        buf_release(&text);
    }
    unlink("out.jsonl.rejected.jsonl");
}

static void ultrafeedback_sample(void **state) {
    (void)state;
    const char *root = getenv("RAPT_SHARED_DATA");
    struct buf path = {0};
    buf_printf(&path, "%s/prefs/ultrafeedback_binarized_1200/train_clean.jsonl", root ? root : TEST_SOURCE_DIR "/../../shared/data");
    if (!file_exists(path.data)) {
        print_message("skipped: %s is not here\n", path.data);
        buf_release(&path);
        skip();
    }
    struct augment_options o = own();
    struct augment_counts c;
    o.input = path.data;
    assert_int_equal(augment_run(&c, &o), ST_OK);
    assert_true(c.rows_read == 1000 && c.pairs_read == 1000 && c.dropped_equal_text == 4 && c.dropped_empty == 2);
    assert_true(c.pairs_train + c.dropped_tie == 994 && c.rows_written == 2 * c.pairs_train && c.scores_off_scale == 0);
    buf_release(&path);
}

static int in_folder(void **state) {
    (void)state;
    goal_style_default(&style);
    return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}
static int out_of_folder(void **state) {
    (void)state;
    static const char *const names[] = {"in.jsonl", "out.jsonl", "out.jsonl.goal.json", "test.jsonl"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) unlink(names[i]);
    goal_style_release(&style);
    return chdir("/") == 0 && rmdir(folder) == 0 ? 0 : -1;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(modes_plan_as_defined),
        cmocka_unit_test(any_goal_prefers_the_nearer),
        cmocka_unit_test(dropout_leaves_one_plain_row),
        cmocka_unit_test(judges_ties_and_disagreement),
        cmocka_unit_test(writes_both_halves),
        cmocka_unit_test(numbers_of_one_side_stay_behind),
        cmocka_unit_test(strings_stay_strings_in_user_turns),
        cmocka_unit_test(rows_of_every_form_are_read_again),
        cmocka_unit_test(released_bug_on_request),
        cmocka_unit_test(maps_and_quantises),
        cmocka_unit_test(responses_become_pairs),
        cmocka_unit_test(shuffled_permutes_goals_alone),
        cmocka_unit_test(splits_by_prompt),
        cmocka_unit_test(broken_rows),
        cmocka_unit_test(ultrafeedback_sample),
    };
    return cmocka_run_group_tests(tests, in_folder, out_of_folder);
}
