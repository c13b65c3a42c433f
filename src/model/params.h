/* params: what is trained, as one flat vector with named pieces, so that the optimizer, clipping and checkpoints are single loops. */
#ifndef RAPT_MODEL_PARAMS_H
#define RAPT_MODEL_PARAMS_H

#include "base/status.h"

struct param {
    char *name; /* "model.layers.0.self_attn.q_proj.weight"; adapters: "...q_proj.lora_A.weight" */
    size_t rows, cols, offset;
    bool vector; /* a norm weight: one-dimensional in files */
    bool decay;  /* weight decay applies (transformers leaves norms out) */
};
struct params {
    struct param *items;
    size_t count, capacity;
    size_t size;  /* floats in all */
    float *value; /* [size]; NULL until params_allocate */
    float *grad;  /* [size]; NULL when nothing is trained */
};

/* Adds a piece behind the others and returns its offset. */
size_t params_add(struct params *p, const char *name, size_t rows, size_t cols, bool vector);
status params_allocate(struct params *p, bool with_grad);
const struct param *params_find(const struct params *p, const char *name);
void params_release(struct params *p);

#endif
