/* jinja_percent: Python's "%s" % values, for %s %r %d %i %f %e %g %x %o %c %% with flags, width and precision. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "text/jinja_value.h"
#include "base/utf8.h"

#define WIDTH_MAX 4096

struct spec {
    bool left, zero, plus, blank, alternate;
    size_t width;
    int precision; /* -1: none */
};

static status put_padded(struct jrender *r, struct buf *out, const struct spec *s, const char *text, size_t size, bool numeric) {
    size_t chars = utf8_count(text, size), pad = s->width > chars ? s->width - chars : 0, sign = 0;
    if (numeric && s->zero && !s->left && size && strchr("+- ", text[0])) sign = 1;
    if (numeric && s->zero && !s->left) TRY(jr_put(r, out, text, sign));
    for (size_t i = 0; !s->left && i < pad; i++) TRY(jr_put(r, out, numeric && s->zero ? "0" : " ", 1));
    if (!numeric || !s->zero || s->left) sign = 0;
    TRY(jr_put(r, out, text + sign, size - sign));
    for (size_t i = 0; s->left && i < pad; i++) TRY(jr_put(r, out, " ", 1));
    return ST_OK;
}

static status put_string(struct jrender *r, struct buf *out, const struct spec *s, struct jvalue v, bool repr) {
    struct buf text = {0};
    status st = repr ? jv_put_repr(r, &text, v, 0) : jv_put_str(r, &text, v);
    if (st == ST_OK) {
        struct jstr whole = {buf_text(&text), text.size, utf8_count(buf_text(&text), text.size)};
        size_t size = s->precision >= 0 && (size_t)s->precision < whole.chars ? jv_char_offset(&whole, (size_t)s->precision) : whole.size;
        st = put_padded(r, out, s, whole.data, size, false);
    }
    buf_release(&text);
    return st;
}

static status put_number(struct jrender *r, struct buf *out, const struct spec *s, struct jvalue v, char kind) {
    char text[512];
    if (v.kind == JV_UNDEFINED) return jr_fail(r, "%s", v.why);
    if (!jv_is_number(v) || v.kind == JV_BIG) return jr_fail(r, "%%%c format: a real number is required, not %s", kind, jv_type_name(v));
    int precision = s->precision < 0 ? 6 : s->precision;
    const char *sign = s->plus ? "+" : s->blank ? " " : "";
    if (strchr("feEgGF", kind)) {
        double d = jv_to_double(v);
        const char *shown = d < 0 || signbit(d) ? "" : sign;
        if (precision > 100) return jr_fail(r, "%%%c format: the precision is above 100", kind);
        int n = kind == 'f' || kind == 'F' ? snprintf(text, sizeof text, "%s%.*f", shown, precision, d)
                : kind == 'e'              ? snprintf(text, sizeof text, "%s%.*e", shown, precision, d)
                : kind == 'E'              ? snprintf(text, sizeof text, "%s%.*E", shown, precision, d)
                : kind == 'g'              ? snprintf(text, sizeof text, "%s%.*g", shown, precision, d)
                                           : snprintf(text, sizeof text, "%s%.*G", shown, precision, d);
        return put_padded(r, out, s, text, (size_t)n, true);
    }
    double d = v.kind == JV_FLOAT ? trunc(v.d) : 0;
    if (v.kind == JV_FLOAT && (kind == 'x' || kind == 'X' || kind == 'o'))
        return jr_fail(r, "%%%c format: an integer is required, not float", kind);
    if (!(d > -9.2e18 && d < 9.2e18)) return jr_fail(r, "an integer does not fit 64 bits");
    long long i = v.kind == JV_FLOAT ? (long long)d : v.kind == JV_BOOL ? v.b : (long long)v.i;
    unsigned long long size = i < 0 ? 0ull - (unsigned long long)i : (unsigned long long)i;
    int digits = s->precision > 100 ? 100 : s->precision < 0 ? 1 : s->precision;
    const char *front = i < 0 ? "-" : sign, *prefix = !s->alternate ? ""
                                                      : kind == 'x' ? "0x"
                                                      : kind == 'X' ? "0X"
                                                      : kind == 'o' ? "0o"
                                                                    : "";
    int n = kind == 'x'   ? snprintf(text, sizeof text, "%s%s%.*llx", front, prefix, digits, size)
            : kind == 'X' ? snprintf(text, sizeof text, "%s%s%.*llX", front, prefix, digits, size)
            : kind == 'o' ? snprintf(text, sizeof text, "%s%s%.*llo", front, prefix, digits, size)
                          : snprintf(text, sizeof text, "%s%.*llu", front, digits, size);
    return put_padded(r, out, s, text, (size_t)n, true);
}

static size_t read_number(const struct jstr *f, size_t *at) {
    size_t n = 0;
    while (*at < f->size && f->data[*at] >= '0' && f->data[*at] <= '9')
        n = n > WIDTH_MAX ? n : n * 10 + (size_t)(f->data[*at] - '0'), ++*at;
    return n;
}

static status read_spec(struct jrender *r, struct spec *s, const struct jstr *f, size_t *at) {
    *s = (struct spec){.precision = -1};
    for (; *at < f->size && strchr("-+ 0#", f->data[*at]) && f->data[*at]; ++*at) {
        char c = f->data[*at];
        s->left |= c == '-', s->plus |= c == '+', s->blank |= c == ' ', s->zero |= c == '0', s->alternate |= c == '#';
    }
    s->width = read_number(f, at);
    if (*at < f->size && f->data[*at] == '.') {
        ++*at;
        size_t precision = read_number(f, at);
        if (precision > WIDTH_MAX) return jr_fail(r, "a format's precision is above %d", WIDTH_MAX);
        s->precision = (int)precision;
    }
    if (s->width > WIDTH_MAX) return jr_fail(r, "a format's width is above %d", WIDTH_MAX);
    return *at < f->size ? ST_OK : jr_fail(r, "incomplete format");
}

/* %(name)s: the name's value among the keywords, or in the one mapping given. */
static status named_value(struct jrender *r, struct jvalue *out, const struct jstr *f, size_t *at, const struct jcall *call) {
    const char *from = f->data + *at + 1, *end = memchr(from, ')', f->size - *at - 1);
    struct jvalue key = {0};
    if (!end) return jr_fail(r, "incomplete format key");
    TRY(jv_view(r, &key, from, (size_t)(end - from)));
    *at += key.s->size + 2;
    *out = (struct jvalue){0};
    if (call->positional_count == 1 && call->positional[0].kind == JV_DICT) TRY(jv_dict_get(r, out, call->positional[0].dict, key));
    for (size_t k = 0; k < call->keyword_count; k++) {
        if (jv_is_text(key, call->keywords[k].name)) *out = call->keywords[k].value;
    }
    return out->kind == JV_ABSENT ? jr_fail(r, "a format's key has no value: '%.*s'", (int)(key.s->size % 100), key.s->data) : ST_OK;
}

static status percent_into(struct jrender *r, struct buf *out, const struct jstr *f, const struct jcall *call) {
    size_t next = 0;
    enum jkind one = call->positional_count == 1 ? call->positional[0].kind : JV_NONE;
    bool named = call->keyword_count > 0 || one == JV_DICT || one == JV_LIST || one == JV_UNDEFINED; /* what has items may go unused */
    for (size_t at = 0; at < f->size; at++) {
        struct spec s;
        struct jvalue v = {0};
        const char *percent = memchr(f->data + at, '%', f->size - at);
        size_t plain = percent ? (size_t)(percent - f->data) : f->size;
        TRY(jr_put(r, out, f->data + at, plain - at));
        TRY(jr_tick(r, 1));
        at = plain + 1;
        if (!percent) break;
        if (at < f->size && f->data[at] == '(') TRY(named_value(r, &v, f, &at, call));
        TRY(read_spec(r, &s, f, &at));
        char kind = f->data[at];
        if (kind == '%') {
            TRY(jr_put(r, out, "%", 1));
            continue;
        }
        if (!kind || !strchr("srdiufFeEgGxXo", kind)) return jr_fail(r, "unsupported format character");
        if (v.kind == JV_ABSENT) {
            if (next >= call->positional_count) return jr_fail(r, "not enough arguments for format string");
            v = call->positional[next++];
        }
        TRY(kind == 's' || kind == 'r' ? put_string(r, out, &s, v, kind == 'r') : put_number(r, out, &s, v, kind));
    }
    if (!named && next < call->positional_count) return jr_fail(r, "not all arguments converted during string formatting");
    return ST_OK;
}

status jv_percent(struct jrender *r, struct jvalue *out, const struct jstr *format, const struct jcall *call) {
    struct buf text = {0};
    status s = percent_into(r, &text, format, call);
    if (s == ST_OK) s = jv_string(r, out, buf_text(&text), text.size);
    buf_release(&text);
    return s;
}
