/* jinja_value: making, comparing and printing values as Python 3 does. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/hash.h"
#include "base/utf8.h"
#include "text/jinja_value.h"

/* ---- limits and errors ---- */

status jr_fail(const struct jrender *r, const char *format, ...) {
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return FAIL(ST_FORMAT, "template line %d: %s", r->line, text);
}

status jr_tick(struct jrender *r, size_t steps) {
    r->steps += steps;
    if (r->steps > r->limits.steps) {
        return FAIL(ST_UNSUPPORTED, "template line %d: the template runs for more than %llu steps", r->line,
                    (unsigned long long)r->limits.steps);
    }
    return ST_OK;
}

status jr_take(struct jrender *r, void *out, size_t count, size_t size) {
    size_t bytes = 0;
    if (!size_mul(&bytes, count ? count : 1, size) || bytes > r->limits.memory_bytes ||
        r->arena.used_total > r->limits.memory_bytes - bytes) {
        return FAIL(ST_UNSUPPORTED, "template line %d: the template needs more than %zu bytes of memory", r->line, r->limits.memory_bytes);
    }
    TRY(jr_tick(r, bytes / 256));
    return arena_try_take(&r->arena, out, count ? count : 1, size, "a template's values");
}

status jr_put(struct jrender *r, struct buf *out, const char *text, size_t size) {
    if (size > r->limits.output_bytes || out->size > r->limits.output_bytes - size) {
        return FAIL(ST_UNSUPPORTED, "template line %d: the template writes more than %zu bytes", r->line, r->limits.output_bytes);
    }
    TRY(jr_tick(r, size / 256));
    buf_append(out, text, size);
    return ST_OK;
}
static status put_text(struct jrender *r, struct buf *out, const char *text) { return jr_put(r, out, text, strlen(text)); }

const char *jr_text(struct jrender *r, const char *format, ...) {
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    size_t size = strlen(text);
    if (r->arena.used_total + sizeof text > r->limits.memory_bytes) return "a value is undefined";
    for (size_t i = size, n; i > 0 && size == sizeof text - 1;) { /* a cut character goes whole */
        while (i > 0 && ((unsigned char)text[i - 1] & 0xc0) == 0x80) i--;
        if (i > 0 && (signed char)text[i - 1] < 0 && jinja_char(&n, text + i - 1, size - i + 1) == 0xfffd) size = i - 1;
        break;
    }
    return arena_text(&r->arena, text, size);
}

/* ---- making values ---- */

struct jvalue jv_none(void) { return (struct jvalue){.kind = JV_NONE}; }
struct jvalue jv_bool(bool b) { return (struct jvalue){.kind = JV_BOOL, .b = b}; }
struct jvalue jv_int(int64_t i) { return (struct jvalue){.kind = JV_INT, .i = i}; }
struct jvalue jv_float(double d) { return (struct jvalue){.kind = JV_FLOAT, .d = d}; }
struct jvalue jv_undefined(const char *why) { return (struct jvalue){.kind = JV_UNDEFINED, .why = why}; }

status jv_view(struct jrender *r, struct jvalue *out, const char *text, size_t size) {
    struct jstr *s = NULL;
    TRY(jr_take(r, &s, 1, sizeof *s));
    TRY(jr_tick(r, size / 256));
    *s = (struct jstr){text, size, utf8_count(text, size)};
    *out = (struct jvalue){.kind = JV_STRING, .s = s};
    return ST_OK;
}

status jv_string(struct jrender *r, struct jvalue *out, const char *text, size_t size) {
    char *copy = NULL;
    if (size == 0) return jv_view(r, out, "", 0);
    TRY(jr_take(r, &copy, size, 1));
    memcpy(copy, text, size);
    return jv_view(r, out, copy, size);
}

status jv_list(struct jrender *r, struct jvalue *out, enum jlist_type type, size_t capacity) {
    struct jlist *list = NULL;
    TRY(jr_take(r, &list, 1, sizeof *list));
    if (capacity) TRY(jr_take(r, &list->items, capacity, sizeof *list->items));
    list->capacity = capacity;
    list->type = type;
    *out = (struct jvalue){.kind = JV_LIST, .list = list};
    return ST_OK;
}

status jv_append(struct jrender *r, struct jlist *list, struct jvalue item) {
    TRY(jr_tick(r, 1));
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 4;
        struct jvalue *items = NULL;
        TRY(jr_take(r, &items, capacity, sizeof *items));
        if (list->count) memcpy(items, list->items, list->count * sizeof *items);
        list->items = items, list->capacity = capacity;
    }
    list->items[list->count++] = item;
    return ST_OK;
}

status jv_pair(struct jrender *r, struct jvalue *out, struct jvalue a, struct jvalue b) {
    TRY(jv_list(r, out, JL_TUPLE, 2));
    out->list->items[0] = a;
    out->list->items[1] = b;
    out->list->count = 2;
    return ST_OK;
}

status jv_dict(struct jrender *r, struct jvalue *out) {
    struct jdict *dict = NULL;
    TRY(jr_take(r, &dict, 1, sizeof *dict));
    *out = (struct jvalue){.kind = JV_DICT, .dict = dict};
    return ST_OK;
}

/* Equal keys hash equally: 1, 1.0 and true are one key. Undefined is hashable and equal to itself. */
static status hash_value(struct jrender *r, uint64_t *out, struct jvalue key, int depth) {
    TRY(jr_tick(r, 1));
    if (depth > JV_DEPTH_MAX) return jr_fail(r, "values nest deeper than %d", JV_DEPTH_MAX);
    if (jv_is_number(key) && key.kind != JV_BIG) {
        double d = jv_to_double(key);
        if (d == 0) d = 0; /* no -0 */
        *out = hash_bytes(&d, sizeof d, 1);
    } else if (key.kind == JV_STRING || key.kind == JV_BIG) {
        TRY(jr_tick(r, key.s->size / 64));
        *out = hash_bytes(key.s->data, key.s->size, 2);
    } else if (key.kind == JV_NONE || key.kind == JV_UNDEFINED) {
        *out = key.kind;
    } else if (key.kind == JV_LIST && key.list->type == JL_TUPLE) {
        *out = 7;
        for (size_t i = 0; i < key.list->count; i++) {
            uint64_t h = 0;
            TRY(hash_value(r, &h, key.list->items[i], depth + 1));
            *out = *out * 0x9e3779b97f4a7c15u + h;
        }
    } else if (key.kind >= JV_NAMESPACE || (key.kind == JV_LIST && key.list->type == JL_ITERATOR)) { /* objects: themselves alone */
        *out = hash_bytes(&key.method, sizeof key.method, 3);
    } else {
        return jr_fail(r, "unhashable type: '%s'", jv_type_name(key));
    }
    return ST_OK;
}

static status dict_find(struct jrender *r, size_t *out, const struct jdict *d, struct jvalue key) {
    bool same = false;
    uint64_t h = 0;
    TRY(hash_value(r, &h, key, 0));
    *out = SIZE_MAX;
    if (d->slots) {
        for (size_t at = h & (d->slot_count - 1); d->slots[at]; at = (at + 1) & (d->slot_count - 1)) {
            TRY(jv_equal(r, &same, d->keys[d->slots[at] - 1], key));
            if (same) {
                *out = d->slots[at] - 1;
                return ST_OK;
            }
        }
        return ST_OK;
    }
    for (size_t i = 0; i < d->count; i++) {
        TRY(jv_equal(r, &same, d->keys[i], key));
        if (same) {
            *out = i;
            return ST_OK;
        }
    }
    return ST_OK;
}

static status dict_grow(struct jrender *r, struct jdict *d) {
    size_t capacity = d->capacity ? d->capacity * 2 : 8;
    struct jvalue *keys = NULL, *values = NULL;
    if (capacity > UINT32_MAX / 4) return jr_fail(r, "a dict has too many keys");
    TRY(jr_take(r, &keys, capacity, sizeof *keys));
    TRY(jr_take(r, &values, capacity, sizeof *values));
    if (d->count) {
        memcpy(keys, d->keys, d->count * sizeof *keys);
        memcpy(values, d->values, d->count * sizeof *values);
    }
    d->keys = keys, d->values = values, d->capacity = capacity;
    if (capacity <= 8) return ST_OK;
    d->slot_count = capacity * 2;
    TRY(jr_take(r, &d->slots, d->slot_count, sizeof *d->slots));
    for (size_t i = 0; i < d->count; i++) {
        uint64_t h = 0;
        TRY(hash_value(r, &h, keys[i], 0));
        size_t at = h & (d->slot_count - 1);
        while (d->slots[at]) at = (at + 1) & (d->slot_count - 1);
        d->slots[at] = (uint32_t)i + 1;
    }
    return ST_OK;
}

status jv_dict_set(struct jrender *r, struct jdict *d, struct jvalue key, struct jvalue value) {
    size_t at = 0;
    TRY(dict_find(r, &at, d, key));
    if (at != SIZE_MAX) {
        d->values[at] = value;
        return ST_OK;
    }
    if (d->count == d->capacity) TRY(dict_grow(r, d));
    if (d->slots) {
        uint64_t h = 0;
        TRY(hash_value(r, &h, key, 0));
        size_t slot = h & (d->slot_count - 1);
        while (d->slots[slot]) slot = (slot + 1) & (d->slot_count - 1);
        d->slots[slot] = (uint32_t)d->count + 1;
    }
    d->keys[d->count] = key;
    d->values[d->count++] = value;
    return ST_OK;
}

status jv_dict_get(struct jrender *r, struct jvalue *out, const struct jdict *d, struct jvalue key) {
    size_t at = 0;
    TRY(dict_find(r, &at, d, key));
    *out = at == SIZE_MAX ? (struct jvalue){0} : d->values[at];
    return ST_OK;
}

status jv_dict_get_text(struct jrender *r, struct jvalue *out, const struct jdict *d, const char *key) {
    struct jstr s = {key, strlen(key), utf8_count(key, strlen(key))};
    return jv_dict_get(r, out, d, (struct jvalue){.kind = JV_STRING, .s = &s});
}

static status number_from_json(struct jrender *r, struct jvalue *out, struct json value) {
    double d = 0;
    int64_t i = 0;
    bool is_float = false;
    for (size_t k = 0; k < value.size; k++) is_float |= strchr(".eE", value.text[k]) != NULL;
    if (!is_float && json_int(&i, value)) {
        *out = jv_int(i);
    } else if (is_float && json_double(&d, value)) {
        *out = jv_float(d);
    } else {
        TRY(jv_string(r, out, value.text, value.size));
        out->kind = JV_BIG;
    }
    return ST_OK;
}

static status string_from_json(struct jrender *r, struct jvalue *out, struct json value) {
    struct buf text = {0};
    if (!memchr(value.text, '\\', value.size)) return jv_string(r, out, value.text + 1, value.size - 2);
    json_string(&text, value);
    status s = jv_string(r, out, buf_text(&text), text.size);
    buf_release(&text);
    return s;
}

status jv_from_json(struct jrender *r, struct jvalue *out, struct json value) {
    struct json key, item;
    struct jvalue name = {0}, inner = {0};
    bool b = false;
    TRY(jr_tick(r, 1));
    switch (json_kind_of(value)) {
    case JSON_NONE: *out = jv_undefined("a value that was not given"); return ST_OK;
    case JSON_NULL: *out = jv_none(); return ST_OK;
    case JSON_BOOL:
        json_bool(&b, value);
        *out = jv_bool(b);
        return ST_OK;
    case JSON_NUMBER: return number_from_json(r, out, value);
    case JSON_STRING: return string_from_json(r, out, value);
    case JSON_ARRAY:
        TRY(jv_list(r, out, JL_LIST, 0));
        for (struct json_iter it = json_iter_begin(value); json_iter_next(&it, &key, &item);) {
            TRY(jv_from_json(r, &inner, item));
            TRY(jv_append(r, out->list, inner));
        }
        return ST_OK;
    case JSON_OBJECT:
        TRY(jv_dict(r, out));
        for (struct json_iter it = json_iter_begin(value); json_iter_next(&it, &key, &item);) {
            TRY(string_from_json(r, &name, key));
            TRY(jv_from_json(r, &inner, item));
            TRY(jv_dict_set(r, out->dict, name, inner));
        }
        return ST_OK;
    }
    return ST_OK;
}

/* ---- asking values ---- */

const char *jv_type_name(struct jvalue v) {
    static const char *const lists[] = {"list", "tuple", "dict view", "generator"};
    switch (v.kind) {
    case JV_ABSENT:
    case JV_UNDEFINED: return "Undefined";
    case JV_NONE: return "NoneType";
    case JV_BOOL: return "bool";
    case JV_INT:
    case JV_BIG: return "int";
    case JV_FLOAT: return "float";
    case JV_STRING: return "str";
    case JV_LIST: return lists[v.list->type];
    case JV_DICT: return "dict";
    case JV_NAMESPACE: return "Namespace";
    case JV_LOOP: return "LoopContext";
    case JV_MACRO: return "Macro";
    case JV_FUNCTION: return "function";
    case JV_METHOD: return "method";
    }
    return "?";
}

bool jv_truth(struct jvalue v) {
    switch (v.kind) {
    case JV_ABSENT:
    case JV_UNDEFINED:
    case JV_NONE: return false;
    case JV_BOOL: return v.b;
    case JV_INT: return v.i != 0;
    case JV_FLOAT: return v.d != 0;
    case JV_STRING: return v.s->size > 0;
    case JV_LIST: return v.list->type == JL_ITERATOR || v.list->count > 0;
    case JV_DICT: return v.dict->count > 0;
    default: return true;
    }
}

bool jv_is_number(struct jvalue v) { return v.kind == JV_BOOL || v.kind == JV_INT || v.kind == JV_BIG || v.kind == JV_FLOAT; }
bool jv_is_text(struct jvalue v, const char *text) {
    return v.kind == JV_STRING && v.s->size == strlen(text) && memcmp(v.s->data, text, v.s->size) == 0;
}
double jv_to_double(struct jvalue v) {
    char text[400];
    if (v.kind == JV_FLOAT) return v.d;
    if (v.kind != JV_BIG) return v.kind == JV_BOOL ? (double)v.b : (double)v.i;
    if (v.s->size >= sizeof text) return v.s->data[0] == '-' ? -HUGE_VAL : HUGE_VAL;
    memcpy(text, v.s->data, v.s->size);
    text[v.s->size] = 0;
    return strtod(text, NULL);
}
static bool is_small_int(struct jvalue v) { return v.kind == JV_BOOL || v.kind == JV_INT; }
static int64_t small_int(struct jvalue v) { return v.kind == JV_BOOL ? v.b : v.i; }
static bool same_bytes(const struct jstr *a, const struct jstr *b) { return a->size == b->size && memcmp(a->data, b->data, a->size) == 0; }

static status equal_at(struct jrender *r, bool *out, struct jvalue a, struct jvalue b, int depth);

static status equal_lists(struct jrender *r, bool *out, const struct jlist *a, const struct jlist *b, int depth) {
    *out = a == b || (a->type == b->type && a->type != JL_ITERATOR && a->count == b->count);
    for (size_t i = 0; a != b && *out && i < a->count; i++) TRY(equal_at(r, out, a->items[i], b->items[i], depth + 1));
    return ST_OK;
}

static status equal_dicts(struct jrender *r, bool *out, const struct jdict *a, const struct jdict *b, int depth) {
    *out = a == b || a->count == b->count;
    for (size_t i = 0; a != b && *out && i < a->count; i++) {
        struct jvalue other = {0};
        TRY(jv_dict_get(r, &other, b, a->keys[i]));
        *out = other.kind != JV_ABSENT;
        if (*out) TRY(equal_at(r, out, a->values[i], other, depth + 1));
    }
    return ST_OK;
}

static status equal_at(struct jrender *r, bool *out, struct jvalue a, struct jvalue b, int depth) {
    TRY(jr_tick(r, 1));
    if (depth > JV_DEPTH_MAX) return jr_fail(r, "values nest deeper than %d", JV_DEPTH_MAX);
    *out = false;
    if (is_small_int(a) && is_small_int(b)) {
        *out = small_int(a) == small_int(b);
    } else if (a.kind == JV_BIG && b.kind == JV_BIG) {
        *out = same_bytes(a.s, b.s);
    } else if (jv_is_number(a) && jv_is_number(b)) {
        *out = (a.kind == JV_FLOAT || b.kind == JV_FLOAT) && jv_to_double(a) == jv_to_double(b);
    } else if (a.kind != b.kind) {
        return ST_OK;
    } else if (a.kind == JV_STRING) {
        TRY(jr_tick(r, a.s->size == b.s->size ? a.s->size / 64 : 0));
        *out = same_bytes(a.s, b.s);
    } else if (a.kind == JV_LIST) {
        return equal_lists(r, out, a.list, b.list, depth);
    } else if (a.kind == JV_DICT) {
        return equal_dicts(r, out, a.dict, b.dict, depth);
    } else {
        *out = a.kind == JV_NONE || a.kind == JV_UNDEFINED || a.method == b.method;
    }
    return ST_OK;
}
status jv_equal(struct jrender *r, bool *out, struct jvalue a, struct jvalue b) { return equal_at(r, out, a, b, 0); }

static status compare_at(struct jrender *r, int *out, struct jvalue a, struct jvalue b, int depth) {
    TRY(jr_tick(r, 1));
    if (depth > JV_DEPTH_MAX) return jr_fail(r, "values nest deeper than %d", JV_DEPTH_MAX);
    if (is_small_int(a) && is_small_int(b)) {
        *out = (small_int(a) > small_int(b)) - (small_int(a) < small_int(b));
    } else if (jv_is_number(a) && jv_is_number(b)) {
        double x = jv_to_double(a), y = jv_to_double(b);
        *out = isnan(x) || isnan(y) ? 2 : (x > y) - (x < y);
    } else if (a.kind == JV_STRING && b.kind == JV_STRING) { /* UTF-8 sorts as its code points do */
        size_t n = a.s->size < b.s->size ? a.s->size : b.s->size;
        TRY(jr_tick(r, n / 64));
        int c = memcmp(a.s->data, b.s->data, n);
        *out = c ? (c > 0) - (c < 0) : (a.s->size > b.s->size) - (a.s->size < b.s->size);
    } else if (a.kind == JV_LIST && b.kind == JV_LIST && a.list->type == b.list->type && a.list->type <= JL_TUPLE) {
        for (size_t i = 0; i < a.list->count && i < b.list->count; i++) {
            bool same = false;
            TRY(equal_at(r, &same, a.list->items[i], b.list->items[i], depth + 1));
            if (!same) return compare_at(r, out, a.list->items[i], b.list->items[i], depth + 1);
        }
        *out = (a.list->count > b.list->count) - (a.list->count < b.list->count);
    } else if (a.kind == JV_UNDEFINED || b.kind == JV_UNDEFINED) {
        return jr_fail(r, "%s", a.kind == JV_UNDEFINED ? a.why : b.why);
    } else {
        return jr_fail(r, "'<' not supported between instances of '%s' and '%s'", jv_type_name(a), jv_type_name(b));
    }
    return ST_OK;
}
status jv_compare(struct jrender *r, int *out, struct jvalue a, struct jvalue b) { return compare_at(r, out, a, b, 0); }

status jv_find(struct jrender *r, size_t *out, const char *hay, size_t size, const char *needle, size_t needle_size, size_t from) {
    *out = SIZE_MAX;
    if (needle_size > size || from > size - needle_size) return ST_OK;
    if (needle_size == 0) {
        *out = from;
        return ST_OK;
    }
    for (size_t at = from; at <= size - needle_size;) {
        const char *hit = memchr(hay + at, needle[0], size - needle_size - at + 1);
        size_t next = hit ? (size_t)(hit - hay) : size - needle_size + 1;
        TRY(jr_tick(r, (next - at) / 256 + needle_size / 256 + 1));
        if (!hit) return ST_OK;
        if (memcmp(hit, needle, needle_size) == 0) {
            *out = next;
            return ST_OK;
        }
        at = next + 1;
    }
    return ST_OK;
}

status jv_contains(struct jrender *r, bool *out, struct jvalue container, struct jvalue item) {
    struct jvalue found = {0};
    struct jlist *items = NULL;
    size_t at = 0;
    if (container.kind == JV_STRING) {
        if (item.kind == JV_UNDEFINED) return jr_fail(r, "%s", item.why);
        if (item.kind != JV_STRING) return jr_fail(r, "'in <string>' requires string as left operand, not %s", jv_type_name(item));
        TRY(jv_find(r, &at, container.s->data, container.s->size, item.s->data, item.s->size, 0));
        *out = at != SIZE_MAX;
        return ST_OK;
    }
    if (container.kind == JV_DICT) {
        TRY(jv_dict_get(r, &found, container.dict, item));
        *out = found.kind != JV_ABSENT;
        return ST_OK;
    }
    TRY(jv_items(r, &items, container));
    *out = false;
    for (size_t i = 0; i < items->count && !*out; i++) TRY(jv_equal(r, out, items->items[i], item));
    return ST_OK;
}

status jv_items(struct jrender *r, struct jlist **out, struct jvalue v) {
    struct jvalue list = {0};
    if (v.kind == JV_LIST && v.list->type != JL_ITERATOR) {
        *out = v.list;
        return ST_OK;
    }
    if (v.kind == JV_LIST) { /* one pass: whoever asks next finds nothing */
        TRY(jv_list(r, &list, JL_LIST, 0));
        *list.list = *v.list;
        list.list->type = JL_LIST;
        *v.list = (struct jlist){.type = JL_ITERATOR};
        *out = list.list;
        return ST_OK;
    }
    if (v.kind == JV_STRING) {
        TRY(jv_list(r, &list, JL_LIST, v.s->chars));
        for (size_t i = 0, n; i < v.s->size; i += n) {
            struct jvalue c = {0};
            jinja_char(&n, v.s->data + i, v.s->size - i);
            TRY(jv_view(r, &c, v.s->data + i, n));
            TRY(jv_append(r, list.list, c));
        }
    } else if (v.kind == JV_DICT) {
        TRY(jv_list(r, &list, JL_LIST, v.dict->count));
        for (size_t i = 0; i < v.dict->count; i++) TRY(jv_append(r, list.list, v.dict->keys[i]));
    } else if (v.kind == JV_UNDEFINED) {
        TRY(jv_list(r, &list, JL_LIST, 0));
    } else {
        return v.kind == JV_UNDEFINED ? jr_fail(r, "%s", v.why) : jr_fail(r, "'%s' object is not iterable", jv_type_name(v));
    }
    *out = list.list;
    return ST_OK;
}

status jv_length(struct jrender *r, size_t *out, struct jvalue v) {
    *out = 0;
    if (v.kind == JV_STRING) {
        *out = v.s->chars;
    } else if (v.kind == JV_LIST && v.list->type != JL_ITERATOR) {
        *out = v.list->count;
    } else if (v.kind == JV_DICT) {
        *out = v.dict->count;
    } else if (v.kind == JV_LOOP) {
        *out = v.loop->items->count;
    } else if (v.kind != JV_UNDEFINED) {
        return v.kind == JV_UNDEFINED ? jr_fail(r, "%s", v.why) : jr_fail(r, "object of type '%s' has no len()", jv_type_name(v));
    }
    return ST_OK;
}

size_t jv_char_offset(const struct jstr *s, size_t index) {
    if (s->chars == s->size) return index;
    size_t at = 0;
    for (size_t n; index > 0 && at < s->size; index--, at += n) jinja_char(&n, s->data + at, s->size - at);
    return at;
}

/* ---- printing ---- */

/* Python's repr of a float: the fewest digits that read back, an exponent below 1e-4 and from 1e16 on. */
void jv_put_double(struct buf *out, double d) {
    char text[64], digits[32];
    if (!isfinite(d)) {
        buf_append_text(out, isnan(d) ? "nan" : d < 0 ? "-inf" : "inf");
        return;
    }
    int precision = 0;
    do snprintf(text, sizeof text, "%.*e", precision, d);
    while (strtod(text, NULL) != d && ++precision < 17);
    const char *at = text;
    size_t n = 0;
    if (*at == '-') buf_append_char(out, *at++);
    for (; *at != 'e'; at++) {
        if (*at != '.') digits[n++] = *at;
    }
    int exponent = atoi(at + 1);
    if (exponent < -4 || exponent >= 16) {
        buf_append_char(out, digits[0]);
        if (n > 1) buf_append_char(out, '.');
        buf_append(out, digits + 1, n - 1);
        buf_printf(out, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
    } else if (exponent < 0) {
        buf_append_text(out, "0.");
        for (int i = -1; i > exponent; i--) buf_append_char(out, '0');
        buf_append(out, digits, n);
    } else {
        for (int i = 0; i <= exponent || (size_t)i < n; i++) {
            if (i == exponent + 1) buf_append_char(out, '.');
            buf_append_char(out, (size_t)i < n ? digits[i] : '0');
        }
        if ((size_t)exponent + 1 >= n) buf_append_text(out, ".0");
    }
}

static bool is_printable(uint32_t cp) {
    if (cp < 0x80) return cp >= 0x20 && cp < 0x7f;
    utf8proc_category_t c = utf8proc_category((utf8proc_int32_t)cp);
    return c != UTF8PROC_CATEGORY_CN && c != UTF8PROC_CATEGORY_CC && c != UTF8PROC_CATEGORY_CF && c != UTF8PROC_CATEGORY_CO &&
           c != UTF8PROC_CATEGORY_CS && c != UTF8PROC_CATEGORY_ZL && c != UTF8PROC_CATEGORY_ZP && c != UTF8PROC_CATEGORY_ZS;
}

static status put_repr_string(struct jrender *r, struct buf *out, const struct jstr *s) {
    char quote = memchr(s->data, '\'', s->size) && !memchr(s->data, '"', s->size) ? '"' : '\'';
    TRY(jr_put(r, out, &quote, 1));
    for (size_t i = 0, n; i < s->size; i += n) {
        char text[16];
        uint32_t cp = jinja_char(&n, s->data + i, s->size - i);
        if (cp == (unsigned char)quote || cp == '\\') {
            snprintf(text, sizeof text, "\\%c", (int)cp);
        } else if (cp == '\n' || cp == '\r' || cp == '\t') {
            snprintf(text, sizeof text, "\\%c", cp == '\n' ? 'n' : cp == '\r' ? 'r' : 't');
        } else if (is_printable(cp)) {
            TRY(jr_put(r, out, s->data + i, n));
            continue;
        } else {
            snprintf(text, sizeof text, cp < 0x100 ? "\\x%02x" : cp < 0x10000 ? "\\u%04x" : "\\U%08x", cp);
        }
        TRY(put_text(r, out, text));
    }
    return jr_put(r, out, &quote, 1);
}

static status put_repr_list(struct jrender *r, struct buf *out, const struct jlist *list, int depth) {
    static const char *const open[] = {"[", "(", "dict_view([", "<generator object>"}, *const close[] = {"]", ")", "])", ""};
    TRY(put_text(r, out, open[list->type]));
    for (size_t i = 0; list->type != JL_ITERATOR && i < list->count; i++) {
        if (i) TRY(put_text(r, out, ", "));
        TRY(jv_put_repr(r, out, list->items[i], depth + 1));
    }
    if (list->type == JL_TUPLE && list->count == 1) TRY(put_text(r, out, ","));
    return put_text(r, out, close[list->type]);
}

static status put_scalar(struct jrender *r, struct buf *out, struct jvalue v) {
    char text[32];
    struct buf number = {0};
    switch (v.kind) {
    case JV_NONE: return put_text(r, out, "None");
    case JV_BOOL: return put_text(r, out, v.b ? "True" : "False");
    case JV_INT: snprintf(text, sizeof text, "%lld", (long long)v.i); return put_text(r, out, text);
    case JV_BIG: return jr_put(r, out, v.s->data, v.s->size);
    case JV_FLOAT: {
        jv_put_double(&number, v.d);
        status s = jr_put(r, out, number.data, number.size);
        buf_release(&number);
        return s;
    }
    case JV_UNDEFINED: return put_text(r, out, "Undefined");
    default:
        TRY(put_text(r, out, "<"));
        TRY(put_text(r, out, jv_type_name(v)));
        return put_text(r, out, ">");
    }
}

status jv_put_repr(struct jrender *r, struct buf *out, struct jvalue v, int depth) {
    TRY(jr_tick(r, 1));
    if (depth > JV_DEPTH_MAX) return jr_fail(r, "values nest deeper than %d", JV_DEPTH_MAX);
    if (v.kind == JV_STRING) return put_repr_string(r, out, v.s);
    if (v.kind == JV_LIST) return put_repr_list(r, out, v.list, depth);
    if (v.kind != JV_DICT && v.kind != JV_NAMESPACE) return put_scalar(r, out, v);
    if (v.kind == JV_NAMESPACE) TRY(put_text(r, out, "<Namespace "));
    TRY(put_text(r, out, "{"));
    for (size_t i = 0; i < v.dict->count; i++) {
        if (i) TRY(put_text(r, out, ", "));
        TRY(jv_put_repr(r, out, v.dict->keys[i], depth + 1));
        TRY(put_text(r, out, ": "));
        TRY(jv_put_repr(r, out, v.dict->values[i], depth + 1));
    }
    return put_text(r, out, v.kind == JV_NAMESPACE ? "}>" : "}");
}

status jv_put_str(struct jrender *r, struct buf *out, struct jvalue v) {
    if (v.kind == JV_STRING) return jr_put(r, out, v.s->data, v.s->size);
    if (v.kind == JV_UNDEFINED) return ST_OK;
    return jv_put_repr(r, out, v, 0);
}

status jv_to_string(struct jrender *r, struct jvalue *out, struct jvalue v) {
    struct buf text = {0};
    if (v.kind == JV_STRING) {
        *out = v;
        return ST_OK;
    }
    status s = jv_put_str(r, &text, v);
    if (s == ST_OK) s = jv_string(r, out, buf_text(&text), text.size);
    buf_release(&text);
    return s;
}
