/* jinja_methods: the methods of strings, dicts, lists and loops, as Python's. One table; what is not in it is not there. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/jinja_case.h"
#include "base/utf8.h"
#include "text/jinja_value.h"

struct method_row {
    enum jkind kind;
    const char *name, *parameters; /* NULL: reads the call itself */
    status (*run)(struct jrender *r, struct jvalue *out, struct jvalue self, const struct jvalue *args, const struct jcall *call);
};
#define METHOD(name) \
    static status name(struct jrender *r, struct jvalue *out, struct jvalue self, const struct jvalue *args, const struct jcall *call)

static bool absent(struct jvalue v) { return v.kind == JV_ABSENT || v.kind == JV_NONE; }

/* ---- strings ---- */

static bool in_set(const struct jstr *set, const char *text, size_t n) {
    for (size_t i = 0, m; i < set->size; i += m) {
        jinja_char(&m, set->data + i, set->size - i);
        if (m == n && memcmp(set->data + i, text, n) == 0) return true;
    }
    return false;
}

status jv_strip(struct jrender *r, struct jvalue *out, const struct jstr *s, struct jvalue chars, bool left, bool right) {
    const struct jstr *set = NULL;
    size_t from = 0, to = s->size, n = 0;
    if (!absent(chars)) TRY(jc_string(r, &set, chars, "strip()'s argument"));
    for (; left && from < to; from += n) {
        TRY(jr_tick(r, 1 + (set ? set->size / 16 : 0)));
        uint32_t cp = jinja_char(&n, s->data + from, to - from);
        if (set ? !in_set(set, s->data + from, n) : !jinja_is_space(cp)) break;
    }
    while (right && to > from) {
        size_t at = to - 1;
        while (at > from && ((unsigned char)s->data[at] & 0xc0) == 0x80) at--;
        TRY(jr_tick(r, 1 + (set ? set->size / 16 : 0)));
        uint32_t cp = jinja_char(&n, s->data + at, to - at);
        if (set ? !in_set(set, s->data + at, to - at) : !jinja_is_space(cp)) break;
        to = at;
    }
    return jv_view(r, out, s->data + from, to - from);
}

METHOD(str_strip) {
    (void)call;
    return jv_strip(r, out, self.s, args[0], true, true);
}
METHOD(str_lstrip) {
    (void)call;
    return jv_strip(r, out, self.s, args[0], true, false);
}
METHOD(str_rstrip) {
    (void)call;
    return jv_strip(r, out, self.s, args[0], false, true);
}

/* The part between optional character positions, and where it starts in bytes. False when the start lies behind the end of the text. */
static status part_of(struct jrender *r, struct jstr *part, size_t *offset, bool *inside, const struct jstr *s, struct jvalue start,
                      struct jvalue end) {
    int64_t from = 0, to = (int64_t)s->chars, count = to;
    if (!absent(start)) TRY(jc_int(r, &from, start, "a start"));
    if (!absent(end)) TRY(jc_int(r, &to, end, "an end"));
    if (from < 0) from = from + count < 0 ? 0 : from + count;
    if (to < 0) to = to + count < 0 ? 0 : to + count;
    if (to > count) to = count;
    *inside = from <= to;
    if (!*inside) from = to;
    TRY(jr_tick(r, absent(start) && absent(end) ? 0 : s->size / 64));
    size_t a = jv_char_offset(s, (size_t)from), b = to == count ? s->size : jv_char_offset(s, (size_t)to);
    *part = (struct jstr){s->data + a, b - a, (size_t)(to - from)};
    *offset = (size_t)from;
    return ST_OK;
}

static bool matches(const struct jstr *s, const struct jstr *what, bool at_end) {
    return what->size <= s->size && memcmp(at_end ? s->data + s->size - what->size : s->data, what->data, what->size) == 0;
}

static status starts_or_ends(struct jrender *r, struct jvalue *out, struct jvalue self, const struct jvalue *args, bool at_end) {
    struct jstr part;
    const struct jstr *what = NULL;
    size_t offset = 0, count = 1;
    bool inside = false, yes = false;
    const struct jvalue *items = args;
    TRY(part_of(r, &part, &offset, &inside, self.s, args[1], args[2]));
    if (args[0].kind == JV_LIST && args[0].list->type == JL_TUPLE) items = args[0].list->items, count = args[0].list->count;
    for (size_t i = 0; i < count && !yes; i++) {
        TRY(jc_string(r, &what, items[i], at_end ? "endswith()'s argument" : "startswith()'s argument"));
        TRY(jr_tick(r, 1 + what->size / 64));
        yes = inside && matches(&part, what, at_end);
    }
    *out = jv_bool(yes);
    return ST_OK;
}
METHOD(str_startswith) {
    (void)call;
    return starts_or_ends(r, out, self, args, false);
}
METHOD(str_endswith) {
    (void)call;
    return starts_or_ends(r, out, self, args, true);
}

static status remove_affix(struct jrender *r, struct jvalue *out, struct jvalue self, struct jvalue affix, bool at_end) {
    const struct jstr *what = NULL;
    TRY(jc_string(r, &what, affix, "an affix"));
    *out = self;
    if (!matches(self.s, what, at_end)) return ST_OK;
    return jv_view(r, out, self.s->data + (at_end ? 0 : what->size), self.s->size - what->size);
}
METHOD(str_removeprefix) {
    (void)call;
    return remove_affix(r, out, self, args[0], false);
}
METHOD(str_removesuffix) {
    (void)call;
    return remove_affix(r, out, self, args[0], true);
}

/* The last place of needle, SIZE_MAX when absent. */
static status find_last(struct jrender *r, size_t *out, const struct jstr *s, const struct jstr *needle) {
    *out = SIZE_MAX;
    for (size_t at = 0, hit = 0;; at = hit + 1) {
        TRY(jv_find(r, &hit, s->data, s->size, needle->data, needle->size, at));
        if (hit == SIZE_MAX) return ST_OK;
        *out = hit;
    }
}

static status find_any(struct jrender *r, struct jvalue *out, struct jvalue self, const struct jvalue *args, bool last, bool must) {
    struct jstr part;
    const struct jstr *needle = NULL;
    size_t offset = 0, hit = SIZE_MAX;
    bool inside = false;
    TRY(jc_string(r, &needle, args[0], "what is looked for"));
    TRY(part_of(r, &part, &offset, &inside, self.s, args[1], args[2]));
    if (inside) TRY(last ? find_last(r, &hit, &part, needle) : jv_find(r, &hit, part.data, part.size, needle->data, needle->size, 0));
    if (hit == SIZE_MAX && must) return jr_fail(r, "substring not found");
    if (hit != SIZE_MAX) TRY(jr_tick(r, hit / 256));
    *out = jv_int(hit == SIZE_MAX ? -1 : (int64_t)(offset + utf8_count(part.data, hit)));
    return ST_OK;
}
METHOD(str_find) {
    (void)call;
    return find_any(r, out, self, args, false, false);
}
METHOD(str_rfind) {
    (void)call;
    return find_any(r, out, self, args, true, false);
}
METHOD(str_index) {
    (void)call;
    return find_any(r, out, self, args, false, true);
}

METHOD(str_count) {
    struct jstr part;
    const struct jstr *needle = NULL;
    size_t offset = 0, count = 0;
    bool inside = false;
    (void)call;
    TRY(jc_string(r, &needle, args[0], "what is counted"));
    TRY(part_of(r, &part, &offset, &inside, self.s, args[1], args[2]));
    if (needle->size == 0) count = inside ? part.chars + 1 : 0;
    for (size_t at = 0, hit = 0; needle->size; at = hit + needle->size, count++) {
        TRY(jv_find(r, &hit, part.data, part.size, needle->data, needle->size, at));
        if (hit == SIZE_MAX) break;
    }
    *out = jv_int((int64_t)count);
    return ST_OK;
}

static status append_part(struct jrender *r, struct jlist *list, const char *text, size_t size) {
    struct jvalue part = {0};
    TRY(jv_view(r, &part, text, size));
    return jv_append(r, list, part);
}

/* split() without a separator: at runs of blanks. */
static status split_blanks(struct jrender *r, struct jlist *list, const struct jstr *s, int64_t limit) {
    size_t at = 0, n = 0;
    for (int64_t done = 0;; done++) {
        while (at < s->size && jinja_is_space(jinja_char(&n, s->data + at, s->size - at))) at += n;
        if (at == s->size) return ST_OK;
        size_t from = at;
        if (limit >= 0 && done == limit) {
            return append_part(r, list, s->data + from, s->size - from);
        }
        while (at < s->size && !jinja_is_space(jinja_char(&n, s->data + at, s->size - at))) at += n;
        TRY(append_part(r, list, s->data + from, at - from));
    }
}

METHOD(str_split) {
    const struct jstr *separator = NULL;
    int64_t limit = -1;
    (void)call;
    if (!absent(args[1])) TRY(jc_int(r, &limit, args[1], "split()'s maxsplit"));
    TRY(jv_list(r, out, JL_LIST, 0));
    TRY(jr_tick(r, self.s->size / (absent(args[0]) ? 2 : 64)));
    if (absent(args[0])) return split_blanks(r, out->list, self.s, limit);
    TRY(jc_string(r, &separator, args[0], "split()'s separator"));
    if (separator->size == 0) return jr_fail(r, "empty separator");
    size_t at = 0, hit = 0;
    for (int64_t done = 0; limit < 0 || done < limit; done++, at = hit + separator->size) {
        TRY(jv_find(r, &hit, self.s->data, self.s->size, separator->data, separator->size, at));
        if (hit == SIZE_MAX) break;
        TRY(append_part(r, out->list, self.s->data + at, hit - at));
    }
    return append_part(r, out->list, self.s->data + at, self.s->size - at);
}

static void reverse(struct jlist *list) {
    for (size_t i = 0, k = list->count; i + 1 < k; i++) {
        struct jvalue swapped = list->items[i];
        list->items[i] = list->items[--k];
        list->items[k] = swapped;
    }
}

/* rsplit() with a separator and a limit cuts from the right; without a limit it is split(). */
METHOD(str_rsplit) {
    const struct jstr *separator = NULL;
    int64_t limit = -1;
    if (!absent(args[1])) TRY(jc_int(r, &limit, args[1], "rsplit()'s maxsplit"));
    if (limit < 0) return str_split(r, out, self, args, call);
    if (absent(args[0])) return jr_fail(r, "rsplit() with a limit needs a separator here");
    TRY(jc_string(r, &separator, args[0], "rsplit()'s separator"));
    if (separator->size == 0) return jr_fail(r, "empty separator");
    TRY(jv_list(r, out, JL_LIST, 0));
    struct jstr rest = *self.s;
    for (int64_t done = 0; done < limit; done++) {
        size_t hit = 0;
        TRY(find_last(r, &hit, &rest, separator));
        if (hit == SIZE_MAX) break;
        TRY(append_part(r, out->list, rest.data + hit + separator->size, rest.size - hit - separator->size));
        rest.size = hit;
    }
    TRY(append_part(r, out->list, rest.data, rest.size));
    reverse(out->list);
    return ST_OK;
}

METHOD(str_splitlines) {
    const struct jstr *s = self.s;
    bool keep = !absent(args[0]) && jv_truth(args[0]);
    size_t from = 0, at = 0, n = 0;
    (void)call;
    TRY(jv_list(r, out, JL_LIST, 0));
    TRY(jr_tick(r, s->size / 2));
    while (at < s->size) {
        uint32_t cp = jinja_char(&n, s->data + at, s->size - at);
        bool ends = (cp >= 10 && cp <= 13) || (cp >= 0x1c && cp <= 0x1e) || cp == 0x85 || cp == 0x2028 || cp == 0x2029;
        size_t end = at;
        at += n;
        if (!ends) continue;
        if (cp == '\r' && at < s->size && s->data[at] == '\n') at++;
        TRY(append_part(r, out->list, s->data + from, (keep ? at : end) - from));
        from = at;
    }
    return from < s->size ? append_part(r, out->list, s->data + from, s->size - from) : ST_OK;
}

status jv_replace(struct jrender *r, struct jvalue *out, const struct jstr *s, struct jvalue from, struct jvalue to, struct jvalue limit) {
    const struct jstr *old = NULL, *new = NULL;
    int64_t left = -1;
    struct buf text = {0};
    size_t at = 0, hit = 0, n = 0;
    TRY(jc_string(r, &old, from, "replace()'s first argument"));
    TRY(jc_string(r, &new, to, "replace()'s second argument"));
    if (!absent(limit)) TRY(jc_int(r, &left, limit, "replace()'s count"));
    status st = ST_OK;
    bool first = true;
    while (st == ST_OK && left != 0) {
        if (old->size == 0) { /* in front of every character and at the end */
            n = 0;
            if (!first && at < s->size) jinja_char(&n, s->data + at, s->size - at);
            hit = first ? 0 : at < s->size ? at + n : SIZE_MAX;
            first = false;
        } else {
            st = jv_find(r, &hit, s->data, s->size, old->data, old->size, at);
        }
        if (st != ST_OK || hit == SIZE_MAX) break;
        st = jr_put(r, &text, s->data + at, hit - at);
        if (st == ST_OK) st = jr_put(r, &text, new->data, new->size);
        if (st == ST_OK) st = jr_tick(r, 1);
        at = hit + old->size;
        if (left > 0) left--;
    }
    if (st == ST_OK) st = jr_put(r, &text, s->data + at, s->size - at);
    if (st == ST_OK) st = jv_string(r, out, buf_text(&text), text.size);
    buf_release(&text);
    return st;
}
METHOD(str_replace) {
    (void)call;
    return jv_replace(r, out, self.s, args[0], args[1], args[2]);
}

METHOD(str_upper) {
    (void)args, (void)call;
    return jv_case(r, out, self.s, CASE_UPPER);
}
METHOD(str_lower) {
    (void)args, (void)call;
    return jv_case(r, out, self.s, CASE_LOWER);
}
METHOD(str_title) {
    (void)args, (void)call;
    return jv_case(r, out, self.s, CASE_TITLE);
}
METHOD(str_capitalize) {
    (void)args, (void)call;
    return jv_case(r, out, self.s, CASE_CAPITAL);
}

status jv_join(struct jrender *r, struct jvalue *out, const struct jstr *glue, const struct jlist *items, bool any_type) {
    struct buf text = {0};
    status st = ST_OK;
    for (size_t i = 0; i < items->count && st == ST_OK; i++) {
        if (!any_type && items->items[i].kind != JV_STRING) {
            st = jr_fail(r, "sequence item %zu: expected str instance, %s found", i, jv_type_name(items->items[i]));
            break;
        }
        if (i) st = jr_put(r, &text, glue->data, glue->size);
        if (st == ST_OK) st = jv_put_str(r, &text, items->items[i]);
        if (st == ST_OK) st = jr_tick(r, 1);
    }
    if (st == ST_OK) st = jv_string(r, out, buf_text(&text), text.size);
    buf_release(&text);
    return st;
}
METHOD(str_join) {
    struct jlist *items = NULL;
    (void)call;
    TRY(jv_items(r, &items, args[0]));
    return jv_join(r, out, self.s, items, false);
}

static status str_is(struct jrender *r, struct jvalue *out, const struct jstr *s, bool (*test)(uint32_t cp)) {
    bool yes = s->size > 0;
    TRY(jr_tick(r, s->size));
    for (size_t i = 0, n; i < s->size && yes; i += n) yes = test(jinja_char(&n, s->data + i, s->size - i));
    *out = jv_bool(yes);
    return ST_OK;
}
METHOD(str_isspace) {
    (void)args, (void)call;
    return str_is(r, out, self.s, jinja_is_space);
}
METHOD(str_isdigit) {
    (void)args, (void)call;
    return str_is(r, out, self.s, jinja_is_digit);
}
METHOD(str_isalpha) {
    (void)args, (void)call;
    return str_is(r, out, self.s, jinja_is_alpha);
}
METHOD(str_isalnum) {
    (void)args, (void)call;
    return str_is(r, out, self.s, jinja_is_alnum);
}
METHOD(str_isupper) {
    (void)args, (void)call;
    bool yes;
    TRY(jinja_is_cased(r, &yes, self.s, true));
    *out = jv_bool(yes);
    return ST_OK;
}
METHOD(str_islower) {
    (void)args, (void)call;
    bool yes;
    TRY(jinja_is_cased(r, &yes, self.s, false));
    *out = jv_bool(yes);
    return ST_OK;
}

/* One field of str.format: {}, {0}, {name}, with !r or !s; format specs are refused. */
static status format_field(struct jrender *r, struct buf *text, const char *field, size_t size, size_t *next, const struct jcall *call) {
    const struct jvalue *v = NULL;
    size_t name = 0;
    while (name < size && field[name] != '!' && field[name] != ':') name++;
    if (name < size && field[name] == ':')
        return jr_fail(r, "str.format: format specifications are not supported: {%.*s}", (int)(size > 40 ? 40 : size), field);
    char convert = name + 1 < size ? field[name + 1] : 's';
    if (name < size && (size - name != 2 || (convert != 'r' && convert != 's'))) return jr_fail(r, "str.format: unknown conversion");
    if (name == 0) {
        if (*next == SIZE_MAX) return jr_fail(r, "str.format: {} stands beside {0}");
        v = *next < call->positional_count ? &call->positional[(*next)++] : NULL;
    } else if (field[0] >= '0' && field[0] <= '9' && name < 9) {
        size_t index = (size_t)strtoul(field, NULL, 10); /* stops at the brace */
        if (*next != 0 && *next != SIZE_MAX) return jr_fail(r, "str.format: {0} stands beside {}");
        *next = SIZE_MAX;
        v = index < call->positional_count ? &call->positional[index] : NULL;
    } else {
        for (size_t k = 0; k < call->keyword_count; k++) {
            if (strlen(call->keywords[k].name) == name && memcmp(call->keywords[k].name, field, name) == 0) v = &call->keywords[k].value;
        }
    }
    if (!v) return jr_fail(r, "str.format: no argument for {%.*s}", (int)(size > 40 ? 40 : size), field);
    return convert == 'r' ? jv_put_repr(r, text, *v, 0) : jv_put_str(r, text, *v);
}

static status format_into(struct jrender *r, struct buf *text, const struct jstr *s, const struct jcall *call) {
    size_t next = 0;
    for (size_t i = 0; i < s->size; i++) {
        char c = s->data[i];
        bool doubled = (c == '{' || c == '}') && i + 1 < s->size && s->data[i + 1] == c;
        if ((c != '{' && c != '}') || doubled) {
            TRY(jr_put(r, text, &c, 1));
            i += doubled;
            continue;
        }
        const char *end = memchr(s->data + i, '}', s->size - i);
        if (c == '}' || !end) return jr_fail(r, "str.format: a single '%c'", c);
        TRY(jr_tick(r, 1));
        TRY(format_field(r, text, s->data + i + 1, (size_t)(end - s->data) - i - 1, &next, call));
        i = (size_t)(end - s->data);
    }
    return ST_OK;
}
METHOD(str_format) {
    struct buf text = {0};
    (void)args;
    status st = format_into(r, &text, self.s, call);
    if (st == ST_OK) st = jv_string(r, out, buf_text(&text), text.size);
    buf_release(&text);
    return st;
}

/* ---- dicts and lists ---- */

METHOD(dict_get) {
    (void)call;
    TRY(jv_dict_get(r, out, self.dict, args[0]));
    if (out->kind == JV_ABSENT) *out = args[1].kind == JV_ABSENT ? jv_none() : args[1];
    return ST_OK;
}

static status dict_view(struct jrender *r, struct jvalue *out, const struct jdict *d, bool keys, bool values) {
    TRY(jv_list(r, out, JL_VIEW, d->count));
    for (size_t i = 0; i < d->count; i++) {
        struct jvalue item = keys ? d->keys[i] : d->values[i];
        if (keys && values) TRY(jv_pair(r, &item, d->keys[i], d->values[i]));
        TRY(jv_append(r, out->list, item));
    }
    return ST_OK;
}
METHOD(dict_items) {
    (void)args, (void)call;
    return dict_view(r, out, self.dict, true, true);
}
METHOD(dict_keys) {
    (void)args, (void)call;
    return dict_view(r, out, self.dict, true, false);
}
METHOD(dict_values) {
    (void)args, (void)call;
    return dict_view(r, out, self.dict, false, true);
}
METHOD(dict_copy) {
    (void)args, (void)call;
    TRY(jv_dict(r, out));
    for (size_t i = 0; i < self.dict->count; i++) TRY(jv_dict_set(r, out->dict, self.dict->keys[i], self.dict->values[i]));
    return ST_OK;
}

METHOD(list_index) {
    (void)call;
    bool same = false;
    for (size_t i = 0; i < self.list->count; i++) {
        TRY(jv_equal(r, &same, self.list->items[i], args[0]));
        if (same) {
            *out = jv_int((int64_t)i);
            return ST_OK;
        }
    }
    return jr_fail(r, "the value is not in the list");
}
METHOD(list_count) {
    (void)call;
    int64_t count = 0;
    bool same = false;
    for (size_t i = 0; i < self.list->count; i++) {
        TRY(jv_equal(r, &same, self.list->items[i], args[0]));
        count += same;
    }
    *out = jv_int(count);
    return ST_OK;
}
METHOD(list_copy) {
    (void)args, (void)call;
    TRY(jv_list(r, out, JL_LIST, self.list->count));
    for (size_t i = 0; i < self.list->count; i++) TRY(jv_append(r, out->list, self.list->items[i]));
    return ST_OK;
}

/* ---- loops ---- */

METHOD(loop_cycle) {
    (void)args;
    if (call->positional_count == 0) return jr_fail(r, "no items for cycling given");
    *out = call->positional[self.loop->index % call->positional_count];
    return ST_OK;
}
METHOD(loop_changed) {
    (void)args;
    struct jvalue now = {0};
    bool same = false;
    TRY(jv_list(r, &now, JL_TUPLE, call->positional_count));
    for (size_t i = 0; i < call->positional_count; i++) TRY(jv_append(r, now.list, call->positional[i]));
    if (self.loop->last_changed.kind != JV_ABSENT) TRY(jv_equal(r, &same, self.loop->last_changed, now));
    self.loop->last_changed = now;
    *out = jv_bool(!same);
    return ST_OK;
}

static const struct method_row methods[] = {
    {JV_STRING, "strip", "chars", str_strip},
    {JV_STRING, "lstrip", "chars", str_lstrip},
    {JV_STRING, "rstrip", "chars", str_rstrip},
    {JV_STRING, "startswith", "prefix,start,end", str_startswith},
    {JV_STRING, "endswith", "suffix,start,end", str_endswith},
    {JV_STRING, "removeprefix", "prefix", str_removeprefix},
    {JV_STRING, "removesuffix", "suffix", str_removesuffix},
    {JV_STRING, "split", "sep,maxsplit", str_split},
    {JV_STRING, "rsplit", "sep,maxsplit", str_rsplit},
    {JV_STRING, "splitlines", "keepends", str_splitlines},
    {JV_STRING, "replace", "old,new,count", str_replace},
    {JV_STRING, "find", "sub,start,end", str_find},
    {JV_STRING, "rfind", "sub,start,end", str_rfind},
    {JV_STRING, "index", "sub,start,end", str_index},
    {JV_STRING, "count", "sub,start,end", str_count},
    {JV_STRING, "join", "iterable", str_join},
    {JV_STRING, "format", NULL, str_format},
    {JV_STRING, "upper", "", str_upper},
    {JV_STRING, "lower", "", str_lower},
    {JV_STRING, "title", "", str_title},
    {JV_STRING, "capitalize", "", str_capitalize},
    {JV_STRING, "isspace", "", str_isspace},
    {JV_STRING, "isdigit", "", str_isdigit},
    {JV_STRING, "isalpha", "", str_isalpha},
    {JV_STRING, "isalnum", "", str_isalnum},
    {JV_STRING, "isupper", "", str_isupper},
    {JV_STRING, "islower", "", str_islower},
    {JV_DICT, "get", "key,default", dict_get},
    {JV_DICT, "items", "", dict_items},
    {JV_DICT, "keys", "", dict_keys},
    {JV_DICT, "values", "", dict_values},
    {JV_DICT, "copy", "", dict_copy},
    {JV_LIST, "index", "value", list_index},
    {JV_LIST, "count", "value", list_count},
    {JV_LIST, "copy", "", list_copy},
    {JV_LOOP, "cycle", NULL, loop_cycle},
    {JV_LOOP, "changed", NULL, loop_changed},
};

/* loop.index and the like are values, not methods. */
static bool loop_value(struct jvalue *out, const struct jloop *loop, const char *name) {
    int64_t count = (int64_t)loop->items->count, i = (int64_t)loop->index;
    if (strcmp(name, "index") == 0) return *out = jv_int(i + 1), true;
    if (strcmp(name, "index0") == 0) return *out = jv_int(i), true;
    if (strcmp(name, "revindex") == 0) return *out = jv_int(count - i), true;
    if (strcmp(name, "revindex0") == 0) return *out = jv_int(count - i - 1), true;
    if (strcmp(name, "first") == 0) return *out = jv_bool(i == 0), true;
    if (strcmp(name, "last") == 0) return *out = jv_bool(i + 1 == count), true;
    if (strcmp(name, "length") == 0) return *out = jv_int(count), true;
    if (strcmp(name, "depth") == 0) return *out = jv_int(1), true; /* only recursive loops have more */
    if (strcmp(name, "depth0") == 0) return *out = jv_int(0), true;
    if (strcmp(name, "previtem") == 0) return *out = i ? loop->items->items[i - 1] : jv_undefined("there is no previous item"), true;
    if (strcmp(name, "nextitem") == 0)
        return *out = i + 1 < count ? loop->items->items[i + 1] : jv_undefined("there is no next item"), true;
    return false;
}

status jv_method(struct jrender *r, struct jvalue *out, struct jvalue self, const char *name) {
    *out = (struct jvalue){0};
    if (self.kind == JV_LOOP && loop_value(out, self.loop, name)) return ST_OK;
    if (self.kind == JV_LIST && (self.list->type > JL_TUPLE || (self.list->type == JL_TUPLE && strcmp(name, "copy") == 0))) return ST_OK;
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        if (methods[i].kind != self.kind || strcmp(methods[i].name, name) != 0) continue;
        struct jmethod *m = NULL;
        TRY(jr_take(r, &m, 1, sizeof *m));
        *m = (struct jmethod){self, methods[i].name, &methods[i]};
        *out = (struct jvalue){.kind = JV_METHOD, .method = m};
        return ST_OK;
    }
    return ST_OK;
}

status jv_call_method(struct jrender *r, struct jvalue *out, const struct jmethod *m, const struct jcall *call) {
    const struct method_row *row = m->row;
    struct jvalue args[JINJA_PARAMETERS_MAX] = {{0}};
    if (row->parameters) TRY(jc_bind(r, args, call, row->name, row->parameters));
    return row->run(r, out, m->self, args, call);
}
