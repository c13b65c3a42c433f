#include "serve/origin.h"

#include <string.h>
#include <strings.h>

/* Behind "scheme://", or NULL. */
static const char *host_of(const char *origin) {
    const char *at = strstr(origin, "://");
    return at && at != origin ? at + 3 : NULL;
}

status serve_origins_check(const struct serve_origins *o) {
    for (size_t i = 0; i < o->count; i++) {
        const char *item = o->items[i], *host = host_of(item);
        if (strcmp(item, "*") == 0 && o->count > 1)
            return FAIL(ST_USAGE, "--allow-origin *: allows all, so no other origin stands beside it");
        if (strcmp(item, "*") == 0 || strcmp(item, "null") == 0) continue;
        if (!host || !*host || strpbrk(host, "/*?#@ "))
            return FAIL(ST_USAGE,
                        "--allow-origin expects origins such as https://chat.example or http://localhost:3000, null, or *; not '%s'", item);
    }
    return ST_OK;
}

bool serve_origin_listed(const struct serve_origins *o, const char *origin) {
    for (size_t i = 0; i < o->count; i++)
        if (strcmp(o->items[i], "*") == 0 || strcasecmp(o->items[i], origin) == 0) return true;
    return false;
}

bool serve_origin_own(const char *origin, const char *host) {
    const char *own = host_of(origin);
    return own && host && strcasecmp(own, host) == 0;
}
