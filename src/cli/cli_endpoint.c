#include "cli/cli_endpoint.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "net/http.h"

const char *const endpoint_options[] = {"endpoint-model",      "api-key-env",     "cache",         "concurrency",
                                        "requests-per-minute", "request-timeout", "request-tries", "retry-wait",
                                        "request-extra",       "price-input",     "price-output",  NULL};

status cli_check_between(const struct cli_between *list, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!(list[i].value >= list[i].low && list[i].value <= list[i].high))
            return FAIL(ST_USAGE, "--%s expects %g to %g", list[i].name, list[i].low, list[i].high);
    return ST_OK;
}

static status check_numbers(const struct endpoint_flags *f) {
    const struct cli_between numbers[] = {{"concurrency", (double)f->concurrency, 1, HTTP_CONCURRENCY_MAX},
                                          {"requests-per-minute", f->per_minute, 0, 1e6},
                                          {"request-timeout", f->timeout, 0.001, 86400},
                                          {"request-tries", (double)f->request_tries, 1, 100},
                                          {"retry-wait", f->wait, 0, 3600},
                                          {"price-input", f->price_input, 0, 1e6},
                                          {"price-output", f->price_output, 0, 1e6}};
    return cli_check_between(numbers, sizeof numbers / sizeof numbers[0]);
}

/* Secrets come from the environment alone: an argument would stand in the list of processes. */
static status read_secret(struct remote_options *o, const struct endpoint_flags *f, bool named) {
    o->secret = getenv(f->key_env);
    if (o->secret && *o->secret) return ST_OK;
    o->secret = NULL;
    return named ? FAIL(ST_USAGE, "--api-key-env: there is no environment variable %s", f->key_env) : ST_OK;
}

static status read_extra(struct remote_options *o, const struct endpoint_flags *f) {
    if (!f->extra) return ST_OK;
    if (json_parse(&o->extra, f->extra, strlen(f->extra)) != ST_OK) return status_note(ST_USAGE, "--request-extra: ");
    return json_kind_of(o->extra) == JSON_OBJECT ? ST_OK : FAIL(ST_USAGE, "--request-extra expects an object, such as {\"top_p\": 1}");
}

static status read_cache(struct remote_options *o, const struct endpoint_flags *f, const char *output, const char *suffix) {
    struct buf path = {0};
    o->cache = f->cache;
    if (f->cache || !suffix) return ST_OK;
    if (!output || strcmp(output, "-") == 0)
        return FAIL(ST_USAGE, "the endpoint's answers are kept beside the output; without a file of --output give --cache FILE");
    buf_printf(&path, "%s%s", output, suffix);
    o->cache = mem_keep(path.data);
    return ST_OK;
}

status cli_endpoint_unused(const struct opt_result *given, const struct opt_spec *spec) {
    for (const char *const *name = endpoint_options; *name; name++)
        if (opt_given(given, spec, *name)) return FAIL(ST_USAGE, "--%s has no effect without --endpoint", *name);
    return ST_OK;
}

status cli_endpoint_instead(const struct opt_result *given, const struct opt_spec *spec, const char *const *names) {
    for (; *names; names++)
        if (opt_given(given, spec, *names)) return FAIL(ST_USAGE, "--%s has no effect with --endpoint", *names);
    return ST_OK;
}

status cli_endpoint(struct remote_options *o, const struct endpoint_flags *f, const struct opt_result *given, const struct opt_spec *spec,
                    const char *output, const char *suffix) {
    TRY(check_numbers(f));
    if (!f->model) return FAIL(ST_USAGE, "--endpoint expects --endpoint-model NAME");
    o->endpoint = f->endpoint;
    o->model = f->model;
    o->concurrency = f->concurrency;
    o->per_minute = f->per_minute;
    o->timeout_ms = (int64_t)(f->timeout * 1000);
    o->request_tries = f->request_tries;
    o->wait_ms = (int64_t)(f->wait * 1000);
    o->price_input = f->price_input;
    o->price_output = f->price_output;
    TRY(read_secret(o, f, opt_given(given, spec, "api-key-env")));
    TRY(read_extra(o, f));
    return read_cache(o, f, output, suffix);
}

status cli_endpoint_style(struct goal_style *style, const char *file) {
    if (file)
        TRY(goal_style_load(style, file));
    else
        goal_style_default(style);
    if (style->placement == GOAL_AUTO) style->placement = GOAL_SYSTEM;
    return ST_OK;
}

/* Is it NAME=G,NAME=G, or best with some of these behind it? The server knows the names. */
static bool is_named(const char *text) {
    for (const char *at = text;; at++) {
        const size_t size = strcspn(at, ","), name = strcspn(at, "=,");
        char *end = NULL;
        const double value = at[name] == '=' ? strtod(at + name + 1, &end) : 0;
        if (!(at == text && size == 4 && memcmp(at, "best", 4) == 0) &&
            (!name || !end || end == at + name + 1 || end != at + size || !isfinite(value)))
            return false;
        at += size;
        if (!*at) return true;
    }
}

static status add_text(struct goal_list *goals, struct endpoint_texts *texts, const char *one) {
    char *end;
    const double number = strtod(one, &end);
    const bool is_number = end > one && !*end && isfinite(number);
    struct buf sent = {0};
    if (!is_number && !is_named(one))
        return FAIL(ST_USAGE, "--goal: with --endpoint a goal is a number, best, or NAME=G,NAME=G, not '%s'", one);
    if (is_number)
        goal_put_number(&sent, number);
    else
        buf_append_text(&sent, one);
    texts->items = mem_resize(texts->items, (texts->count + 1) * sizeof *texts->items);
    texts->items[texts->count++] = sent.data;
    goal_list_add(goals, &(struct goal){.count = 1, .value = {is_number ? number : (double)NAN}});
    return ST_OK;
}

/* In the messages. */
static status style_goals(struct goal_list *goals, const char *text, const struct goal_style *style) {
    const size_t before = goals->count;
    TRY(goal_parse_list(goals, style, text,
                        "--goal best: with --goal-as prompt the best goal is that of --goal-style, the goal.json of an adapter that has "
                        "one; with field or suffix the server's"));
    for (size_t i = before; i < goals->count; i++)
        if (goal_check_scale(style, &goals->items[i]) != ST_OK) log_warn("%s", status_message());
    return ST_OK;
}

status cli_endpoint_goals(struct goal_list *goals, struct endpoint_texts *texts, const char *text, const struct goal_style *style,
                          enum remote_goal_as as) {
    const char *mark = strchr(text, '=') ? ";" : ",";
    if (as == REMOTE_GOAL_PROMPT) return style_goals(goals, text, style);
    for (const char *at = text;; at++) {
        const size_t size = strcspn(at, mark);
        char *one = mem_text_n(at, size);
        status s = size ? add_text(goals, texts, one) : ST_OK;
        free(one);
        TRY(s);
        at += size;
        if (!*at) return ST_OK;
    }
}

void endpoint_texts_release(struct endpoint_texts *t) {
    for (size_t i = 0; i < t->count; i++) free(t->items[i]);
    free(t->items);
    *t = (struct endpoint_texts){0};
}
