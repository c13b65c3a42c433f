/* The activation while the product's block is still in the first-level cache: floats (act_tiles.c has it for bf16). */
#include <immintrin.h>

#include "num/act.h"
#include "num/lanes16.h"
#include "num/tiles.h"

#define LANES 16

/* sigmoid(a g + b g^3), and the derivative of what is in the brackets. */
static inline __m512 gate(__m512 *inner, __m512 g, struct glu k) {
    const __m512 a = _mm512_set1_ps(k.a), one = _mm512_set1_ps(1.0f), square = _mm512_mul_ps(_mm512_mul_ps(g, _mm512_set1_ps(k.b)), g);
    *inner = _mm512_fmadd_ps(square, _mm512_set1_ps(3.0f), a);
    const __m512 x = _mm512_mul_ps(g, _mm512_add_ps(a, square));
    return _mm512_div_ps(one, _mm512_add_ps(one, exp16(_mm512_sub_ps(_mm512_setzero_ps(), x))));
}

void glu_forward_floats(void *context, const float *block, size_t i, size_t rows, size_t j, size_t second) {
    const struct glu_floats *s = context;
    for (size_t r = 0; r < rows; r++) {
        const __m512 g = _mm512_loadu_ps(block + r * 32), u = _mm512_loadu_ps(block + r * 32 + LANES);
        __m512 inner;
        _mm512_storeu_ps(s->act + (i + r) * s->f + j, _mm512_mul_ps(_mm512_mul_ps(g, gate(&inner, g, s->kind)), u));
        if (!s->gate_up) continue;
        _mm512_storeu_ps(s->gate_up + (i + r) * 2 * s->f + j, g);
        _mm512_storeu_ps(s->gate_up + (i + r) * 2 * s->f + second, u);
    }
}

/* 16 columns of a row. */
static inline void backward_lanes(float *act, float *gate_up, __m512 d, const struct glu_floats *s) {
    const __m512 g = _mm512_loadu_ps(gate_up), u = _mm512_loadu_ps(gate_up + s->f);
    __m512 inner;
    const __m512 p = gate(&inner, g, s->kind), value = _mm512_mul_ps(g, p);
    const __m512 slope = _mm512_fmadd_ps(_mm512_mul_ps(value, inner), _mm512_sub_ps(_mm512_set1_ps(1.0f), p), p);
    _mm512_storeu_ps(act, _mm512_mul_ps(value, u));
    _mm512_storeu_ps(gate_up, _mm512_mul_ps(_mm512_mul_ps(d, u), slope));
    _mm512_storeu_ps(gate_up + s->f, _mm512_mul_ps(d, value));
}

void glu_backward_floats(void *context, const float *block, size_t i, size_t rows, size_t j, size_t second) {
    const struct glu_floats *s = context;
    for (size_t r = 0; r < rows; r++, block += 2 * LANES) {
        float *act = s->act + (i + r) * s->f, *gate_up = s->gate_up + (i + r) * 2 * s->f;
        backward_lanes(act + j, gate_up + j, _mm512_loadu_ps(block), s);
        if (second < s->f) backward_lanes(act + second, gate_up + second, _mm512_loadu_ps(block + LANES), s);
    }
}

void glu_forward_floats_look(void *context, struct tiles_beside *beside, size_t i, size_t j, size_t second) {
    const struct glu_floats *s = context;
    const size_t wide = 2 * s->f * sizeof(float);
    tiles_look_at(beside, s->act + i * s->f + j, s->f * sizeof(float), true);
    if (!s->gate_up) return;
    tiles_look_at(beside, s->gate_up + i * 2 * s->f + j, wide, true);
    tiles_look_at(beside, s->gate_up + i * 2 * s->f + second, wide, true);
}

void glu_backward_floats_look(void *context, struct tiles_beside *beside, size_t i, size_t j, size_t second) {
    const struct glu_floats *s = context;
    for (size_t at = j; at < s->f && at <= second; at += LANES) {
        tiles_look_at(beside, s->act + i * s->f + at, s->f * sizeof(float), true);
        tiles_look_at(beside, s->gate_up + i * 2 * s->f + at, 2 * s->f * sizeof(float), true);
        tiles_look_at(beside, s->gate_up + i * 2 * s->f + s->f + at, 2 * s->f * sizeof(float), true);
    }
}
