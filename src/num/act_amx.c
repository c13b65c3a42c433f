/* The activation while the product's block is still in the first-level cache. */
#include <immintrin.h>

#include "num/act.h"
#include "num/lanes16.h"

#define LANES 16

/* sigmoid(a g + b g^3), and the derivative of what is in the brackets. */
static __m512 gate(__m512 *inner, __m512 g, struct glu k) {
    const __m512 one = _mm512_set1_ps(1.0f), a = _mm512_set1_ps(k.a), square = _mm512_mul_ps(_mm512_mul_ps(g, g), _mm512_set1_ps(k.b));
    const __m512 x = _mm512_mul_ps(g, _mm512_add_ps(a, square));
    *inner = _mm512_fmadd_ps(square, _mm512_set1_ps(3.0f), a);
    return _mm512_div_ps(one, _mm512_add_ps(one, exp16(_mm512_sub_ps(_mm512_setzero_ps(), x))));
}

void glu_forward_blocks(void *context, const float *block, size_t i, size_t rows, size_t j, size_t second) {
    const struct glu_blocks *s = context;
    for (size_t r = 0; r < rows; r++) {
        const __m512 g = _mm512_loadu_ps(block + r * 32), u = _mm512_loadu_ps(block + r * 32 + LANES);
        __m512 inner;
        bf16_store(s->act + (i + r) * s->f + j, _mm512_mul_ps(_mm512_mul_ps(g, gate(&inner, g, s->kind)), u));
        if (!s->kept) continue;
        bf16_store(s->kept + (i + r) * 2 * s->f + j, g);
        bf16_store(s->kept + (i + r) * 2 * s->f + second, u);
    }
}

static void backward_lanes(const struct glu_blocks *s, const float *dout, size_t row, size_t j) {
    const uint16_t *kept = s->kept + row * 2 * s->f;
    __m512 inner;
    const __m512 g = bf16_load(kept + j), u = bf16_load(kept + s->f + j), d = _mm512_loadu_ps(dout), p = gate(&inner, g, s->kind),
                 value = _mm512_mul_ps(g, p);
    const __m512 slope = _mm512_fmadd_ps(_mm512_mul_ps(value, inner), _mm512_sub_ps(_mm512_set1_ps(1.0f), p), p);
    bf16_store(s->act + row * s->f + j, _mm512_mul_ps(value, u));
    bf16_store(s->dgate_up + row * 2 * s->f + j, _mm512_mul_ps(_mm512_mul_ps(d, u), slope));
    bf16_store(s->dgate_up + row * 2 * s->f + s->f + j, _mm512_mul_ps(d, value));
}

void glu_backward_blocks(void *context, const float *block, size_t i, size_t rows, size_t j, size_t second) {
    const struct glu_blocks *s = context;
    for (size_t r = 0; r < rows; r++) {
        backward_lanes(s, block + r * 32, i + r, j);
        if (second < s->f) backward_lanes(s, block + r * 32 + LANES, i + r, second);
    }
}
