/* jinja_ast: tokens and syntax tree, shared by the lexer, the parser and the evaluator. Everything lives in the template's arena. */
#ifndef RAPT_TEXT_JINJA_AST_H
#define RAPT_TEXT_JINJA_AST_H

#include "base/arena.h"
#include "text/jinja.h"

#define JINJA_SOURCE_MAX ((size_t)4 << 20)
#define JINJA_NEST_MAX 200 /* of expressions and statements in a template */

/* Operators first: their order is that of jinja_op_text. */
enum jtok {
    JT_ADD,
    JT_SUB,
    JT_DIV,
    JT_FLOORDIV,
    JT_MUL,
    JT_MOD,
    JT_POW,
    JT_TILDE,
    JT_LBRACKET,
    JT_RBRACKET,
    JT_LPAREN,
    JT_RPAREN,
    JT_LBRACE,
    JT_RBRACE,
    JT_EQ,
    JT_NE,
    JT_GT,
    JT_GE,
    JT_LT,
    JT_LE,
    JT_ASSIGN,
    JT_DOT,
    JT_COLON,
    JT_PIPE,
    JT_COMMA,
    JT_SEMICOLON,
    JT_DATA,
    JT_VAR_BEGIN,
    JT_VAR_END,
    JT_BLOCK_BEGIN,
    JT_BLOCK_END,
    JT_NAME,
    JT_STRING,
    JT_INT,
    JT_FLOAT,
    JT_EOF,
};

struct jtoken {
    enum jtok kind;
    int line;
    const char *text; /* NAME and STRING (decoded): NUL-terminated; DATA: after whitespace control */
    size_t size;
    int64_t i; /* JT_INT */
    double d;  /* JT_FLOAT */
};
struct jtokens {
    struct jtoken *items;
    size_t count, capacity;
};

/* Splits a source into tokens; the last one is JT_EOF. tokens->items is freed by the caller, also after an error. */
status jinja_lex(struct jtokens *tokens, struct arena *arena, const char *source, size_t size);
/* "'+'", "the name 'x'", "end of statement block" ... into text[96]. */
void jinja_token_text(char *text, const struct jtoken *token);
/* Formats "template line N: ..." with ST_FORMAT. */
status jinja_fail(int line, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool jinja_is_space(uint32_t cp); /* str.isspace of one character */
/* The code point at text[0..size), its length in *length; malformed bytes count as one byte each. size > 0. */
uint32_t jinja_char(size_t *length, const char *text, size_t size);

enum jnode_kind {
    /* expressions */
    JN_CONST,
    JN_NAME,
    JN_LIST,
    JN_TUPLE,
    JN_DICT,
    JN_ATTR,
    JN_ITEM,
    JN_SLICE,
    JN_CALL,
    JN_FILTER,
    JN_TEST,
    JN_NOT,
    JN_NEG,
    JN_POS,
    JN_AND,
    JN_OR,
    JN_COMPARE,
    JN_BINARY,
    JN_CONCAT,
    JN_COND,
    /* statements */
    JN_DATA,
    JN_OUTPUT,
    JN_IF,
    JN_FOR,
    JN_SET,
    JN_SET_BLOCK,
    JN_MACRO,
    JN_CALL_BLOCK,
    JN_FILTER_BLOCK,
    JN_WITH,
    JN_SCOPE,
    JN_GENERATION,
    JN_BREAK,
    JN_CONTINUE,
};

enum { JU_VARARGS = 1, JU_KWARGS = 2, JU_CALLER = 4 };

struct jvalue_const { /* a literal: the evaluator makes its value from this */
    enum { JC_NONE, JC_TRUE, JC_FALSE, JC_INT, JC_FLOAT, JC_STRING } kind;
    int64_t i;
    double d;
};

struct jnode;
struct jnodes {
    struct jnode **items;
    size_t count, capacity;
};
struct jkeyword {
    const char *name;
    struct jnode *value;
};
struct jargs {
    struct jnodes positional;
    struct jkeyword *keywords;
    size_t keyword_count, keyword_capacity;
    struct jnode *star, *star_star; /* *list, **dict */
};

/* One struct for all kinds; what a field holds stands beside it. */
struct jnode {
    enum jnode_kind kind;
    int line;
    enum jtok op;     /* BINARY; COMPARE: of this link (JT_NAME = in, JT_STRING = not in) */
    bool negated;     /* TEST: is not */
    unsigned uses;    /* MACRO, CALL_BLOCK: JU_ bits; only a body that names them takes surplus arguments or a caller */
    const char *name; /* NAME, ATTR, FILTER, TEST, MACRO; DATA and string CONST: the text */
    size_t size;      /* of name */
    struct jvalue_const value;
    struct jnode *a; /* the operand; BINARY, AND, OR left; ITEM, SLICE, CALL, FILTER, TEST subject (NULL: a block's text); COND and
                        IF condition; FOR iterable; SET value; CALL_BLOCK the call; OUTPUT the expression */
    struct jnode *b; /* right; ITEM index; COND then; FOR target; SET target; SET_BLOCK target */
    struct jnode *c; /* COND else (may be NULL); FOR filter (may be NULL); SET_BLOCK and FILTER_BLOCK filter chain (may be NULL) */
    struct jnode *lower, *upper, *step; /* SLICE, each may be NULL */
    struct jnodes kids;  /* LIST, TUPLE, CONCAT, COMPARE (operands with op); DICT keys and values by turns; IF: JN_IF arms after the
                            first; MACRO parameters (JN_NAME, default in a); WITH: JN_SET */
    struct jnodes body;  /* statements */
    struct jnodes other; /* IF and FOR: else */
    struct jargs args;   /* CALL, FILTER, TEST */
    const void *builtin; /* FILTER, TEST: the row of its table */
};

struct jinja {
    struct arena arena;
    struct jnodes body;
    bool generation; /* there is a generation block */
};

/* Parses tokens into t->body. */
status jinja_parse(struct jinja *t, const struct jtokens *tokens);

#endif
