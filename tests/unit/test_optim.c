/* Optimizers against plain double arithmetic, torch and bitsandbytes, schedules against transformers (tests/oracle/make_optim.py); the
 * norm's independence of threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/rng.h"
#include "format/json.h"
#include "format/safetensors.h"
#include "train/optim_apply.h"
#include "train/schedule.h"

#define GOLDEN TEST_SOURCE_DIR "/golden/optim/"
#define N 10001

static void ok(status s) {
    if (s != ST_OK) fail_msg("%s", status_message());
}

static void near(double got, double want, double tolerance) {
    if (!(fabs(got - want) <= tolerance * (1 + fabs(want)))) fail_msg("got %.12g, want %.12g", got, want);
}

static void adamw_follows_the_paper(void **state) {
    (void)state;
    static float value[N], grad[N];
    static double x[N], m[N], v[N];
    struct rng rng = rng_seeded(3);
    for (size_t i = 0; i < N; i++) x[i] = value[i] = (float)rng_normal(&rng), m[i] = v[i] = 0;
    struct optim_params p = optim_params_preset(optim_find("adamw"));
    p.weight_decay = 0.1;
    /* two slices: the second without decay and at half the rate */
    struct optim_slice slices[2] = {{.value = value, .dvalue = grad, .rows = 60, .cols = 100, .decay = true},
                                    {.value = value + 6000, .dvalue = grad + 6000, .rows = 1, .cols = N - 6000, .rate = 0.5}};
    struct optim o;
    ok(optim_init(&o, optim_find("adamw"), &p, slices, 2));
    for (int t = 1; t <= 20; t++) {
        double base = 1e-2 / t, scale = t % 2 ? 1 : 0.5;
        for (size_t i = 0; i < N; i++) grad[i] = (float)rng_normal(&rng);
        uint64_t before = mem_alloc_count();
        ok(optim_step(&o, base, scale));
        assert_int_equal(mem_alloc_count(), before);
        for (size_t i = 0; i < N; i++) {
            double g = (double)grad[i] * scale, rate = i < 6000 ? base : base / 2;
            x[i] -= rate * (i < 6000 ? 0.1 : 0) * x[i];
            m[i] = 0.9 * m[i] + 0.1 * g;
            v[i] = 0.999 * v[i] + 0.001 * g * g;
            x[i] -= rate * (m[i] / (1 - pow(0.9, t))) / (sqrt(v[i] / (1 - pow(0.999, t))) + 1e-8);
        }
    }
    for (size_t i = 0; i < N; i++) near((double)value[i], x[i], 2e-6);
    assert_int_equal(o.steps, 20);
    optim_release(&o);
}

static void norm_is_the_same_on_any_threads(void **state) {
    (void)state;
    static float value[N], grad[N];
    struct rng rng = rng_seeded(4);
    double squares = 0;
    for (size_t i = 0; i < N; i++) grad[i] = (float)rng_normal(&rng), squares += (double)grad[i] * (double)grad[i];
    struct optim_params p = optim_params_preset(optim_find("adamw"));
    struct optim_slice slices[3] = {{.value = value, .dvalue = grad, .rows = 1, .cols = 5},
                                    {.value = value + 5, .dvalue = grad + 5, .rows = 0, .cols = 7},
                                    {.value = value + 5, .dvalue = grad + 5, .rows = N - 5, .cols = 1}};
    struct optim o;
    assert_int_equal(optim_init(&o, optim_find("adamw"), &p, slices, 3), ST_OK);
    int threads = omp_get_max_threads();
    omp_set_num_threads(1);
    double one = optim_norm(&o);
    omp_set_num_threads(3);
    double three = optim_norm(&o);
    omp_set_num_threads(threads);
    assert_true(one == three);
    near(one, sqrt(squares), 1e-14);
    near(optim_clip_scale(2, 1), 1 / (2 + 1e-6), 1e-15);
    assert_true(optim_clip_scale(0.5, 1) == 1 && optim_clip_scale(5, 0) == 1 && isnan(optim_clip_scale(NAN, 1)));
    grad[9000] = INFINITY;
    assert_true(isinf(optim_norm(&o)));
    optim_release(&o);
}

static void optimizers_refuse(void **state) {
    (void)state;
    static const struct {
        const char *optim, *arg, *message;
    } wrong[] = {
        {"sgd", "momentum=2", "momentum expects 0 to 1"},
        {"sgd", "momentum=x", "expects a number"},
        {"sgd", "ns_steps=5", "sgd has no setting 'ns_steps'"},
        {"muon", "ns_steps=1.5", "whole number"},
        {"muon", "adjust_lr_fn=moon", "original|match_rms_adamw"},
        {"adamw", "momentum=0.9", "it takes: none"},
        {"muon", "nesterov", "key=value"},
        {"muon", "nesterov=maybe", "false|true"},
    };
    for (size_t i = 0; i < optim_count; i++) {
        struct optim o;
        struct optim_params p = optim_params_preset(&optim_table[i]);
        assert_ptr_equal(optim_find(optim_table[i].name), &optim_table[i]);
        assert_true(optim_table[i].help[0] && optim_table[i].citation[0]);
        ok(optim_init(&o, &optim_table[i], &p, NULL, 0));
        assert_true(optim_norm(&o) == 0);
        ok(optim_step(&o, 1, 1));
        optim_release(&o);
        p.weight_decay = -1;
        assert_int_equal(optim_init(&o, &optim_table[i], &p, NULL, 0), ST_USAGE);
        p = optim_params_preset(&optim_table[i]);
        p.beta2 = 1;
        assert_int_equal(optim_init(&o, &optim_table[i], &p, NULL, 0), ST_USAGE);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        const struct optim_row *row = optim_find(wrong[i].optim);
        struct optim_params p = optim_params_preset(row);
        assert_int_equal(optim_params_read(&p, row, &wrong[i].arg, 1), ST_USAGE);
        if (!strstr(status_message(), wrong[i].message)) fail_msg("'%s' does not say '%s'", status_message(), wrong[i].message);
    }
    struct optim o;
    struct optim_params p = optim_params_preset(optim_find("sgd"));
    p.nesterov = true;
    assert_int_equal(optim_init(&o, optim_find("sgd"), &p, NULL, 0), ST_USAGE);
    assert_ptr_equal(optim_find("adamw_bnb_8bit"), optim_find("adamw_8bit"));
    assert_true(!optim_find("") && !optim_find("adam") && !optim_find("adamw_torch_"));
}

/* The i-th gradient of step t of tests/oracle/make_optim.py. */
static float number(uint64_t i, uint64_t t) {
    uint64_t h = (i * 2654435761u + (t * 2246822519u & 0xffffffffu)) & 0xffffffffu;
    h = ((h ^ (h >> 15)) * 2654435761u) & 0xffffffffu;
    return (float)(((double)(h >> 16) / 65536 - 0.5) * pow(2, -(double)(i % 8)));
}

#define SHAPES 4
static const size_t shapes[SHAPES][2] = {{40, 128}, {128, 33}, {16, 20}, {1, 50}};

static struct json read_json(struct buf *text, const char *path) {
    struct json v;
    ok(file_read(text, path));
    ok(json_parse(&v, buf_text(text), text->size));
    return v;
}

static double number_of(struct json v, const char *key) {
    double x = 0;
    assert_true(json_double(&x, json_get(v, key)));
    return x;
}

static size_t texts_of(const char **out, struct json list) {
    struct json_iter it = json_iter_begin(list);
    struct json key, v;
    size_t n = 0;
    while (json_iter_next(&it, &key, &v)) out[n++] = mem_keep(json_text(v));
    return n;
}

/* Muon's numbers are bf16, whose sums torch may order in another way: one of them may round to its neighbour, 2^-8 of it, and what grows of
 * that. */
static double tolerance_of(const char *name) { return strcmp(name, "muon") == 0 ? 1e-3 : 2e-6; }

static void run_case(const struct safetensors *golden, size_t number_of_case, struct json c, int threads) {
    static float values[SHAPES][5120], grads[SHAPES][5120];
    struct optim_slice slices[SHAPES];
    const char *args[8];
    struct json key, v;
    struct optim o;
    char *name = json_text(json_get(c, "optim"));
    const struct optim_row *row = optim_find(name);
    assert_non_null(row);
    struct optim_params p = optim_params_preset(row);
    ok(optim_params_read(&p, row, args, texts_of(args, json_get(c, "args"))));
    struct json_iter it = json_iter_begin(json_get(c, "betas"));
    json_iter_next(&it, &key, &v), json_double(&p.beta1, v), json_iter_next(&it, &key, &v), json_double(&p.beta2, v);
    p.eps = number_of(c, "eps"), p.weight_decay = number_of(c, "weight_decay");
    for (size_t s = 0; s < SHAPES; s++) {
        slices[s] = (struct optim_slice){
            .value = values[s], .dvalue = grads[s], .rows = shapes[s][0], .cols = shapes[s][1], .decay = s < 3, .hidden = s < 3};
        for (size_t i = 0; i < shapes[s][0] * shapes[s][1]; i++) values[s][i] = 4 * number(i + 100000 * s, 0);
    }
    ok(optim_init(&o, row, &p, slices, SHAPES));
    omp_set_num_threads(threads);
    for (uint64_t t = 1; t <= 100; t++) {
        for (size_t s = 0; s < SHAPES; s++)
            for (size_t i = 0; i < shapes[s][0] * shapes[s][1]; i++) grads[s][i] = 2 * number(i + 100000 * s, t);
        ok(optim_step(&o, number_of(c, "rate"), 0.5));
        for (size_t s = 0; s < SHAPES && (t == 1 || t == 10 || t == 100); s++) {
            char tensor[64];
            snprintf(tensor, sizeof tensor, "%zu.%zu.%d", number_of_case, s, (int)t);
            const struct st_tensor *want = safetensors_find(golden, tensor);
            assert_non_null(want);
            for (size_t i = 0; i < shapes[s][0] * shapes[s][1]; i++)
                if (!(fabs((double)values[s][i] - (double)((const float *)want->data)[i]) <=
                      tolerance_of(name) * (1 + fabs((double)values[s][i]))))
                    fail_msg("%s, case %zu, tensor %zu, step %d: [%zu] is %.9g, golden %.9g", name, number_of_case, s, (int)t, i,
                             (double)values[s][i], (double)((const float *)want->data)[i]);
        }
    }
    optim_release(&o);
    free(name);
}

static void optimizers_are_the_originals(void **state) {
    (void)state;
    struct buf text = {0};
    struct safetensors golden;
    struct json key, c;
    const int threads = omp_get_max_threads();
    size_t count = 0, rows = 0;
    ok(safetensors_open(&golden, GOLDEN "optimizers.safetensors"));
    struct json cases = read_json(&text, GOLDEN "optimizers.json");
    for (int n = 1; n <= 3; n += 2, count = 0) {
        struct json_iter it = json_iter_begin(cases);
        while (json_iter_next(&it, &key, &c)) run_case(&golden, count++, c, n);
    }
    omp_set_num_threads(threads);
    for (size_t i = 0; i < optim_count; i++) { /* every row has a case */
        struct json_iter it = json_iter_begin(cases);
        while (json_iter_next(&it, &key, &c))
            if (json_equals(json_get(c, "optim"), optim_table[i].name)) {
                rows++;
                break;
            }
    }
    assert_int_equal(rows, optim_count);
    buf_release(&text);
    safetensors_release(&golden);
}

static void eight_bits_are_bitsandbytes(void **state) {
    (void)state;
    struct safetensors golden;
    float map[256];
    ok(safetensors_open(&golden, GOLDEN "optimizers.safetensors"));
    for (int with_sign = 0; with_sign < 2; with_sign++) {
        const struct st_tensor *want = safetensors_find(&golden, with_sign ? "map.signed" : "map.unsigned");
        optim_dynamic_map(map, with_sign);
        assert_memory_equal(map, want->data, sizeof map);
    }
    /* 100 steps of noise later the values have gone nearly the way that they go with 32 bits; bitsandbytes' own are 0.086 off */
    const float *eight = safetensors_find(&golden, "8.0.100")->data, *full = safetensors_find(&golden, "0.0.100")->data;
    double off = 0, moved = 0;
    for (size_t i = 0; i < 5120; i++) {
        off += pow((double)eight[i] - (double)full[i], 2);
        moved += pow((double)full[i] - 4 * (double)number(i, 0), 2);
    }
    assert_true(sqrt(off / moved) < 0.1);
    const struct optim_slice slice = {.rows = 64, .cols = 4096};
    const struct optim_params p = optim_params_preset(optim_find("adamw_8bit"));
    assert_true(optim_bytes(optim_find("adamw_8bit"), &p, &slice, 1) * 39 / 10 < optim_bytes(optim_find("adamw_torch"), &p, &slice, 1));
    safetensors_release(&golden);
}

static void schedules_are_transformers(void **state) {
    (void)state;
    struct buf text = {0};
    struct json key, c, r;
    struct json cases = read_json(&text, GOLDEN "schedules.json");
    struct json_iter it = json_iter_begin(cases);
    size_t seen[64] = {0};
    while (json_iter_next(&it, &key, &c)) {
        char *name = json_text(json_get(c, "name"));
        const char *kwargs[8];
        struct schedule s;
        struct schedule_options o = {
            .name = name, .peak = number_of(c, "learning_rate"), .warmup_steps = (uint64_t)number_of(c, "warmup_steps"), .kwargs = kwargs};
        o.kwarg_count = texts_of(kwargs, json_get(c, "kwargs"));
        ok(schedule_init(&s, &o, (uint64_t)number_of(c, "total_steps")));
        struct json_iter rates = json_iter_begin(json_get(c, "rates")), measured = json_iter_begin(json_get(c, "measured"));
        uint64_t step = 0;
        for (double want; json_iter_next(&rates, &key, &r); step++) {
            assert_true(json_double(&want, r));
            const double got = schedule_rate(&s, step);
            if (!(fabs(got - want) <= 1e-12 * fabs(want) + 1e-18))
                fail_msg("%s, step %d: %.17g, transformers %.17g", name, (int)step, got, want);
            if (!s.row->watch) continue;
            assert_true(json_iter_next(&measured, &key, &r) && json_double(&want, r));
            s.row->watch(&s, want);
        }
        assert_int_equal(step, 100);
        seen[s.row - schedule_table]++;
        free(name);
    }
    for (size_t i = 0; i < schedule_count; i++) assert_true(seen[i] > 0);
    buf_release(&text);
}

static status start(const char *name, const char *kwarg, uint64_t warmup, double ratio) {
    struct schedule s;
    const struct schedule_options o = {
        .name = name, .peak = 1e-3, .warmup_steps = warmup, .warmup_ratio = ratio, .kwargs = &kwarg, .kwarg_count = kwarg != NULL};
    const status code = schedule_init(&s, &o, 51);
    if (code == ST_OK && ratio > 0) assert_int_equal(s.warmup_steps, 6); /* ceil(5.1) */
    return code;
}

static void schedules_refuse(void **state) {
    (void)state;
    static const struct {
        const char *name, *kwarg, *message;
    } wrong[] = {
        {"step", NULL, "constant_with_warmup"},
        {"greedy", "factor=1", "below 1"},
        {"linear", "power=2", "linear has no setting 'power'"},
        {"polynomial", "lr_end=1", "must be below"},
        {"cosine_with_min_lr", NULL, "min_lr_rate"},
        {"warmup_stable_decay", NULL, "num_decay_steps"},
        {"warmup_stable_decay", "decay_type=step", "1-sqrt"},
        {"inverse_sqrt", "timescale=0", "1 to"},
        {"cosine_with_min_lr", "min_lr=nan", "expects a number"},
        {"greedy", "window_size=9", "without smooth=true"},
        {"reduce_lr_on_plateau", "factor=0", "above 0"},
        {"reduce_lr_on_plateau", "smooth=true", "no setting 'smooth'"},
        {"greedy", "mode=most", "min|max"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(start(wrong[i].name, wrong[i].kwarg, 0, 0), ST_USAGE);
        if (!strstr(status_message(), wrong[i].message)) fail_msg("'%s' does not say '%s'", status_message(), wrong[i].message);
    }
    assert_int_equal(start("linear", NULL, 0, 0.1), ST_OK);
    assert_int_equal(start("linear", NULL, 0, 1.5), ST_USAGE);
    assert_int_equal(start("constant", NULL, 5, 0), ST_USAGE);
    assert_int_equal(start("constant", NULL, 0, 0.1), ST_USAGE);
    assert_int_equal(start("greedy", NULL, 5, 0), ST_USAGE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adamw_follows_the_paper),
        cmocka_unit_test(norm_is_the_same_on_any_threads),
        cmocka_unit_test(optimizers_refuse),
        cmocka_unit_test(optimizers_are_the_originals),
        cmocka_unit_test(eight_bits_are_bitsandbytes),
        cmocka_unit_test(schedules_are_transformers),
        cmocka_unit_test(schedules_refuse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
