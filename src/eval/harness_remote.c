#include "eval/harness_remote.h"

status harness_ask_all(const struct harness_remote *r, const struct remote_calls *calls, void *questions, size_t size, size_t count,
                       const char *name) {
    struct remote_options o = *r->o;
    o.max_tokens = r->max_tokens;
    return remote_ask_all(r->counts, &o, calls, questions, size, count, "eval", name);
}
