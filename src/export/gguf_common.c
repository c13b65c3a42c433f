#include "export/gguf_common.h"

#include <stdlib.h>
#include <string.h>

#include "model/hf_io.h"
#include "num/quant.h"
#include "text/goal.h"

status gguf_check_output(const struct export_request *r) {
    if (strcmp(r->output, ".gguf") == 0 || !text_ends_with(r->output, ".gguf"))
        return FAIL(ST_USAGE, "--output '%s': the name of a .gguf file is wanted", r->output);
    if (file_is_dir(r->output)) return FAIL(ST_USAGE, "--output '%s' is a folder; a file is wanted", r->output);
    if (strcmp(r->output, r->model) == 0) return FAIL(ST_USAGE, "--output is the model itself");
    return ST_OK;
}

status gguf_put_general(struct gguf_writer *w, const struct export_request *r, const struct model *m, const char *type) {
    struct buf goal = {0};
    const char *arch = m->config.family->gguf_arch;
    gguf_put_text(w, "general.architecture", arch, strlen(arch));
    gguf_put_text(w, "general.type", type, strlen(type));
    status s = goal_text_find(&goal, r->adapter, r->model);
    if (s == ST_OK && goal.size) gguf_put_text(w, GOAL_GGUF_KEY, goal.data, goal.size);
    buf_release(&goal);
    return s;
}

void gguf_put_name(struct gguf_writer *w, const char *path) {
    size_t end = strlen(path), start;
    while (end > 1 && path[end - 1] == '/') end--;
    for (start = end; start && path[start - 1] != '/'; start--) continue;
    gguf_put_text(w, "general.name", path + start, end - start);
}

/* Floats held at a time; a longer row is held alone. */
#define CHUNK ((size_t)1 << 18)

void gguf_memory_row(void *memory_rows, float *out, size_t i) {
    const struct gguf_memory_rows *m = memory_rows;
    memcpy(out, m->data + gguf_row_from(i, m->rows, m->heads) * m->cols, m->cols * sizeof *out);
}

status gguf_write_rows(struct gguf_writer *w, const char *name, enum dtype type, size_t rows, size_t cols, gguf_row *at, void *context) {
    const size_t row_bytes = dtype_row_bytes(type, cols), room = CHUNK / cols ? CHUNK / cols : 1, held = room < rows ? room : rows;
    float *in = NULL;
    char *out = NULL;
    bool fits = true;
    status s = mem_try_alloc(&in, held, cols * sizeof *in, "rows to be written");
    if (s == ST_OK) s = mem_try_alloc(&out, held, row_bytes, "rows to be written");
    for (size_t from = 0; from < rows && s == ST_OK; from += held) {
        const size_t n = rows - from < held ? rows - from : held;
#pragma omp parallel for schedule(static) reduction(&& : fits)
        for (size_t i = 0; i < n; i++) {
            at(context, in + i * cols, from + i);
            fits = quant_row(out + i * row_bytes, in + i * cols, type, cols) && fits;
        }
        if (!fits)
            s = FAIL(ST_UNSUPPORTED, "tensor '%s' holds values that are not finite or too large for %s", name, dtype_table[type].name);
        if (s == ST_OK) s = gguf_write_data(w, out, n * row_bytes);
    }
    free(in);
    free(out);
    return s;
}
