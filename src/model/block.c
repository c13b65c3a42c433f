#include "model/block.h"

#include <math.h>
#include <string.h>

#include "model/mlp.h"
#include "num/attention.h"
#include "num/norm.h"
#include "num/rope.h"

struct attention_shape block_attention_shape(const struct model *m, size_t layer) {
    const struct model_config *c = &m->config;
    return (struct attention_shape){.heads = c->heads,
                                    .kv_heads = c->kv_heads,
                                    .head_dim = c->head_dim,
                                    .stride = m->layers[layer].qkv.out,
                                    .scale = 1.0f / sqrtf((float)c->query_pre_attn_scalar),
                                    .softcap = (float)c->attention_softcap,
                                    .window = c->local[layer] ? (int32_t)c->window : 0};
}

void block_rotate(float *qkv, const struct run *r, size_t layer, const int32_t *depth, size_t t, bool inverse) {
    const struct model_config *c = &r->m->config;
    const float *table = model_rope(r->m, layer, r->longest);
    if (table) rope_apply(qkv, table, depth, t, c->heads + c->kv_heads, c->head_dim, c->rotary, r->m->layers[layer].qkv.out, inverse);
}

size_t block_attention_scratch(const struct model *m, size_t t, bool backward) {
    const struct attention_shape shape = block_attention_shape(m, 0);
    return attention_scratch(t, &shape, m->kind == MATMUL_BF16, backward);
}

/* Products run over `padded` rows, so what attention leaves untouched behind the real tokens must be zero. */
static void zero_tail(float *x, size_t t, size_t padded, size_t ld) { memset(x + t * ld, 0, (padded - t) * ld * sizeof(float)); }

static struct head_norm head_norm_of(const struct model *m, size_t layer) {
    const struct model_config *c = &m->config;
    const struct model_layer *l = &m->layers[layer];
    return (struct head_norm){.q_norm = l->q_norm,
                              .k_norm = l->k_norm,
                              .heads = c->heads,
                              .kv_heads = c->kv_heads,
                              .head_dim = c->head_dim,
                              .stride = l->qkv.out,
                              .eps = (float)c->norm_eps};
}

/* What attention gave, as o reads it. */
static struct mat attended(const struct layer_acts *a, size_t t, size_t padded, size_t ld, bool keep) {
    const bool half = keep && a->attn.h;
    zero_tail(a->attn.f, t, padded, ld);
    if (half) matmul_to_bf16(a->attn.h, ld, a->attn.f, ld, padded, ld);
    return (struct mat){.f = a->attn.f, .h = half ? a->attn.h : NULL, .ld = ld};
}

/* The same from what was kept; a copy in fp32 only for dropout. */
static struct mat attended_again(const struct layer_acts *a, const struct run *r, size_t padded, size_t ld) {
    if (!a->attn.h) return (struct mat){.f = a->attn.f, .ld = ld};
    if (r->plan.dropout) dtype_table[DTYPE_BF16].expand(a->attn.f, a->attn.h, padded * ld);
    return (struct mat){.f = r->plan.dropout ? a->attn.f : NULL, .h = a->attn.h, .ld = ld};
}

status block_forward_attend(float *out, struct layer_acts *a, struct run *r, size_t layer, block_attend_fn *attend, void *context,
                            const float *theta, size_t t, size_t padded, bool keep) {
    const struct model_config *c = &r->m->config;
    const struct model_layer *l = &r->m->layers[layer];
    const struct mat h = mlp_normed(r, a->rstd1, a->x, l->norm1, padded, keep);
    TRY(linear_forward(a->qkv, NULL, a->u_qkv, h, &l->qkv, theta, &r->scratch, padded));
    if (c->qk_norm) {
        const struct head_norm n = head_norm_of(r->m, layer);
        headnorm_forward(a->qkv, keep ? a->qk_raw : (struct kept){0}, a->qk_rstd, &n, padded);
    }
    TRY(attend(a, context, r, layer));
    const struct mat attn = attended(a, t, padded, c->heads * c->head_dim, keep);
    if (l->post1) {
        TRY(linear_forward(a->o_out.f, NULL, a->u_o, attn, &l->o, theta, &r->scratch, padded));
        rmsnorm_forward_onto(a->mid.f, keep ? a->o_out.h : NULL, a->rstd_post1, a->x.f, a->o_out.f, l->post1, padded, c->hidden,
                             (float)c->norm_eps);
    } else {
        TRY(linear_forward(a->mid.f, a->x.f, a->u_o, attn, &l->o, theta, &r->scratch, padded));
    }
    return mlp_forward(out, a, r, layer, theta, padded, keep);
}

static status attend_tree(struct layer_acts *a, void *context, const struct run *r, size_t layer) {
    const struct seqtree *tree = *(const struct seqtree *const *)context;
    block_rotate(a->qkv, r, layer, tree->depth, (size_t)tree->node_count, false);
    const struct attention_shape shape = block_attention_shape(r->m, layer);
    attention_forward(a->attn.f, a->lse, a->qkv, tree, &shape, r->m->kind == MATMUL_BF16, r->attention_scratch);
    return ST_OK;
}

status block_forward(float *out, struct layer_acts *a, struct run *r, size_t layer, const struct seqtree *tree, const float *theta,
                     size_t padded, bool keep) {
    return block_forward_attend(out, a, r, layer, attend_tree, &tree, theta, (size_t)tree->node_count, padded, keep);
}

status block_backward(struct run *r, size_t layer, const struct seqtree *tree, const float *theta, size_t padded) {
    struct model *m = r->m;
    const struct model_config *c = &m->config;
    const struct model_layer *l = &m->layers[layer];
    const struct layer_acts *a = &r->layers[layer];
    const size_t t = (size_t)tree->node_count, hd = c->heads * c->head_dim, stride = l->qkv.out;
    TRY(mlp_backward(r, layer, theta, padded));
    const struct mat dx = mlp_through_post(r, l->post1, l->post1_offset, a->o_out, a->rstd_post1, padded),
                     attn = attended_again(a, r, padded, hd), dqkv = {.f = r->dqkv, .ld = stride};
    TRY(linear_backward(r->dattn, m->params.grad, dx, attn, a->u_o, &l->o, theta, &r->scratch, padded, false));
    const struct attention_shape shape = block_attention_shape(m, layer);
    attention_backward(r->dqkv, r->dattn, a->attn, a->lse, a->qkv, tree, &shape, m->kind == MATMUL_BF16, r->attention_scratch);
    zero_tail(r->dqkv, t, padded, stride);
    block_rotate(r->dqkv, r, layer, tree->depth, t, true);
    if (c->qk_norm) {
        const struct head_norm n = head_norm_of(m, layer);
        headnorm_backward(r->dqkv, model_grad_at(m, l->q_norm_offset), model_grad_at(m, l->k_norm_offset), a->qk_raw, a->qk_rstd, &n, t);
    }
    const struct mat h = mlp_normed_again(r, a->x, a->rstd1, l->norm1, padded);
    TRY(linear_backward(r->dh, m->params.grad, dqkv, h, a->u_qkv, &l->qkv, theta, &r->scratch, padded, false));
    rmsnorm_backward(r->dx, model_grad_at(m, l->norm1_offset), r->dh, a->x, l->norm1, a->rstd1, padded, c->hidden);
    return ST_OK;
}
