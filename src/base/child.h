/* child: another program whose standard output is read as it comes. */
#ifndef RAPT_BASE_CHILD_H
#define RAPT_BASE_CHILD_H

#include <stdio.h>
#include <sys/types.h>

#include "base/status.h"

struct child {
    pid_t pid; /* 0: none */
    int out;   /* its standard output; -1: closed */
    FILE *errors;
    const char *name;  /* of the program, for messages; a view */
    double deadline_s; /* when it is ended, by log_now_s; 0: never */
    bool group;        /* it leads a process group, which ends with it */
};

#define CHILD_FILE "/dev/fd/3" /* how the program names the file that child_start opened for it, whatever that file is called */

/* No shell: the arguments are its own. Starts argv[0] (searched in PATH) with nothing on its standard input and `path` open for reading as
 * CHILD_FILE. *found is false, and no message is set, where there is no such program. */
status child_start(struct child *c, bool *found, char *const argv[], const char *path);
/* Starts a user's command line, `sh -c COMMAND`, with `in` as its standard input, from the file's beginning. It and what it starts are
 * ended when it has not ended by itself after timeout_ms. */
status child_start_shell(struct child *c, const char *command, FILE *in, int64_t timeout_ms);
/* Reads up to `room` bytes; *got is 0 once the program has ended well. Ending with an error, or by a signal, is ST_IO with what it wrote to
 * its standard error, as is not ending in time. */
status child_read(size_t *got, struct child *c, char *out, size_t room);
/* Ends it where it still runs. Safe on a zeroed struct. */
void child_release(struct child *c);

#endif
