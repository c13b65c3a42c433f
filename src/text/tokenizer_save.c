/* Writing a tokenizer as Hugging Face files, so that transformers' AutoTokenizer gives the same ids. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/utf8.h"
#include "text/tokenizer_state.h"

static void put_token(struct buf *out, const struct tokenizer *t, int32_t id) {
    struct buf text = {0};
    char mapped[4];
    if (t->is_added[id] || t->bpe.chars)
        buf_append(&text, t->bpe.text[id], t->bpe.size[id]);
    else
        for (uint32_t i = 0; i < t->bpe.size[id]; i++)
            buf_append(&text, mapped, bpe_text_of_byte(mapped, (unsigned char)t->bpe.text[id][i]));
    json_put_string(out, buf_text(&text), text.size);
    buf_release(&text);
}

static void put_bool(struct buf *out, const char *key, bool value) { buf_printf(out, ", \"%s\": %s", key, value ? "true" : "false"); }

static void put_added(struct buf *out, const struct tokenizer *t) {
    const char *comma = "";
    const struct added_token **by_id = mem_zero((size_t)t->bpe.count + 1, sizeof *by_id);
    for (size_t i = 0; i < t->added_count; i++) by_id[t->added[i].id] = &t->added[i];
    buf_append_text(out, "  \"added_tokens\": [");
    for (int32_t id = 0; id < t->bpe.count; id++) {
        const struct added_token *a = by_id[id];
        if (!a) continue;
        buf_printf(out, "%s\n    {\"id\": %d, \"content\": ", comma, id);
        json_put_string(out, a->content, a->size);
        put_bool(out, "single_word", a->single_word);
        put_bool(out, "lstrip", a->lstrip);
        put_bool(out, "rstrip", a->rstrip);
        put_bool(out, "normalized", a->normalized);
        put_bool(out, "special", a->special);
        buf_append_char(out, '}');
        comma = ",";
    }
    buf_append_text(out, "\n  ],\n");
    free(by_id);
}

static void put_template_item(struct buf *out, const struct tokenizer *t, int32_t id) {
    buf_append_text(out, "{\"SpecialToken\": {\"id\": ");
    put_token(out, t, id);
    buf_append_text(out, ", \"type_id\": 0}}");
}

static void put_post(struct buf *out, const struct tokenizer *t) {
    if (!t->prefix.count && !t->suffix.count) {
        buf_append_text(out, "  \"post_processor\": null,\n");
        return;
    }
    buf_append_text(out, "  \"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": [");
    for (size_t i = 0; i < t->prefix.count; i++) {
        put_template_item(out, t, t->prefix.data[i]);
        buf_append_text(out, ", ");
    }
    buf_append_text(out, "{\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}");
    for (size_t i = 0; i < t->suffix.count; i++) {
        buf_append_text(out, ", ");
        put_template_item(out, t, t->suffix.data[i]);
    }
    buf_append_text(out, "], \"pair\": [{\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}, {\"Sequence\": {\"id\": \"B\", \"type_id\": 1}}], "
                         "\"special_tokens\": {");
    const char *comma = "";
    for (int k = 0; k < 2; k++) {
        const struct ids *ids = k ? &t->suffix : &t->prefix;
        for (size_t i = 0; i < ids->count; i++) {
            if (k && t->prefix.count && ids->data[i] == t->prefix.data[0]) continue;
            buf_append_text(out, comma);
            put_token(out, t, ids->data[i]);
            buf_append_text(out, ": {\"id\": ");
            put_token(out, t, ids->data[i]);
            buf_printf(out, ", \"ids\": [%d], \"tokens\": [", ids->data[i]);
            put_token(out, t, ids->data[i]);
            buf_append_text(out, "]}");
            comma = ", ";
        }
    }
    buf_append_text(out, "}},\n");
}

static int compare_rank(const void *a, const void *b) {
    const struct bpe_merge *x = *(const struct bpe_merge *const *)a, *y = *(const struct bpe_merge *const *)b;
    return x->rank < y->rank ? -1 : x->rank > y->rank;
}

static void put_merge(struct buf *out, const struct tokenizer *t, const char *comma, int32_t left, int32_t right) {
    buf_printf(out, "%s\n      [", comma);
    put_token(out, t, left);
    buf_append_text(out, ", ");
    put_token(out, t, right);
    buf_append_char(out, ']');
}

static void put_ranked_merges(struct buf *out, const struct tokenizer *t) {
    const struct bpe_merge **order = mem_zero(t->bpe.merge_mask + 1, sizeof *order);
    size_t n = 0;
    for (size_t i = 0; i <= t->bpe.merge_mask; i++)
        if (t->bpe.merges[i].key != UINT64_MAX) order[n++] = &t->bpe.merges[i];
    qsort(order, n, sizeof *order, compare_rank);
    for (size_t i = 0; i < n; i++) put_merge(out, t, i ? "," : "", (int32_t)(order[i]->key >> 32), (int32_t)(uint32_t)order[i]->key);
    free(order);
}

/* One way to make a token of two others. */
struct scored_merge {
    int32_t rank, id, left, right;
    uint32_t left_size, right_size; /* characters */
};

/* transformers' generate_merges (convert_slow_tokenizer.py): the highest score first, then the longest parts, then by ids. */
static int compare_scored(const void *a, const void *b) {
    const struct scored_merge *x = a, *y = b;
    if (x->rank != y->rank) return x->rank < y->rank ? -1 : 1;
    if (x->left_size != y->left_size) return x->left_size > y->left_size ? -1 : 1;
    if (x->right_size != y->right_size) return x->right_size > y->right_size ? -1 : 1;
    if (x->id != y->id) return x->id < y->id ? -1 : 1;
    return x->left != y->left ? (x->left < y->left ? -1 : 1) : x->right < y->right ? -1 : x->right > y->right;
}

static void put_scored_merges(struct buf *out, const struct tokenizer *t) {
    struct buf all = {0};
    const struct bpe *v = &t->bpe;
    for (int32_t id = 0; id < v->count; id++) {
        if (!v->text[id] || t->spm.rank[id] < 0) continue;
        for (uint32_t cut = 1; cut < v->size[id]; cut++) {
            const char *right = v->text[id] + cut;
            if (((unsigned char)*right & 0xc0) == 0x80) continue;
            int32_t l = bpe_find(v, v->text[id], cut), r = bpe_find(v, right, v->size[id] - cut);
            if (l < 0 || r < 0) continue;
            struct scored_merge m = {
                t->spm.rank[id], id, l, r, (uint32_t)utf8_count(v->text[id], cut), (uint32_t)utf8_count(right, v->size[id] - cut)};
            buf_append(&all, &m, sizeof m);
        }
    }
    const size_t n = all.size / sizeof(struct scored_merge);
    struct scored_merge *merges = mem_zero(n + 1, sizeof *merges);
    if (n) memcpy(merges, all.data, all.size);
    buf_release(&all);
    qsort(merges, n, sizeof *merges, compare_scored);
    for (size_t i = 0; i < n; i++) put_merge(out, t, i ? "," : "", merges[i].left, merges[i].right);
    free(merges);
}

static void put_model(struct buf *out, const struct tokenizer *t) {
    const char *comma = "";
    buf_append_text(out, "  \"model\": {\"type\": \"BPE\", \"dropout\": null, \"continuing_subword_prefix\": null, "
                         "\"end_of_word_suffix\": null, \"unk_token\": ");
    if (t->bpe.unk >= 0)
        put_token(out, t, t->bpe.unk);
    else
        buf_append_text(out, "null");
    put_bool(out, "fuse_unk", t->bpe.fuse_unk);
    put_bool(out, "byte_fallback", t->bpe.byte_fallback);
    put_bool(out, "ignore_merges", t->bpe.ignore_merges);
    buf_append_text(out, ",\n    \"vocab\": {");
    for (int32_t id = 0; id < t->bpe.count; id++) {
        if (!t->bpe.text[id]) continue;
        buf_printf(out, "%s\n      ", comma);
        put_token(out, t, id);
        buf_printf(out, ": %d", id);
        comma = ",";
    }
    buf_append_text(out, "\n    },\n    \"merges\": [");
    if (t->spm.rank)
        put_scored_merges(out, t);
    else
        put_ranked_merges(out, t);
    buf_append_text(out, "\n    ]}\n}\n");
}

static void put_tokenizer(struct buf *out, const struct tokenizer *t) {
    buf_append_text(out, "{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n  \"padding\": null,\n");
    put_added(out, t);
    buf_append_text(out, "  \"normalizer\": ");
    normalizer_put_json(&t->normalizer, out);
    buf_append_text(out, ",\n  \"pre_tokenizer\": ");
    pretoken_put_json(&t->pretoken, out);
    buf_append_text(out, ",\n");
    put_post(out, t);
    buf_append_text(out, "  \"decoder\": ");
    if (t->bpe.chars)
        detoken_put_json(&t->detoken, out);
    else
        buf_append_text(out, "{\"type\": \"ByteLevel\", \"add_prefix_space\": true, \"trim_offsets\": true, \"use_regex\": true}");
    buf_append_text(out, ",\n");
    put_model(out, t);
}

static void put_config(struct buf *out, const struct tokenizer *t) {
    const struct {
        const char *key;
        int32_t id;
    } named[] = {{"bos_token", t->bos}, {"eos_token", t->eos}, {"pad_token", t->pad}, {"unk_token", t->unk}};
    const bool model = t->copy_as && strcmp(t->copy_as, "tokenizer.model") == 0;
    buf_printf(out, "{\n  \"tokenizer_class\": \"%s\",\n  \"clean_up_tokenization_spaces\": false",
               !model          ? "PreTrainedTokenizerFast"
               : t->unigram.on ? "T5Tokenizer"
                               : "LlamaTokenizer");
    if (model) {
        put_bool(out, "add_bos_token", t->prefix.count > 0);
        put_bool(out, "add_eos_token", t->suffix.count > 0);
    }
    for (size_t i = 0; i < sizeof named / sizeof named[0]; i++) {
        if (named[i].id < 0) continue;
        buf_printf(out, ",\n  \"%s\": ", named[i].key);
        put_token(out, t, named[i].id);
    }
    buf_append_text(out, "\n}\n");
}

static status write_in(const char *folder, const char *name, const char *data, size_t size) {
    char *path = file_join(folder, name);
    status s = file_write(path, data, size);
    free(path);
    return s;
}

static status copy_files(const struct tokenizer *t, const char *folder) {
    static const char *const names[] = {
        "tokenizer.json",          "tokenizer.model",     "spiece.model",          "vocab.json", "merges.txt", "tokenizer_config.json",
        "special_tokens_map.json", "chat_template.jinja", "generation_config.json"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char *from = file_join(t->path, names[i]), *to = file_join(folder, names[i]);
        status s = file_copy_if_there(to, from);
        free(from);
        free(to);
        TRY(s);
    }
    return ST_OK;
}

/* A new template of a copied folder: chat_template.jinja, which transformers takes first, and in place of what tokenizer_config.json says,
 * which is all that older readers look at. */
static status put_new_template(const struct tokenizer *t, const char *folder) {
    char *path = file_join(folder, "tokenizer_config.json");
    struct buf text = {0}, out = {0};
    struct json root, key, value;
    const bool there = file_exists(path);
    status s = there ? file_read(&text, path) : ST_OK;
    if (s == ST_OK && there) s = json_parse(&root, buf_text(&text), text.size);
    if (s == ST_OK && there && json_get(root, "chat_template").size) {
        buf_append_char(&out, '{');
        for (struct json_iter it = json_iter_begin(root); json_iter_next(&it, &key, &value);) {
            buf_printf(&out, "%s\n  ", out.size > 1 ? "," : "");
            buf_append(&out, key.text, key.size);
            buf_append_text(&out, ": ");
            if (json_equals(key, "chat_template"))
                json_put_text(&out, t->chat_template);
            else
                buf_append(&out, value.text, value.size);
        }
        buf_append_text(&out, "\n}\n");
        s = file_write(path, out.data, out.size);
    }
    buf_release(&text);
    buf_release(&out);
    free(path);
    return s == ST_OK ? write_in(folder, "chat_template.jinja", t->chat_template, strlen(t->chat_template)) : s;
}

/* The file itself, where it says what a rebuilt tokenizer.json could not. */
static status put_vocabulary(const struct tokenizer *t, const char *folder) {
    struct buf out = {0};
    if (t->copy_as) {
        char *to = file_join(folder, t->copy_as);
        status s = file_copy_if_there(to, t->path);
        free(to);
        return s;
    }
    put_tokenizer(&out, t);
    status s = write_in(folder, "tokenizer.json", out.data, out.size);
    buf_release(&out);
    return s;
}

status tokenizer_save(const struct tokenizer *t, const char *folder) {
    if (file_is_dir(t->path)) {
        TRY(copy_files(t, folder));
        return t->new_template ? put_new_template(t, folder) : ST_OK;
    }
    struct buf out = {0};
    put_config(&out, t);
    status s = put_vocabulary(t, folder);
    if (s == ST_OK) s = write_in(folder, "tokenizer_config.json", out.data, out.size);
    if (s == ST_OK && t->chat_template) s = write_in(folder, "chat_template.jinja", t->chat_template, strlen(t->chat_template));
    buf_release(&out);
    return s;
}
