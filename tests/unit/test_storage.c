/* A model whose weights stay as their file has them computes what the packed one does: log-probs and the adapter's gradients, on the golden
 * models of every family and both forms of file, with layers computed again in backward or not. And the planner picks what fits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/rng.h"
#include "model/lora.h"
#include "train/memory.h"

#define GOLDEN TEST_SOURCE_DIR "/golden/"
#define LENGTH 24
#define ENTRIES (2 * LENGTH)

static void ok(status s) {
    if (s != ST_OK) fail_msg("%s", status_message());
}

struct outcome {
    float logp[ENTRIES];
    int32_t count;
    float *grad;
    size_t params;
};

#define ALL_LINEAR .rank = 4, .alpha = 8, .target_count = 1, .targets = {"all-linear"}
static const struct lora_options plain = {ALL_LINEAR},
                                 others[] = {{ALL_LINEAR, .dora = true}, {ALL_LINEAR, .dropout = 0.25}, {ALL_LINEAR, .save_head = true}};

/* adapter NULL: all weights. */
static void describe(struct model *m, const char *path, enum matmul_kind kind, const struct lora_options *adapter) {
    const enum model_use use = adapter ? MODEL_ADAPTER : MODEL_FULL;
    ok(model_describe(m, path, kind, use));
    ok(model_need_positions(m, LENGTH));
    if (!adapter) return;
    ok(lora_attach(m, adapter, 1, true));
    struct rng r = rng_seeded(2);
    for (size_t i = 0; i < m->params.size; i++) m->params.value[i] += 0.1f * (float)rng_normal(&r);
}

/* One prompt of half the tokens with two answers. */
static void compute(struct outcome *out, const char *path, enum matmul_kind kind, const struct lora_options *adapter,
                    enum model_storage storage, size_t recompute) {
    struct model m;
    struct run run;
    struct seqtree tree;
    int32_t ids[2][LENGTH], sizes[2] = {LENGTH, LENGTH - 3}, from[2] = {LENGTH / 2, LENGTH / 2};
    const int32_t *rows[2] = {ids[0], ids[1]};
    float dlogp[ENTRIES];
    const struct run_plan plan = {
        .tokens = 2 * LENGTH, .scored = ENTRIES, .train = true, .recompute_layers = recompute, .dropout = adapter && adapter->dropout > 0};
    describe(&m, path, kind, adapter);
    for (int32_t i = 0; i < LENGTH; i++)
        for (int k = 0; k < 2; k++) ids[k][i] = (int32_t)((size_t)(3 + 7 * i + (i >= LENGTH / 2 ? 11 * k : 0)) % m.config.vocab);
    m.storage = storage;
    ok(model_load(&m));
    ok(run_init(&run, &m, &plan));
    if (plan.dropout) run.scratch.dropout = (struct dropout){.p = (float)adapter->dropout, .key = 5};
    ok(seqtree_init(&tree, 2 * LENGTH, 2 * LENGTH, ENTRIES));
    ok(seqtree_build(&tree, rows, sizes, from, 2, true));
    ok(run_forward(&run, &tree, m.params.value, true));
    out->count = tree.score_count;
    for (int32_t i = 0; i < tree.score_count; i++) dlogp[i] = tree.scores[i].sequence ? -0.7f : 1.0f;
    memcpy(out->logp, run.logp, (size_t)tree.score_count * sizeof *run.logp);
    ok(run_backward(&run, &tree, m.params.value, dlogp));
    out->params = m.params.size;
    out->grad = malloc(m.params.size * sizeof(float));
    memcpy(out->grad, m.params.grad, m.params.size * sizeof(float));
    seqtree_release(&tree);
    run_release(&run);
    model_release(&m);
}

/* |x - y| / |y| */
static double distance(const float *x, const float *y, size_t n) {
    double gap = 0, norm = 0;
    for (size_t i = 0; i < n; i++) gap += pow((double)x[i] - (double)y[i], 2), norm += pow((double)y[i], 2);
    return sqrt(gap / norm);
}

static void check(const char *path, int kind, const char *what, const struct outcome *got, const struct outcome *want, double most) {
    assert_int_equal(got->count, want->count);
    const double logp = distance(got->logp, want->logp, (size_t)want->count), grad = distance(got->grad, want->grad, want->params);
    if (!(logp < 1e-6 && grad < most))
        fail_msg("%s, %s, %s: log-probs %.3g, gradients %.3g", path, matmul_kind_name((enum matmul_kind)kind), what, logp, grad);
}

/* Under bf16 backward reads rounded inputs of layers, unless it computes them again: that adds little to the error that bf16 has anyway. */
static void compare_kept(const char *path, int kind, const struct outcome *kept, const struct outcome *exact, const struct outcome *f32) {
    const double most = kind == MATMUL_BF16 ? 0.6 * distance(exact->grad, f32->grad, f32->params) : 1e-5;
    check(path, kind, "layers computed again", kept, exact, most);
}

static void compare(const char *path) {
    static const size_t all[] = {0, 1, RUN_ALL_LAYERS};
    struct outcome f32 = {0};
    compute(&f32, path, MATMUL_F32, &plain, STORAGE_PACKED, RUN_ALL_LAYERS);
    for (int kind = 0; kind < 2; kind++) {
        struct outcome want[3] = {0};
        for (int again = 0; again < 3; again++) {
            compute(&want[again], path, (enum matmul_kind)kind, &plain, STORAGE_PACKED, all[again]);
            if (again) compare_kept(path, kind, &want[0], &want[again], &f32);
        }
        for (int storage = STORAGE_FILE; storage < STORAGE_KINDS; storage++)
            for (int again = 0; again < 3; again++) {
                struct outcome got = {0};
                compute(&got, path, (enum matmul_kind)kind, &plain, (enum model_storage)storage, all[again]);
                check(path, kind, model_storage_names[storage], &got, &want[again], 1e-5);
                free(got.grad);
            }
        for (int again = 0; again < 3; again++) free(want[again].grad);
    }
    free(f32.grad);
}

/* Adapters that go other ways through their products. */
static void compare_others(const char *path) {
    for (int kind = 0; kind < 2; kind++)
        for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
            struct outcome want = {0}, got = {0};
            compute(&want, path, (enum matmul_kind)kind, &others[i], STORAGE_PACKED, 0);
            compute(&got, path, (enum matmul_kind)kind, &others[i], STORAGE_FILE, 0);
            check(path, kind, others[i].dora ? "DoRA" : others[i].dropout > 0 ? "dropout" : "the head saved beside", &got, &want, 1e-5);
            free(want.grad), free(got.grad);
        }
}

/* All weights are trained: products that pack them anew, against copies. */
static void compare_live(const char *path) {
    struct outcome want = {0};
    compute(&want, path, MATMUL_BF16, NULL, STORAGE_PACKED, 0);
    for (int storage = STORAGE_FILE; storage < STORAGE_KINDS; storage++) {
        struct outcome got = {0};
        compute(&got, path, MATMUL_BF16, NULL, (enum model_storage)storage, 0);
        check(path, MATMUL_BF16, "all weights trained", &got, &want, 1e-7);
        free(got.grad);
    }
    free(want.grad);
}

/* A language model's files, or not. */
static bool is_model(const char *path) {
    struct model m;
    if (model_describe(&m, path, MATMUL_F32, MODEL_ADAPTER) != ST_OK) return false;
    const bool language = m.config.head == HEAD_LM;
    model_release(&m);
    return language;
}

static void storages_agree(void **state) {
    (void)state;
    static const char *const forms[] = {"", "/model.gguf"};
    DIR *all = opendir(GOLDEN);
    size_t seen = 0;
    assert_non_null(all);
    for (struct dirent *e; (e = readdir(all));)
        for (size_t i = 0; i < 2; i++) {
            char path[600];
            snprintf(path, sizeof path, GOLDEN "%s%s", e->d_name, forms[i]);
            if (e->d_name[0] == '.' || (i == 1 && access(path, R_OK) != 0) || !is_model(path)) continue;
            compare(path);
            compare_others(path);
            compare_live(path);
            seen++;
        }
    closedir(all);
    print_message("%zu models\n", seen);
    assert_true(seen >= 20);
}

static size_t total_of(struct model *m, struct run_plan *plan, enum model_storage storage, size_t again) {
    m->storage = storage;
    plan->recompute_layers = again;
    const struct train_memory t = train_memory_of(m, plan, 1 << 20);
    return train_memory_total(&t);
}

/* Memory that is a byte too little for one way takes the next. */
static void planner_takes_what_fits(void **state) {
    (void)state;
    struct model m;
    struct run_plan plan = {.tokens = 256, .scored = 256, .train = true};
    describe(&m, GOLDEN "gemma3", MATMUL_F32, &plain);
    const size_t layers = m.config.layers;
    struct way {
        enum model_storage storage;
        size_t again;
    } ways[64] = {{STORAGE_PACKED, 0}, {STORAGE_FILE, 0}};
    size_t count = 2, taken = 0, bytes = SIZE_MAX; /* what was taken before needs this much */
    for (size_t again = 1; again < layers; again++) ways[count++] = (struct way){STORAGE_FILE, again};
    ways[count++] = (struct way){STORAGE_FILE, RUN_ALL_LAYERS};
    for (size_t i = matmul_may_split(MATMUL_F32) ? 1 : 0; i < count; i++) {
        const size_t needs = total_of(&m, &plan, ways[i].storage, ways[i].again);
        if (needs >= bytes) continue; /* it saves nothing */
        plan.recompute_layers = 0;
        ok(train_memory_fit(&m, &plan, 1 << 20, bytes - 1));
        assert_true(m.storage == ways[i].storage && plan.recompute_layers == ways[i].again);
        bytes = needs, taken++;
    }
    assert_true(taken >= 6);
    plan.recompute_layers = 0;
    assert_int_equal(train_memory_fit(&m, &plan, 1 << 20, 1000), ST_NOMEM);
    assert_true(m.storage == STORAGE_FILE && plan.recompute_layers == RUN_ALL_LAYERS);
    model_release(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(storages_agree),
        cmocka_unit_test(planner_takes_what_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
