#include "data/source.h"

#include <stdlib.h>
#include <string.h>

#include "data/source_fields.h"

#define FORM(name, text, help, example) {text, source_##name##_sniff, source_##name##_read, help, example, false}
#define GROUPED(name, text, help, example) {text, source_##name##_sniff, source_##name##_read, help, example, true}
/* Order matters where a row could be two things: ids before texts, K responses before the pair made of them, alpaca (a prompt under another
 * name) before a pair without a prompt. */
const struct source_form source_form_table[] = {
    FORM(ids, "ids", "{prompt_ids: [..], chosen_ids: [..], rejected_ids: [..]}",
         "{\"prompt_ids\":[1,2],\"chosen_ids\":[3],\"rejected_ids\":[4]}"),
    FORM(ultrafeedback, "ultrafeedback", "{instruction, completions: [{response, overall_score, annotations}]} (UltraFeedback raw)",
         "{\"instruction\":\"q\",\"completions\":[{\"response\":\"a\",\"overall_score\":8},{\"response\":\"b\",\"overall_score\":3}]}"),
    FORM(responses, "responses", "{prompt, responses: [{text | messages, score}]}, or responses: [..] beside rewards: [..]",
         "{\"prompt\":\"q\",\"responses\":[{\"text\":\"a\",\"score\":8},{\"text\":\"b\",\"score\":3}]}"),
    FORM(best_of, "best-of", "{prompt, all_generated_responses: [..], all_rm_scores: [..]}",
         "{\"prompt\":\"q\",\"all_generated_responses\":[\"a\",\"b\"],\"all_rm_scores\":[0.5,0.25]}"),
    GROUPED(helpsteer, "helpsteer", "{prompt, response, helpfulness}, the responses to a prompt in adjacent rows (HelpSteer, HelpSteer2)",
            "{\"prompt\":\"q\",\"response\":\"a\",\"helpfulness\":4}\n{\"prompt\":\"q\",\"response\":\"b\",\"helpfulness\":1}"),
    GROUPED(samples, "samples", "{prompt, text, sample, score (optional)}, the responses to a prompt in adjacent rows (rapt generate)",
            "{\"prompt\":\"q\",\"sample\":0,\"text\":\"a\",\"score\":8}\n{\"prompt\":\"q\",\"sample\":1,\"text\":\"b\",\"score\":3}"),
    FORM(nectar, "nectar", "{prompt, answers: [{answer, rank}]}, 1 is best (Nectar)",
         "{\"prompt\":\"q\",\"answers\":[{\"answer\":\"a\",\"rank\":1.0},{\"answer\":\"b\",\"rank\":2.0}]}"),
    FORM(preference, "preference",
         "{prompt, response_1, response_2, preference_strength}, above 0 prefers response_2 (HelpSteer2 preference)",
         "{\"prompt\":\"q\",\"response_1\":\"b\",\"response_2\":\"a\",\"preference_strength\":2}"),
    FORM(steps, "steps", "{prompt, completions: [..], labels: [true | false, ..]}, the steps of one answer (TRL's stepwise supervision)",
         "{\"prompt\":\"q\",\"completions\":[\"a\",\"b\"],\"labels\":[true,false]}"),
    FORM(argilla, "argilla", "{instruction, chosen_response, rejected_response, chosen_avg_rating, rejected_avg_rating}",
         "{\"instruction\":\"q\",\"chosen_response\":\"a\",\"rejected_response\":\"b\",\"chosen_avg_rating\":5,\"rejected_avg_rating\":2}"),
    FORM(sharegpt, "sharegpt",
         "{conversations: [{from, value}], or messages: [{role, content}], chosen and rejected: one such turn each} (LLaMA-Factory)",
         "{\"conversations\":[{\"from\":\"human\",\"value\":\"q\"}],\"chosen\":{\"from\":\"gpt\",\"value\":\"a\"},"
         "\"rejected\":{\"from\":\"gpt\",\"value\":\"b\"}}"),
    FORM(alpaca, "alpaca", "{instruction and input, or question; system (optional), chosen, rejected} (LLaMA-Factory, Axolotl)",
         "{\"instruction\":\"q\",\"input\":\"\",\"chosen\":\"a\",\"rejected\":\"b\",\"score_chosen\":8,\"score_rejected\":3}"),
    FORM(pair, "pair", "{prompt (optional), chosen, rejected, score_chosen, score_rejected} (TRL: strings or messages)",
         "{\"prompt\":\"q\",\"chosen\":\"a\",\"rejected\":\"b\",\"score_chosen\":8,\"score_rejected\":3}"),
    FORM(completion, "completion", "{prompt, completion (or response, output), score or label: true | false (optional)}",
         "{\"prompt\":\"q\",\"completion\":\"a\"}"),
    FORM(instruction, "instruction",
         "{instruction and input, or question; output (or completion, response), system, history, label or kto_tag (optional)}",
         "{\"instruction\":\"q\",\"input\":\"\",\"output\":\"a\",\"kto_tag\":true}"),
    FORM(conversation, "conversation", "{conversations: [{from, value}], system, label or kto_tag (optional)} (sharegpt)",
         "{\"conversations\":[{\"from\":\"human\",\"value\":\"q\"},{\"from\":\"gpt\",\"value\":\"a\"}]}"),
    FORM(messages, "messages", "{messages: [{role, content}], score or label: true | false (optional)}",
         "{\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":\"a\"}]}"),
    FORM(prompt, "prompt", "{prompt}, or instruction or context_messages in its place", "{\"prompt\":\"q\"}"),
    FORM(text, "text", "{text}, trained on as it stands", "{\"text\":\"a\"}"),
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
    const uint64_t line = r->line, index = r->index;
    record_clear(r);
    r->line = line;
    r->index = index;
    r->row = row;
    if (json_kind_of(row) != JSON_OBJECT) return FAIL(ST_FORMAT, "expected an object, found %s", json_kind_name(json_kind_of(row)));
    struct fields f;
    TRY(source_map_check(r->map, row));
    fields_find(&f, row, r->map);
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
    TRY(rows_open(&s->rows, path));
    if (output && on_bad_row == SOURCE_SKIP && strcmp(output, "-") != 0) {
        struct buf name = {0};
        buf_printf(&name, "%s.rejected.jsonl", output);
        s->rejected_path = name.data;
    }
    return ST_OK;
}

/* `text`: the line, or the joined lines of a group; `rows` of them. */
static status reject_lines(struct source *s, const char *text, size_t size, uint64_t rows, uint64_t line, status failure) {
    if (s->on_bad_row == SOURCE_STOP || (failure != ST_FORMAT && failure != ST_UNSUPPORTED))
        return status_note(failure, "%s:%llu: ", rows_path(&s->rows), (unsigned long long)line);
    s->skipped_count += rows;
    if (!s->rejected_path) return ST_OK;
    if (!s->rejected.stream) TRY(file_out_open(&s->rejected, s->rejected_path));
    TRY(file_out_write(&s->rejected, text, size));
    return file_out_write(&s->rejected, "\n", 1);
}

/* The next row as text, the one that waits first; *text is NULL at the end. */
static status next_line(struct source *s, const char **text, size_t *size, uint64_t *line) {
    if (s->waiting_line) {
        *text = buf_text(&s->waiting);
        *size = s->waiting.size;
        *line = s->waiting_line;
        s->waiting_line = 0;
        return ST_OK;
    }
    TRY(rows_next(&s->rows, text, size));
    *line = s->rows.number;
    return ST_OK;
}

static bool is_grouped(const struct record *r) {
    for (size_t i = 0; i < source_form_count; i++)
        if (source_form_table[i].grouped && source_form_table[i].name == r->form) return true;
    return false;
}

static status keep_line(struct buf *out, const char *text, size_t size) {
    TRY(buf_reserve(out, size + 1));
    if (out->size) buf_append_char(out, '\n');
    buf_append(out, text, size);
    return ST_OK;
}

/* Collects in s->group the lines behind the record's own that answer the same prompt. A row that is broken or another's waits, so that it
 * is read, and found broken, in its turn. */
static status collect_group(struct source *s, const struct record *record) {
    const char *text;
    size_t size;
    uint64_t line;
    for (;;) {
        struct json row;
        TRY(next_line(s, &text, &size, &line));
        if (!text) return ST_OK;
        s->ahead.map = s->map;
        bool same = json_parse(&row, text, size) == ST_OK && source_read_row(&s->ahead, row) == ST_OK && s->ahead.form == record->form &&
                    s->ahead.conversational == record->conversational &&
                    record_text_equal(&s->ahead.prompt, &record->prompt, record->conversational);
        if (!same) break;
        TRY(keep_line(&s->group, text, size));
        s->group_rows++;
    }
    buf_clear(&s->waiting);
    TRY(keep_line(&s->waiting, text, size));
    s->waiting_line = line;
    return ST_OK;
}

/* `text` is the line that `record` was read from. */
static status read_group(struct source *s, struct record *record, const char *text, size_t size) {
    buf_clear(&s->group);
    TRY(keep_line(&s->group, text, size));
    s->group_rows = 1;
    TRY(collect_group(s, record));
    s->row_count += s->group_rows - 1;
    const char *at = buf_text(&s->group), *end = at + s->group.size;
    for (uint64_t i = 0; i < s->group_rows; i++) { /* read again: the lines stay where they are now */
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        struct record *r = i ? &s->ahead : record;
        struct json row;
        TRY(json_parse(&row, at, (size_t)((stop ? stop : end) - at)));
        TRY(source_read_row(r, row));
        for (size_t k = 0; i && k < r->response_count; k++) {
            struct response *to = record_add_response(record);
            struct buf text_memory = to->text;
            *to = r->responses[k];
            r->responses[k].text = text_memory;
        }
        at = stop ? stop + 1 : end;
    }
    return ST_OK;
}

status source_next(struct source *s, struct record *record, bool *end) {
    for (;;) {
        const char *text;
        size_t size;
        uint64_t line;
        *end = false;
        s->group_rows = 0;
        TRY(next_line(s, &text, &size, &line));
        if (!text) {
            *end = true;
            return ST_OK;
        }
        record->line = line;
        record->map = s->map;
        record->index = s->row_count++;
        struct json row;
        status st = json_parse(&row, text, size);
        if (st == ST_OK) st = source_read_row(record, row);
        if (st == ST_OK) return is_grouped(record) ? read_group(s, record, text, size) : ST_OK;
        TRY(reject_lines(s, text, size, 1, line, st));
    }
}

status source_reject(struct source *s, const struct record *record, status failure) {
    if (s->group_rows) return reject_lines(s, buf_text(&s->group), s->group.size, s->group_rows, record->line, failure);
    return reject_lines(s, record->row.text, record->row.size, 1, record->line, failure);
}

status source_commit(struct source *s) { return s->rejected.stream ? file_out_commit(&s->rejected) : ST_OK; }

void source_release(struct source *s) {
    file_out_abandon(&s->rejected);
    rows_release(&s->rows);
    buf_release(&s->group);
    buf_release(&s->waiting);
    record_release(&s->ahead);
    free(s->rejected_path);
    *s = (struct source){0};
}
