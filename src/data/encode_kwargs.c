/* Which chat_template_kwargs a rendering gets: those asked for, else those that came with what was trained. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "data/encode.h"
#include "text/goal.h"

#define KWARGS "chat_template_kwargs"

/* The member of a JSON text; nothing where there is none. */
static status member_of(struct buf *out, const struct buf *text, const char *path) {
    struct json root;
    size_t size = text->size;
    while (size && strchr(" \t\r\n", text->data[size - 1])) size--;
    if (!size) return ST_OK;
    status s = json_parse(&root, text->data, size);
    if (s != ST_OK) return status_note(s, "%s: ", path);
    const struct json v = json_get(root, KWARGS);
    if (json_kind_of(v) == JSON_OBJECT) buf_append(out, v.text, v.size);
    return ST_OK;
}

static status of_file(struct buf *out, const char *path) {
    struct buf text = {0};
    status s = file_exists(path) ? file_read(&text, path) : ST_OK;
    if (s == ST_OK) s = member_of(out, &text, path);
    buf_release(&text);
    return s;
}

/* Of goal.json, or a GGUF's goal, which an export takes along; else of the manifest of the run. */
static status of_weights(struct buf *out, const char *path) {
    struct buf text = {0};
    if (!path || out->size) return ST_OK;
    status s = goal_text_of(&text, path);
    if (s == ST_OK) s = member_of(out, &text, path);
    buf_release(&text);
    if (s != ST_OK || out->size || !file_is_dir(path)) return s;
    char *manifest = file_join(path, "manifest.json");
    s = of_file(out, manifest);
    free(manifest);
    return s;
}

status encoder_set_kwargs(struct encoder *e, const char *given, const struct kwargs_places *from) {
    if (given && !e->chat)
        return FAIL(ST_USAGE, "--chat-template-kwargs has no effect: %s", e->why_no_chat ? e->why_no_chat : "there is no tokenizer");
    if (given) {
        status s = chat_set_kwargs(e->chat, given, strlen(given), true);
        return s == ST_OK ? s : status_note(s, "--chat-template-kwargs: ");
    }
    if (!e->chat) return ST_OK;
    struct buf found = {0};
    status s = of_weights(&found, from->adapter);
    if (s == ST_OK) s = of_weights(&found, from->model);
    if (s == ST_OK && from->file && !found.size) s = of_file(&found, from->file);
    if (s == ST_OK && found.size) s = chat_set_kwargs(e->chat, found.data, found.size, false);
    buf_release(&found);
    return s;
}

void encoder_kwargs_hash(char out[33], const struct encoder *e) {
    const struct json kwargs = e->chat ? chat_kwargs(e->chat) : (struct json){0};
    out[0] = 0;
    if (kwargs.size) hash_hex(out, kwargs.text, kwargs.size);
}

status kwargs_put(const char *path, struct json kwargs) {
    struct buf text = {0}, out = {0};
    struct json root, key, value;
    if (!kwargs.size || !file_exists(path)) return ST_OK;
    status s = file_read(&text, path);
    while (text.size && strchr(" \t\r\n", text.data[text.size - 1])) text.size--;
    if (s == ST_OK) s = json_parse(&root, buf_text(&text), text.size);
    if (s == ST_OK && json_kind_of(root) != JSON_OBJECT) s = FAIL(ST_FORMAT, "expected an object");
    if (s == ST_OK) {
        buf_append_char(&out, '{');
        for (struct json_iter it = json_iter_begin(root); json_iter_next(&it, &key, &value);)
            if (!json_equals(key, KWARGS)) buf_printf(&out, "%.*s: %.*s, ", (int)key.size, key.text, (int)value.size, value.text);
        buf_printf(&out, "\"" KWARGS "\": %.*s}\n", (int)kwargs.size, kwargs.text);
        s = file_write(path, out.data, out.size);
    }
    if (s != ST_OK) (void)status_note(s, "%s: ", path);
    buf_release(&text);
    buf_release(&out);
    return s;
}
