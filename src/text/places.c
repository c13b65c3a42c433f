#include "text/places.h"

#include <string.h>

static const struct place *place_at(const char *at, const struct place *places, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (places[i].text && strncmp(at, places[i].name, strlen(places[i].name)) == 0) return &places[i];
    return NULL;
}

void places_put(struct buf *out, const char *text, const struct place *places, size_t count) {
    while (*text) {
        const struct place *p = place_at(text, places, count);
        if (p)
            buf_append(out, p->text, p->size);
        else
            buf_append_char(out, *text);
        text += p ? strlen(p->name) : 1;
    }
}

/* Up to the closing brace. */
static int shown(const char *at) {
    const size_t n = strcspn(at, "}\n");
    return (int)(n < 40 ? n + (at[n] == '}') : 40);
}

status places_check(const char *text, const struct place *places, size_t count) {
    for (const char *at = text; *at;) {
        const struct place *p = place_at(at, places, count);
        if (!p && (*at == '{' || *at == '}'))
            return FAIL(ST_FORMAT, "'%.*s' is no place of this prompt (a brace by itself is written twice)", shown(at), at);
        at += p ? strlen(p->name) : 1;
    }
    return ST_OK;
}
