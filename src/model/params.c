#include "model/params.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

size_t params_add(struct params *p, const char *name, size_t rows, size_t cols, bool vector) {
    if (p->count == p->capacity) {
        p->capacity = p->capacity ? p->capacity * 2 : 64;
        p->items = mem_resize(p->items, p->capacity * sizeof *p->items);
    }
    size_t offset = p->size;
    p->items[p->count++] =
        (struct param){.name = mem_text(name), .rows = rows, .cols = cols, .offset = offset, .vector = vector, .decay = !vector};
    p->size += rows * cols;
    return offset;
}

status params_allocate(struct params *p, bool with_grad) {
    TRY(mem_try_whole(&p->value, p->size, sizeof(float), "trained parameters"));
    if (with_grad) TRY(mem_try_whole(&p->grad, p->size, sizeof(float), "gradients"));
    return ST_OK;
}

const struct param *params_find(const struct params *p, const char *name) {
    for (size_t i = 0; i < p->count; i++)
        if (strcmp(p->items[i].name, name) == 0) return &p->items[i];
    return NULL;
}

void params_release(struct params *p) {
    for (size_t i = 0; i < p->count; i++) free(p->items[i].name);
    free(p->items);
    free(p->value);
    free(p->grad);
    *p = (struct params){0};
}
