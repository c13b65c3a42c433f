/* The template interpreter against jinja2 (tests/golden/jinja/cases.json, written by tests/oracle/make_jinja.py), its limits, and what
 * it says about malformed templates. */
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
#include <time.h>

#include "base/file.h"
#include "base/rng.h"
#include "text/jinja.h"

static struct buf golden_text;
static struct json golden;

static int load(void **state) {
    (void)state;
    if (file_read(&golden_text, TEST_SOURCE_DIR "/golden/jinja/cases.json") != ST_OK) return 1;
    return json_parse(&golden, golden_text.data, golden_text.size) != ST_OK;
}
static int unload(void **state) {
    (void)state;
    buf_release(&golden_text);
    return 0;
}

static size_t members(struct jinja_var *vars, size_t count, char **names, struct json object) {
    struct json key, value;
    for (struct json_iter it = json_iter_begin(object); json_iter_next(&it, &key, &value); count++) {
        assert_true(count < 40);
        vars[count] = (struct jinja_var){names[count] = json_text(key), value};
    }
    return count;
}

/* Compiles and renders; true when it is what jinja2 gave (or both fail), else says what differs. */
static bool agrees(const char *label, const char *template, size_t template_size, const struct jinja_var *vars, size_t count,
                   struct json expected) {
    struct jinja *t = NULL;
    struct buf out = {0}, want = {0};
    struct json error = json_get(expected, "error");
    bool same = false;
    json_string(&want, json_get(expected, "text"));
    status s = jinja_compile(&t, template, template_size);
    bool compiled = s == ST_OK;
    if (s == ST_OK) s = jinja_render(t, &out, vars, count, NULL);
    if (json_kind_of(error) == JSON_STRING) {
        same = s != ST_OK && strncmp(status_message(), "template line ", 14) == 0 && (!compiled || json_equals(error, "render"));
        if (!same)
            print_message("%s\n  jinja2 fails (%.*s)\n  here:   %s\n", label, (int)error.size, error.text,
                          s == ST_OK ? buf_text(&out) : status_message());
    } else {
        same = s == ST_OK && out.size == want.size && memcmp(buf_text(&out), buf_text(&want), out.size) == 0;
        if (!same)
            print_message("%s\n  jinja2: %s\n  here:   %s\n", label, buf_text(&want), s == ST_OK ? buf_text(&out) : status_message());
    }
    jinja_free(t);
    buf_release(&out);
    buf_release(&want);
    return same;
}

static void expressions_and_statements_are_jinja2s(void **state) {
    (void)state;
    struct jinja_var vars[40];
    char *names[40];
    struct json key, c;
    size_t count = members(vars, 0, names, json_get(golden, "vars")), wrong = 0, all = 0;
    for (struct json_iter it = json_iter_begin(json_get(golden, "cases")); json_iter_next(&it, &key, &c); all++) {
        struct buf template = {0};
        assert_true(json_string(&template, json_get(c, "template")));
        wrong += !agrees(buf_text(&template), buf_text(&template), template.size, vars, count, c);
        buf_release(&template);
    }
    for (size_t i = 0; i < count; i++) free(names[i]);
    print_message("%zu of %zu templates agree\n", all - wrong, all);
    assert_true(all > 600);
    assert_int_equal(wrong, 0);
}

static void chat_templates_are_jinja2s(void **state) {
    (void)state;
    struct json key, c;
    size_t wrong = 0, all = 0;
    for (struct json_iter it = json_iter_begin(json_get(golden, "chats")); json_iter_next(&it, &key, &c); all++) {
        struct jinja_var vars[40] = {
            {"bos_token", {"\"<s>\"", 5}}, {"eos_token", {"\"</s>\"", 6}}, {"tools", {"null", 4}}, {"documents", {"null", 4}}};
        char *names[40] = {NULL}, *template_name = json_text(json_get(c, "template")), *list_name = json_text(json_get(c, "messages"));
        char *template = json_text(json_get(json_get(golden, "templates"), template_name)), label[96];
        vars[4] = (struct jinja_var){"messages", json_get(json_get(golden, "lists"), list_name)};
        size_t count = members(vars, 5, names, json_get(c, "extra"));
        snprintf(label, sizeof label, "%s of %s", template_name, list_name);
        wrong += !agrees(label, template, strlen(template), vars, count, c);
        for (size_t i = 5; i < count; i++) free(names[i]);
        free(template_name), free(list_name), free(template);
    }
    print_message("%zu of %zu conversations agree\n", all - wrong, all);
    assert_true(all > 200);
    assert_int_equal(wrong, 0);
}

/* The message of a failure, "" when there is none. */
static const char *failure(const char *template, const struct jinja_limits *limits) {
    struct jinja *t = NULL;
    struct buf out = {0};
    buf_append_text(&out, "before");
    status s = jinja_compile(&t, template, strlen(template));
    if (s == ST_OK) s = jinja_render(t, &out, NULL, 0, limits);
    if (s != ST_OK) assert_string_equal(buf_text(&out), "before");
    jinja_free(t);
    buf_release(&out);
    return s == ST_OK ? "" : status_message();
}

static void errors_name_line_and_reason(void **state) {
    (void)state;
    static const struct {
        const char *template, *message;
    } cases[] = {
        {"a\nb\n{% if x %}\nc", "template line 4: the template ends inside this block, expected {% elif %}"},
        {"\n\n{{ 1 + }}", "template line 3: expected an expression, got end of print statement"},
        {"{{ x\n\n", "template line 1: an expression {{ has no end"},
        {"\n{% frob %}", "template line 2: unknown tag 'frob'"},
        {"\n{% endfor %}", "template line 2: 'endfor' without its beginning"},
        {"\n\n{{ x | frob }}", "template line 3: no filter named 'frob'"},
        {"{{ x is frob }}", "template line 1: no test named 'frob'"},
        {"{{ 'abc }}", "template line 1: a string has no closing '"},
        {"{{ (1] }}", "template line 1: unexpected ']', expected ')'"},
        {"{# x", "template line 1: a comment {# has no end"},
        {"{% raw %}x", "template line 1: {% raw %} has no {% endraw %}"},
        {"x\n{% include 'y' %}", "template line 2: the tag 'include' is not supported in chat templates"},
        {"{% for i in x recursive %}{% endfor %}", "template line 1: recursive loops are not supported"},
        {"\n{{ raise_exception('no ' ~ 'way') }}", "template line 2: the template refuses this conversation: no way"},
        {"\n{{ x.y }}", "template line 2: 'x' is undefined"},
        {"\n{{ {}.y.z }}", "template line 2: 'dict object' has no attribute 'y'"},
        {"{{ [].append(1) }}", "template line 1: access to attribute 'append' of 'list' object is unsafe"},
        {"{{ \n 1 / 0 }}", "template line 2: division by zero"},
        {"{{ 9223372036854775807 + 1 }}", "template line 1: an integer does not fit 64 bits"},
        {"\xff", "template line 1: not valid UTF-8"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *got = failure(cases[i].template, NULL);
        if (strncmp(got, cases[i].message, strlen(cases[i].message)) != 0)
            fail_msg("%s\n  wanted: %s\n  got:    %s", cases[i].template, cases[i].message, got);
    }
}

static void runs_within_limits(void **state) {
    (void)state;
    static const struct jinja_limits small = {.steps = 200000, .output_bytes = 100000, .memory_bytes = 4 << 20};
    static const char *const cases[] = {
        "{% for a in range(1000) %}{% for b in range(1000) %}{% endfor %}{% endfor %}",
        "{% for a in range(1000) %}{{ 'x' * 1000 }}{% endfor %}",
        "{{ 'x' * 99999999999 }}",
        "{{ [1] * 99999999999 }}",
        "{% set ns = namespace(s='x') %}{% for a in range(100) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
        "{% set ns = namespace(s='x') %}{% for a in range(100) %}{% set ns.s = ns.s.replace('x', 'xx') %}{% endfor %}",
        "{% set ns = namespace(l=[]) %}{% for a in range(1000) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l }}",
        "{% set ns = namespace(l=[]) %}{% for a in range(1000) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l | tojson }}",
        "{% set ns = namespace(l=[]) %}{% for a in range(100) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l == ns.l + [] }}{{ ns.l }}",
        "{% set ns = namespace() %}{% set ns.x = ns %}{{ ns }}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{{ '%99999999d' % 1 }}",
        "{{ 'a' | indent(99999999) }}",
        "{{ 2 ** 99999 }}",
        "{{ range(99999999) | length }}",
        "{{ 'x' | replace('', 'y' * 1000) | replace('y', 'z' * 1000) }}",
        "{% for a in range(100000) %}{{ nope1 ~ nope2 }}{% endfor %}",
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *got = failure(cases[i], &small);
        if (strncmp(got, "template line ", 14) != 0) fail_msg("%s\n  got: '%s'", cases[i], got);
    }
    struct buf deep = {0};
    static const char *const nests[] = {"((((((((", "[[[[[[[[",   "not not ",     "- - - - ", "{% if 1 %}",
                                        "a.b.c.d.", "{'a':{'a':", "x if x else ", "1 + 1 + "};
    for (size_t i = 0; i < sizeof nests / sizeof nests[0]; i++) {
        buf_clear(&deep);
        if (nests[i][1] != '%') buf_append_text(&deep, "{{ ");
        for (int k = 0; k < 2000; k++) buf_append_text(&deep, nests[i]);
        if (strchr(nests[i], '.') || strchr(nests[i], '+') || strchr(nests[i], 'x')) buf_append_text(&deep, "x }}");
        const char *got = failure(buf_text(&deep), NULL);
        if (strncmp(got, "template line ", 14) != 0) fail_msg("%s ... got: '%s'", nests[i], got);
    }
    buf_release(&deep);
}

#ifdef __SANITIZE_ADDRESS__
#define SLOWER *10
#else
#define SLOWER
#endif

/* Whether the limits end `template`, which would run for hours, within a second of processor time. A slow moment of the machine passes, so
 * the better of two tries counts; a template that costs too much for its steps is slow both times. */
static bool given_up_in_time(const char *template, const char *name) {
    double best = INFINITY;
    for (int try = 0; try < 2 && !(best < 1 SLOWER); try++) {
        const clock_t start = clock();
        const char *got = failure(template, NULL);
        const double took = (double)(clock() - start) / CLOCKS_PER_SEC;
        if (strncmp(got, "template line 1: the template ", 30) != 0) fail_msg("%s\n  got: '%s'", name, got);
        if (took < best) best = took;
    }
    if (!(best < 1 SLOWER)) print_error("%s: %.1f s\n", name, best);
    return best < 1 SLOWER;
}

/* Work inside one call counts too: whatever a template does with long texts ends within a second. */
static void long_texts_are_charged(void **state) {
    (void)state;
    static const char *const expressions[] = {"s[99999]",       "s[99990:]",
                                              "s[::-1]",        "s|upper",
                                              "s|title",        "s|capitalize",
                                              "s.isupper()",    "s.isalpha()",
                                              "b.strip()",      "b|trim",
                                              "s|wordcount",    "s|tojson",
                                              "s.split()",      "s.splitlines()",
                                              "s.count('x')",   "s.find('aab')",
                                              "s.rfind('x')",   "s == s ~ ''",
                                              "s < s ~ 'a'",    "'x' in s",
                                              "s|length",       "s.startswith(s)",
                                              "s|indent",       "s|replace('x', 'y')",
                                              "s|int(0)",       "s|float(0)",
                                              "{s: 1}[s]",      "s|escape",
                                              "s|list|last",    "s|sort|first",
                                              "s|unique|first", "s|reverse",
                                              "b.lstrip(b)",    "s.endswith(s)",
                                              "s.islower()",    "s.isdigit()",
                                              "s ~ s",          "[s, s]|join(s)|length",
                                              "s is lower",     "s|first"};
    size_t slow = 0;
    for (size_t i = 0; i < sizeof expressions / sizeof expressions[0]; i++) {
        char template[512];
        snprintf(template, sizeof template,
                 "{%% set s = '\u00e9a' * 100000 %%}{%% set b = ' ' * 300000 %%}{%% for i in range(50000) %%}{%% for k in range(20000) %%}"
                 "{%% set x = %s %%}"
                 "{%% endfor %%}{%% endfor %%}",
                 expressions[i]);
        slow += !given_up_in_time(template, expressions[i]);
    }
    assert_int_equal(slow, 0);
}

/* So does whatever it repeats: the dearest things, by steps, that were found. */
static void loops_end_in_time(void **state) {
    (void)state;
    static const char *const bodies[] = {"{{ 1e300 + a }}",
                                         "{% set x = (1e300 + a)|string %}",
                                         "{% set x = strftime_now('%Y') %}",
                                         "{% set x = nope|default(1) %}",
                                         "{% set x = 'é'.title() %}",
                                         "{% set x = namespace(a=1) %}",
                                         "{% set x = d.items()|list %}",
                                         "{% set x = [3, 1, 2]|map('string')|join(',') %}",
                                         "{% set x = '%5.3f' % (a * 1.1) %}",
                                         "{% set x = m(a) %}",
                                         "{% set x = [d, d]|groupby('a') %}",
                                         "{% set x = s|center(70000) %}",
                                         "{% set ns.x = ns.x ~ ns.x %}",
                                         "{% set x = s|urlencode %}",
                                         "{% set x = range(99999)|list|batch(2)|list %}",
                                         "{% set x = [1]|slice(99999)|list %}"};
    size_t slow = 0;
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        char template[512];
        snprintf(template, sizeof template,
                 "{%% macro m(q) %%}{{ q }}{%% endmacro %%}{%% set ns = namespace(x='x') %%}{%% set d = {'a': 1, 'b': [1, 'x']} %%}{%% set "
                 "s = 'é ' * 30000 %%}"
                 "{%% for a in range(99999) %%}{%% for b in range(99999) %%}%s{%% endfor %%}{%% endfor %%}",
                 bodies[i]);
        slow += !given_up_in_time(template, bodies[i]);
    }
    assert_int_equal(slow, 0);
}

static void clock_is_given(void **state) {
    (void)state;
    static const struct jinja_limits noon = {.now_s = 1700000000};
    static const char template[] = "{{ strftime_now('%Y-%m %%') }}";
    struct jinja *t = NULL;
    struct buf out = {0};
    assert_int_equal(jinja_compile(&t, template, sizeof template - 1), ST_OK);
    assert_int_equal(jinja_render(t, &out, NULL, 0, &noon), ST_OK);
    assert_string_equal(buf_text(&out), "2023-11 %");
    jinja_free(t);
    buf_release(&out);
}

/* Every template of the goldens, cut, doubled and with bytes changed: an error names a line, nothing crashes. */
static void malformed_templates_are_refused(void **state) {
    (void)state;
    static const char alphabet[] = "{}%#()[]|.,:'\"-+~ \nabis09";
    static const struct jinja_limits small = {.steps = 20000, .output_bytes = 1 << 20, .memory_bytes = 8 << 20};
    struct rng rng = rng_seeded(7);
    struct json key, c;
    size_t refused = 0;
    for (struct json_iter it = json_iter_begin(json_get(golden, "cases")); json_iter_next(&it, &key, &c);) {
        char *template = json_text(json_get(c, "template"));
        size_t size = strlen(template);
        for (int k = 0; size && k < 12; k++) {
            struct buf changed = {0}, out = {0};
            struct jinja *t = NULL;
            buf_append(&changed, template, k < 4 ? rng_below(&rng, size) : size);
            for (int m = 0; k >= 4 && m < 1 + k % 3; m++)
                changed.data[rng_below(&rng, size)] = alphabet[rng_below(&rng, sizeof alphabet - 1)];
            status s = jinja_compile(&t, buf_text(&changed), changed.size);
            if (s == ST_OK) s = jinja_render(t, &out, NULL, 0, &small);
            if (s != ST_OK) {
                refused++;
                if (strncmp(status_message(), "template line ", 14) != 0 || !status_message()[17])
                    fail_msg("%s: %s", buf_text(&changed), status_message());
            }
            jinja_free(t);
            buf_release(&changed);
            buf_release(&out);
        }
        free(template);
    }
    assert_true(refused > 1000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(expressions_and_statements_are_jinja2s),
        cmocka_unit_test(chat_templates_are_jinja2s),
        cmocka_unit_test(errors_name_line_and_reason),
        cmocka_unit_test(runs_within_limits),
        cmocka_unit_test(long_texts_are_charged),
        cmocka_unit_test(loops_end_in_time),
        cmocka_unit_test(clock_is_given),
        cmocka_unit_test(malformed_templates_are_refused),
    };
    return cmocka_run_group_tests_name("jinja", tests, load, unload);
}
