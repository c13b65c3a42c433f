#include "train/optim.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

#define BLOCK ((size_t)4096) /* gradients in one partial sum; part of the numbers, not of the tuning */
#define LANES 8

struct optim_params optim_params_preset(void) { return (struct optim_params){.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8}; }

/* torch.optim.AdamW (arXiv 1711.05101, algorithm 2), operation by operation in fp32 as torch/optim/adamw.py. */
static void adamw_apply(const struct optim_update *u, const struct optim_params *p) {
    double correct1 = 1 - pow(p->beta1, (double)u->step), correct2 = 1 - pow(p->beta2, (double)u->step);
    const float keep = (float)(1 - u->rate * u->weight_decay), step_size = (float)(u->rate / correct1), root2 = (float)sqrt(correct2);
    const float new1 = (float)(1 - p->beta1), beta2 = (float)p->beta2, new2 = (float)(1 - p->beta2), eps = (float)p->eps, scale = u->scale;
    float *restrict value = u->value, *restrict m = u->state[0], *restrict v = u->state[1];
    const float *restrict dvalue = u->dvalue;
#pragma omp parallel for simd schedule(static)
    for (size_t i = 0; i < u->count; i++) {
        float g = dvalue[i] * scale;
        m[i] = m[i] + new1 * (g - m[i]);
        v[i] = v[i] * beta2 + new2 * (g * g);
        value[i] = value[i] * keep - step_size * (m[i] / (sqrtf(v[i]) / root2 + eps));
    }
}

static status adamw_check(const struct optim_params *p) {
    if (!(p->beta1 >= 0 && p->beta1 < 1)) return FAIL(ST_USAGE, "--adam-beta1 must be at least 0 and below 1, it is %g", p->beta1);
    if (!(p->beta2 >= 0 && p->beta2 < 1)) return FAIL(ST_USAGE, "--adam-beta2 must be at least 0 and below 1, it is %g", p->beta2);
    if (!(p->eps >= 0) || !isfinite(p->eps)) return FAIL(ST_USAGE, "--adam-epsilon must be at least 0, it is %g", p->eps);
    if (p->momentum != 0) return FAIL(ST_USAGE, "momentum has no effect with adamw (it belongs to sgd)");
    return ST_OK;
}

/* torch.optim.SGD without dampening or Nesterov; a momentum buffer of zeros gives torch's first step. */
static void sgd_apply(const struct optim_update *u, const struct optim_params *p) {
    const float decay = (float)u->weight_decay, momentum = (float)p->momentum, rate = (float)u->rate, scale = u->scale;
    float *restrict value = u->value, *restrict buffer = u->state[0];
    const float *restrict dvalue = u->dvalue;
#pragma omp parallel for simd schedule(static)
    for (size_t i = 0; i < u->count; i++) {
        buffer[i] = buffer[i] * momentum + (dvalue[i] * scale + decay * value[i]);
        value[i] = value[i] - rate * buffer[i];
    }
}

static status sgd_check(const struct optim_params *p) {
    if (!(p->momentum >= 0 && p->momentum < 1)) return FAIL(ST_USAGE, "momentum must be at least 0 and below 1, it is %g", p->momentum);
    return ST_OK;
}

const struct optim_row optim_table[] = {
    {"adamw", "Adam with decoupled weight decay, bias-corrected", "Loshchilov and Hutter 2017, arXiv 1711.05101; torch.optim.AdamW", 2, adamw_apply, adamw_check},
    {"sgd", "gradient descent, with momentum where asked for", "torch.optim.SGD", 1, sgd_apply, sgd_check},
};
const size_t optim_count = sizeof optim_table / sizeof optim_table[0];

const struct optim_row *optim_find(const char *name) {
    for (size_t i = 0; i < optim_count; i++)
        if (strcmp(optim_table[i].name, name) == 0) return &optim_table[i];
    return NULL;
}

status optim_init(struct optim *o, const struct optim_row *row, const struct optim_params *p, const struct optim_slice *slices, size_t count) {
    *o = (struct optim){.row = row, .params = *p, .slice_count = count};
    if (!(p->weight_decay >= 0) || !isfinite(p->weight_decay)) return FAIL(ST_USAGE, "--weight-decay must be at least 0, it is %g", p->weight_decay);
    TRY(row->check(p));
    for (size_t i = 0; i < count; i++) {
        if (!size_add(&o->total, o->total, slices[i].count)) return FAIL(ST_NOMEM, "optimizer: the parameters' count overflows");
        o->block_count += slices[i].count / BLOCK + (slices[i].count % BLOCK != 0);
    }
    status code = mem_try_alloc(&o->slices, count ? count : 1, sizeof *slices, "the optimizer's list of parameters");
    if (code == ST_OK) code = mem_try_alloc(&o->partial, o->block_count ? o->block_count : 1, sizeof *o->partial, "the gradient norm's partial sums");
    for (size_t s = 0; code == ST_OK && s < row->states; s++)
        code = mem_try_alloc(&o->state[s], o->total ? o->total : 1, sizeof(float), "the optimizer's state");
    if (code != ST_OK) {
        optim_release(o);
        return code;
    }
    for (size_t i = 0; i < count; i++) o->slices[i] = slices[i];
    return ST_OK;
}

void optim_release(struct optim *o) {
    free(o->slices);
    free(o->partial);
    for (size_t s = 0; s < OPTIM_STATES_MAX; s++) free(o->state[s]);
    *o = (struct optim){0};
}

/* Lanes keep the order of additions the same in vector and in scalar code. */
static double block_squares(const float *d, size_t count) {
    double lane[LANES] = {0}, total = 0;
    size_t i = 0;
    for (; i + LANES <= count; i += LANES)
        for (size_t l = 0; l < LANES; l++) lane[l] += (double)d[i + l] * (double)d[i + l];
    for (size_t l = 0; i < count; i++, l++) lane[l] += (double)d[i] * (double)d[i];
    for (size_t l = 0; l < LANES; l++) total += lane[l];
    return total;
}

double optim_norm(const struct optim *o) {
    size_t at = 0;
    for (size_t s = 0; s < o->slice_count; s++) {
        const struct optim_slice *slice = &o->slices[s];
        size_t blocks = slice->count / BLOCK + (slice->count % BLOCK != 0);
        double *partial = o->partial + at;
#pragma omp parallel for schedule(static)
        for (size_t b = 0; b < blocks; b++) {
            size_t begin = b * BLOCK, left = slice->count - begin;
            partial[b] = block_squares(slice->dvalue + begin, left < BLOCK ? left : BLOCK);
        }
        at += blocks;
    }
    double total = 0;
    for (size_t b = 0; b < at; b++) total += o->partial[b];
    return sqrt(total);
}

double optim_clip_scale(double norm, double max_norm) {
    if (!(max_norm > 0)) return 1;
    double scale = max_norm / (norm + 1e-6);
    return scale > 1 ? 1 : scale; /* a norm that is NaN gives NaN, as torch: the caller looks at the norm first */
}

void optim_step(struct optim *o, double rate, double scale) {
    size_t at = 0;
    o->steps++;
    for (size_t s = 0; s < o->slice_count; s++) {
        const struct optim_slice *slice = &o->slices[s];
        struct optim_update u = {.value = slice->value, .dvalue = slice->dvalue, .count = slice->count, .scale = (float)scale, .rate = rate,
                                 .weight_decay = slice->decay ? o->params.weight_decay : 0, .step = o->steps};
        for (size_t i = 0; i < o->row->states; i++) u.state[i] = o->state[i] + at;
        o->row->apply(&u, &o->params);
        at += slice->count;
    }
}
