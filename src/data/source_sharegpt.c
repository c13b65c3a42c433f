/* source_sharegpt: conversations of turns {from, value}, as sharegpt and LLaMA-Factory have them. */
#include "data/source_fields.h"

static const struct {
    const char *from, *role;
} roles[] = {{"human", "user"},    {"user", "user"},        {"gpt", "assistant"}, {"assistant", "assistant"},
             {"system", "system"}, {"observation", "tool"}, {"tool", "tool"}};

/* {from, value} or {role, content} as a message. `path` is the list's or the turn's. *role: a view of a role's name. */
static status put_turn(struct buf *out, const char **role, struct json turn, const char *path) {
    struct json from = json_get(turn, "from"), value = json_get(turn, "value");
    const bool openai = !from.size && json_get(turn, "role").size;
    if (openai) from = json_get(turn, "role"), value = json_get(turn, "content");
    *role = NULL;
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++)
        if (field_is_string(from) && json_equals(from, roles[i].from)) *role = roles[i].role;
    if (!*role)
        return FAIL(ST_FORMAT, "field %s.%s: expected human, gpt, system, user, assistant, observation or tool, found %.*s", path,
                    openai ? "role" : "from", from.size ? field_shown(from) : 7, from.size ? from.text : "nothing");
    if (!field_is_string(value))
        return FAIL(ST_FORMAT, "field %s.%s: expected a string, found %s", path, openai ? "content" : "value",
                    json_kind_name(json_kind_of(value)));
    buf_append_text(out, out->size > 1 ? ",{\"role\":\"" : "{\"role\":\"");
    buf_append_text(out, *role);
    buf_append_text(out, "\",\"content\":");
    buf_append(out, value.text, value.size);
    buf_append_char(out, '}');
    return ST_OK;
}

/* The prompt: `system`, then the turns of the list but its last `keep_last`, which goes into *last. */
static status put_turns(struct record *r, const char **last_role, struct json *last, const struct fields *f, bool keep_last) {
    const bool sharegpt = f->conversations.size != 0;
    const struct json list = sharegpt ? f->conversations : f->messages;
    const char *name = sharegpt ? "conversations" : "messages", *role = NULL;
    r->conversational = true;
    if (json_kind_of(list) != JSON_ARRAY)
        return FAIL(ST_FORMAT, "field %s: expected a list, found %s", name, json_kind_name(json_kind_of(list)));
    struct json_iter it = json_iter_begin(list);
    struct json key, turn;
    buf_append_char(&r->prompt, '[');
    if (f->system.size) {
        if (!field_is_string(f->system))
            return FAIL(ST_FORMAT, "field system: expected a string, found %s", json_kind_name(json_kind_of(f->system)));
        if (f->system.size > 2) buf_printf(&r->prompt, "{\"role\":\"system\",\"content\":%.*s}", (int)f->system.size, f->system.text);
    }
    const size_t count = json_count(list);
    for (size_t i = 0; json_iter_next(&it, &key, &turn); i++) {
        char path[40];
        snprintf(path, sizeof path, "%s[%zu]", name, i);
        *last = turn;
        struct buf scratch = {0};
        status s = put_turn(keep_last && i + 1 == count ? &scratch : &r->prompt, &role, turn, path);
        buf_release(&scratch);
        TRY(s);
        if (i == 0 && role && f->system.size > 2 && role[0] == 's')
            return FAIL(ST_FORMAT, "fields system and %s[0]: two system texts", name);
    }
    *last_role = role;
    buf_append_char(&r->prompt, ']');
    return ST_OK;
}

static status put_answer(struct buf *out, struct json turn, const char *path) {
    const char *role;
    buf_append_char(out, '[');
    TRY(put_turn(out, &role, turn, path));
    buf_append_char(out, ']');
    return ST_OK;
}

bool source_sharegpt_sniff(const struct fields *f) {
    return (f->conversations.size || f->messages.size) && json_kind_of(f->chosen) == JSON_OBJECT &&
           json_kind_of(f->rejected) == JSON_OBJECT;
}

status source_sharegpt_read(struct record *r, const struct fields *f) {
    const char *role;
    struct json last;
    r->kind = RECORD_PAIR;
    TRY(put_turns(r, &role, &last, f, false));
    TRY(put_answer(&r->chosen, f->chosen, "chosen"));
    TRY(put_answer(&r->rejected, f->rejected, "rejected"));
    return field_read_scores(r, f);
}

bool source_conversation_sniff(const struct fields *f) { return f->conversations.size && !f->prompt.size; }

/* The answer is the last turn when it is the model's; else the row is a prompt. */
status source_conversation_read(struct record *r, const struct fields *f) {
    const char *role = NULL;
    struct json last = {0};
    r->one_list = true;
    TRY(put_turns(r, &role, &last, f, true));
    if (!role) return FAIL(ST_FORMAT, "field conversations: the list is empty");
    if (role[0] != 'a') {
        r->kind = RECORD_PROMPT;
        buf_clear(&r->prompt);
        return put_turns(r, &role, &last, f, false);
    }
    if (json_count((struct json){buf_text(&r->prompt), r->prompt.size}) == 0)
        return FAIL(ST_FORMAT, "field conversations: an answer without a question");
    r->kind = RECORD_SFT;
    TRY(put_answer(&r->chosen, last, "conversations[-1]"));
    TRY(field_read_label(r, f));
    return field_score(&r->score_chosen, f->score, "score");
}
