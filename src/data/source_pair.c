/* source_pair: rows that hold a chosen and a rejected response. */
#include <math.h>
#include <string.h>

#include "data/source_fields.h"

static struct json first_of(struct json a, struct json b, struct json c, struct json d, struct json e) {
    return a.size ? a : b.size ? b : c.size ? c : d.size ? d : e;
}

/* score_chosen and its aliases, at the top level or under `metadata`. */
static status read_scores(struct record *r, const struct fields *f) {
    struct fields inner = {0};
    if (json_kind_of(f->metadata) == JSON_OBJECT) fields_find(&inner, f->metadata);
    const struct fields *from[] = {f, &inner};
    for (size_t i = 0; i < 2; i++) {
        const struct fields *g = from[i];
        struct json w = first_of(g->score_chosen, g->chosen_score, g->chosen_rating, g->chosen_avg_rating, g->overall_score_chosen);
        struct json l =
            first_of(g->score_rejected, g->rejected_score, g->rejected_rating, g->rejected_avg_rating, g->overall_score_rejected);
        if (isnan(r->score_chosen)) TRY(field_score(&r->score_chosen, w, i ? "metadata.score_chosen" : "score_chosen"));
        if (isnan(r->score_rejected)) TRY(field_score(&r->score_rejected, l, i ? "metadata.score_rejected" : "score_rejected"));
        if (isnan(r->fine_chosen)) TRY(field_score(&r->fine_chosen, g->avg_fine_score_chosen, "avg_fine_score_chosen"));
        if (isnan(r->fine_rejected)) TRY(field_score(&r->fine_rejected, g->avg_fine_score_rejected, "avg_fine_score_rejected"));
    }
    return ST_OK;
}

bool source_pair_sniff(const struct fields *f) { return f->chosen.size && f->rejected.size; }

status source_pair_read(struct record *r, const struct fields *f) {
    r->kind = RECORD_PAIR;
    bool chosen = field_is_messages(f->chosen), rejected = field_is_messages(f->rejected), prompt = field_is_messages(f->prompt);
    if (!chosen && !field_is_string(f->chosen))
        return FAIL(ST_FORMAT, "field chosen: expected a string or a list of messages, found %s", json_kind_name(json_kind_of(f->chosen)));
    if (chosen != rejected || (!rejected && !field_is_string(f->rejected)))
        return FAIL(ST_FORMAT, "field rejected: expected %s as in chosen, found %s", chosen ? "a list of messages" : "a string",
                    json_kind_name(json_kind_of(f->rejected)));
    if (f->prompt.size && !prompt && !field_is_string(f->prompt))
        return FAIL(ST_FORMAT, "field prompt: expected a string or a list of messages, found %s", json_kind_name(json_kind_of(f->prompt)));
    TRY(read_scores(r, f));
    if (!f->prompt.size || (chosen && !prompt)) return field_split_pair(r, f->chosen, f->rejected);
    r->conversational = prompt;
    TRY(field_put_text(&r->prompt, f->prompt, prompt, "prompt"));
    if (prompt && !chosen) { /* messages asked, answered with bare strings */
        field_put_message(&r->chosen, "assistant", f->chosen);
        field_put_message(&r->rejected, "assistant", f->rejected);
        return ST_OK;
    }
    TRY(field_put_text(&r->chosen, f->chosen, prompt, "chosen"));
    return field_put_text(&r->rejected, f->rejected, prompt, "rejected");
}

bool source_argilla_sniff(const struct fields *f) { return f->chosen_response.size && f->rejected_response.size; }

status source_argilla_read(struct record *r, const struct fields *f) {
    r->kind = RECORD_PAIR;
    TRY(field_put_text(&r->prompt, f->instruction.size ? f->instruction : f->prompt, false, "instruction"));
    TRY(field_put_text(&r->chosen, f->chosen_response, false, "chosen_response"));
    TRY(field_put_text(&r->rejected, f->rejected_response, false, "rejected_response"));
    return read_scores(r, f);
}

bool source_preference_sniff(const struct fields *f) { return f->response_1.size && f->response_2.size && f->preference_strength.size; }

status source_preference_read(struct record *r, const struct fields *f) {
    double strength;
    r->kind = RECORD_PAIR;
    TRY(field_score(&strength, f->preference_strength, "preference_strength"));
    if (isnan(strength) || strength == 0)
        return FAIL(ST_FORMAT, "field preference_strength: expected a number above 0 (response_2) or below (response_1), found %.*s",
                    f->preference_strength.size < 40 ? (int)f->preference_strength.size : 40, f->preference_strength.text);
    TRY(field_put_turns(r, f->prompt, &turns_helpsteer, "prompt"));
    TRY(field_put_answer(strength > 0 ? &r->rejected : &r->chosen, r, f->response_1, "response_1"));
    TRY(field_put_answer(strength > 0 ? &r->chosen : &r->rejected, r, f->response_2, "response_2"));
    return read_scores(r, f);
}

bool source_alpaca_sniff(const struct fields *f) {
    return !f->prompt.size && field_is_string(f->chosen) && f->rejected.size && (f->instruction.size || f->question.size || f->input.size);
}

/* LLaMA-Factory joins instruction and input by a line break (its AlpacaDatasetConverter); Axolotl's intel rows have `question`, its icr
 * rows `input` alone. */
status source_alpaca_read(struct record *r, const struct fields *f) {
    struct buf text = {0}, input = {0};
    r->kind = RECORD_PAIR;
    if (f->history.size && json_count(f->history))
        return FAIL(ST_UNSUPPORTED, "field history: earlier turns are not read in this form; write them as messages in prompt");
    const bool question = !f->instruction.size && f->question.size;
    status s = ST_OK;
    if (question) s = field_put_text(&text, f->question, false, "question");
    if (f->instruction.size) s = field_put_text(&text, f->instruction, false, "instruction");
    if (s == ST_OK && !question && f->input.size) s = field_put_text(&input, f->input, false, "input");
    if (text.size && input.size) buf_append_char(&text, '\n');
    buf_append(&text, buf_text(&input), input.size);
    if (s == ST_OK && f->system.size && !field_is_string(f->system))
        s = FAIL(ST_FORMAT, "field system: expected a string, found %s", json_kind_name(json_kind_of(f->system)));
    r->conversational = f->system.size != 0; /* also where it is empty, so that a file's rows are alike */
    if (r->conversational) {
        buf_append_char(&r->prompt, '[');
        if (f->system.size > 2) { /* more than its quotes */
            buf_append_text(&r->prompt, "{\"role\":\"system\",\"content\":");
            buf_append(&r->prompt, f->system.text, f->system.size);
            buf_append_text(&r->prompt, "},");
        }
        buf_append_text(&r->prompt, "{\"role\":\"user\",\"content\":");
        json_put_string(&r->prompt, buf_text(&text), text.size);
        buf_append_text(&r->prompt, "}]");
    } else {
        buf_append(&r->prompt, buf_text(&text), text.size);
    }
    buf_release(&text);
    buf_release(&input);
    TRY(s);
    TRY(field_put_answer(&r->chosen, r, f->chosen, "chosen"));
    TRY(field_put_answer(&r->rejected, r, f->rejected, "rejected"));
    return read_scores(r, f);
}

static status put_sharegpt(struct buf *out, struct json turn, size_t index, const char *path) {
    struct json from = json_get(turn, "from"), value = json_get(turn, "value");
    const char *role = json_equals(from, "human") || json_equals(from, "user")      ? "user"
                       : json_equals(from, "gpt") || json_equals(from, "assistant") ? "assistant"
                       : json_equals(from, "system")                                ? "system"
                                                                                    : NULL;
    if (!role) return FAIL(ST_FORMAT, "field %s[%zu].from: expected human, gpt or system", path, index);
    if (!field_is_string(value))
        return FAIL(ST_FORMAT, "field %s[%zu].value: expected a string, found %s", path, index, json_kind_name(json_kind_of(value)));
    buf_append_text(out, index ? ",{\"role\":\"" : "{\"role\":\"");
    buf_append_text(out, role);
    buf_append_text(out, "\",\"content\":");
    buf_append(out, value.text, value.size);
    buf_append_char(out, '}');
    return ST_OK;
}

bool source_sharegpt_sniff(const struct fields *f) {
    return f->conversations.size && json_kind_of(f->chosen) == JSON_OBJECT && json_kind_of(f->rejected) == JSON_OBJECT;
}

status source_sharegpt_read(struct record *r, const struct fields *f) {
    r->kind = RECORD_PAIR;
    r->conversational = true;
    if (json_kind_of(f->conversations) != JSON_ARRAY)
        return FAIL(ST_FORMAT, "field conversations: expected a list, found %s", json_kind_name(json_kind_of(f->conversations)));
    struct json_iter it = json_iter_begin(f->conversations);
    struct json key, turn;
    buf_append_char(&r->prompt, '[');
    for (size_t i = 0; json_iter_next(&it, &key, &turn); i++) TRY(put_sharegpt(&r->prompt, turn, i, "conversations"));
    buf_append_char(&r->prompt, ']');
    buf_append_char(&r->chosen, '[');
    TRY(put_sharegpt(&r->chosen, f->chosen, 0, "chosen"));
    buf_append_char(&r->chosen, ']');
    buf_append_char(&r->rejected, '[');
    TRY(put_sharegpt(&r->rejected, f->rejected, 0, "rejected"));
    buf_append_char(&r->rejected, ']');
    return read_scores(r, f);
}

bool source_ids_sniff(const struct fields *f) {
    return f->prompt_ids.size && f->chosen_ids.size && f->rejected_ids.size && !f->chosen.size;
}

status source_ids_read(struct record *r, const struct fields *f) {
    r->kind = RECORD_PAIR;
    return read_scores(r, f); /* the ids themselves are read with the common fields */
}
