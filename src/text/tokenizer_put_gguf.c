/* A tokenizer as the metadata of a GGUF: byte-level BPE as "gpt2", SentencePiece's BPE as "llama" (llama.cpp's conversion/base.py:
 * get_vocab_base, _create_vocab_sentencepiece; gguf-py's SpecialVocab). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "format/gguf_write.h"
#include "text/tokenizer_state.h"

#define MARK "\xe2\x96\x81"
enum { TYPE_NORMAL = 1, TYPE_CONTROL = 3, TYPE_USER = 4, TYPE_UNUSED = 5, TYPE_BYTE = 6 };

/* What the file will say, one entry a token. */
struct vocabulary {
    struct buf *texts;
    float *scores;
    int32_t *types;
    size_t count;
};

static status vocabulary_init(struct vocabulary *v, size_t count) {
    *v = (struct vocabulary){.count = count};
    TRY(mem_try_alloc(&v->texts, count, sizeof *v->texts, "the tokens"));
    TRY(mem_try_alloc(&v->scores, count, sizeof *v->scores, "the tokens"));
    return mem_try_alloc(&v->types, count, sizeof *v->types, "the tokens");
}

static void vocabulary_release(struct vocabulary *v) {
    for (size_t i = 0; i < v->count && v->texts; i++) buf_release(&v->texts[i]);
    free(v->texts);
    free(v->scores);
    free(v->types);
}

static bool framed(const char *text, size_t size, const char *head, const char *tail) {
    const size_t n = strlen(head), m = strlen(tail);
    return size >= n + m && memcmp(text, head, n) == 0 && memcmp(text + size - m, tail, m) == 0;
}

/* does_token_look_special of llama.cpp's converter: added tokens that models forget to mark as special. */
static bool looks_special(const char *text, size_t size) {
    static const char *const whole[] = {"<pad>", "<mask>", "<2mass>", "[@BOS@]"};
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++)
        if (strlen(whole[i]) == size && memcmp(text, whole[i], size) == 0) return true;
    return framed(text, size, "<|", "|>") || framed(text, size, "<\xef\xbd\x9c", "\xef\xbd\x9c>") || framed(text, size, "<unused", ">");
}

/* An added token: control, or user-defined with its marks written as spaces. */
static void put_added(struct vocabulary *v, const struct added_token *a) {
    struct buf *text = &v->texts[a->id];
    const bool control = a->special || looks_special(a->content, a->size);
    buf_clear(text);
    for (size_t i = 0; i < a->size;) {
        const bool mark = !control && a->size - i >= 3 && memcmp(a->content + i, MARK, 3) == 0;
        buf_append_char(text, mark ? ' ' : a->content[i]);
        i += mark ? 3 : 1;
    }
    v->types[a->id] = control ? TYPE_CONTROL : TYPE_USER;
    v->scores[a->id] = -1000;
}

/* Ids without a token. */
static void put_unused(struct vocabulary *v) {
    for (size_t i = 0; i < v->count; i++) {
        if (v->types[i]) continue;
        buf_clear(&v->texts[i]);
        buf_printf(&v->texts[i], "[PAD%zu]", i);
        v->types[i] = TYPE_UNUSED;
        v->scores[i] = -10000;
    }
}

/* Byte-mapped, as GPT-2 writes its vocabulary. */
static void put_mapped(struct buf *out, const struct tokenizer *t, int32_t id) {
    char mapped[4];
    for (uint32_t i = 0; i < t->bpe.size[id]; i++) buf_append(out, mapped, bpe_text_of_byte(mapped, (unsigned char)t->bpe.text[id][i]));
}

static int compare_merges(const void *a, const void *b) {
    const struct bpe_merge *x = *(const struct bpe_merge *const *)a, *y = *(const struct bpe_merge *const *)b;
    return (x->rank > y->rank) - (x->rank < y->rank);
}

/* The merges in order; *count of them. */
static status sorted_merges(const struct bpe_merge ***out, size_t *count, const struct bpe *b) {
    size_t n = 0;
    TRY(mem_try_alloc(out, b->merge_mask + 1, sizeof **out, "the merges"));
    for (size_t i = 0; i <= b->merge_mask; i++)
        if (b->merges[i].key != UINT64_MAX) (*out)[n++] = &b->merges[i];
    qsort(*out, n, sizeof **out, compare_merges);
    *count = n;
    return ST_OK;
}

static void put_tokens(struct gguf_writer *w, const struct vocabulary *v, bool scores) {
    gguf_put_array(w, "tokenizer.ggml.tokens", GGUF_STRING, v->count);
    for (size_t i = 0; i < v->count; i++) gguf_put_item_text(w, buf_text(&v->texts[i]), v->texts[i].size);
    if (scores) {
        gguf_put_array(w, "tokenizer.ggml.scores", GGUF_F32, v->count);
        gguf_put_items(w, v->scores, v->count * sizeof *v->scores);
    }
    gguf_put_array(w, "tokenizer.ggml.token_type", GGUF_I32, v->count);
    gguf_put_items(w, v->types, v->count * sizeof *v->types);
}

static void put_model(struct gguf_writer *w, const char *model, const char *pre, size_t pre_size) {
    gguf_put_text(w, "tokenizer.ggml.model", model, strlen(model));
    gguf_put_text(w, "tokenizer.ggml.pre", pre, pre_size);
}

static status put_merges(struct gguf_writer *w, const struct tokenizer *t) {
    const struct bpe_merge **merges = NULL;
    size_t count = 0;
    struct buf text = {0};
    status s = sorted_merges(&merges, &count, &t->bpe);
    if (s == ST_OK) gguf_put_array(w, "tokenizer.ggml.merges", GGUF_STRING, count);
    for (size_t i = 0; i < count && s == ST_OK; i++) {
        buf_clear(&text);
        put_mapped(&text, t, (int32_t)(merges[i]->key >> 32));
        buf_append_char(&text, ' ');
        put_mapped(&text, t, (int32_t)(uint32_t)merges[i]->key);
        gguf_put_item_text(w, buf_text(&text), text.size);
    }
    buf_release(&text);
    free(merges);
    return s;
}

static status put_gpt2(struct gguf_writer *w, struct vocabulary *v, const struct tokenizer *t) {
    const struct pretoken_row *row;
    bool same_form;
    TRY(pretoken_find_row(&row, &same_form, &t->pretoken, &t->normalizer, t->bpe.ignore_merges));
    if (!row) return FAIL(ST_UNSUPPORTED, "GGUF: this pre-tokenizer, with its ignore_merges, is none that GGUF has a name for");
    if (!same_form) log_warn("GGUF has no normaliser for this tokenizer: texts that it changes will have other ids there");
    for (int32_t id = 0; id < t->bpe.count; id++) {
        if (!t->bpe.text[id] || t->is_added[id]) continue;
        put_mapped(&v->texts[id], t, id);
        v->types[id] = TYPE_NORMAL;
    }
    for (size_t i = 0; i < t->added_count; i++) put_added(v, &t->added[i]);
    put_unused(v);
    put_model(w, "gpt2", row->names, strcspn(row->names, ","));
    put_tokens(w, v, false);
    return put_merges(w, t);
}

/* Is this the normaliser that SentencePiece's BPE has: spaces become marks, and with `prefix` one stands in front? */
static status is_plain(bool *is, const struct normalizer *n, bool prefix, bool replace) {
    struct normalizer plain = {0};
    struct buf a = {0}, b = {0};
    status s = prefix ? normalizer_add_prepend(&plain, MARK) : ST_OK;
    if (s == ST_OK && replace) s = normalizer_add_replace(&plain, " ", MARK);
    normalizer_put_json(&plain, &a);
    normalizer_put_json(n, &b);
    *is = s == ST_OK && a.size == b.size && memcmp(buf_text(&a), buf_text(&b), a.size) == 0;
    normalizer_release(&plain);
    buf_release(&a);
    buf_release(&b);
    return s;
}

/* *prefix: texts begin with a mark. An error where more happens to texts than GGUF's "llama" does. */
static status space_prefix(bool *prefix, const struct tokenizer *t) {
    const struct normalizer *n = &t->normalizer;
    const struct pretoken_step *step = t->pretoken.count ? &t->pretoken.steps[0] : NULL;
    const struct sentence_rules *r = n->count == 1 && n->steps[0].sentence.escape_spaces ? &n->steps[0].sentence : NULL;
    const bool metaspace = t->pretoken.count == 1 && strcmp(step->mark, MARK) == 0 && !step->at_marks;
    bool found = false, whole = metaspace;
    if (r) {
        *prefix = r->dummy_prefix;
        found = !n->steps[0].map && !r->remove_extra_spaces && !r->space_as_suffix;
    } else if (metaspace) {
        *prefix = step->prepend != PREPEND_NEVER;
        TRY(is_plain(&found, n, false, false));
    } else {
        *prefix = true;
        TRY(is_plain(&found, n, true, true));
        if (!found) *prefix = false;
        if (!found) TRY(is_plain(&found, n, false, true));
    }
    if (found && !metaspace) TRY(pretoken_is_whole(&whole, &t->pretoken, n));
    return found && whole ? ST_OK
                          : FAIL(ST_UNSUPPORTED, "GGUF: the normaliser or pre-tokenizer of this tokenizer does more than GGUF's \"llama\"");
}

/* In how many ways tokens that are not added make up this one. */
static size_t count_cuts(const struct tokenizer *t, int32_t id) {
    const struct bpe *b = &t->bpe;
    size_t n = 0;
    for (uint32_t cut = 1; cut < b->size[id]; cut++) {
        const char *right = b->text[id] + cut;
        if (((unsigned char)*right & 0xc0) == 0x80) continue;
        const int32_t l = bpe_find(b, b->text[id], cut), r = bpe_find(b, right, b->size[id] - cut);
        n += l >= 0 && r >= 0 && !t->is_added[l] && !t->is_added[r];
    }
    return n;
}

/* Scores that make SentencePiece merge in the order of the merges: less by 1 with every token that merges lead to. That is possible where
 * all merges into a token stand together and leave none of its cuts out, as in lists that were made from scores. */
static status scores_of_merges(struct vocabulary *v, const struct tokenizer *t) {
    const struct bpe_merge **merges = NULL;
    size_t count = 0, group = 0;
    status s = sorted_merges(&merges, &count, &t->bpe);
    for (size_t i = 0; i < count && s == ST_OK;) {
        const int32_t id = merges[i]->id;
        size_t n = 0;
        for (; i < count && merges[i]->id == id; i++) {
            const int32_t l = (int32_t)(merges[i]->key >> 32), r = (int32_t)(uint32_t)merges[i]->key;
            n += !t->is_added[l] && !t->is_added[r];
        }
        if (v->scores[id] != 0 || n != count_cuts(t, id))
            s = FAIL(ST_UNSUPPORTED,
                     "GGUF: the merges of this tokenizer.json are no list made from SentencePiece's scores (token %d), and "
                     "there is no tokenizer.model beside it",
                     id);
        v->scores[id] = -(float)++group;
    }
    free(merges);
    return s;
}

/* "<0x0A>" as a byte's token. */
static bool is_byte(const struct tokenizer *t, int32_t id) {
    return t->bpe.byte_fallback && detoken_byte(t->bpe.text[id], t->bpe.size[id]) >= 0;
}

static status fill_llama(struct vocabulary *v, const struct tokenizer *t, const struct tokenizer *model) {
    for (int32_t id = 0; id < t->bpe.count; id++) {
        if (!t->bpe.text[id]) continue;
        buf_append(&v->texts[id], t->bpe.text[id], t->bpe.size[id]);
        v->types[id] = is_byte(t, id) ? TYPE_BYTE : TYPE_NORMAL;
    }
    if (!model) TRY(scores_of_merges(v, t));
    for (int32_t id = 0; model && id < model->bpe.count; id++) {
        if (!model->bpe.text[id] || !model->types[id] || (model != t && t->is_added[id])) continue;
        if (id >= t->bpe.count || !t->bpe.text[id] || model->bpe.size[id] != t->bpe.size[id] ||
            memcmp(model->bpe.text[id], t->bpe.text[id], t->bpe.size[id]) != 0)
            return FAIL(ST_MISMATCH, "tokenizer.model and tokenizer.json differ at token %d", id);
        v->scores[id] = model->scores[id];
        v->types[id] = model->types[id];
    }
    for (size_t i = 0; i < t->added_count; i++)
        if (!t->types || !t->types[t->added[i].id]) put_added(v, &t->added[i]);
    return ST_OK;
}

/* The tokenizer.model that has the scores: t itself or the file beside it; *out NULL where there is none. */
static status open_scores(struct tokenizer **out, const struct tokenizer *t) {
    char *path = file_join(t->path, "tokenizer.model");
    *out = NULL;
    status s = !t->scores && file_is_dir(t->path) && file_exists(path) ? tokenizer_open(out, path) : ST_OK;
    free(path);
    if (s == ST_OK && *out && (*out)->model != &token_model_scores) {
        tokenizer_free(*out);
        *out = NULL;
    }
    return s;
}

static status put_llama(struct gguf_writer *w, struct vocabulary *v, const struct tokenizer *t) {
    struct tokenizer *beside;
    bool prefix;
    TRY(space_prefix(&prefix, t));
    for (int byte = 0; byte < 256; byte++)
        if (!t->bpe.byte_fallback || t->bpe.byte_ids[byte] < 0)
            return FAIL(ST_UNSUPPORTED,
                        "GGUF: a SentencePiece vocabulary without tokens for single bytes (<0x00> to <0xFF>) has no form there");
    TRY(open_scores(&beside, t));
    status s = fill_llama(v, t, t->scores ? t : beside);
    tokenizer_free(beside);
    TRY(s);
    put_unused(v);
    put_model(w, "llama", "default", 7);
    put_tokens(w, v, true);
    gguf_put_bool(w, "tokenizer.ggml.add_space_prefix", prefix);
    return ST_OK;
}

/* The token that texts begin or end with is the bos or eos, whether or not it is named so elsewhere. */
static status put_around(struct gguf_writer *w, int64_t *id, const struct ids *around, const char *name) {
    char key[64];
    if (around->count > 1 || (around->count && *id >= 0 && around->data[0] != *id))
        return FAIL(ST_UNSUPPORTED, "GGUF: this tokenizer puts more than its %s token around texts, which has no form there", name);
    if (around->count) *id = around->data[0];
    snprintf(key, sizeof key, "tokenizer.ggml.add_%s_token", name);
    gguf_put_bool(w, key, around->count > 0);
    return ST_OK;
}

static status put_special(struct gguf_writer *w, const struct tokenizer *t, size_t vocab, const int64_t model_ids[3]) {
    struct {
        const char *name;
        int64_t id, model;
    } ids[] = {{"bos", t->bos, model_ids[0]}, {"eos", t->eos, model_ids[1]}, {"padding", t->pad, model_ids[2]}, {"unknown", t->unk, -1}};
    char key[64];
    TRY(put_around(w, &ids[0].id, &t->prefix, "bos"));
    TRY(put_around(w, &ids[1].id, &t->suffix, "eos"));
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        const int64_t id = ids[i].id >= 0 ? ids[i].id : ids[i].model;
        snprintf(key, sizeof key, "tokenizer.ggml.%s_token_id", ids[i].name);
        if (id >= 0 && (uint64_t)id < vocab) gguf_put_u32(w, key, (uint32_t)id);
    }
    if (t->chat_template) gguf_put_text(w, "tokenizer.chat_template", t->chat_template, strlen(t->chat_template));
    return ST_OK;
}

static void warn_of_flags(const struct tokenizer *t) {
    for (size_t i = 0; i < t->added_count; i++) {
        const struct added_token *a = &t->added[i];
        if (!a->single_word && !a->lstrip && !a->rstrip) continue;
        log_warn("GGUF cannot say that '%.*s' (and maybe more tokens) takes the blanks beside it along, or is a word of its own only: "
                 "texts with it may "
                 "have other ids there",
                 (int)a->size, a->content);
        return;
    }
}

status tokenizer_put_gguf(const struct tokenizer *t, struct gguf_writer *w, size_t vocab, const int64_t model_ids[3]) {
    struct vocabulary v = {0};
    if ((size_t)t->bpe.count > vocab)
        return FAIL(ST_MISMATCH, "the tokenizer has %d tokens, the model's embedding only %zu rows", t->bpe.count, vocab);
    if (t->model == &token_model_unigram)
        return FAIL(ST_UNSUPPORTED, "GGUF: a unigram tokenizer has no form that llama.cpp reads in decoders");
    status s = vocabulary_init(&v, vocab);
    if (s == ST_OK) s = t->model == &token_model_bytes ? put_gpt2(w, &v, t) : put_llama(w, &v, t);
    vocabulary_release(&v);
    if (s == ST_OK) warn_of_flags(t);
    return s == ST_OK ? put_special(w, t, vocab, model_ids) : s;
}
