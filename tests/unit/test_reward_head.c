/* Reward models against transformers: every label of every sequence and the gradient of every parameter, for each family's
 * ForSequenceClassification, and ArmoRM's numbers, gates and score (tests/oracle/make_rewards.py). */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/safetensors.h"
#include "model/export_io.h"
#include "model/peft_io.h"
#include "model/reward_head.h"

#define GOLDEN TEST_SOURCE_DIR "/golden/"
#define SEQUENCES 3
#define LENGTH_MAX 64
#define LABELS_MAX 8

static void ok(status s) {
    if (s != ST_OK) fail_msg("%s", status_message());
}

struct fixture {
    struct safetensors golden;
    struct model model;
    struct run run;
    struct seqtree tree;
    int32_t ids[SEQUENCES][LENGTH_MAX], sizes[SEQUENCES], pool[2 * SEQUENCES];
    const int32_t *rows[SEQUENCES];
};

static const float *golden_of(const struct fixture *f, const char *kind, int i, size_t *count) {
    char name[64];
    snprintf(name, sizeof name, "%s.%d", kind, i);
    const struct st_tensor *t = safetensors_find(&f->golden, name);
    if (!t) fail_msg("golden has no %s", name);
    *count = t->rows * t->cols;
    return t->data;
}

static void open_fixture(struct fixture *f, const char *golden, const char *model, enum matmul_kind kind, enum model_use use) {
    static const int32_t mark[] = {70, 71, 72, 73};
    char path[512];
    size_t n;
    *f = (struct fixture){0};
    snprintf(path, sizeof path, GOLDEN "%s/golden.safetensors", golden);
    ok(safetensors_open(&f->golden, path));
    ok(model_open(&f->model, model, kind, use));
    ok(model_need_positions(&f->model, LENGTH_MAX));
    const bool gated = f->model.config.head == HEAD_GATED;
    for (int i = 0; i < SEQUENCES; i++) {
        const float *ids = golden_of(f, "input_ids", i, &n);
        assert_true(n <= LENGTH_MAX);
        f->sizes[i] = (int32_t)n;
        for (size_t j = 0; j < n; j++) f->ids[i][j] = (int32_t)ids[j];
        f->rows[i] = f->ids[i];
        f->pool[gated ? 2 * i : i] = reward_head_last(f->ids[i], f->sizes[i], f->model.config.pad);
        if (gated) f->pool[2 * i + 1] = reward_head_gate(f->ids[i], f->sizes[i], mark, 4);
    }
    ok(seqtree_init(&f->tree, SEQUENCES * LENGTH_MAX, 64, 64));
    ok(run_init(&f->run, &f->model,
                &(struct run_plan){.tokens = SEQUENCES * LENGTH_MAX, .scored = 64, .train = use != MODEL_INFER, .rewards = true}));
    ok(seqtree_build_pooled(&f->tree, f->rows, f->sizes, f->pool, gated ? 2 : 1, SEQUENCES, true));
}

static void close_fixture(struct fixture *f) {
    seqtree_release(&f->tree);
    run_release(&f->run);
    model_release(&f->model);
    safetensors_release(&f->golden);
}

/* The entry of a sequence's pooled position. */
static int32_t entry_of(const struct fixture *f, int32_t sequence, int32_t pool) {
    for (int32_t i = 0; i < f->tree.score_count; i++)
        if (f->tree.scores[i].sequence == sequence && f->tree.scores[i].target == pool) return i;
    fail_msg("sequence %d has no entry %d", sequence, pool);
    return -1;
}

static void compare(const float *got, const float *want, size_t n, double tolerance, const char *what) {
    double range = 0;
    for (size_t i = 0; i < n; i++) range = fmax(range, fabs((double)want[i]));
    for (size_t i = 0; i < n; i++)
        if (!(fabs((double)got[i] - (double)want[i]) <= tolerance * fmax(range, 1)))
            fail_msg("%s[%zu] is %.9g, golden %.9g", what, i, (double)got[i], (double)want[i]);
}

static void check_labels(struct fixture *f, const float *theta, double tolerance, const char *name) {
    ok(run_forward(&f->run, &f->tree, theta, false));
    for (int i = 0; i < SEQUENCES; i++) {
        size_t n;
        float rewards[LABELS_MAX];
        double score;
        const float *want = golden_of(f, "logits", i, &n);
        assert_int_equal(n, f->model.config.labels);
        const int32_t entry = entry_of(f, i, 0);
        ok(reward_head_read(&score, rewards, NULL, &f->run, theta, entry, -1));
        compare(rewards, want, n, tolerance, name);
        assert_true(score == (double)rewards[0] && f->run.logp[entry] == rewards[0]);
    }
}

static double gradient_error(const struct fixture *f) {
    double worst = 0, all = 0;
    size_t seen = 0;
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < f->golden.tensor_count; i++) {
            const struct st_tensor *t = &f->golden.tensors[i];
            if (strncmp(t->name, "grad.", 5) != 0) continue;
            const struct param *p = params_find(&f->model.params, t->name + 5);
            if (!p) fail_msg("no parameter %s", t->name + 5);
            const float *want = t->data, *got = f->model.params.grad + p->offset;
            double wrong = 0, norm = 0;
            for (size_t j = 0; j < p->rows * p->cols; j++) {
                wrong += pow((double)got[j] - (double)want[j], 2);
                norm += pow((double)want[j], 2);
            }
            if (pass == 0) {
                all += norm;
                seen++;
            } else {
                worst = fmax(worst, sqrt(wrong) / fmax(sqrt(norm), 1e-7 * sqrt(all)));
            }
        }
    assert_int_equal(seen, f->model.params.count);
    return worst;
}

static const char *const families[] = {"llama", "mistral", "qwen2", "qwen3", "smollm3", "gemma2", "gemma3", "phi3"};
#define FAMILIES (sizeof families / sizeof families[0])

static void labels_are_transformers(void **state) {
    (void)state;
    for (size_t i = 0; i < FAMILIES; i++) {
        struct fixture f;
        char golden[64], path[512];
        snprintf(golden, sizeof golden, "reward_%s", families[i]);
        snprintf(path, sizeof path, GOLDEN "%s", golden);
        open_fixture(&f, golden, path, MATMUL_F32, MODEL_INFER);
        check_labels(&f, NULL, 1e-5, families[i]);
        close_fixture(&f);
    }
}

static void gradients_are_transformers(void **state) {
    (void)state;
    for (size_t i = 0; i < FAMILIES; i++) {
        struct fixture f;
        char golden[64], path[512];
        float ones[64];
        for (size_t k = 0; k < 64; k++) ones[k] = 1;
        snprintf(golden, sizeof golden, "reward_%s", families[i]);
        snprintf(path, sizeof path, GOLDEN "%s", golden);
        open_fixture(&f, golden, path, MATMUL_F32, MODEL_FULL);
        memset(f.model.params.grad, 0, f.model.params.size * sizeof(float));
        ok(run_forward(&f.run, &f.tree, NULL, true));
        ok(run_backward(&f.run, &f.tree, NULL, ones));
        const double e = gradient_error(&f);
        if (!(e <= 1e-4)) fail_msg("%s: a gradient is off by %g of its norm", families[i], e);
        close_fixture(&f);
    }
}

static void armo_is_its_description(void **state) {
    (void)state;
    struct fixture f;
    open_fixture(&f, "reward_armo", GOLDEN "reward_armo", MATMUL_F32, MODEL_INFER);
    ok(run_forward(&f.run, &f.tree, NULL, false));
    for (int i = 0; i < SEQUENCES; i++) {
        size_t n;
        float rewards[LABELS_MAX], gates[LABELS_MAX], single;
        double score;
        const float *want = golden_of(&f, "rewards", i, &n);
        ok(reward_head_read(&score, rewards, gates, &f.run, NULL, entry_of(&f, i, 0), entry_of(&f, i, 1)));
        compare(rewards, want, n, 1e-5, "rewards");
        compare(gates, golden_of(&f, "gates", i, &n), n, 1e-5, "gates");
        single = (float)score;
        compare(&single, golden_of(&f, "score", i, &n), 1, 1e-5, "score");
    }
    close_fixture(&f);
}

static char scratch[] = "/tmp/rapt_reward_XXXXXX";

static void exported_is_the_model(void **state) {
    (void)state;
    for (size_t i = 0; i < FAMILIES; i++) {
        struct fixture f;
        struct model m;
        char golden[64], path[512], folder[64];
        snprintf(golden, sizeof golden, "reward_%s", families[i]);
        snprintf(path, sizeof path, GOLDEN "%s", golden);
        snprintf(folder, sizeof folder, "%s/%s", scratch, families[i]);
        ok(model_open(&m, path, MATMUL_F32, i % 2 ? MODEL_FULL : MODEL_INFER));
        ok(export_hf(&m, NULL, folder, DTYPE_F32));
        model_release(&m);
        open_fixture(&f, golden, folder, MATMUL_F32, MODEL_INFER);
        check_labels(&f, NULL, 1e-5, families[i]);
        close_fixture(&f);
    }
}

/* A new head on a language model, trained as an adapter's part: saved, it comes back, and merged it is the same model. */
static void adapters_carry_their_head(void **state) {
    (void)state;
    const struct lora_options o = {.rank = 2, .alpha = 4, .labels = 1, .targets = {"all-linear"}, .target_count = 1};
    const int32_t row[] = {5, 9, 11, 4}, *rows[] = {row}, size = 4, pool = 3;
    char folder[64], merged[64];
    double rewards[3];
    snprintf(folder, sizeof folder, "%s/adapter", scratch);
    snprintf(merged, sizeof merged, "%s/merged", scratch);
    for (int k = 0; k < 3; k++) {
        struct model m;
        struct run run;
        struct seqtree tree;
        if (k == 0) {
            ok(model_describe_scorer(&m, GOLDEN "llama_tiny", MATMUL_F32, MODEL_INFER, 1));
            ok(model_load(&m));
            ok(lora_attach(&m, &o, 7, false));
            for (size_t i = 0; i < m.params.size; i++) m.params.value[i] = 0.1f * sinf((float)i);
            ok(adapter_save(&m, &o, m.params.value, NULL, folder, "base"));
            ok(export_hf(&m, m.params.value, merged, DTYPE_F32));
        } else {
            ok(adapter_open_model(&m, k == 1 ? GOLDEN "llama_tiny" : merged, k == 1 ? folder : NULL, MATMUL_F32, MODEL_INFER));
        }
        ok(model_need_positions(&m, 8));
        ok(run_init(&run, &m, &(struct run_plan){.tokens = 32, .scored = 4, .rewards = true}));
        ok(seqtree_init(&tree, 32, 4, 4));
        ok(seqtree_build_pooled(&tree, rows, &size, &pool, 1, 1, true));
        ok(run_forward(&run, &tree, k < 2 ? m.params.value : NULL, false));
        run_sums(&rewards[k], &run, &tree);
        run_release(&run);
        seqtree_release(&tree);
        model_release(&m);
    }
    assert_true(fabs(rewards[0]) > 1e-3);
    assert_true(rewards[0] == rewards[1]);
    assert_true(fabs(rewards[0] - rewards[2]) <= 1e-5 * fmax(1, fabs(rewards[0])));
}

static void the_other_kind_is_refused(void **state) {
    (void)state;
    struct model m;
    struct run run;
    ok(model_open(&m, GOLDEN "reward_llama", MATMUL_F32, MODEL_INFER));
    assert_int_equal(run_init(&run, &m, &(struct run_plan){.tokens = 32, .scored = 4}), ST_UNSUPPORTED);
    assert_non_null(strstr(status_message(), "LlamaForSequenceClassification"));
    model_release(&m);
    ok(model_open(&m, GOLDEN "llama_tiny", MATMUL_F32, MODEL_INFER));
    assert_int_equal(run_init(&run, &m, &(struct run_plan){.tokens = 32, .scored = 4, .rewards = true}), ST_UNSUPPORTED);
    model_release(&m);
}

int main(void) {
    if (!mkdtemp(scratch)) return 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(labels_are_transformers),   cmocka_unit_test(gradients_are_transformers),
                                       cmocka_unit_test(armo_is_its_description),   cmocka_unit_test(exported_is_the_model),
                                       cmocka_unit_test(adapters_carry_their_head), cmocka_unit_test(the_other_kind_is_refused)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", scratch);
    return system(command) != 0 || failed;
}
