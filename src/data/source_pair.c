/* source_pair: rows that hold a chosen and a rejected response. */
#include <math.h>
#include <string.h>

#include "data/source_fields.h"

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
    TRY(field_read_scores(r, f));
    if (!f->prompt.size || (chosen && !prompt)) return field_split_pair(r, f->chosen, f->rejected);
    TRY(field_put_instruction(r, f)); /* messages as they are; a string with Axolotl's `system` beside it */
    TRY(field_put_answer(&r->chosen, r, f->chosen, "chosen"));
    return field_put_answer(&r->rejected, r, f->rejected, "rejected");
}

bool source_argilla_sniff(const struct fields *f) { return f->chosen_response.size && f->rejected_response.size; }

status source_argilla_read(struct record *r, const struct fields *f) {
    r->kind = RECORD_PAIR;
    TRY(field_put_instruction(r, f));
    TRY(field_put_answer(&r->chosen, r, f->chosen_response, "chosen_response"));
    TRY(field_put_answer(&r->rejected, r, f->rejected_response, "rejected_response"));
    return field_read_scores(r, f);
}

bool source_preference_sniff(const struct fields *f) { return f->response_1.size && f->response_2.size && f->preference_strength.size; }

status source_preference_read(struct record *r, const struct fields *f) {
    double strength;
    r->kind = RECORD_PAIR;
    TRY(field_score(&strength, f->preference_strength, "preference_strength"));
    if (isnan(strength) || strength == 0)
        return FAIL(ST_FORMAT, "field preference_strength: expected a number above 0 (response_2) or below (response_1), found %.*s",
                    field_shown(f->preference_strength), f->preference_strength.text);
    TRY(field_put_turns(r, f->prompt, &turns_helpsteer, "prompt"));
    TRY(field_put_answer(strength > 0 ? &r->rejected : &r->chosen, r, f->response_1, "response_1"));
    TRY(field_put_answer(strength > 0 ? &r->chosen : &r->rejected, r, f->response_2, "response_2"));
    return field_read_scores(r, f);
}

bool source_ids_sniff(const struct fields *f) {
    return f->prompt_ids.size && f->chosen_ids.size && f->rejected_ids.size && !f->chosen.size;
}

status source_ids_read(struct record *r, const struct fields *f) {
    r->kind = RECORD_PAIR;
    return field_read_scores(r, f); /* the ids themselves are read with the common fields */
}
