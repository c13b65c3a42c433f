/* http: JSON posted to one address, several requests under way at a time, through libcurl.
 *
 * A request that meets 429, 408, 500, 502, 503, 504, a broken connection or a time-out is sent again: after what the server asks for
 * (Retry-After, which also holds all other requests back), else after a wait that doubles each time, of which a random half to whole is
 * taken. Everything else is an answer. Redirects are not followed: they would carry the secret to another place. */
#ifndef RAPT_NET_HTTP_H
#define RAPT_NET_HTTP_H

#include "base/buf.h"

struct http_options {
    const char *url;     /* http or https, without a user or a password */
    const char *secret;  /* sent as Authorization: Bearer; never in a message. NULL: none */
    int64_t concurrency; /* requests under way, 1 .. HTTP_CONCURRENCY_MAX */
    double per_minute;   /* requests begun, evenly spaced; 0: no limit */
    int64_t timeout_ms;  /* of one try */
    int64_t tries;       /* of one request, at least 1 */
    int64_t wait_ms;     /* before the second try; doubles up to HTTP_WAIT_MAX_MS */
    size_t answer_max;   /* bytes; a longer answer is broken off */
    uint64_t seed;       /* of the waits' random part */
};
#define HTTP_CONCURRENCY_MAX 256
#define HTTP_WAIT_MAX_MS 60000
#define HTTP_RETRY_AFTER_MAX_S 3600 /* a server that asks for more ends the run */

/* What became of a request. Views, valid until the next http_wait. */
struct http_answer {
    void *user;
    long code;              /* HTTP's; 0: none came, `problem` says why */
    const struct buf *body; /* also of an answer that says no */
    const char *problem;    /* in words; NULL when code is 200 .. 299 and the body is whole */
    bool too_long;          /* more than answer_max; body holds the beginning */
    int64_t tries;
};
struct http_counts {
    uint64_t sent, retried, rate_limited; /* tries begun; of them again; answers 429 */
};

struct http;
/* ST_USAGE for a URL that is none. */
status http_open(struct http **out, const struct http_options *o);
void http_free(struct http *h);
/* Takes a request; the body is copied. Nothing is sent before the next http_wait. */
void http_post(struct http *h, const char *body, size_t size, void *user);
/* Requests that were taken and not given back by http_wait. */
size_t http_pending(const struct http *h);
/* Sends and receives until one request is done. There must be one pending. */
status http_wait(struct http_answer *a, struct http *h);
/* From now on begins and repeats nothing: requests that are not under way come back as they are, with code 0. */
void http_stop(struct http *h);
const struct http_counts *http_counted(const struct http *h);
/* The address as messages show it: without its query. A view. */
const char *http_shown(const struct http *h);

#endif
