/* The tokenizer inside a GGUF file: tokenizer.ggml.* (ggml docs/gguf.md; llama.cpp src/llama-vocab.cpp). */
#include <stdlib.h>
#include <string.h>

#include "format/gguf.h"
#include "text/tokenizer_state.h"

enum { TYPE_UNKNOWN = 2, TYPE_CONTROL = 3, TYPE_USER = 4 };

static const struct gguf_value *texts(const struct gguf *g, const char *key) {
    const struct gguf_value *v = gguf_find(g, key);
    return v && v->kind == GGUF_ARRAY && v->item_kind == GGUF_STRING ? v : NULL;
}

static void add_token(struct tokenizer *t, int32_t id, int64_t type) {
    struct added_token *a = &t->added[t->added_count++];
    *a = (struct added_token){.content = t->bpe.text[id], .size = t->bpe.size[id], .id = id, .special = type != TYPE_USER};
    t->is_added[id] = 1;
    t->is_special[id] = a->special;
}

static status read_tokens(struct tokenizer *t, const struct gguf *g) {
    const struct gguf_value *tokens = texts(g, "tokenizer.ggml.tokens"), *types = gguf_find(g, "tokenizer.ggml.token_type"),
                            *merges = texts(g, "tokenizer.ggml.merges");
    if (!tokens || !tokens->count) return FAIL(ST_FORMAT, "tokenizer.ggml.tokens: expected an array of strings");
    if (!merges) return FAIL(ST_FORMAT, "tokenizer.ggml.merges: expected an array of strings");
    if (types && (types->kind != GGUF_ARRAY || types->item_kind != GGUF_I32 || types->count != tokens->count))
        return FAIL(ST_FORMAT, "tokenizer.ggml.token_type: expected %zu 32-bit integers, one a token", tokens->count);
    t->model = &token_model_bytes;
    TRY(tokenizer_reserve(t, tokens->count, merges->count, tokens->count));
    for (size_t i = 0; i < tokens->count; i++) {
        struct gguf_text text = tokens->texts[i];
        int64_t type = types ? gguf_item_int(types, i) : 1;
        char *bytes = arena_text(&t->arena, text.data, text.size);
        size_t n = text.size;
        bool literal = type == TYPE_CONTROL || type == TYPE_USER || type == TYPE_UNKNOWN;
        if (!literal && !bpe_bytes_of_text(bytes, &n, text.data, text.size)) { /* not byte-mapped: stands as it is */
            memcpy(bytes, text.data, text.size);
            n = text.size;
        } else if (!literal)
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
        bool ok = bpe_bytes_of_text(left.data, &left.size, m.data, a) && bpe_bytes_of_text(right.data, &right.size, space + 1, b);
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

static status read_special(struct tokenizer *t, const struct gguf *g, const struct pretoken_row *row) {
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
    bool bos = row->ignore_merges, eos = false; /* llama-bpe adds BOS unless the file says otherwise */
    (void)gguf_bool(&bos, g, "tokenizer.ggml.add_bos_token");
    (void)gguf_bool(&eos, g, "tokenizer.ggml.add_eos_token");
    if (bos && t->bos >= 0) ids_push(&t->prefix, t->bos);
    if (eos && t->eos >= 0) ids_push(&t->suffix, t->eos);
    struct gguf_text text;
    if (gguf_text_of(&text, g, "tokenizer.chat_template")) t->chat_template = mem_text_n(text.data, text.size);
    return ST_OK;
}

static status read_all(struct tokenizer *t, const struct gguf *g) {
    struct gguf_text model, pre = {"gpt-2", 5};
    const struct pretoken_row *row = NULL;
    if (!gguf_text_of(&model, g, "tokenizer.ggml.model")) return FAIL(ST_FORMAT, "no tokenizer.ggml.model: the file carries no tokenizer");
    if (model.size != 4 || memcmp(model.data, "gpt2", 4) != 0)
        return FAIL(ST_UNSUPPORTED, "tokenizer.ggml.model '%.*s' is not supported; supported is gpt2 (byte-level BPE)",
                    (int)(model.size > 40 ? 40 : model.size), model.data);
    (void)gguf_text_of(&pre, g, "tokenizer.ggml.pre");
    status s = pretoken_from_name(&t->pretoken, &row, pre.data, pre.size);
    if (s != ST_OK) return status_note(s, "tokenizer.ggml.pre: ");
    TRY(read_tokens(t, g));
    TRY(read_merges(t, g));
    TRY(normalizer_add_form(&t->normalizer, row->form));
    t->bpe.ignore_merges = row->ignore_merges;
    struct buf kind = {0};
    buf_printf(&kind, "GGUF gpt2/%.*s", (int)pre.size, pre.data);
    t->kind = arena_text(&t->arena, buf_text(&kind), kind.size);
    buf_release(&kind);
    return read_special(t, g, row);
}

status tokenizer_load_gguf(struct tokenizer *t, const char *path) {
    struct gguf g;
    TRY(gguf_open(&g, path));
    status s = read_all(t, &g);
    gguf_release(&g);
    return s == ST_OK ? s : status_note(s, "%s: ", path);
}
