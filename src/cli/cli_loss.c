#include "cli/cli_loss.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The objectives that have losses to choose from, with the one that each has unless told otherwise. */
static const struct {
    const char *objective, *preset;
} presets[] = {{"dpo", "sigmoid"}, {"kto", "kto"}, {"reward", "bradley_terry"}};
#define PRESETS (sizeof presets / sizeof presets[0])

static bool is_of(const struct loss_row *row, const char *objective) { return strcmp(objective, loss_objective(row)) == 0; }

static void names_of(struct buf *out, const char *objective) {
    const char *separator = "";
    for (size_t i = 0; i < loss_count; i++) {
        if (!is_of(&loss_table[i], objective)) continue;
        buf_printf(out, "%s%s", separator, loss_table[i].name);
        separator = ", ";
    }
}

void cli_loss_names(struct buf *out) {
    for (size_t i = 0; i < PRESETS; i++) {
        buf_printf(out, "%sof %s: ", i ? "; " : "", presets[i].objective);
        names_of(out, presets[i].objective);
        buf_printf(out, " (default: %s)", presets[i].preset);
    }
}

static status unknown_loss(const char *name, const char *objective) {
    struct buf known = {0};
    names_of(&known, objective);
    status s = FAIL(ST_USAGE, "--loss-type: --objective %s has no loss '%s'; there are: %s", objective, name, buf_text(&known));
    buf_release(&known);
    return s;
}

static status weight_of(double *out, const struct opt_list *weights, size_t i) {
    char *end;
    *out = 1;
    if (!weights->count) return ST_OK;
    *out = strtod(weights->items[i], &end);
    return end == weights->items[i] || *end ? FAIL(ST_USAGE, "--loss-weights expects numbers, not '%s'", weights->items[i]) : ST_OK;
}

static enum loss_divergence divergence_of(const char *name) {
    return strcmp(name, "forward_kl") == 0         ? LOSS_FORWARD_KL
           : strcmp(name, "js_divergence") == 0    ? LOSS_JS_DIVERGENCE
           : strcmp(name, "alpha_divergence") == 0 ? LOSS_ALPHA_DIVERGENCE
                                                   : LOSS_REVERSE_KL;
}

static status check_effect(const struct loss_mix *m, const struct cli_loss *o, const struct opt_result *r, const struct opt_spec *spec) {
    static const struct {
        const char *name;
        unsigned taken_by;
    } options[] = {{"beta", LOSS_NEEDS_BETA},
                   {"ref-logps", LOSS_NEEDS_REFERENCE},
                   {"sync-ref-model", LOSS_NEEDS_REFERENCE},
                   {"margin", LOSS_TAKES_MARGINS},
                   {"simpo-gamma", LOSS_TAKES_GAMMA},
                   {"cpo-alpha", LOSS_TAKES_NLL},
                   {"odpo-alpha", LOSS_TAKES_OFFSET},
                   {"odpo-offset", LOSS_TAKES_OFFSET},
                   {"rpo-eta", LOSS_TAKES_ETA},
                   {"temperature-alpha", LOSS_OF_GROUPS}};
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        if (!(m->needs & options[i].taken_by) && opt_given(r, spec, options[i].name))
            return FAIL(ST_USAGE, "--%s has no effect with --loss-type %s", options[i].name, m->name);
    if (strcmp(o->divergence, "alpha_divergence") != 0 && opt_given(r, spec, "f-alpha-divergence-coef"))
        return FAIL(ST_USAGE, "--f-alpha-divergence-coef has no effect with --f-divergence-type %s", o->divergence);
    if (opt_given(r, spec, "ld-alpha") && opt_given(r, spec, "ref-logps"))
        return FAIL(ST_USAGE, "--ref-logps holds plain sums of log-probs, --ld-alpha wants weighted ones: leave out one of them");
    return ST_OK;
}

static status set_mix(struct loss_mix *m, const struct cli_loss *o, const char *objective) {
    const char *preset[] = {"sft"};
    const bool sft = strcmp(objective, "sft") == 0;
    for (size_t i = 0; i < PRESETS; i++)
        if (strcmp(presets[i].objective, objective) == 0) preset[0] = presets[i].preset;
    const char *const *names = o->types.count ? o->types.items : preset;
    const size_t count = o->types.count ? o->types.count : 1;
    if (o->weights.count && o->weights.count != count)
        return FAIL(ST_USAGE, "--loss-weights has %zu weights for the %zu losses of --loss-type", o->weights.count, count);
    *m = (struct loss_mix){0};
    for (size_t i = 0; i < count; i++) {
        const struct loss_row *row = loss_find(names[i]);
        double weight;
        if (!row || !is_of(row, sft ? "dpo" : objective)) return unknown_loss(names[i], objective);
        TRY(weight_of(&weight, &o->weights, i));
        TRY(loss_mix_add(m, row, weight));
    }
    return ST_OK;
}

status cli_loss_set(struct loss_mix *m, struct loss_params *p, struct cli_loss *o, const char *objective, const struct opt_result *r,
                    const struct opt_spec *spec) {
    const bool kto = strcmp(objective, "kto") == 0;
    TRY(set_mix(m, o, objective));
    if (strcmp(objective, "sft") != 0) TRY(check_effect(m, o, r, spec));
    if (!opt_given(r, spec, "cpo-alpha") && m->rows[0] == loss_find("cpo")) o->cpo_alpha = 1;
    *p = (struct loss_params){.beta = o->beta,
                              .label_smoothing = o->label_smoothing,
                              .discopop_tau = o->discopop_tau,
                              .center_rewards = o->center_rewards,
                              .divergence = divergence_of(o->divergence),
                              .alpha_divergence = o->alpha_divergence,
                              .weighting = o->weighting,
                              .ld = opt_given(r, spec, "ld-alpha"),
                              .ld_alpha = o->ld_alpha,
                              .simpo_gamma = m->needs & LOSS_TAKES_GAMMA ? o->simpo_gamma : 0,
                              .cpo_alpha = o->cpo_alpha,
                              .odpo_alpha = m->needs & LOSS_TAKES_OFFSET ? o->odpo_alpha : 0,
                              .odpo_linear = m->needs & LOSS_TAKES_OFFSET && strcmp(o->odpo_offset, "gap") == 0,
                              .rpo_eta = m->needs & LOSS_TAKES_ETA ? o->rpo_eta : 0,
                              .temperature_alpha = m->needs & LOSS_OF_GROUPS ? o->temperature_alpha : 0,
                              .desirable_weight = kto ? o->desirable_weight : 0,
                              .undesirable_weight = kto ? o->undesirable_weight : 0};
    return loss_mix_check(m, p);
}

status cli_loss_threshold(double *out, const struct cli_loss *o) {
    char *end = NULL;
    *out = (double)NAN;
    if (!o->kto_threshold) return ST_OK;
    *out = strtod(o->kto_threshold, &end);
    if (end != o->kto_threshold && !*end && isfinite(*out)) return ST_OK;
    return FAIL(ST_USAGE, "--kto-threshold expects a number, not '%s'", o->kto_threshold);
}
