/* A Modelfile beside a baked GGUF. Ollama never runs the Jinja template in a GGUF: it takes a Go template, of its own where the two look
 * alike, else
 * `{{ .Prompt }}` (github.com/ollama/ollama: template/template.go, server/model.go), so the goal would be lost there without a word.
 *
 * The Go template is not written by hand for known formats. The baked template renders conversations of marked contents; what stands
 * between the marks are the pieces that every conversation is made of, the goal among them. Put together again they must give other
 * conversations letter by letter; where they do not, the format is none that can be written so. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "export/export.h"
#include "text/chat.h"
#include "text/tokenizer.h"

enum { ONLY, FIRST, MIDDLE, LAST, OPENINGS }; /* a user turn's place among the user turns */
struct opening {
    struct buf before, after; /* what stands in front of the user's text: without a system text all in `before`, else around it */
    bool system;              /* does the system text stand in it? */
};
struct shape {
    struct opening openings[2][OPENINGS]; /* without and with a system message */
    struct buf close, generate;           /* behind the text of a user turn: of those that were answered, of the last one */
    bool takes_system;
};

static void shape_release(struct shape *s) {
    for (size_t i = 0; i < 2 * OPENINGS; i++) {
        buf_release(&s->openings[i / OPENINGS][i % OPENINGS].before);
        buf_release(&s->openings[i / OPENINGS][i % OPENINGS].after);
    }
    buf_release(&s->close);
    buf_release(&s->generate);
}

/* ---- conversations ---- */

#define TURNS 5 /* of the longer probe: user, assistant, .., user */
struct talk {
    const char *system; /* NULL: none */
    const char *turns[TURNS + 2];
    size_t count; /* odd: the last is the user's */
};

static status render(struct buf *out, const struct chat_template *c, const struct talk *t) {
    struct buf messages = {0};
    buf_append_char(&messages, '[');
    if (t->system) {
        buf_append_text(&messages, "{\"role\": \"system\", \"content\": ");
        json_put_text(&messages, t->system);
        buf_append_text(&messages, "}, ");
    }
    for (size_t i = 0; i < t->count; i++) {
        buf_printf(&messages, "%s{\"role\": \"%s\", \"content\": ", i ? ", " : "", i % 2 ? "assistant" : "user");
        json_put_text(&messages, t->turns[i]);
        buf_append_char(&messages, '}');
    }
    buf_append_char(&messages, ']');
    const status s = chat_render(c, out, (struct json){messages.data, messages.size}, (struct json){0}, (struct json){0}, true);
    buf_release(&messages);
    return s;
}

static void put_opening(struct buf *out, const struct opening *o, const char *system) {
    buf_append(out, buf_text(&o->before), o->before.size);
    if (!o->system) return;
    buf_append_text(out, system);
    buf_append(out, buf_text(&o->after), o->after.size);
}

/* What the Go template gives. */
static void assemble(struct buf *out, const struct shape *s, const struct talk *t) {
    for (size_t i = 0; i < t->count; i++) {
        const bool last = i + 1 == t->count;
        if (i % 2) {
            buf_append_text(out, t->turns[i]);
            continue;
        }
        put_opening(out, &s->openings[t->system != NULL][t->count == 1 ? ONLY : i == 0 ? FIRST : last ? LAST : MIDDLE], t->system);
        buf_append_text(out, t->turns[i]);
        const struct buf *end = last ? &s->generate : &s->close;
        buf_append(out, buf_text(end), end->size);
    }
}

/* ---- pieces ---- */

/* Cuts the text [*at, place of mark) and goes behind the mark. The mark stands there once. */
static bool cut(struct buf *out, const char **at, const char *mark) {
    const char *found = strstr(*at, mark);
    buf_clear(out);
    if (!found) return false;
    buf_append(out, *at, (size_t)(found - *at));
    *at = found + strlen(mark);
    return strstr(*at, mark) == NULL;
}

static bool cut_opening(struct opening *o, const char **at, const char *mark, const char *system) {
    const char *text = *at, *user = strstr(text, mark), *found = system ? strstr(text, system) : NULL;
    o->system = found && user && found < user;
    if (!o->system) return cut(&o->before, at, mark);
    return cut(&o->before, at, system) && cut(&o->after, at, mark);
}

static bool same(const struct buf *a, const struct buf *b) { return a->size == b->size && memcmp(buf_text(a), buf_text(b), a->size) == 0; }

/* Of a rendering of the longer probe. The first call sets close and generate, the second must find the same. */
static bool cut_long(struct shape *s, const char *text, const struct talk *t) {
    struct buf piece = {0}, between = {0};
    const bool had = s->generate.size;
    struct opening *o = s->openings[t->system != NULL];
    bool ok = true;
    for (size_t i = 0; ok && i < t->count; i += 2) {
        ok = cut_opening(&o[i == 0 ? FIRST : i + 1 == t->count ? LAST : MIDDLE], &text, t->turns[i], t->system);
        if (!ok || i + 1 == t->count) break;
        ok = cut(&between, &text, t->turns[i + 1]); /* user to assistant */
        if (ok && (had || i))
            ok = same(&between, &s->close);
        else if (ok)
            buf_append(&s->close, buf_text(&between), between.size);
    }
    buf_append_text(&piece, text);
    if (had)
        ok = ok && same(&piece, &s->generate);
    else
        buf_append(&s->generate, buf_text(&piece), piece.size);
    buf_release(&piece);
    buf_release(&between);
    return ok;
}

static bool cut_short(struct shape *s, const char *text, const struct talk *t) {
    return cut_opening(&s->openings[t->system != NULL][ONLY], &text, t->turns[0], t->system) && strcmp(text, buf_text(&s->generate)) == 0;
}

static bool find_half(struct shape *s, const struct chat_template *c, bool system) {
    const struct talk probe = {
        system ? "rapt probe of a system" : NULL, {"rapt probe 1", "rapt probe 2", "rapt probe 3", "rapt probe 4", "rapt probe 5"}, TURNS};
    struct talk brief = probe;
    struct buf text = {0}, short_text = {0};
    brief.count = 1;
    bool ok = render(&text, c, &probe) == ST_OK && render(&short_text, c, &brief) == ST_OK;
    ok = ok && !memchr(buf_text(&text), 0, text.size) && !memchr(buf_text(&short_text), 0, short_text.size);
    ok = ok && cut_long(s, buf_text(&text), &probe) && cut_short(s, buf_text(&short_text), &brief);
    if (ok && system) { /* the text of the system may not be lost */
        const struct opening *o = s->openings[1];
        ok = o[ONLY].system && o[FIRST].system + o[MIDDLE].system + o[LAST].system == 1;
    }
    buf_release(&text);
    buf_release(&short_text);
    return ok;
}

static bool holds(const struct shape *s, const struct chat_template *c) {
    static const struct talk talks[] = {{NULL, {"Hi"}, 1},
                                        {NULL, {"Say \"a\".\n\n{{ b }}", "A.\nB", "C?"}, 3},
                                        {NULL, {"1", "2", "3", "4", "5", "6", "7"}, 7},
                                        {"Be brief.\nBe kind.", {"Hi"}, 1},
                                        {"You are \\ a cat.", {"Hi", "Miaow.", "Again, <b>"}, 3},
                                        {"S", {"1", "2", "3", "4", "5", "6", "7"}, 7}};
    bool ok = true;
    for (size_t i = 0; ok && i < sizeof talks / sizeof talks[0]; i++) {
        struct buf want = {0}, got = {0};
        if (!talks[i].system || s->takes_system) {
            ok = render(&want, c, &talks[i]) == ST_OK;
            assemble(&got, s, &talks[i]);
            ok = ok && same(&want, &got);
        }
        buf_release(&want);
        buf_release(&got);
    }
    return ok;
}

/* ---- writing ---- */

/* A Go string that is the same inside a Modelfile's triple quotes: ASCII alone, no quote and no line break inside. */
static void put_text(struct buf *out, const char *text, size_t size) {
    buf_append_text(out, "{{ \"");
    for (size_t i = 0; i < size; i++) {
        const unsigned char c = (unsigned char)text[i];
        if (c == '\n')
            buf_append_text(out, "\\n");
        else if (c == '\\')
            buf_append_text(out, "\\\\");
        else if (c < ' ' || c == '"' || c > '~')
            buf_printf(out, "\\x%02x", c);
        else
            buf_append_char(out, (char)c);
    }
    buf_append_text(out, "\" }}");
}

static void put_piece(struct buf *out, const struct buf *b) {
    if (b->size) put_text(out, b->data, b->size);
}

static void put_go_opening(struct buf *out, const struct opening *o) {
    put_piece(out, &o->before);
    if (!o->system) return;
    buf_append_text(out, "{{ $.System }}");
    put_piece(out, &o->after);
}

static bool same_opening(const struct opening *a, const struct opening *b) {
    return a->system == b->system && same(&a->before, &b->before) && same(&a->after, &b->after);
}

/* {{ if .. }}a{{ else }}b{{ end }}, or a where both are the same. */
static void put_either(struct buf *out, const char *condition, const struct opening *a, const struct opening *b) {
    if (same_opening(a, b)) {
        put_go_opening(out, a);
        return;
    }
    buf_printf(out, "{{ if %s }}", condition);
    put_go_opening(out, a);
    buf_append_text(out, "{{ else }}");
    put_go_opening(out, b);
    buf_append_text(out, "{{ end }}");
}

static void put_openings(struct buf *out, const struct opening *o) {
    buf_append_text(out, "{{- if $first }}");
    put_either(out, "$last", &o[ONLY], &o[FIRST]);
    buf_append_text(out, "{{ else }}");
    put_either(out, "$last", &o[LAST], &o[MIDDLE]);
    buf_append_text(out, "{{ end }}");
}

/* Behind a user's text. */
static void put_ends(struct buf *out, const struct shape *s) {
    if (same(&s->generate, &s->close)) {
        put_piece(out, &s->close);
        return;
    }
    buf_append_text(out, "{{ if $last }}");
    put_piece(out, &s->generate);
    buf_append_text(out, "{{ else }}");
    put_piece(out, &s->close);
    buf_append_text(out, "{{ end }}");
}

/* A template that is not there: Ollama answers with an error that says its name. */
static void put_error(struct buf *out, const char *what) { buf_printf(out, "{{ template \"%s\" . }}\n", what); }

static void put_go(struct buf *out, const struct shape *s) {
    buf_append_text(out,
                    "{{- $before := \"none\" }}\n{{- range $i, $message := .Messages }}\n"
                    "{{- $first := or (eq $before \"none\") (eq $before \"system\") }}{{ $last := le (len (slice $.Messages $i)) 2 }}\n"
                    "{{- if and (eq .Role \"user\") (ne $before \"user\") }}\n");
    if (s->takes_system) {
        buf_append_text(out, "{{- if $.System }}\n");
        put_openings(out, s->openings[1]);
        buf_append_text(out, "\n{{- else }}\n");
    }
    put_openings(out, s->openings[0]);
    buf_append_text(out, s->takes_system ? "\n{{- end }}{{ .Content }}" : "{{ .Content }}");
    put_ends(out, s);
    buf_append_text(out, "\n{{- else if and (eq .Role \"assistant\") (eq $before \"user\") }}{{ .Content }}\n");
    if (s->takes_system) buf_append_text(out, "{{- else if and (eq .Role \"system\") (eq $i 0) }}\n");
    buf_append_text(out, "{{- else }}");
    put_error(out, s->takes_system ? "turns of user and assistant behind at most one system message are expected"
                                   : "turns of user and assistant are expected, without a system message");
    buf_append_text(out, "{{- end }}{{ $before = .Role }}\n{{- end }}");
}

/* Special tokens between an answer and the next question. */
static status put_stops(struct buf *out, const struct tokenizer *t, const struct buf *text) {
    struct ids ids = {0};
    const status s = tokenizer_encode(t, &ids, buf_text(text), text->size, false);
    for (size_t i = 0; s == ST_OK && i < ids.count; i++) {
        struct buf piece = {0}, shown = {0};
        bool again = false;
        for (size_t k = 0; k < i; k++) again = again || ids.data[k] == ids.data[i];
        tokenizer_piece(t, &piece, ids.data[i]);
        tokenizer_decode(t, &shown, &ids.data[i], 1, true);
        if (!again && piece.size && !shown.size && !strpbrk(buf_text(&piece), "\"\\\r\n"))
            buf_printf(out, "PARAMETER stop \"%s\"\n", buf_text(&piece));
        buf_release(&piece);
        buf_release(&shown);
    }
    ids_release(&ids);
    return s;
}

/* Ollama puts the begin-of-text token in front where the tokenizer does. */
static status drop_bos(struct shape *s, const struct tokenizer *t) {
    const char *bos = tokenizer_bos_text(t);
    const size_t n = bos ? strlen(bos) : 0;
    struct ids ids = {0};
    TRY(tokenizer_encode(t, &ids, "a", 1, true));
    const bool adds = n && ids.count && ids.data[0] == tokenizer_bos(t);
    ids_release(&ids);
    for (size_t i = 0; adds && i < 4; i++) {
        struct buf *b = &s->openings[i / 2][i % 2 ? FIRST : ONLY].before;
        if (b->size < n || memcmp(b->data, bos, n) != 0) continue;
        memmove(b->data, b->data + n, b->size - n);
        b->size -= n;
    }
    return ST_OK;
}

static status put_modelfile(struct buf *out, struct shape *s, const struct tokenizer *t, const char *gguf) {
    const char *slash = strrchr(gguf, '/');
    TRY(drop_bos(s, t));
    buf_printf(out,
               "# ollama create NAME -f THIS_FILE. Ollama does not run the chat template inside the GGUF; this one says the same, with the "
               "same goal.\nFROM ./%s\nTEMPLATE \"\"\"",
               slash ? slash + 1 : gguf);
    put_go(out, s);
    buf_append_text(out, "\"\"\"\n");
    return put_stops(out, t, &s->openings[0][MIDDLE].before);
}

/* shape NULL: there is none, and an older one of that name would ask for an older goal. */
static status write_modelfile(struct shape *s, const struct tokenizer *t, const char *gguf) {
    struct buf text = {0}, path = {0};
    buf_printf(&path, "%s.Modelfile", gguf);
    if (!s) {
        log_warn("no Modelfile for Ollama: the chat template's conversations are not made of turns that a Go template could repeat, and "
                 "Ollama, which does not run it, would not ask for the goal");
        (void)remove(buf_text(&path));
    }
    status code = s ? put_modelfile(&text, s, t, gguf) : ST_OK;
    if (s && code == ST_OK) code = file_write(buf_text(&path), text.data, text.size);
    if (s && code == ST_OK)
        log_info("%s: written, for `ollama create NAME -f` (Ollama does not read the GGUF's chat template)", buf_text(&path));
    buf_release(&text);
    buf_release(&path);
    return code;
}

status export_modelfile(const struct export_request *r, const struct buf *baked) {
    struct tokenizer *t = NULL;
    struct chat_template *c = NULL;
    struct shape shape = {0};
    if (!baked->size) return ST_OK;
    status s = tokenizer_open(&t, r->model);
    if (s == ST_OK) s = chat_compile(&c, buf_text(baked), tokenizer_bos_text(t), tokenizer_eos_text(t));
    if (s == ST_OK) {
        shape.takes_system = chat_has_system(c);
        const bool known = !strpbrk(r->output, "\r\n") && find_half(&shape, c, false) &&
                           (!shape.takes_system || find_half(&shape, c, true)) && holds(&shape, c);
        s = write_modelfile(known ? &shape : NULL, t, r->output);
        if (s == ST_OK && known && strstr(buf_text(baked), "strftime_now"))
            log_warn("the chat template tells the date; that of %s.Modelfile is today's, and stays", r->output);
    }
    shape_release(&shape);
    chat_free(c);
    tokenizer_free(t);
    return s;
}
