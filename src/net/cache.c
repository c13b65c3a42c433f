#define _DEFAULT_SOURCE /* flock */
#include "net/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"

static const char header[] = "{\"rapt_cache\": 1}\n";
#define HEADER_SIZE (sizeof header - 1)

static bool is_key(const char *text) {
    for (size_t i = 0; i + 1 < HASH_HEX_SIZE; i++)
        if (!text[i] || !strchr("0123456789abcdef", text[i])) return false;
    return true;
}

status cache_parse_line(char key[HASH_HEX_SIZE], struct json *answer, const char *line, size_t size) {
    struct json root, text;
    TRY(json_parse(&root, line, size));
    text = json_get(root, "key");
    *answer = json_get(root, "answer");
    if (json_kind_of(text) != JSON_STRING || text.size != HASH_HEX_SIZE + 1 || !is_key(text.text + 1) || !answer->size)
        return FAIL(ST_FORMAT, "expected {\"key\": 32 hex digits, \"answer\": ...}");
    memcpy(key, text.text + 1, HASH_HEX_SIZE - 1);
    key[HASH_HEX_SIZE - 1] = '\0';
    return ST_OK;
}

void cache_key(char key[HASH_HEX_SIZE], const void *request, size_t size) { hash_hex(key, request, size); }

static struct cache_entry *place(const struct cache *c, const char *key) {
    size_t i = (size_t)hash_bytes(key, HASH_HEX_SIZE - 1, 0) & (c->room - 1);
    while (c->items[i].key[0] && strcmp(c->items[i].key, key) != 0) i = (i + 1) & (c->room - 1);
    return &c->items[i];
}

static void add(struct cache *c, const char *key, uint64_t at, uint64_t size) {
    if (2 * (c->count + 1) > c->room) {
        struct cache wider = {.room = c->room ? 2 * c->room : 256};
        wider.items = mem_zero(wider.room, sizeof *wider.items);
        for (size_t i = 0; i < c->room; i++)
            if (c->items[i].key[0]) *place(&wider, c->items[i].key) = c->items[i];
        free(c->items);
        c->items = wider.items;
        c->room = wider.room;
    }
    struct cache_entry *e = place(c, key);
    if (e->key[0]) return;
    memcpy(e->key, key, HASH_HEX_SIZE);
    e->at = at;
    e->size = size;
    c->count++;
}

static status write_all(const struct cache *c, const char *text, size_t size) {
    for (size_t done = 0; done < size;) {
        const ssize_t n = write(c->file, text + done, size - done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return FAIL(ST_IO, "%s: cannot write: %s", c->path, strerror(errno));
        done += (size_t)n;
    }
    return ST_OK;
}

/* What stands behind the last line break is a piece of a line: another answer behind it would make both unreadable. */
static status cut(struct cache *c, uint64_t from) {
    c->torn = c->end - from;
    if (ftruncate(c->file, (off_t)from) != 0) return FAIL(ST_IO, "%s: cannot cut off a torn line: %s", c->path, strerror(errno));
    log_warn("%s: the last line is torn, %llu bytes: cut off; its request will be sent again", c->path, (unsigned long long)c->torn);
    c->end = from;
    return ST_OK;
}

static status read_lines(struct cache *c, const char *data) {
    uint64_t number = 1, at = HEADER_SIZE;
    while (at < c->end) {
        char key[HASH_HEX_SIZE];
        struct json answer;
        const char *line = data + at, *stop = memchr(line, '\n', (size_t)(c->end - at));
        number++;
        if (!stop) return cut(c, at);
        const size_t size = (size_t)(stop - line);
        status s = size > CACHE_LINE_MAX ? FAIL(ST_FORMAT, "%zu bytes in a line", size) : cache_parse_line(key, &answer, line, size);
        if (s != ST_OK) return status_note(s, "%s:%llu: ", c->path, (unsigned long long)number);
        add(c, key, at + (uint64_t)(answer.text - line), answer.size);
        at += size + 1;
    }
    return ST_OK;
}

/* The first line says what the file is, so that no other file is cut or written to by mistake. */
static status read_file(struct cache *c) {
    struct file_map m;
    struct stat st;
    if (fstat(c->file, &st) != 0 || !S_ISREG(st.st_mode)) return FAIL(ST_USAGE, "%s: not a plain file, and a cache is one", c->path);
    c->end = (uint64_t)st.st_size;
    TRY(file_map_open(&m, c->path));
    const size_t head = m.size < HEADER_SIZE ? m.size : HEADER_SIZE;
    status s = ST_OK;
    if (m.size != c->end)
        s = FAIL(ST_MISMATCH, "%s: another process writes to it", c->path);
    else if (memcmp(m.data, header, head) != 0)
        s = FAIL(ST_FORMAT, "%s:1: not a cache of rapt: expected %.*s", c->path, (int)HEADER_SIZE - 1, header);
    else if (head < HEADER_SIZE)
        s = head ? cut(c, 0) : ST_OK;
    else
        s = read_lines(c, m.data);
    file_map_release(&m);
    if (s == ST_OK && c->end < HEADER_SIZE) {
        s = write_all(c, header, HEADER_SIZE);
        c->end = HEADER_SIZE;
    }
    return s;
}

status cache_open(struct cache *c, const char *path) {
    *c = (struct cache){.file = -1};
    if (!path) return ST_OK;
    c->path = mem_text(path);
    c->file = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (c->file < 0) {
        status s = FAIL(ST_IO, "%s: cannot open: %s", path, strerror(errno));
        cache_release(c);
        return s;
    }
    status s = flock(c->file, LOCK_EX | LOCK_NB) == 0 ? read_file(c) : FAIL(ST_MISMATCH, "%s: another process has it open", path);
    if (s != ST_OK) cache_release(c);
    return s;
}

status cache_get(bool *found, struct buf *out, const struct cache *c, const char *key) {
    *found = false;
    if (!c->path || !c->room) return ST_OK;
    const struct cache_entry *e = place(c, key);
    if (!e->key[0]) return ST_OK;
    TRY(buf_reserve(out, (size_t)e->size + 1));
    for (uint64_t done = 0; done < e->size;) {
        const ssize_t n = pread(c->file, out->data + out->size, (size_t)(e->size - done), (off_t)(e->at + done));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return FAIL(ST_IO, "%s: cannot read what it held before: %s", c->path, n < 0 ? strerror(errno) : "it became shorter");
        out->size += (size_t)n;
        done += (uint64_t)n;
    }
    out->data[out->size] = '\0';
    struct json answer;
    if (json_parse(&answer, out->data + out->size - e->size, (size_t)e->size) != ST_OK)
        return FAIL(ST_IO, "%s: changed while it was in use", c->path);
    *found = true;
    return ST_OK;
}

status cache_put(struct cache *c, const char *key, struct json answer) {
    if (!c->path) return ST_OK;
    if (c->broken) return FAIL(ST_IO, "%s: an earlier answer could not be written whole", c->path);
    struct buf line = {0};
    buf_printf(&line, "{\"key\": \"%s\", \"answer\": ", key);
    const size_t at = line.size;
    buf_append(&line, answer.text, answer.size);
    for (size_t i = at; i < line.size; i++) /* only between tokens: strings hold none */
        if (line.data[i] == '\n' || line.data[i] == '\r') line.data[i] = ' ';
    buf_append_text(&line, "}\n");
    status s = line.size > CACHE_LINE_MAX ? FAIL(ST_UNSUPPORTED, "%s: an answer of %zu bytes is too long for it", c->path, answer.size)
                                          : write_all(c, line.data, line.size); /* one write: a killed process leaves at most a piece */
    if (s == ST_OK) {
        add(c, key, c->end + at, answer.size);
        c->end += line.size;
    } else if (ftruncate(c->file, (off_t)c->end) != 0) { /* a piece of it may be there, which the next must not stand behind */
        c->broken = true;
    }
    buf_release(&line);
    return s;
}

void cache_release(struct cache *c) {
    if (c->path && c->file >= 0) close(c->file);
    free(c->path);
    free(c->items);
    *c = (struct cache){.file = -1};
}
