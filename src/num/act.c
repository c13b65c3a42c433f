#include "num/act.h"

#include "num/dtype.h"
#include "num/vexp.h"

void swiglu_forward(float *out, const float *gate_up, size_t t, size_t f) {
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < t; i++) {
        const float *g = gate_up + i * 2 * f, *u = g + f;
        float *o = out + i * f;
#pragma omp simd
        for (size_t j = 0; j < f; j++) o[j] = g[j] / (1.0f + vexp(-g[j])) * u[j];
    }
}

static inline void gradient(float *dg, float *du, float d, float g, float u) {
    const float s = 1.0f / (1.0f + vexp(-g)), silu = g * s;
    *du = d * silu;
    *dg = d * u * (s + silu * (1.0f - s));
}

void swiglu_backward(float *dgate_up, const float *dout, const float *gate_up, size_t t, size_t f) {
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < t; i++) {
        const float *g = gate_up + i * 2 * f, *u = g + f, *d = dout + i * f;
        float *dg = dgate_up + i * 2 * f, *du = dg + f;
#pragma omp simd
        for (size_t j = 0; j < f; j++) gradient(&dg[j], &du[j], d[j], g[j], u[j]);
    }
}

void swiglu_forward_half(uint16_t *out, uint16_t *kept, const float *gate_up, size_t t, size_t f) {
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < t; i++) {
        const float *g = gate_up + i * 2 * f, *u = g + f;
        uint16_t *o = out + i * f;
#pragma omp simd
        for (size_t j = 0; j < f; j++) o[j] = dtype_float_to_bf16(g[j] / (1.0f + vexp(-g[j])) * u[j]);
        for (size_t j = 0; kept && j < 2 * f; j++) kept[i * 2 * f + j] = dtype_float_to_bf16(g[j]);
    }
}

void swiglu_expand(float *gate_up, const uint16_t *kept, size_t t, size_t f) {
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < t; i++) dtype_table[DTYPE_BF16].expand(gate_up + i * 2 * f, kept + i * 2 * f, 2 * f);
}

void swiglu_backward_half(uint16_t *dgate_up, const float *dout, const float *gate_up, size_t t, size_t f) {
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < t; i++) {
        const float *g = gate_up + i * 2 * f, *u = g + f, *d = dout + i * f;
        uint16_t *dg = dgate_up + i * 2 * f, *du = dg + f;
#pragma omp simd
        for (size_t j = 0; j < f; j++) {
            float gate, up;
            gradient(&gate, &up, d[j], g[j], u[j]);
            dg[j] = dtype_float_to_bf16(gate);
            du[j] = dtype_float_to_bf16(up);
        }
    }
}
