/* The gradient of every operation against central differences, products against double loops, and what each promises about accumulation.
 *
 * Each check takes a random direction `dout`, makes the scalar sum(dout * f(x)) in double, and compares its slope along every input with
 * what the backward function wrote. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "kept_rows.h"
#include "model/dora.h"
#include "model/linear.h"
#include "num/act.h"
#include "num/dtype.h"
#include "num/norm.h"
#include "num/rope.h"
#include "num/softmax_logp.h"
#include "num/vexp.h"

#define STEP 0x1p-6f
#define N_MAX 4096

static void ok(status s) {
    if (s != ST_OK) fail_msg("%s", status_message());
}

static void fill(float *x, size_t n, uint64_t seed) {
    struct rng r = rng_seeded(seed);
    for (size_t i = 0; i < n; i++) x[i] = (float)rng_normal(&r);
}

static double dot(const float *a, const float *b, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)a[i] * (double)b[i];
    return sum;
}

typedef double (*objective)(void *context);

/* Is got[i] the slope of f along x[i], for every i? Errors: STEP^2 f'''/6 and rounding / STEP. */
static void check_slopes(const char *what, float *x, const float *got, size_t n, objective f, void *context) {
    double most = 0;
    for (size_t i = 0; i < n; i++) most = fmax(most, fabs((double)got[i]));
    for (size_t i = 0; i < n; i++) {
        const float keep = x[i];
        x[i] = keep + STEP;
        const double up = f(context), above = (double)x[i];
        x[i] = keep - STEP;
        const double down = f(context), below = (double)x[i];
        x[i] = keep;
        const double slope = (up - down) / (above - below);
        if (!(fabs(slope - (double)got[i]) <= 1e-3 * (1 + most)))
            fail_msg("%s: gradient [%zu] is %.7g, slope %.7g", what, i, (double)got[i], slope);
    }
}

struct norm_case {
    size_t t, c;
    float x[N_MAX], weight[N_MAX], dout[N_MAX], out[N_MAX], rstd[64];
};
static double norm_objective(void *context) {
    struct norm_case *k = context;
    rmsnorm_forward(k->out, NULL, NULL, k->rstd, k->x, k->weight, k->t, k->c, 1e-5f);
    return dot(k->out, k->dout, k->t * k->c);
}

static void rmsnorm_gradient(void **state) {
    (void)state;
    static const size_t shapes[][2] = {{1, 1}, {3, 7}, {5, 64}, {2, 130}};
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
        static struct norm_case k;
        static float dx[N_MAX], dweight[N_MAX], before[N_MAX];
        k.t = shapes[s][0], k.c = shapes[s][1];
        const size_t n = k.t * k.c;
        fill(k.x, n, 1), fill(k.weight, k.c, 2), fill(k.dout, n, 3), fill(before, n, 4);
        for (size_t i = 0; i < n; i++) k.x[i] += k.x[i] < 0 ? -0.5f : 0.5f; /* away from the pole at 0 */
        memcpy(dx, before, n * sizeof(float));
        memset(dweight, 0, sizeof dweight);
        norm_objective(&k);
        rmsnorm_backward(dx, dweight, k.dout, (struct kept){.f = k.x}, k.weight, k.rstd, k.t, k.c);
        for (size_t i = 0; i < n; i++) dx[i] -= before[i]; /* it adds */
        check_slopes("norm dx", k.x, dx, n, norm_objective, &k);
        check_slopes("norm dweight", k.weight, dweight, k.c, norm_objective, &k);
    }
}

/* Kept rows in bf16: the same as from their values in fp32; and what is kept is x, rounded. */
static void rmsnorm_of_halves(void **state) {
    (void)state;
    enum { T = 5, C = 67 };
    static float x[T * C], rounded[T * C], weight[C], dout[T * C], out[2][T * C], dx[2][T * C], dweight[2][C], rstd[T];
    static uint16_t kept[T * C];
    fill(x, T * C, 1), fill(weight, C, 2), fill(dout, T * C, 3);
    rmsnorm_forward(out[0], NULL, kept, rstd, x, weight, T, C, 1e-5f);
    for (size_t i = 0; i < T * C; i++) {
        assert_int_equal(kept[i], dtype_float_to_bf16(x[i]));
        rounded[i] = dtype_bf16_to_float(kept[i]);
    }
    const struct kept rows[] = {{.f = rounded}, {.h = kept}};
    for (size_t i = 0; i < 2; i++) {
        rmsnorm_again(out[i], NULL, rows[i], rstd, weight, T, C);
        rmsnorm_backward(dx[i], dweight[i], dout, rows[i], weight, rstd, T, C);
    }
    assert_memory_equal(out[0], out[1], sizeof out[0]);
    for (size_t i = 0; i < T * C; i++) assert_true(fabsf(dx[0][i] - dx[1][i]) <= 1e-6f * (1 + fabsf(dx[0][i])));
    for (size_t i = 0; i < C; i++) assert_true(fabsf(dweight[0][i] - dweight[1][i]) <= 1e-6f * (1 + fabsf(dweight[0][i])));
}

/* Heads' norms alike, against those in fp32 and against slopes by way of them. */
static void headnorm_of_halves(void **state) {
    (void)state;
    enum { T = 4, H = 3, K = 2, D = 10, STRIDE = (H + 2 * K) * D, RAW = T * (H + K) * D };
    static float qkv[T * STRIDE], other[T * STRIDE], q_norm[D], k_norm[D], plain[RAW], rstd[T * (H + K)], dqkv[2][T * STRIDE], dq[2][D],
        dk[2][D];
    static uint16_t kept[RAW];
    const struct head_norm n = {q_norm, k_norm, H, K, D, STRIDE, 1e-6f};
    fill(qkv, T * STRIDE, 1), fill(q_norm, D, 2), fill(k_norm, D, 3), fill(dqkv[0], T * STRIDE, 4);
    memcpy(other, qkv, sizeof qkv), memcpy(dqkv[1], dqkv[0], sizeof dqkv[0]);
    headnorm_forward(qkv, (struct kept){.f = plain}, rstd, &n, T);
    headnorm_forward(other, (struct kept){.h = kept}, rstd, &n, T);
    assert_memory_equal(qkv, other, sizeof qkv);
    for (size_t i = 0; i < RAW; i++) {
        assert_int_equal(kept[i], dtype_float_to_bf16(plain[i]));
        plain[i] = dtype_bf16_to_float(kept[i]);
    }
    headnorm_backward(dqkv[0], dq[0], dk[0], (struct kept){.f = plain}, rstd, &n, T);
    headnorm_backward(dqkv[1], dq[1], dk[1], (struct kept){.h = kept}, rstd, &n, T);
    for (size_t i = 0; i < T * STRIDE; i++) assert_true(fabsf(dqkv[0][i] - dqkv[1][i]) <= 1e-6f * (1 + fabsf(dqkv[0][i])));
    assert_memory_equal(dq[0], dq[1], sizeof dq[0]);
    assert_memory_equal(dk[0], dk[1], sizeof dk[0]);
}

struct act_case {
    struct glu kind;
    size_t t, f;
    float gate_up[N_MAX], dout[N_MAX], out[N_MAX];
};
static double act_objective(void *context) {
    struct act_case *k = context;
    glu_forward(k->out, k->gate_up, k->kind, k->t, k->f);
    return dot(k->out, k->dout, k->t * k->f);
}

static void check_glu(enum glu_kind kind) {
    static struct act_case k = {.t = 3, .f = 37};
    static float dgate_up[N_MAX];
    k.kind = glu_of(kind);
    const size_t n = k.t * k.f;
    fill(k.gate_up, 2 * n, 5), fill(k.dout, n, 6);
    for (size_t i = 0; i < 8; i++) k.gate_up[i] *= 30;    /* saturated gates */
    for (size_t i = 0; i < N_MAX; i++) dgate_up[i] = NAN; /* it writes */
    glu_backward(dgate_up, k.dout, k.gate_up, k.kind, k.t, k.f);
    check_slopes("glu", k.gate_up, dgate_up, 2 * n, act_objective, &k);
    k.gate_up[0] = 500, k.gate_up[1] = -500;
    act_objective(&k);
    glu_backward(dgate_up, k.dout, k.gate_up, k.kind, k.t, k.f);
    assert_true(isfinite(k.out[0]) && fabs((double)k.out[0] - 500.0 * (double)k.gate_up[k.f]) < 1e-3 * 500 && k.out[1] == 0);
    for (size_t i = 0; i < 2 * n; i++) assert_true(isfinite(dgate_up[i]));
    for (int i = -40; i <= 40; i++) { /* torch's formulas */
        const float pair[2] = {(float)i / 8, 1};
        const double x = (double)pair[0], gelu = 0.5 * x * (1 + tanh(0.7978845608028654 * (x + 0.044715 * x * x * x))),
                     silu = x / (1 + exp(-x));
        glu_forward(k.out, pair, k.kind, 1, 1);
        assert_true(fabs((double)k.out[0] - (kind == GLU_SILU ? silu : gelu)) < 1e-6 * (0.1 + fabs(x)));
    }
}

static void glu_gradient(void **state) {
    (void)state;
    for (int kind = 0; kind < GLU_KINDS; kind++) check_glu((enum glu_kind)kind);
}

struct rope_case {
    size_t t, heads, d, rotary, stride;
    const float *table;
    const int32_t *depth;
    float x[N_MAX], y[N_MAX], dout[N_MAX];
};
static double rope_objective(void *context) {
    struct rope_case *k = context;
    memcpy(k->y, k->x, k->t * k->stride * sizeof(float));
    rope_apply(k->y, k->table, k->depth, k->t, k->heads, k->d, k->rotary, k->stride, false);
    return dot(k->y, k->dout, k->t * k->stride);
}

static void check_rope(size_t rotary) {
    static float table[64 * 16], dx[N_MAX];
    static const int32_t depth[] = {0, 1, 17, 63, 2};
    static struct rope_case k = {.t = 5, .heads = 3, .d = 16, .stride = 4 * 16, .table = table, .depth = depth};
    float frequency[8];
    k.rotary = rotary;
    for (int i = 0; i < 8; i++) frequency[i] = powf(10000, -(float)i / 8);
    rope_table(table, frequency, 1, 64, rotary);
    const size_t n = k.t * k.stride;
    fill(k.x, n, 7), fill(k.dout, n, 8);
    memcpy(dx, k.dout, n * sizeof(float));
    rope_apply(dx, table, depth, k.t, k.heads, k.d, k.rotary, k.stride, true);
    check_slopes("rope", k.x, dx, n, rope_objective, &k);
    rope_objective(&k); /* a rotation: the inverse brings the input back, heads behind `heads` are left alone */
    rope_apply(k.y, table, depth, k.t, k.heads, k.d, k.rotary, k.stride, true);
    for (size_t i = 0; i < n; i++) assert_true(fabs((double)k.y[i] - (double)k.x[i]) < 1e-5);
    for (size_t i = 0; i < k.t; i++)
        for (size_t j = k.heads * k.d; j < k.stride; j++) assert_true(k.y[i * k.stride + j] == k.x[i * k.stride + j]);
}

static void rope_gradient(void **state) {
    (void)state;
    check_rope(16);
    check_rope(12); /* the last four elements of a head stay */
}

#define VOCAB 1203
#define ROWS 3
struct softmax_case {
    float logits[ROWS * VOCAB], lse[ROWS], entropy[ROWS], mean[ROWS], log_squares[ROWS];
    int32_t argmax[ROWS];
    float weight[ROWS];
};
/* Sum of weighted log-probs of targets 5, 6, 7. */
static double softmax_objective(void *context) {
    struct softmax_case *k = context;
    logp_rows(k->lse, k->entropy, k->argmax, k->mean, k->log_squares, k->logits, ROWS, VOCAB);
    double sum = 0;
    for (size_t r = 0; r < ROWS; r++) sum += (double)k->weight[r] * ((double)k->logits[r * VOCAB + 5 + r] - (double)k->lse[r]);
    return sum;
}

static void softmax_logp_gradient(void **state) {
    (void)state;
    static struct softmax_case k;
    static float probs[ROWS * VOCAB];
    fill(k.logits, ROWS * VOCAB, 9), fill(k.weight, ROWS, 10);
    for (size_t i = 0; i < VOCAB; i++) k.logits[VOCAB + i] = k.logits[VOCAB + i] * 4 + 300; /* far from 0 */
    softmax_objective(&k);
    for (size_t r = 0; r < ROWS; r++) {
        const float *x = k.logits + r * VOCAB;
        double z = 0, e = 0, mean = 0, squares = 0;
        size_t best = 0;
        for (size_t i = 0; i < VOCAB; i++) {
            z += exp((double)x[i] - (double)x[0]);
            mean += (double)x[i] / VOCAB;
            if (x[i] > x[best]) best = i;
        }
        const double lse = log(z) + (double)x[0];
        for (size_t i = 0; i < VOCAB; i++) squares += exp(2 * ((double)x[i] - lse));
        assert_true(fabs((double)k.log_squares[r] - log(squares)) < 1e-5);
        for (size_t i = 0; i < VOCAB; i++) e -= exp((double)x[i] - lse) * ((double)x[i] - lse);
        assert_true(fabs((double)k.lse[r] - lse) < 1e-6 * fabs(lse) && fabs((double)k.entropy[r] - e) < 1e-5);
        assert_true(fabs((double)k.mean[r] - mean) < 1e-5 * (1 + fabs(mean)) && k.argmax[r] == (int32_t)best);
    }
    softmax_rows(probs, k.logits, k.lse, NULL, 0, ROWS, VOCAB);
    for (size_t r = 0; r < ROWS; r++) {
        double sum = 0;
        for (size_t i = 0; i < VOCAB; i++) sum += (double)probs[r * VOCAB + i];
        assert_true(fabs(sum - 1) < 2e-5);
        for (size_t i = 0; i < VOCAB; i++) probs[r * VOCAB + i] = k.weight[r] * ((i == 5 + r ? 1.0f : 0.0f) - probs[r * VOCAB + i]);
    }
    /* The row at 300 resolves slopes no finer than its last bit allows. */
    check_slopes("softmax", k.logits, probs, VOCAB, softmax_objective, &k);
    check_slopes("softmax", k.logits + 2 * VOCAB, probs + 2 * VOCAB, VOCAB, softmax_objective, &k);
}

struct softcap_case {
    struct softmax_case raw, capped;
    float cap;
};
static double softcap_objective(void *context) {
    struct softcap_case *k = context;
    k->capped = k->raw;
    softcap_rows(k->capped.logits, k->cap, ROWS, VOCAB);
    return softmax_objective(&k->capped);
}

static void softcap_gradient(void **state) {
    (void)state;
    static struct softcap_case k = {.cap = 3};
    static float grad[ROWS * VOCAB];
    fill(k.raw.logits, ROWS * VOCAB, 9), fill(k.raw.weight, ROWS, 10);
    for (size_t i = 0; i < 40; i++) k.raw.logits[i] *= 5;
    softcap_objective(&k);
    for (size_t i = 0; i < VOCAB; i++) assert_true(fabs((double)k.capped.logits[i] - 3 * tanh((double)k.raw.logits[i] / 3)) < 1e-6);
    softmax_rows(grad, k.capped.logits, k.capped.lse, NULL, k.cap, ROWS, VOCAB);
    for (size_t r = 0; r < ROWS; r++)
        for (size_t i = 0; i < VOCAB; i++) {
            const float target = i == 5 + r ? softcap_slope(k.capped.logits[r * VOCAB + i], k.cap) : 0.0f;
            grad[r * VOCAB + i] = k.raw.weight[r] * (target - grad[r * VOCAB + i]);
        }
    check_slopes("softcap", k.raw.logits, grad, ROWS * VOCAB, softcap_objective, &k);
}

/* In panels, one of which has a logit far above all before it: the same as in one piece; and what is left in place of the logits makes,
 * followed up, the probabilities. */
static void check_panels(float cap, enum logp_weights weights) {
    enum { PANEL = 256 };
    static float logits[ROWS * VOCAB], whole[ROWS * VOCAB], probs[ROWS * VOCAB], panel[ROWS * PANEL + 64], sums[ROWS * VOCAB];
    struct logp_sums s[ROWS];
    float lse[2][ROWS], entropy[2][ROWS], mean[2][ROWS], squares[2][ROWS];
    int32_t argmax[2][ROWS];
    fill(logits, ROWS * VOCAB, 31);
    logits[700] = 50, logits[VOCAB + 300] = 35, logits[VOCAB + 301] = 35,
    logits[VOCAB + 1202] = 80; /* of the second row the base moves twice */
    memcpy(whole, logits, sizeof whole);
    logp_rows(lse[0], entropy[0], argmax[0], mean[0], squares[0], whole, ROWS, VOCAB);
    softmax_rows(probs, whole, lse[0], NULL, cap, ROWS, VOCAB);
    logp_begin(s, ROWS);
    for (size_t first = 0, n; first < VOCAB; first += n) {
        n = VOCAB - first < PANEL ? VOCAB - first : PANEL;
        for (size_t r = 0; r < ROWS; r++) memcpy(panel + r * n, logits + r * VOCAB + first, n * sizeof *panel);
        logp_add(s, &(struct logp_panel){panel, first, ROWS, n, cap, true, weights});
        for (size_t r = 0; r < ROWS; r++) {
            const uint16_t *half = (const uint16_t *)(const void *)(panel + r * n);
            for (size_t i = 0; i < first; i++) sums[r * VOCAB + i] *= s[r].again;
            for (size_t i = 0; i < n; i++)
                sums[r * VOCAB + first + i] = weights == LOGP_HALVES ? dtype_bf16_to_float(half[i]) : panel[r * n + i];
            if (weights == LOGP_HALVES && n >= 32) assert_true(half[n] == 0 && half[n + 31] == 0); /* a product reads them */
        }
    }
    logp_end(lse[1], entropy[1], argmax[1], mean[1], squares[1], s, ROWS, VOCAB);
    for (size_t r = 0; r < ROWS; r++) {
        assert_true(fabs((double)lse[0][r] - (double)lse[1][r]) < 1e-5 && fabs((double)entropy[0][r] - (double)entropy[1][r]) < 1e-5);
        assert_true(argmax[0][r] == argmax[1][r] && fabs((double)mean[0][r] - (double)mean[1][r]) < 1e-5 &&
                    fabs((double)squares[0][r] - (double)squares[1][r]) < 1e-5);
        for (size_t i = 0; weights != LOGP_NONE && i < VOCAB; i++) {
            const double want = (double)probs[r * VOCAB + i], got = (double)sums[r * VOCAB + i] / s[r].z;
            if (!(fabs(got - want) <= 1e-30 + (weights == LOGP_HALVES ? 0x1p-8 : 3e-6) * fabs(want)))
                fail_msg("row %zu, %zu: %g, want %g", r, i, got, want);
        }
    }
}

static void softmax_in_panels(void **state) {
    (void)state;
    check_panels(0, LOGP_NONE);
    check_panels(0, LOGP_FLOATS);
    check_panels(0, LOGP_HALVES);
    check_panels(100, LOGP_FLOATS);
    check_panels(100, LOGP_HALVES);
}

static void exponentials(void **state) {
    (void)state;
    double worst = 0;
    for (double x = -87; x < 88; x += 0.00137) worst = fmax(worst, fabs((double)vexp((float)x) / exp((double)(float)x) - 1));
    assert_true(worst < 2e-7);
    worst = 0;
    for (double x = -12; x < 12; x += 0.000137) worst = fmax(worst, fabs((double)vtanh((float)x) / tanh((double)(float)x) - 1));
    assert_true(worst < 2e-7 && vtanh(0) == 0 && vtanh(100) == 1 && vtanh(-100) == -1 && isnan(vtanh(NAN)));
    assert_true(vexp(0) == 1 && vexp(-200) == 0 && vexp(-INFINITY) == 0 && isinf(vexp(200)) && isinf(vexp(INFINITY)) && isnan(vexp(NAN)));
    float logits[4] = {1, NAN, 2, 3}, lse, entropy, mean; /* a broken row says so */
    int32_t argmax;
    logp_rows(&lse, &entropy, &argmax, &mean, NULL, logits, 1, 4);
    assert_true(isnan(lse) && isnan(mean));
    struct logp_sums s; /* in whichever panel it is */
    float none[2] = {-INFINITY, -INFINITY};
    logp_begin(&s, 1);
    logp_add(&s, &(struct logp_panel){none, 0, 1, 2, 0, false, LOGP_NONE});
    logp_add(&s, &(struct logp_panel){logits, 2, 1, 4, 0, false, LOGP_NONE});
    logp_end(&lse, &entropy, &argmax, &mean, NULL, &s, 1, 6);
    assert_true(isnan(lse));
}

static double product(const float *a, bool ta, const float *b, bool tb, size_t lda, size_t ldb, size_t i, size_t j, size_t k) {
    double sum = 0;
    for (size_t x = 0; x < k; x++) sum += (double)(ta ? a[x * lda + i] : a[i * lda + x]) * (double)(tb ? b[j * ldb + x] : b[x * ldb + j]);
    return sum;
}

/* All transpositions and kinds, with leading dimensions wider than the rows, adding and not. */
static void products(void **state) {
    (void)state;
    static const size_t shapes[][3] = {{1, 1, 1}, {2, 3, 5}, {33, 17, 40}, {16, 64, 8}, {1, 70, 33}};
    static float a[N_MAX * 2], b[N_MAX * 2], c[N_MAX * 2], before[N_MAX * 2];
    fill(a, N_MAX * 2, 11), fill(b, N_MAX * 2, 12), fill(before, N_MAX * 2, 13);
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
        const size_t m = shapes[s][0], n = shapes[s][1], k = shapes[s][2];
        for (int how = 0; how < 24; how++) {
            const bool ta = how & 1, tb = how & 2, accumulate = how & 4;
            const enum matmul_kind kind = (enum matmul_kind[]){MATMUL_F32, MATMUL_BF16, MATMUL_REFERENCE}[how / 8];
            const size_t lda = (ta ? m : k) + 3, ldb = (tb ? k : n) + 2, ldc = n + 1;
            memcpy(c, before, sizeof c);
            ok(matmul(c, ldc, kind, (struct mat){.f = a, .ld = lda}, ta, (struct mat){.f = b, .ld = ldb}, tb, m, n, k, accumulate));
            for (size_t i = 0; i < m; i++) {
                for (size_t j = 0; j < n; j++) {
                    const double want = product(a, ta, b, tb, lda, ldb, i, j, k) + (accumulate ? (double)before[i * ldc + j] : 0);
                    const double limit = (kind == MATMUL_BF16 ? 0.02 : 2e-6) * sqrt((double)k + 1);
                    if (!(fabs((double)c[i * ldc + j] - want) < limit))
                        fail_msg("%s %zux%zux%zu ta %d tb %d accumulate %d [%zu,%zu]: %g, want %g", matmul_kind_name(kind), m, n, k, ta, tb,
                                 accumulate, i, j, (double)c[i * ldc + j], want);
                }
                assert_true(c[i * ldc + n] == before[i * ldc + n]); /* the gap between rows stays */
            }
        }
    }
}

/* A packed weight gives the products of a plain one, and again after an update. */
static void weights(void **state) {
    (void)state;
    enum { M = 19, N = 24, K = 33 };
    static float w[N * K], x[M * K], dy[M * N], y[M * N], dx[M * K];
    fill(x, M * K, 14), fill(dy, M * N, 15);
    for (int kind = 0; kind < 3; kind++) {
        struct matmul_weight packed;
        struct arena memory = {0};
        const double limit = kind == MATMUL_BF16 ? 0.15 : 2e-5;
        fill(w, N * K, 16);
        ok(matmul_weight_init(&packed, &memory, (enum matmul_kind)kind, w, N, K, true));
        for (int round = 0; round < 2; round++) {
            for (int accumulate = 0; accumulate < 2; accumulate++) {
                fill(y, M * N, 17), fill(dx, M * K, 18);
                const float y0 = accumulate ? y[5] : 0, dx0 = accumulate ? dx[5] : 0;
                ok(matmul_weight_forward(y, N, accumulate ? y : NULL, N, (struct mat){.f = x, .ld = K}, &packed, M));
                ok(matmul_weight_backward(dx, K, accumulate ? dx : NULL, K, (struct mat){.f = dy, .ld = N}, &packed, M));
                assert_true(fabs((double)y[5] - (double)y0 - product(x, false, w, true, K, K, 0, 5, K)) < limit);
                assert_true(fabs((double)dx[5] - (double)dx0 - product(dy, false, w, false, N, K, 0, 5, N)) < limit);
                /* adjoint: <dy, x W^T> = <dy W, x> */
                if (!accumulate) assert_true(fabs(dot(dy, y, M * N) - dot(dx, x, M * K)) < 40 * limit);
            }
            fill(w, N * K, 19);
            ok(matmul_weight_update(&packed, w));
        }
        arena_release(&memory);
    }
}

static double largest_gap(const float *x, const float *y, size_t n) {
    double most = 0;
    for (size_t i = 0; i < n; i++) most = fmax(most, fabs((double)x[i] - (double)y[i]));
    return most;
}

/* A weight whose rows are made when a product wants them gives what a packed one gives; large enough for several panels. */
static void stored_weights(void **state) {
    (void)state;
    enum { M = 5, N = 4300, K = 2048 };
    float *w = test_malloc(sizeof *w * N * K), *x = test_malloc(sizeof *x * M * K), *dy = test_malloc(sizeof *dy * M * N),
          *y = test_malloc(2 * sizeof *y * M * N), *dx = test_malloc(2 * sizeof *dx * M * K);
    fill(w, N * K, 51), fill(x, M * K, 52), fill(dy, M * N, 53);
    for (int kind = 0; kind < 3; kind++) {
        struct matmul_weight packed, stored;
        struct arena memory = {0};
        const struct kept_rows source = {w, K};
        ok(matmul_weight_init(&packed, &memory, (enum matmul_kind)kind, w, N, K, true));
        ok(matmul_weight_init_stored(&stored, (enum matmul_kind)kind, kept_rows, &source, N, K, false));
        for (int accumulate = 0; accumulate < 2; accumulate++) {
            for (int side = 0; side < 2; side++) {
                float *yy = y + side * M * N, *dd = dx + side * M * K;
                const struct matmul_weight *of = side ? &stored : &packed;
                fill(yy, M * N, 54), fill(dd, M * K, 55);
                ok(matmul_weight_forward(yy, N, accumulate ? yy : NULL, N, (struct mat){.f = x, .ld = K}, of, M));
                ok(matmul_weight_backward(dd, K, accumulate ? dd : NULL, K, (struct mat){.f = dy, .ld = N}, of, M));
            }
            assert_true(largest_gap(y, y + M * N, M * N) < 1e-3); /* sums of 2048 and 4300 terms of size 1 */
            assert_true(largest_gap(dx, dx + M * K, M * K) < 1e-3);
        }
        arena_release(&memory);
    }
    test_free(w), test_free(x), test_free(dy), test_free(y), test_free(dx);
}

/* Views of rows of a weight, packed or made: their forward products are columns of the whole one's, their backward products add up to it.
 */
static void views_of_weights(void **state) {
    (void)state;
    enum { M = 32, N = 200, K = 96 };
    static float w[N * K], x[M * K], dy[M * N], y[2][M * N], dx[2][M * K];
    fill(w, N * K, 56), fill(x, M * K, 57), fill(dy, M * N, 58);
    for (int way = 0; way < 6; way++) {
        const enum matmul_kind kind = (enum matmul_kind)(way % 3);
        struct matmul_weight whole;
        struct arena memory = {0};
        const struct kept_rows source = {w, K};
        if (way < 3)
            ok(matmul_weight_init(&whole, &memory, kind, w, N, K, true));
        else
            ok(matmul_weight_init_stored(&whole, kind, kept_rows, &source, N, K, false));
        ok(matmul_weight_forward(y[0], N, NULL, 0, (struct mat){.f = x, .ld = K}, &whole, M));
        ok(matmul_weight_backward(dx[0], K, NULL, 0, (struct mat){.f = dy, .ld = N}, &whole, M));
        for (size_t from = 0; from < N; from += 64) {
            const struct matmul_weight all_but_last =
                matmul_weight_rows(&whole, from < 64 ? 0 : 64, from < 64 ? N - 8 : N - 64); /* a view of a view */
            const size_t rows = from + 64 < N ? 64 : N - from;
            const struct matmul_weight view = matmul_weight_rows(&all_but_last, from < 64 ? from : from - 64, rows);
            ok(matmul_weight_forward(y[1] + from, N, NULL, 0, (struct mat){.f = x, .ld = K}, &view, M));
            ok(matmul_weight_backward(dx[1], K, from ? dx[1] : NULL, K, (struct mat){.f = dy + from, .ld = N}, &view, M));
        }
        assert_true(largest_gap(y[0], y[1], M * N) < 1e-4);
        assert_true(largest_gap(dx[0], dx[1], M * K) < 1e-4); /* both from operands rounded alike */
        arena_release(&memory);
    }
}

/* q|k|v fused, of which the first and last are adapted. */
#define T_LINEAR 5
#define IN 7
#define OUT 12
#define RANK 3
struct linear_case {
    struct linear l;
    struct linear_scratch scratch;
    float theta[OUT * IN + 2 * RANK * IN + 9 * RANK], w[OUT * IN];
    float x[T_LINEAR * IN], y[T_LINEAR * OUT], u[T_LINEAR * 2 * RANK], dy[T_LINEAR * OUT];
    float du[T_LINEAR * 2 * RANK], dropped[T_LINEAR * IN];
};
#define THETA (sizeof(((struct linear_case *)0)->theta) / sizeof(float))
static double linear_objective(void *context) {
    struct linear_case *k = context;
    ok(linear_forward(k->y, NULL, k->u, (struct mat){.f = k->x, .ld = IN}, &k->l, k->theta, &k->scratch, T_LINEAR));
    return dot(k->y, k->dy, T_LINEAR * OUT);
}

static void check_linear(enum matmul_kind kind, float dropout, bool full, bool adapters) {
    static struct linear_case k;
    static float dx[T_LINEAR * IN], grad[THETA];
    memset(&k, 0, sizeof k);
    fill(k.theta, THETA, 20), fill(k.w, OUT * IN, 21), fill(k.x, T_LINEAR * IN, 22), fill(k.dy, T_LINEAR * OUT, 23);
    k.l = (struct linear){.layer = 1,
                          .in = IN,
                          .out = OUT,
                          .part_count = 3,
                          .w_offset = full ? 0 : LINEAR_FROZEN,
                          .saved_offset = LINEAR_FROZEN,
                          .u_width = adapters ? 2 * RANK : 0,
                          .a_offset = OUT * IN};
    k.l.part[0] = (struct linear_part){.role = TENSOR_Q,
                                       .row = 0,
                                       .rows = 5,
                                       .adapted = adapters,
                                       .rank = RANK,
                                       .scale = 1.75f,
                                       .u_col = 0,
                                       .b_offset = OUT * IN + 2 * RANK * IN};
    k.l.part[1] = (struct linear_part){.role = TENSOR_K, .row = 5, .rows = 3};
    k.l.part[2] = (struct linear_part){.role = TENSOR_V,
                                       .row = 8,
                                       .rows = 4,
                                       .adapted = adapters,
                                       .rank = RANK,
                                       .scale = 0.5f,
                                       .u_col = RANK,
                                       .b_offset = OUT * IN + 2 * RANK * IN + 5 * RANK};
    k.scratch = (struct linear_scratch){.du = k.du, .dropped = k.dropped, .dropout = {.p = dropout, .key = 77}};
    struct arena memory = {0};
    ok(matmul_weight_init(&k.l.w, &memory, kind, full ? k.theta : k.w, OUT, IN, true));
    linear_objective(&k);
    for (size_t i = 0; i < THETA; i++) grad[i] = 0.5f;
    for (size_t i = 0; i < T_LINEAR * IN; i++) dx[i] = 0.25f;
    const struct mat dy = {.f = k.dy, .ld = OUT}, x = {.f = k.x, .ld = IN};
    ok(linear_backward(dx, grad, dy, x, k.u, &k.l, k.theta, &k.scratch, T_LINEAR, true));
    for (size_t i = 0; i < THETA; i++) grad[i] -= 0.5f;
    for (size_t i = 0; i < T_LINEAR * IN; i++) dx[i] -= 0.25f;
    check_slopes("linear dx", k.x, dx, T_LINEAR * IN, linear_objective, &k);
    check_slopes("linear parameters", k.theta, grad, THETA, linear_objective, &k); /* includes that unused ones get 0 */
    static float again[T_LINEAR * IN];
    ok(linear_backward(again, NULL, dy, x, k.u, &k.l, k.theta, &k.scratch, T_LINEAR, false)); /* written, not added; no gradients */
    for (size_t i = 0; i < T_LINEAR * IN; i++) assert_true(fabs((double)again[i] - (double)dx[i]) < 1e-5 * (1 + fabs((double)dx[i])));
    arena_release(&memory);
}

static void linear_gradient(void **state) {
    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        if (kind == MATMUL_BF16) continue; /* rounding hides slopes; held to the others by products() and the goldens */
        check_linear((enum matmul_kind)kind, 0, false, false);
        check_linear((enum matmul_kind)kind, 0, false, true);
        check_linear((enum matmul_kind)kind, 0.4f, false, true);
        check_linear((enum matmul_kind)kind, 0, true, false);
    }
}

/* Dropout keeps about 1 - p, scales by 1 / (1 - p), and draws the same mask for the same key only. */
static void dropout_mask(void **state) {
    (void)state;
    static struct linear_case k;
    static float first[T_LINEAR * IN];
    size_t dropped = 0, changed = 0, all = 0;
    for (uint64_t key = 0; key < 200; key++) {
        memset(&k, 0, sizeof k);
        fill(k.theta, THETA, 20), fill(k.x, T_LINEAR * IN, 22);
        k.l = (struct linear){.in = IN,
                              .out = OUT,
                              .part_count = 1,
                              .w_offset = LINEAR_FROZEN,
                              .saved_offset = LINEAR_FROZEN,
                              .u_width = RANK,
                              .a_offset = 0};
        k.l.part[0] = (struct linear_part){.rows = OUT, .adapted = true, .rank = RANK, .scale = 1, .b_offset = RANK * IN};
        k.scratch = (struct linear_scratch){.du = k.du, .dropped = k.dropped, .dropout = {.p = 0.25f, .key = key}};
        struct arena memory = {0};
        ok(matmul_weight_init(&k.l.w, &memory, MATMUL_REFERENCE, k.w, OUT, IN, true));
        linear_objective(&k);
        for (size_t i = 0; i < T_LINEAR * IN; i++, all++) {
            if (k.dropped[i] == 0)
                dropped++;
            else
                assert_true(fabs((double)k.dropped[i] * 0.75 - (double)k.x[i]) < 1e-5 * fabs((double)k.x[i]));
            if ((k.dropped[i] == 0) != (first[i] == 0)) changed++;
        }
        memcpy(first, k.dropped, sizeof first);
        linear_objective(&k);
        assert_memory_equal(first, k.dropped, sizeof first);
        arena_release(&memory);
    }
    assert_true(fabs((double)dropped / (double)all - 0.25) < 0.03);
    assert_true(fabs((double)changed / (double)all - 0.375) < 0.04); /* 2 p (1 - p): keys are independent */
}

/* Rows of a linear as one of their own, with an adapter, its norms under DoRA, and a bias: columns of the whole one's y, parts of its
 * gradients. */
static void check_rows_of_linear(bool dora) {
    enum { T = 20, N = 160, K = 40, R = 3, A = R * K, B = A + N * R, COUNT = B + N };
    static float w[N * K], bias[N], theta[COUNT], grad[2][COUNT], x[T * K], dy[T * N], y[2][T * N], u[T * (R + N)], dx[2][T * K], du[T * R],
        dz[T * N], part[T * N], dpart[T * N];
    static float squares[N], gain[N], inverse[N], products[(R + 1) * N + R * R];
    struct dora norms = {squares, gain, inverse};
    const struct linear_scratch scratch = {.du = du, .dz = dz};
    struct linear l = {.in = K,
                       .out = N,
                       .part_count = 1,
                       .u_width = R,
                       .a_offset = 0,
                       .w_offset = LINEAR_FROZEN,
                       .saved_offset = LINEAR_FROZEN,
                       .bias_offset = LINEAR_FROZEN,
                       .biased = true,
                       .bias = bias,
                       .dora = dora ? &norms : NULL};
    l.part[0] = (struct linear_part){.rows = N, .adapted = true, .rank = R, .scale = 2, .b_offset = A, .m_offset = B};
    fill(w, N * K, 61), fill(bias, N, 62), fill(theta, COUNT, 63), fill(x, T * K, 64), fill(dy, T * N, 65);
    memset(grad, 0, sizeof grad);
    dora_squares(squares, w, N, K);
    ok(matmul_weight_init(&l.w, NULL, MATMUL_F32, w, N, K, true));
    ok(linear_bind(&l, theta, products));
    ok(linear_forward(y[0], NULL, u, (struct mat){.f = x, .ld = K}, &l, theta, &scratch, T));
    ok(linear_backward(dx[0], grad[0], (struct mat){.f = dy, .ld = N}, (struct mat){.f = x, .ld = K}, u, &l, theta, &scratch, T, false));
    for (size_t from = 0, n; from < N; from += n) {
        struct dora own;
        n = from + 64 < N ? 64 : N - from;
        const struct linear view = linear_rows(&l, from, n, &own);
        ok(linear_forward(part, NULL, u, (struct mat){.f = x, .ld = K}, &view, theta, &scratch, T));
        for (size_t i = 0; i < T; i++)
            memcpy(y[1] + i * N + from, part + i * n, n * sizeof *part), memcpy(dpart + i * n, dy + i * N + from, n * sizeof *dpart);
        ok(linear_backward(dx[1], grad[1], (struct mat){.f = dpart, .ld = n}, (struct mat){.f = x, .ld = K}, u, &view, theta, &scratch, T,
                           from > 0));
    }
    assert_true(largest_gap(y[0], y[1], T * N) < 1e-4 && largest_gap(dx[0], dx[1], T * K) < 1e-3 &&
                largest_gap(grad[0], grad[1], COUNT) < 1e-3);
    assert_true(grad[0][0] != 0 && grad[0][B - 1] != 0 && (!dora || grad[0][COUNT - 1] != 0));
}

static void rows_of_a_linear(void **state) {
    (void)state;
    check_rows_of_linear(false);
    check_rows_of_linear(true);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rmsnorm_gradient), cmocka_unit_test(rmsnorm_of_halves), cmocka_unit_test(headnorm_of_halves),
        cmocka_unit_test(glu_gradient),     cmocka_unit_test(rope_gradient),     cmocka_unit_test(softmax_logp_gradient),
        cmocka_unit_test(softcap_gradient), cmocka_unit_test(softmax_in_panels), cmocka_unit_test(exponentials),
        cmocka_unit_test(products),         cmocka_unit_test(weights),           cmocka_unit_test(stored_weights),
        cmocka_unit_test(views_of_weights), cmocka_unit_test(rows_of_a_linear),  cmocka_unit_test(linear_gradient),
        cmocka_unit_test(dropout_mask),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
