#include "num/quant_k.h"

#include "num/dtype.h"
#include "num/dtype_k.h"

#include <immintrin.h>
#include <math.h>
#include <string.h>

#define GROUPS_MAX 16
#define REFITS_MAX 2
#define LARGEST 1e9f /* above what any K type can hold (65504 * 128 * 32), far below where sums of weighted squares overflow */

/* x = d * scale * q - dmin * min, 0 <= q <= top, 0 <= scale, min <= top_scale, in groups of n */
struct affine_kind {
    int n, top, top_scale;
};
struct affine_block {
    float d, dmin; /* halves */
    uint8_t scale[GROUPS_MAX], min[GROUPS_MAX], q[K_BLOCK];
};

/* x = d * scale * q, -half <= q < half, -half_scale <= scale < half_scale, in groups of 16 */
struct even_kind {
    int half, half_scale;
};
struct even_block {
    float d; /* half */
    int scale[GROUPS_MAX];
    uint8_t q[K_BLOCK]; /* half added */
};

static float sum8(__m256 v) {
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

/* The nearest of the levels low..high to each x * inverse. */
static __m256 nearest(__m256 x, float inverse, float low, float high) {
    const __m256 level = _mm256_round_ps(_mm256_mul_ps(x, _mm256_set1_ps(inverse)), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    return _mm256_min_ps(_mm256_max_ps(level, _mm256_set1_ps(low)), _mm256_set1_ps(high));
}
static float inverse_of(float d) { return d != 0.0f ? 1.0f / d : 0.0f; }

/* w [n]: rms + |x|; squared: mean square + x^2 */
static void weigh(float *w, const float *x, int n, bool squared) {
    __m256 squares = _mm256_setzero_ps();
    for (int i = 0; i < n; i += 8) squares = _mm256_add_ps(squares, _mm256_mul_ps(_mm256_loadu_ps(x + i), _mm256_loadu_ps(x + i)));
    const float mean = sum8(squares) / (float)n, rms = sqrtf(mean);
    for (int i = 0; i < n; i++) w[i] = squared ? mean + x[i] * x[i] : rms + fabsf(x[i]);
}

/* The weighted squared error of d * q + offset, q the nearest levels low..high; they go to q [n] + shift unless q is NULL. */
static float take_levels(uint8_t *q, const float *x, const float *w, int n, float d, float offset, float low, float high, int shift) {
    const __m256 step = _mm256_set1_ps(d), base = _mm256_set1_ps(offset);
    const float inverse = inverse_of(d);
    __m256 error = _mm256_setzero_ps();
    for (int i = 0; i < n; i += 8) {
        const __m256 over = _mm256_sub_ps(_mm256_loadu_ps(x + i), base), level = nearest(over, inverse, low, high);
        const __m256 rest = _mm256_sub_ps(_mm256_mul_ps(step, level), over);
        error = _mm256_add_ps(error, _mm256_mul_ps(_mm256_loadu_ps(w + i), _mm256_mul_ps(rest, rest)));
        if (!q) continue;
        int32_t whole[8];
        _mm256_storeu_si256((__m256i *)(void *)whole, _mm256_cvtps_epi32(level));
        for (int j = 0; j < 8; j++) q[i + j] = (uint8_t)(whole[j] + shift);
    }
    return sum8(error);
}

/* Candidate i of CANDIDATES shifts the number of levels by this: 0, 0.05, -0.05 ... -1. Of equally good ones the first is taken, since it
 * uses the whole range of levels, and with it the smallest scale. */
#define CANDIDATES 41
#define BETTER (1 - 1e-5f)
static float candidate(int i) { return 0.05f * (float)(i % 2 ? (i + 1) / 2 : -i / 2); }

/* Step 1 of an affine group: *scale and *min >= 0 of scale * q - min. */
static void fit_affine_group(float *scale, float *min, const float *x, const float *w, const struct affine_kind *k) {
    const float top = (float)k->top;
    float low = 0.0f, high = x[0];
    double sum_w = 0, sum_x = 0;
    for (int i = 0; i < k->n; i++) {
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
        sum_w += (double)w[i];
        sum_x += (double)w[i] * (double)x[i];
    }
    *scale = 0.0f;
    *min = -low;
    if (!(high > low)) return;
    float best = take_levels(NULL, x, w, k->n, (high - low) / top, low, 0.0f, top, 0);
    *scale = (high - low) / top;
    for (int c = 0; c < CANDIDATES; c++) { /* from the best minimum so far, so that the two improve by turns */
        const float inverse = (top + candidate(c)) / (high - low);
        __m256 l1 = _mm256_setzero_ps(), l2 = l1, lx = l1;
        for (int i = 0; i < k->n; i += 8) {
            const __m256 v = _mm256_loadu_ps(x + i), q = nearest(_mm256_add_ps(v, _mm256_set1_ps(*min)), inverse, 0.0f, top);
            const __m256 wq = _mm256_mul_ps(_mm256_loadu_ps(w + i), q);
            l1 = _mm256_add_ps(l1, wq);
            l2 = _mm256_add_ps(l2, _mm256_mul_ps(wq, q));
            lx = _mm256_add_ps(lx, _mm256_mul_ps(wq, v));
        }
        const double s1 = (double)sum8(l1), s2 = (double)sum8(l2), sx = (double)sum8(lx), det = sum_w * s2 - s1 * s1;
        if (!(det > 0)) continue;
        double step = (sum_w * sx - sum_x * s1) / det, offset = (s2 * sum_x - s1 * sx) / det;
        if (offset > 0) {
            offset = 0;
            step = sx / s2;
        }
        const float error = take_levels(NULL, x, w, k->n, (float)step, (float)offset, 0.0f, top, 0);
        if (error < best * BETTER) {
            best = error;
            *scale = (float)step;
            *min = (float)-offset;
        }
    }
}

/* f as it reads back from half precision; not finite when it does not fit. */
static float as_half(float f) { return dtype_half_to_float(dtype_float_to_half(f)); }

bool quant_put_half(uint8_t *at, float f) {
    const uint16_t h = dtype_float_to_half(f);
    memcpy(at, &h, sizeof h);
    return (h & 0x7c00) != 0x7c00;
}

static int clamp(int v, int low, int high) { return v < low ? low : v > high ? high : v; }

static bool block_fits(const float *x) {
    bool fits = true;
    for (int i = 0; i < K_BLOCK; i++) fits &= fabsf(x[i]) < LARGEST; /* false for NaN */
    return fits;
}

/* Step 3 of an affine group g: the neighbours of its ideal scale and minimum. Returns the error. */
static float choose_affine(struct affine_block *b, int g, const float *x, const float *w, float scale, float min,
                           const struct affine_kind *k) {
    const int s0 = clamp((int)lrintf(scale * inverse_of(b->d)), 0, k->top_scale),
              m0 = clamp((int)lrintf(min * inverse_of(b->dmin)), 0, k->top_scale);
    float best = INFINITY;
    for (int s = s0 > 0 ? s0 - 1 : 0; s <= s0 + 1 && s <= k->top_scale; s++) {
        for (int m = m0 > 0 ? m0 - 1 : 0; m <= m0 + 1 && m <= k->top_scale; m++) {
            const float error = take_levels(NULL, x, w, k->n, b->d * (float)s, -(b->dmin * (float)m), 0.0f, (float)k->top, 0);
            if (error >= best) continue;
            best = error;
            b->scale[g] = (uint8_t)s;
            b->min[g] = (uint8_t)m;
        }
    }
    return take_levels(b->q + g * k->n, x, w, k->n, b->d * (float)b->scale[g], -(b->dmin * (float)b->min[g]), 0.0f, (float)k->top, 0);
}

/* Step 4: the factors that fit the integers of `b` best, the other way round. False: no better ones exist. */
static bool refit_affine(struct affine_block *b, const float *x, const float *w, const struct affine_kind *k) {
    double aa = 0, ab = 0, bb = 0, ax = 0, bx = 0; /* x ~ d a - dmin b, a = scale q, b = min */
    for (int i = 0; i < K_BLOCK; i++) {
        const double p = (double)(b->scale[i / k->n] * b->q[i]), m = (double)b->min[i / k->n], wi = (double)w[i], v = (double)x[i];
        aa += wi * p * p;
        ab += wi * p * m;
        bb += wi * m * m;
        ax += wi * p * v;
        bx += wi * m * v;
    }
    const double det = aa * bb - ab * ab;
    double d = (double)b->d, dmin = (double)b->dmin;
    if (det > 1e-9 * aa * bb) {
        d = (ax * bb - ab * bx) / det;
        dmin = (ab * ax - aa * bx) / det;
    } else if (aa > 0 && bb <= 0) {
        d = ax / aa;
    }
    if (!(d > 0) || !(dmin >= 0)) return false;
    const float old_d = b->d, old_dmin = b->dmin;
    b->d = as_half((float)d);
    b->dmin = as_half((float)dmin);
    return isfinite(b->d) && isfinite(b->dmin) && (b->d != old_d || b->dmin != old_dmin);
}

static bool fit_affine(struct affine_block *b, const float *x, const struct affine_kind *k) {
    float w[K_BLOCK], scale[GROUPS_MAX], min[GROUPS_MAX], largest_scale = 0.0f, largest_min = 0.0f;
    if (!block_fits(x)) return false;
    for (int g = 0; g < K_BLOCK / k->n; g++) {
        weigh(w + g * k->n, x + g * k->n, k->n, false);
        fit_affine_group(&scale[g], &min[g], x + g * k->n, w + g * k->n, k);
        largest_scale = scale[g] > largest_scale ? scale[g] : largest_scale;
        largest_min = min[g] > largest_min ? min[g] : largest_min;
    }
    b->d = as_half(largest_scale / (float)k->top_scale);
    b->dmin = as_half(largest_min / (float)k->top_scale);
    if (!isfinite(b->d) || !isfinite(b->dmin)) return false;
    float error = 0.0f;
    for (int g = 0; g < K_BLOCK / k->n; g++) error += choose_affine(b, g, x + g * k->n, w + g * k->n, scale[g], min[g], k);
    for (int round = 0; round < REFITS_MAX; round++) {
        struct affine_block other = *b;
        float now = 0.0f;
        if (!refit_affine(&other, x, w, k)) break;
        for (int g = 0; g < K_BLOCK / k->n; g++) now += choose_affine(&other, g, x + g * k->n, w + g * k->n, scale[g], min[g], k);
        if (!(now < error)) break;
        error = now;
        *b = other;
    }
    return true;
}

/* Step 1 of a group of 16 of an even type: the best scale, of either sign. The lowest level has no opposite, so the two signs differ. */
static float fit_even_group(const float *x, const float *w, float half) {
    float extreme = 0.0f, scale = 0.0f;
    double best = 0;
    for (int i = 0; i < 16; i++) extreme = fabsf(x[i]) > fabsf(extreme) ? x[i] : extreme;
    if (extreme == 0.0f) return 0.0f;
    for (int c = 0; c < 2 * CANDIDATES; c++) { /* the lowest level on the extreme, then the highest */
        const float inverse = c < CANDIDATES ? -(half + candidate(c)) / extreme : (half - 1.0f + candidate(c - CANDIDATES)) / extreme;
        __m256 ll = _mm256_setzero_ps(), lx = ll;
        for (int j = 0; j < 16; j += 8) {
            const __m256 v = _mm256_loadu_ps(x + j), q = nearest(v, inverse, -half, half - 1.0f),
                         wq = _mm256_mul_ps(_mm256_loadu_ps(w + j), q);
            ll = _mm256_add_ps(ll, _mm256_mul_ps(wq, q));
            lx = _mm256_add_ps(lx, _mm256_mul_ps(wq, v));
        }
        const double l2 = (double)sum8(ll), sx = (double)sum8(lx), gain = sx * sx / l2; /* how much of sum w x^2 the best scale explains */
        if (l2 > 0 && gain * (double)BETTER > best) {
            best = gain;
            scale = (float)(sx / l2);
        }
    }
    return scale;
}

/* Step 3 of an even group g. Returns the error. */
static float choose_even(struct even_block *b, int g, const float *x, const float *w, float scale, const struct even_kind *k) {
    const float half = (float)k->half;
    const int near = clamp((int)lrintf(scale * inverse_of(b->d)), -k->half_scale, k->half_scale - 1);
    float best = INFINITY;
    for (int s = near - 1; s <= near + 1; s++) {
        if (s < -k->half_scale || s >= k->half_scale) continue;
        const float error = take_levels(NULL, x, w, 16, b->d * (float)s, 0.0f, -half, half - 1.0f, 0);
        if (error >= best) continue;
        best = error;
        b->scale[g] = s;
    }
    return take_levels(b->q + 16 * g, x, w, 16, b->d * (float)b->scale[g], 0.0f, -half, half - 1.0f, k->half);
}

/* Step 4 of an even block. */
static bool refit_even(struct even_block *b, const float *x, const float *w, const struct even_kind *k) {
    double aa = 0, ax = 0; /* x ~ d a, a = scale q */
    for (int i = 0; i < K_BLOCK; i++) {
        const double a = (double)(b->scale[i / 16] * (b->q[i] - k->half));
        aa += (double)w[i] * a * a;
        ax += (double)w[i] * a * (double)x[i];
    }
    const float d = aa > 0 ? as_half((float)(ax / aa)) : b->d;
    if (!isfinite(d) || d == b->d) return false;
    b->d = d;
    return true;
}

static bool fit_even(struct even_block *b, const float *x, const struct even_kind *k) {
    float w[K_BLOCK], scale[GROUPS_MAX], extreme = 0.0f, error = 0.0f;
    if (!block_fits(x)) return false;
    for (int g = 0; g < GROUPS_MAX; g++) {
        weigh(w + 16 * g, x + 16 * g, 16, true);
        scale[g] = fit_even_group(x + 16 * g, w + 16 * g, (float)k->half);
        extreme = fabsf(scale[g]) > fabsf(extreme) ? scale[g] : extreme;
    }
    b->d = as_half(extreme / (float)-k->half_scale);
    if (!isfinite(b->d)) return false;
    for (int g = 0; g < GROUPS_MAX; g++) error += choose_even(b, g, x + 16 * g, w + 16 * g, scale[g], k);
    for (int round = 0; round < REFITS_MAX; round++) {
        struct even_block other = *b;
        float now = 0.0f;
        if (!refit_even(&other, x, w, k)) break;
        for (int g = 0; g < GROUPS_MAX; g++) now += choose_even(&other, g, x + 16 * g, w + 16 * g, scale[g], k);
        if (!(now < error)) break;
        error = now;
        *b = other;
    }
    return true;
}

/* Two-bit numbers of 128 elements at a time, Q2_K's and Q3_K's layout: out [64] from q [256], the low two bits of each. */
static void put_pairs(uint8_t *out, const uint8_t *q) {
    for (int h = 0; h < 2; h++) {
        for (int l = 0; l < 32; l++) {
            const uint8_t *at = q + 128 * h + l;
            out[32 * h + l] = (uint8_t)((at[0] & 3) | (at[32] & 3) << 2 | (at[64] & 3) << 4 | (at[96] & 3) << 6);
        }
    }
}

bool quant_write_q2_k(uint8_t *out, const float *in, size_t count) {
    static const struct affine_kind kind = {16, 3, 15};
    for (size_t i = 0; i < count; i += K_BLOCK, out += Q2_K_BYTES) {
        struct affine_block b;
        if (!fit_affine(&b, in + i, &kind)) return false;
        for (int g = 0; g < 16; g++) out[g] = (uint8_t)(b.scale[g] | b.min[g] << 4);
        put_pairs(out + 16, b.q);
        quant_put_half(out + 80, b.d);
        quant_put_half(out + 82, b.dmin);
    }
    return true;
}

bool quant_write_q3_k(uint8_t *out, const float *in, size_t count) {
    static const struct even_kind kind = {4, 32};
    for (size_t i = 0; i < count; i += K_BLOCK, out += Q3_K_BYTES) {
        struct even_block b;
        if (!fit_even(&b, in + i, &kind)) return false;
        memset(out, 0, Q3_K_BYTES);
        for (int e = 0; e < K_BLOCK; e++) out[e % 32] |= (uint8_t)(b.q[e] >> 2 << e / 32); /* third bits */
        put_pairs(out + 32, b.q);
        for (int g = 0; g < 16; g++) {
            const int s = b.scale[g] + 32;
            out[96 + g % 8] |= (uint8_t)((s & 15) << 4 * (g / 8));
            out[96 + 8 + g % 4] |= (uint8_t)(s >> 4 << 2 * (g / 4));
        }
        quant_put_half(out + 108, b.d);
    }
    return true;
}

/* The inverse of dtype_k_scales. */
static void put_scales(uint8_t *packed, const uint8_t *scale, const uint8_t *min) {
    for (int i = 0; i < 4; i++) {
        packed[i] = (uint8_t)(scale[i] | scale[4 + i] >> 4 << 6);
        packed[4 + i] = (uint8_t)(min[i] | min[4 + i] >> 4 << 6);
        packed[8 + i] = (uint8_t)((scale[4 + i] & 15) | (min[4 + i] & 15) << 4);
    }
}

/* Q4_K and Q5_K: factors and scales [16], then what differs, then nibbles [128]. */
static bool write_q4_q5(uint8_t *out, const float *in, size_t count, const struct affine_kind *kind, size_t bytes) {
    for (size_t i = 0; i < count; i += K_BLOCK, out += bytes) {
        struct affine_block b;
        if (!fit_affine(&b, in + i, kind)) return false;
        memset(out, 0, bytes);
        quant_put_half(out, b.d);
        quant_put_half(out + 2, b.dmin);
        put_scales(out + 4, b.scale, b.min);
        for (int e = 0; bytes == Q5_K_BYTES && e < K_BLOCK; e++) out[16 + e % 32] |= (uint8_t)(b.q[e] >> 4 << e / 32);
        for (int e = 0; e < K_BLOCK / 2; e++) {
            const uint8_t *at = b.q + e / 32 * 64 + e % 32;
            out[bytes - 128 + (size_t)e] = (uint8_t)((at[0] & 15) | (at[32] & 15) << 4);
        }
    }
    return true;
}
bool quant_write_q4_k(uint8_t *out, const float *in, size_t count) {
    static const struct affine_kind kind = {32, 15, 63};
    return write_q4_q5(out, in, count, &kind, Q4_K_BYTES);
}
bool quant_write_q5_k(uint8_t *out, const float *in, size_t count) {
    static const struct affine_kind kind = {32, 31, 63};
    return write_q4_q5(out, in, count, &kind, Q5_K_BYTES);
}

bool quant_write_q6_k(uint8_t *out, const float *in, size_t count) {
    static const struct even_kind kind = {32, 128};
    for (size_t i = 0; i < count; i += K_BLOCK, out += Q6_K_BYTES) {
        struct even_block b;
        if (!fit_even(&b, in + i, &kind)) return false;
        for (int h = 0; h < 2; h++) {
            for (int l = 0; l < 32; l++) {
                const uint8_t *at = b.q + 128 * h + l;
                out[64 * h + l] = (uint8_t)((at[0] & 15) | (at[64] & 15) << 4);
                out[64 * h + 32 + l] = (uint8_t)((at[32] & 15) | (at[96] & 15) << 4);
                out[128 + 32 * h + l] = (uint8_t)(at[0] >> 4 | at[32] >> 4 << 2 | at[64] >> 4 << 4 | at[96] >> 4 << 6);
            }
        }
        for (int g = 0; g < 16; g++) out[192 + g] = (uint8_t)b.scale[g];
        quant_put_half(out + 208, b.d);
    }
    return true;
}
