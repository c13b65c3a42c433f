/* The goal block: its text, its numbers, and where it stands in messages and prompts. */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "text/goal.h"

#define BLOCK_8                                                                                                                 \
    "You are an assistant that generates responses for the instruction while implicitly achieving the following target scores " \
    "(on a scale of 1-10, where 1 is lowest and 10 is highest):\nOverall score: 8."

static void default_block_is_two_lines(void **state) {
    (void)state;
    struct goal_style g;
    struct buf out = {0};
    goal_style_default(&g);
    assert_int_equal(goal_style_check(&g), ST_OK);
    goal_put_block(&out, &g, &(struct goal){1, {8}});
    assert_string_equal(buf_text(&out), BLOCK_8);
    buf_clear(&out);
    g.low = 0, g.high = 4;
    goal_put_block(&out, &g, &(struct goal){1, {2.5}});
    assert_non_null(strstr(buf_text(&out), "scale of 0-4, where 0 is lowest and 4 is highest):\nOverall score: 2.5."));
    buf_release(&out);
    goal_style_release(&g);
}

static void scores_are_shortest(void **state) {
    (void)state;
    static const struct {
        double score, quantum;
        const char *text;
    } cases[] = {
        {8, 0, "8"},       {8.5, 0, "8.5"},    {7.25, 0, "7.25"},         {10, 0, "10"},      {-3, 0, "-3"},      {-0.0, 0, "0"},
        {0.1, 0, "0.1"},   {100, 0, "100"},    {7.3333333, 0.01, "7.33"}, {7.26, 0.5, "7.5"}, {7.25, 0.5, "7.5"}, {7.2, 0.5, "7"},
        {7.3, 0.1, "7.3"}, {0.35, 0.1, "0.4"}, {-0.001, 0.01, "0"},       {8.6, 1, "9"},      {12, 5, "10"},      {9.999, 0.01, "10"},
    };
    struct goal_style g;
    goal_style_default(&g);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf out = {0};
        g.quantum = cases[i].quantum;
        goal_put_score(&out, &g, cases[i].score);
        assert_string_equal(buf_text(&out), cases[i].text);
        buf_release(&out);
    }
    goal_style_release(&g);
}

/* Renders `messages` under a short template "<{s}>". NULL when it fails. */
static char *placed(enum goal_placement placement, const char *messages) {
    struct goal_style g;
    struct buf out = {0};
    struct json v;
    goal_style_default(&g);
    free(g.text);
    g.text = mem_text("<\n{s}>");
    g.placement = placement;
    assert_int_equal(json_parse(&v, messages, strlen(messages)), ST_OK);
    status code = goal_put_messages(&out, &g, v, &(struct goal){1, {8}});
    goal_style_release(&g);
    if (code != ST_OK) {
        assert_int_equal(out.size, 0);
        buf_release(&out);
        return NULL;
    }
    assert_int_equal(json_parse(&v, out.data, out.size), ST_OK);
    return out.data;
}

static void expect_placed(enum goal_placement placement, const char *messages, const char *expected) {
    char *got = placed(placement, messages);
    assert_non_null(got);
    assert_string_equal(got, expected);
    free(got);
}

#define USER "{\"role\": \"user\", \"content\": \"q \\u00e9\"}"
#define REPLY "{\"role\": \"assistant\", \"content\": \"a\"}"
static void placements(void **state) {
    (void)state;
    expect_placed(GOAL_SYSTEM, "[" USER "]", "[{\"role\": \"system\", \"content\": \"<\\n8>\"}, " USER "]");
    expect_placed(GOAL_SYSTEM, "[{\"role\":\"system\",\"content\":\"be\\tkind\",\"name\":1e2}," USER "]",
                  "[{\"role\": \"system\", \"content\": \"<\\n8>\\n\\nbe\\tkind\", \"name\": 1e2}, " USER "]");
    expect_placed(GOAL_SYSTEM, "[{\"role\":\"system\",\"content\":\"\"}," USER "]",
                  "[{\"role\": \"system\", \"content\": \"<\\n8>\"}, " USER "]");
    expect_placed(GOAL_SYSTEM, "[{\"role\":\"system\"}]", "[{\"role\": \"system\", \"content\": \"<\\n8>\"}]");
    expect_placed(
        GOAL_SYSTEM, "[{\"role\":\"system\",\"content\":[{\"type\":\"text\",\"text\":\"t\"}]}]",
        "[{\"role\": \"system\", \"content\": [{\"type\": \"text\", \"text\": \"<\\n8>\\n\\n\"}, {\"type\":\"text\",\"text\":\"t\"}]}]");
    expect_placed(GOAL_USER, "[" USER "," REPLY "," USER "]",
                  "[{\"role\": \"user\", \"content\": \"<\\n8>\\n\\nq \\u00e9\"}, " REPLY ", " USER "]");
    expect_placed(GOAL_AFTER, "[" USER "," REPLY "," USER "]",
                  "[" USER ", " REPLY ", {\"role\": \"user\", \"content\": \"q \\u00e9\\n\\n<\\n8>\"}]");
    expect_placed(GOAL_USER, "[{\"role\":\"system\",\"content\":\"s\"}," USER "]",
                  "[{\"role\":\"system\",\"content\":\"s\"}, {\"role\": \"user\", \"content\": \"<\\n8>\\n\\nq \\u00e9\"}]");
    expect_placed(GOAL_SYSTEM, "[]", "[{\"role\": \"system\", \"content\": \"<\\n8>\"}]");
}

static void refusals(void **state) {
    (void)state;
    assert_null(placed(GOAL_USER, "[" REPLY "]"));
    assert_non_null(strstr(status_message(), "the messages have none"));
    assert_null(placed(GOAL_AFTER, "[]"));
    assert_null(placed(GOAL_SYSTEM, "{}"));
    assert_null(placed(GOAL_SYSTEM, "[3]"));
    assert_null(placed(GOAL_USER, "[{\"role\":\"user\",\"content\":7}]"));
    assert_string_equal(status_message(), "message 1: a message's \"content\" must be a string or a list of parts, not a number");
    struct goal_style g;
    goal_style_default(&g);
    free(g.text);
    g.text = mem_text("no score");
    assert_int_equal(goal_style_check(&g), ST_USAGE);
    goal_style_release(&g);
}

static void prompts(void **state) {
    (void)state;
    struct goal_style g;
    struct buf out = {0};
    goal_style_default(&g);
    free(g.text);
    g.text = mem_text("[{s}|{x}{]");
    g.placement = GOAL_USER;
    goal_put_prompt(&out, &g, "hi", 2, &(struct goal){1, {8.5}});
    assert_string_equal(buf_text(&out), "[8.5|{x}{]\n\nhi");
    buf_clear(&out);
    g.placement = GOAL_AFTER;
    goal_put_prompt(&out, &g, "hi", 2, &(struct goal){1, {8.5}});
    assert_string_equal(buf_text(&out), "hi\n\n[8.5|{x}{]");
    buf_release(&out);
    goal_style_release(&g);
}

static void styles_survive_a_file(void **state) {
    (void)state;
    char path[] = "/tmp/rapt-goal-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    struct goal_style g, h;
    goal_style_default(&g);
    g.placement = GOAL_AFTER;
    g.low = 0, g.high = 4, g.quantum = 0.25;
    assert_int_equal(goal_style_save(&g, NULL, path), ST_OK);
    assert_int_equal(goal_style_load(&h, path), ST_OK);
    assert_string_equal(h.text, g.text);
    assert_true(h.placement == GOAL_AFTER && h.low == 0 && h.high == 4 && h.quantum == 0.25);
    goal_style_release(&h);
    goal_style_release(&g);
    FILE *f = fopen(path, "w");
    fputs("{\"text\": \"{s}\", \"placement\": \"above\"}", f);
    fclose(f);
    assert_int_equal(goal_style_load(&h, path), ST_FORMAT);
    assert_non_null(strstr(status_message(), "\"placement\" must be one of system|user|after|auto"));
    remove(path);
}

/* Tokens stand for the goals of a scale, its ends for what lies beyond them; a list that does not fit the scale is refused. */
static void tokens_stand_for_goals(void **state) {
    (void)state;
    static const struct {
        double score;
        const char *text;
    } cases[] = {{1, "<a>"}, {1.5, "<b>"}, {2.9, "<e>"}, {3, "<e>"}, {-7, "<a>"}, {1e300, "<e>"}};
    static const struct {
        double low, high, quantum;
        const char *tokens, *error;
    } refused[] = {{1, 3, 0.5, "<a>,<b>", "2 tokens for the 5 goals"},
                   {1, 3, 0.5, "<a>,<b>,<c>,<d>,<a>", "two goals have the token <a>"},
                   {1, 3, 0.5, "<a>,,<c>,<d>,<e>", "token is empty"},
                   {1, 3, 0, "<a>,<b>", "whole steps"},
                   {1, 10, 2, "<a>,<b>,<c>,<d>,<e>", "whole steps"},
                   {0.5, 2.5, 1, "<a>,<b>,<c>", "whole steps"}, /* goals are multiples of 1 */
                   {1, 1e300, 1, "<a>,<b>", "2 tokens for the 1e+300 goals"}};
    struct goal_style g, back;
    struct buf out = {0};
    goal_style_default(&g);
    free(g.text);
    g.text = mem_text("Goal {s}");
    g.low = 1, g.high = 3, g.quantum = 0.5;
    goal_style_set_tokens(&g, "<a>,<b>,<c>,<d>,<e>");
    assert_int_equal(goal_style_check(&g), ST_OK);
    char path[] = "/tmp/rapt-goal-XXXXXX";
    close(mkstemp(path));
    assert_int_equal(goal_style_save(&g, NULL, path), ST_OK);
    assert_int_equal(goal_style_load(&back, path), ST_OK);
    unlink(path);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        buf_clear(&out);
        goal_put_block(&out, &back, &(struct goal){1, {cases[i].score}});
        assert_string_equal(buf_text(&out) + strlen("Goal "), cases[i].text);
    }
    buf_clear(&out);
    goal_put_name(&out, &back, &(struct goal){1, {1.5}}); /* for people it stays a number */
    assert_string_equal(buf_text(&out), "1.5");
    goal_style_release(&back);
    goal_style_release(&g);
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        goal_style_default(&g);
        g.low = refused[i].low, g.high = refused[i].high, g.quantum = refused[i].quantum;
        goal_style_set_tokens(&g, refused[i].tokens);
        assert_int_equal(goal_style_check(&g), ST_USAGE);
        if (!strstr(status_message(), refused[i].error)) fail_msg("'%s' is not in '%s'", refused[i].error, status_message());
        goal_style_release(&g);
    }
    static const char *const broken[] = {"\"a\"", "[1]", "[\"a\", null]", "[\"a\", \"b\"]", "[\"a\\u0000\", \"b\"]"};
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        struct json root;
        buf_clear(&out);
        buf_printf(&out, "{\"text\": \"{s}\", \"placement\": \"after\", \"low\": 1, \"high\": 3, \"quantum\": 1, \"tokens\": %s}",
                   broken[i]);
        assert_int_equal(json_parse(&root, buf_text(&out), out.size), ST_OK);
        assert_int_equal(goal_style_parse(&g, root), ST_FORMAT);
    }
    buf_release(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(default_block_is_two_lines),
        cmocka_unit_test(scores_are_shortest),
        cmocka_unit_test(placements),
        cmocka_unit_test(refusals),
        cmocka_unit_test(prompts),
        cmocka_unit_test(styles_survive_a_file),
        cmocka_unit_test(tokens_stand_for_goals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
