/* counts_file: what rapt augment --json or rapt pair --json printed: one object of counts. */
#include "base/file.h"
#include "base/log.h"
#include "report/parts.h"

static bool is_counts(struct json file) {
    struct json key, value;
    struct json_iter it = json_iter_begin(file);
    int64_t count;
    if (json_kind_of(file) != JSON_OBJECT || !json_int(&count, json_get(file, "rows_read"))) return false;
    while (json_iter_next(&it, &key, &value))
        if (!json_int(&count, value) || count < 0) return false;
    return true;
}

status counts_file_put(struct buf *out, const char *path, bool *put) {
    struct buf text = {0};
    struct json file;
    *put = false;
    status s = file_read(&text, path);
    if (s == ST_OK && (s = json_parse(&file, buf_text(&text), text.size)) != ST_OK) s = status_note(s, "%s: ", path);
    if (s == ST_OK) *put = is_counts(file);
    if (*put) {
        buf_append_text(out, "{\"file\": ");
        json_put_text(out, path);
        buf_append_text(out, ", \"counts\": ");
        buf_append(out, file.text, file.size);
        buf_append_char(out, '}');
    } else if (s == ST_OK) {
        log_warn("%s: left out: not the output of rapt augment --json or rapt pair --json", path);
    }
    buf_release(&text);
    return s;
}
