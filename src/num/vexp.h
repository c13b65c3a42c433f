/* vexp: e^x and tanh x for loops that must vectorise without -ffast-math. vexp: relative error below 2e-7 on [-87, 88]; smaller x give 0,
 * larger inf; NaN stays. vtanh: relative error below 2e-7. */
#ifndef RAPT_NUM_VEXP_H
#define RAPT_NUM_VEXP_H

#include <stdint.h>
#include <string.h>

/* x = n ln 2 + r, |r| <= ln(2)/2; a degree-6 polynomial for e^r (Cephes expf), then n into the exponent. */
static inline float vexp(float x) {
    float y = x > -87.3f ? x : -87.3f; /* NaN goes the way of small x, and comes back at the end */
    y = y > 88.3f ? 88.3f : y;
    const float shifted = y * 1.44269504088896341f + 12582912.0f; /* rounds to nearest by the magic number */
    const float n = shifted - 12582912.0f;
    const float r = __builtin_fmaf(n, 2.12194440e-4f, __builtin_fmaf(n, -0.693359375f, y));
    float p = 1.9875691500e-4f;
    p = __builtin_fmaf(p, r, 1.3981999507e-3f);
    p = __builtin_fmaf(p, r, 8.3334519073e-3f);
    p = __builtin_fmaf(p, r, 4.1665795894e-2f);
    p = __builtin_fmaf(p, r, 1.6666665459e-1f);
    p = __builtin_fmaf(p, r, 5.0000001201e-1f);
    p = __builtin_fmaf(p, r * r, r + 1.0f);
    union {
        float f;
        int32_t i;
    } scale = {.i = ((int32_t)n + 127) << 23};
    float result = p * scale.f;
    result = x < -87.3f ? 0.0f : result;
    result = x != x ? x : result;
    return x > 88.3f ? __builtin_inff() : result;
}

/* Near 0 an odd polynomial (Cephes tanhf), where 1 - 2 / (e^2x + 1) would cancel. */
static inline float vtanh(float x) {
    const float a = __builtin_fabsf(x), z = x * x;
    float p = -5.70498872745e-3f;
    p = __builtin_fmaf(p, z, 2.06390887954e-2f);
    p = __builtin_fmaf(p, z, -5.37397155531e-2f);
    p = __builtin_fmaf(p, z, 1.33314422036e-1f);
    p = __builtin_fmaf(p, z, -3.33332819422e-1f);
    const float near = __builtin_fmaf(p * z, x, x), far = __builtin_copysignf(1.0f - 2.0f / (vexp(a + a) + 1.0f), x);
    return a < 0.625f ? near : far;
}

#endif
