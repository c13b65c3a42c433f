/* batch: rows -> packed micro-batches. A pack is at most the planned token budget; a row is never split. */
#ifndef RAPT_TRAIN_BATCH_H
#define RAPT_TRAIN_BATCH_H

#include "data/loader.h"
#include "model/run.h"

#define BATCH_ROWS_MAX 1024

/* The first *taken of the rows, as many as fit one pack, as a tree: the sequences of row 0, then those of row 1, and so on. What rows have
 * in common counts once (share). At least one row is taken; one that does not fit alone is an error that says what to raise. Scored are the
 * responses, and under with_prompts also the prompt of each row's first sequence, but for its first token. Rows with marks have what these
 * say scored. */
status batch_pack(struct seqtree *tree, size_t *taken, const struct loaded *data, const uint32_t *rows, size_t count, size_t token_budget,
                  bool share, bool with_prompts);
/* Would all of them be one pack? */
bool batch_fits(const struct loaded *data, const uint32_t *rows, size_t count, size_t token_budget, bool share, bool with_prompts);
/* Positions that a pack needs for one row; where its sequences share their prompt (share) it counts once. */
size_t batch_row_tokens(const struct loaded *data, size_t row, bool share);
/* Seqtree capacities that any pack of this budget fits, given rows no longer than the longest of `data`. */
status batch_tree_init(struct seqtree *tree, size_t token_budget);

#endif
