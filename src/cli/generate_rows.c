/* generate_rows: the prompts of rapt generate, and its responses in their order. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "cli/cli_fields.h"
#include "cli/generate.h"

static status several(const struct generate_form *form) {
    return FAIL(ST_USAGE, "--form %s has one response to a prompt: no --n, one --temperature, and one --goal at most", form->name);
}

status generate_check(struct generate_options *o, const struct opt_result *r, const struct opt_spec *spec) {
    const struct generate_form *form = generate_form_find(o->form);
    if (!form) return FAIL(ST_USAGE, "--form: there is no '%s' (rapt generate --help lists them)", o->form);
    if (o->fields.count && !o->input) return FAIL(ST_USAGE, "--field has no effect without --input");
    if (o->limit && !o->input) return FAIL(ST_USAGE, "--limit has no effect without --input");
    if (o->limit < 0) return FAIL(ST_USAGE, "--limit expects 0 or more, not %lld", (long long)o->limit);
    if (!o->prompt == !o->input) return FAIL(ST_USAGE, "one of --prompt and --input is needed");
    if (o->n < 1 || o->n > 1 << 20) return FAIL(ST_USAGE, "--n expects 1 to 1048576, not %lld", (long long)o->n);
    TRY(sampling_from_list(o->heats, &o->heat_count, &o->sampling, &o->temperatures, r, spec));
    for (size_t i = 0; o->n > 1 && i < o->heat_count; i++)
        if (o->heats[i].temperature == 0)
            return FAIL(ST_USAGE, "--n %lld with --temperature 0 would write the same response every time", (long long)o->n);
    if (o->max_new < 1 || o->max_new > 1 << 24)
        return FAIL(ST_USAGE, "--max-new-tokens expects 1 or more, not %lld", (long long)o->max_new);
    if (o->style && !o->goals.count) return FAIL(ST_USAGE, "--goal-style has no effect without --goal");
    if (form->one_each && generate_samples(o) > 1) return several(form);
    if (form->one_each && !o->id) return FAIL(ST_USAGE, "--form %s expects --model-id NAME", form->name);
    if (o->lengths && !form->lengths) return FAIL(ST_USAGE, "--length-tokenizer has no effect with --form %s", form->name);
    if (o->token_ids && !form->token_ids) return FAIL(ST_USAGE, "--token-ids has no effect with --form %s", form->name);
    if (o->token_ids && o->endpoint.endpoint)
        return FAIL(ST_USAGE, "--token-ids: a model behind an endpoint does not say which tokens it wrote");
    if (o->token_ids && o->prompt && !o->output && !o->json) return FAIL(ST_USAGE, "--token-ids has no effect on plain text");
    if (form->one_each && o->prompt) return FAIL(ST_USAGE, "--form %s expects --input", form->name);
    if (o->id && o->prompt && !o->output && !o->json) return FAIL(ST_USAGE, "--model-id has no effect on plain text");
    if (opt_given(r, spec, "form") && o->prompt && !o->output && !o->json)
        return FAIL(ST_USAGE, "--form has no effect on plain text (--json)");
    return ST_OK;
}

/* ---- prompts ---- */

/* The record's prompt without a goal: messages (JSON) where a chat template reads them, else text. */
static status make_bare(struct generate_job *j) {
    struct record *r = &j->record;
    buf_clear(&j->bare);
    if (r->kind == RECORD_SFT && !r->prompt.size && !r->prompt_ids.size) return FAIL(ST_FORMAT, "the row has no prompt (form %s)", r->form);
    if (json_kind_of(r->prompt_ids) != JSON_NONE) {
        if (j->o->goals.count || j->o->system)
            return FAIL(ST_FORMAT, "the row holds prompt_ids: neither a goal nor a system text can be written into them");
        buf_append(&j->bare, r->prompt_ids.text, r->prompt_ids.size);
        return ST_OK;
    }
    if (record_has_goal(r) && j->o->goals.count)
        return FAIL(
            ST_FORMAT,
            "field 'goal': the row's prompt asks for a goal already; leave --goal out, or give rows as they were before rapt augment");
    if (r->conversational ? !json_count((struct json){buf_text(&r->prompt), r->prompt.size}) : !r->prompt.size)
        return FAIL(ST_FORMAT, "field 'prompt': there is nothing to respond to");
    if (!r->conversational && j->chat && !j->o->raw) {
        buf_append_text(&j->bare, "[{\"role\": \"user\", \"content\": ");
        json_put_string(&j->bare, buf_text(&r->prompt), r->prompt.size);
        buf_append_text(&j->bare, "}]");
        r->conversational = true;
    } else {
        buf_append(&j->bare, buf_text(&r->prompt), r->prompt.size);
    }
    if (!j->o->system) return ST_OK;
    if (!r->conversational)
        return FAIL(ST_FORMAT, "--system: the prompt is a plain string and %s", j->o->raw ? "--raw is given" : j->why_no_chat);
    ask_put_system(&j->bare, j->o->system);
    return ST_OK;
}

status generate_put_goal(struct generate_job *j, const struct goal *goal) {
    buf_clear(&j->asked);
    return ask_put_goal(&j->asked, j->style, (struct json){buf_text(&j->bare), j->bare.size}, j->record.conversational, goal);
}

/* The record of --prompt, once. */
static void prompt_record(struct generate_job *j) {
    record_clear(&j->record);
    j->record.goal = (double)NAN;
    j->record.kind = RECORD_PROMPT;
    buf_append(&j->record.prompt, buf_text(&j->prompt_text), j->prompt_text.size);
}

/* The form's identity of the record. */
static status check_id(const struct generate_job *j) {
    const char *const *id = j->form->id;
    for (size_t i = 0; i < 2 && id[i]; i++) {
        const enum json_kind kind = json_kind_of(json_get(j->record.row, id[i]));
        if (kind == JSON_STRING) return ST_OK;
        if (kind != JSON_NONE) return FAIL(ST_FORMAT, "field %s: expected a string, found %s", id[i], json_kind_name(kind));
    }
    return id[0] ? FAIL(ST_FORMAT, "--form %s: the row has no field %s%s%s", j->form->name, id[0], id[1] ? " or " : "", id[1] ? id[1] : "")
                 : ST_OK;
}

/* What make makes for (row, goal_at); reads the next row where the goals of this one are through. A bad row is counted or ends it. */
static status prepare(struct generate_job *j) {
    while (!j->ended && !j->ready) {
        status s = ST_OK;
        if (j->goal_at == j->goals.count || j->row == UINT64_MAX) {
            if (j->from_file) {
                j->ended = j->o->limit && j->prompts == (uint64_t)j->o->limit;
                if (!j->ended) TRY(source_next(&j->source, &j->record, &j->ended));
                j->prompts++;
            } else {
                j->ended = j->row != UINT64_MAX;
                prompt_record(j);
            }
            if (j->ended) return ST_OK;
            j->row = j->from_file ? j->record.index : 0;
            j->goal_at = 0;
            s = make_bare(j);
            if (s == ST_OK) s = check_id(j);
        }
        if (s == ST_OK) s = j->make(j, &j->goals.items[j->goal_at]);
        j->ready = s == ST_OK;
        j->sample_at = 0;
        if (s == ST_OK) continue;
        if (!j->from_file) return s;
        TRY(source_reject(&j->source, &j->record, s));
        j->goal_at = j->goals.count; /* the row is given up, goals that went before stay */
    }
    return ST_OK;
}

status generate_next(struct generate_item **out, struct generate_job *j) {
    *out = NULL;
    TRY(prepare(j));
    if (j->ended) return ST_OK;
    struct generate_item *it = *out = mem_zero(1, sizeof *it);
    it->goal = j->goals.items[j->goal_at];
    if (j->goal_texts.count) it->goal_text = j->goal_texts.items[j->goal_at];
    if (!it->goal.count && !isnan(j->record.goal)) it->goal = goal_of_score(j->record.goal);
    if (!it->goal.count) buf_append(&it->row_goal, j->record.goals.text, j->record.goals.size);
    it->row = j->row;
    it->sample = j->sample_at;
    it->sampling = &j->o->heats[j->sample_at / (uint64_t)j->o->n];
    for (size_t i = 0; i < 2 && j->form->id[i] && !it->id; i++) it->id = json_text(json_get(j->record.row, j->form->id[i]));
    it->dataset = json_text(json_get(j->record.row, "dataset"));
    if (j->record.conversational || json_kind_of(j->record.prompt_ids) != JSON_NONE)
        buf_append(&it->prompt, buf_text(&j->bare), j->bare.size);
    else
        json_put_string(&it->prompt, buf_text(&j->bare), j->bare.size);
    *j->last = it;
    j->last = &it->later;
    if (++j->sample_at == generate_samples(j->o)) {
        j->ready = false;
        j->goal_at++;
    }
    return ST_OK;
}

/* ---- output ---- */

static void item_free(struct generate_item *it) {
    buf_release(&it->prompt);
    buf_release(&it->row_goal);
    buf_release(&it->asked);
    buf_release(&it->more);
    buf_release(&it->text);
    buf_release(&it->ids);
    free(it->id);
    free(it->dataset);
    free(it);
}

static void put_plain(const struct generate_job *j, struct buf *b, const struct generate_item *it) {
    if (j->goals.count > 1 || generate_samples(j->o) > 1) {
        const char *comma = it->goal.count ? ", " : "";
        if (j->written) buf_append_char(b, '\n');
        buf_append_text(b, "== ");
        if (it->goal.count) {
            buf_append_text(b, "goal ");
            if (it->goal_text)
                buf_append_text(b, it->goal_text);
            else
                goal_put_name(b, j->style, &it->goal);
        }
        if (j->o->heat_count > 1) {
            buf_printf(b, "%stemperature ", comma);
            json_put_double(b, it->sampling->temperature);
            comma = ", ";
        }
        if (j->o->n > 1) buf_printf(b, "%ssample %llu", comma, (unsigned long long)it->sample);
        buf_append_text(b, " ==\n");
    }
    buf_append(b, buf_text(&it->text), it->text.size);
    buf_append_char(b, '\n');
}

void generate_put_asked(struct buf *out, const struct generate_job *j, const struct generate_item *it) {
    if (it->row_goal.size) {
        buf_append(out, buf_text(&it->row_goal), it->row_goal.size);
        return;
    }
    const struct goal printed = goal_printed(j->style, &it->goal);
    goal_put_json(out, j->style, &printed);
}

static status write_item(struct generate_job *j, const struct generate_item *it) {
    struct buf b = {0};
    status s = ST_OK;
    if (j->plain) {
        put_plain(j, &b, it);
    } else {
        if (j->form->array && j->written) buf_append_text(&b, ",\n");
        s = j->form->put(&b, j, it);
        if (!j->form->array) buf_append_char(&b, '\n');
    }
    if (s == ST_OK) s = file_out_write(&j->out, b.data, b.size);
    j->written++;
    buf_release(&b);
    return s;
}

status generate_write_done(struct generate_job *j) {
    status s = ST_OK;
    while (s == ST_OK && j->first && j->first->done) {
        struct generate_item *it = j->first;
        if (!it->given_up) s = write_item(j, it);
        j->responses++;
        j->first = it->later;
        if (!j->first) j->last = &j->first;
        item_free(it);
    }
    return s;
}

static status read_prompt(struct generate_job *j) {
    if (strcmp(j->o->prompt, "-") != 0) {
        buf_append_text(&j->prompt_text, j->o->prompt);
        return ST_OK;
    }
    struct file_lines l;
    const char *text;
    size_t size;
    TRY(file_lines_open(&l, "-"));
    status s = file_lines_next(&l, &text, &size);
    for (; s == ST_OK && text; s = file_lines_next(&l, &text, &size)) {
        if (l.number > 1) buf_append_char(&j->prompt_text, '\n');
        buf_append(&j->prompt_text, text, size);
    }
    file_lines_release(&l);
    return s;
}

status generate_open(struct generate_job *j) {
    const struct generate_options *o = j->o;
    const uint64_t each = j->goals.count * generate_samples(o);
    j->form = generate_form_find(o->form);
    if (j->form->one_each && j->goals.count > 1) return several(j->form);
    j->plain = o->prompt && !o->output && !o->json;
    j->row = UINT64_MAX;
    j->last = &j->first;
    j->from_file = o->input != NULL;
    j->seconds = (double)time(NULL);
    TRY(cli_fields(&j->map, &o->fields));
    if (o->lengths) {
        TRY(tokenizer_open(&j->lengths, o->lengths));
        TRY(markdown_init(&j->markdown));
    }
    if (o->prompt)
        TRY(read_prompt(j));
    else
        TRY(source_open(&j->source, o->input, strcmp(o->bad_row, "skip") == 0 ? SOURCE_SKIP : SOURCE_STOP,
                        o->output && strcmp(o->output, "-") ? o->output : NULL));
    j->source.map = &j->map;
    TRY(file_out_open(&j->out, o->output ? o->output : "-"));
    if (j->form->array) TRY(file_out_write(&j->out, "[\n", 2));
    const uint64_t prompts = o->prompt ? 1 : rows_count(o->input), limit = (uint64_t)o->limit;
    progress_begin(&j->bar, "generate", "responses", (limit && limit < prompts ? limit : prompts) * each);
    return ST_OK;
}

status generate_commit(struct generate_job *j) {
    progress_end(&j->bar, j->responses, NULL);
    if (j->form->array) TRY(file_out_write(&j->out, j->written ? "\n]\n" : "]\n", j->written ? 3 : 2));
    if (j->from_file) TRY(source_commit(&j->source));
    return file_out_commit(&j->out);
}

void generate_release(struct generate_job *j) {
    while (j->first) {
        struct generate_item *it = j->first;
        j->first = it->later;
        item_free(it);
    }
    if (j->from_file) source_release(&j->source);
    file_out_abandon(&j->out);
    if (j->lengths) {
        markdown_release(&j->markdown);
        tokenizer_free(j->lengths);
    }
    record_release(&j->record);
    goal_list_release(&j->goals);
    endpoint_texts_release(&j->goal_texts);
    buf_release(&j->prompt_text);
    buf_release(&j->bare);
    buf_release(&j->asked);
}
