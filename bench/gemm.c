/* gemm: products as training has them, by rapt's matmul and by oneDNN's sgemm, in turns in one run: GFLOP/s of each (best of some), their
 * ratio, and the error of both against sums in double. usage: gemm [SECONDS_A_SHAPE [f32|f16]]; RAPT_ISA=avx512-fp16 hides the tile
 * registers */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <oneapi/dnnl/dnnl.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/rng.h"
#include "num/matmul.h"

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static float *filled(size_t n, uint64_t seed) {
    float *x = malloc(n * sizeof *x);
    struct rng r = rng_seeded(seed);
    for (size_t i = 0; x && i < n; i++) x[i] = (float)rng_normal(&r);
    return x;
}

struct shape {
    const char *name;
    size_t m, n, k;
    bool ta, tb;
};

static double error_of(const float *c, const float *a, const float *b, const struct shape *s) {
    double d = 0, all = 0;
    for (size_t i = 0; i < s->m; i += 37)
        for (size_t j = 0; j < s->n; j += 101) {
            double sum = 0;
            for (size_t p = 0; p < s->k; p++)
                sum += (double)a[s->ta ? p * s->m + i : i * s->k + p] * (double)b[s->tb ? j * s->k + p : p * s->n + j];
            d += (sum - (double)c[i * s->n + j]) * (sum - (double)c[i * s->n + j]), all += sum * sum;
        }
    return sqrt(d / all);
}

static enum matmul_kind kind;

static void once(int which, float *c, const float *a, const float *b, const struct shape *s) {
    const size_t lda = s->ta ? s->m : s->k, ldb = s->tb ? s->k : s->n;
    if (which == 0) {
        if (matmul(c, s->n, kind, (struct mat){.f = a, .ld = lda}, s->ta, (struct mat){.f = b, .ld = ldb}, s->tb, s->m, s->n, s->k,
                   false) != ST_OK)
            exit(1);
    } else {
        dnnl_sgemm(s->ta ? 'T' : 'N', s->tb ? 'T' : 'N', (dnnl_dim_t)s->m, (dnnl_dim_t)s->n, (dnnl_dim_t)s->k, 1.0f, a, (dnnl_dim_t)lda, b,
                   (dnnl_dim_t)ldb, 0.0f, c, (dnnl_dim_t)s->n);
    }
}

int main(int argc, char **argv) {
    const double seconds = argc > 1 ? atof(argv[1]) : 1.0;
    kind = matmul_kind_parse(argc > 2 ? argv[2] : "f32");
    static const struct shape shapes[] = {
        {"qkv, forward", 1024, 960, 576, false, true},
        {"o, forward", 1024, 576, 576, false, true},
        {"gate|up, forward", 1024, 3072, 576, false, true},
        {"down, forward", 1024, 576, 1536, false, true},
        {"gate|up, input gradient", 1024, 576, 3072, false, false},
        {"down, input gradient", 1024, 1536, 576, false, false},
        {"head, 160 rows", 160, 49152, 576, false, true},
        {"head, gradient", 160, 576, 49152, false, false},
        {"gate|up, weight gradient", 3072, 576, 1024, true, false},
        {"2048 x 8192, forward", 1024, 8192, 2048, false, true},
    };
    printf("%d threads\n%-26s %8s %8s %7s  %s\n", omp_get_max_threads(), "GFLOP/s", "rapt", "oneDNN", "ratio",
           "rms error, rapt and oneDNN");
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const struct shape *s = &shapes[i];
        float *a = filled(s->m * s->k, 1), *b = filled(s->n * s->k, 2), *c = filled(s->m * s->n, 3);
        double best[2] = {1e9, 1e9}, error[2];
        for (double start = now(); now() - start < seconds;)
            for (int which = 0; which < 2; which++) {
                const double from = now();
                once(which, c, a, b, s);
                const double took = now() - from;
                if (took < best[which]) best[which] = took;
            }
        for (int which = 0; which < 2; which++) once(which, c, a, b, s), error[which] = error_of(c, a, b, s);
        const double flops = 2e-9 * (double)s->m * (double)s->n * (double)s->k;
        printf("%-26s %8.0f %8.0f %7.2f  %.1e %.1e\n", s->name, flops / best[0], flops / best[1], best[1] / best[0], error[0], error[1]);
        free(a), free(b), free(c);
    }
    return 0;
}
