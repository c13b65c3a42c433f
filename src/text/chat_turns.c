/* What the assistant writes in a rendered conversation. Templates with {% generation %} blocks say it themselves; of others a turn is what
 * the rendering grows by: from the conversation before it with the turn opened to the conversation up to it. That is what TRL's training
 * templates mark for Llama 3, Gemma, Phi-3 and the like (trl/chat_templates/ *_training.jinja); it cannot be found where a template writes
 * earlier turns otherwise than the last one (Qwen3 leaves their thoughts out). */
#include <string.h>

#include "base/utf8.h"
#include "text/chat.h"

/* Messages [0, count) of an array, as an array. */
static void put_first(struct buf *out, struct json messages, size_t count) {
    struct json key, item;
    struct json_iter it = json_iter_begin(messages);
    buf_clear(out);
    buf_append_char(out, '[');
    for (size_t i = 0; i < count && json_iter_next(&it, &key, &item); i++) {
        if (i) buf_append_char(out, ',');
        buf_append(out, item.text, item.size);
    }
    buf_append_char(out, ']');
}

struct turns {
    const struct chat_template *chat;
    struct json messages, tools, kwargs;
    const char *whole; /* the rendering of all messages */
    size_t size;
    struct buf list, part; /* the first messages, and their rendering */
    struct buf end;        /* the end-of-text token's text */
};

/* *size: how much of the whole the first `count` messages are, with the next turn opened or not. What a template puts behind a text that
 * ends there (Phi-3: the end of text) is no part of it. False: the whole does not begin so. */
static status measure(size_t *size, bool *found, struct turns *t, size_t count, bool opened) {
    buf_clear(&t->part);
    put_first(&t->list, t->messages, count);
    TRY(chat_render(t->chat, &t->part, (struct json){t->list.data, t->list.size}, t->tools, t->kwargs, opened));
    *size = t->part.size;
    *found = *size <= t->size && memcmp(t->part.data, t->whole, *size) == 0;
    if (*found || *size < t->end.size || memcmp(t->part.data + *size - t->end.size, buf_text(&t->end), t->end.size) != 0) return ST_OK;
    *size -= t->end.size;
    *found = *size <= t->size && memcmp(t->part.data, t->whole, *size) == 0;
    return ST_OK;
}

static status put_turn(struct buf *spans, struct turns *t, size_t at) {
    size_t start, end;
    bool begins, ends;
    TRY(measure(&start, &begins, t, at, true));
    TRY(measure(&end, &ends, t, at + 1, false));
    if (!begins || !ends || end < start)
        return FAIL(
            ST_UNSUPPORTED,
            "message %zu: the chat template has no {%% generation %%} block, and it writes this turn otherwise where messages follow "
            "it, so that what the assistant wrote cannot be told. Rows that end with it can be used",
            at + 1);
    const struct text_span span = {utf8_count(t->whole, start), utf8_count(t->whole, end)};
    buf_append(spans, &span, sizeof span);
    return ST_OK;
}

status chat_render_assistant(const struct chat_template *c, struct buf *out, struct buf *spans, struct json messages, struct json tools,
                             struct json kwargs) {
    struct turns t = {.chat = c, .messages = messages, .tools = tools, .kwargs = kwargs};
    struct json key, message;
    const size_t from = out->size;
    if (chat_has_generation(c)) return chat_render_marked(c, out, spans, messages, tools, kwargs, false);
    status s = chat_render(c, out, messages, tools, kwargs, false);
    t.whole = buf_text(out) + from;
    t.size = out->size - from;
    if (chat_eos(c).size) json_string(&t.end, chat_eos(c));
    struct json_iter it = json_iter_begin(messages);
    for (size_t i = 0; s == ST_OK && json_iter_next(&it, &key, &message); i++)
        if (json_equals(json_get(message, "role"), "assistant")) s = put_turn(spans, &t, i);
    buf_release(&t.list);
    buf_release(&t.part);
    buf_release(&t.end);
    return s;
}
