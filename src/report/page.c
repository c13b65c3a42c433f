#include <string.h>

#include "report/assets.h"
#include "report/parts.h"

static void put_escaped(struct buf *out, const char *text) {
    for (; *text; text++) {
        switch (*text) {
        case '&': buf_append_text(out, "&amp;"); break;
        case '<': buf_append_text(out, "&lt;"); break;
        case '>': buf_append_text(out, "&gt;"); break;
        default: buf_append_char(out, *text);
        }
    }
}

/* JSON inside a script element: "</" would end it, and "<!--" with "<script" would start a state in which its end tag no longer does (HTML,
 * 13.2.5.17). "<" stands in strings only, where \/ and \u003c mean the same. */
static void put_script_json(struct buf *out, const struct buf *json) {
    const char *at = buf_text(json), *end = at + json->size;
    while (at < end) {
        const char *less = memchr(at, '<', (size_t)(end - at));
        if (!less) less = end;
        buf_append(out, at, (size_t)(less - at));
        if (less == end) break;
        const bool slash = less + 1 < end && less[1] == '/';
        buf_append_text(out, slash ? "<\\/" : "\\u003c");
        at = less + 1 + slash;
    }
}

static void put_asset(struct buf *out, enum asset_name name) {
    struct asset a = asset_get(name);
    buf_append(out, a.data, a.size);
}

/* Appends the template up to the marker and moves behind it. The template is ours: a missing marker is a bug. */
static void put_until(struct buf *out, struct asset *rest, const char *marker) {
    size_t size = strlen(marker);
    for (size_t i = 0; i + size <= rest->size; i++) {
        if (memcmp(rest->data + i, marker, size) != 0) continue;
        buf_append(out, rest->data, i);
        *rest = (struct asset){rest->data + i + size, rest->size - i - size};
        return;
    }
    CHECK(!"marker of web/report.html");
}

void page_put(struct buf *out, const char *title, const struct buf *json) {
    struct asset rest = asset_get(ASSET_HTML);
    put_until(out, &rest, "{{title}}");
    put_escaped(out, title);
    put_until(out, &rest, "{{css}}");
    put_asset(out, ASSET_CSS);
    put_until(out, &rest, "{{data}}");
    put_script_json(out, json);
    put_until(out, &rest, "{{chart.js}}");
    put_asset(out, ASSET_CHART);
    put_until(out, &rest, "{{goals.js}}");
    put_asset(out, ASSET_GOALS);
    put_until(out, &rest, "{{more.js}}");
    put_asset(out, ASSET_MORE);
    put_until(out, &rest, "{{js}}");
    put_asset(out, ASSET_JS);
    buf_append(out, rest.data, rest.size);
}
