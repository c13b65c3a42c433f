#define _GNU_SOURCE /* memfd_create */
/* Fuzz target: a data file of any container, down to the records of its rows. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "data/source.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct record record;
    static int fd = -1;
    static char path[32];
    struct source source;
    bool end = false;
    if (fd < 0) {
        setenv("RAPT_DUCKDB", "/dev/null/none", 1); /* Parquet is another program's work */
        fd = memfd_create("input", 0);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    if (ftruncate(fd, 0) != 0 || pwrite(fd, data, size, 0) != (ssize_t)size) return 0;
    if (source_open(&source, path, SOURCE_SKIP, NULL) != ST_OK) return 0;
    while (source_next(&source, &record, &end) == ST_OK && !end) {
    }
    source_release(&source);
    return 0;
}
