#include "cli/cli_eval.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

const char *cli_split_name(char **name, const char *text) {
    const char *equals = strchr(text, '=');
    bool whole = !equals || equals == text || file_exists(text);
    *name = whole ? mem_text(text) : mem_text_n(text, (size_t)(equals - text));
    return whole ? text : equals + 1;
}

status cli_bootstrap(struct bootstrap_params *out, int64_t resamples, int64_t seed) {
    if (resamples < 100 || resamples > 1000000) return FAIL(ST_USAGE, "--resamples must lie in 100 .. 1000000");
    *out = (struct bootstrap_params){(size_t)resamples, 0.95, (uint64_t)seed};
    return ST_OK;
}

status cli_check_pooled(const char *name, size_t pooled, const char *first, size_t first_pooled) {
    if (pooled == first_pooled) return ST_OK;
    return FAIL(ST_USAGE, "%s is given %zu times, %s %zu times; expected every run with as many seeds", name, pooled + 1, first,
                first_pooled + 1);
}

/* Numbers between commas, up to GOAL_SAMPLES_GOALS_MAX; text may be NULL: none. */
static status read_goals(double *goals, size_t *count, const char *text) {
    *count = 0;
    for (const char *at = text; at; at++) {
        char *end;
        const double goal = strtod(at, &end);
        if (end == at || !isfinite(goal) || (*end && *end != ',') || *count == GOAL_SAMPLES_GOALS_MAX)
            return FAIL(ST_USAGE, "--goals expects up to %d numbers such as 7,10; found '%s'", GOAL_SAMPLES_GOALS_MAX, text);
        goals[(*count)++] = goal;
        at = end;
        if (!*end) break;
    }
    return ST_OK;
}

status cli_add_samples(struct goal_samples *runs, size_t *count, struct goal_samples *file) {
    size_t at = 0;
    while (at < *count && strcmp(runs[at].name, file->name) != 0) at++;
    if (at == *count) {
        runs[(*count)++] = *file;
        return ST_OK;
    }
    const status code = goal_samples_pool(&runs[at], file);
    goal_samples_release(file);
    return code;
}

status cli_finish_samples(struct goal_samples *runs, size_t count, const char *text, const struct goal_names *names) {
    double goals[GOAL_SAMPLES_GOALS_MAX];
    size_t goal_count;
    TRY(text && names && names->count ? goal_names_find(goals, &goal_count, GOAL_SAMPLES_GOALS_MAX, names, text)
                                      : read_goals(goals, &goal_count, text));
    for (size_t i = 1; i < count; i++) TRY(cli_check_pooled(runs[i].name, runs[i].pooled, runs[0].name, runs[0].pooled));
    for (size_t i = 0; goal_count && i < count; i++) TRY(goal_samples_keep(&runs[i], goals, goal_count, names));
    return ST_OK;
}

status cli_put_results(const struct buf *json, const struct buf *text, const char *output, bool as_json) {
    if (output) TRY(file_write(output, json->data, json->size));
    fputs(buf_text(as_json ? json : text), stdout);
    return ST_OK;
}

status cli_evaluate(eval_run *run, const struct eval_input *in, const char *output, bool as_json) {
    struct buf json = {0}, text = {0};
    status code = run(&json, &text, in);
    if (code == ST_OK) code = cli_put_results(&json, &text, output, as_json);
    buf_release(&json);
    buf_release(&text);
    return code;
}
