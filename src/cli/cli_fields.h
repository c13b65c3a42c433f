/* cli_fields: --field, which every command that reads rows has. */
#ifndef RAPT_CLI_CLI_FIELDS_H
#define RAPT_CLI_CLI_FIELDS_H

#include "base/opt.h"
#include "data/source.h"

/* clang-format off */
#define CLI_FIELD_ROW(offset)                                                                                                         \
    {"field", OPT_LIST, offset, "NAME=COLUMN", NULL, NULL,                                                                            \
     "Read the field NAME (prompt, chosen, rejected, score_chosen, ...: docs/file-forms.md) from the column COLUMN, which every row " \
     "must have. May be given several times."}
/* clang-format on */

/* The map that the options ask for. */
status cli_fields(struct source_map *map, const struct opt_list *list);

#endif
