#include "num/rope.h"

#include <math.h>

void rope_table(float *cos_sin, const float *frequency, float factor, size_t positions, size_t rotary) {
    const size_t half = rotary / 2;
    for (size_t i = 0; i < half; i++) {
        for (size_t p = 0; p < positions; p++) {
            const double angle = (double)((float)p * frequency[i]);
            cos_sin[p * rotary + i] = (float)cos(angle) * factor;
            cos_sin[p * rotary + half + i] = (float)sin(angle) * factor;
        }
    }
}

void rope_apply(float *qkv, const float *cos_sin, const int32_t *depth, size_t t, size_t heads, size_t head_dim, size_t rotary,
                size_t stride, _Bool inverse) {
    const size_t half = rotary / 2;
    const float sign = inverse ? -1.0f : 1.0f;
#pragma omp parallel for schedule(dynamic, 64)
    for (size_t r = 0; r < t; r++) {
        const float *c = cos_sin + (size_t)depth[r] * rotary, *s = c + half;
        for (size_t h = 0; h < heads; h++) {
            float *x = qkv + r * stride + h * head_dim, *y = x + half;
#pragma omp simd
            for (size_t i = 0; i < half; i++) {
                const float a = x[i], b = y[i], si = sign * s[i];
                x[i] = a * c[i] - b * si;
                y[i] = b * c[i] + a * si;
            }
        }
    }
}
