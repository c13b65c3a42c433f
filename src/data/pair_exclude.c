#include "data/pair_exclude.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "data/source.h"

static void add(struct pair_exclude *x, uint64_t key) {
    if (x->count == x->capacity) {
        x->capacity = x->capacity ? x->capacity * 2 : 1024;
        x->keys = mem_resize(x->keys, x->capacity * sizeof *x->keys);
    }
    x->keys[x->count++] = key;
}

static int by_key(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* One field of a CSV text (RFC 4180) from `at`; returns what follows it: a comma, a line break or the end. NULL: a quote never closes. */
static const char *csv_field(struct buf *out, const char *at, const char *end) {
    buf_clear(out);
    if (at == end || *at != '"') {
        const char *start = at;
        while (at < end && *at != ',' && *at != '\n') at++;
        buf_append(out, start, (size_t)(at - start));
        if (out->size && out->data[out->size - 1] == '\r') out->data[--out->size] = '\0';
        return at;
    }
    for (at++;;) {
        const char *quote = memchr(at, '"', (size_t)(end - at));
        if (!quote) return NULL;
        buf_append(out, at, (size_t)(quote - at));
        at = quote + 1;
        if (at == end || *at != '"') break;
        buf_append_char(out, '"');
        at++;
    }
    while (at < end && *at != ',' && *at != '\n') at++;
    return at;
}

static status read_csv(struct pair_exclude *x, struct buf *field, const char *data, size_t size) {
    static const char *const names[] = {"Question", "question", "prompt", "instruction"};
    const char *at = data, *end = data + size;
    size_t column = 0, wanted = SIZE_MAX, line = 1;
    bool header = true;
    while (at < end) {
        const char *next = csv_field(field, at, end);
        if (!next) return FAIL(ST_FORMAT, "line %zu: a quote is never closed", line);
        for (const char *p = at; p < next; p++) line += *p == '\n';
        for (size_t i = 0; header && i < sizeof names / sizeof names[0]; i++)
            if (wanted == SIZE_MAX && strcmp(buf_text(field), names[i]) == 0) wanted = column;
        if (!header && column == wanted) add(x, record_prompt_key(field, false));
        column++;
        if (next < end && *next == '\n') {
            if (header && wanted == SIZE_MAX) break;
            header = false;
            column = 0;
            line++;
        }
        at = next < end ? next + 1 : end;
    }
    if (wanted == SIZE_MAX) return FAIL(ST_FORMAT, "line 1: no column Question, question, prompt or instruction");
    return ST_OK;
}

static status read_row(struct pair_exclude *x, struct record *r, struct json row, struct buf *text) {
    struct json question = json_get(row, "question");
    if (json_kind_of(question) == JSON_STRING && !json_get(row, "prompt").size) {
        buf_clear(text);
        json_string(text, question);
        add(x, record_prompt_key(text, false));
        return ST_OK;
    }
    TRY(source_read_row(r, row));
    add(x, record_prompt_key(&r->prompt, r->conversational));
    return ST_OK;
}

/* A prompt a line. */
static status read_lines(struct pair_exclude *x, struct buf *text, const char *path) {
    struct file_lines lines;
    TRY(file_lines_open(&lines, path));
    status s = ST_OK;
    while (s == ST_OK) {
        const char *line;
        size_t size;
        s = file_lines_next(&lines, &line, &size);
        if (s != ST_OK || !line) break;
        if (size && line[size - 1] == '\r') size--;
        if (!size) continue;
        buf_clear(text);
        buf_append(text, line, size);
        add(x, record_prompt_key(text, false));
    }
    file_lines_release(&lines);
    return s;
}

static status read_rows(struct pair_exclude *x, struct buf *text, const char *path) {
    struct rows_in rows;
    struct record r = {0};
    TRY(rows_open(&rows, path));
    status s = ST_OK;
    while (s == ST_OK) {
        const char *line;
        size_t size;
        struct json row;
        s = rows_next(&rows, &line, &size);
        if (s != ST_OK || !line) break;
        s = json_parse(&row, line, size);
        if (s == ST_OK) s = read_row(x, &r, row, text);
        if (s != ST_OK) status_note(s, "line %llu: ", (unsigned long long)rows.number);
    }
    record_release(&r);
    rows_release(&rows);
    return s;
}

static size_t skip_blanks(const char *text, size_t at, size_t size) {
    while (at < size && text[at] && strchr(" \t\r\n", text[at])) at++;
    return at;
}

/* Rows, when the text begins as an object or a list of objects does; a prompt that begins with a bracket goes on otherwise. Parquet has
 * rows. */
static status holds_rows(bool *rows, const char *path) {
    struct file_lines lines;
    char *text;
    size_t size, at = 0;
    TRY(file_lines_open(&lines, path));
    status s = file_lines_peek(&lines, &text, &size);
    if (s == ST_OK && size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) at = 3;
    if (s == ST_OK) at = skip_blanks(text, at, size);
    const char first = s == ST_OK && at < size ? text[at] : '\0';
    if (first) at = skip_blanks(text, at + 1, size);
    const char second = first && at < size ? text[at] : '\0';
    *rows = s == ST_OK && (lines.in.form == INPUT_PARQUET || (first == '{' && second && strchr("\"}", second)) ||
                           (first == '[' && second && strchr("{]", second)));
    file_lines_release(&lines);
    return s;
}

status pair_exclude_load(struct pair_exclude *x, const char *path) {
    struct buf text = {0};
    status s;
    if (text_ends_with(path, ".csv")) {
        struct file_map map;
        TRY(file_map_open(&map, path));
        bool mark = map.size >= 3 && memcmp(map.data, "\xef\xbb\xbf", 3) == 0;
        s = read_csv(x, &text, map.data + (mark ? 3 : 0), map.size - (mark ? 3 : 0));
        file_map_release(&map);
        if (s != ST_OK) status_note(s, "%s: ", path);
    } else {
        bool rows = false;
        if (!file_exists(path)) return FAIL(ST_IO, "%s: no such file", path);
        s = holds_rows(&rows, path);
        if (s == ST_OK) s = (rows ? read_rows : read_lines)(x, &text, path);
        if (s != ST_OK) status_note(s, "%s: ", path);
    }
    buf_release(&text);
    if (x->count) qsort(x->keys, x->count, sizeof *x->keys, by_key);
    return s;
}

void pair_exclude_release(struct pair_exclude *x) {
    free(x->keys);
    *x = (struct pair_exclude){0};
}

bool pair_exclude_has(const struct pair_exclude *x, const struct record *r) {
    if (!x || !x->count) return false;
    uint64_t key = record_prompt_key(&r->prompt, r->conversational);
    return bsearch(&key, x->keys, x->count, sizeof key, by_key) != NULL;
}
