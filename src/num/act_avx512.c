/* The activation while the product's block is still in the first-level cache: floats (act_tiles.c has it for bf16). */
#include <immintrin.h>

#include "num/act.h"
#include "num/lanes16.h"
#include "num/tiles.h"

#define LANES 16

static inline __m512 sigmoid16(__m512 x) {
    const __m512 one = _mm512_set1_ps(1.0f);
    return _mm512_div_ps(one, _mm512_add_ps(one, exp16(_mm512_sub_ps(_mm512_setzero_ps(), x))));
}

#include "num/act_lanes.h"

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
static inline void backward_columns(float *act, float *gate_up, __m512 d, const struct glu_floats *s) {
    const struct made x = act_backward(d, _mm512_loadu_ps(gate_up), _mm512_loadu_ps(gate_up + s->f), s->kind);
    _mm512_storeu_ps(act, x.act);
    _mm512_storeu_ps(gate_up, x.gate);
    _mm512_storeu_ps(gate_up + s->f, x.up);
}

void glu_backward_floats(void *context, const float *block, size_t i, size_t rows, size_t j, size_t second) {
    const struct glu_floats *s = context;
    for (size_t r = 0; r < rows; r++, block += 2 * LANES) {
        float *act = s->act + (i + r) * s->f, *gate_up = s->gate_up + (i + r) * 2 * s->f;
        backward_columns(act + j, gate_up + j, _mm512_loadu_ps(block), s);
        if (second < s->f) backward_columns(act + second, gate_up + second, _mm512_loadu_ps(block + LANES), s);
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
