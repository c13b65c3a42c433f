/* child: another program whose standard output is read as it comes. No shell: the arguments are its own. */
#ifndef RAPT_BASE_CHILD_H
#define RAPT_BASE_CHILD_H

#include <stdio.h>
#include <sys/types.h>

#include "base/status.h"

struct child {
    pid_t pid; /* 0: none */
    int out;   /* its standard output; -1: closed */
    FILE *errors;
    const char *name; /* argv[0]; a view */
};

#define CHILD_FILE "/dev/fd/3" /* how the program names the file that child_start opened for it, whatever that file is called */

/* Starts argv[0] (searched in PATH) with nothing on its standard input and `path` open for reading as CHILD_FILE. *found is false, and no
 * message is set, where there is no such program. */
status child_start(struct child *c, bool *found, char *const argv[], const char *path);
/* Reads up to `room` bytes; *got is 0 once the program has ended well. Ending with an error, or by a signal, is ST_IO with what it wrote to
 * its standard error. */
status child_read(size_t *got, struct child *c, char *out, size_t room);
/* Ends it where it still runs. Safe on a zeroed struct. */
void child_release(struct child *c);

#endif
