/* A request's fields, one row of a table each. An unknown field, or one that asks for what is not there, is refused: an answer that ignores
 * half of the question is worse than none. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/random.h>

#include "serve/api.h"
#include "serve/api_parts.h"

#define STOP_BYTES_MAX 1024
#define CHOICES_MAX 128
#define ECHO_TOKENS_MAX 65536

bool api_refuse(struct api_error *e, unsigned code, const char *reason, const char *param, const char *format, ...) {
    char text[2048];
    va_list args;
    if (e->code) return false;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    e->code = code;
    e->reason = reason;
    snprintf(e->param, sizeof e->param, "%s", param ? param : "");
    buf_append_text(&e->message, text);
    return false;
}

bool api_refuse_unknown(struct api_error *e, struct json key) {
    char name[64] = "";
    snprintf(name, sizeof name, "%.*s", (int)(key.size - 2 < 60 ? key.size - 2 : 60), key.text + 1);
    return api_refuse(e, 400, NULL, name, "unknown field '%s': this server reads none of that name", name);
}

void api_error_release(struct api_error *e) { buf_release(&e->message); }

#define WRONG(param, ...) api_refuse(e, 400, NULL, param, __VA_ARGS__)

enum kind { NUMBER, WHOLE, YES, SPECIAL, HARMLESS, ABSENT };
typedef bool read_fn(struct api_call *c, struct api_error *e, struct json v, const char *name);
struct field {
    const char *name;
    unsigned where; /* enum api_kind, or'ed */
    enum kind kind;
    size_t offset; /* in struct api_call: double, int64_t, bool */
    double low, high;
    read_fn *read;
};

static bool read_stop(struct api_call *c, struct api_error *e, struct json v, const char *name) {
    struct serve_stops *s = &c->request.stops;
    struct json key, item;
    struct json_iter it = json_iter_begin(v);
    const bool one = json_kind_of(v) == JSON_STRING;
    if (!one && json_kind_of(v) != JSON_ARRAY)
        return WRONG(name, "expected a string or an array of strings, found %s", json_kind_name(json_kind_of(v)));
    for (item = v; one ? !s->count : json_iter_next(&it, &key, &item);) {
        if (s->count == SERVE_STOPS_MAX) return WRONG(name, "at most %d stop strings are taken", SERVE_STOPS_MAX);
        struct buf *b = &s->text[s->count++];
        if (!json_string(b, item) || !b->size || b->size > STOP_BYTES_MAX)
            return WRONG(name, "a stop string is a text of 1 to %d bytes", STOP_BYTES_MAX);
        if (b->size > s->longest) s->longest = b->size;
    }
    return true;
}

static bool read_logprobs(struct api_call *c, struct api_error *e, struct json v, const char *name) {
    if (c->kind == API_CHAT)
        return json_bool(&c->logprobs, v) || WRONG(name, "expected true or false, found %s", json_kind_name(json_kind_of(v)));
    if (!json_int(&c->top, v) || c->top < 0 || c->top > DECODE_TOP_MAX)
        return WRONG(name, "expected a whole number of 0 to %d", DECODE_TOP_MAX);
    c->logprobs = true;
    return true;
}

static bool read_stream_options(struct api_call *c, struct api_error *e, struct json v, const char *name) {
    struct json key, item;
    struct json_iter it = json_iter_begin(v);
    if (json_kind_of(v) != JSON_OBJECT) return WRONG(name, "expected an object, found %s", json_kind_name(json_kind_of(v)));
    while (json_iter_next(&it, &key, &item)) {
        if (json_equals(key, "include_usage") && json_bool(&c->usage_chunk, item)) continue;
        if (json_equals(key, "continuous_usage_stats") && json_bool(&c->usage_always, item)) continue; /* vLLM's */
        if (json_equals(key, "include_obfuscation")) continue; /* padding against guessing by length, which a client may not rely on */
        return WRONG(name, "only include_usage and continuous_usage_stats (true or false) are known here");
    }
    return true;
}

static bool read_text_format(struct api_call *c, struct api_error *e, struct json v, const char *name) {
    (void)c;
    return json_equals(json_get(v, "type"), "text") || WRONG(name, "only {\"type\": \"text\"} can be had");
}

/* Fields of which some values ask for nothing that this server has not. */
static bool read_modalities(struct api_call *c, struct api_error *e, struct json v, const char *name) {
    struct json key, item;
    struct json_iter it = json_iter_begin(v);
    (void)c;
    bool ok = json_kind_of(v) == JSON_ARRAY;
    while (ok && json_iter_next(&it, &key, &item)) ok = json_equals(item, "text");
    return ok || WRONG(name, "only [\"text\"] can be had");
}

static bool read_one_of(struct api_error *e, struct json v, const char *name, const char *const *values, const char *shown) {
    for (; *values; values++)
        if (json_equals(v, *values)) return true;
    return WRONG(name, "expected %s", shown);
}

static bool read_tool_choice(struct api_call *c, struct api_error *e, struct json v, const char *name) {
    static const char *const values[] = {"none", "auto", NULL};
    (void)c;
    return read_one_of(e, v, name, values, "\"none\" or \"auto\": this server calls no tools");
}

static bool read_tier(struct api_call *c, struct api_error *e, struct json v, const char *name) {
    static const char *const values[] = {"auto", "default", NULL};
    (void)c;
    return read_one_of(e, v, name, values, "\"auto\" or \"default\": this server has one tier");
}

/* How long to think before the answer: what this server's models do not do. */
static bool read_effort(struct api_call *c, struct api_error *e, struct json v, const char *name) {
    static const char *const values[] = {"none", "minimal", "low", "medium", "high", "xhigh", NULL};
    (void)c;
    return read_one_of(e, v, name, values, "\"none\", \"minimal\", \"low\", \"medium\", \"high\" or \"xhigh\"");
}

static bool read_yes_or_no(struct api_call *c, struct api_error *e, struct json v, const char *name) {
    bool yes;
    (void)c;
    return json_bool(&yes, v) || WRONG(name, "expected true or false, found %s", json_kind_name(json_kind_of(v)));
}

static bool read_best_of(struct api_call *c, struct api_error *e, struct json v, const char *name) {
    int64_t best;
    (void)c;
    return (json_int(&best, v) && best == 1) || WRONG(name, "only 1 can be had");
}

static bool read_top_k(struct api_call *c, struct api_error *e, struct json v, const char *name) {
    if (!json_int(&c->request.sampler.top_k, v) || c->request.sampler.top_k < -1)
        return WRONG(name, "expected a whole number: 0 or -1 (off), or 1 and more");
    if (c->request.sampler.top_k < 0) c->request.sampler.top_k = 0;
    return true;
}

static bool read_seed(struct api_call *c, struct api_error *e, struct json v, const char *name) {
    c->seeded = json_int(&c->seed, v);
    return c->seeded || WRONG(name, "expected a whole number");
}

#define AT(member) offsetof(struct api_call, member)
#define BOTH (API_CHAT | API_TEXT)
static const struct field fields[] = {
    {"temperature", BOTH, NUMBER, AT(request.sampler.temperature), 0, 100, NULL},
    {"top_p", BOTH, NUMBER, AT(request.sampler.top_p), 1e-6, 1, NULL},
    {"min_p", BOTH, NUMBER, AT(request.sampler.min_p), 0, 1, NULL},
    {"repetition_penalty", BOTH, NUMBER, AT(request.sampler.repetition_penalty), 1e-3, 100, NULL},
    {"top_k", BOTH, SPECIAL, 0, 0, 0, read_top_k},
    {"seed", BOTH, SPECIAL, 0, 0, 0, read_seed},
    {"n", BOTH, WHOLE, AT(n), 1, CHOICES_MAX, NULL},
    {"max_tokens", BOTH, WHOLE, AT(max_new), 0, 1 << 24, NULL},
    {"max_completion_tokens", API_CHAT, WHOLE, AT(max_new), 1, 1 << 24, NULL},
    {"stop", BOTH, SPECIAL, 0, 0, 0, read_stop},
    {"stream", BOTH, YES, AT(stream), 0, 0, NULL},
    {"stream_options", BOTH, SPECIAL, 0, 0, 0, read_stream_options},
    {"logprobs", BOTH, SPECIAL, 0, 0, 0, read_logprobs},
    {"top_logprobs", API_CHAT, WHOLE, AT(top), 0, DECODE_TOP_MAX, NULL},
    {"echo", API_TEXT, YES, AT(echo), 0, 0, NULL},
    {"best_of", API_TEXT, SPECIAL, 0, 0, 0, read_best_of},
    {"response_format", API_CHAT, SPECIAL, 0, 0, 0, read_text_format},
    /* read by api_read itself */
    {"model", BOTH, HARMLESS, 0, 0, 0, NULL},
    {"goal", BOTH, HARMLESS, 0, 0, 0, NULL},
    {"messages", API_CHAT, HARMLESS, 0, 0, 0, NULL},
    {"chat_template_kwargs", API_CHAT, HARMLESS, 0, 0, 0, NULL},
    {"prompt", API_TEXT, HARMLESS, 0, 0, 0, NULL},
    /* say nothing about the answer */
    {"user", BOTH, HARMLESS, 0, 0, 0, NULL},
    {"store", BOTH, ABSENT, 0, 0, 0, NULL},
    {"metadata", BOTH, HARMLESS, 0, 0, 0, NULL},
    {"service_tier", BOTH, SPECIAL, 0, 0, 0, read_tier},
    {"reasoning_effort", API_CHAT, SPECIAL, 0, 0, 0, read_effort},
    {"modalities", API_CHAT, SPECIAL, 0, 0, 0, read_modalities},
    {"safety_identifier", BOTH, HARMLESS, 0, 0, 0, NULL},
    {"prompt_cache_key", BOTH, HARMLESS, 0, 0, 0, NULL},
    {"parallel_tool_calls", API_CHAT, SPECIAL, 0, 0, 0, read_yes_or_no},
    /* only what asks for nothing */
    {"frequency_penalty", BOTH, ABSENT, 0, 0, 0, NULL},
    {"presence_penalty", BOTH, ABSENT, 0, 0, 0, NULL},
    {"logit_bias", BOTH, ABSENT, 0, 0, 0, NULL},
    {"suffix", API_TEXT, ABSENT, 0, 0, 0, NULL},
    {"tools", API_CHAT, ABSENT, 0, 0, 0, NULL},
    {"tool_choice", API_CHAT, SPECIAL, 0, 0, 0, read_tool_choice},
    {"functions", API_CHAT, ABSENT, 0, 0, 0, NULL},
    {"function_call", API_CHAT, ABSENT, 0, 0, 0, NULL},
};

/* Does a value ask for nothing: null, false, 0, "", "none", [] or {}? */
static bool is_nothing(struct json v) {
    double number;
    bool on;
    switch (json_kind_of(v)) {
    case JSON_NUMBER: return json_double(&number, v) && number == 0;
    case JSON_BOOL: return json_bool(&on, v) && !on;
    case JSON_STRING: return json_equals(v, "") || json_equals(v, "none");
    case JSON_ARRAY:
    case JSON_OBJECT: return json_count(v) == 0;
    default: return true;
    }
}

static bool read_field(struct api_call *c, struct api_error *e, const struct field *f, struct json v) {
    char *at = (char *)c + f->offset;
    double number;
    int64_t whole;
    bool yes;
    switch (f->kind) {
    case NUMBER:
        if (!json_double(&number, v) || !(number >= f->low && number <= f->high))
            return WRONG(f->name, "expected a number of %g to %g", f->low, f->high);
        memcpy(at, &number, sizeof number);
        return true;
    case WHOLE:
        if (!json_int(&whole, v) || (double)whole < f->low || (double)whole > f->high)
            return WRONG(f->name, "expected a whole number of %.0f to %.0f", f->low, f->high);
        memcpy(at, &whole, sizeof whole);
        return true;
    case YES:
        if (!json_bool(&yes, v)) return WRONG(f->name, "expected true or false, found %s", json_kind_name(json_kind_of(v)));
        memcpy(at, &yes, sizeof yes);
        return true;
    case SPECIAL: return f->read(c, e, v, f->name);
    case ABSENT: return is_nothing(v) || WRONG(f->name, "this server cannot do that");
    default: return true;
    }
}

static const struct field *find_field(struct json key, enum api_kind kind) {
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        if ((fields[i].where & kind) && json_equals(key, fields[i].name)) return &fields[i];
    return NULL;
}

static bool read_fields(struct api_call *c, struct api_error *e, struct json root) {
    uint64_t seen = 0;
    struct json key, v;
    struct json_iter it = json_iter_begin(root);
    _Static_assert(sizeof fields / sizeof fields[0] <= 64, "a bit a field");
    while (json_iter_next(&it, &key, &v)) {
        const struct field *f = find_field(key, c->kind);
        if (!f) return api_refuse_unknown(e, key);
        const uint64_t bit = UINT64_C(1) << (f - fields);
        if (seen & bit) return WRONG(f->name, "the field stands there twice");
        seen |= bit;
        if (json_kind_of(v) != JSON_NULL && !read_field(c, e, f, v)) return false;
    }
    return true;
}

static bool check_together(struct api_call *c, struct api_error *e, struct json root, const struct api_limits *limits) {
    const struct json cap = json_get(root, "max_completion_tokens");
    const double heat = c->request.sampler.temperature;
    if (heat > 0 && heat < 0.001) return WRONG("temperature", "expected 0 (greedy) or 0.001 to 100");
    if (c->top && !c->logprobs) return WRONG("top_logprobs", "asks for log-probs, and \"logprobs\" is not true");
    if ((c->usage_chunk || c->usage_always) && !c->stream) return WRONG("stream_options", "has no effect without \"stream\": true");
    if (json_kind_of(cap) == JSON_NUMBER && json_kind_of(json_get(root, "max_tokens")) == JSON_NUMBER)
        return WRONG("max_tokens", "is the old name of max_completion_tokens: give one of them");
    if (c->max_new == 0 && !(c->kind == API_TEXT && c->echo)) return WRONG("max_tokens", "0 tokens are an answer only with \"echo\": true");
    if (limits->max_new && c->max_new >= 0 && (uint64_t)c->max_new > limits->max_new)
        return WRONG(json_kind_of(cap) == JSON_NUMBER ? "max_completion_tokens" : "max_tokens",
                     "this server writes at most %zu tokens (--max-new-tokens)", limits->max_new);
    const int64_t most = limits->max_new ? (int64_t)limits->max_new : INT64_MAX; /* the decoder ends at its length */
    if (c->max_new < 0) c->max_new = c->kind == API_TEXT && most > 16 ? 16 : most;
    return true;
}

/* Models and goals. */
/* text: the goal as it stands in the model's name; NULL: value is the field. */
static bool parse_goal(struct goal *goal, struct api_error *e, const char *param, const struct serve_target *t, const char *text,
                       struct json value) {
    const bool none = text ? strcmp(text, "none") == 0 : json_equals(value, "none"),
               best = text ? strcmp(text, "best") == 0 : json_equals(value, "best");
    *goal = (struct goal){0};
    bool ok = false;
    if (none)
        ok = true;
    else if (t->baked)
        WRONG(param, "the model's chat template asks for a goal by itself (export --bake-goal)");
    else if (best && !t->style->best.count)
        WRONG(param, "no best goal is known for %s", t->name);
    else if ((text ? goal_parse(goal, t->style, text, NULL) : goal_parse_json(goal, t->style, value, NULL)) != ST_OK)
        WRONG(param, "%s", t->style->attribute_count ? status_message() : "a goal is a number, \"best\" or \"none\"");
    else if (!best && goal_check_scale(t->style, goal) != ST_OK)
        WRONG(param, "%s", status_message());
    else
        ok = true;
    return ok;
}

#define GOAL_SUFFIX "@goal="
bool api_find_name(struct serve_target **target, struct goal *goal, bool *named, struct api_error *e, const char *name,
                   const struct serve_engine *engine) {
    const char *suffix = strstr(name, GOAL_SUFFIX);
    const size_t size = suffix ? (size_t)(suffix - name) : strlen(name);
    size_t at = 0;
    while (at < engine->target_count && (strlen(engine->targets[at].name) != size || memcmp(engine->targets[at].name, name, size) != 0))
        at++;
    if (at == engine->target_count)
        return api_refuse(e, 404, "model_not_found", "model", "there is no model '%.*s' here; GET /v1/models lists them",
                          (int)(size < 200 ? size : 200), name);
    *target = &engine->targets[at];
    *named = suffix != NULL;
    return !suffix || parse_goal(goal, e, "model", *target, suffix + strlen(GOAL_SUFFIX), (struct json){0});
}

/* Of the model field. Without a name the default target. */
static bool find_model(struct serve_target **target, struct goal *goal, bool *goal_named, struct api_error *e, struct json value,
                       const struct serve_engine *engine) {
    struct buf text = {0};
    *goal_named = false;
    *target = &engine->targets[engine->target_count - 1 > 0]; /* the first adapter, else the base */
    if (json_kind_of(value) == JSON_NONE || json_kind_of(value) == JSON_NULL) return true;
    if (!json_string(&text, value)) return WRONG("model", "expected a string, found %s", json_kind_name(json_kind_of(value)));
    const bool whole = strlen(buf_text(&text)) == text.size; /* a NUL ends no name */
    const bool ok = whole ? api_find_name(target, goal, goal_named, e, buf_text(&text), engine)
                          : api_refuse(e, 404, "model_not_found", "model", "a model's name has no NUL; GET /v1/models lists them");
    buf_release(&text);
    return ok;
}

static bool find_goal(struct api_call *c, struct api_error *e, struct json root, const struct serve_engine *engine) {
    const struct json v = json_get(root, "goal");
    struct goal named = {0}, asked;
    bool by_name;
    if (!find_model(&c->target, &named, &by_name, e, json_get(root, "model"), engine)) return false;
    c->goal = by_name ? named : c->kind == API_CHAT ? c->target->goal : (struct goal){0};
    if (json_kind_of(v) == JSON_NONE || json_kind_of(v) == JSON_NULL) return true;
    if (!parse_goal(&asked, e, "goal", c->target, NULL, v)) return false;
    if (by_name && !goal_equal(&named, &asked)) return WRONG("goal", "differs from the goal in the model's name");
    c->goal = asked;
    return true;
}

/* Log-probs of prompts are kept until they are sent. */
static bool check_echo(const struct api_call *c, struct api_error *e) {
    size_t tokens = 0;
    if (!c->echo || !c->logprobs) return true;
    if (c->n > 1) return WRONG("n", "the prompt's log-probs are the same in every choice: with \"echo\" and \"logprobs\" n is 1");
    for (size_t i = 0; i < c->prompt_count; i++) tokens += c->prompts[i].ids.count;
    return tokens <= ECHO_TOKENS_MAX ||
           WRONG("prompt", "log-probs of %zu prompt tokens are asked for; at most %d at once", tokens, ECHO_TOKENS_MAX);
}

/* The request's choices from its prompts. */
static void make_choices(struct api_call *c) {
    struct serve_request *r = &c->request;
    const size_t n = (size_t)c->n;
    r->odds = c->logprobs;
    r->top = (size_t)c->top;
    c->shown = mem_zero(r->choice_count, sizeof *c->shown);
    for (size_t i = 0; i < r->choice_count; i++) {
        struct serve_choice *x = &r->choices[i];
        const struct api_prompt *p = &c->prompts[i / n];
        x->prompt = p->ids.data;
        x->prompt_count = p->ids.count;
        if (c->kind == API_TEXT && (p->text.size || p->ids.count > 1)) /* it goes on inside a text: its first blank stays */
            x->detoken = (struct detoken_state){.tokens = 1, .strip_done = true};
        x->silent = c->max_new == 0;
        x->max_new = x->silent ? 1 : (size_t)c->max_new;
        x->row = i / n;
        x->sample = i % n;
        if (c->echo && c->logprobs) x->prompt_odds = mem_zero(p->ids.count, sizeof *x->prompt_odds);
    }
}

static void stamp(struct api_call *c) {
    uint64_t random[2] = {0};
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random) random[0] = (uint64_t)time(NULL), random[1] = (uint64_t)(uintptr_t)c;
    snprintf(c->id, sizeof c->id, "%s-%016llx", c->kind == API_CHAT ? "chatcmpl" : "cmpl", (unsigned long long)random[0]);
    c->created = (int64_t)time(NULL);
    c->request.sampler.seed = c->seeded ? (uint64_t)c->seed : random[1];
}

/* Fields into c, whose request has no choices yet; then the prompts, then the choices. */
bool api_read(struct api_call *c, struct api_error *e, enum api_kind kind, const char *body, size_t size, struct serve_engine *engine,
              const struct api_limits *limits) {
    struct json root;
    *c = (struct api_call){.kind = kind, .n = 1, .max_new = -1};
    c->request.sampler = sampler_options_default();
    if (json_parse(&root, body, size) != ST_OK) return WRONG("", "the body is no JSON: %s", status_message());
    if (json_kind_of(root) != JSON_OBJECT)
        return WRONG("", "the body should be a JSON object, it is %s", json_kind_name(json_kind_of(root)));
    if (!find_goal(c, e, root, engine) || !read_fields(c, e, root) || !check_together(c, e, root, limits)) return false;
    if (!api_read_prompts(c, e, root, limits->choices_max / (size_t)c->n)) return false;
    if (!check_echo(c, e)) return false;
    const struct sampler_options sampler = c->request.sampler;
    const struct serve_stops stops = c->request.stops;
    serve_request_init(&c->request, c->target, c->prompt_count * (size_t)c->n);
    c->request.sampler = sampler;
    c->request.stops = stops;
    stamp(c);
    make_choices(c);
    return true;
}

void api_release(struct api_call *c) {
    for (size_t i = 0; i < c->prompt_count; i++) {
        buf_release(&c->prompts[i].text);
        ids_release(&c->prompts[i].ids);
        free(c->prompts[i].ends);
    }
    free(c->prompts);
    free(c->shown);
    if (c->request.choices)
        serve_request_release(&c->request);
    else
        for (size_t i = 0; i < c->request.stops.count; i++) buf_release(&c->request.stops.text[i]);
    *c = (struct api_call){0};
}
