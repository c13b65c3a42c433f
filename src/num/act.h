/* act: the gated activations of feed-forward layers (Shazeer 2020): silu(gate) * up, gelu(gate) * up in its tanh form.
 *
 * Both are gate sigmoid(a gate + b gate^3): gelu's (1 + tanh z) / 2 is sigmoid(2 z), which does not cancel. */
#ifndef RAPT_NUM_ACT_H
#define RAPT_NUM_ACT_H

#include <stddef.h>
#include <stdint.h>

enum glu_kind { GLU_SILU, GLU_GELU_TANH, GLU_KINDS };
extern const char *const glu_names[GLU_KINDS]; /* hidden_act of transformers */
struct glu {
    float a, b;
};
struct glu glu_of(enum glu_kind kind);

/* out[T,F]; gate_up[T,2F] holds gate, then up. */
void glu_forward(float *out, const float *gate_up, struct glu k, size_t t, size_t f);
/* dgate_up[T,2F] is written; it may be gate_up. */
void glu_backward(float *dgate_up, const float *dout, const float *gate_up, struct glu k, size_t t, size_t f);

/* The bf16 forms, where products read and write that: out[T,F] and kept[T,2F] (gate_up as backward wants it) are bf16; kept may be NULL. */
void glu_forward_half(uint16_t *out, uint16_t *kept, const float *gate_up, struct glu k, size_t t, size_t f);
void glu_expand(float *gate_up, const uint16_t *kept, size_t t, size_t f);
void glu_backward_half(uint16_t *dgate_up, const float *dout, const float *gate_up, struct glu k, size_t t, size_t f);

/* The same behind a product, block by block, as struct gemm_tiles's finish (act_tiles.c). F is a multiple of 16. */
struct glu_blocks {
    uint16_t *act, *kept, *dgate_up; /* as above; dgate_up may be kept */
    struct glu kind;
    size_t f;
};
/* The product is gate_up[T,2F], columns j and F + j together. */
void glu_forward_blocks(void *context, const float *block, size_t i, size_t rows, size_t j, size_t second);
/* The product is dout[T,F]; reads kept, writes act (forward's output once more) and dgate_up. */
void glu_backward_blocks(void *context, const float *block, size_t i, size_t rows, size_t j, size_t second);
/* What they touch, as its look. */
struct tiles_beside;
void glu_forward_look(void *context, struct tiles_beside *beside, size_t i, size_t j, size_t second);
void glu_backward_look(void *context, struct tiles_beside *beside, size_t i, size_t j, size_t second);
/* The same of floats (act_avx512.c; where cpu_has_avx512()). gate_up[T,2F]: forward writes it unless it is NULL; backward reads it and
 * leaves its gradient there. */
struct glu_floats {
    float *act, *gate_up;
    struct glu kind;
    size_t f;
};
void glu_forward_floats(void *context, const float *block, size_t i, size_t rows, size_t j, size_t second);
void glu_backward_floats(void *context, const float *block, size_t i, size_t rows, size_t j, size_t second);
void glu_forward_floats_look(void *context, struct tiles_beside *beside, size_t i, size_t j, size_t second);
void glu_backward_floats_look(void *context, struct tiles_beside *beside, size_t i, size_t j, size_t second);

#endif
