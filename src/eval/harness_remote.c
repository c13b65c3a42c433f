#include "eval/harness_remote.h"

#include "base/log.h"

static status ask(struct remote *c, struct progress *bar, void *questions, size_t size, size_t count) {
    for (size_t i = 0; i <= count; i++) { /* behind the last: until none waits */
        if (i < count) TRY(remote_ask(c, (struct remote_question *)((char *)questions + i * size)));
        while (remote_waiting(c) > (i < count ? REMOTE_WAITING_MAX : 0)) {
            TRY(remote_work(c));
            progress_update(bar, (i < count ? i + 1 : count) - remote_waiting(c), NULL);
        }
    }
    return ST_OK;
}

status harness_ask_all(const struct harness_remote *r, const struct remote_calls *calls, void *questions, size_t size, size_t count, const char *name) {
    struct remote_options o = *r->o;
    struct remote *c;
    struct progress bar;
    o.max_tokens = r->max_tokens;
    *r->counts = (struct remote_counts){0};
    TRY(remote_open(&c, &o, calls));
    progress_begin(&bar, "eval", name, count);
    const status code = ask(c, &bar, questions, size, count);
    progress_end(&bar, code == ST_OK ? count : 0, NULL);
    *r->counts = *remote_counted(c);
    remote_free(c); /* before the questions that it knows */
    return code;
}
