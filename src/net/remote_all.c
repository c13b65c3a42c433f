/* remote_all: questions that are there from the start, asked to the last. */
#include "base/log.h"
#include "net/remote.h"

static status ask(struct remote *c, struct progress *bar, void *questions, size_t size, size_t count) {
    for (size_t i = 0; i < count; i++) {
        TRY(remote_ask(c, (struct remote_question *)((char *)questions + i * size)));
        while (remote_waiting(c) >= REMOTE_WAITING_MAX) {
            TRY(remote_work(c));
            progress_update(bar, i + 1 - remote_waiting(c), NULL);
        }
    }
    while (remote_waiting(c)) {
        TRY(remote_work(c));
        progress_update(bar, count - remote_waiting(c), NULL);
    }
    return ST_OK;
}

status remote_ask_all(struct remote_counts *counts, const struct remote_options *o, const struct remote_calls *calls, void *questions,
                      size_t size, size_t count, const char *command, const char *name) {
    struct remote *c;
    struct progress bar;
    *counts = (struct remote_counts){0};
    TRY(remote_open(&c, o, calls));
    progress_begin(&bar, command, name, count);
    const status code = ask(c, &bar, questions, size, count);
    progress_end(&bar, code == ST_OK ? count : 0, NULL);
    *counts = *remote_counted(c);
    remote_free(c); /* before the questions that it knows */
    return code;
}
