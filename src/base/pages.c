#define _GNU_SOURCE
#include "base/pages.h"

#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#define HUGE_PAGE ((size_t)2 << 20)

/* Bytes from p to the next huge page's boundary. */
static size_t to_boundary(const void *p) { return (HUGE_PAGE - (uintptr_t)p % HUGE_PAGE) % HUGE_PAGE; }

void *pages_take(size_t bytes) {
    if (bytes > SIZE_MAX - HUGE_PAGE) return NULL;
    char *all = mmap(NULL, bytes + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED) return NULL;
    /* begin on a huge page's boundary and return the rest, so that the mapping is as long as pages_give will be told */
    const size_t skip = to_boundary(all), page = 4096, end = (bytes + page - 1) / page * page;
    if (skip) munmap(all, skip);
    if (HUGE_PAGE - skip > end - bytes) munmap(all + skip + end, bytes + HUGE_PAGE - skip - end);
    madvise(all + skip, bytes, MADV_HUGEPAGE); /* a kernel without them goes on with small pages */
    return all + skip;
}

void pages_prefer(void *p, size_t bytes) {
    const size_t skip = to_boundary(p);
    if (bytes > skip && (bytes - skip) / HUGE_PAGE) madvise((char *)p + skip, (bytes - skip) / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
}

void pages_give(void *p, size_t bytes) {
    if (p) munmap(p, bytes);
}

/* The number in a file of one line; SIZE_MAX where there is none ("max", or no such file). */
static size_t limit_in(const char *path) {
    unsigned long long limit;
    FILE *f = fopen(path, "r");
    if (!f) return SIZE_MAX;
    const int found = fscanf(f, "%llu", &limit);
    fclose(f);
    return found == 1 && limit < SIZE_MAX ? (size_t)limit : SIZE_MAX;
}

size_t pages_physical(void) {
    static const char *const limits[] = {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"};
    const long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    size_t all = pages > 0 && size > 0 ? (size_t)pages * (size_t)size : SIZE_MAX;
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        const size_t limit = limit_in(limits[i]);
        if (limit < all) all = limit;
    }
    return all;
}
