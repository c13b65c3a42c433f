/* source_instruction: prompts in parts (instruction, input, question, system, history), as LLaMA-Factory's alpaca form and Axolotl's types
 * have them. */
#include "data/source_fields.h"

static void put_turn(struct buf *out, const char *role, const char *text, size_t size) {
    buf_append_text(out, out->size > 1 ? ",{\"role\":\"" : "{\"role\":\"");
    buf_append_text(out, role);
    buf_append_text(out, "\",\"content\":");
    json_put_string(out, text, size);
    buf_append_char(out, '}');
}

/* LLaMA-Factory joins instruction and input by a line break (its AlpacaDatasetConverter); Axolotl's intel rows have `question`, its icr
 * rows `input` alone, its prompt_pairs `prompt`. */
static status read_question(struct buf *text, const struct fields *f) {
    struct buf input = {0};
    status s = ST_OK;
    if (f->context.size && (!field_is_string(f->context) || f->context.size > 2))
        return FAIL(ST_UNSUPPORTED, "field context: not read in this form; say which field it is, such as --field input=context");
    if (f->instruction.size + f->question.size + f->input.size == 0) return field_put_text(text, f->prompt, false, "prompt");
    if (f->instruction.size && f->question.size) return FAIL(ST_FORMAT, "fields instruction and question: both could be the prompt");
    if (!f->instruction.size && f->question.size) return field_put_text(text, f->question, false, "question");
    if (f->instruction.size) s = field_put_text(text, f->instruction, false, "instruction");
    if (s == ST_OK && f->input.size) s = field_put_text(&input, f->input, false, "input");
    if (text->size && input.size) buf_append_char(text, '\n');
    buf_append(text, buf_text(&input), input.size);
    buf_release(&input);
    return s;
}

static status put_history(struct buf *out, struct json history) {
    static const char *const roles[] = {"user", "assistant"};
    if (json_kind_of(history) != JSON_ARRAY)
        return FAIL(ST_FORMAT, "field history: expected a list of [question, answer], found %s", json_kind_name(json_kind_of(history)));
    struct json_iter it = json_iter_begin(history);
    struct json key, turn, part;
    struct buf text = {0};
    status s = ST_OK;
    for (size_t i = 0; s == ST_OK && json_iter_next(&it, &key, &turn); i++) {
        if (json_kind_of(turn) != JSON_ARRAY || json_count(turn) != 2)
            s = FAIL(ST_FORMAT, "field history[%zu]: expected [question, answer]", i);
        struct json_iter parts = json_iter_begin(turn);
        for (size_t k = 0; s == ST_OK && json_iter_next(&parts, &key, &part); k++) {
            char path[48];
            snprintf(path, sizeof path, "history[%zu][%zu]", i, k);
            buf_clear(&text);
            s = field_put_text(&text, part, false, path);
            if (s == ST_OK) put_turn(out, roles[k], buf_text(&text), text.size);
        }
    }
    buf_release(&text);
    return s;
}

status field_put_instruction(struct record *r, const struct fields *f) {
    const bool messages = field_is_messages(f->prompt), parts = (f->instruction.size | f->question.size) != 0;
    if (f->prompt.size && messages) {
        r->conversational = true;
        return field_put_text(&r->prompt, f->prompt, true, "prompt");
    }
    if (f->prompt.size && parts) {
        struct json other = f->instruction.size ? f->instruction : f->question;
        if (!record_json_same(f->prompt, other))
            return FAIL(ST_FORMAT, "fields prompt and %s differ, and both could be the prompt",
                        f->instruction.size ? "instruction" : "question");
    }
    struct buf text = {0};
    struct fields only_prompt = {.prompt = f->prompt};
    status s = read_question(&text, f->prompt.size ? &only_prompt : f);
    if (s == ST_OK && f->system.size && !field_is_string(f->system))
        s = FAIL(ST_FORMAT, "field system: expected a string, found %s", json_kind_name(json_kind_of(f->system)));
    r->conversational = f->system.size || f->history.size; /* also where they are empty, so that a file's rows are alike */
    if (s == ST_OK && r->conversational) {
        struct buf system = {0};
        buf_append_char(&r->prompt, '[');
        json_string(&system, f->system);
        if (system.size) put_turn(&r->prompt, "system", system.data, system.size);
        buf_release(&system);
        if (f->history.size) s = put_history(&r->prompt, f->history);
        put_turn(&r->prompt, "user", buf_text(&text), text.size);
        buf_append_char(&r->prompt, ']');
    } else if (s == ST_OK) {
        buf_append(&r->prompt, buf_text(&text), text.size);
    }
    buf_release(&text);
    return s;
}

static bool has_parts(const struct fields *f) { return !f->prompt.size && (f->instruction.size || f->question.size || f->input.size); }

bool source_alpaca_sniff(const struct fields *f) { return has_parts(f) && field_is_string(f->chosen) && f->rejected.size; }

status source_alpaca_read(struct record *r, const struct fields *f) {
    r->kind = RECORD_PAIR;
    TRY(field_put_instruction(r, f));
    TRY(field_put_answer(&r->chosen, r, f->chosen, "chosen"));
    TRY(field_put_answer(&r->rejected, r, f->rejected, "rejected"));
    return field_read_scores(r, f);
}

/* The one answer of a row; two of its names with different texts contradict each other. */
static status put_one_answer(struct record *r, const struct fields *f) {
    const struct json values[] = {f->completion, f->output, f->response};
    static const char *const names[] = {"completion", "output", "response"};
    size_t found = 3;
    for (size_t i = 0; i < 3; i++) {
        if (!values[i].size) continue;
        if (found < 3 && !record_json_same(values[found], values[i]))
            return FAIL(ST_FORMAT, "fields %s and %s differ, and both could be the answer", names[found], names[i]);
        if (found == 3) found = i;
    }
    CHECK(found < 3);
    return field_put_answer(&r->chosen, r, values[found], names[found]);
}

static bool has_answer(const struct fields *f) { return f->completion.size || f->output.size || f->response.size; }

static status read_answered(struct record *r, const struct fields *f) {
    r->kind = RECORD_SFT;
    TRY(field_put_instruction(r, f));
    TRY(field_score(&r->score_chosen, f->score, "score"));
    TRY(field_read_label(r, f));
    return put_one_answer(r, f);
}

bool source_instruction_sniff(const struct fields *f) { return has_parts(f) && has_answer(f); }
status source_instruction_read(struct record *r, const struct fields *f) { return read_answered(r, f); }
bool source_completion_sniff(const struct fields *f) { return f->prompt.size && has_answer(f); }
status source_completion_read(struct record *r, const struct fields *f) { return read_answered(r, f); }
