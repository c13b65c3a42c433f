#include "format/safetensors.h"

#include <stdlib.h>
#include <string.h>

#include "format/json.h"

/* The format's own limits (huggingface/safetensors, tensor.rs): a header of at most 100 MB; data ranges cover the rest without gaps. */
#define HEADER_BYTES_MAX ((uint64_t)100000000)
#define SHARDS_MAX 4096
#define DIMS_MAX (sizeof((struct st_tensor *)0)->shape / sizeof(size_t))

struct entry { /* one header row before placing; covers skipped types too */
    struct st_tensor tensor;
    size_t begin, end;
    bool skipped; /* a type that models do not compute with: checked, not listed */
};
struct entries {
    struct entry *rows;
    size_t count;
};

static size_t foreign_bytes(const struct json type) { /* bytes of an element of a type that is skipped, 0 when unknown */
    static const struct {
        const char *name;
        size_t bytes;
    } types[] = {{"BOOL", 1}, {"U8", 1}, {"I8", 1}, {"U16", 2}, {"I16", 2}, {"U32", 4}, {"I32", 4}, {"U64", 8}, {"I64", 8}};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (json_equals(type, types[i].name)) return types[i].bytes;
    }
    return 0;
}

static bool read_size(size_t *out, struct json value) {
    int64_t x = 0;
    if (!json_int(&x, value) || x < 0) return false;
    *out = (size_t)x;
    return true;
}

/* *elements = product of the shape. */
static status read_shape(struct st_tensor *t, size_t *elements, struct json shape) {
    if (json_kind_of(shape) != JSON_ARRAY) return FAIL(ST_FORMAT, "'shape' is not an array");
    if (json_count(shape) > DIMS_MAX) return FAIL(ST_UNSUPPORTED, "%zu dimensions, at most %zu are supported", json_count(shape), DIMS_MAX);
    struct json_iter it = json_iter_begin(shape);
    struct json key, value;
    *elements = 1;
    t->rows = t->cols = 1;
    while (json_iter_next(&it, &key, &value)) {
        size_t extent = 0;
        if (!read_size(&extent, value)) return FAIL(ST_FORMAT, "'shape' holds '%.*s', expected sizes >= 0", (int)value.size, value.text);
        if (t->dims > 0 && !size_mul(&t->rows, t->rows, t->cols)) return FAIL(ST_FORMAT, "the shape overflows");
        t->cols = extent;
        t->shape[t->dims++] = extent;
        if (!size_mul(elements, *elements, extent)) return FAIL(ST_FORMAT, "the shape overflows");
    }
    return ST_OK;
}

static status read_entry(struct entry *e, struct json row, size_t data_size) {
    if (json_kind_of(row) != JSON_OBJECT) return FAIL(ST_FORMAT, "is not an object with dtype, shape and data_offsets");
    size_t elements = 0, bytes = 0, element;
    struct json type = json_get(row, "dtype"), offsets = json_get(row, "data_offsets");
    if (json_kind_of(type) != JSON_STRING) return FAIL(ST_FORMAT, "'dtype' is not a string");
    TRY(read_shape(&e->tensor, &elements, json_get(row, "shape")));
    if (dtype_from_safetensors(&e->tensor.type, type.text + 1, type.size - 2)) {
        element = dtype_table[e->tensor.type].block_bytes;
    } else {
        element = foreign_bytes(type);
        e->skipped = true;
        if (element == 0)
            return FAIL(ST_UNSUPPORTED, "dtype %.*s is not supported; convert to F32, F16 or BF16", (int)type.size, type.text);
    }
    if (!size_mul(&bytes, elements, element)) return FAIL(ST_FORMAT, "the shape overflows");
    struct json_iter it = json_iter_begin(offsets);
    struct json key, begin, end;
    if (json_kind_of(offsets) != JSON_ARRAY || json_count(offsets) != 2 || !json_iter_next(&it, &key, &begin) ||
        !json_iter_next(&it, &key, &end) || !read_size(&e->begin, begin) || !read_size(&e->end, end)) {
        return FAIL(ST_FORMAT, "'data_offsets' is not [begin, end]");
    }
    if (e->begin > e->end) return FAIL(ST_FORMAT, "data_offsets [%zu, %zu] run backwards", e->begin, e->end);
    if (e->end > data_size) {
        return FAIL(ST_FORMAT, "data_offsets [%zu, %zu] pass the end of the data, which has %zu bytes (truncated?)", e->begin, e->end,
                    data_size);
    }
    if (e->end - e->begin != bytes) {
        return FAIL(ST_FORMAT, "data_offsets span %zu bytes, but shape and dtype need %zu", e->end - e->begin, bytes);
    }
    return ST_OK;
}

static int compare_begin(const void *a, const void *b) {
    const struct entry *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end); /* empty tensors first */
}

/* Sorts by place and checks that the data is covered once, without gaps. */
static status check_cover(struct entries *list, size_t data_size) {
    size_t at = 0;
    qsort(list->rows, list->count, sizeof *list->rows, compare_begin);
    for (size_t i = 0; i < list->count; i++) {
        const struct entry *e = &list->rows[i];
        if (e->begin != at) {
            return FAIL(ST_FORMAT, "tensor '%s': data_offsets [%zu, %zu] %s the tensor before, which ends at %zu", e->tensor.name, e->begin,
                        e->end, e->begin < at ? "overlap" : "leave a gap after", at);
        }
        at = e->end;
    }
    if (at != data_size) return FAIL(ST_FORMAT, "the tensors end at byte %zu of the data, but the file has %zu", at, data_size);
    return ST_OK;
}

static status read_header(struct entries *list, struct arena *arena, struct json header, size_t data_size) {
    if (json_kind_of(header) != JSON_OBJECT)
        return FAIL(ST_FORMAT, "the header is %s, expected an object", json_kind_name(json_kind_of(header)));
    TRY(mem_try_alloc(&list->rows, json_count(header), sizeof *list->rows, "safetensors header"));
    struct json_iter it = json_iter_begin(header);
    struct json key, value;
    while (json_iter_next(&it, &key, &value)) {
        if (json_equals(key, "__metadata__")) continue;
        struct entry *e = &list->rows[list->count];
        struct buf name = {0};
        json_string(&name, key);
        bool whole = name.size > 0 && strlen(buf_text(&name)) == name.size;
        e->tensor.name = arena_text(arena, buf_text(&name), name.size);
        buf_release(&name);
        if (!whole) return FAIL(ST_FORMAT, "a tensor's name is empty or holds a NUL");
        status st = read_entry(e, value, data_size);
        if (st != ST_OK) return status_note(st, "tensor '%s': ", e->tensor.name);
        list->count++;
    }
    return check_cover(list, data_size);
}

/* Appends the entries of one mapped file to s->tensors. Data that the file does not align to its element is copied. */
static status append_entries(struct safetensors *s, const struct entries *list, const char *data) {
    size_t room;
    if (!size_add(&room, s->tensor_count, list->count)) return FAIL(ST_FORMAT, "too many tensors");
    struct st_tensor *tensors = s->tensors;
    if (room > s->tensor_room) { /* doubled, so that many shards do not copy the table each time */
        s->tensor_room = room < 2 * s->tensor_room ? 2 * s->tensor_room : room;
        TRY(arena_try_take(&s->arena, &tensors, s->tensor_room, sizeof *tensors, "safetensors table"));
        if (s->tensor_count) memcpy(tensors, s->tensors, s->tensor_count * sizeof *tensors);
        s->tensors = tensors;
    }
    for (size_t i = 0; i < list->count; i++) {
        const struct entry *e = &list->rows[i];
        if (e->skipped) continue;
        struct st_tensor *t = &tensors[s->tensor_count++];
        *t = e->tensor;
        t->data = data + e->begin;
        if ((uintptr_t)t->data % dtype_table[t->type].block_bytes != 0 && e->end > e->begin) {
            char *copy = NULL;
            TRY(arena_try_take(&s->arena, &copy, e->end - e->begin, 1, t->name));
            memcpy(copy, t->data, e->end - e->begin);
            t->data = copy;
        }
    }
    return ST_OK;
}

static status read_map(struct safetensors *s, const struct file_map *map) {
    uint64_t header_size;
    struct json header = {0};
    if (map->size < 8) return FAIL(ST_FORMAT, "%zu bytes are too few for a safetensors file", map->size);
    memcpy(&header_size, map->data, sizeof header_size);
    if (header_size > HEADER_BYTES_MAX) {
        return FAIL(ST_FORMAT, "byte 0: header size %llu is above the format's limit of %llu (not a safetensors file?)",
                    (unsigned long long)header_size, (unsigned long long)HEADER_BYTES_MAX);
    }
    if (header_size > map->size - 8) {
        return FAIL(ST_FORMAT, "byte 0: header size %llu passes the end of the file, which has %zu bytes (truncated?)",
                    (unsigned long long)header_size, map->size);
    }
    status st = json_parse(&header, map->data + 8, header_size);
    if (st != ST_OK) return status_note(st, "header: ");
    const char *data = map->data + 8 + header_size;
    struct entries list = {0};
    st = read_header(&list, &s->arena, header, map->size - 8 - header_size);
    if (st == ST_OK) st = append_entries(s, &list, data);
    free(list.rows);
    return st;
}

static status open_file(struct safetensors *s, const char *path) {
    struct file_map *map = &s->maps[s->map_count];
    TRY(file_map_open(map, path));
    s->map_count++;
    status st = read_map(s, map);
    return st == ST_OK ? st : status_note(st, "%s: ", path);
}

static int compare_names(const void *a, const void *b) {
    const char *const *x = a, *const *y = b;
    return strcmp(*x, *y);
}

/* Equal names, in one file or in two shards. */
static status check_unique(const struct safetensors *s) {
    if (s->tensor_count < 2) return ST_OK;
    const char **names = NULL;
    TRY(mem_try_alloc(&names, s->tensor_count, sizeof *names, "safetensors names"));
    for (size_t i = 0; i < s->tensor_count; i++) names[i] = s->tensors[i].name;
    qsort(names, s->tensor_count, sizeof *names, compare_names);
    status st = ST_OK;
    for (size_t i = 1; i < s->tensor_count && st == ST_OK; i++) {
        if (strcmp(names[i - 1], names[i]) == 0) st = FAIL(ST_FORMAT, "duplicate tensor '%s'", names[i]);
    }
    free(names);
    return st;
}

struct shard_list {
    char **names;
    size_t count;
};

static void shard_list_release(struct shard_list *l) {
    for (size_t i = 0; i < l->count; i++) free(l->names[i]);
    free(l->names);
}

/* The distinct file names of the weight map, in order of appearance. They may only name files beside the index. */
static status read_shards(struct shard_list *l, struct json weights) {
    struct json_iter it = json_iter_begin(weights);
    struct json key, value;
    while (json_iter_next(&it, &key, &value)) {
        if (l->count && json_equals(value, l->names[l->count - 1])) continue;
        char *name = json_text(value);
        if (!name || !*name || strchr(name, '/') || json_kind_of(value) != JSON_STRING) {
            free(name);
            return FAIL(ST_FORMAT, "weight_map: '%.*s' is not a file name", (int)value.size, value.text);
        }
        bool known = false;
        for (size_t i = 0; i < l->count && !known; i++) known = strcmp(l->names[i], name) == 0;
        if (known || l->count == SHARDS_MAX) {
            free(name);
            if (known) continue;
            return FAIL(ST_FORMAT, "weight_map names more than %d files", SHARDS_MAX);
        }
        l->names = mem_resize(l->names, (l->count + 1) * sizeof *l->names);
        l->names[l->count++] = name;
    }
    return l->count ? ST_OK : FAIL(ST_FORMAT, "weight_map is empty");
}

/* Every name of the weight map is in some shard. The search goes through sorted names: an index may list 10^5 tensors. */
static status check_index(const struct safetensors *s, struct json weights) {
    const char **names = NULL;
    TRY(mem_try_alloc(&names, s->tensor_count, sizeof *names, "safetensors names"));
    for (size_t i = 0; i < s->tensor_count; i++) names[i] = s->tensors[i].name;
    qsort(names, s->tensor_count, sizeof *names, compare_names);
    struct json_iter it = json_iter_begin(weights);
    struct json key, value;
    status st = ST_OK;
    while (st == ST_OK && json_iter_next(&it, &key, &value)) {
        char *name = json_text(key);
        const char *wanted = name;
        if (!name || !bsearch(&wanted, names, s->tensor_count, sizeof *names, compare_names)) {
            st = FAIL(ST_FORMAT, "weight_map names the tensor '%s', which no shard holds (or which has an integer type)", name ? name : "");
        }
        free(name);
    }
    free(names);
    return st;
}

static status open_shards(struct safetensors *s, const char *index_path, struct json weights) {
    struct shard_list list = {0};
    char *folder = mem_text(index_path), *slash = strrchr(folder, '/');
    if (slash) *slash = '\0';
    status st = read_shards(&list, weights);
    if (st == ST_OK) s->maps = mem_zero(list.count, sizeof *s->maps);
    for (size_t i = 0; i < list.count && st == ST_OK; i++) {
        char *path = file_join(slash ? folder : ".", list.names[i]);
        st = open_file(s, path);
        free(path);
    }
    if (st == ST_OK) st = check_index(s, weights);
    shard_list_release(&list);
    free(folder);
    return st;
}

static status open_index(struct safetensors *s, const char *path) {
    struct file_map map;
    struct json index = {0};
    TRY(file_map_open(&map, path));
    status st = json_parse(&index, map.data, map.size);
    if (st == ST_OK) {
        struct json weights = json_get(index, "weight_map");
        st = json_kind_of(weights) == JSON_OBJECT ? open_shards(s, path, weights) : FAIL(ST_FORMAT, "'weight_map' is not an object");
    }
    file_map_release(&map);
    return st == ST_OK ? st : status_note(st, "%s: ", path);
}

static status open_folder(char **found, const char *folder) {
    static const char *const names[] = {"model.safetensors", "model.safetensors.index.json", "adapter_model.safetensors"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char *path = file_join(folder, names[i]);
        if (file_exists(path)) {
            *found = path;
            return ST_OK;
        }
        free(path);
    }
    return FAIL(ST_IO, "%s: holds neither model.safetensors nor model.safetensors.index.json", folder);
}

status safetensors_open(struct safetensors *s, const char *path) {
    memset(s, 0, sizeof *s);
    char *found = NULL;
    if (file_is_dir(path)) {
        TRY(open_folder(&found, path));
    } else {
        found = mem_text(path);
    }
    status st;
    if (text_ends_with(found, ".json")) {
        st = open_index(s, found);
    } else {
        s->maps = mem_zero(1, sizeof *s->maps);
        st = open_file(s, found);
    }
    if (st == ST_OK) {
        st = check_unique(s);
        if (st != ST_OK) st = status_note(st, "%s: ", found);
    }
    free(found);
    if (st != ST_OK) safetensors_release(s);
    return st;
}

void safetensors_release(struct safetensors *s) {
    for (size_t i = 0; i < s->map_count; i++) file_map_release(&s->maps[i]);
    free(s->maps);
    arena_release(&s->arena);
    memset(s, 0, sizeof *s);
}

const struct st_tensor *safetensors_find(const struct safetensors *s, const char *name) {
    for (size_t i = 0; i < s->tensor_count; i++) {
        if (strcmp(s->tensors[i].name, name) == 0) return &s->tensors[i];
    }
    return NULL;
}

static size_t tensor_bytes(const struct st_tensor *t) { return t->rows * t->cols * dtype_table[t->type].block_bytes; }

void safetensors_add(struct safetensors_writer *w, const char *name, enum dtype type, const size_t *shape, size_t dims, const void *data) {
    CHECK(dtype_table[type].safetensors != NULL && dims <= DIMS_MAX);
    if (w->count == w->capacity) {
        w->capacity = w->capacity ? 2 * w->capacity : 64;
        w->tensors = mem_resize(w->tensors, w->capacity * sizeof *w->tensors);
    }
    struct st_tensor *t = &w->tensors[w->count++];
    *t = (struct st_tensor){
        .name = arena_text(&w->arena, name, strlen(name)), .type = type, .dims = dims, .rows = 1, .cols = 1, .data = data};
    for (size_t d = 0; d < dims; d++) {
        t->shape[d] = shape[d];
        if (d + 1 < dims) t->rows *= shape[d];
    }
    if (dims) t->cols = shape[dims - 1];
}

static void put_header(struct buf *out, const struct safetensors_writer *w) {
    size_t at = 0;
    buf_append_text(out, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (size_t i = 0; i < w->count; i++) {
        const struct st_tensor *t = &w->tensors[i];
        buf_append_char(out, ',');
        json_put_text(out, t->name);
        buf_printf(out, ":{\"dtype\":\"%s\",\"shape\":[", dtype_table[t->type].safetensors);
        for (size_t d = 0; d < t->dims; d++) buf_printf(out, "%s%zu", d ? "," : "", t->shape[d]);
        buf_printf(out, "],\"data_offsets\":[%zu,%zu]}", at, at + tensor_bytes(t));
        at += tensor_bytes(t);
    }
    buf_append_char(out, '}');
    while (out->size % 8) buf_append_char(out, ' '); /* the data starts on 8 bytes */
}

static void release_writer(struct safetensors_writer *w) {
    free(w->tensors);
    arena_release(&w->arena);
    memset(w, 0, sizeof *w);
}

static status begin(struct safetensors_stream *f, const struct safetensors_writer *w, const char *path) {
    struct buf header = {0};
    *f = (struct safetensors_stream){0};
    TRY(file_out_open(&f->file, path));
    put_header(&header, w);
    const uint64_t header_size = header.size;
    for (size_t i = 0; i < w->count; i++) f->left += tensor_bytes(&w->tensors[i]);
    status s = file_out_write(&f->file, &header_size, sizeof header_size);
    if (s == ST_OK) s = file_out_write(&f->file, header.data, header.size);
    if (s != ST_OK) file_out_abandon(&f->file);
    buf_release(&header);
    return s;
}

status safetensors_begin(struct safetensors_stream *f, struct safetensors_writer *w, const char *path) {
    status s = begin(f, w, path);
    release_writer(w);
    return s;
}

status safetensors_put(struct safetensors_stream *f, const void *data, size_t bytes) {
    CHECK(bytes <= f->left);
    f->left -= bytes;
    return file_out_write(&f->file, data, bytes);
}

status safetensors_end(struct safetensors_stream *f, status so_far) {
    if (so_far != ST_OK) {
        file_out_abandon(&f->file);
        return so_far;
    }
    CHECK(f->left == 0);
    return file_out_commit(&f->file);
}

status safetensors_write(struct safetensors_writer *w, const char *path) {
    struct safetensors_stream f;
    status s = begin(&f, w, path);
    if (s == ST_OK) {
        for (size_t i = 0; i < w->count && s == ST_OK; i++) s = safetensors_put(&f, w->tensors[i].data, tensor_bytes(&w->tensors[i]));
        s = safetensors_end(&f, s);
    }
    release_writer(w);
    return s;
}
