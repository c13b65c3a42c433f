/* origin: which web pages may call the server. A browser sends a page's origin with its requests; programs send none. */
#ifndef RAPT_SERVE_ORIGIN_H
#define RAPT_SERVE_ORIGIN_H

#include "base/buf.h"

struct serve_origins {
    const char *const *items; /* [count] scheme://host[:port] or null; or "*" alone: all. Views */
    size_t count;
};
/* ST_USAGE names the item that is none. */
status serve_origins_check(const struct serve_origins *o);
/* Is the origin on the list? */
bool serve_origin_listed(const struct serve_origins *o, const char *origin);
/* Is it the page of this server itself: scheme://HOST with the Host header's text? host may be NULL: no. */
bool serve_origin_own(const char *origin, const char *host);

#endif
