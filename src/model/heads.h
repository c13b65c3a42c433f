/* heads: final norm and output head on scored positions only, in panels of the vocabulary: of the logits of a batch there are never more
 * than 4 MB at once, and every part of the head is read, or expanded from its file, once.
 *
 * With a frozen head d logp(target) / d h = W[target] - sum_v p_v W_v does not depend on the loss, so forward keeps the second term
 * ("expected") and backward needs no logits: as attention does with keys and values, sums of e^(logit - base) and of their products with W
 * go from panel to panel. A trained head computes its logits a second time. */
#ifndef RAPT_MODEL_HEADS_H
#define RAPT_MODEL_HEADS_H

#include "model/run.h"

/* r->x -> r->logp, r->lse, r->entropy, r->mean_logit, r->argmax, r->log_squares. keep: also what heads_backward needs. */
status heads_forward(struct run *r, const struct seqtree *tree, const float *theta, bool keep);
/* dlogp -> r->dx [padded, C] (written), gradients of norm and head. */
status heads_backward(struct run *r, const struct seqtree *tree, const float *theta, const float *dlogp, size_t padded);
/* Is there an adapter on the output head, or a copy trained in its place? */
bool heads_adapted(const struct model *m);
/* r->hn[rows, C] -> r->logits[rows, V], soft-capped, in a run whose plan has so many rows of them. theta: bound (model_bind). */
status heads_logits(struct run *r, const float *theta, size_t rows);

/* For the heads of reward models. heads_gather: r->x -> r->hn, the normed rows of the scored nodes, and r->score_slot. heads_scatter:
 * r->dhn -> r->dx [padded, C] (written), gradient of the norm. */
void heads_gather(struct run *r, const struct seqtree *tree);
void heads_scatter(struct run *r, size_t padded);

#endif
