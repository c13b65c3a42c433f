/* judge_remote: the judge behind an OpenAI-compatible endpoint. Every answer goes into the cache before it is looked at, so that a run that was
 * stopped goes on where it was, and repeats none that it has. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/utf8.h"
#include "net/cache.h"
#include "net/http.h"
#include "reward/judge.h"

struct remote {
    const struct judge_options *o;
    struct judge_scale scale;
    struct reward_tally *tally;
    struct http *http;
    struct cache cache;
    struct judge_question *waiting; /* whose request is under way, or the same as one that is */
    struct buf body, text, answer;  /* scratch */
};

/* A member of the body, unless --request-extra has one of that name. */
static bool put_name(struct remote *x, const char *name) {
    if (json_get(x->o->extra, name).size) return false;
    buf_printf(&x->body, "%s\"%s\": ", x->body.size > 1 ? ", " : "", name);
    return true;
}

/* Answers that could not be read are asked for again at temperature 1: at 0 they would come again. */
static void put_body(struct remote *x, const struct judge_question *q) {
    struct json_iter it = json_iter_begin(x->o->extra);
    struct json key, value;
    buf_clear(&x->body);
    buf_append_char(&x->body, '{');
    if (put_name(x, "model")) json_put_text(&x->body, x->o->model);
    if (put_name(x, "messages")) {
        buf_append_text(&x->body, "[{\"role\": \"user\", \"content\": ");
        json_put_string(&x->body, buf_text(&q->text), q->text.size);
        buf_append_text(&x->body, "}]");
    }
    if (put_name(x, "temperature")) buf_append_text(&x->body, q->tries ? "1" : "0");
    if (q->tries && put_name(x, "seed")) buf_printf(&x->body, "%lld", (long long)q->tries);
    if (put_name(x, "max_tokens")) buf_printf(&x->body, "%lld", (long long)x->o->max_tokens);
    if (x->o->logprobs && put_name(x, "logprobs")) buf_append_text(&x->body, "true");
    if (x->o->logprobs && put_name(x, "top_logprobs")) buf_append_text(&x->body, "20");
    while (json_iter_next(&it, &key, &value)) {
        if (json_kind_of(value) == JSON_NULL) continue; /* leaves ours out */
        buf_append_text(&x->body, x->body.size > 1 ? ", " : "");
        buf_append(&x->body, key.text, key.size);
        buf_append_text(&x->body, ": ");
        buf_append(&x->body, value.text, value.size);
    }
    buf_append_char(&x->body, '}');
}

/* The number of the try counts too, since --request-extra may make all bodies the same. */
static void make_key(struct judge_question *q, const struct buf *body) {
    struct buf b = {0};
    buf_printf(&b, "%lld ", (long long)q->tries);
    buf_append(&b, body->data, body->size);
    cache_key(q->key, b.data, b.size);
    buf_release(&b);
}

static status open_remote(void **state, struct reward *r, const struct reward_options *o, const struct judge_scale *scale) {
    struct remote *x = *state = mem_zero(1, sizeof *x);
    const struct judge_options *j = x->o = &o->judge;
    struct buf url = {0};
    static const char path[] = "/chat/completions";
    const size_t n = strlen(j->endpoint), tail = sizeof path - 1;
    x->cache.file = -1;
    x->scale = *scale;
    x->tally = &r->tally;
    buf_append(&url, j->endpoint, n && j->endpoint[n - 1] == '/' ? n - 1 : n);
    if (url.size < tail || strcmp(buf_text(&url) + url.size - tail, path) != 0)
        if (!memchr(buf_text(&url), '?', url.size)) buf_append_text(&url, path);
    /* A token with its 20 likeliest takes 1.5 KiB of JSON. */
    const size_t room = ((size_t)1 << 20) + ((size_t)4096 * (size_t)j->max_tokens), most = (size_t)48 << 20;
    const int64_t seed[2] = {(int64_t)time(NULL), (int64_t)getpid()};
    status s = http_open(&x->http, &(struct http_options){.url = buf_text(&url), .secret = j->secret, .concurrency = j->concurrency,
                                                          .per_minute = j->per_minute, .timeout_ms = j->timeout_ms, .tries = j->request_tries,
                                                          .wait_ms = j->wait_ms, .answer_max = room < most ? room : most,
                                                          .seed = hash_bytes(seed, sizeof seed, 0)});
    buf_release(&url);
    if (s != ST_OK) return status_note(s, "--endpoint: ");
    return cache_open(&x->cache, j->cache);
}

static status keep(const char *key, struct json *answer, struct remote *x, const struct http_answer *a);

/* What is under way is paid for: its answers are kept, nothing more is sent. */
static void drain(struct remote *x) {
    struct http_answer a;
    struct json answer;
    struct buf why = {0}; /* the run ends: the message of that stays the last */
    buf_append_text(&why, status_message());
    http_stop(x->http);
    while (http_pending(x->http) && http_wait(&a, x->http) == ST_OK)
        if (!a.problem && keep(((const struct judge_question *)a.user)->key, &answer, x, &a) != ST_OK) break;
    (void)FAIL(ST_IO, "%s", buf_text(&why));
    buf_release(&why);
}

static void release(void *state) {
    struct remote *x = state;
    if (x->http && http_pending(x->http)) drain(x);
    http_free(x->http);
    cache_release(&x->cache);
    buf_release(&x->body);
    buf_release(&x->text);
    buf_release(&x->answer);
    free(x);
}

static void count_usage(struct remote *x, const struct judge_usage *u, bool cached) {
    const double cost = (double)u->prompt * x->o->price_input + (double)u->completion * x->o->price_output;
    if (cached) {
        x->tally->judge_cached++;
        x->tally->cost_cached_millionths += (uint64_t)llround(cost);
        return;
    }
    x->tally->prompt_tokens += u->prompt;
    x->tally->completion_tokens += u->completion;
    x->tally->cost_millionths += (uint64_t)llround(cost);
}

/* What an answer says; ST_FORMAT: nothing that can be used. */
static status read_answer(struct judge_question *q, struct remote *x, struct json answer, bool cached) {
    struct json logprobs;
    struct judge_usage usage;
    size_t at, size;
    bool there = false;
    status s = judge_answer_parse(&x->text, &logprobs, &usage, answer);
    count_usage(x, &usage, cached);
    if (s == ST_OK) s = judge_read(&q->value, &at, &size, &x->scale, buf_text(&x->text), x->text.size);
    if (s == ST_OK && x->o->logprobs) s = judge_weigh(&q->value, &there, &x->scale, logprobs, at, size);
    if (s == ST_OK) x->tally->judge_without_logprobs += x->o->logprobs && !there;
    return s;
}

static void settle(struct judge_question *q, enum judge_state state) {
    q->state = state;
    buf_release(&q->text);
}

/* An answer that cannot be used: is the question given up? The message is that of the failure. */
static status not_read(struct judge_question *q, struct remote *x, bool final) {
    q->tries++;
    x->tally->judge_bad_answers++;
    if (!final && q->tries < x->o->answer_tries) return ST_OK;
    if (x->o->stop_on_bad) {
        struct buf why = {0};
        utf8_put_clean(&why, status_message(), strlen(status_message()));
        status s = FAIL(ST_IO, "row of line %llu: after %lld answers of the judge: %s (--on-bad-answer null goes on)", (unsigned long long)q->line,
            (long long)q->tries, buf_text(&why));
        buf_release(&why);
        return s;
    }
    x->tally->judge_given_up++;
    settle(q, JUDGE_GIVEN_UP);
    return ST_OK;
}

/* Answers q from the cache as far as it goes; then q is done, or its body and key are those of the next request. */
static status from_cache(struct judge_question *q, struct remote *x) {
    for (;;) {
        bool found;
        struct json answer;
        put_body(x, q);
        make_key(q, &x->body);
        buf_clear(&x->answer);
        TRY(cache_get(&found, &x->answer, &x->cache, q->key));
        if (!found) return ST_OK;
        TRY(json_parse(&answer, buf_text(&x->answer), x->answer.size));
        status s = read_answer(q, x, answer, true);
        if (s == ST_OK) {
            settle(q, JUDGE_ANSWERED);
            return ST_OK;
        }
        if (s != ST_FORMAT) return s;
        TRY(not_read(q, x, false));
        if (q->state != JUDGE_ASKED) return ST_OK;
    }
}

static status send(struct judge_question *q, struct remote *x) {
    TRY(from_cache(q, x));
    if (q->state != JUDGE_ASKED) return ST_OK;
    bool under_way = false;
    for (const struct judge_question *w = x->waiting; w && !under_way; w = w->next) under_way = strcmp(w->key, q->key) == 0;
    q->next = x->waiting;
    x->waiting = q;
    if (!under_way) http_post(x->http, x->body.data, x->body.size, q);
    return ST_OK;
}

static status ask(void *state, struct judge_question *q) {
    struct remote *x = state;
    x->tally->judge_asked++;
    return send(q, x);
}

/* The answer as a JSON value, put into the cache: what is no JSON is kept as a text, so that it is not asked for again either. */
static status keep(const char *key, struct json *answer, struct remote *x, const struct http_answer *a) {
    const char *text = buf_text(a->body);
    size_t size = a->body->size;
    while (size && strchr(" \t\r\n", text[size - 1])) size--;
    while (size && strchr(" \t\r\n", *text)) text++, size--;
    if (a->too_long || json_parse(answer, text, size) != ST_OK) {
        struct buf clean = {0};
        utf8_put_clean(&clean, text, size < 2000 ? size : 2000);
        buf_clear(&x->answer);
        json_put_string(&x->answer, buf_text(&clean), clean.size);
        buf_release(&clean);
        TRY(json_parse(answer, buf_text(&x->answer), x->answer.size));
    }
    return cache_put(&x->cache, key, *answer);
}

/* What a server says beside its no, for a message: without the secret, should it repeat it. */
static void put_said(struct buf *out, const struct remote *x, const struct buf *body) {
    struct buf clean = {0};
    const char *secret = x->o->secret;
    const size_t n = secret ? strlen(secret) : 0;
    utf8_put_clean(&clean, buf_text(body), body->size < 500 ? body->size : 500);
    for (const char *at = buf_text(&clean); *at;) {
        if (n && strncmp(at, secret, n) == 0) {
            buf_append_text(out, "***");
            at += n;
        } else {
            buf_append_char(out, (unsigned char)*at < ' ' ? ' ' : *at);
            at++;
        }
    }
    buf_release(&clean);
}

static status refused(const struct remote *x, status code, const struct http_answer *a) {
    struct buf said = {0};
    put_said(&said, x, a->body);
    status s = FAIL(code, "%s: %s after %lld %s%s%s", http_shown(x->http), a->problem, (long long)a->tries, a->tries == 1 ? "try" : "tries",
        said.size ? ": " : "", buf_text(&said));
    buf_release(&said);
    return s;
}

/* Is it a no? Nonsense without end is an answer. */
static bool is_refusal(const struct http_answer *a) { return a->problem && !(a->too_long && a->code >= 200 && a->code <= 299); }

/* One question's answer, or its refusal: done with, or asked again. */
static status take(struct judge_question *q, struct remote *x, const struct http_answer *a, struct json answer, bool repeated) {
    const bool final = is_refusal(a);
    status s = final ? refused(x, ST_FORMAT, a) : read_answer(q, x, answer, repeated);
    if (s == ST_OK) {
        settle(q, JUDGE_ANSWERED);
        return ST_OK;
    }
    if (s != ST_FORMAT) return s;
    TRY(not_read(q, x, final));
    return q->state == JUDGE_ASKED ? send(q, x) : ST_OK;
}

static status take_all(struct remote *x, const struct http_answer *a, const char *key) {
    struct json answer = {0};
    struct judge_question *mine = NULL, **at = &x->waiting;
    const bool refusal = is_refusal(a);
    if (refusal && a->code != 400 && a->code != 413 && a->code != 422) {
        status s = refused(x, ST_IO, a);
        return x->cache.path ? status_note(s, "the answers so far are in %s, and the same command goes on from there. ", x->cache.path) : s;
    }
    if (!refusal) TRY(keep(key, &answer, x, a));
    while (*at) {
        struct judge_question *q = *at;
        if (strcmp(q->key, key) != 0) {
            at = &q->next;
            continue;
        }
        *at = q->next;
        q->next = mine;
        mine = q;
    }
    struct buf text = {0}; /* the answer may stand in scratch that the next request wants */
    buf_append(&text, answer.text ? answer.text : "", answer.size);
    answer.text = buf_text(&text);
    status s = ST_OK;
    for (bool repeated = false; mine && s == ST_OK; repeated = true) {
        struct judge_question *q = mine;
        mine = q->next;
        s = take(q, x, a, answer, repeated);
    }
    buf_release(&text);
    return s;
}

static status work(void *state, bool all, bool *stuck) {
    struct remote *x = state;
    struct http_answer a;
    char key[HASH_HEX_SIZE];
    (void)all;
    *stuck = !x->waiting;
    if (*stuck) return ST_OK;
    TRY(http_wait(&a, x->http));
    memcpy(key, ((const struct judge_question *)a.user)->key, sizeof key);
    status s = take_all(x, &a, key);
    const struct http_counts *c = http_counted(x->http);
    x->tally->requests_sent = c->sent;
    x->tally->requests_repeated = c->retried;
    x->tally->requests_limited = c->rate_limited;
    return s;
}

const struct judge_backend judge_remote = {open_remote, ask, work, NULL, 512, release};
