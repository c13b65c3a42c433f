/* optim: the table of optimizers, the gradient's norm and clipping. Parameters and gradients are fp32 slices; every number is the same
 * whatever the number of threads. */
#ifndef RAPT_TRAIN_OPTIM_H
#define RAPT_TRAIN_OPTIM_H

#include "base/status.h"

enum muon_adjust { MUON_ORIGINAL, MUON_MATCH_RMS_ADAMW };
struct optim_params {
    double beta1, beta2, eps;   /* adam and lion; muon: of what it leaves to adamw */
    double weight_decay;        /* decoupled; sgd: added to the gradient, as torch */
    double momentum, dampening; /* sgd; muon */
    double ns_steps;            /* muon: Newton-Schulz iterations */
    double min_8bit_size;       /* adamw_8bit: slices with fewer numbers keep 32 bits */
    bool nesterov;              /* sgd; muon */
    int adjust_lr_fn;           /* muon: enum muon_adjust */
};

/* One parameter tensor: views, the caller keeps them. */
struct optim_slice {
    float *value;        /* [rows, cols] */
    const float *dvalue; /* [rows, cols] */
    size_t rows, cols;
    bool decay;  /* weight decay applies (transformers leaves out biases and norms) */
    bool hidden; /* a matrix inside the network: not a vector, embedding or output head, which muon leaves to adamw */
    double rate; /* times the schedule's rate: LoRA+; 0 = 1 */
};

struct optim_update {
    float *value;        /* [rows, cols] */
    const float *dvalue; /* [rows, cols] */
    size_t rows, cols, count;
    void *state; /* state_bytes of this slice, zero before the first step; aligned for floats */
    float *work; /* work_floats, for nothing but the call */
    bool hidden;
    float scale; /* on every gradient: the clip coefficient */
    double rate, weight_decay;
    uint64_t step; /* 1 = the first */
};
struct optim_row {
    const char *name, *alias, *help, *citation; /* names: transformers'; aliases separated by blanks */
    const char *uses;                           /* of "adam-beta1 adam-beta2 adam-epsilon", what has an effect */
    const char *takes;                          /* --optim-args, separated by blanks */
    double beta2;                               /* --adam-beta2 where it is not given */
    size_t (*state_bytes)(const struct optim_slice *slice, const struct optim_params *p);
    size_t (*work_floats)(const struct optim_slice *slice); /* NULL = none */
    status (*apply)(const struct optim_update *u, const struct optim_params *p);
    status (*check)(const struct optim_params *p); /* NULL = nothing to check but betas and epsilon */
};
extern const struct optim_row optim_table[];
extern const size_t optim_count;
const struct optim_row *optim_find(const char *name);
/* "adamw_torch, sgd, ..." */
void optim_list(char *out, size_t size);

/* torch's defaults but weight_decay 0 (transformers'); of muon torch.optim.Muon's. */
struct optim_params optim_params_preset(const struct optim_row *row);
/* --optim-args, under the names of transformers' optim_args and of torch.optim.Muon. */
status optim_params_read(struct optim_params *p, const struct optim_row *row, const char *const *items, size_t count);

struct optim {
    const struct optim_row *row;
    struct optim_params params;
    struct optim_slice *slices; /* owned copy of the views */
    size_t slice_count;
    uint64_t steps;       /* taken so far; a checkpoint saves it beside the state */
    char *state;          /* of all slices, end to end in their order; what a checkpoint saves */
    size_t *state_offset; /* [slice_count] */
    size_t state_bytes;   /* a multiple of 64 */
    float *work;
    double *partial; /* one sum of squares a block */
    size_t block_count;
};

/* ST_USAGE for parameters out of range, ST_NOMEM for the states. All memory is taken here, none in a step. */
status optim_init(struct optim *o, const struct optim_row *row, const struct optim_params *p, const struct optim_slice *slices,
                  size_t count);
void optim_release(struct optim *o);
/* Bytes that optim_init would take for states and work: from shapes alone. SIZE_MAX where the sum overflows. */
size_t optim_bytes(const struct optim_row *row, const struct optim_params *p, const struct optim_slice *slices, size_t count);
/* The 2-norm of all gradients: double sums of fixed blocks, added in their order. Not finite when a gradient is not. */
double optim_norm(const struct optim *o);
/* torch.nn.utils.clip_grad_norm_: min(1, max_norm / (norm + 1e-6)); 1 when max_norm <= 0 (no clipping). */
double optim_clip_scale(double norm, double max_norm);
/* One step with every gradient times `scale`. */
status optim_step(struct optim *o, double rate, double scale);

#endif
