/* --chat-template: a chat template for a model that comes without one, or in place of its own. */
#include <string.h>

#include "base/file.h"
#include "export/export.h"
#include "text/chat.h"
#include "text/tokenizer.h"

/* Templates by name. tokens: what must be single tokens of the tokenizer, or turns would have no end that generation can stop at. */
static const struct named {
    const char *name, *text, *tokens[2];
} named[] = {
    {"chatml",
     "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}{% endfor %}"
     "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
     {"<|im_start|>", "<|im_end|>"}},
    /* plain text, which every tokenizer has; the form of LLaMA-Factory's template of this name */
    {"alpaca",
     "{% for message in messages %}{% if message['role'] == 'user' %}{{ '### Instruction:\\n' + message['content'] + '\\n\\n### "
     "Response:\\n' }}"
     "{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token + '\\n\\n' }}{% else %}{{ message['content'] + '\\n\\n' "
     "}}{% endif %}{% endfor %}",
     {NULL, NULL}},
};

static status take_named(struct buf *out, const struct named *n, const struct tokenizer *t) {
    struct ids opening = {0};
    for (size_t i = 0; i < sizeof n->tokens / sizeof n->tokens[0] && n->tokens[i]; i++)
        if (tokenizer_token_id(t, n->tokens[i]) < 0)
            return FAIL(ST_UNSUPPORTED, "--chat-template %s: the tokenizer has no token %s; alpaca needs none", n->name, n->tokens[i]);
    if (!tokenizer_eos_text(t)) return FAIL(ST_UNSUPPORTED, "--chat-template %s: the tokenizer has no end-of-text token", n->name);
    status s = tokenizer_encode(t, &opening, "a", 1, true); /* a rendered template gets no beginning-of-text token but its own */
    if (s == ST_OK && opening.count && tokenizer_bos(t) >= 0 && opening.data[0] == tokenizer_bos(t))
        buf_append_text(out, "{{ bos_token }}");
    ids_release(&opening);
    if (s == ST_OK) buf_append_text(out, n->text);
    return s;
}

static status take_model(struct buf *out, const char *path) {
    struct tokenizer *t;
    TRY(tokenizer_open(&t, path));
    const char *text = tokenizer_chat_template(t);
    status s = text ? ST_OK : FAIL(ST_UNSUPPORTED, "--chat-template %s: it has none either", path);
    if (s == ST_OK) buf_append_text(out, text);
    tokenizer_free(t);
    return s;
}

/* A conversation must come out of it, with its texts in it. */
static status check(const char *text, const struct tokenizer *t) {
    static const char messages[] = "[{\"role\": \"user\", \"content\": \"first-text\"}, {\"role\": \"assistant\", \"content\": "
                                   "\"second-text\"}, {\"role\": \"user\", \"content\": \"third-text\"}]";
    const struct json none = {0};
    struct chat_template *c = NULL;
    struct buf got = {0};
    status s = chat_compile(&c, text, tokenizer_bos_text(t), tokenizer_eos_text(t));
    if (s == ST_OK) s = chat_render(c, &got, (struct json){messages, sizeof messages - 1}, none, none, true);
    if (s == ST_OK &&
        (!strstr(buf_text(&got), "first-text") || !strstr(buf_text(&got), "second-text") || !strstr(buf_text(&got), "third-text")))
        s = FAIL(ST_UNSUPPORTED, "a conversation of three messages does not come out of it: \"%.200s\"", buf_text(&got));
    chat_free(c);
    buf_release(&got);
    return s;
}

status export_chat_template(struct buf *out, const char *from, const struct tokenizer *t) {
    const struct named *known = NULL;
    for (size_t i = 0; i < sizeof named / sizeof named[0]; i++)
        if (strcmp(from, named[i].name) == 0) known = &named[i];
    TRY(known                                                ? take_named(out, known, t)
        : file_is_dir(from) || text_ends_with(from, ".gguf") ? take_model(out, from)
                                                             : file_read(out, from));
    status s = check(buf_text(out), t);
    return s == ST_OK ? s : status_note(s, "--chat-template %s: ", from);
}
