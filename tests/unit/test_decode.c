/* Decoding against the full forward: logits token by token, greedy and sampled continuations, shared prefixes, adapters, batches. */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "golden_models.h"
#include "infer/decode.h"
#include "model/lora.h"
#include "num/softmax_logp.h"
#include "tiny_gguf.h"
#include "tiny_model.h"

#define V 160
#define JOBS 13
#define PROMPT_MAX 120
#define NEW_MAX 40

static char folder[64], quantised[128], partly[128]; /* the last two: .gguf */
struct job {
    int32_t prompt[PROMPT_MAX], response[NEW_MAX];
    size_t prompt_count, max_new, count, reused;
    enum decode_finish finish;
    float logp[NEW_MAX];  /* of the forced tokens */
    float range[NEW_MAX]; /* largest minus smallest logit there */
    int done;
};
struct bench {
    struct model model;
    struct job jobs[JOBS];
    size_t next;
    const float *theta;
    bool forced;
    float *logits; /* [JOBS, NEW_MAX, V] of the forced tokens, where wanted */
};

/* Prompts that share heads of several lengths, one of them another's prefix, some longer than a step. */
static void make_jobs(struct bench *b) {
    struct rng r = rng_seeded(3);
    const size_t v = b->model.config.vocab;
    for (size_t i = 0; i < JOBS; i++) {
        struct job *j = &b->jobs[i];
        j->prompt_count = 1 + (i * 37) % (PROMPT_MAX - 1);
        j->max_new = 3 + (i * 7) % (NEW_MAX - 3);
        for (size_t k = 0; k < PROMPT_MAX; k++) j->prompt[k] = (int32_t)(k < 60 && i % 3 ? (k * 13) % v : rng_below(&r, v));
        for (size_t k = 0; k < NEW_MAX; k++) j->response[k] = (int32_t)rng_below(&r, v);
    }
    memcpy(b->jobs[8].prompt, b->jobs[5].prompt, sizeof b->jobs[5].prompt);
    b->jobs[8].prompt_count = b->jobs[5].prompt_count;
}

static void bench_open(struct bench *b, const char *path, enum matmul_kind kind, bool adapter) {
    *b = (struct bench){0};
    if (model_open(&b->model, path, kind, MODEL_INFER) != ST_OK) fail_msg("%s", status_message());
    if (adapter) {
        const struct lora_options o = {.rank = 4,
                                       .alpha = 8,
                                       .dora = kind == MATMUL_F32 || kind == MATMUL_INT8,
                                       .save_embedding = true,
                                       .targets = {"all-linear", "lm_head"},
                                       .target_count = 2};
        assert_int_equal(lora_attach(&b->model, &o, 9, false), ST_OK);
        struct rng r = rng_seeded(4);
        for (size_t i = 0; i < b->model.params.size; i++) b->model.params.value[i] = 0.1f * (float)rng_normal(&r);
        b->theta = b->model.params.value;
    }
    make_jobs(b);
}

static status next(void *context, struct decode_job *job, bool *end) {
    struct bench *b = context;
    *end = b->next == JOBS;
    if (*end) return ST_OK;
    struct job *j = &b->jobs[b->next];
    *job = (struct decode_job){
        .prompt = j->prompt, .prompt_count = j->prompt_count, .max_new = j->max_new, .row = b->next, .sample = 1, .user = j};
    b->next++;
    return ST_OK;
}

static status finish(void *context, const struct decode_state *s) {
    struct bench *b = context;
    struct job *j = s->job->user;
    if (b->forced) assert_memory_equal(j->response, s->ids, s->count * sizeof(int32_t));
    memcpy(j->response, s->ids, s->count * sizeof(int32_t));
    j->count = s->count;
    j->finish = s->finish;
    j->reused = s->prompt_reused;
    j->done++;
    return ST_OK;
}

static bool ends_at_seven(void *context, int32_t id) {
    (void)context;
    return id % 23 == 7;
}

/* Takes the response that is there and notes what the model thinks of it. */
static status force(void *context, int32_t *id, const struct decode_state *s, const float *logits) {
    const size_t v = ((const struct bench *)context)->model.config.vocab;
    struct job *j = s->job->user;
    float lse, entropy, mean;
    int32_t argmax;
    logp_rows(&lse, &entropy, &argmax, &mean, NULL, logits, 1, v);
    float low = logits[0], high = logits[0];
    for (size_t i = 1; i < v; i++) low = fminf(low, logits[i]), high = fmaxf(high, logits[i]);
    *id = j->response[s->count];
    j->logp[s->count] = logits[*id] - lse;
    j->range[s->count] = high - low;
    float *kept = ((const struct bench *)context)->logits;
    if (kept) memcpy(kept + ((size_t)(j - ((struct bench *)context)->jobs) * NEW_MAX + s->count) * v, logits, v * sizeof *logits);
    return ST_OK;
}

static void decode(struct bench *b, struct decode_calls calls, size_t batch, size_t rows, const struct sampler_options *sampler) {
    struct decoder d;
    const struct decode_options o = {.batch = batch, .length = PROMPT_MAX + NEW_MAX + 8, .rows = rows, .sampler = *sampler};
    calls.context = b, calls.next = next, calls.finish = finish;
    if (decoder_init(&d, &b->model, b->theta, &o) != ST_OK) fail_msg("%s", status_message());
    b->next = 0;
    for (size_t i = 0; i < JOBS; i++) b->jobs[i].done = 0;
    assert_int_equal(decode_run(&d, &calls), ST_OK);
    for (size_t i = 0; i < JOBS; i++) assert_int_equal(b->jobs[i].done, 1);
    decoder_release(&d);
}

/* Log-probs (and argmax) of the responses by the full forward, one sequence at a time. */
static void full(struct bench *b, struct run *run, struct seqtree *tree, const struct job *j, size_t count) {
    int32_t ids[PROMPT_MAX + NEW_MAX];
    const int32_t *sequence = ids, size = (int32_t)(j->prompt_count + count), from = (int32_t)j->prompt_count;
    memcpy(ids, j->prompt, j->prompt_count * sizeof *ids);
    memcpy(ids + j->prompt_count, j->response, count * sizeof *ids);
    assert_int_equal(seqtree_build(tree, &sequence, &size, &from, 1, true), ST_OK);
    assert_int_equal(run_forward(run, tree, b->theta, false), ST_OK);
}

/* A log-prob is a difference of logits, which are rounded to a part of their size. The measure is therefore the difference to the full
 * forward as a part of the logits' range, as the families' own is (docs/numerics.md). Gemma 3's tiny model has a range of 61: against
 * transformers in double precision its log-probs of about 1 are 1.2e-5 off here and 0.5e-5 in the full forward, which is 2e-7 and 1e-7 of
 * the range. */
static void compare_full(struct bench *b, size_t first, bool greedy, double tolerance) {
    const struct run_plan plan = {.tokens = 256, .scored = 256};
    struct run run;
    struct seqtree tree;
    double worst = 0;
    assert_int_equal(model_need_positions(&b->model, 256), ST_OK);
    assert_int_equal(run_init(&run, &b->model, &plan), ST_OK);
    assert_int_equal(seqtree_init(&tree, 256, 16, 256), ST_OK);
    for (size_t i = first; i < JOBS; i++) {
        const struct job *j = &b->jobs[i];
        full(b, &run, &tree, j, j->count);
        assert_int_equal(tree.score_count, (int32_t)j->count);
        for (int32_t k = 0; k < tree.score_count; k++) {
            if (greedy)
                assert_int_equal(run.argmax[run.score_slot[k]], j->response[k]);
            else
                worst = fmax(worst, fabs((double)run.logp[k] - (double)j->logp[k]) / (double)j->range[k]);
        }
    }
    if (worst > tolerance) print_message("worst difference of a log-prob by the range of the logits: %g\n", worst);
    assert_true(worst <= tolerance);
    seqtree_release(&tree);
    run_release(&run);
}

static void check_forced(enum matmul_kind kind, bool adapter, double tolerance) {
    const size_t batches[] = {1, 5, 16}, rows[] = {0, 24, 16};
    const struct sampler_options sampler = sampler_options_default();
    for (size_t i = 0; i < 3; i++) {
        struct bench *b = calloc(1, sizeof *b);
        bench_open(b, folder, kind, adapter);
        b->forced = true;
        decode(b, (struct decode_calls){.pick = force}, batches[i], rows[i], &sampler);
        compare_full(b, 0, false, tolerance);
        model_release(&b->model);
        free(b);
    }
}

/* The cache of every family, its windows and soft-caps. Under long rope keys that are cached keep the rotation of the length they were made
 * at, as in transformers: not what one forward over everything does. */
static void test_families(void **state) {
    (void)state;
    struct golden_models g;
    golden_models_find(&g);
    assert_null(golden_models_lack(&g));
    const struct sampler_options sampler = sampler_options_default();
    for (size_t i = 0; i < g.count; i++) {
        struct bench *b = calloc(1, sizeof *b);
        char path[512];
        snprintf(path, sizeof path, TEST_SOURCE_DIR "/golden/%s", g.name[i]);
        bench_open(b, path, MATMUL_F32, false);
        b->forced = true;
        if (b->model.config.max_position < 256) b->model.config.max_position = 256; /* a limit of ours, of no part in the results */
        if (b->model.config.rope.kind != ROPE_LONG) {
            decode(b, (struct decode_calls){.pick = force}, 5, 24, &sampler);
            compare_full(b, 0, false, 1e-5);
        }
        model_release(&b->model);
        free(b);
    }
}

static void test_forced_f32(void **state) {
    (void)state;
    check_forced(MATMUL_F32, false, 1e-5);
}
static void test_forced_adapter(void **state) {
    (void)state;
    check_forced(MATMUL_F32, true, 1e-5);
}
static void test_forced_reference(void **state) {
    (void)state;
    check_forced(MATMUL_REFERENCE, false, 1e-5);
}
static void test_forced_bf16(void **state) {
    (void)state;
    check_forced(MATMUL_BF16, true, 0.05); /* bf16 rounds where rows fall: only the same to its precision */
}

static void test_greedy(void **state) {
    (void)state;
    struct sampler_options sampler = sampler_options_default();
    struct bench *b = calloc(1, sizeof *b);
    sampler.temperature = 0;
    bench_open(b, folder, MATMUL_F32, true);
    decode(b, (struct decode_calls){0}, 4, 0, &sampler);
    for (size_t i = 0; i < JOBS; i++) {
        assert_int_equal(b->jobs[i].count, b->jobs[i].max_new);
        assert_int_equal(b->jobs[i].finish, DECODE_LENGTH);
    }
    compare_full(b, 0, true, 0);
    model_release(&b->model);
    free(b);
}

/* The same samples whatever the batch, the step's rows and what prompts share. */
static void test_samples(void **state) {
    (void)state;
    const size_t batches[] = {1, 3, 16, 7}, rows[] = {256, 5, 64, 7};
    struct sampler_options sampler = sampler_options_default();
    struct bench *b = calloc(1, sizeof *b);
    struct job first[JOBS];
    size_t stops = 0, lengths = 0;
    sampler.temperature = 0.9, sampler.top_p = 0.95, sampler.seed = 77;
    bench_open(b, folder, MATMUL_REFERENCE, true);
    for (size_t run = 0; run < 4; run++) {
        decode(b, (struct decode_calls){.is_end = ends_at_seven}, batches[run], rows[run], &sampler);
        if (run == 0) memcpy(first, b->jobs, sizeof first);
        if (run == 2) assert_true(b->jobs[8].reused + 16 >= b->jobs[5].prompt_count - 1); /* both in the batch: one prompt */
        for (size_t i = 0; i < JOBS; i++) {
            const struct job *j = &b->jobs[i];
            assert_int_equal(j->count, first[i].count);
            assert_int_equal(j->finish, first[i].finish);
            assert_memory_equal(j->response, first[i].response, j->count * sizeof(int32_t));
            for (size_t k = 0; k + 1 < j->count; k++) assert_false(ends_at_seven(NULL, j->response[k]));
            stops += j->finish == DECODE_STOP;
            lengths += j->finish == DECODE_LENGTH;
        }
    }
    assert_true(stops > 0 && lengths > 0);
    model_release(&b->model);
    free(b);
}

/* A conversation: the second run's prompt goes on from the first one's answer, and only what is new is computed. */
static void test_cache_lives_on(void **state) {
    (void)state;
    struct bench *b = calloc(1, sizeof *b);
    struct decoder d;
    const struct decode_options o = {.batch = 1, .length = 160, .sampler = sampler_options_default()};
    struct decode_calls calls = {.context = b, .next = next, .finish = finish};
    bench_open(b, folder, MATMUL_F32, false);
    assert_int_equal(decoder_init(&d, &b->model, NULL, &o), ST_OK);
    struct job *last = &b->jobs[JOBS - 1];
    last->prompt_count = 30, last->max_new = 10;
    b->next = JOBS - 1;
    assert_int_equal(decode_run(&d, &calls), ST_OK);
    memcpy(last->prompt + 30, last->response, 10 * sizeof(int32_t));
    last->prompt[40] = 5;
    last->prompt_count = 41;
    b->next = JOBS - 1;
    const uint64_t before = d.counts.prompt;
    assert_int_equal(decode_run(&d, &calls), ST_OK);
    assert_int_equal(last->reused, 39); /* all but the last drawn token, which was never fed, and the new one */
    assert_int_equal(d.counts.prompt - before, 2);
    b->forced = true;
    calls.pick = force;
    b->next = JOBS - 1;
    assert_int_equal(decode_run(&d, &calls), ST_OK);
    compare_full(b, JOBS - 1, false, 1e-5);
    decoder_release(&d);
    model_release(&b->model);
    free(b);
}

/* Jobs with options and log-probs of their own, in one batch: the odds of the prompt's and of the drawn tokens are the full forward's,
 * under any sampling, and the samples are those of a decoder that has these options for all. */
struct asked {
    struct decode_odds odds, prompt[PROMPT_MAX], drawn[NEW_MAX];
    struct sampler_options sampler;
};
struct odds_bench {
    struct bench *b;
    struct asked asked[JOBS];
    int gone; /* the job that nobody waits for; -1: none */
};

static status next_asked(void *context, struct decode_job *job, bool *end) {
    struct odds_bench *o = context;
    const size_t i = o->b->next;
    TRY(next(o->b, job, end));
    if (*end) return ST_OK;
    job->sampler = &o->asked[i].sampler;
    job->top = i % 4;
    job->odds = i % 2 ? &o->asked[i].odds : NULL;
    job->prompt_odds = i % 3 ? o->asked[i].prompt : NULL;
    return ST_OK;
}

static status keep_odds(void *context, const struct decode_state *s, bool *stop) {
    struct odds_bench *o = context;
    const size_t i = (size_t)((struct job *)s->job->user - o->b->jobs);
    (void)stop;
    if (s->job->odds) o->asked[i].drawn[s->count - 1] = o->asked[i].odds;
    return ST_OK;
}

static status finish_asked(void *context, const struct decode_state *s) { return finish(((struct odds_bench *)context)->b, s); }

static bool is_gone(void *context, const struct decode_job *job) {
    const struct odds_bench *o = context;
    return o->gone >= 0 && job->user == &o->b->jobs[o->gone];
}

static void check_odds(struct bench *b, const struct asked *asked, size_t i, struct run *run, struct seqtree *tree) {
    const struct job whole = b->jobs[i];
    const size_t prompt = whole.prompt_count, top = i % 4;
    int32_t ids[PROMPT_MAX + NEW_MAX];
    const int32_t *sequence = ids, size = (int32_t)(prompt + whole.count), from = 1; /* all but the first token are scored */
    memcpy(ids, whole.prompt, prompt * sizeof *ids);
    memcpy(ids + prompt, whole.response, whole.count * sizeof *ids);
    assert_int_equal(seqtree_build(tree, &sequence, &size, &from, 1, true), ST_OK);
    assert_int_equal(run_forward(run, tree, b->theta, false), ST_OK);
    for (int32_t k = 1; k < size; k++) {
        const bool in_prompt = (size_t)k < prompt;
        if (in_prompt ? i % 3 == 0 : i % 2 == 0) continue;
        const struct decode_odds *o = in_prompt ? &asked->prompt[k] : &asked->drawn[(size_t)k - prompt];
        assert_true(fabs((double)o->logp - (double)run->logp[k - 1]) < 2e-4);
        if (top && o->top_id[0] != run->argmax[run->score_slot[k - 1]]) fail_msg("token %d: another one is likeliest", k);
        for (size_t t = 1; t < top; t++) assert_true(o->top_logp[t] <= o->top_logp[t - 1] && o->top_id[t] != o->top_id[t - 1]);
    }
}

static void test_odds(void **state) {
    (void)state;
    struct bench *b = calloc(1, sizeof *b);
    struct odds_bench *o = calloc(1, sizeof *o);
    struct decoder d;
    struct run run;
    struct seqtree tree;
    struct job first[JOBS];
    const struct decode_options options = {
        .batch = 5, .length = PROMPT_MAX + NEW_MAX + 8, .rows = 24, .sampler = sampler_options_default(), .odds = true};
    const struct decode_calls calls = {.context = o, .next = next_asked, .finish = finish_asked, .token = keep_odds, .gone = is_gone};
    bench_open(b, folder, MATMUL_REFERENCE, true);
    o->b = b;
    for (size_t i = 0; i < JOBS; i++) {
        o->asked[i].sampler = sampler_options_default();
        o->asked[i].sampler.temperature = i % 2 ? 0.8 : 0;
        o->asked[i].sampler.top_k = i % 2 ? 20 : 0;
        o->asked[i].sampler.repetition_penalty = i % 2 ? 1.0 : 1.3;
        o->asked[i].sampler.seed = 100;
    }
    for (size_t kind = 0; kind < 2; kind++) { /* in decoders of these options */
        decode(b, (struct decode_calls){0}, 8, 0, &o->asked[kind].sampler);
        for (size_t i = kind; i < JOBS; i += 2) first[i] = b->jobs[i];
    }
    o->gone = -1;
    b->next = 0;
    assert_int_equal(decoder_init(&d, &b->model, b->theta, &options), ST_OK);
    assert_int_equal(decode_run(&d, &calls), ST_OK);
    assert_int_equal(model_need_positions(&b->model, 256), ST_OK);
    assert_int_equal(run_init(&run, &b->model, &(struct run_plan){.tokens = 256, .scored = 256}), ST_OK);
    assert_int_equal(seqtree_init(&tree, 256, 16, 256), ST_OK);
    for (size_t i = 0; i < JOBS; i++) {
        assert_int_equal(b->jobs[i].count, first[i].count);
        assert_memory_equal(b->jobs[i].response, first[i].response, first[i].count * sizeof(int32_t));
        if (i % 3) assert_int_equal(b->jobs[i].reused, 0); /* computed whole */
        check_odds(b, &o->asked[i], i, &run, &tree);
    }
    /* nobody waits for one of them: it is finished at once, the others as before */
    o->gone = 3;
    b->next = 0;
    assert_int_equal(decode_run(&d, &calls), ST_OK);
    for (size_t i = 0; i < JOBS; i++) assert_int_equal(b->jobs[i].count, i == 3 ? b->jobs[i].count : first[i].count);
    assert_true(b->jobs[3].count < first[3].count);
    seqtree_release(&tree);
    run_release(&run);
    decoder_release(&d);
    model_release(&b->model);
    free(o);
    free(b);
}

/* Two adapters on one set of weights: each is what it is alone. */
static void test_shared_weights(void **state) {
    (void)state;
    const struct lora_options lora = {.rank = 3, .alpha = 6, .targets = {"q_proj", "down_proj"}, .target_count = 2};
    struct sampler_options sampler = sampler_options_default();
    struct bench *alone = calloc(1, sizeof *alone), *shared = calloc(1, sizeof *shared);
    struct model base;
    bench_open(alone, folder, MATMUL_F32, true);
    assert_int_equal(model_open(&base, folder, MATMUL_F32, MODEL_INFER), ST_OK);
    assert_int_equal(model_need_positions(&base, PROMPT_MAX + NEW_MAX + 8), ST_OK);
    sampler.temperature = 0;
    decode(alone, (struct decode_calls){0}, 4, 0, &sampler);
    struct model other;
    assert_int_equal(model_share(&other, &base), ST_OK);
    assert_int_equal(lora_attach(&other, &lora, 1, false), ST_OK);
    assert_int_equal(model_share(&shared->model, &base), ST_OK);
    const struct lora_options o = {
        .rank = 4, .alpha = 8, .dora = true, .save_embedding = true, .targets = {"all-linear", "lm_head"}, .target_count = 2};
    assert_int_equal(lora_attach(&shared->model, &o, 9, false), ST_OK);
    memcpy(shared->model.params.value, alone->model.params.value, shared->model.params.size * sizeof(float));
    model_changed(&shared->model);
    shared->theta = shared->model.params.value;
    make_jobs(shared);
    decode(shared, (struct decode_calls){0}, 4, 0, &sampler);
    for (size_t i = 0; i < JOBS; i++)
        assert_memory_equal(shared->jobs[i].response, alone->jobs[i].response, alone->jobs[i].count * sizeof(int32_t));
    assert_int_equal(base.params.size, 0);
    assert_int_equal(base.layers[0].qkv.u_width, 0);
    model_release(&shared->model);
    model_release(&other);
    model_release(&alone->model);
    model_release(&base);
    free(alone);
    free(shared);
}

static void test_errors(void **state) {
    (void)state;
    struct bench *b = calloc(1, sizeof *b);
    struct decoder d;
    struct decode_options o = {.batch = 2, .length = 40, .sampler = sampler_options_default()};
    const struct decode_calls calls = {.context = b, .next = next, .finish = finish};
    bench_open(b, folder, MATMUL_F32, false);
    assert_true(decoder_bytes(&b->model, &o) < (size_t)1 << 30);
    assert_int_equal(decoder_init(&d, &b->model, NULL, &o), ST_OK);
    b->jobs[0].prompt_count = 40;
    assert_int_equal(decode_run(&d, &calls), ST_UNSUPPORTED);
    decoder_release(&d);
    o.length = 4000;
    assert_int_equal(decoder_init(&d, &b->model, NULL, &o), ST_UNSUPPORTED); /* past the model's positions */
    o.length = SIZE_MAX / 4;
    assert_true(decoder_bytes(&b->model, &o) == SIZE_MAX);
    model_release(&b->model);
    free(b);
}

static void forced_run(struct bench *b, const char *path, enum matmul_kind kind, bool adapter, size_t batch, size_t rows) {
    const struct sampler_options sampler = sampler_options_default();
    float *logits = b->logits;
    bench_open(b, path, kind, adapter);
    b->logits = logits;
    b->forced = true;
    decode(b, (struct decode_calls){.pick = force}, batch, rows, &sampler);
}

/* From quantised weights as they are: every logit has the same bits whatever the batch, the step's rows and what prompts share; a full
 * forward differs by what attention's sums tip over in the rounding of x. */
static void test_int8(void **state) {
    (void)state;
    const size_t batches[] = {1, 5, 16, 3}, rows[] = {0, 24, 16, 5}, size = JOBS * NEW_MAX * V;
    float *first = calloc(size, sizeof *first), *again = calloc(size, sizeof *again);
    assert_int_equal(V, TINY_GGUF_VOCAB);
    for (size_t i = 0; i < 4; i++) {
        struct bench *b = calloc(1, sizeof *b);
        b->logits = i ? again : first;
        forced_run(b, quantised, MATMUL_INT8, false, batches[i], rows[i]);
        assert_true(b->model.int8 && b->model.kind == MATMUL_F32);
        if (i) assert_memory_equal(first, again, size * sizeof *first);
        if (i == 0) compare_full(b, 0, false, 0.02);
        model_release(&b->model);
        free(b);
    }
    free(first);
    free(again);
}

/* Root mean square difference to fp32 of a log-prob, in nats: with quantised weights everywhere, with plain ones between them, with an
 * adapter. */
static void test_int8_error(void **state) {
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct bench *exact = calloc(1, sizeof *exact), *b = calloc(1, sizeof *b);
        const char *path = i == 1 ? partly : quantised;
        double squares = 0, count = 0;
        forced_run(exact, path, MATMUL_F32, i == 2, 5, 24);
        forced_run(b, path, MATMUL_INT8, i == 2, 5, 24);
        assert_true(b->model.int8);
        assert_true((b->model.layers[0].o.w.int8 != NULL) == (i != 1) && b->model.head.w.int8);
        for (size_t k = 0; k < JOBS; k++)
            for (size_t t = 0; t < b->jobs[k].count; t++, count++)
                squares += pow((double)b->jobs[k].logp[t] - (double)exact->jobs[k].logp[t], 2);
        print_message("int8%s: log-probs differ from fp32's by %.4f nats RMS\n",
                      i == 0   ? ""
                      : i == 1 ? " beside F16"
                               : " with an adapter",
                      sqrt(squares / count));
        assert_true(squares > 0 && sqrt(squares / count) < 0.05);
        model_release(&b->model);
        model_release(&exact->model);
        free(exact);
        free(b);
    }
}

/* A file without quantised weights is opened as auto. */
static void test_int8_without(void **state) {
    (void)state;
    struct model m;
    assert_int_equal(model_open(&m, folder, MATMUL_INT8, MODEL_INFER), ST_OK);
    assert_true(!m.int8 && m.kind == matmul_kind_auto());
    model_release(&m);
}

static int setup(void **state) {
    (void)state;
    const struct tiny_shape shape = {.vocab = V, .hidden = 48, .layers = 3, .heads = 6, .kv_heads = 2, .head_dim = 12, .ffn = 80};
    snprintf(folder, sizeof folder, "/tmp/rapt_decode_XXXXXX");
    tiny_model_write(folder, &shape, 1);
    snprintf(quantised, sizeof quantised, "%s/quantised.gguf", folder);
    snprintf(partly, sizeof partly, "%s/partly.gguf", folder);
    tiny_gguf_write(quantised, DTYPE_Q4_0);
    tiny_gguf_write(partly, DTYPE_F16);
    return 0;
}
static int teardown(void **state) {
    (void)state;
    unlink(quantised);
    unlink(partly);
    tiny_model_remove(folder);
    matmul_shutdown();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_families),         cmocka_unit_test(test_forced_f32),     cmocka_unit_test(test_forced_adapter),
        cmocka_unit_test(test_forced_reference), cmocka_unit_test(test_forced_bf16),    cmocka_unit_test(test_greedy),
        cmocka_unit_test(test_samples),          cmocka_unit_test(test_cache_lives_on), cmocka_unit_test(test_odds),
        cmocka_unit_test(test_shared_weights),   cmocka_unit_test(test_errors),         cmocka_unit_test(test_int8),
        cmocka_unit_test(test_int8_error),       cmocka_unit_test(test_int8_without),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
