/* half: bf16 and back, for loops that must vectorise. Nearest even; a NaN stays one. */
#ifndef RAPT_NUM_HALF_H
#define RAPT_NUM_HALF_H

#include <stdint.h>

static inline uint16_t half_of(float x) {
    const union {
        float f;
        uint32_t u;
    } v = {.f = x};
    const uint32_t rounded = (v.u + 0x7fffu + ((v.u >> 16) & 1)) >> 16, nan = (v.u >> 16) | 64;
    return (uint16_t)((v.u & 0x7fffffffu) > 0x7f800000u ? nan : rounded);
}

static inline float float_of(uint16_t h) {
    const union {
        uint32_t u;
        float f;
    } v = {.u = (uint32_t)h << 16};
    return v.f;
}

#endif
