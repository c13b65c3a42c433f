/* peak: the rate of oneDNN's largest products on this machine, GFLOP/s, best of several: fp32 and bf16 (with weights in oneDNN's own
 * layout), which bench/run measures everything against. usage: peak [SECONDS_A_TYPE]; threads: OMP_NUM_THREADS. Prints one JSON object. */
#define _POSIX_C_SOURCE 200809L
#include <oneapi/dnnl/dnnl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { M = 1024, N = 2048, K = 2048 };

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void must(dnnl_status_t s, const char *what) {
    if (s == dnnl_success) return;
    fprintf(stderr, "peak: %s: oneDNN status %d\n", what, (int)s);
    exit(1);
}

static dnnl_memory_t memory(const dnnl_memory_desc_t *d, dnnl_engine_t e) {
    dnnl_memory_t m;
    void *data;
    must(dnnl_memory_create(&m, d, e, DNNL_MEMORY_ALLOCATE), "memory");
    must(dnnl_memory_get_data_handle(m, &data), "memory");
    for (size_t i = 0; i < dnnl_memory_desc_get_size(d) / 2; i++) ((unsigned short *)data)[i] = 0x3c00; /* small numbers in either type */
    return m;
}

static double rate(dnnl_data_type_t type, double seconds) {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_memory_desc_t a, b, c;
    dnnl_matmul_desc_t desc;
    dnnl_primitive_desc_t pd;
    dnnl_primitive_t product;
    must(dnnl_engine_create(&engine, dnnl_cpu, 0), "engine");
    must(dnnl_stream_create(&stream, engine, dnnl_stream_default_flags), "stream");
    must(dnnl_memory_desc_init_by_tag(&a, 2, (dnnl_dims_t){M, K}, type, dnnl_ab), "a");
    must(dnnl_memory_desc_init_by_tag(&b, 2, (dnnl_dims_t){K, N}, type, dnnl_format_tag_any), "b");
    must(dnnl_memory_desc_init_by_tag(&c, 2, (dnnl_dims_t){M, N}, dnnl_f32, dnnl_ab), "c");
    must(dnnl_matmul_desc_init(&desc, &a, &b, NULL, &c), "matmul");
    must(dnnl_primitive_desc_create(&pd, &desc, NULL, engine, NULL), "matmul");
    must(dnnl_primitive_create(&product, pd), "matmul");
    dnnl_exec_arg_t args[] = {{DNNL_ARG_SRC, memory(&a, engine)},
                              {DNNL_ARG_WEIGHTS, memory(dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0), engine)},
                              {DNNL_ARG_DST, memory(&c, engine)}};
    double best = 1e9;
    for (double begin = now(), at = begin; at - begin < seconds;) {
        must(dnnl_primitive_execute(product, stream, 3, args), "execute");
        must(dnnl_stream_wait(stream), "wait");
        const double end = now();
        if (end - at < best) best = end - at;
        at = end;
    }
    for (int i = 0; i < 3; i++) dnnl_memory_destroy(args[i].memory);
    dnnl_primitive_destroy(product);
    dnnl_primitive_desc_destroy(pd);
    dnnl_stream_destroy(stream);
    dnnl_engine_destroy(engine);
    return 2e-9 * M * N * K / best;
}

int main(int argc, char **argv) {
    const double seconds = argc > 1 ? atof(argv[1]) : 1;
    printf("{\"f32\": %.1f, \"bf16\": %.1f}\n", rate(dnnl_f32, seconds), rate(dnnl_bf16, seconds));
    return 0;
}
