/* POST /v1/score: a conversation and its answer, as the sources of scores read them. */
#include "serve/api_parts.h"

#define WRONG(param, ...) api_refuse(e, 400, NULL, param, __VA_ARGS__)

/* All but the last message are the prompt. */
static bool put_conversation(struct buf *row, struct api_error *e, struct json messages) {
    struct json key, m;
    struct json_iter it = json_iter_begin(messages);
    const size_t count = json_kind_of(messages) == JSON_ARRAY ? json_count(messages) : 0;
    if (count < 2) return WRONG("messages", "expected a list of at least two messages, of which the last is the answer");
    buf_append_text(row, "{\"prompt\": [");
    for (size_t at = 0; json_iter_next(&it, &key, &m); at++) {
        const bool last = at + 1 == count;
        buf_append_text(row, last ? "], \"completion\": [" : at ? ", " : "");
        if (!api_put_message(row, e, m, at)) return false;
        if (last && !json_equals(json_get(m, "role"), "assistant"))
            return WRONG("messages", "messages[%zu], the last, should be the answer: its role \"assistant\"", at);
    }
    buf_append_text(row, "]}");
    return true;
}

static bool put_texts(struct buf *row, struct api_error *e, struct json prompt, struct json completion) {
    if (json_kind_of(prompt) != JSON_STRING) return WRONG("prompt", "expected a text");
    if (json_kind_of(completion) != JSON_STRING) return WRONG("completion", "expected a text");
    buf_append_text(row, "{\"prompt\": ");
    buf_append(row, prompt.text, prompt.size);
    buf_append_text(row, ", \"completion\": ");
    buf_append(row, completion.text, completion.size);
    buf_append_char(row, '}');
    return true;
}

bool api_read_score(struct buf *row, struct api_error *e, const char *body, size_t size) {
    static const char *const names[] = {"messages", "prompt", "completion"};
    struct json root, key, v, found[3] = {{0}};
    if (json_parse(&root, body, size) != ST_OK) return WRONG("", "the body is no JSON: %s", status_message());
    if (json_kind_of(root) != JSON_OBJECT)
        return WRONG("", "the body should be a JSON object, it is %s", json_kind_name(json_kind_of(root)));
    for (struct json_iter it = json_iter_begin(root); json_iter_next(&it, &key, &v);) {
        size_t i = 0;
        while (i < 3 && !json_equals(key, names[i])) i++;
        if (i == 3) return api_refuse_unknown(e, key);
        if (json_kind_of(found[i]) != JSON_NONE) return WRONG(names[i], "the field stands there twice");
        found[i] = v;
    }
    const bool texts = json_kind_of(found[1]) != JSON_NONE || json_kind_of(found[2]) != JSON_NONE;
    if (texts == (json_kind_of(found[0]) != JSON_NONE))
        return WRONG("messages", "expected either \"messages\" or \"prompt\" and \"completion\"");
    return texts ? put_texts(row, e, found[1], found[2]) : put_conversation(row, e, found[0]);
}

void api_put_score(struct buf *out, const struct buf *members) {
    buf_append_text(out, "{\"object\": \"score\", ");
    buf_append(out, buf_text(members), members->size);
    buf_append_char(out, '}');
}
