#include "model/reward_head.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/rng.h"
#include "model/heads.h"

/* A layer of the gating network. */
struct gating_layer {
    size_t in, out;
    float *weight, *bias; /* [out, in], [out] */
};
struct gating_head {
    struct gating_layer *layers; /* [count] */
    size_t count;
    float *transform; /* [labels, labels] */
    float scale;
    struct arena arena;
};

static status read_plain(float **out, struct gating_head *g, const struct checkpoint *c, const char *name, size_t rows, size_t cols) {
    const struct st_tensor *t = safetensors_find(&c->st, name);
    if (!t) return FAIL(ST_FORMAT, "%s: tensor '%s' is missing", c->path, name);
    if (t->rows != rows || t->cols != cols)
        return FAIL(ST_FORMAT, "%s: tensor '%s' has shape [%zu, %zu], expected [%zu, %zu]", c->path, name, t->rows, t->cols, rows, cols);
    TRY(arena_try_take(&g->arena, out, rows * cols, sizeof(float), "gating network"));
    dtype_table[t->type].expand(*out, t->data, rows * cols);
    return ST_OK;
}

static status load_gating(struct gating_head *g, const struct model *m) {
    const struct model_config *c = &m->config;
    float *scale;
    g->count = c->gating.layers + 1;
    TRY(arena_try_take(&g->arena, &g->layers, g->count, sizeof *g->layers, "gating network"));
    for (size_t i = 0; i < g->count; i++) {
        struct gating_layer *l = &g->layers[i];
        char name[64];
        l->in = i ? c->gating.hidden : c->hidden;
        l->out = i + 1 < g->count ? c->gating.hidden : c->labels;
        snprintf(name, sizeof name, "gating.layers.%zu.weight", i);
        TRY(read_plain(&l->weight, g, &m->checkpoint, name, l->out, l->in));
        snprintf(name, sizeof name, "gating.layers.%zu.bias", i);
        TRY(read_plain(&l->bias, g, &m->checkpoint, name, 1, l->out));
    }
    TRY(read_plain(&g->transform, g, &m->checkpoint, "reward_transform_matrix", c->labels, c->labels));
    TRY(read_plain(&scale, g, &m->checkpoint, "gating.logit_scale", 1, 1));
    g->scale = *scale;
    return ST_OK;
}

status reward_head_initialise(float *out, const struct model *m, uint64_t seed) {
    const struct model_config *c = &m->config;
    struct tensor_view v;
    if (m->checkpoint.config.head == HEAD_LM) {
        struct rng r = rng_at(seed, 0x5c0e, 0, 0);
        for (size_t i = 0; i < c->labels * c->hidden; i++) out[i] = (float)(0.02 * rng_normal(&r));
        return ST_OK;
    }
    TRY(checkpoint_tensor(&v, &m->checkpoint, c->head == HEAD_GATED ? TENSOR_REGRESSION : TENSOR_SCORE, 0, c->labels, c->hidden));
    tensor_view_rows(out, &v);
    return ST_OK;
}

status reward_head_load(struct model *m) {
    const struct model_config *c = &m->config;
    if (c->head == HEAD_LM) return ST_OK;
    if (m->use == MODEL_FULL) {
        m->score = m->params.value + m->score_offset;
        return reward_head_initialise(m->score, m, 0);
    }
    if (m->checkpoint.config.head == HEAD_LM) return ST_OK; /* the adapter brings it */
    TRY(mem_try_alloc(&m->score, c->labels * c->hidden, sizeof(float), "reward head"));
    m->score_frozen = m->score;
    TRY(reward_head_initialise(m->score, m, 0));
    if (c->head != HEAD_GATED) return ST_OK;
    TRY(mem_try_alloc(&m->gating, 1, sizeof *m->gating, "gating network"));
    return load_gating(m->gating, m);
}

void reward_head_release(struct model *m) {
    if (m->gating) arena_release(&m->gating->arena);
    free(m->gating);
    free(m->score_frozen);
}

const float *reward_head_weights(const struct model *m, const float *theta) {
    return theta && m->score_offset != LINEAR_FROZEN ? theta + m->score_offset : m->score;
}

static float dot(const float *a, const float *b, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)a[i] * (double)b[i];
    return (float)sum;
}

void reward_head_forward(struct run *r, const struct seqtree *tree, const float *theta) {
    const size_t c = r->m->config.hidden;
    const float *w = reward_head_weights(r->m, theta);
    heads_gather(r, tree);
    for (int32_t i = 0; i < tree->score_count; i++)
        r->logp[i] = tree->scores[i].target == 0 ? dot(w, r->hn + (size_t)r->score_slot[i] * c, c) : 0;
}

void reward_head_backward(struct run *r, const struct seqtree *tree, const float *theta, const float *dreward, size_t padded) {
    struct model *m = r->m;
    const size_t c = m->config.hidden;
    const float *w = reward_head_weights(m, theta);
    float *dw = model_grad_at(m, m->score_offset);
    memset(r->dhn, 0, (size_t)r->slot_count * c * sizeof(float));
    for (int32_t i = 0; i < tree->score_count; i++) {
        const float g = dreward[i];
        float *d = r->dhn + (size_t)r->score_slot[i] * c;
        const float *h = r->hn + (size_t)r->score_slot[i] * c;
        if (tree->scores[i].target != 0) continue;
        for (size_t j = 0; j < c; j++) d[j] += g * w[j];
        for (size_t j = 0; dw && j < c; j++) dw[j] += g * h[j];
    }
    heads_scatter(r, padded);
}

static void gating_layer(float *out, const struct gating_layer *l, const float *in, bool relu) {
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < l->out; i++) {
        const float x = dot(l->weight + i * l->in, in, l->in) + l->bias[i];
        out[i] = relu && x < 0 ? 0 : x;
    }
}

/* softmax(logits / temperature) * scale (ArmoRM's modeling_custom.py, GatingNetwork.forward). */
static status gate_values(float *gates, const struct model *m, const float *hidden) {
    const struct gating_head *g = m->gating;
    const size_t labels = m->config.labels, width = m->config.gating.hidden;
    float *rows, most = -INFINITY;
    double sum = 0;
    TRY(mem_try_alloc(&rows, 2 * width, sizeof *rows, "gating network"));
    const float *in = hidden;
    for (size_t i = 0; i < g->count; i++) {
        float *out = i + 1 < g->count ? rows + i % 2 * width : gates;
        gating_layer(out, &g->layers[i], in, i + 1 < g->count);
        in = out;
    }
    free(rows);
    for (size_t i = 0; i < labels; i++) most = fmaxf(most, gates[i]);
    for (size_t i = 0; i < labels; i++) sum += exp((double)(gates[i] - most) / m->config.gating.temperature);
    for (size_t i = 0; i < labels; i++)
        gates[i] = (float)(exp((double)(gates[i] - most) / m->config.gating.temperature) / sum * (double)g->scale);
    return ST_OK;
}

status reward_head_read(double *score, float *rewards, float *gates, const struct run *r, const float *theta, int32_t last, int32_t gate) {
    const struct model *m = r->m;
    const size_t c = m->config.hidden, labels = m->config.labels;
    const float *w = reward_head_weights(m, theta), *h = r->hn + (size_t)r->score_slot[last] * c;
    for (size_t i = 0; i < labels; i++) rewards[i] = dot(w + i * c, h, c);
    *score = (double)rewards[0];
    if (m->config.head != HEAD_GATED) return ST_OK;
    TRY(gate_values(gates, m, r->hn + (size_t)r->score_slot[gate] * c));
    *score = 0;
    for (size_t i = 0; i < labels; i++) {
        double adjusted = 0;
        for (size_t k = 0; k < labels; k++) adjusted += (double)rewards[k] * (double)m->gating->transform[k * labels + i];
        *score += (double)gates[i] * adjusted;
    }
    return ST_OK;
}

int32_t reward_head_last(const int32_t *ids, int32_t count, int64_t pad) {
    int32_t at = count - 1;
    while (at > 0 && ids[at] == pad) at--;
    return at;
}

int32_t reward_head_gate(const int32_t *ids, int32_t count, const int32_t *mark, int32_t mark_count) {
    for (int32_t at = count - mark_count; at >= 0; at--)
        if (memcmp(ids + at, mark, (size_t)mark_count * sizeof *mark) == 0) return at;
    return -1;
}
