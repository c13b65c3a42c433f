/* attention_tiles_kernel: included by attention_amx.c, attention_bf16.c and attention_avx512.c, which include their layouts
 * (attention_forms_*.h) and unit (tiles.h) and define KERNELS, the name of the table.
 *
 * Nodes in blocks of 32. Every segment begins a block, so that a row's values do not depend on what it is packed with; only where
 * segments are so many that most blocks would be nearly empty do blocks go on over their ends. Forward, a block of queries meets the key
 * blocks it sees in chunks: scores of a chunk first, then what they weigh, with the sums in registers over the whole chunk. Backward, a
 * block of keys meets the query blocks that see it likewise, once for all three gradients: its own, dk and dv, gather over the chunk, and
 * each query block's dq gets this key block's part in memory. Work is cut by query blocks, every n-th to a part, so that no two parts write
 * the same dq; their dk and dv are added up in order at the end.
 *
 * Operands are laid out once a call, rounded to bf16, in three ways:
 *   rows   [block][32][dp]              a of a product with the other side
 *   across [block][2][dp/32][16][16][2] b of scores: 16 nodes are columns, pairs of elements rows
 *   along  [block][dp/16][16][16][2]    b of sums over nodes: pairs of nodes are rows
 * In fp32 each is the sum of three bf16 (tiles.h): every 32 columns of rows, and every tile, come three times; or a float as it is: tiles
 * have rows of 16 of them. In bf16 scores of queries and keys go through the exponential, where the rounding of 2^-9 would show in the
 * model's log-probs: for them what rounding left over is kept as well, and s = q k + left(q) k + q left(k). */
#include <math.h>
#include <string.h>

#include "num/attention_tiles.h"
#include "num/lanes16.h"
#include "num/vexp.h"

#define BLOCK ATTENTION_BLOCK
#define CHUNK 8 /* blocks */
#define WIDTH (BLOCK * CHUNK)
#define D_MAX ATTENTION_HEAD_DIM_MAX
#define PIECES 12 /* of backward's work at least, whatever the number of threads: sums do not depend on it */

static size_t padded_dim(size_t d) { return (d + 31) / 32 * 32; }
static size_t blocks_of(size_t t) { return (t + BLOCK - 1) / BLOCK; }

/* Blocks that t nodes may take. */
static size_t capacity(size_t t) { return blocks_of(t) * 3 / 2 + 32; }

struct block {
    int32_t first, count; /* nodes */
};

enum form { ROWS, ACROSS, ALONG, ROWS_LEFT, ACROSS_LEFT, FORMS };

/* The packed operands of a call: one array for each head and form. */
struct operands {
    const struct attention_args *a;
    struct block *block;
    size_t blocks, dp, planes, head_size; /* bf16 elements of a head in one form */
    uint16_t *q[FORMS], *k[FORMS], *v[FORMS], *dout[FORMS];
    size_t parts;
    float *dq, *dk, *dv; /* [heads][blocks][32][dp]; [parts][kv heads][blocks][32][dp] */
};

static float *sums_at(const struct operands *o, float *sums, size_t head, size_t block) {
    return sums + (head * o->blocks + block) * BLOCK * o->dp;
}

static uint16_t *block_at(const struct operands *o, uint16_t *const *forms, enum form form, size_t head, size_t block) {
    return forms[form] + head * o->head_size + block * BLOCK * o->dp * o->planes;
}

/* --- layouts --- */

/* One block of one head into the forms that exist. */
static void pack_block(const struct operands *o, uint16_t *const *forms, size_t head, size_t block, const float *base, size_t stride) {
    uint16_t local[BLOCK * D_MAX * GEMM_TILES_SPLIT], local_left[BLOCK * D_MAX];
    const size_t first = (size_t)o->block[block].first, count = (size_t)o->block[block].count;
    uint16_t *rows = forms[ROWS] ? block_at(o, forms, ROWS, head, block) : local;
    uint16_t *left = forms[ROWS_LEFT] ? block_at(o, forms, ROWS_LEFT, head, block) : forms[ACROSS_LEFT] ? local_left : NULL;
    to_rows(rows, left, base + first * stride, stride, count, o->a->shape.head_dim, o->dp, o->planes);
    if (forms[ACROSS]) to_across(block_at(o, forms, ACROSS, head, block), rows, o->dp, o->planes);
    if (forms[ACROSS_LEFT]) to_across(block_at(o, forms, ACROSS_LEFT, head, block), left, o->dp, 1);
    if (forms[ALONG]) to_along(block_at(o, forms, ALONG, head, block), rows, o->dp, o->planes);
}

static void pack_all(const struct operands *o) {
    const struct attention_args *a = o->a;
    const size_t heads = a->shape.heads, kv = a->shape.kv_heads, d = a->shape.head_dim, all = heads + 2 * kv + (a->dout ? heads : 0);
#pragma omp parallel for schedule(dynamic, 8)
    for (size_t i = 0; i < all * o->blocks; i++) {
        const size_t what = i / o->blocks, block = i % o->blocks;
        if (what < heads)
            pack_block(o, o->q, what, block, a->qkv + what * d, a->shape.stride);
        else if (what < heads + kv)
            pack_block(o, o->k, what - heads, block, a->qkv + what * d, a->shape.stride);
        else if (what < heads + 2 * kv)
            pack_block(o, o->v, what - heads - kv, block, a->qkv + what * d, a->shape.stride);
        else
            pack_block(o, o->dout, what - heads - 2 * kv, block, a->dout + (what - heads - 2 * kv) * d, heads * d);
    }
}

/* Lays the forms out in scratch; with scratch NULL only counts. */
static size_t lay_out(struct operands *o, uint16_t *scratch, bool backward) {
    const size_t heads = o->a->shape.heads, kv = o->a->shape.kv_heads;
    const bool left = o->planes == 1;
    const struct {
        uint16_t **forms;
        size_t heads;
        bool used[FORMS];
    } plan[] = {{o->q, heads, {!backward, backward, backward, left && !backward, left && backward}},
                {o->k, kv, {backward, !backward, backward, left && backward, left && !backward}},
                {o->v, kv, {backward, false, !backward}},
                {o->dout, heads, {false, backward, backward}}};
    size_t at = 0;
    for (size_t i = 0; i < 4; i++)
        for (int form = 0; form < FORMS; form++) {
            if (!plan[i].used[form]) continue;
            if (scratch) plan[i].forms[form] = scratch + at;
            at += plan[i].heads * o->head_size;
        }
    if (!backward) return at;
    const size_t size = o->blocks * BLOCK * o->dp;
    if (scratch) o->dq = (float *)(void *)(scratch + at), o->dk = o->dq + heads * size, o->dv = o->dk + o->parts * kv * size;
    return at + (heads + 2 * o->parts * kv) * size * sizeof(float) / sizeof(uint16_t);
}

static size_t split_segment(struct block *out, int32_t from, int32_t count) {
    const size_t n = blocks_of((size_t)count);
    for (size_t i = 0; i < n; i++) {
        const int32_t at = (int32_t)i * BLOCK, left = count - at;
        out[i] = (struct block){from + at, left < BLOCK ? left : BLOCK};
    }
    return n;
}

static size_t find_blocks(struct block *out, const struct seqtree *t) {
    size_t n = 0;
    for (int32_t g = 0; g < t->segment_count; g++) n += blocks_of((size_t)t->segments[g].count);
    if (n > capacity((size_t)t->node_count)) return split_segment(out, 0, t->node_count);
    n = 0;
    for (int32_t g = 0; g < t->segment_count; g++) n += split_segment(out + n, t->segments[g].start, t->segments[g].count);
    return n;
}

static struct operands operands_of(const struct attention_args *a, size_t blocks, bool half) {
    const size_t dp = padded_dim(a->shape.head_dim), planes = TILES_PLANES_OF(half), kv = a->shape.kv_heads;
    return (struct operands){
        .a = a, .blocks = blocks, .dp = dp, .planes = planes, .head_size = blocks * BLOCK * dp * planes, .parts = (PIECES + kv - 1) / kv};
}

static size_t table_elements(size_t t) { return (capacity(t) * sizeof(struct block) + 63) / 64 * 64 / sizeof(uint16_t); }

static size_t scratch_elements(size_t t, const struct attention_shape *shape, bool half, bool backward) {
    const struct attention_args a = {.shape = *shape};
    struct operands o = operands_of(&a, capacity(t), half);
    return table_elements(t) + lay_out(&o, NULL, backward);
}

static struct operands prepare(const struct attention_args *a, bool half, bool backward, uint16_t *scratch) {
    struct block *table = (struct block *)(void *)scratch;
    struct operands o = operands_of(a, find_blocks(table, a->tree), half);
    o.block = table;
    lay_out(&o, scratch + table_elements((size_t)a->tree->node_count), backward);
    pack_all(&o);
    return o;
}

/* --- who sees whom --- */

static int32_t segment_of(const struct seqtree *t, int32_t node) {
    int32_t low = 0, high = t->segment_count - 1;
    while (low < high) {
        const int32_t middle = (low + high + 1) / 2;
        if (t->segments[middle].start <= node)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

static uint32_t bits_between(int32_t from, int32_t to, struct block b) {
    from = from > b.first ? from - b.first : 0;
    to = to - b.first < b.count ? to - b.first : b.count;
    return from >= to ? 0 : (uint32_t)((((uint64_t)1 << (to - from)) - 1) << from);
}

/* seen[i]: which nodes of block `key` node i of block `query` sees. False when none sees any; *full when all see all. */
static bool visible(uint32_t seen[BLOCK], bool *full, const struct operands *n, size_t query, size_t key) {
    const struct attention_args *a = n->a;
    const struct seqtree *t = a->tree;
    const struct block q = n->block[query], k = n->block[key];
    const int32_t q1 = q.first + q.count - 1, k1 = k.first + k.count - 1;
    *full = false;
    if (k.first > q1) return false;
    int32_t qs = segment_of(t, q.first);
    const int32_t ks = segment_of(t, k.first);
    if (k1 < q.first && qs == segment_of(t, q1) && ks == segment_of(t, k1)) {
        if (!seqtree_descends(t, qs, ks)) return false;
        const int32_t apart = attention_position(&t->segments[qs], q.first) - attention_position(&t->segments[ks], k.first);
        *full = q.count == BLOCK && k.count == BLOCK && (!a->shape.window || apart + BLOCK - 1 < a->shape.window);
        if (*full) return true;
        if (a->shape.window && apart - k.count + 1 >= a->shape.window) return false;
    }
    uint32_t any = 0;
    for (int32_t i = 0; i < BLOCK; i++) {
        seen[i] = 0;
        if (i >= q.count) continue;
        const int32_t node = q.first + i;
        while (t->segments[qs].start + t->segments[qs].count <= node) qs++;
        const int32_t position = attention_position(&t->segments[qs], node);
        seen[i] = bits_between(attention_first(a, &t->segments[qs], position), node + 1, k);
        for (int32_t g = t->segments[qs].parent; g >= 0; g = t->segments[g].parent)
            seen[i] |= bits_between(attention_first(a, &t->segments[g], position), t->segments[g].start + t->segments[g].count, k);
        any |= seen[i];
    }
    return any != 0;
}

/* The blocks that one block meets. */
struct chunk {
    size_t count, block[CHUNK], head[CHUNK];
    uint32_t seen[CHUNK][BLOCK];
};

static void chunk_add(struct chunk *c, size_t block, size_t head, const uint32_t *seen, bool full) {
    c->block[c->count] = block;
    c->head[c->count] = head;
    if (full)
        memset(c->seen[c->count], 0xff, sizeof c->seen[0]);
    else
        memcpy(c->seen[c->count], seen, sizeof c->seen[0]);
    c->count++;
}

static void transpose_bits(uint32_t *out, const uint32_t *in) {
    for (int j = 0; j < BLOCK; j++) {
        uint32_t row = 0;
        for (int i = 0; i < BLOCK; i++) row |= (in[i] >> j & 1) << i;
        out[j] = row;
    }
}

/* --- products --- */

static struct tiles_side side_of(const struct operands *o, uint16_t *const *forms, enum form form, size_t head, size_t block) {
    const enum form left = form == ROWS ? ROWS_LEFT : ACROSS_LEFT;
    return (struct tiles_side){block_at(o, forms, form, head, block), forms[left] ? block_at(o, forms, left, head, block) : NULL};
}

/* s[32, 32] (leading dimension WIDTH) = rows[32, dp] times across[dp, 32]. */
static void scores(float *s, struct tiles_side rows, struct tiles_side across, const struct operands *n) {
    const size_t dp = n->dp, steps = dp / 32, second = steps * 512 * n->planes;
    tiles_sums_zero();
#if TILES_HALVES
    if (rows.left)
        tiles_steps_left(rows, dp, across, second, steps);
    else
#endif
        tiles_steps_of(n->planes, rows.main, dp * n->planes, across.main, across.main + second, NULL, NULL, steps, BLOCK, NULL);
    tiles_sums_store(s, WIDTH, BLOCK, 16);
}

/* sum[32, dp] += p[32, 32 count], rows `ld` elements apart, times the blocks of b, which are laid out `along`. */
static void add_weighted(float *sum, const uint16_t *p, size_t ld, uint16_t *const *b, size_t count, const struct operands *n) {
    const size_t dp = n->dp, tile = 512 * n->planes;
    for (size_t j = 0; j < dp; j += 32) {
        tiles_sums_load(sum + j, dp, BLOCK, 16);
        for (size_t i = 0; i < count; i++)
            tiles_steps_of(n->planes, p + i * BLOCK * n->planes, ld * n->planes, b[i] + j / 16 * tile, b[i] + (j / 16 + 1) * tile, NULL,
                           NULL, 1, BLOCK, NULL);
        tiles_sums_store(sum + j, dp, BLOCK, 16);
    }
}

/* attention_kernel.h's cap_scores, for a chunk. */
static float cap_scores(float *s, size_t blocks, const struct attention_shape *shape) {
    if (shape->softcap == 0) return shape->scale;
    const __m512 cap = _mm512_set1_ps(shape->softcap), in = _mm512_set1_ps(shape->scale / shape->softcap);
    for (size_t i = 0; i < BLOCK; i++)
        for (size_t v = 0; v < 2 * blocks; v++) {
            float *x = s + i * WIDTH + v * 16;
            _mm512_storeu_ps(x, _mm512_mul_ps(cap, tanh16(_mm512_mul_ps(_mm512_loadu_ps(x), in))));
        }
    return 1.0f;
}

/* The derivative of a capped score by the product q k. */
static __m512 slope_of(__m512 s, const struct attention_shape *shape) {
    const __m512 slope = _mm512_set1_ps(shape->scale);
    if (shape->softcap == 0) return slope;
    const __m512 t = _mm512_mul_ps(s, _mm512_set1_ps(1.0f / shape->softcap));
    return _mm512_fnmadd_ps(_mm512_mul_ps(slope, t), t, slope);
}

#define HEADS_MAX ((size_t)8) /* heads that have their sums beside each other */

/* A block of queries meets the key blocks that it sees, a chunk at a time: `heads` heads from `first` on, which read the same keys, each
 * with sums of its own, `size` bytes apart. */
typedef void chunk_fn(void *sums, const struct operands *n, const struct chunk *c, size_t query, size_t head, size_t kv);
static void meet_keys(const struct operands *n, void *sums, size_t size, chunk_fn *fn, size_t query, size_t first, size_t heads,
                      size_t kv) {
    struct chunk c = {0};
    for (size_t key = 0; key <= query; key++) {
        uint32_t seen[BLOCK] = {0};
        bool full;
        if (visible(seen, &full, n, query, key)) chunk_add(&c, key, 0, seen, full);
        if (c.count == CHUNK || (key == query && c.count)) {
            for (size_t h = 0; h < heads; h++) fn((char *)sums + h * size, n, &c, query, first + h, kv);
            c.count = 0;
        }
    }
}

/* --- forward --- */

struct softmax_sums {
    _Alignas(64) float o[BLOCK * D_MAX];
    float most[BLOCK], sum[BLOCK];
};

/* The rows' softmax goes on over a chunk of scores: p in bf16, o and sum rescaled to the new maximum. */
static void softmax_chunk(uint16_t *p, struct softmax_sums *x, const float *s, const struct chunk *c, const struct operands *n,
                          float scale) {
    const size_t vectors = c->count * 2, dp = n->dp, planes = n->planes;
    float *most = x->most, *sum = x->sum, *o = x->o;
    for (size_t i = 0; i < BLOCK; i++) {
        __m512 top = _mm512_set1_ps(-INFINITY), add = _mm512_setzero_ps();
        for (size_t v = 0; v < vectors; v++) {
            const __mmask16 mask = (__mmask16)(c->seen[v / 2][i] >> (v % 2 * 16));
            top = _mm512_mask_max_ps(top, mask, top, _mm512_loadu_ps(s + i * WIDTH + v * 16));
        }
        const float here = _mm512_reduce_max_ps(top) * scale, now = here > most[i] ? here : most[i];
        if (now == -INFINITY) { /* sees nothing of the chunk: a row behind the last node, or of another tree */
            memset(p + i * WIDTH * planes, 0, vectors * 16 * planes * sizeof *p);
            continue;
        }
        const __m512 shift = _mm512_set1_ps(-now), factor = _mm512_set1_ps(scale);
        for (size_t v = 0; v < vectors; v++) {
            const __mmask16 mask = (__mmask16)(c->seen[v / 2][i] >> (v % 2 * 16));
            const __m512 e = _mm512_maskz_mov_ps(mask, exp16(_mm512_fmadd_ps(_mm512_loadu_ps(s + i * WIDTH + v * 16), factor, shift)));
            add = _mm512_add_ps(add, e);
            store_planes(p + i * WIDTH * planes, v * 16, e, planes);
        }
        if (now != most[i]) {
            const float shrink = most[i] == -INFINITY ? 0.0f : vexp(most[i] - now);
            for (size_t k = 0; k < dp; k++) o[i * dp + k] *= shrink;
            sum[i] *= shrink;
            most[i] = now;
        }
        sum[i] += _mm512_reduce_add_ps(add);
    }
}

static void forward_chunk(void *sums, const struct operands *n, const struct chunk *c, size_t query, size_t head, size_t kv) {
    struct softmax_sums *x = sums;
    _Alignas(64) float s[BLOCK * WIDTH];
    _Alignas(64) uint16_t p[BLOCK * WIDTH * GEMM_TILES_SPLIT];
    uint16_t *values[CHUNK];
    for (size_t i = 0; i < c->count; i++) {
        scores(s + i * BLOCK, side_of(n, n->q, ROWS, head, query), side_of(n, n->k, ACROSS, kv, c->block[i]), n);
        values[i] = block_at(n, n->v, ALONG, kv, c->block[i]);
    }
    softmax_chunk(p, x, s, c, n, cap_scores(s, c->count, &n->a->shape));
    add_weighted(x->o, p, WIDTH, values, c->count, n);
}

static void forward_finish(const struct softmax_sums *x, const struct operands *n, size_t query, size_t head) {
    const struct attention_args *a = n->a;
    const size_t d = a->shape.head_dim, first = (size_t)n->block[query].first, count = (size_t)n->block[query].count;
    for (size_t i = 0; i < count; i++) {
        const float inverse = 1.0f / x->sum[i];
        for (size_t k = 0; k < d; k++) a->out[((first + i) * a->shape.heads + head) * d + k] = x->o[i * n->dp + k] * inverse;
        a->lse[(first + i) * a->shape.heads + head] = x->most[i] + logf(x->sum[i]);
    }
}

static void forward_queries(const struct operands *n, size_t query, size_t kv) {
    const size_t group = n->a->shape.heads / n->a->shape.kv_heads, end = (kv + 1) * group;
    struct softmax_sums x[HEADS_MAX];
    for (size_t head = kv * group; head < end; head += HEADS_MAX) {
        const size_t heads = end - head < HEADS_MAX ? end - head : HEADS_MAX;
        for (size_t h = 0; h < heads; h++) {
            memset(x[h].o, 0, BLOCK * n->dp * sizeof *x[h].o);
            for (size_t i = 0; i < BLOCK; i++) x[h].most[i] = -INFINITY, x[h].sum[i] = 0;
        }
        meet_keys(n, x, sizeof *x, forward_chunk, query, head, heads, kv);
        for (size_t h = 0; h < heads; h++) forward_finish(&x[h], n, query, head + h);
    }
}

/* --- backward --- */

/* Node i of a block; rows behind the last one, which nobody sees, read some node that there is. */
static size_t node_at(const struct operands *n, size_t block, size_t i) {
    const size_t count = (size_t)n->block[block].count;
    return (size_t)n->block[block].first + (i < count ? i : count - 1);
}

/* dq += ds times the block of keys, for each of the chunk's (query block, head). */
static void add_to_queries(const struct operands *n, const uint16_t *ds, const struct chunk *c, size_t key, size_t kv) {
    _Alignas(64) uint16_t turned[BLOCK * BLOCK * GEMM_TILES_SPLIT];
    uint16_t *keys = block_at(n, n->k, ALONG, kv, key);
    for (size_t i = 0; i < c->count; i++) {
        turn_block(turned, ds + i * BLOCK * n->planes, WIDTH, n->planes);
        add_weighted(sums_at(n, n->dq, c->head[i], c->block[i]), turned, BLOCK, &keys, 1, n);
    }
}

/* What a block of keys and a chunk of (query block, head) give each other: rows of s and g are keys, columns queries. */
static void key_chunk(const struct operands *n, float *dk, float *dv, const struct chunk *c, size_t key, size_t kv) {
    _Alignas(64) float s[BLOCK * WIDTH], g[BLOCK * WIDTH], lse[WIDTH], delta[WIDTH];
    _Alignas(64) uint16_t p[BLOCK * WIDTH * GEMM_TILES_SPLIT], ds[BLOCK * WIDTH * GEMM_TILES_SPLIT];
    const struct attention_args *a = n->a;
    uint16_t *queries[CHUNK], *douts[CHUNK];
    for (size_t i = 0; i < c->count; i++) {
        scores(s + i * BLOCK, side_of(n, n->k, ROWS, kv, key), side_of(n, n->q, ACROSS, c->head[i], c->block[i]), n);
        scores(g + i * BLOCK, side_of(n, n->v, ROWS, kv, key), side_of(n, n->dout, ACROSS, c->head[i], c->block[i]), n);
        queries[i] = block_at(n, n->q, ALONG, c->head[i], c->block[i]);
        douts[i] = block_at(n, n->dout, ALONG, c->head[i], c->block[i]);
        for (size_t j = 0; j < BLOCK; j++) {
            const size_t at = node_at(n, c->block[i], j) * a->shape.heads + c->head[i];
            lse[i * BLOCK + j] = a->lse[at];
            delta[i * BLOCK + j] = a->delta[at];
        }
    }
    const __m512 scale = _mm512_set1_ps(cap_scores(s, c->count, &a->shape));
    for (size_t i = 0; i < BLOCK; i++)
        for (size_t v = 0; v < 2 * c->count; v++) {
            const __mmask16 mask = (__mmask16)(c->seen[v / 2][i] >> (v % 2 * 16));
            const size_t at = i * WIDTH + v * 16;
            const __m512 score = _mm512_loadu_ps(s + at);
            const __m512 e = _mm512_maskz_mov_ps(mask, exp16(_mm512_fmsub_ps(score, scale, _mm512_loadu_ps(lse + v * 16))));
            store_planes(p + i * WIDTH * n->planes, v * 16, e, n->planes);
            const __m512 x = _mm512_mul_ps(_mm512_mul_ps(e, _mm512_sub_ps(_mm512_loadu_ps(g + at), _mm512_loadu_ps(delta + v * 16))),
                                           slope_of(score, &a->shape));
            store_planes(ds + i * WIDTH * n->planes, v * 16, x, n->planes);
        }
    add_weighted(dv, p, WIDTH, douts, c->count, n);
    add_weighted(dk, ds, WIDTH, queries, c->count, n);
    add_to_queries(n, ds, c, key, kv);
}

/* Of the queries of a part (every parts-th block) and the heads that read keys of head kv: dq, and what they add to dk and dv. */
static void backward_part(const struct operands *n, size_t part, size_t kv) {
    const size_t group = n->a->shape.heads / n->a->shape.kv_heads;
    for (size_t query = part; query < n->blocks; query += n->parts)
        for (size_t head = kv * group; head < (kv + 1) * group; head++)
            memset(sums_at(n, n->dq, head, query), 0, BLOCK * n->dp * sizeof *n->dq);
    for (size_t key = 0; key < n->blocks; key++) {
        float *dk = sums_at(n, n->dk, part * n->a->shape.kv_heads + kv, key),
              *dv = sums_at(n, n->dv, part * n->a->shape.kv_heads + kv, key);
        struct chunk c = {0};
        memset(dk, 0, BLOCK * n->dp * sizeof *dk);
        memset(dv, 0, BLOCK * n->dp * sizeof *dv);
        for (size_t query = key + (n->parts + part - key % n->parts) % n->parts; query < n->blocks; query += n->parts) {
            uint32_t seen[BLOCK] = {0}, seen_by[BLOCK] = {0};
            bool full;
            if (!visible(seen, &full, n, query, key)) continue;
            if (!full) transpose_bits(seen_by, seen);
            for (size_t head = kv * group; head < (kv + 1) * group; head++) {
                chunk_add(&c, query, head, seen_by, full);
                if (c.count < CHUNK) continue;
                key_chunk(n, dk, dv, &c, key, kv);
                c.count = 0;
            }
        }
        if (c.count) key_chunk(n, dk, dv, &c, key, kv);
    }
}

/* The sums of a block to its nodes' rows; the parts' in order. */
static void gather_block(const struct operands *n, size_t block) {
    const struct attention_args *a = n->a;
    const size_t heads = a->shape.heads, kv_heads = a->shape.kv_heads, d = a->shape.head_dim, first = (size_t)n->block[block].first;
    for (size_t i = 0; i < (size_t)n->block[block].count; i++) {
        float *row = a->dqkv + (first + i) * a->shape.stride;
        for (size_t head = 0; head < heads; head++) memcpy(row + head * d, sums_at(n, n->dq, head, block) + i * n->dp, d * sizeof *row);
        for (size_t kv = 0; kv < kv_heads; kv++)
            for (size_t part = 0; part < n->parts; part++) {
                const float *dk = sums_at(n, n->dk, part * kv_heads + kv, block) + i * n->dp,
                            *dv = sums_at(n, n->dv, part * kv_heads + kv, block) + i * n->dp;
                float *to_k = row + (heads + kv) * d, *to_v = to_k + kv_heads * d;
                for (size_t k = 0; k < d; k++) to_k[k] = part ? to_k[k] + dk[k] : dk[k], to_v[k] = part ? to_v[k] + dv[k] : dv[k];
            }
    }
}

/* --- all blocks --- */

/* Blocks that come late in the batch have most to do and go first. Which thread takes one does not matter: each writes rows of its own. */
static void forward_all(const struct attention_args *a, bool half, uint16_t *scratch) {
    const struct operands n = prepare(a, half, false, scratch);
#pragma omp parallel for schedule(dynamic, 1)
    for (size_t i = 0; i < n.blocks * a->shape.kv_heads; i++) {
        tiles_begin(BLOCK);
        forward_queries(&n, n.blocks - 1 - i % n.blocks, i / n.blocks);
        tiles_end();
    }
}

static void backward_all(const struct attention_args *a, bool half, uint16_t *scratch) {
    const struct operands n = prepare(a, half, true, scratch);
#pragma omp parallel for schedule(dynamic, 1)
    for (size_t i = 0; i < n.parts * a->shape.kv_heads; i++) {
        tiles_begin(BLOCK);
        backward_part(&n, i / a->shape.kv_heads, i % a->shape.kv_heads);
        tiles_end();
    }
#pragma omp parallel for schedule(static)
    for (size_t block = 0; block < n.blocks; block++) gather_block(&n, block);
}

const struct attention_tiles KERNELS = {scratch_elements, forward_all, backward_all};
