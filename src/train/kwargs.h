/* kwargs: "key=value" settings that only some rows of a table take, as transformers' lr_scheduler_kwargs and optim_args. */
#ifndef RAPT_TRAIN_KWARGS_H
#define RAPT_TRAIN_KWARGS_H

#include "base/status.h"

enum kwarg_kind {
    KWARG_NUMBER, /* double */
    KWARG_COUNT,  /* double that holds a whole number of at least 0 */
    KWARG_BOOL,   /* bool: true or false */
    KWARG_CHOICE  /* int: the index among `choices` */
};
struct kwarg {
    const char *name;
    enum kwarg_kind kind;
    size_t offset;       /* in the struct that holds the values */
    double least, most;  /* of numbers and counts, both allowed */
    const char *choices; /* "linear|cosine" */
};
struct kwargs {
    const char *option;      /* "--optim-args", for messages */
    const struct kwarg *all; /* every setting there is */
    size_t count;
};

/* Reads items such as "num_cycles=2" into `values`. owner: the row that takes them, takes: the names it takes, separated by blanks, "" =
 * none. ST_USAGE names a setting that is unknown, not taken, given twice, or has no valid value. */
status kwargs_read(const struct kwargs *k, void *values, const char *owner, const char *takes, const char *const *items, size_t count);

#endif
