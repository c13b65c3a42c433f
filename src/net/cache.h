/* cache: answers of a server, kept in a file as they come, so that a command that was stopped asks nothing twice.
 *
 * JSONL, only ever appended to: {"rapt_cache": 1}, then {"key": "32 hex digits", "answer": VALUE} for each answer. A key is a hash of the
 * request; the request itself, and so the secret that it was sent with, is not kept. A line that is there is whole but for the last: a
 * process that was killed may leave a piece of one, which is cut off and reported. */
#ifndef RAPT_NET_CACHE_H
#define RAPT_NET_CACHE_H

#include "base/buf.h"
#include "base/hash.h"
#include "format/json.h"

#define CACHE_LINE_MAX ((size_t)1 << 26) /* bytes of a line */

struct cache_entry {
    char key[HASH_HEX_SIZE]; /* "": free */
    uint64_t at;             /* of the answer's value in the file */
    uint64_t size;
};
struct cache {
    char *path; /* owned; NULL: no cache, nothing is found or kept */
    int file;
    uint64_t end;              /* of the file */
    struct cache_entry *items; /* [room] open addressing; room is a power of two */
    size_t count, room;
    bool broken;   /* a piece of a line is at its end, and could not be taken away: nothing more is kept */
    uint64_t torn; /* bytes of a torn last line that were cut off */
};

/* Opens or makes the file. path NULL: no cache. ST_FORMAT names the line of a file that is no such cache, ST_MISMATCH says that another
 * process has it open. */
status cache_open(struct cache *c, const char *path);
/* The key of a request. */
void cache_key(char key[HASH_HEX_SIZE], const void *request, size_t size);
/* Appends the answer's JSON text to `out`; *found says whether there is one. The first of several with one key counts. */
status cache_get(bool *found, struct buf *out, const struct cache *c, const char *key);
/* Keeps an answer: the text of one valid JSON value. It is in the file, as far as other processes see, when this returns. */
status cache_put(struct cache *c, const char *key, struct json answer);
void cache_release(struct cache *c);

/* One line, checked: where its key and its answer stand. For cache_open, and for the fuzzer. */
status cache_parse_line(char key[HASH_HEX_SIZE], struct json *answer, const char *line, size_t size);

#endif
