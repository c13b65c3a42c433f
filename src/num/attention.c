#include "num/attention.h"

#include <math.h>
#include <string.h>

#include "num/attention_amx.h"
#include "num/attention_block.h"
#include "num/cpu.h"

static const struct attention_kernels *kernels(void) { return cpu_has_avx512() ? &attention_kernels_avx512 : &attention_kernels_avx2; }

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

void attention_forward(float *out, float *lse, const float *qkv, const struct seqtree *tree, size_t heads, size_t kv_heads, size_t head_dim,
                       size_t stride, float scale, bool half, void *scratch) {
    CHECK(head_dim <= ATTENTION_HEAD_DIM_MAX);
    struct attention_args a = {.qkv = qkv,
                               .tree = tree,
                               .heads = heads,
                               .kv_heads = kv_heads,
                               .head_dim = head_dim,
                               .stride = stride,
                               .scale = scale,
                               .out = out,
                               .lse = lse};
    if (half && cpu_has_amx_bf16())
        attention_amx_forward(&a, scratch);
    else
        run_blocks(kernels()->forward, &a, ATTENTION_Q, heads);
}

/* Backward: delta [T, H], then what the tiles need. */
static size_t delta_bytes(size_t tokens, size_t heads) { return (tokens * heads * sizeof(float) + 63) / 64 * 64; }

size_t attention_scratch(size_t tokens, size_t heads, size_t kv_heads, size_t head_dim, bool half, bool backward) {
    const size_t tiles =
        half && cpu_has_amx_bf16() ? attention_amx_scratch(tokens, heads, kv_heads, head_dim, backward) * sizeof(uint16_t) : 0;
    return tiles + (backward ? delta_bytes(tokens, heads) : 0);
}

/* delta[T, H] = sum over D of dout * out: the softmax gradient's common term. */
static void compute_delta(float *delta, const float *dout, const float *out, size_t t, size_t heads, size_t d) {
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < t * heads; i++) {
        float sum = 0;
#pragma omp simd reduction(+ : sum)
        for (size_t k = 0; k < d; k++) sum += dout[i * d + k] * out[i * d + k];
        delta[i] = sum;
    }
}

void attention_backward(float *dqkv, const float *dout, const float *out, const float *lse, const float *qkv, const struct seqtree *tree,
                        size_t heads, size_t kv_heads, size_t head_dim, size_t stride, float scale, bool half, void *scratch) {
    const size_t t = (size_t)tree->node_count;
    float *delta = scratch;
    compute_delta(delta, dout, out, t, heads, head_dim);
    struct attention_args a = {.qkv = qkv,
                               .tree = tree,
                               .heads = heads,
                               .kv_heads = kv_heads,
                               .head_dim = head_dim,
                               .stride = stride,
                               .scale = scale,
                               .lse = (float *)(uintptr_t)lse,
                               .dout = dout,
                               .delta = delta,
                               .dqkv = dqkv};
    if (half && cpu_has_amx_bf16()) {
        attention_amx_backward(&a, (uint16_t *)(void *)((char *)scratch + delta_bytes(t, heads)));
        return;
    }
    run_blocks(kernels()->backward_query, &a, ATTENTION_Q, heads);
    run_blocks(kernels()->backward_key, &a, ATTENTION_K, kv_heads);
}

/* The nodes that `node` sees, nearest first: itself, then backwards. Returns -1 behind the root's first. */
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

void attention_forward_reference(float *out, float *lse, const float *qkv, const struct seqtree *tree, size_t heads, size_t kv_heads,
                                 size_t head_dim, size_t stride, float scale) {
    for (int32_t g = 0; g < tree->segment_count; g++)
        for (int32_t n = 0; n < tree->segments[g].count; n++)
            for (size_t h = 0; h < heads; h++) {
                const int32_t node = tree->segments[g].start + n;
                const size_t kv = h / (heads / kv_heads);
                const float *q = qkv + (size_t)node * stride + h * head_dim;
                double most = -INFINITY, sum = 0, o[ATTENTION_HEAD_DIM_MAX] = {0};
                for (int32_t s = g, at = node; at >= 0; at = previous_node(tree, &s, at))
                    most = fmax(most, (double)scale * dot(q, qkv + (size_t)at * stride + (heads + kv) * head_dim, head_dim));
                for (int32_t s = g, at = node; at >= 0; at = previous_node(tree, &s, at)) {
                    const float *row = qkv + (size_t)at * stride;
                    const double p = exp((double)scale * dot(q, row + (heads + kv) * head_dim, head_dim) - most);
                    sum += p;
                    for (size_t k = 0; k < head_dim; k++) o[k] += p * (double)row[(heads + kv_heads + kv) * head_dim + k];
                }
                for (size_t k = 0; k < head_dim; k++) out[((size_t)node * heads + h) * head_dim + k] = (float)(o[k] / sum);
                lse[(size_t)node * heads + h] = (float)(most + log(sum));
            }
}

void attention_backward_reference(float *dqkv, const float *dout, const float *out, const float *lse, const float *qkv,
                                  const struct seqtree *tree, size_t heads, size_t kv_heads, size_t head_dim, size_t stride, float scale) {
    memset(dqkv, 0, (size_t)tree->node_count * stride * sizeof(float));
    for (int32_t g = 0; g < tree->segment_count; g++)
        for (int32_t n = 0; n < tree->segments[g].count; n++)
            for (size_t h = 0; h < heads; h++) {
                const int32_t node = tree->segments[g].start + n;
                const size_t kv = h / (heads / kv_heads), at_out = ((size_t)node * heads + h) * head_dim;
                const float *q = qkv + (size_t)node * stride + h * head_dim;
                const double delta = dot(dout + at_out, out + at_out, head_dim);
                for (int32_t s = g, at = node; at >= 0; at = previous_node(tree, &s, at)) {
                    const float *key = qkv + (size_t)at * stride + (heads + kv) * head_dim, *value = key + kv_heads * head_dim;
                    float *dkey = dqkv + (size_t)at * stride + (heads + kv) * head_dim, *dvalue = dkey + kv_heads * head_dim;
                    const double p = exp((double)scale * dot(q, key, head_dim) - (double)lse[(size_t)node * heads + h]);
                    const double ds = p * (dot(dout + at_out, value, head_dim) - delta) * (double)scale;
                    for (size_t k = 0; k < head_dim; k++) {
                        dqkv[(size_t)node * stride + h * head_dim + k] += (float)(ds * (double)key[k]);
                        dkey[k] += (float)(ds * (double)q[k]);
                        dvalue[k] += (float)(p * (double)dout[at_out + k]);
                    }
                }
            }
}
