/* jinja_filters_more: the rarer filters of jinja2/filters.py that chat templates may use. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/jinja_filters.h"

/* str.center: an odd blank goes left where the width is odd too. */
FILTER(filter_center) {
    struct jvalue s = {0};
    int64_t width = 80;
    char *text = NULL;
    UNUSED;
    if (args[0].kind != JV_ABSENT) TRY(jc_int(r, &width, args[0], "center's width"));
    TRY(jv_to_string(r, &s, v));
    *out = s;
    if (width <= 0 || (uint64_t)width <= s.s->chars) return ST_OK;
    const size_t pad = (size_t)width - s.s->chars, left = pad / 2 + (pad & (size_t)width & 1);
    TRY(jr_take(r, &text, s.s->size + pad, 1));
    memset(text, ' ', s.s->size + pad);
    memcpy(text + left, s.s->data, s.s->size);
    return jv_view(r, out, text, s.s->size + pad);
}

/* Lists of linecount items; compared as Python does it, which takes any number. */
FILTER(filter_batch) {
    struct jlist *items = NULL;
    struct jvalue part = {0};
    int64_t count = 0;
    UNUSED;
    if (args[0].kind == JV_ABSENT) return jr_fail(r, "batch needs the number of items");
    TRY(jv_items(r, &items, v));
    TRY(jv_list(r, out, JL_ITERATOR, 0));
    TRY(jv_list(r, &part, JL_LIST, 0));
    for (size_t i = 0; i < items->count; i++) {
        if (jv_is_number(args[0]) && (double)part.list->count == jv_to_double(args[0])) {
            TRY(jv_append(r, out->list, part));
            TRY(jv_list(r, &part, JL_LIST, 0));
        }
        TRY(jv_append(r, part.list, items->items[i]));
    }
    if (!part.list->count) return ST_OK;
    if (args[1].kind != JV_ABSENT && args[1].kind != JV_NONE) {
        if (!jv_is_number(args[0]) || (double)part.list->count < jv_to_double(args[0]))
            TRY(jc_int(r, &count, args[0], "batch's number of items"));
        while ((int64_t)part.list->count < count) TRY(jv_append(r, part.list, args[1]));
    }
    return jv_append(r, out->list, part);
}

/* So many columns, the longer ones first; the shorter ones are filled up. */
FILTER(filter_slice) {
    struct jlist *items = NULL;
    struct jvalue part = {0};
    int64_t slices = 0;
    UNUSED;
    if (args[0].kind == JV_ABSENT) return jr_fail(r, "slice needs the number of slices");
    TRY(jc_int(r, &slices, args[0], "the number of slices"));
    TRY(jv_items(r, &items, v));
    if (slices == 0) return jr_fail(r, "slice into no slices");
    TRY(jv_list(r, out, JL_ITERATOR, 0));
    for (int64_t k = 0, at = 0; k < slices; k++) {
        const int64_t length = (int64_t)items->count, longer = length % slices, size = length / slices + (k < longer);
        TRY(jv_list(r, &part, JL_LIST, (size_t)size));
        for (int64_t i = 0; i < size; i++, at++) TRY(jv_append(r, part.list, items->items[at]));
        if (k >= longer && args[1].kind != JV_ABSENT && args[1].kind != JV_NONE) TRY(jv_append(r, part.list, args[1]));
        TRY(jv_append(r, out->list, part));
    }
    return ST_OK;
}

FILTER(filter_truncate) {
    static const struct jstr dots = {"...", 3, 3};
    const struct jstr *end = &dots;
    int64_t length = 255, leeway = 5; /* environment.policies["truncate.leeway"] */
    size_t chars = 0;
    char *text = NULL;
    UNUSED;
    if (args[0].kind != JV_ABSENT) TRY(jc_int(r, &length, args[0], "truncate's length"));
    if (args[2].kind != JV_ABSENT) TRY(jc_string(r, &end, args[2], "truncate's end"));
    if (args[3].kind != JV_ABSENT && args[3].kind != JV_NONE) TRY(jc_int(r, &leeway, args[3], "truncate's leeway"));
    if (length < (int64_t)end->chars) return jr_fail(r, "truncate: expected length >= %zu, got %lld", end->chars, (long long)length);
    if (leeway < 0) return jr_fail(r, "truncate: expected leeway >= 0, got %lld", (long long)leeway);
    TRY(jv_length(r, &chars, v));
    *out = v;
    if (chars <= (uint64_t)length + (uint64_t)leeway) return ST_OK;
    if (v.kind != JV_STRING) return jr_fail(r, "truncate needs a string, not %s", jv_type_name(v));
    size_t size = jv_char_offset(v.s, (size_t)length - end->chars);
    TRY(jr_tick(r, size / 2));
    if (args[1].kind == JV_ABSENT || !jv_truth(args[1])) {
        size_t cut = size;
        while (cut && v.s->data[cut - 1] != ' ') cut--;
        if (cut) size = cut - 1;
    }
    TRY(jr_take(r, &text, size + end->size, 1));
    memcpy(text, v.s->data, size);
    memcpy(text + size, end->data, end->size);
    return jv_view(r, out, text, size + end->size);
}

FILTER(filter_filesizeformat) {
    static const double thousands[] = {1e6, 1e9, 1e12, 1e15, 1e18, 1e21, 1e24, 1e27};
    static const char letters[] = "kMGTPEZY";
    const bool binary = args[0].kind != JV_ABSENT && jv_truth(args[0]);
    const double base = binary ? 1024 : 1000;
    char text[340];
    UNUSED;
    if (!jv_is_number(v)) return jr_fail(r, "filesizeformat needs a number, not %s", jv_type_name(v));
    const double bytes = jv_to_double(v);
    if (bytes == 1) return jv_string(r, out, "1 Byte", 6);
    if (bytes < base) {
        if (!isfinite(bytes)) return jr_fail(r, "filesizeformat needs a finite number");
        snprintf(text, sizeof text, "%.0f Bytes", trunc(bytes) == 0 ? 0 : trunc(bytes));
        return jv_string(r, out, text, strlen(text));
    }
    double unit = 0;
    int i = 0;
    for (; i < 8; i++) {
        unit = binary ? ldexp(1, 10 * (i + 2)) : thousands[i];
        /* the nearest double of 10^24 is less than it */
        if (bytes < unit || (!binary && i == 6 && bytes <= unit)) break;
    }
    if (i == 8) i = 7;
    snprintf(text, sizeof text, "%.1f %c%sB", base * bytes / unit, binary && !i ? 'K' : letters[i], binary ? "i" : "");
    return jv_string(r, out, text, strlen(text));
}

/* url_quote: what urllib.parse.quote leaves as it is. */
static status put_quoted(struct jrender *r, struct buf *out, struct jvalue v, bool query) {
    struct jvalue s = {0};
    TRY(jv_to_string(r, &s, v));
    TRY(jr_tick(r, s.s->size));
    for (size_t i = 0; i < s.s->size; i++) {
        const unsigned char c = (unsigned char)s.s->data[i];
        char code[4];
        const bool plain =
            (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || strchr(query ? "_.-~" : "_.-~/", c);
        if (c && plain) {
            TRY(jr_put(r, out, s.s->data + i, 1));
        } else if (c == ' ' && query) {
            TRY(jr_put(r, out, "+", 1));
        } else {
            snprintf(code, sizeof code, "%%%02X", c);
            TRY(jr_put(r, out, code, 3));
        }
    }
    return ST_OK;
}

static status put_pair(struct jrender *r, struct buf *out, struct jvalue key, struct jvalue value) {
    if (out->size) TRY(jr_put(r, out, "&", 1));
    TRY(put_quoted(r, out, key, true));
    TRY(jr_put(r, out, "=", 1));
    return put_quoted(r, out, value, true);
}

static status put_query(struct jrender *r, struct buf *out, struct jvalue v) {
    struct jlist *items = NULL, *pair = NULL;
    if (v.kind == JV_DICT) {
        for (size_t i = 0; i < v.dict->count; i++) TRY(put_pair(r, out, v.dict->keys[i], v.dict->values[i]));
        return ST_OK;
    }
    TRY(jv_items(r, &items, v));
    for (size_t i = 0; i < items->count; i++) {
        TRY(jv_items(r, &pair, items->items[i]));
        if (pair->count != 2) return jr_fail(r, "urlencode needs pairs, not %zu values", pair->count);
        TRY(put_pair(r, out, pair->items[0], pair->items[1]));
    }
    return ST_OK;
}

FILTER(filter_urlencode) {
    struct buf text = {0};
    UNUSED;
    const bool query = v.kind == JV_DICT || v.kind == JV_LIST || v.kind == JV_UNDEFINED;
    status s = query ? put_query(r, &text, v) : put_quoted(r, &text, v, false);
    if (s == ST_OK) s = jv_string(r, out, buf_text(&text), text.size);
    buf_release(&text);
    return s;
}

const struct jfilter jinja_more_filters[] = {
    {"center", "width", filter_center},
    {"batch", "linecount,fill_with", filter_batch},
    {"slice", "slices,fill_with", filter_slice},
    {"truncate", "length,killwords,end,leeway", filter_truncate},
    {"filesizeformat", "binary", filter_filesizeformat},
    {"urlencode", "", filter_urlencode},
};
const size_t jinja_more_count = sizeof jinja_more_filters / sizeof jinja_more_filters[0];

bool jinja_filter_left_out(const char *name) {
    static const char *const names[] = {"pprint", "random", "striptags", "urlize", "wordwrap", "xmlattr"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i], name) == 0) return true;
    return false;
}
