/* jinja_parse: tokens -> syntax tree. The grammar and its precedences are jinja2/parser.py's (3.1). */
#include <stdio.h>
#include <string.h>

#include "text/jinja_ast.h"
#include "text/jinja_value.h"

struct parser {
    const struct jtoken *at;
    struct arena *arena;
    unsigned uses;          /* JU_ bits of the names met */
    bool generation;        /* a generation block was met */
    int depth, loops, soft; /* soft: inside a condition, where an unknown filter or test only fails when it is reached */
};

static status parse_expression(struct parser *p, struct jnode **out);
static status parse_or(struct parser *p, struct jnode **out);
static status parse_unary(struct parser *p, struct jnode **out, bool with_filter);
static status parse_primary(struct parser *p, struct jnode **out);
static status parse_postfix(struct parser *p, struct jnode **node);
static status parse_body(struct parser *p, struct jnodes *out, const char *const *ends);

/* ---- tokens and nodes ---- */

static bool is_name(const struct jtoken *t, const char *name) { return t->kind == JT_NAME && strcmp(t->text, name) == 0; }
static bool skip(struct parser *p, enum jtok kind) {
    if (p->at->kind != kind) return false;
    p->at++;
    return true;
}
static bool skip_name(struct parser *p, const char *name) {
    if (!is_name(p->at, name)) return false;
    p->at++;
    return true;
}
static status unexpected(const struct parser *p, const char *expected) {
    char text[96];
    jinja_token_text(text, p->at);
    return jinja_fail(p->at->line, "expected %s, got %s", expected, text);
}
static status expect(struct parser *p, enum jtok kind) {
    char text[96];
    if (skip(p, kind)) return ST_OK;
    if (kind == JT_NAME) return unexpected(p, "a name");
    jinja_token_text(text, &(struct jtoken){.kind = kind});
    return unexpected(p, text);
}
static status expect_name(struct parser *p, const char *name) {
    char text[96];
    if (skip_name(p, name)) return ST_OK;
    snprintf(text, sizeof text, "'%s'", name);
    return unexpected(p, text);
}
static status enter(struct parser *p) {
    if (++p->depth > JINJA_NEST_MAX) return jinja_fail(p->at->line, "nested deeper than %d", JINJA_NEST_MAX);
    return ST_OK;
}

static struct jnode *node_at(struct parser *p, enum jnode_kind kind, int line) {
    struct jnode *n = arena_take(p->arena, 1, sizeof *n);
    n->kind = kind;
    n->line = line;
    return n;
}
static struct jnode *node_new(struct parser *p, enum jnode_kind kind) { return node_at(p, kind, p->at->line); }
static struct jnode *node_binary(struct parser *p, enum jnode_kind kind, enum jtok op, struct jnode *a, struct jnode *b) {
    struct jnode *n = node_at(p, kind, a->line);
    n->op = op, n->a = a, n->b = b;
    return n;
}
static void nodes_add(struct parser *p, struct jnodes *list, struct jnode *n) {
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 4;
        struct jnode **items = arena_take(p->arena, capacity, sizeof *items);
        if (list->count) memcpy(items, list->items, list->count * sizeof *items);
        list->items = items, list->capacity = capacity;
    }
    list->items[list->count++] = n;
}
static struct jnode *node_string(struct parser *p, const char *text, size_t size, int line) {
    struct jnode *n = node_at(p, JN_CONST, line);
    n->value.kind = JC_STRING;
    n->name = text, n->size = size;
    return n;
}

/* ---- expressions ---- */

static status parse_list(struct parser *p, struct jnodes *out, enum jtok end) {
    while (p->at->kind != end) {
        struct jnode *item = NULL;
        if (out->count) TRY(expect(p, JT_COMMA));
        if (p->at->kind == end) break;
        TRY(parse_expression(p, &item));
        nodes_add(p, out, item);
    }
    return expect(p, end);
}

static status parse_dict(struct parser *p, struct jnode **out) {
    struct jnode *n = node_new(p, JN_DICT), *item = NULL;
    p->at++;
    while (p->at->kind != JT_RBRACE) {
        if (n->kids.count) TRY(expect(p, JT_COMMA));
        if (p->at->kind == JT_RBRACE) break;
        TRY(parse_expression(p, &item));
        nodes_add(p, &n->kids, item);
        TRY(expect(p, JT_COLON));
        TRY(parse_expression(p, &item));
        nodes_add(p, &n->kids, item);
    }
    *out = n;
    return expect(p, JT_RBRACE);
}

static bool tuple_ends(const struct parser *p, const char *end_name) {
    enum jtok k = p->at->kind;
    return k == JT_VAR_END || k == JT_BLOCK_END || k == JT_RPAREN || k == JT_EOF || (end_name && is_name(p->at, end_name));
}

/* One expression, or several with commas: a tuple. `with_cond` allows inline conditions, `end_name` also ends it. In parentheses it may
 * be empty. */
static status parse_tuple(struct parser *p, struct jnode **out, bool with_cond, const char *end_name, bool parens) {
    struct jnode *n = node_new(p, JN_TUPLE), *item = NULL;
    bool comma = false;
    for (;;) {
        if (tuple_ends(p, end_name)) break;
        TRY(with_cond ? parse_expression(p, &item) : parse_or(p, &item));
        nodes_add(p, &n->kids, item);
        if (!skip(p, JT_COMMA)) break;
        comma = true;
    }
    if (!comma && n->kids.count == 1) {
        *out = n->kids.items[0];
        return ST_OK;
    }
    if (!comma && !parens) return unexpected(p, "an expression");
    *out = n;
    return ST_OK;
}

static status parse_constant(struct parser *p, struct jnode **out) {
    const struct jtoken *t = p->at;
    struct jnode *n = node_new(p, JN_CONST);
    *out = n;
    if (t->kind == JT_INT) {
        n->value.kind = JC_INT, n->value.i = t->i;
    } else if (t->kind == JT_FLOAT) {
        n->value.kind = JC_FLOAT, n->value.d = t->d;
    } else if (strcmp(t->text, "true") == 0 || strcmp(t->text, "True") == 0) {
        n->value.kind = JC_TRUE;
    } else if (strcmp(t->text, "false") == 0 || strcmp(t->text, "False") == 0) {
        n->value.kind = JC_FALSE;
    } else if (strcmp(t->text, "none") == 0 || strcmp(t->text, "None") == 0) {
        n->value.kind = JC_NONE;
    } else {
        n->kind = JN_NAME, n->name = t->text, n->size = t->size;
        p->uses |= strcmp(t->text, "varargs") == 0 ? JU_VARARGS : strcmp(t->text, "kwargs") == 0 ? JU_KWARGS : 0u;
        p->uses |= strcmp(t->text, "caller") == 0 ? JU_CALLER : 0u;
    }
    p->at++;
    return ST_OK;
}

/* Strings side by side are one string. */
static status parse_strings(struct parser *p, struct jnode **out) {
    const struct jtoken *first = p->at;
    size_t size = 0, count = 0;
    for (; p->at->kind == JT_STRING; p->at++, count++) size += p->at->size;
    if (count == 1) {
        *out = node_string(p, first->text, first->size, first->line);
        return ST_OK;
    }
    char *text = arena_take(p->arena, size + 1, 1);
    *out = node_string(p, text, size, first->line);
    for (const struct jtoken *t = first; t < p->at; t++) {
        memcpy(text, t->text, t->size);
        text += t->size;
    }
    return ST_OK;
}

static status parse_primary(struct parser *p, struct jnode **out) {
    TRY(enter(p));
    switch (p->at->kind) {
    case JT_NAME:
    case JT_INT:
    case JT_FLOAT: TRY(parse_constant(p, out)); break;
    case JT_STRING: TRY(parse_strings(p, out)); break;
    case JT_LPAREN:
        p->at++;
        TRY(parse_tuple(p, out, true, NULL, true));
        TRY(expect(p, JT_RPAREN));
        break;
    case JT_LBRACKET:
        *out = node_new(p, JN_LIST);
        p->at++;
        TRY(parse_list(p, &(*out)->kids, JT_RBRACKET));
        break;
    case JT_LBRACE: TRY(parse_dict(p, out)); break;
    default: return unexpected(p, "an expression");
    }
    p->depth--;
    return ST_OK;
}

static status parse_args(struct parser *p, struct jargs *args) {
    bool first = true;
    TRY(expect(p, JT_LPAREN));
    for (; p->at->kind != JT_RPAREN; first = false) {
        struct jnode *value = NULL;
        if (!first) TRY(expect(p, JT_COMMA));
        if (p->at->kind == JT_RPAREN) break;
        int line = p->at->line;
        if (skip(p, JT_MUL)) {
            if (args->star || args->star_star) return jinja_fail(line, "invalid syntax for function call expression");
            TRY(parse_expression(p, &args->star));
        } else if (skip(p, JT_POW)) {
            if (args->star_star) return jinja_fail(line, "invalid syntax for function call expression");
            TRY(parse_expression(p, &args->star_star));
        } else if (p->at->kind == JT_NAME && p->at[1].kind == JT_ASSIGN) {
            const char *name = p->at->text;
            p->at += 2;
            if (args->star_star) return jinja_fail(line, "invalid syntax for function call expression");
            TRY(parse_expression(p, &value));
            if (args->keyword_count == args->keyword_capacity) {
                size_t capacity = args->keyword_capacity ? args->keyword_capacity * 2 : 4;
                struct jkeyword *grown = arena_take(p->arena, capacity, sizeof *grown);
                if (args->keyword_count) memcpy(grown, args->keywords, args->keyword_count * sizeof *grown);
                args->keywords = grown, args->keyword_capacity = capacity;
            }
            args->keywords[args->keyword_count++] = (struct jkeyword){name, value};
        } else {
            if (args->star || args->star_star || args->keyword_count)
                return jinja_fail(line, "invalid syntax for function call expression");
            TRY(parse_expression(p, &value));
            nodes_add(p, &args->positional, value);
        }
    }
    return expect(p, JT_RPAREN);
}

/* A filter's or test's name: a.b is one name. */
static status parse_dotted(struct parser *p, const char **out) {
    const char *name = p->at->text;
    TRY(expect(p, JT_NAME));
    while (p->at->kind == JT_DOT) {
        p->at++;
        const struct jtoken *part = p->at;
        TRY(expect(p, JT_NAME));
        size_t n = strlen(name);
        char *joined = arena_take(p->arena, n + part->size + 2, 1);
        memcpy(joined, name, n);
        joined[n] = '.';
        memcpy(joined + n + 1, part->text, part->size);
        name = joined;
    }
    *out = name;
    return ST_OK;
}

/* Behind the bar. node: what is filtered, NULL for a block's text. */
static status parse_filter(struct parser *p, struct jnode **node) {
    struct jnode *n = node_new(p, JN_FILTER);
    TRY(parse_dotted(p, &n->name));
    n->a = *node;
    n->builtin = jinja_filter_find(n->name);
    if (!n->builtin && !p->soft && jinja_filter_left_out(n->name))
        return jinja_fail(n->line, "the filter '%.60s' is not supported in chat templates", n->name);
    if (!n->builtin && !p->soft) return jinja_fail(n->line, "no filter named '%.60s'", n->name);
    if (p->at->kind == JT_LPAREN) TRY(parse_args(p, &n->args));
    *node = n;
    return ST_OK;
}

static status parse_test(struct parser *p, struct jnode **node) {
    struct jnode *n = node_new(p, JN_TEST), *arg = NULL;
    p->at++;
    n->negated = skip_name(p, "not");
    TRY(parse_dotted(p, &n->name));
    n->a = *node;
    n->builtin = jinja_test_find(n->name);
    if (!n->builtin && !p->soft) return jinja_fail(n->line, "no test named '%.60s'", n->name);
    enum jtok k = p->at->kind;
    if (k == JT_LPAREN) {
        TRY(parse_args(p, &n->args));
    } else if ((k == JT_NAME || k == JT_STRING || k == JT_INT || k == JT_FLOAT || k == JT_LBRACKET || k == JT_LBRACE) &&
               !is_name(p->at, "else") && !is_name(p->at, "or") && !is_name(p->at, "and")) {
        if (is_name(p->at, "is")) return jinja_fail(p->at->line, "tests with 'is' cannot be chained");
        TRY(parse_primary(p, &arg));
        TRY(parse_postfix(p, &arg));
        nodes_add(p, &n->args.positional, arg);
    }
    *node = n;
    return ST_OK;
}

static status parse_slice(struct parser *p, struct jnode **node) {
    struct jnode *n = node_new(p, JN_ITEM);
    n->a = *node;
    *node = n;
    p->at++;
    if (p->at->kind == JT_RBRACKET) { /* a[]: jinja2 takes it for the empty tuple */
        n->b = node_new(p, JN_TUPLE);
        p->at++;
        return ST_OK;
    }
    if (p->at->kind != JT_COLON) {
        TRY(parse_expression(p, &n->b));
        if (p->at->kind == JT_COMMA) { /* a[1, 2]: the index is a tuple */
            struct jnode *tuple = node_new(p, JN_TUPLE), *item = NULL;
            nodes_add(p, &tuple->kids, n->b);
            while (skip(p, JT_COMMA)) {
                TRY(parse_expression(p, &item));
                nodes_add(p, &tuple->kids, item);
            }
            n->b = tuple;
        }
        if (p->at->kind != JT_COLON) return expect(p, JT_RBRACKET);
    }
    n->kind = JN_SLICE;
    n->lower = n->b;
    p->at++;
    if (p->at->kind != JT_COLON && p->at->kind != JT_RBRACKET) TRY(parse_expression(p, &n->upper));
    if (skip(p, JT_COLON) && p->at->kind != JT_RBRACKET) TRY(parse_expression(p, &n->step));
    return expect(p, JT_RBRACKET);
}

static status parse_call(struct parser *p, struct jnode **node) {
    struct jnode *n = node_new(p, JN_CALL);
    n->a = *node;
    *node = n;
    return parse_args(p, &n->args);
}

static status parse_postfix(struct parser *p, struct jnode **node) {
    for (;;) {
        if (p->at->kind == JT_DOT) {
            struct jnode *n = node_new(p, JN_ATTR);
            n->a = *node;
            p->at++;
            if (p->at->kind == JT_INT) {
                n->kind = JN_ITEM;
                TRY(parse_constant(p, &n->b));
            } else {
                n->name = p->at->text, n->size = p->at->size;
                TRY(expect(p, JT_NAME));
            }
            *node = n;
        } else if (p->at->kind == JT_LBRACKET) {
            TRY(parse_slice(p, node));
        } else if (p->at->kind == JT_LPAREN) {
            TRY(parse_call(p, node));
        } else {
            return ST_OK;
        }
    }
}

static status parse_filters(struct parser *p, struct jnode **node) {
    for (;;) {
        if (skip(p, JT_PIPE)) {
            TRY(parse_filter(p, node));
        } else if (is_name(p->at, "is")) {
            TRY(parse_test(p, node));
        } else if (p->at->kind == JT_LPAREN) {
            TRY(parse_call(p, node));
        } else {
            return ST_OK;
        }
    }
}

static status parse_unary(struct parser *p, struct jnode **out, bool with_filter) {
    TRY(enter(p));
    if (p->at->kind == JT_SUB || p->at->kind == JT_ADD) {
        struct jnode *n = node_new(p, p->at->kind == JT_SUB ? JN_NEG : JN_POS);
        p->at++;
        TRY(parse_unary(p, &n->a, false));
        *out = n;
    } else {
        TRY(parse_primary(p, out));
    }
    TRY(parse_postfix(p, out));
    if (with_filter) TRY(parse_filters(p, out));
    p->depth--;
    return ST_OK;
}

static status parse_pow(struct parser *p, struct jnode **out) {
    TRY(parse_unary(p, out, true));
    while (skip(p, JT_POW)) {
        struct jnode *right = NULL;
        TRY(parse_unary(p, &right, true));
        *out = node_binary(p, JN_BINARY, JT_POW, *out, right);
    }
    return ST_OK;
}

static status parse_product(struct parser *p, struct jnode **out) {
    TRY(parse_pow(p, out));
    for (;;) {
        enum jtok op = p->at->kind;
        struct jnode *right = NULL;
        if (op != JT_MUL && op != JT_DIV && op != JT_FLOORDIV && op != JT_MOD) return ST_OK;
        p->at++;
        TRY(parse_pow(p, &right));
        *out = node_binary(p, JN_BINARY, op, *out, right);
    }
}

static status parse_concat(struct parser *p, struct jnode **out) {
    TRY(parse_product(p, out));
    if (p->at->kind != JT_TILDE) return ST_OK;
    struct jnode *n = node_at(p, JN_CONCAT, (*out)->line);
    nodes_add(p, &n->kids, *out);
    while (skip(p, JT_TILDE)) {
        struct jnode *right = NULL;
        TRY(parse_product(p, &right));
        nodes_add(p, &n->kids, right);
    }
    *out = n;
    return ST_OK;
}

static status parse_sum(struct parser *p, struct jnode **out) {
    TRY(parse_concat(p, out));
    for (;;) {
        enum jtok op = p->at->kind;
        struct jnode *right = NULL;
        if (op != JT_ADD && op != JT_SUB) return ST_OK;
        p->at++;
        TRY(parse_concat(p, &right));
        *out = node_binary(p, JN_BINARY, op, *out, right);
    }
}

static status parse_compare(struct parser *p, struct jnode **out) {
    struct jnode *n = NULL;
    TRY(parse_sum(p, out));
    for (;;) {
        enum jtok op = p->at->kind;
        if (op >= JT_EQ && op <= JT_LE) {
            p->at++;
        } else if (skip_name(p, "in")) {
            op = JT_NAME;
        } else if (is_name(p->at, "not") && is_name(p->at + 1, "in")) {
            p->at += 2;
            op = JT_STRING;
        } else {
            return ST_OK;
        }
        if (!n) {
            n = node_at(p, JN_COMPARE, (*out)->line);
            n->a = *out;
            *out = n;
        }
        struct jnode *link = node_new(p, JN_COMPARE);
        link->op = op;
        TRY(parse_sum(p, &link->a));
        nodes_add(p, &n->kids, link);
    }
}

static status parse_not(struct parser *p, struct jnode **out) {
    if (!is_name(p->at, "not")) return parse_compare(p, out);
    TRY(enter(p));
    struct jnode *n = node_new(p, JN_NOT);
    p->at++;
    TRY(parse_not(p, &n->a));
    *out = n;
    p->depth--;
    return ST_OK;
}

/* Operands of one kind with `word` between them, from the left. */
static status parse_chain(struct parser *p, struct jnode **out, const char *word, enum jnode_kind kind,
                          status (*operand)(struct parser *, struct jnode **)) {
    TRY(operand(p, out));
    while (skip_name(p, word)) {
        struct jnode *right = NULL;
        TRY(operand(p, &right));
        *out = node_binary(p, kind, JT_EOF, *out, right);
    }
    return ST_OK;
}

static status parse_and(struct parser *p, struct jnode **out) { return parse_chain(p, out, "and", JN_AND, parse_not); }
static status parse_or(struct parser *p, struct jnode **out) { return parse_chain(p, out, "or", JN_OR, parse_and); }

static status parse_expression(struct parser *p, struct jnode **out) {
    TRY(enter(p));
    TRY(parse_or(p, out));
    while (skip_name(p, "if")) {
        struct jnode *n = node_at(p, JN_COND, (*out)->line);
        n->b = *out;
        p->soft++;
        TRY(parse_or(p, &n->a));
        if (skip_name(p, "else")) TRY(parse_expression(p, &n->c));
        p->soft--;
        *out = n;
    }
    p->depth--;
    return ST_OK;
}

/* ---- statements ---- */

/* What is assigned to: a name, names with commas, or (with_namespace) ns.attribute. */
static status parse_target(struct parser *p, struct jnode **out, bool with_namespace) {
    TRY(enter(p));
    if (with_namespace && p->at->kind == JT_NAME && p->at[1].kind == JT_DOT) {
        struct jnode *n = node_new(p, JN_ATTR);
        TRY(parse_constant(p, &n->a));
        p->at++;
        n->name = p->at->text, n->size = p->at->size;
        TRY(expect(p, JT_NAME));
        *out = n;
        p->depth--;
        return ST_OK;
    }
    struct jnode *n = node_new(p, JN_TUPLE), *item = NULL;
    bool comma = false;
    for (;;) {
        if (tuple_ends(p, "in") || p->at->kind == JT_ASSIGN) break;
        if (skip(p, JT_LPAREN)) {
            TRY(parse_target(p, &item, with_namespace));
            TRY(expect(p, JT_RPAREN));
        } else {
            if (p->at->kind != JT_NAME) return unexpected(p, "a name to assign to");
            TRY(parse_constant(p, &item));
            if (item->kind != JN_NAME) return jinja_fail(item->line, "can't assign to a constant");
        }
        nodes_add(p, &n->kids, item);
        if (!skip(p, JT_COMMA)) break;
        comma = true;
    }
    if (n->kids.count == 0) return unexpected(p, "a name to assign to");
    *out = comma ? n : n->kids.items[0];
    p->depth--;
    return ST_OK;
}

/* "%}", a body up to one of `ends`; stands at the end's name then. */
static status parse_block(struct parser *p, struct jnodes *out, const char *const *ends) {
    skip(p, JT_COLON);
    TRY(expect(p, JT_BLOCK_END));
    return parse_body(p, out, ends);
}

static status parse_for(struct parser *p, struct jnode *n) {
    static const char *const ends[] = {"endfor", "else", NULL}, *const end[] = {"endfor", NULL};
    n->kind = JN_FOR;
    TRY(parse_target(p, &n->b, false));
    if (n->b->kind == JN_NAME && strcmp(n->b->name, "loop") == 0) return jinja_fail(n->line, "can't assign to the special loop variable");
    TRY(expect_name(p, "in"));
    TRY(parse_tuple(p, &n->a, false, "recursive", false));
    if (skip_name(p, "if")) TRY(parse_expression(p, &n->c));
    if (is_name(p->at, "recursive")) return jinja_fail(p->at->line, "recursive loops are not supported");
    p->loops++;
    TRY(parse_block(p, &n->body, ends));
    p->loops--;
    if (skip_name(p, "else")) TRY(parse_block(p, &n->other, end));
    return expect_name(p, "endfor");
}

static status parse_if(struct parser *p, struct jnode *n) {
    static const char *const ends[] = {"elif", "else", "endif", NULL}, *const end[] = {"endif", NULL};
    struct jnode *arm = n;
    n->kind = JN_IF;
    p->soft++;
    for (;;) {
        TRY(parse_tuple(p, &arm->a, false, NULL, false));
        TRY(parse_block(p, &arm->body, ends));
        if (!skip_name(p, "elif")) break;
        arm = node_new(p, JN_IF);
        nodes_add(p, &n->kids, arm);
    }
    if (skip_name(p, "else")) TRY(parse_block(p, &n->other, end));
    p->soft--;
    return expect_name(p, "endif");
}

static status parse_set(struct parser *p, struct jnode *n) {
    static const char *const end[] = {"endset", NULL};
    n->kind = JN_SET;
    TRY(parse_target(p, &n->b, true));
    if (skip(p, JT_ASSIGN)) return parse_tuple(p, &n->a, true, NULL, false);
    n->kind = JN_SET_BLOCK;
    while (skip(p, JT_PIPE)) TRY(parse_filter(p, &n->c));
    TRY(parse_block(p, &n->body, end));
    return expect_name(p, "endset");
}

static status parse_parameters(struct parser *p, struct jnode *n) {
    TRY(expect(p, JT_LPAREN));
    while (p->at->kind != JT_RPAREN) {
        struct jnode *parameter = NULL;
        if (n->kids.count) TRY(expect(p, JT_COMMA));
        if (p->at->kind != JT_NAME) return unexpected(p, "a parameter's name");
        TRY(parse_constant(p, &parameter));
        if (parameter->kind != JN_NAME) return jinja_fail(parameter->line, "can't assign to a constant");
        if (skip(p, JT_ASSIGN)) {
            TRY(parse_expression(p, &parameter->a));
        } else if (n->kids.count && n->kids.items[n->kids.count - 1]->a) {
            return jinja_fail(parameter->line, "a parameter without a default follows one with a default");
        }
        nodes_add(p, &n->kids, parameter);
    }
    return expect(p, JT_RPAREN);
}

static status parse_macro(struct parser *p, struct jnode *n) {
    static const char *const end[] = {"endmacro", NULL};
    n->kind = JN_MACRO;
    n->name = p->at->text, n->size = p->at->size;
    TRY(expect(p, JT_NAME));
    TRY(parse_parameters(p, n));
    unsigned uses = p->uses;
    p->uses = 0;
    int loops = p->loops;
    p->loops = 0;
    TRY(parse_block(p, &n->body, end));
    p->loops = loops;
    n->uses = p->uses;
    p->uses |= uses;
    return expect_name(p, "endmacro");
}

static status parse_call_block(struct parser *p, struct jnode *n) {
    static const char *const end[] = {"endcall", NULL};
    n->kind = JN_CALL_BLOCK;
    n->name = "caller", n->size = 6;
    if (p->at->kind == JT_LPAREN) TRY(parse_parameters(p, n));
    TRY(parse_expression(p, &n->a));
    if (n->a->kind != JN_CALL) return jinja_fail(n->line, "expected a call");
    unsigned uses = p->uses;
    p->uses = 0;
    int loops = p->loops;
    p->loops = 0;
    TRY(parse_block(p, &n->body, end));
    p->loops = loops;
    n->uses = p->uses;
    p->uses |= uses;
    return expect_name(p, "endcall");
}

static status parse_with(struct parser *p, struct jnode *n) {
    static const char *const end[] = {"endwith", NULL};
    n->kind = JN_WITH;
    while (p->at->kind != JT_BLOCK_END) {
        if (n->kids.count) TRY(expect(p, JT_COMMA));
        struct jnode *set = node_new(p, JN_SET);
        TRY(parse_target(p, &set->b, false));
        TRY(expect(p, JT_ASSIGN));
        TRY(parse_expression(p, &set->a));
        nodes_add(p, &n->kids, set);
    }
    TRY(parse_block(p, &n->body, end));
    return expect_name(p, "endwith");
}

static status parse_filter_block(struct parser *p, struct jnode *n) {
    static const char *const end[] = {"endfilter", NULL};
    n->kind = JN_FILTER_BLOCK;
    do TRY(parse_filter(p, &n->c));
    while (skip(p, JT_PIPE));
    TRY(parse_block(p, &n->body, end));
    return expect_name(p, "endfilter");
}

/* {% generation %}: marks what the assistant wrote; a scope of its own. */
static status parse_generation(struct parser *p, struct jnode *n) {
    static const char *const end[] = {"endgeneration", NULL};
    n->kind = JN_GENERATION;
    p->generation = true;
    int loops = p->loops; /* jinja2 makes a caller of the body, which cannot break its surroundings' loop */
    p->loops = 0;
    TRY(parse_block(p, &n->body, end));
    p->loops = loops;
    return expect_name(p, "endgeneration");
}

static status parse_loop_control(struct parser *p, struct jnode *n) {
    n->kind = strcmp(p->at[-1].text, "break") == 0 ? JN_BREAK : JN_CONTINUE;
    if (p->loops == 0) return jinja_fail(n->line, "'%s' outside of a loop", p->at[-1].text);
    return ST_OK;
}

/* Statements that print expressions: {% print x %}. */
static status parse_print(struct parser *p, struct jnode *n) {
    struct jnode *item = NULL;
    n->kind = JN_OUTPUT;
    n->a = node_new(p, JN_CONCAT);
    while (p->at->kind != JT_BLOCK_END) {
        if (n->a->kids.count) TRY(expect(p, JT_COMMA));
        TRY(parse_expression(p, &item));
        nodes_add(p, &n->a->kids, item);
    }
    return ST_OK;
}

static const struct {
    const char *name;
    status (*parse)(struct parser *p, struct jnode *n);
} tags[] = {
    {"for", parse_for},
    {"if", parse_if},
    {"set", parse_set},
    {"macro", parse_macro},
    {"call", parse_call_block},
    {"with", parse_with},
    {"break", parse_loop_control},
    {"continue", parse_loop_control},
    {"filter", parse_filter_block},
    {"generation", parse_generation},
    {"print", parse_print},
};

static status parse_statement(struct parser *p, struct jnode **out) {
    static const char *const unsupported[] = {"extends", "block", "include", "import", "from", "autoescape"};
    struct jnode *n = node_new(p, JN_SCOPE);
    *out = n;
    if (p->at->kind != JT_NAME) return unexpected(p, "a tag's name");
    const char *name = p->at->text;
    for (size_t i = 0; i < sizeof tags / sizeof tags[0]; i++) {
        if (strcmp(name, tags[i].name) != 0) continue;
        p->at++;
        TRY(tags[i].parse(p, n));
        return expect(p, JT_BLOCK_END);
    }
    for (size_t i = 0; i < sizeof unsupported / sizeof unsupported[0]; i++) {
        if (strcmp(name, unsupported[i]) == 0) return jinja_fail(n->line, "the tag '%s' is not supported in chat templates", name);
    }
    if (strncmp(name, "end", 3) == 0 || strcmp(name, "else") == 0 || strcmp(name, "elif") == 0) {
        return jinja_fail(n->line, "'%.60s' without its beginning", name);
    }
    return jinja_fail(n->line, "unknown tag '%.60s'", name);
}

static bool at_end_name(const struct parser *p, const char *const *ends) {
    for (; ends && *ends; ends++) {
        if (is_name(p->at, *ends)) return true;
    }
    return false;
}

/* Nodes up to "{%" and one of the names in `ends` (NULL: the end of the template), which stays the current token. */
static status parse_body(struct parser *p, struct jnodes *out, const char *const *ends) {
    int first = p->at->line;
    TRY(enter(p));
    for (;;) {
        struct jnode *n = NULL;
        const struct jtoken *t = p->at++;
        if (t->kind == JT_DATA) {
            n = node_at(p, JN_DATA, t->line);
            n->name = t->text, n->size = t->size;
        } else if (t->kind == JT_VAR_BEGIN) {
            n = node_at(p, JN_OUTPUT, t->line);
            TRY(parse_tuple(p, &n->a, true, NULL, false));
            TRY(expect(p, JT_VAR_END));
        } else if (t->kind == JT_BLOCK_BEGIN) {
            if (at_end_name(p, ends)) break;
            TRY(parse_statement(p, &n));
        } else {
            if (!ends) break;
            return jinja_fail(first, "the template ends inside this block, expected {%% %s %%}", ends[0]);
        }
        nodes_add(p, out, n);
    }
    p->depth--;
    return ST_OK;
}

status jinja_parse(struct jinja *t, const struct jtokens *tokens) {
    struct parser p = {.at = tokens->items, .arena = &t->arena};
    status s = parse_body(&p, &t->body, NULL);
    t->generation = p.generation;
    return s;
}
