/* Goals of several attributes: text, JSON, the block, distances, and the file. Expected texts are written by hand. */
#define _POSIX_C_SOURCE 200809L
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
#include "text/goal.h"

/* helpful 0 to 4, long -1 to 1, best 4 and 0. */
static struct goal_style two(const char *text) {
    struct goal_style g;
    goal_style_default(&g);
    assert_int_equal(goal_style_add(&g, "helpful"), ST_OK);
    assert_int_equal(goal_style_add(&g, "long"), ST_OK);
    g.attributes[0].low = 0, g.attributes[0].high = 4, g.attributes[1].low = -1, g.attributes[1].high = 1;
    g.best = (struct goal){2, {4, 0}};
    free(g.text);
    g.text = mem_text(text);
    return g;
}

static void block_is(const struct goal_style *g, const struct goal *goal, const char *want) {
    struct buf out = {0};
    assert_int_equal(goal_style_check(g), ST_OK);
    goal_put_block(&out, g, goal);
    assert_string_equal(buf_text(&out), want);
    buf_release(&out);
}

static void a_line_an_attribute(void **state) {
    (void)state;
    struct goal_style g = two("{scaled}|{lines}|{x}");
    block_is(&g, &(struct goal){2, {3, -0.5}}, "Helpful (0-4): 3.\nLong (-1-1): -0.5.|Helpful: 3.\nLong: -0.5.|{x}");
    g.quantum = 1;
    block_is(&g, &(struct goal){2, {3.4, 0.2}}, "Helpful (0-4): 3.\nLong (-1-1): 0.|Helpful: 3.\nLong: 0.|{x}");
    goal_style_release(&g);
    g = two("{s}/{lines}");
    assert_int_equal(goal_style_check(&g), ST_USAGE); /* no overall score */
    assert_int_equal(goal_style_add(&g, "overall"), ST_OK);
    g.attributes[2].low = 1, g.attributes[2].high = 10;
    g.best = (struct goal){3, {4, 0, 10}};
    block_is(&g, &(struct goal){3, {3, 1, 8.5}}, "8.5/Helpful: 3.\nLong: 1.");
    goal_style_default_lines(&g); /* different scales */
    assert_non_null(strstr(g.text, "{scaled}"));
    g.attributes[0].low = g.attributes[1].low = 1, g.attributes[0].high = g.attributes[1].high = 10;
    goal_style_default_lines(&g);
    block_is(&g, &(struct goal){3, {3, 1, 8.5}},
             "You are an assistant that generates responses for the instruction while implicitly achieving the following target scores (on "
             "a scale of 1-10, where 1 is "
             "lowest and 10 is highest):\nHelpful: 3.\nLong: 1.\nOverall score: 8.5.");
    goal_style_release(&g);
    /* the overall score alone is the paper's text */
    struct goal_style one, paper;
    goal_style_default(&one);
    goal_style_default(&paper);
    assert_int_equal(goal_style_add(&one, "overall"), ST_OK);
    one.attributes[0].low = 1, one.attributes[0].high = 10;
    one.best = (struct goal){1, {10}};
    goal_style_default_lines(&one);
    struct buf want = {0};
    goal_put_block(&want, &paper, &(struct goal){1, {7}});
    block_is(&one, &(struct goal){1, {7}}, buf_text(&want));
    buf_release(&want);
    goal_style_release(&one);
    goal_style_release(&paper);
}

static void goals_as_text_and_json(void **state) {
    (void)state;
    static const struct {
        const char *text;
        double value[2];
        const char *wrong; /* NULL: right */
    } cases[] = {
        {"helpful=3,long=1", {3, 1}, NULL},
        {"long=-1e0,helpful=.5", {0.5, -1}, NULL},
        {"best", {4, 0}, NULL},
        {"best,long=1", {4, 1}, NULL},
        {"best,long=1,helpful=9", {9, 1}, NULL},
        {"", {0, 0}, "no NAME=G"},
        {"8", {0, 0}, "no NAME=G"},
        {"helpful=3", {0, 0}, "lacks long"},
        {"helpful=3,long=1,", {0, 0}, "no NAME=G"},
        {"helpful=3,best", {0, 0}, "no NAME=G"},
        {"helpful=,long=1", {0, 0}, "no finite number for helpful"},
        {"helpful=3x,long=1", {0, 0}, "no finite number for helpful"},
        {"helpful=inf,long=1", {0, 0}, "no finite number for helpful"},
        {"helpful=1,helpful=2,long=1", {0, 0}, "two numbers for helpful"},
        {"Helpful=1,long=1", {0, 0}, "no attribute Helpful"},
        {"=1,long=1", {0, 0}, "no attribute"},
        {"{\"long\": 1, \"helpful\": 2}", {2, 1}, NULL},
        {"\"best,helpful=1\"", {1, 0}, NULL},
        {"{\"long\": 1}", {0, 0}, "lacks helpful"},
        {"{}", {0, 0}, "lacks helpful"},
        {"{\"long\": 1, \"helpful\": \"2\"}", {0, 0}, "no finite number for helpful"},
        {"[1, 2]", {0, 0}, "no object"},
        {"{\"a\\u0000\": 1}", {0, 0}, "no attribute a"},
    };
    struct goal_style g = two("{lines}");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *text = cases[i].text;
        struct goal goal;
        struct json v;
        status s;
        if (strchr("{[\"", text[0]) && text[0]) {
            assert_int_equal(json_parse(&v, text, strlen(text)), ST_OK);
            s = goal_parse_json(&goal, &g, v, NULL);
        } else {
            s = goal_parse(&goal, &g, text, NULL);
        }
        if (cases[i].wrong) {
            assert_int_equal(s, ST_USAGE);
            if (!strstr(status_message(), cases[i].wrong)) fail_msg("%s: %s", text, status_message());
            continue;
        }
        if (s != ST_OK) fail_msg("%s: %s", text, status_message());
        assert_true(goal.count == 2 && goal.value[0] == cases[i].value[0] && goal.value[1] == cases[i].value[1]);
    }
    struct goal_list list = {0};
    assert_int_equal(goal_parse_list(&list, &g, "best;;long=1,helpful=2;", NULL), ST_OK);
    assert_true(list.count == 2 && goal_list_has(&list, &(struct goal){2, {2, 1}}) && !goal_list_has(&list, &(struct goal){2, {1, 2}}));
    goal_list_release(&list);
    struct buf out = {0};
    goal_put_name(&out, &g, &(struct goal){2, {3, -0.5}});
    buf_append_char(&out, ' ');
    goal_put_json(&out, &g, &(struct goal){2, {3, -0.5}});
    goal_put_json(&out, &g, &(struct goal){0});
    assert_string_equal(buf_text(&out), "helpful=3,long=-0.5 {\"helpful\": 3, \"long\": -0.5}null");
    buf_release(&out);
    goal_style_release(&g);
}

static void distances_are_in_widths(void **state) {
    (void)state;
    struct goal_style g = two("{lines}"), one;
    goal_style_default(&one);
    /* (4 - 2) / 4 = 1/2 and (1 - 0) / 2 = 1/2: sqrt(1/4 + 1/4) */
    assert_true(fabs(goal_distance(&g, &(struct goal){2, {4, 1}}, &(struct goal){2, {2, 0}}) - sqrt(0.5)) < 1e-15);
    assert_true(fabs(goal_distance(&one, &(struct goal){1, {10}}, &(struct goal){1, {1}}) - 1) < 1e-15);
    assert_int_equal(goal_check_scale(&g, &(struct goal){2, {4, -1}}), ST_OK);
    assert_int_equal(goal_check_scale(&g, &(struct goal){2, {4, -1.1}}), ST_USAGE);
    goal_style_release(&g);
    goal_style_release(&one);
}

static void styles_survive_a_file(void **state) {
    (void)state;
    char path[] = "/tmp/rapt-goal-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    struct goal_style g = two("{lines}"), h;
    struct goal_counts counts = {0};
    goal_counts_add(&counts, &(struct goal){2, {3, 1}});
    goal_counts_add(&counts, &(struct goal){2, {3, -1}});
    goal_counts_add(&counts, &(struct goal){2, {3, 1}});
    assert_int_equal(goal_style_save(&g, &counts, path), ST_OK);
    struct buf text = {0};
    assert_int_equal(file_read(&text, path), ST_OK);
    assert_string_equal(buf_text(&text), "{\"text\": \"{lines}\", \"placement\": \"system\", \"attributes\": [{\"name\": \"helpful\", "
                                         "\"low\": 0, \"high\": 4, \"best\": 4}, "
                                         "{\"name\": \"long\", \"low\": -1, \"high\": 1, \"best\": 0}], \"quantum\": 0, "
                                         "\"histogram\": {\"helpful=3,long=-1\": 1, \"helpful=3,long=1\": 2}}\n");
    assert_int_equal(goal_style_load(&h, path), ST_OK);
    assert_true(h.attribute_count == 2 && h.best.count == 2 && h.best.value[1] == 0 && h.attributes[1].low == -1 &&
                strcmp(h.attributes[0].name, "helpful") == 0);
    assert_int_equal(goal_best_store(path, 3), ST_MISMATCH);
    goal_style_release(&h);
    /* what is no such file */
    static const struct {
        const char *attributes, *wrong;
    } bad[] = {
        {"7", "must be a list"},
        {"[]", "must be a list"},
        {"[7]", "attribute 1: \"name\" must be a string"},
        {"[{\"name\": \"a\"}]", "must run from a lower"},
        {"[{\"name\": \"a\", \"low\": 1, \"high\": 1}]", "must run from a lower"},
        {"[{\"name\": \"a\", \"low\": \"1\", \"high\": 2}]", "\"low\" must be a number"},
        {"[{\"name\": \"a\", \"low\": -1e308, \"high\": 1e308}]", "must run from a lower"},
        {"[{\"name\": \"a=b\", \"low\": 0, \"high\": 1}]", "is no name"},
        {"[{\"name\": \"\", \"low\": 0, \"high\": 1}]", "is no name"},
        {"[{\"name\": \"best\", \"low\": 0, \"high\": 1}]", "is no name"},
        {"[{\"name\": \"a\\u0000b\", \"low\": 0, \"high\": 1}]", "must be a string"},
        {"[{\"name\": \"a_b\", \"low\": 0, \"high\": 1}, {\"name\": \"A-b\", \"low\": 0, \"high\": 1}]", "would stand under one name"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        buf_clear(&text);
        buf_printf(&text, "{\"text\": \"{lines}\", \"placement\": \"user\", \"attributes\": %s}", bad[i].attributes);
        assert_int_equal(file_write(path, text.data, text.size), ST_OK);
        if (goal_style_load(&h, path) != ST_FORMAT) fail_msg("%s is taken", bad[i].attributes);
        if (!strstr(status_message(), bad[i].wrong)) fail_msg("%s: %s", bad[i].attributes, status_message());
    }
    unlink(path);
    buf_release(&text);
    goal_counts_release(&counts);
    goal_style_release(&g);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_line_an_attribute), cmocka_unit_test(goals_as_text_and_json),
                                       cmocka_unit_test(distances_are_in_widths), cmocka_unit_test(styles_survive_a_file)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
