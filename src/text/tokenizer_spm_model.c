/* tokenizer.model: a SentencePiece model, BPE or unigram (sentencepiece src/sentencepiece_model.proto). */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/utf8.h"
#include "format/proto.h"
#include "text/tokenizer_state.h"

enum { PIECE_NORMAL = 1, PIECE_UNKNOWN, PIECE_CONTROL, PIECE_USER, PIECE_UNUSED, PIECE_BYTE };
enum { MODEL_UNIGRAM = 1, MODEL_BPE = 2 };

struct spec {
    struct proto *pieces; /* [count] */
    size_t count;
    int64_t model, unk, bos, eos, pad;
    bool byte_fallback, add_bos, add_eos;
    struct sentence_rules rules;
    struct proto charsmap;
    float *scores;     /* [count + extra ids] */
    uint8_t *types;    /* the same */
    struct json extra; /* added_tokens_decoder of tokenizer_config.json */
};

static status read_trainer(struct spec *m, struct proto p) {
    struct proto_field f;
    bool more;
    for (;;) {
        TRY(proto_next(&p, &f, &more));
        if (!more) return ST_OK;
        const int64_t value = (int32_t)f.value;
        if (f.number == 3) m->model = value;
        if (f.number == 24) m->rules.space_as_suffix = value;
        if (f.number == 35) m->byte_fallback = value;
        if (f.number == 40) m->unk = value;
        if (f.number == 41) m->bos = value;
        if (f.number == 42) m->eos = value;
        if (f.number == 43) m->pad = value;
    }
}

static status read_normalizer(struct spec *m, struct proto p) {
    struct proto_field f;
    bool more;
    for (;;) {
        TRY(proto_next(&p, &f, &more));
        if (!more) return ST_OK;
        if (f.number == 2 && f.wire == PROTO_BYTES) m->charsmap = f.sub;
        if (f.number == 3) m->rules.dummy_prefix = f.value;
        if (f.number == 4) m->rules.remove_extra_spaces = f.value;
        if (f.number == 5) m->rules.escape_spaces = f.value;
    }
}

static status read_model(struct spec *m, struct proto p) {
    struct buf pieces = {0};
    struct proto_field f;
    bool more = true;
    status s = ST_OK;
    while (s == ST_OK) {
        s = proto_next(&p, &f, &more);
        if (s != ST_OK || !more) break;
        if (f.number > 3) continue;
        if (f.wire != PROTO_BYTES) s = FAIL(ST_FORMAT, "field %u: expected a message", f.number);
        if (s == ST_OK && f.number == 1) buf_append(&pieces, &f.sub, sizeof f.sub);
        if (s == ST_OK && f.number == 2) s = read_trainer(m, f.sub);
        if (s == ST_OK && f.number == 3) s = read_normalizer(m, f.sub);
    }
    m->count = pieces.size / sizeof *m->pieces;
    m->pieces = mem_zero(m->count + 1, sizeof *m->pieces);
    if (m->count) memcpy(m->pieces, pieces.data, pieces.size);
    buf_release(&pieces);
    if (s == ST_OK && !m->count) s = FAIL(ST_FORMAT, "no pieces: not a SentencePiece model");
    if (s == ST_OK && m->model != MODEL_BPE && m->model != MODEL_UNIGRAM)
        s = FAIL(ST_UNSUPPORTED, "model type %lld is not supported; supported are unigram (1) and BPE (2)", (long long)m->model);
    return s;
}

static void add_token(struct tokenizer *t, int32_t id, bool special, bool in_normalised) {
    struct added_token *a = &t->added[t->added_count++];
    *a = (struct added_token){
        .content = t->bpe.text[id], .size = t->bpe.size[id], .id = id, .special = special, .normalized = in_normalised};
    if (in_normalised) { /* stands in the normalised text as it is: the normaliser leaves it alone */
        a->match = a->content;
        a->match_size = a->size;
    }
    t->is_added[id] = 1;
    t->is_special[id] = special;
}

static status read_piece(struct tokenizer *t, struct spec *m, size_t id) {
    struct proto p = m->pieces[id], text = {0};
    struct proto_field f;
    bool more = true;
    m->types[id] = PIECE_NORMAL;
    for (;;) {
        TRY(proto_next(&p, &f, &more));
        if (!more) break;
        if (f.number == 1 && f.wire == PROTO_BYTES) text = f.sub;
        if (f.number == 2 && f.wire == PROTO_32) m->scores[id] = proto_float(&f);
        if (f.number == 3) m->types[id] = f.value >= PIECE_NORMAL && f.value <= PIECE_BYTE ? (uint8_t)f.value : 0;
    }
    const size_t size = (size_t)(text.end - text.at);
    if (!size) return FAIL(ST_FORMAT, "piece %zu: expected a text", id);
    if (utf8_valid_prefix(text.at, size) != size) return FAIL(ST_FORMAT, "piece %zu: the text is not valid UTF-8", id);
    if (!m->types[id]) return FAIL(ST_FORMAT, "piece %zu: expected a type from 1 to 6", id);
    bpe_set(&t->bpe, (int32_t)id, arena_text(&t->arena, text.at, size), size);
    const bool user = m->types[id] == PIECE_USER && m->model == MODEL_BPE;
    if (m->types[id] == PIECE_CONTROL || m->types[id] == PIECE_UNKNOWN || user) add_token(t, (int32_t)id, !user, user);
    return ST_OK;
}

/* Tokens that only tokenizer_config.json has, behind the model's own. */
static status read_extra(struct tokenizer *t, struct spec *m) {
    struct json key, v;
    struct buf text = {0};
    status s = ST_OK;
    for (struct json_iter it = json_iter_begin(m->extra); s == ST_OK && json_iter_next(&it, &key, &v);) {
        char *number = json_text(key);
        const long id = strtol(number, NULL, 10);
        free(number);
        buf_clear(&text);
        if (id < 0 || (size_t)id < m->count) continue;
        if (id >= t->bpe.count || t->bpe.text[id] || !json_string(&text, json_get(v, "content")) || !text.size)
            s = FAIL(ST_FORMAT, "tokenizer_config.json: added_tokens_decoder: %ld: expected a new token's content", id);
        if (s != ST_OK) break;
        bool special = false, left = false, right = false;
        (void)json_bool(&special, json_get(v, "special"));
        (void)json_bool(&left, json_get(v, "lstrip"));
        (void)json_bool(&right, json_get(v, "rstrip"));
        bpe_set(&t->bpe, (int32_t)id, arena_text(&t->arena, text.data, text.size), text.size);
        add_token(t, (int32_t)id, special, false);
        t->added[t->added_count - 1].lstrip = left;
        t->added[t->added_count - 1].rstrip = right;
    }
    buf_release(&text);
    return s;
}

static status count_extra(size_t *count, const struct spec *m) {
    struct json key, v;
    *count = m->count;
    for (struct json_iter it = json_iter_begin(m->extra); json_iter_next(&it, &key, &v);) {
        char *number = json_text(key);
        const long id = strtol(number, NULL, 10);
        free(number);
        if (id >= 1 << 24) return FAIL(ST_FORMAT, "tokenizer_config.json: added_tokens_decoder: expected ids below 2^24, found %ld", id);
        if (id >= 0 && (size_t)id >= *count) *count = (size_t)id + 1;
    }
    return ST_OK;
}

/* Texts that the normaliser leaves alone. */
static status keep_user_defined(struct tokenizer *t, struct spec *m) {
    size_t bytes = 0;
    for (size_t i = 0; i < m->count; i++) bytes += m->types[i] == PIECE_USER ? t->bpe.size[i] : 0;
    if (!bytes) return ST_OK;
    TRY(trie_init(&t->keep, &t->arena, bytes));
    for (size_t i = 0; i < m->count; i++)
        if (m->types[i] == PIECE_USER) trie_add(&t->keep, t->bpe.text[i], t->bpe.size[i], (int32_t)i);
    m->rules.keep = &t->keep;
    return ST_OK;
}

static status set_normalizer(struct tokenizer *t, struct spec *m) {
    const struct sentence_rules *r = &m->rules;
    struct charsmap *map = NULL;
    const size_t size = (size_t)(m->charsmap.end - m->charsmap.at);
    TRY(keep_user_defined(t, m));
    if (size) TRY(charsmap_new(&map, m->charsmap.at, size));
    if (map || r->keep || r->remove_extra_spaces || !r->escape_spaces || r->space_as_suffix)
        return normalizer_add_sentence(&t->normalizer, map, *r);
    if (r->dummy_prefix) TRY(normalizer_add_prepend(&t->normalizer, "\xe2\x96\x81")); /* the same, in a form that tokenizer.json has */
    return normalizer_add_replace(&t->normalizer, " ", "\xe2\x96\x81");
}

static status set_bpe(struct tokenizer *t, const struct spec *m) {
    uint8_t *joins, *unused = NULL;
    TRY(arena_try_take(&t->arena, &joins, (size_t)t->bpe.count, 1, "the pieces"));
    TRY(arena_try_take(&t->arena, &unused, (size_t)t->bpe.count, 1, "the pieces"));
    for (size_t i = 0; i < m->count; i++) {
        joins[i] = m->types[i] == PIECE_NORMAL || m->types[i] == PIECE_USER || m->types[i] == PIECE_UNUSED;
        unused[i] = m->types[i] == PIECE_UNUSED;
    }
    TRY(spm_init(&t->spm, &t->arena, &t->bpe, m->scores, joins));
    t->spm.unused = unused;
    t->model = &token_model_scores;
    return ST_OK;
}

/* The scores of user-defined pieces let them win: their length times the highest score, less 0.1. */
static status set_unigram(struct tokenizer *t, const struct spec *m) {
    double *scores;
    uint8_t *takes;
    float lowest = 3.402823466e38f, highest = 1.175494351e-38f; /* FLT_MAX and FLT_MIN, as sentencepiece begins */
    TRY(arena_try_take(&t->arena, &takes, (size_t)t->bpe.count, 1, "the pieces"));
    TRY(arena_try_take(&t->arena, &scores, (size_t)t->bpe.count, sizeof *scores, "the pieces"));
    for (size_t i = 0; i < m->count; i++) {
        takes[i] = m->types[i] == PIECE_NORMAL || m->types[i] == PIECE_USER;
        if (m->types[i] != PIECE_NORMAL) continue;
        if (m->scores[i] < lowest) lowest = m->scores[i];
        if (m->scores[i] > highest) highest = m->scores[i];
    }
    for (size_t i = 0; i < m->count; i++)
        scores[i] = m->types[i] == PIECE_USER ? (double)((float)t->bpe.size[i] * highest - 0.1f) : (double)m->scores[i];
    t->model = &token_model_unigram;
    t->unigram.single = true;
    return unigram_init(&t->unigram, &t->arena, &t->bpe, scores, takes, (double)lowest);
}

static status check_id(int32_t *out, const struct spec *m, int64_t id, const char *name) {
    if (id < 0) return ST_OK;
    if ((size_t)id >= m->count) return FAIL(ST_FORMAT, "trainer_spec.%s: %lld is no piece (0 to %zu)", name, (long long)id, m->count - 1);
    *out = (int32_t)id;
    return ST_OK;
}

static status fill(struct tokenizer *t, struct spec *m) {
    size_t count;
    TRY(count_extra(&count, m));
    TRY(tokenizer_reserve(t, count, 0, count));
    TRY(arena_try_take(&t->arena, &m->scores, count, sizeof *m->scores, "the pieces"));
    TRY(arena_try_take(&t->arena, &m->types, count, 1, "the pieces"));
    t->scores = m->scores;
    t->types = m->types;
    t->bpe.chars = true;
    t->bpe.byte_fallback = m->byte_fallback;
    t->bpe.fuse_unk = true;
    for (size_t i = 0; i < m->count; i++) TRY(read_piece(t, m, i));
    TRY(read_extra(t, m));
    TRY(set_normalizer(t, m));
    TRY(m->model == MODEL_BPE ? set_bpe(t, m) : set_unigram(t, m));
    TRY(check_id(&t->unk, m, m->unk, "unk_id"));
    TRY(check_id(&t->bos, m, m->bos, "bos_id"));
    TRY(check_id(&t->eos, m, m->eos, "eos_id"));
    TRY(check_id(&t->pad, m, m->pad, "pad_id"));
    t->bpe.unk = t->unk;
    TRY(detoken_init_spm(&t->detoken, m->rules.remove_extra_spaces ? SIZE_MAX : m->rules.dummy_prefix && !m->rules.space_as_suffix));
    if (m->add_bos && t->bos >= 0) ids_push(&t->prefix, t->bos);
    if (m->add_eos && t->eos >= 0) ids_push(&t->suffix, t->eos);
    return ST_OK;
}

/* What tokenizer_config.json says about a tokenizer.model beside it. */
static status with_config(struct tokenizer *t, struct spec *m, const char *folder) {
    struct file_map map;
    struct json root;
    char *path = folder ? file_join(folder, "tokenizer_config.json") : NULL;
    if (!path || !file_exists(path)) {
        free(path);
        return fill(t, m);
    }
    status s = file_map_open(&map, path);
    if (s == ST_OK) {
        s = json_parse(&root, map.data, map.size);
        if (s != ST_OK) s = status_note(s, "%s: ", path);
        if (s == ST_OK) {
            (void)json_bool(&m->add_bos, json_get(root, "add_bos_token"));
            (void)json_bool(&m->add_eos, json_get(root, "add_eos_token"));
            m->extra = json_get(root, "added_tokens_decoder");
            s = fill(t, m);
        }
        file_map_release(&map);
    }
    free(path);
    return s;
}

status tokenizer_load_spm_model(struct tokenizer *t, const char *file, const char *folder) {
    struct spec m = {.model = MODEL_UNIGRAM,
                     .bos = 1,
                     .eos = 2,
                     .pad = -1,
                     .rules = {.dummy_prefix = true, .remove_extra_spaces = true, .escape_spaces = true}};
    struct file_map map;
    t->kind = t->copy_as = "tokenizer.model";
    TRY(file_map_open(&map, file));
    status s = read_model(&m, proto_begin(map.data, map.size));
    m.add_bos = m.model == MODEL_BPE; /* as Llama; unigram models, as T5, end their texts */
    m.add_eos = !m.add_bos;
    if (s == ST_OK) s = with_config(t, &m, folder);
    free(m.pieces);
    file_map_release(&map);
    if (s != ST_OK) return status_note(s, "%s: ", file);
    return folder ? tokenizer_read_companions(t, folder) : ST_OK;
}
