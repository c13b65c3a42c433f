#include "model/mlp.h"

#include <string.h>

#include "num/act.h"
#include "num/norm.h"

static struct mat normed(const struct run *r) { return (struct mat){.f = r->h, .h = r->h_half, .ld = r->m->config.hidden}; }

struct mat mlp_normed(struct run *r, float *rstd, struct kept x, const float *weight, size_t padded, bool keep) {
    rmsnorm_forward(r->h, r->h_half, keep ? x.h : NULL, rstd, x.f, weight, padded, r->m->config.hidden, (float)r->m->config.norm_eps);
    return normed(r);
}

struct mat mlp_normed_again(struct run *r, struct kept x, const float *rstd, const float *weight, size_t padded) {
    rmsnorm_again(r->h, r->h_half, x, rstd, weight, padded, r->m->config.hidden);
    return normed(r);
}

struct mat mlp_through_post(struct run *r, const float *weight, size_t offset, struct kept x, const float *rstd, size_t padded) {
    const size_t c = r->m->config.hidden;
    if (!weight) return (struct mat){.f = r->dx, .ld = c};
    memset(r->dpost, 0, padded * c * sizeof *r->dpost);
    rmsnorm_backward(r->dpost, model_grad_at(r->m, offset), r->dx, x, weight, rstd, padded, c);
    return (struct mat){.f = r->dpost, .ld = c};
}

static struct mat activated(const struct run *r) { return (struct mat){.f = r->act, .h = r->act_half, .ld = r->m->config.ffn}; }

/* The gradient takes the place of what it was computed from. */
static struct mat gate_up_gradient(const struct run *r, const struct layer_acts *a) {
    return (struct mat){.f = a->gate_up, .h = a->gate_up_half, .ld = 2 * r->m->config.ffn};
}

static struct glu kind_of(const struct run *r) { return glu_of(r->m->config.act); }

static void activate(struct run *r, uint16_t *kept, const float *gate_up, size_t padded) {
    const size_t f = r->m->config.ffn;
    if (r->act) glu_forward(r->act, gate_up, kind_of(r), padded, f);
    if (r->act_half) glu_forward_half(r->act_half, kept, gate_up, kind_of(r), padded, f);
}

/* The gated activation from the normed input; what backward needs of gate and up stays in a. */
static status gate_forward(struct layer_acts *a, struct run *r, const struct linear *l, struct mat h, const float *theta, size_t padded,
                           bool keep) {
    const size_t f = r->m->config.ffn;
    if (r->one_pass) {
        struct glu_floats floats = {r->act, keep ? a->gate_up : NULL, kind_of(r), f};
        struct glu_blocks halves = {.act = r->act_half, .kept = keep ? a->gate_up_half : NULL, .kind = kind_of(r), .f = f};
        const struct linear_finish finish = r->m->kind == MATMUL_F32
                                                ? (struct linear_finish){glu_forward_floats, glu_forward_floats_look, &floats, f}
                                                : (struct linear_finish){glu_forward_blocks, glu_forward_look, &halves, f};
        return linear_forward_finish(&finish, a->u_gate_up, h, l, theta, &r->scratch, padded);
    }
    float *gate_up = a->gate_up ? a->gate_up : r->gate_up;
    TRY(linear_forward(gate_up, NULL, a->u_gate_up, h, l, theta, &r->scratch, padded));
    activate(r, keep ? a->gate_up_half : NULL, gate_up, padded);
    return ST_OK;
}

status mlp_forward(float *out, struct layer_acts *a, struct run *r, size_t layer, const float *theta, size_t padded, bool keep) {
    const struct model_layer *l = &r->m->layers[layer];
    const struct mat h = mlp_normed(r, a->rstd2, a->mid, l->norm2, padded, keep);
    TRY(gate_forward(a, r, &l->gate_up, h, theta, padded, keep));
    if (!l->post2) return linear_forward(out, a->mid.f, a->u_down, activated(r), &l->down, theta, &r->scratch, padded);
    TRY(linear_forward(a->down_out.f, NULL, a->u_down, activated(r), &l->down, theta, &r->scratch, padded));
    rmsnorm_forward_onto(out, keep ? a->down_out.h : NULL, a->rstd_post2, a->mid.f, a->down_out.f, l->post2, padded, r->m->config.hidden,
                         (float)r->m->config.norm_eps);
    return ST_OK;
}

/* Through down and the activation: the gradient of gate and up, and down's own gradients, which want the activation once more. */
static status gate_backward(struct run *r, const struct layer_acts *a, const struct linear *l, struct mat dx, const float *theta,
                            size_t padded) {
    const size_t f = r->m->config.ffn;
    float *grad = r->m->params.grad;
    if (r->one_pass) {
        struct glu_floats floats = {r->act, a->gate_up, kind_of(r), f};
        struct glu_blocks halves = {.act = r->act_half, .kept = a->gate_up_half, .dgate_up = a->gate_up_half, .kind = kind_of(r), .f = f};
        const struct linear_finish finish = r->m->kind == MATMUL_F32
                                                ? (struct linear_finish){glu_backward_floats, glu_backward_floats_look, &floats, 0}
                                                : (struct linear_finish){glu_backward_blocks, glu_backward_look, &halves, 0};
        return linear_backward_finish(&finish, grad, dx, activated(r), a->u_down, l, theta, &r->scratch, padded);
    }
    const float *gate_up = a->gate_up ? a->gate_up : r->gate_up;
    if (a->gate_up_half) glu_expand(r->gate_up, a->gate_up_half, padded, f);
    activate(r, NULL, gate_up, padded);
    TRY(linear_backward(r->dact, grad, dx, activated(r), a->u_down, l, theta, &r->scratch, padded, false));
    if (a->gate_up)
        glu_backward(a->gate_up, r->dact, gate_up, kind_of(r), padded, f);
    else
        glu_backward_half(a->gate_up_half, r->dact, gate_up, kind_of(r), padded, f);
    return ST_OK;
}

status mlp_backward(struct run *r, size_t layer, const float *theta, size_t padded) {
    struct model *m = r->m;
    const struct model_layer *l = &m->layers[layer];
    const struct layer_acts *a = &r->layers[layer];
    const struct mat dx = mlp_through_post(r, l->post2, l->post2_offset, a->down_out, a->rstd_post2, padded);
    TRY(gate_backward(r, a, &l->down, dx, theta, padded));
    const struct mat h = mlp_normed_again(r, a->mid, a->rstd2, l->norm2, padded);
    TRY(linear_backward(r->dh, m->params.grad, gate_up_gradient(r, a), h, a->u_gate_up, &l->gate_up, theta, &r->scratch, padded, false));
    rmsnorm_backward(r->dx, model_grad_at(m, l->norm2_offset), r->dh, a->mid, l->norm2, a->rstd2, padded, m->config.hidden);
    return ST_OK;
}
