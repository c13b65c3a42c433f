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
    size_t heads, kv, d, stride;
    float *qkv, *out, *lse, *dout, *dqkv;
    void *scratch;
    float scale;
};

static void build(struct setup *s, size_t heads, size_t kv, size_t d, int32_t prefix, int32_t tail1, int32_t tail2) {
    static int32_t x[600], y[600];
    for (int32_t i = 0; i < 600; i++) x[i] = i, y[i] = i < prefix ? i : 1000 + i;
    const int32_t *ids[] = {x, y, x + 300};
    const int32_t sizes[] = {prefix + tail1, prefix + tail2, 40}, from[] = {prefix, prefix, 1};
    *s = (struct setup){.heads = heads, .kv = kv, .d = d, .stride = (heads + 2 * kv) * d, .scale = 1.0f / sqrtf((float)d)};
    assert_int_equal(seqtree_init(&s->tree, 1500, 16, 1500), ST_OK);
    assert_int_equal(seqtree_build(&s->tree, ids, sizes, from, 3, true), ST_OK);
    size_t t = (size_t)s->tree.node_count;
    s->qkv = calloc(t * s->stride, sizeof(float));
    s->dqkv = calloc(t * s->stride, sizeof(float));
    s->out = calloc(t * heads * d, sizeof(float));
    s->dout = calloc(t * heads * d, sizeof(float));
    s->lse = calloc(t * heads, sizeof(float));
    s->scratch = aligned_alloc(64, (attention_scratch(t, heads, kv, d, true, true) + 127) / 64 * 64);
    struct rng r = rng_seeded(7);
    for (size_t i = 0; i < t * s->stride; i++) s->qkv[i] = (float)rng_normal(&r);
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

static void check_twins(size_t heads, size_t kv, size_t d, int32_t prefix, int32_t tail1, int32_t tail2) {
    struct setup s;
    build(&s, heads, kv, d, prefix, tail1, tail2);
    size_t t = (size_t)s.tree.node_count, n = t * heads * d;
    float *out = calloc(n, sizeof(float)), *lse = calloc(t * heads, sizeof(float)), *dqkv = calloc(t * s.stride, sizeof(float));
    attention_forward_reference(out, lse, s.qkv, &s.tree, heads, kv, d, s.stride, s.scale);
    attention_forward(s.out, s.lse, s.qkv, &s.tree, heads, kv, d, s.stride, s.scale, false, s.scratch);
    assert_true(worst(out, s.out, n) < 5e-6);
    assert_true(worst(lse, s.lse, t * heads) < 5e-6);
    attention_backward_reference(dqkv, s.dout, out, lse, s.qkv, &s.tree, heads, kv, d, s.stride, s.scale);
    attention_backward(s.dqkv, s.dout, s.out, s.lse, s.qkv, &s.tree, heads, kv, d, s.stride, s.scale, false, s.scratch);
    assert_true(worst(dqkv, s.dqkv, t * s.stride) < 1e-4);
    /* bf16 operands: errors of a few 2^-9 of what is summed, and the same bits every time */
    float *again = calloc(t * s.stride, sizeof(float));
    attention_forward(s.out, s.lse, s.qkv, &s.tree, heads, kv, d, s.stride, s.scale, true, s.scratch);
    assert_true(worst(out, s.out, n) < 0.03 && distance(out, s.out, n) < 6e-3);
    assert_true(worst(lse, s.lse, t * heads) < 0.03);
    attention_backward(s.dqkv, s.dout, s.out, s.lse, s.qkv, &s.tree, heads, kv, d, s.stride, s.scale, true, s.scratch);
    assert_true(distance(dqkv, s.dqkv, t * s.stride) < 8e-3);
    attention_backward(again, s.dout, s.out, s.lse, s.qkv, &s.tree, heads, kv, d, s.stride, s.scale, true, s.scratch);
    assert_memory_equal(again, s.dqkv, t * s.stride * sizeof(float));
    free(again);
    free(out), free(lse), free(dqkv);
    destroy(&s);
}

static void fast_equals_reference(void **state) {
    (void)state;
    check_twins(4, 2, 8, 5, 3, 1);
    check_twins(9, 3, 64, 70, 101, 33);
    check_twins(3, 1, 40, 130, 64, 65);
    check_twins(2, 2, 128, 1, 90, 31);
    check_twins(6, 2, 96, 32, 32, 64);
    check_twins(8, 2, 80, 200, 90, 7);
}

/* sum(dout * out) as a function of one input. */
static double objective(const struct setup *s, float *out, float *lse) {
    attention_forward_reference(out, lse, s->qkv, &s->tree, s->heads, s->kv, s->d, s->stride, s->scale);
    double sum = 0;
    for (size_t i = 0; i < (size_t)s->tree.node_count * s->heads * s->d; i++) sum += (double)out[i] * (double)s->dout[i];
    return sum;
}

static void reference_gradient_is_right(void **state) {
    (void)state;
    struct setup s;
    build(&s, 4, 2, 8, 6, 5, 3);
    size_t t = (size_t)s.tree.node_count, n = t * s.heads * s.d;
    float *out = calloc(n, sizeof(float)), *lse = calloc(t * s.heads, sizeof(float));
    objective(&s, out, lse);
    attention_backward_reference(s.dqkv, s.dout, out, lse, s.qkv, &s.tree, s.heads, s.kv, s.d, s.stride, s.scale);
    for (size_t i = 0; i < t * s.stride; i += 7) {
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

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(fast_equals_reference), cmocka_unit_test(reference_gradient_is_right)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
