/* source_sft: rows with one completion, or with a prompt alone. */
#include "data/source_fields.h"

/* TRL's `label` or LLaMA-Factory's `kto_tag`; 0 and 1 count, as they are what other tools write for false and true. */
static status read_label(struct record *r, const struct fields *f) {
    struct json value = f->label.size ? f->label : f->kto_tag;
    const char *name = f->label.size ? "label" : "kto_tag";
    bool wanted;
    int64_t number;
    if (!value.size) return ST_OK;
    if (json_bool(&wanted, value))
        r->label = wanted ? LABEL_DESIRED : LABEL_UNDESIRED;
    else if (json_int(&number, value) && (number == 0 || number == 1))
        r->label = number ? LABEL_DESIRED : LABEL_UNDESIRED;
    else
        return FAIL(ST_FORMAT, "field %s: expected true or false, found %.*s", name, value.size < 40 ? (int)value.size : 40, value.text);
    return ST_OK;
}

bool source_completion_sniff(const struct fields *f) { return f->prompt.size && f->completion.size; }

status source_completion_read(struct record *r, const struct fields *f) {
    r->kind = RECORD_SFT;
    r->conversational = field_is_messages(f->prompt);
    TRY(field_put_text(&r->prompt, f->prompt, r->conversational, "prompt"));
    TRY(field_score(&r->score_chosen, f->score, "score"));
    TRY(read_label(r, f));
    if (r->conversational && field_is_string(f->completion)) {
        field_put_message(&r->chosen, "assistant", f->completion);
        return ST_OK;
    }
    return field_put_text(&r->chosen, f->completion, r->conversational, "completion");
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
    r->conversational = true;
    if (!json_equals(json_get(last, "role"), "assistant")) {
        r->kind = RECORD_PROMPT;
        buf_append(&r->prompt, f->messages.text, f->messages.size);
        return ST_OK;
    }
    if (count < 2) return FAIL(ST_FORMAT, "field messages: an answer without a question");
    r->kind = RECORD_SFT;
    TRY(read_label(r, f));
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
