/* rows: the JSON values of a data file, one by one. Forms, told by the file's first bytes: JSONL, one JSON array of rows, one object that
 * has the array under "data" or "instances" ({"version": "1", "data": [..]}), and Parquet; any of the first three as gzip or zstd
 * (base/input.h).
 *
 * Values are found here, not checked: json_parse does that. Memory is the longest row. */
#ifndef RAPT_FORMAT_ROWS_H
#define RAPT_FORMAT_ROWS_H

#include "base/file.h"
#include "format/json.h"

enum rows_form { ROWS_LINES, ROWS_ARRAY };

struct rows_in {
    struct file_lines lines;
    enum rows_form form;
    uint64_t number; /* the line where the current row begins, 1-based; of Parquet the row */
    uint64_t count;  /* rows so far */
    uint64_t line;   /* ROWS_ARRAY: the line at which the text that is not read yet begins */
    bool wrapped;    /* ROWS_ARRAY: the array is in an object */
    bool ended;
};

/* "-" is stdin. */
status rows_open(struct rows_in *r, const char *path);
/* The next row without blanks behind it, valid until the next call; *text is NULL at the end. Blank lines are no rows. Inside a row of an
 * array line breaks become spaces, so that what is copied from it fits on a line. Errors name file and line. */
status rows_next(struct rows_in *r, const char **text, size_t *size);
/* The file's name as messages show it. A view. */
const char *rows_path(const struct rows_in *r);
/* Another one from now on. */
void rows_set_path(struct rows_in *r, const char *name);
void rows_release(struct rows_in *r);
/* How many there are, for a progress bar; 0 when it cannot be known: what is no plain file can be read only once. */
uint64_t rows_count(const char *path);
/* Opens the file and takes each row, parsed; stops at the first error, to which file and line are added. */
status rows_each(const char *path, status (*each)(void *context, struct json row), void *context);

#endif
