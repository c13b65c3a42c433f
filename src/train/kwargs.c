#include "train/kwargs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Is `name` one of the words of `list`, which are separated by `separator`? Its place, or -1. */
static int word_at(const char *list, char separator, const char *name, size_t size) {
    int at = 0;
    for (const char *p = list; *p; at++) {
        const char *end = strchr(p, separator);
        const size_t n = end ? (size_t)(end - p) : strlen(p);
        if (n == size && memcmp(p, name, n) == 0) return at;
        p += n + (end != NULL);
    }
    return -1;
}

static status set_number(double *out, const struct kwargs *k, const struct kwarg *a, const char *text) {
    char *end;
    const double x = strtod(text, &end);
    if (end == text || *end || !isfinite(x)) return FAIL(ST_USAGE, "%s: %s expects a number, not '%s'", k->option, a->name, text);
    if (a->kind == KWARG_COUNT && x != floor(x)) return FAIL(ST_USAGE, "%s: %s expects a whole number, not '%s'", k->option, a->name, text);
    if (x < a->least || x > a->most)
        return FAIL(ST_USAGE, "%s: %s expects %g to %g, not '%s'", k->option, a->name, a->least, a->most, text);
    *out = x;
    return ST_OK;
}

static status set_value(void *values, const struct kwargs *k, const struct kwarg *a, const char *text) {
    char *field = (char *)values + a->offset;
    if (a->kind == KWARG_NUMBER || a->kind == KWARG_COUNT) return set_number((double *)(void *)field, k, a, text);
    const char *choices = a->kind == KWARG_BOOL ? "false|true" : a->choices;
    const int at = word_at(choices, '|', text, strlen(text));
    if (at < 0) return FAIL(ST_USAGE, "%s: %s expects %s, not '%s'", k->option, a->name, choices, text);
    if (a->kind == KWARG_BOOL)
        *(bool *)(void *)field = at == 1;
    else
        *(int *)(void *)field = at;
    return ST_OK;
}

status kwargs_read(const struct kwargs *k, void *values, const char *owner, const char *takes, const char *const *items, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const char *mark = strchr(items[i], '=');
        const struct kwarg *found = NULL;
        if (!mark) return FAIL(ST_USAGE, "%s expects key=value, not '%s'", k->option, items[i]);
        const size_t size = (size_t)(mark - items[i]);
        if (word_at(takes, ' ', items[i], size) < 0)
            return FAIL(ST_USAGE, "%s: %s has no setting '%.*s'; it takes: %s", k->option, owner, (int)size, items[i],
                        takes[0] ? takes : "none");
        for (size_t j = 0; j < k->count; j++)
            if (strlen(k->all[j].name) == size && memcmp(k->all[j].name, items[i], size) == 0) found = &k->all[j];
        CHECK(found);
        for (size_t j = 0; j < i; j++)
            if (strncmp(items[j], items[i], size + 1) == 0) return FAIL(ST_USAGE, "%s: %s is given twice", k->option, found->name);
        TRY(set_value(values, k, found, mark + 1));
    }
    return ST_OK;
}
