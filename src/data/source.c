#include "data/source.h"

#include <stdlib.h>
#include <string.h>

#include "data/source_fields.h"

#define FORM(name, text, help, example) {text, source_##name##_sniff, source_##name##_read, help, example}
/* Order matters where a row could be two things: ids before texts, K responses before the pair made of them. */
const struct source_form source_form_table[] = {
    FORM(ids, "ids", "{prompt_ids: [..], chosen_ids: [..], rejected_ids: [..]}",
         "{\"prompt_ids\":[1,2],\"chosen_ids\":[3],\"rejected_ids\":[4]}"),
    FORM(ultrafeedback, "ultrafeedback", "{instruction, completions: [{response, overall_score, annotations}]} (UltraFeedback raw)",
         "{\"instruction\":\"q\",\"completions\":[{\"response\":\"a\",\"overall_score\":8},{\"response\":\"b\",\"overall_score\":3}]}"),
    FORM(responses, "responses", "{prompt, responses: [{text | messages, score}]}, or responses: [..] beside rewards: [..]",
         "{\"prompt\":\"q\",\"responses\":[{\"text\":\"a\",\"score\":8},{\"text\":\"b\",\"score\":3}]}"),
    FORM(best_of, "best-of", "{prompt, all_generated_responses: [..], all_rm_scores: [..]}",
         "{\"prompt\":\"q\",\"all_generated_responses\":[\"a\",\"b\"],\"all_rm_scores\":[0.5,0.25]}"),
    FORM(argilla, "argilla", "{instruction, chosen_response, rejected_response, chosen_avg_rating, rejected_avg_rating}",
         "{\"instruction\":\"q\",\"chosen_response\":\"a\",\"rejected_response\":\"b\",\"chosen_avg_rating\":5,\"rejected_avg_rating\":2}"),
    FORM(sharegpt, "sharegpt", "{conversations: [{from, value}], chosen: {from, value}, rejected: {from, value}}",
         "{\"conversations\":[{\"from\":\"human\",\"value\":\"q\"}],\"chosen\":{\"from\":\"gpt\",\"value\":\"a\"},"
         "\"rejected\":{\"from\":\"gpt\",\"value\":\"b\"}}"),
    FORM(pair, "pair", "{prompt (optional), chosen, rejected, score_chosen, score_rejected} (TRL: strings or messages)",
         "{\"prompt\":\"q\",\"chosen\":\"a\",\"rejected\":\"b\",\"score_chosen\":8,\"score_rejected\":3}"),
    FORM(completion, "completion", "{prompt, completion, score (optional)}", "{\"prompt\":\"q\",\"completion\":\"a\"}"),
    FORM(messages, "messages", "{messages: [{role, content}], score (optional)}",
         "{\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":\"a\"}]}"),
    FORM(prompt, "prompt", "{prompt}", "{\"prompt\":\"q\"}"),
};
const size_t source_form_count = sizeof source_form_table / sizeof source_form_table[0];

static status unknown_form(struct json row) {
    struct buf text = {0};
    buf_append_text(&text, "fields of no known form (");
    struct json_iter it = json_iter_begin(row);
    struct json key, value;
    for (size_t n = 0; n < 12 && json_iter_next(&it, &key, &value); n++) {
        if (n) buf_append_text(&text, ", ");
        buf_append(&text, key.text + 1, key.size - 2 < 40 ? key.size - 2 : 40);
    }
    buf_append_text(&text, "); expected one of:");
    for (size_t i = 0; i < source_form_count; i++) buf_printf(&text, "\n  %s", source_form_table[i].help);
    status s = FAIL(ST_FORMAT, "%s", buf_text(&text));
    buf_release(&text);
    return s;
}

status source_read_row(struct record *r, struct json row) {
    uint64_t line = r->line, index = r->index;
    record_clear(r);
    r->line = line;
    r->index = index;
    r->row = row;
    if (json_kind_of(row) != JSON_OBJECT) return FAIL(ST_FORMAT, "expected an object, found %s", json_kind_name(json_kind_of(row)));
    struct fields f;
    fields_find(&f, row);
    for (size_t i = 0; i < source_form_count; i++) {
        const struct source_form *form = &source_form_table[i];
        if (!form->sniff(&f)) continue;
        r->form = form->name;
        status s = form->read(r, &f);
        if (s == ST_OK) s = field_read_common(r, &f);
        if (s == ST_OK) return ST_OK;
        char *what = mem_text(status_message());
        s = FAIL(s, "%s; expected %s", what, form->help);
        free(what);
        return s;
    }
    return unknown_form(row);
}

status source_open(struct source *s, const char *path, enum source_bad_row on_bad_row, const char *output) {
    *s = (struct source){.on_bad_row = on_bad_row};
    TRY(file_lines_open(&s->lines, path));
    if (output && on_bad_row == SOURCE_SKIP && strcmp(output, "-") != 0) {
        struct buf name = {0};
        buf_printf(&name, "%s.rejected.jsonl", output);
        s->rejected_path = name.data;
    }
    return ST_OK;
}

static const char *shown_path(const struct source *s) { return strcmp(s->lines.path, "-") == 0 ? "<stdin>" : s->lines.path; }

static status reject_line(struct source *s, const char *text, size_t size, status failure) {
    if (s->on_bad_row == SOURCE_STOP || (failure != ST_FORMAT && failure != ST_UNSUPPORTED))
        return status_note(failure, "%s:%llu: ", shown_path(s), (unsigned long long)s->lines.number);
    s->skipped_count++;
    if (!s->rejected_path) return ST_OK;
    if (!s->rejected.stream) TRY(file_out_open(&s->rejected, s->rejected_path));
    TRY(file_out_write(&s->rejected, text, size));
    return file_out_write(&s->rejected, "\n", 1);
}

static bool blank_line(const char *text, size_t size) {
    for (size_t i = 0; i < size; i++)
        if (text[i] != ' ' && text[i] != '\t' && text[i] != '\r') return false;
    return true;
}

status source_next(struct source *s, struct record *record, bool *end) {
    for (;;) {
        const char *text;
        size_t size;
        *end = false;
        TRY(file_lines_next(&s->lines, &text, &size));
        if (!text) {
            *end = true;
            return ST_OK;
        }
        if (s->lines.number == 1 && size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) text += 3, size -= 3;
        if (blank_line(text, size)) continue;
        record->line = s->lines.number;
        record->index = s->row_count++;
        struct json row;
        status st = json_parse(&row, text, size);
        if (st == ST_OK) st = source_read_row(record, row);
        if (st == ST_OK) return ST_OK;
        TRY(reject_line(s, text, size, st));
    }
}

status source_reject(struct source *s, const struct record *record, status failure) {
    return reject_line(s, record->row.text, record->row.size, failure);
}

status source_commit(struct source *s) { return s->rejected.stream ? file_out_commit(&s->rejected) : ST_OK; }

void source_release(struct source *s) {
    file_out_abandon(&s->rejected);
    file_lines_release(&s->lines);
    free(s->rejected_path);
    *s = (struct source){0};
}
