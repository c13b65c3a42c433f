#define _POSIX_C_SOURCE 200809L
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "base/file.h"
#include "report/parts.h"

status field_fail(const char *place, const char *field, const char *expected, struct json found) {
    return FAIL(ST_FORMAT, "%s: field '%s': expected %s, found %s", place, field, expected, json_kind_name(json_kind_of(found)));
}

static void put_file_date(struct buf *out, const char *path) {
    struct stat st;
    struct tm tm;
    char text[32];
    if (stat(path, &st) != 0 || !gmtime_r(&st.st_mtime, &tm) || !strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm))
        buf_append_text(out, "null");
    else
        json_put_text(out, text);
}

/* The manifest goes in as it is, since other versions may say more; only the objects that the page looks into are checked. */
static status put_manifest(struct buf *out, const char *path) {
    static const char *const objects[] = {"options", "rows", "machine"};
    struct buf text = {0};
    struct json manifest;
    status s = file_read(&text, path);
    if (s == ST_OK && (s = json_parse(&manifest, buf_text(&text), text.size)) != ST_OK) s = status_note(s, "%s: ", path);
    if (s == ST_OK && json_kind_of(manifest) != JSON_OBJECT)
        s = FAIL(ST_FORMAT, "%s: expected an object, found %s", path, json_kind_name(json_kind_of(manifest)));
    for (size_t i = 0; s == ST_OK && i < sizeof objects / sizeof objects[0]; i++) {
        struct json v = json_get(manifest, objects[i]);
        enum json_kind kind = json_kind_of(v);
        if (kind != JSON_NONE && kind != JSON_NULL && kind != JSON_OBJECT) s = field_fail(path, objects[i], "an object", v);
    }
    if (s == ST_OK) buf_append(out, manifest.text, manifest.size);
    buf_release(&text);
    return s;
}

/* How the run's goals are asked for: goal.json goes in as it is, since other versions may say more; what the page looks into is checked. */
static status put_style(struct buf *out, const char *path) {
    struct buf text = {0};
    struct json root, key, attribute;
    double number;
    status s = file_read(&text, path);
    if (s == ST_OK && (s = json_parse(&root, buf_text(&text), text.size)) != ST_OK) s = status_note(s, "%s: ", path);
    if (s == ST_OK && json_kind_of(root) != JSON_OBJECT)
        s = FAIL(ST_FORMAT, "%s: expected an object, found %s", path, json_kind_name(json_kind_of(root)));
    const struct json list = s == ST_OK ? json_get(root, "attributes") : (struct json){0};
    if (list.size && json_kind_of(list) != JSON_ARRAY) s = field_fail(path, "attributes", "an array", list);
    for (struct json_iter it = json_iter_begin(json_kind_of(list) == JSON_ARRAY ? list : (struct json){0});
         s == ST_OK && json_iter_next(&it, &key, &attribute);)
        if (json_kind_of(json_get(attribute, "name")) != JSON_STRING || !json_double(&number, json_get(attribute, "low")) ||
            !json_double(&number, json_get(attribute, "high")))
            s = field_fail(path, "attributes", "objects with name, low and high", attribute);
    if (s == ST_OK) buf_append(out, root.text, root.size);
    buf_release(&text);
    return s;
}

status run_folder_put(struct buf *out, const char *folder, const char *label, bool *found) {
    char *manifest = file_join(folder, "manifest.json"), *metrics = file_join(folder, "metrics.jsonl"),
         *style = file_join(folder, "goal.json");
    bool has_manifest = file_exists(manifest), has_metrics = file_exists(metrics);
    status s = ST_OK;
    if (has_manifest || has_metrics) *found = true;
    buf_append_text(out, "{\"label\": ");
    json_put_text(out, label);
    buf_append_text(out, ", \"folder\": ");
    json_put_text(out, folder);
    buf_append_text(out, ", \"date\": ");
    put_file_date(out, has_manifest ? manifest : metrics);
    buf_append_text(out, ", \"manifest\": ");
    if (has_manifest)
        s = put_manifest(out, manifest);
    else
        buf_append_text(out, "null");
    buf_append_text(out, ", \"metrics\": ");
    if (s == ST_OK && has_metrics)
        s = metrics_file_put(out, metrics);
    else
        buf_append_text(out, "null");
    buf_append_text(out, ", \"goal\": ");
    if (s == ST_OK && (has_manifest || has_metrics) && file_exists(style))
        s = put_style(out, style);
    else
        buf_append_text(out, "null");
    buf_append_char(out, '}');
    free(manifest);
    free(metrics);
    free(style);
    return s;
}
