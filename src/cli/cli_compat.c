#include "cli/cli_compat.h"

status cli_compat_rules(struct fit_rules *rules, const struct cli_compat *o, int64_t max_length, const struct opt_result *r,
                        const struct opt_spec *spec) {
    const bool prompt = opt_given(r, spec, "max-prompt-length"), completion = opt_given(r, spec, "max-completion-length");
    *rules = (struct fit_rules){.compat = fit_compat_parse(o->name), .max_length = (size_t)max_length};
    if (rules->compat == FIT_TRL_1) {
        if (!prompt && !completion) return ST_OK;
        return FAIL(ST_USAGE, "--%s: TRL 1.x has removed it and cuts by --max-length alone; it goes with --compat trl-0.24%s",
                    prompt ? "max-prompt-length" : "max-completion-length", prompt ? " or paper" : "");
    }
    if (completion && rules->compat == FIT_PAPER) return FAIL(ST_USAGE, "--max-completion-length has no effect with --compat paper");
    if (max_length <= 0) return FAIL(ST_USAGE, "--compat %s needs a --max-length", o->name);
    if (o->max_prompt <= 0 || o->max_prompt >= max_length)
        return FAIL(ST_USAGE, "--max-prompt-length must be above 0 and below --max-length (%lld), it is %lld", (long long)max_length,
                    (long long)o->max_prompt);
    if (o->max_completion < 0) return FAIL(ST_USAGE, "--max-completion-length expects 0 or more, not %lld", (long long)o->max_completion);
    rules->max_prompt = (size_t)o->max_prompt;
    rules->max_completion = (size_t)o->max_completion;
    return ST_OK;
}
