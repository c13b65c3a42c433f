/* safetensors: read a mapped file or a folder's shards; write one file. */
#ifndef RAPT_FORMAT_SAFETENSORS_H
#define RAPT_FORMAT_SAFETENSORS_H

#include "base/arena.h"
#include "base/file.h"
#include "num/dtype.h"

struct st_tensor {
    const char *name;
    enum dtype type;
    size_t dims, shape[8]; /* shape[dims-1] runs fastest */
    size_t rows, cols;     /* cols = last dimension (1 for a scalar), rows = product of the others */
    const void *data;
};
struct safetensors {
    struct arena arena;
    struct file_map *maps;
    size_t map_count;
    struct st_tensor *tensors;
    size_t tensor_count, tensor_room; /* listed; allocated */
};

/* PATH is a .safetensors file, a .index.json, or a folder holding model.safetensors(.index.json). Errors name file, byte, tensor.
 * adapter_model.safetensors is found as well. Every row is checked; integer and bool tensors are checked but not listed. Strings and
 * data are views of the maps; data that a file does not align to its element size is copied, so it may be read as its type. */
status safetensors_open(struct safetensors *s, const char *path);
void safetensors_release(struct safetensors *s);
const struct st_tensor *safetensors_find(const struct safetensors *s, const char *name);

/* Writing: add views, then write. shape is copied. The order in the file is the order of adding. */
struct safetensors_writer {
    struct st_tensor *tensors;
    size_t count, capacity;
    struct arena arena;
};
void safetensors_add(struct safetensors_writer *w, const char *name, enum dtype type, const size_t *shape, size_t dims, const void *data);
/* Header with {"__metadata__": {"format": "pt"}}; temporary, fsync, rename. Releases the writer's own memory either way. */
status safetensors_write(struct safetensors_writer *w, const char *path);
/* For tensors that are made one after the other: add them with data NULL, begin (which releases the writer), put their bytes in the order
 * of adding, end with how that went: the file is there only where all of them came. */
struct safetensors_stream {
    struct file_out file;
    size_t left;
};
status safetensors_begin(struct safetensors_stream *f, struct safetensors_writer *w, const char *path);
status safetensors_put(struct safetensors_stream *f, const void *data, size_t bytes);
status safetensors_end(struct safetensors_stream *f, status so_far);

#endif
