#include "cli/cli_pair.h"

#include <math.h>
#include <string.h>

bool pair_rules_draw(const struct pair_rules *rules) {
    return rules->rule == PAIR_PAPER || rules->rule == PAIR_BEST_RANDOM || rules->random_ties || rules->max_pairs;
}

status pair_rules_from_flags(struct pair_rules *out, const struct pair_flags *f, const struct opt_result *given,
                             const struct opt_spec *spec, int64_t seed) {
    *out = (struct pair_rules){.rule = pair_rule_parse(f->rule),
                               .top = (size_t)f->top,
                               .max_pairs = (size_t)f->max_pairs,
                               .length_penalty = f->length_penalty,
                               .min_margin = f->min_margin,
                               .max_margin = f->max_margin,
                               .has_min_score = opt_given(given, spec, "min-score"),
                               .has_max_score = opt_given(given, spec, "max-score"),
                               .min_score = f->min_score,
                               .max_score = f->max_score,
                               .random_ties = strcmp(f->tie_break, "random") == 0,
                               .seed = (uint64_t)seed};
    if (f->top < 1) return FAIL(ST_USAGE, "--top expects 1 or more");
    if (out->rule != PAIR_TOP && opt_given(given, spec, "top")) return FAIL(ST_USAGE, "--top has no effect under --rule %s", f->rule);
    if (f->max_pairs < 0) return FAIL(ST_USAGE, "--max-pairs expects 0 or more");
    if (f->max_pairs && (out->rule == PAIR_PAPER || out->rule == PAIR_BEST_WORST || out->rule == PAIR_BEST_RANDOM))
        return FAIL(ST_USAGE, "--max-pairs has no effect under --rule %s, which gives one pair", f->rule);
    if (!isfinite(f->length_penalty)) return FAIL(ST_USAGE, "--length-penalty expects a finite number");
    if (out->rule == PAIR_PAPER && (f->length_penalty != 0 || out->random_ties))
        return FAIL(ST_USAGE, "--rule paper takes neither --length-penalty nor --tie-break random; --rule best-random does");
    if (!(f->min_margin >= 0) || !(f->max_margin >= 0)) return FAIL(ST_USAGE, "--min-margin and --max-margin must be 0 or more");
    if (out->has_min_score && out->has_max_score && f->max_score < f->min_score) return FAIL(ST_USAGE, "--max-score is below --min-score");
    if (f->max_margin > 0 && f->max_margin < f->min_margin) return FAIL(ST_USAGE, "--max-margin is below --min-margin");
    return ST_OK;
}
