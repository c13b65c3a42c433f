/* optim: the table of optimizers, the gradient's norm and clipping. Parameters, gradients and state are fp32 slices; every number is the same
 * whatever the number of threads. */
#ifndef RAPT_TRAIN_OPTIM_H
#define RAPT_TRAIN_OPTIM_H

#include "base/status.h"

struct optim_params {
    double beta1, beta2, eps; /* adamw */
    double weight_decay;      /* adamw: decoupled; sgd: added to the gradient, as torch */
    double momentum;          /* sgd */
};
/* torch's defaults but weight_decay 0 (transformers'): beta1 .9, beta2 .999, eps 1e-8, momentum 0. */
struct optim_params optim_params_preset(void);

/* One parameter tensor: views, the caller keeps them. */
struct optim_slice {
    float *value;        /* [count] */
    const float *dvalue; /* [count] */
    size_t count;
    bool decay; /* weight decay applies (transformers leaves out biases and norms) */
};

#define OPTIM_STATES_MAX 2
struct optim_update {
    float *value, *state[OPTIM_STATES_MAX]; /* [count] each; states not used by the row are NULL */
    const float *dvalue;                    /* [count] */
    size_t count;
    float scale; /* on every gradient: the clip coefficient */
    double rate, weight_decay;
    uint64_t step; /* 1 = the first */
};
struct optim_row {
    const char *name, *help, *citation;
    size_t states; /* fp32 numbers kept a parameter; adamw: m, v */
    void (*apply)(const struct optim_update *u, const struct optim_params *p);
    status (*check)(const struct optim_params *p);
};
extern const struct optim_row optim_table[];
extern const size_t optim_count;
const struct optim_row *optim_find(const char *name);

struct optim {
    const struct optim_row *row;
    struct optim_params params;
    struct optim_slice *slices; /* owned copy of the views */
    size_t slice_count, total;  /* total: parameters of all slices */
    uint64_t steps;             /* taken so far; a checkpoint saves it beside the states */
    float *state[OPTIM_STATES_MAX]; /* [total] each, slices end to end in their order; what a checkpoint saves */
    double *partial;                /* one sum of squares a block */
    size_t block_count;
};

/* ST_USAGE for parameters out of range, ST_NOMEM for the states. All memory is taken here, none in a step. */
status optim_init(struct optim *o, const struct optim_row *row, const struct optim_params *p, const struct optim_slice *slices, size_t count);
void optim_release(struct optim *o);
/* The 2-norm of all gradients: double sums of fixed blocks, added in their order. Not finite when a gradient is not. */
double optim_norm(const struct optim *o);
/* torch.nn.utils.clip_grad_norm_: min(1, max_norm / (norm + 1e-6)); 1 when max_norm <= 0 (no clipping). */
double optim_clip_scale(double norm, double max_norm);
/* One step with every gradient times `scale`. */
void optim_step(struct optim *o, double rate, double scale);

#endif
