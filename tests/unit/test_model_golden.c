/* The model against transformers: log-probs of every vocabulary entry at every position, the statistics of the logits, and the gradient of
 * every parameter, on small random models of every family (tests/oracle/make_llama.py, make_families.py), from both forms of file. */
#define _POSIX_C_SOURCE 200809L
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

#include "base/file.h"
#include "format/safetensors.h"
#include "golden_models.h"
#include "model/export_io.h"
#include "model/peft_io.h"
#include "model/run.h"

#define GOLDEN TEST_SOURCE_DIR "/golden/"
#define SEQUENCES 3
#define LENGTH_MAX 64
#define NODES_MAX 4096

struct fixture {
    struct safetensors golden;
    struct model model;
    const float *theta;
    int32_t ids[SEQUENCES][LENGTH_MAX], sizes[SEQUENCES];
};

static const struct st_tensor *golden_tensor(const struct fixture *f, const char *kind, int i) {
    char name[64];
    snprintf(name, sizeof name, "%s.%d", kind, i);
    const struct st_tensor *t = safetensors_find(&f->golden, name);
    if (!t) fail_msg("golden has no %s", name);
    return t;
}

static void ok(status s) {
    if (s != ST_OK) fail_msg("%s", status_message());
}

/* golden: the folder whose golden.safetensors is expected; model and adapter (may be NULL): paths. */
static void open_paths(struct fixture *f, const char *golden, const char *model, const char *adapter, enum matmul_kind kind,
                       enum model_use use) {
    char path[512];
    *f = (struct fixture){0};
    snprintf(path, sizeof path, GOLDEN "%s/golden.safetensors", golden);
    ok(safetensors_open(&f->golden, path));
    ok(model_open(&f->model, model, kind, use));
    if (adapter) {
        ok(adapter_load(&f->model, adapter, use != MODEL_INFER));
        f->theta = f->model.params.value;
    }
    ok(model_need_positions(&f->model, LENGTH_MAX));
    for (int i = 0; i < SEQUENCES; i++) {
        const struct st_tensor *t = golden_tensor(f, "input_ids", i);
        assert_true(t->cols <= LENGTH_MAX);
        f->sizes[i] = (int32_t)t->cols;
        for (size_t j = 0; j < t->cols; j++) f->ids[i][j] = (int32_t)((const float *)t->data)[j];
    }
}

static void open_fixture(struct fixture *f, const char *model, const char *adapter, enum matmul_kind kind, enum model_use use) {
    char path[512], adapter_path[512];
    snprintf(path, sizeof path, GOLDEN "%s", model);
    snprintf(adapter_path, sizeof adapter_path, GOLDEN "%s", adapter ? adapter : "");
    char golden[64]; /* a GGUF is held against the folder it was made from */
    snprintf(golden, sizeof golden, "%s", adapter ? adapter : model);
    char *gguf = strstr(golden, "_gguf/");
    if (gguf) *gguf = '\0';
    open_paths(f, golden, path, adapter ? adapter_path : NULL, kind, use);
}

static void close_fixture(struct fixture *f) {
    model_release(&f->model);
    safetensors_release(&f->golden);
}

/* 1e-4 of the largest golden value, and of each value where that is larger. */
static void near(double got, double want, double scale, const char *what, size_t at, double tolerance) {
    if (!(fabs(got - want) <= tolerance * fmax(scale, fabs(want))))
        fail_msg("%s[%zu] is %.9g, golden %.9g (largest %.9g)", what, at, got, want, scale);
}

static double largest(const float *x, size_t n) {
    double most = 0;
    for (size_t i = 0; i < n; i++) most = fmax(most, fabs((double)x[i]));
    return most;
}

static double lse_of(const float *logits, size_t v) {
    double most = -INFINITY, sum = 0;
    for (size_t i = 0; i < v; i++) most = fmax(most, (double)logits[i]);
    for (size_t i = 0; i < v; i++) sum += exp((double)logits[i] - most);
    return most + log(sum);
}

/* Per scored position: log-normaliser, entropy, mean and largest logit. */
static void check_statistics(const struct run *r, const struct seqtree *tree, const float *logits, size_t v, double tolerance) {
    for (int32_t i = 0; i < tree->score_count; i++) {
        const size_t slot = (size_t)r->score_slot[i], node = (size_t)tree->scores[i].node;
        const float *row = logits + node * v;
        double lse = lse_of(row, v), entropy = 0, mean = 0;
        size_t best = 0;
        for (size_t j = 0; j < v; j++) {
            double p = exp((double)row[j] - lse);
            entropy -= p * ((double)row[j] - lse);
            mean += (double)row[j] / (double)v;
            if (row[j] > row[best]) best = j;
        }
        near((double)r->lse[slot], lse, 1, "lse", node, tolerance);
        near((double)r->entropy[slot], entropy, 1, "entropy", node, tolerance);
        near((double)r->mean_logit[slot], mean, 1, "mean logit", node, tolerance);
        assert_int_equal(r->argmax[slot], best);
    }
}

/* Every prefix of sequence i continued by every id: V x T sequences that share one trunk, so that the whole logits matrix is compared.
 * Returns the largest error of a log-prob, as a part of the range of the logits. */
static double check_logits(struct fixture *f, int i, double tolerance) {
    const size_t v = f->model.config.vocab, t = (size_t)f->sizes[i], count = v * t;
    const float *logits = golden_tensor(f, "logits", i)->data;
    int32_t *store = calloc(count * (LENGTH_MAX + 1), sizeof *store), *sizes = calloc(count, sizeof *sizes),
            *from = calloc(count, sizeof *from);
    const int32_t **ids = calloc(count, sizeof *ids);
    for (size_t s = 0; s < count; s++) {
        const size_t p = s / v + 1;
        int32_t *row = store + s * (LENGTH_MAX + 1);
        memcpy(row, f->ids[i], p * sizeof *row);
        row[p] = (int32_t)(s % v);
        ids[s] = row, sizes[s] = (int32_t)p + 1, from[s] = (int32_t)p;
    }
    struct seqtree tree;
    struct run run;
    double *sums = calloc(count, sizeof *sums);
    ok(seqtree_init(&tree, NODES_MAX, NODES_MAX, NODES_MAX));
    ok(seqtree_build(&tree, ids, sizes, from, (int32_t)count, true));
    assert_true(tree.node_count <= (int32_t)(t + count));
    ok(run_init(&run, &f->model, &(struct run_plan){.tokens = NODES_MAX, .scored = NODES_MAX}));
    ok(run_forward(&run, &tree, f->theta, false));
    run_sums(sums, &run, &tree);
    double low = INFINITY, high = -INFINITY, worst = 0;
    for (size_t s = 0; s < count; s++) low = fmin(low, (double)logits[s]), high = fmax(high, (double)logits[s]);
    for (size_t s = 0; s < count; s++) {
        const double want = (double)logits[s] - lse_of(logits + s / v * v, v), error = fabs(sums[s] - want) / (high - low);
        if (!(error <= tolerance))
            fail_msg("log-prob[%zu] is %.9g, golden %.9g: off by %.2g of the range of logits", s, sums[s], want, error);
        worst = fmax(worst, error);
    }
    run_release(&run);
    seqtree_release(&tree);
    free(store), free(sizes), free(from), free(sums), free((void *)(uintptr_t)ids);
    return worst;
}

struct gradient_error {
    double worst;         /* of all elements: |error| / largest element of its tensor */
    double worst_norm;    /* of all tensors: |error| / norm, of tensors that are nearly zero / 1e-3 of the norm of all */
    double relative_norm; /* |error| / |golden|, all tensors as one vector */
    char worst_name[128];
};

static double square_norm(const float *x, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)x[i] * (double)x[i];
    return sum;
}

static double golden_square_norm(const struct fixture *f) {
    double all = 0;
    for (size_t i = 0; i < f->golden.tensor_count; i++) {
        const struct st_tensor *t = &f->golden.tensors[i];
        if (strncmp(t->name, "grad.", 5) == 0) all += square_norm(t->data, t->rows * t->cols);
    }
    return all;
}

/* One parameter's part. Returns the square of the error's norm. */
static double compare_gradient(struct gradient_error *e, const float *got, const struct st_tensor *t, const char *name, double all) {
    const float *want = t->data;
    const size_t n = t->rows * t->cols;
    const double scale = largest(want, n), floor = 1e-3 * sqrt(all);
    double wrong = 0;
    assert_true(scale > 0);
    for (size_t j = 0; j < n; j++) {
        const double off = fabs((double)got[j] - (double)want[j]);
        wrong += off * off;
        if (off / scale <= e->worst) continue;
        e->worst = off / scale;
        snprintf(e->worst_name, sizeof e->worst_name, "%s", name);
    }
    e->worst_norm = fmax(e->worst_norm, sqrt(wrong) / fmax(sqrt(square_norm(want, n)), floor));
    return wrong;
}

static struct gradient_error compare_gradients(const struct fixture *f) {
    const struct params *p = &f->model.params;
    struct gradient_error e = {0};
    const double all = golden_square_norm(f);
    double wrong = 0;
    size_t seen = 0;
    for (size_t i = 0; i < f->golden.tensor_count; i++) {
        const struct st_tensor *t = &f->golden.tensors[i];
        if (strncmp(t->name, "grad.", 5) != 0) continue;
        const char *name = t->name + 5;
        const struct param *q = params_find(p, name);
        if (!q && strncmp(name, "base_model.model.", 17) == 0) q = params_find(p, name + 17);
        if (!q) fail_msg("no parameter %s", name);
        assert_int_equal(q->rows * q->cols, t->rows * t->cols);
        wrong += compare_gradient(&e, p->grad + q->offset, t, name, all);
        seen++;
    }
    assert_int_equal(seen, p->count); /* nothing is trained that transformers does not train */
    e.relative_norm = sqrt(wrong / all);
    return e;
}

/* The three sequences one after another, gradients added up, or packed together; d loss / d log-prob is 1 everywhere. */
static struct gradient_error check_backward(struct fixture *f, bool recompute, bool together) {
    struct seqtree tree;
    struct run run;
    const int32_t from[SEQUENCES] = {1, 1, 1}, *ids[SEQUENCES] = {f->ids[0], f->ids[1], f->ids[2]};
    float ones[SEQUENCES * LENGTH_MAX];
    for (size_t i = 0; i < sizeof ones / sizeof ones[0]; i++) ones[i] = 1;
    ok(seqtree_init(&tree, SEQUENCES * LENGTH_MAX, 16, SEQUENCES * LENGTH_MAX));
    ok(run_init(&run, &f->model,
                &(struct run_plan){.tokens = SEQUENCES * LENGTH_MAX,
                                   .scored = SEQUENCES * LENGTH_MAX,
                                   .train = true,
                                   .recompute_layers = recompute ? RUN_ALL_LAYERS : 0}));
    memset(f->model.params.grad, 0, f->model.params.size * sizeof(float));
    for (int i = 0; i < (together ? 1 : SEQUENCES); i++) {
        ok(seqtree_build(&tree, ids + i, f->sizes + i, from, together ? SEQUENCES : 1, true));
        ok(run_forward(&run, &tree, f->theta, true));
        if (!together && f->model.kind != MATMUL_BF16)
            check_statistics(&run, &tree, golden_tensor(f, "logits", i)->data, f->model.config.vocab, 1e-4);
        ok(run_backward(&run, &tree, f->theta, ones));
    }
    struct gradient_error e = compare_gradients(f);
    run_release(&run);
    seqtree_release(&tree);
    return e;
}

static const struct {
    const char *model, *adapter;
    enum model_use use;
} cases[] = {{"llama_tiny", NULL, MODEL_FULL},
             {"llama_untied", NULL, MODEL_FULL},
             {"llama_tiny_gguf/model.gguf", NULL, MODEL_FULL},
             {"llama_tiny", "llama_tiny_lora", MODEL_ADAPTER},
             {"llama_tiny", "adapter_rslora", MODEL_ADAPTER},
             {"llama_tiny", "adapter_dora", MODEL_ADAPTER},
             {"llama_tiny_gguf/model.gguf", "adapter_dora", MODEL_ADAPTER},
             {"llama_bias", "adapter_dora_bias", MODEL_ADAPTER},
             {"llama_untied", "adapter_dora_head", MODEL_ADAPTER},
             {"llama_untied", "adapter_head", MODEL_ADAPTER},
             {"llama_tiny", "adapter_head_tied", MODEL_ADAPTER},
             {"llama_tiny", "adapter_saved", MODEL_ADAPTER},
             {"llama_tiny_gguf/model.gguf", "adapter_saved", MODEL_ADAPTER},
             {"llama_untied", "adapter_saved_head", MODEL_ADAPTER},
             {"phi3", "adapter_fused", MODEL_ADAPTER},
             {"phi3_gguf/model.gguf", "adapter_fused", MODEL_ADAPTER},
             {"llama_tiny", "adapter_pattern", MODEL_ADAPTER},
             {"llama_tiny", "adapter_layers", MODEL_ADAPTER},
             {"llama3", NULL, MODEL_FULL},
             {"llama3_gguf/model.gguf", NULL, MODEL_FULL},
             {"llama_bias", NULL, MODEL_FULL},
             {"mistral", NULL, MODEL_FULL},
             {"qwen2", NULL, MODEL_FULL},
             {"qwen2_gguf/model.gguf", NULL, MODEL_FULL},
             {"qwen3", NULL, MODEL_FULL},
             {"qwen3_gguf/model.gguf", NULL, MODEL_FULL},
             {"smollm3", NULL, MODEL_FULL},
             {"smollm3_gguf/model.gguf", NULL, MODEL_FULL},
             {"qwen2_window", NULL, MODEL_FULL},
             {"gemma2", NULL, MODEL_FULL},
             {"gemma2_gguf/model.gguf", NULL, MODEL_FULL},
             {"gemma3", NULL, MODEL_FULL},
             {"gemma3_gguf/model.gguf", NULL, MODEL_FULL},
             {"gemma3_types", NULL, MODEL_FULL},
             {"phi3", NULL, MODEL_FULL},
             {"phi3_gguf/model.gguf", NULL, MODEL_FULL},
             {"phi3_long", NULL, MODEL_FULL}};

#define LOGITS_LIMIT 1e-5   /* of the range of the logits */
#define GRADIENT_LIMIT 1e-4 /* of the gradient's norm, tensor by tensor, and of its largest element */

static const char *case_name(size_t c) { return cases[c].adapter ? cases[c].adapter : cases[c].model; }

/* No model of tests/golden is left out, and no family is without one. */
static void every_model_is_a_case(void **state) {
    (void)state;
    struct golden_models g;
    golden_models_find(&g);
    const char *lack = golden_models_lack(&g);
    if (lack) fail_msg("no model of family %s in tests/golden", lack);
    for (size_t i = 0; i < g.count; i++) {
        bool found = false;
        for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) found |= strcmp(cases[c].model, g.name[i]) == 0;
        if (!found) fail_msg("tests/golden/%s is not among the cases of this test", g.name[i]);
    }
}

static void logits_are_transformers(void **state) {
    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        struct fixture f;
        double worst = 0;
        open_fixture(&f, cases[c].model, cases[c].adapter, MATMUL_F32, MODEL_INFER);
        for (int i = 0; i < SEQUENCES; i++) worst = fmax(worst, check_logits(&f, i, LOGITS_LIMIT));
        print_message("%-28s logits: %.1e of their range\n", case_name(c), worst);
        close_fixture(&f);
    }
}

/* Under long rope the longest sequence of a batch decides about all rotations, here as in transformers. */
static bool packs(const struct fixture *f) { return f->model.config.rope.kind != ROPE_LONG; }

static void gradients_are_transformers(void **state) {
    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        double worst = 0;
        for (int k = 0; k < 2; k++) {
            struct fixture f;
            open_fixture(&f, cases[c].model, cases[c].adapter, k ? MATMUL_REFERENCE : MATMUL_F32, cases[c].use);
            for (int how = 0; how < (packs(&f) ? 4 : 2); how++) {
                struct gradient_error e = check_backward(&f, how & 1, how & 2);
                if (!(e.worst <= GRADIENT_LIMIT && e.worst_norm <= GRADIENT_LIMIT))
                    fail_msg("%s: the gradient of %s is off by %g of its largest, the worst by %g of its norm", case_name(c), e.worst_name,
                             e.worst, e.worst_norm);
                worst = fmax(worst, e.worst_norm);
            }
            close_fixture(&f);
        }
        print_message("%-28s gradients: %.1e of their norms\n", case_name(c), worst);
    }
}

/* These models are badly conditioned: rounding the operands of every product to bf16 in torch moves the adapter's gradient by 14 % too. */
static void bf16_is_near(void **state) {
    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        struct fixture f;
        open_fixture(&f, cases[c].model, cases[c].adapter, MATMUL_BF16, cases[c].use);
        struct gradient_error e = check_backward(&f, false, packs(&f));
        if (!(e.relative_norm < 0.2)) fail_msg("%s: bf16 gradient off by %g of its norm", case_name(c), e.relative_norm);
        close_fixture(&f);
    }
}

static char scratch[] = "/tmp/rapt_golden_XXXXXX";

/* Saved adapters and exported folders, merged or not, are the same model again; so is what full training writes. */
static void check_written(const char *model, const char *adapter) {
    static const struct {
        enum dtype type;
        double tolerance;
    } types[] = {{DTYPE_F32, 1e-4}, {DTYPE_F16, 0.03}, {DTYPE_BF16, 0.25}};
    const bool plain = strcmp(adapter, "llama_tiny_lora") == 0; /* how rounding is stored is seen on one */
    struct fixture f, again;
    struct lora_options o;
    char folder[128], base[128], path[128];
    snprintf(path, sizeof path, GOLDEN "%s", adapter);
    ok(adapter_read_options(&o, path));
    open_fixture(&f, model, adapter, MATMUL_F32, MODEL_INFER);
    snprintf(folder, sizeof folder, "%s/again", scratch);
    ok(adapter_save(&f.model, &o, f.theta, NULL, folder, "base"));
    for (size_t t = 0; t < (plain ? 3 : 1); t++) {
        char merged[128];
        snprintf(merged, sizeof merged, "%s/merged", scratch);
        ok(file_make_dirs(merged));
        ok(export_hf(&f.model, f.theta, merged, types[t].type));
        open_paths(&again, adapter, merged, NULL, MATMUL_F32, MODEL_INFER);
        for (int i = 0; i < SEQUENCES; i++) check_logits(&again, i, types[t].tolerance);
        close_fixture(&again);
    }
    close_fixture(&f);
    snprintf(base, sizeof base, GOLDEN "%s", model);
    open_paths(&f, adapter, base, folder, MATMUL_F32, MODEL_ADAPTER);
    for (int i = 0; i < SEQUENCES; i++) check_logits(&f, i, 1e-4);
    struct gradient_error e = check_backward(&f, false, true);
    assert_true(e.worst <= 1e-4);
    close_fixture(&f);
}

/* With the adapter off the model is the base, whatever is trained beside. */
static void adapters_turn_off(void **state) {
    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        struct fixture f;
        char path[128], base[128];
        if (!cases[c].adapter || strstr(cases[c].model, "gguf")) continue;
        snprintf(path, sizeof path, GOLDEN "%s", cases[c].model);
        snprintf(base, sizeof base, GOLDEN "%s", cases[c].adapter);
        open_paths(&f, cases[c].model, path, base, MATMUL_F32, MODEL_ADAPTER);
        f.theta = NULL;
        for (int i = 0; i < SEQUENCES; i++) check_logits(&f, i, 1e-4);
        close_fixture(&f);
    }
}

static void written_files_are_the_model(void **state) {
    (void)state;
    size_t seen = 0;
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++)
        if (cases[c].adapter) check_written(cases[c].model, cases[c].adapter), seen++;
    check_written("llama_tiny_gguf/model.gguf", "llama_tiny_lora");
    assert_true(seen > 10);
}

/* A new DoRA adapter begins with the norms that peft begins with, and adds nothing. */
static void magnitudes_start_as_in_peft(void **state) {
    (void)state;
    struct fixture f;
    struct safetensors start;
    const struct lora_options o = {.rank = 4, .alpha = 8, .dora = true, .target_count = 1, .targets = {"all-linear"}};
    ok(safetensors_open(&start, GOLDEN "adapter_dora/start.safetensors"));
    open_fixture(&f, "llama_tiny", NULL, MATMUL_F32, MODEL_ADAPTER);
    ok(lora_attach(&f.model, &o, 1, true));
    size_t seen = 0;
    for (size_t i = 0; i < start.tensor_count; i++) {
        const struct st_tensor *t = &start.tensors[i];
        char name[160];
        snprintf(name, sizeof name, "%.*s", (int)(strlen(t->name) - strlen(".weight")), t->name + strlen("base_model.model."));
        name[strlen(t->name) - strlen("base_model.model.") - strlen(".weight")] = '\0';
        const struct param *p = params_find(&f.model.params, name);
        if (!p) fail_msg("no parameter %s", name);
        assert_int_equal(p->cols, t->cols);
        for (size_t j = 0; j < t->cols; j++)
            near((double)f.model.params.value[p->offset + j], (double)((const float *)t->data)[j], 1, name, j, 1e-6);
        seen++;
    }
    assert_int_equal(seen, 14);
    f.theta = f.model.params.value;
    for (int i = 0; i < SEQUENCES; i++) check_logits(&f, i, 1e-4);
    safetensors_release(&start);
    close_fixture(&f);
}

static void exported_families_are_the_model(void **state) {
    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        struct fixture f;
        char golden[64], folder[64];
        if (cases[c].adapter) continue;
        snprintf(golden, sizeof golden, "%s", cases[c].model);
        if (strstr(golden, "_gguf/")) *strstr(golden, "_gguf/") = '\0';
        snprintf(folder, sizeof folder, "%s/family%zu", scratch, c);
        open_fixture(&f, cases[c].model, NULL, MATMUL_F32, c % 2 ? MODEL_FULL : MODEL_INFER);
        if (f.model.config.rope.kind == ROPE_DIVISORS) { /* config.json has no words for these */
            close_fixture(&f);
            continue;
        }
        status s = export_hf(&f.model, NULL, folder, DTYPE_F32);
        if (s != ST_OK) fail_msg("%s: %s", cases[c].model, status_message());
        close_fixture(&f);
        open_paths(&f, golden, folder, NULL, MATMUL_F32, MODEL_INFER);
        for (int i = 0; i < SEQUENCES; i++) check_logits(&f, i, LOGITS_LIMIT);
        close_fixture(&f);
    }
}

static void remove_scratch(const char *folder) {
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (e->d_name[0] == '.') continue;
        char *path = file_join(folder, e->d_name);
        if (file_is_dir(path))
            remove_scratch(path);
        else
            unlink(path);
        free(path);
    }
    if (d) closedir(d);
    rmdir(folder);
}

int main(void) {
    if (!mkdtemp(scratch)) return 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_model_is_a_case),       cmocka_unit_test(logits_are_transformers),
                                       cmocka_unit_test(gradients_are_transformers),  cmocka_unit_test(bf16_is_near),
                                       cmocka_unit_test(written_files_are_the_model), cmocka_unit_test(adapters_turn_off),
                                       cmocka_unit_test(magnitudes_start_as_in_peft), cmocka_unit_test(exported_families_are_the_model)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    remove_scratch(scratch);
    return failed;
}
