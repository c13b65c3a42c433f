#include "format/gguf_write.h"

#include <stdlib.h>
#include <string.h>

struct gguf_out_tensor {
    char *name;
    enum dtype type;
    size_t dims, rows, cols;
    uint64_t bytes;
};

static const char zeros[GGUF_ALIGNMENT];

static uint64_t aligned(uint64_t n) { return (n + GGUF_ALIGNMENT - 1) / GGUF_ALIGNMENT * GGUF_ALIGNMENT; }

static void put_u32(struct buf *b, uint32_t x) { buf_append(b, &x, sizeof x); }
static void put_u64(struct buf *b, uint64_t x) { buf_append(b, &x, sizeof x); }

static void put_string(struct buf *b, const char *text, size_t size) {
    put_u64(b, size);
    buf_append(b, text, size);
}

static void put_key(struct gguf_writer *w, const char *key, size_t size, enum gguf_kind kind) {
    w->value_count++;
    put_string(&w->values, key, size);
    put_u32(&w->values, (uint32_t)kind);
}

void gguf_put_u32(struct gguf_writer *w, const char *key, uint32_t value) {
    put_key(w, key, strlen(key), GGUF_U32);
    put_u32(&w->values, value);
}

void gguf_put_f32(struct gguf_writer *w, const char *key, float value) {
    put_key(w, key, strlen(key), GGUF_F32);
    buf_append(&w->values, &value, sizeof value);
}

void gguf_put_bool(struct gguf_writer *w, const char *key, bool value) {
    put_key(w, key, strlen(key), GGUF_BOOL);
    buf_append_char(&w->values, value ? 1 : 0);
}

void gguf_put_text(struct gguf_writer *w, const char *key, const char *text, size_t size) {
    put_key(w, key, strlen(key), GGUF_STRING);
    put_string(&w->values, text, size);
}

void gguf_put_array(struct gguf_writer *w, const char *key, enum gguf_kind item, size_t count) {
    put_key(w, key, strlen(key), GGUF_ARRAY);
    put_u32(&w->values, (uint32_t)item);
    put_u64(&w->values, count);
}

void gguf_put_item_text(struct gguf_writer *w, const char *text, size_t size) { put_string(&w->values, text, size); }
void gguf_put_items(struct gguf_writer *w, const void *items, size_t bytes) { buf_append(&w->values, items, bytes); }

void gguf_put_value(struct gguf_writer *w, const struct gguf_value *v) {
    put_key(w, v->key.data, v->key.size, v->kind);
    if (v->kind == GGUF_ARRAY) {
        put_u32(&w->values, (uint32_t)v->item_kind);
        put_u64(&w->values, v->count);
    }
    if (v->item_kind != GGUF_STRING) buf_append(&w->values, v->bytes, v->count * gguf_kind_bytes(v->item_kind));
    for (size_t i = 0; v->item_kind == GGUF_STRING && i < v->count; i++) put_string(&w->values, v->texts[i].data, v->texts[i].size);
}

void gguf_put_tensor(struct gguf_writer *w, const char *name, enum dtype type, size_t dims, size_t rows, size_t cols) {
    const size_t row = dtype_row_bytes(type, cols);
    size_t bytes;
    CHECK(row && size_mul(&bytes, row, rows) && dims >= 1 && dims <= 2 && (dims == 2 || rows == 1));
    if (w->tensor_count == w->tensor_room) {
        w->tensor_room = w->tensor_room ? 2 * w->tensor_room : 64;
        w->tensors = mem_resize(w->tensors, w->tensor_room * sizeof *w->tensors);
    }
    w->tensors[w->tensor_count++] = (struct gguf_out_tensor){mem_text(name), type, dims, rows, cols, bytes};
}

static void put_tensors(struct buf *b, const struct gguf_writer *w) {
    uint64_t offset = 0;
    for (size_t i = 0; i < w->tensor_count; i++) {
        const struct gguf_out_tensor *t = &w->tensors[i];
        put_string(b, t->name, strlen(t->name));
        put_u32(b, (uint32_t)t->dims);
        put_u64(b, t->cols);
        if (t->dims == 2) put_u64(b, t->rows);
        put_u32(b, (uint32_t)dtype_table[t->type].gguf_code);
        put_u64(b, offset);
        offset += aligned(t->bytes);
    }
}

status gguf_write_begin(struct gguf_writer *w, const char *path) {
    struct buf head = {0}, list = {0};
    buf_append_text(&head, "GGUF");
    put_u32(&head, 3);
    put_u64(&head, w->tensor_count);
    put_u64(&head, w->value_count);
    put_tensors(&list, w);
    const uint64_t size = head.size + w->values.size + list.size;
    status s = file_out_open(&w->file, path);
    if (s == ST_OK) s = file_out_write(&w->file, head.data, head.size);
    if (s == ST_OK) s = file_out_write(&w->file, w->values.data, w->values.size);
    if (s == ST_OK) s = file_out_write(&w->file, list.data, list.size);
    if (s == ST_OK) s = file_out_write(&w->file, zeros, (size_t)(aligned(size) - size));
    buf_release(&head);
    buf_release(&list);
    buf_release(&w->values);
    return s;
}

status gguf_write_data(struct gguf_writer *w, const void *data, size_t bytes) {
    CHECK(w->at < w->tensor_count && bytes <= w->tensors[w->at].bytes - w->done);
    TRY(file_out_write(&w->file, data, bytes));
    w->done += bytes;
    if (w->done < w->tensors[w->at].bytes) return ST_OK;
    const size_t rest = (size_t)(aligned(w->done) - w->done);
    w->at++;
    w->done = 0;
    return file_out_write(&w->file, zeros, rest);
}

status gguf_write_end(struct gguf_writer *w) {
    CHECK(w->at == w->tensor_count);
    return file_out_commit(&w->file);
}

void gguf_writer_release(struct gguf_writer *w) {
    file_out_abandon(&w->file);
    for (size_t i = 0; i < w->tensor_count; i++) free(w->tensors[i].name);
    free(w->tensors);
    buf_release(&w->values);
    *w = (struct gguf_writer){0};
}
