/* lora: puts low-rank adapters on a frozen model's projections (Hu et al. 2021; names, defaults and matching of targets are peft's). */
#ifndef RAPT_MODEL_LORA_H
#define RAPT_MODEL_LORA_H

#include "model/model.h"

enum lora_init {
    LORA_KAIMING,  /* A = U(-1/sqrt(in), 1/sqrt(in)), B = 0: peft's default */
    LORA_GAUSSIAN, /* A = N(0, 1/rank), B = 0 */
    LORA_PISSA     /* A and B hold the largest singular values of W, which loses them (Meng et al. 2024, arXiv 2404.02948) */
};

#define LORA_TARGETS_MAX 64
#define LORA_RULES_MAX 256
#define LORA_LAYERS_MAX 256
struct lora_rule { /* of rank_pattern and alpha_pattern: a regular expression for the end of a name */
    const char *pattern;
    double value;
};
struct lora_options {
    size_t rank;
    double alpha;
    double dropout;
    bool rslora; /* scale alpha / sqrt(rank) */
    bool dora;   /* weight-decomposed: model/dora.h */
    enum lora_init init;
    size_t pissa_steps;                    /* subspace iterations of LORA_PISSA; 0 = until the values stand */
    size_t labels;                         /* > 0: the reward head is trained beside (PEFT's modules_to_save), with so many labels */
    bool save_head, save_embedding;        /* modules_to_save: trained in full beside the adapter */
    const char *targets[LORA_TARGETS_MAX]; /* "q_proj", "layers.3.mlp.up_proj", the single word "all-linear", or one pattern */
    size_t target_count;
    bool pattern; /* targets[0] is a regular expression for the whole name */
    struct lora_rule ranks[LORA_RULES_MAX], alphas[LORA_RULES_MAX];
    size_t rank_count, alpha_count;
    int64_t layers[LORA_LAYERS_MAX]; /* layers_to_transform; none = all */
    size_t layer_count;
};

/* Marks the targets, lays out the parameter vector (of each projection A, B, and under DoRA m; then what is saved beside) and allocates it
 * with gradients. Initial values are drawn from `seed` and the projection's name; saved modules begin as the checkpoint has them. Under
 * PiSSA they come with model_load, which must follow. A target that matches nothing is an error. */
status lora_attach(struct model *m, const struct lora_options *o, uint64_t seed, bool with_grad);
/* Adds scale * B A of every adapted part of `l` to w [out, in], and scales rows under DoRA: what merging means. A saved matrix replaces w.
 */
void lora_merge_into(float *w, const struct linear *l, const float *theta);
/* Is this projection adapted, and with which rank and scale? (peft's check_target_module_exists and get_pattern_key.) used[target_count]:
 * set for targets that matched. ST_FORMAT: a broken pattern. */
status lora_match(bool *adapted, size_t *rank, float *scale, bool *used, const struct lora_options *o, const char *name);
/* Does the text ask to be read as a regular expression: has it characters that names have not? */
bool lora_is_pattern(const char *text);
/* Where the head's weights with this adapter differ from the embedding: a merged model is not tied any more. */
bool lora_unties(const struct model *m, const float *theta);

#endif
