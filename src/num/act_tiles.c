/* The activation while the product's block is still in the first-level cache. */
#include <immintrin.h>

#include "num/act.h"
#include "num/tiles.h"
#include "num/lanes16.h"

#define LANES 16

/* 1 / (1 + e^-x), to 2e-7 of it, which is far below what bf16 keeps: 2^t with a polynomial for the fraction of t (minimax on [0,
 * 1), 7.5e-8), and one step of Newton's from the 14 bits of the reciprocal instead of a division. t is bounded so that its power is finite:
 * that step would make NaN of infinity. NaN stays (min returns its second operand). */
static inline __m512 sigmoid16(__m512 x) {
    const __m512 t = _mm512_min_ps(_mm512_set1_ps(126.0f), _mm512_mul_ps(x, _mm512_set1_ps(-1.44269504088896341f))),
                 f = _mm512_reduce_ps(t, _MM_FROUND_TO_NEG_INF);
    __m512 p = _mm512_set1_ps(1.8775766948e-3f);
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(8.9893396944e-3f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(5.5826317519e-2f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(2.4015361071e-1f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(6.9315308332e-1f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(9.9999994040e-1f));
    const __m512 y = _mm512_add_ps(_mm512_scalef_ps(p, t), _mm512_set1_ps(1.0f)), r = _mm512_rcp14_ps(y);
    return _mm512_mul_ps(r, _mm512_fnmadd_ps(y, r, _mm512_set1_ps(2.0f)));
}

#include "num/act_lanes.h"

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

void glu_backward_blocks(void *context, const float *block, size_t i, size_t rows, size_t j, size_t second) {
    const struct glu_blocks *s = context;
    for (size_t r = 0; r < rows; r++, block += 2 * LANES) {
        const uint16_t *g = s->kept + (i + r) * 2 * s->f + j, *u = g + s->f;
        uint16_t *act = s->act + (i + r) * s->f + j, *out = s->dgate_up + (i + r) * 2 * s->f + j;
        const struct made x = act_backward(_mm512_loadu_ps(block), bf16_load(g), bf16_load(u), s->kind);
        if (second >= s->f) { /* half a block */
            bf16_store(act, x.act);
            bf16_store(out, x.gate);
            bf16_store(out + s->f, x.up);
            continue;
        }
        const struct made y = act_backward(_mm512_loadu_ps(block + LANES), bf16_load(g + LANES), bf16_load(u + LANES), s->kind);
        _mm512_storeu_si512(act, bf16_two(x.act, y.act));
        _mm512_storeu_si512(out, bf16_two(x.gate, y.gate));
        _mm512_storeu_si512(out + s->f, bf16_two(x.up, y.up));
    }
}

/* A block has half a line of each row: the one before brought the other half's too. */
void glu_forward_look(void *context, struct tiles_beside *beside, size_t i, size_t j, size_t second) {
    const struct glu_blocks *s = context;
    if (j % 32) return;
    tiles_look_at(beside, s->act + i * s->f + j, s->f * sizeof *s->act, true);
    if (!s->kept) return;
    tiles_look_at(beside, s->kept + i * 2 * s->f + j, 2 * s->f * sizeof *s->kept, true);
    tiles_look_at(beside, s->kept + i * 2 * s->f + second, 2 * s->f * sizeof *s->kept, true);
}

void glu_backward_look(void *context, struct tiles_beside *beside, size_t i, size_t j, size_t second) {
    const struct glu_blocks *s = context;
    const size_t wide = i * 2 * s->f + j, stride = 2 * s->f * sizeof *s->kept;
    (void)second;
    tiles_look_at(beside, s->act + i * s->f + j, s->f * sizeof *s->act, true);
    tiles_look_at(beside, s->dgate_up + wide, stride, true);
    tiles_look_at(beside, s->dgate_up + wide + s->f, stride, true);
    tiles_look_at(beside, s->kept + wide, stride, false);
    tiles_look_at(beside, s->kept + wide + s->f, stride, false);
}
