#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local char message[2048];

status status_fail(status code, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    return code;
}

status status_note(status code, const char *format, ...) {
    char joined[sizeof message];
    va_list args;
    va_start(args, format);
    int used = vsnprintf(joined, sizeof joined, format, args);
    va_end(args);
    if (used < 0) used = 0;
    size_t at = (size_t)used < sizeof joined ? (size_t)used : sizeof joined - 1;
    snprintf(joined + at, sizeof joined - at, "%s", message);
    memcpy(message, joined, sizeof message);
    return code;
}

const char *status_message(void) { return message; }

const char *status_text(status code) {
#define STATUS_CASE(name, text) \
    case ST_##name: return text;
    switch (code) { STATUS_MAP(STATUS_CASE) }
#undef STATUS_CASE
    return "unknown";
}

void status_abort(const char *file, int line, const char *what) {
    fprintf(stderr, "rapt: bug at %s:%d: %s\n", file, line, what);
    abort();
}
