/* jinja_eval: walks the tree. Scopes follow jinja2: for, macro, with, call and captured blocks have their own; if has not. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "text/jinja_value.h"
#include "base/utf8.h"

enum flow { FLOW_NEXT, FLOW_BREAK, FLOW_CONTINUE };

static status eval(struct jrender *r, struct jvalue *out, const struct jnode *n, struct jframe *f);
static status run(struct jrender *r, enum flow *flow, const struct jnodes *body, struct jframe *f);

/* ---- scopes ---- */

static status frame_new(struct jrender *r, struct jframe **out, struct jframe *parent) {
    TRY(jr_take(r, out, 1, sizeof **out));
    (*out)->parent = parent;
    return ST_OK;
}

status jf_set(struct jrender *r, struct jframe *f, const char *name, struct jvalue value) {
    TRY(jr_tick(r, 1));
    for (size_t i = 0; i < f->count; i++) {
        if (strcmp(f->vars[i].name, name) == 0) {
            f->vars[i].value = value;
            return ST_OK;
        }
    }
    if (f->count == f->capacity) {
        size_t capacity = f->capacity ? f->capacity * 2 : 4;
        struct jvar *vars = NULL;
        TRY(jr_take(r, &vars, capacity, sizeof *vars));
        if (f->count) memcpy(vars, f->vars, f->count * sizeof *vars);
        f->vars = vars, f->capacity = capacity;
    }
    f->vars[f->count++] = (struct jvar){name, value};
    return ST_OK;
}

static const struct jvalue *frame_find(struct jrender *r, const struct jframe *f, const char *name) {
    for (; f; f = f->parent) {
        r->steps += f->count / 8;
        for (size_t i = f->count; i-- > 0;) {
            if (strcmp(f->vars[i].name, name) == 0) return &f->vars[i].value;
        }
    }
    return NULL;
}

/* ---- expressions ---- */

static status eval_constant(struct jrender *r, struct jvalue *out, const struct jnode *n) {
    switch (n->value.kind) {
    case JC_NONE: *out = jv_none(); return ST_OK;
    case JC_TRUE:
    case JC_FALSE: *out = jv_bool(n->value.kind == JC_TRUE); return ST_OK;
    case JC_INT: *out = jv_int(n->value.i); return ST_OK;
    case JC_FLOAT: *out = jv_float(n->value.d); return ST_OK;
    case JC_STRING: return jv_view(r, out, n->name, n->size);
    }
    return ST_OK;
}

static status eval_sequence(struct jrender *r, struct jvalue *out, const struct jnode *n, struct jframe *f) {
    struct jvalue item = {0};
    TRY(jv_list(r, out, n->kind == JN_TUPLE ? JL_TUPLE : JL_LIST, n->kids.count));
    for (size_t i = 0; i < n->kids.count; i++) {
        TRY(eval(r, &item, n->kids.items[i], f));
        TRY(jv_append(r, out->list, item));
    }
    return ST_OK;
}

static status eval_dict(struct jrender *r, struct jvalue *out, const struct jnode *n, struct jframe *f) {
    struct jvalue key = {0}, value = {0};
    TRY(jv_dict(r, out));
    for (size_t i = 0; i < n->kids.count; i += 2) {
        TRY(eval(r, &key, n->kids.items[i], f));
        TRY(eval(r, &value, n->kids.items[i + 1], f));
        TRY(jv_dict_set(r, out->dict, key, value));
    }
    return ST_OK;
}

static status add_keyword(struct jrender *r, struct jcall *call, size_t *capacity, const char *name, struct jvalue value) {
    TRY(jr_tick(r, 1));
    for (size_t i = 0; i < call->keyword_count; i++) {
        if (strcmp(call->keywords[i].name, name) == 0) return jr_fail(r, "keyword argument repeated: %.60s", name);
        TRY(jr_tick(r, 1));
    }
    if (call->keyword_count == *capacity) {
        struct jkeyword_value *grown = NULL;
        *capacity = *capacity ? *capacity * 2 : 4;
        TRY(jr_take(r, &grown, *capacity, sizeof *grown));
        if (call->keyword_count) memcpy(grown, call->keywords, call->keyword_count * sizeof *grown);
        call->keywords = grown;
    }
    call->keywords[call->keyword_count++] = (struct jkeyword_value){name, value};
    return ST_OK;
}

static status eval_args(struct jrender *r, struct jcall *call, const struct jargs *args, struct jframe *f) {
    struct jvalue list = {0}, value = {0};
    struct jlist *more = NULL;
    size_t capacity = args->keyword_count;
    *call = (struct jcall){0};
    if (args->positional.count == 0 && args->keyword_count == 0 && !args->star && !args->star_star) return ST_OK;
    TRY(jv_list(r, &list, JL_LIST, args->positional.count));
    for (size_t i = 0; i < args->positional.count; i++) {
        TRY(eval(r, &value, args->positional.items[i], f));
        TRY(jv_append(r, list.list, value));
    }
    if (args->star) {
        TRY(eval(r, &value, args->star, f));
        TRY(jv_items(r, &more, value));
        for (size_t i = 0; i < more->count; i++) TRY(jv_append(r, list.list, more->items[i]));
    }
    if (capacity) TRY(jr_take(r, &call->keywords, capacity, sizeof *call->keywords));
    for (size_t i = 0; i < args->keyword_count; i++) {
        TRY(eval(r, &value, args->keywords[i].value, f));
        TRY(add_keyword(r, call, &capacity, args->keywords[i].name, value));
    }
    if (args->star_star) {
        TRY(eval(r, &value, args->star_star, f));
        if (value.kind != JV_DICT) return jr_fail(r, "argument after ** must be a mapping, not %s", jv_type_name(value));
        for (size_t i = 0; i < value.dict->count; i++) {
            struct jvalue key = value.dict->keys[i];
            if (key.kind != JV_STRING) return jr_fail(r, "keywords must be strings");
            TRY(jr_tick(r, key.s->size / 64));
            char *name = NULL;
            TRY(jr_take(r, &name, key.s->size + 1, 1));
            memcpy(name, key.s->data, key.s->size);
            TRY(add_keyword(r, call, &capacity, name, value.dict->values[i]));
        }
    }
    call->positional = list.list->items;
    call->positional_count = list.list->count;
    return ST_OK;
}

static status eval_call(struct jrender *r, struct jvalue *out, const struct jnode *n, struct jframe *f) {
    struct jvalue callee = {0};
    struct jcall call;
    TRY(eval(r, &callee, n->a, f));
    TRY(eval_args(r, &call, &n->args, f));
    r->line = n->line;
    return jv_call(r, out, callee, &call);
}

static status eval_filter(struct jrender *r, struct jvalue *out, const struct jnode *n, struct jframe *f) {
    struct jvalue subject = r->block_text;
    struct jcall call;
    if (n->a) TRY(eval(r, &subject, n->a, f));
    r->line = n->line;
    if (!n->builtin) return jr_fail(r, "no filter named '%.60s'", n->name);
    TRY(eval_args(r, &call, &n->args, f));
    r->line = n->line;
    return jinja_filter_run(r, out, n->builtin, subject, &call);
}

static status eval_test(struct jrender *r, struct jvalue *out, const struct jnode *n, struct jframe *f) {
    struct jvalue subject = {0};
    struct jcall call;
    bool yes = false;
    TRY(eval(r, &subject, n->a, f));
    r->line = n->line;
    if (!n->builtin) return jr_fail(r, "no test named '%.60s'", n->name);
    TRY(eval_args(r, &call, &n->args, f));
    r->line = n->line;
    TRY(jinja_test_run(r, &yes, n->builtin, subject, &call));
    *out = jv_bool(yes != n->negated);
    return ST_OK;
}

static status compare_one(struct jrender *r, bool *out, enum jtok op, struct jvalue a, struct jvalue b) {
    int c = 0;
    if (op == JT_EQ || op == JT_NE) {
        TRY(jv_equal(r, out, a, b));
        *out = *out == (op == JT_EQ);
        return ST_OK;
    }
    if (op == JT_NAME || op == JT_STRING) {
        TRY(jv_contains(r, out, b, a));
        *out = *out == (op == JT_NAME);
        return ST_OK;
    }
    TRY(jv_compare(r, &c, a, b));
    *out = c != 2 && (op == JT_GT ? c > 0 : op == JT_GE ? c >= 0 : op == JT_LT ? c < 0 : c <= 0);
    return ST_OK;
}

static status eval_compare(struct jrender *r, struct jvalue *out, const struct jnode *n, struct jframe *f) {
    struct jvalue left = {0}, right = {0};
    bool yes = true;
    TRY(eval(r, &left, n->a, f));
    for (size_t i = 0; i < n->kids.count && yes; i++) {
        TRY(eval(r, &right, n->kids.items[i]->a, f));
        r->line = n->kids.items[i]->line;
        TRY(compare_one(r, &yes, n->kids.items[i]->op, left, right));
        left = right;
    }
    *out = jv_bool(yes);
    return ST_OK;
}

static status eval_concat(struct jrender *r, struct jvalue *out, const struct jnode *n, struct jframe *f) {
    struct buf text = {0};
    struct jvalue part = {0};
    status s = ST_OK;
    for (size_t i = 0; i < n->kids.count && s == ST_OK; i++) {
        s = eval(r, &part, n->kids.items[i], f);
        if (s == ST_OK) s = jv_put_str(r, &text, part);
    }
    if (s == ST_OK) s = jv_string(r, out, buf_text(&text), text.size);
    buf_release(&text);
    return s;
}

static status negate_big(struct jrender *r, struct jvalue *out, struct jvalue v) {
    char *text = NULL;
    bool minus = v.s->data[0] == '-';
    TRY(jr_take(r, &text, v.s->size + 1, 1));
    text[0] = '-';
    memcpy(text + (minus ? 0 : 1), v.s->data + (minus ? 1 : 0), v.s->size - (minus ? 1 : 0));
    TRY(jv_view(r, out, text, minus ? v.s->size - 1 : v.s->size + 1));
    out->kind = JV_BIG;
    return ST_OK;
}

static status eval_sign(struct jrender *r, struct jvalue *out, const struct jnode *n, struct jframe *f) {
    struct jvalue v = {0};
    TRY(eval(r, &v, n->a, f));
    if (v.kind == JV_UNDEFINED) return jr_fail(r, "%s", v.why);
    if (v.kind == JV_BIG && n->kind == JN_NEG) return negate_big(r, out, v);
    if (!jv_is_number(v)) return jr_fail(r, "bad operand type for a sign: '%s'", jv_type_name(v));
    if (v.kind == JV_BIG) {
        *out = v;
    } else if (v.kind == JV_FLOAT) {
        *out = jv_float(n->kind == JN_NEG ? -v.d : v.d);
    } else {
        int64_t i = v.kind == JV_BOOL ? v.b : v.i;
        if (i == INT64_MIN) return jr_fail(r, "an integer does not fit 64 bits");
        *out = jv_int(n->kind == JN_NEG ? -i : i);
    }
    return ST_OK;
}

static status eval_item(struct jrender *r, struct jvalue *out, const struct jnode *n, struct jframe *f) {
    struct jvalue subject = {0}, key[3] = {{0}};
    const struct jnode *const bounds[3] = {n->lower, n->upper, n->step};
    TRY(eval(r, &subject, n->a, f));
    if (n->kind == JN_ITEM) {
        TRY(eval(r, &key[0], n->b, f));
        r->line = n->line;
        return jv_item(r, out, subject, key[0]);
    }
    for (int i = 0; i < 3; i++) {
        if (bounds[i]) TRY(eval(r, &key[i], bounds[i], f));
    }
    r->line = n->line;
    return jv_slice(r, out, subject, key);
}

/* and, or, inline if: only what is needed is evaluated. */
static status eval_lazy(struct jrender *r, struct jvalue *out, const struct jnode *n, struct jframe *f) {
    TRY(eval(r, out, n->a, f));
    bool yes = jv_truth(*out);
    if (n->kind == JN_AND) return yes ? eval(r, out, n->b, f) : ST_OK;
    if (n->kind == JN_OR) return yes ? ST_OK : eval(r, out, n->b, f);
    if (yes) return eval(r, out, n->b, f);
    if (n->c) return eval(r, out, n->c, f);
    *out = jv_undefined("the inline if-expression evaluated to false and no else section was defined");
    return ST_OK;
}

static status eval_kind(struct jrender *r, struct jvalue *out, const struct jnode *n, struct jframe *f) {
    struct jvalue a = {0}, b = {0};
    const struct jvalue *found;
    switch (n->kind) {
    case JN_CONST: return eval_constant(r, out, n);
    case JN_NAME:
        found = frame_find(r, f, n->name);
        *out = found ? *found : jv_undefined(jr_text(r, "'%.100s' is undefined", n->name));
        return ST_OK;
    case JN_LIST:
    case JN_TUPLE: return eval_sequence(r, out, n, f);
    case JN_DICT: return eval_dict(r, out, n, f);
    case JN_ATTR:
        TRY(eval(r, &a, n->a, f));
        r->line = n->line;
        return jv_attribute(r, out, a, n->name);
    case JN_ITEM:
    case JN_SLICE: return eval_item(r, out, n, f);
    case JN_CALL: return eval_call(r, out, n, f);
    case JN_FILTER: return eval_filter(r, out, n, f);
    case JN_TEST: return eval_test(r, out, n, f);
    case JN_NOT:
        TRY(eval(r, &a, n->a, f));
        *out = jv_bool(!jv_truth(a));
        return ST_OK;
    case JN_NEG:
    case JN_POS: return eval_sign(r, out, n, f);
    case JN_AND:
    case JN_OR:
    case JN_COND: return eval_lazy(r, out, n, f);
    case JN_COMPARE: return eval_compare(r, out, n, f);
    case JN_CONCAT: return eval_concat(r, out, n, f);
    case JN_BINARY:
        TRY(eval(r, &a, n->a, f));
        TRY(eval(r, &b, n->b, f));
        r->line = n->line;
        return jv_binary(r, out, n->op, a, b);
    default: CHECK(!"an expression"); return ST_OK;
    }
}

static status eval(struct jrender *r, struct jvalue *out, const struct jnode *n, struct jframe *f) {
    r->line = n->line;
    TRY(jr_tick(r, 1));
    if (r->depth >= JINJA_EVAL_DEPTH)
        return FAIL(ST_UNSUPPORTED, "template line %d: expressions and calls nest deeper than %d", r->line, JINJA_EVAL_DEPTH);
    r->depth++;
    status s = eval_kind(r, out, n, f);
    r->depth--;
    return s;
}

/* ---- statements ---- */

static status assign(struct jrender *r, const struct jnode *target, struct jvalue value, struct jframe *f) {
    struct jvalue holder = {0}, key = {0};
    struct jlist *items = NULL;
    r->line = target->line;
    if (target->kind == JN_NAME) return jf_set(r, f, target->name, value);
    if (target->kind == JN_ATTR) {
        TRY(eval(r, &holder, target->a, f));
        if (holder.kind != JV_NAMESPACE) return jr_fail(r, "cannot assign attribute on non-namespace object");
        if (target->name[0] == '_')
            return jr_fail(r, "a namespace takes no attribute that starts with an underscore: '%.60s'", target->name);
        TRY(jv_view(r, &key, target->name, target->size));
        return jv_dict_set(r, holder.dict, key, value);
    }
    TRY(jv_items(r, &items, value));
    if (items->count != target->kids.count) {
        return jr_fail(r, "%s values to unpack (expected %zu, got %zu)", items->count > target->kids.count ? "too many" : "not enough",
                       target->kids.count, items->count);
    }
    for (size_t i = 0; i < items->count; i++) TRY(assign(r, target->kids.items[i], items->items[i], f));
    return ST_OK;
}

/* The text that a body writes. */
static status capture(struct jrender *r, struct jvalue *out, enum flow *flow, const struct jnodes *body, struct jframe *f) {
    struct buf text = {0}, *before = r->out;
    r->out = &text;
    status s = run(r, flow, body, f);
    r->out = before;
    if (s == ST_OK) s = jv_string(r, out, buf_text(&text), text.size);
    buf_release(&text);
    return s;
}

static status run_if(struct jrender *r, enum flow *flow, const struct jnode *n, struct jframe *f) {
    for (size_t i = 0; i <= n->kids.count; i++) {
        const struct jnode *arm = i ? n->kids.items[i - 1] : n;
        struct jvalue yes = {0};
        TRY(eval(r, &yes, arm->a, f));
        if (jv_truth(yes)) return run(r, flow, &arm->body, f);
    }
    return run(r, flow, &n->other, f);
}

/* The items that pass a loop's own condition. */
static status loop_items(struct jrender *r, struct jlist **out, const struct jnode *n, struct jframe *f) {
    struct jvalue source = {0}, kept = {0}, yes = {0};
    struct jlist *all = NULL;
    struct jframe *inner = NULL;
    TRY(eval(r, &source, n->a, f));
    r->line = n->line;
    TRY(jv_items(r, &all, source));
    *out = all;
    if (!n->c) return ST_OK;
    TRY(jv_list(r, &kept, JL_LIST, 0));
    for (size_t i = 0; i < all->count; i++) {
        TRY(frame_new(r, &inner, f));
        TRY(assign(r, n->b, all->items[i], inner));
        TRY(eval(r, &yes, n->c, inner));
        if (jv_truth(yes)) TRY(jv_append(r, kept.list, all->items[i]));
    }
    *out = kept.list;
    return ST_OK;
}

static status run_for(struct jrender *r, enum flow *flow, const struct jnode *n, struct jframe *f) {
    struct jlist *items = NULL;
    struct jloop *loop = NULL;
    struct jframe *inner = NULL;
    TRY(loop_items(r, &items, n, f));
    TRY(frame_new(r, &inner, f));
    if (items->count == 0) return run(r, flow, &n->other, inner);
    TRY(jr_take(r, &loop, 1, sizeof *loop));
    loop->items = items;
    size_t count = items->count;
    for (size_t i = 0; i < count && *flow != FLOW_BREAK; i++) {
        loop->index = i;
        *flow = FLOW_NEXT;
        if (i) TRY(frame_new(r, &inner, f));
        TRY(assign(r, n->b, items->items[i], inner));
        TRY(jf_set(r, inner, "loop", (struct jvalue){.kind = JV_LOOP, .loop = loop}));
        TRY(run(r, flow, &n->body, inner));
    }
    *flow = FLOW_NEXT;
    return ST_OK;
}

static status run_set_block(struct jrender *r, enum flow *flow, const struct jnode *n, struct jframe *f) {
    struct jframe *inner = NULL;
    struct jvalue text = {0};
    TRY(frame_new(r, &inner, f));
    TRY(capture(r, &text, flow, &n->body, inner));
    if (n->c) {
        r->block_text = text;
        TRY(eval(r, &text, n->c, f));
    }
    if (n->kind == JN_FILTER_BLOCK) return jv_put_str(r, r->out, text);
    return assign(r, n->b, text, f);
}

static status make_macro(struct jrender *r, struct jvalue *out, const struct jnode *n, struct jframe *f) {
    struct jmacro *macro = NULL;
    TRY(jr_take(r, &macro, 1, sizeof *macro));
    *macro = (struct jmacro){.node = n, .frame = f};
    *out = (struct jvalue){.kind = JV_MACRO, .macro = macro};
    return ST_OK;
}

/* {% call(x) m() %}body{% endcall %}: m sees the body as `caller`. */
static status run_call_block(struct jrender *r, const struct jnode *n, struct jframe *f) {
    struct jvalue callee = {0}, caller = {0}, text = {0};
    struct jcall call;
    TRY(eval(r, &callee, n->a->a, f));
    TRY(eval_args(r, &call, &n->a->args, f));
    TRY(make_macro(r, &caller, n, f));
    size_t capacity = call.keyword_count;
    TRY(add_keyword(r, &call, &capacity, "caller", caller));
    r->line = n->line;
    TRY(jv_call(r, &text, callee, &call));
    return jv_put_str(r, r->out, text);
}

static status run_with(struct jrender *r, enum flow *flow, const struct jnode *n, struct jframe *f) {
    struct jframe *inner = NULL;
    struct jvalue value = {0};
    TRY(frame_new(r, &inner, f));
    for (size_t i = 0; i < n->kids.count; i++) { /* values see the surroundings, not each other */
        TRY(eval(r, &value, n->kids.items[i]->a, f));
        TRY(assign(r, n->kids.items[i]->b, value, inner));
    }
    return run(r, flow, &n->body, inner);
}

static status run_generation(struct jrender *r, enum flow *flow, const struct jnode *n, struct jframe *f) {
    struct jframe *inner = NULL;
    struct jvalue text = {0};
    TRY(frame_new(r, &inner, f));
    if (!r->spans) return run(r, flow, &n->body, inner);
    TRY(capture(r, &text, flow, &n->body, inner));
    TRY(jr_tick(r, (r->top->size - r->counted) / 256));
    r->chars += utf8_count(buf_text(r->top) + r->counted, r->top->size - r->counted);
    r->counted = r->top->size;
    const struct text_span span = {r->chars, r->chars + text.s->chars};
    if (r->spans->size > r->limits.output_bytes) return FAIL(ST_UNSUPPORTED, "template line %d: too many generation blocks", r->line);
    buf_append(r->spans, &span, sizeof span);
    return jv_put_str(r, r->out, text);
}

static status run_node(struct jrender *r, enum flow *flow, const struct jnode *n, struct jframe *f) {
    struct jvalue v = {0};
    struct jframe *inner = NULL;
    r->line = n->line;
    TRY(jr_tick(r, 1));
    switch (n->kind) {
    case JN_DATA: return jr_put(r, r->out, n->name, n->size);
    case JN_OUTPUT: TRY(eval(r, &v, n->a, f)); return jv_put_str(r, r->out, v);
    case JN_IF: return run_if(r, flow, n, f);
    case JN_FOR: return run_for(r, flow, n, f);
    case JN_SET: TRY(eval(r, &v, n->a, f)); return assign(r, n->b, v, f);
    case JN_SET_BLOCK:
    case JN_FILTER_BLOCK: return run_set_block(r, flow, n, f);
    case JN_MACRO: TRY(make_macro(r, &v, n, f)); return jf_set(r, f, n->name, v);
    case JN_CALL_BLOCK: return run_call_block(r, n, f);
    case JN_WITH: return run_with(r, flow, n, f);
    case JN_SCOPE: TRY(frame_new(r, &inner, f)); return run(r, flow, &n->body, inner);
    case JN_GENERATION: return run_generation(r, flow, n, f);
    case JN_BREAK: *flow = FLOW_BREAK; return ST_OK;
    case JN_CONTINUE: *flow = FLOW_CONTINUE; return ST_OK;
    default: CHECK(!"a statement"); return ST_OK;
    }
}

static status run(struct jrender *r, enum flow *flow, const struct jnodes *body, struct jframe *f) {
    if (r->depth >= JINJA_EVAL_DEPTH)
        return FAIL(ST_UNSUPPORTED, "template line %d: statements and calls nest deeper than %d", r->line, JINJA_EVAL_DEPTH);
    r->depth++;
    for (size_t i = 0; i < body->count && *flow == FLOW_NEXT; i++) TRY(run_node(r, flow, body->items[i], f));
    r->depth--;
    return ST_OK;
}

/* varargs, kwargs and caller of a macro's call. */
static status bind_surplus(struct jrender *r, const struct jmacro *m, const struct jcall *call, const bool *used, struct jframe *f) {
    const struct jnode *n = m->node;
    struct jvalue more = {0}, named = {0}, key = {0}, caller = jv_undefined("no caller defined");
    size_t parameters = n->kids.count;
    TRY(jv_list(r, &more, JL_TUPLE, 0));
    TRY(jv_dict(r, &named));
    for (size_t i = parameters; i < call->positional_count; i++) TRY(jv_append(r, more.list, call->positional[i]));
    for (size_t i = 0; i < call->keyword_count; i++) {
        if (used[i]) continue;
        if (strcmp(call->keywords[i].name, "caller") == 0) {
            caller = call->keywords[i].value;
            continue;
        }
        TRY(jv_string(r, &key, call->keywords[i].name, strlen(call->keywords[i].name)));
        TRY(jv_dict_set(r, named.dict, key, call->keywords[i].value));
    }
    if (more.list->count && !(n->uses & JU_VARARGS)) {
        return jr_fail(r, "macro '%.60s' takes not more than %zu argument(s)", n->name, parameters);
    }
    if (named.dict->count && !(n->uses & JU_KWARGS)) {
        return jr_fail(r, "macro '%.60s' takes no keyword argument '%.*s'", n->name, (int)(named.dict->keys[0].s->size % 100),
                       named.dict->keys[0].s->data);
    }
    if (caller.kind == JV_MACRO && !(n->uses & JU_CALLER)) {
        return jr_fail(r, "macro '%.60s' was invoked with a caller but does not use it", n->name);
    }
    TRY(jf_set(r, f, "varargs", more));
    TRY(jf_set(r, f, "kwargs", named));
    return n->kind == JN_CALL_BLOCK ? ST_OK : jf_set(r, f, "caller", caller);
}

status jv_call_macro(struct jrender *r, struct jvalue *out, const struct jmacro *m, const struct jcall *call) {
    const struct jnode *n = m->node;
    struct jframe *f = NULL;
    bool *used = NULL;
    enum flow flow = FLOW_NEXT;
    TRY(frame_new(r, &f, m->frame));
    TRY(jr_take(r, &used, call->keyword_count, sizeof *used));
    for (size_t i = 0; i < n->kids.count; i++) {
        const struct jnode *parameter = n->kids.items[i];
        struct jvalue v = {0};
        if (i < call->positional_count) v = call->positional[i];
        for (size_t k = 0; k < call->keyword_count; k++) {
            if (strcmp(call->keywords[k].name, parameter->name) != 0) continue;
            if (i < call->positional_count)
                return jr_fail(r, "macro '%.60s' got multiple values for argument '%.60s'", n->name, parameter->name);
            v = call->keywords[k].value;
            used[k] = true;
        }
        if (v.kind == JV_ABSENT && parameter->a) {
            TRY(eval(r, &v, parameter->a, f)); /* defaults see the parameters in front of them */
        } else if (v.kind == JV_ABSENT) {
            v = jv_undefined(jr_text(r, "parameter '%.100s' was not provided", parameter->name));
        }
        TRY(jf_set(r, f, parameter->name, v));
    }
    TRY(bind_surplus(r, m, call, used, f));
    int line = r->line;
    TRY(capture(r, out, &flow, &n->body, f));
    r->line = line;
    return ST_OK;
}

/* ---- the public functions ---- */

status jinja_compile(struct jinja **out, const char *source, size_t size) {
    struct jtokens tokens = {0};
    struct jinja *t = mem_zero(1, sizeof *t);
    status s = jinja_lex(&tokens, &t->arena, source, size);
    if (s == ST_OK) s = jinja_parse(t, &tokens);
    free(tokens.items);
    *out = s == ST_OK ? t : NULL;
    if (s != ST_OK) jinja_free(t);
    return s;
}

void jinja_free(struct jinja *t) {
    if (!t) return;
    arena_release(&t->arena);
    free(t);
}

static status render_into(struct jrender *r, const struct jinja *t, const struct jinja_var *vars, size_t var_count) {
    struct jframe *root = NULL;
    struct jvalue v = {0};
    enum flow flow = FLOW_NEXT;
    TRY(frame_new(r, &r->globals, NULL));
    TRY(jv_globals(r));
    TRY(frame_new(r, &root, r->globals));
    for (size_t i = 0; i < var_count; i++) {
        if (json_kind_of(vars[i].value) == JSON_NONE) continue;
        TRY(jv_from_json(r, &v, vars[i].value));
        TRY(jf_set(r, root, vars[i].name, v));
    }
    return run(r, &flow, &t->body, root);
}

status jinja_render_marked(const struct jinja *t, struct buf *out, struct buf *spans, const struct jinja_var *vars, size_t var_count,
                           const struct jinja_limits *limits) {
    struct jrender r = {
        .out = out, .top = out, .counted = out->size, .spans = spans, .line = 1, .limits = limits ? *limits : (struct jinja_limits){0}};
    size_t before = out->size;
    if (!r.limits.steps) {
        r.limits.steps = 5u * 1000 * 1000;
        for (size_t i = 0; i < var_count; i++) r.limits.steps += 4 * (uint64_t)vars[i].value.size;
    }
    if (!r.limits.output_bytes) r.limits.output_bytes = (size_t)64 << 20;
    if (!r.limits.memory_bytes) r.limits.memory_bytes = (size_t)256 << 20;
    r.limits.output_bytes += before;
    if (!r.limits.now_s) r.limits.now_s = (int64_t)time(NULL);
    r.block_text = jv_undefined("no text to filter");
    status s = render_into(&r, t, vars, var_count);
    arena_release(&r.arena);
    if (s != ST_OK && out->data) {
        out->size = before;
        out->data[before] = 0;
    }
    return s;
}

status jinja_render(const struct jinja *t, struct buf *out, const struct jinja_var *vars, size_t var_count,
                    const struct jinja_limits *limits) {
    return jinja_render_marked(t, out, NULL, vars, var_count, limits);
}

bool jinja_has_generation(const struct jinja *t) { return t->generation; }
