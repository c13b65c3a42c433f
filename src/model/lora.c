#include "model/lora.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/rng.h"
#include "model/dora.h"
#include "model/reward_head.h"

struct attach {
    struct model *m;
    const struct lora_options *options;
    bool used[LORA_TARGETS_MAX];
    status result;
};

static size_t add_piece(struct attach *a, const struct linear *l, const struct linear_part *p, const char *suffix, size_t rows,
                        size_t cols) {
    char name[TENSOR_NAME_SIZE], full[TENSOR_NAME_SIZE + 24];
    family_tensor_name(name, a->m->config.family, p->role, l->layer, false);
    snprintf(full, sizeof full, "%s.%s", name, suffix);
    return params_add(&a->m->params, full, rows, cols, false);
}

static status mark_parts(struct attach *a, struct linear *l) {
    char name[TENSOR_NAME_SIZE];
    l->u_width = 0;
    for (size_t i = 0; i < l->part_count; i++) {
        struct linear_part *p = &l->part[i];
        family_tensor_name(name, a->m->config.family, p->role, l->layer, false);
        TRY(lora_match(&p->adapted, &p->rank, &p->scale, a->used, a->options, name));
        if (!p->adapted) continue;
        if (p->rank < 1 || p->rank > a->m->config.hidden)
            return FAIL(ST_USAGE, "LoRA rank %zu is not in 1..%zu (the model's hidden size)", p->rank, a->m->config.hidden);
        p->u_col = l->u_width;
        l->u_width += p->rank;
    }
    return ST_OK;
}

static void attach_linear(struct linear *l, void *context) {
    struct attach *a = context;
    if (a->result == ST_OK) a->result = mark_parts(a, l);
    if (a->result != ST_OK || !l->u_width) return;
    l->a_offset = a->m->params.size;
    for (size_t i = 0; i < l->part_count; i++)
        if (l->part[i].adapted) add_piece(a, l, &l->part[i], "lora_A.weight", l->part[i].rank, l->in);
    for (size_t i = 0; i < l->part_count; i++) {
        struct linear_part *p = &l->part[i];
        if (!p->adapted) continue;
        p->b_offset = add_piece(a, l, p, "lora_B.weight", p->rows, p->rank);
        if (a->options->dora) p->m_offset = add_piece(a, l, p, "lora_magnitude_vector", 1, p->rows);
    }
}

/* kaiming_uniform(a = sqrt(5)) over fan-in, or the normal distribution; B stays zero (peft tuners/lora/layer.py, reset_lora_parameters). */
static void initialise(struct params *p, enum lora_init init, uint64_t seed) {
    for (size_t i = 0; i < p->count; i++) {
        const struct param *q = &p->items[i];
        if (!strstr(q->name, ".lora_A.")) continue;
        struct rng r = rng_at(seed, hash_bytes(q->name, strlen(q->name), 0), 0, 0);
        double bound = 1.0 / sqrt((double)q->cols);
        for (size_t j = 0; j < q->rows * q->cols; j++)
            p->value[q->offset + j] =
                (float)(init == LORA_GAUSSIAN ? rng_normal(&r) / (double)q->rows : (2.0 * rng_uniform(&r) - 1.0) * bound);
    }
}

static status attach_saved(struct attach *a) {
    struct model *m = a->m;
    const struct model_config *c = &m->config;
    const struct lora_options *o = a->options;
    if ((o->save_head || o->save_embedding) && c->head != HEAD_LM)
        return FAIL(ST_UNSUPPORTED, "a reward model has no lm_head or embed_tokens to save beside its adapter");
    m->embed_offset = m->head.saved_offset = m->score_offset = LINEAR_FROZEN;
    if (o->labels) m->score_offset = params_add(&m->params, "score.weight", o->labels, c->hidden, false);
    if (o->save_embedding) m->embed_offset = params_add(&m->params, "model.embed_tokens.weight", c->vocab, c->hidden, false);
    if (o->save_head) m->head.saved_offset = params_add(&m->params, "lm_head.weight", c->vocab, c->hidden, false);
    return ST_OK;
}

/* Copies of what the checkpoint has. */
static status fill_saved(struct model *m) {
    struct tensor_view v;
    const struct model_config *c = &m->config;
    if (m->embed_offset != LINEAR_FROZEN) {
        TRY(checkpoint_tensor(&v, &m->checkpoint, TENSOR_EMBED, 0, c->vocab, c->hidden));
        tensor_view_rows(m->params.value + m->embed_offset, &v);
    }
    struct linear *head = &m->head;
    if (head->saved_offset == LINEAR_FROZEN) return ST_OK;
    TRY(checkpoint_tensor(&v, &m->checkpoint, c->tied ? TENSOR_EMBED : TENSOR_HEAD, 0, c->vocab, c->hidden));
    tensor_view_rows(m->params.value + head->saved_offset, &v);
    return matmul_weight_init(&head->saved, &m->adapter, m->kind, m->params.value + head->saved_offset, head->out, head->in,
                              m->use != MODEL_INFER);
}

/* The norms of W's rows, with which m begins. */
static status measure(struct model *m, struct linear *l, float *w) {
    TRY(arena_try_take(&m->adapter, &l->dora, 1, sizeof *l->dora, "DoRA"));
    TRY(arena_try_take(&m->adapter, &l->dora->squares, l->out, sizeof(float), "DoRA"));
    TRY(arena_try_take(&m->adapter, &l->dora->gain, l->out, sizeof(float), "DoRA"));
    TRY(arena_try_take(&m->adapter, &l->dora->inverse, l->out, sizeof(float), "DoRA"));
    for (size_t j = 0; j < l->out; j++) l->dora->gain[j] = 1;
    for (size_t i = 0; i < l->part_count; i++) {
        const struct linear_part *p = &l->part[i];
        struct tensor_view v;
        if (!p->adapted) continue;
        const enum tensor_role role = p->role == TENSOR_HEAD && m->config.tied ? TENSOR_EMBED : p->role;
        TRY(checkpoint_tensor(&v, &m->checkpoint, role, l->layer, p->rows, l->in));
        tensor_view_rows(w, &v);
        dora_squares(l->dora->squares + p->row, w, p->rows, l->in);
        for (size_t j = 0; j < p->rows; j++) m->params.value[p->m_offset + j] = sqrtf(l->dora->squares[p->row + j]);
    }
    return ST_OK;
}

struct measured {
    struct attach *a;
    size_t largest, products; /* floats of the largest matrix, and of dora_bind's scratch */
    float *w;
};

static void widest(struct linear *l, void *context) {
    struct measured *x = context;
    const size_t products = l->u_width * (l->out + l->u_width);
    if (!l->u_width) return;
    if (l->out * l->in > x->largest) x->largest = l->out * l->in;
    if (products > x->products) x->products = products;
}

static void measure_one(struct linear *l, void *context) {
    struct measured *x = context;
    if (x->a->result == ST_OK && l->u_width) x->a->result = measure(x->a->m, l, x->w);
}

static void each_linear(struct model *m, void (*visit)(struct linear *l, void *context), void *context) {
    model_each_linear(m, visit, context);
    visit(&m->head, context);
}

static status attach_dora(struct attach *a) {
    struct model *m = a->m;
    struct measured x = {.a = a};
    if (!a->options->dora) return ST_OK;
    each_linear(m, widest, &x);
    TRY(arena_try_take(&m->adapter, &m->products, x.products, sizeof(float), "DoRA"));
    TRY(mem_try_alloc(&x.w, x.largest, sizeof(float), "DoRA's norms"));
    each_linear(m, measure_one, &x);
    free(x.w);
    checkpoint_drop_pages(&m->checkpoint);
    m->dora = true;
    return a->result;
}

static status check(const struct model *m, const struct lora_options *o) {
    CHECK(m->use != MODEL_FULL);
    if (o->rank < 1 || o->rank > m->config.hidden)
        return FAIL(ST_USAGE, "LoRA rank %zu is not in 1..%zu (the model's hidden size)", o->rank, m->config.hidden);
    if (o->labels && (m->config.head != HEAD_SCORE || m->config.labels != o->labels))
        return FAIL(ST_MISMATCH, "the adapter has a reward head of %zu labels, which does not fit this model", o->labels);
    if (o->init == LORA_PISSA && o->dora)
        return FAIL(ST_USAGE, "PiSSA and DoRA together have no form in which peft loads the adapter on the original base");
    if (!(o->dropout >= 0 && o->dropout < 1)) return FAIL(ST_USAGE, "LoRA dropout %g is not in [0, 1)", o->dropout);
    if (!o->target_count) return FAIL(ST_USAGE, "LoRA needs target modules, e.g. all-linear or q_proj,v_proj");
    return ST_OK;
}

status lora_attach(struct model *m, const struct lora_options *o, uint64_t seed, bool with_grad) {
    TRY(check(m, o));
    params_release(&m->params);
    arena_release(&m->adapter);
    m->pissa = o->init == LORA_PISSA;
    m->pissa_steps = o->pissa_steps;
    struct attach a = {.m = m, .options = o};
    each_linear(m, attach_linear, &a);
    TRY(a.result);
    char known[160];
    family_target_list(known, sizeof known, m->config.family);
    for (size_t i = 0; i < o->target_count; i++)
        if (!a.used[i])
            return FAIL(ST_USAGE, "LoRA target '%s' matches no projection (known: %s, lm_head, all-linear)", o->targets[i], known);
    if (!m->params.size) return FAIL(ST_USAGE, "LoRA: no projection of the targets lies in the layers asked for");
    TRY(attach_saved(&a));
    TRY(params_allocate(&m->params, with_grad));
    initialise(&m->params, o->init, seed);
    if (o->save_head || o->save_embedding || o->dora) TRY(checkpoint_check(&m->checkpoint));
    TRY(fill_saved(m));
    TRY(attach_dora(&a));
    model_changed(m);
    return o->labels ? reward_head_initialise(m->params.value + m->score_offset, m, seed) : ST_OK;
}

bool lora_unties(const struct model *m, const float *theta) {
    return theta && m->config.tied && (m->head.u_width || m->head.saved_offset != LINEAR_FROZEN || m->embed_offset != LINEAR_FROZEN);
}

/* DoRA: rows get the norms m. */
static void merge_norms(float *w, const struct linear_part *p, const float *theta, size_t in) {
#pragma omp parallel for schedule(static)
    for (size_t row = 0; row < p->rows; row++) {
        float square, *out = w + row * in;
        dora_squares(&square, out, 1, in);
        const float gain = square > 0 ? theta[p->m_offset + row] / sqrtf(square) : 0;
        for (size_t j = 0; j < in; j++) out[j] *= gain;
    }
}

void lora_merge_into(float *w, const struct linear *l, const float *theta) {
    if (l->saved_offset != LINEAR_FROZEN) memcpy(w, theta + l->saved_offset, l->out * l->in * sizeof *w);
    for (size_t i = 0; i < l->part_count; i++) {
        const struct linear_part *p = &l->part[i];
        if (!p->adapted) continue;
        const float *a = theta + l->a_offset + p->u_col * l->in, *b = theta + p->b_offset;
#pragma omp parallel for schedule(static)
        for (size_t row = 0; row < p->rows; row++) {
            float *out = w + (p->row + row) * l->in;
            for (size_t k = 0; k < p->rank; k++) {
                const float s = p->scale * b[row * p->rank + k];
                for (size_t j = 0; j < l->in; j++) out[j] += s * a[k * l->in + j];
            }
        }
        if (l->dora) merge_norms(w + p->row * l->in, p, theta, l->in);
    }
}
