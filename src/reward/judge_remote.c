/* judge_remote: the judge behind an OpenAI-compatible endpoint (net/remote.h). */
#include <stdlib.h>

#include "net/remote.h"
#include "reward/judge.h"

struct remote_judge {
    const struct judge_options *o;
    struct judge_scale scale;
    struct reward_tally *tally;
    struct remote *remote;
    struct remote_calls calls;
};

/* Answers that could not be read are asked for again at temperature 1: at 0 they would come again. */
static void put(void *context, struct buf *out, const struct remote_question *asked) {
    const struct remote_judge *x = context;
    const struct judge_question *q = (const struct judge_question *)asked;
    buf_append_text(out, "{\"model\": ");
    json_put_text(out, x->o->remote.model);
    buf_append_text(out, ", \"messages\": [{\"role\": \"user\", \"content\": ");
    json_put_string(out, buf_text(&q->text), q->text.size);
    buf_printf(out, "}], \"temperature\": %d", asked->tries ? 1 : 0);
    if (asked->tries) buf_printf(out, ", \"seed\": %lld", (long long)asked->tries);
    buf_printf(out, ", \"max_tokens\": %lld", (long long)x->o->remote.max_tokens);
    if (x->o->logprobs) buf_append_text(out, ", \"logprobs\": true, \"top_logprobs\": 20");
    buf_append_char(out, '}');
}

static status read(void *context, struct remote_question *asked, const struct remote_answer *a) {
    struct remote_judge *x = context;
    struct judge_question *q = (struct judge_question *)asked;
    size_t at, size;
    bool there = false;
    TRY(judge_read(&q->value, &at, &size, &x->scale, buf_text(&a->text), a->text.size));
    if (x->o->logprobs) TRY(judge_weigh(&q->value, &there, &x->scale, a->logprobs, at, size));
    x->tally->judge_without_logprobs += x->o->logprobs && !there;
    buf_release(&q->text);
    return ST_OK;
}

static status open_remote(void **state, struct reward *r, const struct reward_options *o, const struct judge_scale *scale) {
    struct remote_judge *x = *state = mem_zero(1, sizeof *x);
    x->o = &o->judge;
    x->scale = *scale;
    x->tally = &r->tally;
    x->calls = (struct remote_calls){x, put, read};
    return remote_open(&x->remote, &o->judge.remote, &x->calls);
}

static void release(void *state) {
    struct remote_judge *x = state;
    remote_free(x->remote);
    free(x);
}

static void count(struct remote_judge *x) {
    const struct remote_counts *c = remote_counted(x->remote);
    struct reward_tally *t = x->tally;
    t->judge_asked = c->asked;
    t->judge_cached = c->cached;
    t->requests_sent = c->requests_sent;
    t->requests_repeated = c->requests_repeated;
    t->requests_limited = c->requests_limited;
    t->judge_bad_answers = c->bad_answers;
    t->judge_given_up = c->given_up;
    t->prompt_tokens = c->prompt_tokens;
    t->completion_tokens = c->completion_tokens;
    t->cost_millionths = c->cost_millionths;
    t->cost_cached_millionths = c->cost_cached_millionths;
}

static status ask(void *state, struct judge_question *q) {
    struct remote_judge *x = state;
    status s = remote_ask(x->remote, &q->remote);
    count(x);
    return s;
}

static status work(void *state, bool all, bool *stuck) {
    struct remote_judge *x = state;
    (void)all;
    *stuck = !remote_waiting(x->remote);
    if (*stuck) return ST_OK;
    status s = remote_work(x->remote);
    count(x);
    return s;
}

const struct judge_backend judge_remote = {open_remote, ask, work, NULL, REMOTE_WAITING_MAX, release};
