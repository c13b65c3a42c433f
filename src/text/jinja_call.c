/* jinja_call: attributes, items, slices, arithmetic, calls, and the global functions. The sandbox's rules are jinja2/sandbox.py's. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "text/jinja_value.h"

#define RANGE_MAX 100000 /* sandbox.py MAX_RANGE */

struct jfunction {
    const char *name, *parameters; /* NULL: reads the call itself */
    status (*run)(struct jrender *r, struct jvalue *out, const struct jvalue *args, const struct jcall *call);
};

/* ---- lookup ---- */

/* Methods that change their object: there, but not to be touched. */
static bool is_mutator(struct jvalue v, const char *name) {
    static const char *const of_list[] = {"append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove", NULL};
    static const char *const of_dict[] = {"clear", "pop", "popitem", "setdefault", "update", NULL};
    const char *const *names = v.kind == JV_DICT ? of_dict : v.kind == JV_LIST && v.list->type == JL_LIST ? of_list : NULL;
    for (; names && *names; names++) {
        if (strcmp(*names, name) == 0) return true;
    }
    return false;
}

static status undefined_attribute(struct jrender *r, struct jvalue *out, struct jvalue v, const char *name) {
    *out = v.kind == JV_NONE ? jv_undefined(jr_text(r, "'None' has no attribute '%.60s'", name))
                             : jv_undefined(jr_text(r, "'%s object' has no attribute '%.60s'", jv_type_name(v), name));
    return ST_OK;
}

/* getattr(v, name): JV_ABSENT when there is none. */
static status own_attribute(struct jrender *r, struct jvalue *out, struct jvalue v, const char *name) {
    *out = (struct jvalue){0};
    if (is_mutator(v, name) || (v.kind != JV_NAMESPACE && name[0] == '_' && name[1] == '_' &&
                                (strcmp(name, "__class__") == 0 || strcmp(name, "__init__") == 0 || strcmp(name, "__dict__") == 0))) {
        *out = jv_undefined(jr_text(r, "access to attribute '%.60s' of '%s' object is unsafe", name, jv_type_name(v)));
        return ST_OK;
    }
    if (v.kind == JV_NAMESPACE) return jv_dict_get_text(r, out, v.dict, name);
    if (v.kind == JV_MACRO && strcmp(name, "name") == 0) return jv_view(r, out, v.macro->node->name, v.macro->node->size);
    if (v.kind == JV_LIST && v.list->group && (strcmp(name, "grouper") == 0 || strcmp(name, "list") == 0)) {
        *out = v.list->items[name[0] == 'l'];
        return ST_OK;
    }
    return jv_method(r, out, v, name);
}

status jv_attribute(struct jrender *r, struct jvalue *out, struct jvalue v, const char *name) {
    if (v.kind == JV_UNDEFINED) return jr_fail(r, "%s", v.why);
    TRY(own_attribute(r, out, v, name));
    if (out->kind != JV_ABSENT) return ST_OK;
    if (v.kind == JV_DICT) TRY(jv_dict_get_text(r, out, v.dict, name));
    return out->kind == JV_ABSENT ? undefined_attribute(r, out, v, name) : ST_OK;
}

/* Is v an index? Fills *index, made positive for `count` items. */
static bool as_index(size_t *index, struct jvalue v, size_t count) {
    if (v.kind != JV_INT && v.kind != JV_BOOL) return false;
    int64_t i = v.kind == JV_BOOL ? v.b : v.i;
    if (i < 0) i = i < -(int64_t)count ? -1 : i + (int64_t)count;
    *index = i < 0 || (uint64_t)i >= count ? SIZE_MAX : (size_t)i;
    return true;
}

status jv_item(struct jrender *r, struct jvalue *out, struct jvalue v, struct jvalue key) {
    size_t i = SIZE_MAX;
    char name[256];
    *out = (struct jvalue){0};
    if (v.kind == JV_UNDEFINED) return jr_fail(r, "%s", v.why);
    if (v.kind == JV_DICT && !(key.kind == JV_LIST && key.list->type != JL_TUPLE) && key.kind != JV_DICT) {
        TRY(jv_dict_get(r, out, v.dict, key));
    } else if (v.kind == JV_LIST && v.list->type <= JL_TUPLE && as_index(&i, key, v.list->count)) {
        if (i != SIZE_MAX) *out = v.list->items[i];
    } else if (v.kind == JV_STRING && as_index(&i, key, v.s->chars) && i != SIZE_MAX) {
        size_t at = jv_char_offset(v.s, i), n = 0;
        TRY(jr_tick(r, at / 2));
        jinja_char(&n, v.s->data + at, v.s->size - at);
        return jv_view(r, out, v.s->data + at, n);
    }
    if (out->kind != JV_ABSENT) return ST_OK;
    if (key.kind == JV_STRING && key.s->size < sizeof name && !memchr(key.s->data, 0, key.s->size)) {
        memcpy(name, key.s->data, key.s->size);
        name[key.s->size] = 0;
        TRY(own_attribute(r, out, v, name));
        return out->kind == JV_ABSENT ? undefined_attribute(r, out, v, name) : ST_OK;
    }
    if (key.kind == JV_INT) {
        *out = jv_undefined(jr_text(r, "'%s object' has no element %lld", jv_type_name(v), (long long)key.i));
    } else {
        *out = jv_undefined(jr_text(r, "'%s object' has no such element", jv_type_name(v)));
    }
    return ST_OK;
}

static int64_t clamp(int64_t i, int64_t low, int64_t high) { return i < low ? low : i > high ? high : i; }

/* slice.indices(count) of Python. */
static status slice_indices(struct jrender *r, int64_t *at, const struct jvalue *bounds, int64_t count) {
    at[2] = 1;
    for (int k = 2; k >= 0; k--) {
        bool given = bounds[k].kind != JV_ABSENT && bounds[k].kind != JV_NONE, down = at[2] < 0;
        if (!given) {
            if (k == 0) at[0] = down ? count - 1 : 0;
            if (k == 1) at[1] = down ? -1 : count;
            continue;
        }
        TRY(jc_int(r, &at[k], bounds[k], "a slice index"));
        if (k == 2) {
            if (at[2] == 0) return jr_fail(r, "slice step cannot be zero");
            at[2] = clamp(at[2], -INT32_MAX, INT32_MAX);
            continue;
        }
        if (at[k] < 0) at[k] = at[k] < -count ? -1 - count : at[k] + count;
        at[k] = down ? clamp(at[k], -1, count - 1) : clamp(at[k], 0, count);
    }
    return ST_OK;
}

static status slice_string(struct jrender *r, struct jvalue *out, const struct jstr *s, const int64_t *at) {
    struct buf text = {0};
    TRY(jr_tick(r, s->size / 2));
    if (at[2] == 1) {
        if (at[0] >= at[1]) return jv_view(r, out, "", 0);
        size_t from = jv_char_offset(s, (size_t)at[0]);
        struct jstr rest = {s->data + from, s->size - from, s->chars - (size_t)at[0]};
        return jv_view(r, out, rest.data, jv_char_offset(&rest, (size_t)(at[1] - at[0])));
    }
    struct jlist *chars = NULL;
    TRY(jv_items(r, &chars, (struct jvalue){.kind = JV_STRING, .s = s}));
    for (int64_t i = at[0]; at[2] > 0 ? i < at[1] : i > at[1]; i += at[2])
        buf_append(&text, chars->items[i].s->data, chars->items[i].s->size);
    status st = jv_string(r, out, buf_text(&text), text.size);
    buf_release(&text);
    return st;
}

status jv_slice(struct jrender *r, struct jvalue *out, struct jvalue v, const struct jvalue *bounds) {
    int64_t at[3];
    if (v.kind == JV_UNDEFINED) return jr_fail(r, "%s", v.why);
    if (v.kind != JV_STRING && (v.kind != JV_LIST || v.list->type > JL_TUPLE)) {
        return jr_fail(r, "'%s' object cannot be sliced", jv_type_name(v));
    }
    TRY(slice_indices(r, at, bounds, (int64_t)(v.kind == JV_STRING ? v.s->chars : v.list->count)));
    if (v.kind == JV_STRING) return slice_string(r, out, v.s, at);
    TRY(jv_list(r, out, v.list->type, 0));
    for (int64_t i = at[0]; at[2] > 0 ? i < at[1] : i > at[1]; i += at[2]) TRY(jv_append(r, out->list, v.list->items[i]));
    return ST_OK;
}

/* ---- arithmetic ---- */

static status too_large(const struct jrender *r) { return jr_fail(r, "an integer does not fit 64 bits"); }

static status int_power(struct jrender *r, struct jvalue *out, int64_t base, int64_t exponent) {
    int64_t result = 1;
    if (exponent < 0) {
        if (base == 0) return jr_fail(r, "0.0 cannot be raised to a negative power");
        *out = jv_float(pow((double)base, (double)exponent));
        return ST_OK;
    }
    if (base == 0 || base == 1 || base == -1) {
        *out = jv_int(exponent == 0 ? 1 : base == -1 ? (exponent % 2 ? -1 : 1) : base);
        return ST_OK;
    }
    for (; exponent > 0; exponent--) {
        if (__builtin_mul_overflow(result, base, &result)) return too_large(r);
    }
    *out = jv_int(result);
    return ST_OK;
}

static status int_binary(struct jrender *r, struct jvalue *out, enum jtok op, int64_t a, int64_t b) {
    int64_t i = 0;
    if ((op == JT_DIV || op == JT_FLOORDIV || op == JT_MOD) && b == 0) {
        return jr_fail(r, op == JT_DIV ? "division by zero" : "integer division or modulo by zero");
    }
    bool over = false;
    switch (op) {
    case JT_ADD: over = __builtin_add_overflow(a, b, &i); break;
    case JT_SUB: over = __builtin_sub_overflow(a, b, &i); break;
    case JT_MUL: over = __builtin_mul_overflow(a, b, &i); break;
    case JT_DIV: *out = jv_float((double)a / (double)b); return ST_OK;
    case JT_POW: return int_power(r, out, a, b);
    default: /* towards minus infinity */
        if (b == -1) {
            over = op == JT_FLOORDIV && __builtin_sub_overflow((int64_t)0, a, &i);
            break;
        }
        i = op == JT_MOD ? a % b : a / b;
        if ((a % b != 0) && ((a < 0) != (b < 0))) i += op == JT_MOD ? b : -1;
    }
    if (over) return too_large(r);
    *out = jv_int(i);
    return ST_OK;
}

static status float_binary(struct jrender *r, struct jvalue *out, enum jtok op, double a, double b) {
    if ((op == JT_DIV || op == JT_FLOORDIV || op == JT_MOD) && b == 0) return jr_fail(r, "float division by zero");
    double d = 0, rest = 0;
    switch (op) {
    case JT_ADD: d = a + b; break;
    case JT_SUB: d = a - b; break;
    case JT_MUL: d = a * b; break;
    case JT_DIV: d = a / b; break;
    case JT_POW: d = pow(a, b); break;
    default: /* float.__divmod__ */
        rest = fmod(a, b);
        d = (a - rest) / b;
        if (rest != 0 && (b < 0) != (rest < 0)) rest += b, d -= 1;
        if (rest == 0) rest = copysign(0, b);
        if (d != 0) d = d - floor(d) > 0.5 ? floor(d) + 1 : floor(d);
        if (op == JT_MOD) d = rest;
    }
    *out = jv_float(d);
    return ST_OK;
}

static status repeat(struct jrender *r, struct jvalue *out, struct jvalue v, struct jvalue times) {
    int64_t n = times.kind == JV_BOOL ? times.b : times.i;
    size_t size = 0;
    if (n < 0) n = 0;
    if (v.kind == JV_LIST) {
        TRY(jv_list(r, out, v.list->type, 0));
        for (int64_t k = 0; v.list->count && k < n; k++) {
            for (size_t i = 0, count = v.list->count; i < count; i++) TRY(jv_append(r, out->list, v.list->items[i]));
        }
        return ST_OK;
    }
    char *text = NULL;
    if (n == 0 || v.s->size == 0) return jv_view(r, out, "", 0);
    if (!size_mul(&size, v.s->size, (size_t)n)) size = SIZE_MAX;
    TRY(jr_take(r, &text, size, 1));
    TRY(jr_tick(r, (size_t)n / 16));
    for (size_t i = 0; i < size; i += v.s->size) memcpy(text + i, v.s->data, v.s->size);
    return jv_view(r, out, text, size);
}

static status add_values(struct jrender *r, struct jvalue *out, struct jvalue a, struct jvalue b) {
    if (a.kind == JV_STRING) {
        char *text = NULL;
        if (a.s->size == 0 || b.s->size == 0) {
            *out = a.s->size ? a : b;
            return ST_OK;
        }
        TRY(jr_take(r, &text, a.s->size + b.s->size, 1));
        memcpy(text, a.s->data, a.s->size);
        memcpy(text + a.s->size, b.s->data, b.s->size);
        return jv_view(r, out, text, a.s->size + b.s->size);
    }
    TRY(jv_list(r, out, a.list->type, 0));
    for (size_t i = 0; i < a.list->count; i++) TRY(jv_append(r, out->list, a.list->items[i]));
    for (size_t i = 0; i < b.list->count; i++) TRY(jv_append(r, out->list, b.list->items[i]));
    return ST_OK;
}

/* Can v be repeated or joined with +? */
static bool is_joinable(struct jvalue v) { return v.kind == JV_STRING || (v.kind == JV_LIST && v.list->type <= JL_TUPLE); }

status jv_binary(struct jrender *r, struct jvalue *out, enum jtok op, struct jvalue a, struct jvalue b) {
    static const char *const signs[] = {"+", "-", "/", "//", "*", "%", "**"};
    bool int_a = a.kind == JV_INT || a.kind == JV_BOOL, int_b = b.kind == JV_INT || b.kind == JV_BOOL;
    if (a.kind == JV_UNDEFINED || b.kind == JV_UNDEFINED) {
        if (op == JT_MOD && a.kind == JV_STRING) return jv_percent(r, out, a.s, &(struct jcall){.positional = &b, .positional_count = 1});
        return jr_fail(r, "%s", a.kind == JV_UNDEFINED ? a.why : b.why);
    }
    if (int_a && int_b) return int_binary(r, out, op, a.kind == JV_BOOL ? a.b : a.i, b.kind == JV_BOOL ? b.b : b.i);
    if (jv_is_number(a) && jv_is_number(b)) {
        if (a.kind == JV_BIG || b.kind == JV_BIG) return too_large(r);
        return float_binary(r, out, op, jv_to_double(a), jv_to_double(b));
    }
    if (op == JT_ADD && is_joinable(a) && a.kind == b.kind && (a.kind == JV_STRING || a.list->type == b.list->type))
        return add_values(r, out, a, b);
    if (op == JT_MUL && is_joinable(a) && int_b) return repeat(r, out, a, b);
    if (op == JT_MUL && is_joinable(b) && int_a) return repeat(r, out, b, a);
    if (op == JT_MOD && a.kind == JV_STRING) {
        bool tuple = b.kind == JV_LIST && b.list->type == JL_TUPLE;
        return jv_percent(r, out, a.s,
                          &(struct jcall){.positional = tuple ? b.list->items : &b, .positional_count = tuple ? b.list->count : 1});
    }
    if (op == JT_ADD && a.kind == JV_STRING) return jr_fail(r, "can only concatenate str (not \"%s\") to str", jv_type_name(b));
    return jr_fail(r, "unsupported operand type(s) for %s: '%s' and '%s'", signs[op], jv_type_name(a), jv_type_name(b));
}

/* ---- calls ---- */

status jc_int(struct jrender *r, int64_t *out, struct jvalue v, const char *what) {
    if (v.kind != JV_INT && v.kind != JV_BOOL) return jr_fail(r, "%s must be an integer, not %s", what, jv_type_name(v));
    *out = v.kind == JV_BOOL ? v.b : v.i;
    return ST_OK;
}
status jc_string(struct jrender *r, const struct jstr **out, struct jvalue v, const char *what) {
    if (v.kind == JV_UNDEFINED) return jr_fail(r, "%s", v.why);
    if (v.kind != JV_STRING) return jr_fail(r, "%s must be a string, not %s", what, jv_type_name(v));
    *out = v.s;
    return ST_OK;
}

status jc_bind(struct jrender *r, struct jvalue *out, const struct jcall *call, const char *function, const char *names) {
    size_t count = 0;
    bool bound[64] = {false};
    for (const char *at = names; *at; count++) {
        size_t n = strcspn(at, ",");
        CHECK(count < JINJA_PARAMETERS_MAX);
        out[count] = count < call->positional_count ? call->positional[count] : (struct jvalue){0};
        for (size_t k = 0; k < call->keyword_count; k++) {
            if (strlen(call->keywords[k].name) != n || memcmp(call->keywords[k].name, at, n) != 0) continue;
            if (out[count].kind != JV_ABSENT) return jr_fail(r, "%s() got multiple values for argument '%.*s'", function, (int)n, at);
            out[count] = call->keywords[k].value;
            if (k < 64) bound[k] = true;
        }
        at += n + (at[n] == ',');
    }
    if (call->positional_count > count)
        return jr_fail(r, "%s() takes at most %zu argument(s), got %zu", function, count, call->positional_count);
    for (size_t k = 0; k < call->keyword_count; k++) {
        if (k >= 64 || !bound[k]) return jr_fail(r, "%s() got an unexpected keyword argument '%.60s'", function, call->keywords[k].name);
    }
    return ST_OK;
}

status jv_call(struct jrender *r, struct jvalue *out, struct jvalue callee, const struct jcall *call) {
    switch (callee.kind) {
    case JV_UNDEFINED: return jr_fail(r, "%s", callee.why);
    case JV_MACRO: return jv_call_macro(r, out, callee.macro, call);
    case JV_FUNCTION: return jv_call_function(r, out, callee.function, call);
    case JV_METHOD: return jv_call_method(r, out, callee.method, call);
    default: return jr_fail(r, "'%s' object is not callable", jv_type_name(callee));
    }
}

/* ---- global functions ---- */

static status run_range(struct jrender *r, struct jvalue *out, const struct jvalue *args, const struct jcall *call) {
    int64_t from = 0, to = 0, step = 1;
    if (call->positional_count == 0) return jr_fail(r, "range expected at least 1 argument, got 0");
    TRY(jc_int(r, &to, args[0], "range()'s argument"));
    if (args[1].kind != JV_ABSENT) {
        from = to;
        TRY(jc_int(r, &to, args[1], "range()'s argument"));
    }
    if (args[2].kind != JV_ABSENT) TRY(jc_int(r, &step, args[2], "range()'s argument"));
    if (step == 0) return jr_fail(r, "range() arg 3 must not be zero");
    double count = ceil(((double)to - (double)from) / (double)step);
    if (count > RANGE_MAX) return jr_fail(r, "range too big: the sandbox blocks ranges larger than %d", RANGE_MAX);
    TRY(jv_list(r, out, JL_LIST, count > 0 ? (size_t)count : 0));
    for (int64_t i = 0; (double)i < count; i++) TRY(jv_append(r, out->list, jv_int(from + i * step)));
    return ST_OK;
}

/* dict(mapping or pairs, name=value ...), also for namespace(). */
static status run_dict(struct jrender *r, struct jvalue *out, const struct jvalue *args, const struct jcall *call) {
    (void)args;
    struct jvalue key = {0};
    TRY(jv_dict(r, out));
    if (call->positional_count > 1) return jr_fail(r, "dict expected at most 1 argument, got %zu", call->positional_count);
    if (call->positional_count == 1 && call->positional[0].kind == JV_DICT) {
        const struct jdict *from = call->positional[0].dict;
        for (size_t i = 0; i < from->count; i++) TRY(jv_dict_set(r, out->dict, from->keys[i], from->values[i]));
    } else if (call->positional_count == 1) {
        struct jlist *pairs = NULL, *pair = NULL;
        TRY(jv_items(r, &pairs, call->positional[0]));
        for (size_t i = 0; i < pairs->count; i++) {
            TRY(jv_items(r, &pair, pairs->items[i]));
            if (pair->count != 2) return jr_fail(r, "dict() needs pairs; element %zu has %zu items", i, pair->count);
            TRY(jv_dict_set(r, out->dict, pair->items[0], pair->items[1]));
        }
    }
    for (size_t k = 0; k < call->keyword_count; k++) {
        TRY(jv_view(r, &key, call->keywords[k].name, strlen(call->keywords[k].name)));
        TRY(jv_dict_set(r, out->dict, key, call->keywords[k].value));
    }
    return ST_OK;
}

static status run_namespace(struct jrender *r, struct jvalue *out, const struct jvalue *args, const struct jcall *call) {
    TRY(run_dict(r, out, args, call));
    for (size_t i = 0; i < out->dict->count; i++) {
        struct jvalue key = out->dict->keys[i];
        if (key.kind == JV_STRING && key.s->size && key.s->data[0] == '_') {
            return jr_fail(r, "a namespace takes no attribute that starts with an underscore");
        }
    }
    out->kind = JV_NAMESPACE;
    return ST_OK;
}

static status run_raise(struct jrender *r, struct jvalue *out, const struct jvalue *args, const struct jcall *call) {
    (void)out, (void)call;
    struct jvalue text = {0};
    TRY(jv_to_string(r, &text, args[0].kind == JV_ABSENT ? jv_undefined("") : args[0]));
    return jr_fail(r, "the template refuses this conversation: %.*s", (int)(text.s->size > 300 ? 300 : text.s->size), text.s->data);
}

static status run_strftime(struct jrender *r, struct jvalue *out, const struct jvalue *args, const struct jcall *call) {
    (void)call;
    char format[256], text[1024];
    const struct jstr *s = NULL;
    TRY(jc_string(r, &s, args[0], "strftime_now()'s argument"));
    if (s->size >= sizeof format || memchr(s->data, 0, s->size)) return jr_fail(r, "strftime_now(): the format is too long");
    memcpy(format, s->data, s->size);
    format[s->size] = 0;
    time_t now = (time_t)r->limits.now_s;
    struct tm tm;
    if (!localtime_r(&now, &tm)) return jr_fail(r, "strftime_now(): no such time");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* the format is the template's; strftime only reads its conversions */
    size_t n = s->size ? strftime(text, sizeof text, format, &tm) : 0; /* an empty result and one too long look the same */
#pragma GCC diagnostic pop
    return jv_string(r, out, text, n);
}

static const struct jfunction functions[] = {
    {"range", "start,stop,step", run_range},  {"dict", NULL, run_dict},
    {"namespace", NULL, run_namespace},       {"raise_exception", "message", run_raise},
    {"strftime_now", "format", run_strftime},
};

status jv_call_function(struct jrender *r, struct jvalue *out, const struct jfunction *f, const struct jcall *call) {
    struct jvalue args[JINJA_PARAMETERS_MAX] = {{0}};
    if (f->parameters) TRY(jc_bind(r, args, call, f->name, f->parameters));
    return f->run(r, out, args, call);
}

status jv_globals(struct jrender *r) {
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        TRY(jf_set(r, r->globals, functions[i].name, (struct jvalue){.kind = JV_FUNCTION, .function = &functions[i]}));
    }
    return ST_OK;
}
