#include "format/yaml.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/buf.h"
#include "base/file.h"

struct anchor {
    const char *name;
    struct yaml_node *node; /* NULL while the node is still being read: an alias to it would be a cycle */
};

struct reader {
    struct yaml *doc;
    yaml_parser_t parser;
    yaml_event_t event; /* the current one; owned */
    bool have_event;
    struct anchor *anchors;
    size_t anchor_count, anchor_capacity;
};

/* Children of a list or map while it is being read. */
struct items {
    const char **keys;
    struct yaml_node **values;
    size_t count, capacity;
};

static void drop_event(struct reader *r) {
    if (r->have_event) yaml_event_delete(&r->event);
    r->have_event = false;
}

static status next_event(struct reader *r) {
    drop_event(r);
    if (yaml_parser_parse(&r->parser, &r->event)) {
        r->have_event = true;
        return ST_OK;
    }
    const yaml_parser_t *p = &r->parser;
    size_t line = (p->error == YAML_READER_ERROR ? p->mark.line : p->problem_mark.line) + 1;
    if (p->error == YAML_MEMORY_ERROR) return FAIL(ST_NOMEM, "%s: out of memory", r->doc->path);
    return FAIL(ST_FORMAT, "%s:%zu: %s%s%s", r->doc->path, line, p->problem ? p->problem : "not YAML", p->context ? " " : "",
                p->context ? p->context : "");
}

static size_t event_line(const struct reader *r) { return r->event.start_mark.line + 1; }

static struct yaml_node *new_node(struct reader *r, enum yaml_kind kind) {
    struct yaml_node *node = arena_take(&r->doc->arena, 1, sizeof *node);
    *node = (struct yaml_node){.kind = kind, .line = event_line(r), .weight = 1, .height = 1};
    return node;
}

/* *index: where the anchor of the node that begins here is kept, or SIZE_MAX without one. The node comes with anchor_close. */
static status anchor_open(size_t *index, struct reader *r, const yaml_char_t *name) {
    *index = SIZE_MAX;
    if (!name) return ST_OK;
    if (r->anchor_count == YAML_NODES_MAX) return FAIL(ST_FORMAT, "%s:%zu: too many anchors", r->doc->path, event_line(r));
    if (r->anchor_count == r->anchor_capacity) {
        r->anchor_capacity = r->anchor_capacity ? 2 * r->anchor_capacity : 8;
        r->anchors = mem_resize(r->anchors, r->anchor_capacity * sizeof *r->anchors);
    }
    const char *text = (const char *)name;
    r->anchors[r->anchor_count] = (struct anchor){.name = arena_text(&r->doc->arena, text, strlen(text))};
    *index = r->anchor_count++;
    return ST_OK;
}

static void anchor_close(struct reader *r, size_t index, struct yaml_node *node) {
    if (index != SIZE_MAX) r->anchors[index].node = node;
}

static status find_alias(struct yaml_node **out, struct reader *r) {
    const char *name = (const char *)r->event.data.alias.anchor;
    for (size_t i = r->anchor_count; i-- > 0;) { /* the latest of a name counts */
        if (strcmp(r->anchors[i].name, name) != 0) continue;
        if (!r->anchors[i].node) return FAIL(ST_FORMAT, "%s:%zu: alias *%s stands inside what it names", r->doc->path, event_line(r), name);
        *out = r->anchors[i].node;
        return ST_OK;
    }
    return FAIL(ST_FORMAT, "%s:%zu: alias *%s names no anchor above", r->doc->path, event_line(r), name);
}

static status add_weight(struct reader *r, struct yaml_node *node, const struct yaml_node *child) {
    node->weight += child->weight; /* both at most YAML_NODES_MAX */
    if (node->height <= child->height) node->height = child->height + 1;
    if (node->height > YAML_DEPTH_MAX) return FAIL(ST_FORMAT, "%s:%zu: nested deeper than %d", r->doc->path, node->line, YAML_DEPTH_MAX);
    if (node->weight <= YAML_NODES_MAX) return ST_OK;
    return FAIL(ST_FORMAT, "%s:%zu: more than %d values (aliases counted in full)", r->doc->path, node->line, YAML_NODES_MAX);
}

static void items_add(struct items *items, const char *key, struct yaml_node *value) {
    if (items->count == items->capacity) {
        items->capacity = items->capacity ? 2 * items->capacity : 8;
        items->keys = mem_resize(items->keys, items->capacity * sizeof *items->keys);
        items->values = mem_resize(items->values, items->capacity * sizeof *items->values);
    }
    items->keys[items->count] = key;
    items->values[items->count++] = value;
}

static bool items_has(const struct items *items, const char *key) {
    for (size_t i = 0; i < items->count; i++)
        if (strcmp(items->keys[i], key) == 0) return true;
    return false;
}

/* Hands the children to the node, in the arena. */
static void items_close(struct items *items, struct reader *r, struct yaml_node *node) {
    node->count = items->count;
    node->items = arena_take(&r->doc->arena, items->count + 1, sizeof *node->items);
    if (items->count) memcpy(node->items, items->values, items->count * sizeof *node->items);
    if (node->kind == YAML_MAP) {
        node->keys = arena_take(&r->doc->arena, items->count + 1, sizeof *node->keys);
        if (items->count) memcpy(node->keys, items->keys, items->count * sizeof *node->keys);
    }
}

static status read_scalar(struct yaml_node **out, struct reader *r) {
    const char *text = (const char *)r->event.data.scalar.value;
    size_t size = r->event.data.scalar.length;
    if (memchr(text, '\0', size)) return FAIL(ST_FORMAT, "%s:%zu: a text holds a NUL character", r->doc->path, event_line(r));
    *out = new_node(r, YAML_SCALAR);
    (*out)->text = arena_text(&r->doc->arena, text, size);
    (*out)->quoted = r->event.data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    return ST_OK;
}

static status read_node(struct yaml_node **out, struct reader *r, size_t depth);

static status read_list(struct items *items, struct yaml_node *node, struct reader *r, size_t depth) {
    for (;;) {
        TRY(next_event(r));
        if (r->event.type == YAML_SEQUENCE_END_EVENT) return ST_OK;
        struct yaml_node *child;
        TRY(read_node(&child, r, depth + 1));
        TRY(add_weight(r, node, child));
        items_add(items, "", child);
    }
}

static status read_map(struct items *items, struct items *merges, struct yaml_node *node, struct reader *r, size_t depth) {
    for (;;) {
        TRY(next_event(r));
        if (r->event.type == YAML_MAPPING_END_EVENT) return ST_OK;
        struct yaml_node *key, *child;
        size_t line = event_line(r);
        TRY(read_node(&key, r, depth + 1));
        if (key->kind != YAML_SCALAR)
            return FAIL(ST_FORMAT, "%s:%zu: a key is %s, expected a text", r->doc->path, line, yaml_kind_name(key->kind));
        bool merge = !key->quoted && strcmp(key->text, "<<") == 0;
        if (items_has(merge ? merges : items, key->text))
            return FAIL(ST_FORMAT, "%s:%zu: key '%s' stands twice", r->doc->path, line, key->text);
        TRY(next_event(r));
        TRY(read_node(&child, r, depth + 1));
        TRY(add_weight(r, node, child));
        items_add(merge ? merges : items, key->text, child);
    }
}

/* Keys of a merged map that the map does not have itself; of several merged maps the first counts. */
static status merge_map(struct items *items, const struct reader *r, const struct yaml_node *from, size_t line) {
    if (from->kind != YAML_MAP)
        return FAIL(ST_FORMAT, "%s:%zu: << merges a map (or a list of maps), not %s", r->doc->path, line, yaml_kind_name(from->kind));
    for (size_t i = 0; i < from->count; i++)
        if (!items_has(items, from->keys[i])) items_add(items, from->keys[i], from->items[i]);
    return ST_OK;
}

static status merge_all(struct items *items, const struct reader *r, const struct items *merges) {
    for (size_t i = 0; i < merges->count; i++) {
        const struct yaml_node *from = merges->values[i];
        if (from->kind != YAML_LIST) {
            TRY(merge_map(items, r, from, from->line));
            continue;
        }
        for (size_t j = 0; j < from->count; j++) TRY(merge_map(items, r, from->items[j], from->line));
    }
    return ST_OK;
}

static status read_collection(struct yaml_node **out, struct reader *r, enum yaml_kind kind, size_t depth) {
    if (depth >= YAML_DEPTH_MAX) return FAIL(ST_FORMAT, "%s:%zu: nested deeper than %d", r->doc->path, event_line(r), YAML_DEPTH_MAX);
    struct yaml_node *node = new_node(r, kind);
    struct items items = {0}, merges = {0};
    status s = kind == YAML_LIST ? read_list(&items, node, r, depth) : read_map(&items, &merges, node, r, depth);
    if (s == ST_OK) s = merge_all(&items, r, &merges);
    if (s == ST_OK) items_close(&items, r, node);
    free(items.keys);
    free(items.values);
    free(merges.keys);
    free(merges.values);
    *out = node;
    return s;
}

/* The node that begins with the current event; reads up to its last event. */
static status read_node(struct yaml_node **out, struct reader *r, size_t depth) {
    size_t anchor = SIZE_MAX;
    switch (r->event.type) {
    case YAML_ALIAS_EVENT: return find_alias(out, r);
    case YAML_SCALAR_EVENT:
        TRY(anchor_open(&anchor, r, r->event.data.scalar.anchor));
        TRY(read_scalar(out, r));
        break;
    case YAML_SEQUENCE_START_EVENT:
        TRY(anchor_open(&anchor, r, r->event.data.sequence_start.anchor));
        TRY(read_collection(out, r, YAML_LIST, depth));
        break;
    case YAML_MAPPING_START_EVENT:
        TRY(anchor_open(&anchor, r, r->event.data.mapping_start.anchor));
        TRY(read_collection(out, r, YAML_MAP, depth));
        break;
    default: return FAIL(ST_FORMAT, "%s:%zu: expected a value", r->doc->path, event_line(r));
    }
    anchor_close(r, anchor, *out);
    return ST_OK;
}

static status read_document(struct reader *r) {
    do { /* the starts of stream and document */
        TRY(next_event(r));
        if (r->event.type == YAML_STREAM_END_EVENT) return FAIL(ST_FORMAT, "%s: an empty document", r->doc->path);
    } while (r->event.type == YAML_STREAM_START_EVENT || r->event.type == YAML_DOCUMENT_START_EVENT);
    TRY(read_node(&r->doc->root, r, 0));
    do {
        TRY(next_event(r));
        if (r->event.type == YAML_DOCUMENT_START_EVENT)
            return FAIL(ST_FORMAT, "%s:%zu: a second document begins, expected one", r->doc->path, event_line(r));
    } while (r->event.type != YAML_STREAM_END_EVENT);
    return ST_OK;
}

status yaml_parse(struct yaml *y, const char *path, const char *text, size_t size) {
    *y = (struct yaml){0};
    y->path = arena_text(&y->arena, path, strlen(path));
    if (size > YAML_SIZE_MAX) return FAIL(ST_FORMAT, "%s: %zu bytes, expected at most %zu", path, size, YAML_SIZE_MAX);
    struct reader r = {.doc = y};
    if (!yaml_parser_initialize(&r.parser)) return FAIL(ST_NOMEM, "%s: out of memory", path);
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, size);
    status s = read_document(&r);
    drop_event(&r);
    yaml_parser_delete(&r.parser);
    free(r.anchors);
    if (s != ST_OK) y->root = NULL;
    return s;
}

status yaml_load(struct yaml *y, const char *path) {
    *y = (struct yaml){0};
    struct file_map m;
    TRY(file_map_open(&m, path));
    status s = yaml_parse(y, path, m.data, m.size);
    file_map_release(&m);
    return s;
}

void yaml_release(struct yaml *y) {
    arena_release(&y->arena);
    *y = (struct yaml){0};
}

const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key) {
    if (!map || map->kind != YAML_MAP) return NULL;
    for (size_t i = 0; i < map->count; i++)
        if (strcmp(map->keys[i], key) == 0) return map->items[i];
    return NULL;
}

bool yaml_is_null(const struct yaml_node *node) {
    if (node->kind != YAML_SCALAR || node->quoted) return false;
    return !*node->text || strcmp(node->text, "~") == 0 || strcmp(node->text, "null") == 0;
}

bool yaml_bool(bool *out, const struct yaml_node *node) {
    if (node->kind != YAML_SCALAR || node->quoted) return false;
    bool on = strcmp(node->text, "true") == 0;
    if (!on && strcmp(node->text, "false") != 0) return false;
    *out = on;
    return true;
}

const char *yaml_kind_name(enum yaml_kind kind) { return kind == YAML_SCALAR ? "a single value" : kind == YAML_LIST ? "a list" : "a map"; }
