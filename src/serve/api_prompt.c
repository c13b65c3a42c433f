/* What a request wants continued: messages through the chat template, or text, or token ids; with the goal written in as in training. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "serve/api_parts.h"

#define WRONG(param, ...) api_refuse(e, 400, NULL, param, __VA_ARGS__)

/* A content: a string, or parts of which all are text. Appends it as a JSON string. */
static bool put_content(struct buf *out, struct api_error *e, struct json v, size_t at) {
    struct json key, part;
    struct json_iter it = json_iter_begin(v);
    struct buf text = {0};
    if (json_kind_of(v) == JSON_STRING) {
        buf_append(out, v.text, v.size);
        return true;
    }
    if (json_kind_of(v) != JSON_ARRAY) return WRONG("messages", "messages[%zu].content should be a string or an array of text parts", at);
    while (json_iter_next(&it, &key, &part))
        if (!json_equals(json_get(part, "type"), "text") || !json_string(&text, json_get(part, "text"))) {
            buf_release(&text);
            return WRONG("messages", "messages[%zu].content has a part that is no text", at);
        }
    json_put_string(out, buf_text(&text), text.size);
    buf_release(&text);
    return true;
}

/* A member of a message beside role and content: only what asks for nothing. A participant's name is no part of a chat template's turn. */
static bool check_member(struct api_error *e, struct json key, struct json v, size_t at) {
    const bool nothing = json_kind_of(v) == JSON_NULL || (json_kind_of(v) == JSON_ARRAY && !json_count(v));
    if (json_equals(key, "role") || json_equals(key, "content") || nothing) return true;
    if (json_equals(key, "name")) return json_kind_of(v) == JSON_STRING || WRONG("messages", "messages[%zu].name should be a string", at);
    return WRONG("messages", "messages[%zu].%.*s: this server reads no such field", at, (int)(key.size - 2 < 60 ? key.size - 2 : 60),
                 key.text + 1);
}

bool api_put_message(struct buf *out, struct api_error *e, struct json m, size_t at) {
    static const char *const roles[] = {"system", "user", "assistant", "developer"};
    struct json key, v;
    struct json_iter it = json_iter_begin(m);
    size_t role = 0;
    if (json_kind_of(m) != JSON_OBJECT) return WRONG("messages", "messages[%zu] should be an object", at);
    while (role < 4 && !json_equals(json_get(m, "role"), roles[role])) role++;
    if (role == 4)
        return WRONG("messages", "messages[%zu].role should be \"system\", \"developer\" (the same), \"user\" or \"assistant\"", at);
    while (json_iter_next(&it, &key, &v))
        if (!check_member(e, key, v, at)) return false;
    buf_printf(out, "{\"role\": \"%s\", \"content\": ", roles[role == 3 ? 0 : role]);
    if (!put_content(out, e, json_get(m, "content"), at)) return false;
    buf_append_char(out, '}');
    return true;
}

static bool render(struct api_prompt *p, struct api_call *c, struct api_error *e, struct buf *messages, struct json kwargs) {
    const struct serve_target *t = c->target;
    struct buf asked = {0};
    struct json array = {buf_text(messages), messages->size};
    status s = ST_OK;
    if (!t->chat)
        return WRONG("messages", "%s takes no conversations, since %s; POST /v1/completions continues plain text", t->name, t->why_no_chat);
    if (c->goal.count) {
        s = goal_put_messages(&asked, t->style, array, &c->goal);
        array = (struct json){buf_text(&asked), asked.size};
    }
    if (s == ST_OK) s = chat_render(t->chat, &p->text, array, (struct json){0}, kwargs, true);
    buf_release(&asked);
    if (s == ST_OK) s = tokenizer_encode(t->tokenizer, &p->ids, buf_text(&p->text), p->text.size, false);
    return s == ST_OK || WRONG("messages", "the chat template refuses them: %s", status_message());
}

static bool read_messages(struct api_call *c, struct api_error *e, struct json root) {
    struct json messages = json_get(root, "messages"), kwargs = json_get(root, "chat_template_kwargs"), key, m;
    struct json_iter it = json_iter_begin(messages);
    struct buf array = {0};
    bool ok = true;
    if (json_kind_of(messages) != JSON_ARRAY || !json_count(messages)) return WRONG("messages", "expected a list of at least one message");
    if (json_count(messages) > c->target->decoder.options.length) /* each is a token at least; templates may take long over many */
        return WRONG("messages", "%zu messages do not fit %zu tokens (--max-length)", json_count(messages),
                     c->target->decoder.options.length);
    if (json_kind_of(kwargs) == JSON_NULL) kwargs = (struct json){0};
    if (json_kind_of(kwargs) != JSON_NONE && json_kind_of(kwargs) != JSON_OBJECT)
        return WRONG("chat_template_kwargs", "expected an object, found %s", json_kind_name(json_kind_of(kwargs)));
    c->prompts = mem_zero(1, sizeof *c->prompts);
    c->prompt_count = 1;
    buf_append_char(&array, '[');
    for (size_t at = 0; ok && json_iter_next(&it, &key, &m); at++) {
        if (at) buf_append_text(&array, ", ");
        ok = api_put_message(&array, e, m, at);
    }
    buf_append_char(&array, ']');
    ok = ok && render(&c->prompts[0], c, e, &array, kwargs);
    buf_release(&array);
    return ok;
}

static bool read_ids(struct api_prompt *p, struct api_call *c, struct api_error *e, struct json v) {
    struct json key, item;
    struct json_iter it = json_iter_begin(v);
    int64_t id;
    if (c->goal.count) return WRONG("goal", "the prompt is made of token ids: no goal can be written into them");
    while (json_iter_next(&it, &key, &item)) {
        if (!json_int(&id, item) || id < 0 || (uint64_t)id >= c->target->vocab)
            return WRONG("prompt", "'%.*s' is no token id of this model", (int)(item.size < 40 ? item.size : 40), item.text);
        ids_push(&p->ids, (int32_t)id);
    }
    if (c->echo) tokenizer_decode(c->target->tokenizer, &p->text, p->ids.data, p->ids.count, false);
    return true;
}

static bool read_text(struct api_prompt *p, struct api_call *c, struct api_error *e, struct json v) {
    const struct serve_target *t = c->target;
    const char *bos = tokenizer_bos_text(t->tokenizer);
    struct buf text = {0};
    json_string(&text, v);
    if (c->goal.count) {
        if (t->style->placement == GOAL_SYSTEM) {
            buf_release(&text);
            return WRONG(
                "goal",
                "the goal of %s stands in the system turn, and the prompt is plain text; POST /v1/chat/completions takes conversations",
                t->name);
        }
        goal_put_prompt(&p->text, t->style, buf_text(&text), text.size, &c->goal);
        buf_release(&text);
    } else {
        p->text = text;
    }
    if (tokenizer_encode(t->tokenizer, &p->ids, buf_text(&p->text), p->text.size, true) != ST_OK)
        return WRONG("prompt", "%s", status_message());
    if (!p->ids.count && !p->text.size) { /* OpenAI's: a text goes on from what stands between texts */
        const int32_t bos_id = tokenizer_bos(t->tokenizer), id = bos_id >= 0 ? bos_id : tokenizer_eos(t->tokenizer);
        if (id >= 0) ids_push(&p->ids, id);
        p->hidden_bos = true;
        return true;
    }
    p->hidden_bos =
        bos && p->ids.count && p->ids.data[0] == tokenizer_bos(t->tokenizer) && strncmp(buf_text(&p->text), bos, strlen(bos)) != 0;
    return true;
}

/* Where each token of an echoed prompt ends. */
static void find_ends(struct api_prompt *p, const struct tokenizer *t) {
    struct detoken_state state = {0};
    struct buf text = {0};
    p->ends = mem_zero(p->ids.count, sizeof *p->ends);
    for (size_t i = 0; i < p->ids.count; i++) {
        if (i || !p->hidden_bos) tokenizer_decode_next(t, &state, &text, p->ids.data[i], false);
        p->ends[i] = text.size < p->text.size ? text.size : p->text.size;
    }
    buf_release(&text);
}

static bool check_prompt(const struct api_prompt *p, struct api_call *c, struct api_error *e, const char *param) {
    const size_t length = c->target->decoder.options.length;
    if (!p->ids.count) return WRONG(param, "no tokens; an answer needs at least one token before it");
    if (p->ids.count >= length)
        return api_refuse(e, 400, "context_length_exceeded", param, "%zu tokens leave no room for an answer within %zu (--max-length)",
                          p->ids.count, length);
    for (size_t i = 0; i < p->ids.count; i++)
        if ((size_t)p->ids.data[i] >= c->target->vocab)
            return WRONG(param, "token id %d is outside the model's vocabulary", p->ids.data[i]);
    return true;
}

/* A string, token ids, or an array of either. */
static bool read_prompts(struct api_call *c, struct api_error *e, struct json v, size_t most) {
    struct json key, item = {0};
    struct json_iter it = json_iter_begin(v);
    const enum json_kind kind = json_kind_of(v);
    const size_t count = json_count(v);
    const bool first = json_iter_next(&it, &key, &item), several = kind == JSON_ARRAY && first && json_kind_of(item) != JSON_NUMBER;
    if (kind != JSON_STRING && !(kind == JSON_ARRAY && first))
        return WRONG("prompt", "expected a string, token ids, or an array of either that is not empty");
    if (several && count > most)
        return WRONG("prompt", "%zu prompts are more than this server takes at once (%zu together with n)", count, most);
    c->prompt_count = several ? count : 1;
    c->prompts = mem_zero(c->prompt_count, sizeof *c->prompts);
    it = json_iter_begin(v);
    for (size_t i = 0; i < c->prompt_count; i++) {
        if (!several)
            item = v;
        else
            json_iter_next(&it, &key, &item);
        const enum json_kind is = json_kind_of(item);
        if (is != JSON_STRING && is != JSON_ARRAY) return WRONG("prompt", "prompt %zu should be a string or an array of token ids", i);
        if (!(is == JSON_STRING ? read_text : read_ids)(&c->prompts[i], c, e, item) || !check_prompt(&c->prompts[i], c, e, "prompt"))
            return false;
        if (c->echo) find_ends(&c->prompts[i], c->target->tokenizer);
    }
    return true;
}

bool api_read_prompts(struct api_call *c, struct api_error *e, struct json root, size_t most) {
    if (!most) return WRONG("n", "more choices than this server takes at once");
    if (c->kind == API_TEXT) return read_prompts(c, e, json_get(root, "prompt"), most);
    return read_messages(c, e, root) && check_prompt(&c->prompts[0], c, e, "messages");
}
