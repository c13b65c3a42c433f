/* chat: the variables that transformers hands to a chat template, around the interpreter in text/jinja. */
#include "text/chat.h"

#include <stdlib.h>
#include <string.h>

#include "text/jinja.h"

#define EXTRA_MAX 64 /* template variables given by the caller */

struct chat_template {
    struct jinja *template;
    struct buf bos, eos; /* JSON strings; empty when the tokenizer has none, then the name is undefined */
    bool has_system;
    char *source;
    struct buf kwargs; /* of every rendering: a JSON object, or empty */
};

static status put_token(struct buf *out, const char *text, const char *what) {
    struct json parsed;
    if (!text) return ST_OK;
    json_put_text(out, text);
    status s = json_parse(&parsed, out->data, out->size);
    return s == ST_OK ? s : status_note(s, "%s: ", what);
}

/* Renders with a system text in front, and looks for it. */
static bool probe_system(const struct chat_template *c) {
    static const char text[] = "rapt-system-probe";
    static const char messages[] =
        "[{\"role\": \"system\", \"content\": \"rapt-system-probe\"}, {\"role\": \"user\", \"content\": \"Hello\"}]";
    struct buf out = {0};
    bool yes = chat_render(c, &out, (struct json){messages, sizeof messages - 1}, (struct json){0}, (struct json){0}, true) == ST_OK &&
               strstr(buf_text(&out), text) != NULL;
    buf_release(&out);
    return yes;
}

status chat_compile(struct chat_template **out, const char *source, const char *bos_text, const char *eos_text) {
    struct chat_template *c = mem_zero(1, sizeof *c);
    c->source = mem_text(source);
    status s = jinja_compile(&c->template, source, strlen(source));
    if (s == ST_OK) s = put_token(&c->bos, bos_text, "the begin-of-text token");
    if (s == ST_OK) s = put_token(&c->eos, eos_text, "the end-of-text token");
    if (s == ST_OK) c->has_system = probe_system(c);
    *out = s == ST_OK ? c : NULL;
    if (s != ST_OK) chat_free(c);
    return s;
}

void chat_free(struct chat_template *c) {
    if (!c) return;
    jinja_free(c->template);
    buf_release(&c->bos);
    buf_release(&c->eos);
    buf_release(&c->kwargs);
    free(c->source);
    free(c);
}

/* The caller's members override the special tokens, as in transformers, but not what the call itself names. */
static status add_extras(struct jinja_var *vars, size_t *count, char **names, size_t *name_count, struct json kwargs) {
    static const char *const reserved[] = {"messages", "tools", "documents", "add_generation_prompt"};
    struct json key, value;
    for (struct json_iter it = json_iter_begin(kwargs); json_iter_next(&it, &key, &value);) {
        size_t at = 0;
        for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++) {
            if (i != 2 && json_equals(key, reserved[i]))
                return FAIL(ST_USAGE, "%s is not a template variable that can be given", reserved[i]);
        }
        if (*name_count == EXTRA_MAX) return FAIL(ST_USAGE, "more than %d template variables", EXTRA_MAX);
        char *name = names[(*name_count)++] = json_text(key);
        while (at < *count && strcmp(vars[at].name, name) != 0) at++;
        vars[at] = (struct jinja_var){name, value};
        if (at == *count) ++*count;
    }
    return ST_OK;
}

static bool is_name_char(char c) {
    return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (unsigned char)c >= 128;
}

static bool names_it(const char *source, const char *name) {
    const size_t n = strlen(name);
    for (const char *at = source; n && (at = strstr(at, name)); at++)
        if ((at == source || !is_name_char(at[-1])) && !is_name_char(at[n])) return true;
    return false;
}

status chat_set_kwargs(struct chat_template *c, const char *text, size_t size, bool strict) {
    struct json object = {0}, key, value;
    status s = json_parse(&object, text, size);
    if (s == ST_OK && json_kind_of(object) != JSON_OBJECT)
        s = FAIL(ST_USAGE, "expected a JSON object, got %s", json_kind_name(json_kind_of(object)));
    if (s != ST_OK) return s;
    for (struct json_iter it = json_iter_begin(object); s == ST_OK && strict && json_iter_next(&it, &key, &value);) {
        char *name = json_text(key);
        if (!name || !names_it(c->source, name))
            s = FAIL(ST_USAGE, "%.*s has no effect: the chat template does not name it", (int)key.size, key.text);
        free(name);
    }
    struct jinja_var vars[EXTRA_MAX];
    char *names[EXTRA_MAX];
    size_t count = 0, name_count = 0;
    if (s == ST_OK) s = add_extras(vars, &count, names, &name_count, object);
    for (size_t i = 0; i < name_count; i++) free(names[i]);
    if (s != ST_OK) return s;
    buf_clear(&c->kwargs);
    buf_append(&c->kwargs, text, size);
    c->has_system = probe_system(c);
    return ST_OK;
}

struct json chat_kwargs(const struct chat_template *c) { return (struct json){c->kwargs.data, c->kwargs.size}; }

static struct json reasoning_of(struct json message) {
    static const char *const names[] = {"reasoning_content", "thinking", "reasoning"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct json v = json_get(message, names[i]);
        if (json_kind_of(v) > JSON_NULL) return v;
    }
    return (struct json){0};
}

static bool has_null(struct json message) {
    struct json key, value;
    for (struct json_iter it = json_iter_begin(message); json_iter_next(&it, &key, &value);)
        if (json_kind_of(value) == JSON_NULL) return true;
    return false;
}

static void put_member(struct buf *out, size_t start, struct json key, struct json value) {
    if (out->size > start) buf_append_char(out, ',');
    buf_append(out, key.text, key.size);
    buf_append_char(out, ':');
    buf_append(out, value.text, value.size);
}

/* tokenization_utils_base.py, apply_chat_template: members of a message that are null are left out. chat_template_utils.py,
 * _alias_reasoning_fields: what a model thought has three names, and a template reads any. Of members of one name the last counts and the
 * first's place stays, as in Python's {"thinking": x, **message, "reasoning_content": x}. Where nothing of that is there *messages remains
 * the caller's. */
static void alias_reasoning(struct buf *out, struct json *messages) {
    struct json key, message;
    bool any = false;
    for (struct json_iter it = json_iter_begin(*messages); !any && json_iter_next(&it, &key, &message);)
        any = reasoning_of(message).size > 0 || has_null(message);
    if (!any) return;
    buf_append_char(out, '[');
    for (struct json_iter it = json_iter_begin(*messages); json_iter_next(&it, &key, &message);) {
        struct json thought = reasoning_of(message);
        if (out->size > 1) buf_append_char(out, ',');
        struct json name, value;
        buf_append_char(out, '{');
        const size_t start = out->size;
        if (thought.size) put_member(out, start, (struct json){"\"thinking\"", 10}, thought);
        for (struct json_iter members = json_iter_begin(message); json_iter_next(&members, &name, &value);)
            if (json_kind_of(value) != JSON_NULL) put_member(out, start, name, value);
        if (thought.size) put_member(out, start, (struct json){"\"reasoning_content\"", 19}, thought);
        buf_append_char(out, '}');
    }
    buf_append_char(out, ']');
    *messages = (struct json){out->data, out->size};
}

status chat_render(const struct chat_template *c, struct buf *out, struct json messages, struct json tools, struct json kwargs,
                   bool add_generation_prompt) {
    return chat_render_marked(c, out, NULL, messages, tools, kwargs, add_generation_prompt);
}

status chat_render_marked(const struct chat_template *c, struct buf *out, struct buf *spans, struct json messages, struct json tools,
                          struct json kwargs, bool add_generation_prompt) {
    static const struct json null = {"null", 4}, yes = {"true", 4}, no = {"false", 5};
    struct jinja_var vars[6 + EXTRA_MAX] = {
        {"messages", messages},
        {"tools", tools.size ? tools : null},
        {"documents", null},
        {"add_generation_prompt", add_generation_prompt ? yes : no},
        {"bos_token", {c->bos.data, c->bos.size}},
        {"eos_token", {c->eos.data, c->eos.size}},
    };
    char *names[EXTRA_MAX];
    size_t count = 6, name_count = 0;
    if (json_kind_of(messages) != JSON_ARRAY)
        return FAIL(ST_FORMAT, "messages: expected an array, got %s", json_kind_name(json_kind_of(messages)));
    if (json_kind_of(kwargs) > JSON_NULL && json_kind_of(kwargs) != JSON_OBJECT) {
        return FAIL(ST_FORMAT, "template variables: expected an object, got %s", json_kind_name(json_kind_of(kwargs)));
    }
    struct json key, item;
    size_t number = 1;
    for (struct json_iter it = json_iter_begin(messages); json_iter_next(&it, &key, &item); number++) {
        if (json_kind_of(item) == JSON_OBJECT) continue;
        return FAIL(ST_FORMAT, "message %zu: expected an object, got %s", number, json_kind_name(json_kind_of(item)));
    }
    struct buf aliased = {0};
    alias_reasoning(&aliased, &messages);
    vars[0].value = messages;
    status s = add_extras(vars, &count, names, &name_count, chat_kwargs(c));
    if (s == ST_OK) s = add_extras(vars, &count, names, &name_count, kwargs);
    if (s == ST_OK) s = jinja_render_marked(c->template, out, spans, vars, count, NULL);
    for (size_t i = 0; i < name_count; i++) free(names[i]);
    buf_release(&aliased);
    return s;
}

struct json chat_eos(const struct chat_template *c) { return (struct json){c->eos.data, c->eos.size}; }

bool chat_has_generation(const struct chat_template *c) { return jinja_has_generation(c->template); }

bool chat_has_system(const struct chat_template *c) { return c->has_system; }
