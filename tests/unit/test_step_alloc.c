/* A training step allocates nothing: whatever runs of 6 and of 12 steps allocate is the same. Counted are our own allocators and, under the
 * plain-loop products and without sanitizers, the process's malloc (oneDNN's primitives call malloc each time they run). */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <math.h>
#include <omp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "train/trainer.h"

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define COUNTS_MALLOC 1
static atomic_ulong calls;
extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t), *__libc_memalign(size_t, size_t);
void *malloc(size_t n) {
    atomic_fetch_add(&calls, 1);
    return __libc_malloc(n);
}
void *calloc(size_t n, size_t size) {
    atomic_fetch_add(&calls, 1);
    return __libc_calloc(n, size);
}
void *realloc(void *old, size_t n) {
    atomic_fetch_add(&calls, 1);
    return __libc_realloc(old, n);
}
void *aligned_alloc(size_t align, size_t n) {
    atomic_fetch_add(&calls, 1);
    return __libc_memalign(align, n);
}
int posix_memalign(void **out, size_t align, size_t n) {
    atomic_fetch_add(&calls, 1);
    *out = __libc_memalign(align, n);
    return *out ? 0 : 12;
}
#else
#define COUNTS_MALLOC 0
static unsigned long calls;
#endif

static char folder[] = "/tmp/rapt_alloc_XXXXXX";

static void remove_all(void) {
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));)
        if (e->d_name[0] != '.') unlinkat(dirfd(d), e->d_name, 0);
    if (d) closedir(d);
    rmdir(folder);
}

struct counts {
    unsigned long own, all;
};

static struct counts run(struct train_options o, uint64_t steps) {
    struct counts before = {(unsigned long)mem_alloc_count(), calls};
    o.max_steps = steps;
    if (trainer_run(&o) != ST_OK) fail_msg("%s", status_message());
    return (struct counts){(unsigned long)mem_alloc_count() - before.own, calls - before.all};
}

static void check(struct train_options o, const char *what) {
    run(o, 12); /* what is made once per process */
    struct counts few = run(o, 6), many = run(o, 12);
    if (few.own != many.own) fail_msg("%s: 6 more steps made %ld more allocations", what, (long)(many.own - few.own));
    if (o.kind == MATMUL_REFERENCE && few.all != many.all)
        fail_msg("%s: 6 more steps called malloc %ld more times", what, (long)(many.all - few.all));
    assert_true(few.own > 0 && (!COUNTS_MALLOC || few.all >= few.own));
}

static const struct loss_mix *mix_of(const char *name, int slot) {
    static struct loss_mix mixes[2];
    mixes[slot] = loss_mix_of(loss_find(name));
    return &mixes[slot];
}

static struct train_options preset(void) {
    return (struct train_options){
        .model = TEST_SOURCE_DIR "/golden/llama_tiny",
        .train_data = TEST_SOURCE_DIR "/golden/trl/train.jsonl",
        .output_dir = folder,
        .loss = mix_of("sigmoid", 0),
        .loss_params = {.beta = 0.1},
        .lora = {.rank = 4, .alpha = 8, .targets = {"all-linear"}, .target_count = 1},
        .epochs = 1,
        .max_grad_norm = 1,
        .schedule = {.name = "linear", .peak = 1e-3},
        .optimizer = optim_find("adamw_torch"),
        .optim = optim_params_preset(optim_find("adamw_torch")),
        .batch = 1,
        .accumulation = 1,
        .eval_batch = 1,
        .max_length = 24,
        .token_budget = 64,
        .order = ORDER_FILE,
        .seed = 1,
        .kind = MATMUL_F32,
        .options_json = "{}",
    };
}

static void steps_allocate_nothing(void **state) {
    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        char what[64];
        struct train_options o = preset();
        o.kind = (enum matmul_kind)kind;
        snprintf(what, sizeof what, "LoRA, %s", matmul_kind_name(o.kind));
        check(o, what);
        o.lora.dropout = 0.1, o.recompute = true, o.loss = mix_of("ipo", 1);
        snprintf(what, sizeof what, "LoRA, dropout, recomputing, %s", matmul_kind_name(o.kind));
        check(o, what);
        o = preset();
        o.kind = (enum matmul_kind)kind, o.loss_params.weighting = true, o.loss_params.ld = true, o.loss_params.ld_alpha = 0.5;
        snprintf(what, sizeof what, "LoRA, weights of pairs and tokens, %s", matmul_kind_name(o.kind));
        check(o, what);
        o = preset();
        o.kind = (enum matmul_kind)kind, o.loss = mix_of("orpo", 1), o.batch = 4;
        snprintf(what, sizeof what, "LoRA, prompts scored, in several packs, %s", matmul_kind_name(o.kind));
        check(o, what);
        o = preset();
        o.kind = (enum matmul_kind)kind, o.full = true, o.epochs = 9, o.accumulation = 2, o.batch = 3; /* several epochs */
        snprintf(what, sizeof what, "full, %s", matmul_kind_name(o.kind));
        check(o, what);
        o = preset();
        o.kind = (enum matmul_kind)kind, o.objective = OBJECTIVE_KTO, o.loss = mix_of("kto", 1), o.kto_threshold = (double)NAN, o.batch = 3;
        o.loss_params.desirable_weight = o.loss_params.undesirable_weight = 1;
        snprintf(what, sizeof what, "kto, %s", matmul_kind_name(o.kind));
        check(o, what);
        o = preset();
        o.kind = (enum matmul_kind)kind, o.loss = mix_of("nca", 1), o.loss_params.temperature_alpha = 1, o.batch = 3;
        o.train_data = TEST_SOURCE_DIR "/golden/trl_groups/responses.jsonl", o.ref_sync_steps = 4, o.ref_mixup_alpha = 0.5;
        snprintf(what, sizeof what, "nca, a reference that moves, %s", matmul_kind_name(o.kind));
        check(o, what);
    }
}

int main(void) {
    if (!mkdtemp(folder)) return 1;
    log_set_level(LOG_WARN);
    omp_set_num_threads(1);
    const struct CMUnitTest tests[] = {cmocka_unit_test(steps_allocate_nothing)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    remove_all();
    return failed;
}
