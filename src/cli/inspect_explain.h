/* inspect_explain: rows of a data set as training would see them: token ids with their text, what is scored, what is cut, the goal. */
#ifndef RAPT_CLI_INSPECT_EXPLAIN_H
#define RAPT_CLI_INSPECT_EXPLAIN_H

#include "data/encode.h"
#include "data/source.h"

struct explain_options {
    const char *model;
    const struct source_map *map;
    struct fit_rules rules;
    uint64_t rows;
    bool json, colour;
};

/* Appends the first rows of the file that some form reads: a JSON array, or text. A row that cannot be trained on is shown with the reason. */
status explain_rows(struct buf *out, const char *path, const struct explain_options *o);

#endif
