/* prompt: what the caller asks -> a record with its goal -> token ids, by the steps of rapt generate. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "data/source.h"
#include "library/library.h"

const struct rapt_prompt *library_prompt_at(const struct rapt_prompt *prompts, size_t i) {
    return (const struct rapt_prompt *)(const void *)((const char *)prompts + i * prompts->size);
}

status library_prompt_read(struct rapt_prompt *own, const struct rapt_prompt *given) {
    *own = (struct rapt_prompt)RAPT_PROMPT_INIT;
    TRY(library_options(own, sizeof *own, given, "rapt_prompt"));
    if (!own->text == !own->messages) return FAIL(ST_USAGE, "a prompt has either text or messages");
    if (own->raw && (own->messages || own->system))
        return FAIL(ST_USAGE, "a raw prompt is text that goes in as it is: it has no messages and no system text");
    if (isinf(own->goal)) return FAIL(ST_USAGE, "a goal is a number, or RAPT_NO_GOAL");
    return ST_OK;
}

status library_prompt_record(struct record *record, struct buf *row, const struct rapt_prompt *own, const char *more) {
    struct json whole;
    buf_append_text(row, "{\"prompt\": ");
    if (own->messages) {
        status s = json_parse(&whole, own->messages, strlen(own->messages));
        if (s != ST_OK) return status_note(s, "messages: ");
        if (json_kind_of(whole) != JSON_ARRAY)
            return FAIL(ST_FORMAT, "messages: expected an array, found %s", json_kind_name(json_kind_of(whole)));
        buf_append(row, whole.text, whole.size);
    } else {
        json_put_text(row, own->text);
    }
    buf_append_text(row, more);
    buf_append_char(row, '}');
    TRY(json_parse(&whole, buf_text(row), row->size)); /* text that is no UTF-8 ends here */
    return source_read_row(record, whole);
}

static status read_prompt(struct record *r, struct buf *row, const struct rapt_prompt *own) {
    record_clear(r);
    if (own->messages) return library_prompt_record(r, row, own, "");
    const size_t size = strlen(own->text), good = utf8_valid_prefix(own->text, size);
    if (good < size) return FAIL(ST_FORMAT, "text: byte %zu is no UTF-8", good + 1);
    r->kind = RECORD_PROMPT;
    buf_append(&r->prompt, own->text, size);
    return ST_OK;
}

/* Text becomes a user's turn where a template shows it. */
static status to_turns(struct record *r, const struct rapt_model *m, const struct rapt_prompt *own) {
    if (r->conversational ? !json_count((struct json){buf_text(&r->prompt), r->prompt.size}) : !r->prompt.size)
        return FAIL(ST_FORMAT, "there is nothing to respond to: the prompt is empty");
    if (!r->conversational && m->encoder.chat && !own->raw) {
        struct buf turns = {0};
        buf_append_text(&turns, "[{\"role\": \"user\", \"content\": ");
        json_put_string(&turns, buf_text(&r->prompt), r->prompt.size);
        buf_append_text(&turns, "}]");
        buf_release(&r->prompt);
        r->prompt = turns;
        r->conversational = true;
    }
    if (!own->system) return ST_OK;
    if (!r->conversational) return FAIL(ST_UNSUPPORTED, "a system text needs a chat template, but %s", m->encoder.why_no_chat);
    ask_put_system(&r->prompt, own->system);
    return ST_OK;
}

static status put_goal(struct record *r, struct rapt_model *m, double goal) {
    struct buf asked = {0};
    status s = ST_OK;
    if (isnan(goal)) return ST_OK;
    TRY(library_asker(m));
    TRY(library_one_score(m));
    const struct goal asks = goal_of_score(goal);
    const struct goal_style *style = &m->asker.style;
    if (m->asker.baked)
        return FAIL(ST_MISMATCH, "the model's chat template asks for a goal by itself (export --bake-goal); leave the goal out");
    if (r->conversational)
        s = goal_put_messages(&asked, style, (struct json){buf_text(&r->prompt), r->prompt.size}, &asks);
    else if (style->placement == GOAL_SYSTEM)
        s = FAIL(ST_FORMAT, "the goal stands in the system turn, and the prompt is raw text");
    else
        goal_put_prompt(&asked, style, buf_text(&r->prompt), r->prompt.size, &asks);
    buf_release(&r->prompt);
    r->prompt = asked;
    return s;
}

status library_prompt(struct record *record, struct rapt_model *m, const struct rapt_prompt *prompt) {
    struct rapt_prompt own;
    struct buf row = {0};
    TRY(library_prompt_read(&own, prompt));
    status s = read_prompt(record, &row, &own);
    if (s == ST_OK) s = to_turns(record, m, &own);
    if (s == ST_OK) s = put_goal(record, m, own.goal);
    buf_release(&row);
    record->row = record->tools = record->chat_template_kwargs = (struct json){0}; /* views of the row */
    return s;
}

status library_prompt_ids(struct ids *out, struct rapt_model *m, const struct record *record) {
    out->count = 0;
    TRY(encode_prompt(out, &m->encoder, record));
    if (!out->count) return FAIL(ST_FORMAT, "the prompt has no tokens; a response needs at least one token before it");
    for (size_t i = 0; i < out->count; i++)
        if ((size_t)out->data[i] >= m->scorer.model.config.vocab)
            return FAIL(ST_MISMATCH, "token id %d is outside the model's vocabulary of %zu", out->data[i], m->scorer.model.config.vocab);
    return ST_OK;
}

void library_completion(struct buf *out, const struct record *record, const char *response) {
    buf_clear(out);
    if (!record->conversational) {
        buf_append_text(out, response);
        return;
    }
    buf_append_text(out, "[{\"role\": \"assistant\", \"content\": ");
    json_put_text(out, response);
    buf_append_text(out, "}]");
}

RAPT_API rapt_status rapt_render(char **text, struct rapt_model *m, const struct rapt_prompt *prompt) {
    struct library_turn turn;
    struct record record = {0};
    struct buf out = {0};
    status s = library_enter(&turn, m->threads);
    if (s != ST_OK) return (rapt_status)s;
    s = library_prompt(&record, m, prompt);
    if (s == ST_OK && record.conversational)
        s = m->encoder.chat ? chat_render(m->encoder.chat, &out, (struct json){buf_text(&record.prompt), record.prompt.size},
                                          (struct json){0}, (struct json){0}, true)
                            : FAIL(ST_UNSUPPORTED, "the prompt is a conversation, but %s", m->encoder.why_no_chat);
    else if (s == ST_OK)
        buf_append(&out, buf_text(&record.prompt), record.prompt.size);
    if (s == ST_OK) *text = mem_text(buf_text(&out));
    buf_release(&out);
    record_release(&record);
    library_leave(&turn);
    return (rapt_status)s;
}

RAPT_API rapt_status rapt_encode(int32_t **ids, size_t *count, struct rapt_model *m, const struct rapt_prompt *prompt) {
    struct library_turn turn;
    struct record record = {0};
    struct ids out = {0};
    status s = library_enter(&turn, m->threads);
    if (s != ST_OK) return (rapt_status)s;
    s = library_prompt(&record, m, prompt);
    if (s == ST_OK) s = library_prompt_ids(&out, m, &record);
    if (s == ST_OK)
        *ids = out.data, *count = out.count;
    else
        ids_release(&out);
    record_release(&record);
    library_leave(&turn);
    return (rapt_status)s;
}
