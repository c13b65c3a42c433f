#include "num/rope.h"

#include <math.h>

void rope_table(float *cos_sin, const float *frequency, size_t positions, size_t head_dim) {
    const size_t half = head_dim / 2;
    for (size_t i = 0; i < half; i++) {
        for (size_t p = 0; p < positions; p++) {
            const double angle = (double)((float)p * frequency[i]);
            cos_sin[p * head_dim + i] = (float)cos(angle);
            cos_sin[p * head_dim + half + i] = (float)sin(angle);
        }
    }
}

void rope_apply(float *qkv, const float *cos_sin, const int32_t *depth, size_t t, size_t heads, size_t head_dim, size_t stride, _Bool inverse) {
    const size_t half = head_dim / 2;
    const float sign = inverse ? -1.0f : 1.0f;
#pragma omp parallel for schedule(static)
    for (size_t r = 0; r < t; r++) {
        const float *c = cos_sin + (size_t)depth[r] * head_dim, *s = c + half;
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
