/* pack: what a loss looks at beside plain sums of a response's log-probs: entries that weigh less, prompts that are scored too, and
 * statistics over tokens (TRL's dpo_trainer.py: ld_alpha, use_weighting; orpo_trainer.py: chosen_nll_loss). */
#include <math.h>

#include "train/trainer_state.h"

bool pack_scores_prompts(const struct trainer *t) { return t->o->score_prompts || (t->o->loss->needs & LOSS_NEEDS_PROMPT) != 0; }

/* An entry's place in its response, 0 = the first token; below 0 in the prompt. */
static int32_t place_of(const struct seqtree *tree, int32_t entry, int32_t prompt) {
    return tree->depth[tree->scores[entry].node] + 1 - prompt;
}

status pack_rows(struct trainer *t, size_t *taken, const struct loaded *data, const uint32_t *rows, size_t count) {
    struct seqtree *tree = &t->tree;
    int32_t prompt[SEQTREE_SEQUENCES_MAX], shared[SEQTREE_SEQUENCES_MAX], sequences = 0;
    TRY(batch_pack(tree, taken, data, rows, count, t->run.plan.tokens, t->share, pack_scores_prompts(t)));
    const bool ld = t->o->loss_params.ld;
    if (!ld && !pack_scores_prompts(t)) return ST_OK; /* every weight is 1 */
    for (size_t i = 0; i < *taken; i++) {
        const struct loaded_row *r = &data->rows[rows[i]];
        int32_t shortest = INT32_MAX;
        for (size_t j = 0; ld && j < (size_t)r->responses; j++) {
            const int32_t n = loaded_response(data, rows[i], j)->count;
            if (n < shortest) shortest = n;
        }
        for (int32_t j = 0; j < r->responses; j++, sequences++) prompt[sequences] = r->prompt, shared[sequences] = shortest;
    }
    for (int32_t i = 0; i < tree->score_count; i++) {
        struct seqtree_score *e = &tree->scores[i];
        const int32_t place = place_of(tree, i, prompt[e->sequence]);
        e->weight = place < 0 ? 0 : place >= shared[e->sequence] ? (float)t->o->loss_params.ld_alpha : 1;
    }
    return ST_OK;
}

static void text_sums(struct trainer *t, size_t at) {
    const struct seqtree *tree = &t->tree;
    for (int32_t i = 0; i < tree->sequence_count; i++) t->text[at + (size_t)i] = 0, t->text_lengths[at + (size_t)i] = 0;
    for (int32_t i = 0; i < tree->score_count; i++) {
        t->text[at + (size_t)tree->scores[i].sequence] += (double)t->run.logp[i];
        t->text_lengths[at + (size_t)tree->scores[i].sequence]++;
    }
}

/* WPO (arXiv 2406.11827, eq. 2): exp of the mean over a response's tokens of log p(token) - log sum over v of p_v^2, chosen times rejected.
 */
static void pair_weights(struct trainer *t, size_t from, size_t taken) {
    const struct seqtree *tree = &t->tree;
    double sum[SEQTREE_SEQUENCES_MAX] = {0};
    int32_t tokens[SEQTREE_SEQUENCES_MAX] = {0};
    for (int32_t i = 0; i < tree->score_count; i++) {
        const int32_t s = tree->scores[i].sequence;
        if (place_of(tree, i, t->prompts[t->first[from] + (size_t)s]) < 0) continue;
        sum[s] += (double)t->run.logp[i] - (double)t->run.log_squares[t->run.score_slot[i]];
        tokens[s]++;
    }
    for (size_t i = 0; i < taken; i++) {
        double mean = 0;
        for (size_t at = t->first[from + i] - t->first[from], end = t->first[from + i + 1] - t->first[from]; at < end; at++)
            mean += sum[at] / (tokens[at] > 1 ? tokens[at] : 1);
        t->weights[from + i] = exp(mean);
    }
}

void pack_statistics(struct trainer *t, size_t from, size_t taken) {
    if (t->o->loss->needs & LOSS_NEEDS_TEXT) text_sums(t, t->first[from]);
    if (t->o->loss_params.weighting) pair_weights(t, from, taken);
}
