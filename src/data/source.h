/* source: rows of a data file (JSONL, JSON, Parquet; format/rows) as records. Every row's schema is found from its own fields through a
 * table of forms (source_form_table); an unknown or broken row is an error that names file, line, field and the forms expected, or, with
 * SOURCE_SKIP, is counted and kept aside in OUTPUT.rejected.jsonl. */
#ifndef RAPT_DATA_SOURCE_H
#define RAPT_DATA_SOURCE_H

#include "data/record.h"
#include "format/rows.h"

/* Columns that stand for fields under other names: --field score_chosen=my_score. Such a column must be in every row; what a row has under
 * the field's own name is then passed over. */
#define SOURCE_MAP_MAX 64
struct source_map {
    struct {
        size_t field;       /* index into the table of fields */
        const char *column; /* a view */
    } items[SOURCE_MAP_MAX];
    size_t count;
};
/* Adds NAME=COLUMN. ST_USAGE where there is no field of that name. */
status source_map_add(struct source_map *map, const char *text);
/* Names the first column that the row has not. */
status source_map_check(const struct source_map *map, struct json row);

enum source_bad_row { SOURCE_STOP, SOURCE_SKIP };

struct source {
    struct rows_in rows;
    enum source_bad_row on_bad_row;
    const struct source_map *map; /* a view; set after source_open, NULL: none */
    char *rejected_path;          /* owned; NULL: skipped rows are counted only */
    struct file_out rejected;     /* opened at the first skipped row */
    uint64_t row_count;           /* rows read so far, skipped ones included, blank lines not */
    struct buf group;             /* the lines of a record of a grouped form, joined by line breaks; its spans are views of it */
    uint64_t group_rows;          /* lines in it; 0: the record is of another form */
    struct buf waiting;           /* a line that was read ahead and begins the next record */
    uint64_t waiting_line;        /* its number; 0: none */
    struct record ahead;          /* scratch: the row read ahead */
    uint64_t skipped_count;
};

/* Opens `path` ("-" is stdin). `output` names the file beside which skipped rows go (OUTPUT.rejected.jsonl); NULL: nowhere. */
status source_open(struct source *s, const char *path, enum source_bad_row on_bad_row, const char *output);
/* The next row into `record` (reused), or *end. Rows of a grouped form that follow each other with one prompt are one record: the first row
 * with the responses of all of them. */
status source_next(struct source *s, struct record *record, bool *end);
/* The row in `record` turned out to be unusable (message set by FAIL): skips and counts it (ST_OK), or returns the error with file and
 * line in front. */
status source_reject(struct source *s, const struct record *record, status failure);
/* Puts the rejected rows in place. Call once after the last row; source_release drops them otherwise. */
status source_commit(struct source *s);
void source_release(struct source *s);

/* One form a row may have. The first whose sniff says yes reads the row; a broken row is then that form's error. */
struct fields;
struct source_form {
    const char *name;
    bool (*sniff)(const struct fields *f);
    status (*read)(struct record *r, const struct fields *f);
    const char *help;    /* how such a row looks */
    const char *example; /* a smallest row, read by the tests (of a grouped form: rows) */
    bool grouped;        /* a row has one of the responses to its prompt; the rows beside it have the others */
};
extern const struct source_form source_form_table[];
extern const size_t source_form_count;

/* Reads one validated row by itself (kept by the caller while the record is used), through r->map. Errors name the field. */
status source_read_row(struct record *r, struct json row);
/* Was this field of the record's row consumed by the reader, so that a writer must not copy it through? `as_sft`: the writer makes
 * rows with one completion, whose field names count too. */
bool source_field_consumed(const struct record *r, struct json key, bool as_sft);

/* 1 to 10 for a rank among `count` answers: the best, 1, is 10, the last is 1, the others lie evenly between, to two decimals. NaN for the
 * rank NaN and for a lone answer. ST_FORMAT for a rank that cannot be; `path` is for errors. */
status source_score_of_rank(double *score, double rank, size_t count, const char *path);
/* Does a pair's row hold a score under this key (score_chosen, chosen-rating, ...)? */
bool source_is_pair_score(struct json key);
/* A number, or a string that holds one ("7.5"); absent, null, "N/A" leave NaN. Anything else is an error naming `path`. */
status field_score(double *out, struct json value, const char *path);

#endif
