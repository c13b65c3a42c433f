#include "num/act.h"

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

void swiglu_backward(float *dgate_up, const float *dout, const float *gate_up, size_t t, size_t f) {
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < t; i++) {
        const float *g = gate_up + i * 2 * f, *u = g + f, *d = dout + i * f;
        float *dg = dgate_up + i * 2 * f, *du = dg + f;
#pragma omp simd
        for (size_t j = 0; j < f; j++) {
            const float s = 1.0f / (1.0f + vexp(-g[j])), silu = g[j] * s;
            du[j] = d[j] * silu;
            dg[j] = d[j] * u[j] * (s + silu * (1.0f - s));
        }
    }
}
