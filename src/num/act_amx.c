/* The activation while the product's block is still in the first-level cache. */
#include <immintrin.h>

#include "num/act.h"
#include "num/lanes16.h"

#define LANES 16

static __m512 sigmoid(__m512 x) {
    const __m512 one = _mm512_set1_ps(1.0f);
    return _mm512_div_ps(one, _mm512_add_ps(one, exp16(_mm512_sub_ps(_mm512_setzero_ps(), x))));
}

void swiglu_forward_blocks(void *context, const float *block, size_t i, size_t rows, size_t j, size_t second) {
    const struct swiglu_blocks *s = context;
    for (size_t r = 0; r < rows; r++) {
        const __m512 g = _mm512_loadu_ps(block + r * 32), u = _mm512_loadu_ps(block + r * 32 + LANES);
        bf16_store(s->act + (i + r) * s->f + j, _mm512_mul_ps(_mm512_mul_ps(g, sigmoid(g)), u));
        if (!s->kept) continue;
        bf16_store(s->kept + (i + r) * 2 * s->f + j, g);
        bf16_store(s->kept + (i + r) * 2 * s->f + second, u);
    }
}

static void backward_lanes(const struct swiglu_blocks *s, const float *dout, size_t row, size_t j) {
    const uint16_t *kept = s->kept + row * 2 * s->f;
    const __m512 g = bf16_load(kept + j), u = bf16_load(kept + s->f + j), d = _mm512_loadu_ps(dout), p = sigmoid(g),
                 silu = _mm512_mul_ps(g, p);
    const __m512 slope = _mm512_fmadd_ps(silu, _mm512_sub_ps(_mm512_set1_ps(1.0f), p), p);
    bf16_store(s->act + row * s->f + j, _mm512_mul_ps(silu, u));
    bf16_store(s->dgate_up + row * 2 * s->f + j, _mm512_mul_ps(_mm512_mul_ps(d, u), slope));
    bf16_store(s->dgate_up + row * 2 * s->f + s->f + j, _mm512_mul_ps(d, silu));
}

void swiglu_backward_blocks(void *context, const float *block, size_t i, size_t rows, size_t j, size_t second) {
    const struct swiglu_blocks *s = context;
    for (size_t r = 0; r < rows; r++) {
        backward_lanes(s, block + r * 32, i + r, j);
        if (second < s->f) backward_lanes(s, block + r * 32 + LANES, i + r, second);
    }
}
