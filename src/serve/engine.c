#define _POSIX_C_SOURCE 200809L
#include "serve/engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/pages.h"
#include "base/utf8.h"

void serve_request_init(struct serve_request *r, struct serve_target *target, size_t choice_count) {
    pthread_condattr_t attributes;
    *r = (struct serve_request){
        .target = target, .choice_count = choice_count, .sampler = sampler_options_default(), .begun_s = log_now_s()};
    r->choices = mem_zero(choice_count, sizeof *r->choices);
    for (size_t i = 0; i < choice_count; i++) r->choices[i].request = r;
    pthread_mutex_init(&r->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&r->changed, &attributes);
    pthread_condattr_destroy(&attributes);
}

void serve_request_release(struct serve_request *r) {
    for (size_t i = 0; i < r->choice_count; i++) {
        struct serve_choice *c = &r->choices[i];
        buf_release(&c->text);
        free(c->tokens);
        free(c->odds);
        free(c->prompt_odds);
    }
    for (size_t i = 0; i < r->stops.count; i++) buf_release(&r->stops.text[i]);
    free(r->choices);
    free(r->why);
    pthread_mutex_destroy(&r->lock);
    pthread_cond_destroy(&r->changed);
    *r = (struct serve_request){0};
}

bool serve_request_over(const struct serve_request *r) { return r->over == r->choice_count; }

void serve_request_wait(struct serve_request *r, long timeout_ms) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += timeout_ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
    pthread_cond_timedwait(&r->changed, &r->lock, &until);
}

status serve_engine_init(struct serve_engine *e, struct serve_target *targets, const struct serve_model *models, size_t count,
                         const struct serve_sizes *sizes, size_t queue_max) {
    const struct sampler_options sampler = sampler_options_default();
    const size_t memory = pages_physical();
    size_t bytes = 0;
    *e = (struct serve_engine){.targets = targets, .target_count = count, .queue_max = queue_max};
    e->last = &e->first;
    pthread_mutex_init(&e->lock, NULL);
    pthread_cond_init(&e->work, NULL);
    pthread_cond_init(&e->visited, NULL);
    serve_metrics_init(&e->metrics);
    for (size_t i = 0; i < count; i++) {
        struct model *m = models[i].model;
        const struct decode_options o = {.batch = sizes->batch,
                                         .length = sizes->length < m->config.max_position ? sizes->length : m->config.max_position,
                                         .sampler = sampler,
                                         .odds = true};
        if (!size_add(&bytes, bytes, decoder_bytes(m, &o)) || (memory && bytes > memory))
            return FAIL(ST_NOMEM,
                        "%zu sequences of %zu tokens for each of %zu models may need more than the %.1f GB that this machine has; lower "
                        "--batch-size or --max-length",
                        sizes->batch, o.length, count, (double)memory / 1e9);
        TRY(decoder_init(&targets[i].decoder, m, models[i].theta, &o));
    }
    return ST_OK;
}

void serve_engine_release(struct serve_engine *e) {
    for (size_t i = 0; i < e->target_count; i++)
        if (e->targets[i].decoder.model) decoder_release(&e->targets[i].decoder);
    pthread_mutex_destroy(&e->lock);
    pthread_cond_destroy(&e->work);
    pthread_cond_destroy(&e->visited);
    serve_metrics_release(&e->metrics);
    *e = (struct serve_engine){0};
}

/* The engine lets go of a choice. Its request may be gone as soon as the lock is. */
static void let_go(struct serve_choice *c, enum serve_finish finish, const char *why) {
    struct serve_request *r = c->request;
    pthread_mutex_lock(&r->lock);
    c->finish = finish;
    c->ready = c->text.size;
    if (why && !r->why) r->why = mem_text(why);
    r->over++;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

enum serve_admission serve_engine_submit(struct serve_engine *e, struct serve_request *r) {
    enum serve_admission result = SERVE_TAKEN;
    pthread_mutex_lock(&e->lock);
    if (e->draining)
        result = SERVE_DRAINING;
    else if (r->choice_count > e->queue_max || e->queued > e->queue_max - r->choice_count)
        result = SERVE_QUEUE_FULL;
    for (size_t i = 0; result == SERVE_TAKEN && i < r->choice_count; i++) {
        *e->last = &r->choices[i];
        e->last = &r->choices[i].later;
        e->queued++;
    }
    if (result == SERVE_TAKEN) pthread_cond_signal(&e->work);
    pthread_mutex_unlock(&e->lock);
    return result;
}

/* With the lock held. */
static struct serve_choice *unlink_choice(struct serve_engine *e, struct serve_choice **at) {
    struct serve_choice *c = *at;
    *at = c->later;
    if (e->last == &c->later) e->last = at;
    c->later = NULL;
    e->queued--;
    return c;
}

void serve_engine_cancel(struct serve_engine *e, struct serve_request *r) {
    atomic_store(&r->cancelled, true);
    pthread_mutex_lock(&e->lock);
    for (struct serve_choice **at = &e->first; *at;) {
        if ((*at)->request == r)
            let_go(unlink_choice(e, at), SERVE_CANCELLED, NULL);
        else
            at = &(*at)->later;
    }
    pthread_mutex_unlock(&e->lock);
}

void serve_engine_cancel_all(struct serve_engine *e) {
    pthread_mutex_lock(&e->lock);
    while (e->first) {
        struct serve_choice *c = unlink_choice(e, &e->first);
        atomic_store(&c->request->cancelled, true);
        let_go(c, SERVE_CANCELLED, NULL);
    }
    for (size_t i = 0; i < e->target_count; i++)
        for (struct serve_choice *c = e->targets[i].running; c; c = c->later) atomic_store(&c->request->cancelled, true);
    pthread_mutex_unlock(&e->lock);
}

void serve_engine_drain(struct serve_engine *e) {
    pthread_mutex_lock(&e->lock);
    e->draining = true;
    pthread_cond_signal(&e->work);
    pthread_mutex_unlock(&e->lock);
}

bool serve_engine_draining(struct serve_engine *e) {
    pthread_mutex_lock(&e->lock);
    const bool draining = e->draining;
    pthread_mutex_unlock(&e->lock);
    return draining;
}

/* The decoder's calls. */
struct turn {
    struct serve_engine *engine;
    struct serve_target *target;
};

static status next(void *context, struct decode_job *job, bool *end) {
    const struct turn *t = context;
    struct serve_engine *e = t->engine;
    struct serve_choice *c = NULL;
    pthread_mutex_lock(&e->lock);
    for (struct serve_choice **at = &e->first; *at && !c;) {
        if ((*at)->request->target == t->target)
            c = unlink_choice(e, at);
        else
            at = &(*at)->later;
    }
    if (c) {
        e->running++;
        c->later = t->target->running;
        t->target->running = c;
    }
    pthread_mutex_unlock(&e->lock);
    *end = !c;
    if (!c) return ST_OK;
    const struct serve_request *r = c->request;
    *job = (struct decode_job){.prompt = c->prompt,
                               .prompt_count = c->prompt_count,
                               .max_new = c->max_new,
                               .row = c->row,
                               .sample = c->sample,
                               .user = c,
                               .sampler = &r->sampler,
                               .top = r->top,
                               .odds = r->odds && !c->silent ? &c->drawn : NULL,
                               .prompt_odds = c->prompt_odds};
    return ST_OK;
}

static void forget_running(const struct turn *t, struct serve_choice *c) {
    struct serve_choice **at = &t->target->running;
    pthread_mutex_lock(&t->engine->lock);
    while (*at != c) at = &(*at)->later;
    *at = c->later;
    t->engine->running--;
    pthread_mutex_unlock(&t->engine->lock);
}

static bool gone(void *context, const struct decode_job *job) {
    const struct serve_choice *c = job->user;
    (void)context;
    return atomic_load(&c->request->cancelled);
}

static bool is_end(void *context, int32_t id) { return tokenizer_is_end(((const struct turn *)context)->target->tokenizer, id); }

/* Where the first stop string begins in the text from `from` on; SIZE_MAX: nowhere. */
static size_t find_stop(const struct serve_stops *s, const struct buf *text, size_t from) {
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < s->count; i++) {
        const size_t n = s->text[i].size;
        for (size_t at = from; at + n <= text->size && at < best; at++)
            if (memcmp(text->data + at, s->text[i].data, n) == 0) best = at;
    }
    return best;
}

/* Bytes at the text's end that may be the beginning of a stop string. */
static size_t held_back(const struct serve_stops *s, const struct buf *text) {
    size_t most = 0;
    for (size_t i = 0; i < s->count; i++)
        for (size_t n = s->text[i].size - 1; n > most; n--)
            if (n <= text->size && memcmp(text->data + text->size - n, s->text[i].data, n) == 0) most = n;
    return most;
}

static void add_token(struct serve_choice *c, int32_t id) {
    const bool odds = c->request->odds;
    if (c->count == c->capacity) {
        c->capacity = c->capacity ? 2 * c->capacity : 32;
        c->tokens = mem_resize(c->tokens, c->capacity * sizeof *c->tokens);
        if (odds) c->odds = mem_resize(c->odds, c->capacity * sizeof *c->odds);
    }
    c->tokens[c->count] = (struct serve_token){.id = id, .end = c->text.size};
    if (odds) c->odds[c->count] = c->drawn;
    c->count++;
}

static status token(void *context, const struct decode_state *s, bool *stop) {
    const struct turn *t = context;
    struct serve_choice *c = s->job->user;
    const struct serve_request *r = c->request;
    const int32_t id = s->ids[s->count - 1];
    pthread_mutex_lock(&c->request->lock);
    c->prompt_done = true;
    c->reused = s->prompt_reused;
    *stop = c->silent;
    if (!c->silent) {
        const size_t before = c->text.size, from = before > r->stops.longest ? before - r->stops.longest : 0;
        if (!tokenizer_is_end(t->target->tokenizer, id)) tokenizer_decode_next(t->target->tokenizer, &c->detoken, &c->text, id, true);
        const size_t cut = find_stop(&r->stops, &c->text, from);
        if (cut != SIZE_MAX) {
            c->text.size = cut;
            c->cut = *stop = true;
        }
        add_token(c, id);
        const size_t whole = utf8_complete(buf_text(&c->text), c->text.size), open = c->text.size - held_back(&r->stops, &c->text);
        c->ready = c->cut ? c->text.size : whole < open ? whole : open; /* never less than before: a reader may have taken it */
    }
    const bool first = s->count == 1;
    const double waited = log_now_s() - r->begun_s;
    pthread_cond_broadcast(&c->request->changed);
    pthread_mutex_unlock(&c->request->lock);
    serve_metrics_token(&t->engine->metrics, first, waited);
    return ST_OK;
}

static status finish(void *context, const struct decode_state *s) {
    const struct turn *t = context;
    struct serve_choice *c = s->job->user;
    const bool cancelled = atomic_load(&c->request->cancelled) && !c->cut;
    forget_running(t, c);
    if (c->prompt_done) /* a client may have gone before */
        serve_metrics_prompt(&t->engine->metrics, s->job->prompt_count - s->prompt_reused, s->prompt_reused);
    /* a stop string counts also where the last token that was allowed completes it */
    let_go(c, cancelled ? SERVE_CANCELLED : !c->cut && (c->silent || s->finish == DECODE_LENGTH) ? SERVE_LENGTH : SERVE_STOP, NULL);
    return ST_OK;
}

/* One step of a target's decoder. What broke is told to all whose sequences were in it. */
static void take_turn(struct serve_engine *e, struct serve_target *target) {
    struct turn t = {e, target};
    const struct decode_calls calls = {.context = &t, .next = next, .is_end = is_end, .finish = finish, .token = token, .gone = gone};
    bool end = false, busy;
    if (decode_step(&target->decoder, &calls, &end, &busy) == ST_OK) return;
    log_error("%s: %s", target->name, status_message());
    while (target->running) {
        struct serve_choice *c = target->running;
        forget_running(&t, c);
        let_go(c, SERVE_FAILED, status_message());
    }
}

bool serve_engine_visit(struct serve_engine *e, void (*run)(void *context), void *context) {
    struct serve_visit v = {.run = run, .context = context};
    pthread_mutex_lock(&e->lock);
    const bool taken = !e->ended;
    if (taken) {
        CHECK(!e->visit);
        e->visit = &v;
        pthread_cond_signal(&e->work);
        while (!v.done) pthread_cond_wait(&e->visited, &e->lock);
    }
    pthread_mutex_unlock(&e->lock);
    return taken;
}

static void receive_visit(struct serve_engine *e) {
    pthread_mutex_lock(&e->lock);
    struct serve_visit *v = e->visit;
    pthread_mutex_unlock(&e->lock);
    if (!v) return;
    v->run(v->context);
    pthread_mutex_lock(&e->lock);
    e->visit = NULL;
    v->done = true; /* it is gone as soon as the lock is */
    pthread_cond_signal(&e->visited);
    pthread_mutex_unlock(&e->lock);
}

/* Waits for work. False when there will be none any more. */
static bool has_work(struct serve_engine *e) {
    pthread_mutex_lock(&e->lock);
    while (!e->queued && !e->running && !e->visit && !e->draining) pthread_cond_wait(&e->work, &e->lock);
    const bool work = e->queued || e->running || e->visit;
    e->ended = !work;
    pthread_mutex_unlock(&e->lock);
    return work;
}

void serve_engine_run(struct serve_engine *e) {
    while (has_work(e)) {
        receive_visit(e);
        for (size_t i = 0; i < e->target_count; i++) take_turn(e, &e->targets[i]);
    }
}
