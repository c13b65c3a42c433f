#include "data/source_fields.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct field_name {
    const char *text;
    size_t size, offset;
    unsigned consumed; /* bits of enum record_kind */
};
enum {
    CONSUMED_NONE = 0,
    CONSUMED_PAIR = 1 << RECORD_PAIR,
    CONSUMED_MANY = 1 << RECORD_RESPONSES,
    CONSUMED_SFT = 1 << RECORD_SFT,
    CONSUMED_ANSWER = CONSUMED_MANY | CONSUMED_SFT,
    CONSUMED_ROWS = CONSUMED_PAIR | CONSUMED_ANSWER,
    CONSUMED_ALL = 15
};
#define FIELD_NAME(name, text, consumed) {text, sizeof text - 1, offsetof(struct fields, name), CONSUMED_##consumed},
static const struct field_name field_names[] = {FIELD_MAP(FIELD_NAME)};
#define FIELD_COUNT (sizeof field_names / sizeof field_names[0])

static const struct field_name *find_name(struct json key) {
    bool escaped = memchr(key.text, '\\', key.size) != NULL;
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        const struct field_name *n = &field_names[i];
        if (escaped ? json_equals(key, n->text)
                    : key.size == n->size + 2 && key.text[1] == n->text[0] && memcmp(key.text + 1, n->text, n->size) == 0)
            return n;
    }
    return NULL;
}

/* The field that a column is read as; NULL for a name whose field is read from another column. */
static const struct field_name *find_column(const struct source_map *map, struct json key) {
    if (!map || !map->count) return find_name(key);
    for (size_t i = 0; i < map->count; i++)
        if (json_equals(key, map->items[i].column)) return &field_names[map->items[i].field];
    const struct field_name *n = find_name(key);
    for (size_t i = 0; n && i < map->count; i++)
        if (n == &field_names[map->items[i].field]) return NULL;
    return n;
}

void fields_find(struct fields *f, struct json row, const struct source_map *map) {
    *f = (struct fields){.map = map};
    struct json_iter it = json_iter_begin(row);
    struct json key, value;
    while (json_iter_next(&it, &key, &value)) {
        const struct field_name *n = find_column(map, key);
        if (!n || json_kind_of(value) == JSON_NULL) continue;
        struct json *slot = (struct json *)(void *)((char *)f + n->offset);
        if (!slot->size) *slot = value;
    }
}

bool field_is_mapped(const struct fields *f, const char *name) {
    for (size_t i = 0; f->map && i < f->map->count; i++)
        if (strcmp(field_names[f->map->items[i].field].text, name) == 0) return true;
    return false;
}

/* A field's own name is consumed also where it is read from another column: two of one name would stand in the row written. */
bool source_field_consumed(const struct record *r, struct json key, bool as_sft) {
    const struct field_name *n[2] = {find_column(r->map, key), find_name(key)};
    for (size_t i = 0; i < 2; i++)
        if (n[i] && (n[i]->consumed & (1u << r->kind | (as_sft ? (unsigned)CONSUMED_SFT : 0u))) != 0) return true;
    return false;
}

status source_map_add(struct source_map *map, const char *text) {
    const char *mark = strchr(text, '=');
    if (!mark || mark == text || !mark[1]) return FAIL(ST_USAGE, "--field expects NAME=COLUMN, found '%s'", text);
    CHECK(map->count < SOURCE_MAP_MAX);
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        if (field_names[i].size != (size_t)(mark - text) || memcmp(field_names[i].text, text, field_names[i].size) != 0) continue;
        for (size_t k = 0; k < map->count; k++)
            if (map->items[k].field == i || strcmp(map->items[k].column, mark + 1) == 0)
                return FAIL(ST_USAGE, "--field %s: the name or the column is given twice", text);
        map->items[map->count].field = i;
        map->items[map->count++].column = mark + 1;
        return ST_OK;
    }
    struct buf names = {0};
    for (size_t i = 0; i < FIELD_COUNT; i++) buf_printf(&names, "%s%s", i ? ", " : "", field_names[i].text);
    status s = FAIL(ST_USAGE, "--field %s: no form of rows has a field of that name; the names are: %s", text, buf_text(&names));
    buf_release(&names);
    return s;
}

status source_map_check(const struct source_map *map, struct json row) {
    for (size_t i = 0; map && i < map->count; i++)
        if (!json_get(row, map->items[i].column).size)
            return FAIL(ST_FORMAT, "field %s: missing; --field %s=%s asks for it", map->items[i].column,
                        field_names[map->items[i].field].text, map->items[i].column);
    return ST_OK;
}

bool field_is_string(struct json value) { return json_kind_of(value) == JSON_STRING; }

bool field_is_messages(struct json value) {
    struct json key, first;
    struct json_iter it = json_iter_begin(value);
    return json_kind_of(value) == JSON_ARRAY && json_iter_next(&it, &key, &first) && json_get(first, "role").size != 0;
}

status field_check_messages(struct json messages, const char *path) {
    if (json_kind_of(messages) != JSON_ARRAY)
        return FAIL(ST_FORMAT, "field %s: expected a list of messages, found %s", path, json_kind_name(json_kind_of(messages)));
    struct json_iter it = json_iter_begin(messages);
    struct json key, message, k, v;
    for (size_t i = 0; json_iter_next(&it, &key, &message); i++) {
        if (json_kind_of(message) != JSON_OBJECT)
            return FAIL(ST_FORMAT, "field %s[%zu]: expected a message {role, content}, found %s", path, i,
                        json_kind_name(json_kind_of(message)));
        enum json_kind role = JSON_NONE, content = JSON_NONE;
        struct json_iter members = json_iter_begin(message);
        while (json_iter_next(&members, &k, &v)) {
            if (role == JSON_NONE && json_equals(k, "role"))
                role = json_kind_of(v);
            else if (content == JSON_NONE && json_equals(k, "content"))
                content = json_kind_of(v);
        }
        if (role != JSON_STRING) return FAIL(ST_FORMAT, "field %s[%zu].role: expected a string, found %s", path, i, json_kind_name(role));
        if (content != JSON_STRING && content != JSON_ARRAY && content != JSON_NULL && content != JSON_NONE)
            return FAIL(ST_FORMAT, "field %s[%zu].content: expected a string, found %s", path, i, json_kind_name(content));
    }
    return ST_OK;
}

void field_put_message(struct buf *out, const char *role, struct json string) {
    buf_append_text(out, "[{\"role\":\"");
    buf_append_text(out, role);
    buf_append_text(out, "\",\"content\":");
    buf_append(out, string.text, string.size);
    buf_append_text(out, "}]");
}

status field_put_text(struct buf *out, struct json value, bool conversational, const char *path) {
    if (conversational) {
        TRY(field_check_messages(value, path));
        TRY(buf_reserve(out, value.size));
        buf_append(out, value.text, value.size);
        return ST_OK;
    }
    if (!field_is_string(value)) return FAIL(ST_FORMAT, "field %s: expected a string, found %s", path, json_kind_name(json_kind_of(value)));
    TRY(buf_reserve(out, value.size));
    json_string(out, value);
    return ST_OK;
}

status field_score(double *out, struct json value, const char *path) {
    enum json_kind kind = json_kind_of(value);
    *out = (double)NAN;
    if (kind == JSON_NONE || kind == JSON_NULL) return ST_OK;
    if (kind == JSON_NUMBER && json_double(out, value)) return ST_OK;
    *out = (double)NAN;
    if (kind == JSON_STRING) {
        if (json_equals(value, "N/A") || value.size == 2) return ST_OK;
        struct json inner = {value.text + 1, value.size - 2}, number;
        if (json_parse(&number, inner.text, inner.size) == ST_OK && json_double(out, number)) return ST_OK;
        *out = (double)NAN;
    }
    return FAIL(ST_FORMAT, "field %s: expected a finite number, found %.*s", path, field_shown(value), value.text);
}

static status read_ids(struct json *out, struct json value, const char *path) {
    if (!value.size) return ST_OK;
    if (json_kind_of(value) != JSON_ARRAY)
        return FAIL(ST_FORMAT, "field %s: expected a list of token ids, found %s", path, json_kind_name(json_kind_of(value)));
    struct json_iter it = json_iter_begin(value);
    struct json key, item;
    int64_t id;
    for (size_t i = 0; json_iter_next(&it, &key, &item); i++)
        if (!json_int(&id, item) || id < 0 || id > INT32_MAX)
            return FAIL(ST_FORMAT, "field %s[%zu]: expected a token id, found %.*s", path, i, field_shown(item), item.text);
    *out = value;
    return ST_OK;
}

/* A list, or a string that holds one: TRL takes both, and columns of Parquet files often are strings. */
static status read_tools(struct record *r, struct json value) {
    struct json list = value;
    if (!value.size || value.size == 2) return ST_OK; /* "", [], {} */
    if (field_is_string(value)) {
        buf_clear(&r->tools_text);
        json_string(&r->tools_text, value);
        if (json_parse(&list, buf_text(&r->tools_text), r->tools_text.size) != ST_OK) list = value;
    }
    if (json_kind_of(list) != JSON_ARRAY)
        return FAIL(ST_FORMAT, "field tools: expected a list of tools, or a string of JSON that holds one, found %.*s", field_shown(value),
                    value.text);
    if (json_count(list)) r->tools = list;
    return ST_OK;
}

static status refuse_images(const struct fields *f) {
    const struct json values[] = {f->image, f->images};
    for (size_t i = 0; i < 2; i++) {
        if (!values[i].size || (json_kind_of(values[i]) == JSON_ARRAY && !json_count(values[i]))) continue;
        return FAIL(ST_UNSUPPORTED, "field %s: the row belongs to an image, and rapt reads and trains on text alone",
                    i ? "images" : "image");
    }
    return ST_OK;
}

/* A number, or {NAME: number} where goals have several attributes. */
static status read_goal(struct record *r, struct json value) {
    struct json_iter it = json_iter_begin(value);
    struct json key, item;
    double number;
    if (json_kind_of(value) != JSON_OBJECT) return field_score(&r->goal, value, "goal");
    if (!json_count(value))
        return FAIL(ST_FORMAT, "field goal: expected a number, or an object with a number for each attribute, found {}");
    while (json_iter_next(&it, &key, &item))
        if (!json_double(&number, item))
            return FAIL(ST_FORMAT, "field goal.%.*s: expected a finite number, found %.*s", key.size < 42 ? (int)key.size - 2 : 40,
                        key.text + 1, field_shown(item), item.text);
    r->goals = value;
    return ST_OK;
}

status field_read_common(struct record *r, const struct fields *f) {
    TRY(read_goal(r, f->goal));
    TRY(field_score(&r->margin, f->margin, "margin"));
    if (f->goal_of.size) {
        if (json_equals(f->goal_of, "chosen"))
            r->goal_of = GOAL_OF_CHOSEN;
        else if (json_equals(f->goal_of, "rejected"))
            r->goal_of = GOAL_OF_REJECTED;
    }
    if (f->source_row.size && !json_int(&r->source_row, f->source_row))
        return FAIL(ST_FORMAT, "field source_row: expected a whole number, found %.*s", field_shown(f->source_row), f->source_row.text);
    TRY(read_ids(&r->prompt_ids, f->prompt_ids, "prompt_ids"));
    TRY(read_ids(&r->chosen_ids, f->chosen_ids, "chosen_ids"));
    TRY(read_ids(&r->rejected_ids, f->rejected_ids, "rejected_ids"));
    TRY(read_tools(r, f->tools));
    TRY(refuse_images(f));
    if (f->chat_template_kwargs.size) {
        if (json_kind_of(f->chat_template_kwargs) != JSON_OBJECT)
            return FAIL(ST_FORMAT, "field chat_template_kwargs: expected an object, found %s",
                        json_kind_name(json_kind_of(f->chat_template_kwargs)));
        r->chat_template_kwargs = f->chat_template_kwargs;
    }
    return ST_OK;
}

static void put_slice(struct buf *out, const char *start, const char *end) {
    while (start < end && (*start == ',' || *start == ' ' || *start == '\t' || *start == '\n' || *start == '\r')) start++;
    while (end > start && (end[-1] == ',' || end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\n' || end[-1] == '\r')) end--;
    buf_append_char(out, '[');
    buf_append(out, start, (size_t)(end - start));
    buf_append_char(out, ']');
}

/* TRL: the split is at the first differing message; without one, before the last message of the shorter list. */
static status split_messages(struct record *r, struct json chosen, struct json rejected) {
    TRY(field_check_messages(chosen, "chosen"));
    TRY(field_check_messages(rejected, "rejected"));
    struct json_iter a = json_iter_begin(chosen), b = json_iter_begin(rejected);
    struct json key, x = {0}, y = {0}, last_x = {0}, last_y = {0};
    for (;;) {
        bool more_a = json_iter_next(&a, &key, &x), more_b = json_iter_next(&b, &key, &y);
        if (!more_a || !more_b) {
            x = last_x;
            y = last_y;
            break;
        }
        if (!record_json_same(x, y)) break;
        last_x = x;
        last_y = y;
    }
    if (!x.size || x.text == chosen.text + 1 || !last_x.size)
        return FAIL(ST_FORMAT, "fields chosen, rejected: no prompt, and they share no first message to take it from");
    put_slice(&r->prompt, chosen.text + 1, x.text);
    if (r->prompt.size == 2) return FAIL(ST_FORMAT, "fields chosen, rejected: no prompt, and they share no first message to take it from");
    put_slice(&r->chosen, x.text, chosen.text + chosen.size - 1);
    put_slice(&r->rejected, y.text, rejected.text + rejected.size - 1);
    return ST_OK;
}

/* The same over characters; a space before the split goes to the completions. */
static status split_strings(struct record *r, struct json chosen, struct json rejected) {
    struct buf a = {0}, b = {0};
    json_string(&a, chosen);
    json_string(&b, rejected);
    size_t shorter = a.size < b.size ? a.size : b.size, at = 0;
    while (at < shorter && a.data[at] == b.data[at]) at++;
    bool differs = at < shorter;
    if (!differs && at) at--; /* the last character of the shorter text */
    while (at && ((unsigned char)a.data[at] & 0xc0) == 0x80) at--;
    if (differs && at && a.data[at - 1] == ' ') at--;
    if (at) {
        buf_append(&r->prompt, a.data, at);
        buf_append(&r->chosen, a.data + at, a.size - at);
        buf_append(&r->rejected, b.data + at, b.size - at);
    }
    buf_release(&a);
    buf_release(&b);
    return at ? ST_OK : FAIL(ST_FORMAT, "fields chosen, rejected: no prompt, and they share no beginning to take it from");
}

status field_split_pair(struct record *r, struct json chosen, struct json rejected) {
    r->conversational = field_is_messages(chosen);
    return r->conversational ? split_messages(r, chosen, rejected) : split_strings(r, chosen, rejected);
}
