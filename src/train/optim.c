#include "train/optim.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "train/kwargs.h"
#include "train/optim_apply.h"

#define BLOCK ((size_t)4096) /* gradients in one partial sum; part of the numbers, not of the tuning */
#define LANES 8
#define ALIGN ((size_t)64)

size_t optim_adamw_state(const struct optim_slice *slice, const struct optim_params *p) {
    (void)p;
    return 2 * slice->rows * slice->cols * sizeof(float);
}

status optim_adamw(const struct optim_update *u, const struct optim_params *p) {
    double correct1 = 1 - pow(p->beta1, (double)u->step), correct2 = 1 - pow(p->beta2, (double)u->step);
    const float keep = (float)(1 - u->rate * u->weight_decay), step_size = (float)(u->rate / correct1), root2 = (float)sqrt(correct2);
    const float new1 = (float)(1 - p->beta1), beta2 = (float)p->beta2, new2 = (float)(1 - p->beta2), eps = (float)p->eps, scale = u->scale;
    float *restrict value = u->value, *restrict m = u->state, *restrict v = m + u->count;
    const float *restrict dvalue = u->dvalue;
#pragma omp parallel for simd schedule(static)
    for (size_t i = 0; i < u->count; i++) {
        float g = dvalue[i] * scale;
        m[i] = m[i] + new1 * (g - m[i]);
        v[i] = v[i] * beta2 + new2 * (g * g);
        value[i] = value[i] * keep - step_size * (m[i] / (sqrtf(v[i]) / root2 + eps));
    }
    return ST_OK;
}

static size_t sgd_state(const struct optim_slice *slice, const struct optim_params *p) {
    return p->momentum > 0 ? slice->rows * slice->cols * sizeof(float) : 0;
}

/* torch.optim.SGD: its first step puts the gradient into the buffer as it is, dampening begins with the second. */
static status sgd_apply(const struct optim_update *u, const struct optim_params *p) {
    const float decay = (float)u->weight_decay, momentum = (float)p->momentum, rate = (float)u->rate, scale = u->scale,
                fresh = u->step == 1 ? 1 : (float)(1 - p->dampening);
    float *restrict value = u->value, *restrict buffer = u->state;
    const float *restrict dvalue = u->dvalue;
    if (momentum == 0) {
#pragma omp parallel for simd schedule(static)
        for (size_t i = 0; i < u->count; i++) value[i] = value[i] - rate * (dvalue[i] * scale + decay * value[i]);
        return ST_OK;
    }
    const bool nesterov = p->nesterov;
#pragma omp parallel for simd schedule(static)
    for (size_t i = 0; i < u->count; i++) {
        const float g = dvalue[i] * scale + decay * value[i];
        buffer[i] = buffer[i] * momentum + fresh * g;
        value[i] = value[i] - rate * (nesterov ? g + momentum * buffer[i] : buffer[i]);
    }
    return ST_OK;
}

static status sgd_check(const struct optim_params *p) {
    if (!(p->momentum >= 0 && p->momentum < 1))
        return FAIL(ST_USAGE, "--optim-args: momentum must be at least 0 and below 1, it is %g", p->momentum);
    if (p->nesterov && (p->momentum == 0 || p->dampening != 0))
        return FAIL(ST_USAGE, "--optim-args: nesterov needs momentum and no dampening, as in torch");
    if (p->dampening != 0 && p->momentum == 0) return FAIL(ST_USAGE, "--optim-args: dampening has no effect without momentum");
    return ST_OK;
}

static size_t lion_state(const struct optim_slice *slice, const struct optim_params *p) {
    (void)p;
    return slice->rows * slice->cols * sizeof(float);
}

/* Chen et al. 2023, program 1; in the order of bitsandbytes' Lion: decay first. */
static status lion_apply(const struct optim_update *u, const struct optim_params *p) {
    const float keep = (float)(1 - u->rate * u->weight_decay), rate = (float)u->rate, scale = u->scale, beta1 = (float)p->beta1,
                new1 = (float)(1 - p->beta1), beta2 = (float)p->beta2, new2 = (float)(1 - p->beta2);
    float *restrict value = u->value, *restrict m = u->state;
    const float *restrict dvalue = u->dvalue;
#pragma omp parallel for simd schedule(static)
    for (size_t i = 0; i < u->count; i++) {
        const float g = dvalue[i] * scale, c = m[i] * beta1 + g * new1;
        const float sign = (float)(c > 0) - (float)(c < 0);
        value[i] = value[i] * keep - rate * sign;
        m[i] = m[i] * beta2 + g * new2;
    }
    return ST_OK;
}

#define ADAM "adam-beta1 adam-beta2 adam-epsilon"
const struct optim_row optim_table[] = {
    {"adamw_torch", "adamw adamw_torch_fused", "Adam with decoupled weight decay, bias-corrected",
     "Loshchilov and Hutter 2017, arXiv 1711.05101; torch.optim.AdamW", ADAM, "", 0.999, optim_adamw_state, NULL, optim_adamw, NULL},
    {"adamw_8bit", "adamw_bnb_8bit", "AdamW with moments of 8 bits: a quarter of its state's memory",
     "Dettmers et al. 2021, arXiv 2110.02861; bitsandbytes AdamW8bit", ADAM, "min_8bit_size", 0.999, optim_adamw_8bit_state, NULL,
     optim_adamw_8bit, NULL},
    {"sgd", "", "gradient descent, with momentum where asked for", "torch.optim.SGD", "", "momentum dampening nesterov", 0.999, sgd_state,
     NULL, sgd_apply, sgd_check},
    {"lion_32bit", "lion", "the sign of a momentum; wants a rate 3 to 10 times below AdamW's",
     "Chen et al. 2023, arXiv 2302.06675; bitsandbytes Lion", "adam-beta1 adam-beta2", "", 0.99, lion_state, NULL, lion_apply, NULL},
    {"muon", "", "orthogonalised momentum for hidden matrices, AdamW for the rest",
     "Jordan et al. 2024, kellerjordan.github.io/posts/muon; torch.optim.Muon", ADAM, "momentum nesterov ns_steps adjust_lr_fn", 0.999,
     optim_muon_state, optim_muon_work, optim_muon, optim_muon_check},
};
const size_t optim_count = sizeof optim_table / sizeof optim_table[0];

#define PARAM(name) offsetof(struct optim_params, name)
static const struct kwarg args[] = {
    {"momentum", KWARG_NUMBER, PARAM(momentum), 0, 1, NULL},
    {"dampening", KWARG_NUMBER, PARAM(dampening), 0, 1, NULL},
    {"nesterov", KWARG_BOOL, PARAM(nesterov), 0, 0, NULL},
    {"ns_steps", KWARG_COUNT, PARAM(ns_steps), 1, 99, NULL},
    {"min_8bit_size", KWARG_COUNT, PARAM(min_8bit_size), 0, 1e15, NULL},
    {"adjust_lr_fn", KWARG_CHOICE, PARAM(adjust_lr_fn), 0, 0, "original|match_rms_adamw"},
};

struct optim_params optim_params_preset(const struct optim_row *row) {
    struct optim_params p = {.beta1 = 0.9, .beta2 = row->beta2, .eps = 1e-8, .min_8bit_size = 4096};
    if (strstr(row->takes, "ns_steps")) p.momentum = 0.95, p.nesterov = true, p.ns_steps = 5;
    return p;
}

status optim_params_read(struct optim_params *p, const struct optim_row *row, const char *const *items, size_t count) {
    static const struct kwargs k = {"--optim-args", args, sizeof args / sizeof args[0]};
    return kwargs_read(&k, p, row->name, row->takes, items, count);
}

const struct optim_row *optim_find(const char *name) {
    const size_t n = strlen(name);
    for (size_t i = 0; i < optim_count; i++) {
        const struct optim_row *row = &optim_table[i];
        if (strcmp(row->name, name) == 0) return row;
        for (const char *p = row->alias; n && (p = strstr(p, name)); p += n)
            if ((p == row->alias || p[-1] == ' ') && (p[n] == ' ' || p[n] == '\0')) return row;
    }
    return NULL;
}

void optim_list(char *out, size_t size) {
    out[0] = '\0';
    for (size_t i = 0; i < optim_count; i++) {
        const size_t used = strlen(out);
        snprintf(out + used, size - used, "%s%s", i ? ", " : "", optim_table[i].name);
    }
}

static status check_params(const struct optim_row *row, const struct optim_params *p) {
    if (!(p->weight_decay >= 0) || !isfinite(p->weight_decay))
        return FAIL(ST_USAGE, "--weight-decay must be at least 0, it is %g", p->weight_decay);
    if (!(p->beta1 >= 0 && p->beta1 < 1)) return FAIL(ST_USAGE, "--adam-beta1 must be at least 0 and below 1, it is %g", p->beta1);
    if (!(p->beta2 >= 0 && p->beta2 < 1)) return FAIL(ST_USAGE, "--adam-beta2 must be at least 0 and below 1, it is %g", p->beta2);
    if (!(p->eps >= 0) || !isfinite(p->eps)) return FAIL(ST_USAGE, "--adam-epsilon must be at least 0, it is %g", p->eps);
    return row->check ? row->check(p) : ST_OK;
}

/* offset: where each slice's state begins, or NULL. */
static bool layout(size_t *state_bytes, size_t *work_floats, size_t *offset, const struct optim_row *row, const struct optim_params *p,
                   const struct optim_slice *slices, size_t count) {
    *state_bytes = *work_floats = 0;
    for (size_t i = 0; i < count; i++) {
        size_t bytes = row->state_bytes(&slices[i], p), work = row->work_floats ? row->work_floats(&slices[i]) : 0;
        if (offset) offset[i] = *state_bytes;
        if (bytes > SIZE_MAX - ALIGN || !size_add(state_bytes, *state_bytes, (bytes + ALIGN - 1) / ALIGN * ALIGN)) return false;
        if (work > *work_floats) *work_floats = work;
    }
    return true;
}

size_t optim_bytes(const struct optim_row *row, const struct optim_params *p, const struct optim_slice *slices, size_t count) {
    size_t state, work, all;
    if (!layout(&state, &work, NULL, row, p, slices, count) || !size_mul(&work, work, sizeof(float)) || !size_add(&all, state, work))
        return SIZE_MAX;
    return all;
}

static status take_memory(struct optim *o, const struct optim_slice *slices) {
    const size_t count = o->slice_count ? o->slice_count : 1;
    size_t work;
    TRY(mem_try_alloc(&o->slices, count, sizeof *o->slices, "the optimizer's list of parameters"));
    TRY(mem_try_alloc(&o->state_offset, count, sizeof *o->state_offset, "the optimizer's list of parameters"));
    TRY(mem_try_alloc(&o->partial, o->block_count ? o->block_count : 1, sizeof *o->partial, "the gradient norm's partial sums"));
    if (!layout(&o->state_bytes, &work, o->state_offset, o->row, &o->params, slices, o->slice_count))
        return FAIL(ST_NOMEM, "optimizer: the size of its state overflows");
    TRY(mem_try_whole(&o->state, o->state_bytes ? o->state_bytes : 1, 1, "the optimizer's state"));
    return work ? mem_try_whole(&o->work, work, sizeof(float), "the optimizer's working memory") : ST_OK;
}

status optim_init(struct optim *o, const struct optim_row *row, const struct optim_params *p, const struct optim_slice *slices,
                  size_t count) {
    *o = (struct optim){.row = row, .params = *p, .slice_count = count};
    TRY(check_params(row, p));
    for (size_t i = 0; i < count; i++) {
        const size_t n = slices[i].rows * slices[i].cols;
        o->block_count += n / BLOCK + (n % BLOCK != 0);
    }
    status code = take_memory(o, slices);
    if (code != ST_OK) {
        optim_release(o);
        return code;
    }
    for (size_t i = 0; i < count; i++) o->slices[i] = slices[i];
    return ST_OK;
}

void optim_release(struct optim *o) {
    free(o->slices);
    free(o->state_offset);
    free(o->partial);
    free(o->state);
    free(o->work);
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
        const size_t count = slice->rows * slice->cols, blocks = count / BLOCK + (count % BLOCK != 0);
        double *partial = o->partial + at;
#pragma omp parallel for schedule(static)
        for (size_t b = 0; b < blocks; b++) {
            size_t begin = b * BLOCK, left = count - begin;
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

status optim_step(struct optim *o, double rate, double scale) {
    o->steps++;
    for (size_t s = 0; s < o->slice_count; s++) {
        const struct optim_slice *slice = &o->slices[s];
        const struct optim_update u = {.value = slice->value,
                                       .dvalue = slice->dvalue,
                                       .rows = slice->rows,
                                       .cols = slice->cols,
                                       .count = slice->rows * slice->cols,
                                       .state = o->state + o->state_offset[s],
                                       .work = o->work,
                                       .hidden = slice->hidden,
                                       .scale = (float)scale,
                                       .rate = rate * (slice->rate > 0 ? slice->rate : 1),
                                       .weight_decay = slice->decay ? o->params.weight_decay : 0,
                                       .step = o->steps};
        TRY(o->row->apply(&u, &o->params));
    }
    return ST_OK;
}
