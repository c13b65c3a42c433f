/* Rows as the trainers' loaders take them. What a loader would pass over or misread without a word is an error that names the line. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/source.h"
#include "export/handover.h"

struct writer {
    struct handover *h;
    struct record record;
    struct buf row, part;
    bool first;
};

/* [{"role": "user", "content": TEXT}] */
static void put_message(struct buf *out, const char *role, const struct buf *text) {
    buf_printf(out, "{\"role\": \"%s\", \"content\": ", role);
    json_put_string(out, buf_text(text), text->size);
    buf_append_char(out, '}');
}

static status check_message(const struct handover_form *f, struct json message, const char *field, size_t number) {
    struct json content = json_get(message, "content"), key, value;
    const enum json_kind kind = json_kind_of(content);
    if (kind != JSON_STRING && (f->plain_messages || kind > JSON_NULL))
        return FAIL(ST_UNSUPPORTED, "field %s: message %zu: %s takes \"content\" as a string, not %s", field, number, f->title,
                    json_kind_name(kind));
    struct json_iter it = json_iter_begin(message);
    while (f->plain_messages && json_iter_next(&it, &key, &value))
        if (!json_equals(key, "role") && !json_equals(key, "content"))
            return FAIL(ST_UNSUPPORTED, "field %s: message %zu: %s reads role and content of a message, not %.*s", field, number, f->title,
                        (int)key.size, key.text);
    return ST_OK;
}

/* Copies the messages of an array one by one, without its brackets. trained: what a marked message says; NULL: no marks. */
static status put_messages(struct buf *out, const struct handover_form *f, struct json array, const char *field, const char *trained) {
    struct json key, message;
    struct json_iter it = json_iter_begin(array);
    for (size_t i = 1; json_iter_next(&it, &key, &message); i++) {
        TRY(check_message(f, message, field, i));
        if (i > 1) buf_append_text(out, ", ");
        if (trained) {
            buf_append(out, message.text, message.size - 1);
            buf_printf(out, ", \"train\": %s}", json_equals(json_get(message, "role"), "assistant") ? trained : "false");
        } else {
            buf_append(out, message.text, message.size);
        }
    }
    return ST_OK;
}

static const char *role_name(char out[32], struct json message) {
    struct buf role = {0};
    if (!json_string(&role, json_get(message, "role"))) buf_append_text(&role, "?");
    snprintf(out, 32, "%s", buf_text(&role));
    buf_release(&role);
    return out;
}

/* system (where there is one), then user, assistant, ..., user. */
static status check_turns(const struct handover_form *f, struct json prompt) {
    struct json key, message;
    struct json_iter it = json_iter_begin(prompt);
    size_t turn = 0;
    char role[32];
    for (size_t i = 1; json_iter_next(&it, &key, &message); i++) {
        if (i == 1 && json_equals(json_get(message, "role"), "system")) continue;
        if (!json_equals(json_get(message, "role"), turn++ % 2 ? "assistant" : "user"))
            return FAIL(ST_UNSUPPORTED,
                        "field prompt: message %zu is of role %s; %s passes over rows whose turns are not user, assistant, ..., user", i,
                        role_name(role, message), f->title);
    }
    if (turn % 2 == 0) return FAIL(ST_UNSUPPORTED, "field prompt: it does not end with a user's turn; %s passes over such rows", f->title);
    return ST_OK;
}

static status check_answer(const struct handover_form *f, struct json answer, const char *field, bool single) {
    struct json key, message;
    struct json_iter it = json_iter_begin(answer);
    char role[32];
    const size_t count = json_count(answer);
    if (single && count != 1) return FAIL(ST_UNSUPPORTED, "field %s: %zu messages; %s takes one, the assistant's", field, count, f->title);
    if (!json_iter_next(&it, &key, &message) || !single || json_equals(json_get(message, "role"), "assistant")) return ST_OK;
    return FAIL(ST_UNSUPPORTED, "field %s: a message of role %s; %s takes one, the assistant's", field, role_name(role, message), f->title);
}

/* A prompt or an answer: a string where the form keeps strings, else messages. */
static status put_text(struct buf *out, struct writer *w, const struct buf *text, const char *field, const char *role, bool single) {
    const struct handover_form *f = w->h->form;
    const struct record *r = &w->record;
    if (!r->conversational && f->takes_strings) {
        json_put_string(out, buf_text(text), text->size);
        return ST_OK;
    }
    const struct json array = {buf_text(text), text->size};
    if (!single) buf_append_char(out, '[');
    if (r->conversational)
        TRY(put_messages(out, f, array, field, NULL));
    else
        put_message(out, role, text);
    if (!single) buf_append_char(out, ']');
    return ST_OK;
}

/* Prompt and completion as one list. */
static status put_joined(struct buf *out, struct writer *w) {
    const struct handover_form *f = w->h->form;
    const struct record *r = &w->record;
    const struct {
        const struct buf *text;
        const char *field, *role, *trained;
    } parts[] = {{&r->prompt, "prompt", "user", "false"}, {&r->chosen, "completion", "assistant", "true"}};
    buf_append_char(out, '[');
    for (size_t i = 0; i < 2; i++) {
        struct buf *messages = &w->part;
        buf_clear(messages);
        buf_append_char(messages, '[');
        if (r->conversational)
            buf_append(messages, parts[i].text->data + 1, parts[i].text->size - 2);
        else
            put_message(messages, parts[i].role, parts[i].text);
        buf_append_char(messages, ']');
        if (i) buf_append_text(out, ", ");
        TRY(put_messages(out, f, (struct json){messages->data, messages->size}, parts[i].field, f->sft_marks ? parts[i].trained : NULL));
    }
    buf_append_char(out, ']');
    return ST_OK;
}

static void put_score(struct buf *out, const char *key, double value) {
    buf_printf(out, ", \"%s\": ", key);
    if (isnan(value))
        buf_append_text(out, "null");
    else
        handover_put_number(out, value);
}

static void put_goals(struct buf *out, struct json goals) {
    struct json_iter it = json_iter_begin(goals);
    struct json key, value;
    double number;
    bool first = true;
    buf_append_text(out, ", \"goal\": {");
    while (json_iter_next(&it, &key, &value)) {
        if (!first) buf_append_text(out, ", ");
        first = false;
        buf_append(out, key.text, key.size);
        buf_append_text(out, ": ");
        CHECK(json_double(&number, value)); /* the reader has seen to it */
        handover_put_number(out, number);
    }
    buf_append_char(out, '}');
}

/* Every row has the same members with values of one type: Arrow, under all of these trainers, takes the types from the first rows. */
static void put_facts(struct buf *out, const struct writer *w) {
    const struct record *r = &w->record;
    static const char *const of[] = {[GOAL_OF_NONE] = "null", [GOAL_OF_CHOSEN] = "\"chosen\"", [GOAL_OF_REJECTED] = "\"rejected\""};
    if (r->goals.size)
        put_goals(out, r->goals);
    else
        put_score(out, "goal", r->goal);
    buf_printf(out, ", \"goal_of\": %s", of[r->goal_of]);
    put_score(out, w->h->sft ? "score" : "score_chosen", r->score_chosen);
    if (!w->h->sft) put_score(out, "score_rejected", r->score_rejected);
    buf_printf(out, ", \"source_row\": %lld", (long long)r->source_row);
}

/* Tools go as text: their parameters have a shape each, which one Arrow column cannot hold. All these loaders read them from text. */
static status put_extras(struct buf *out, const struct writer *w) {
    const struct handover_form *f = w->h->form;
    const struct record *r = &w->record;
    if (r->tools.size && !f->takes_tools)
        return FAIL(ST_UNSUPPORTED, "field tools: %s has no place for tools in such rows; --format trl has", f->title);
    if (r->chat_template_kwargs.size && !f->takes_kwargs)
        return FAIL(ST_UNSUPPORTED, "field chat_template_kwargs: %s has no place for template variables; --format trl has", f->title);
    if (r->tools.size) {
        buf_append_text(out, ", \"tools\": ");
        json_put_string(out, r->tools.text, r->tools.size);
    } else if (f->takes_tools) {
        buf_append_text(out, ", \"tools\": null");
    }
    if (r->chat_template_kwargs.size) {
        buf_append_text(out, ", \"chat_template_kwargs\": ");
        buf_append(out, r->chat_template_kwargs.text, r->chat_template_kwargs.size);
    }
    return ST_OK;
}

static status check_kind(struct writer *w) {
    struct handover *h = w->h;
    const struct record *r = &w->record;
    if (r->prompt_ids.size) return FAIL(ST_UNSUPPORTED, "field prompt_ids: trainers take texts, not token ids");
    if (r->kind == RECORD_RESPONSES)
        return FAIL(ST_UNSUPPORTED, "the row has %zu responses; rapt augment (or rapt pair) makes pairs of them first", r->response_count);
    if (r->kind == RECORD_PROMPT) return FAIL(ST_UNSUPPORTED, "the row is a prompt without a response");
    if (r->kind == RECORD_SFT && r->label != LABEL_NONE)
        return FAIL(ST_UNSUPPORTED, "field label: rows with a label are not handed over; pairs and completions are");
    const bool sft = r->kind == RECORD_SFT;
    if (w->first) h->sft = sft, h->strings = !r->conversational;
    if (h->sft != sft)
        return FAIL(ST_UNSUPPORTED, "the row is a %s, the first one is a %s; a trainer takes one kind", sft ? "completion" : "pair",
                    h->sft ? "completion" : "pair");
    if (h->form->takes_strings && h->strings == r->conversational)
        return FAIL(ST_UNSUPPORTED, "the row's texts are %s, the first one's are %s; a trainer takes one form",
                    h->strings ? "messages" : "strings", h->strings ? "strings" : "messages");
    if (r->conversational ? !json_count((struct json){buf_text(&r->prompt), r->prompt.size}) : !r->prompt.size)
        return FAIL(ST_UNSUPPORTED, "field prompt: empty; trainers need something to respond to");
    return ST_OK;
}

static status put_row(struct writer *w) {
    struct handover *h = w->h;
    const struct handover_form *f = h->form;
    const struct record *r = &w->record;
    const struct json prompt = {buf_text(&r->prompt), r->prompt.size}, chosen = {buf_text(&r->chosen), r->chosen.size},
                      rejected = {buf_text(&r->rejected), r->rejected.size};
    TRY(check_kind(w));
    if (r->conversational) {
        const bool single = f->one_turn || f->turns_alternate;
        if (f->turns_alternate) TRY(check_turns(f, prompt));
        TRY(check_answer(f, chosen, h->sft ? "completion" : "chosen", h->sft ? f->turns_alternate : single));
        if (!h->sft) TRY(check_answer(f, rejected, "rejected", single));
    }
    buf_clear(&w->row);
    buf_printf(&w->row, "{\"%s\": ", h->sft ? f->sft_prompt : f->pair_prompt);
    if (h->sft && f->sft_joined) {
        TRY(put_joined(&w->row, w));
    } else {
        TRY(put_text(&w->row, w, &r->prompt, "prompt", "user", false));
        buf_append_text(&w->row, h->sft ? ", \"completion\": " : ", \"chosen\": ");
        TRY(put_text(&w->row, w, &r->chosen, h->sft ? "completion" : "chosen", "assistant", !h->sft && f->one_turn));
        if (!h->sft) {
            buf_append_text(&w->row, ", \"rejected\": ");
            TRY(put_text(&w->row, w, &r->rejected, "rejected", "assistant", f->one_turn));
        }
    }
    put_facts(&w->row, w);
    TRY(put_extras(&w->row, w));
    buf_append_text(&w->row, "}\n");
    return ST_OK;
}

status handover_rows(struct handover *h, const char *from, const char *to, int set) {
    struct writer w = {.h = h, .first = set == 0};
    struct source source;
    struct file_out out = {0};
    TRY(source_open(&source, from, SOURCE_STOP, NULL));
    status s = file_out_open(&out, to);
    while (s == ST_OK) {
        bool end;
        s = source_next(&source, &w.record, &end);
        if (s != ST_OK || end) break;
        s = put_row(&w);
        if (s != ST_OK) s = source_reject(&source, &w.record, s);
        if (s == ST_OK) s = file_out_write(&out, w.row.data, w.row.size);
        h->rows[set]++;
        if (set == 0 && record_has_goal(&w.record)) h->goals++;
        w.first = false;
    }
    if (s == ST_OK && !h->rows[set]) s = FAIL(ST_FORMAT, "%s: no rows", from);
    if (s == ST_OK)
        s = file_out_commit(&out);
    else
        file_out_abandon(&out);
    source_release(&source);
    record_release(&w.record);
    buf_release(&w.row);
    buf_release(&w.part);
    return s;
}
