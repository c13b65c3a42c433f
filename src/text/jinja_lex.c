/* jinja_lex: source -> tokens. Follows jinja2/lexer.py (3.1) with trim_blocks, lstrip_blocks and keep_trailing_newline off. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "text/jinja_ast.h"

static const char *const op_text[] = {"+", "-",  "/",  "//", "*",  "%", "**", "~", "[", "]", "(", ")", "{",
                                      "}", "==", "!=", ">",  ">=", "<", "<=", "=", ".", ":", "|", ",", ";"};
#define OP_COUNT (sizeof op_text / sizeof op_text[0])

status jinja_fail(int line, const char *format, ...) {
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return FAIL(ST_FORMAT, "template line %d: %s", line, text);
}

void jinja_token_text(char *text, const struct jtoken *token) {
    static const char *const fixed[] = {"template data", "begin of print statement", "end of print statement", "begin of statement block",
                                        "end of statement block"};
    if ((size_t)token->kind < OP_COUNT) {
        snprintf(text, 96, "'%s'", op_text[token->kind]);
    } else if (token->kind == JT_NAME) {
        snprintf(text, 96, "'%.60s'", token->text);
    } else if (token->kind == JT_STRING || token->kind == JT_INT || token->kind == JT_FLOAT) {
        snprintf(text, 96, "%s", token->kind == JT_STRING ? "a string" : "a number");
    } else {
        snprintf(text, 96, "%s", token->kind == JT_EOF ? "the end of the template" : fixed[token->kind - JT_DATA]);
    }
}

bool jinja_is_space(uint32_t cp) {
    return (cp >= 9 && cp <= 13) || (cp >= 0x1c && cp <= 0x20) || cp == 0x85 || cp == 0xa0 || cp == 0x1680 ||
           (cp >= 0x2000 && cp <= 0x200a) || cp == 0x2028 || cp == 0x2029 || cp == 0x202f || cp == 0x205f || cp == 0x3000;
}

uint32_t jinja_char(size_t *length, const char *text, size_t size) {
    unsigned char c = (unsigned char)text[0];
    *length = 1;
    if (c < 0x80) return c;
    utf8proc_int32_t cp = 0;
    utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)text, size > 4 ? 4 : (utf8proc_ssize_t)size, &cp);
    if (n <= 0) return 0xfffd;
    *length = (size_t)n;
    return (uint32_t)cp;
}

struct lexer {
    struct jtokens *tokens;
    struct arena *arena;
    const char *source;
    size_t size, at;
    int line;
    bool line_starting;
};

static struct jtoken *push(struct lexer *x, enum jtok kind, int line) {
    struct jtokens *t = x->tokens;
    if (t->count == t->capacity) {
        t->capacity = t->capacity ? t->capacity * 2 : 256;
        t->items = mem_resize(t->items, t->capacity * sizeof *t->items);
    }
    t->items[t->count] = (struct jtoken){.kind = kind, .line = line};
    return &t->items[t->count++];
}

static bool starts(const struct lexer *x, const char *text) {
    size_t n = strlen(text);
    return x->size - x->at >= n && memcmp(x->source + x->at, text, n) == 0;
}
static void advance(struct lexer *x, size_t n) {
    for (size_t i = 0; i < n; i++) x->line += x->source[x->at + i] == '\n';
    x->at += n;
}
static void skip_space(struct lexer *x) {
    size_t n = 0;
    while (x->at < x->size && jinja_is_space(jinja_char(&n, x->source + x->at, x->size - x->at))) advance(x, n);
}
/* After an end delimiter: "-" has eaten all blanks, "+" nothing, else a block loses one line break. */
static void after_end(struct lexer *x, char sign, bool trims) {
    if (sign == '-') {
        skip_space(x);
    } else if (sign != '+' && trims && x->at < x->size && x->source[x->at] == '\n') {
        advance(x, 1);
    }
    x->line_starting = x->at > 0 && x->source[x->at - 1] == '\n';
}

static size_t rstrip(const char *text, size_t size) {
    size_t keep = 0;
    for (size_t i = 0, n; i < size; i += n) {
        if (!jinja_is_space(jinja_char(&n, text + i, size - i))) keep = i + n;
    }
    return keep;
}

/* Template data in front of a delimiter, shortened as its sign says. */
static void push_data(struct lexer *x, size_t from, size_t to, char sign, bool is_variable, int line) {
    const char *text = x->source + from;
    size_t size = to - from;
    if (sign == '-') {
        size = rstrip(text, size);
    } else if (sign != '+' && !is_variable) {
        size_t head = size;
        while (head > 0 && text[head - 1] != '\n') head--;
        if ((head > 0 || x->line_starting) && rstrip(text + head, size - head) == 0) size = head;
    }
    if (size == 0) return;
    struct jtoken *t = push(x, JT_DATA, line);
    t->text = text, t->size = size;
}

static int hex_value(const char *text, size_t digits, size_t size, uint32_t *out) {
    *out = 0;
    if (size < digits) return 0;
    for (size_t i = 0; i < digits; i++) {
        char c = text[i];
        int v = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
        if (v < 0) return 0;
        *out = *out * 16 + (uint32_t)v;
    }
    return 1;
}

/* One escape of Python's string literals; *used counts the bytes behind the backslash. */
static status unescape(const struct lexer *x, struct buf *out, const char *text, size_t size, size_t *used) {
    static const char plain[] = "\\'\"abfnrtv", meant[] = "\\'\"\a\b\f\n\r\t\v";
    const char *found = text[0] ? strchr(plain, text[0]) : NULL;
    uint32_t cp = 0;
    *used = 1;
    if (text[0] == '\n') return ST_OK; /* a continued line */
    if (found) {
        buf_append_char(out, meant[found - plain]);
        return ST_OK;
    }
    if (text[0] >= '0' && text[0] <= '7') {
        for (*used = 0; *used < 3 && *used < size && text[*used] >= '0' && text[*used] <= '7'; ++*used)
            cp = cp * 8 + (uint32_t)(text[*used] - '0');
    } else if (text[0] == 'x' || text[0] == 'u' || text[0] == 'U') {
        size_t digits = text[0] == 'x' ? 2 : text[0] == 'u' ? 4 : 8;
        if (!hex_value(text + 1, digits, size - 1, &cp))
            return jinja_fail(x->line, "a \\%c escape needs %zu hexadecimal digits", text[0], digits);
        *used = 1 + digits;
    } else if (text[0] == 'N') {
        return jinja_fail(x->line, "\\N{...} escapes are not supported");
    } else { /* an unknown escape stays as it is */
        buf_append_char(out, '\\');
        *used = 0;
        return ST_OK;
    }
    utf8proc_uint8_t bytes[4];
    if (!utf8proc_codepoint_valid((utf8proc_int32_t)cp))
        return jinja_fail(x->line, "an escape names no character: \\%.*s", (int)*used, text);
    buf_append(out, bytes, (size_t)utf8proc_encode_char((utf8proc_int32_t)cp, bytes));
    return ST_OK;
}

static status lex_string(struct lexer *x) {
    char quote = x->source[x->at];
    size_t end = x->at + 1, used = 0;
    while (end < x->size && x->source[end] != quote) end += x->source[end] == '\\' ? 2 : 1;
    if (end >= x->size) return jinja_fail(x->line, "a string has no closing %c", quote);
    struct buf out = {0};
    status s = ST_OK;
    for (size_t i = x->at + 1; i < end && s == ST_OK; i++) {
        if (x->source[i] != '\\') {
            buf_append_char(&out, x->source[i]);
            continue;
        }
        s = unescape(x, &out, x->source + i + 1, end - i - 1, &used);
        i += used;
    }
    if (s == ST_OK) {
        struct jtoken *t = push(x, JT_STRING, x->line);
        t->text = arena_text(x->arena, buf_text(&out), out.size);
        t->size = out.size;
        advance(x, end + 1 - x->at);
    }
    buf_release(&out);
    return s;
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_word(char c) { return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (signed char)c < 0; }

/* The digits at `from`, with single underscores between them; returns where they end. */
static size_t digits_end(const struct lexer *x, size_t from) {
    size_t i = from;
    while (i < x->size && (is_digit(x->source[i]) || (x->source[i] == '_' && i > from && i + 1 < x->size && is_digit(x->source[i + 1]))))
        i++;
    return i;
}

static status lex_number(struct lexer *x) {
    char text[128];
    size_t end, n = 0;
    int base = 10;
    bool is_float = false, after_dot = x->tokens->count && x->tokens->items[x->tokens->count - 1].kind == JT_DOT;
    const char *at = x->source + x->at;
    size_t left = x->size - x->at;
    if (left > 2 && at[0] == '0' && strchr("xXoObB", at[1])) {
        base = at[1] == 'x' || at[1] == 'X' ? 16 : at[1] == 'o' || at[1] == 'O' ? 8 : 2;
        for (end = x->at + 2; end < x->size && is_word(x->source[end]);) end++;
    } else {
        end = digits_end(x, x->at);
        if (!after_dot && end + 1 < x->size && x->source[end] == '.' && is_digit(x->source[end + 1]))
            is_float = true, end = digits_end(x, end + 1);
        if (!after_dot && end < x->size && (x->source[end] == 'e' || x->source[end] == 'E')) {
            size_t exponent = end + 1;
            if (exponent < x->size && (x->source[exponent] == '+' || x->source[exponent] == '-')) exponent++;
            if (exponent < x->size && is_digit(x->source[exponent])) is_float = true, end = digits_end(x, exponent);
        }
    }
    for (size_t i = x->at + (base == 10 ? 0 : 2); i < end; i++) {
        if (x->source[i] == '_') continue;
        if (n + 1 >= sizeof text) return jinja_fail(x->line, "a number has too many digits");
        text[n++] = x->source[i];
    }
    text[n] = 0;
    char *stop = NULL;
    errno = 0;
    struct jtoken *t = push(x, is_float ? JT_FLOAT : JT_INT, x->line);
    if (is_float) {
        t->d = strtod(text, &stop);
    } else {
        t->i = strtoll(text, &stop, base);
        if (errno == ERANGE) return jinja_fail(x->line, "the integer %.40s does not fit 64 bits", text);
        if (base == 10 && n > 1 && text[0] == '0' && t->i != 0) return jinja_fail(x->line, "an integer starts with 0: %.40s", text);
    }
    if (n == 0 || *stop) return jinja_fail(x->line, "not a number: %.*s", (int)(end - x->at > 40 ? 40 : end - x->at), at);
    advance(x, end - x->at);
    return ST_OK;
}

/* The bracket that closes `open`. */
static char closing(char open) { return open == '(' ? ')' : open == '[' ? ']' : '}'; }

static status lex_operator(struct lexer *x, char *stack, size_t *depth) {
    size_t best = OP_COUNT;
    for (size_t i = 0; i < OP_COUNT; i++) {
        if (starts(x, op_text[i]) && (best == OP_COUNT || strlen(op_text[i]) > strlen(op_text[best]))) best = i;
    }
    if (best == OP_COUNT) {
        size_t n = 0;
        jinja_char(&n, x->source + x->at, x->size - x->at);
        return jinja_fail(x->line, "unexpected character '%.*s'", (int)n, x->source + x->at);
    }
    char c = op_text[best][0];
    if (c == '(' || c == '[' || c == '{') {
        if (*depth == JINJA_NEST_MAX) return jinja_fail(x->line, "brackets nest deeper than %d", JINJA_NEST_MAX);
        stack[(*depth)++] = c;
    } else if (c == ')' || c == ']' || c == '}') {
        if (*depth == 0) return jinja_fail(x->line, "unexpected '%c'", c);
        char open = stack[--*depth];
        if (closing(open) != c) return jinja_fail(x->line, "unexpected '%c', expected '%c'", c, closing(open));
    }
    push(x, (enum jtok)best, x->line);
    advance(x, strlen(op_text[best]));
    return ST_OK;
}

/* The inside of {{ }} or {% %}, with its end. */
static status lex_code(struct lexer *x, bool is_block) {
    char stack[JINJA_NEST_MAX];
    size_t depth = 0;
    int first = x->line;
    const char *end = is_block ? "%}" : "}}";
    for (;;) {
        skip_space(x);
        if (x->at >= x->size) return jinja_fail(first, "%s has no end", is_block ? "a statement {%" : "an expression {{");
        char c = x->source[x->at], sign = c == '-' || (c == '+' && is_block) ? c : 0;
        if (depth == 0 && (starts(x, end) || (sign && x->size - x->at > 2 && memcmp(x->source + x->at + 1, end, 2) == 0))) {
            push(x, is_block ? JT_BLOCK_END : JT_VAR_END, x->line);
            advance(x, sign ? 3 : 2);
            after_end(x, sign, is_block);
            return ST_OK;
        }
        if (is_digit(c)) {
            TRY(lex_number(x));
        } else if (c == '"' || c == '\'') {
            TRY(lex_string(x));
        } else if (is_word(c)) {
            size_t n = 1;
            while (x->at + n < x->size && is_word(x->source[x->at + n])) n++;
            struct jtoken *t = push(x, JT_NAME, x->line);
            t->text = arena_text(x->arena, x->source + x->at, n);
            t->size = n;
            advance(x, n);
        } else {
            TRY(lex_operator(x, stack, &depth));
        }
    }
}

/* At "{%": is this the tag `name` and nothing else? Then *end is behind its "%}" and *sign the sign in front of it. */
static bool is_lone_tag(const struct lexer *x, size_t at, const char *name, size_t *end, char *open_sign, char *sign) {
    const char *s = x->source;
    size_t n = strlen(name), i = at + 2, width = 0;
    *open_sign = i < x->size && (s[i] == '-' || s[i] == '+') ? s[i++] : 0;
    while (i < x->size && jinja_is_space(jinja_char(&width, s + i, x->size - i))) i += width;
    if (x->size - i < n || memcmp(s + i, name, n) != 0) return false;
    i += n;
    while (i < x->size && jinja_is_space(jinja_char(&width, s + i, x->size - i))) i += width;
    *sign = i < x->size && (s[i] == '-' || s[i] == '+') ? s[i++] : 0;
    if (x->size - i < 2 || s[i] != '%' || s[i + 1] != '}') return false;
    *end = i + 2;
    return true;
}

static status lex_raw(struct lexer *x, size_t end, char sign) {
    int first = x->line;
    advance(x, end - x->at);
    after_end(x, sign, false);
    for (size_t i = x->at; i + 1 < x->size; i++) {
        char open_sign = 0;
        if (x->source[i] != '{' || x->source[i + 1] != '%' || !is_lone_tag(x, i, "endraw", &end, &open_sign, &sign)) continue;
        push_data(x, x->at, i, open_sign, false, x->line);
        advance(x, end - x->at);
        after_end(x, sign, true);
        return ST_OK;
    }
    return jinja_fail(first, "{%% raw %%} has no {%% endraw %%}");
}

static status lex_comment(struct lexer *x, char open_sign) {
    int first = x->line;
    size_t inside = x->at + 2 + (open_sign ? 1 : 0);
    for (size_t i = inside; i + 1 < x->size; i++) {
        if (x->source[i] != '#' || x->source[i + 1] != '}') continue;
        char before = x->source[i - 1], sign = i > inside && (before == '-' || before == '+') ? before : 0;
        advance(x, i + 2 - x->at);
        after_end(x, sign, true);
        return ST_OK;
    }
    return jinja_fail(first, "a comment {# has no end");
}

static status lex_all(struct lexer *x) {
    while (x->at < x->size) {
        size_t from = x->at, i = from;
        while (i + 1 < x->size && !(x->source[i] == '{' && (x->source[i + 1] == '{' || x->source[i + 1] == '%' || x->source[i + 1] == '#')))
            i++;
        if (i + 1 >= x->size) i = x->size;
        int line = x->line;
        if (i == x->size) {
            push_data(x, from, i, '+', false, line);
            x->at = i;
            break;
        }
        char kind = x->source[i + 1], sign = 0, end_sign = 0;
        size_t end = 0;
        bool raw = kind == '%' && is_lone_tag(x, i, "raw", &end, &sign, &end_sign) && end_sign != '+';
        if (!raw) sign = i + 2 < x->size && (x->source[i + 2] == '-' || x->source[i + 2] == '+') ? x->source[i + 2] : 0;
        push_data(x, from, i, sign, kind == '{', line);
        advance(x, i - x->at);
        if (raw) {
            TRY(lex_raw(x, end, end_sign));
        } else if (kind == '#') {
            TRY(lex_comment(x, sign));
        } else {
            push(x, kind == '%' ? JT_BLOCK_BEGIN : JT_VAR_BEGIN, x->line);
            advance(x, sign ? 3 : 2);
            TRY(lex_code(x, kind == '%'));
        }
    }
    push(x, JT_EOF, x->line);
    return ST_OK;
}

status jinja_lex(struct jtokens *tokens, struct arena *arena, const char *source, size_t size) {
    char *copy = NULL;
    size_t n = 0;
    *tokens = (struct jtokens){0};
    if (size > JINJA_SOURCE_MAX) return FAIL(ST_UNSUPPORTED, "a template of %zu bytes; at most %zu are read", size, JINJA_SOURCE_MAX);
    int line = 1;
    for (size_t i = 0, width; i < size; i += width) {
        utf8proc_int32_t cp = 0;
        utf8proc_ssize_t got = utf8proc_iterate((const utf8proc_uint8_t *)source + i, size - i > 4 ? 4 : (utf8proc_ssize_t)(size - i), &cp);
        if (got <= 0 || cp == 0) return jinja_fail(line, cp == 0 && got > 0 ? "a NUL byte" : "not valid UTF-8");
        width = (size_t)got;
        line += cp == '\n';
    }
    TRY(arena_try_take(arena, &copy, size + 1, 1, "a template"));
    for (size_t i = 0; i < size; i++) { /* line breaks become \n everywhere, as jinja2 does before it splits */
        copy[n++] = source[i] == '\r' ? '\n' : source[i];
        if (source[i] == '\r' && i + 1 < size && source[i + 1] == '\n') i++;
    }
    if (n > 0 && copy[n - 1] == '\n') n--;
    struct lexer x = {.tokens = tokens, .arena = arena, .source = copy, .size = n, .line = 1, .line_starting = true};
    return lex_all(&x);
}
