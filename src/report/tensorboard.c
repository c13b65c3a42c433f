#define _POSIX_C_SOURCE 200809L
#include "report/tensorboard.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "format/json.h"
#include "format/tfrecord.h"
#include "report/parts.h"

struct line {
    int64_t step;
    double elapsed_s; /* since the run began; NaN where the line does not tell */
};

static double number_or(struct json row, const char *name, double otherwise) {
    double value;
    return json_double(&value, json_get(row, name)) ? value : otherwise;
}

static status read_row(struct json *row, struct line *l, const char *text, size_t size, const char *place) {
    if (json_parse(row, text, size) != ST_OK) return status_note(ST_FORMAT, "%s: ", place);
    if (json_kind_of(*row) != JSON_OBJECT)
        return FAIL(ST_FORMAT, "%s: expected an object, found %s", place, json_kind_name(json_kind_of(*row)));
    const struct json step = json_get(*row, "step");
    if (!json_int(&l->step, step) || l->step < 0) return field_fail(place, "step", "a whole number from 0", step);
    const double tokens = number_or(*row, "num_tokens", (double)NAN), rate = number_or(*row, "tokens_per_second", 0);
    l->elapsed_s = rate > 0 ? tokens / rate : (double)NAN;
    return ST_OK;
}

/* "eval_loss" is eval/loss, "loss" is train/loss. */
static void put_scalars(struct tfrecord_event *e, struct json row) {
    struct json_iter it = json_iter_begin(row);
    struct json key, value;
    struct buf name = {0}, tag = {0};
    double number;
    while (json_iter_next(&it, &key, &value)) {
        if (json_equals(key, "step") || !json_double(&number, value)) continue;
        buf_clear(&name);
        buf_clear(&tag);
        json_string(&name, key);
        const bool eval = name.size > 5 && memcmp(name.data, "eval_", 5) == 0;
        buf_append_text(&tag, eval ? "eval/" : "train/");
        buf_append(&tag, buf_text(&name) + (eval ? 5 : 0), name.size - (eval ? 5 : 0));
        tfrecord_put_scalar(e, tag.data, tag.size, (float)number);
    }
    buf_release(&name);
    buf_release(&tag);
}

/* Calls for every line; `out` NULL: only *last_s, the largest elapsed time, is wanted. */
static status each_line(double *last_s, struct buf *out, const char *path, double begin_s) {
    struct file_lines lines;
    struct tfrecord_event event = {{0}};
    struct buf place = {0};
    double at_s = 0;
    TRY(file_lines_open(&lines, path));
    status s = ST_OK;
    while (s == ST_OK) {
        const char *text;
        size_t size;
        struct json row;
        struct line l;
        s = file_lines_next(&lines, &text, &size);
        if (s != ST_OK || !text) break;
        size_t blank = 0;
        while (blank < size && strchr(" \t\r", text[blank]) && text[blank]) blank++;
        if (blank == size) continue;
        buf_clear(&place);
        buf_printf(&place, "%s:%llu", path, (unsigned long long)lines.number);
        s = read_row(&row, &l, text, size, buf_text(&place));
        if (s != ST_OK) break;
        if (l.elapsed_s > at_s) at_s = l.elapsed_s; /* never back; a line without its own has that of the one before */
        if (!out) continue;
        put_scalars(&event, row);
        tfrecord_end_event(out, &event, l.step, begin_s + at_s);
    }
    *last_s = at_s;
    tfrecord_release_event(&event);
    buf_release(&place);
    file_lines_release(&lines);
    return s;
}

static status make_events(struct buf *out, const char *path) {
    struct stat st;
    double last_s;
    if (stat(path, &st) != 0) return FAIL(ST_IO, "%s: cannot read its date", path);
    TRY(each_line(&last_s, NULL, path, 0));
    const double begin_s = (double)st.st_mtime - last_s;
    tfrecord_put_version(out, begin_s);
    return each_line(&last_s, out, path, begin_s);
}

status tensorboard_write(bool *written, const char *output, const char *folder, const char *label) {
    char *path = file_join(folder, "metrics.jsonl"), *into = file_join(output, label), *file = file_join(into, "events.out.tfevents.rapt");
    struct buf events = {0};
    *written = file_exists(path);
    status s = *written ? make_events(&events, path) : ST_OK;
    if (s == ST_OK && *written) s = file_make_dirs(into);
    if (s == ST_OK && *written) s = file_write(file, events.data, events.size);
    buf_release(&events);
    free(path);
    free(into);
    free(file);
    return s;
}
