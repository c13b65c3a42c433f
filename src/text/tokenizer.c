#include "text/tokenizer.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/utf8.h"
#include "text/tokenizer_state.h"

static status open_path(struct tokenizer *t, const char *path) {
    struct file_map head;
    if (file_is_dir(path)) {
        char *file = file_join(path, "tokenizer.json");
        status s =
            file_exists(file)
                ? tokenizer_load_json(t, file, path)
                : FAIL(ST_UNSUPPORTED,
                       "%s: the folder holds no tokenizer.json (byte-level BPE is what is read; SentencePiece models need one too)", path);
        free(file);
        return s;
    }
    TRY(file_map_open(&head, path));
    bool gguf = head.size >= 4 && memcmp(head.data, "GGUF", 4) == 0;
    file_map_release(&head);
    return gguf ? tokenizer_load_gguf(t, path) : tokenizer_load_json(t, path, NULL);
}

status tokenizer_open(struct tokenizer **out, const char *path) {
    struct tokenizer *t = mem_zero(1, sizeof *t);
    t->bos = t->eos = t->pad = t->unk = -1;
    t->path = mem_text(path);
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
    pretoken_release(&t->pretoken);
    ids_release(&t->prefix);
    ids_release(&t->suffix);
    free(t->added);
    free(t->path);
    free(t->chat_template);
    arena_release(&t->arena);
    free(t);
}

static int compare_added(const void *a, const void *b) {
    const struct added_token *x = a, *y = b;
    unsigned char cx = (unsigned char)x->content[0], cy = (unsigned char)y->content[0];
    if (cx != cy) return cx < cy ? -1 : 1;
    if (x->size != y->size) return x->size > y->size ? -1 : 1;
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
    buf_printf(&all, "%llx,%d,%d,%d", (unsigned long long)merges, t->bos, t->eos, (int)t->form);
    for (size_t i = 0; i < t->pretoken.count; i++)
        buf_printf(&all, "|%s", t->pretoken.steps[i].pattern ? t->pretoken.steps[i].pattern : " ");
    hash_hex(t->hash, all.data, all.size);
    buf_release(&all);
}

status tokenizer_finish(struct tokenizer *t) {
    static const char *const turn_ends[] = {"<|im_end|>",      "<|eot_id|>", "<|end|>",     "<end_of_turn>", "<|endoftext|>",
                                            "<|end_of_text|>", "<|eom_id|>", "<EOS_TOKEN>", "</s>"};
    bpe_find_bytes(&t->bpe);
    if (t->added_count) qsort(t->added, t->added_count, sizeof *t->added, compare_added);
    size_t at = 0;
    for (unsigned c = 0; c < 256; c++) {
        t->added_from[c] = (uint32_t)at;
        while (at < t->added_count && (unsigned char)t->added[at].content[0] == c) at++;
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

static status take_piece(void *context, const char *piece, size_t size) {
    void **pair = context;
    bpe_encode(pair[0], pair[1], piece, size);
    return ST_OK;
}

static status encode_plain(const struct tokenizer *t, struct ids *out, const char *text, size_t size) {
    const void *pair[2] = {&t->bpe, out};
    return pretoken_split(&t->pretoken, text, size, take_piece, pair);
}

static bool word_char(const char *at, const char *end) {
    size_t n = utf8_size(at, end);
    if (!n) return false;
    if (*at == '_') return true;
    utf8proc_category_t c = utf8proc_category((utf8proc_int32_t)utf8_get(at, n));
    return (c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_LO) || (c >= UTF8PROC_CATEGORY_MN && c <= UTF8PROC_CATEGORY_NO);
}

static const char *char_before(const char *start, const char *at) {
    do at--;
    while (at > start && ((unsigned char)*at & 0xc0) == 0x80);
    return at;
}

/* The added token that starts at `at`, of those that match the text before (normalized false) or after normalisation; or NULL. */
static const struct added_token *match_added(const struct tokenizer *t, const char *start, const char *at, const char *end,
                                             bool normalized) {
    unsigned c = (unsigned char)*at;
    for (uint32_t i = t->added_from[c]; i < t->added_from[c + 1]; i++) {
        const struct added_token *a = &t->added[i];
        if (a->normalized != normalized || a->size > (size_t)(end - at) || memcmp(a->content, at, a->size) != 0) continue;
        if (a->single_word &&
            ((at > start && word_char(char_before(start, at), end)) || (at + a->size < end && word_char(at + a->size, end))))
            continue;
        return a;
    }
    return NULL;
}

static bool is_blank(const char *at) { return *at == ' ' || (*at >= '\t' && *at <= '\r'); }

static status normalised(const struct tokenizer *t, struct ids *out, const char *text, size_t size);

/* Cuts the text at added tokens; what lies between goes on: first pass on the text as it is, second on what was normalised. */
static status encode_cut(const struct tokenizer *t, struct ids *out, const char *text, size_t size, bool second) {
    const char *at = text, *from = text, *end = text + size;
    status (*rest)(const struct tokenizer *, struct ids *, const char *, size_t) = second ? encode_plain : normalised;
    while (at < end) {
        const struct added_token *a = match_added(t, text, at, end, second);
        if (!a) {
            at++;
            continue;
        }
        const char *stop = at, *next = at + a->size;
        while (a->lstrip && stop > from && is_blank(stop - 1)) stop--;
        while (a->rstrip && next < end && is_blank(next)) next++;
        TRY(rest(t, out, from, (size_t)(stop - from)));
        ids_push(out, a->id);
        at = from = next;
    }
    return rest(t, out, from, (size_t)(end - from));
}

static status normalised(const struct tokenizer *t, struct ids *out, const char *text, size_t size) {
    static const utf8proc_option_t options[] = {0, UTF8PROC_COMPOSE, UTF8PROC_DECOMPOSE, UTF8PROC_COMPOSE | UTF8PROC_COMPAT,
                                                UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT};
    bool ascii = true;
    for (size_t i = 0; i < size && ascii; i++) ascii = (unsigned char)text[i] < 128;
    if (!size) return ST_OK;
    if (t->form == NORMAL_NONE || ascii) return encode_cut(t, out, text, size, true);
    utf8proc_uint8_t *form = NULL;
    utf8proc_ssize_t n = utf8proc_map((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)size, &form, options[t->form] | UTF8PROC_STABLE);
    if (n < 0) return FAIL(ST_FORMAT, "text cannot be normalised: %s", utf8proc_errmsg(n));
    status s = encode_cut(t, out, (const char *)form, (size_t)n, true);
    free(form);
    return s;
}

status tokenizer_encode(const struct tokenizer *t, struct ids *out, const char *text, size_t size, bool add_special) {
    if (size > INT32_MAX) return FAIL(ST_UNSUPPORTED, "a text of %zu bytes; at most 2 GiB at a time", size);
    size_t valid = utf8_valid_prefix(text, size);
    if (valid != size)
        return FAIL(ST_FORMAT, "text: byte %zu: expected valid UTF-8, found byte 0x%02x", valid + 1, (unsigned)(unsigned char)text[valid]);
    if (add_special) ids_append(out, t->prefix.data, t->prefix.count);
    TRY(encode_cut(t, out, text, size, false));
    if (add_special) ids_append(out, t->suffix.data, t->suffix.count);
    return ST_OK;
}

void tokenizer_decode(const struct tokenizer *t, struct buf *out, const int32_t *ids, size_t count, bool skip_special) {
    for (size_t i = 0; i < count; i++) {
        int32_t id = ids[i];
        if (id < 0 || id >= t->bpe.count || !t->bpe.text[id] || (skip_special && t->is_special[id])) continue;
        buf_append(out, t->bpe.text[id], t->bpe.size[id]);
    }
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
    buf_printf(out, "byte-level BPE from %s: %d tokens, %zu merges, %zu added tokens, %zu cuts", t->kind, t->bpe.count, t->bpe.merge_count,
               t->added_count, t->pretoken.count);
    describe_token(out, t, "bos", t->bos);
    describe_token(out, t, "eos", t->eos);
    describe_token(out, t, "pad", t->pad);
    buf_printf(out, "%s%s, chat template: %s", t->prefix.count ? ", adds bos" : "", t->suffix.count ? ", adds eos" : "",
               t->chat_template ? "yes" : "none");
}
