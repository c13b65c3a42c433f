#include "reward/policy_start.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "format/json.h"

/* Owned; NULL: there is none. */
static char *find_manifest(const char *folder) {
    static const char checkpoint[] = "checkpoint-";
    size_t n = strlen(folder), name;
    while (n > 1 && folder[n - 1] == '/') n--;
    for (name = n; name && folder[name - 1] != '/';) name--;
    char *text = mem_text_n(folder, n), *path = file_join(text, "manifest.json");
    if (!file_exists(path) && strncmp(text + name, checkpoint, sizeof checkpoint - 1) == 0) {
        free(path);
        char *parent = name ? mem_text_n(folder, name) : mem_text(".");
        path = file_join(parent, "manifest.json");
        free(parent);
    }
    free(text);
    if (file_exists(path)) return path;
    free(path);
    return NULL;
}

static status read(struct policy_start *out, struct json root) {
    const struct json options = json_get(root, "options"), adapter = json_get(options, "adapter"), hash = json_get(root, "model_hash");
    struct buf text = {0};
    out->model = json_text(json_get(options, "model"));
    out->adapter = json_text(adapter);
    out->logps = json_text(json_get(options, "ref-logps"));
    if (json_string(&text, hash) && text.size < sizeof out->model_hash) memcpy(out->model_hash, buf_text(&text), text.size + 1);
    buf_release(&text);
    if (!out->model || (!out->adapter && json_kind_of(adapter) != JSON_NULL))
        return FAIL(ST_FORMAT, "options.model and options.adapter: expected what training started from");
    if (json_kind_of(json_get(options, "sync-ref-model")) == JSON_BOOL && !json_bool(&out->moved, json_get(options, "sync-ref-model")))
        return FAIL(ST_FORMAT, "options.sync-ref-model: expected true or false");
    out->known = true;
    return ST_OK;
}

status policy_start_read(struct policy_start *out, const char *folder) {
    char *path = find_manifest(folder);
    struct buf text = {0};
    struct json root;
    *out = (struct policy_start){0};
    if (!path) return ST_OK;
    status s = file_read(&text, path);
    if (s == ST_OK) s = json_parse(&root, buf_text(&text), text.size);
    if (s == ST_OK) s = read(out, root);
    if (s != ST_OK) s = status_note(s, "%s: ", path);
    buf_release(&text);
    free(path);
    if (s != ST_OK) policy_start_release(out);
    return s;
}

void policy_start_release(struct policy_start *s) {
    free(s->model);
    free(s->adapter);
    free(s->logps);
    *s = (struct policy_start){0};
}
