/* config: the numbers that describe a model, from config.json or a GGUF's metadata, and the family they belong to.
 *
 * Legend of sizes, used in every shape comment: T tokens (padded to MODEL_T_UNIT in buffers), C hidden size, H query heads, K key/value
 * heads, D head size, F feed-forward size, V vocabulary. */
#ifndef RAPT_MODEL_CONFIG_H
#define RAPT_MODEL_CONFIG_H

#include "format/gguf.h"
#include "format/json.h"
#include "model/arch.h"
#include "num/act.h"

#define MODEL_LAYERS_MAX 1024
#define ROPE_PAIRS_MAX 128

/* How rotations are stretched for long contexts, as transformers' modeling_rope_utils. */
enum rope_kind { ROPE_DEFAULT, ROPE_LINEAR, ROPE_LLAMA3, ROPE_DIVISORS, ROPE_LONG };
struct rope_config {
    enum rope_kind kind;
    double base, factor, low_freq_factor, high_freq_factor;
    size_t original_max_position;
    double attention_factor;            /* ROPE_LONG: cosines and sines are multiplied by it */
    float divisor[ROPE_PAIRS_MAX];      /* of each frequency. ROPE_DIVISORS: as GGUF stores them (rope_freqs); ROPE_LONG: short_factor */
    float long_divisor[ROPE_PAIRS_MAX]; /* ROPE_LONG: long_factor, for sequences behind original_max_position */
};

/* ArmoRM's gating network: layers hidden ones of `hidden` units with ReLU, then a softmax over the labels. */
struct gating_config {
    size_t hidden, layers;
    double temperature;
};

struct model_config {
    const struct family *family;
    enum head_kind head;
    size_t labels; /* of a reward model; 0 under HEAD_LM */
    struct gating_config gating;
    size_t vocab, hidden, layers, heads, kv_heads, head_dim, ffn, max_position;
    double norm_eps;
    size_t rotary; /* elements of a head that rotate */
    struct rope_config rope;
    struct rope_config local_rope;  /* of the local layers, in families whose local_rope_base is not 0 */
    bool no_rope[MODEL_LAYERS_MAX]; /* layers without rotation (SmolLM3) */
    bool local[MODEL_LAYERS_MAX];   /* layers that look back `window` positions */
    size_t window;                  /* the position itself counted; 0 = all */
    bool qkv_bias, o_bias, qk_norm;
    enum glu_kind act;
    double query_pre_attn_scalar;            /* scores are q k / sqrt of this: D but in some Gemma */
    double attention_softcap, logit_softcap; /* 0 = none */
    float embed_scale;                       /* 1, sqrt(C) in Gemma */
    bool tied;                               /* the output head is the embedding; true where there is none */
    int64_t bos, eos, pad;                   /* -1 = not stated */
};

/* Every size is checked (positive, bounded, divisible where it must be). Unsupported families and features are ST_UNSUPPORTED and named. */
status model_config_from_json(struct model_config *c, struct json config);
status model_config_from_gguf(struct model_config *c, const struct gguf *g);
/* The same decoder with a new head of this many labels: what training a reward model starts from. Nothing where it has one already. */
void model_config_as_scorer(struct model_config *c, size_t labels);
/* Parameters in all, LoRA not counted. */
size_t model_config_parameters(const struct model_config *c);
/* frequency[rotary / 2] of the rotations, with the stretching applied; `longer`: ROPE_LONG's for long sequences. Returns attention_factor.
 */
float rope_config_frequencies(float *frequency, const struct rope_config *r, size_t rotary, bool longer);
/* The same as a config.json that transformers loads. */
status model_config_put_json(struct buf *out, const struct model_config *c, const char *torch_dtype);

#endif
