/* augment_row: writes the rows of a pair. Private to data/augment*.c. */
#ifndef RAPT_DATA_AUGMENT_ROW_H
#define RAPT_DATA_AUGMENT_ROW_H

#include "data/augment.h"

struct augment_writer {
    const struct augment_options *o;
    const struct record *record; /* of the current pairs; set by augment_writer_begin */
    bool messages;               /* rows hold messages, not strings */
    int64_t source_row;
    struct buf prompt, side[2]; /* JSON text, without a goal; side[0] is the chosen response */
    struct buf others;          /* the fields that ride along */
};
void augment_writer_release(struct augment_writer *w);
/* Takes the prompt and the other fields of a record; an error names the field. */
status augment_writer_begin(struct augment_writer *w, const struct record *r);
/* Takes the responses of a pair (the second NULL for a single completion). Errors when a completion begins with a turn that belongs
 * to the prompt: then the prompts of chosen and rejected differ. */
status augment_writer_set(struct augment_writer *w, const struct buf *chosen, const struct buf *rejected, int64_t source_row);
/* Appends the pair's row, with a line break. score, exact: of the chosen and the rejected response (before any swap), NaN and no goal are
 * left out; exact is what their goals were made of, for goals of several attributes. */
status augment_put_pair(struct buf *out, struct augment_writer *w, const struct augment_emit *e, const double score[2],
                        const struct goal exact[2]);
/* Appends a completion's row {"prompt", "completion", "goal", ...}. */
status augment_put_completion(struct buf *out, struct augment_writer *w, const struct augment_emit *e, double score,
                              const struct goal *exact);

#endif
