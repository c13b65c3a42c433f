/* A file for targets that read one: made once, removed at the end. Messages of the library are silenced with it. */
#ifndef RAPT_TESTS_FUZZ_SCRATCH_H
#define RAPT_TESTS_FUZZ_SCRATCH_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/status.h"

static char scratch_path[] = "/tmp/rapt_fuzz_XXXXXX";

static void scratch_remove(void) { remove(scratch_path); }

static const char *scratch(void) {
    static bool made;
    if (made) return scratch_path;
    const int file = mkstemp(scratch_path);
    CHECK(file >= 0);
    close(file);
    atexit(scratch_remove);
    log_set_level(LOG_QUIET);
    made = true;
    return scratch_path;
}

#endif
