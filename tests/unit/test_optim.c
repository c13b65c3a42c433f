/* Optimizers against plain double arithmetic, the norm's independence of threads, schedules against closed forms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <omp.h>
#include <string.h>

#include "base/buf.h"
#include "base/rng.h"
#include "train/optim.h"
#include "train/schedule.h"

#define N 10001

static void near(double got, double want, double tolerance) {
    if (!(fabs(got - want) <= tolerance * (1 + fabs(want)))) fail_msg("got %.12g, want %.12g", got, want);
}

static void adamw_follows_the_paper(void **state) {
    (void)state;
    static float value[N], grad[N];
    static double x[N], m[N], v[N];
    struct rng rng = rng_seeded(3);
    for (size_t i = 0; i < N; i++) x[i] = value[i] = (float)rng_normal(&rng), m[i] = v[i] = 0;
    struct optim_params p = optim_params_preset();
    p.weight_decay = 0.1;
    /* two slices: the second without decay */
    struct optim_slice slices[2] = {{value, grad, 6000, true}, {value + 6000, grad + 6000, N - 6000, false}};
    struct optim o;
    assert_int_equal(optim_init(&o, optim_find("adamw"), &p, slices, 2), ST_OK);
    for (int t = 1; t <= 20; t++) {
        double rate = 1e-2 / t, scale = t % 2 ? 1 : 0.5;
        for (size_t i = 0; i < N; i++) grad[i] = (float)rng_normal(&rng);
        uint64_t before = mem_alloc_count();
        optim_step(&o, rate, scale);
        assert_int_equal(mem_alloc_count(), before);
        for (size_t i = 0; i < N; i++) {
            double g = (double)grad[i] * scale;
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

static void sgd_has_momentum(void **state) {
    (void)state;
    float value[1] = {1}, grad[1] = {0.5F};
    struct optim_params p = optim_params_preset();
    p.momentum = 0.5;
    struct optim o;
    assert_int_equal(optim_init(&o, optim_find("sgd"), &p, &(struct optim_slice){value, grad, 1, true}, 1), ST_OK);
    optim_step(&o, 0.1, 1);
    near((double)value[0], 1 - 0.1 * 0.5, 1e-7);
    optim_step(&o, 0.1, 1);
    near((double)value[0], 1 - 0.1 * 0.5 - 0.1 * 0.75, 1e-7);
    optim_release(&o);
}

static void norm_is_the_same_on_any_threads(void **state) {
    (void)state;
    static float value[N], grad[N];
    struct rng rng = rng_seeded(4);
    double squares = 0;
    for (size_t i = 0; i < N; i++) grad[i] = (float)rng_normal(&rng), squares += (double)grad[i] * (double)grad[i];
    struct optim_params p = optim_params_preset();
    struct optim_slice slices[3] = {{value, grad, 5, true}, {value + 5, grad + 5, 0, true}, {value + 5, grad + 5, N - 5, true}};
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
    for (size_t i = 0; i < optim_count; i++) {
        struct optim o;
        struct optim_params p = optim_params_preset();
        assert_ptr_equal(optim_find(optim_table[i].name), &optim_table[i]);
        assert_true(optim_table[i].states <= OPTIM_STATES_MAX && optim_table[i].help[0] && optim_table[i].citation[0]);
        assert_int_equal(optim_init(&o, &optim_table[i], &p, NULL, 0), ST_OK);
        assert_true(optim_norm(&o) == 0);
        optim_step(&o, 1, 1);
        optim_release(&o);
        p.weight_decay = -1;
        assert_int_equal(optim_init(&o, &optim_table[i], &p, NULL, 0), ST_USAGE);
    }
    struct optim_params p = optim_params_preset();
    p.beta2 = 1;
    assert_int_equal(optim_find("adamw")->check(&p), ST_USAGE);
}

static void schedules_match_closed_forms(void **state) {
    (void)state;
    static const struct { const char *name; uint64_t step; double factor; } cases[] = { /* 10 of 110 steps are warm-up */
        {"linear", 0, 0}, {"linear", 5, 0.5}, {"linear", 10, 1}, {"linear", 60, 0.5}, {"linear", 109, 0.01}, {"linear", 110, 0}, {"linear", 200, 0},
        {"cosine", 0, 0}, {"cosine", 5, 0.5}, {"cosine", 10, 1}, {"cosine", 60, 0.5}, {"cosine", 35, 0.8535533905932737}, {"cosine", 110, 0},
        {"cosine_with_restarts", 35, 0.8535533905932737}, {"cosine_with_restarts", 200, 0},
        {"constant_with_warmup", 5, 0.5}, {"constant_with_warmup", 10, 1}, {"constant_with_warmup", 109, 1},
        {"inverse_sqrt", 5, 0.5}, {"inverse_sqrt", 10, 1}, {"inverse_sqrt", 40, 0.5},
    };
    struct schedule s;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(schedule_init(&s, cases[i].name, 2e-5, 10, 0, 110), ST_OK);
        near(schedule_rate(&s, cases[i].step) / 2e-5, cases[i].factor, 1e-12);
    }
    for (size_t i = 0; i < schedule_count; i++) {
        assert_int_equal(schedule_init(&s, schedule_table[i].name, 1, 0, 0, 50), ST_OK);
        assert_true(schedule_rate(&s, 0) == 1);
        assert_int_equal(schedule_init(&s, schedule_table[i].name, 1, 0, 0.1, 51), schedule_table[i].warms_up ? ST_OK : ST_USAGE);
        if (schedule_table[i].warms_up) assert_int_equal(s.warmup_steps, 6); /* ceil(5.1) */
    }
    assert_int_equal(schedule_init(&s, "step", 1, 0, 0, 50), ST_USAGE);
    assert_non_null(strstr(status_message(), "constant_with_warmup"));
    assert_int_equal(schedule_init(&s, "linear", 1, 0, 1.5, 50), ST_USAGE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adamw_follows_the_paper),         cmocka_unit_test(sgd_has_momentum),     cmocka_unit_test(norm_is_the_same_on_any_threads),
        cmocka_unit_test(optimizers_refuse),               cmocka_unit_test(schedules_match_closed_forms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
