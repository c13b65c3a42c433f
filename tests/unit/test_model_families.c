/* What must hold for every family's model whatever its weights: packed = one by one, shared = not shared, head in chunks = at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "golden_models.h"
#include "model/run.h"

#define LIMIT 1e-5
#define COUNT 6
#define LENGTH 40
#define TOKENS (COUNT * LENGTH)

/* Pairs of responses to prompts that begin alike; all longer than the 16 positions at which phi3_long changes its rotations. */
struct rows {
    int32_t store[COUNT][LENGTH], sizes[COUNT], from[COUNT];
    const int32_t *ids[COUNT];
};

static void make_rows(struct rows *r, size_t vocab) {
    for (size_t i = 0; i < COUNT; i++) {
        struct rng own = rng_at(5, i, 0, 0), pair = rng_at(6, i / 2, 0, 0), all = rng_at(7, 0, 0, 0);
        r->from[i] = 14 + (int32_t)(i / 2);
        r->sizes[i] = 20 + (int32_t)i * 3;
        for (int32_t k = 0; k < LENGTH; k++) r->store[i][k] = (int32_t)rng_below(k < 9 ? &all : k < r->from[i] ? &pair : &own, vocab);
        r->ids[i] = r->store[i];
    }
}

struct result {
    double sums[COUNT];
    float *grad; /* [size] */
};

/* chunk, panel: rows and columns of logits at a time, 0 as the plan has it. */
static struct result compute(struct model *m, const struct rows *r, bool packed, bool share, size_t chunk, size_t panel) {
    struct result out = {.grad = calloc(m->params.size, sizeof(float))};
    struct run run;
    struct seqtree tree;
    float slopes[TOKENS];
    for (size_t i = 0; i < TOKENS; i++) slopes[i] = 0.5f + 0.01f * (float)(i % 7);
    assert_int_equal(run_init(&run, m, &(struct run_plan){.tokens = TOKENS, .scored = TOKENS, .train = true}), ST_OK);
    if (chunk && chunk < run.chunk) run.chunk = chunk;
    if (panel) run.panel = panel;
    assert_int_equal(seqtree_init(&tree, TOKENS, 64, TOKENS), ST_OK);
    memset(m->params.grad, 0, m->params.size * sizeof(float));
    for (size_t i = 0, used = 0; i < (packed ? 1 : COUNT); i++) {
        assert_int_equal(seqtree_build(&tree, r->ids + i, r->sizes + i, r->from + i, packed ? COUNT : 1, share), ST_OK);
        assert_int_equal(run_forward(&run, &tree, NULL, true), ST_OK);
        run_sums(out.sums + i, &run, &tree);
        float dlogp[TOKENS]; /* the slope belongs to the sequence's entry, wherever the tree has it */
        int32_t seen[COUNT] = {0};
        for (int32_t k = 0; k < tree.score_count; k++) {
            const size_t s = i + (size_t)tree.scores[k].sequence;
            dlogp[k] = slopes[s * 5 + (size_t)seen[tree.scores[k].sequence]++];
        }
        used += (size_t)tree.score_count;
        assert_int_equal(run_backward(&run, &tree, NULL, dlogp), ST_OK);
        if (i + 1 == (packed ? 1 : COUNT)) {
            size_t scored = 0;
            for (size_t k = 0; k < COUNT; k++) scored += (size_t)(r->sizes[k] - r->from[k]);
            assert_int_equal(used, scored);
        }
    }
    memcpy(out.grad, m->params.grad, m->params.size * sizeof(float));
    run_release(&run);
    seqtree_release(&tree);
    return out;
}

static double same(const char *name, const char *how, struct result *got, const struct result *want, size_t size) {
    double wrong = 0, all = 0, worst = 0;
    for (size_t i = 0; i < COUNT; i++) worst = fmax(worst, fabs(got->sums[i] - want->sums[i]) / fmax(1, fabs(want->sums[i])));
    for (size_t i = 0; i < size; i++) {
        const double off = (double)got->grad[i] - (double)want->grad[i];
        wrong += off * off;
        all += (double)want->grad[i] * (double)want->grad[i];
    }
    assert_true(all > 0);
    if (!(worst <= LIMIT && sqrt(wrong / all) <= LIMIT))
        fail_msg("%s: %s: sums off by %g, gradient by %g", name, how, worst, sqrt(wrong / all));
    free(got->grad);
    return fmax(worst, sqrt(wrong / all));
}

static void one_model(const char *name) {
    char path[512];
    struct model m;
    struct rows r;
    snprintf(path, sizeof path, TEST_SOURCE_DIR "/golden/%s", name);
    if (model_open(&m, path, MATMUL_F32, MODEL_FULL) != ST_OK) fail_msg("%s", status_message());
    assert_int_equal(model_need_positions(&m, LENGTH), ST_OK);
    make_rows(&r, m.config.vocab);
    struct result alone = compute(&m, &r, false, false, 0, 0);
    static const struct {
        const char *what;
        bool packed, share;
        size_t chunk, panel;
    } ways[] = {{"packed", true, false, 0, 0},
                {"packed and shared", true, true, 0, 0},
                {"one by one, head in chunks", false, true, 3, 0},
                {"packed and shared, head in chunks and panels", true, true, 7, 64}};
    double worst[4];
    for (size_t i = 0; i < 4; i++) {
        struct result got = compute(&m, &r, ways[i].packed, ways[i].share, ways[i].chunk, ways[i].panel);
        worst[i] = same(name, ways[i].what, &got, &alone, m.params.size);
    }
    print_message("%-28s packed %.1e, shared %.1e, in chunks %.1e\n", name, worst[0], worst[1], fmax(worst[2], worst[3]));
    free(alone.grad);
    model_release(&m);
}

static void every_way_of_computing_is_one(void **state) {
    (void)state;
    struct golden_models g;
    golden_models_find(&g);
    const char *lack = golden_models_lack(&g);
    if (lack) fail_msg("no model of family %s in tests/golden", lack);
    for (size_t i = 0; i < g.count; i++) one_model(g.name[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_way_of_computing_is_one)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
