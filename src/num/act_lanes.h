/* act_lanes: 16 gates at a time, for act_tiles.c and act_avx512.c, which define sigmoid16 as precise as what they write. */
#ifndef RAPT_NUM_ACT_LANES_H
#define RAPT_NUM_ACT_LANES_H

#include <immintrin.h>

#include "num/act.h"

/* sigmoid(a g + b g^3), and the derivative of what is in the brackets. */
static inline __m512 gate(__m512 *inner, __m512 g, struct glu k) {
    const __m512 a = _mm512_set1_ps(k.a),
                 square = _mm512_mul_ps(_mm512_mul_ps(g, _mm512_set1_ps(k.b)), g); /* so that it is 0 where b is, however large g */
    *inner = _mm512_fmadd_ps(square, _mm512_set1_ps(3.0f), a);
    return sigmoid16(_mm512_mul_ps(g, _mm512_add_ps(a, square)));
}

/* What backward makes of 16 elements: act, and the gradients of gate and up. */
struct made {
    __m512 act, gate, up;
};

static inline struct made act_backward(__m512 d, __m512 g, __m512 u, struct glu kind) {
    __m512 inner;
    const __m512 p = gate(&inner, g, kind), value = _mm512_mul_ps(g, p);
    const __m512 slope = _mm512_fmadd_ps(_mm512_mul_ps(value, inner), _mm512_sub_ps(_mm512_set1_ps(1.0f), p), p);
    return (struct made){_mm512_mul_ps(value, u), _mm512_mul_ps(_mm512_mul_ps(d, u), slope), _mm512_mul_ps(d, value)};
}

#endif
