/* Fuzz target: gguf_open on any bytes, then every value, string and tensor of what it accepted. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "format/gguf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile double sink;

static void touch(const struct gguf *g) {
    double sum = 0;
    for (size_t i = 0; i < g->value_count; i++) {
        const struct gguf_value *v = &g->values[i];
        for (size_t j = 0; j < v->count; j++) {
            if (!v->texts) {
                sum += gguf_item_double(v, j) + (double)gguf_item_int(v, j);
            } else if (v->texts[j].size) {
                sum += v->texts[j].data[0] + v->texts[j].data[v->texts[j].size - 1];
            }
        }
    }
    for (size_t i = 0; i < g->tensor_count; i++) {
        const struct gguf_tensor *t = &g->tensors[i];
        float *out = mem_zero(t->cols, sizeof *out);
        size_t row = dtype_row_bytes(t->type, t->cols);
        for (size_t r = 0; r < t->rows; r++) dtype_table[t->type].expand(out, (const char *)t->data + r * row, t->cols);
        sum += (double)out[t->cols - 1];
        free(out);
    }
    sink = sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0) return 0;
    if (write(fd, data, size) == (ssize_t)size) {
        char path[64];
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        struct gguf g;
        if (gguf_open(&g, path) == ST_OK) {
            touch(&g);
            gguf_release(&g);
        }
    }
    close(fd);
    return 0;
}
