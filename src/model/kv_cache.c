#include "model/kv_cache.h"

#include <immintrin.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "model/kv_tile.h"
#include "num/attention.h"
#include "num/cpu.h"
#include "num/dtype.h"
#include "num/vexp.h"

#define LANES 8 /* floats of a vector; the baseline has AVX2 */

static size_t round_positions(size_t positions) { return (positions + BLOCK - 1) / BLOCK * BLOCK; }

static bool in_half(bool half) { return half && cpu_has_avx512(); }

size_t kv_cache_bytes(const struct model_config *c, size_t slots, size_t positions, bool half) {
    const size_t size = in_half(half) ? sizeof(uint16_t) : sizeof(float);
    size_t bytes;
    if (positions > SIZE_MAX / 2 || !size_mul(&bytes, round_positions(positions), slots) || !size_mul(&bytes, bytes, c->layers) ||
        !size_mul(&bytes, bytes, c->kv_heads * c->head_dim * 2 * size))
        return SIZE_MAX;
    return bytes;
}

status kv_cache_init(struct kv_cache *k, const struct model_config *c, size_t slots, size_t positions, bool half) {
    const size_t bytes = kv_cache_bytes(c, slots, positions, half);
    *k = (struct kv_cache){.layers = c->layers,
                           .slots = slots,
                           .positions = round_positions(positions),
                           .heads = c->heads,
                           .kv_heads = c->kv_heads,
                           .head_dim = c->head_dim,
                           .half = in_half(half)};
    if (c->head_dim > ATTENTION_HEAD_DIM_MAX)
        return FAIL(ST_UNSUPPORTED, "heads of %zu are wider than the supported %d", c->head_dim, ATTENTION_HEAD_DIM_MAX);
    if (bytes == SIZE_MAX) return FAIL(ST_NOMEM, "key/value cache: the size of %zu sequences of %zu positions overflows", slots, positions);
    k->size = k->half ? sizeof(uint16_t) : sizeof(float);
    k->head_size = k->positions * k->head_dim;
    status s = mem_try_alloc(&k->keys, bytes / 2, 1, "key cache");
    if (s == ST_OK) s = mem_try_alloc(&k->values, bytes / 2, 1, "value cache");
    if (s != ST_OK) kv_cache_release(k);
    return s;
}

void kv_cache_release(struct kv_cache *k) {
    free(k->keys);
    free(k->values);
    *k = (struct kv_cache){0};
}

static size_t head_at(const struct kv_cache *k, size_t layer, size_t slot, size_t kv) {
    return ((layer * k->slots + slot) * k->kv_heads + kv) * k->head_size;
}

/* Element i of the key at `position` of a head that begins at keys. */
static size_t key_at(size_t position, size_t i, size_t d) { return (position / KV_GROUP * d + i) * KV_GROUP + position % KV_GROUP; }

void kv_cache_copy(struct kv_cache *k, size_t to, size_t from, size_t count) {
    const size_t d = k->head_dim, groups = (count + KV_GROUP - 1) / KV_GROUP;
    CHECK(to < k->slots && from < k->slots && count <= k->positions);
    if (to == from) return;
#pragma omp parallel for schedule(static)
    for (size_t layer = 0; layer < k->layers; layer++)
        for (size_t kv = 0; kv < k->kv_heads; kv++) {
            const size_t a = head_at(k, layer, to, kv) * k->size, b = head_at(k, layer, from, kv) * k->size;
            /* the last group may carry keys behind `count`; they are written again before anything looks at them */
            memcpy(k->keys + a, k->keys + b, groups * KV_GROUP * d * k->size);
            memcpy(k->values + a, k->values + b, count * d * k->size);
        }
}

/* A row's key and value of one head, whose cache begins at element `head`, to its position. */
static void store_row(struct kv_cache *k, size_t head, size_t position, const float *key, const float *value) {
    const size_t d = k->head_dim;
    if (k->half) {
        uint16_t *keys = (uint16_t *)(void *)k->keys + head, *values = (uint16_t *)(void *)k->values + head + position * d;
        for (size_t i = 0; i < d; i++) keys[key_at(position, i, d)] = dtype_float_to_half(key[i]);
        for (size_t i = 0; i < d; i++) values[i] = dtype_float_to_half(value[i]);
        return;
    }
    float *keys = (float *)(void *)k->keys + head;
    for (size_t i = 0; i < d; i++) keys[key_at(position, i, d)] = key[i];
    memcpy((float *)(void *)k->values + head + position * d, value, d * sizeof(float));
}

static void store(struct kv_cache *k, size_t layer, const float *qkv, size_t stride, const struct kv_span *span) {
    const size_t d = k->head_dim;
    for (size_t r = 0; r < span->count; r++) {
        const float *row = qkv + (span->row + r) * stride + k->heads * d;
        for (size_t kv = 0; kv < k->kv_heads; kv++)
            store_row(k, head_at(k, layer, span->slot, kv), span->position + r, row + kv * d, row + (k->kv_heads + kv) * d);
    }
}

/* score[t][j] = q_t . k_(base + j) for one group; n is a constant in every caller, so that accumulators stay in registers. */
static inline __attribute__((always_inline)) void group_scores(struct tile *t, const float *keys, size_t d, size_t base, int n) {
    __m256 acc[TILE][2];
    for (int q = 0; q < n; q++) acc[q][0] = acc[q][1] = _mm256_setzero_ps();
    for (size_t i = 0; i < d; i++) {
        const __m256 a = _mm256_loadu_ps(keys + i * KV_GROUP), b = _mm256_loadu_ps(keys + i * KV_GROUP + LANES);
        for (int q = 0; q < n; q++) {
            const __m256 x = _mm256_broadcast_ss(t->q[q] + i);
            acc[q][0] = _mm256_fmadd_ps(x, a, acc[q][0]);
            acc[q][1] = _mm256_fmadd_ps(x, b, acc[q][1]);
        }
    }
    for (int q = 0; q < n; q++) {
        _mm256_storeu_ps(t->score[q] + base, acc[q][0]);
        _mm256_storeu_ps(t->score[q] + base + LANES, acc[q][1]);
    }
}

/* o_t += sum over j of score[t][j] v_j, for columns [i, i + LANES); rows behind a query's own have score 0. */
static inline __attribute__((always_inline)) void add_values(struct tile *t, const float *values, size_t d, size_t i, size_t rows, int n) {
    __m256 acc[TILE];
    for (int q = 0; q < n; q++) acc[q] = _mm256_loadu_ps(t->o[q] + i);
    for (size_t j = 0; j < rows; j++) {
        const __m256 v = _mm256_loadu_ps(values + j * d + i);
        for (int q = 0; q < n; q++) acc[q] = _mm256_fmadd_ps(_mm256_broadcast_ss(t->score[q] + j), v, acc[q]);
    }
    for (int q = 0; q < n; q++) _mm256_storeu_ps(t->o[q] + i, acc[q]);
}

/* Turns a block's scores into weights and rescales what was summed before. */
static void soften(struct tile *t, int q, size_t base, size_t d, float scale, float cap) {
    float *s = t->score[q], top = -INFINITY, add = 0;
    const size_t seen = t->seen[q] > base ? t->seen[q] - base : 0, n = seen < BLOCK ? seen : BLOCK,
                 first = t->first[q] > base ? t->first[q] - base : 0;
    for (size_t j = n; j < BLOCK; j++) s[j] = 0.0f;
    for (size_t j = 0; j < first && j < n; j++) s[j] = 0.0f;
    if (n <= first) return;
    if (cap > 0) {
#pragma omp simd
        for (size_t j = first; j < n; j++) s[j] = cap * vtanh(s[j] * (scale / cap));
        scale = 1.0f;
    }
#pragma omp simd reduction(max : top)
    for (size_t j = first; j < n; j++) top = s[j] > top ? s[j] : top;
    top *= scale;
    const float now = top > t->most[q] ? top : t->most[q], shrink = vexp(t->most[q] - now);
#pragma omp simd reduction(+ : add)
    for (size_t j = first; j < n; j++) {
        s[j] = vexp(s[j] * scale - now);
        add += s[j];
    }
    if (now != t->most[q])
        for (size_t i = 0; i < d; i++) t->o[q][i] *= shrink;
    t->sum[q] = t->sum[q] * shrink + add;
    t->most[q] = now;
}

static inline __attribute__((always_inline)) void all_scores(struct tile *t, const struct kv_block *b, int n) {
    for (size_t g = 0; g * KV_GROUP < b->rows; g++) group_scores(t, (const float *)b->keys + g * KV_GROUP * b->d, b->d, g * KV_GROUP, n);
}

static inline __attribute__((always_inline)) void all_values(struct tile *t, const struct kv_block *b, int n) {
    const float *values = b->values;
    size_t i = 0;
    for (; i + LANES <= b->d; i += LANES) add_values(t, values, b->d, i, b->rows, n);
    for (; i < b->d; i++)
        for (int q = 0; q < n; q++)
            for (size_t j = 0; j < b->rows; j++) t->o[q][i] = __builtin_fmaf(t->score[q][j], values[j * b->d + i], t->o[q][i]);
}

/* A step for each count of queries. */
#define BY_COUNT(name, step)                                     \
    static void name(struct tile *t, const struct kv_block *b) { \
        if (t->count == 4)                                       \
            step(t, b, 4);                                       \
        else if (t->count == 3)                                  \
            step(t, b, 3);                                       \
        else if (t->count == 2)                                  \
            step(t, b, 2);                                       \
        else                                                     \
            step(t, b, 1);                                       \
    }
BY_COUNT(scores_avx2, all_scores)
BY_COUNT(values_avx2, all_values)

static struct kv_steps steps_of(const struct kv_cache *k) {
    if (k->half) return kv_steps_avx512_half;
    return cpu_has_avx512() ? kv_steps_avx512 : (struct kv_steps){scores_avx2, values_avx2};
}

/* keys, values: where the head's begin. */
static void tile_run(struct tile *t, const struct kv_cache *k, const char *keys, const char *values, const struct attention_shape *a) {
    const struct kv_steps steps = steps_of(k);
    const size_t d = k->head_dim;
    size_t most = 0, least = SIZE_MAX;
    for (int q = 0; q < t->count; q++) {
        t->most[q] = -INFINITY;
        t->sum[q] = 0;
        memset(t->o[q], 0, d * sizeof(float));
        if (t->seen[q] > most) most = t->seen[q];
        if (t->first[q] < least) least = t->first[q];
    }
    for (size_t base = least / BLOCK * BLOCK; base < most; base += BLOCK) {
        const struct kv_block b = {.keys = keys + base * d * k->size,
                                   .values = values + base * d * k->size,
                                   .d = d,
                                   .rows = most - base < BLOCK ? most - base : BLOCK};
        steps.scores(t, &b);
        for (int q = 0; q < t->count; q++) soften(t, q, base, d, a->scale, a->softcap);
        steps.values(t, &b);
    }
    for (int q = 0; q < t->count; q++)
        for (size_t i = 0; i < d; i++) t->out[q][i] = t->o[q][i] / t->sum[q];
}

/* All queries of a span that read key/value head kv. */
static void span_head(float *out, const struct kv_cache *k, size_t layer, const float *qkv, const struct kv_span *span, size_t kv,
                      const struct attention_shape *a) {
    const size_t d = k->head_dim, group = k->heads / k->kv_heads, at = head_at(k, layer, span->slot, kv) * k->size;
    struct tile t;
    t.count = 0;
    for (size_t i = 0; i < span->count * group; i++) {
        const size_t row = span->row + i / group, head = kv * group + i % group;
        t.q[t.count] = qkv + row * a->stride + head * d;
        t.out[t.count] = out + (row * k->heads + head) * d;
        const size_t seen = span->position + i / group + 1, window = (size_t)a->window;
        t.first[t.count] = window && seen > window ? seen - window : 0;
        t.seen[t.count++] = seen;
        if (t.count < TILE && i + 1 < span->count * group) continue;
        tile_run(&t, k, k->keys + at, k->values + at, a);
        t.count = 0;
    }
}

void kv_cache_attend(float *out, struct kv_cache *k, size_t layer, const float *qkv, const struct attention_shape *shape,
                     const struct kv_span *spans, size_t count) {
    for (size_t i = 0; i < count; i++)
        CHECK(spans[i].slot < k->slots && spans[i].count <= KV_SPAN_MAX && spans[i].position + spans[i].count <= k->positions);
#pragma omp parallel
    {
#pragma omp for schedule(static)
        for (size_t i = 0; i < count; i++) store(k, layer, qkv, shape->stride, &spans[i]);
#pragma omp for schedule(dynamic, 1)
        for (size_t i = 0; i < count * k->kv_heads; i++) span_head(out, k, layer, qkv, &spans[i / k->kv_heads], i % k->kv_heads, shape);
    }
}
