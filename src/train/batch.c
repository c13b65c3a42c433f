#include "train/batch.h"

#include <string.h>

size_t batch_row_tokens(const struct loaded *data, size_t row, bool share) {
    const struct loaded_row *r = &data->rows[row];
    size_t n = 0, prompt = 0;
    for (size_t j = 0; j < (size_t)r->responses; j++) {
        const struct loaded_response *x = loaded_response(data, row, j);
        n += (size_t)x->count + (size_t)x->prompt;
        /* What is shared is told by the tokens when the tree is built; here by what cannot be wrong. */
        if (j && share && x->prompt == r->prompt && memcmp(loaded_sequence(data, row, j), loaded_sequence(data, row, 0), prompt) == 0)
            n -= (size_t)x->prompt;
        prompt = (size_t)r->prompt * sizeof(int32_t);
    }
    return n;
}

status batch_tree_init(struct seqtree *tree, size_t token_budget) {
    if (token_budget > (size_t)1 << 24) return FAIL(ST_USAGE, "a micro-batch of %zu tokens is too large", token_budget);
    /* every segment starts with a node of its own, and every scored entry needs one behind it */
    return seqtree_init(tree, (int32_t)token_budget, (int32_t)token_budget, (int32_t)(2 * token_budget));
}

/* The rows of a pack so far, and what they come to. */
struct filling {
    const struct loaded *data;
    const int32_t *ids[SEQTREE_SEQUENCES_MAX];
    int32_t sizes[SEQTREE_SEQUENCES_MAX], from[SEQTREE_SEQUENCES_MAX], last[SEQTREE_SEQUENCES_MAX], sequences;
    const uint8_t *marks[SEQTREE_SEQUENCES_MAX];
    size_t positions, entries; /* of the tree; scored ones, at most */
    bool share, with_prompts;
};

/* Ids that sequence `at` has in common with the beginning of one of [from, at): what it finds in their tree. */
static size_t found(const struct filling *f, int32_t from, int32_t at) {
    int32_t most = 0;
    for (int32_t i = from; f->share && i < at; i++) {
        const int32_t n = f->sizes[i] < f->sizes[at] ? f->sizes[i] : f->sizes[at];
        int32_t same = 0;
        while (same < n && f->ids[i][same] == f->ids[at][same]) same++;
        if (same > most) most = same;
    }
    return (size_t)most;
}

/* Adds a row, whose sequences there must be room for; the positions that it shares with the rows before it. */
static size_t fill(struct filling *f, size_t row) {
    const struct loaded *data = f->data;
    const int32_t first = f->sequences;
    size_t shared = 0;
    for (size_t j = 0; j < (size_t)data->rows[row].responses; j++) {
        const struct loaded_response *x = loaded_response(data, row, j);
        const int32_t s = f->sequences++;
        const bool prompt = f->with_prompts && j == 0 && x->prompt > 0;
        f->ids[s] = loaded_sequence(data, row, j);
        f->sizes[s] = x->prompt + x->count;
        f->marks[s] = loaded_marks(data, row, j);
        f->last[s] = x->last;
        f->from[s] = prompt ? 1 : x->prompt;
        const size_t there = found(f, 0, s);
        f->positions += (size_t)f->sizes[s] - there;
        f->entries += (size_t)(data->marks.size ? x->scored : prompt ? f->sizes[s] : x->count);
        shared += there - found(f, first, s);
    }
    return shared;
}

#define SHARED_LITTLE 32 /* positions, a chat template's opening */

/* The first of the rows, as many as fit. Where some are left over, the cut goes between two rows that have little in common, so that the
 * two goals of a pair, or the rows of a prompt, stay together. */
static size_t fill_all(struct filling *f, const uint32_t *rows, size_t count, size_t token_budget) {
    size_t taken = 0, cut = 0, least = SIZE_MAX;
    int32_t sequences = 0; /* up to the cut */
    for (; taken < count; taken++) {
        const bool room = f->sequences + f->data->rows[rows[taken]].responses <= SEQTREE_SEQUENCES_MAX;
        const int32_t before = f->sequences;
        const size_t shared = room ? fill(f, rows[taken]) : 0;
        if (taken > 0 && (least == SIZE_MAX || shared <= least + SHARED_LITTLE)) {
            cut = taken, sequences = before;
            if (shared < least) least = shared;
        }
        if (taken > 0 && (!room || f->positions > token_budget || f->entries > token_budget)) break;
    }
    if (taken < count) taken = cut, f->sequences = sequences;
    return taken;
}

bool batch_fits(const struct loaded *data, const uint32_t *rows, size_t count, size_t token_budget, bool share, bool with_prompts) {
    struct filling f = {.data = data, .share = share, .with_prompts = with_prompts};
    return fill_all(&f, rows, count, token_budget) == count;
}

status batch_pack(struct seqtree *tree, size_t *taken, const struct loaded *data, const uint32_t *rows, size_t count, size_t token_budget,
                  bool share, bool with_prompts) {
    struct filling f = {.data = data, .share = share, .with_prompts = with_prompts};
    _Static_assert(LOADED_RESPONSES_MAX <= SEQTREE_SEQUENCES_MAX, "one row must fit");
    *taken = fill_all(&f, rows, count, token_budget);
    const size_t first = *taken == 1 ? batch_row_tokens(data, rows[0], share) : 0;
    if (first > token_budget)
        return FAIL(ST_UNSUPPORTED,
                    "the row of line %llu needs %zu positions, a micro-batch holds %zu; raise --micro-batch-tokens or lower --max-length",
                    (unsigned long long)data->rows[rows[0]].line, first, token_budget);
    if (data->pooled) return seqtree_build_pooled(tree, f.ids, f.sizes, f.last, 1, f.sequences, share);
    if (data->marks.size) return seqtree_build_marked(tree, f.ids, f.sizes, f.marks, f.sequences, share);
    return seqtree_build(tree, f.ids, f.sizes, f.from, f.sequences, share);
}
