/* batch: rows -> packed micro-batches. A pack is at most the planned token budget; a row is never split. */
#ifndef RAPT_TRAIN_BATCH_H
#define RAPT_TRAIN_BATCH_H

#include "data/loader.h"
#include "model/run.h"

#define BATCH_ROWS_MAX 1024

/* The rows [from, from + *taken) of order that fit one pack, as a tree: sequence 2i is row i's chosen, 2i + 1 its rejected (one sequence a
 * row when k = 1). At least one row is taken; one that does not fit alone is an error that says what to raise. */
status batch_pack(struct seqtree *tree, size_t *taken, const struct loaded *data, const uint32_t *rows, size_t count, size_t k, size_t token_budget,
                  bool share);
/* Distinct positions of one row when its sequences share their prompt. */
size_t batch_row_tokens(const struct loaded *data, size_t row, size_t k);
/* Seqtree capacities that any pack of this budget fits, given rows no longer than the longest of `data`. */
status batch_tree_init(struct seqtree *tree, size_t token_budget);

#endif
