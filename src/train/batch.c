#include "train/batch.h"

#include <string.h>

size_t batch_row_tokens(const struct loaded *data, size_t row, bool share) {
    const struct loaded_row *r = &data->rows[row];
    size_t n = 0, prompt = 0;
    for (size_t j = 0; j < (size_t)r->responses; j++) {
        const struct loaded_response *x = loaded_response(data, row, j);
        n += (size_t)x->count + (size_t)x->prompt;
        /* What is shared is told by the tokens when the tree is built; here by what cannot be wrong. */
        if (j && share && x->prompt == r->prompt && memcmp(loaded_sequence(data, row, j), loaded_sequence(data, row, 0), prompt) == 0) n -= (size_t)x->prompt;
        prompt = (size_t)r->prompt * sizeof(int32_t);
    }
    return n;
}

status batch_tree_init(struct seqtree *tree, size_t token_budget) {
    if (token_budget > (size_t)1 << 24) return FAIL(ST_USAGE, "a micro-batch of %zu tokens is too large", token_budget);
    /* every segment starts with a node of its own, and every scored entry needs one behind it */
    return seqtree_init(tree, (int32_t)token_budget, (int32_t)token_budget, (int32_t)(2 * token_budget));
}

status batch_pack(struct seqtree *tree, size_t *taken, const struct loaded *data, const uint32_t *rows, size_t count, size_t token_budget,
                  bool share, bool with_prompts) {
    const int32_t *ids[SEQTREE_SEQUENCES_MAX];
    int32_t sizes[SEQTREE_SEQUENCES_MAX], from[SEQTREE_SEQUENCES_MAX], last[SEQTREE_SEQUENCES_MAX], sequences = 0;
    const uint8_t *marks[SEQTREE_SEQUENCES_MAX];
    size_t used = 0;
    _Static_assert(LOADED_RESPONSES_MAX <= SEQTREE_SEQUENCES_MAX, "one row must fit");
    for (*taken = 0; *taken < count; ++*taken) {
        const size_t row = rows[*taken], cost = batch_row_tokens(data, row, share);
        const struct loaded_row *r = &data->rows[row];
        if ((used + cost > token_budget || sequences + r->responses > SEQTREE_SEQUENCES_MAX) && *taken > 0) break;
        if (cost > token_budget)
            return FAIL(ST_UNSUPPORTED, "the row of line %llu needs %zu positions, a micro-batch holds %zu; raise --micro-batch-tokens or lower --max-length",
                        (unsigned long long)r->line, cost, token_budget);
        used += cost;
        for (size_t j = 0; j < (size_t)r->responses; j++) {
            const struct loaded_response *x = loaded_response(data, row, j);
            ids[sequences] = loaded_sequence(data, row, j);
            sizes[sequences] = x->prompt + x->count;
            marks[sequences] = loaded_marks(data, row, j);
            last[sequences] = x->last;
            from[sequences++] = with_prompts && j == 0 && x->prompt > 0 ? 1 : x->prompt;
        }
    }
    if (data->pooled) return seqtree_build_pooled(tree, ids, sizes, last, 1, sequences, share);
    if (data->marks.size) return seqtree_build_marked(tree, ids, sizes, marks, sequences, share);
    return seqtree_build(tree, ids, sizes, from, sequences, share);
}
