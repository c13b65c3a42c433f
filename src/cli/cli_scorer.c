#include "cli/cli_scorer.h"

#include <string.h>

#include "cli/cli_model.h"
#include "cli/cli_range.h"

/* Which source an option belongs to; NULL: both. */
static const struct {
    const char *option, *source;
} owners[] = {{"scorer-model", "reward-model"},
              {"scorer-adapter", "reward-model"},
              {"scorer-map", "reward-model"},
              {"weights", "reward-model"},
              {"attributes", "reward-model"},
              {"rule", "rule"},
              {"pattern", "rule"},
              {"length", "rule"},
              {"unit", "rule"},
              {"command", "rule"},
              {"command-timeout", "rule"},
              {"score-range", "rule"},
              {"quantize", NULL}};

static status check_effects(const struct scorer_flags *f, const struct opt_result *given, const struct opt_spec *spec) {
    for (size_t i = 0; i < sizeof owners / sizeof owners[0]; i++) {
        if (!opt_given(given, spec, owners[i].option)) continue;
        if (!f->source) return FAIL(ST_USAGE, "--%s has no effect without --scorer", owners[i].option);
        if (owners[i].source && strcmp(owners[i].source, f->source) != 0)
            return FAIL(ST_USAGE, "--%s has no effect with --scorer %s", owners[i].option, f->source);
    }
    return ST_OK;
}

static status read_model(struct score_options *s, const struct scorer_flags *f, size_t length) {
    struct reward_options *r = &s->reward;
    if (!f->model) return FAIL(ST_USAGE, "--scorer %s expects --scorer-model M", f->source);
    r->model = f->model;
    r->adapter = f->adapter;
    r->budget = length;
    r->budget_option = "max-length";
    for (size_t i = 0; i < f->attributes.count; i++) r->attributes[r->attribute_count++] = f->attributes.items[i];
    s->quantile_map = f->map;
    s->scale = f->map ? SCORE_QUANTILES : SCORE_AS_IS;
    TRY(cli_weights(r, &f->weights));
    return cli_dtype(&r->kind, "auto");
}

status cli_scorer(struct score_options *s, const struct scorer_flags *f, size_t length, const struct opt_result *given,
                  const struct opt_spec *spec) {
    *s = (struct score_options){.quantum = f->quantize, .scale = SCORE_LINEAR};
    TRY(check_effects(f, given, spec));
    if (!f->source) return ST_OK;
    s->source = reward_find(f->source);
    CHECK(s->source && (s->source->flags & REWARD_LONE));
    if (!(f->quantize >= 0)) return FAIL(ST_USAGE, "--quantize must be 0 or more");
    TRY(cli_range(&s->low, &s->high, "score-range", f->range));
    if (s->source->flags & REWARD_NEEDS_MODEL) return read_model(s, f, length);
    return cli_rule(&s->reward, &f->rule, "--scorer rule", true, given, spec);
}
