#define _POSIX_C_SOURCE 200809L
#include "base/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static enum log_level log_level = LOG_INFO;
static bool bar_on_screen; /* a bar stands on the terminal's line, which a message must clear first */

void log_set_level(enum log_level level) { log_level = level; }

static void log_line(enum log_level level, const char *prefix, const char *format, va_list args) {
    if (level > log_level) return;
    if (bar_on_screen) fputs("\r\033[K", stderr);
    bar_on_screen = false;
    fprintf(stderr, "rapt: %s", prefix);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
}

#define LOG_FUNCTION(name, level, prefix)      \
    void name(const char *format, ...) {       \
        va_list args;                          \
        va_start(args, format);                \
        log_line(level, prefix, format, args); \
        va_end(args);                          \
    }
LOG_FUNCTION(log_error, LOG_ERROR, "error: ")
LOG_FUNCTION(log_warn, LOG_WARN, "warning: ")
LOG_FUNCTION(log_info, LOG_INFO, "")
LOG_FUNCTION(log_debug, LOG_DEBUG, "debug: ")

double log_now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void print_duration(double s) {
    long whole = (long)(s + 0.5);
    if (whole >= 3600)
        fprintf(stderr, "%ldh%02ldm", whole / 3600, whole / 60 % 60);
    else
        fprintf(stderr, "%ld:%02ld", whole / 60, whole % 60);
}

static void progress_draw(struct progress *p, uint64_t done, const char *extra, double now) {
    double elapsed = now - p->start_s, rate = elapsed > 0 ? (double)done / elapsed : 0;
    fprintf(stderr, p->tty ? "\r\033[K" : "rapt: ");
    if (p->total) {
        double part = (double)done / (double)p->total;
        fprintf(stderr, "%s ", p->what);
        if (p->tty) {
            char bar[25];
            int full = (int)(part * 24);
            for (int i = 0; i < 24; i++) bar[i] = i < full ? '#' : '.';
            bar[24] = '\0';
            fprintf(stderr, "[%s] ", bar);
        }
        fprintf(stderr, "%3.0f%% %llu/%llu %s", part * 100, (unsigned long long)done, (unsigned long long)p->total, p->unit);
    } else {
        fprintf(stderr, "%s %llu %s", p->what, (unsigned long long)done, p->unit);
    }
    fprintf(stderr, ", %.*f %s/s", rate < 10 ? 2 : 0, rate, p->unit);
    if (p->total && rate > 0 && done < p->total) {
        fprintf(stderr, ", ");
        print_duration((double)(p->total - done) / rate);
        fprintf(stderr, " left");
    } else if (done >= p->total) {
        fprintf(stderr, ", took ");
        print_duration(elapsed);
    }
    if (extra && *extra) fprintf(stderr, ", %s", extra);
    if (!p->tty) fputc('\n', stderr);
    fflush(stderr);
    bar_on_screen = p->tty;
    p->last_s = now;
}

void progress_begin(struct progress *p, const char *what, const char *unit, uint64_t total) {
    double now = log_now_s();
    *p = (struct progress){.what = what, .unit = unit, .total = total, .start_s = now, .last_s = now, .tty = isatty(2)};
}

void progress_update(struct progress *p, uint64_t done, const char *extra) {
    if (log_level < LOG_INFO || (p->total && done >= p->total)) return; /* the last one is progress_end's */
    double now = log_now_s();
    if (now - p->start_s < 2.0 || now - p->last_s < (p->tty ? 0.1 : 10.0)) return;
    progress_draw(p, done, extra, now);
}

void progress_end(struct progress *p, uint64_t done, const char *extra) {
    double now = log_now_s();
    if (log_level >= LOG_INFO && now - p->start_s >= 2.0) {
        progress_draw(p, done, extra, now);
        if (p->tty) fputc('\n', stderr);
    }
    bar_on_screen = false;
}
