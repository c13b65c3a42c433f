/* gsm8k_remote: GSM8K's responses by a model behind an OpenAI-compatible endpoint. */
#include <stdlib.h>

#include "eval/gsm8k_run.h"

struct question {
    struct remote_question remote; /* first */
    struct gsm8k_document *document;
};
struct asking {
    const struct harness_remote *r;
    bool chat;
    size_t max_tokens;
};

static void put(void *context, struct buf *out, const struct remote_question *asked) {
    const struct asking *x = context;
    const struct buf *text = &((const struct question *)asked)->document->context;
    buf_append_char(out, '{');
    remote_put_model(out, x->r->o->model, x->r->goal, x->r->as);
    buf_append_text(out, x->chat ? ", \"messages\": " : ", \"prompt\": ");
    if (x->chat)
        buf_append(out, text->data, text->size);
    else
        json_put_string(out, buf_text(text), text->size);
    buf_printf(out, ", \"temperature\": 0, \"max_tokens\": %zu, \"stop\": [", x->max_tokens);
    for (size_t i = 0; gsm8k_until[i]; i++) {
        buf_append_text(out, i ? ", " : "");
        json_put_text(out, gsm8k_until[i]);
    }
    buf_append_text(out, "]}");
}

static status read(void *context, struct remote_question *asked, const struct remote_answer *a) {
    struct gsm8k_document *d = ((struct question *)asked)->document;
    bool found;
    (void)context;
    buf_append(&d->response, buf_text(&a->text), gsm8k_cut(&found, buf_text(&a->text), a->text.size));
    d->tokens = a->completion_tokens;
    d->ended = found || json_equals(a->finish, "stop");
    return ST_OK;
}

status gsm8k_ask(struct gsm8k_set *s, const struct harness_remote *r, const struct harness_prompt *prompt, const struct harness_shot *shots,
                 size_t shot_count, size_t max_tokens) {
    struct asking x = {.r = r, .chat = prompt->chat, .max_tokens = max_tokens};
    struct question *questions = mem_zero(s->count, sizeof *questions);
    status code = ST_OK;
    for (size_t i = 0; code == ST_OK && i < s->count; i++) {
        questions[i] = (struct question){.remote.number = i + 1, .document = &s->items[i]};
        code = harness_context(&s->items[i].context, prompt, NULL, shots, shot_count, s->items[i].text);
        if (code != ST_OK) code = status_note(code, "question %zu: ", i + 1);
    }
    if (code == ST_OK)
        code = harness_ask_all(r, &(struct remote_calls){&x, put, read}, questions, sizeof *questions, s->count, "questions");
    free(questions);
    return code;
}
