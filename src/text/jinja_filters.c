/* jinja_filters: what stands behind the bar. Each follows jinja2/filters.py, tojson follows transformers. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/jinja_case.h"
#include "text/jinja_filters.h"

static bool absent(struct jvalue v) { return v.kind == JV_ABSENT || v.kind == JV_NONE; }
static bool flag(struct jvalue v) { return v.kind != JV_ABSENT && jv_truth(v); }

/* str(v): most text filters take anything. */
static status text_of(struct jrender *r, const struct jstr **out, struct jvalue v) {
    struct jvalue s = {0};
    TRY(jv_to_string(r, &s, v));
    *out = s.s;
    return ST_OK;
}

/* "a.b.0" of a value, as attribute= means it. An integer is one item. */
static status get_path(struct jrender *r, struct jvalue *out, struct jvalue v, struct jvalue path, struct jvalue fallback) {
    *out = v;
    if (absent(path)) return ST_OK;
    if (path.kind != JV_STRING) {
        TRY(jv_item(r, out, v, path));
        if (out->kind == JV_UNDEFINED && !absent(fallback)) *out = fallback;
        return ST_OK;
    }
    for (size_t at = 0; at <= path.s->size;) {
        const char *part = path.s->data + at, *dot = memchr(part, '.', path.s->size - at);
        size_t n = dot ? (size_t)(dot - part) : path.s->size - at;
        bool digits = n > 0 && n < 10;
        int64_t number = 0;
        for (size_t i = 0; i < n && digits; i++) digits = part[i] >= '0' && part[i] <= '9', number = number * 10 + part[i] - '0';
        struct jvalue key = jv_int(number);
        if (!digits) TRY(jv_view(r, &key, part, n));
        TRY(jv_item(r, out, *out, key));
        if (out->kind == JV_UNDEFINED && !absent(fallback)) *out = fallback;
        at += n + 1;
    }
    return ST_OK;
}

static status fold_case(struct jrender *r, struct jvalue *v, bool case_sensitive) {
    return v->kind == JV_STRING && !case_sensitive ? jv_case(r, v, v->s, CASE_LOWER) : ST_OK;
}

/* ---- text ---- */

FILTER(filter_trim) {
    const struct jstr *s = NULL;
    UNUSED;
    TRY(text_of(r, &s, v));
    return jv_strip(r, out, s, args[0], true, true);
}
static status filter_case(struct jrender *r, struct jvalue *out, struct jvalue v, enum jcase how) {
    const struct jstr *s = NULL;
    TRY(text_of(r, &s, v));
    return jv_case(r, out, s, how);
}
FILTER(filter_upper) {
    UNUSED;
    return filter_case(r, out, v, CASE_UPPER);
}
FILTER(filter_lower) {
    UNUSED;
    return filter_case(r, out, v, CASE_LOWER);
}
FILTER(filter_title) {
    UNUSED;
    return filter_case(r, out, v, CASE_WORDS);
}
FILTER(filter_capitalize) {
    UNUSED;
    return filter_case(r, out, v, CASE_CAPITAL);
}
FILTER(filter_string) {
    UNUSED;
    return jv_to_string(r, out, v);
}

FILTER(filter_replace) {
    const struct jstr *s = NULL;
    struct jvalue old = {0}, new = {0};
    UNUSED;
    if (args[0].kind == JV_ABSENT || args[1].kind == JV_ABSENT) return jr_fail(r, "replace needs two arguments");
    TRY(text_of(r, &s, v));
    TRY(jv_to_string(r, &old, args[0]));
    TRY(jv_to_string(r, &new, args[1]));
    return jv_replace(r, out, s, old, new, args[2]);
}

FILTER(filter_join) {
    struct jlist *items = NULL;
    struct jvalue glue = {0}, list = {0}, item = {0};
    UNUSED;
    TRY(jv_items(r, &items, v));
    TRY(args[0].kind == JV_ABSENT ? jv_view(r, &glue, "", 0) : jv_to_string(r, &glue, args[0]));
    if (absent(args[1])) return jv_join(r, out, glue.s, items, true);
    TRY(jv_list(r, &list, JL_LIST, items->count));
    for (size_t i = 0; i < items->count; i++) {
        TRY(get_path(r, &item, items->items[i], args[1], (struct jvalue){0}));
        TRY(jv_append(r, list.list, item));
    }
    return jv_join(r, out, glue.s, list.list, true);
}

static bool ends_line(uint32_t cp) {
    return (cp >= 10 && cp <= 13) || (cp >= 0x1c && cp <= 0x1e) || cp == 0x85 || cp == 0x2028 || cp == 0x2029;
}

/* Lines become \n-separated, each but the first (first=) and the empty ones (blank=) indented. */
static status indent_into(struct jrender *r, struct buf *out, const struct jstr *s, const struct jstr *by, bool first, bool blank) {
    size_t at = 0, n = 0;
    TRY(jr_tick(r, s->size / 2));
    if (first) TRY(jr_put(r, out, by->data, by->size));
    for (bool head = true;; head = false) {
        size_t from = at, end;
        uint32_t cp = 0;
        for (; at < s->size; at += n) {
            cp = jinja_char(&n, s->data + at, s->size - at);
            if (ends_line(cp)) break;
        }
        end = at;
        if (!head) TRY(jr_put(r, out, "\n", 1));
        if (!head && (blank || end > from)) TRY(jr_put(r, out, by->data, by->size));
        TRY(jr_put(r, out, s->data + from, end - from));
        TRY(jr_tick(r, 1));
        if (at == s->size) return ST_OK;
        at += n;
        if (cp == '\r' && (at == s->size || s->data[at] == '\n')) at += at < s->size; /* a final CR joins the line break that jinja2 adds */
        if (cp == '\r' && at == s->size && s->data[at - 1] == '\r') return ST_OK;
    }
}

FILTER(filter_indent) {
    const struct jstr *s = NULL;
    struct jvalue by = args[0];
    int64_t width = 4;
    struct buf text = {0};
    UNUSED;
    TRY(jc_string(r, &s, v, "indent's subject"));
    if (by.kind != JV_STRING) {
        if (by.kind != JV_ABSENT) TRY(jc_int(r, &width, by, "indent's width"));
        char *blanks = NULL;
        if (width < 0) width = 0;
        TRY(jr_take(r, &blanks, (size_t)width + 1, 1));
        memset(blanks, ' ', (size_t)width);
        TRY(jv_view(r, &by, blanks, (size_t)width));
    }
    status st = indent_into(r, &text, s, by.s, flag(args[1]), flag(args[2]));
    if (st == ST_OK) st = jv_string(r, out, buf_text(&text), text.size);
    buf_release(&text);
    return st;
}

FILTER(filter_wordcount) {
    const struct jstr *s = NULL;
    int64_t count = 0;
    bool inside = false;
    UNUSED;
    TRY(text_of(r, &s, v));
    TRY(jr_tick(r, s->size));
    for (size_t i = 0, n; i < s->size; i += n) {
        uint32_t cp = jinja_char(&n, s->data + i, s->size - i);
        bool word = cp == '_' || jinja_is_alnum(cp);
        count += word && !inside;
        inside = word;
    }
    *out = jv_int(count);
    return ST_OK;
}

FILTER(filter_escape) {
    static const char plain[] = "&<>'\"";
    static const char *const names[] = {"&amp;", "&lt;", "&gt;", "&#39;", "&#34;"};
    const struct jstr *s = NULL;
    struct buf text = {0};
    status st = ST_OK;
    UNUSED;
    TRY(text_of(r, &s, v));
    TRY(jr_tick(r, s->size));
    for (size_t i = 0; i < s->size && st == ST_OK; i++) {
        const char *found = s->data[i] ? strchr(plain, s->data[i]) : NULL;
        st = found ? jr_put(r, &text, names[found - plain], strlen(names[found - plain])) : jr_put(r, &text, s->data + i, 1);
    }
    if (st == ST_OK) st = jv_string(r, out, buf_text(&text), text.size);
    buf_release(&text);
    return st;
}

FILTER(filter_format) {
    const struct jstr *s = NULL;
    (void)args;
    TRY(text_of(r, &s, v));
    return jv_percent(r, out, s, call);
}

FILTER(filter_tojson) {
    struct jdump how = {.item_separator = ", ", .key_separator = ": "};
    struct jlist *pair = NULL;
    struct buf text = {0};
    int64_t width = 0;
    UNUSED;
    how.ascii = flag(args[0]), how.sort_keys = flag(args[3]);
    if (args[1].kind == JV_STRING) {
        how.indent = args[1].s->data, how.indent_size = args[1].s->size;
    } else if (!absent(args[1])) {
        char *blanks = NULL;
        TRY(jc_int(r, &width, args[1], "tojson's indent"));
        if (width < 0) width = 0;
        TRY(jr_take(r, &blanks, (size_t)width + 1, 1));
        memset(blanks, ' ', (size_t)width);
        how.indent = blanks, how.indent_size = (size_t)width;
    }
    if (how.indent) how.item_separator = ",";
    if (!absent(args[2])) {
        TRY(jv_items(r, &pair, args[2]));
        if (pair->count != 2 || pair->items[0].kind != JV_STRING || pair->items[1].kind != JV_STRING)
            return jr_fail(r, "tojson: separators are two strings");
        for (int i = 0; i < 2; i++) {
            char *terminated = NULL;
            TRY(jr_take(r, &terminated, pair->items[i].s->size + 1, 1));
            memcpy(terminated, pair->items[i].s->data, pair->items[i].s->size);
            *(i ? &how.key_separator : &how.item_separator) = terminated;
        }
    }
    status st = jv_put_json(r, &text, v, &how, 0);
    if (st == ST_OK) st = jv_string(r, out, buf_text(&text), text.size);
    buf_release(&text);
    return st;
}

/* ---- numbers ---- */

/* int() or float() of a text: blanks around it, single underscores between digits. */
static bool clean_number(char *out, size_t room, const struct jstr *s) {
    size_t from = 0, to = s->size, n = 0;
    while (from < to && jinja_is_space((unsigned char)s->data[from])) from++;
    while (to > from && jinja_is_space((unsigned char)s->data[to - 1])) to--;
    for (size_t i = from; i < to; i++) {
        char c = s->data[i];
        if (c == '_' && i > from && i + 1 < to && jinja_is_alnum((unsigned char)s->data[i - 1]) &&
            jinja_is_alnum((unsigned char)s->data[i + 1]))
            continue;
        if (c == '_' || (signed char)c <= 0x20 || n + 1 >= room) return false;
        out[n++] = c;
    }
    out[n] = 0;
    return n > 0;
}

static bool parse_double(double *out, const struct jstr *s) {
    char text[400], *end = NULL;
    if (!clean_number(text, sizeof text, s) || strpbrk(text, "xXpP(")) return false;
    *out = strtod(text, &end);
    return *end == 0;
}

static bool parse_int(int64_t *out, const struct jstr *s, int base) {
    char text[400], *end = NULL;
    if (!clean_number(text, sizeof text, s)) return false;
    char *digits = text + (text[0] == '-' || text[0] == '+');
    if (digits[0] == '0' && ((base == 2 && (digits[1] | 32) == 'b') || (base == 8 && (digits[1] | 32) == 'o'))) {
        memmove(digits, digits + 2, strlen(digits + 2) + 1);
    } else if (base == 10 && digits[0] == '0' && (digits[1] | 32) == 'x') {
        return false;
    }
    errno = 0;
    *out = strtoll(text, &end, base);
    return *end == 0 && end != text && errno == 0;
}

FILTER(filter_int) {
    int64_t i = 0, base = 10;
    double d = 0;
    UNUSED;
    *out = args[0].kind == JV_ABSENT ? jv_int(0) : args[0];
    if (args[1].kind != JV_ABSENT) TRY(jc_int(r, &base, args[1], "int's base"));
    if (base != 0 && (base < 2 || base > 36)) return ST_OK;
    if (v.kind == JV_UNDEFINED) return jr_fail(r, "%s", v.why);
    if (v.kind == JV_BIG) {
        *out = v;
    } else if (v.kind == JV_INT || v.kind == JV_BOOL) {
        *out = jv_int(v.kind == JV_BOOL ? v.b : v.i);
    } else if (v.kind == JV_STRING && parse_int(&i, v.s, (int)base)) {
        *out = jv_int(i);
    } else if (v.kind == JV_FLOAT || (v.kind == JV_STRING && parse_double(&d, v.s))) {
        if (v.kind == JV_FLOAT) d = v.d;
        if (isfinite(d) && (d < -9.2e18 || d > 9.2e18)) return jr_fail(r, "an integer does not fit 64 bits");
        if (isfinite(d)) *out = jv_int((int64_t)d);
    }
    return ST_OK;
}
FILTER(filter_float) {
    double d = 0;
    UNUSED;
    *out = args[0].kind == JV_ABSENT ? jv_float(0) : args[0];
    if (v.kind == JV_UNDEFINED) return jr_fail(r, "%s", v.why);
    if (jv_is_number(v)) *out = jv_float(jv_to_double(v));
    if (v.kind == JV_STRING && parse_double(&d, v.s)) *out = jv_float(d);
    return ST_OK;
}
FILTER(filter_abs) {
    UNUSED;
    if (v.kind == JV_UNDEFINED) return jr_fail(r, "%s", v.why);
    if (!jv_is_number(v) || v.kind == JV_BIG || (v.kind == JV_INT && v.i == INT64_MIN))
        return jr_fail(r, "bad operand type for abs(): '%s'", jv_type_name(v));
    *out = v.kind == JV_FLOAT ? jv_float(fabs(v.d)) : v.kind == JV_BOOL ? jv_int(v.b) : jv_int(v.i < 0 ? -v.i : v.i);
    return ST_OK;
}
FILTER(filter_round) {
    int64_t digits = 0;
    char text[512];
    bool up = jv_is_text(args[1], "ceil"), down = jv_is_text(args[1], "floor");
    UNUSED;
    if (args[1].kind != JV_ABSENT && !up && !down && !jv_is_text(args[1], "common"))
        return jr_fail(r, "round: method must be common, ceil or floor");
    if (args[0].kind != JV_ABSENT) TRY(jc_int(r, &digits, args[0], "round's precision"));
    if (digits < -15 || digits > 15) return jr_fail(r, "round: the precision is between -15 and 15");
    if (v.kind == JV_UNDEFINED) return jr_fail(r, "%s", v.why);
    if (!jv_is_number(v) || v.kind == JV_BIG) return jr_fail(r, "type %s doesn't define __round__ method", jv_type_name(v));
    double scale = pow(10, (double)digits), d = jv_to_double(v);
    if (up || down) {
        d = up ? ceil(d * scale) : floor(d * scale);
        *out = jv_float(d / scale);
    } else if (v.kind != JV_FLOAT) {
        *out = v.kind == JV_BOOL ? jv_int(v.b) : v;
        if (digits < 0) { /* half to even */
            double unit = pow(10, (double)-digits);
            *out = jv_int((int64_t)(nearbyint(d / unit) * unit));
        }
    } else if (digits < 0 || !isfinite(d)) {
        *out = jv_float(isfinite(d) ? nearbyint(d * scale) / scale : d);
    } else { /* the C library rounds the exact value, as Python does */
        snprintf(text, sizeof text, "%.*f", (int)digits, d);
        *out = jv_float(strtod(text, NULL));
    }
    return ST_OK;
}

/* ---- sequences ---- */

FILTER(filter_length) {
    size_t n = 0;
    UNUSED;
    TRY(jv_length(r, &n, v));
    *out = jv_int((int64_t)n);
    return ST_OK;
}
FILTER(filter_default) {
    UNUSED;
    bool use = v.kind == JV_UNDEFINED || (flag(args[1]) && !jv_truth(v));
    *out = v;
    return !use ? ST_OK : args[0].kind == JV_ABSENT ? jv_view(r, out, "", 0) : (*out = args[0], ST_OK);
}
FILTER(filter_list) {
    struct jlist *items = NULL;
    UNUSED;
    TRY(jv_items(r, &items, v));
    TRY(jv_list(r, out, JL_LIST, items->count));
    for (size_t i = 0; i < items->count; i++) TRY(jv_append(r, out->list, items->items[i]));
    return ST_OK;
}
FILTER(filter_items) {
    struct jvalue pair = {0};
    UNUSED;
    TRY(jv_list(r, out, JL_ITERATOR, 0));
    if (v.kind == JV_UNDEFINED) return ST_OK;
    if (v.kind != JV_DICT) return jr_fail(r, "can only get item pairs from a mapping, not %s", jv_type_name(v));
    for (size_t i = 0; i < v.dict->count; i++) {
        TRY(jv_pair(r, &pair, v.dict->keys[i], v.dict->values[i]));
        TRY(jv_append(r, out->list, pair));
    }
    return ST_OK;
}
static status end_of(struct jrender *r, struct jvalue *out, struct jvalue v, bool last) {
    struct jlist *items = NULL;
    if (last && v.kind == JV_LIST && v.list->type == JL_ITERATOR) return jr_fail(r, "'generator' object is not reversible");
    if (v.kind == JV_LIST) {
        items = v.list;
    } else {
        TRY(jv_items(r, &items, v));
    }
    *out = items->count ? items->items[last ? items->count - 1 : 0]
                        : jv_undefined(last ? "no last item, sequence was empty" : "no first item, sequence was empty");
    if (v.kind == JV_LIST && v.list->type == JL_ITERATOR && items->count) items->items++, items->count--, items->capacity = items->count;
    return ST_OK;
}
FILTER(filter_first) {
    UNUSED;
    return end_of(r, out, v, false);
}
FILTER(filter_last) {
    UNUSED;
    return end_of(r, out, v, true);
}

FILTER(filter_reverse) {
    struct jlist *items = NULL;
    const struct jvalue bounds[3] = {{0}, {0}, jv_int(-1)};
    bool one_pass = v.kind == JV_LIST && v.list->type == JL_ITERATOR;
    UNUSED;
    if (v.kind == JV_STRING) return jv_slice(r, out, v, bounds);
    TRY(jv_items(r, &items, v));
    TRY(jv_list(r, out, one_pass ? JL_LIST : JL_ITERATOR, items->count)); /* what Python cannot reverse becomes a list */
    for (size_t i = items->count; i-- > 0;) TRY(jv_append(r, out->list, items->items[i]));
    return ST_OK;
}

/* Merge sort, stable, by keys; reverse keeps equal ones in order, as Python's does. */
static status merge_sort(struct jrender *r, struct jvalue *items, struct jvalue *keys, struct jvalue *spare, size_t count, bool reverse) {
    if (count < 2) return ST_OK;
    size_t half = count / 2, a = 0, b = half;
    TRY(merge_sort(r, items, keys, spare, half, reverse));
    TRY(merge_sort(r, items + half, keys + half, spare, count - half, reverse));
    struct jvalue *sorted = spare, *sorted_keys = spare + count;
    for (size_t i = 0; i < count; i++) {
        int c = 0;
        if (a < half && b < count) TRY(jv_compare(r, &c, keys[b], keys[a]));
        bool right = a == half || (b < count && (reverse ? c == 1 : c < 0));
        sorted[i] = items[right ? b : a];
        sorted_keys[i] = keys[right ? b++ : a++];
    }
    memcpy(items, sorted, count * sizeof *items);
    memcpy(keys, sorted_keys, count * sizeof *keys);
    return ST_OK;
}
static status sort_by(struct jrender *r, struct jlist *list, struct jlist *keys, bool reverse) {
    struct jvalue *spare = NULL;
    TRY(jr_take(r, &spare, list->count * 2, sizeof *spare));
    return merge_sort(r, list->items, keys->items, spare, list->count, reverse);
}

/* The key of an item under attribute="a,b.c": one value, or a list of them. */
static status sort_key(struct jrender *r, struct jvalue *out, struct jvalue item, struct jvalue attribute, bool case_sensitive) {
    struct jvalue path = attribute, key = {0};
    if (attribute.kind != JV_STRING || !memchr(attribute.s->data, ',', attribute.s->size)) {
        TRY(get_path(r, out, item, attribute, (struct jvalue){0}));
        return fold_case(r, out, case_sensitive);
    }
    TRY(jv_list(r, out, JL_LIST, 0));
    for (size_t at = 0; at <= attribute.s->size;) {
        const char *part = attribute.s->data + at, *comma = memchr(part, ',', attribute.s->size - at);
        size_t n = comma ? (size_t)(comma - part) : attribute.s->size - at;
        TRY(jv_view(r, &path, part, n));
        TRY(get_path(r, &key, item, path, (struct jvalue){0}));
        TRY(fold_case(r, &key, case_sensitive));
        TRY(jv_append(r, out->list, key));
        at += n + 1;
    }
    return ST_OK;
}

FILTER(filter_sort) {
    struct jvalue keys = {0}, key = {0};
    TRY(filter_list(r, out, v, args, call));
    TRY(jv_list(r, &keys, JL_LIST, out->list->count));
    for (size_t i = 0; i < out->list->count; i++) {
        TRY(sort_key(r, &key, out->list->items[i], args[2], flag(args[1])));
        TRY(jv_append(r, keys.list, key));
    }
    return sort_by(r, out->list, keys.list, flag(args[0]));
}

/* Tuples of a key, which is that of the first item as it stands, and the items that have it. */
FILTER(filter_groupby) {
    struct jvalue all = {0}, keys = {0}, key = {0}, items = {0}, group = {0};
    bool same = false;
    if (args[0].kind == JV_ABSENT) return jr_fail(r, "groupby needs an attribute");
    TRY(filter_list(r, &all, v, args, call));
    TRY(jv_list(r, &keys, JL_LIST, all.list->count));
    for (size_t i = 0; i < all.list->count; i++) {
        TRY(get_path(r, &key, all.list->items[i], args[0], args[1]));
        TRY(fold_case(r, &key, flag(args[2])));
        TRY(jv_append(r, keys.list, key));
    }
    TRY(sort_by(r, all.list, keys.list, false));
    TRY(jv_list(r, out, JL_LIST, 0));
    for (size_t i = 0; i < all.list->count; i++) {
        if (i) TRY(jv_equal(r, &same, keys.list->items[i - 1], keys.list->items[i]));
        if (!same) {
            TRY(jv_list(r, &items, JL_LIST, 0));
            TRY(get_path(r, &key, all.list->items[i], args[0], args[1]));
            TRY(jv_pair(r, &group, key, items));
            group.list->group = true;
            TRY(jv_append(r, out->list, group));
        }
        TRY(jv_append(r, items.list, all.list->items[i]));
    }
    return ST_OK;
}

FILTER(filter_dictsort) {
    struct jvalue keys = {0}, key = {0};
    bool by_value = jv_is_text(args[1], "value");
    UNUSED;
    if (v.kind != JV_DICT) return jr_fail(r, "dictsort needs a mapping, not %s", jv_type_name(v));
    if (args[1].kind != JV_ABSENT && !by_value && !jv_is_text(args[1], "key")) return jr_fail(r, "dictsort sorts by 'key' or 'value'");
    TRY(filter_items(r, out, v, args, call));
    out->list->type = JL_LIST;
    TRY(jv_list(r, &keys, JL_LIST, v.dict->count));
    for (size_t i = 0; i < v.dict->count; i++) {
        key = by_value ? v.dict->values[i] : v.dict->keys[i];
        TRY(fold_case(r, &key, flag(args[0])));
        TRY(jv_append(r, keys.list, key));
    }
    return sort_by(r, out->list, keys.list, flag(args[2]));
}

FILTER(filter_unique) {
    struct jlist *items = NULL;
    struct jvalue seen = {0}, key = {0}, found = {0};
    UNUSED;
    TRY(jv_items(r, &items, v));
    TRY(jv_list(r, out, JL_ITERATOR, 0));
    TRY(jv_dict(r, &seen));
    for (size_t i = 0; i < items->count; i++) {
        TRY(get_path(r, &key, items->items[i], args[1], (struct jvalue){0}));
        TRY(fold_case(r, &key, flag(args[0])));
        TRY(jv_dict_get(r, &found, seen.dict, key));
        if (found.kind != JV_ABSENT) continue;
        TRY(jv_dict_set(r, seen.dict, key, jv_none()));
        TRY(jv_append(r, out->list, items->items[i]));
    }
    return ST_OK;
}

static status extreme(struct jrender *r, struct jvalue *out, struct jvalue v, const struct jvalue *args, int sign) {
    struct jlist *items = NULL;
    struct jvalue best = {0}, key = {0};
    TRY(jv_items(r, &items, v));
    *out = jv_undefined("no aggregated item, sequence was empty");
    for (size_t i = 0; i < items->count; i++) {
        int c = sign;
        TRY(get_path(r, &key, items->items[i], args[1], (struct jvalue){0}));
        TRY(fold_case(r, &key, flag(args[0])));
        if (i) TRY(jv_compare(r, &c, key, best));
        if (c == sign) best = key, *out = items->items[i];
    }
    return ST_OK;
}
FILTER(filter_min) {
    UNUSED;
    return extreme(r, out, v, args, -1);
}
FILTER(filter_max) {
    UNUSED;
    return extreme(r, out, v, args, 1);
}

FILTER(filter_sum) {
    struct jlist *items = NULL;
    struct jvalue item = {0};
    UNUSED;
    TRY(jv_items(r, &items, v));
    *out = args[1].kind == JV_ABSENT ? jv_int(0) : args[1];
    for (size_t i = 0; i < items->count; i++) {
        TRY(get_path(r, &item, items->items[i], args[0], (struct jvalue){0}));
        TRY(jv_binary(r, out, JT_ADD, *out, item));
    }
    return ST_OK;
}

/* A name given as a value, for map and select. NULL when there is no such row or no name. */
static const char *name_of(struct jrender *r, struct jvalue v) {
    return v.kind == JV_STRING && v.s->size < 64 ? jr_text(r, "%.*s", (int)v.s->size, v.s->data) : "";
}

FILTER(filter_map) {
    struct jlist *items = NULL;
    struct jvalue item = {0}, bound[2] = {{0}};
    struct jcall rest = *call;
    const struct jfilter *f = NULL;
    (void)args;
    if (call->positional_count) {
        f = jinja_filter_find(name_of(r, call->positional[0]));
        if (!f) return jr_fail(r, "map: no filter named '%s'", name_of(r, call->positional[0]));
        rest.positional++, rest.positional_count--;
    } else {
        TRY(jc_bind(r, bound, call, "map", "attribute,default"));
        if (bound[0].kind == JV_ABSENT) return jr_fail(r, "map requires a filter argument");
    }
    TRY(jv_items(r, &items, v));
    TRY(jv_list(r, out, JL_ITERATOR, items->count));
    for (size_t i = 0; i < items->count; i++) {
        TRY(f ? jinja_filter_run(r, &item, f, items->items[i], &rest) : get_path(r, &item, items->items[i], bound[0], bound[1]));
        TRY(jv_append(r, out->list, item));
    }
    return ST_OK;
}

static status choose(struct jrender *r, struct jvalue *out, struct jvalue v, const struct jcall *call, bool by_attribute, bool keep) {
    struct jlist *items = NULL;
    struct jvalue subject = {0}, attribute = {0};
    struct jcall rest = *call;
    const struct jtest *t = NULL;
    if (by_attribute) {
        if (!rest.positional_count) return jr_fail(r, "missing parameter for attribute name");
        attribute = *rest.positional++;
        rest.positional_count--;
    }
    if (rest.positional_count) {
        t = jinja_test_find(name_of(r, rest.positional[0]));
        if (!t) return jr_fail(r, "no test named '%s'", name_of(r, rest.positional[0]));
        rest.positional++, rest.positional_count--;
    }
    TRY(jv_list(r, out, JL_ITERATOR, 0));
    if (!jv_truth(v)) return ST_OK;
    TRY(jv_items(r, &items, v));
    for (size_t i = 0; i < items->count; i++) {
        bool yes = false;
        TRY(get_path(r, &subject, items->items[i], attribute, (struct jvalue){0}));
        if (t)
            TRY(jinja_test_run(r, &yes, t, subject, &rest));
        else
            yes = jv_truth(subject);
        if (yes == keep) TRY(jv_append(r, out->list, items->items[i]));
    }
    return ST_OK;
}
FILTER(filter_select) {
    UNUSED;
    return choose(r, out, v, call, false, true);
}
FILTER(filter_reject) {
    UNUSED;
    return choose(r, out, v, call, false, false);
}
FILTER(filter_selectattr) {
    UNUSED;
    return choose(r, out, v, call, true, true);
}
FILTER(filter_rejectattr) {
    UNUSED;
    return choose(r, out, v, call, true, false);
}
FILTER(filter_attr) {
    struct jvalue name = {0};
    UNUSED;
    TRY(jv_to_string(r, &name, args[0]));
    if (v.kind != JV_DICT) return jv_attribute(r, out, v, name_of(r, name));
    TRY(jv_method(r, out, v, name_of(r, name))); /* attributes only, never keys */
    if (out->kind == JV_ABSENT) *out = jv_undefined(jr_text(r, "'dict object' has no attribute '%s'", name_of(r, name)));
    return ST_OK;
}

static const struct jfilter filters[] = {
    {"trim", "chars", filter_trim},
    {"upper", "", filter_upper},
    {"lower", "", filter_lower},
    {"title", "", filter_title},
    {"capitalize", "", filter_capitalize},
    {"string", "", filter_string},
    {"safe", "", filter_string},
    {"replace", "old,new,count", filter_replace},
    {"join", "d,attribute", filter_join},
    {"indent", "width,first,blank", filter_indent},
    {"wordcount", "", filter_wordcount},
    {"escape", "", filter_escape},
    {"e", "", filter_escape},
    {"forceescape", "", filter_escape},
    {"format", NULL, filter_format},
    {"tojson", "ensure_ascii,indent,separators,sort_keys", filter_tojson},
    {"int", "default,base", filter_int},
    {"float", "default", filter_float},
    {"abs", "", filter_abs},
    {"round", "precision,method", filter_round},
    {"length", "", filter_length},
    {"count", "", filter_length},
    {"default", "default_value,boolean", filter_default},
    {"d", "default_value,boolean", filter_default},
    {"list", "", filter_list},
    {"items", "", filter_items},
    {"first", "", filter_first},
    {"last", "", filter_last},
    {"reverse", "", filter_reverse},
    {"sort", "reverse,case_sensitive,attribute", filter_sort},
    {"groupby", "attribute,default,case_sensitive", filter_groupby},
    {"dictsort", "case_sensitive,by,reverse", filter_dictsort},
    {"unique", "case_sensitive,attribute", filter_unique},
    {"min", "case_sensitive,attribute", filter_min},
    {"max", "case_sensitive,attribute", filter_max},
    {"sum", "attribute,start", filter_sum},
    {"map", NULL, filter_map},
    {"select", NULL, filter_select},
    {"reject", NULL, filter_reject},
    {"selectattr", NULL, filter_selectattr},
    {"rejectattr", NULL, filter_rejectattr},
    {"attr", "name", filter_attr},
};

const struct jfilter *jinja_filter_find(const char *name) {
    for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++) {
        if (strcmp(filters[i].name, name) == 0) return &filters[i];
    }
    for (size_t i = 0; i < jinja_more_count; i++) {
        if (strcmp(jinja_more_filters[i].name, name) == 0) return &jinja_more_filters[i];
    }
    return NULL;
}

status jinja_filter_run(struct jrender *r, struct jvalue *out, const struct jfilter *f, struct jvalue v, const struct jcall *call) {
    struct jvalue args[JINJA_PARAMETERS_MAX] = {{0}};
    if (f->parameters) TRY(jc_bind(r, args, call, f->name, f->parameters));
    status s = r->depth < JINJA_EVAL_DEPTH ? ST_OK : jr_fail(r, "filters nest deeper than %d", JINJA_EVAL_DEPTH);
    r->depth++;
    if (s == ST_OK) s = f->run(r, out, v, args, call);
    r->depth--;
    return s;
}
