/* run: one packed micro-batch through the decoder, forward and backward, in memory that a plan sized beforehand.
 *
 * run_forward computes the log-prob of every scored entry of a tree; run_backward turns d loss / d log-prob of each sequence into
 * gradients of the trained parameters. Nothing is allocated in between. */
#ifndef RAPT_MODEL_RUN_H
#define RAPT_MODEL_RUN_H

#include "base/arena.h"
#include "model/model.h"
#include "num/kept.h"
#include "num/seqtree.h"
#include "num/softmax_logp.h"

#define RUN_ALL_LAYERS SIZE_MAX

struct run_plan {
    size_t tokens;           /* most tokens of a micro-batch */
    size_t usual;            /* how many it has as a rule, where that is known to be fewer; else 0 */
    size_t scored;           /* most scored entries */
    bool train;              /* backward will be called */
    size_t recompute_layers; /* of the first so many layers keep only the inputs, and run them again in backward */
    bool dropout;            /* LoRA dropout is on */
    bool squares;            /* log_squares is wanted */
    bool rewards;            /* of a reward model, on pooled trees; else of a language model */
    size_t logits;           /* so many rows of logits are wanted whole, at the most (heads_logits); 0 = none: they come in panels */
};

/* What backward needs of one layer. Where products read bf16, and the layer is not computed again, it reads x, mid, attn and what norms saw
 * in bf16 (h of struct kept): their fp32 forms are then the same memory in all layers. */
struct layer_acts {
    struct kept x;                           /* [T, C] input */
    float *rstd1, *rstd2;                    /* [T] */
    float *qkv;                              /* [T, (H + 2K) D] after rope */
    struct kept qk_raw;                      /* [T, (H + K) D] before their norm; NULL in families without, as are the next five */
    float *qk_rstd;                          /* [T, H + K] */
    struct kept attn;                        /* [T, H D] */
    float *lse;                              /* [T, H] */
    struct kept o_out, down_out;             /* [T, C] before the norms behind attention and feed-forward */
    float *rstd_post1, *rstd_post2;          /* [T] */
    struct kept mid;                         /* [T, C] after attention's residual */
    float *gate_up;                          /* [T, 2F]; NULL where products read bf16: then */
    uint16_t *gate_up_half;                  /* [T, 2F]; in backward their gradient takes their place */
    float *u_qkv, *u_o, *u_gate_up, *u_down; /* [T, linear_kept] */
};

struct run {
    struct model *m;
    struct run_plan plan;
    struct arena arena;
    struct layer_acts *layers; /* [layers]; those that are computed again share all but x */
    float *x;                  /* [T, C] the residual stream behind the last layer */
    /* Inputs of products: fp32, or bf16 where products read that (fp32 as well under dropout). */
    float *h, *act; /* [T, C] normed; [T, F] */
    uint16_t *h_half, *act_half;
    float *gate_up; /* [T, 2F] in bf16 runs whose activation is not done behind the product */
    bool one_pass;  /* the activation is done behind the product: where that is made in tiles, of bf16 or in training of fp32, without
                       dropout or DoRA */
    float *dx, *dh; /* [T, C] */
    float *dpost;   /* [T, C] gradient before a norm behind attention or feed-forward */
    size_t longest; /* tokens of the longest sequence: which rotations families with long rope take */
    float *dqkv, *dattn, *dact;
    void *attention_scratch;
    struct linear_scratch scratch;
    /* head */
    size_t chunk, panel;               /* rows and columns of logits at a time */
    int32_t slot_count;                /* distinct scored nodes */
    int32_t *slot_node;                /* [S] */
    int32_t *score_slot;               /* [scored] slot of an entry */
    float *hs, *hn, *rstd;             /* [S, C] gathered, normed; [S] */
    float *expected;                   /* [S, C] sum over v of p_v W_v; frozen head only */
    float *dhn;                        /* [S, C] */
    float *logits;                     /* [chunk, panel]; where attention has its scratch */
    struct logp_sums *sums;            /* [chunk]; NULL where logits are wanted whole */
    float *u_head;                     /* [chunk, linear_kept of a panel]; NULL without an adapter on the head */
    float *row;                        /* [C] */
    float *logp;                       /* [scored] out: log-prob of each entry */
    float *lse, *entropy, *mean_logit; /* [S] out */
    float *log_squares;                /* [S] out: log sum over v of p_v^2; NULL unless the plan wants it */
    int32_t *argmax;                   /* [S] out */
    size_t bytes;                      /* of the arena */
    /* Called by run_backward as soon as nothing more will be added to the gradients of a stage, from RUN_STAGE_HEAD down to 0; NULL =
     * nobody asks. */
    void (*graded)(void *context, size_t stage);
    void *graded_context;
};

/* The stages of the backward pass in a model of so many layers: the final norm and the head, layer i, the embedding. */
#define RUN_STAGE_HEAD(layers) ((layers) + 1)
#define RUN_STAGE_LAYER(i) ((i) + 1)
#define RUN_STAGE_EMBEDDING ((size_t)0)

/* Rows and columns of logits at a time, where they come in panels: 4 MB of them. */
#define RUN_CHUNK_MOST ((size_t)1024)
#define RUN_PANEL_MOST ((size_t)1024)
/* Those rows are rounded up to 16; of a trained head to this: they are terms of the sums of its gradient, a product of oneDNN, and so it
 * has few shapes. */
#define RUN_UNIT_MOST ((size_t)64)
/* How many rows of logits are made at a time where they are wanted whole: 30 MB of them. */
size_t run_whole_rows(const struct model *m);
/* Allocates everything. The model must have its adapter attached already. */
status run_init(struct run *r, struct model *m, const struct run_plan *plan);
void run_release(struct run *r);
/* Bytes that run_init would take: the memory plan, without touching memory. */
size_t run_bytes(const struct model *m, const struct run_plan *plan);

/* theta: the adapter's parameter vector, NULL = adapter off. keep: prepare for run_backward. */
status run_forward(struct run *r, const struct seqtree *tree, const float *theta, bool keep);
/* dlogp[score_count]: d loss / d log-prob of each entry, whatever its weight. Adds to m->params.grad. The last run_forward must have kept.
 */
status run_backward(struct run *r, const struct seqtree *tree, const float *theta, const float *dlogp);
/* The embedding rows of ids[t] under theta to x[padded, C], scaled; rows behind t are zero. */
void run_embed(float *x, const struct run *r, const float *theta, const int32_t *ids, size_t t, size_t padded);
/* Where a layer's output goes: the next layer's input, or r->x. */
float *run_layer_output(struct run *r, size_t layer);
/* Sums of log-probs by sequence, each entry times its weight, in nats: out[sequence_count] (double, fixed order). */
void run_sums(double *out, const struct run *r, const struct seqtree *tree);

#endif
