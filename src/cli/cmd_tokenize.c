/* rapt tokenize: text -> token ids, as the model sees it. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/utf8.h"
#include "cli/cmd.h"
#include "format/json.h"
#include "text/tokenizer.h"

struct options {
    const char *model, *text, *input, *file;
    bool special, json, pieces, count, decode;
};

#define FIELD(name) offsetof(struct options, name)
static const struct opt_row rows[] = {
    {"model", OPT_STR, FIELD(model), "M", NULL, NULL, "a Hugging Face folder, a .gguf file (also vocab-only) or a tokenizer.json"},
    {"text", OPT_STR, FIELD(text), "T", NULL, NULL, "the text"},
    {"input", OPT_STR, FIELD(input), "F", NULL, NULL, "a file whose lines are texts, one after the other; - is stdin"},
    {"file", OPT_STR, FIELD(file), "F", NULL, NULL, "a file that is one text, line ends and all"},
    {"add-special-tokens", OPT_FLAG, FIELD(special), NULL, NULL, NULL, "put BOS and EOS around as the tokenizer's own post-processor does"},
    {"pieces", OPT_FLAG, FIELD(pieces), NULL, NULL, NULL, "one line a token: the id and its text as a JSON string"},
    {"decode", OPT_FLAG, FIELD(decode), NULL, NULL, NULL, "the other way: texts are ids, apart by blanks; what comes out is their text"},
    {"json", OPT_FLAG, FIELD(json), NULL, NULL, NULL, "one JSON array a text; with --decode one JSON string"},
    {"count", OPT_FLAG, FIELD(count), NULL, NULL, NULL, "no ids: how many there are, from how many bytes, and how fast they came"},
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

static status read_ids(struct ids *ids, const struct tokenizer *t, const char *text, size_t size) {
    for (const char *at = text, *end = text + size;;) {
        while (at < end && strchr(" \t\r\n", *at)) at++;
        if (at == end) return ST_OK;
        const char *from = at;
        int64_t id = 0;
        while (at < end && *at >= '0' && *at <= '9' && id < INT32_MAX) id = id * 10 + (*at++ - '0');
        if (at == from || (at < end && !strchr(" \t\r\n", *at)) || id >= tokenizer_vocab_size(t))
            return FAIL(ST_FORMAT, "byte %zu: expected ids from 0 to %d, apart by blanks", (size_t)(from - text) + 1,
                        tokenizer_vocab_size(t) - 1);
        ids_push(ids, (int32_t)id);
    }
}

/* A line's text with a line end, a file's text as it is. */
static status show_text(const struct tokenizer *t, const struct options *o, const char *text, size_t size) {
    struct ids ids = {0};
    struct buf plain = {0}, out = {0};
    status s = read_ids(&ids, t, text, size);
    if (s == ST_OK) {
        tokenizer_decode(t, &plain, ids.data, ids.count, false);
        if (o->json) {
            struct buf clean = {0};
            utf8_put_clean(&clean, buf_text(&plain), plain.size);
            json_put_string(&out, buf_text(&clean), clean.size);
            buf_release(&clean);
        } else
            buf_append(&out, buf_text(&plain), plain.size);
        if (!o->file || o->json) buf_append_char(&out, '\n');
        if (fwrite(buf_text(&out), 1, out.size, stdout) != out.size) s = FAIL(ST_IO, "stdout: write failed");
    }
    ids_release(&ids);
    buf_release(&plain);
    buf_release(&out);
    return s;
}

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

struct totals {
    size_t tokens, bytes, texts;
    double seconds;
};

static status count(struct totals *sum, const struct tokenizer *t, const struct options *o, const char *text, size_t size) {
    struct ids ids = {0};
    const double start = now_s();
    status s = tokenizer_encode(t, &ids, text, size, o->special);
    sum->seconds += now_s() - start;
    sum->tokens += ids.count;
    sum->bytes += size;
    sum->texts++;
    ids_release(&ids);
    return s;
}

static status take(struct totals *sum, const struct tokenizer *t, const struct options *o, const char *text, size_t size) {
    return o->count ? count(sum, t, o, text, size) : o->decode ? show_text(t, o, text, size) : show(t, o, text, size);
}

static status show_lines(struct totals *sum, const struct tokenizer *t, const struct options *o) {
    struct file_lines lines;
    const char *text;
    size_t size;
    TRY(file_lines_open(&lines, o->input));
    status s;
    while ((s = file_lines_next(&lines, &text, &size)) == ST_OK && text) {
        s = take(sum, t, o, text, size);
        if (s != ST_OK) {
            s = status_note(s, "%s:%llu: ", o->input, (unsigned long long)lines.number);
            break;
        }
    }
    file_lines_release(&lines);
    return s;
}

static status show_file(struct totals *sum, const struct tokenizer *t, const struct options *o) {
    struct buf text = {0};
    status s = file_read(&text, o->file);
    if (s == ST_OK) s = take(sum, t, o, buf_text(&text), text.size);
    buf_release(&text);
    return s == ST_OK ? s : status_note(s, "%s: ", o->file);
}

static status show_totals(const struct totals *sum) {
    int n = printf("%zu tokens from %zu bytes in %zu texts: %.3f s, %.1f MB/s\n", sum->tokens, sum->bytes, sum->texts, sum->seconds,
                   sum->seconds > 0 ? 1e-6 * (double)sum->bytes / sum->seconds : 0.0);
    return n > 0 ? ST_OK : FAIL(ST_IO, "stdout: write failed");
}

status cmd_tokenize_run(int argc, char **argv) {
    struct options o = {0};
    struct opt_result r;
    struct tokenizer *t = NULL;
    bool done;
    TRY(cmd_parse(&r, &cmd_tokenize_spec, &o, argc, argv, &done));
    if (done) return ST_OK;
    if (!o.model || !!o.text + !!o.input + !!o.file != 1) return FAIL(ST_USAGE, "--model and one of --text, --input and --file are needed");
    if (o.pieces + o.json + o.count > 1) return FAIL(ST_USAGE, "--pieces, --json and --count exclude each other");
    if (o.decode && (o.pieces || o.count || o.special))
        return FAIL(ST_USAGE, "--decode goes with --json only; --pieces, --count and --add-special-tokens are for the way to ids");
    TRY(tokenizer_open(&t, o.model));
    struct totals sum = {0};
    status s = o.text ? take(&sum, t, &o, o.text, strlen(o.text)) : o.file ? show_file(&sum, t, &o) : show_lines(&sum, t, &o);
    if (s == ST_OK && o.count) s = show_totals(&sum);
    tokenizer_free(t);
    return s;
}
