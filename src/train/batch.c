#include "train/batch.h"

size_t batch_row_tokens(const struct loaded *data, size_t row, size_t k) {
    const struct loaded_row *r = &data->rows[row];
    return (size_t)r->prompt + (size_t)r->chosen + (k > 1 ? (size_t)r->rejected : 0);
}

/* Unshared, every sequence carries its prompt. */
static size_t row_cost(const struct loaded *data, size_t row, size_t k, bool share) {
    return batch_row_tokens(data, row, k) + (!share && k > 1 ? (size_t)data->rows[row].prompt : 0);
}

status batch_tree_init(struct seqtree *tree, size_t token_budget) {
    if (token_budget > (size_t)1 << 24) return FAIL(ST_USAGE, "a micro-batch of %zu tokens is too large", token_budget);
    /* every segment starts with a node of its own, and every scored entry needs one behind it */
    return seqtree_init(tree, (int32_t)token_budget, (int32_t)token_budget, (int32_t)(2 * token_budget));
}

status batch_pack(struct seqtree *tree, size_t *taken, const struct loaded *data, const uint32_t *rows, size_t count, size_t k, size_t token_budget,
                  bool share) {
    const int32_t *ids[2 * BATCH_ROWS_MAX];
    int32_t sizes[2 * BATCH_ROWS_MAX], from[2 * BATCH_ROWS_MAX], last[2 * BATCH_ROWS_MAX], sequences = 0;
    size_t used = 0;
    for (*taken = 0; *taken < count && *taken < BATCH_ROWS_MAX; ++*taken) {
        const size_t row = rows[*taken], cost = row_cost(data, row, k, share);
        const struct loaded_row *r = &data->rows[row];
        if (used + cost > token_budget && *taken > 0) break;
        if (cost > token_budget)
            return FAIL(ST_UNSUPPORTED, "the row of line %llu needs %zu positions, a micro-batch holds %zu; raise --micro-batch-tokens or lower --max-length",
                        (unsigned long long)r->line, cost, token_budget);
        used += cost;
        for (size_t i = 0; i < k; i++) {
            ids[sequences] = i == 0 ? loaded_chosen_sequence(data, row) : loaded_rejected_sequence(data, row);
            sizes[sequences] = r->prompt + (i == 0 ? r->chosen : r->rejected);
            last[sequences] = i == 0 ? r->last_chosen : r->last_rejected;
            from[sequences++] = r->prompt;
        }
    }
    if (data->pooled) return seqtree_build_pooled(tree, ids, sizes, last, 1, sequences, share);
    return seqtree_build(tree, ids, sizes, from, sequences, share);
}
