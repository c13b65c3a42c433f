/* goal_bake: for every chat template of the golden and every conversation, the baked template renders what the plain one renders of the
 * conversation with the goal written into it. tests/oracle/check_bake.py holds the same against transformers and llama.cpp. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "text/chat.h"
#include "text/goal.h"

static const struct json none = {NULL, 0};

/* The rendering, or NULL where it fails. */
static char *render(const char *template, struct json messages) {
    struct chat_template *c = NULL;
    struct buf out = {0};
    status s = chat_compile(&c, template, "<s>", "</s>");
    if (s == ST_OK) s = chat_render(c, &out, messages, none, none, true);
    chat_free(c);
    char *text = s == ST_OK ? mem_text(buf_text(&out)) : NULL;
    buf_release(&out);
    return text;
}

/* Returns whether both rendered. */
static bool compare(const char *name, const char *template, struct json messages, struct goal_style *g, double goal) {
    struct buf baked = {0}, changed = {0};
    assert_int_equal(goal_bake(&baked, g, &(struct goal){1, {goal}}, template), ST_OK);
    assert_true(goal_is_baked(buf_text(&baked)));
    /* Without a user turn there is nothing to write a goal into: the messages stay. */
    if (goal_put_messages(&changed, g, messages, &(struct goal){1, {goal}}) != ST_OK) buf_append(&changed, messages.text, messages.size);
    char *want = render(template, (struct json){changed.data, changed.size}), *got = render(buf_text(&baked), messages);
    if ((want == NULL) != (got == NULL) || (want && strcmp(want, got) != 0))
        fail_msg("%s, placement %s, %.*s:\nwant %s\ngot  %s", name, goal_placement_name(g->placement), (int)messages.size, messages.text,
                 want ? want : "an error", got ? got : "an error");
    const bool rendered = want != NULL;
    free(want);
    free(got);
    buf_release(&baked);
    buf_release(&changed);
    return rendered;
}

/* Templates that begin and go on in ways that what stands in front could disturb. */
static const char *const edges[] = {
    "\n{% for m in messages %}\n  {% if true %}\n{{ m.content }}\n  {% endif %}\n{% endfor %}\n",
    "  {% for m in messages %}{{ m['content'] }};{% endfor %}",
    "\t{{- 'a' }}{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{{ m.role }}{{ ns.n }}{{ m.content }}{% "
    "endfor %}",
    "{% macro show() %}{% for m in messages %}{{ m.content }}{% endfor %}{% endmacro %}{{ show() }}",
    "{%- if messages[0].role == 'system' %}{% set messages = messages[1:] %}S{% endif %}{% for m in messages %}{{ m.content }}{% endfor %}",
    "{# first #}\n\n{% set s = messages[0]['content'] if messages else '' %}{{ s }}|{{ messages | length }}",
};

static size_t compare_all(const char *template, const char *name, struct json lists, struct goal_style *g, double goal) {
    size_t count = 0;
    struct json key, messages;
    for (int p = GOAL_SYSTEM; p <= GOAL_AFTER; p++) {
        g->placement = (enum goal_placement)p;
        for (struct json_iter it = json_iter_begin(lists); json_iter_next(&it, &key, &messages);)
            count += compare(name, template, messages, g, goal);
    }
    return count;
}

static void baked_is_asked(void **state) {
    (void)state;
    struct buf text = {0};
    struct json root, key, value;
    struct goal_style g;
    size_t count = 0;
    assert_int_equal(file_read(&text, TEST_SOURCE_DIR "/golden/jinja/cases.json"), ST_OK);
    assert_int_equal(json_parse(&root, buf_text(&text), text.size), ST_OK);
    const struct json lists = json_get(root, "lists");
    goal_style_default(&g);
    for (struct json_iter it = json_iter_begin(json_get(root, "templates")); json_iter_next(&it, &key, &value);) {
        char *template = json_text(value), *name = json_text(key);
        count += compare_all(template, name, lists, &g, 8.5);
        free(template);
        free(name);
    }
    for (size_t i = 0; i < sizeof edges / sizeof edges[0]; i++) count += compare_all(edges[i], edges[i], lists, &g, 10);
    free(g.text); /* what a string must escape, and what looks like Jinja */
    g.text = mem_text("it's \"{s}\"\\n\\ \t{{ x }} {% if %} %} {# \r\n\u00e9 \u2603 of {a}-{b}");
    count += compare_all(edges[1], "a hostile text", lists, &g, 7.25);
    assert_true(count > 300); /* most render */
    goal_style_release(&g);
    buf_release(&text);
}

static void twice_is_refused(void **state) {
    (void)state;
    struct goal_style g;
    struct buf once = {0}, twice = {0};
    goal_style_default(&g);
    assert_false(goal_is_baked(NULL));
    assert_false(goal_is_baked("{{ messages }}"));
    assert_int_equal(goal_bake(&once, &g, &(struct goal){1, {10}}, "{{ messages }}"), ST_OK);
    assert_int_equal(goal_bake(&twice, &g, &(struct goal){1, {9}}, buf_text(&once)), ST_UNSUPPORTED);
    goal_style_release(&g);
    buf_release(&once);
    buf_release(&twice);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(baked_is_asked), cmocka_unit_test(twice_is_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
