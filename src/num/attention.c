#include "num/attention.h"

#include <math.h>
#include <string.h>

#include "num/attention_tiles.h"
#include "num/attention_block.h"
#include "num/cpu.h"

static int32_t blocks_of(int32_t count, int32_t size) { return (count + size - 1) / size; }

/* Block number `index` over all segments -> segment and range. */
static void find_block(int32_t *segment, int32_t *from, int32_t *count, const struct seqtree *tree, int32_t index, int32_t size) {
    int32_t g = 0;
    while (index >= blocks_of(tree->segments[g].count, size)) index -= blocks_of(tree->segments[g++].count, size);
    const struct seqtree_segment *s = &tree->segments[g];
    int32_t left = s->count - index * size;
    *segment = g;
    *from = s->start + index * size;
    *count = left < size ? left : size;
}

static int32_t block_total(const struct seqtree *tree, int32_t size) {
    int32_t total = 0;
    for (int32_t g = 0; g < tree->segment_count; g++) total += blocks_of(tree->segments[g].count, size);
    return total;
}

static void run_blocks(attention_query_fn *fn, const struct attention_args *a, int32_t size, size_t heads) {
    const int32_t total = block_total(a->tree, size) * (int32_t)heads;
    /* which thread takes a block does not matter: each writes rows of its own */
#pragma omp parallel for schedule(dynamic, 1)
    for (int32_t i = 0; i < total; i++) {
        int32_t segment, from, count;
        find_block(&segment, &from, &count, a->tree, i / (int32_t)heads, size);
        fn(a, segment, from, count, (size_t)(i % (int32_t)heads));
    }
}

/* What makes the products in tiles; NULL on AVX2. Dot products of bf16 outdo multiply-adds of fp32 only where operands are bf16. */
static const struct attention_tiles *tiles_of(bool half) {
    if (cpu_has_amx_bf16()) return &attention_tiles_amx;
    if (half && cpu_has_bf16_dots()) return &attention_tiles_bf16;
    return cpu_has_avx512() ? &attention_tiles_avx512 : NULL;
}

void attention_forward(float *out, float *lse, const float *qkv, const struct seqtree *tree, const struct attention_shape *shape, bool half,
                       void *scratch) {
    CHECK(shape->head_dim <= ATTENTION_HEAD_DIM_MAX);
    struct attention_args a = {.qkv = qkv, .tree = tree, .shape = *shape, .out = out, .lse = lse};
    if (tiles_of(half))
        tiles_of(half)->forward(&a, half, scratch);
    else
        run_blocks(attention_kernels_avx2.forward, &a, ATTENTION_Q, shape->heads);
}

/* Backward: delta [T, H], then what the tiles need. */
static size_t delta_bytes(size_t tokens, size_t heads) { return (tokens * heads * sizeof(float) + 63) / 64 * 64; }

size_t attention_scratch(size_t tokens, const struct attention_shape *shape, bool half, bool backward) {
    const size_t tiles = tiles_of(half) ? tiles_of(half)->scratch(tokens, shape, half, backward) * sizeof(uint16_t) : 0;
    return tiles + (backward ? delta_bytes(tokens, shape->heads) : 0);
}

static inline __attribute__((always_inline)) float product_sum(const float *a, struct kept b, size_t d) {
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (size_t k = 0; k < d; k++) sum += a[k] * kept_value(b, k);
    return sum;
}

/* delta[T, H] = sum over D of dout * out: the softmax gradient's common term. */
static void compute_delta(float *delta, const float *dout, struct kept out, size_t t, size_t heads, size_t d) {
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < t * heads; i++) {
        const struct kept row = kept_at(out, i * d); /* a loop for each form */
        delta[i] = row.h ? product_sum(dout + i * d, kept_half(row), d) : product_sum(dout + i * d, kept_float(row), d);
    }
}

void attention_backward(float *dqkv, const float *dout, struct kept out, const float *lse, const float *qkv, const struct seqtree *tree,
                        const struct attention_shape *shape, bool half, void *scratch) {
    const size_t t = (size_t)tree->node_count;
    float *delta = scratch;
    compute_delta(delta, dout, out, t, shape->heads, shape->head_dim);
    struct attention_args a = {
        .qkv = qkv, .tree = tree, .shape = *shape, .lse = (float *)(uintptr_t)lse, .dout = dout, .delta = delta, .dqkv = dqkv};
    if (tiles_of(half)) {
        tiles_of(half)->backward(&a, half, (uint16_t *)(void *)((char *)scratch + delta_bytes(t, shape->heads)));
        return;
    }
    run_blocks(attention_kernels_avx2.backward_query, &a, ATTENTION_Q, shape->heads);
    run_blocks(attention_kernels_avx2.backward_key, &a, ATTENTION_K, shape->kv_heads);
}

/* The node before this one on its path; -1 behind the root's first. */
static int32_t previous_node(const struct seqtree *t, int32_t *segment, int32_t node) {
    if (node > t->segments[*segment].start) return node - 1;
    *segment = t->segments[*segment].parent;
    return *segment < 0 ? -1 : t->segments[*segment].start + t->segments[*segment].count - 1;
}

static double dot(const float *a, const float *b, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)a[i] * (double)b[i];
    return sum;
}

/* One query head of one node, and the keys it sees, nearest first. */
struct walk {
    const struct seqtree *tree;
    const struct attention_shape *shape;
    int32_t node, segment, at, left;
};

static struct walk walk_from(const struct seqtree *tree, const struct attention_shape *shape, int32_t segment, int32_t node) {
    return (struct walk){tree, shape, node, segment, node, shape->window ? shape->window : INT32_MAX};
}

static void walk_on(struct walk *w) { w->at = --w->left > 0 ? previous_node(w->tree, &w->segment, w->at) : -1; }

/* The score of a query and a key, and its derivative by their product. */
static double score_of(double *slope, const struct attention_shape *s, const float *q, const float *key) {
    const double x = (double)s->scale * dot(q, key, s->head_dim), cap = (double)s->softcap;
    const double y = s->softcap > 0 ? cap * tanh(x / cap) : x;
    if (slope) *slope = s->softcap > 0 ? (double)s->scale * (1 - y * y / (cap * cap)) : (double)s->scale;
    return y;
}

void attention_forward_reference(float *out, float *lse, const float *qkv, const struct seqtree *tree,
                                 const struct attention_shape *shape) {
    const size_t heads = shape->heads, d = shape->head_dim, stride = shape->stride;
    for (int32_t g = 0; g < tree->segment_count; g++)
        for (int32_t n = 0; n < tree->segments[g].count; n++)
            for (size_t h = 0; h < heads; h++) {
                const int32_t node = tree->segments[g].start + n;
                const size_t kv = h / (heads / shape->kv_heads), key = (heads + kv) * d, value = key + shape->kv_heads * d;
                const float *q = qkv + (size_t)node * stride + h * d;
                double most = -INFINITY, sum = 0, o[ATTENTION_HEAD_DIM_MAX] = {0};
                for (struct walk w = walk_from(tree, shape, g, node); w.at >= 0; walk_on(&w))
                    most = fmax(most, score_of(NULL, shape, q, qkv + (size_t)w.at * stride + key));
                for (struct walk w = walk_from(tree, shape, g, node); w.at >= 0; walk_on(&w)) {
                    const float *row = qkv + (size_t)w.at * stride;
                    const double p = exp(score_of(NULL, shape, q, row + key) - most);
                    sum += p;
                    for (size_t k = 0; k < d; k++) o[k] += p * (double)row[value + k];
                }
                for (size_t k = 0; k < d; k++) out[((size_t)node * heads + h) * d + k] = (float)(o[k] / sum);
                lse[(size_t)node * heads + h] = (float)(most + log(sum));
            }
}

void attention_backward_reference(float *dqkv, const float *dout, const float *out, const float *lse, const float *qkv,
                                  const struct seqtree *tree, const struct attention_shape *shape) {
    const size_t heads = shape->heads, d = shape->head_dim, stride = shape->stride;
    memset(dqkv, 0, (size_t)tree->node_count * stride * sizeof(float));
    for (int32_t g = 0; g < tree->segment_count; g++)
        for (int32_t n = 0; n < tree->segments[g].count; n++)
            for (size_t h = 0; h < heads; h++) {
                const int32_t node = tree->segments[g].start + n;
                const size_t kv = h / (heads / shape->kv_heads), at_out = ((size_t)node * heads + h) * d;
                const float *q = qkv + (size_t)node * stride + h * d;
                const double delta = dot(dout + at_out, out + at_out, d);
                for (struct walk w = walk_from(tree, shape, g, node); w.at >= 0; walk_on(&w)) {
                    const float *key = qkv + (size_t)w.at * stride + (heads + kv) * d, *value = key + shape->kv_heads * d;
                    float *dkey = dqkv + (size_t)w.at * stride + (heads + kv) * d, *dvalue = dkey + shape->kv_heads * d;
                    double slope;
                    const double p = exp(score_of(&slope, shape, q, key) - (double)lse[(size_t)node * heads + h]);
                    const double ds = p * (dot(dout + at_out, value, d) - delta) * slope;
                    for (size_t k = 0; k < d; k++) {
                        dqkv[(size_t)node * stride + h * d + k] += (float)(ds * (double)key[k]);
                        dkey[k] += (float)(ds * (double)q[k]);
                        dvalue[k] += (float)(p * (double)dout[at_out + k]);
                    }
                }
            }
}
