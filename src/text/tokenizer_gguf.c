#define _POSIX_C_SOURCE 200809L
/* The tokenizer inside a GGUF file: tokenizer.ggml.* (ggml docs/gguf.md; llama.cpp src/llama-vocab.cpp). */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "format/gguf.h"
#include "text/tokenizer_state.h"

enum { TYPE_UNKNOWN = 2, TYPE_CONTROL = 3, TYPE_USER = 4 };

/* What stands for a space in SentencePiece vocabularies. */
#define MARK "\xe2\x96\x81"

static const struct gguf_value *texts(const struct gguf *g, const char *key) {
    const struct gguf_value *v = gguf_find(g, key);
    return v && v->kind == GGUF_ARRAY && v->item_kind == GGUF_STRING ? v : NULL;
}

static void add_token(struct tokenizer *t, int32_t id, int64_t type) {
    struct added_token *a = &t->added[t->added_count++];
    *a = (struct added_token){.content = t->bpe.text[id], .size = t->bpe.size[id], .id = id, .special = type != TYPE_USER};
    t->is_added[id] = 1;
    t->is_special[id] = a->special;
    if (a->special || !t->bpe.chars || !memchr(a->content, ' ', a->size)) return;
    /* The file has blanks where SentencePiece's model has marks, which it looks for in text whose blanks are marks: Gemma's runs of blanks.
     */
    struct buf marked = {0};
    for (size_t i = 0; i < a->size; i++)
        if (a->content[i] == ' ')
            buf_append_text(&marked, MARK);
        else
            buf_append_char(&marked, a->content[i]);
    a->normalized = true;
    a->match = arena_text(&t->arena, buf_text(&marked), marked.size);
    a->match_size = marked.size;
    buf_release(&marked);
}

/* t->bpe.chars says whether texts are byte-mapped. */
static status read_tokens(struct tokenizer *t, const struct gguf *g, size_t merges) {
    const struct gguf_value *tokens = texts(g, "tokenizer.ggml.tokens"), *types = gguf_find(g, "tokenizer.ggml.token_type");
    const bool chars = t->bpe.chars;
    if (!tokens || !tokens->count) return FAIL(ST_FORMAT, "tokenizer.ggml.tokens: expected an array of strings");
    if (types && (types->kind != GGUF_ARRAY || types->item_kind != GGUF_I32 || types->count != tokens->count))
        return FAIL(ST_FORMAT, "tokenizer.ggml.token_type: expected %zu 32-bit integers, one a token", tokens->count);
    TRY(tokenizer_reserve(t, tokens->count, merges, tokens->count));
    t->bpe.chars = chars;
    for (size_t i = 0; i < tokens->count; i++) {
        struct gguf_text text = tokens->texts[i];
        int64_t type = types ? gguf_item_int(types, i) : 1;
        char *bytes = arena_text(&t->arena, text.data, text.size);
        size_t n = text.size;
        bool literal = type == TYPE_CONTROL || type == TYPE_USER || type == TYPE_UNKNOWN, mapped = !literal && !chars;
        if (mapped && !bpe_bytes_of_text(bytes, &n, text.data, text.size)) { /* not byte-mapped: stands as it is */
            memcpy(bytes, text.data, text.size);
            n = text.size;
        } else if (mapped)
            bytes[n] = 0;
        bpe_set(&t->bpe, (int32_t)i, bytes, n);
        if (literal && n) add_token(t, (int32_t)i, type);
    }
    return ST_OK;
}

/* A merge is "left right": the space is the first one that is not the first byte. */
static status read_merges(struct tokenizer *t, const struct gguf *g) {
    const struct gguf_value *merges = texts(g, "tokenizer.ggml.merges");
    struct buf left = {0}, right = {0};
    status s = ST_OK;
    for (size_t i = 0; i < merges->count && s == ST_OK; i++) {
        struct gguf_text m = merges->texts[i];
        const char *space = m.size > 2 ? memchr(m.data + 1, ' ', m.size - 2) : NULL;
        if (!space) {
            s = FAIL(ST_FORMAT, "tokenizer.ggml.merges[%zu]: expected two parts with a space between", i);
            break;
        }
        size_t a = (size_t)(space - m.data), b = m.size - a - 1;
        buf_clear(&left);
        buf_clear(&right);
        buf_append(&left, m.data, a);
        buf_append(&right, space + 1, b);
        bool ok = t->bpe.chars ||
                  (bpe_bytes_of_text(left.data, &left.size, m.data, a) && bpe_bytes_of_text(right.data, &right.size, space + 1, b));
        s = ok ? bpe_add_merge(&t->bpe, left.data, left.size, right.data, right.size)
               : FAIL(ST_FORMAT, "tokenizer.ggml.merges[%zu]: characters outside the byte alphabet", i);
    }
    buf_release(&left);
    buf_release(&right);
    return s;
}

static status special_id(int32_t *out, const struct tokenizer *t, const struct gguf *g, const char *key) {
    int64_t id;
    if (!gguf_int(&id, g, key)) return ST_OK;
    if (id == -1 || id == UINT32_MAX) return ST_OK;
    if (id < 0 || id >= t->bpe.count) return FAIL(ST_FORMAT, "%s: %lld is no token (0 to %d)", key, (long long)id, t->bpe.count - 1);
    *out = (int32_t)id;
    return ST_OK;
}

static status read_special(struct tokenizer *t, const struct gguf *g, bool bos, unsigned flags) {
    TRY(special_id(&t->bos, t, g, "tokenizer.ggml.bos_token_id"));
    TRY(special_id(&t->eos, t, g, "tokenizer.ggml.eos_token_id"));
    TRY(special_id(&t->pad, t, g, "tokenizer.ggml.padding_token_id"));
    TRY(special_id(&t->unk, t, g, "tokenizer.ggml.unknown_token_id"));
    static const char *const ends[] = {"tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"};
    for (int i = 0; i < 2; i++) {
        int32_t id = -1;
        TRY(special_id(&id, t, g, ends[i]));
        tokenizer_add_end(t, id);
    }
    bool eos = false, sep = flags & PRE_ADD_SEP;
    int32_t sep_id = -1;
    TRY(special_id(&sep_id, t, g, "tokenizer.ggml.seperator_token_id"));
    (void)gguf_bool(&sep, g, "tokenizer.ggml.add_sep_token");
    (void)gguf_bool(&bos, g, "tokenizer.ggml.add_bos_token");
    (void)gguf_bool(&eos, g, "tokenizer.ggml.add_eos_token");
    if (bos && t->bos >= 0) ids_push(&t->prefix, t->bos);
    if (sep && sep_id >= 0) ids_push(&t->suffix, sep_id);
    if (eos && t->eos >= 0) ids_push(&t->suffix, t->eos);
    struct gguf_text text;
    if (gguf_text_of(&text, g, "tokenizer.chat_template")) t->chat_template = mem_text_n(text.data, text.size);
    return ST_OK;
}

static void set_kind(struct tokenizer *t, const char *model, struct gguf_text pre) {
    struct buf kind = {0};
    buf_printf(&kind, "GGUF %s%s%.*s", model, pre.size ? "/" : "", (int)pre.size, pre.data ? pre.data : "");
    t->kind = arena_text(&t->arena, buf_text(&kind), kind.size);
    buf_release(&kind);
}

static status read_gpt2(struct tokenizer *t, const struct gguf *g) {
    const struct gguf_value *merges = texts(g, "tokenizer.ggml.merges");
    struct gguf_text pre = {"default", 7};
    const struct pretoken_row *row = NULL;
    (void)gguf_text_of(&pre, g, "tokenizer.ggml.pre");
    status s = pretoken_from_name(&t->pretoken, &row, pre.data, pre.size);
    if (s != ST_OK) return status_note(s, "tokenizer.ggml.pre: ");
    if (!merges) return FAIL(ST_FORMAT, "tokenizer.ggml.merges: expected an array of strings");
    t->bpe.chars = row->flags & PRE_CHARS;
    t->model = t->bpe.chars ? &token_model_chars : &token_model_bytes;
    TRY(read_tokens(t, g, merges->count));
    TRY(read_merges(t, g));
    TRY(normalizer_add_form(&t->normalizer, row->form));
    if (row->flags & PRE_ESCAPE) TRY(normalizer_add_replace(&t->normalizer, " ", MARK));
    if (t->bpe.chars) TRY(detoken_init_spm(&t->detoken, 0));
    t->bpe.ignore_merges = row->flags & PRE_IGNORE_MERGES;
    t->bpe.lines_whole = row->flags & PRE_LINES_WHOLE;
    t->bpe.byte_fallback = t->bpe.chars;
    set_kind(t, "gpt2", pre);
    return read_special(t, g, row->flags & PRE_ADD_BOS, row->flags);
}

static status read_scores(struct tokenizer *t, const struct gguf *g) {
    const struct gguf_value *scores = gguf_find(g, "tokenizer.ggml.scores");
    float *values;
    if (!scores || scores->kind != GGUF_ARRAY || scores->item_kind != GGUF_F32 || scores->count != (size_t)t->bpe.count)
        return FAIL(ST_FORMAT, "tokenizer.ggml.scores: expected %d 32-bit floats, one a token", t->bpe.count);
    TRY(mem_try_alloc(&values, scores->count, sizeof *values, "the scores"));
    for (size_t i = 0; i < scores->count; i++) values[i] = (float)gguf_item_double(scores, i);
    status s = spm_init(&t->spm, &t->arena, &t->bpe, values, NULL);
    free(values);
    return s;
}

/* Phi-3's special tokens swallow the blanks behind them; the file cannot say so, llama.cpp goes by the name. */
static void set_rstrip(struct tokenizer *t, const struct gguf *g) {
    struct gguf_text name;
    bool phi = false;
    if (!gguf_text_of(&name, g, "general.name")) return;
    for (size_t i = 0; i + 4 <= name.size; i++)
        phi |= strncasecmp(name.data + i, "phi3", 4) == 0 || (i + 5 <= name.size && strncasecmp(name.data + i, "phi-3", 5) == 0);
    for (size_t i = 0; phi && i < t->added_count; i++) {
        const char *c = t->added[i].content;
        t->added[i].rstrip = strcmp(c, "<unk>") != 0 && strcmp(c, "<s>") != 0 && strcmp(c, "<|endoftext|>") != 0;
    }
}

static status read_llama(struct tokenizer *t, const struct gguf *g) {
    bool prefix = true;
    t->bpe.chars = true;
    t->model = &token_model_scores;
    TRY(read_tokens(t, g, 0));
    TRY(read_scores(t, g));
    (void)gguf_bool(&prefix, g, "tokenizer.ggml.add_space_prefix");
    if (prefix) TRY(normalizer_add_prepend(&t->normalizer, MARK));
    TRY(normalizer_add_replace(&t->normalizer, " ", MARK));
    TRY(detoken_init_spm(&t->detoken, prefix));
    t->bpe.byte_fallback = t->bpe.fuse_unk = true;
    set_rstrip(t, g);
    set_kind(t, "llama", (struct gguf_text){0});
    TRY(read_special(t, g, true, 0));
    t->bpe.unk = t->unk;
    return ST_OK;
}

static const struct {
    const char *model; /* tokenizer.ggml.model */
    status (*read)(struct tokenizer *t, const struct gguf *g);
} models[] = {{"gpt2", read_gpt2}, {"gemma4", read_gpt2}, {"llama", read_llama}};

static status read_all(struct tokenizer *t, const struct gguf *g) {
    struct gguf_text model;
    struct buf known = {0};
    if (!gguf_text_of(&model, g, "tokenizer.ggml.model")) return FAIL(ST_FORMAT, "no tokenizer.ggml.model: the file carries no tokenizer");
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++)
        if (strlen(models[i].model) == model.size && memcmp(model.data, models[i].model, model.size) == 0) return models[i].read(t, g);
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) buf_printf(&known, "%s%s", i ? ", " : "", models[i].model);
    status s = FAIL(ST_UNSUPPORTED, "tokenizer.ggml.model '%.*s' is not supported; supported are %s",
                    (int)(model.size > 40 ? 40 : model.size), model.data, buf_text(&known));
    buf_release(&known);
    return s;
}

status tokenizer_load_gguf(struct tokenizer *t, const char *path) {
    struct gguf g;
    TRY(gguf_open(&g, path));
    status s = read_all(t, &g);
    gguf_release(&g);
    return s == ST_OK ? s : status_note(s, "%s: ", path);
}
