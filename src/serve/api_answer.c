/* Answers: whole, and as server-sent events. */
#include <math.h>
#include <string.h>

#include "base/utf8.h"
#include "infer/token_json.h"
#include "serve/api_parts.h"
#include "serve/scorer.h"

void api_put_error(struct buf *out, const struct api_error *e) {
    static const struct {
        unsigned code;
        const char *type;
    } types[] = {{429, "rate_limit_error"},
                 {500, "server_error"},
                 {503, "server_error"}}; /* OpenAI has the other for a wrong key and an unknown model, too */
    const char *type = "invalid_request_error";
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (types[i].code == e->code) type = types[i].type;
    struct buf clean = {0};
    utf8_put_clean(&clean, buf_text(&e->message), e->message.size); /* it may quote what was cut */
    buf_append_text(out, "{\"error\": {\"message\": ");
    json_put_string(out, buf_text(&clean), clean.size);
    buf_clear(&clean);
    utf8_put_clean(&clean, e->param, strlen(e->param));
    buf_printf(out, ", \"type\": \"%s\", \"param\": ", type);
    if (e->param[0])
        json_put_string(out, buf_text(&clean), clean.size);
    else
        buf_append_text(out, "null");
    buf_append_text(out, ", \"code\": ");
    if (e->reason)
        json_put_text(out, e->reason);
    else
        buf_append_text(out, "null");
    buf_append_text(out, "}}");
    buf_release(&clean);
}

void api_put_error_event(struct buf *out, const struct api_error *e) {
    buf_append_text(out, "data: ");
    api_put_error(out, e);
    buf_append_text(out, "\n\n");
}

/* A token as /v1/completions names it: its text, or "bytes:\xe2\x80" where that is no whole characters, so that different tokens have
 * different names. */
static void put_name(struct buf *out, const struct tokenizer *t, int32_t id) {
    struct buf piece = {0}, name = {0};
    tokenizer_piece(t, &piece, id);
    if (utf8_valid_prefix(buf_text(&piece), piece.size) == piece.size) {
        json_put_string(out, buf_text(&piece), piece.size);
    } else {
        buf_append_text(&name, "bytes:");
        for (size_t i = 0; i < piece.size; i++) buf_printf(&name, "\\x%02x", (unsigned)(unsigned char)piece.data[i]);
        json_put_string(out, buf_text(&name), name.size);
    }
    buf_release(&piece);
    buf_release(&name);
}

static void put_chat_logprobs(struct buf *out, const struct api_call *c, const struct serve_choice *x, size_t from, size_t to) {
    const struct tokenizer *t = c->target->tokenizer;
    buf_append_text(out, "{\"content\": [");
    for (size_t i = from; i < to; i++) {
        if (i > from) buf_append_text(out, ", ");
        token_json_put(out, t, x->tokens[i].id, &x->odds[i], c->request.top);
    }
    buf_append_text(out, "], \"refusal\": null}");
}

/* One column of the log-probs of /v1/completions, over the prompt's tokens (echo) and tokens [from, to) of the choice. */
enum column { NAMES, LOGPS, TOPS, OFFSETS };
struct rows {
    const struct api_call *c;
    const struct serve_choice *x;
    const struct api_prompt *prompt; /* NULL: not echoed */
    size_t from, to;
    size_t chars; /* before the first row */
};

static void put_top(struct buf *out, const struct tokenizer *t, size_t top, int32_t id, const struct decode_odds *o) {
    bool there = false;
    buf_append_char(out, '{');
    for (size_t k = 0; k < top; k++) {
        there = there || o->top_id[k] == id;
        buf_append_text(out, k ? ", " : "");
        put_name(out, t, o->top_id[k]);
        buf_append_text(out, ": ");
        token_json_put_logp(out, o->top_logp[k]);
    }
    if (!there) { /* OpenAI's: the token itself is always among them */
        buf_append_text(out, top ? ", " : "");
        put_name(out, t, id);
        buf_append_text(out, ": ");
        token_json_put_logp(out, o->logp);
    }
    buf_append_char(out, '}');
}

static void put_cell(struct buf *out, const struct rows *r, enum column column, int32_t id, const struct decode_odds *o, size_t chars) {
    const struct tokenizer *t = r->c->target->tokenizer;
    if (column == NAMES)
        put_name(out, t, id);
    else if (column == OFFSETS)
        buf_printf(out, "%zu", chars);
    else if (!o)
        buf_append_text(out, "null"); /* nothing predicts the first token */
    else if (column == LOGPS)
        token_json_put_logp(out, o->logp);
    else
        put_top(out, t, r->c->request.top, id, o);
}

static size_t put_column(struct buf *out, const struct rows *r, enum column column) {
    const struct api_prompt *p = r->prompt;
    size_t chars = r->chars, before = 0;
    bool some = false;
    buf_append_char(out, '[');
    for (size_t i = 0; p && i < p->ids.count; i++, some = true) {
        if (some) buf_append_text(out, ", ");
        put_cell(out, r, column, p->ids.data[i], i ? &r->x->prompt_odds[i] : NULL, chars);
        chars += utf8_count(buf_text(&p->text) + before, p->ends[i] - before);
        before = p->ends[i];
    }
    before = r->from ? r->x->tokens[r->from - 1].end : 0;
    for (size_t i = r->from; i < r->to; i++, some = true) {
        const size_t end = r->x->tokens[i].end < r->x->text.size ? r->x->tokens[i].end : r->x->text.size;
        if (some) buf_append_text(out, ", ");
        put_cell(out, r, column, r->x->tokens[i].id, &r->x->odds[i], chars);
        if (end > before) chars += utf8_count(r->x->text.data + before, end - before), before = end;
    }
    buf_append_char(out, ']');
    return chars;
}

static size_t put_text_logprobs(struct buf *out, const struct rows *r) {
    buf_append_text(out, "{\"tokens\": ");
    put_column(out, r, NAMES);
    buf_append_text(out, ", \"token_logprobs\": ");
    put_column(out, r, LOGPS);
    buf_append_text(out, ", \"top_logprobs\": ");
    if (r->c->request.top)
        put_column(out, r, TOPS);
    else
        buf_append_text(out, "null");
    buf_append_text(out, ", \"text_offset\": ");
    const size_t chars = put_column(out, r, OFFSETS);
    buf_append_char(out, '}');
    return chars;
}

/* How many of the choice's tokens can be told now: those whose text is, without what lies behind a stop string, in a chat without the
 * end-of-turn token. */
static size_t tokens_ready(const struct api_call *c, const struct serve_choice *x) {
    const bool done = x->finish != SERVE_RUNNING;
    size_t n = x->count;
    while (n && !done && x->tokens[n - 1].end > x->ready) n--;
    while (n && x->cut && (n > 1 ? x->tokens[n - 2].end : 0) >= x->text.size) n--;
    if (n && c->kind == API_CHAT && tokenizer_is_end(c->target->tokenizer, x->tokens[n - 1].id)) n--;
    return n;
}

static const char *finish_name(const struct serve_choice *x) { return x->finish == SERVE_LENGTH ? "length" : "stop"; }

static void put_head(struct buf *out, const struct api_call *c, const char *object) {
    buf_printf(out, "{\"id\": \"%s\", \"object\": \"%s\", \"created\": %lld, \"model\": ", c->id, object, (long long)c->created);
    json_put_text(out, c->target->name);
    buf_append_text(out, ", \"goal\": ");
    goal_put_json(out, c->target->style, &c->goal); /* null where there is none */
}

static void put_usage(struct buf *out, const struct api_call *c) {
    size_t prompt = 0, answer = 0, reused = 0;
    for (size_t i = 0; i < c->request.choice_count; i++) {
        answer += c->request.choices[i].count;
        if (i % (size_t)c->n == 0) reused += c->request.choices[i].reused;
    }
    for (size_t i = 0; i < c->prompt_count; i++) prompt += c->prompts[i].ids.count;
    buf_printf(out,
               "\"usage\": {\"prompt_tokens\": %zu, \"completion_tokens\": %zu, \"total_tokens\": %zu, \"prompt_tokens_details\": "
               "{\"cached_tokens\": %zu}}",
               prompt, answer, prompt + answer, reused);
}

/* Does a choice say that there is no answer? */
static bool check_choice(struct api_error *e, const struct serve_request *r, const struct serve_choice *x) {
    if (x->finish == SERVE_FAILED) return api_refuse(e, 500, NULL, NULL, "the model failed: %s", r->why ? r->why : "");
    if (x->finish == SERVE_CANCELLED)
        return api_refuse(e, 503, "timeout", NULL, "the answer was broken off: it took longer than this server allows, or the server ends");
    return true;
}

static void put_choice(struct buf *out, struct api_call *c, size_t i) {
    const struct serve_choice *x = &c->request.choices[i];
    const struct api_prompt *p = &c->prompts[i / (size_t)c->n];
    const size_t tokens = tokens_ready(c, x);
    struct buf text = {0};
    if (c->echo) buf_append(&text, buf_text(&p->text), p->text.size);
    buf_append(&text, buf_text(&x->text), x->text.size);
    buf_printf(out, "%s{\"index\": %zu, %s", i ? ", " : "", i,
               c->kind == API_CHAT ? "\"message\": {\"role\": \"assistant\", \"content\": " : "\"text\": ");
    token_json_put_string(out, buf_text(&text), text.size);
    buf_append_text(out, c->kind == API_CHAT ? ", \"refusal\": null}, \"logprobs\": " : ", \"logprobs\": ");
    if (!c->logprobs)
        buf_append_text(out, "null");
    else if (c->kind == API_CHAT)
        put_chat_logprobs(out, c, x, 0, tokens);
    else
        put_text_logprobs(out, &(struct rows){.c = c, .x = x, .prompt = c->echo ? p : NULL, .to = tokens});
    buf_printf(out, ", \"finish_reason\": \"%s\"}", finish_name(x));
    buf_release(&text);
}

bool api_put_answer(struct buf *out, struct api_error *e, struct api_call *c) {
    bool ok = true;
    pthread_mutex_lock(&c->request.lock);
    for (size_t i = 0; ok && i < c->request.choice_count; i++) ok = check_choice(e, &c->request, &c->request.choices[i]);
    if (ok) {
        put_head(out, c, c->kind == API_CHAT ? "chat.completion" : "text_completion");
        buf_append_text(out, ", \"choices\": [");
        for (size_t i = 0; i < c->request.choice_count; i++) put_choice(out, c, i);
        buf_append_text(out, "], ");
        put_usage(out, c);
        buf_append_text(out, "}");
    }
    pthread_mutex_unlock(&c->request.lock);
    return ok;
}

/* Behind an event's choices, where the usage is asked for: null until the last event, or what it is so far. */
static void put_event_usage(struct buf *out, const struct api_call *c) {
    if (c->usage_chunk && c->usage_always) {
        buf_append_text(out, ", ");
        put_usage(out, c);
    } else if (c->usage_chunk) {
        buf_append_text(out, ", \"usage\": null");
    }
    buf_append_text(out, "}\n\n");
}

/* One event of choice i. delta: a JSON object or string; NULL: its text [bytes shown, ready). */
static void put_event(struct buf *out, struct api_call *c, size_t i, bool role, const struct api_prompt *echo, const char *finish) {
    struct serve_choice *x = &c->request.choices[i];
    struct api_shown *s = &c->shown[i];
    const size_t tokens = tokens_ready(c, x);
    const bool chat = c->kind == API_CHAT;
    struct buf text = {0};
    if (echo) buf_append(&text, buf_text(&echo->text), echo->text.size);
    if (!role) buf_append(&text, buf_text(&x->text) + s->bytes, x->ready - s->bytes);
    buf_append_text(out, "data: ");
    put_head(out, c, chat ? "chat.completion.chunk" : "text_completion");
    buf_printf(out, ", \"choices\": [{\"index\": %zu, ", i);
    buf_append_text(out, !chat ? "\"text\": " : role ? "\"delta\": {\"role\": \"assistant\", \"content\": " : "\"delta\": {\"content\": ");
    token_json_put_string(out, buf_text(&text), text.size);
    buf_append_text(out, chat ? "}, \"logprobs\": " : ", \"logprobs\": ");
    if (!c->logprobs || role)
        buf_append_text(out, "null");
    else if (chat)
        put_chat_logprobs(out, c, x, s->tokens, tokens);
    else
        s->chars =
            put_text_logprobs(out, &(struct rows){.c = c, .x = x, .prompt = echo, .from = s->tokens, .to = tokens, .chars = s->chars});
    if (finish)
        buf_printf(out, ", \"finish_reason\": \"%s\"}]", finish);
    else
        buf_append_text(out, ", \"finish_reason\": null}]");
    put_event_usage(out, c);
    if (!role) {
        s->bytes = x->ready;
        s->tokens = tokens;
    }
    buf_release(&text);
}

/* What is new of choice i. */
static void put_new(struct buf *out, struct api_call *c, size_t i) {
    const struct serve_choice *x = &c->request.choices[i];
    const struct api_prompt *echo = NULL;
    struct api_shown *s = &c->shown[i];
    const bool done = x->finish != SERVE_RUNNING;
    if (s->ended) return;
    if (!s->begun && c->kind == API_CHAT) put_event(out, c, i, true, NULL, NULL);
    if (!s->begun && c->kind == API_TEXT && c->echo) {
        if (!x->prompt_done && !done) return;
        echo = &c->prompts[i / (size_t)c->n];
    }
    s->begun = true;
    if (!done && !echo && x->ready == s->bytes && !(c->logprobs && tokens_ready(c, x) > s->tokens)) return;
    put_event(out, c, i, false, echo, done ? finish_name(x) : NULL);
    s->ended = done;
}

void api_put_events(struct buf *out, struct api_call *c, bool *last, long timeout_ms) {
    struct serve_request *r = &c->request;
    struct api_error e = {0};
    const size_t before = out->size;
    bool ok = true, ended = true;
    pthread_mutex_lock(&r->lock);
    for (int try = 0; try < 2 && out->size == before; try++) {
        if (try) serve_request_wait(r, timeout_ms);
        ended = true;
        for (size_t i = 0; i < r->choice_count && ok; i++) {
            ok = check_choice(&e, r, &r->choices[i]);
            if (ok) put_new(out, c, i);
            ended = ended && c->shown[i].ended;
        }
        if (!ok) break;
    }
    if (ok && ended && c->usage_chunk) {
        buf_append_text(out, "data: ");
        put_head(out, c, c->kind == API_CHAT ? "chat.completion.chunk" : "text_completion");
        buf_append_text(out, ", \"choices\": [], ");
        put_usage(out, c);
        buf_append_text(out, "}\n\n");
    }
    pthread_mutex_unlock(&r->lock);
    *last = !ok || ended;
    if (!ok) api_put_error_event(out, &e);
    if (*last) buf_append_text(out, "data: [DONE]\n\n");
    api_error_release(&e);
}

/* {"low": 1, "high": 10, or {"attributes": [{"name": .., "low": .., "high": ..}, ..] */
static void put_scales(struct buf *out, const struct goal_style *g) {
    for (size_t i = 0; i < g->attribute_count; i++) {
        buf_append_text(out, i ? ", {\"name\": " : "{\"attributes\": [{\"name\": ");
        json_put_text(out, g->attributes[i].name);
        buf_append_text(out, ", \"low\": ");
        json_put_double(out, g->attributes[i].low);
        buf_append_text(out, ", \"high\": ");
        json_put_double(out, g->attributes[i].high);
        buf_append_char(out, '}');
    }
    if (g->attribute_count) {
        buf_append_char(out, ']');
        return;
    }
    buf_append_text(out, "{\"low\": ");
    json_put_double(out, g->low);
    buf_append_text(out, ", \"high\": ");
    json_put_double(out, g->high);
}

/* named: the goal of a name NAME@goal=G, which is such a model's default; NULL: of NAME itself. */
static void put_model(struct buf *out, const struct serve_target *t, const struct goal *named, int64_t created) {
    struct buf id = {0};
    buf_append_text(&id, t->name);
    if (named) {
        buf_append_text(&id, "@goal=");
        if (named->count)
            goal_put_name(&id, t->style, named);
        else
            buf_append_text(&id, "none");
    }
    buf_append_text(out, "{\"id\": ");
    json_put_string(out, buf_text(&id), id.size);
    buf_release(&id);
    if (named) {
        buf_append_text(out, ", \"root\": ");
        json_put_text(out, t->name);
    }
    buf_printf(out, ", \"object\": \"model\", \"created\": %lld, \"owned_by\": \"rapt\", \"max_model_len\": %zu, \"chat\": %s, \"goal\": ",
               (long long)created, t->decoder.options.length, t->chat ? "true" : "false");
    if (t->baked) { /* its template asks for one, and no other can be asked for */
        buf_append_text(out, "null}");
        return;
    }
    put_scales(out, t->style);
    buf_append_text(out, ", \"best\": ");
    goal_put_json(out, t->style, &t->style->best);
    buf_append_text(out, ", \"default\": ");
    goal_put_json(out, t->style, named ? named : &t->goal);
    buf_printf(out, ", \"trained\": %s}}", t->trained ? "true" : "false");
}

bool api_put_named_model(struct buf *out, struct api_error *e, const struct serve_engine *engine, const char *name, int64_t created) {
    struct serve_target *t;
    struct goal goal = {0};
    bool named;
    if (!api_find_name(&t, &goal, &named, e, name, engine)) return false;
    put_model(out, t, named ? &goal : NULL, created);
    return true;
}

void api_put_models(struct buf *out, const struct serve_engine *engine, int64_t created) {
    buf_append_text(out, "{\"object\": \"list\", \"data\": [");
    for (size_t i = 0; i < engine->target_count; i++) {
        const struct serve_target *t = &engine->targets[i];
        buf_append_text(out, i ? ", " : "");
        put_model(out, t, NULL, created);
        for (size_t k = 0; t->listed && k < t->listed->count; k++) {
            buf_append_text(out, ", ");
            put_model(out, t, &t->listed->items[k], created);
        }
    }
    buf_append_text(out, "], \"scorer\": ");
    if (engine->scorer)
        serve_scorer_describe(out, engine->scorer);
    else
        buf_append_text(out, "null");
    buf_append_char(out, '}');
}
