#define _GNU_SOURCE
#include "base/pages.h"

#include <stdint.h>
#include <sys/mman.h>

#define HUGE_PAGE ((size_t)2 << 20)

void *pages_take(size_t bytes) {
    if (bytes > SIZE_MAX - HUGE_PAGE) return NULL;
    char *all = mmap(NULL, bytes + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED) return NULL;
    /* begin on a huge page's boundary and return the rest, so that the mapping is as long as pages_give will be told */
    const size_t skip = (HUGE_PAGE - (uintptr_t)all % HUGE_PAGE) % HUGE_PAGE, page = 4096, end = (bytes + page - 1) / page * page;
    if (skip) munmap(all, skip);
    if (HUGE_PAGE - skip > end - bytes) munmap(all + skip + end, bytes + HUGE_PAGE - skip - end);
    madvise(all + skip, bytes, MADV_HUGEPAGE); /* a kernel without them goes on with small pages */
    return all + skip;
}

void pages_give(void *p, size_t bytes) {
    if (p) munmap(p, bytes);
}
