/* rapt tokenize: text -> token ids, as the model sees it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "cli/cmd.h"
#include "format/json.h"
#include "text/tokenizer.h"

struct options {
    const char *model, *text, *input;
    bool special, json, pieces;
};

#define FIELD(name) offsetof(struct options, name)
static const struct opt_row rows[] = {
    {"model", OPT_STR, FIELD(model), "M", NULL, NULL, "a Hugging Face folder, a .gguf file (also vocab-only) or a tokenizer.json"},
    {"text", OPT_STR, FIELD(text), "T", NULL, NULL, "the text"},
    {"input", OPT_STR, FIELD(input), "F", NULL, NULL, "a file whose lines are texts, one after the other; - is stdin"},
    {"add-special-tokens", OPT_FLAG, FIELD(special), NULL, NULL, NULL, "put BOS and EOS around as the tokenizer's own post-processor does"},
    {"pieces", OPT_FLAG, FIELD(pieces), NULL, NULL, NULL, "one line a token: the id and its text as a JSON string"},
    {"json", OPT_FLAG, FIELD(json), NULL, NULL, NULL, "one JSON array a text"},
};

const struct opt_spec cmd_tokenize_spec = {
    .command = "tokenize",
    .summary = "Token ids of a text under a model's tokenizer.",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .example = "rapt tokenize --model SmolLM2-135M-Instruct.Q4_1.gguf --text \"Overall score: 10.\" --pieces",
};

static void put_pieces(struct buf *out, const struct tokenizer *t, const struct ids *ids) {
    struct buf piece = {0};
    for (size_t i = 0; i < ids->count; i++) {
        buf_clear(&piece);
        tokenizer_piece(t, &piece, ids->data[i]);
        buf_printf(out, "%d\t", ids->data[i]);
        json_put_string(out, buf_text(&piece), piece.size);
        buf_append_char(out, '\n');
    }
    buf_release(&piece);
}

static status show(const struct tokenizer *t, const struct options *o, const char *text, size_t size) {
    struct ids ids = {0};
    struct buf out = {0};
    status s = tokenizer_encode(t, &ids, text, size, o->special);
    if (s == ST_OK && o->pieces)
        put_pieces(&out, t, &ids);
    else if (s == ST_OK) {
        buf_append_text(&out, o->json ? "[" : "");
        for (size_t i = 0; i < ids.count; i++) buf_printf(&out, "%s%d", i ? (o->json ? ", " : " ") : "", ids.data[i]);
        buf_append_text(&out, o->json ? "]\n" : "\n");
    }
    if (s == ST_OK && fwrite(buf_text(&out), 1, out.size, stdout) != out.size) s = FAIL(ST_IO, "stdout: write failed");
    ids_release(&ids);
    buf_release(&out);
    return s;
}

static status show_lines(const struct tokenizer *t, const struct options *o) {
    struct file_lines lines;
    const char *text;
    size_t size;
    TRY(file_lines_open(&lines, o->input));
    status s;
    while ((s = file_lines_next(&lines, &text, &size)) == ST_OK && text) {
        s = show(t, o, text, size);
        if (s != ST_OK) {
            s = status_note(s, "%s:%llu: ", o->input, (unsigned long long)lines.number);
            break;
        }
    }
    file_lines_release(&lines);
    return s;
}

status cmd_tokenize_run(int argc, char **argv) {
    struct options o = {0};
    struct opt_result r;
    struct tokenizer *t = NULL;
    bool done;
    TRY(cmd_parse(&r, &cmd_tokenize_spec, &o, argc, argv, &done));
    if (done) return ST_OK;
    if (!o.model || !o.text == !o.input) return FAIL(ST_USAGE, "--model and one of --text and --input are needed");
    if (o.pieces && o.json) return FAIL(ST_USAGE, "--pieces and --json exclude each other");
    TRY(tokenizer_open(&t, o.model));
    status s = o.text ? show(t, &o, o.text, strlen(o.text)) : show_lines(t, &o);
    tokenizer_free(t);
    return s;
}
