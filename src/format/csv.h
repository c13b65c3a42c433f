/* csv: comma-separated values with a header (RFC 4180): fields in quotes may hold commas, line breaks and doubled quotes. The whole file is
 * in memory. */
#ifndef RAPT_FORMAT_CSV_H
#define RAPT_FORMAT_CSV_H

#include "base/buf.h"

#define CSV_COLUMNS_MAX 1000
#define CSV_SIZE_MAX ((size_t)1 << 30)

struct csv {
    char *path;
    struct buf text;
    size_t at, line, columns; /* line: where the current record begins, 1-based */
    char **names;             /* [columns] of the header */
    char **fields;            /* [columns] of the current record; views, valid until csv_release */
};

/* Reads the file and its header. ST_FORMAT: names the line. */
status csv_open(struct csv *c, const char *path);
/* The same of text in memory, which is copied. */
status csv_parse(struct csv *c, const char *path, const char *text, size_t size);
/* The next record; *end at the end. A record with another number of fields than the header is an error. */
status csv_next(struct csv *c, bool *end);
/* The column of that name, or SIZE_MAX. */
size_t csv_column(const struct csv *c, const char *name);
/* A field as a number: empty, NA and NaN give NaN. ST_FORMAT names line and column. */
status csv_number(double *out, const struct csv *c, size_t column);
void csv_release(struct csv *c);

#endif
