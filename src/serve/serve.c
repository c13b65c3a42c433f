#define _POSIX_C_SOURCE 200809L
#include "serve/serve.h"

#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/log.h"

#define SWEEP_MS 500

static sem_t told;
static atomic_int signals;

static void on_signal(int number) {
    (void)number;
    atomic_fetch_add(&signals, 1);
    sem_post(&told);
}

/* Beside the engine: looks after slow clients, and begins the drain. */
struct watch {
    struct serve_engine *engine;
    struct serve_http *http;
    atomic_bool ended;
};

static void *watch(void *context) {
    struct watch *w = context;
    bool draining = false;
    while (!atomic_load(&w->ended)) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += SWEEP_MS * 1000000;
        if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
        sem_timedwait(&told, &until);
        if (atomic_load(&signals) && !draining) {
            draining = true;
            log_info("ending: what runs is finished, nothing new is taken; a second signal ends at once");
            serve_engine_drain(w->engine);
        }
        if (atomic_load(&signals) > 1) serve_engine_cancel_all(w->engine);
        serve_http_sweep(w->http);
    }
    return NULL;
}

/* After the last token clients read the rest. One that does not is cut after its idle time, one that reads slowly after that of a whole
 * answer. */
static void wait_for_readers(struct serve_http *h, double timeout_s) {
    const double until = log_now_s() + timeout_s;
    while (serve_http_open_requests(h) && log_now_s() < until && atomic_load(&signals) < 2)
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
}

status serve_run(struct serve_engine *engine, const struct serve_options *o) {
    struct sigaction catch = {.sa_handler = on_signal, .sa_flags = SA_RESTART}, term, interrupt;
    struct watch w = {.engine = engine};
    pthread_t watcher;
    TRY(serve_http_start(&w.http, engine, o));
    sem_init(&told, 0, 0);
    sigemptyset(&catch.sa_mask);
    sigaction(SIGTERM, &catch, &term);
    sigaction(SIGINT, &catch, &interrupt);
    const bool brackets = strchr(o->host, ':') != NULL;
    printf("http://%s%s%s:%u\n", brackets ? "[" : "", o->host, brackets ? "]" : "", serve_http_port(w.http));
    status s = fflush(stdout) == 0 ? ST_OK : FAIL(ST_IO, "cannot write to stdout");
    if (s == ST_OK && pthread_create(&watcher, NULL, watch, &w) != 0) s = FAIL(ST_NOMEM, "cannot start a thread");
    const bool watched = s == ST_OK;
    if (!watched) serve_engine_drain(engine);
    serve_engine_run(engine);
    if (watched) {
        wait_for_readers(w.http, o->timeout_s);
        atomic_store(&w.ended, true);
        sem_post(&told);
        pthread_join(watcher, NULL);
    }
    serve_http_stop(w.http);
    sigaction(SIGTERM, &term, NULL);
    sigaction(SIGINT, &interrupt, NULL);
    sem_destroy(&told);
    return s;
}
