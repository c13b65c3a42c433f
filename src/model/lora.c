#include "model/lora.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/rng.h"
#include "model/reward_head.h"

struct attach {
    struct model *m;
    const struct lora_options *options;
    bool used[LORA_TARGETS_MAX];
};

static bool is_target(struct attach *a, const char *name) {
    bool found = false;
    for (size_t i = 0; i < a->options->target_count; i++) {
        const char *t = a->options->targets[i];
        size_t n = strlen(name), k = strlen(t);
        bool match =
            strcmp(t, "all-linear") == 0 || strcmp(t, name) == 0 || (n > k && name[n - k - 1] == '.' && strcmp(name + n - k, t) == 0);
        if (match) a->used[i] = found = true;
    }
    return found;
}

static void attach_linear(struct linear *l, void *context) {
    struct attach *a = context;
    const size_t rank = a->options->rank;
    char name[TENSOR_NAME_SIZE], full[TENSOR_NAME_SIZE + 24];
    l->rank = rank;
    l->u_width = 0;
    l->scale = (float)(a->options->alpha / (a->options->rslora ? sqrt((double)rank) : (double)rank));
    for (size_t i = 0; i < l->part_count; i++) {
        struct linear_part *p = &l->part[i];
        family_tensor_name(name, a->m->config.family, p->role, l->layer, false);
        p->adapted = is_target(a, name);
        if (!p->adapted) continue;
        p->u_col = l->u_width;
        snprintf(full, sizeof full, "%s.lora_A.weight", name);
        size_t offset = params_add(&a->m->params, full, rank, l->in, false);
        if (l->u_width == 0) l->a_offset = offset;
        l->u_width += rank;
    }
    for (size_t i = 0; i < l->part_count; i++) {
        struct linear_part *p = &l->part[i];
        if (!p->adapted) continue;
        family_tensor_name(name, a->m->config.family, p->role, l->layer, false);
        snprintf(full, sizeof full, "%s.lora_B.weight", name);
        p->b_offset = params_add(&a->m->params, full, p->rows, rank, false);
    }
}

/* kaiming_uniform(a = sqrt(5)) over fan-in: U(-1/sqrt(in), 1/sqrt(in)); B stays zero (peft tuners/lora/layer.py, reset_lora_parameters). */
static void initialise(struct params *p, uint64_t seed) {
    for (size_t i = 0; i < p->count; i++) {
        const struct param *q = &p->items[i];
        if (!strstr(q->name, ".lora_A.")) continue;
        struct rng r = rng_at(seed, hash_bytes(q->name, strlen(q->name), 0), 0, 0);
        double bound = 1.0 / sqrt((double)q->cols);
        for (size_t j = 0; j < q->rows * q->cols; j++) p->value[q->offset + j] = (float)((2.0 * rng_uniform(&r) - 1.0) * bound);
    }
}

status lora_attach(struct model *m, const struct lora_options *o, uint64_t seed, bool with_grad) {
    CHECK(m->use != MODEL_FULL);
    if (o->rank < 1 || o->rank > m->config.hidden)
        return FAIL(ST_USAGE, "LoRA rank %zu is not in 1..%zu (the model's hidden size)", o->rank, m->config.hidden);
    if (o->labels && (m->config.head != HEAD_SCORE || m->config.labels != o->labels))
        return FAIL(ST_MISMATCH, "the adapter has a reward head of %zu labels, which does not fit this model", o->labels);
    if (!(o->dropout >= 0 && o->dropout < 1)) return FAIL(ST_USAGE, "LoRA dropout %g is not in [0, 1)", o->dropout);
    if (!o->target_count) return FAIL(ST_USAGE, "LoRA needs target modules, e.g. all-linear or q_proj,v_proj");
    params_release(&m->params);
    struct attach a = {.m = m, .options = o};
    model_each_linear(m, attach_linear, &a);
    char known[128];
    family_target_list(known, sizeof known, m->config.family);
    for (size_t i = 0; i < o->target_count; i++)
        if (!a.used[i]) return FAIL(ST_USAGE, "LoRA target '%s' matches no projection (known: %s, all-linear)", o->targets[i], known);
    if (o->labels) m->score_offset = params_add(&m->params, "score.weight", o->labels, m->config.hidden, false);
    TRY(params_allocate(&m->params, with_grad));
    initialise(&m->params, seed);
    return o->labels ? reward_head_initialise(m->params.value + m->score_offset, m, seed) : ST_OK;
}

void lora_merge_into(float *w, const struct linear *l, const float *theta) {
    for (size_t i = 0; i < l->part_count; i++) {
        const struct linear_part *p = &l->part[i];
        if (!p->adapted) continue;
        const float *a = theta + l->a_offset + p->u_col * l->in, *b = theta + p->b_offset;
#pragma omp parallel for schedule(static)
        for (size_t row = 0; row < p->rows; row++) {
            float *out = w + (p->row + row) * l->in;
            for (size_t k = 0; k < l->rank; k++) {
                const float s = l->scale * b[row * l->rank + k];
                for (size_t j = 0; j < l->in; j++) out[j] += s * a[k * l->in + j];
            }
        }
    }
}
