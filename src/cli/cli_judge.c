#include "cli/cli_judge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "net/http.h"

static status check_numbers(const struct judge_flags *f) {
    const struct {
        const char *name;
        double value, low, high;
    } numbers[] = {{"concurrency", (double)f->concurrency, 1, HTTP_CONCURRENCY_MAX}, {"requests-per-minute", f->per_minute, 0, 1e6},
                   {"request-timeout", f->timeout, 0.001, 86400},                   {"request-tries", (double)f->request_tries, 1, 100},
                   {"retry-wait", f->wait, 0, 3600},                                {"max-answer-tokens", (double)f->max_tokens, 1, 1e6},
                   {"answer-tries", (double)f->answer_tries, 1, 100},               {"price-input", f->price_input, 0, 1e6},
                   {"price-output", f->price_output, 0, 1e6}};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (!(numbers[i].value >= numbers[i].low && numbers[i].value <= numbers[i].high))
            return FAIL(ST_USAGE, "--%s expects %g to %g", numbers[i].name, numbers[i].low, numbers[i].high);
    return ST_OK;
}

static status read_scale(struct judge_options *j, const struct judge_flags *f, double low, double high) {
    const bool pairwise = strcmp(f->kind, "pairwise") == 0;
    j->scale = (struct judge_scale){.pairwise = pairwise, .low = 0, .high = 1};
    if (pairwise) return ST_OK;
    if (low != floor(low) || high != floor(high) || fabs(low) > 1000 || high - low > 100)
        return FAIL(ST_USAGE, "--score-range: the judge is asked for a rating on this scale, so its ends are whole numbers at most 100 apart");
    if (f->logprobs && f->endpoint && (low < 0 || high > 10))
        return FAIL(ST_USAGE, "--judge-logprobs: ratings are read from single tokens, so --score-range lies within 0,10");
    j->scale.low = (int)low;
    j->scale.high = (int)high;
    return ST_OK;
}

/* Secrets come from the environment alone: an argument would stand in the list of processes. */
static status read_secret(struct judge_options *j, const struct judge_flags *f, bool named) {
    j->secret = getenv(f->key_env);
    if (j->secret && *j->secret) return ST_OK;
    j->secret = NULL;
    return named ? FAIL(ST_USAGE, "--api-key-env: there is no environment variable %s", f->key_env) : ST_OK;
}

static status read_extra(struct judge_options *j, const struct judge_flags *f) {
    if (!f->extra) return ST_OK;
    if (json_parse(&j->extra, f->extra, strlen(f->extra)) != ST_OK) return status_note(ST_USAGE, "--request-extra: ");
    return json_kind_of(j->extra) == JSON_OBJECT ? ST_OK : FAIL(ST_USAGE, "--request-extra expects an object, such as {\"top_p\": 1}");
}

static status read_cache(struct judge_options *j, const struct judge_flags *f, const char *output) {
    struct buf path = {0};
    j->cache = f->cache;
    if (f->cache) return ST_OK;
    if (strcmp(output, "-") == 0) return FAIL(ST_USAGE, "the judge's answers are kept beside the output; with --output - give --cache FILE");
    buf_printf(&path, "%s.judge.jsonl", output);
    j->cache = mem_keep(path.data);
    return ST_OK;
}

status cli_judge(struct judge_options *j, const struct judge_flags *f, const struct opt_result *given, const struct opt_spec *spec, const char *model,
    const char *output, double low, double high) {
    static const char *const remote[] = {"endpoint-model", "api-key-env", "cache", "concurrency", "requests-per-minute", "request-timeout",
        "request-tries", "retry-wait", "request-extra", "max-answer-tokens", "answer-tries", "on-bad-answer", "price-input", "price-output"};
    static const char *const local[] = {"adapter", "dtype", "threads", "micro-batch-tokens"};
    if ((f->endpoint != NULL) == (model != NULL)) return FAIL(ST_USAGE, "--source judge expects --endpoint URL, or --model M for a judge in this process");
    for (size_t i = 0; !f->endpoint && i < sizeof remote / sizeof remote[0]; i++)
        if (opt_given(given, spec, remote[i])) return FAIL(ST_USAGE, "--%s has no effect without --endpoint", remote[i]);
    for (size_t i = 0; f->endpoint && i < sizeof local / sizeof local[0]; i++)
        if (opt_given(given, spec, local[i])) return FAIL(ST_USAGE, "--%s has no effect with --endpoint", local[i]);
    TRY(check_numbers(f));
    TRY(read_scale(j, f, low, high));
    j->logprobs = f->logprobs;
    j->prompt_file = f->prompt;
    if (!f->endpoint) return ST_OK;
    if (!f->endpoint_model) return FAIL(ST_USAGE, "--endpoint expects --endpoint-model NAME");
    j->endpoint = f->endpoint;
    j->model = f->endpoint_model;
    j->concurrency = f->concurrency;
    j->per_minute = f->per_minute;
    j->timeout_ms = (int64_t)(f->timeout * 1000);
    j->request_tries = f->request_tries;
    j->wait_ms = (int64_t)(f->wait * 1000);
    j->max_tokens = f->max_tokens;
    j->answer_tries = f->answer_tries;
    j->stop_on_bad = strcmp(f->on_bad, "stop") == 0;
    j->price_input = f->price_input;
    j->price_output = f->price_output;
    TRY(read_secret(j, f, opt_given(given, spec, "api-key-env")));
    TRY(read_extra(j, f));
    return read_cache(j, f, output);
}
