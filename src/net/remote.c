#include "net/remote.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/rng.h"
#include "base/utf8.h"
#include "net/cache.h"
#include "net/http.h"

struct remote {
    const struct remote_options *o;
    const struct remote_calls *calls;
    struct remote_counts counts;
    struct http *http;
    struct cache cache;
    struct remote_question *waiting; /* whose request is under way, or the same as one that is */
    size_t waiting_count;
    struct buf asked, body, cached; /* scratch */
    struct remote_answer answer;
};

/* ---- answers ---- */

static uint64_t count_of(struct json usage, const char *name) {
    int64_t n;
    return json_int(&n, json_get(usage, name)) && n > 0 && n <= 1000000000 ? (uint64_t)n : 0; /* more is no count */
}

status remote_answer_parse(struct remote_answer *out, struct json answer) {
    const struct json counts = json_get(answer, "usage");
    out->prompt_tokens = count_of(counts, "prompt_tokens");
    out->completion_tokens = count_of(counts, "completion_tokens");
    out->root = answer;
    out->logprobs = out->finish = (struct json){0};
    buf_clear(&out->text);
    struct json_iter it = json_iter_begin(json_get(answer, "choices"));
    struct json key, choice;
    if (json_kind_of(answer) != JSON_OBJECT) return FAIL(ST_FORMAT, "the answer is no JSON object");
    if (json_kind_of(json_get(answer, "choices")) != JSON_ARRAY || !json_iter_next(&it, &key, &choice))
        return FAIL(ST_FORMAT, "the answer has no choices");
    const struct json message = json_get(choice, "message");
    if (!json_string(&out->text, message.size ? json_get(message, "content") : json_get(choice, "text")))
        return FAIL(ST_FORMAT, "the answer's message has no text");
    out->finish = json_get(choice, "finish_reason");
    out->logprobs = json_get(json_get(choice, "logprobs"), "content");
    if (json_kind_of(out->logprobs) != JSON_ARRAY) out->logprobs = (struct json){0};
    return ST_OK;
}

/* ---- requests ---- */

enum remote_goal_as remote_goal_as_parse(const char *name) {
    static const char *const names[] = {"prompt", "field", "suffix"};
    size_t i = 0;
    while (i < 3 && strcmp(names[i], name) != 0) i++;
    CHECK(i < 3);
    return (enum remote_goal_as)i;
}

static void put_goal(struct buf *out, const char *goal) {
    struct json parsed;
    buf_append_text(out, ", \"goal\": ");
    if (json_parse(&parsed, goal, strlen(goal)) == ST_OK && json_kind_of(parsed) == JSON_NUMBER)
        buf_append_text(out, goal);
    else
        json_put_text(out, goal);
}

uint64_t remote_seed(uint64_t seed, uint64_t row, uint64_t sample) {
    struct rng g = rng_at(seed, row, sample, 0); /* a sum would give seed 43 most of what seed 42 had */
    return (row || sample ? rng_u64(&g) : seed) & (((uint64_t)1 << 53) - 1);
}

void remote_put_model(struct buf *out, const char *model, const char *goal, enum remote_goal_as as) {
    struct buf name = {0};
    buf_append_text(&name, model);
    if (goal && as == REMOTE_GOAL_SUFFIX) buf_printf(&name, "@goal=%s", goal);
    buf_append_text(out, "\"model\": ");
    json_put_string(out, name.data, name.size);
    if (goal && as == REMOTE_GOAL_FIELD) put_goal(out, goal);
    buf_release(&name);
}

static void put_member(struct buf *out, struct json key, struct json value) {
    buf_append_text(out, out->size > 1 ? ", " : "");
    buf_append(out, key.text, key.size);
    buf_append_text(out, ": ");
    buf_append(out, value.text, value.size);
}

/* The caller's members, unless --request-extra has one of that name, then those. */
static status put_body(struct remote *c, const struct remote_question *q) {
    struct json request, key, value;
    buf_clear(&c->asked);
    buf_clear(&c->body);
    c->calls->put(c->calls->context, &c->asked, q);
    if (json_parse(&request, buf_text(&c->asked), c->asked.size) != ST_OK)
        return status_note(ST_USAGE, "the request to %s: ", http_shown(c->http));
    buf_append_char(&c->body, '{');
    for (struct json_iter it = json_iter_begin(request); json_iter_next(&it, &key, &value);) {
        char *name = json_text(key);
        if (!json_get(c->o->extra, name).size) put_member(&c->body, key, value);
        free(name);
    }
    for (struct json_iter it = json_iter_begin(c->o->extra); json_iter_next(&it, &key, &value);)
        if (json_kind_of(value) != JSON_NULL) put_member(&c->body, key, value); /* null leaves ours out */
    buf_append_char(&c->body, '}');
    return ST_OK;
}

/* The number of the try counts too, since --request-extra may make all bodies the same. */
static void make_key(struct remote_question *q, const struct buf *body) {
    struct buf b = {0};
    buf_printf(&b, "%lld ", (long long)q->tries);
    buf_append(&b, body->data, body->size);
    cache_key(q->key, b.data, b.size);
    buf_release(&b);
}

static status open_http(struct remote *c) {
    const struct remote_options *o = c->o;
    struct buf url = {0};
    const char *path = o->text ? "/completions" : "/chat/completions";
    const size_t n = strlen(o->endpoint), tail = strlen(path);
    buf_append(&url, o->endpoint, n && o->endpoint[n - 1] == '/' ? n - 1 : n);
    if (url.size < tail || strcmp(buf_text(&url) + url.size - tail, path) != 0)
        if (!memchr(buf_text(&url), '?', url.size)) buf_append_text(&url, path);
    /* A token with its 20 likeliest takes 1.5 KiB of JSON. */
    const size_t room = ((size_t)1 << 20) + ((size_t)4096 * (size_t)o->max_tokens), most = (size_t)48 << 20;
    const int64_t seed[2] = {(int64_t)time(NULL), (int64_t)getpid()};
    status s = http_open(&c->http, &(struct http_options){.url = buf_text(&url),
                                                          .secret = o->secret,
                                                          .concurrency = o->concurrency,
                                                          .per_minute = o->per_minute,
                                                          .timeout_ms = o->timeout_ms,
                                                          .tries = o->request_tries,
                                                          .wait_ms = o->wait_ms,
                                                          .answer_max = room < most ? room : most,
                                                          .seed = hash_bytes(seed, sizeof seed, 0)});
    buf_release(&url);
    return s == ST_OK ? s : status_note(s, "--endpoint: ");
}

static status keep(const char *key, struct json *answer, struct remote *c, const struct http_answer *a);
static status keep_refusal(const char *key, struct remote *c, const struct http_answer *a);

/* Is it a no? Nonsense without end is an answer. */
static bool is_refusal(const struct http_answer *a) { return a->problem && !(a->too_long && a->code >= 200 && a->code <= 299); }

/* A no to this question, whoever asks it how often; any other is trouble that may pass. */
static bool is_final(const struct http_answer *a) { return is_refusal(a) && (a->code == 400 || a->code == 413 || a->code == 422); }

status remote_open(struct remote **out, const struct remote_options *o, const struct remote_calls *calls) {
    struct remote *c = mem_zero(1, sizeof *c);
    *out = NULL;
    c->o = o;
    c->calls = calls;
    c->cache.file = -1;
    status s = open_http(c);
    if (s == ST_OK) s = cache_open(&c->cache, o->cache);
    if (s == ST_OK)
        *out = c;
    else
        remote_free(c);
    return s;
}

/* What is under way is paid for: its answers are kept, nothing more is sent. */
static void drain(struct remote *c) {
    struct http_answer a;
    struct json answer;
    struct buf why = {0}; /* the run ends: the message of that stays the last */
    buf_append_text(&why, status_message());
    http_stop(c->http);
    while (http_pending(c->http) && http_wait(&a, c->http) == ST_OK) {
        const char *key = ((const struct remote_question *)a.user)->key;
        if ((is_final(&a) ? keep_refusal(key, c, &a) : a.problem ? ST_OK : keep(key, &answer, c, &a)) != ST_OK) break;
    }
    (void)FAIL(ST_IO, "%s", buf_text(&why));
    buf_release(&why);
}

void remote_free(struct remote *c) {
    if (!c) return;
    if (c->http && http_pending(c->http)) drain(c);
    http_free(c->http);
    cache_release(&c->cache);
    buf_release(&c->asked);
    buf_release(&c->body);
    buf_release(&c->cached);
    buf_release(&c->answer.text);
    free(c);
}

static void count_usage(struct remote *c, bool cached) {
    const struct remote_answer *a = &c->answer;
    const double cost = (double)a->prompt_tokens * c->o->price_input + (double)a->completion_tokens * c->o->price_output;
    if (cached) {
        c->counts.cached++;
        c->counts.cost_cached_millionths += (uint64_t)llround(cost);
        return;
    }
    c->counts.prompt_tokens += a->prompt_tokens;
    c->counts.completion_tokens += a->completion_tokens;
    c->counts.cost_millionths += (uint64_t)llround(cost);
}

/* ST_FORMAT: nothing that can be used. */
static status read_answer(struct remote_question *q, struct remote *c, struct json answer, bool cached) {
    status s = remote_answer_parse(&c->answer, answer);
    count_usage(c, cached);
    return s == ST_OK ? c->calls->read(c->calls->context, q, &c->answer) : s;
}

status remote_not_read(struct remote_question *q, struct remote_counts *counts, const struct remote_options *o, bool final) {
    q->tries++;
    counts->bad_answers++;
    if (!final && q->tries < o->answer_tries) return ST_OK;
    if (o->stop_on_bad) {
        struct buf why = {0};
        utf8_put_clean(&why, status_message(), strlen(status_message()));
        status s =
            FAIL(ST_IO, "%s %llu: after %lld answers of the %s: %s%s%s%s", o->item, (unsigned long long)q->number, (long long)q->tries,
                 o->who, buf_text(&why), o->go_on ? " (" : "", o->go_on ? o->go_on : "", o->go_on ? " goes on)" : "");
        buf_release(&why);
        return s;
    }
    counts->given_up++;
    q->state = REMOTE_GIVEN_UP;
    return ST_OK;
}

/* What keep_refusal wrote; an answer has choices. */
static bool is_kept_refusal(struct json answer) {
    int64_t code;
    return json_kind_of(answer) == JSON_OBJECT && !json_get(answer, "choices").size && json_int(&code, json_get(answer, "rapt_refused"));
}

static status refused_before(struct remote *c, struct json kept) {
    int64_t code = 0;
    struct buf said = {0}, clean = {0};
    (void)json_int(&code, json_get(kept, "rapt_refused"));
    json_string(&said, json_get(kept, "said"));
    utf8_put_clean(&clean, buf_text(&said), said.size < 500 ? said.size : 500);
    c->counts.cached++;
    status s = FAIL(ST_FORMAT, "%s: HTTP %lld before, which is in %s (without that line it is asked again)%s%s", http_shown(c->http),
                    (long long)code, c->cache.path, clean.size ? ": " : "", buf_text(&clean));
    buf_release(&said);
    buf_release(&clean);
    return s;
}

/* Answers q from the cache as far as it goes; then q is done, or its body and key are those of the next request. */
static status from_cache(struct remote_question *q, struct remote *c) {
    for (;;) {
        bool found;
        struct json answer;
        TRY(put_body(c, q));
        make_key(q, &c->body);
        buf_clear(&c->cached);
        TRY(cache_get(&found, &c->cached, &c->cache, q->key));
        if (!found) return ST_OK;
        TRY(json_parse(&answer, buf_text(&c->cached), c->cached.size));
        const bool refusal = is_kept_refusal(answer);
        status s = refusal ? refused_before(c, answer) : read_answer(q, c, answer, true);
        if (s == ST_OK) {
            q->state = REMOTE_ANSWERED;
            return ST_OK;
        }
        if (s != ST_FORMAT) return s;
        TRY(remote_not_read(q, &c->counts, c->o, refusal));
        if (q->state != REMOTE_ASKED) return ST_OK;
    }
}

static status send(struct remote_question *q, struct remote *c) {
    TRY(from_cache(q, c));
    if (q->state != REMOTE_ASKED) return ST_OK;
    bool under_way = false;
    for (const struct remote_question *w = c->waiting; w && !under_way; w = w->next) under_way = strcmp(w->key, q->key) == 0;
    q->next = c->waiting;
    c->waiting = q;
    c->waiting_count++;
    if (!under_way) http_post(c->http, c->body.data, c->body.size, q);
    return ST_OK;
}

status remote_ask(struct remote *c, struct remote_question *q) {
    c->counts.asked++;
    return send(q, c);
}

size_t remote_waiting(const struct remote *c) { return c->waiting_count; }

/* The answer as a JSON value, put into the cache: what is no JSON is kept as a text, so that it is not asked for again either. */
static status keep(const char *key, struct json *answer, struct remote *c, const struct http_answer *a) {
    const char *text = buf_text(a->body);
    size_t size = a->body->size;
    while (size && strchr(" \t\r\n", text[size - 1])) size--;
    while (size && strchr(" \t\r\n", *text)) text++, size--;
    if (a->too_long || json_parse(answer, text, size) != ST_OK) {
        struct buf clean = {0};
        utf8_put_clean(&clean, text, size < 2000 ? size : 2000);
        buf_clear(&c->cached);
        json_put_string(&c->cached, buf_text(&clean), clean.size);
        buf_release(&clean);
        TRY(json_parse(answer, buf_text(&c->cached), c->cached.size));
    }
    return cache_put(&c->cache, key, *answer);
}

/* What a server says beside its no, for a message: without the secret, should it repeat it. */
static void put_said(struct buf *out, const struct remote *c, const struct buf *body) {
    struct buf clean = {0};
    const char *secret = c->o->secret;
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

static status refused(const struct remote *c, status code, const struct http_answer *a) {
    struct buf said = {0};
    put_said(&said, c, a->body);
    status s = FAIL(code, "%s: %s after %lld %s%s%s", http_shown(c->http), a->problem, (long long)a->tries, a->tries == 1 ? "try" : "tries",
                    said.size ? ": " : "", buf_text(&said));
    buf_release(&said);
    return s;
}

/* In the answer's place, with what the server said. */
static status keep_refusal(const char *key, struct remote *c, const struct http_answer *a) {
    struct buf said = {0}, text = {0};
    struct json value;
    put_said(&said, c, a->body);
    buf_printf(&text, "{\"rapt_refused\": %lld, \"said\": ", (long long)a->code);
    json_put_string(&text, buf_text(&said), said.size);
    buf_append_char(&text, '}');
    status s = json_parse(&value, buf_text(&text), text.size);
    if (s == ST_OK) s = cache_put(&c->cache, key, value);
    buf_release(&said);
    buf_release(&text);
    return s;
}

/* One question's answer, or its refusal: done with, or asked again. */
static status take(struct remote_question *q, struct remote *c, const struct http_answer *a, struct json answer, bool repeated) {
    const bool final = is_refusal(a);
    status s = final ? refused(c, ST_FORMAT, a) : read_answer(q, c, answer, repeated);
    if (s == ST_OK) {
        q->state = REMOTE_ANSWERED;
        return ST_OK;
    }
    if (s != ST_FORMAT) return s;
    TRY(remote_not_read(q, &c->counts, c->o, final));
    return q->state == REMOTE_ASKED ? send(q, c) : ST_OK;
}

/* Those that wait for the answer of this key. */
static struct remote_question *take_out(struct remote *c, const char *key) {
    struct remote_question *mine = NULL, **at = &c->waiting;
    while (*at) {
        struct remote_question *q = *at;
        if (strcmp(q->key, key) != 0) {
            at = &q->next;
            continue;
        }
        *at = q->next;
        q->next = mine;
        mine = q;
        c->waiting_count--;
    }
    return mine;
}

static status take_all(struct remote *c, const struct http_answer *a, const char *key) {
    struct json answer = {0};
    const bool refusal = is_refusal(a);
    if (refusal && !is_final(a)) {
        status s = refused(c, ST_IO, a);
        return c->cache.path ? status_note(s, "the answers so far are in %s, and the same command goes on from there. ", c->cache.path) : s;
    }
    TRY(refusal ? keep_refusal(key, c, a) : keep(key, &answer, c, a));
    struct remote_question *mine = take_out(c, key);
    struct buf text = {0}; /* the answer may stand in scratch that the next request wants */
    buf_append(&text, answer.text ? answer.text : "", answer.size);
    answer.text = buf_text(&text);
    status s = ST_OK;
    for (bool repeated = false; mine && s == ST_OK; repeated = true) {
        struct remote_question *q = mine;
        mine = q->next;
        s = take(q, c, a, answer, repeated);
    }
    buf_release(&text);
    return s;
}

status remote_work(struct remote *c) {
    struct http_answer a;
    char key[HASH_HEX_SIZE];
    TRY(http_wait(&a, c->http));
    memcpy(key, ((const struct remote_question *)a.user)->key, sizeof key);
    return take_all(c, &a, key);
}

const struct remote_counts *remote_counted(struct remote *c) {
    const struct http_counts *h = http_counted(c->http);
    c->counts.requests_sent = h->sent;
    c->counts.requests_repeated = h->retried;
    c->counts.requests_limited = h->rate_limited;
    return &c->counts;
}
