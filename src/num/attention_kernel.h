/* attention_kernel: for CPUs without AVX-512. Included by attention_avx2.c, which defines VEC (floats a vector), NV (vectors a tile is
 * wide), vec, vec_fma, vec_load, vec_store, vec_set and KERNELS (the name of the table). All products are C[m, n] += A[m, k] B[k, n] with n
 * a multiple of 16. */
#include <math.h>
#include <string.h>

#include "num/attention_block.h"
#include "num/vexp.h"

/* Rows [i, i+rows) by NV vectors of columns; rows <= 4. */
static inline __attribute__((always_inline)) void tile(float *c, size_t ldc, const float *a, size_t lda, const float *b, size_t ldb,
                                                       size_t k, int rows, int cols) {
    vec acc[4][NV];
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < cols; v++) acc[r][v] = vec_load(c + (size_t)r * ldc + (size_t)v * VEC);
    for (size_t p = 0; p < k; p++) {
        vec bv[NV];
        for (int v = 0; v < cols; v++) bv[v] = vec_load(b + p * ldb + (size_t)v * VEC);
        for (int r = 0; r < rows; r++) {
            const vec av = vec_set(a[(size_t)r * lda + p]);
            for (int v = 0; v < cols; v++) acc[r][v] = vec_fma(av, bv[v], acc[r][v]);
        }
    }
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < cols; v++) vec_store(c + (size_t)r * ldc + (size_t)v * VEC, acc[r][v]);
}

static void product(float *c, size_t ldc, const float *a, size_t lda, const float *b, size_t ldb, size_t m, size_t n, size_t k) {
    for (size_t j = 0; j < n;) {
        const bool wide = n - j >= (size_t)(NV * VEC);
        size_t i = 0;
        for (; i + 4 <= m; i += 4) {
            if (wide)
                tile(c + i * ldc + j, ldc, a + i * lda, lda, b + j, ldb, k, 4, NV);
            else
                tile(c + i * ldc + j, ldc, a + i * lda, lda, b + j, ldb, k, 4, 1);
        }
        for (; i < m; i++) {
            if (wide)
                tile(c + i * ldc + j, ldc, a + i * lda, lda, b + j, ldb, k, 1, NV);
            else
                tile(c + i * ldc + j, ldc, a + i * lda, lda, b + j, ldb, k, 1, 1);
        }
        j += wide ? (size_t)(NV * VEC) : (size_t)VEC;
    }
}

#define D_MAX ATTENTION_HEAD_DIM_MAX
static size_t padded_dim(size_t d) { return (d + 15) / 16 * 16; }

/* rows of `count` nodes, dense [count, dp]; columns behind d are zero. */
static void gather(float *out, const float *base, size_t stride, int32_t first, int32_t count, size_t d, size_t dp) {
    for (int32_t i = 0; i < count; i++) {
        memcpy(out + (size_t)i * dp, base + (size_t)(first + i) * stride, d * sizeof(float));
        memset(out + (size_t)i * dp + d, 0, (dp - d) * sizeof(float));
    }
}

/* The same transposed, [d, width]; columns behind count are zero. */
static void gather_transposed(float *out, const float *base, size_t stride, int32_t first, int32_t count, size_t d, size_t width) {
    for (size_t k = 0; k < d; k++) {
        for (int32_t i = 0; i < count; i++) out[k * width + (size_t)i] = base[(size_t)(first + i) * stride + k];
        for (size_t i = (size_t)count; i < width; i++) out[k * width + i] = 0.0f;
    }
}

/* Products q k become capped scores; returns what they are still to be multiplied by. */
static float cap_scores(float *s, size_t n, const struct attention_shape *shape) {
    if (shape->softcap == 0) return shape->scale;
    const float cap = shape->softcap, in = shape->scale / cap;
#pragma omp simd
    for (size_t i = 0; i < n; i++) s[i] = cap * vtanh(s[i] * in);
    return 1.0f;
}

/* Which keys of a block a row of queries sees: [first, end). */
struct seen {
    int32_t first, end;
};

/* Online softmax of one block of scores s[count, ATTENTION_K], rescaling o. */
static void softmax_block(float *s, float *o, float *most, float *sum, const struct seen *seen, int32_t count, size_t dp, float scale) {
    for (int32_t i = 0; i < count; i++) {
        float *row = s + (size_t)i * ATTENTION_K, top = -INFINITY, add = 0;
        const int32_t first = seen[i].first, n = seen[i].end;
        if (n <= first) {
            memset(row, 0, ATTENTION_K * sizeof(float));
            continue;
        }
#pragma omp simd reduction(max : top)
        for (int32_t j = first; j < n; j++) top = row[j] > top ? row[j] : top;
        top *= scale;
        const float now = top > most[i] ? top : most[i], shrink = vexp(most[i] - now);
#pragma omp simd reduction(+ : add)
        for (int32_t j = first; j < n; j++) {
            row[j] = vexp(row[j] * scale - now);
            add += row[j];
        }
        for (int32_t j = 0; j < first; j++) row[j] = 0.0f;
        for (int32_t j = n; j < ATTENTION_K; j++) row[j] = 0.0f;
        if (now != most[i])
            for (size_t k = 0; k < dp; k++) o[(size_t)i * dp + k] *= shrink;
        sum[i] = sum[i] * shrink + add;
        most[i] = now;
    }
}

/* Which of the keys [key, key+keys) of segment g the queries from+i see: up to the query itself in its own segment, no further back than
 * the window. */
static void find_seen(struct seen *seen, const struct attention_args *a, int32_t segment, int32_t g, int32_t from, int32_t count,
                      int32_t key, int32_t keys) {
    const struct seqtree_segment *own = &a->tree->segments[segment], *sg = &a->tree->segments[g];
    for (int32_t i = 0; i < count; i++) {
        const int32_t first = attention_first(a, sg, attention_position(own, from + i)) - key, n = segment == g ? from + i - key + 1 : keys;
        seen[i].first = first < 0 ? 0 : first;
        seen[i].end = n > keys ? keys : n;
    }
}

static void forward_block(const struct attention_args *a, int32_t segment, int32_t from, int32_t count, size_t head) {
    float q[ATTENTION_Q * D_MAX], kt[ATTENTION_K * D_MAX], v[ATTENTION_K * D_MAX], o[ATTENTION_Q * D_MAX], s[ATTENTION_Q * ATTENTION_K];
    float most[ATTENTION_Q], sum[ATTENTION_Q];
    struct seen seen[ATTENTION_Q];
    const size_t d = a->shape.head_dim, dp = padded_dim(d), kv = head / (a->shape.heads / a->shape.kv_heads);
    const float *keys = a->qkv + (a->shape.heads + kv) * d, *values = a->qkv + (a->shape.heads + a->shape.kv_heads + kv) * d;
    gather(q, a->qkv + head * d, a->shape.stride, from, count, d, dp);
    const int32_t position = attention_position(&a->tree->segments[segment], from);
    memset(o, 0, (size_t)count * dp * sizeof(float));
    for (int32_t i = 0; i < count; i++) most[i] = -INFINITY, sum[i] = 0;
    for (int32_t g = segment; g >= 0; g = a->tree->segments[g].parent) {
        const struct seqtree_segment *sg = &a->tree->segments[g];
        int32_t end = g == segment ? from + count : sg->start + sg->count;
        for (int32_t key = attention_first(a, sg, position); key < end; key += ATTENTION_K) {
            int32_t n = end - key < ATTENTION_K ? end - key : ATTENTION_K;
            gather_transposed(kt, keys, a->shape.stride, key, n, d, ATTENTION_K);
            gather(v, values, a->shape.stride, key, n, d, dp);
            memset(s, 0, (size_t)count * ATTENTION_K * sizeof(float));
            product(s, ATTENTION_K, q, dp, kt, ATTENTION_K, (size_t)count, ATTENTION_K, d);
            find_seen(seen, a, segment, g, from, count, key, n);
            softmax_block(s, o, most, sum, seen, count, dp, cap_scores(s, (size_t)count * ATTENTION_K, &a->shape));
            product(o, dp, s, ATTENTION_K, v, dp, (size_t)count, dp, (size_t)n);
        }
    }
    for (int32_t i = 0; i < count; i++) {
        float *out = a->out + (size_t)(from + i) * a->shape.heads * d + head * d;
        const float inverse = 1.0f / sum[i];
        for (size_t k = 0; k < d; k++) out[k] = o[(size_t)i * dp + k] * inverse;
        a->lse[(size_t)(from + i) * a->shape.heads + head] = most[i] + logf(sum[i]);
    }
}

/* The softmax's gradient, for scores s that cap_scores went over and returned `scale` for: p = exp(scale s - lse), and in place of g, the
 * gradient of p, that of the product q k. */
static inline void soft_gradient(float *p, float *g, float lse, float delta, float scale, float slope, float inverse_cap) {
    const float s = *p, t = s * inverse_cap;
    *p = vexp(s * scale - lse);
    *g = *p * (*g - delta) * (slope * (1.0f - t * t));
}

static float inverse_cap(const struct attention_shape *shape) { return shape->softcap > 0 ? 1.0f / shape->softcap : 0.0f; }

/* Rows are queries. */
static void score_gradient(float *s, float *dp_block, const struct seen *seen, const float *lse, const float *delta, size_t step,
                           int32_t count, const struct attention_shape *shape) {
    const float scale = cap_scores(s, (size_t)count * ATTENTION_K, shape), slope = shape->scale, inverse = inverse_cap(shape);
    for (int32_t i = 0; i < count; i++) {
        float *p = s + (size_t)i * ATTENTION_K, *g = dp_block + (size_t)i * ATTENTION_K;
        const float l = lse[(size_t)i * step], e = delta[(size_t)i * step];
        const int32_t n = seen[i].end < 0 ? 0 : seen[i].end, first = seen[i].first < n ? seen[i].first : n;
        for (int32_t j = 0; j < first; j++) p[j] = g[j] = 0.0f;
#pragma omp simd
        for (int32_t j = first; j < n; j++) soft_gradient(&p[j], &g[j], l, e, scale, slope, inverse);
        for (int32_t j = n; j < ATTENTION_K; j++) p[j] = g[j] = 0.0f;
    }
}

static void backward_query_block(const struct attention_args *a, int32_t segment, int32_t from, int32_t count, size_t head) {
    float q[ATTENTION_Q * D_MAX], dout[ATTENTION_Q * D_MAX], dq[ATTENTION_Q * D_MAX], kt[ATTENTION_K * D_MAX], k[ATTENTION_K * D_MAX];
    float vt[ATTENTION_K * D_MAX], s[ATTENTION_Q * ATTENTION_K], g[ATTENTION_Q * ATTENTION_K];
    struct seen seen[ATTENTION_Q];
    const size_t d = a->shape.head_dim, dp = padded_dim(d), kv = head / (a->shape.heads / a->shape.kv_heads), hd = a->shape.heads * d;
    const float *keys = a->qkv + (a->shape.heads + kv) * d, *values = a->qkv + (a->shape.heads + a->shape.kv_heads + kv) * d;
    gather(q, a->qkv + head * d, a->shape.stride, from, count, d, dp);
    gather(dout, a->dout + head * d, hd, from, count, d, dp);
    const int32_t position = attention_position(&a->tree->segments[segment], from);
    memset(dq, 0, (size_t)count * dp * sizeof(float));
    for (int32_t sgi = segment; sgi >= 0; sgi = a->tree->segments[sgi].parent) {
        const struct seqtree_segment *sg = &a->tree->segments[sgi];
        int32_t end = sgi == segment ? from + count : sg->start + sg->count;
        for (int32_t key = attention_first(a, sg, position); key < end; key += ATTENTION_K) {
            int32_t n = end - key < ATTENTION_K ? end - key : ATTENTION_K;
            gather_transposed(kt, keys, a->shape.stride, key, n, d, ATTENTION_K);
            gather_transposed(vt, values, a->shape.stride, key, n, d, ATTENTION_K);
            gather(k, keys, a->shape.stride, key, n, d, dp);
            memset(s, 0, (size_t)count * ATTENTION_K * sizeof(float));
            memset(g, 0, (size_t)count * ATTENTION_K * sizeof(float));
            product(s, ATTENTION_K, q, dp, kt, ATTENTION_K, (size_t)count, ATTENTION_K, d);
            product(g, ATTENTION_K, dout, dp, vt, ATTENTION_K, (size_t)count, ATTENTION_K, d);
            find_seen(seen, a, segment, sgi, from, count, key, n);
            const size_t at = (size_t)from * a->shape.heads + head;
            score_gradient(s, g, seen, a->lse + at, a->delta + at, a->shape.heads, count, &a->shape);
            product(dq, dp, g, ATTENTION_K, k, dp, (size_t)count, dp, (size_t)n);
        }
    }
    for (int32_t i = 0; i < count; i++)
        memcpy(a->dqkv + (size_t)(from + i) * a->shape.stride + head * d, dq + (size_t)i * dp, d * sizeof(float));
}

/* One block of queries against one block of keys, transposed: rows are keys. */
struct key_block {
    float k[ATTENTION_K * D_MAX], v[ATTENTION_K * D_MAX], dk[ATTENTION_K * D_MAX], dv[ATTENTION_K * D_MAX];
    float qt[ATTENTION_Q * D_MAX], q[ATTENTION_Q * D_MAX], dot[ATTENTION_Q * D_MAX], dout[ATTENTION_Q * D_MAX];
    float s[ATTENTION_K * ATTENTION_Q], g[ATTENTION_K * ATTENTION_Q];
};

/* own: the same segment; behind: how many positions the first query is behind the first key. */
static void key_against_queries(struct key_block *b, const struct attention_args *a, bool own, int32_t behind, int32_t key, int32_t keys,
                                int32_t query, int32_t queries, size_t head) {
    const size_t d = a->shape.head_dim, dp = padded_dim(d), hd = a->shape.heads * d;
    gather_transposed(b->qt, a->qkv + head * d, a->shape.stride, query, queries, d, ATTENTION_Q);
    gather(b->q, a->qkv + head * d, a->shape.stride, query, queries, d, dp);
    gather_transposed(b->dot, a->dout + head * d, hd, query, queries, d, ATTENTION_Q);
    gather(b->dout, a->dout + head * d, hd, query, queries, d, dp);
    memset(b->s, 0, (size_t)keys * ATTENTION_Q * sizeof(float));
    memset(b->g, 0, (size_t)keys * ATTENTION_Q * sizeof(float));
    product(b->s, ATTENTION_Q, b->k, dp, b->qt, ATTENTION_Q, (size_t)keys, ATTENTION_Q, d);
    product(b->g, ATTENTION_Q, b->v, dp, b->dot, ATTENTION_Q, (size_t)keys, ATTENTION_Q, d);
    float lse[ATTENTION_Q], delta[ATTENTION_Q];
    for (int32_t i = 0; i < queries; i++) {
        lse[i] = a->lse[(size_t)(query + i) * a->shape.heads + head];
        delta[i] = a->delta[(size_t)(query + i) * a->shape.heads + head];
    }
    const float scale = cap_scores(b->s, (size_t)keys * ATTENTION_Q, &a->shape), slope = a->shape.scale, inverse = inverse_cap(&a->shape);
    for (int32_t j = 0; j < keys; j++) {
        float *p = b->s + (size_t)j * ATTENTION_Q, *g = b->g + (size_t)j * ATTENTION_Q;
        int32_t first = own ? key + j - query : 0; /* queries before the key do not see it, nor do those that a window separates from it */
        int32_t end = a->shape.window ? a->shape.window + j - behind : queries;
        end = end < 0 ? 0 : end > queries ? queries : end;
        first = first < 0 ? 0 : first > end ? end : first;
        for (int32_t i = 0; i < first; i++) p[i] = g[i] = 0.0f;
#pragma omp simd
        for (int32_t i = first; i < end; i++) soft_gradient(&p[i], &g[i], lse[i], delta[i], scale, slope, inverse);
        for (int32_t i = end; i < queries; i++) p[i] = g[i] = 0.0f;
    }
    product(b->dv, dp, b->s, ATTENTION_Q, b->dout, dp, (size_t)keys, dp, (size_t)queries);
    product(b->dk, dp, b->g, ATTENTION_Q, b->q, dp, (size_t)keys, dp, (size_t)queries);
}

static void backward_key_block(const struct attention_args *a, int32_t segment, int32_t from, int32_t count, size_t kv) {
    struct key_block b;
    const size_t d = a->shape.head_dim, dp = padded_dim(d), group = a->shape.heads / a->shape.kv_heads;
    const size_t key_at = (a->shape.heads + kv) * d, value_at = (a->shape.heads + a->shape.kv_heads + kv) * d;
    gather(b.k, a->qkv + key_at, a->shape.stride, from, count, d, dp);
    gather(b.v, a->qkv + value_at, a->shape.stride, from, count, d, dp);
    memset(b.dk, 0, (size_t)count * dp * sizeof(float));
    memset(b.dv, 0, (size_t)count * dp * sizeof(float));
    const int32_t position = attention_position(&a->tree->segments[segment], from),
                  reach = a->shape.window ? a->shape.window + count - 1 : INT32_MAX;
    for (int32_t g = segment; g < a->tree->segment_count; g++) {
        if (!seqtree_descends(a->tree, g, segment)) continue;
        const struct seqtree_segment *sg = &a->tree->segments[g];
        int32_t end = sg->start + sg->count;
        for (int32_t query = g == segment ? from : sg->start; query < end; query += ATTENTION_Q) {
            const int32_t n = end - query < ATTENTION_Q ? end - query : ATTENTION_Q, behind = attention_position(sg, query) - position;
            if (behind >= reach) break;
            for (size_t h = 0; h < group; h++) key_against_queries(&b, a, g == segment, behind, from, count, query, n, kv * group + h);
        }
    }
    for (int32_t i = 0; i < count; i++) {
        float *row = a->dqkv + (size_t)(from + i) * a->shape.stride;
        memcpy(row + key_at, b.dk + (size_t)i * dp, d * sizeof(float));
        memcpy(row + value_at, b.dv + (size_t)i * dp, d * sizeof(float));
    }
}

const struct attention_kernels KERNELS = {forward_block, backward_query_block, backward_key_block};
