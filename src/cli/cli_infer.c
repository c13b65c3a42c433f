#include "cli/cli_infer.h"

#include <math.h>
#include <stdlib.h>

static status take(struct sampler_options *out, const struct sampling_flags *f, double temperature) {
    *out = (struct sampler_options){.temperature = temperature,
                                    .top_p = f->top_p,
                                    .min_p = f->min_p,
                                    .repetition_penalty = f->repetition_penalty,
                                    .top_k = f->top_k,
                                    .seed = (uint64_t)f->seed};
    return sampler_options_check(out);
}

/* hottest: of all temperatures. */
static status check_effect(double hottest, const struct opt_result *given, const struct opt_spec *spec) {
    static const char *const ignored[] = {"top-k", "top-p", "min-p"};
    for (size_t i = 0; i < 3; i++)
        if (hottest == 0 && opt_given(given, spec, ignored[i]))
            return FAIL(ST_USAGE, "--%s has no effect with --temperature 0, which always takes the most likely token", ignored[i]);
    return ST_OK;
}

status sampling_from_flags(struct sampler_options *out, const struct sampling_flags *f, const struct opt_result *given,
                           const struct opt_spec *spec) {
    TRY(take(out, f, f->temperature));
    return check_effect(f->temperature, given, spec);
}

status sampling_from_list(struct sampler_options *out, size_t *count, const struct sampling_flags *f, const struct opt_list *temperatures,
                          const struct opt_result *given, const struct opt_spec *spec) {
    double hottest = 0;
    *count = 0;
    for (size_t i = 0; i < temperatures->count; i++) {
        const char *text = temperatures->items[i];
        char *end;
        const double temperature = strtod(text, &end);
        if (end == text || *end || !isfinite(temperature))
            return FAIL(ST_USAGE, "--temperature expects a number, or several such as 0.7,1,1.2, not '%s'", text);
        for (size_t j = 0; j < i; j++)
            if (out[j].temperature == temperature)
                return FAIL(ST_USAGE, "--temperature: %s is there twice; --n gives several samples at each", text);
        TRY(take(&out[(*count)++], f, temperature));
        hottest = fmax(hottest, temperature);
    }
    if (!*count) return FAIL(ST_USAGE, "--temperature expects a number, or several such as 0.7,1,1.2");
    return check_effect(hottest, given, spec);
}
