/* Attention against its twin (fp32, and bf16 on the tile registers where there are any), and the twin's gradient against finite
 * differences. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "num/attention.h"

struct setup {
    struct seqtree tree;
    struct attention_shape shape;
    float *qkv, *out, *lse, *dout, *dqkv;
    void *scratch;
};

static size_t rows_of(const struct setup *s) { return (size_t)s->tree.node_count; }
static size_t out_size(const struct setup *s) { return rows_of(s) * s->shape.heads * s->shape.head_dim; }

static void build(struct setup *s, struct attention_shape shape, int32_t prefix, int32_t tail1, int32_t tail2) {
    static int32_t x[600], y[600];
    for (int32_t i = 0; i < 600; i++) x[i] = i, y[i] = i < prefix ? i : 1000 + i;
    const int32_t *ids[] = {x, y, x + 300};
    const int32_t sizes[] = {prefix + tail1, prefix + tail2, 40}, from[] = {prefix, prefix, 1};
    const size_t heads = shape.heads, kv = shape.kv_heads, d = shape.head_dim;
    shape.stride = (heads + 2 * kv) * d;
    shape.scale = 1.0f / sqrtf((float)d);
    *s = (struct setup){.shape = shape};
    assert_int_equal(seqtree_init(&s->tree, 1500, 16, 1500), ST_OK);
    assert_int_equal(seqtree_build(&s->tree, ids, sizes, from, 3, true), ST_OK);
    size_t t = (size_t)s->tree.node_count;
    s->qkv = calloc(t * shape.stride, sizeof(float));
    s->dqkv = calloc(t * shape.stride, sizeof(float));
    s->out = calloc(t * heads * d, sizeof(float));
    s->dout = calloc(t * heads * d, sizeof(float));
    s->lse = calloc(t * heads, sizeof(float));
    s->scratch = aligned_alloc(64, (attention_scratch(t, &shape, true, true) + attention_scratch(t, &shape, false, true) + 127) / 64 * 64);
    struct rng r = rng_seeded(7);
    for (size_t i = 0; i < t * shape.stride; i++) s->qkv[i] = (float)rng_normal(&r);
    for (size_t i = 0; i < t * heads * d; i++) s->dout[i] = (float)rng_normal(&r);
}

static void destroy(struct setup *s) {
    seqtree_release(&s->tree);
    free(s->qkv), free(s->dqkv), free(s->out), free(s->dout), free(s->lse), free(s->scratch);
}

static double worst(const float *a, const float *b, size_t n) {
    double most = 0;
    for (size_t i = 0; i < n; i++) most = fmax(most, fabs((double)a[i] - (double)b[i]));
    return most;
}

/* The norm of the difference against that of b. */
static double distance(const float *a, const float *b, size_t n) {
    double d = 0, all = 0;
    for (size_t i = 0; i < n; i++) d += pow((double)a[i] - (double)b[i], 2), all += pow((double)b[i], 2);
    return sqrt(d / all);
}

static void check_twins(struct attention_shape shape, int32_t prefix, int32_t tail1, int32_t tail2) {
    struct setup s;
    build(&s, shape, prefix, tail1, tail2);
    const size_t t = rows_of(&s), n = out_size(&s), heads = shape.heads, stride = s.shape.stride;
    float *out = calloc(n, sizeof(float)), *lse = calloc(t * heads, sizeof(float)), *dqkv = calloc(t * stride, sizeof(float));
    attention_forward_reference(out, lse, s.qkv, &s.tree, &s.shape);
    attention_forward(s.out, s.lse, s.qkv, &s.tree, &s.shape, false, s.scratch);
    assert_true(worst(out, s.out, n) < 5e-6);
    assert_true(worst(lse, s.lse, t * heads) < 5e-6);
    attention_backward_reference(dqkv, s.dout, out, lse, s.qkv, &s.tree, &s.shape);
    attention_backward(s.dqkv, s.dout, (struct kept){.f = s.out}, s.lse, s.qkv, &s.tree, &s.shape, false, s.scratch);
    assert_true(worst(dqkv, s.dqkv, t * stride) < 1e-4);
    /* bf16 operands: errors of a few 2^-9 of what is summed, and the same bits every time */
    float *again = calloc(t * stride, sizeof(float));
    attention_forward(s.out, s.lse, s.qkv, &s.tree, &s.shape, true, s.scratch);
    assert_true(worst(out, s.out, n) < 0.03 && distance(out, s.out, n) < 6e-3);
    assert_true(worst(lse, s.lse, t * heads) < 0.03);
    attention_backward(s.dqkv, s.dout, (struct kept){.f = s.out}, s.lse, s.qkv, &s.tree, &s.shape, true, s.scratch);
    assert_true(distance(dqkv, s.dqkv, t * stride) < 8e-3);
    attention_backward(again, s.dout, (struct kept){.f = s.out}, s.lse, s.qkv, &s.tree, &s.shape, true, s.scratch);
    assert_memory_equal(again, s.dqkv, t * stride * sizeof(float));
    uint16_t *rounded = calloc(n, sizeof *rounded); /* as layers keep what attention gave */
    for (size_t i = 0; i < n; i++) rounded[i] = dtype_float_to_bf16(s.out[i]);
    attention_backward(again, s.dout, (struct kept){.h = rounded}, s.lse, s.qkv, &s.tree, &s.shape, true, s.scratch);
    assert_true(distance(dqkv, again, t * stride) < 8e-3);
    free(again), free(rounded);
    free(out), free(lse), free(dqkv);
    destroy(&s);
}

static const struct {
    struct attention_shape shape;
    int32_t prefix, tail1, tail2;
} cases[] = {
    {{.heads = 4, .kv_heads = 2, .head_dim = 8}, 5, 3, 1},      {{.heads = 9, .kv_heads = 3, .head_dim = 64}, 70, 101, 33},
    {{.heads = 3, .kv_heads = 1, .head_dim = 40}, 130, 64, 65}, {{.heads = 2, .kv_heads = 2, .head_dim = 128}, 1, 90, 31},
    {{.heads = 6, .kv_heads = 2, .head_dim = 96}, 32, 32, 64},  {{.heads = 8, .kv_heads = 2, .head_dim = 80}, 200, 90, 7},
    {{.heads = 2, .kv_heads = 1, .head_dim = 256}, 40, 70, 3},
};

static void fast_equals_reference(void **state) {
    (void)state;
    static const int32_t windows[] = {0, 1, 7, 33, 64, 100, 1000};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (size_t w = 0; w < sizeof windows / sizeof windows[0]; w++)
            for (int cap = 0; cap < 2; cap++) {
                struct attention_shape shape = cases[i].shape;
                shape.window = windows[w];
                shape.softcap = cap ? 1.5f : 0;
                check_twins(shape, cases[i].prefix, cases[i].tail1, cases[i].tail2);
            }
}

/* sum(dout * out) as a function of one input. */
static double objective(const struct setup *s, float *out, float *lse) {
    attention_forward_reference(out, lse, s->qkv, &s->tree, &s->shape);
    double sum = 0;
    for (size_t i = 0; i < out_size(s); i++) sum += (double)out[i] * (double)s->dout[i];
    return sum;
}

static void check_gradient(float softcap, int32_t window) {
    struct setup s;
    build(&s, (struct attention_shape){.heads = 4, .kv_heads = 2, .head_dim = 8, .softcap = softcap, .window = window}, 6, 5, 3);
    const size_t t = rows_of(&s);
    float *out = calloc(out_size(&s), sizeof(float)), *lse = calloc(t * s.shape.heads, sizeof(float));
    objective(&s, out, lse);
    attention_backward_reference(s.dqkv, s.dout, out, lse, s.qkv, &s.tree, &s.shape);
    for (size_t i = 0; i < t * s.shape.stride; i += 7) {
        const float keep = s.qkv[i], h = 0x1p-7f;
        s.qkv[i] = keep + h;
        double up = objective(&s, out, lse);
        s.qkv[i] = keep - h;
        double down = objective(&s, out, lse);
        s.qkv[i] = keep;
        assert_true(fabs((up - down) / (2.0 * (double)h) - (double)s.dqkv[i]) < 2e-3);
    }
    free(out), free(lse);
    destroy(&s);
}

static void reference_gradient_is_right(void **state) {
    (void)state;
    check_gradient(0, 0);
    check_gradient(1.5f, 0);
    check_gradient(0, 4);
    check_gradient(3, 7);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(fast_equals_reference), cmocka_unit_test(reference_gradient_is_right)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
