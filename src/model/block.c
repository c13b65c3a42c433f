#include "model/block.h"

#include <math.h>
#include <string.h>

#include "num/act.h"
#include "num/attention.h"
#include "num/norm.h"
#include "num/rope.h"

size_t block_attention_scratch(const struct model *m, size_t t) {
    return attention_backward_scratch(t, m->config.heads, m->config.kv_heads, m->config.head_dim);
}

static float attention_scale(const struct model_config *c) { return 1.0f / sqrtf((float)c->head_dim); }

/* Products run over `padded` rows, so what attention leaves untouched behind the real tokens must be zero. */
static void zero_tail(float *x, size_t t, size_t padded, size_t ld) { memset(x + t * ld, 0, (padded - t) * ld * sizeof(float)); }

status block_forward_attend(float *x, struct layer_acts *a, struct run *r, size_t layer, block_attend_fn *attend, void *context, const float *theta,
                            size_t t, size_t padded) {
    const struct model_config *c = &r->m->config;
    const struct model_layer *l = &r->m->layers[layer];
    const float eps = (float)c->norm_eps;
    rmsnorm_forward(r->h, a->rstd1, a->x, l->norm1, padded, c->hidden, eps);
    TRY(linear_forward(a->qkv, a->u_qkv, r->h, &l->qkv, theta, &r->scratch, padded, false));
    TRY(attend(a, context, r, layer));
    zero_tail(a->attn, t, padded, c->heads * c->head_dim);
    TRY(linear_forward(x, a->u_o, a->attn, &l->o, theta, &r->scratch, padded, true));
    memcpy(a->mid, x, padded * c->hidden * sizeof(float));
    rmsnorm_forward(r->h, a->rstd2, a->mid, l->norm2, padded, c->hidden, eps);
    TRY(linear_forward(a->gate_up, a->u_gate_up, r->h, &l->gate_up, theta, &r->scratch, padded, false));
    swiglu_forward(r->act, a->gate_up, padded, c->ffn);
    return linear_forward(x, a->u_down, r->act, &l->down, theta, &r->scratch, padded, true);
}

static status attend_tree(struct layer_acts *a, void *context, const struct run *r, size_t layer) {
    const struct seqtree *tree = *(const struct seqtree *const *)context;
    const struct model_config *c = &r->m->config;
    const size_t stride = r->m->layers[layer].qkv.out;
    rope_apply(a->qkv, r->m->rope, tree->depth, (size_t)tree->node_count, c->heads + c->kv_heads, c->head_dim, stride, false);
    attention_forward(a->attn, a->lse, a->qkv, tree, c->heads, c->kv_heads, c->head_dim, stride, attention_scale(c));
    return ST_OK;
}

status block_forward(float *x, struct layer_acts *a, struct run *r, size_t layer, const struct seqtree *tree, const float *theta, size_t padded) {
    return block_forward_attend(x, a, r, layer, attend_tree, &tree, theta, (size_t)tree->node_count, padded);
}

static float *grad_at(struct model *m, size_t offset) { return offset == LINEAR_FROZEN ? NULL : m->params.grad + offset; }

/* h = norm(x) * w once more; cheaper than keeping it for every layer. */
static void renorm(float *h, const float *x, const float *rstd, const float *w, size_t t, size_t c) {
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < t; i++)
        for (size_t j = 0; j < c; j++) h[i * c + j] = x[i * c + j] * rstd[i] * w[j];
}

static status mlp_backward(struct run *r, size_t layer, const float *theta, size_t padded) {
    struct model *m = r->m;
    const struct model_layer *l = &m->layers[layer];
    const struct layer_acts *a = &r->layers[layer];
    const size_t c = m->config.hidden, f = m->config.ffn;
    swiglu_forward(r->act, a->gate_up, padded, f);
    TRY(linear_backward(r->dact, m->params.grad, r->dx, r->act, a->u_down, &l->down, theta, &r->scratch, padded, false));
    swiglu_backward(r->dgate_up, r->dact, a->gate_up, padded, f);
    renorm(r->h, a->mid, a->rstd2, l->norm2, padded, c);
    TRY(linear_backward(r->dh, m->params.grad, r->dgate_up, r->h, a->u_gate_up, &l->gate_up, theta, &r->scratch, padded, false));
    rmsnorm_backward(r->dx, grad_at(m, l->norm2_offset), r->dh, a->mid, l->norm2, a->rstd2, padded, c);
    return ST_OK;
}

status block_backward(struct run *r, size_t layer, const struct seqtree *tree, const float *theta, size_t padded) {
    struct model *m = r->m;
    const struct model_config *c = &m->config;
    const struct model_layer *l = &m->layers[layer];
    const struct layer_acts *a = &r->layers[layer];
    const size_t t = (size_t)tree->node_count, heads = c->heads, kv = c->kv_heads, d = c->head_dim, stride = l->qkv.out;
    TRY(mlp_backward(r, layer, theta, padded));
    TRY(linear_backward(r->dattn, m->params.grad, r->dx, a->attn, a->u_o, &l->o, theta, &r->scratch, padded, false));
    attention_backward(r->dqkv, r->dattn, a->attn, a->lse, a->qkv, tree, heads, kv, d, stride, attention_scale(c), r->attention_scratch);
    zero_tail(r->dqkv, t, padded, stride);
    rope_apply(r->dqkv, m->rope, tree->depth, t, heads + kv, d, stride, true);
    renorm(r->h, a->x, a->rstd1, l->norm1, padded, c->hidden);
    TRY(linear_backward(r->dh, m->params.grad, r->dqkv, r->h, a->u_qkv, &l->qkv, theta, &r->scratch, padded, false));
    rmsnorm_backward(r->dx, grad_at(m, l->norm1_offset), r->dh, a->x, l->norm1, a->rstd1, padded, c->hidden);
    return ST_OK;
}
