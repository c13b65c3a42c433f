#include "cli/cli_judge.h"

#include <math.h>
#include <string.h>

static status check_numbers(const struct judge_flags *f) {
    const struct cli_between numbers[] = {{"max-answer-tokens", (double)f->max_tokens, 1, 1e6},
                                          {"answer-tries", (double)f->answer_tries, 1, 100}};
    return cli_check_between(numbers, sizeof numbers / sizeof numbers[0]);
}

static status read_scale(struct judge_options *j, const struct judge_flags *f, double low, double high) {
    const bool pairwise = strcmp(f->kind, "pairwise") == 0;
    j->scale = (struct judge_scale){.pairwise = pairwise, .low = 0, .high = 1};
    if (pairwise) return ST_OK;
    if (low != floor(low) || high != floor(high) || fabs(low) > 1000 || high - low > 100)
        return FAIL(ST_USAGE,
                    "--score-range: the judge is asked for a rating on this scale, so its ends are whole numbers at most 100 apart");
    if (f->logprobs && f->endpoint.endpoint && (low < 0 || high > 10))
        return FAIL(ST_USAGE, "--judge-logprobs: ratings are read from single tokens, so --score-range lies within 0,10");
    j->scale.low = (int)low;
    j->scale.high = (int)high;
    return ST_OK;
}

status cli_judge(struct judge_options *j, const struct judge_flags *f, const struct opt_result *given, const struct opt_spec *spec,
                 const char *model, const char *output, double low, double high) {
    static const char *const remote[] = {"max-answer-tokens", "answer-tries", "on-bad-answer"};
    static const char *const local[] = {"adapter", "dtype", "threads", "micro-batch-tokens", NULL};
    const char *endpoint = f->endpoint.endpoint;
    if ((endpoint != NULL) == (model != NULL))
        return FAIL(ST_USAGE, "--source judge expects --endpoint URL, or --model M for a judge in this process");
    if (!endpoint) TRY(cli_endpoint_unused(given, spec));
    for (size_t i = 0; !endpoint && i < sizeof remote / sizeof remote[0]; i++)
        if (opt_given(given, spec, remote[i])) return FAIL(ST_USAGE, "--%s has no effect without --endpoint", remote[i]);
    if (endpoint) TRY(cli_endpoint_instead(given, spec, local));
    TRY(check_numbers(f));
    TRY(read_scale(j, f, low, high));
    j->logprobs = f->logprobs;
    j->prompt_file = f->prompt;
    if (!endpoint) return ST_OK;
    j->remote.max_tokens = f->max_tokens;
    j->remote.answer_tries = f->answer_tries;
    j->remote.stop_on_bad = strcmp(f->on_bad, "stop") == 0;
    j->remote.who = "judge";
    j->remote.item = "row of line";
    j->remote.go_on = "--on-bad-answer null";
    return cli_endpoint(&j->remote, &f->endpoint, given, spec, output, ".judge.jsonl");
}
