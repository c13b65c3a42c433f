#define _DEFAULT_SOURCE /* madvise */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK_SIZE ((size_t)1 << 20)

static status io_fail(const char *path, const char *what) { return FAIL(ST_IO, "%s: cannot %s: %s", path, what, strerror(errno)); }

status file_map_open(struct file_map *m, const char *path) {
    *m = (struct file_map){.data = ""};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return io_fail(path, "open");
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return FAIL(ST_IO, "%s: not a regular file", path);
    }
    m->size = (size_t)st.st_size;
    if (m->size) {
        m->map = mmap(NULL, m->size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (m->map == MAP_FAILED) {
            m->map = NULL;
            close(fd);
            return io_fail(path, "map");
        }
        m->data = m->map;
    }
    close(fd);
    return ST_OK;
}

void file_map_drop_pages(const struct file_map *m) {
    if (m->map) (void)madvise(m->map, m->size, MADV_DONTNEED); /* a private map that nobody wrote to: nothing is lost */
}

void file_map_release(struct file_map *m) {
    if (m->map) munmap(m->map, m->size);
    *m = (struct file_map){.data = ""};
}

status file_lines_open(struct file_lines *l, const char *path) {
    *l = (struct file_lines){0};
    TRY(input_open(&l->in, path));
    l->chunk = mem_alloc(CHUNK_SIZE);
    return ST_OK;
}

/* A whole chunk, unless the file ends: what decides by the first chunk sees the same however the file is packed. */
static status lines_fill(struct file_lines *l) {
    size_t got = 1;
    l->chunk_at = l->chunk_size = 0;
    l->chunk_start = input_taken(&l->in);
    while (got && l->chunk_size < CHUNK_SIZE) {
        TRY(input_read(&got, &l->in, l->chunk + l->chunk_size, CHUNK_SIZE - l->chunk_size));
        l->chunk_size += got;
    }
    return ST_OK;
}

uint64_t file_lines_taken(const struct file_lines *l) {
    const uint64_t end = input_taken(&l->in);
    return l->chunk_size ? l->chunk_start + (uint64_t)((double)(end - l->chunk_start) * (double)l->chunk_at / (double)l->chunk_size) : end;
}

status file_lines_check_size(const struct file_lines *l, size_t size) {
    if (size <= FILE_LINE_MAX) return ST_OK;
    return FAIL(ST_FORMAT, "%s:%llu: longer than %zu MiB", l->in.path, (unsigned long long)l->number + 1, FILE_LINE_MAX >> 20);
}

status file_lines_peek(struct file_lines *l, char **text, size_t *size) {
    if (l->chunk_at == l->chunk_size) TRY(lines_fill(l));
    *text = l->chunk + l->chunk_at;
    *size = l->chunk_size - l->chunk_at;
    return ST_OK;
}

void file_lines_skip(struct file_lines *l, size_t size) {
    CHECK(size <= l->chunk_size - l->chunk_at);
    l->chunk_at += size;
    l->next_offset += size;
}

status file_lines_next(struct file_lines *l, const char **text, size_t *size) {
    bool copied = false, any = false;
    *text = NULL;
    *size = 0;
    buf_clear(&l->line);
    l->offset = l->next_offset;
    for (;;) {
        if (l->chunk_at == l->chunk_size) {
            TRY(lines_fill(l));
            if (l->chunk_size == 0) break;
        }
        any = true;
        char *start = l->chunk + l->chunk_at;
        size_t rest = l->chunk_size - l->chunk_at;
        char *end = memchr(start, '\n', rest);
        size_t take = end ? (size_t)(end - start) : rest;
        l->chunk_at += take + (end != NULL);
        l->next_offset += take + (end != NULL);
        if (end && !copied) {
            *text = start;
            *size = take;
            break;
        }
        TRY(file_lines_check_size(l, l->line.size + take));
        TRY(buf_reserve(&l->line, take));
        buf_append(&l->line, start, take);
        copied = true;
        if (end) break;
    }
    if (!any) return ST_OK;
    if (copied) {
        *text = buf_text(&l->line);
        *size = l->line.size;
    }
    l->number++;
    return ST_OK;
}

void file_lines_release(struct file_lines *l) {
    input_release(&l->in);
    free(l->chunk);
    buf_release(&l->line);
    *l = (struct file_lines){0};
}

status file_out_open(struct file_out *o, const char *path) {
    *o = (struct file_out){.path = mem_text(path)};
    if (strcmp(path, "-") == 0) {
        o->stream = stdout;
        return ST_OK;
    }
    struct stat st;
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) { /* /dev/stdout, a pipe: nothing to rename */
        if (S_ISDIR(st.st_mode)) {
            status s = FAIL(ST_IO, "%s: is a folder", path);
            file_out_abandon(o);
            return s;
        }
        o->stream = fopen(path, "wb");
    } else {
        struct buf name = {0};
        buf_printf(&name, "%s.tmp.%ld", path, (long)getpid());
        o->temp_path = name.data;
        o->stream = fopen(o->temp_path, "wb");
    }
    if (!o->stream) {
        status s = io_fail(path, "create");
        free(o->temp_path);
        o->temp_path = NULL;
        file_out_abandon(o);
        return s;
    }
    setvbuf(o->stream, NULL, _IOFBF, CHUNK_SIZE);
    return ST_OK;
}

status file_out_write(struct file_out *o, const void *data, size_t size) {
    if (size && fwrite(data, 1, size, o->stream) != size) return io_fail(o->path, "write");
    return ST_OK;
}

static status sync_folder_of(const char *path) {
    char *folder = mem_text(path);
    char *slash = strrchr(folder, '/');
    if (slash) *(slash == folder ? slash + 1 : slash) = '\0';
    int fd = open(slash ? folder : ".", O_RDONLY | O_CLOEXEC);
    free(folder);
    if (fd < 0) return ST_OK; /* the rename itself has succeeded */
    fsync(fd);
    close(fd);
    return ST_OK;
}

status file_out_commit(struct file_out *o) {
    status s = ST_OK;
    if (fflush(o->stream) != 0) s = io_fail(o->path, "write");
    if (s == ST_OK && o->temp_path && fsync(fileno(o->stream)) != 0) s = io_fail(o->path, "sync");
    if (s == ST_OK && o->temp_path) {
        if (fclose(o->stream) != 0) s = io_fail(o->path, "close");
        o->stream = NULL;
        if (s == ST_OK && rename(o->temp_path, o->path) != 0) s = io_fail(o->path, "rename to");
        if (s == ST_OK) {
            free(o->temp_path);
            o->temp_path = NULL;
            sync_folder_of(o->path);
        }
    }
    file_out_abandon(o);
    return s;
}

void file_out_abandon(struct file_out *o) {
    if (o->stream && o->stream != stdout) fclose(o->stream);
    if (o->temp_path) unlink(o->temp_path);
    free(o->temp_path);
    free(o->path);
    *o = (struct file_out){0};
}

status file_read(struct buf *out, const char *path) {
    struct file_map m;
    TRY(file_map_open(&m, path));
    buf_append(out, m.data, m.size);
    file_map_release(&m);
    return ST_OK;
}

status file_write(const char *path, const void *data, size_t size) {
    struct file_out o;
    TRY(file_out_open(&o, path));
    status s = file_out_write(&o, data, size);
    if (s != ST_OK) {
        file_out_abandon(&o);
        return s;
    }
    return file_out_commit(&o);
}

status file_copy_if_there(const char *to, const char *from) {
    struct buf text = {0};
    if (!file_exists(from)) return ST_OK;
    status s = file_read(&text, from);
    if (s == ST_OK) s = file_write(to, buf_text(&text), text.size);
    buf_release(&text);
    return s;
}

status file_make_dirs(const char *path) {
    char *copy = mem_text(path);
    for (char *p = copy + 1;; p++) {
        char c = *p;
        if (c != '/' && c != '\0') continue;
        *p = '\0';
        if (mkdir(copy, 0777) != 0 && !(errno == EEXIST && file_is_dir(copy))) {
            status s = io_fail(copy, "create folder");
            free(copy);
            return s;
        }
        *p = c;
        if (c == '\0') break;
    }
    free(copy);
    return ST_OK;
}

bool file_exists(const char *path) { return access(path, F_OK) == 0; }

bool file_is_dir(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

uint64_t file_size_bytes(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

char *file_join(const char *folder, const char *name) {
    struct buf b = {0};
    size_t size = strlen(folder);
    buf_printf(&b, "%s%s%s", folder, size && folder[size - 1] == '/' ? "" : "/", name);
    return b.data;
}
