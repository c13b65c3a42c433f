#define _POSIX_C_SOURCE 200809L
#include "serve/scorer.h"

#include <math.h>
#include <string.h>
#include <time.h>

#include "base/log.h"

status serve_scorer_open(struct serve_scorer *s, const struct score_options *o) {
    pthread_mutex_init(&s->lock, NULL);
    return score_one_open(&s->one, o);
}

void serve_scorer_release(struct serve_scorer *s) {
    score_one_release(&s->one);
    pthread_mutex_destroy(&s->lock);
}

/* One question, answered on this thread or on the engine's; messages of failures are their thread's. */
struct question {
    struct serve_scorer *scorer;
    struct json row;
    struct buf *out, why;
    status status;
};

static void work(void *context) {
    struct question *q = context;
    const size_t before = q->out->size;
    q->status = score_one(q->out, &q->scorer->one, q->row);
    if (q->status == ST_OK) return;
    q->out->size = before;
    buf_append_text(&q->why, status_message());
}

static bool lock_within(struct serve_scorer *s, double timeout_s) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += (time_t)timeout_s;
    until.tv_nsec += (long)((timeout_s - floor(timeout_s)) * 1e9);
    if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
    return pthread_mutex_timedlock(&s->lock, &until) == 0;
}

bool serve_scorer_score(struct buf *out, struct api_error *e, struct serve_scorer *s, struct serve_engine *engine, struct json row,
                        double timeout_s) {
    struct question q = {.scorer = s, .row = row, .out = out};
    bool there = true;
    if (!lock_within(s, timeout_s)) return api_refuse(e, 503, "timeout", NULL, "the scorer was busy for longer than this server allows");
    if (s->one.o->source->flags & REWARD_NEEDS_MODEL)
        there = serve_engine_visit(engine, work, &q);
    else
        work(&q);
    pthread_mutex_unlock(&s->lock);
    const bool wrong = q.status == ST_FORMAT || q.status == ST_UNSUPPORTED;
    if (!there)
        api_refuse(e, 503, "draining", NULL, "the server is ending and takes no more requests");
    else if (wrong)
        api_refuse(e, 400, NULL, NULL, "this answer has no score: %s", buf_text(&q.why));
    else if (q.status != ST_OK) { /* what a program of the user's said is not for clients */
        log_error("scorer: %s", buf_text(&q.why));
        api_refuse(e, 500, NULL, NULL, "the scorer failed; the server's log says why");
    }
    buf_release(&q.why);
    return there && q.status == ST_OK;
}

void serve_scorer_describe(struct buf *out, const struct serve_scorer *s) {
    const struct score_options *o = s->one.o;
    const bool model = o->source->flags & REWARD_NEEDS_MODEL, mapped = o->scale == SCORE_QUANTILES;
    const char *name = model ? strrchr(o->reward.model, '/') : o->reward.rule;
    buf_append_text(out, "{\"source\": ");
    json_put_text(out, o->source->name);
    buf_printf(out, ", \"%s\": ", model ? "model" : "rule");
    json_put_text(out, !model ? name : name && name[1] ? name + 1 : o->reward.model);
    buf_append_text(out, ", \"low\": ");
    json_put_double(out, mapped ? s->one.map.low : model ? (double)NAN : o->low); /* NaN is null */
    buf_append_text(out, ", \"high\": ");
    json_put_double(out, mapped ? s->one.map.high : model ? (double)NAN : o->high);
    buf_append_char(out, '}');
}
