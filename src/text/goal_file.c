/* Where a trained goal is kept. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "format/gguf.h"
#include "text/goal.h"

static status of_gguf(struct buf *out, const char *path) {
    struct gguf g;
    struct gguf_text text;
    TRY(gguf_open(&g, path));
    if (gguf_text_of(&text, &g, GOAL_GGUF_KEY)) buf_append(out, text.data, text.size);
    gguf_release(&g);
    return ST_OK;
}

status goal_text_of(struct buf *out, const char *path) {
    if (!path) return ST_OK;
    const size_t n = strlen(path);
    if (n > 5 && strcmp(path + n - 5, ".gguf") == 0) return of_gguf(out, path);
    if (!file_is_dir(path)) return ST_OK;
    char *file = file_join(path, "goal.json");
    status s = file_exists(file) ? file_read(out, file) : ST_OK;
    free(file);
    return s;
}

status goal_text_find(struct buf *out, const char *adapter, const char *model) {
    TRY(goal_text_of(out, adapter));
    return out->size ? ST_OK : goal_text_of(out, model);
}
