/* model: a decoder's weights, ready for products, and what of them is trained. */
#ifndef RAPT_MODEL_MODEL_H
#define RAPT_MODEL_MODEL_H

#include "model/hf_io.h"
#include "model/linear.h"

/* Token counts of buffers are rounded up to this, so that few product shapes exist; the rows behind the real tokens are zero. */
#define MODEL_T_UNIT 32

enum model_use {
    MODEL_INFER,   /* forward only */
    MODEL_ADAPTER, /* frozen base, gradients flow through it */
    MODEL_FULL     /* every weight is trained, in fp32 */
};

/* How weights are kept; the further down, the less memory and the more time. Trained ones are there in fp32 anyway: for them it says
 * whether products have copies in bf16 or make them anew (where matmul_packs_tiles). */
enum model_storage {
    STORAGE_PACKED, /* ready for products */
    STORAGE_FILE,   /* as the file has them, expanded in every product */
    STORAGE_KINDS
};
extern const char *const model_storage_names[STORAGE_KINDS]; /* "packed", ... */

struct model_layer {
    struct linear qkv, o, gate_up, down;
    float *norm1, *norm2;              /* [C] */
    size_t norm1_offset, norm2_offset; /* in the parameter vector, or LINEAR_FROZEN */
    float *q_norm, *k_norm;            /* [D]; NULL in families without */
    size_t q_norm_offset, k_norm_offset;
    float *post1, *post2; /* [C]; NULL in families without */
    size_t post1_offset, post2_offset;
};
struct model {
    struct checkpoint checkpoint; /* stays open: embedding rows are read from it when frozen */
    struct model_config config;
    enum matmul_kind kind; /* never MATMUL_INT8 */
    bool int8;             /* opened as MATMUL_INT8, and the file has such weights: kind is that of what lies between products */
    enum model_use use;
    enum model_storage storage; /* model_load looks at it */
    struct model_layer *layers;
    struct linear head; /* [V, C]; never adapted by all-linear. HEAD_LM only */
    float *norm;        /* [C] */
    size_t norm_offset;
    float *score;               /* [labels, C] the head of a reward model; NULL where a new one is trained as an adapter's part */
    size_t score_offset;        /* in the parameter vector, or LINEAR_FROZEN */
    float *score_frozen;        /* owned storage of it */
    struct gating_head *gating; /* HEAD_GATED */
    struct tensor_view embed_view, head_view; /* frozen rows */
    size_t embed_offset;                      /* the embedding in the parameter vector: full training, or saved beside an adapter */
    struct params params;                     /* LoRA: the adapter; full: everything */
    float *norms;                             /* owned storage of the frozen norms */
    struct arena packed;                      /* weights packed for products, and biases */
    struct arena adapter;                     /* what an adapter needs beside its parameters */
    bool dora;                                /* the adapter is weight-decomposed */
    bool pissa;                               /* model_load leaves in the adapted weights what pissa_split does not take */
    size_t pissa_steps;                       /* svd_largest */
    float *products;                          /* scratch of linear_bind under DoRA */
    uint64_t version;                         /* of all trained values; model_changed */
    const float *bound;                       /* what model_bind saw last */
    uint64_t bound_version;
    bool shared;                          /* made by model_share: weights and tables are another model's */
    float *rope, *rope_local, *rope_long; /* [rope_positions, rotary] cos and sin; the last two NULL where not needed */
    size_t rope_positions;
};

/* A norm of layer l that this model has: its weight and place in the parameter vector. i counts from 0; false behind the last. */
struct model_norm {
    enum tensor_role role;
    float **weight;
    size_t *offset, size;
};
bool model_norm_at(struct model_norm *out, const struct model_config *c, struct model_layer *l, size_t i);
/* The rotation table of a layer, or NULL; longest: the longest sequence of the batch, which decides in families with long rope. */
const float *model_rope(const struct model *m, size_t layer, size_t longest);
/* Norm weights as a Hugging Face folder has them are this less than what they multiply by. */
float model_norm_shift(const struct model_config *c);

/* Opens and prepares. kind decides how products are computed. MATMUL_INT8, for MODEL_INFER: linears all of whose parts are of a type that
 * qdot_takes get its products (m->int8), all others those of matmul_kind_auto. */
status model_open(struct model *m, const char *path, enum matmul_kind kind, enum model_use use);
/* The two halves of model_open: shapes, from which memory can be planned and adapters attached; then the weights. A failure releases m. */
status model_describe(struct model *m, const char *path, enum matmul_kind kind, enum model_use use);
/* The same, with a new reward head of `labels` labels where the checkpoint has none. */
status model_describe_scorer(struct model *m, const char *path, enum matmul_kind kind, enum model_use use, size_t labels);
status model_load(struct model *m);
/* A second model on the weights of `base`, which is opened for MODEL_INFER and must live on: another adapter can be attached to it.
 * Rotation tables are the base's (model_need_positions comes first, on the base). */
status model_share(struct model *out, const struct model *base);
void model_release(struct model *m);
/* Grows the table of rotations; called by whoever knows the longest sequence. Error past the model's longest position. */
status model_need_positions(struct model *m, size_t count);
/* To be called whenever values of an adapter or of a copy of one have changed. */
void model_changed(struct model *m);
/* Before passes under theta: what depends on the adapter alone (linear_bind). Does nothing when neither theta nor its values changed. */
status model_bind(struct model *m, const float *theta);
/* Row `id` of the embedding under theta, out [C]; and of the frozen output head. */
void model_embedding_row(float *out, const struct model *m, const float *theta, int32_t id);
void model_head_row(float *out, const struct model *m, int32_t id);
/* Where the gradient at an offset of the parameter vector goes; NULL for LINEAR_FROZEN. */
float *model_grad_at(const struct model *m, size_t offset);
/* After an optimizer step of full training: packed copies follow the parameters. */
status model_refresh(struct model *m);
/* How the weights are kept, for messages: model_storage_names, but what is trained and has no copies is "in fp32". */
const char *model_storage_name(const struct model *m);
/* Calls visit for every linear of every layer. */
void model_each_linear(struct model *m, void (*visit)(struct linear *l, void *context), void *context);
/* Bytes of the weights of a described model under m->storage: packed copies, what of the file stays in memory, and shared scratch. */
size_t model_weight_bytes(const struct model *m);
/* What --memory auto allows: four fifths of pages_physical(). */
size_t model_memory_auto(void);
/* The first storage whose weights fit `bytes`, or the last of all. */
enum model_storage model_storage_within(const struct model *m, size_t bytes);

#endif
