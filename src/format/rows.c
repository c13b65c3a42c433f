#define _POSIX_C_SOURCE 200809L
#include "format/rows.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "format/json.h"

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

const char *rows_path(const struct rows_in *r) { return r->lines.in.path; }

void rows_set_path(struct rows_in *r, const char *name) {
    free(r->lines.in.path);
    r->lines.in.path = mem_text(name);
}

/* ---- the end of a value: brackets and strings are followed, nothing else is looked at ---- */

struct scan {
    size_t depth;
    bool string, escaped, scalar;
};

/* How much of text[0..size) belongs to the value that s is inside of (or, fresh, begins with); *done when it ends there. A number or word
 * ends before the first byte that cannot be its own. */
static size_t scan_value(struct scan *s, bool *done, const char *text, size_t size) {
    *done = false;
    for (size_t i = 0; i < size; i++) {
        const char c = text[i];
        if (s->string) {
            if (s->escaped)
                s->escaped = false;
            else if (c == '\\')
                s->escaped = true;
            else if (c == '"')
                s->string = false;
            if (s->string || s->depth) continue;
        } else if (c == '"' && !s->scalar) {
            s->string = true;
            continue;
        } else if ((c == '{' || c == '[') && !s->scalar) {
            s->depth++;
            continue;
        } else if (s->depth) {
            if ((c != '}' && c != ']') || --s->depth) continue;
        } else if (is_blank(c) || strchr(",:{}[]\"", c)) { /* strchr finds NUL too, which ends a word as well */
            *done = true;
            return i;
        } else {
            s->scalar = true;
            continue;
        }
        *done = true;
        return i + 1;
    }
    return size;
}

/* ---- which form ---- */

static size_t skip_blanks(const char *text, size_t at, size_t size) {
    while (at < size && is_blank(text[at])) at++;
    return at;
}

/* The end of the value at `at`, or `size` when it does not end in the text. */
static size_t end_of(const char *text, size_t at, size_t size) {
    struct scan s = {0};
    bool done;
    size_t took = scan_value(&s, &done, text + at, size - at);
    return done ? at + took : size;
}

/* Does the object at `at`, as far as it is in the text, have an array of objects under "data" or "instances"? Then the offset of the array;
 * else 0. Where something stands behind the object, it is a row of JSONL that has such a field. */
static size_t find_data(const char *text, size_t at, size_t size) {
    size_t found = 0;
    for (at++;;) {
        at = skip_blanks(text, at, size);
        if (at == size || text[at] != '"') return found;
        const size_t key = at;
        at = end_of(text, at, size);
        const bool data = (at - key == 6 && memcmp(text + key, "\"data\"", 6) == 0) ||
                          (at - key == 11 && memcmp(text + key, "\"instances\"", 11) == 0); /* LMFlow, older RLHFlow */
        at = skip_blanks(text, at, size);
        if (at == size || text[at] != ':') return found;
        at = skip_blanks(text, at + 1, size);
        if (data && !found && at < size && text[at] == '[') {
            size_t first = skip_blanks(text, at + 1, size);
            if (first < size && (text[first] == '{' || text[first] == ']')) found = at;
        }
        at = skip_blanks(text, end_of(text, at, size), size);
        if (at == size) return found;
        if (text[at] == '}') return skip_blanks(text, at + 1, size) == size ? found : 0;
        if (text[at] != ',') return found;
        at++;
    }
}

/* Takes `size` bytes of the text and counts their lines. */
static void take(struct rows_in *r, const char *text, size_t size) {
    for (const char *at = text, *end = text + size; (at = memchr(at, '\n', (size_t)(end - at))); at++) r->line++;
    file_lines_skip(&r->lines, size);
}

/* By its name: of the content a bad first row may be all that was looked at. */
static bool is_table(const char *path) {
    static const char *const ends[] = {".csv", ".tsv", ".txt", ".xlsx"};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        if (text_ends_with(path, ends[i])) return true;
    return false;
}

static status refuse_table(const char *path) {
    return FAIL(ST_FORMAT, "%s: rows are JSONL (an object a line), a JSON array or Parquet, and it is none of these", path);
}

static status choose_form(struct rows_in *r) {
    char *text;
    size_t size;
    if (r->lines.in.form == INPUT_PARQUET) return ST_OK;
    TRY(file_lines_peek(&r->lines, &text, &size));
    if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) { /* the mark of UTF-8, which Windows' programs write */
        file_lines_skip(&r->lines, 3);
        text += 3, size -= 3;
    }
    size_t at = skip_blanks(text, 0, size);
    if (at == size) return ST_OK;
    if (text[at] != '[' && text[at] != '{') return is_table(rows_path(r)) ? refuse_table(rows_path(r)) : ST_OK; /* a bad row, it may be */
    if (text[at] == '{') {
        at = find_data(text, at, size);
        if (!at) return ST_OK;
        r->wrapped = true;
    }
    r->form = ROWS_ARRAY;
    take(r, text, at + 1);
    return ST_OK;
}

status rows_open(struct rows_in *r, const char *path) {
    *r = (struct rows_in){.line = 1};
    TRY(file_lines_open(&r->lines, path));
    status s = choose_form(r);
    if (s != ST_OK) rows_release(r);
    return s;
}

/* ---- arrays ---- */

static status fail_at(const struct rows_in *r, uint64_t line, const char *what) {
    return FAIL(ST_FORMAT, "%s:%llu: %s", rows_path(r), (unsigned long long)line, what);
}

/* The next byte that is not blank, not taken; '\0' at the end of the file. */
static status next_byte(char *c, struct rows_in *r) {
    char *text;
    size_t size;
    *c = '\0';
    for (;;) {
        TRY(file_lines_peek(&r->lines, &text, &size));
        if (!size) return ST_OK;
        size_t blank = skip_blanks(text, 0, size);
        take(r, text, blank);
        if (blank == size) continue;
        *c = text[blank];
        return *c ? ST_OK : fail_at(r, r->line, "expected JSON, found a zero byte");
    }
}

static status unexpected(const struct rows_in *r, const char *expected, char c) {
    struct buf text = {0};
    if (!c)
        buf_printf(&text, "expected %s, but the file ends", expected);
    else if (c > ' ' && c < 0x7f)
        buf_printf(&text, "expected %s, found '%c'", expected, c);
    else
        buf_printf(&text, "expected %s, found byte 0x%02x", expected, (unsigned char)c);
    status s = fail_at(r, r->line, buf_text(&text));
    buf_release(&text);
    return s;
}

/* Line breaks between the parts of a value become spaces; one inside a string stays, an error that json_parse will find. */
static void join_lines(char *text, size_t size) {
    bool string = false;
    if (!memchr(text, '\n', size) && !memchr(text, '\r', size)) return;
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '"')
            string = !string;
        else if (text[i] == '\\' && string)
            i++;
        else if (!string && (text[i] == '\n' || text[i] == '\r'))
            text[i] = ' ';
    }
}

/* The value that begins here, into lines.line. */
static status read_value(struct rows_in *r) {
    struct scan scan = {0};
    struct buf *row = &r->lines.line;
    const uint64_t begin = r->line;
    bool done = false;
    buf_clear(row);
    while (!done) {
        char *text;
        size_t size;
        TRY(file_lines_peek(&r->lines, &text, &size));
        if (!size) return scan.scalar ? ST_OK : fail_at(r, begin, "the file ends inside the row that begins here");
        size_t used = scan_value(&scan, &done, text, size);
        r->lines.number = begin - 1;
        TRY(file_lines_check_size(&r->lines, row->size + used));
        TRY(buf_reserve(row, used));
        take(r, text, used);
        buf_append(row, text, used);
    }
    if (!row->size) return unexpected(r, "a row", *(r->lines.chunk + r->lines.chunk_at));
    join_lines(row->data, row->size);
    return ST_OK;
}

/* Behind the array: the object's other members, its end, and nothing more. */
static status finish(struct rows_in *r) {
    char c;
    struct json value;
    while (r->wrapped) {
        TRY(next_byte(&c, r));
        if (c != ',' && c != '}') return unexpected(r, "',' or '}' behind the rows", c);
        file_lines_skip(&r->lines, 1);
        if (c == '}') break;
        for (int part = 0; part < 2; part++) { /* name, value */
            TRY(next_byte(&c, r));
            if (part == 0 ? c != '"' : !c) return unexpected(r, part == 0 ? "a name in quotes" : "a value", c);
            uint64_t line = r->line;
            TRY(read_value(r));
            status s = json_parse(&value, buf_text(&r->lines.line), r->lines.line.size);
            if (s != ST_OK) return status_note(s, "%s:%llu: ", rows_path(r), (unsigned long long)line);
            if (part) break;
            TRY(next_byte(&c, r));
            if (c != ':') return unexpected(r, "':'", c);
            file_lines_skip(&r->lines, 1);
        }
    }
    TRY(next_byte(&c, r));
    return c ? unexpected(r, "the end of the file behind the rows", c) : ST_OK;
}

static status next_of_array(struct rows_in *r, const char **text, size_t *size) {
    char c;
    if (r->ended) return ST_OK;
    TRY(next_byte(&c, r));
    if (r->count && c != ',' && c != ']') return unexpected(r, "',' or ']' behind a row", c);
    if (r->count && c == ',') {
        file_lines_skip(&r->lines, 1);
        TRY(next_byte(&c, r));
        if (c == ']') return unexpected(r, "a row behind ','", c);
    }
    if (c == ']') {
        file_lines_skip(&r->lines, 1);
        r->ended = true;
        return finish(r);
    }
    if (!c || c == ',') return unexpected(r, "a row or ']'", c);
    r->number = r->line;
    TRY(read_value(r));
    r->count++;
    *text = buf_text(&r->lines.line);
    *size = r->lines.line.size;
    return ST_OK;
}

/* ---- lines ---- */

static status next_of_lines(struct rows_in *r, const char **text, size_t *size) {
    for (;;) {
        TRY(file_lines_next(&r->lines, text, size));
        if (!*text) return ST_OK;
        while (*size && is_blank((*text)[*size - 1])) --*size;
        if (!*size) continue;
        r->number = r->lines.number;
        r->count++;
        return ST_OK;
    }
}

status rows_next(struct rows_in *r, const char **text, size_t *size) {
    *text = NULL;
    *size = 0;
    return r->form == ROWS_ARRAY ? next_of_array(r, text, size) : next_of_lines(r, text, size);
}

void rows_release(struct rows_in *r) {
    file_lines_release(&r->lines);
    *r = (struct rows_in){0};
}

status rows_each(const char *path, status (*each)(void *context, struct json row), void *context) {
    struct rows_in rows;
    const char *text;
    size_t size;
    TRY(rows_open(&rows, path));
    status code = ST_OK;
    while (code == ST_OK) {
        struct json row;
        code = rows_next(&rows, &text, &size);
        if (code != ST_OK || !text) break;
        code = json_parse(&row, text, size);
        if (code == ST_OK) code = each(context, row);
        if (code != ST_OK) status_note(code, "%s:%llu: ", rows_path(&rows), (unsigned long long)rows.number);
    }
    rows_release(&rows);
    return code;
}

uint64_t rows_count(const char *path) {
    struct rows_in rows;
    const char *text;
    size_t size;
    uint64_t count = 0;
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode) || rows_open(&rows, path) != ST_OK) return 0;
    while (rows_next(&rows, &text, &size) == ST_OK && text) count = rows.count;
    rows_release(&rows);
    return count;
}
