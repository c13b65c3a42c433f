/* tokenizer.json (Hugging Face tokenizers) and its companions: tokenizer_config.json, chat_template.jinja, generation_config.json. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "text/tokenizer_state.h"

static status token_id(int32_t *out, struct json v, const char *where) {
    int64_t id = -1;
    *out = -1;
    if (!json_int(&id, v) || id < 0 || id >= 1 << 24)
        return FAIL(ST_FORMAT, "%s: expected an id below 2^24, found %.*s", where, (int)(v.size > 40 ? 40 : v.size),
                    v.size ? v.text : "nothing");
    *out = (int32_t)id;
    return ST_OK;
}

/* Of ids in use and `least` one more than the highest. */
static status count_ids(size_t *count, struct json vocab, struct json added, size_t least) {
    struct json key, v;
    int32_t id = -1;
    *count = least;
    for (struct json_iter it = json_iter_begin(vocab); json_iter_next(&it, &key, &v);) {
        TRY(token_id(&id, v, "model.vocab"));
        if ((size_t)id >= *count) *count = (size_t)id + 1;
    }
    for (struct json_iter it = json_iter_begin(added); json_iter_next(&it, &key, &v);) {
        TRY(token_id(&id, json_get(v, "id"), "added_tokens"));
        if ((size_t)id >= *count) *count = (size_t)id + 1;
    }
    return *count ? ST_OK : FAIL(ST_FORMAT, "model.vocab: no tokens");
}

static bool flag(struct json object, const char *key) {
    bool b = false;
    return json_bool(&b, json_get(object, key)) && b;
}

static status read_added(struct tokenizer *t, struct json added) {
    struct json key, v;
    struct buf text = {0};
    status s = ST_OK;
    for (struct json_iter it = json_iter_begin(added); s == ST_OK && json_iter_next(&it, &key, &v);) {
        int32_t id = 0;
        buf_clear(&text);
        s = token_id(&id, json_get(v, "id"), "added_tokens");
        if (s != ST_OK) break;
        if (!json_string(&text, json_get(v, "content")) || !text.size)
            s = FAIL(ST_FORMAT, "added_tokens: id %d: expected a non-empty content", id);
        else if (t->bpe.text[id])
            s = FAIL(ST_FORMAT, "added_tokens: id %d stands twice", id);
        if (s != ST_OK) break;
        const char *content = arena_text(&t->arena, text.data, text.size);
        bpe_set(&t->bpe, id, content, text.size);
        t->added[t->added_count++] = (struct added_token){.content = content,
                                                          .size = text.size,
                                                          .id = id,
                                                          .special = flag(v, "special"),
                                                          .normalized = flag(v, "normalized"),
                                                          .lstrip = flag(v, "lstrip"),
                                                          .rstrip = flag(v, "rstrip"),
                                                          .single_word = flag(v, "single_word")};
        t->is_added[id] = 1;
        t->is_special[id] = flag(v, "special");
    }
    buf_release(&text);
    return s;
}

/* The token's bytes: byte-mapped text, or the text itself when it is not made of the byte alphabet or merges are over characters. */
static void to_bytes(struct buf *out, const struct tokenizer *t, struct json text) {
    struct buf plain = {0};
    buf_clear(out);
    if (t->bpe.chars) {
        json_string(out, text);
        return;
    }
    json_string(&plain, text);
    buf_append(out, buf_text(&plain), plain.size);
    if (!bpe_bytes_of_text(out->data, &out->size, buf_text(&plain), plain.size)) {
        buf_clear(out);
        buf_append(out, buf_text(&plain), plain.size);
    }
    buf_release(&plain);
}

static status read_vocab(struct tokenizer *t, struct json vocab) {
    struct json key, v;
    struct buf bytes = {0};
    status s = ST_OK;
    for (struct json_iter it = json_iter_begin(vocab); s == ST_OK && json_iter_next(&it, &key, &v);) {
        int32_t id = 0;
        s = token_id(&id, v, "model.vocab");
        if (s != ST_OK || t->is_added[id]) continue;
        if (t->bpe.text[id]) {
            s = FAIL(ST_FORMAT, "model.vocab: id %d stands twice", id);
            break;
        }
        to_bytes(&bytes, t, key);
        bpe_set(&t->bpe, id, arena_text(&t->arena, buf_text(&bytes), bytes.size), bytes.size);
    }
    buf_release(&bytes);
    return s;
}

/* "left right" or ["left", "right"]. */
static status merge_parts(struct buf *left, struct buf *right, const struct tokenizer *t, struct json v) {
    if (json_kind_of(v) == JSON_ARRAY && json_count(v) == 2) {
        struct json key, a, b;
        struct json_iter it = json_iter_begin(v);
        if (json_iter_next(&it, &key, &a) && json_iter_next(&it, &key, &b) && json_kind_of(a) == JSON_STRING &&
            json_kind_of(b) == JSON_STRING) {
            to_bytes(left, t, a);
            to_bytes(right, t, b);
            return ST_OK;
        }
    }
    struct buf text = {0};
    const char *space = json_string(&text, v) && text.size > 2 ? memchr(text.data + 1, ' ', text.size - 2) : NULL;
    bool ok = space;
    if (space) {
        size_t a = (size_t)(space - text.data), b = text.size - a - 1;
        buf_clear(left);
        buf_clear(right);
        buf_append(left, text.data, a);
        buf_append(right, space + 1, b);
        if (!t->bpe.chars)
            ok = bpe_bytes_of_text(left->data, &left->size, text.data, a) && bpe_bytes_of_text(right->data, &right->size, space + 1, b);
    }
    buf_release(&text);
    return ok ? ST_OK : space ? FAIL(ST_FORMAT, "characters outside the byte alphabet") : FAIL(ST_FORMAT, "expected two parts");
}

static status read_merges(struct tokenizer *t, struct json merges) {
    struct json key, v;
    struct buf left = {0}, right = {0};
    status s = ST_OK;
    size_t i = 0;
    for (struct json_iter it = json_iter_begin(merges); s == ST_OK && json_iter_next(&it, &key, &v); i++) {
        s = merge_parts(&left, &right, t, v);
        if (s != ST_OK)
            s = status_note(s, "model.merges[%zu]: ", i);
        else
            s = bpe_add_merge(&t->bpe, buf_text(&left), left.size, buf_text(&right), right.size);
    }
    buf_release(&left);
    buf_release(&right);
    return s;
}

static status template_ids(struct ids *out, struct json special_tokens, struct json name, int32_t count) {
    struct json key, v;
    char *text = json_text(name);
    struct json ids = json_get(json_get(special_tokens, text ? text : ""), "ids");
    free(text);
    for (struct json_iter it = json_iter_begin(ids); json_iter_next(&it, &key, &v);) {
        int32_t id = -1;
        TRY(token_id(&id, v, "post_processor.special_tokens"));
        if (id >= count) return FAIL(ST_FORMAT, "post_processor: id %d is no token", id);
        ids_push(out, id);
    }
    return ST_OK;
}

static status read_post(struct tokenizer *t, struct json v, int depth) {
    struct json type = json_get(v, "type"), key, item;
    if (json_kind_of(v) != JSON_OBJECT) return ST_OK;
    if (json_equals(type, "ByteLevel")) {
        t->trim_offsets = t->trim_keeps_prefix = true; /* tokenizers' defaults */
        (void)json_bool(&t->trim_offsets, json_get(v, "trim_offsets"));
        (void)json_bool(&t->trim_keeps_prefix, json_get(v, "add_prefix_space"));
        return ST_OK;
    }
    if (json_equals(type, "Sequence") && depth < 4) {
        for (struct json_iter it = json_iter_begin(json_get(v, "processors")); json_iter_next(&it, &key, &item);)
            TRY(read_post(t, item, depth + 1));
        return ST_OK;
    }
    if (!json_equals(type, "TemplateProcessing"))
        return FAIL(ST_UNSUPPORTED, "post_processor %.*s is not supported; supported are TemplateProcessing, ByteLevel",
                    (int)(type.size > 40 ? 40 : type.size), type.size ? type.text : "without a type");
    bool behind = false;
    for (struct json_iter it = json_iter_begin(json_get(v, "single")); json_iter_next(&it, &key, &item);) {
        struct json special = json_get(item, "SpecialToken");
        if (json_kind_of(json_get(item, "Sequence")) == JSON_OBJECT)
            behind = true;
        else if (json_kind_of(special) == JSON_OBJECT)
            TRY(template_ids(behind ? &t->suffix : &t->prefix, json_get(v, "special_tokens"), json_get(special, "id"), t->bpe.count));
    }
    return ST_OK;
}

/* Options of BPE that change ids and that nothing in use has. */
static status check_bpe(struct json model) {
    static const char *const texts[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    for (size_t i = 0; i < 2; i++) {
        struct json v = json_get(model, texts[i]);
        if (json_kind_of(v) == JSON_STRING && !json_equals(v, "")) return FAIL(ST_UNSUPPORTED, "model.%s is not supported", texts[i]);
    }
    double dropout = 0;
    if (json_double(&dropout, json_get(model, "dropout")) && dropout > 0)
        return FAIL(ST_UNSUPPORTED, "model.dropout %g is not supported: ids would be random", dropout);
    return ST_OK;
}

static status read_unk(struct tokenizer *t, struct json name) {
    char *text = json_text(name);
    if (!text) return ST_OK;
    t->bpe.unk = bpe_find(&t->bpe, text, strlen(text));
    status s = t->bpe.unk < 0 ? FAIL(ST_FORMAT, "model.unk_token '%s' is no token", text) : ST_OK;
    free(text);
    return s;
}

/* model.vocab of Unigram: [["text", score], ...], its places the ids. */
static status read_scored(struct tokenizer *t, struct json vocab, double *scores, double *lowest) {
    struct json key, row, item;
    struct buf text = {0};
    int32_t id = 0;
    status s = ST_OK;
    *lowest = 0;
    for (struct json_iter it = json_iter_begin(vocab); s == ST_OK && json_iter_next(&it, &key, &row); id++) {
        struct json_iter pair = json_iter_begin(row);
        buf_clear(&text);
        if (json_kind_of(row) != JSON_ARRAY || json_count(row) != 2 || !json_iter_next(&pair, &key, &item) || !json_string(&text, item) ||
            !json_iter_next(&pair, &key, &item) || !json_double(&scores[id], item)) {
            s = FAIL(ST_FORMAT, "model.vocab[%d]: expected a text and a score", id);
            break;
        }
        if (!id || scores[id] < *lowest) *lowest = scores[id];
        if (!t->is_added[id]) bpe_set(&t->bpe, id, arena_text(&t->arena, buf_text(&text), text.size), text.size);
    }
    buf_release(&text);
    return s;
}

static status read_unigram(struct tokenizer *t, struct json root) {
    struct json model = json_get(root, "model"), vocab = json_get(model, "vocab"), added = json_get(root, "added_tokens");
    const size_t own = json_count(vocab);
    size_t count;
    double *scores, lowest;
    int64_t unk = -1;
    if (json_kind_of(vocab) != JSON_ARRAY || !own) return FAIL(ST_FORMAT, "expected model.vocab (an array of texts and scores)");
    if (t->pretoken.byte_level) return FAIL(ST_UNSUPPORTED, "pre_tokenizer: ByteLevel before Unigram is not supported");
    if (json_int(&unk, json_get(model, "unk_id")) && (unk < 0 || (uint64_t)unk >= own))
        return FAIL(ST_FORMAT, "model.unk_id: %lld is no token (0 to %zu)", (long long)unk, own - 1);
    TRY(count_ids(&count, (struct json){0}, added, own));
    TRY(tokenizer_reserve(t, count, 0, json_count(added)));
    t->model = &token_model_unigram;
    t->copy_as = "tokenizer.json";
    t->bpe.chars = true;
    t->bpe.unk = (int32_t)unk;
    t->bpe.byte_fallback = flag(model, "byte_fallback");
    TRY(detoken_from_json(&t->detoken, json_get(root, "decoder")));
    TRY(read_added(t, added));
    TRY(mem_try_alloc(&scores, count, sizeof *scores, "the scores"));
    status s = read_scored(t, vocab, scores, &lowest);
    if (s == ST_OK) s = unigram_init(&t->unigram, &t->arena, &t->bpe, scores, NULL, lowest);
    free(scores);
    return s;
}

static status read_bpe(struct tokenizer *t, struct json root) {
    struct json model = json_get(root, "model"), vocab = json_get(model, "vocab"), merges = json_get(model, "merges"),
                added = json_get(root, "added_tokens");
    if (json_kind_of(vocab) != JSON_OBJECT || json_kind_of(merges) != JSON_ARRAY)
        return FAIL(ST_FORMAT, "expected model.vocab (an object) and model.merges (an array)");
    TRY(check_bpe(model));
    size_t count;
    TRY(count_ids(&count, vocab, added, 0));
    TRY(tokenizer_reserve(t, count, json_count(merges), json_count(added)));
    t->bpe.ignore_merges = flag(model, "ignore_merges");
    t->bpe.chars = !t->pretoken.byte_level;
    t->bpe.byte_fallback = flag(model, "byte_fallback");
    t->bpe.fuse_unk = flag(model, "fuse_unk");
    t->model = t->bpe.chars ? &token_model_chars : &token_model_bytes;
    if (t->bpe.chars) TRY(detoken_from_json(&t->detoken, json_get(root, "decoder")));
    TRY(read_added(t, added));
    TRY(read_vocab(t, vocab));
    TRY(read_merges(t, merges));
    return t->bpe.chars ? read_unk(t, json_get(model, "unk_token")) : ST_OK;
}

static const struct {
    const char *type; /* of `model`; the first where it has none */
    status (*read)(struct tokenizer *t, struct json root);
} models[] = {{"BPE", read_bpe}, {"Unigram", read_unigram}};

static status read_model(struct tokenizer *t, struct json root) {
    struct json type = json_get(json_get(root, "model"), "type");
    const size_t count = sizeof models / sizeof models[0];
    size_t i = 0;
    while (json_kind_of(type) == JSON_STRING && i < count && !json_equals(type, models[i].type)) i++;
    if (i == count)
        return FAIL(ST_UNSUPPORTED, "model %.*s is not supported; supported are BPE, Unigram", (int)(type.size > 40 ? 40 : type.size),
                    type.text);
    TRY(normalizer_from_json(&t->normalizer, json_get(root, "normalizer")));
    TRY(pretoken_from_json(&t->pretoken, json_get(root, "pre_tokenizer")));
    TRY(models[i].read(t, root));
    return read_post(t, json_get(root, "post_processor"), 0);
}

/* "bos_token": "<s>" or {"content": "<s>"}. */
static status named_token(int32_t *out, struct tokenizer *t, struct json config, const char *key) {
    struct json v = json_get(config, key);
    if (json_kind_of(v) == JSON_OBJECT) v = json_get(v, "content");
    char *text = json_text(v);
    if (!text) return ST_OK;
    int32_t id = bpe_find(&t->bpe, text, strlen(text));
    status s = id < 0 ? FAIL(ST_FORMAT, "%s '%s' is no token of tokenizer.json", key, text) : ST_OK;
    free(text);
    if (s == ST_OK) t->is_special[ *out = id] = 1;
    return s;
}

static char *template_of(struct json v) {
    if (json_kind_of(v) == JSON_STRING) return json_text(v);
    struct json key, item, first = {0};
    for (struct json_iter it = json_iter_begin(v); json_iter_next(&it, &key, &item);) {
        if (json_equals(json_get(item, "name"), "default")) return json_text(json_get(item, "template"));
        if (!first.text) first = json_get(item, "template");
    }
    return json_text(first);
}

static status read_config(struct tokenizer *t, struct json config) {
    TRY(named_token(&t->bos, t, config, "bos_token"));
    TRY(named_token(&t->eos, t, config, "eos_token"));
    TRY(named_token(&t->pad, t, config, "pad_token"));
    TRY(named_token(&t->unk, t, config, "unk_token"));
    if (!t->chat_template) t->chat_template = template_of(json_get(config, "chat_template"));
    return ST_OK;
}

static status read_generation(struct tokenizer *t, struct json config) {
    struct json v = json_get(config, "eos_token_id"), key, item;
    int32_t id = -1;
    if (json_kind_of(v) == JSON_NUMBER) {
        TRY(token_id(&id, v, "eos_token_id"));
        tokenizer_add_end(t, id);
    }
    for (struct json_iter it = json_iter_begin(v); json_iter_next(&it, &key, &item);) {
        TRY(token_id(&id, item, "eos_token_id"));
        tokenizer_add_end(t, id);
    }
    return ST_OK;
}

/* Reads and parses folder/name when it is there and hands it to `take`. */
static status companion(struct tokenizer *t, const char *folder, const char *name, status (*take)(struct tokenizer *, struct json)) {
    char *path = file_join(folder, name);
    struct file_map map;
    struct json root;
    status s = ST_OK;
    if (file_exists(path)) {
        s = file_map_open(&map, path);
        if (s == ST_OK) {
            s = json_parse(&root, map.data, map.size);
            if (s == ST_OK) s = take(t, root);
            file_map_release(&map);
        }
        if (s != ST_OK) s = status_note(s, "%s: ", path);
    }
    free(path);
    return s;
}

status tokenizer_read_companions(struct tokenizer *t, const char *folder) {
    char *path = file_join(folder, "chat_template.jinja");
    struct buf text = {0};
    status s = file_exists(path) ? file_read(&text, path) : ST_OK;
    if (s == ST_OK && text.size) t->chat_template = mem_text_n(text.data, text.size);
    buf_release(&text);
    free(path);
    TRY(s);
    TRY(companion(t, folder, "special_tokens_map.json", read_config));
    TRY(companion(t, folder, "tokenizer_config.json", read_config));
    return companion(t, folder, "generation_config.json", read_generation);
}

static status load_text(struct tokenizer *t, const char *text, size_t size) {
    struct json root;
    TRY(json_parse(&root, text, size));
    return read_model(t, root);
}

status tokenizer_load_json(struct tokenizer *t, const char *file, const char *folder) {
    struct file_map map;
    t->kind = "tokenizer.json";
    TRY(file_map_open(&map, file));
    status s = load_text(t, map.data, map.size);
    file_map_release(&map);
    if (s != ST_OK) return status_note(s, "%s: ", file);
    return folder ? tokenizer_read_companions(t, folder) : ST_OK;
}

/* merges.txt: "left right" a line, in order; a first line of #version. */
static status put_merges(struct buf *out, const char *path) {
    struct file_lines lines;
    const char *text;
    size_t size, n = 0;
    TRY(file_lines_open(&lines, path));
    status s;
    while ((s = file_lines_next(&lines, &text, &size)) == ST_OK && text) {
        if (!size || (lines.number == 1 && size > 8 && memcmp(text, "#version", 8) == 0)) continue;
        buf_append_text(out, n++ ? ", " : "");
        json_put_string(out, text, size);
    }
    file_lines_release(&lines);
    return s;
}

/* The two old files say the same as a tokenizer.json: what GPT2TokenizerFast makes of them is put together and read. */
static status load_gpt2(struct tokenizer *t, const char *file, const char *folder, const char *merges) {
    char *path = file_join(folder, merges);
    struct buf vocab = {0}, text = {0};
    struct json root;
    int64_t end = -1;
    t->kind = "vocabulary and merges of GPT-2";
    status s = file_read(&vocab, file);
    if (s == ST_OK) s = json_parse(&root, buf_text(&vocab), vocab.size);
    if (s != ST_OK) s = status_note(s, "%s: ", file);
    if (s == ST_OK) {
        if (json_int(&end, json_get(root, "<|endoftext|>")))
            buf_printf(&text, "{\"added_tokens\": [{\"id\": %lld, \"content\": \"<|endoftext|>\", \"special\": true}], ", (long long)end);
        buf_append_text(&text, end < 0 ? "{" : "");
        buf_append_text(&text, "\"pre_tokenizer\": {\"type\": \"ByteLevel\", \"add_prefix_space\": false}, \"model\": {\"vocab\": ");
        buf_append(&text, root.text, root.size);
        buf_append_text(&text, ", \"merges\": [");
        s = put_merges(&text, path);
        buf_append_text(&text, "]}}");
    }
    if (s == ST_OK) {
        s = load_text(t, buf_text(&text), text.size);
        if (s != ST_OK) s = status_note(s, "%s and %s: ", file, merges);
    }
    if (s == ST_OK && end >= 0) t->bos = t->eos = t->unk = (int32_t)end;
    buf_release(&vocab);
    buf_release(&text);
    free(path);
    return s == ST_OK ? tokenizer_read_companions(t, folder) : s;
}

status tokenizer_load_vocab_json(struct tokenizer *t, const char *file, const char *folder) {
    return load_gpt2(t, file, folder, "merges.txt");
}

status tokenizer_load_encoder_json(struct tokenizer *t, const char *file, const char *folder) {
    return load_gpt2(t, file, folder, "vocab.bpe");
}
