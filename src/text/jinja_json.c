/* jinja_json: json.dumps, for the tojson filter. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/jinja_value.h"

static status put_text(struct jrender *r, struct buf *out, const char *text) { return jr_put(r, out, text, strlen(text)); }

static status put_string(struct jrender *r, struct buf *out, const struct jstr *s, bool ascii) {
    static const char plain[] = "\"\\\n\r\t\b\f", names[] = "\"\\nrtbf";
    TRY(put_text(r, out, "\""));
    for (size_t i = 0, n, from; i < s->size; i += n) {
        char text[16];
        for (from = i; i < s->size && (unsigned char)s->data[i] >= 0x20 && s->data[i] != '"' && s->data[i] != '\\' &&
                       (!ascii || (unsigned char)s->data[i] < 0x7f);)
            i++;
        TRY(jr_put(r, out, s->data + from, i - from));
        if (i == s->size) break;
        uint32_t cp = jinja_char(&n, s->data + i, s->size - i);
        const char *found = cp > 0 && cp < 0x80 ? strchr(plain, (int)cp) : NULL;
        if (found) {
            snprintf(text, sizeof text, "\\%c", names[found - plain]);
        } else if (cp < 0x10000) {
            snprintf(text, sizeof text, "\\u%04x", cp);
        } else {
            snprintf(text, sizeof text, "\\u%04x\\u%04x", 0xd800 + ((cp - 0x10000) >> 10), 0xdc00 + ((cp - 0x10000) & 0x3ff));
        }
        TRY(put_text(r, out, text));
    }
    return put_text(r, out, "\"");
}

static status put_break(struct jrender *r, struct buf *out, const struct jdump *how, int depth) {
    if (!how->indent) return ST_OK;
    TRY(put_text(r, out, "\n"));
    for (int i = 0; i < depth; i++) TRY(jr_put(r, out, how->indent, how->indent_size));
    return ST_OK;
}

static status put_number(struct jrender *r, struct buf *out, struct jvalue v) {
    if (v.kind == JV_BOOL) return put_text(r, out, v.b ? "true" : "false");
    if (v.kind != JV_FLOAT || isfinite(v.d)) return jv_put_str(r, out, v);
    return put_text(r, out, isnan(v.d) ? "NaN" : v.d < 0 ? "-Infinity" : "Infinity");
}

static status put_key(struct jrender *r, struct buf *out, struct jvalue key, bool ascii) {
    if (key.kind == JV_STRING) return put_string(r, out, key.s, ascii);
    if (!jv_is_number(key) && key.kind != JV_NONE) {
        return jr_fail(r, "tojson: keys must be str, int, float, bool or None, not %s", jv_type_name(key));
    }
    TRY(put_text(r, out, "\""));
    TRY(key.kind == JV_NONE ? put_text(r, out, "null") : put_number(r, out, key));
    return put_text(r, out, "\"");
}

/* Keys in order of their text; what cannot be compared is an error, as in Python. */
static status sorted_keys(struct jrender *r, size_t *order, const struct jdict *d) {
    for (size_t i = 0; i < d->count; i++) {
        size_t at = i;
        for (int c = 0; at > 0; at--) {
            TRY(jv_compare(r, &c, d->keys[order[at - 1]], d->keys[i]));
            if (c <= 0) break;
            order[at] = order[at - 1];
        }
        order[at] = i;
    }
    return ST_OK;
}

static status put_dict(struct jrender *r, struct buf *out, const struct jdict *d, const struct jdump *how, int depth) {
    size_t *order = NULL;
    if (how->sort_keys) {
        TRY(jr_take(r, &order, d->count, sizeof *order));
        TRY(sorted_keys(r, order, d));
    }
    TRY(put_text(r, out, "{"));
    for (size_t i = 0; i < d->count; i++) {
        size_t k = order ? order[i] : i;
        if (i) TRY(put_text(r, out, how->item_separator));
        TRY(put_break(r, out, how, depth + 1));
        TRY(put_key(r, out, d->keys[k], how->ascii));
        TRY(put_text(r, out, how->key_separator));
        TRY(jv_put_json(r, out, d->values[k], how, depth + 1));
    }
    if (d->count) TRY(put_break(r, out, how, depth));
    return put_text(r, out, "}");
}

static status put_list(struct jrender *r, struct buf *out, const struct jlist *list, const struct jdump *how, int depth) {
    TRY(put_text(r, out, "["));
    for (size_t i = 0; i < list->count; i++) {
        if (i) TRY(put_text(r, out, how->item_separator));
        TRY(put_break(r, out, how, depth + 1));
        TRY(jv_put_json(r, out, list->items[i], how, depth + 1));
    }
    if (list->count) TRY(put_break(r, out, how, depth));
    return put_text(r, out, "]");
}

status jv_put_json(struct jrender *r, struct buf *out, struct jvalue v, const struct jdump *how, int depth) {
    TRY(jr_tick(r, 1));
    if (depth > JV_DEPTH_MAX) return jr_fail(r, "values nest deeper than %d", JV_DEPTH_MAX);
    if (v.kind == JV_STRING) TRY(jr_tick(r, v.s->size / 2));
    if (v.kind == JV_STRING) return put_string(r, out, v.s, how->ascii);
    if (v.kind == JV_NONE) return put_text(r, out, "null");
    if (jv_is_number(v)) return put_number(r, out, v);
    if (v.kind == JV_DICT) return put_dict(r, out, v.dict, how, depth);
    if (v.kind == JV_LIST && v.list->type <= JL_TUPLE) return put_list(r, out, v.list, how, depth);
    if (v.kind == JV_UNDEFINED) return jr_fail(r, "tojson: %s", v.why);
    return jr_fail(r, "tojson: an object of type %s is not JSON serializable", jv_type_name(v));
}
