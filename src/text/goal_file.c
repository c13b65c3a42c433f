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
    if (text_ends_with(path, ".gguf")) return of_gguf(out, path);
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

static status put_with_best(struct buf *out, const struct buf *text, double best) {
    struct json root, key, value;
    TRY(json_parse(&root, buf_text(text), text->size));
    if (json_kind_of(json_get(root, "placement")) != JSON_STRING) return FAIL(ST_FORMAT, "expected a goal.json, which has a \"placement\"");
    if (json_kind_of(json_get(root, "attributes")) != JSON_NONE)
        return FAIL(ST_MISMATCH, "its goals have several attributes, each with a best value of its own (rapt augment --best)");
    struct json_iter it = json_iter_begin(root);
    buf_append_char(out, '{');
    while (json_iter_next(&it, &key, &value)) {
        if (json_equals(key, "best")) continue;
        buf_append(out, key.text, key.size);
        buf_append_text(out, ": ");
        buf_append(out, value.text, value.size);
        buf_append_text(out, ", ");
    }
    buf_append_text(out, "\"best\": ");
    json_put_double(out, best);
    buf_append_text(out, "}\n");
    return ST_OK;
}

status goal_best_store(const char *path, double best) {
    struct buf text = {0}, out = {0};
    status s =
        file_exists(path)
            ? file_read(&text, path)
            : FAIL(ST_MISMATCH, "%s: no such file; the best goal is kept beside an adapter or model that was trained on goals", path);
    if (s == ST_OK && (s = put_with_best(&out, &text, best)) != ST_OK) s = status_note(s, "%s: ", path);
    if (s == ST_OK) s = file_write(path, out.data, out.size);
    buf_release(&text);
    buf_release(&out);
    return s;
}
