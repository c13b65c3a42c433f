#include "text/tokenizer.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/utf8.h"
#include "text/tokenizer_state.h"
#include "text/unicode.h"

/* The files that a folder may hold its tokenizer in, the better first. */
static const struct {
    const char *name;
    status (*load)(struct tokenizer *t, const char *file, const char *folder);
} folder_files[] = {{"tokenizer.json", tokenizer_load_json},
                    {"tokenizer.model", tokenizer_load_spm_model},
                    {"spiece.model", tokenizer_load_spm_model},
                    {"vocab.json", tokenizer_load_vocab_json},
                    {"encoder.json", tokenizer_load_encoder_json}};

bool tokenizer_in_folder(const char *path) {
    bool there = false;
    for (size_t i = 0; i < sizeof folder_files / sizeof folder_files[0] && !there; i++) {
        char *file = file_join(path, folder_files[i].name);
        there = file_exists(file);
        free(file);
    }
    return there;
}

static status open_folder(struct tokenizer *t, const char *path) {
    for (size_t i = 0; i < sizeof folder_files / sizeof folder_files[0]; i++) {
        char *file = file_join(path, folder_files[i].name);
        const bool there = file_exists(file);
        status s = there ? folder_files[i].load(t, file, path) : ST_OK;
        free(file);
        if (there) return s;
    }
    return FAIL(ST_UNSUPPORTED, "%s: the folder holds no tokenizer.json, tokenizer.model or vocab.json", path);
}

static status open_path(struct tokenizer *t, const char *path) {
    struct file_map head;
    if (file_is_dir(path)) return open_folder(t, path);
    TRY(file_map_open(&head, path));
    const bool gguf = head.size >= 4 && memcmp(head.data, "GGUF", 4) == 0;
    size_t blank = 0;
    while (blank < head.size && head.data[blank] && strchr(" \t\r\n", head.data[blank])) blank++;
    const bool model = blank && blank < head.size && head.data[0] == '\n' && head.data[blank] != '{'; /* field 1: a piece */
    file_map_release(&head);
    return gguf ? tokenizer_load_gguf(t, path) : model ? tokenizer_load_spm_model(t, path, NULL) : tokenizer_load_json(t, path, NULL);
}

status tokenizer_open(struct tokenizer **out, const char *path) {
    struct tokenizer *t = mem_zero(1, sizeof *t);
    t->bos = t->eos = t->pad = t->unk = -1;
    t->path = mem_text(path);
    t->words = word_pool_new();
    status s = open_path(t, path);
    if (s == ST_OK) s = tokenizer_finish(t);
    if (s != ST_OK) {
        tokenizer_free(t);
        return s;
    }
    *out = t;
    return ST_OK;
}

void tokenizer_free(struct tokenizer *t) {
    if (!t) return;
    normalizer_release(&t->normalizer);
    pretoken_release(&t->pretoken);
    detoken_release(&t->detoken);
    ids_release(&t->prefix);
    ids_release(&t->suffix);
    free(t->added);
    word_pool_free(t->words);
    free(t->path);
    free(t->chat_template);
    arena_release(&t->arena);
    free(t);
}

static int compare_added(const void *a, const void *b) {
    const struct added_token *x = a, *y = b;
    unsigned char cx = (unsigned char)x->match[0], cy = (unsigned char)y->match[0];
    if (cx != cy) return cx < cy ? -1 : 1;
    if (x->match_size != y->match_size) return x->match_size > y->match_size ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

void tokenizer_add_end(struct tokenizer *t, int32_t id) {
    if (id < 0 || tokenizer_is_end(t, id) || t->end_count == TOKENIZER_ENDS_MAX) return;
    t->ends[t->end_count++] = id;
}

/* Vocabulary, merges, cuts and special tokens, in an order that does not depend on the kind of file. */
static void fill_hash(struct tokenizer *t) {
    struct buf all = {0};
    for (int32_t i = 0; i < t->bpe.count; i++) {
        buf_append(&all, t->bpe.text[i] ? t->bpe.text[i] : "", t->bpe.size[i]);
        buf_append_char(&all, (char)(1 + t->is_special[i] + 2 * t->is_added[i]));
    }
    uint64_t merges = 0;
    for (size_t i = 0; i <= t->bpe.merge_mask; i++)
        if (t->bpe.merges[i].key != UINT64_MAX) merges += hash_bytes(&t->bpe.merges[i], sizeof t->bpe.merges[i], 1);
    if (t->unigram.on) buf_append(&all, t->unigram.score, (size_t)t->bpe.count * sizeof *t->unigram.score);
    if (t->spm.rank) buf_append(&all, t->spm.rank, (size_t)t->bpe.count * sizeof *t->spm.rank);
    buf_printf(&all, "%llx,%d,%d,", (unsigned long long)merges, t->bos, t->eos);
    normalizer_put_json(&t->normalizer, &all);
    pretoken_put_json(&t->pretoken, &all);
    if (t->bpe.chars) detoken_put_json(&t->detoken, &all);
    hash_hex(t->hash, all.data, all.size);
    buf_release(&all);
}

status tokenizer_reserve(struct tokenizer *t, size_t count, size_t merges, size_t added) {
    TRY(bpe_init(&t->bpe, &t->arena, count, merges));
    t->is_special = arena_take(&t->arena, count, 1);
    t->is_added = arena_take(&t->arena, count, 1);
    t->added = mem_zero(added + 1, sizeof *t->added);
    return ST_OK;
}

/* What each added token looks like where it is looked for. */
static status fill_matches(struct tokenizer *t) {
    struct buf form = {0};
    status s = ST_OK;
    for (size_t i = 0; i < t->added_count && s == ST_OK; i++) {
        struct added_token *a = &t->added[i];
        const bool set = a->match != NULL;
        if (!set) {
            a->match = a->content;
            a->match_size = a->size;
        }
        if (!set && a->normalized && t->normalizer.count) {
            buf_clear(&form);
            s = normalizer_run(&t->normalizer, &form, a->content, a->size);
            a->match = arena_text(&t->arena, buf_text(&form), form.size);
            a->match_size = form.size;
        }
        if (a->match_size) t->added_starts[a->normalized][(unsigned char)a->match[0]] = true;
    }
    buf_release(&form);
    return s;
}

status tokenizer_finish(struct tokenizer *t) {
    static const char *const turn_ends[] = {"<|im_end|>",      "<|eot_id|>", "<|end|>",     "<end_of_turn>", "<|endoftext|>",
                                            "<|end_of_text|>", "<|eom_id|>", "<EOS_TOKEN>", "</s>"};
    bpe_find_bytes(&t->bpe);
    TRY(fill_matches(t));
    if (t->added_count) qsort(t->added, t->added_count, sizeof *t->added, compare_added);
    size_t at = 0;
    for (unsigned c = 0; c < 256; c++) {
        t->added_from[c] = (uint32_t)at;
        while (at < t->added_count && (unsigned char)t->added[at].match[0] == c) at++;
    }
    t->added_from[256] = (uint32_t)at;
    tokenizer_add_end(t, t->eos);
    for (size_t i = 0; i < sizeof turn_ends / sizeof turn_ends[0]; i++) {
        int32_t id = bpe_find(&t->bpe, turn_ends[i], strlen(turn_ends[i]));
        if (id >= 0 && t->is_special[id]) tokenizer_add_end(t, id);
    }
    fill_hash(t);
    return ST_OK;
}

static status encode_bpe(const struct tokenizer *t, struct ids *out, const char *piece, size_t size) {
    bpe_encode(&t->bpe, out, piece, size);
    return ST_OK;
}

static status encode_scores(const struct tokenizer *t, struct ids *out, const char *piece, size_t size) {
    spm_encode(&t->spm, &t->bpe, out, piece, size);
    return ST_OK;
}

static status encode_unigram(const struct tokenizer *t, struct ids *out, const char *piece, size_t size) {
    return unigram_encode(&t->unigram, &t->bpe, out, piece, size);
}

const struct token_model token_model_bytes = {"byte-level BPE", encode_bpe};
const struct token_model token_model_chars = {"BPE over characters", encode_bpe};
const struct token_model token_model_scores = {"SentencePiece BPE", encode_scores};
const struct token_model token_model_unigram = {"unigram", encode_unigram};

struct piece_taker {
    const struct tokenizer *t;
    struct ids *out;
    struct word_cache *cache;
};

static status take_piece(void *context, const char *piece, size_t size) {
    const struct piece_taker *taker = context;
    const struct tokenizer *t = taker->t;
    if (size > WORD_BYTES_MAX) return t->model->encode(t, taker->out, piece, size);
    uint64_t key[4];
    word_key(key, piece, size);
    struct word_entry *e = word_slot(taker->cache, key, size);
    if (word_is(e, key, size)) {
        ids_append(taker->out, e->ids, e->count);
        return ST_OK;
    }
    const size_t before = taker->out->count;
    TRY(t->model->encode(t, taker->out, piece, size));
    const size_t made = taker->out->count - before;
    if (made > WORD_IDS_MAX) return ST_OK;
    memcpy(e->word, key, sizeof key);
    if (made) memcpy(e->ids, taker->out->data + before, made * sizeof *e->ids);
    e->size = (uint8_t)size;
    e->count = (uint8_t)made;
    return ST_OK;
}

static status encode_plain(const struct tokenizer *t, struct ids *out, const char *text, size_t size, bool at_start) {
    if (!size) return ST_OK;
    struct piece_taker taker = {t, out, word_pool_take(t->words)};
    status s = pretoken_split(&t->pretoken, text, size, at_start, take_piece, &taker);
    word_pool_give(t->words, taker.cache);
    return s;
}

static bool word_char(const char *at, const char *end) {
    size_t n = utf8_size(at, end);
    if (!n) return false;
    if (*at == '_') return true;
    const int c = unicode_category(utf8_get(at, n));
    return (c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_LO) || (c >= UTF8PROC_CATEGORY_MN && c <= UTF8PROC_CATEGORY_NO);
}

static const char *char_before(const char *start, const char *at) {
    do at--;
    while (at > start && ((unsigned char)*at & 0xc0) == 0x80);
    return at;
}

/* The longest added token that starts at `at`, of those that match the text before (normalized false) or after normalisation; or NULL. */
static const struct added_token *match_added(const struct tokenizer *t, const char *at, const char *end, bool normalized) {
    unsigned c = (unsigned char)*at;
    for (uint32_t i = t->added_from[c]; i < t->added_from[c + 1]; i++) {
        const struct added_token *a = &t->added[i];
        if (a->normalized == normalized && a->match_size <= (size_t)(end - at) && memcmp(a->match, at, a->match_size) == 0) return a;
    }
    return NULL;
}

static bool is_word(const struct added_token *a, const char *start, const char *at, const char *end) {
    return (at == start || !word_char(char_before(start, at), end)) && (at + a->match_size == end || !word_char(at + a->match_size, end));
}

static const char *back_over_space(const char *at, const char *from) {
    while (at > from) {
        const char *last = char_before(from, at);
        if (!utf8_is_space(utf8_get(last, (size_t)(at - last)))) break;
        at = last;
    }
    return at;
}

static const char *over_space(const char *at, const char *end) {
    while (at < end) {
        size_t n = utf8_size(at, end);
        if (!utf8_is_space(utf8_get(at, n))) break;
        at += n;
    }
    return at;
}

static status normalised(const struct tokenizer *t, struct ids *out, const char *text, size_t size, bool at_start);

/* Cuts the text at added tokens; what lies between goes on: first pass on the text as it is, second on what was normalised. */
static status encode_cut(const struct tokenizer *t, struct ids *out, const char *text, size_t size, bool at_start, bool second) {
    const char *at = text, *from = text, *end = text + size;
    const bool *starts = t->added_starts[second];
    status (*rest)(const struct tokenizer *, struct ids *, const char *, size_t, bool) = second ? encode_plain : normalised;
    for (;;) {
        while (at < end && !starts[(unsigned char)*at]) at++;
        if (at == end) break;
        const struct added_token *a = match_added(t, at, end, second);
        if (!a) {
            at++;
            continue;
        }
        const char *stop = at, *next = at + a->match_size;
        at = next;
        if (a->single_word && !is_word(a, text, stop, end)) continue;
        if (a->lstrip) stop = back_over_space(stop, from);
        if (a->rstrip) at = next = over_space(next, end);
        TRY(rest(t, out, from, (size_t)(stop - from), at_start && from == text));
        ids_push(out, a->id);
        from = next;
    }
    return rest(t, out, from, (size_t)(end - from), at_start && from == text);
}

static status normalised(const struct tokenizer *t, struct ids *out, const char *text, size_t size, bool at_start) {
    struct buf form = {0};
    if (!size) return ST_OK;
    if (!t->normalizer.count) return encode_cut(t, out, text, size, at_start, true);
    status s = normalizer_run(&t->normalizer, &form, text, size);
    if (s == ST_OK) s = encode_cut(t, out, buf_text(&form), form.size, at_start, true);
    buf_release(&form);
    return s;
}

status tokenizer_encode(const struct tokenizer *t, struct ids *out, const char *text, size_t size, bool add_special) {
    if (size > INT32_MAX) return FAIL(ST_UNSUPPORTED, "a text of %zu bytes; at most 2 GiB at a time", size);
    size_t valid = utf8_valid_prefix(text, size);
    if (valid != size)
        return FAIL(ST_FORMAT, "text: byte %zu: expected valid UTF-8, found byte 0x%02x", valid + 1, (unsigned)(unsigned char)text[valid]);
    if (add_special) ids_append(out, t->prefix.data, t->prefix.count);
    TRY(encode_cut(t, out, text, size, true, false));
    if (add_special) ids_append(out, t->suffix.data, t->suffix.count);
    return ST_OK;
}

/* Added tokens that are looked for in normalised text come back in that form, as tokenizers has it. */
static const struct added_token *normalized_token(const struct tokenizer *t, int32_t id) {
    if (t->is_added[id])
        for (size_t i = 0; i < t->added_count; i++)
            if (t->added[i].id == id && t->added[i].normalized) return &t->added[i];
    return NULL;
}

void tokenizer_decode_next(const struct tokenizer *t, struct detoken_state *state, struct buf *out, int32_t id, bool skip_special) {
    if (id < 0 || id >= t->bpe.count || !t->bpe.text[id] || (skip_special && t->is_special[id])) return;
    if (!t->bpe.chars) {
        buf_append(out, t->bpe.text[id], t->bpe.size[id]);
        return;
    }
    const struct added_token *a = normalized_token(t, id);
    detoken_next(&t->detoken, state, out, a ? a->match : t->bpe.text[id], a ? a->match_size : t->bpe.size[id]);
}

void tokenizer_decode(const struct tokenizer *t, struct buf *out, const int32_t *ids, size_t count, bool skip_special) {
    struct detoken_state state = {0};
    for (size_t i = 0; i < count; i++) tokenizer_decode_next(t, &state, out, ids[i], skip_special);
}

void tokenizer_piece(const struct tokenizer *t, struct buf *out, int32_t id) {
    struct detoken_state inside = {.tokens = 1, .strip_done = true};
    struct buf text = {0};
    tokenizer_decode_next(t, &inside, &text, id, false);
    const size_t skip = t->bpe.chars && t->detoken.spaced && text.size; /* the space between tokens */
    buf_append(out, buf_text(&text) + skip, text.size - skip);
    buf_release(&text);
}

static const char *text_of(const struct tokenizer *t, int32_t id) { return id < 0 ? NULL : t->bpe.text[id]; }

int32_t tokenizer_vocab_size(const struct tokenizer *t) { return t->bpe.count; }
int32_t tokenizer_token_id(const struct tokenizer *t, const char *content) { return bpe_find(&t->bpe, content, strlen(content)); }
int32_t tokenizer_bos(const struct tokenizer *t) { return t->bos; }
int32_t tokenizer_eos(const struct tokenizer *t) { return t->eos; }
int32_t tokenizer_pad(const struct tokenizer *t) { return t->pad; }
const char *tokenizer_bos_text(const struct tokenizer *t) { return text_of(t, t->bos); }
const char *tokenizer_eos_text(const struct tokenizer *t) { return text_of(t, t->eos); }
const char *tokenizer_chat_template(const struct tokenizer *t) { return t->chat_template; }

void tokenizer_set_chat_template(struct tokenizer *t, const char *chat_template) {
    free(t->chat_template);
    t->chat_template = mem_text(chat_template);
    t->new_template = true;
}
const char *tokenizer_hash(const struct tokenizer *t) { return t->hash; }

bool tokenizer_is_end(const struct tokenizer *t, int32_t id) {
    for (size_t i = 0; i < t->end_count; i++)
        if (t->ends[i] == id) return true;
    return false;
}

static void describe_token(struct buf *out, const struct tokenizer *t, const char *name, int32_t id) {
    if (id < 0) return;
    buf_printf(out, ", %s ", name);
    json_put_text(out, text_of(t, id) ? text_of(t, id) : "");
    buf_printf(out, " (%d)", id);
}

void tokenizer_describe(const struct tokenizer *t, struct buf *out) {
    buf_printf(out, "%s from %s: %d tokens, %zu merges, %zu added tokens, %zu cuts", t->model->name, t->kind, t->bpe.count,
               t->bpe.merge_count, t->added_count, t->pretoken.count);
    describe_token(out, t, "bos", t->bos);
    describe_token(out, t, "eos", t->eos);
    describe_token(out, t, "pad", t->pad);
    buf_printf(out, "%s%s, chat template: %s", t->prefix.count ? ", adds bos" : "", t->suffix.count ? ", adds eos" : "",
               t->chat_template ? "yes" : "none");
}
