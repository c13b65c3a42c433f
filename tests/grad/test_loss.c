/* Every row of the loss table: gradients against finite differences, goldens of tests/oracle/make_loss_cases.py, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/rng.h"
#include "format/json.h"
#include "loss/loss.h"

#define SEQUENCES_MAX 64

/* Labels of both kinds in turn, and an estimate of the KL divergence: what the losses that look at them get. */
static const uint8_t some_labels[SEQUENCES_MAX] = {0, 1, 0, 0, 1, 1, 0, 1, 1, 0, 0, 1};

/* Groups of how many a loss takes. */
static size_t size_for(const struct loss_row *row, size_t any) {
    return row->needs & LOSS_NEEDS_PAIRS ? 2 : row->needs & LOSS_OF_LABELS ? 1 : any;
}

/* Differences of the value by every entry of `at`, a member of the batch, against d. */
static void check_slopes(const struct loss_row *row, const struct loss_batch *b, const struct loss_params *p, double *at, const double *d,
                         const char *what) {
    double unused[2][SEQUENCES_MAX];
    struct loss_result up = {.dpolicy = unused[0], .dtext = unused[1]}, down = up;
    for (size_t i = 0; i < loss_first(b, b->groups); i++) {
        const double here = at[i], h = 1e-5;
        at[i] = here + h;
        assert_int_equal(row->compute(&up, b, p), ST_OK);
        at[i] = here - h;
        assert_int_equal(row->compute(&down, b, p), ST_OK);
        at[i] = here;
        const double slope = (up.value - down.value) / (2 * h);
        if (fabs(slope - d[i]) > 1e-7 * (1 + fabs(d[i]))) fail_msg("%s: d%s[%zu] is %.12g, slope %.12g", row->name, what, i, d[i], slope);
    }
}

static struct loss_params random_params(const struct loss_row *row, struct rng *rng, int trial) {
    struct loss_params p = {.beta = 0.05 + rng_uniform(rng)};
    if (row->needs & LOSS_TAKES_SMOOTHING) p.label_smoothing = 0.01 + 0.4 * rng_uniform(rng);
    if ((row->needs & LOSS_TAKES_TAU) && trial % 2) p.discopop_tau = 0.2 + rng_uniform(rng);
    if (row->needs & LOSS_TAKES_DIVERGENCE) p.divergence = (enum loss_divergence)(trial % 4), p.alpha_divergence = 0.1 * trial;
    if (row->needs & LOSS_TAKES_MARGINS) p.center_rewards = 0.01 * (trial % 3);
    if (row->needs & LOSS_TAKES_GAMMA) p.simpo_gamma = 0.2 * (trial % 5);
    if (row->needs & LOSS_TAKES_NLL) p.cpo_alpha = 0.5 * (trial % 3);
    if (row->needs & LOSS_TAKES_OFFSET) p.odpo_alpha = rng_uniform(rng), p.odpo_linear = trial % 2;
    if (row->needs & LOSS_TAKES_ETA) p.rpo_eta = rng_uniform(rng);
    if (row->needs & LOSS_OF_GROUPS) p.temperature_alpha = 0.2 + rng_uniform(rng);
    if (row->needs & LOSS_OF_LABELS) p.desirable_weight = rng_uniform(rng), p.undesirable_weight = 0.5 + rng_uniform(rng);
    assert_int_equal(loss_check_params(row, &p), ST_OK);
    return p;
}

static void gradients_are_the_slopes(void **state) {
    (void)state;
    struct rng rng = rng_seeded(7);
    for (size_t index = 0; index < loss_count * 20; index++) {
        const struct loss_row *row = &loss_table[index / 20];
        const int trial = (int)(index % 20);
        double policy[SEQUENCES_MAX], reference[SEQUENCES_MAX], scores[SEQUENCES_MAX], text[SEQUENCES_MAX], weights[SEQUENCES_MAX];
        double d[SEQUENCES_MAX], dtext[SEQUENCES_MAX];
        int32_t lengths[SEQUENCES_MAX];
        const size_t k = size_for(row, 1 + rng_below(&rng, 4)), halves = row->needs & LOSS_NEEDS_HALVES ? 2 : 1,
                     groups = halves * (1 + rng_below(&rng, 8));
        for (size_t i = 0; i < SEQUENCES_MAX; i++) {
            policy[i] = -20 - 10 * rng_uniform(&rng);
            /* forward KL goes with the exponential of the log-ratio */
            reference[i] = policy[i] + (row->needs & LOSS_TAKES_DIVERGENCE && trial % 4 ? 0.7 : 5) * rng_normal(&rng);
            scores[i] =
                row->needs & LOSS_TAKES_OFFSET && i % 2 ? scores[i - 1] - 3 * rng_uniform(&rng) - 0.1 : policy[i] + rng_normal(&rng);
            text[i] = policy[i] - 3 * rng_uniform(&rng);
            weights[i] = rng_uniform(&rng);
            lengths[i] = 1 + (int32_t)rng_below(&rng, 40);
        }
        const struct loss_params p = random_params(row, &rng, trial);
        struct loss_batch b = {.groups = groups,
                               .k = k,
                               .policy = policy,
                               .reference = reference,
                               .lengths = lengths,
                               .scores = scores,
                               .text = text,
                               .text_lengths = lengths};
        b.rejected = some_labels, b.kl = 0.7;
        uint32_t first[SEQUENCES_MAX] = {3}; /* groups of 1 to 4, counted from a row in the middle of a micro-batch */
        for (size_t i = 0; i < groups; i++) first[i + 1] = first[i] + 1 + (uint32_t)rng_below(&rng, 4);
        if (!(row->needs & (LOSS_NEEDS_PAIRS | LOSS_OF_LABELS)) && trial % 2) b.first = first, b.k = 0;
        if (trial % 2) b.margins = scores;
        if (trial % 3 && row->needs & LOSS_TAKES_WEIGHTS) b.weights = weights;
        struct loss_result r = {.dpolicy = d, .dtext = dtext};
        assert_int_equal(row->compute(&r, &b, &p), ST_OK);
        check_slopes(row, &b, &p, policy, d, "policy");
        if (row->needs & LOSS_NEEDS_TEXT) check_slopes(row, &b, &p, text, dtext, "text");
    }
}

static size_t read_numbers(double *out, struct json array) {
    struct json_iter it = json_iter_begin(array);
    struct json key, value;
    size_t n = 0;
    while (json_iter_next(&it, &key, &value)) {
        assert_true(n < SEQUENCES_MAX);
        assert_true(json_double(&out[n++], value));
    }
    return n;
}

static bool near(double a, double b) { return fabs(a - b) <= 1e-12 * (1 + fabs(b)); }

/* A member that a case may have: 0 or false without it. */
static double number(struct json c, const char *key) {
    double value = 0;
    json_double(&value, json_get(c, key));
    return value;
}

/* [n] or NULL. */
static const double *numbers(double *out, struct json c, const char *key) { return read_numbers(out, json_get(c, key)) ? out : NULL; }

static void take_losses(struct loss_mix *m, bool *seen, struct json c) {
    double weights[LOSS_MIX_MAX];
    const bool weighted = numbers(weights, c, "weights") != NULL;
    char *names = json_text(json_get(c, "loss")), *rest = NULL;
    *m = (struct loss_mix){0};
    for (char *name = strtok_r(names, ",", &rest); name; name = strtok_r(NULL, ",", &rest)) {
        const struct loss_row *row = loss_find(name);
        assert_non_null(row);
        seen[row - loss_table] = true;
        assert_int_equal(loss_mix_add(m, row, weighted ? weights[m->count] : 1), ST_OK);
    }
    free(names);
}

static struct loss_params params_of(struct json c) {
    struct loss_params p = {.beta = number(c, "beta"),
                            .label_smoothing = number(c, "label_smoothing"),
                            .center_rewards = number(c, "center_rewards"),
                            .alpha_divergence = number(c, "alpha_divergence"),
                            .weighting = json_kind_of(json_get(c, "pair_weights")) != JSON_NONE,
                            .simpo_gamma = number(c, "simpo_gamma"),
                            .cpo_alpha = number(c, "cpo_alpha"),
                            .odpo_alpha = number(c, "odpo_alpha"),
                            .odpo_linear = number(c, "odpo_linear") > 0,
                            .rpo_eta = number(c, "rpo_eta"),
                            .temperature_alpha = number(c, "temperature_alpha"),
                            .desirable_weight = number(c, "desirable_weight"),
                            .undesirable_weight = number(c, "undesirable_weight")};
    struct json d = json_get(c, "divergence");
    for (int i = 0; i < 4; i++)
        if (json_equals(d, (const char *[]){"reverse_kl", "forward_kl", "js_divergence", "alpha_divergence"}[i]))
            p.divergence = (enum loss_divergence)i;
    return p;
}

/* A case without text means that of the responses: its derivative is part of the whole. */
static void golden(struct json c, bool *seen) {
    double policy[SEQUENCES_MAX], reference[SEQUENCES_MAX], lengths[SEQUENCES_MAX], text_lengths[SEQUENCES_MAX], want[2][SEQUENCES_MAX],
        d[2][SEQUENCES_MAX];
    double scores[SEQUENCES_MAX], margins[SEQUENCES_MAX], weights[SEQUENCES_MAX], text[SEQUENCES_MAX], scratch[2 * SEQUENCES_MAX], value;
    int32_t tokens[SEQUENCES_MAX], text_tokens[SEQUENCES_MAX];
    struct loss_mix mix;
    take_losses(&mix, seen, c);
    const struct loss_params p = params_of(c);
    if (loss_mix_check(&mix, &p) != ST_OK) fail_msg("%s: %s", mix.name, status_message());
    const size_t k = (size_t)number(c, "k"), n = read_numbers(policy, json_get(c, "policy"));
    assert_true(json_double(&value, json_get(c, "value")));
    assert_int_equal(n, read_numbers(reference, json_get(c, "reference")));
    assert_int_equal(n, read_numbers(lengths, json_get(c, "lengths")));
    assert_int_equal(n, read_numbers(want[0], json_get(c, "dpolicy")));
    const bool own_text = numbers(text, c, "text") && numbers(text_lengths, c, "text_lengths") && numbers(want[1], c, "dtext");
    memset(d, 0, sizeof d);
    for (size_t i = 0; i < n; i++) tokens[i] = (int32_t)lengths[i], text_tokens[i] = own_text ? (int32_t)text_lengths[i] : tokens[i];
    struct loss_batch b = {.groups = k ? n / k : 0,
                           .k = k,
                           .policy = policy,
                           .reference = reference,
                           .lengths = tokens,
                           .scores = numbers(scores, c, "scores"),
                           .margins = numbers(margins, c, "margins"),
                           .weights = numbers(weights, c, "pair_weights"),
                           .text = own_text ? text : policy,
                           .text_lengths = text_tokens};
    double labels[SEQUENCES_MAX];
    uint8_t rejected[SEQUENCES_MAX];
    if (numbers(labels, c, "rejected")) b.rejected = rejected;
    for (size_t i = 0; i < n && b.rejected; i++) rejected[i] = labels[i] > 0;
    b.kl = number(c, "kl");
    double begins[SEQUENCES_MAX];
    uint32_t first[SEQUENCES_MAX];
    for (size_t i = 0; !k && i < read_numbers(begins, json_get(c, "first")); i++)
        first[i] = (uint32_t)begins[i], b.groups = i, b.first = first;
    assert_true(k > 0 || loss_first(&b, b.groups) == n);
    struct loss_result r = {.dpolicy = d[0], .dtext = d[1]};
    assert_int_equal(loss_mix_compute(&r, &mix, &b, &p, scratch), ST_OK);
    if (!near(r.value, value)) fail_msg("%s: value %.17g, golden %.17g", mix.name, r.value, value);
    for (size_t i = 0; i < n && !own_text; i++) d[0][i] += d[1][i];
    for (size_t i = 0; i < n * (own_text ? 2 : 1); i++)
        if (!near(d[i / n][i % n], want[i / n][i % n]))
            fail_msg("%s: d%s[%zu] %.17g, golden %.17g", mix.name, i < n ? "policy" : "text", i % n, d[i / n][i % n], want[i / n][i % n]);
    if (!(mix.needs & LOSS_OF_POLICY)) return;
    assert_true(near(r.nll, number(c, "nll")) && near(r.log_odds_ratio, number(c, "log_odds_ratio")) &&
                near(r.log_odds_chosen, number(c, "log_odds_chosen")));
}

static void goldens(void **state) {
    (void)state;
    struct buf text = {0};
    struct json all, key, c;
    bool seen[64] = {false};
    assert_int_equal(file_read(&text, TEST_SOURCE_DIR "/golden/loss/cases.json"), ST_OK);
    assert_int_equal(json_parse(&all, text.data, text.size), ST_OK);
    struct json_iter it = json_iter_begin(all);
    while (json_iter_next(&it, &key, &c)) golden(c, seen);
    for (size_t i = 0; i < loss_count; i++)
        if (!seen[i]) fail_msg("no golden case for loss %s", loss_table[i].name);
    buf_release(&text);
}

/* What a loss must be told, at values that pass: the refusals below are about the rest. */
#define NEEDED .temperature_alpha = alpha, .desirable_weight = weight, .undesirable_weight = weight
static void refusals(void **state) {
    (void)state;
    for (size_t row = 0; row < loss_count; row++) {
        const struct loss_row *l = &loss_table[row];
        const bool smoothing = l->needs & LOSS_TAKES_SMOOTHING;
        const double weight = l->needs & LOSS_OF_LABELS ? 1 : 0, alpha = l->needs & LOSS_OF_GROUPS ? 1 : 0;
        assert_true(l->help[0] && l->citation[0] && loss_find(l->name) == l);
        assert_int_equal(loss_check_params(l, &(struct loss_params){NEEDED, .beta = 0.1, .label_smoothing = 0.1}),
                         smoothing ? ST_OK : ST_USAGE);
        assert_int_equal(loss_check_params(l, &(struct loss_params){NEEDED, .beta = 0.1, .label_smoothing = 0.5}), ST_USAGE);
        assert_int_equal(loss_check_params(l, &(struct loss_params){NEEDED, .beta = 0.1, .label_smoothing = NAN}), ST_USAGE);
        if (l->needs & LOSS_NEEDS_BETA) {
            assert_int_equal(loss_check_params(l, &(struct loss_params){NEEDED, .beta = 0}), ST_USAGE);
            assert_int_equal(loss_check_params(l, &(struct loss_params){NEEDED, .beta = INFINITY}), ST_USAGE);
        }
        assert_int_equal(
            loss_check_params(l, &(struct loss_params){NEEDED, .beta = 0.1, .label_smoothing = smoothing ? 0.1 : 0, .discopop_tau = 0.1}),
            l->needs & LOSS_TAKES_TAU ? ST_OK : ST_USAGE);
        assert_int_equal(loss_check_params(l, &(struct loss_params){NEEDED, .beta = 0.1, .label_smoothing = smoothing ? 0.1 : 0,
                                                                    .divergence = LOSS_FORWARD_KL}),
                         l->needs & LOSS_TAKES_DIVERGENCE ? ST_OK : ST_USAGE);
        assert_int_equal(loss_check_params(l, &(struct loss_params){NEEDED, .beta = 0.1}),
                         l->needs & LOSS_NEEDS_SMOOTHING ? ST_USAGE : ST_OK);
        const struct {
            struct loss_params p;
            unsigned taken_by;
        } options[] = {{{.weighting = true}, LOSS_TAKES_WEIGHTS},
                       {{.ld = true, .ld_alpha = 0.5}, LOSS_TAKES_TAIL},
                       {{.simpo_gamma = 0.1}, LOSS_TAKES_GAMMA},
                       {{.cpo_alpha = 0.1}, LOSS_TAKES_NLL},
                       {{.odpo_alpha = 0.1}, LOSS_TAKES_OFFSET},
                       {{.odpo_linear = true}, LOSS_TAKES_OFFSET},
                       {{.rpo_eta = 0.1}, LOSS_TAKES_ETA},
                       {{.odpo_alpha = -1}, 0},
                       {{.odpo_alpha = INFINITY}, 0},
                       {{.rpo_eta = -1}, 0},
                       {{.rpo_eta = INFINITY}, 0},
                       {{.ld = true, .ld_alpha = 1.5}, 0},
                       {{.simpo_gamma = INFINITY}, 0},
                       {{.cpo_alpha = -1}, 0}};
        for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
            struct loss_params p = options[i].p;
            p.temperature_alpha = alpha, p.desirable_weight = p.undesirable_weight = weight;
            p.beta = 0.1, p.label_smoothing = smoothing ? 0.1 : 0;
            assert_int_equal(loss_check_params(l, &p), l->needs & options[i].taken_by ? ST_OK : ST_USAGE);
        }
        struct loss_params p = {NEEDED, .beta = 0.1, .label_smoothing = smoothing ? 0.1 : 0};
        assert_int_equal(
            loss_check_params(l, &(struct loss_params){NEEDED, .beta = 0.1, .label_smoothing = p.label_smoothing, .center_rewards = 0.1}),
            l->needs & LOSS_TAKES_MARGINS ? ST_OK : ST_USAGE);
        p.temperature_alpha = 1 - alpha;
        assert_int_equal(loss_check_params(l, &p), ST_USAGE);
        p.temperature_alpha = alpha;
        p.desirable_weight = 1 - weight, p.undesirable_weight = 0;
        assert_int_equal(loss_check_params(l, &p), ST_USAGE);
    }
    assert_null(loss_find("nothing"));
}

/* Batches that a loss cannot take, and those that look like them and can. */
static void batch_refusals(void **state) {
    (void)state;
    for (size_t row = 0; row < loss_count; row++) {
        const struct loss_row *l = &loss_table[row];
        const double weight = l->needs & LOSS_OF_LABELS ? 1 : 0, alpha = l->needs & LOSS_OF_GROUPS ? 1 : 0;
        const size_t k = size_for(l, 2), n = l->needs & LOSS_NEEDS_HALVES ? 4 : 2;
        double policy[4] = {-1, -2, -3, -5}, d[5], dtext[5], broken[4] = {NAN, -1, -1, -1};
        int32_t lengths[4] = {3, 4, 4, 3}, negative[4] = {-1, 4, 4, 3};
        const struct loss_params p = {NEEDED, .beta = 0.1, .label_smoothing = l->needs & LOSS_TAKES_SMOOTHING ? 0.1 : 0};
        struct loss_result r = {.dpolicy = d, .dtext = dtext};
        const double *scores = l->needs & LOSS_NEEDS_SCORES ? policy : NULL;
        struct loss_batch b = {.groups = n / k,
                               .k = k,
                               .policy = policy,
                               .reference = policy,
                               .lengths = lengths,
                               .scores = scores,
                               .rejected = some_labels,
                               .text = policy,
                               .text_lengths = lengths};
        const struct loss_batch whole = b;
        assert_int_equal(l->compute(&r, &b, &p), ST_OK);
        b.scores = NULL;
        assert_int_equal(l->compute(&r, &b, &p), scores ? ST_MISMATCH : ST_OK);
        b.groups = 0;
        assert_int_equal(l->compute(&r, &b, &p), ST_MISMATCH);
        b = whole, b.policy = broken;
        assert_int_equal(l->compute(&r, &b, &p), ST_FORMAT);
        b = whole, b.reference = NULL;
        assert_int_equal(l->compute(&r, &b, &p), l->needs & LOSS_NEEDS_REFERENCE ? ST_MISMATCH : ST_OK);
        b = whole, b.lengths = NULL;
        assert_int_equal(l->compute(&r, &b, &p), l->needs & LOSS_NEEDS_LENGTHS ? ST_MISMATCH : ST_OK);
        b = whole, b.lengths = negative;
        assert_int_equal(l->compute(&r, &b, &p), l->needs & LOSS_NEEDS_LENGTHS ? ST_FORMAT : ST_OK);
        const bool text = l->needs & LOSS_NEEDS_TEXT && !(l->needs & LOSS_TAKES_NLL);
        b = whole, b.text = NULL;
        assert_int_equal(l->compute(&r, &b, &p), text ? ST_MISMATCH : ST_OK);
        b = whole, b.text_lengths = negative;
        assert_int_equal(l->compute(&r, &b, &p), text ? ST_FORMAT : ST_OK);
        b = whole, b.text = broken;
        assert_int_equal(l->compute(&r, &b, &p), text ? ST_FORMAT : ST_OK);
        b = whole, b.groups = k == 1 ? 1 : 2, b.k = k == 1 ? 2 : 1;
        assert_int_equal(l->compute(&r, &b, &p), l->needs & (LOSS_NEEDS_PAIRS | LOSS_OF_LABELS) ? ST_MISMATCH : ST_OK);
        b = whole, b.rejected = NULL;
        assert_int_equal(l->compute(&r, &b, &p), l->needs & LOSS_OF_LABELS ? ST_MISMATCH : ST_OK);
        b = whole, b.groups = 1, b.k = 0, b.first = (const uint32_t[]){0, 2};
        assert_int_equal(l->compute(&r, &b, &p), l->needs & (LOSS_NEEDS_PAIRS | LOSS_OF_LABELS) ? ST_MISMATCH : ST_OK);
        b = whole, b.groups = 2, b.k = 0, b.first = (const uint32_t[]){0, 2, 2};
        assert_int_equal(l->compute(&r, &b, &p), ST_MISMATCH);
        b = whole, b.groups = 1, b.k = 2;
        assert_int_equal(l->compute(&r, &b, &p), l->needs & (LOSS_NEEDS_HALVES | LOSS_OF_LABELS) ? ST_MISMATCH : ST_OK);
    }
}

#undef NEEDED

static status mix(const char *first, const char *second, double weight, struct loss_params p) {
    struct loss_mix m = loss_mix_of(loss_find(first));
    TRY(loss_mix_add(&m, loss_find(second), weight));
    return loss_mix_check(&m, &p);
}

/* A parameter must have an effect on one of the losses; a divergence must make sense for all; losses of rewards stand alone. */
static void combinations(void **state) {
    (void)state;
    const struct loss_params plain = {.beta = 0.1}, smooth = {.beta = 0.1, .label_smoothing = 0.1},
                             js = {.beta = 0.1, .divergence = LOSS_JS_DIVERGENCE};
    assert_int_equal(mix("sigmoid", "sft", 0.2, plain), ST_OK);
    assert_int_equal(mix("hinge", "sigmoid", 1, smooth), ST_OK);
    assert_int_equal(mix("hinge", "ipo", 1, smooth), ST_USAGE);
    assert_int_equal(mix("sigmoid", "exo_pair", 1, plain), ST_USAGE);
    assert_int_equal(mix("sigmoid", "sft", 1, js), ST_OK);
    assert_int_equal(mix("sigmoid", "nca_pair", 1, js), ST_USAGE);
    assert_int_equal(mix("sigmoid", "sft", 0, plain), ST_USAGE);
    assert_int_equal(mix("sigmoid", "sft", -1, plain), ST_USAGE);
    assert_int_equal(mix("sigmoid", "sft", INFINITY, plain), ST_USAGE);
    assert_int_equal(mix("sigmoid", "sigmoid", 1, plain), ST_USAGE);
    assert_int_equal(mix("bradley_terry", "mse", 1, plain), ST_USAGE);
    assert_int_equal(mix("sigmoid", "mse", 1, plain), ST_USAGE);
    assert_int_equal(mix("sigmoid", "kto", 1, plain), ST_USAGE);
    assert_int_equal(mix("sigmoid", "simpo", 1, plain), ST_USAGE);
    assert_int_equal(mix("orpo", "sft", 1, plain), ST_USAGE);
    const struct loss_params weighted = {.beta = 0.1, .weighting = true}, ld = {.beta = 0.1, .ld = true, .ld_alpha = 0.5};
    assert_int_equal(mix("sigmoid", "ipo", 1, weighted), ST_OK);
    assert_int_equal(mix("sigmoid", "sft", 1, weighted), ST_USAGE);
    assert_int_equal(mix("sigmoid", "aot", 1, weighted), ST_USAGE);
    assert_int_equal(mix("sigmoid", "aot", 1, ld), ST_OK);
    assert_int_equal(mix("sft", "hinge", 1, ld), ST_OK);
    const double equal[2] = {3, 3}, sums[2] = {-1, -2};
    double slopes[2];
    struct loss_result gap = {.dpolicy = slopes};
    struct loss_batch tied = {.groups = 1, .k = 2, .policy = sums, .reference = sums, .scores = equal};
    assert_int_equal(loss_odpo_compute(&gap, &tied, &plain), ST_FORMAT); /* log 0 */
    assert_int_equal(loss_odpo_compute(&gap, &tied, &(struct loss_params){.beta = 0.1, .odpo_linear = true}), ST_OK);
    tied.scores = (const double[2]){3, NAN};
    assert_int_equal(loss_rpo_sq_compute(&gap, &tied, &plain), ST_FORMAT);
    struct loss_mix simpo = loss_mix_of(loss_find("simpo"));
    assert_int_equal(loss_mix_check(&simpo, &plain), ST_OK);
    assert_false(simpo.needs & (LOSS_NEEDS_BATCH | LOSS_NEEDS_TEXT)); /* no cross-entropy, no whole micro-batch */
    double certain[2] = {0, -1}, d[4];
    int32_t lengths[2] = {1, 1};
    struct loss_result r = {.dpolicy = d, .dtext = d + 2};
    assert_int_equal(
        loss_orpo_compute(
            &r, &(struct loss_batch){.groups = 1, .k = 2, .policy = certain, .lengths = lengths, .text = certain, .text_lengths = lengths},
            &plain),
        ST_FORMAT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_are_the_slopes), cmocka_unit_test(goldens),      cmocka_unit_test(refusals),
        cmocka_unit_test(batch_refusals),           cmocka_unit_test(combinations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
