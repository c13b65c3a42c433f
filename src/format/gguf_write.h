/* gguf_write: a GGUF file, version 3, written front to back: values, then the list of tensors, then their data row by row, so that one row
 * in memory is enough (ggml docs/gguf.md). */
#ifndef RAPT_FORMAT_GGUF_WRITE_H
#define RAPT_FORMAT_GGUF_WRITE_H

#include "base/buf.h"
#include "base/file.h"
#include "format/gguf.h"

#define GGUF_ALIGNMENT 32

struct gguf_out_tensor;
struct gguf_writer {
    struct buf values; /* encoded */
    uint64_t value_count;
    struct gguf_out_tensor *tensors;
    size_t tensor_count, tensor_room;
    struct file_out file;
    size_t at;     /* the tensor whose data comes next */
    uint64_t done; /* bytes of it that are written */
};

/* First the values. Keys are the caller's to keep distinct. */
void gguf_put_u32(struct gguf_writer *w, const char *key, uint32_t value);
void gguf_put_f32(struct gguf_writer *w, const char *key, float value);
void gguf_put_bool(struct gguf_writer *w, const char *key, bool value);
void gguf_put_text(struct gguf_writer *w, const char *key, const char *text, size_t size);
/* An array's head; its `count` items follow through the functions below. */
void gguf_put_array(struct gguf_writer *w, const char *key, enum gguf_kind item, size_t count);
void gguf_put_item_text(struct gguf_writer *w, const char *text, size_t size);
void gguf_put_items(struct gguf_writer *w, const void *items, size_t bytes);
/* A value of another file as it stands. */
void gguf_put_value(struct gguf_writer *w, const struct gguf_value *v);

/* Then the tensors, in the order of their data. dims 1: rows is 1. cols is a multiple of the type's block. */
void gguf_put_tensor(struct gguf_writer *w, const char *name, enum dtype type, size_t dims, size_t rows, size_t cols);

/* Then the file: everything above, and the data of all tensors in order, in pieces of any size. */
status gguf_write_begin(struct gguf_writer *w, const char *path);
status gguf_write_data(struct gguf_writer *w, const void *data, size_t bytes);
/* CHECKs that all data has come; fsync, rename. */
status gguf_write_end(struct gguf_writer *w);
/* Always; drops a file that was not ended. */
void gguf_writer_release(struct gguf_writer *w);

#endif
