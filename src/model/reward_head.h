/* reward_head: what stands on the decoder of a reward model: `labels` numbers from the last token (*ForSequenceClassification), or ArmoRM's
 * numbers weighted by what its gating network makes of the prompt's end. Always computed in fp32: the head is small, and its result is the
 * product.
 *
 * A run over a pooled tree (seqtree_build_pooled) leaves in r->logp the first label of each entry, so that losses, sums and gradients work
 * on rewards as they do on log-probs. */
#ifndef RAPT_MODEL_REWARD_HEAD_H
#define RAPT_MODEL_REWARD_HEAD_H

#include "model/run.h"

/* Reads what is frozen of the head. */
status reward_head_load(struct model *m);
void reward_head_release(struct model *m);
/* What a trained head starts from, out [labels, C]: the checkpoint's, or N(0, 0.02) as transformers' initializer_range. */
status reward_head_initialise(float *out, const struct model *m, uint64_t seed);

/* [labels, C]: theta's where it has them. */
const float *reward_head_weights(const struct model *m, const float *theta);
/* r->x -> r->hn, r->logp. theta: trained values that hold the head, or NULL. */
void reward_head_forward(struct run *r, const struct seqtree *tree, const float *theta);
/* dreward[score_count] -> r->dx [padded, C] (written), gradients of head and norm. */
void reward_head_backward(struct run *r, const struct seqtree *tree, const float *theta, const float *dreward, size_t padded);

/* Everything the head says of one sequence, after a forward pass. rewards[labels]; gates[labels], NULL or untouched but under HEAD_GATED.
 * Returns the score: the first label, under HEAD_GATED the gated sum. last, gate: entries of the pooled tree (pool 0: the last token that
 * is no padding, pool 1: where the gate reads, HEAD_GATED only). ST_NOMEM. */
status reward_head_read(double *score, float *rewards, float *gates, const struct run *r, const float *theta, int32_t last, int32_t gate);

/* The position whose output is read: the last token that is not `pad` (transformers 5's GenericForSequenceClassification), 0 where all are.
 */
int32_t reward_head_last(const int32_t *ids, int32_t count, int64_t pad);
/* Where ArmoRM's gate reads: the first token of the last `mark`, the tokens of REWARD_HEAD_GATE; -1 where it is not there. */
#define REWARD_HEAD_GATE "<|start_header_id|>assistant<|end_header_id|>\n\n"
int32_t reward_head_gate(const int32_t *ids, int32_t count, const int32_t *mark, int32_t mark_count);

#endif
