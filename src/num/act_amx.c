/* The activation while the product's block is still in the first-level cache. */
#include <immintrin.h>

#include "num/act.h"
#include "num/vexp.h"

#define LANES 16

static void store_half(uint16_t *out, const float *x) {
    _mm256_storeu_si256((__m256i *)(void *)out, (__m256i)_mm512_cvtneps_pbh(_mm512_loadu_ps(x)));
}

static void load_half(float *out, const uint16_t *x) {
    const __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)x));
    _mm512_storeu_ps(out, _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16)));
}

void swiglu_forward_blocks(void *context, const float *block, size_t i, size_t rows, size_t j, size_t second) {
    const struct swiglu_blocks *s = context;
    for (size_t r = 0; r < rows; r++) {
        const float *g = block + r * 32, *u = g + LANES;
        _Alignas(64) float act[LANES];
#pragma omp simd
        for (int l = 0; l < LANES; l++) act[l] = g[l] / (1.0f + vexp(-g[l])) * u[l];
        store_half(s->act + (i + r) * s->f + j, act);
        if (!s->kept) continue;
        store_half(s->kept + (i + r) * 2 * s->f + j, g);
        store_half(s->kept + (i + r) * 2 * s->f + second, u);
    }
}

static void backward_lanes(const struct swiglu_blocks *s, const float *d, size_t row, size_t j) {
    _Alignas(64) float g[LANES], u[LANES], act[LANES], dg[LANES], du[LANES];
    const uint16_t *kept = s->kept + row * 2 * s->f;
    load_half(g, kept + j);
    load_half(u, kept + s->f + j);
#pragma omp simd
    for (int l = 0; l < LANES; l++) {
        const float sigmoid = 1.0f / (1.0f + vexp(-g[l])), silu = g[l] * sigmoid;
        act[l] = silu * u[l];
        du[l] = d[l] * silu;
        dg[l] = d[l] * u[l] * (sigmoid + silu * (1.0f - sigmoid));
    }
    store_half(s->act + row * s->f + j, act);
    store_half(s->dgate_up + row * 2 * s->f + j, dg);
    store_half(s->dgate_up + row * 2 * s->f + s->f + j, du);
}

void swiglu_backward_blocks(void *context, const float *block, size_t i, size_t rows, size_t j, size_t second) {
    const struct swiglu_blocks *s = context;
    for (size_t r = 0; r < rows; r++) {
        backward_lanes(s, block + r * 32, i + r, j);
        if (second < s->f) backward_lanes(s, block + r * 32 + LANES, i + r, second);
    }
}
