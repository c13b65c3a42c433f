/* yaml: trees, bounds, refusals. recipe: variables, command lines, checks, keys that see what changed. */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "pipeline/recipe_state.h"

/* ---- yaml ---- */

static void reads_a_tree(void **unused) {
    (void)unused;
    static const char text[] =
        "a: 1\nb: [x, \"true\", true, ~]\nbase: &base {k: v, m: 1}\nc:\n  <<: *base\n  m: 2\n  t: |\n    two\n    lines\n";
    struct yaml y;
    assert_int_equal(yaml_parse(&y, "t.yaml", text, sizeof text - 1), ST_OK);
    assert_int_equal(y.root->kind, YAML_MAP);
    assert_string_equal(yaml_get(y.root, "a")->text, "1");
    const struct yaml_node *b = yaml_get(y.root, "b"), *c = yaml_get(y.root, "c");
    assert_int_equal(b->kind, YAML_LIST);
    assert_int_equal(b->count, 4);
    assert_int_equal(b->line, 2);
    bool on = false;
    assert_false(yaml_bool(&on, b->items[1]));
    assert_true(yaml_bool(&on, b->items[2]) && on);
    assert_true(yaml_is_null(b->items[3]));
    assert_string_equal(yaml_get(c, "k")->text, "v");
    assert_string_equal(yaml_get(c, "m")->text, "2");
    assert_string_equal(yaml_get(c, "t")->text, "two\nlines\n");
    assert_int_equal(c->count, 3);
    assert_null(yaml_get(c, "none"));
    yaml_release(&y);
}

static void refuse_yaml(const char *text, size_t size, const char *message) {
    struct yaml y;
    assert_int_equal(yaml_parse(&y, "t.yaml", text, size), ST_FORMAT);
    if (!strstr(status_message(), message)) fail_msg("'%s' is not in '%s'", message, status_message());
    assert_null(y.root);
    yaml_release(&y);
}

static void refuses_bad_yaml(void **unused) {
    (void)unused;
    static const char *const cases[][2] = {{"", "empty document"},
                                           {"# only this\n", "empty document"},
                                           {"a: [1, 2", "t.yaml:"},
                                           {"a: 1\na: 2\n", "t.yaml:2: key 'a' stands twice"},
                                           {"a: 1\n---\nb: 2\n", "second document"},
                                           {"a: *b\n", "names no anchor"},
                                           {"a: &x [1, *x]\n", "stands inside what it names"},
                                           {"? [a]\n: 1\n", "a key is a list"},
                                           {"a: \"x\\0y\"\n", "NUL"},
                                           {"a: \xff\xfe\n", "t.yaml:"},
                                           {"a: {<<: 3}\n", "<< merges a map"},
                                           {"\ta: 1\n", "t.yaml:1"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) refuse_yaml(cases[i][0], strlen(cases[i][0]), cases[i][1]);
}

static void bounds_yaml(void **unused) {
    (void)unused;
    struct buf b = {0};
    for (int i = 0; i < 200; i++) buf_append_char(&b, '[');
    for (int i = 0; i < 200; i++) buf_append_char(&b, ']');
    refuse_yaml(b.data, b.size, "nested deeper");
    buf_clear(&b);
    buf_append_text(&b, "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"); /* a billion laughs */
    for (int i = 1; i < 10; i++) {
        buf_printf(&b, "a%d: &a%d [", i, i);
        for (int j = 0; j < 10; j++) buf_printf(&b, "%s*a%d", j ? ", " : "", i - 1);
        buf_append_text(&b, "]\n");
    }
    refuse_yaml(b.data, b.size, "aliases counted");
    buf_clear(&b);
    buf_append_text(&b, "a0: &a0 x\n"); /* depth out of aliases */
    for (int i = 1; i < 20; i++) buf_printf(&b, "a%d: &a%d [[*a%d]]\n", i, i, i - 1);
    refuse_yaml(b.data, b.size, "nested deeper");
    buf_clear(&b);
    while (b.size <= YAML_SIZE_MAX) buf_append_text(&b, "# a comment of some length\n");
    refuse_yaml(b.data, b.size, "expected at most");
    buf_release(&b);
}

/* ---- recipe ---- */

struct tool {
    const char *input, *output, *side_output;
    struct opt_list goals;
    double rate;
    struct opt_list logps;
    bool quick, slow;
    const char *command, *cache;
};
static const struct opt_row rows[] = {
    {"input", OPT_STR, offsetof(struct tool, input), "F", NULL, NULL, "in"},
    {"output", OPT_STR, offsetof(struct tool, output), "F", NULL, NULL, "out"},
    {"side-output", OPT_STR, offsetof(struct tool, side_output), "F", NULL, NULL, "out"},
    {"goal", OPT_LIST, offsetof(struct tool, goals), "G", NULL, NULL, "goals"},
    {"logps", OPT_LIST, offsetof(struct tool, logps), "F", NULL, NULL, "in"},
    {"rate", OPT_DOUBLE, offsetof(struct tool, rate), "X", "0.5", NULL, "rate"},
    {"quick", OPT_FLAG, offsetof(struct tool, quick), NULL, NULL, NULL, "quick"},
    {"command", OPT_STR, offsetof(struct tool, command), "LINE", NULL, NULL, "a program"},
    {"cache", OPT_STR, offsetof(struct tool, cache), "F", NULL, NULL, "answers"},
    {"slow", OPT_FLAG, offsetof(struct tool, slow), NULL, "true", NULL, "slow"},
};
static const struct opt_spec spec = {
    .command = "tool", .summary = "a tool", .positional = "[TASK]", .rows = rows, .row_count = sizeof rows / sizeof rows[0]};
static const struct opt_spec *find(const char *name) { return strcmp(name, "tool") == 0 ? &spec : NULL; }

static status load(struct recipe *r, const char *text, const struct opt_list *set) {
    assert_int_equal(file_write("r.yaml", text, strlen(text)), ST_OK);
    return recipe_load(r, "r.yaml", find, set);
}

/* Stages with conditions: which are there, by name. */
static void leaves_stages_out(void **unused) {
    (void)unused;
    static const char text[] = "output: o\n"
                               "vars: {more: \"\", other: x}\n"
                               "stages:\n"
                               "  - {name: one, unless: \"${more}\", run: tool, with: {input: in.txt, output: o/one}}\n"
                               "  - {name: one, when: \"${more}\", run: tool, with: {input: \"${more}\", output: o/one}}\n"
                               "  - {name: two, when: \"${more}\", unless: \"${other}\", run: tool, with: {input: o/one, output: o/two}}\n"
                               "  - {name: three, when: \"${other}\", run: tool, with: {input: o/one, output: o/three}}\n";
    static const char *const more[] = {"more=r.yaml"}, *const both[] = {"more=r.yaml", "other="};
    static const struct opt_list lists[] = {{.count = 0}, {.count = 1}, {.count = 2}};
    static const char *const names[][3] = {{"one", "three", NULL}, {"one", "three", NULL}, {"one", "two", NULL}};
    static const char *const inputs[] = {"in.txt", "r.yaml", "r.yaml"};
    assert_int_equal(file_write("in.txt", "x", 1), ST_OK);
    for (size_t i = 0; i < 3; i++) {
        struct opt_list set = lists[i];
        struct recipe r;
        for (size_t k = 0; k < set.count; k++) set.items[k] = i == 1 ? more[k] : both[k];
        if (load(&r, text, &set) != ST_OK) fail_msg("%s", status_message());
        assert_int_equal(r.stage_count, 2);
        for (size_t k = 0; names[i][k]; k++) assert_string_equal(r.stages[k].name, names[i][k]);
        assert_string_equal(r.stages[0].needs.items[0], inputs[i]);
        recipe_release(&r);
    }
    struct recipe r;
    assert_int_equal(load(&r, "output: o\nstages: [{name: a, when: \"\", run: tool}]\n", NULL), ST_FORMAT);
    assert_non_null(strstr(status_message(), "no stage is left"));
    recipe_release(&r);
    assert_int_equal(load(&r, "output: o\nstages: [{name: a, when: [x], run: tool}]\n", NULL), ST_FORMAT);
    assert_non_null(strstr(status_message(), "'when' is a list"));
    recipe_release(&r);
}

static void builds_command_lines(void **unused) {
    (void)unused;
    struct recipe r;
    struct buf line = {0};
    setenv("RECIPE_TEST_ENV", "from env", 1);
    unsetenv("RECIPE_TEST_NONE");
    assert_int_equal(file_write("in.txt", "x", 1), ST_OK);
    status s = load(&r,
                    "output: \"runs/${kind}\"\n"
                    "vars: {late: \"${early}!\", early: \"${RECIPE_TEST_NONE:-${kind}}\", kind: k}\n"
                    "defaults: {common: &common {rate: 0.25, quick: true}}\n"
                    "stages:\n"
                    "  - name: one\n"
                    "    run: tool count\n"
                    "    args: [\"two words\"]\n"
                    "    with: {<<: *common, rate: null, slow: false, input: in.txt, output: \"${output}/a\", goal: [2, \"${late}\"]}\n"
                    "    title: \"says ${RECIPE_TEST_ENV} $${x}\"\n"
                    "  - {name: two, run: tool, with: {input: \"${output}/a\", output: \"${output}/b\"}, stdout: \"${output}/o\"}\n",
                    NULL);
    if (s != ST_OK) fail_msg("%s", status_message());
    assert_string_equal(r.output, "runs/k");
    assert_int_equal(r.stage_count, 2);
    recipe_shell_line(&line, &r.stages[0]);
    assert_string_equal(buf_text(&line),
                        "rapt tool count 'two words' --no-slow --input in.txt --output runs/k/a --goal 2 --goal 'k!' --quick");
    assert_string_equal(r.stages[0].title, "says from env ${x}");
    assert_non_null(strstr(r.stages[0].options_json, "\"rate\": 0.5"));
    assert_non_null(strstr(r.stages[0].options_json, "[\"count\", \"two words\"]"));
    buf_clear(&line);
    recipe_shell_line(&line, &r.stages[1]);
    assert_string_equal(buf_text(&line), "rapt tool --input runs/k/a --output runs/k/b > runs/k/o");
    assert_int_equal(r.stages[1].outputs.count, 2);
    buf_release(&line);
    recipe_release(&r);
}

/* The last variable changes first; loops stand in loops and in lists; values come from variables. */
static void loops_over_values(void **unused) {
    (void)unused;
    struct recipe r;
    struct buf line = {0};
    status s = load(&r,
                    "output: o\n"
                    "vars: {modes: \"a,b\"}\n"
                    "stages:\n"
                    "  - each: {seed: \"1,2\", mode: \"${modes}\"}\n"
                    "    stages:\n"
                    "      - {name: \"t-${mode}-${seed}\", run: tool, with: {output: \"${output}/${mode}-${seed}\"}}\n"
                    "      - {repeat: 2, stages: [{name: \"r-${mode}-${seed}-${round}\", run: tool}]}\n"
                    "  - name: all\n"
                    "    run: tool\n"
                    "    args: [x, {each: {mode: \"${modes}\"}, text: \"is-${mode}\"}]\n"
                    "    with: {goal: [0, {each: {mode: \"${modes}\", seed: 3}, text: \"${mode}${seed}\"}]}\n"
                    "    inputs: [{each: {seed: \"1,2\"}, text: \"${output}/a-${seed}\"}]\n",
                    NULL);
    if (s != ST_OK) fail_msg("%s", status_message());
    static const char *const names[] = {"t-a-1",   "r-a-1-1", "r-a-1-2", "t-b-1",   "r-b-1-1", "r-b-1-2", "t-a-2",
                                        "r-a-2-1", "r-a-2-2", "t-b-2",   "r-b-2-1", "r-b-2-2", "all"};
    assert_int_equal(r.stage_count, sizeof names / sizeof names[0]);
    for (size_t i = 0; i < r.stage_count; i++) assert_string_equal(r.stages[i].name, names[i]);
    assert_string_equal(r.stages[9].outputs.items[0], "o/b-2");
    recipe_shell_line(&line, &r.stages[12]);
    assert_string_equal(buf_text(&line), "rapt tool x is-a is-b --goal 0 --goal a3 --goal b3");
    assert_int_equal(r.stages[12].needs.count, 2);
    assert_string_equal(r.stages[12].needs.items[1], "o/a-2");
    buf_release(&line);
    recipe_release(&r);
}

/* Without a value there is no turn, in stages as in lists; with a loop around as well. */
static void loops_over_nothing(void **unused) {
    (void)unused;
    struct recipe r;
    static const char text[] = "output: o\n"
                               "vars: {modes: \"a,b\", seeds: \"1,2\"}\n"
                               "stages:\n"
                               "  - each: {seed: \"${seeds}\", mode: \"${modes}\"}\n"
                               "    stages: [{name: \"${mode}-${seed}\", run: tool}]\n"
                               "  - name: all\n"
                               "    run: tool\n"
                               "    args: [x, {each: {mode: \"${modes}\"}, text: \"is-${mode}\"}]\n"
                               "    with: {goal: [{each: {mode: \"${modes}\"}, text: \"${mode}\"}]}\n";
    struct opt_list set = {.items = {"modes="}, .count = 1};
    if (load(&r, text, &set) != ST_OK) fail_msg("%s", status_message());
    assert_int_equal(r.stage_count, 1);
    assert_string_equal(r.stages[0].name, "all");
    struct buf line = {0};
    recipe_shell_line(&line, &r.stages[0]);
    assert_string_equal(buf_text(&line), "rapt tool x");
    buf_release(&line);
    recipe_release(&r);
    set = (struct opt_list){.items = {"modes=a,"}, .count = 1};
    assert_int_equal(load(&r, text, &set), ST_FORMAT);
    assert_non_null(strstr(status_message(), "mode expects values with commas between them, and one is empty"));
    recipe_release(&r);
    assert_int_equal(load(&r, "output: o\nvars: {m: \"\"}\nstages: [{each: {a: \"${m}\"}, stages: [{name: x, run: tool}]}]\n", NULL),
                     ST_FORMAT);
    assert_non_null(strstr(status_message(), "no stage is left"));
    recipe_release(&r);
}

static void set_wins(void **unused) {
    (void)unused;
    struct recipe r;
    struct opt_list set = {.items = {"g=1", "2", "output=other"}, .count = 3};
    assert_int_equal(
        load(&r, "output: o\nvars: {g: 9}\nstages: [{name: a, run: tool, with: {goal: \"${g}\", output: \"${output}/x\"}}]\n", &set),
        ST_OK);
    assert_string_equal(r.output, "other");
    assert_string_equal(r.stages[0].argv[1], "1,2");
    assert_string_equal(r.stages[0].outputs.items[0], "other/x");
    recipe_release(&r);
    set = (struct opt_list){.items = {"g=3"}, .count = 1}; /* nothing names it */
    assert_int_equal(load(&r, "output: o\nstages: [{name: a, run: tool}]\n", &set), ST_USAGE);
    assert_non_null(strstr(status_message(), "--set g has no effect"));
    recipe_release(&r);
    assert_int_equal(load(&r, "output: o\nstages: [{name: a, run: tool, with: {goal: \"${g}\"}}]\n", &set), ST_OK);
    recipe_release(&r);
    const struct opt_list rounds = {.items = {"rounds=3"}, .count = 1};
    assert_int_equal(load(&r,
                          "output: o\nvars: {steps: 24, rounds: 2, all: \"${steps*rounds}\"}\nstages: [{name: a, run: tool, with: {goal: "
                          "\"${all}/${2*steps*rounds}\"}}]\n",
                          &rounds),
                     ST_OK);
    assert_string_equal(r.stages[0].argv[1], "72/144");
    recipe_release(&r);
}

static void refuses_bad_recipes(void **unused) {
    (void)unused;
#define STAGE(text) "output: o\nstages:\n  - " text "\n"
    static const struct {
        status code;
        const char *text, *message;
    } cases[] = {
        {ST_FORMAT, "[1]", "r.yaml:1: 'a recipe' is a list"},
        {ST_FORMAT, "stages: []", "no 'output'"},
        {ST_FORMAT, "output: o", "no 'stages'"},
        {ST_FORMAT, "output: o\nstages: []", "'stages' is empty"},
        {ST_FORMAT, "output: o\nstage: []\nstages: []", "r.yaml:2: unknown key 'stage'"},
        {ST_FORMAT, STAGE("{run: tool}"), "no 'name'"},
        {ST_FORMAT, STAGE("{name: a}"), "r.yaml:3: stage a has no 'run'"},
        {ST_FORMAT, STAGE("{name: a, run: tool, wth: {}}"), "unknown key 'wth'"},
        {ST_FORMAT, STAGE("{name: \"a b\", run: tool}"), "no name for a stage"},
        {ST_FORMAT, STAGE("{name: a, run: tool}\n  - {name: a, run: tool}"), "r.yaml:4: two stages are called a"},
        {ST_USAGE, STAGE("{name: a, run: tol}"), "r.yaml:3: stage a runs 'tol'"},
        {ST_USAGE, STAGE("{name: a, run: tool, with: {rat: 1}}"), "r.yaml:3: stage a: unknown option --rat; did you mean --rate"},
        {ST_USAGE, STAGE("{name: a, run: tool, with: {rate: much}}"), "--rate expects a number"},
        {ST_USAGE, STAGE("{name: a, run: tool, with: {rate: [1, 2]}}"), "takes one value"},
        {ST_USAGE, STAGE("{name: a, run: tool, with: {quick: 3}}"), "is a switch"},
        {ST_FORMAT, STAGE("{name: a, run: tool, with: {rate: {a: 1}}}"), "'rate' is a map"},
        {ST_FORMAT, STAGE("{name: a, run: tool, with: {output: \"${nowhere_set}\"}}"), "${nowhere_set} is neither"},
        {ST_FORMAT, STAGE("{name: a, run: tool, with: {output: \"${x\"}}"), "without its }"},
        {ST_FORMAT, STAGE("{name: a, run: tool, with: {output: \"${1}\"}}"), "expected ${NAME}"},
        {ST_FORMAT, "output: o\nvars: {a: 1.5}\nstages: [{name: a, run: tool, with: {goal: \"${2*a}\"}}]",
         "r.yaml:3: ${..*..} is a product of whole numbers, and a is '1.5'"},
        {ST_FORMAT, STAGE("{name: a, run: tool, with: {goal: \"${2*}\"}}"), "expected ${NAME}"},
        {ST_FORMAT, STAGE("{name: a, run: tool, with: {goal: \"${2*nowhere_set}\"}}"), "${nowhere_set} is neither"},
        {ST_FORMAT, STAGE("{name: a, run: tool, with: {goal: \"${94906267*94906267}\"}}"), "is more than 2^53"},
        {ST_FORMAT, STAGE("{name: a, run: tool, with: {goal: \"${99999999999999999999*0}\"}}"), "is a product of whole numbers"},
        {ST_FORMAT, "output: o\nvars: {a: \"${2*a}\"}\nstages: [{name: a, run: tool}]", "made of itself"},
        {ST_FORMAT, "output: o\nvars: {a: \"${b}\", b: \"${a}\"}\nstages: [{name: a, run: tool}]", "made of itself"},
        {ST_FORMAT, STAGE("{each: {m: \"a,,b\"}, stages: [{name: \"${m}\", run: tool}]}"),
         "m expects values with commas between them, and one is empty"},
        {ST_FORMAT, STAGE("{each: {m: \"a,a\"}, stages: [{name: \"${m}\", run: tool}]}"), "two stages are called a"},
        {ST_FORMAT, STAGE("{each: {output: a}, stages: [{name: a, run: tool}]}"), "${output} is what each counts with"},
        {ST_FORMAT, STAGE("{each: {m: a}, stages: [{each: {m: b}, stages: [{name: a, run: tool}]}]}"), "${m} is what each counts with"},
        {ST_FORMAT, STAGE("{each: {m: a}, stages: []}"), "'stages' is empty"},
        {ST_FORMAT, STAGE("{each: {m: a}}"), "a loop has no 'stages'"},
        {ST_FORMAT, STAGE("{each: {}, stages: [{name: a, run: tool}]}"), "each expects 1 to"},
        {ST_FORMAT, STAGE("{each: [m], stages: [{name: a, run: tool}]}"), "'each' is a list"},
        {ST_FORMAT, STAGE("{each: {m: [a]}, stages: [{name: a, run: tool}]}"), "'m' is a list"},
        {ST_FORMAT, STAGE("{name: a, run: tool, with: {goal: [{each: {m: a}}]}}"), "a loop has no 'text'"},
        {ST_FORMAT, STAGE("{name: a, run: tool, with: {goal: [{each: {m: a}, text: b, more: c}]}}"), "unknown key 'more' in a loop"},
        {ST_FORMAT,
         STAGE("{name: a, run: tool, with: {goal: [{each: {a: \"1,2,3,4,5,6,7,8\", b: \"1,2,3,4,5,6,7,8\", c: \"1,2,3,4,5,6,7,8\", d: "
               "\"1,2,3,4,5,6,7,8\", e: \"1,2\"}, text: x}]}}"),
         "loops of more than 4096 turns"},
        {ST_FORMAT, STAGE("{name: \"a-${m}\", run: tool}\n  - {each: {m: a}, stages: [{name: b, run: tool}]}"), "${m} is neither"},
        {ST_USAGE, STAGE("{name: a, run: tool, with: {input: nothere.txt}}"), "reads nothere.txt, which is not there"},
        {ST_USAGE, STAGE("{name: a, run: tool, inputs: nothere.txt}"), "reads nothere.txt"},
        {ST_USAGE, STAGE("{name: a, run: tool, with: {logps: \"a=r.yaml,b=nothere.txt\"}}"), "reads nothere.txt"},
        {ST_USAGE, STAGE("{name: a, run: tool, with: {output: o/x}}\n  - {name: b, run: tool, with: {output: o/x}}"),
         "writes over o/x of stage a"},
    };
#undef STAGE
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct recipe r;
        status s = load(&r, cases[i].text, NULL);
        if (s != cases[i].code || !strstr(status_message(), cases[i].message))
            fail_msg("case %zu: code %d, '%s' is not in '%s'", i, (int)s, cases[i].message, status_message());
        recipe_release(&r);
    }
}

/* Variables that double each other's length end at the bound, and empty ones are filled in once each. */
static void bounds_variables(void **unused) {
    (void)unused;
    struct buf b = {0};
    struct recipe r;
    for (int empty = 0; empty < 2; empty++) {
        buf_clear(&b);
        buf_printf(&b, "output: o\nvars:\n  v0: \"%s\"\n", empty ? "" : "0123456789");
        for (int i = 1; i < 15; i++) {
            buf_printf(&b, "  v%d: \"", i);
            for (int j = 0; j < 20; j++) buf_printf(&b, "${v%d}", i - 1);
            buf_append_text(&b, "\"\n");
        }
        buf_append_text(&b, "stages: [{name: a, run: tool}]\n");
        status s = load(&r, buf_text(&b), NULL);
        assert_int_equal(s, empty ? ST_OK : ST_FORMAT);
        if (!empty) assert_non_null(strstr(status_message(), "a text of more than"));
        recipe_release(&r);
    }
    buf_release(&b);
}

static void keys_see_changes(void **unused) {
    (void)unused;
    static const char text[] = "output: o\nvars: {rate: 0.5}\nstages:\n"
                               "  - {name: a, run: tool, with: {input: in.txt, rate: \"${rate}\", output: o/d}}\n"
                               "  - {name: b, run: tool, with: {input: o/d, output: o/d/later.txt}}\n";
    struct recipe r;
    struct recipe_state state = {.lock = -1};
    char first[2][HASH_HEX_SIZE], again[2][HASH_HEX_SIZE];
    assert_int_equal(file_write("in.txt", "x", 1), ST_OK);
    assert_int_equal(file_make_dirs("o/d/sub"), ST_OK);
    assert_int_equal(file_write("o/d/sub/f", "1", 1), ST_OK);
    assert_int_equal(load(&r, text, NULL), ST_OK);
    for (size_t i = 0; i < 2; i++) assert_int_equal(recipe_stage_key(first[i], &state, &r, i), ST_OK);
    assert_false(recipe_stage_has_outputs(&r.stages[1]));
    /* what b itself writes into the folder it reads changes nothing; neither do checkpoints */
    assert_int_equal(file_write("o/d/later.txt", "1", 1), ST_OK);
    assert_int_equal(file_make_dirs("o/d/checkpoint-3"), ST_OK);
    assert_int_equal(file_write("o/d/checkpoint-3/w", "1", 1), ST_OK);
    assert_true(recipe_stage_has_outputs(&r.stages[1]));
    for (size_t i = 0; i < 2; i++) assert_int_equal(recipe_stage_key(again[i], &state, &r, i), ST_OK);
    for (size_t i = 0; i < 2; i++) assert_string_equal(first[i], again[i]);
    assert_int_equal(file_write("o/d/sub/f", "2", 1), ST_OK);
    for (size_t i = 0; i < 2; i++) assert_int_equal(recipe_stage_key(again[i], &state, &r, i), ST_OK);
    assert_string_equal(first[0], again[0]);
    assert_string_not_equal(first[1], again[1]);
    recipe_release(&r);
    struct opt_list set = {.items = {"rate=0.50"}, .count = 1};
    assert_int_equal(load(&r, text, &set), ST_OK); /* the same number written otherwise */
    assert_int_equal(recipe_stage_key(again[0], &state, &r, 0), ST_OK);
    assert_string_equal(first[0], again[0]);
    recipe_release(&r);
    set.items[0] = "rate=0.6";
    assert_int_equal(load(&r, text, &set), ST_OK);
    assert_int_equal(recipe_stage_key(again[0], &state, &r, 0), ST_OK);
    assert_string_not_equal(first[0], again[0]);
    assert_int_equal(file_write("in.txt", "y", 1), ST_OK);
    recipe_release(&r);
    assert_int_equal(load(&r, text, NULL), ST_OK);
    assert_int_equal(recipe_stage_key(again[0], &state, &r, 0), ST_OK);
    assert_string_not_equal(first[0], again[0]);
    for (int i = 0; i < 2; i++) { /* what is read beside it: how its goals are asked for */
        memcpy(first[0], again[0], sizeof first[0]);
        assert_int_equal(file_write("in.txt.goal.json", i ? "2" : "1", 1), ST_OK);
        assert_int_equal(recipe_stage_key(again[0], &state, &r, 0), ST_OK);
        assert_string_not_equal(first[0], again[0]);
    }
    assert_int_equal(unlink("in.txt.goal.json"), 0);
    assert_int_equal(unlink("in.txt"), 0);
    assert_int_equal(recipe_stage_key(again[0], &state, &r, 0), ST_IO);
    recipe_release(&r);
    /* every file of a list */
    assert_int_equal(file_write("in.txt", "x", 1), ST_OK);
    assert_int_equal(file_write("in2.txt", "x", 1), ST_OK);
    assert_int_equal(load(&r, "output: o\nstages: [{name: a, run: tool, with: {logps: \"in.txt,two=in2.txt\"}}]\n", NULL), ST_OK);
    assert_int_equal(recipe_stage_key(first[0], &state, &r, 0), ST_OK);
    assert_int_equal(file_write("in2.txt", "y", 1), ST_OK);
    assert_int_equal(recipe_stage_key(again[0], &state, &r, 0), ST_OK);
    assert_string_not_equal(first[0], again[0]);
    assert_int_equal(unlink("in.txt") | unlink("in2.txt"), 0);
    recipe_release(&r);
}

/* A program's file is an input wherever it stands in its command line; a cache of answers, which the stage fills, and a folder among the
 * words are none. */
static void keys_see_programs(void **unused) {
    (void)unused;
    static const char text[] = "output: o\nstages: [{name: a, run: tool, with: {command: \"cd . && sh './p.sh' --with=q.txt later.sh\", "
                               "cache: c.jsonl, output: o/x}}]\n";
    static const char *const inputs[] = {"p.sh", "q.txt", "later.sh"};
    struct recipe r;
    struct recipe_state state = {.lock = -1};
    char first[HASH_HEX_SIZE], again[HASH_HEX_SIZE];
    assert_int_equal(file_write("p.sh", "1", 1), ST_OK);
    assert_int_equal(file_write("q.txt", "1", 1), ST_OK);
    assert_int_equal(load(&r, text, NULL), ST_OK); /* later.sh is not there yet */
    assert_int_equal(recipe_stage_key(first, &state, &r, 0), ST_OK);
    assert_int_equal(file_write("c.jsonl", "1", 1), ST_OK);
    assert_int_equal(file_write("among.txt", "1", 1), ST_OK);
    assert_int_equal(recipe_stage_key(again, &state, &r, 0), ST_OK);
    assert_string_equal(first, again);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(file_write(inputs[i], "22", 2), ST_OK);
        assert_int_equal(recipe_stage_key(again, &state, &r, 0), ST_OK);
        assert_string_not_equal(first, again);
        memcpy(first, again, sizeof first);
    }
    recipe_release(&r);
}

static void keeps_state(void **unused) {
    (void)unused;
    struct recipe r;
    struct recipe_state s;
    assert_int_equal(load(&r, "output: state\nstages: [{name: a, run: tool}, {name: b, run: tool}]\n", NULL), ST_OK);
    assert_int_equal(recipe_state_load(&s, &r), ST_OK);
    assert_null(recipe_state_get(&s, "a"));
    assert_int_equal(recipe_state_put(&s, &r, "a", "00112233445566778899aabbccddeeff", true, 1.5), ST_OK);
    assert_int_equal(recipe_state_put(&s, &r, "b", "ff112233445566778899aabbccddeeff", false, 0), ST_OK);
    recipe_state_release(&s);
    assert_int_equal(recipe_state_load(&s, &r), ST_OK);
    assert_int_equal(s.count, 2);
    assert_true(recipe_state_get(&s, "a")->finished);
    assert_false(recipe_state_get(&s, "b")->finished);
    assert_string_equal(recipe_state_get(&s, "a")->key, "00112233445566778899aabbccddeeff");
    assert_int_equal(recipe_state_drop(&s, &r, "a"), ST_OK);
    assert_null(recipe_state_get(&s, "a"));
    assert_non_null(recipe_state_get(&s, "b"));
    recipe_state_release(&s);
    static const char *const broken[] = {
        "", "[1]", "{\"stages\": [{\"name\": 3}]}",
        "{\"stages\": [{\"name\": \"a\", \"key\": \"00112233445566778899aabbccddeeff00\", \"finished\": true, \"seconds\": 1}]}"};
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        assert_int_equal(file_write("state/recipe-state.json", broken[i], strlen(broken[i])), ST_OK);
        assert_int_equal(recipe_state_load(&s, &r), ST_OK);
        assert_int_equal(s.count, 0);
        recipe_state_release(&s);
    }
    recipe_release(&r);
}

static void compares_paths(void **unused) {
    (void)unused;
    assert_true(recipe_path_within("a/b", "a"));
    assert_true(recipe_path_within("./a/b/", "a/"));
    assert_true(recipe_path_within("a", "./a"));
    assert_false(recipe_path_within("ab", "a"));
    assert_false(recipe_path_within("a", "a/b"));
    assert_string_equal(recipe_path_of("ra=runs/x"), "runs/x");
    assert_string_equal(recipe_path_of("runs/x"), "runs/x");
}

int main(void) {
    char folder[] = "/tmp/rapt_recipe_XXXXXX";
    if (!mkdtemp(folder) || chdir(folder) != 0) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_tree),         cmocka_unit_test(refuses_bad_yaml),
        cmocka_unit_test(bounds_yaml),          cmocka_unit_test(leaves_stages_out),
        cmocka_unit_test(builds_command_lines), cmocka_unit_test(loops_over_values),
        cmocka_unit_test(loops_over_nothing),   cmocka_unit_test(set_wins),
        cmocka_unit_test(refuses_bad_recipes),  cmocka_unit_test(bounds_variables),
        cmocka_unit_test(keys_see_changes),     cmocka_unit_test(keys_see_programs),
        cmocka_unit_test(keeps_state),          cmocka_unit_test(compares_paths),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    struct buf command = {0};
    buf_printf(&command, "rm -rf %s", folder);
    if (chdir("/") != 0 || system(buf_text(&command)) != 0) failed++;
    buf_release(&command);
    return failed;
}
