#include "cli/cli_infer.h"

status sampling_from_flags(struct sampler_options *out, const struct sampling_flags *f, const struct opt_result *given,
                           const struct opt_spec *spec) {
    static const char *const ignored[] = {"top-k", "top-p", "min-p"};
    *out = (struct sampler_options){.temperature = f->temperature,
                                    .top_p = f->top_p,
                                    .min_p = f->min_p,
                                    .repetition_penalty = f->repetition_penalty,
                                    .top_k = f->top_k,
                                    .seed = (uint64_t)f->seed};
    TRY(sampler_options_check(out));
    for (size_t i = 0; i < 3; i++)
        if (f->temperature == 0 && opt_given(given, spec, ignored[i]))
            return FAIL(ST_USAGE, "--%s has no effect with --temperature 0, which always takes the most likely token", ignored[i]);
    return ST_OK;
}
