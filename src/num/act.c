#include "num/act.h"

#include "num/dtype.h"
#include "num/vexp.h"

const char *const glu_names[GLU_KINDS] = {[GLU_SILU] = "silu", [GLU_GELU_TANH] = "gelu_pytorch_tanh"};

struct glu glu_of(enum glu_kind kind) {
    const float twice = 1.5957691216057308f; /* 2 sqrt(2 / pi) */
    return kind == GLU_SILU ? (struct glu){1, 0} : (struct glu){twice, twice * 0.044715f};
}

static inline float gated(float g, struct glu k) { return g / (1.0f + vexp(-g * (k.a + k.b * g * g))); }

void glu_forward(float *out, const float *gate_up, struct glu k, size_t t, size_t f) {
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < t; i++) {
        const float *g = gate_up + i * 2 * f, *u = g + f;
        float *o = out + i * f;
#pragma omp simd
        for (size_t j = 0; j < f; j++) o[j] = gated(g[j], k) * u[j];
    }
}

static inline void gradient(float *dg, float *du, float d, float g, float u, struct glu k) {
    const float square = k.b * g * g, s = 1.0f / (1.0f + vexp(-g * (k.a + square))), value = g * s;
    *du = d * value;
    *dg = d * u * (s + value * (1.0f - s) * (k.a + 3.0f * square));
}

void glu_backward(float *dgate_up, const float *dout, const float *gate_up, struct glu k, size_t t, size_t f) {
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < t; i++) {
        const float *g = gate_up + i * 2 * f, *u = g + f, *d = dout + i * f;
        float *dg = dgate_up + i * 2 * f, *du = dg + f;
#pragma omp simd
        for (size_t j = 0; j < f; j++) gradient(&dg[j], &du[j], d[j], g[j], u[j], k);
    }
}

void glu_forward_half(uint16_t *out, uint16_t *kept, const float *gate_up, struct glu k, size_t t, size_t f) {
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < t; i++) {
        const float *g = gate_up + i * 2 * f, *u = g + f;
        uint16_t *o = out + i * f;
#pragma omp simd
        for (size_t j = 0; j < f; j++) o[j] = dtype_float_to_bf16(gated(g[j], k) * u[j]);
        for (size_t j = 0; kept && j < 2 * f; j++) kept[i * 2 * f + j] = dtype_float_to_bf16(g[j]);
    }
}

void glu_expand(float *gate_up, const uint16_t *kept, size_t t, size_t f) {
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < t; i++) dtype_table[DTYPE_BF16].expand(gate_up + i * 2 * f, kept + i * 2 * f, 2 * f);
}

void glu_backward_half(uint16_t *dgate_up, const float *dout, const float *gate_up, struct glu k, size_t t, size_t f) {
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < t; i++) {
        const float *g = gate_up + i * 2 * f, *u = g + f, *d = dout + i * f;
        uint16_t *dg = dgate_up + i * 2 * f, *du = dg + f;
#pragma omp simd
        for (size_t j = 0; j < f; j++) {
            float gate, up;
            gradient(&gate, &up, d[j], g[j], u[j], k);
            dg[j] = dtype_float_to_bf16(gate);
            du[j] = dtype_float_to_bf16(up);
        }
    }
}
