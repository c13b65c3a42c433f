/* lora: puts low-rank adapters on a frozen model's projections (Hu et al. 2021; names, defaults and matching of targets are peft's). */
#ifndef RAPT_MODEL_LORA_H
#define RAPT_MODEL_LORA_H

#include "model/model.h"

#define LORA_TARGETS_MAX 32
struct lora_options {
    size_t rank;
    double alpha;
    double dropout;
    bool rslora;                           /* scale alpha / sqrt(rank) */
    size_t labels;                         /* > 0: the reward head is trained beside (PEFT's modules_to_save), with so many labels */
    const char *targets[LORA_TARGETS_MAX]; /* "q_proj", "layers.3.mlp.up_proj", or the single word "all-linear" */
    size_t target_count;
};

/* Marks the targets, lays out the parameter vector (A of each projection, then B) and allocates it with gradients.
 * A = U(-1/sqrt(in), 1/sqrt(in)), B = 0, drawn from `seed` and the projection's name. A target that matches nothing is an error. */
status lora_attach(struct model *m, const struct lora_options *o, uint64_t seed, bool with_grad);
/* Adds scale * B A of every adapted part of `l` to w [out, in]: what merging means. */
void lora_merge_into(float *w, const struct linear *l, const float *theta);

#endif
