/* vexp: e^x for loops that must vectorise without -ffast-math. Relative error below 2e-7 on [-87, 88]; smaller x give 0, larger inf; NaN
 * stays. */
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

#endif
