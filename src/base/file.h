/* file: whole-file views, line streams, and writes that are all there or not there at all (temporary, fsync, rename). */
#ifndef RAPT_BASE_FILE_H
#define RAPT_BASE_FILE_H

#include <stdio.h>

#include "base/input.h"

/* A read-only memory map. data is a view; size may be 0 (then data is ""). */
struct file_map {
    const char *data;
    size_t size;
    void *map; /* NULL when empty */
};
status file_map_open(struct file_map *m, const char *path);
void file_map_release(struct file_map *m);
/* Lets the kernel drop the pages read so far: they come back from the file when touched. For big files whose content was copied. */
void file_map_drop_pages(const struct file_map *m);

/* Lines of a text file, packed or not (base/input.h), read in chunks: memory is bounded by the longest line, and that by FILE_LINE_MAX. A
 * path of "-" is stdin. Offsets are those of the unpacked text. */
#define FILE_LINE_MAX ((size_t)1 << 28)
struct file_lines {
    struct input in;
    struct buf line; /* the current line without its line break */
    uint64_t number; /* 1-based number of the current line */
    uint64_t offset; /* byte offset where the current line starts */
    uint64_t next_offset;
    char *chunk;
    size_t chunk_at, chunk_size;
    uint64_t chunk_start; /* bytes of the file, as it is packed, that were taken before the chunk */
};
status file_lines_open(struct file_lines *l, const char *path);
/* *text (a view of *size bytes, valid until the next call) or NULL at the end of the file. No copy is made while a line lies in a chunk. */
status file_lines_next(struct file_lines *l, const char **text, size_t *size);
/* The text behind the current line that is in memory, read first where there is none: *size is 0 at the end. file_lines_skip takes some of
 * it without looking for lines; l->number is then the caller's to keep. For readers of other forms than lines. */
status file_lines_peek(struct file_lines *l, char **text, size_t *size);
void file_lines_skip(struct file_lines *l, size_t size);
/* How much of the file itself lies before what was handed out last, for progress; of a packed file within a chunk an estimate. */
uint64_t file_lines_taken(const struct file_lines *l);
/* ST_FORMAT when a line or row of `size` bytes is more than a file can mean. */
status file_lines_check_size(const struct file_lines *l, size_t size);
void file_lines_release(struct file_lines *l);

/* A file being written beside its final name; nothing appears under that name before file_out_commit. A path of "-" is stdout. */
struct file_out {
    FILE *stream;
    char *path, *temp_path; /* temp_path NULL for stdout */
};
status file_out_open(struct file_out *o, const char *path);
status file_out_write(struct file_out *o, const void *data, size_t size);
/* Flushes, fsyncs, renames. On failure the old file is still there and the temporary is gone. Releases o either way. */
status file_out_commit(struct file_out *o);
/* Drops the temporary. Safe on a zeroed or released struct. */
void file_out_abandon(struct file_out *o);

status file_read(struct buf *out, const char *path);
status file_write(const char *path, const void *data, size_t size);
/* A whole copy of a small file under its new name; nothing happens when there is no such file. */
status file_copy_if_there(const char *to, const char *from);
status file_make_dirs(const char *path);
bool file_exists(const char *path);
bool file_is_dir(const char *path);
uint64_t file_size_bytes(const char *path);
/* Joins with one slash into a fresh string: caller frees. */
char *file_join(const char *folder, const char *name);

#endif
