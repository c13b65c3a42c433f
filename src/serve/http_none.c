/* http_none: what stands in for http.c in a build without libmicrohttpd. */
#include "serve/http.h"

status serve_http_start(struct serve_http **out, struct serve_engine *engine, const struct serve_options *o) {
    CHECK(out && engine && o);
    return FAIL(ST_UNSUPPORTED, "this build has no HTTP server: install libmicrohttpd-dev, configure and build again (docs/serve.md)");
}

/* None of these is reached: serve.c calls them where serve_http_start went well. */
uint16_t serve_http_port(const struct serve_http *h) { return CHECK(!h), 0; }
void serve_http_sweep(struct serve_http *h) { CHECK(!h); }
size_t serve_http_open_requests(struct serve_http *h) { return CHECK(!h), 0; }
void serve_http_stop(struct serve_http *h) { CHECK(!h); }
