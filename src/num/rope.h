/* rope: rotary positions (Su et al. 2021) in the half-split form of transformers' rotate_half: of the first R elements of a head, i turns
 * with i + R/2; the elements behind them stay. */
#ifndef RAPT_NUM_ROPE_H
#define RAPT_NUM_ROPE_H

#include <stddef.h>
#include <stdint.h>

/* cos_sin [positions, R]: R/2 cosines, then R/2 sines of position * frequency[R/2], times `factor` (1 but for long rope). Angles are
 * rounded to fp32 where transformers rounds them. */
void rope_table(float *cos_sin, const float *frequency, float factor, size_t positions, size_t rotary);
/* Turns the first `heads` heads of each row of qkv[T, stride] in place by its depth; inverse turns gradients back. */
void rope_apply(float *qkv, const float *cos_sin, const int32_t *depth, size_t t, size_t heads, size_t head_dim, size_t rotary,
                size_t stride, _Bool inverse);

#endif
