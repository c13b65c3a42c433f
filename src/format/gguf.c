#include "format/gguf.h"

#include <stdlib.h>
#include <string.h>

/* Names are bounded so that messages and tables stay sane; ggml's own limits are 65535 bytes for keys and 64 for tensor names. */
#define KEY_BYTES_MAX 65535
#define NAME_BYTES_MAX 1024
/* More than any model has; keeps what a lying count can make us allocate far below memory. */
#define VALUES_MAX 65536
#define TENSORS_MAX (1u << 20)
#define ARRAY_ITEMS_MAX ((uint64_t)1 << 26)
#define ALIGNMENT_MAX ((uint32_t)1 << 20)

static const uint8_t kind_bytes[] = {[GGUF_U8] = 1,  [GGUF_I8] = 1,  [GGUF_U16] = 2,  [GGUF_I16] = 2,    [GGUF_U32] = 4,
                                     [GGUF_I32] = 4, [GGUF_F32] = 4, [GGUF_BOOL] = 1, [GGUF_STRING] = 0, [GGUF_ARRAY] = 0,
                                     [GGUF_U64] = 8, [GGUF_I64] = 8, [GGUF_F64] = 8};
#define KIND_COUNT (sizeof kind_bytes)

size_t gguf_kind_bytes(enum gguf_kind kind) { return kind_bytes[kind]; }

/* The part of the file not read yet. Every read checks what is left first. */
struct reader {
    const char *data;
    size_t size, at;
};

static status read_bytes(const char **out, struct reader *r, size_t size, const char *what) {
    if (size > r->size - r->at) {
        return FAIL(ST_FORMAT, "byte %zu: %s needs %zu bytes, but the file has only %zu more", r->at, what, size, r->size - r->at);
    }
    *out = r->data + r->at;
    r->at += size;
    return ST_OK;
}

static status read_u32(uint32_t *out, struct reader *r, const char *what) {
    const char *bytes = NULL;
    TRY(read_bytes(&bytes, r, sizeof *out, what));
    memcpy(out, bytes, sizeof *out);
    return ST_OK;
}

static status read_u64(uint64_t *out, struct reader *r, const char *what) {
    const char *bytes = NULL;
    TRY(read_bytes(&bytes, r, sizeof *out, what));
    memcpy(out, bytes, sizeof *out);
    return ST_OK;
}

static status read_text(struct gguf_text *out, struct reader *r, const char *what) {
    uint64_t size = 0;
    TRY(read_u64(&size, r, what));
    TRY(read_bytes(&out->data, r, size, what));
    out->size = size;
    return ST_OK;
}

/* A key or tensor name: printable ASCII, so that it can stand in messages and be found through a C string. */
static status read_name(struct gguf_text *out, struct reader *r, size_t max, const char *what) {
    size_t start = r->at;
    TRY(read_text(out, r, what));
    if (out->size == 0 || out->size > max) {
        return FAIL(ST_FORMAT, "byte %zu: %s has %zu bytes, expected 1 to %zu", start, what, out->size, max);
    }
    for (size_t i = 0; i < out->size; i++) {
        unsigned char c = (unsigned char)out->data[i];
        if (c <= 0x20 || c >= 0x7f) {
            return FAIL(ST_FORMAT, "byte %zu: %s holds the byte 0x%02x, expected printable ASCII", start + 8 + i, what, c);
        }
    }
    return ST_OK;
}

static status check_bools(const char *bytes, size_t count, size_t start) {
    for (size_t i = 0; i < count; i++) {
        if (bytes[i] != 0 && bytes[i] != 1) {
            return FAIL(ST_FORMAT, "byte %zu: bool is %u, expected 0 or 1", start + i, (unsigned)(unsigned char)bytes[i]);
        }
    }
    return ST_OK;
}

static status read_array(struct gguf *g, struct gguf_value *v, struct reader *r) {
    uint32_t item = 0;
    uint64_t count = 0;
    size_t start = r->at;
    TRY(read_u32(&item, r, "array item type"));
    TRY(read_u64(&count, r, "array length"));
    if (item == GGUF_ARRAY) return FAIL(ST_UNSUPPORTED, "byte %zu: arrays of arrays are not supported", start);
    if (item >= KIND_COUNT) return FAIL(ST_FORMAT, "byte %zu: unknown array item type %u", start, item);
    size_t least = item == GGUF_STRING ? 8 : kind_bytes[item];
    if (count > ARRAY_ITEMS_MAX || count > (r->size - r->at) / least) {
        return FAIL(ST_FORMAT, "byte %zu: array of %llu items, but the file has only %zu more bytes", start, (unsigned long long)count,
                    r->size - r->at);
    }
    v->item_kind = (enum gguf_kind)item;
    v->count = count;
    v->bytes = r->data + r->at;
    if (item != GGUF_STRING) {
        start = r->at;
        TRY(read_bytes(&v->bytes, r, v->count * kind_bytes[item], "array"));
        return item == GGUF_BOOL ? check_bools(v->bytes, v->count, start) : ST_OK;
    }
    struct gguf_text *texts = NULL;
    TRY(arena_try_take(&g->arena, &texts, v->count ? v->count : 1, sizeof *texts, "GGUF string array"));
    for (size_t i = 0; i < v->count; i++) TRY(read_text(&texts[i], r, "array string"));
    v->texts = texts;
    return ST_OK;
}

static status read_payload(struct gguf *g, struct gguf_value *v, struct reader *r) {
    uint32_t kind = 0;
    size_t start = r->at;
    TRY(read_u32(&kind, r, "value type"));
    if (kind >= KIND_COUNT) return FAIL(ST_FORMAT, "byte %zu: unknown value type %u", start, kind);
    v->kind = v->item_kind = (enum gguf_kind)kind;
    v->count = 1;
    if (kind == GGUF_ARRAY) return read_array(g, v, r);
    if (kind == GGUF_STRING) {
        struct gguf_text *text = NULL;
        TRY(arena_try_take(&g->arena, &text, 1, sizeof *text, "GGUF string"));
        TRY(read_text(text, r, "string"));
        v->bytes = text->data;
        v->texts = text;
        return ST_OK;
    }
    start = r->at;
    TRY(read_bytes(&v->bytes, r, kind_bytes[kind], "value"));
    return kind == GGUF_BOOL ? check_bools(v->bytes, 1, start) : ST_OK;
}

static int compare_texts(const struct gguf_text *a, const struct gguf_text *b) {
    size_t size = a->size < b->size ? a->size : b->size;
    int order = memcmp(a->data, b->data, size);
    return order ? order : (a->size > b->size) - (a->size < b->size);
}
static int compare_text_rows(const void *a, const void *b) { return compare_texts(a, b); }

/* Sorts a copy of the names and looks for equal neighbours. `stride` is the distance of one name to the next. */
static status check_unique(const struct gguf_text *first, size_t stride, size_t count, const char *what) {
    if (count < 2) return ST_OK;
    struct gguf_text *sorted = NULL;
    TRY(mem_try_alloc(&sorted, count, sizeof *sorted, what));
    for (size_t i = 0; i < count; i++) memcpy(&sorted[i], (const char *)first + i * stride, sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, compare_text_rows);
    status st = ST_OK;
    for (size_t i = 1; i < count && st == ST_OK; i++) {
        if (compare_texts(&sorted[i - 1], &sorted[i]) == 0) {
            st = FAIL(ST_FORMAT, "duplicate %s '%.*s'", what, (int)sorted[i].size, sorted[i].data);
        }
    }
    free(sorted);
    return st;
}

static status read_values(struct gguf *g, struct reader *r, uint64_t count) {
    /* the shortest pair is a one-byte key with a one-byte value: 8 + 1 + 4 + 1 */
    if (count > VALUES_MAX || count > (r->size - r->at) / 14) {
        return FAIL(ST_FORMAT, "byte 16: key count %llu is more than the file can hold", (unsigned long long)count);
    }
    TRY(arena_try_take(&g->arena, &g->values, count ? count : 1, sizeof *g->values, "GGUF keys"));
    for (; g->value_count < count; g->value_count++) {
        struct gguf_value *v = &g->values[g->value_count];
        status st = read_name(&v->key, r, KEY_BYTES_MAX, "key");
        if (st != ST_OK) return status_note(st, "key %zu: ", g->value_count);
        st = read_payload(g, v, r);
        if (st != ST_OK) return status_note(st, "key '%.*s': ", (int)v->key.size, v->key.data);
    }
    return check_unique(&g->values->key, sizeof *g->values, g->value_count, "key");
}

static const char *foreign_type(uint32_t code) { /* ggml types that we know by name only */
    static const char *const names[] = {[9] = "Q8_1",   [15] = "Q8_K",  [16] = "IQ2_XXS", [17] = "IQ2_XS", [18] = "IQ3_XXS",
                                        [19] = "IQ1_S", [21] = "IQ3_S", [22] = "IQ2_S",   [24] = "I8",     [25] = "I16",
                                        [26] = "I32",   [27] = "I64",   [28] = "F64",     [29] = "IQ1_M",  [34] = "TQ1_0",
                                        [35] = "TQ2_0", [39] = "MXFP4", [40] = "NVFP4"};
    return code < sizeof names / sizeof names[0] && names[code] ? names[code] : "unknown";
}

static status unsupported_type(uint32_t code, size_t at) {
    struct buf known = {0};
    dtype_list(&known, NULL);
    status st = FAIL(ST_UNSUPPORTED, "byte %zu: tensor type %u (%s) is not supported; requantise to one of %s", at, code,
                     foreign_type(code), buf_text(&known));
    buf_release(&known);
    return st;
}

/* Shape and type of one tensor; *bytes is the size of its data. */
static status read_tensor_shape(struct gguf_tensor *t, size_t *bytes, struct reader *r) {
    uint32_t dims = 0, code = 0;
    size_t start = r->at;
    TRY(read_u32(&dims, r, "dimension count"));
    if (dims < 1 || dims > 4) return FAIL(ST_FORMAT, "byte %zu: %u dimensions, expected 1 to 4", start, dims);
    t->dims = dims;
    t->rows = 1;
    for (size_t d = 0; d < 4; d++) t->shape[d] = 1;
    for (size_t d = 0; d < dims; d++) {
        uint64_t extent = 0;
        start = r->at;
        TRY(read_u64(&extent, r, "dimension"));
        if (extent == 0 || extent > INT64_MAX) {
            return FAIL(ST_FORMAT, "byte %zu: dimension %zu is %llu", start, d, (unsigned long long)extent);
        }
        t->shape[d] = extent;
        if (d > 0 && !size_mul(&t->rows, t->rows, extent)) return FAIL(ST_FORMAT, "byte %zu: the shape overflows", start);
    }
    t->cols = t->shape[0];
    start = r->at;
    TRY(read_u32(&code, r, "tensor type"));
    if (!dtype_from_gguf(&t->type, code)) return unsupported_type(code, start);
    const struct dtype_info *info = &dtype_table[t->type];
    if (t->cols % info->block != 0) {
        return FAIL(ST_FORMAT, "byte %zu: %zu columns are not a multiple of %s's block of %zu", start, t->cols, info->name, info->block);
    }
    size_t row = dtype_row_bytes(t->type, t->cols), count;
    if (row == 0 || !size_mul(bytes, row, t->rows) || !size_mul(&count, t->cols, t->rows)) {
        return FAIL(ST_FORMAT, "byte %zu: the shape overflows", start);
    }
    return ST_OK;
}

struct extent { /* where a tensor's data lies, to find overlaps */
    uint64_t offset;
    size_t bytes, index;
};
static int compare_extents(const void *a, const void *b) {
    const struct extent *x = a, *y = b;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

static status read_tensor_table(struct gguf *g, struct extent *extents, struct reader *r, size_t count) {
    for (; g->tensor_count < count; g->tensor_count++) {
        struct gguf_tensor *t = &g->tensors[g->tensor_count];
        struct extent *e = &extents[g->tensor_count];
        status st = read_name(&t->name, r, NAME_BYTES_MAX, "tensor name");
        if (st != ST_OK) return status_note(st, "tensor %zu: ", g->tensor_count);
        st = read_tensor_shape(t, &e->bytes, r);
        if (st == ST_OK) st = read_u64(&e->offset, r, "tensor offset");
        if (st != ST_OK) return status_note(st, "tensor '%.*s': ", (int)t->name.size, t->name.data);
        e->index = g->tensor_count;
    }
    return check_unique(&g->tensors->name, sizeof *g->tensors, g->tensor_count, "tensor name");
}

/* Turns offsets into pointers once the end of the table, and with it the start of the data, is known. */
static status place_tensors(struct gguf *g, struct extent *extents, size_t table_end, size_t alignment) {
    size_t start, size = g->map.size;
    if (!size_add(&start, table_end, alignment - 1)) return FAIL(ST_FORMAT, "the tensor table overflows");
    start -= start % alignment;
    if (g->tensor_count == 0) return ST_OK; /* a file with a vocabulary only needs no padding at its end */
    size_t room = start <= size ? size - start : 0;
    for (size_t i = 0; i < g->tensor_count; i++) {
        struct gguf_tensor *t = &g->tensors[i];
        const struct extent *e = &extents[i];
        const int name_size = (int)t->name.size;
        if (e->offset % alignment != 0) {
            return FAIL(ST_FORMAT, "tensor '%.*s': offset %llu is not a multiple of the alignment %zu", name_size, t->name.data,
                        (unsigned long long)e->offset, alignment);
        }
        if (e->offset > room || e->bytes > room - e->offset) {
            return FAIL(ST_FORMAT,
                        "tensor '%.*s': %zu bytes at offset %llu pass the end of the file, whose data has %zu bytes (truncated?)",
                        name_size, t->name.data, e->bytes, (unsigned long long)e->offset, room);
        }
        t->data = g->map.data + start + e->offset;
    }
    qsort(extents, g->tensor_count, sizeof *extents, compare_extents);
    for (size_t i = 1; i < g->tensor_count; i++) {
        if (extents[i].offset < extents[i - 1].offset + extents[i - 1].bytes) {
            const struct gguf_text *a = &g->tensors[extents[i - 1].index].name, *b = &g->tensors[extents[i].index].name;
            return FAIL(ST_FORMAT, "tensors '%.*s' and '%.*s' overlap", (int)a->size, a->data, (int)b->size, b->data);
        }
    }
    return ST_OK;
}

static status read_alignment(size_t *out, const struct gguf *g) {
    *out = 32;
    const struct gguf_value *v = gguf_find(g, "general.alignment");
    if (!v) return ST_OK;
    if (v->kind != GGUF_U32) return FAIL(ST_FORMAT, "key 'general.alignment' is not of type uint32");
    int64_t alignment = gguf_item_int(v, 0);
    if (alignment < 8 || alignment > ALIGNMENT_MAX || (alignment & (alignment - 1)) != 0) {
        return FAIL(ST_FORMAT, "key 'general.alignment': %lld, expected a power of two from 8 to %u", (long long)alignment, ALIGNMENT_MAX);
    }
    *out = (size_t)alignment;
    return ST_OK;
}

static status read_tensors(struct gguf *g, struct reader *r, uint64_t count) {
    size_t alignment;
    TRY(read_alignment(&alignment, g));
    /* the shortest row: 8 + 1 name, 4 dimension count, 8 dimension, 4 type, 8 offset */
    if (count > TENSORS_MAX || count > (r->size - r->at) / 33) {
        return FAIL(ST_FORMAT, "byte 8: tensor count %llu is more than the file can hold", (unsigned long long)count);
    }
    TRY(arena_try_take(&g->arena, &g->tensors, count ? count : 1, sizeof *g->tensors, "GGUF tensor table"));
    struct extent *extents = NULL;
    TRY(mem_try_alloc(&extents, count ? count : 1, sizeof *extents, "GGUF tensor table"));
    status st = read_tensor_table(g, extents, r, count);
    if (st == ST_OK) st = place_tensors(g, extents, r->at, alignment);
    free(extents);
    return st;
}

static status read_file(struct gguf *g) {
    struct reader r = {g->map.data, g->map.size, 0};
    const char *magic = NULL;
    uint64_t tensor_count = 0, value_count = 0;
    TRY(read_bytes(&magic, &r, 4, "GGUF magic"));
    if (memcmp(magic, "GGUF", 4) != 0) return FAIL(ST_FORMAT, "byte 0: not a GGUF file (its first bytes are not 'GGUF')");
    TRY(read_u32(&g->version, &r, "version"));
    if (g->version != 0 && (g->version & 0xffffu) == 0) {
        return FAIL(ST_UNSUPPORTED, "byte 4: version 0x%08x: big-endian GGUF files are not supported", g->version);
    }
    if (g->version != 2 && g->version != 3) {
        return FAIL(ST_UNSUPPORTED, "byte 4: GGUF version %u is not supported, expected 2 or 3", g->version);
    }
    TRY(read_u64(&tensor_count, &r, "tensor count"));
    TRY(read_u64(&value_count, &r, "key count"));
    TRY(read_values(g, &r, value_count));
    return read_tensors(g, &r, tensor_count);
}

status gguf_open(struct gguf *g, const char *path) {
    memset(g, 0, sizeof *g);
    TRY(file_map_open(&g->map, path));
    g->path = mem_text(path);
    status st = read_file(g);
    if (st != ST_OK) {
        gguf_release(g);
        return status_note(st, "%s: ", path);
    }
    return ST_OK;
}

void gguf_release(struct gguf *g) {
    file_map_release(&g->map);
    arena_release(&g->arena);
    free(g->path);
    memset(g, 0, sizeof *g);
}

static bool text_is(const struct gguf_text *t, const char *text, size_t size) {
    return t->size == size && memcmp(t->data, text, size) == 0;
}

const struct gguf_value *gguf_find(const struct gguf *g, const char *key) {
    size_t size = strlen(key);
    for (size_t i = 0; i < g->value_count; i++) {
        if (text_is(&g->values[i].key, key, size)) return &g->values[i];
    }
    return NULL;
}

const struct gguf_tensor *gguf_tensor_find(const struct gguf *g, const char *name) {
    size_t size = strlen(name);
    for (size_t i = 0; i < g->tensor_count; i++) {
        if (text_is(&g->tensors[i].name, name, size)) return &g->tensors[i];
    }
    return NULL;
}

/* Reads item i of `kind` as the widest type of its sort. */
#define LOAD(type)                  \
    do {                            \
        type x_;                    \
        memcpy(&x_, at, sizeof x_); \
        return (int64_t)x_;         \
    } while (0)

int64_t gguf_item_int(const struct gguf_value *v, size_t i) {
    CHECK(i < v->count);
    const char *at = v->bytes + i * kind_bytes[v->item_kind];
    switch (v->item_kind) {
    case GGUF_U8: LOAD(uint8_t);
    case GGUF_I8: LOAD(int8_t);
    case GGUF_U16: LOAD(uint16_t);
    case GGUF_I16: LOAD(int16_t);
    case GGUF_U32: LOAD(uint32_t);
    case GGUF_I32: LOAD(int32_t);
    case GGUF_U64:
    case GGUF_I64: LOAD(int64_t);
    case GGUF_BOOL: LOAD(uint8_t);
    case GGUF_F32:
    case GGUF_F64: {
        double x = gguf_item_double(v, i);
        return x >= -9.2e18 && x <= 9.2e18 ? (int64_t)x : 0;
    }
    case GGUF_STRING:
    case GGUF_ARRAY: break;
    }
    return 0;
}

double gguf_item_double(const struct gguf_value *v, size_t i) {
    CHECK(i < v->count);
    if (v->item_kind == GGUF_F32) {
        float x;
        memcpy(&x, v->bytes + i * sizeof x, sizeof x);
        return (double)x;
    }
    if (v->item_kind == GGUF_F64) {
        double x;
        memcpy(&x, v->bytes + i * sizeof x, sizeof x);
        return x;
    }
    if (v->item_kind == GGUF_U64) return (double)(uint64_t)gguf_item_int(v, i);
    return (double)gguf_item_int(v, i);
}

static bool is_int_kind(enum gguf_kind kind) {
    switch (kind) {
    case GGUF_U8:
    case GGUF_I8:
    case GGUF_U16:
    case GGUF_I16:
    case GGUF_U32:
    case GGUF_I32:
    case GGUF_U64:
    case GGUF_I64: return true;
    default: return false;
    }
}

bool gguf_int(int64_t *out, const struct gguf *g, const char *key) {
    const struct gguf_value *v = gguf_find(g, key);
    if (!v || !is_int_kind(v->kind)) return false;
    int64_t x = gguf_item_int(v, 0);
    if (v->kind == GGUF_U64 && x < 0) return false;
    *out = x;
    return true;
}

bool gguf_double(double *out, const struct gguf *g, const char *key) {
    const struct gguf_value *v = gguf_find(g, key);
    if (!v || !(is_int_kind(v->kind) || v->kind == GGUF_F32 || v->kind == GGUF_F64)) return false;
    *out = gguf_item_double(v, 0);
    return true;
}

bool gguf_bool(bool *out, const struct gguf *g, const char *key) {
    const struct gguf_value *v = gguf_find(g, key);
    if (!v || v->kind != GGUF_BOOL) return false;
    *out = v->bytes[0] != 0;
    return true;
}

bool gguf_text_of(struct gguf_text *out, const struct gguf *g, const char *key) {
    const struct gguf_value *v = gguf_find(g, key);
    if (!v || v->kind != GGUF_STRING) return false;
    *out = v->texts[0];
    return true;
}
