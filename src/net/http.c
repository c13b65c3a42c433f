#include "net/http.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/rng.h"

struct request {
    struct request *next;
    char *text; /* owned */
    size_t size;
    void *user;
    int64_t tries;
    double ready_s; /* not before */
    CURL *easy;     /* under way */
    struct buf answer;
    bool too_long;
    long code;
    char problem[CURL_ERROR_SIZE + 64];
};
struct queue {
    struct request *first, **last;
};
struct http {
    struct http_options o;
    char *url, *shown; /* owned */
    CURLM *multi;
    struct curl_slist *headers;
    struct queue waiting, done;
    struct request *active[HTTP_CONCURRENCY_MAX], *given; /* given: the answer that http_wait handed out last */
    size_t active_count, pending;
    double next_s, hold_s; /* no request begins before: the rate limit; what the server asked for */
    bool stopped;
    struct rng rng;
    struct http_counts counts;
};

static void push(struct queue *q, struct request *r) {
    r->next = NULL;
    *q->last = r;
    q->last = &r->next;
}

static void unlink_at(struct queue *q, struct request **at) {
    struct request *r = *at;
    *at = r->next;
    if (!*at) q->last = at;
    r->next = NULL;
}

static void request_free(struct request *r) {
    if (!r) return;
    if (r->easy) curl_easy_cleanup(r->easy);
    free(r->text);
    buf_release(&r->answer);
    free(r);
}

static size_t receive(char *data, size_t size, size_t count, void *user) {
    struct request *r = user;
    struct http *h;
    size_t n;
    if (!size_mul(&n, size, count) || curl_easy_getinfo(r->easy, CURLINFO_PRIVATE, (char **)&h) != CURLE_OK) return 0;
    const size_t room = h->o.answer_max - r->answer.size;
    r->too_long = n > room;
    buf_append(&r->answer, data, n < room ? n : room);
    return r->too_long ? 0 : n; /* 0 breaks it off */
}

/* A URL that names a user is refused, so that none can end up in a message, a cache or a report. */
static status check_url(struct http *h) {
    CURLU *u = curl_url();
    char *scheme = NULL, *user = NULL, *host = NULL;
    status s = ST_OK;
    if (!u || curl_url_set(u, CURLUPART_URL, h->o.url, 0) != CURLUE_OK || curl_url_get(u, CURLUPART_HOST, &host, 0) != CURLUE_OK)
        s = FAIL(ST_USAGE, "expected an address such as https://host/v1, found something else");
    else if (curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK || (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0))
        s = FAIL(ST_USAGE, "expected an address that begins with http:// or https://");
    else if (curl_url_get(u, CURLUPART_USER, &user, 0) == CURLUE_OK)
        s = FAIL(ST_USAGE, "an address must not hold a user or a password; secrets come from the environment");
    curl_free(scheme);
    curl_free(user);
    curl_free(host);
    curl_url_cleanup(u);
    return s;
}

static status add_header(struct http *h, const char *text) {
    struct curl_slist *more = curl_slist_append(h->headers, text);
    if (!more) return FAIL(ST_NOMEM, "no memory for a request's headers");
    h->headers = more;
    return ST_OK;
}

static status make_headers(struct http *h) {
    TRY(add_header(h, "Content-Type: application/json"));
    TRY(add_header(h, "Accept: application/json"));
    TRY(add_header(h, "Expect:"));
    if (!h->o.secret) return ST_OK;
    for (const char *c = h->o.secret; *c; c++)
        if (*c < ' ' || *c > '~') return FAIL(ST_USAGE, "the secret holds a byte that no header may hold (a line break at its end?)");
    struct buf b = {0};
    buf_printf(&b, "Authorization: Bearer %s", h->o.secret);
    status s = add_header(h, buf_text(&b));
    memset(b.data, 0, b.size);
    buf_release(&b);
    return s;
}

status http_open(struct http **out, const struct http_options *o) {
    struct http *h = mem_zero(1, sizeof *h);
    CHECK(o->concurrency >= 1 && o->concurrency <= HTTP_CONCURRENCY_MAX && o->tries >= 1 && o->answer_max);
    *out = NULL;
    h->o = *o;
    h->url = mem_text(o->url);
    h->shown = mem_text_n(o->url, strcspn(o->url, "?#"));
    h->waiting.last = &h->waiting.first;
    h->done.last = &h->done.first;
    h->rng = rng_seeded(o->seed);
    status s = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK && (h->multi = curl_multi_init())
                   ? ST_OK
                   : FAIL(ST_NOMEM, "libcurl does not start");
    if (s == ST_OK) s = check_url(h);
    if (s == ST_OK) s = make_headers(h);
    if (s == ST_OK)
        *out = h;
    else
        http_free(h);
    return s;
}

static void free_queue(struct queue *q) {
    for (struct request *r = q->first, *next; r; r = next) {
        next = r->next;
        request_free(r);
    }
}

void http_free(struct http *h) {
    if (!h) return;
    for (size_t i = 0; i < h->active_count; i++) {
        curl_multi_remove_handle(h->multi, h->active[i]->easy);
        request_free(h->active[i]);
    }
    free_queue(&h->waiting);
    free_queue(&h->done);
    request_free(h->given);
    curl_slist_free_all(h->headers);
    if (h->multi) curl_multi_cleanup(h->multi);
    free(h->url);
    free(h->shown);
    free(h);
}

void http_post(struct http *h, const char *body, size_t size, void *user) {
    struct request *r = mem_zero(1, sizeof *r);
    r->text = mem_text_n(body, size);
    r->size = size;
    r->user = user;
    push(&h->waiting, r);
    h->pending++;
}

size_t http_pending(const struct http *h) { return h->pending; }
const struct http_counts *http_counted(const struct http *h) { return &h->counts; }
const char *http_shown(const struct http *h) { return h->shown; }

static status begin(struct http *h, struct request *r) {
    CURL *e = r->easy = curl_easy_init();
    if (!e) return FAIL(ST_NOMEM, "no memory for a request");
    buf_clear(&r->answer);
    r->too_long = false;
    r->problem[0] = '\0';
    CURLcode code = curl_easy_setopt(e, CURLOPT_URL, h->url);
#define SET(option, value) \
    if (code == CURLE_OK) code = curl_easy_setopt(e, option, value)
    SET(CURLOPT_POST, 1L);
    SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->size);
    SET(CURLOPT_POSTFIELDS, r->text);
    SET(CURLOPT_HTTPHEADER, h->headers);
    SET(CURLOPT_USERAGENT, "rapt/" RAPT_VERSION);
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_TIMEOUT_MS, (long)h->o.timeout_ms);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)(h->o.timeout_ms < 15000 ? h->o.timeout_ms : 15000));
    SET(CURLOPT_ACCEPT_ENCODING, "");
    SET(CURLOPT_WRITEFUNCTION, receive);
    SET(CURLOPT_WRITEDATA, r);
    SET(CURLOPT_PRIVATE, h);
    SET(CURLOPT_ERRORBUFFER, r->problem);
#undef SET
    if (code != CURLE_OK) return FAIL(ST_IO, "libcurl: %s", curl_easy_strerror(code));
    if (curl_multi_add_handle(h->multi, e) != CURLM_OK) return FAIL(ST_IO, "libcurl takes no more requests");
    h->active[h->active_count++] = r;
    h->counts.sent++;
    h->counts.retried += r->tries > 0;
    r->tries++;
    return ST_OK;
}

/* Begins what may begin now; *next_s is when to look again. */
static status begin_ready(struct http *h, double *next_s) {
    const double now = log_now_s();
    *next_s = now + 1;
    for (struct request **at = &h->waiting.first; *at && h->active_count < (size_t)h->o.concurrency;) {
        struct request *r = *at;
        double from = r->ready_s > h->hold_s ? r->ready_s : h->hold_s;
        if (h->o.per_minute > 0 && h->next_s > from) from = h->next_s;
        if (from > now) {
            if (from < *next_s) *next_s = from;
            at = &r->next;
            continue;
        }
        unlink_at(&h->waiting, at);
        status s = begin(h, r);
        if (s != ST_OK) {
            request_free(r);
            h->pending--;
            return s;
        }
        if (h->o.per_minute > 0) h->next_s = (h->next_s > now ? h->next_s : now) + 60 / h->o.per_minute;
    }
    return ST_OK;
}

static bool may_try_again(const struct request *r, CURLcode result) {
    switch (r->code) {
    case 408:
    case 429:
    case 500:
    case 502:
    case 503:
    case 504: return true;
    default: break;
    }
    if (r->too_long) return false;
    switch (result) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_BAD_CONTENT_ENCODING:
    case CURLE_WEIRD_SERVER_REPLY: return true;
    default: return false;
    }
}

static void say_problem(struct request *r, CURLcode result) {
    if (r->too_long)
        snprintf(r->problem, sizeof r->problem, "the answer is longer than %zu bytes", r->answer.size);
    else if (result != CURLE_OK && !r->problem[0])
        snprintf(r->problem, sizeof r->problem, "%s", curl_easy_strerror(result));
    else if (result == CURLE_OK && (r->code < 200 || r->code > 299))
        snprintf(r->problem, sizeof r->problem, "HTTP %ld", r->code);
    else if (result == CURLE_OK)
        r->problem[0] = '\0';
    if (result != CURLE_OK && !r->too_long) r->code = 0; /* a part of an answer is none */
}

/* Seconds until the next try, or below 0 where the server asks for more than anyone waits. */
static double wait_s(struct http *h, const struct request *r, curl_off_t after) {
    double wait = (double)h->o.wait_ms / 1000;
    for (int64_t i = 1; i < r->tries && wait < HTTP_WAIT_MAX_MS / 1000; i++) wait *= 2;
    if (wait > HTTP_WAIT_MAX_MS / 1000) wait = HTTP_WAIT_MAX_MS / 1000;
    wait *= 0.5 + 0.5 * rng_uniform(&h->rng);
    if (after > HTTP_RETRY_AFTER_MAX_S) return -1;
    return (double)after > wait ? (double)after : wait;
}

static void finish(struct http *h, struct request *r, CURLcode result) {
    curl_off_t after = 0;
    curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &r->code);
    curl_easy_getinfo(r->easy, CURLINFO_RETRY_AFTER, &after);
    curl_multi_remove_handle(h->multi, r->easy);
    curl_easy_cleanup(r->easy);
    r->easy = NULL;
    h->counts.rate_limited += r->code == 429;
    const bool again = may_try_again(r, result);
    const double now = log_now_s(), wait = wait_s(h, r, after);
    say_problem(r, result);
    if (again && after > 0 && wait >= 0 && now + (double)after > h->hold_s) h->hold_s = now + (double)after;
    if (again && wait < 0) snprintf(r->problem, sizeof r->problem, "HTTP %ld, and to wait for %lld seconds", r->code, (long long)after);
    if (!again || wait < 0 || r->tries >= h->o.tries || h->stopped) {
        push(&h->done, r);
        return;
    }
    log_debug("%s: %s; again in %.1f s", h->shown, r->problem, wait);
    r->ready_s = now + wait;
    push(&h->waiting, r);
}

static void collect(struct http *h) {
    int left;
    for (CURLMsg *m; (m = curl_multi_info_read(h->multi, &left)) != NULL;) {
        if (m->msg != CURLMSG_DONE) continue;
        const CURLcode result = m->data.result; /* m dies with the handle */
        for (size_t i = 0; i < h->active_count; i++) {
            struct request *r = h->active[i];
            if (r->easy != m->easy_handle) continue;
            h->active[i] = h->active[--h->active_count];
            finish(h, r, result);
            break;
        }
    }
}

void http_stop(struct http *h) {
    h->stopped = true;
    while (h->waiting.first) {
        struct request *r = h->waiting.first;
        unlink_at(&h->waiting, &h->waiting.first);
        r->code = 0;
        snprintf(r->problem, sizeof r->problem, "not sent");
        push(&h->done, r);
    }
}

status http_wait(struct http_answer *a, struct http *h) {
    CHECK(h->pending);
    request_free(h->given);
    h->given = NULL;
    while (!h->done.first) {
        int running;
        double next_s;
        TRY(begin_ready(h, &next_s));
        if (curl_multi_perform(h->multi, &running) != CURLM_OK) return FAIL(ST_IO, "%s: libcurl fails", h->shown);
        collect(h);
        if (h->done.first) break;
        const double wait = next_s - log_now_s();
        if (wait > 0 && curl_multi_poll(h->multi, NULL, 0, 1 + (int)(wait * 1000), NULL) != CURLM_OK)
            return FAIL(ST_IO, "%s: libcurl fails", h->shown);
    }
    struct request *r = h->given = h->done.first;
    unlink_at(&h->done, &h->done.first);
    h->pending--;
    *a = (struct http_answer){.user = r->user,
                              .code = r->code,
                              .body = &r->answer,
                              .problem = r->problem[0] ? r->problem : NULL,
                              .too_long = r->too_long,
                              .tries = r->tries};
    return ST_OK;
}
