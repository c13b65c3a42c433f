/* library: turns, options, messages. */
#define _POSIX_C_SOURCE 200809L
#include "library/library.h"

#include <omp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

#define SAME_CODE(name) _Static_assert((int)RAPT_##name == (int)ST_##name, "codes of rapt.h are those of base/status.h")
SAME_CODE(OK);
SAME_CODE(NOMEM);
SAME_CODE(IO);
SAME_CODE(FORMAT);
SAME_CODE(UNSUPPORTED);
SAME_CODE(USAGE);
SAME_CODE(MISMATCH);
SAME_CODE(INTERRUPTED);

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t mutex;

static void start(void) {
    pthread_mutexattr_t kind;
    log_set_level(LOG_QUIET); /* the library's own copy: a program that links it prints what it likes */
    pthread_mutexattr_init(&kind);
    pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_ERRORCHECK);
    pthread_mutex_init(&mutex, &kind);
    pthread_mutexattr_destroy(&kind);
}

status library_enter(struct library_turn *turn, int threads) {
    pthread_once(&once, start);
    if (pthread_mutex_lock(&mutex) != 0) return FAIL(ST_USAGE, "a callback must not call the library");
    *turn = (struct library_turn){.threads = omp_get_max_threads(), .dynamic = omp_get_dynamic()};
    omp_set_dynamic(0);
    if (threads) omp_set_num_threads(threads);
    return ST_OK;
}

int library_threads(int asked) { return asked ? asked : omp_get_max_threads(); }

void library_leave(const struct library_turn *turn) {
    omp_set_num_threads(turn->threads);
    omp_set_dynamic(turn->dynamic);
    pthread_mutex_unlock(&mutex);
}

status library_options(void *own, size_t size, const void *given, const char *name) {
    size_t theirs;
    if (!given) return ST_OK;
    memcpy(&theirs, given, sizeof theirs);
    if (theirs < sizeof theirs) return FAIL(ST_USAGE, "struct %s: its first member is its size; begin with the INIT macro", name);
    for (size_t i = size; i < theirs; i++)
        if (((const char *)given)[i]) return FAIL(ST_USAGE, "struct %s: it is of a newer rapt.h than this librapt %s", name, RAPT_VERSION);
    memcpy(own, given, theirs < size ? theirs : size);
    return ST_OK;
}

RAPT_API int rapt_abi(void) { return RAPT_ABI_VERSION; }
RAPT_API const char *rapt_version(void) { return RAPT_VERSION; }
RAPT_API const char *rapt_message(void) { return status_message(); }
RAPT_API void rapt_free(void *memory) { free(memory); }
