/* order: in which order rows are visited. */
#ifndef RAPT_TRAIN_ORDER_H
#define RAPT_TRAIN_ORDER_H

#include "data/loader.h"

enum order_kind {
    ORDER_PAIRED,   /* the rows of a relabelled pair, one for each goal, stand side by side; pairs are shuffled */
    ORDER_SHUFFLED, /* all rows are shuffled: what the paper does */
    ORDER_FILE      /* --no-shuffle */
};

/* out[data->count]: the rows of epoch `epoch`. ORDER_PAIRED wants two rows or more of each source_row, else ST_USAGE; where pairs have
 * unequal numbers of them, those are taken first that still fit into the step of step_rows (> 0) rows, so that few are divided between two.
 */
status order_epoch(uint32_t *out, const struct loaded *data, enum order_kind kind, uint64_t seed, uint64_t epoch, size_t step_rows);
/* Does the data consist of relabelled pairs, two rows or more a source_row? And is any row of it one of a relabelled pair? */
bool order_can_pair(const struct loaded *data);
bool order_any_relabelled(const struct loaded *data);
/* Are the rows at places 2 i and 2 i + 1 of `order` (NULL: the file's) the two halves of one pair: of one source_row, the one's chosen
 * response the other's rejected one and the other way round? ST_MISMATCH names the first line that is not. */
status order_check_halves(const struct loaded *data, const uint32_t *order, const char *path);

#endif
