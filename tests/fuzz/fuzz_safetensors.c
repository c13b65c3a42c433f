/* Fuzz target: safetensors_open on any bytes, then every byte of the tensors it accepted. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "format/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile float sink;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0) return 0;
    if (write(fd, data, size) == (ssize_t)size) {
        char path[64];
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        struct safetensors s;
        if (safetensors_open(&s, path) == ST_OK) {
            for (size_t i = 0; i < s.tensor_count; i++) {
                const struct st_tensor *t = &s.tensors[i];
                size_t count = t->rows * t->cols;
                if (count == 0) continue;
                float *out = mem_zero(count, sizeof *out);
                dtype_table[t->type].expand(out, t->data, count);
                sink = out[count - 1];
                free(out);
            }
            safetensors_release(&s);
        }
    }
    close(fd);
    return 0;
}
