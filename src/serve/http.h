/* http: the API over HTTP, through libmicrohttpd: a thread for each connection, which waits for the engine on its client's behalf.
 *
 * Everything that comes from the network is bounded: connections, header (SERVE_HEAD_BYTES), body, the time to send them (a connection
 * that takes longer is cut), the time to read an answer, and how long an answer may take. */
#ifndef RAPT_SERVE_HTTP_H
#define RAPT_SERVE_HTTP_H

#include "serve/api.h"
#include "serve/origin.h"

#define SERVE_HEAD_BYTES ((size_t)32 << 10)
struct serve_options {
    const char *host;
    uint16_t port;       /* 0: any free one */
    const char *api_key; /* NULL: none is asked for */
    size_t body_max;     /* bytes */
    size_t connections_max;
    double timeout_s; /* from a request to the end of its answer */
    double idle_s;    /* for a client to send a request, or to take the next piece of an answer */
    struct api_limits limits;
    struct serve_origins origins; /* of other servers' pages that may call this one */
};

struct serve_http;
/* Listens. ST_IO when the address cannot be had. */
status serve_http_start(struct serve_http **out, struct serve_engine *engine, const struct serve_options *o);
uint16_t serve_http_port(const struct serve_http *h);
/* Once in a while: cuts connections whose client is too slow. */
void serve_http_sweep(struct serve_http *h);
/* Requests that are not answered to their last byte. */
size_t serve_http_open_requests(struct serve_http *h);
/* Breaks off all that is still open. */
void serve_http_stop(struct serve_http *h);

#endif
