/* jinja_tests: what stands behind `is`. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <string.h>

#include "text/jinja_case.h"
#include "text/jinja_value.h"

#define TEST(name) static status name(struct jrender *r, bool *out, struct jvalue v, const struct jvalue *args)
#define PLAIN(name, expression)       \
    TEST(name) {                      \
        (void)r, (void)args, (void)v; \
        *out = (expression);          \
        return ST_OK;                 \
    }

static bool is_int(struct jvalue v) { return v.kind == JV_INT || v.kind == JV_BIG; }
/* Has it len() and []? */
static bool is_sequence(struct jvalue v) {
    return v.kind == JV_STRING || v.kind == JV_DICT || v.kind == JV_UNDEFINED || (v.kind == JV_LIST && v.list->type <= JL_TUPLE);
}

PLAIN(test_defined, v.kind != JV_UNDEFINED)
PLAIN(test_undefined, v.kind == JV_UNDEFINED)
PLAIN(test_none, v.kind == JV_NONE)
PLAIN(test_string, v.kind == JV_STRING)
PLAIN(test_mapping, v.kind == JV_DICT)
PLAIN(test_iterable, is_sequence(v) || v.kind == JV_LIST || v.kind == JV_LOOP)
PLAIN(test_sequence, is_sequence(v))
PLAIN(test_number, jv_is_number(v))
PLAIN(test_integer, is_int(v))
PLAIN(test_float, v.kind == JV_FLOAT)
PLAIN(test_boolean, v.kind == JV_BOOL)
PLAIN(test_true, v.kind == JV_BOOL && v.b)
PLAIN(test_false, v.kind == JV_BOOL && !v.b)
PLAIN(test_callable, v.kind == JV_UNDEFINED || v.kind == JV_MACRO || v.kind == JV_FUNCTION || v.kind == JV_METHOD)
PLAIN(test_escaped, false)
PLAIN(test_filter, v.kind == JV_STRING && v.s->size < 64 && !memchr(v.s->data, 0, v.s->size) &&
                       (jinja_filter_find(jr_text(r, "%.*s", (int)v.s->size, v.s->data)) ||
                        jinja_filter_left_out(jr_text(r, "%.*s", (int)v.s->size, v.s->data))))
PLAIN(test_test, v.kind == JV_STRING && v.s->size < 64 && !memchr(v.s->data, 0, v.s->size) &&
                     jinja_test_find(jr_text(r, "%.*s", (int)v.s->size, v.s->data)))

static status need_arg(const struct jrender *r, struct jvalue arg) {
    return arg.kind == JV_ABSENT ? jr_fail(r, "this test needs an argument") : ST_OK;
}

TEST(test_eq) {
    TRY(need_arg(r, args[0]));
    return jv_equal(r, out, v, args[0]);
}
TEST(test_ne) {
    TRY(test_eq(r, out, v, args));
    *out = !*out;
    return ST_OK;
}
static status order(struct jrender *r, int *c, struct jvalue v, const struct jvalue *args) {
    TRY(need_arg(r, args[0]));
    return jv_compare(r, c, v, args[0]);
}
TEST(test_lt) {
    int c = 0;
    TRY(order(r, &c, v, args));
    *out = c < 0;
    return ST_OK;
}
TEST(test_le) {
    int c = 0;
    TRY(order(r, &c, v, args));
    *out = c <= 0;
    return ST_OK;
}
TEST(test_gt) {
    int c = 0;
    TRY(order(r, &c, v, args));
    *out = c == 1;
    return ST_OK;
}
TEST(test_ge) {
    int c = 0;
    TRY(order(r, &c, v, args));
    *out = c == 0 || c == 1;
    return ST_OK;
}
TEST(test_in) {
    TRY(need_arg(r, args[0]));
    return jv_contains(r, out, args[0], v);
}
TEST(test_sameas) {
    TRY(need_arg(r, args[0]));
    *out = false;
    if (v.kind != args[0].kind) return ST_OK;
    if (v.kind == JV_LIST)
        *out = v.list == args[0].list;
    else if (v.kind == JV_DICT || v.kind == JV_NAMESPACE)
        *out = v.dict == args[0].dict;
    else
        return jv_equal(r, out, v, args[0]);
    return ST_OK;
}
static status modulo(struct jrender *r, int64_t *out, struct jvalue v, struct jvalue by) {
    struct jvalue rest = {0};
    TRY(need_arg(r, by));
    TRY(jv_binary(r, &rest, JT_MOD, v, by));
    if (rest.kind == JV_FLOAT)
        *out = rest.d == 0 ? 0 : rest.d == 1 ? 1 : 2;
    else
        TRY(jc_int(r, out, rest, "a remainder"));
    return ST_OK;
}
TEST(test_odd) {
    (void)args;
    int64_t rest = 0;
    TRY(modulo(r, &rest, v, jv_int(2)));
    *out = rest == 1;
    return ST_OK;
}
TEST(test_even) {
    (void)args;
    int64_t rest = 0;
    TRY(modulo(r, &rest, v, jv_int(2)));
    *out = rest == 0;
    return ST_OK;
}
TEST(test_divisibleby) {
    int64_t rest = 0;
    TRY(modulo(r, &rest, v, args[0]));
    *out = rest == 0;
    return ST_OK;
}

TEST(test_lower) {
    (void)args;
    struct jvalue s = {0};
    TRY(jv_to_string(r, &s, v));
    return jinja_is_cased(r, out, s.s, false);
}
TEST(test_upper) {
    (void)args;
    struct jvalue s = {0};
    TRY(jv_to_string(r, &s, v));
    return jinja_is_cased(r, out, s.s, true);
}

static const struct jtest tests[] = {
    {"defined", "", test_defined},
    {"undefined", "", test_undefined},
    {"none", "", test_none},
    {"string", "", test_string},
    {"mapping", "", test_mapping},
    {"iterable", "", test_iterable},
    {"sequence", "", test_sequence},
    {"number", "", test_number},
    {"integer", "", test_integer},
    {"float", "", test_float},
    {"boolean", "", test_boolean},
    {"true", "", test_true},
    {"false", "", test_false},
    {"callable", "", test_callable},
    {"escaped", "", test_escaped},
    {"filter", "", test_filter},
    {"test", "", test_test},
    {"odd", "", test_odd},
    {"even", "", test_even},
    {"divisibleby", "num", test_divisibleby},
    {"lower", "", test_lower},
    {"upper", "", test_upper},
    {"sameas", "other", test_sameas},
    {"in", "seq", test_in},
    {"eq", "b", test_eq},
    {"equalto", "b", test_eq},
    {"==", "b", test_eq},
    {"ne", "b", test_ne},
    {"!=", "b", test_ne},
    {"lt", "b", test_lt},
    {"lessthan", "b", test_lt},
    {"<", "b", test_lt},
    {"le", "b", test_le},
    {"<=", "b", test_le},
    {"gt", "b", test_gt},
    {"greaterthan", "b", test_gt},
    {">", "b", test_gt},
    {"ge", "b", test_ge},
    {">=", "b", test_ge},
};

const struct jtest *jinja_test_find(const char *name) {
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) {
        if (strcmp(tests[i].name, name) == 0) return &tests[i];
    }
    return NULL;
}

status jinja_test_run(struct jrender *r, bool *out, const struct jtest *t, struct jvalue v, const struct jcall *call) {
    struct jvalue args[JINJA_PARAMETERS_MAX] = {{0}};
    TRY(jc_bind(r, args, call, t->name, t->parameters));
    return t->run(r, out, v, args);
}
