#include "format/csv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/utf8.h"

static bool at_break(const struct csv *c) { return c->at == c->text.size || c->text.data[c->at] == '\n' || c->text.data[c->at] == '\r'; }

/* A field in quotes, decoded in place: what is written is never longer than what was read. *lines: breaks inside. */
static status read_quoted(char **out, struct csv *c, size_t *lines) {
    char *text = c->text.data, *to = text + ++c->at;
    *out = to;
    for (;;) {
        if (c->at == c->text.size) return FAIL(ST_FORMAT, "%s:%zu: a quoted field does not end", c->path, c->line);
        const char at = text[c->at++];
        if (at == '"' && (c->at == c->text.size || text[c->at] != '"')) break;
        if (at == '"') c->at++;
        *lines += at == '\n';
        *to++ = at;
    }
    if (!at_break(c) && text[c->at] != ',') return FAIL(ST_FORMAT, "%s:%zu: text behind a closing quote", c->path, c->line);
    *to = '\0';
    return ST_OK;
}

static status read_plain(char **out, struct csv *c) {
    *out = c->text.data + c->at;
    while (!at_break(c) && c->text.data[c->at] != ',') {
        if (c->text.data[c->at] == '"') return FAIL(ST_FORMAT, "%s:%zu: a quote inside a field without quotes", c->path, c->line);
        c->at++;
    }
    return ST_OK;
}

/* Fields up to the line's end, into at most `most` places. The byte behind each is made its end once it has been looked at. */
static status read_record(char **fields, size_t *count, struct csv *c, size_t most, size_t *lines) {
    for (*count = 0;;) {
        if (*count == most) return FAIL(ST_FORMAT, "%s:%zu: more than %zu fields", c->path, c->line, most);
        char **field = &fields[(*count)++];
        const bool quoted = c->at < c->text.size && c->text.data[c->at] == '"';
        TRY(quoted ? read_quoted(field, c, lines) : read_plain(field, c));
        const bool more = c->at < c->text.size && c->text.data[c->at] == ',';
        const bool carriage = !more && c->at < c->text.size && c->text.data[c->at] == '\r';
        if (!quoted && c->at < c->text.size) c->text.data[c->at] = '\0';
        if (c->at < c->text.size) c->at++;
        if (more) continue;
        if (carriage && c->at < c->text.size && c->text.data[c->at] == '\n') c->at++;
        ++*lines;
        return ST_OK;
    }
}

static status read_header(struct csv *c) {
    char **fields = mem_zero(CSV_COLUMNS_MAX, sizeof *fields);
    size_t lines = 0;
    c->names = fields;
    c->line = 1;
    if (!c->text.size) return FAIL(ST_FORMAT, "%s: the file is empty", c->path);
    if (memchr(c->text.data, 0, c->text.size) || utf8_valid_prefix(c->text.data, c->text.size) != c->text.size)
        return FAIL(ST_FORMAT, "%s: expected text in UTF-8 without zero bytes", c->path);
    if (c->text.size >= 3 && memcmp(c->text.data, "\xef\xbb\xbf", 3) == 0) c->at = 3;
    TRY(read_record(fields, &c->columns, c, CSV_COLUMNS_MAX, &lines));
    for (size_t i = 0; i < c->columns; i++)
        for (size_t k = 0; k < i; k++)
            if (*fields[i] && strcmp(fields[i], fields[k]) == 0)
                return FAIL(ST_FORMAT, "%s:1: column '%.60s' stands twice", c->path, fields[i]);
    c->line += lines;
    c->fields = mem_zero(c->columns, sizeof *c->fields);
    return ST_OK;
}

status csv_parse(struct csv *c, const char *path, const char *text, size_t size) {
    *c = (struct csv){.path = mem_text(path)};
    buf_append(&c->text, text, size);
    const status s = read_header(c);
    if (s != ST_OK) csv_release(c);
    return s;
}

status csv_open(struct csv *c, const char *path) {
    *c = (struct csv){.path = mem_text(path)};
    status s = file_size_bytes(path) > CSV_SIZE_MAX ? FAIL(ST_UNSUPPORTED, "%s: a CSV file of more than %zu bytes", path, CSV_SIZE_MAX)
                                                    : file_read(&c->text, path);
    if (s == ST_OK) s = read_header(c);
    if (s != ST_OK) csv_release(c);
    return s;
}

status csv_next(struct csv *c, bool *end) {
    size_t count, lines = 0;
    while (c->at < c->text.size && (c->text.data[c->at] == '\n' || c->text.data[c->at] == '\r')) c->line += c->text.data[c->at++] == '\n';
    *end = c->at == c->text.size;
    if (*end) return ST_OK;
    TRY(read_record(c->fields, &count, c, c->columns, &lines));
    if (count != c->columns) return FAIL(ST_FORMAT, "%s:%zu: expected %zu fields, found %zu", c->path, c->line, c->columns, count);
    c->line += lines;
    return ST_OK;
}

size_t csv_column(const struct csv *c, const char *name) {
    for (size_t i = 0; i < c->columns; i++)
        if (strcmp(c->names[i], name) == 0) return i;
    return SIZE_MAX;
}

status csv_number(double *out, const struct csv *c, size_t column) {
    const char *text = c->fields[column];
    char *end;
    *out = (double)NAN;
    if (!*text || strcmp(text, "NA") == 0 || strcasecmp(text, "nan") == 0) return ST_OK;
    *out = strtod(text, &end);
    if (end != text && !*end && isfinite(*out)) return ST_OK;
    return FAIL(ST_FORMAT, "%s: the record before line %zu, column %s: expected a number, found '%.40s'", c->path, c->line,
                c->names[column], text);
}

void csv_release(struct csv *c) {
    free(c->path);
    free(c->names);
    free(c->fields);
    buf_release(&c->text);
    *c = (struct csv){0};
}
