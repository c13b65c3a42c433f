/* gguf: read-only view of a GGUF file, versions 2 and 3 (ggml docs/gguf.md). The file stays mapped; strings and arrays are views. */
#ifndef RAPT_FORMAT_GGUF_H
#define RAPT_FORMAT_GGUF_H

#include "base/arena.h"
#include "base/file.h"
#include "num/dtype.h"

enum gguf_kind { /* value types, numbered as in the file */
                 GGUF_U8,
                 GGUF_I8,
                 GGUF_U16,
                 GGUF_I16,
                 GGUF_U32,
                 GGUF_I32,
                 GGUF_F32,
                 GGUF_BOOL,
                 GGUF_STRING,
                 GGUF_ARRAY,
                 GGUF_U64,
                 GGUF_I64,
                 GGUF_F64
};
struct gguf_text {
    const char *data;
    size_t size;
};
struct gguf_value {
    struct gguf_text key;
    enum gguf_kind kind, item_kind; /* item_kind: of an array's items */
    size_t count;                   /* items of an array, 1 otherwise */
    const char *bytes;              /* raw little-endian payload in the map (of the first item) */
    const struct gguf_text *texts;  /* array of strings: views, `count` of them */
};
struct gguf_tensor {
    struct gguf_text name;
    enum dtype type;
    size_t dims, shape[4]; /* shape[0] is the fastest-running (columns), as GGUF has it */
    size_t rows, cols;     /* cols = shape[0], rows = product of the others */
    const void *data;      /* rows * dtype_row_bytes(type, cols) bytes inside the map */
};
struct gguf {
    struct file_map map;
    struct arena arena;
    char *path;
    uint32_t version;
    struct gguf_value *values;
    size_t value_count;
    struct gguf_tensor *tensors;
    size_t tensor_count;
};

/* Checks every count, offset, string and shape before use; errors name byte and key or tensor. Unknown tensor types are an error that
 * names the type. */
status gguf_open(struct gguf *g, const char *path);
void gguf_release(struct gguf *g);
/* Looks at the factors of every block of quantised tensors: one that is NaN or infinite is an error that names byte, tensor, row and block.
 */
status gguf_check_scales(const struct gguf *g);
const struct gguf_value *gguf_find(const struct gguf *g, const char *key);
const struct gguf_tensor *gguf_tensor_find(const struct gguf *g, const char *name);
/* Typed reads; false when the key is absent or of another kind (any integer kind is accepted where it fits, any number for double). */
bool gguf_int(int64_t *out, const struct gguf *g, const char *key);
bool gguf_double(double *out, const struct gguf *g, const char *key);
bool gguf_bool(bool *out, const struct gguf *g, const char *key);
bool gguf_text_of(struct gguf_text *out, const struct gguf *g, const char *key);
/* Bytes of one value of a kind; 0 for strings and arrays. */
size_t gguf_kind_bytes(enum gguf_kind kind);
/* Item i of an integer or float array. */
int64_t gguf_item_int(const struct gguf_value *v, size_t i);
double gguf_item_double(const struct gguf_value *v, size_t i);

#endif
