#define _GNU_SOURCE
#include "serve/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "report/assets.h"
#include "serve/scorer.h"

#define WAIT_MS 200 /* how often a waiting thread looks whether its client is still there */

/* A connection. */
struct link {
    struct link *later, **at; /* in the server's list */
    int fd;
    double deadline_s; /* it is cut then; 0: never */
};
struct serve_http {
    struct serve_engine *engine;
    struct serve_options options;
    struct MHD_Daemon *daemon;
    int64_t created;
    pthread_mutex_t lock; /* of what follows */
    struct link *links;
    size_t link_count, open;
};

/* A request on its way. */
struct route;
struct exchange {
    struct serve_http *http;
    struct link *link;
    const struct route *route;
    double begun_s;
    struct buf body;
    struct api_call call;
    bool read, submitted; /* call holds something; the engine has it */
    struct buf out;       /* events of a stream that are not sent yet */
    size_t out_at;
    bool last;
    unsigned code; /* of the answer; 0: none */
};
typedef enum MHD_Result route_fn(struct exchange *x, struct MHD_Connection *c, const char *url);
struct route {
    const char *path;
    const char *method;
    bool prefix, open; /* path is a beginning; no key is asked for */
    enum api_kind kind;
    route_fn *run;
};

static void set_deadline(struct exchange *x, double in_s) {
    if (!x->link) return;
    pthread_mutex_lock(&x->http->lock);
    x->link->deadline_s = in_s > 0 ? log_now_s() + in_s : 0;
    pthread_mutex_unlock(&x->http->lock);
}

static const char *header(struct MHD_Connection *c, const char *name) { return MHD_lookup_connection_value(c, MHD_HEADER_KIND, name); }

/* What the route takes, for Allow and for browsers. */
static const char *methods(const struct route *route) { return strcmp(route->method, "GET") == 0 ? "GET, HEAD, OPTIONS" : "POST, OPTIONS"; }

/* Lets the page of a listed origin read the answer. */
static void put_origin(const struct exchange *x, struct MHD_Connection *c, struct MHD_Response *r) {
    const struct serve_origins *o = &x->http->options.origins;
    const char *origin = header(c, "Origin");
    if (!o->count) return;
    MHD_add_response_header(r, "Vary", "Origin");
    if (!origin || !serve_origin_listed(o, origin)) return;
    MHD_add_response_header(r, "Access-Control-Allow-Origin", strcmp(o->items[0], "*") == 0 ? "*" : origin);
    MHD_add_response_header(r, "Access-Control-Expose-Headers", "Retry-After");
}

/* Answers. */
static enum MHD_Result send_response(struct exchange *x, struct MHD_Connection *c, unsigned code, struct MHD_Response *r,
                                     const char *type) {
    if (!r) return MHD_NO;
    x->code = code;
    MHD_add_response_header(r, "Content-Type", type);
    MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
    if (code == 401) MHD_add_response_header(r, "WWW-Authenticate", "Bearer");
    if (code == 405) MHD_add_response_header(r, "Allow", methods(x->route));
    put_origin(x, c, r);
    if (code == 429 || code == 503) MHD_add_response_header(r, "Retry-After", "1");
    if (code == 503) MHD_add_response_header(r, "Connection", "close");
    set_deadline(x, x->http->options.idle_s);
    const enum MHD_Result ok = MHD_queue_response(c, code, r);
    MHD_destroy_response(r);
    return ok;
}

/* Takes the buffer's memory. */
static enum MHD_Result send_text(struct exchange *x, struct MHD_Connection *c, unsigned code, struct buf *text, const char *type) {
    struct MHD_Response *r =
        MHD_create_response_from_buffer(text->size, text->data, text->size ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
    if (r) *text = (struct buf){0};
    buf_release(text);
    return send_response(x, c, code, r, type);
}

#define JSON_TYPE "application/json"
static enum MHD_Result send_error(struct exchange *x, struct MHD_Connection *c, struct api_error *e) {
    struct buf text = {0};
    const unsigned code = e->code;
    api_put_error(&text, e);
    api_error_release(e);
    return send_text(x, c, code, &text, JSON_TYPE);
}

static enum MHD_Result refuse(struct exchange *x, struct MHD_Connection *c, unsigned code, const char *reason, const char *message) {
    struct api_error e = {0};
    api_refuse(&e, code, reason, NULL, "%s", message);
    return send_error(x, c, &e);
}

static bool peer_gone(const struct exchange *x) {
    char byte;
    if (!x->link) return false;
    const ssize_t n = recv(x->link->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

static bool too_late(const struct exchange *x) { return log_now_s() - x->begun_s > x->http->options.timeout_s; }

static bool request_over(struct serve_request *r, long timeout_ms) {
    pthread_mutex_lock(&r->lock);
    if (!serve_request_over(r)) serve_request_wait(r, timeout_ms);
    const bool over = serve_request_over(r);
    pthread_mutex_unlock(&r->lock);
    return over;
}

static enum MHD_Result whole_answer(struct exchange *x, struct MHD_Connection *c) {
    struct buf text = {0};
    struct api_error e = {0};
    bool gone = false;
    while (!request_over(&x->call.request, WAIT_MS)) {
        gone = gone || peer_gone(x);
        if (gone || too_late(x)) serve_engine_cancel(x->http->engine, &x->call.request);
    }
    if (gone) return MHD_NO;
    if (!api_put_answer(&text, &e, &x->call)) return send_error(x, c, &e);
    return send_text(x, c, 200, &text, JSON_TYPE);
}

/* The next bytes of a stream. Runs on the connection's own thread, which it may hold. */
static ssize_t read_stream(void *context, uint64_t position, char *out, size_t room) {
    struct exchange *x = context;
    (void)position;
    if (x->out_at == x->out.size) {
        if (x->last) return MHD_CONTENT_READER_END_OF_STREAM;
        buf_clear(&x->out);
        x->out_at = 0;
        set_deadline(x, 0);
        while (!x->out.size) {
            api_put_events(&x->out, &x->call, &x->last, WAIT_MS);
            const bool gone = peer_gone(x);
            if (gone || too_late(x)) serve_engine_cancel(x->http->engine, &x->call.request);
            if (gone) return MHD_CONTENT_READER_END_WITH_ERROR;
        }
    }
    const size_t left = x->out.size - x->out_at, n = left < room ? left : room;
    memcpy(out, x->out.data + x->out_at, n);
    x->out_at += n;
    set_deadline(x, x->http->options.idle_s);
    return (ssize_t)n;
}

static enum MHD_Result streamed_answer(struct exchange *x, struct MHD_Connection *c) {
    struct MHD_Response *r = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 16384, read_stream, x, NULL);
    if (!r) return MHD_NO;
    MHD_add_response_header(r, "Cache-Control", "no-cache");
    MHD_add_response_header(r, "X-Accel-Buffering", "no"); /* nginx in between passes events on at once */
    return send_response(x, c, 200, r, "text/event-stream; charset=utf-8");
}

static enum MHD_Result run_generation(struct exchange *x, struct MHD_Connection *c, const char *url) {
    struct api_error e = {0};
    struct serve_http *h = x->http;
    (void)url;
    set_deadline(x, 0);
    x->read = true;
    if (!api_read(&x->call, &e, x->route->kind, buf_text(&x->body), x->body.size, h->engine, &h->options.limits))
        return send_error(x, c, &e);
    buf_release(&x->body);
    switch (serve_engine_submit(h->engine, &x->call.request)) {
    case SERVE_QUEUE_FULL: return refuse(x, c, 429, "queue_full", "too many requests wait already; try again");
    case SERVE_DRAINING: return refuse(x, c, 503, "draining", "the server is ending and takes no more requests");
    case SERVE_TAKEN: break;
    }
    x->submitted = true;
    return x->call.stream ? streamed_answer(x, c) : whole_answer(x, c);
}

static enum MHD_Result run_score(struct exchange *x, struct MHD_Connection *c, const char *url) {
    struct serve_http *h = x->http;
    struct api_error e = {0};
    struct buf row = {0}, members = {0}, text = {0};
    struct json root = {0};
    (void)url;
    set_deadline(x, 0);
    if (!h->engine->scorer) return refuse(x, c, 404, NULL, "this server scores no answers: it was started without --scorer");
    bool ok = api_read_score(&row, &e, buf_text(&x->body), x->body.size);
    if (ok && json_parse(&root, buf_text(&row), row.size) != ST_OK) ok = api_refuse(&e, 400, NULL, NULL, "%s", status_message());
    ok = ok && serve_scorer_score(&members, &e, h->engine->scorer, h->engine, root, h->options.timeout_s);
    if (ok) api_put_score(&text, &members);
    buf_release(&row);
    buf_release(&members);
    return ok ? send_text(x, c, 200, &text, JSON_TYPE) : send_error(x, c, &e);
}

static enum MHD_Result run_health(struct exchange *x, struct MHD_Connection *c, const char *url) {
    struct buf text = {0};
    const bool draining = serve_engine_draining(x->http->engine);
    (void)url;
    buf_printf(&text, "{\"status\": \"%s\"}", draining ? "draining" : "ok");
    return send_text(x, c, draining ? 503 : 200, &text, JSON_TYPE);
}

static enum MHD_Result run_metrics(struct exchange *x, struct MHD_Connection *c, const char *url) {
    struct serve_engine *e = x->http->engine;
    struct buf text = {0};
    (void)url;
    pthread_mutex_lock(&e->lock);
    const size_t queued = e->queued, running = e->running;
    pthread_mutex_unlock(&e->lock);
    pthread_mutex_lock(&x->http->lock);
    const size_t links = x->http->link_count;
    pthread_mutex_unlock(&x->http->lock);
    serve_metrics_put(&text, &e->metrics, queued, running, links);
    return send_text(x, c, 200, &text, "text/plain; version=0.0.4; charset=utf-8");
}

static enum MHD_Result run_models(struct exchange *x, struct MHD_Connection *c, const char *url) {
    struct buf text = {0};
    (void)url;
    api_put_models(&text, x->http->engine, x->http->created);
    return send_text(x, c, 200, &text, JSON_TYPE);
}

static enum MHD_Result run_model(struct exchange *x, struct MHD_Connection *c, const char *url) {
    struct buf text = {0};
    struct api_error e = {0};
    const bool ok = api_put_named_model(&text, &e, x->http->engine, url + strlen(x->route->path), x->http->created);
    return ok ? send_text(x, c, 200, &text, JSON_TYPE) : send_error(x, c, &e);
}

/* A browser asks whether a page may send what it wants to send. */
static enum MHD_Result preflight(struct exchange *x, struct MHD_Connection *c) {
    struct MHD_Response *r = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    if (!r) return MHD_NO;
    MHD_add_response_header(r, "Access-Control-Allow-Methods", methods(x->route));
    MHD_add_response_header(r, "Access-Control-Allow-Headers", "Authorization, Content-Type");
    MHD_add_response_header(r, "Access-Control-Max-Age", "600");
    return send_response(x, c, 204, r, "text/plain");
}

/* The playground. It may run what it brings and ask this server; nothing else. */
static enum MHD_Result run_page(struct exchange *x, struct MHD_Connection *c, const char *url) {
    const struct asset page = asset_get(ASSET_PLAYGROUND);
    struct buf text = {0};
    (void)url;
    buf_append(&text, page.data, page.size);
    struct MHD_Response *r = MHD_create_response_from_buffer(text.size, text.data, MHD_RESPMEM_MUST_FREE);
    if (!r) {
        buf_release(&text);
        return MHD_NO;
    }
    MHD_add_response_header(
        r, "Content-Security-Policy",
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; connect-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'");
    MHD_add_response_header(r, "Referrer-Policy", "no-referrer");
    return send_response(x, c, 200, r, "text/html; charset=utf-8");
}

static const struct route routes[] = {
    {"/", "GET", false, true, 0, run_page},
    {"/health", "GET", false, true, 0, run_health},
    {"/metrics", "GET", false, false, 0, run_metrics},
    {"/v1/models", "GET", false, false, 0, run_models},
    {"/v1/models/", "GET", true, false, 0, run_model},
    {"/v1/chat/completions", "POST", false, false, API_CHAT, run_generation},
    {"/v1/completions", "POST", false, false, API_TEXT, run_generation},
    {"/v1/score", "POST", false, false, 0, run_score},
};

/* Is the key right? Looks at every byte of it, however early the first difference is. */
static bool has_key(const struct exchange *x, struct MHD_Connection *c) {
    const char *key = x->http->options.api_key, *given = header(c, "Authorization");
    if (!key) return true;
    if (!given || strncasecmp(given, "Bearer ", 7) != 0) return false;
    given += 7;
    const size_t n = strlen(given), m = strlen(key);
    unsigned different = n != m;
    for (size_t i = 0; i < m; i++) different |= (unsigned char)key[i] ^ (unsigned char)(i < n ? given[i] : 0);
    return !different;
}

/* May the page that sends this have it done? Any page can have a browser send a form or plain text to a server of its user's, and the
 * browser tells its origin; programs tell none. */
static bool welcome(const struct exchange *x, struct MHD_Connection *c) {
    const char *origin = header(c, "Origin");
    return !origin || serve_origin_own(origin, header(c, "Host")) || serve_origin_listed(&x->http->options.origins, origin);
}

/* What can be refused before the body is there. *done: an answer is on its way. */
static enum MHD_Result begin(struct exchange *x, struct MHD_Connection *c, const char *url, const char *method, bool *done) {
    static const char foreign[] = "the request comes from a web page of another server (Origin); --allow-origin names those that may ask";
    const char *length = header(c, "Content-Length");
    *done = true;
    if (strcmp(method, "HEAD") == 0) method = "GET"; /* libmicrohttpd leaves the body out */
    for (size_t i = 0; i < sizeof routes / sizeof routes[0] && !x->route; i++)
        if (routes[i].prefix ? strncmp(url, routes[i].path, strlen(routes[i].path)) == 0 : strcmp(url, routes[i].path) == 0)
            x->route = &routes[i];
    if (!x->route) return refuse(x, c, 404, NULL, "there is nothing at this address");
    if (strcmp(method, "OPTIONS") == 0 && header(c, "Origin"))
        return welcome(x, c) ? preflight(x, c) : refuse(x, c, 403, "origin_not_allowed", foreign);
    if (!x->route->open && !has_key(x, c))
        return refuse(x, c, 401, "invalid_api_key", "the key in 'Authorization: Bearer KEY' is missing or wrong");
    if (strcmp(method, x->route->method) != 0) return refuse(x, c, 405, "method_not_allowed", "this address takes another method");
    const bool work = strcmp(x->route->method, "POST") == 0;
    if (work && !welcome(x, c)) return refuse(x, c, 403, "origin_not_allowed", foreign);
    if (length && strtoull(length, NULL, 10) > (work ? x->http->options.body_max : 0))
        return refuse(x, c, 413, "body_too_large", "the body is larger than this server takes (--max-body-bytes)");
    if (work && serve_engine_draining(x->http->engine))
        return refuse(x, c, 503, "draining", "the server is ending and takes no more requests");
    *done = false;
    return MHD_YES;
}

static enum MHD_Result answer(void *context, struct MHD_Connection *c, const char *url, const char *method, const char *version,
                              const char *data, size_t *size, void **state) {
    struct serve_http *h = context;
    struct exchange *x = *state;
    (void)version;
    if (!x) {
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
        bool done;
        *state = x = mem_zero(1, sizeof *x);
        x->http = h;
        x->link = info ? info->socket_context : NULL;
        x->begun_s = log_now_s();
        pthread_mutex_lock(&h->lock);
        h->open++;
        pthread_mutex_unlock(&h->lock);
        set_deadline(x, h->options.idle_s);
        return begin(x, c, url, method, &done);
    }
    if (*size) {
        if (*size > h->options.body_max - x->body.size)
            return MHD_NO; /* chunked, so that its length was not known: the connection is closed */
        buf_append(&x->body, data, *size);
        *size = 0;
        return MHD_YES;
    }
    return x->route->run(x, c, url);
}

/* The request is answered, or its connection broke. */
static void completed(void *context, struct MHD_Connection *c, void **state, enum MHD_RequestTerminationCode why) {
    struct serve_http *h = context;
    struct exchange *x = *state;
    (void)c, (void)why;
    if (!x) return;
    if (x->submitted) {
        if (!request_over(&x->call.request, 0)) serve_engine_cancel(h->engine, &x->call.request);
        while (!request_over(&x->call.request, WAIT_MS)) {
        }
    }
    if (x->code) serve_metrics_answer(&h->engine->metrics, x->code, x->submitted, log_now_s() - x->begun_s);
    set_deadline(x, h->options.idle_s);
    if (x->read) api_release(&x->call);
    buf_release(&x->body);
    buf_release(&x->out);
    free(x);
    *state = NULL;
    pthread_mutex_lock(&h->lock);
    h->open--;
    pthread_mutex_unlock(&h->lock);
}

static void connected(void *context, struct MHD_Connection *c, void **socket_context, enum MHD_ConnectionNotificationCode code) {
    struct serve_http *h = context;
    struct link *l = *socket_context;
    pthread_mutex_lock(&h->lock);
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
        *socket_context = l = mem_zero(1, sizeof *l);
        l->fd = info ? info->connect_fd : -1;
        l->deadline_s = log_now_s() + h->options.idle_s;
        l->later = h->links;
        l->at = &h->links;
        if (h->links) h->links->at = &l->later;
        h->links = l;
        h->link_count++;
    } else if (l) {
        *l->at = l->later;
        if (l->later) l->later->at = l->at;
        h->link_count--;
        free(l);
        *socket_context = NULL;
    }
    pthread_mutex_unlock(&h->lock);
}

void serve_http_sweep(struct serve_http *h) {
    const double now = log_now_s();
    pthread_mutex_lock(&h->lock);
    for (struct link *l = h->links; l; l = l->later) {
        if (l->deadline_s == 0 || now < l->deadline_s) continue;
        shutdown(l->fd, SHUT_RDWR); /* the fd is open while the link is in the list; its thread sees it and closes it */
        l->deadline_s = 0;
        serve_metrics_cut(&h->engine->metrics);
    }
    pthread_mutex_unlock(&h->lock);
}

size_t serve_http_open_requests(struct serve_http *h) {
    pthread_mutex_lock(&h->lock);
    const size_t open = h->open;
    pthread_mutex_unlock(&h->lock);
    return open;
}

static status listen_at(struct serve_http *h, const struct addrinfo *a) {
    const unsigned flags =
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL | (a->ai_family == AF_INET6 ? MHD_USE_IPv6 : 0);
    h->daemon = MHD_start_daemon(flags, 0, NULL, NULL, answer, h, MHD_OPTION_SOCK_ADDR, a->ai_addr, MHD_OPTION_NOTIFY_COMPLETED, completed,
                                 h, MHD_OPTION_NOTIFY_CONNECTION, connected, h, MHD_OPTION_CONNECTION_LIMIT,
                                 (unsigned)h->options.connections_max, MHD_OPTION_CONNECTION_MEMORY_LIMIT, SERVE_HEAD_BYTES,
                                 MHD_OPTION_END); /* no MHD_OPTION_LISTENING_ADDRESS_REUSE: that lets two servers share a port */
    if (!h->daemon)
        return FAIL(ST_IO, "cannot listen at %s port %u: %s", h->options.host, h->options.port,
                    errno ? strerror(errno) : "the server did not start");
    return ST_OK;
}

status serve_http_start(struct serve_http **out, struct serve_engine *engine, const struct serve_options *o) {
    struct addrinfo *found = NULL;
    char port[8];
    snprintf(port, sizeof port, "%u", o->port);
    const int code = getaddrinfo(o->host, port, &(struct addrinfo){.ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM}, &found);
    if (code != 0) return FAIL(ST_USAGE, "--host %s: %s", o->host, gai_strerror(code));
    struct serve_http *h = mem_zero(1, sizeof *h);
    h->engine = engine;
    h->options = *o;
    h->created = (int64_t)time(NULL);
    pthread_mutex_init(&h->lock, NULL);
    errno = 0;
    const status s = listen_at(h, found);
    freeaddrinfo(found);
    if (s != ST_OK) serve_http_stop(h);
    *out = s == ST_OK ? h : NULL;
    return s;
}

uint16_t serve_http_port(const struct serve_http *h) {
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_BIND_PORT);
    return info ? info->port : 0;
}

void serve_http_stop(struct serve_http *h) {
    if (!h) return;
    if (h->daemon) MHD_stop_daemon(h->daemon);
    pthread_mutex_destroy(&h->lock);
    free(h);
}
