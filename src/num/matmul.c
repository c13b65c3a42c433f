#define _POSIX_C_SOURCE 200809L
#include "num/matmul.h"

#include <oneapi/dnnl/dnnl.h>
#include <oneapi/dnnl/dnnl_debug.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "num/cpu.h"
#include "num/dtype.h"
#include "num/gemm_tiles.h"
#include "num/gemm_fp16.h"
#include "num/matmul_operand.h"

/* One cached primitive. Shapes come from a fixed set (models have few, token counts are rounded by the caller), so the table stays small.
 */
struct plan {
    struct plan_key {
        int32_t kind, ta, tb, accumulate;
        uint64_t m, n, k, lda, ldb, ldc;
    } key;
    dnnl_primitive_desc_t desc;
    dnnl_primitive_t primitive;
    dnnl_memory_t a, b, c, scratch;
    struct plan *next;
};

#define PLAN_BUCKETS 256
static struct plan *plans[PLAN_BUCKETS];
static dnnl_engine_t engine;
static dnnl_stream_t stream;
static void *scratchpad; /* shared by all primitives: they run one at a time */
static size_t scratchpad_size;
struct operand_scratch matmul_scratch_a, matmul_scratch_b, matmul_strips, matmul_split_a;
static struct operand_scratch fp16; /* of run_fp16 */

#define DNNL_TRY(call)                                                                                                                 \
    do {                                                                                                                               \
        dnnl_status_t dnnl_status_ = (call);                                                                                           \
        if (dnnl_status_ != dnnl_success) return FAIL(ST_UNSUPPORTED, "oneDNN: %s failed (%s)", #call, dnnl_status2str(dnnl_status_)); \
    } while (0)

const char *matmul_kind_name(enum matmul_kind kind) {
    static const char *const names[] = {"f32", "bf16", "reference", "f16", "int8"};
    return names[kind];
}

enum matmul_kind matmul_kind_parse(const char *name) {
    for (int kind = MATMUL_F32; kind <= MATMUL_F16; kind++)
        if (strcmp(name, matmul_kind_name((enum matmul_kind)kind)) == 0) return (enum matmul_kind)kind;
    return matmul_kind_auto();
}

enum matmul_kind matmul_kind_auto(void) { return cpu_has_tiles() ? MATMUL_BF16 : MATMUL_F32; }

bool matmul_may_split(enum matmul_kind kind) { return kind == MATMUL_F32 && cpu_has_avx512(); }

bool matmul_splits(enum matmul_kind kind, size_t m, size_t n, size_t k) { return matmul_may_split(kind) && m >= 16 && n >= 64 && k >= 64; }

bool matmul_packs_always(enum matmul_kind kind) { return matmul_may_split(kind) || kind == MATMUL_F16; }

static status start_engine(void) {
    if (engine) return ST_OK;
    DNNL_TRY(dnnl_set_default_fpmath_mode(dnnl_fpmath_mode_strict));
    DNNL_TRY(dnnl_engine_create(&engine, dnnl_cpu, 0));
    DNNL_TRY(dnnl_stream_create(&stream, engine, dnnl_stream_default_flags));
    return ST_OK;
}

static status grow_scratchpad(size_t size) {
    if (size <= scratchpad_size) return ST_OK;
    free(scratchpad);
    scratchpad_size = 0;
    mem_count_one();
    if (posix_memalign(&scratchpad, 64, size) != 0) {
        scratchpad = NULL;
        return FAIL(ST_NOMEM, "matrix product: cannot allocate %zu bytes of scratch", size);
    }
    scratchpad_size = size;
    return ST_OK;
}

static dnnl_memory_desc_t plain_desc(size_t rows, size_t cols, bool transposed, size_t ld, dnnl_data_type_t type) {
    dnnl_memory_desc_t d;
    dnnl_dims_t dims = {(dnnl_dim_t)rows, (dnnl_dim_t)cols}, strides = {(dnnl_dim_t)ld, 1};
    if (transposed) strides[0] = 1, strides[1] = (dnnl_dim_t)ld;
    CHECK(dnnl_memory_desc_init_by_strides(&d, 2, dims, type, strides) == dnnl_success);
    return d;
}

static status make_attr(dnnl_primitive_attr_t *attr, bool accumulate) {
    DNNL_TRY(dnnl_primitive_attr_create(attr));
    DNNL_TRY(dnnl_primitive_attr_set_scratchpad_mode(*attr, dnnl_scratchpad_mode_user));
    if (!accumulate) return ST_OK;
    dnnl_post_ops_t ops;
    DNNL_TRY(dnnl_post_ops_create(&ops));
    DNNL_TRY(dnnl_post_ops_append_sum(ops, 1.0f));
    DNNL_TRY(dnnl_primitive_attr_set_post_ops(*attr, ops));
    DNNL_TRY(dnnl_post_ops_destroy(ops));
    return ST_OK;
}

static status plan_make(struct plan *p) {
    const struct plan_key *key = &p->key;
    dnnl_data_type_t type = key->kind == MATMUL_BF16 ? dnnl_bf16 : dnnl_f32;
    dnnl_memory_desc_t a = plain_desc(key->m, key->k, key->ta, key->lda, type), b = plain_desc(key->k, key->n, key->tb, key->ldb, type),
                       c = plain_desc(key->m, key->n, false, key->ldc, dnnl_f32);
    TRY(start_engine());
    dnnl_primitive_attr_t attr;
    dnnl_matmul_desc_t op;
    TRY(make_attr(&attr, key->accumulate));
    DNNL_TRY(dnnl_matmul_desc_init(&op, &a, &b, NULL, &c));
    DNNL_TRY(dnnl_primitive_desc_create(&p->desc, &op, attr, engine, NULL));
    DNNL_TRY(dnnl_primitive_create(&p->primitive, p->desc));
    DNNL_TRY(dnnl_primitive_attr_destroy(attr));
    const dnnl_memory_desc_t *s = dnnl_primitive_desc_query_md(p->desc, dnnl_query_scratchpad_md, 0);
    TRY(grow_scratchpad(dnnl_memory_desc_get_size(s)));
    DNNL_TRY(dnnl_memory_create(&p->a, &a, engine, DNNL_MEMORY_NONE));
    DNNL_TRY(dnnl_memory_create(&p->b, &b, engine, DNNL_MEMORY_NONE));
    DNNL_TRY(dnnl_memory_create(&p->c, &c, engine, DNNL_MEMORY_NONE));
    DNNL_TRY(dnnl_memory_create(&p->scratch, s, engine, DNNL_MEMORY_NONE));
    return ST_OK;
}

static uint64_t key_hash(const struct plan_key *key) {
    uint64_t h = (uint64_t)(key->kind * 8 + key->ta * 4 + key->tb * 2 + key->accumulate);
    const uint64_t parts[] = {key->m, key->n, key->k, key->lda, key->ldb, key->ldc};
    for (int i = 0; i < 6; i++) h = (h ^ parts[i]) * 0x9e3779b97f4a7c15u, h ^= h >> 29;
    return h;
}

static bool key_same(const struct plan_key *x, const struct plan_key *y) {
    return x->kind == y->kind && x->ta == y->ta && x->tb == y->tb && x->accumulate == y->accumulate && x->m == y->m && x->n == y->n &&
           x->k == y->k && x->lda == y->lda && x->ldb == y->ldb && x->ldc == y->ldc;
}

static status plan_find(struct plan **out, const struct plan_key *key) {
    struct plan **slot = &plans[key_hash(key) % PLAN_BUCKETS];
    for (struct plan *p = *slot; p; p = p->next) {
        if (!key_same(&p->key, key)) continue;
        *out = p;
        return ST_OK;
    }
    struct plan *p = mem_zero(1, sizeof *p);
    p->key = *key;
    status s = plan_make(p);
    if (s != ST_OK) {
        free(p);
        return s;
    }
    p->next = *slot;
    *slot = p;
    *out = p;
    return ST_OK;
}

static status plan_run(const struct plan_key *key, float *c, const void *a, const void *b) {
    struct plan *p;
    TRY(plan_find(&p, key));
    /* oneDNN takes void *; it only reads a and b */
    DNNL_TRY(dnnl_memory_set_data_handle(p->a, (void *)(uintptr_t)a));
    DNNL_TRY(dnnl_memory_set_data_handle(p->b, (void *)(uintptr_t)b));
    DNNL_TRY(dnnl_memory_set_data_handle(p->c, c));
    DNNL_TRY(dnnl_memory_set_data_handle(p->scratch, scratchpad));
    dnnl_exec_arg_t args[] = {{DNNL_ARG_SRC, p->a}, {DNNL_ARG_WEIGHTS, p->b}, {DNNL_ARG_DST, p->c}, {DNNL_ARG_SCRATCHPAD, p->scratch}};
    DNNL_TRY(dnnl_primitive_execute(p->primitive, stream, 4, args));
    return ST_OK;
}

void matmul_to_bf16(uint16_t *out, size_t ldo, const float *in, size_t ldi, size_t rows, size_t cols) {
    if (cpu_has_tiles()) {
        gemm_tiles_half(out, ldo, in, ldi, rows, cols);
        return;
    }
#pragma omp parallel for schedule(static) if (rows * cols > 16384)
    for (size_t r = 0; r < rows; r++) {
        for (size_t i = 0; i < cols; i++) out[r * ldo + i] = dtype_float_to_bf16(in[r * ldi + i]);
        for (size_t i = cols; i < ldo; i++) out[r * ldo + i] = 0;
    }
}

status matmul_grow_operand(struct operand_scratch *scratch, size_t rows, size_t cols, size_t size) {
    size_t bytes;
    if (!size_mul(&bytes, rows, cols) || !size_add(&bytes, bytes, GEMM_TILES_K) || !size_mul(&bytes, bytes, size))
        return FAIL(ST_NOMEM, "matrix product: operand size overflows");
    if (bytes <= scratch->bytes) return ST_OK;
    free(scratch->data);
    *scratch = (struct operand_scratch){0};
    mem_count_one();
    /* rows of tiles that lie across cache lines take twice as long */
    if (posix_memalign(&scratch->data, 64, bytes) != 0) {
        scratch->data = NULL;
        return FAIL(ST_NOMEM, "converted operand: cannot allocate %zu bytes", bytes);
    }
    memset(scratch->data, 0, bytes); /* what is read behind the last row must be finite */
    scratch->bytes = bytes;
    return ST_OK;
}

status matmul_as_half(const uint16_t **out, size_t *ld, struct operand_scratch *scratch, struct mat x, size_t rows, size_t cols) {
    *out = x.h;
    *ld = x.ld;
    if (x.h) return ST_OK;
    TRY(matmul_grow_operand(scratch, rows, cols, sizeof(uint16_t)));
    matmul_to_bf16(scratch->data, cols, x.f, x.ld, rows, cols);
    *out = scratch->data;
    *ld = cols;
    return ST_OK;
}

status matmul_as_rounded(const float **out, size_t *ld, struct operand_scratch *scratch, struct mat x, size_t rows, size_t cols) {
    TRY(matmul_grow_operand(scratch, rows, cols, sizeof(float)));
    float *to = scratch->data;
#pragma omp parallel for schedule(static) if (rows * cols > 16384)
    for (size_t r = 0; r < rows; r++) {
        if (x.h)
            dtype_table[DTYPE_BF16].expand(to + r * cols, x.h + r * x.ld, cols);
        else
            for (size_t i = 0; i < cols; i++) to[r * cols + i] = dtype_bf16_to_float(dtype_float_to_bf16(x.f[r * x.ld + i]));
    }
    *out = to;
    *ld = cols;
    return ST_OK;
}

static void reference(float *c, size_t ldc, struct mat a, bool ta, struct mat b, bool tb, size_t m, size_t n, size_t k, bool accumulate) {
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++) {
            double sum = accumulate ? (double)c[i * ldc + j] : 0.0;
            for (size_t p = 0; p < k; p++)
                sum += (double)(ta ? a.f[p * a.ld + i] : a.f[i * a.ld + p]) * (double)(tb ? b.f[j * b.ld + p] : b.f[p * b.ld + j]);
            c[i * ldc + j] = (float)sum;
        }
}

static status run_split(float *c, size_t ldc, struct mat a, bool ta, struct mat b, bool tb, size_t m, size_t n, size_t k, bool accumulate) {
    const float *init = accumulate ? c : NULL;
    TRY(matmul_grow_operand(&matmul_split_a, m, gemm_tiles_row(k, GEMM_TILES_SPLIT), sizeof(uint16_t)));
    TRY(matmul_grow_operand(&matmul_strips, gemm_tiles_plain_bytes(k), 1, 1));
    gemm_tiles_split(matmul_split_a.data, a.f, a.ld, ta, m, k, GEMM_TILES_SPLIT);
    const struct gemm_tiles g = {.m = m,
                                 .n = n,
                                 .k = k,
                                 .planes = GEMM_TILES_SPLIT,
                                 .a = matmul_split_a.data,
                                 .lda = gemm_tiles_row(k, GEMM_TILES_SPLIT),
                                 .plain = b.f,
                                 .ld_plain = b.ld,
                                 .transposed = tb,
                                 .strips = matmul_strips.data,
                                 .init = init,
                                 .ld_init = ldc,
                                 .c = c,
                                 .ldc = ldc};
    gemm_tiles_run(&g);
    return ST_OK;
}

/* Products too small to repay packing stay in fp32, as do a few rows by a head; others of a batch in training never have fewer than 16
 * rows, as with matmul_splits. */
static bool suits_fp16(size_t m, size_t n, size_t k) { return m >= 16 && n >= 64 && k >= 64 && (m >= 512 || n * k <= (size_t)1 << 24); }

static status run_fp16(float *c, size_t ldc, struct mat a, bool ta, struct mat b, bool tb, size_t m, size_t n, size_t k, bool accumulate) {
    TRY(matmul_grow_operand(&fp16, gemm_fp16_bytes(m, n, k), 1, 1));
    gemm_fp16_run(&(struct gemm_fp16){m, n, k, a.f, a.ld, ta, b.f, b.ld, tb, c, ldc, accumulate}, fp16.data);
    return ST_OK;
}

status matmul(float *c, size_t ldc, enum matmul_kind kind, struct mat a, bool ta, struct mat b, bool tb, size_t m, size_t n, size_t k,
              bool accumulate) {
    if (!m || !n || !k) return ST_OK;
    if (kind == MATMUL_REFERENCE) {
        reference(c, ldc, a, ta, b, tb, m, n, k, accumulate);
        return ST_OK;
    }
    struct plan_key key = {
        .kind = kind, .ta = ta, .tb = tb, .accumulate = accumulate, .m = m, .n = n, .k = k, .lda = a.ld, .ldb = b.ld, .ldc = ldc};
    if (cpu_has_amx_bf16() && matmul_splits(kind, m, n, k)) return run_split(c, ldc, a, ta, b, tb, m, n, k, accumulate);
    if (kind == MATMUL_F16 && suits_fp16(m, n, k)) return run_fp16(c, ldc, a, ta, b, tb, m, n, k, accumulate);
    if (kind == MATMUL_F16) return matmul(c, ldc, MATMUL_F32, a, ta, b, tb, m, n, k, accumulate);
    if (kind == MATMUL_F32) return plan_run(&key, c, a.f, b.f);
    size_t lda = 0, ldb = 0;
    if (!cpu_has_tiles()) {
        const float *af = NULL, *bf = NULL;
        TRY(matmul_as_rounded(&af, &lda, &matmul_scratch_a, a, ta ? k : m, ta ? m : k));
        TRY(matmul_as_rounded(&bf, &ldb, &matmul_scratch_b, b, tb ? n : k, tb ? k : n));
        return matmul(c, ldc, MATMUL_F32, (struct mat){.f = af, .ld = lda}, ta, (struct mat){.f = bf, .ld = ldb}, tb, m, n, k, accumulate);
    }
    const uint16_t *ah = NULL, *bh = NULL;
    TRY(matmul_as_half(&ah, &lda, &matmul_scratch_a, a, ta ? k : m, ta ? m : k));
    TRY(matmul_as_half(&bh, &ldb, &matmul_scratch_b, b, tb ? n : k, tb ? k : n));
    key.lda = lda;
    key.ldb = ldb;
    return plan_run(&key, c, ah, bh);
}

void matmul_shutdown(void) {
    matmul_weight_shutdown();
    for (size_t i = 0; i < PLAN_BUCKETS; i++)
        while (plans[i]) {
            struct plan *p = plans[i];
            plans[i] = p->next;
            dnnl_memory_destroy(p->a);
            dnnl_memory_destroy(p->b);
            dnnl_memory_destroy(p->c);
            dnnl_memory_destroy(p->scratch);
            dnnl_primitive_destroy(p->primitive);
            dnnl_primitive_desc_destroy(p->desc);
            free(p);
        }
    if (stream) dnnl_stream_destroy(stream);
    if (engine) dnnl_engine_destroy(engine);
    stream = NULL;
    engine = NULL;
    free(scratchpad);
    free(matmul_scratch_a.data);
    free(matmul_scratch_b.data);
    free(matmul_split_a.data);
    free(fp16.data);
    free(matmul_strips.data);
    scratchpad = NULL;
    scratchpad_size = 0;
    matmul_scratch_a = matmul_scratch_b = matmul_split_a = fp16 = matmul_strips = (struct operand_scratch){0};
}
