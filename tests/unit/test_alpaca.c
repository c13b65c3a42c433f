/* AlpacaEval's win rates beside the alpaca_eval package on made annotations (tests/oracle/eval_alpaca.py), and what its files may not hold.
 */
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
#include "eval/alpaca.h"
#include "format/csv.h"

#define GOLDEN TEST_SOURCE_DIR "/golden/alpaca/"

static void ok(status s) {
    if (s != ST_OK) fail_msg("%s", status_message());
}

static double number(struct json object, const char *name) {
    double value = 0;
    if (!json_double(&value, json_get(object, name))) fail_msg("no number %s", name);
    return value;
}

/* Of a rate in percent: 0.01, the figure; counts exactly. */
static void near(const char *who, const char *what, double ours, double theirs, double tolerance, double *worst) {
    if (!(fabs(ours - theirs) <= tolerance)) fail_msg("%s, %s: %.6f, alpaca_eval %.6f", who, what, ours, theirs);
    if (worst) *worst = fmax(*worst, fabs(ours - theirs));
}

static const struct bootstrap_params params = {2000, 0.95, 0};

/* A bootstrap's interval of a mean of a hundred values is about that of the normal distribution with the package's standard error. */
static void is_normal(const char *who, const struct estimate *e, double value, double error) {
    if (!(fabs(e->value - value) < 1e-9 && fabs(e->low - (value - 1.96 * error)) < 0.4 * error + 1e-9 &&
          fabs(e->high - (value + 1.96 * error)) < 0.4 * error + 1e-9))
        fail_msg("%s: %g [%g, %g], expected %g +- 1.96 * %g", who, e->value, e->low, e->high, value, error);
}

static void one_model(const char *name, struct json expected, const struct alpaca_gamed *gamed, double *worst) {
    struct alpaca_set set;
    struct alpaca_rates r;
    struct alpaca_intervals intervals;
    struct buf path = {0};
    const struct json raw = json_get(expected, "length_controlled_v1");
    buf_printf(&path, GOLDEN "%s.json", name);
    ok(alpaca_load(&set, buf_text(&path)));
    alpaca_win_rates(&r, &set);
    assert_string_equal(set.generator[0], "base");
    assert_string_equal(set.generator[1], name);
    near(name, "win_rate", r.win_rate, number(raw, "win_rate"), 1e-9, NULL);
    near(name, "standard_error", r.standard_error, number(raw, "standard_error"), 1e-9, NULL);
    near(name, "discrete_win_rate", r.discrete_win_rate, number(raw, "discrete_win_rate"), 1e-9, NULL);
    near(name, "n_wins", (double)r.wins, number(raw, "n_wins"), 0, NULL);
    near(name, "n_wins_base", (double)r.wins_base, number(raw, "n_wins_base"), 0, NULL);
    near(name, "n_draws", (double)r.draws, number(raw, "n_draws"), 0, NULL);
    near(name, "n_total", (double)r.total, number(raw, "n_total"), 0, NULL);
    near(name, "avg_length", r.average_length, number(expected, "avg_length"), 1e-9, NULL);
    ok(alpaca_intervals(&intervals, &set, &params));
    is_normal(name, &intervals.win_rate, r.win_rate, r.standard_error);
    assert_true(fabs(intervals.length.value - r.average_length) < 1e-9 && intervals.length.low < r.average_length &&
                r.average_length < intervals.length.high);
    for (size_t i = 0; i < alpaca_glm_count; i++) {
        struct alpaca_lc lc;
        const struct json row = json_get(expected, alpaca_glm_table[i].name);
        ok(alpaca_length_controlled(&lc, &set, &alpaca_glm_table[i], gamed, &params));
        is_normal(name, &lc.interval, lc.win_rate, lc.standard_error);
        near(name, alpaca_glm_table[i].name, lc.win_rate, number(row, "converged"), 0.01, worst);
        near(name, "lc_standard_error", lc.standard_error, number(row, "converged_error"), 0.01, worst);
        /* as it is, unless its own early stop moves it by more than that */
        if (i && fabs(number(row, "converged") - number(row, "length_controlled_winrate")) > 0.01) continue;
        near(name, alpaca_glm_table[i].name, lc.win_rate, number(row, "length_controlled_winrate"), 0.01, worst);
        near(name, "lc_standard_error", lc.standard_error, number(row, "lc_standard_error"), 0.01, worst);
    }
    alpaca_release(&set);
    buf_release(&path);
}

static void as_alpaca_eval(void **state) {
    (void)state;
    struct buf text = {0};
    struct json root, key, value;
    struct alpaca_gamed gamed;
    double worst = 0;
    size_t models = 0;
    ok(file_read(&text, GOLDEN "expected.json"));
    ok(json_parse(&root, text.data, text.size - 1));
    ok(alpaca_gamed_load(&gamed, GOLDEN "df_gamed.csv"));
    for (struct json_iter it = json_iter_begin(root); json_iter_next(&it, &key, &value);) {
        if (!json_get(value, "length_controlled_v1").size) continue; /* gaps */
        char *name = json_text(key);
        models++;
        one_model(name, value, &gamed, &worst);
        free(name);
    }
    assert_int_equal(models, 6);
    print_message("largest difference of a controlled rate or its error: %.2g percentage points\n", worst);
    alpaca_gamed_release(&gamed);
    buf_release(&text);
}

static void controlled(struct alpaca_lc *lc, const struct alpaca_set *set, const struct alpaca_gamed *gamed, struct json expected,
                       const char *who) {
    ok(alpaca_length_controlled(lc, set, &alpaca_glm_table[0], gamed, &params));
    near(who, "length_controlled_winrate", lc->win_rate, number(expected, "length_controlled_winrate"), 0.01, NULL);
    near(who, "lc_standard_error", lc->standard_error, number(expected, "lc_standard_error"), 0.01, NULL);
}

/* Four answers are missing: with their index rows have their own difficulties, by place those of others; both as the package. */
static void answers_are_missing(void **state) {
    (void)state;
    struct buf text = {0};
    struct json root;
    struct alpaca_gamed gamed;
    struct alpaca_set set;
    struct alpaca_lc lc;
    ok(file_read(&text, GOLDEN "expected.json"));
    ok(json_parse(&root, text.data, text.size - 1));
    ok(alpaca_gamed_load(&gamed, GOLDEN "df_gamed.csv"));
    assert_int_equal(gamed.instructions, 110);
    ok(alpaca_load(&set, GOLDEN "gaps.json"));
    assert_true(set.indexed && set.count == 106);
    assert_false(alpaca_is_short(&set, &alpaca_glm_table[0], &gamed));
    controlled(&lc, &set, &gamed, json_get(root, "gaps"), "gaps");
    for (size_t i = 0; i < set.count; i++) set.items[i].index = i;
    set.indexed = false;
    assert_true(alpaca_is_short(&set, &alpaca_glm_table[0], &gamed));
    assert_false(alpaca_is_short(&set, alpaca_glm_find("length_controlled_minimal"), &gamed));
    controlled(&lc, &set, &gamed, json_get(root, "gaps_by_place"), "by place");
    set.items[3].index = 110;
    assert_int_equal(alpaca_length_controlled(&lc, &set, &alpaca_glm_table[0], &gamed, &params), ST_MISMATCH);
    assert_non_null(strstr(status_message(), "no difficulty of instruction 111"));
    alpaca_release(&set);
    alpaca_gamed_release(&gamed);
    buf_release(&text);
}

#define ROW(preference) \
    "{\"output_1\": \"a\", \"generator_1\": \"b\", \"output_2\": \"c\", \"generator_2\": \"m\", \"preference\": " preference "}"

static void bad_annotations(void **state) {
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"[]", "no rows"},
        {"3", "expected an object"},
        {ROW("3"), "expected 1 to 2"},
        {ROW("0.5"), "expected 1 to 2"},
        {ROW("\"2\""), "expected a number or null"},
        {"{\"output_1\": \"a\"}", "field generator_1: expected a string"},
        {"{\"output_1\": \"a\", \"generator_1\": \"b\", \"generator_2\": \"m\", \"output_2\": null}", "field output_2: expected a string"},
        {ROW("1") "\n{\"generator_1\": \"other\"}", "another model than 'b'"},
        {ROW("1, \"index\": -1"), "field index: expected a whole number"},
        {ROW("1, \"index\": \"3\""), "field index: expected a whole number"},
        {ROW("1, \"index\": 3") "\n" ROW("1"), "expected in all rows or in none, and here it is missing"},
        {ROW("1") "\n" ROW("1, \"index\": 3"), "and here it is given"},
        {"{\"generator_1\":", "expected"}};
    char path[] = "/tmp/rapt_alpaca_XXXXXX";
    assert_true(mkstemp(path) >= 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct alpaca_set set;
        ok(file_write(path, cases[i].text, strlen(cases[i].text)));
        if (alpaca_load(&set, path) == ST_OK) fail_msg("%s was taken", cases[i].text);
        if (!strstr(status_message(), cases[i].message) || !strstr(status_message(), path))
            fail_msg("%s: %s", cases[i].text, status_message());
    }
    remove(path);
}

#define HEAD "index,std_delta_len,preference,instruction_difficulty,not_gamed_baseline\n"

static void bad_gamed(void **state) {
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {{"", "is empty"},
                 {"index,preference\n1,2\n", "no column std_delta_len"},
                 {"a,b,a\n", "column 'a' stands twice"},
                 {HEAD, "no rows"},
                 {HEAD "1,2,0.5\n", "expected 5 fields, found 3"},
                 {HEAD "1,2,0.5,1,True,9\n", "more than 5 fields"},
                 {HEAD "1,x,0.5,1,True\n", "column std_delta_len: expected a number"},
                 {HEAD "1,,0.5,1,True\n", "a number is missing"},
                 {HEAD "1,0,1.5,1,True\n", "expected 0 to 1"},
                 {HEAD "1,0,0.5,1,maybe\n", "expected True or False"},
                 {HEAD "1,0,0.5,1,\"True\n", "a quoted field does not end"},
                 {HEAD "1,0,0.5,1,\"True\"x\n", "text behind a closing quote"},
                 {HEAD "1,0,0.5,1,Tr\"ue\n", "a quote inside a field"},
                 {HEAD "1,inf,0.5,1,True\n", "expected a number"},
                 {"a\xff\n", "UTF-8"}};
    char path[] = "/tmp/rapt_gamed_XXXXXX";
    assert_true(mkstemp(path) >= 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct alpaca_gamed gamed;
        ok(file_write(path, cases[i].text, strlen(cases[i].text)));
        if (alpaca_gamed_load(&gamed, path) == ST_OK) fail_msg("%s was taken", cases[i].text);
        if (!strstr(status_message(), cases[i].message) || !strstr(status_message(), path))
            fail_msg("%s: %s", cases[i].text, status_message());
    }
    remove(path);
}

/* What does not go together is said, not fitted. */
static void no_fit(void **state) {
    (void)state;
    struct alpaca_set set = {0};
    struct alpaca_lc lc;
    struct json row;
    ok(json_parse(&row, ROW("1.5"), strlen(ROW("1.5"))));
    for (size_t i = 0; i < 30; i++) ok(alpaca_add(&set, row));
    assert_int_equal(alpaca_length_controlled(&lc, &set, &alpaca_glm_table[2], NULL, &params), ST_MISMATCH);
    assert_non_null(strstr(status_message(), "all length differences are equal"));
    set.items[0].length[0] = 9;
    ok(alpaca_length_controlled(&lc, &set, &alpaca_glm_table[2], NULL, &params));
    assert_true(fabs(lc.win_rate - 50) < 1e-6);
    set.count = 10;
    assert_int_equal(alpaca_length_controlled(&lc, &set, &alpaca_glm_table[2], NULL, &params), ST_MISMATCH);
    double difficulty[2] = {1, (double)NAN};
    struct alpaca_gamed gamed = {.difficulty = difficulty, .order_count = 2};
    assert_int_equal(alpaca_length_controlled(&lc, &set, &alpaca_glm_table[1], &gamed, &params), ST_MISMATCH);
    assert_non_null(strstr(status_message(), "no difficulty of instruction 2"));
    alpaca_release(&set);
}

static void csv_fields(void **state) {
    (void)state;
    static const char text[] = "\xef\xbb\xbf"
                               "a,\"b,\"\"\"\r\n1,\"x\ny\"\r\n\n,\n3,4";
    struct csv c;
    bool end;
    double value;
    ok(csv_parse(&c, "t", text, sizeof text - 1));
    assert_int_equal(csv_column(&c, "b,\""), 1);
    assert_true(csv_column(&c, "c") == SIZE_MAX);
    ok(csv_next(&c, &end));
    assert_string_equal(c.fields[1], "x\ny");
    ok(csv_number(&value, &c, 0));
    assert_true(value == 1);
    ok(csv_next(&c, &end));
    ok(csv_number(&value, &c, 0));
    assert_true(isnan(value) && !*c.fields[1]);
    ok(csv_next(&c, &end));
    assert_true(!end && strcmp(c.fields[1], "4") == 0);
    ok(csv_next(&c, &end));
    assert_true(end);
    csv_release(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_alpaca_eval),  cmocka_unit_test(answers_are_missing),
        cmocka_unit_test(bad_annotations), cmocka_unit_test(bad_gamed),
        cmocka_unit_test(no_fit),          cmocka_unit_test(csv_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
