/* log: everything a person reads while a command works. All of it goes to stderr; stdout is for results. */
#ifndef RAPT_BASE_LOG_H
#define RAPT_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_QUIET, LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

void log_set_level(enum log_level level);
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Monotonic seconds. */
double log_now_s(void);

/* progress: a bar with rate and time left on a terminal, a plain line every few seconds elsewhere; silent for the first two seconds. */
struct progress {
    const char *what; /* "train", "logps", ... */
    const char *unit; /* "rows", "steps" */
    uint64_t total;   /* 0 = unknown */
    double start_s, last_s;
    bool tty; /* stderr is a terminal */
};

void progress_begin(struct progress *p, const char *what, const char *unit, uint64_t total);
/* `done` of total; `extra` is a short text shown behind ("loss 0.61"), may be NULL. */
void progress_update(struct progress *p, uint64_t done, const char *extra);
void progress_end(struct progress *p, uint64_t done, const char *extra);

#endif
