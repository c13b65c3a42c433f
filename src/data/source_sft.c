/* source_sft: rows with one completion, or with a prompt alone. */
#include "data/source_fields.h"

bool source_text_sniff(const struct fields *f) { return f->text.size != 0; }

/* TRL's language modelling rows: everything but the first token is trained on (data/encode). */
status source_text_read(struct record *r, const struct fields *f) {
    r->kind = RECORD_SFT;
    return field_put_text(&r->chosen, f->text, false, "text");
}

bool source_messages_sniff(const struct fields *f) { return f->messages.size && !f->prompt.size; }

/* The completion is the last message when an assistant wrote it; else the row is a prompt. */
status source_messages_read(struct record *r, const struct fields *f) {
    TRY(field_check_messages(f->messages, "messages"));
    struct json_iter it = json_iter_begin(f->messages);
    struct json key, message, last = {0};
    size_t count = 0;
    while (json_iter_next(&it, &key, &message)) last = message, count++;
    if (!count) return FAIL(ST_FORMAT, "field messages: the list is empty");
    r->conversational = r->one_list = true;
    if (!json_equals(json_get(last, "role"), "assistant")) {
        r->kind = RECORD_PROMPT;
        buf_append(&r->prompt, f->messages.text, f->messages.size);
        return ST_OK;
    }
    if (count < 2) return FAIL(ST_FORMAT, "field messages: an answer without a question");
    r->kind = RECORD_SFT;
    TRY(field_read_label(r, f));
    const char *end = last.text;
    while (end > f->messages.text && end[-1] != '}') end--;
    buf_append(&r->prompt, f->messages.text, (size_t)(end - f->messages.text));
    buf_append_char(&r->prompt, ']');
    buf_append_char(&r->chosen, '[');
    buf_append(&r->chosen, last.text, last.size);
    buf_append_char(&r->chosen, ']');
    return field_score(&r->score_chosen, f->score, "score");
}

bool source_prompt_sniff(const struct fields *f) { return f->prompt.size || f->instruction.size || f->context_messages.size; }

status source_prompt_read(struct record *r, const struct fields *f) {
    r->kind = RECORD_PROMPT;
    struct json prompt = f->prompt.size ? f->prompt : f->instruction.size ? f->instruction : f->context_messages;
    r->conversational = field_is_messages(prompt);
    return field_put_text(&r->prompt, prompt, r->conversational,
                          f->prompt.size        ? "prompt"
                          : f->instruction.size ? "instruction"
                                                : "context_messages");
}
