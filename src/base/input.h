/* input: the bytes of a data file as a stream, whatever it is packed in. What a file is, is told by its first bytes, never by its name:
 * gzip (RFC 1952, any number of members), zstd (RFC 8878, any number of frames), Parquet (through the DuckDB command line, one row of JSON
 * a line); everything else is passed on as it is, and archives that are not read are errors that say so.
 *
 * Memory does not depend on the file: what is unpacked is handed out in pieces and never kept. */
#ifndef RAPT_BASE_INPUT_H
#define RAPT_BASE_INPUT_H

#include "base/buf.h"
#include "base/child.h"

enum input_form { INPUT_PLAIN, INPUT_GZIP, INPUT_ZSTD, INPUT_PARQUET };

struct input {
    enum input_form form;
    FILE *stream;
    char *path; /* owned, for messages: "<stdin>" for "-" */
    char *raw;  /* bytes read from the file and not taken yet: raw[raw_at .. raw_size) */
    size_t raw_at, raw_size;
    uint64_t raw_before; /* bytes of the file before raw[0] */
    bool raw_end;        /* the file has no more */
    bool inside;         /* a gzip member or zstd frame has begun and not ended */
    bool padded;         /* zeros behind a gzip member: nothing else may follow */
    void *codec;         /* z_stream or ZSTD_DStream */
    struct child child;  /* INPUT_PARQUET */
};

/* Opens and recognises; a path of "-" is stdin. For Parquet the program is `duckdb` or what the environment variable RAPT_DUCKDB names. */
status input_open(struct input *in, const char *path);
/* Up to `room` bytes into `out`; *got is 0 at the end, and only there. A damaged or cut file is an error with its name and the byte. */
status input_read(size_t *got, struct input *in, char *out, size_t room);
/* How much of the file itself has been taken: for progress. */
uint64_t input_taken(const struct input *in);
void input_release(struct input *in);

#endif
