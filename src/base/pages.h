/* pages: large memory straight from the kernel, zeroed, 64-byte aligned, on 2 MB pages where the kernel gives them: a training step walks
 * through hundreds of megabytes, and with 4 KB pages half of that time is page faults and address translation. */
#ifndef RAPT_BASE_PAGES_H
#define RAPT_BASE_PAGES_H

#include <stddef.h>

#define PAGES_WORTH ((size_t)4 << 20) /* from this size on it pays */

/* NULL when out of memory. */
void *pages_take(size_t bytes);
void pages_give(void *p, size_t bytes);
/* Asks for large pages within memory that is there already, and not touched yet. */
void pages_prefer(void *p, size_t bytes);

/* Bytes of memory that this process may use: the machine's, or what its control group is limited to. */
size_t pages_physical(void);

#endif
