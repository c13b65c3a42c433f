/* status: how every function that depends on input, disk, memory or network reports failure.
 *
 * A failing function returns a code other than ST_OK and leaves one message in thread-local storage: what went wrong, where
 * (file, line or byte) and what was expected. Callers add context in front with status_note(). Only src/cli prints it and exits. */
#ifndef RAPT_BASE_STATUS_H
#define RAPT_BASE_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STATUS_MAP(X)                            \
    X(OK, "ok")                                  \
    X(NOMEM, "out of memory")                    \
    X(IO, "input/output error")                  \
    X(FORMAT, "malformed input")                 \
    X(UNSUPPORTED, "unsupported input")          \
    X(USAGE, "wrong usage")                      \
    X(MISMATCH, "inputs do not belong together") \
    X(INTERRUPTED, "interrupted")

#define STATUS_ENUM(name, text) ST_##name,
typedef enum { STATUS_MAP(STATUS_ENUM) } status;
#undef STATUS_ENUM

/* Sets the thread's message and returns `code`. */
status status_fail(status code, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Puts context in front of the message, as in status_note("%s: ", path). Returns `code` unchanged. */
status status_note(status code, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The message of this thread's last failure; valid until its next one. */
const char *status_message(void);
/* The fixed text of a code. */
const char *status_text(status code);

#define FAIL(code, ...) status_fail((code), __VA_ARGS__)
#define TRY(expr)                                     \
    do {                                              \
        status try_status_ = (expr);                  \
        if (try_status_ != ST_OK) return try_status_; \
    } while (0)

/* CHECK is for our own bugs only, never for input: prints file:line and aborts, also in release builds. */
#define CHECK(x) ((x) ? (void)0 : status_abort(__FILE__, __LINE__, #x))
_Noreturn void status_abort(const char *file, int line, const char *what);

/* *out = a * b or a + b; false on overflow. Sizes from files go through these before anything else. */
static inline bool size_mul(size_t *out, size_t a, size_t b) { return !__builtin_mul_overflow(a, b, out); }
static inline bool size_add(size_t *out, size_t a, size_t b) { return !__builtin_add_overflow(a, b, out); }
/* The next multiple of unit; of sizes that have been checked. */
static inline size_t size_round_up(size_t x, size_t unit) { return (x + unit - 1) / unit * unit; }

#endif
