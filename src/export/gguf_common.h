/* gguf_common: what the GGUF forms share. */
#ifndef RAPT_EXPORT_GGUF_COMMON_H
#define RAPT_EXPORT_GGUF_COMMON_H

#include "export/export.h"
#include "format/gguf_write.h"
#include "model/model.h"

/* --output names a .gguf file, no folder, and not the model itself. */
status gguf_check_output(const struct export_request *r);
/* general.architecture, general.type and, with a goal, GOAL_GGUF_KEY. */
status gguf_put_general(struct gguf_writer *w, const struct export_request *r, const struct model *m, const char *type);
/* "model.gguf" of "a/model.gguf", "model" of "a/model/": what general.name is without a better one. */
void gguf_put_name(struct gguf_writer *w, const char *path);

/* Rows on their way into the file: converted to the tensor's type a few at a time, in parallel. at(context, out, i): row i of the file. */
typedef void gguf_row(void *context, float *out, size_t i);
/* A gguf_row over rows that lie in memory, in Hugging Face's order; heads > 0: permuted in the file, as a base's q and k are. */
struct gguf_memory_rows {
    const float *data;
    size_t rows, cols, heads;
};
void gguf_memory_row(void *memory_rows, float *out, size_t i);
status gguf_write_rows(struct gguf_writer *w, const char *name, enum dtype type, size_t rows, size_t cols, gguf_row *at, void *context);

#endif
