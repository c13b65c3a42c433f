/* rapt template: conversations -> the text a model sees, through its chat template. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/utf8.h"
#include "cli/cli_fields.h"
#include "cli/cli_kwargs.h"
#include "cli/cmd.h"
#include "data/encode.h"
#include "data/source.h"

struct options {
    const char *model, *input, *kwargs;
    bool generation, assistant, json;
    struct opt_list fields;
};

#define FIELD(name) offsetof(struct options, name)
static const struct opt_row rows[] = {
    {"model", OPT_STR, FIELD(model), "M", NULL, NULL, "a Hugging Face folder, a .gguf file (also vocab-only) or a tokenizer.json"},
    {"input", OPT_STR, FIELD(input), "F", NULL, NULL, "conversations, one JSON row a line; - is stdin"},
    {"add-generation-prompt", OPT_FLAG, FIELD(generation), NULL, NULL, NULL,
     "open the assistant's turn at the end; of rows with an answer the prompt alone is rendered"},
    {"assistant-mask", OPT_FLAG, FIELD(assistant), NULL, NULL, NULL,
     "show between \u27e6 and \u27e7 what train --assistant-only-loss learns: what the assistant wrote, the ends of its turns included"},
    CLI_FIELD_ROW(FIELD(fields)),
    CLI_KWARGS_ROW(FIELD(kwargs)),
    {"json", OPT_FLAG, FIELD(json), NULL, NULL, NULL,
     "one JSON object a row: {\"line\": N, \"text\": \"...\"}; with --assistant-mask also \"assistant\": [[start, end], ...] in "
     "characters"},
};

const struct opt_spec cmd_template_spec = {
    .command = "template",
    .summary = "Conversations as the text a model sees, through its chat template.",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .example = "rapt template --model SmolLM2-135M-Instruct.Q4_1.gguf --input prompts.jsonl --add-generation-prompt",
    .notes =
        "A row is {\"messages\": [...]}, {\"prompt\": [...]}, or a pair, whose prompt and chosen answer are rendered as one conversation. "
        "Its members tools and chat_template_kwargs go to the template. Each rendering is followed by a line break.",
};

/* The messages that a row's rendering shows, as one JSON array in *messages (a view of the row or of `joined`). */
static status row_messages(struct json *messages, struct record *r, struct buf *joined, struct json row, bool prompt_alone) {
    *messages = json_get(row, "messages");
    if (messages->size && !json_get(row, "prompt").size && !r->map->count) {
        r->tools = json_get(row, "tools");
        r->chat_template_kwargs = json_get(row, "chat_template_kwargs");
        return ST_OK;
    }
    TRY(source_read_row(r, row));
    if (!r->conversational) return FAIL(ST_FORMAT, "the row holds plain text; a chat template renders lists of messages");
    *messages = (struct json){buf_text(&r->prompt), r->prompt.size};
    if (prompt_alone || !r->chosen.size) return ST_OK;
    struct json answer = {buf_text(&r->chosen), r->chosen.size};
    bool both = json_count(*messages) && json_count(answer);
    buf_clear(joined);
    buf_append(joined, messages->text, messages->size - 1);
    if (both) buf_append_char(joined, ',');
    buf_append(joined, answer.text + 1, answer.size - 1);
    *messages = (struct json){joined->data, joined->size};
    return ST_OK;
}

/* The text with marks around its spans, which stand in order. */
static void put_marked(struct buf *out, const struct buf *text, const struct text_span *spans, size_t count) {
    const char *at = buf_text(text), *end = at + text->size;
    size_t character = 0;
    for (size_t i = 0; i < 2 * count; i++) {
        const size_t to = i % 2 ? spans[i / 2].end : spans[i / 2].start;
        const char *from = at;
        for (; character < to && at < end; character++) at += utf8_size(at, end) ? utf8_size(at, end) : 1;
        buf_append(out, from, (size_t)(at - from));
        buf_append_text(out, i % 2 ? "\u27e7" : "\u27e6");
    }
    buf_append(out, at, (size_t)(end - at));
}

static status show_row(const struct options *o, const struct encoder *e, struct record *r, struct buf *joined, struct json row,
                       uint64_t line) {
    struct buf text = {0}, spans = {0}, out = {0};
    struct json messages;
    record_clear(r);
    status s = row_messages(&messages, r, joined, row, o->generation);
    if (s == ST_OK)
        s = o->assistant ? chat_render_assistant(e->chat, &text, &spans, messages, r->tools, r->chat_template_kwargs)
                         : chat_render(e->chat, &text, messages, r->tools, r->chat_template_kwargs, o->generation);
    const struct text_span *span = (const struct text_span *)(const void *)buf_text(&spans);
    const size_t count = spans.size / sizeof *span;
    if (s == ST_OK && o->json) {
        buf_printf(&out, "{\"line\": %llu, \"text\": ", (unsigned long long)line);
        json_put_string(&out, buf_text(&text), text.size);
        if (o->assistant) buf_append_text(&out, ", \"assistant\": [");
        for (size_t i = 0; i < count; i++) buf_printf(&out, "%s[%zu, %zu]", i ? ", " : "", span[i].start, span[i].end);
        buf_append_text(&out, o->assistant ? "]}" : "}");
    } else if (s == ST_OK) {
        put_marked(&out, &text, span, count);
    }
    buf_append_char(&out, '\n');
    if (s == ST_OK && fwrite(out.data, 1, out.size, stdout) != out.size) s = FAIL(ST_IO, "stdout: write failed");
    buf_release(&text);
    buf_release(&spans);
    buf_release(&out);
    return s;
}

static status show_rows(const struct options *o, const struct encoder *e) {
    struct rows_in rows_in;
    struct source_map map;
    struct record r = {.map = &map};
    struct buf joined = {0};
    struct json row;
    const char *text;
    size_t size;
    status s;
    TRY(cli_fields(&map, &o->fields));
    TRY(rows_open(&rows_in, o->input));
    while ((s = rows_next(&rows_in, &text, &size)) == ST_OK && text) {
        s = json_parse(&row, text, size);
        if (s == ST_OK) s = show_row(o, e, &r, &joined, row, rows_in.number);
        if (s == ST_OK) continue;
        s = status_note(s, "%s: line %llu: ", o->input, (unsigned long long)rows_in.number);
        break;
    }
    rows_release(&rows_in);
    record_release(&r);
    buf_release(&joined);
    return s;
}

status cmd_template_run(int argc, char **argv) {
    struct options o = {0};
    struct opt_result r;
    struct encoder e;
    bool done;
    TRY(cmd_parse(&r, &cmd_template_spec, &o, argc, argv, &done));
    if (done) return ST_OK;
    if (!o.model || !o.input) return FAIL(ST_USAGE, "--model and --input are needed");
    if (o.assistant && o.generation) return FAIL(ST_USAGE, "--assistant-mask is of whole conversations: leave out --add-generation-prompt");
    TRY(encoder_open(&e, o.model));
    status s = e.chat ? encoder_set_kwargs(&e, o.kwargs, &(struct kwargs_places){.model = o.model})
                      : FAIL(ST_UNSUPPORTED, "%s: %s", o.model, e.why_no_chat);
    if (s == ST_OK) s = show_rows(&o, &e);
    encoder_release(&e);
    return s;
}
