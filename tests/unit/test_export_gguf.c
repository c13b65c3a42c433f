/* GGUF files that rapt writes: the model they hold is the model they were made from, their tensors and metadata are those of the files that
 * gguf-py wrote by llama.cpp's rules, and their tokenizers give the ids of the originals. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "export/export.h"
#include "export/gguf_types.h"
#include "format/gguf_write.h"
#include "format/json.h"
#include "model/peft_io.h"
#include "model/run.h"
#include "text/pretoken.h"
#include "text/tokenizer.h"

#define GOLDEN TEST_SOURCE_DIR "/golden/"
#define NODES_MAX 4096
#define OUT "export.gguf" /* in a fresh folder, where the test runs */

static void ok(status s) {
    if (s != ST_OK) fail_msg("%s", status_message());
}

static void export_as(const char *format, const char *model, const char *adapter, const char *dtype) {
    struct export_request r = {.model = model, .adapter = adapter, .output = OUT, .dtype = dtype};
    ok(export_find(format)->run(&r));
}

/* Log-probs of every id behind every prefix of ids, out [n, vocab]. */
static void log_probs(double *out, const char *path, const char *adapter, const int32_t *ids, size_t n, size_t vocab) {
    struct model m;
    struct seqtree tree;
    struct run run;
    const size_t count = n * vocab;
    int32_t *store = calloc(count * (n + 1), sizeof *store), *sizes = calloc(count, sizeof *sizes), *from = calloc(count, sizeof *from);
    const int32_t **rows = calloc(count, sizeof *rows);
    ok(adapter_open_model(&m, path, adapter, MATMUL_F32, MODEL_INFER));
    assert_int_equal(m.config.vocab, vocab);
    ok(model_need_positions(&m, n + 1));
    for (size_t s = 0; s < count; s++) {
        const size_t p = s / vocab + 1;
        int32_t *row = store + s * (n + 1);
        memcpy(row, ids, p * sizeof *row);
        row[p] = (int32_t)(s % vocab);
        rows[s] = row, sizes[s] = (int32_t)p + 1, from[s] = (int32_t)p;
    }
    ok(seqtree_init(&tree, NODES_MAX, NODES_MAX, NODES_MAX));
    ok(seqtree_build(&tree, rows, sizes, from, (int32_t)count, true));
    ok(run_init(&run, &m, &(struct run_plan){.tokens = NODES_MAX, .scored = NODES_MAX}));
    ok(run_forward(&run, &tree, adapter ? m.params.value : NULL, false));
    run_sums(out, &run, &tree);
    run_release(&run);
    seqtree_release(&tree);
    model_release(&m);
    free(store), free(sizes), free(from), free((void *)(uintptr_t)rows);
}

enum { LENGTH = 24, VOCAB = 80 };
/* The two models agree on the first `upto` positions. Merging rounds in another order than the adapter beside the weights. */
static void same_model(const char *name, const char *a, const char *adapter, const char *b, size_t upto) {
    const double tolerance = adapter ? 1e-4 : 2e-6;
    static double x[LENGTH * VOCAB], y[LENGTH * VOCAB];
    int32_t ids[LENGTH];
    for (int32_t i = 0; i < LENGTH; i++) ids[i] = 3 + (i * 29 + 7) % (VOCAB - 3);
    log_probs(x, a, adapter, ids, LENGTH, VOCAB);
    log_probs(y, b, NULL, ids, LENGTH, VOCAB);
    for (size_t i = 0; i < upto * VOCAB; i++)
        if (!(fabs(x[i] - y[i]) <= tolerance * fmax(1, fabs(x[i]))))
            fail_msg("%s: log-prob %zu is %.9g, exported %.9g", name, i, x[i], y[i]);
}

/* window: where the architecture has no sliding window in GGUF, so much is the same. */
static const struct {
    const char *name;
    size_t window;
} families[] = {{"llama_tiny", 0}, {"llama_untied", 0}, {"llama3", 0},   {"llama_bias", 0}, {"mistral", 7},
                {"qwen2", 0},      {"qwen2_window", 5}, {"qwen3", 0},    {"smollm3", 0},    {"gemma2", 0},
                {"gemma3", 0},     {"phi3", 0},         {"phi3_long", 0}};
static const char *const made_by_rules[] = {"llama_tiny", "llama3", "qwen2", "qwen3", "smollm3", "gemma2", "gemma3", "phi3"};

static void families_come_back(void **state) {
    (void)state;
    char path[512];
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
        snprintf(path, sizeof path, GOLDEN "%s", families[i].name);
        export_as("gguf", path, NULL, "f32");
        same_model(families[i].name, path, NULL, OUT, families[i].window ? families[i].window : LENGTH);
    }
    for (size_t i = 0; i < sizeof made_by_rules / sizeof made_by_rules[0]; i++) {
        snprintf(path, sizeof path, GOLDEN "%s_gguf/model.gguf", made_by_rules[i]);
        export_as("gguf", path, NULL, "f32");
        same_model(made_by_rules[i], path, NULL, OUT, LENGTH);
    }
}

static void adapters_are_merged(void **state) {
    (void)state;
    static const char *const bases[] = {GOLDEN "llama_tiny", GOLDEN "llama_tiny_gguf/model.gguf"};
    for (size_t i = 0; i < 2; i++) {
        export_as("gguf", bases[i], GOLDEN "llama_tiny_lora", "f32");
        same_model("merged", bases[i], GOLDEN "llama_tiny_lora", OUT, LENGTH);
    }
}

static const struct gguf_tensor *tensor_of(const struct gguf *g, struct gguf_text name, const char *suffix) {
    char full[160];
    snprintf(full, sizeof full, "%.*s%s", (int)name.size, name.data, suffix);
    return gguf_tensor_find(g, full);
}

static float at(const struct gguf_tensor *t, size_t row, size_t col) {
    float x;
    memcpy(&x, (const char *)t->data + (row * t->cols + col) * sizeof x, sizeof x);
    return x;
}

/* merged = base + alpha / r B A, in the rows' order of the files, which llama.cpp's way of computing asks for. */
static void lora_is_the_difference(void **state) {
    (void)state;
    static const char *const bases[] = {GOLDEN "llama_tiny", GOLDEN "llama_tiny_gguf/model.gguf"};
    for (size_t i = 0; i < 2; i++) {
        struct gguf base, merged, lora;
        struct gguf_text type;
        double alpha = 0;
        size_t adapted = 0;
        export_as("gguf", bases[i], NULL, "f32");
        ok(gguf_open(&base, OUT));
        unlink(OUT); /* the map stays */
        export_as("gguf", bases[i], GOLDEN "llama_tiny_lora", "f32");
        ok(gguf_open(&merged, OUT));
        unlink(OUT);
        export_as("gguf-lora", bases[i], GOLDEN "llama_tiny_lora", "f32");
        ok(gguf_open(&lora, OUT));
        assert_true(gguf_text_of(&type, &lora, "general.type") && type.size == 7 && memcmp(type.data, "adapter", 7) == 0);
        assert_true(gguf_text_of(&type, &lora, "general.architecture") && type.size == 5 && memcmp(type.data, "llama", 5) == 0);
        assert_true(gguf_text_of(&type, &lora, "adapter.type") && type.size == 4 && memcmp(type.data, "lora", 4) == 0);
        assert_true(gguf_double(&alpha, &lora, "adapter.lora.alpha") && alpha == 8);
        for (size_t k = 0; k < base.tensor_count; k++) {
            const struct gguf_tensor *w = &base.tensors[k], *sum = tensor_of(&merged, w->name, ""),
                                     *a = tensor_of(&lora, w->name, ".lora_a"), *b = tensor_of(&lora, w->name, ".lora_b");
            assert_int_equal(!a, !b);
            if (!a) continue;
            assert_int_equal(a->cols, w->cols);
            assert_int_equal(b->rows, w->rows);
            assert_int_equal(a->rows, b->cols);
            for (size_t row = 0; row < w->rows; row++)
                for (size_t col = 0; col < w->cols; col++) {
                    double x = 0;
                    for (size_t r = 0; r < a->rows; r++) x += (double)at(b, row, r) * (double)at(a, r, col);
                    x = (double)at(w, row, col) + alpha / (double)a->rows * x;
                    assert_true(fabs(x - (double)at(sum, row, col)) <= 1e-5);
                }
            adapted++;
        }
        assert_int_equal(adapted, 14); /* seven projections of two layers */
        assert_int_equal(lora.tensor_count, 28);
        gguf_release(&base);
        gguf_release(&merged);
        gguf_release(&lora);
    }
}

/* Windows that are not the family's usual ones are in the metadata, and so is the base of the local layers' rotations. */
static void other_windows_come_back(void **state) {
    (void)state;
    static const char *const from[] = {"\"query_pre_attn_scalar\": 12", "\"rope_theta\": 10000.0"};
    static const char *const to[] = {"\"query_pre_attn_scalar\": 8", "\"rope_theta\": 500.0"};
    struct buf config = {0}, changed = {0};
    ok(file_read(&config, GOLDEN "gemma3_types/config.json"));
    const char *rest = buf_text(&config);
    for (size_t i = 0; i < 2; i++) {
        const char *found = strstr(rest, from[i]);
        assert_non_null(found);
        buf_append(&changed, rest, (size_t)(found - rest));
        buf_append_text(&changed, to[i]);
        rest = found + strlen(from[i]);
    }
    buf_append_text(&changed, rest);
    ok(file_make_dirs("windows"));
    ok(file_write("windows/config.json", changed.data, changed.size));
    ok(file_copy_if_there("windows/model.safetensors", GOLDEN "gemma3_types/model.safetensors"));
    export_as("gguf", "windows", NULL, "f32");
    same_model("other windows", "windows", NULL, OUT, LENGTH);
    unlink("windows/config.json");
    unlink("windows/model.safetensors");
    rmdir("windows");
    buf_release(&config);
    buf_release(&changed);
}

static void same_tensor(const struct gguf_tensor *want, const struct gguf_tensor *got) {
    const bool computed =
        want->name.size == 17 && memcmp(want->name.data, "rope_freqs.weight", 17) == 0; /* in another order of roundings */
    if (!got) fail_msg("tensor %.*s is missing", (int)want->name.size, want->name.data);
    assert_int_equal(got->type, want->type);
    assert_int_equal(got->dims, want->dims);
    assert_memory_equal(got->shape, want->shape, sizeof got->shape);
    if (!computed) {
        const size_t bytes = want->rows * dtype_row_bytes(want->type, want->cols);
        if (memcmp(got->data, want->data, bytes) != 0) fail_msg("tensor %.*s differs", (int)want->name.size, want->name.data);
        return;
    }
    for (size_t i = 0; i < want->cols; i++) {
        float a, b;
        memcpy(&a, (const char *)want->data + i * 4, 4);
        memcpy(&b, (const char *)got->data + i * 4, 4);
        assert_true(fabsf(a - b) <= 2e-7f * fabsf(a));
    }
}

static void same_value(const struct gguf_value *want, const struct gguf_value *got, const char *key) {
    if (!got) fail_msg("key %s is missing", key);
    assert_int_equal(got->kind, want->kind);
    assert_int_equal(got->item_kind, want->item_kind);
    assert_int_equal(got->count, want->count);
    for (size_t i = 0; i < want->count; i++) {
        const size_t bytes = gguf_kind_bytes(want->item_kind);
        if (want->item_kind == GGUF_STRING) {
            if (got->texts[i].size != want->texts[i].size || memcmp(got->texts[i].data, want->texts[i].data, want->texts[i].size) != 0)
                fail_msg("%s[%zu] is '%.*s', expected '%.*s'", key, i, (int)got->texts[i].size, got->texts[i].data,
                         (int)want->texts[i].size, want->texts[i].data);
        } else if (memcmp(got->bytes + i * bytes, want->bytes + i * bytes, bytes) != 0)
            fail_msg("%s[%zu] differs", key, i);
    }
}

/* From the Hugging Face folder, what gguf-py wrote from the same model; the folders but one have no tokenizer. */
static void equals_gguf_py(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof made_by_rules / sizeof made_by_rules[0]; i++) {
        struct gguf want, got;
        char path[512];
        snprintf(path, sizeof path, GOLDEN "%s", made_by_rules[i]);
        export_as("gguf", path, NULL, "f32");
        snprintf(path, sizeof path, GOLDEN "%s_gguf/model.gguf", made_by_rules[i]);
        ok(gguf_open(&want, path));
        ok(gguf_open(&got, OUT));
        assert_int_equal(got.version, 3);
        assert_int_equal(got.tensor_count, want.tensor_count);
        for (size_t k = 0; k < want.tensor_count; k++) {
            char name[128];
            snprintf(name, sizeof name, "%.*s", (int)want.tensors[k].name.size, want.tensors[k].name.data);
            same_tensor(&want.tensors[k], gguf_tensor_find(&got, name));
        }
        for (size_t k = 0; k < want.value_count; k++) {
            char key[128];
            snprintf(key, sizeof key, "%.*s", (int)want.values[k].key.size, want.values[k].key.data);
            if (strncmp(key, "tokenizer.", 10) != 0 || strcmp(made_by_rules[i], "llama_tiny") == 0)
                same_value(&want.values[k], gguf_find(&got, key), key);
        }
        gguf_release(&want);
        gguf_release(&got);
    }
}

static void half_types(void **state) {
    (void)state;
    static const char *const names[] = {"f16", "bf16"};
    static const enum dtype types[] = {DTYPE_F16, DTYPE_BF16};
    for (size_t i = 0; i < 2; i++) {
        struct gguf g, whole;
        export_as("gguf", GOLDEN "gemma3_gguf/model.gguf", NULL, names[i]);
        ok(gguf_open(&g, OUT));
        ok(gguf_open(&whole, GOLDEN "gemma3_gguf/model.gguf"));
        assert_int_equal(g.tensor_count, whole.tensor_count);
        for (size_t k = 0; k < g.tensor_count; k++) {
            const struct gguf_tensor *t = &g.tensors[k];
            char name[128];
            float x, y;
            assert_int_equal(t->type, t->dims == 1 ? DTYPE_F32 : types[i]);
            snprintf(name, sizeof name, "%.*s", (int)t->name.size, t->name.data);
            const struct gguf_tensor *from = gguf_tensor_find(&whole, name);
            for (size_t j = 0; j < t->rows * t->cols; j++) {
                dtype_table[t->type].expand(&x, (const char *)t->data + j * dtype_table[t->type].block_bytes, 1);
                memcpy(&y, (const char *)from->data + 4 * j, 4);
                assert_true(fabsf(x - y) <= (t->dims == 1 ? 0 : i ? 0x1p-8f : 0x1p-11f) * fabsf(y) + 1e-7f);
            }
        }
        gguf_release(&g);
        gguf_release(&whole);
    }
}

/* How many tensors of each type llama.cpp's quantiser made of Gemma 3 270M as Q4_K_M: 18 layers of 640 columns, so that
 * Q5_0 and Q8_0 stand in for the K types in most places. */
static void mixtures_are_llama_cpps(void **state) {
    (void)state;
    static const enum tensor_role roles[] = {TENSOR_Q, TENSOR_K, TENSOR_V, TENSOR_O, TENSOR_GATE, TENSOR_UP, TENSOR_DOWN};
    static const size_t layers = 18, hidden = 640, q = 1024, ffn = 2048;
    static struct model_config c;
    size_t counts[DTYPE_COUNT] = {0};
    c = (struct model_config){.family = family_by_gguf("gemma3", 6), .tied = true, .layers = layers, .hidden = hidden};
    const struct gguf_preset *p = gguf_preset_find("q4_k");
    assert_int_equal(p->file_type, 15);
    counts[gguf_tensor_type(p, &c, TENSOR_EMBED, 0, hidden)]++;
    for (size_t i = 0; i < layers; i++) {
        assert_int_equal(gguf_tensor_type(p, &c, TENSOR_NORM1, i, hidden), DTYPE_F32);
        for (size_t k = 0; k < sizeof roles / sizeof roles[0]; k++)
            counts[gguf_tensor_type(p, &c, roles[k], i, roles[k] == TENSOR_O ? q : roles[k] == TENSOR_DOWN ? ffn : hidden)]++;
    }
    assert_int_equal(counts[DTYPE_Q5_0], 81);
    assert_int_equal(counts[DTYPE_Q4_K], 27);
    assert_int_equal(counts[DTYPE_Q8_0], 10);
    assert_int_equal(counts[DTYPE_Q6_K], 9);
    c.tied = false; /* a head of its own takes the bits */
    assert_int_equal(gguf_tensor_type(p, &c, TENSOR_EMBED, 0, 4096), DTYPE_Q4_K);
    assert_int_equal(gguf_tensor_type(p, &c, TENSOR_HEAD, 0, 4096), DTYPE_Q6_K);
    assert_int_equal(gguf_tensor_type(gguf_preset_find("q4_0"), &c, TENSOR_HEAD, 0, 4096), DTYPE_Q6_K);
    assert_int_equal(gguf_tensor_type(gguf_preset_find("q8_0"), &c, TENSOR_HEAD, 0, 4096), DTYPE_Q8_0);
    assert_int_equal(gguf_tensor_type(gguf_preset_find("f16"), &c, TENSOR_HEAD, 0, 4096), DTYPE_F16);
}

static void refuses(const char *format, const char *model, const char *adapter, const char *output, const char *message) {
    struct export_request r = {.model = model, .adapter = adapter, .output = output, .dtype = "f32"};
    if (export_find(format)->run(&r) == ST_OK) fail_msg("%s is not refused", model);
    if (!strstr(status_message(), message)) fail_msg("'%s' has no '%s'", status_message(), message);
}

static void refusals(void **state) {
    (void)state;
    unlink(OUT);
    refuses("gguf", GOLDEN "reward_llama", NULL, OUT, "a reward model has no form");
    refuses("gguf", GOLDEN "reward_armo", NULL, OUT, "a reward model has no form");
    refuses("gguf", GOLDEN "gemma3_types", NULL, OUT, "query_pre_attn_scalar is 12");
    refuses("gguf", GOLDEN "llama_tiny", NULL, "export.bin", "the name of a .gguf file is wanted");
    refuses("gguf", GOLDEN "llama_tiny_gguf/model.gguf", NULL, GOLDEN "llama_tiny_gguf/model.gguf", "--output is the model itself");
    refuses("gguf-lora", GOLDEN "reward_tiny", GOLDEN "reward_tiny_lora", OUT,
            "'score.weight' has no form in a GGUF adapter, which holds A and B only; merge it into the model");
    assert_false(file_exists(OUT));
}

/* A file with nothing but the tokenizer. */
static status write_vocabulary(const char *path) {
    const int64_t none[3] = {-1, -1, -1};
    struct tokenizer *t = NULL;
    struct gguf_writer w = {0};
    ok(tokenizer_open(&t, path));
    status s = tokenizer_put_gguf(t, &w, (size_t)tokenizer_vocab_size(t) + 2, none);
    if (s == ST_OK) s = gguf_write_begin(&w, OUT);
    if (s == ST_OK) s = gguf_write_end(&w);
    gguf_writer_release(&w);
    tokenizer_free(t);
    return s;
}

static void same_ids(const struct tokenizer *t, const char *name, struct json text, struct json want, bool special) {
    struct buf bytes = {0};
    struct ids ids = {0};
    struct json key, v;
    size_t i = 0;
    int64_t id = -1;
    assert_true(json_string(&bytes, text));
    ok(tokenizer_encode(t, &ids, buf_text(&bytes), bytes.size, special));
    for (struct json_iter it = json_iter_begin(want); json_iter_next(&it, &key, &v); i++)
        if (!json_int(&id, v) || i >= ids.count || ids.data[i] != id)
            fail_msg("%s: text %.*s: id %zu is %d, expected %lld", name, (int)text.size, text.text, i, i < ids.count ? ids.data[i] : -1,
                     (long long)id);
    assert_int_equal(ids.count, i);
    buf_release(&bytes);
    ids_release(&ids);
}

/* Through the GGUF, the ids that tokenizers gave; forms that GGUF lacks are refused. */
static void tokenizers_travel(void **state) {
    (void)state;
    static const struct {
        const char *name, *refused;
    } kinds[] = {{"gpt2", NULL},
                 {"smollm", "pre-tokenizer"},
                 {"llama3", NULL},
                 {"llama2", "no list made from SentencePiece's scores"},
                 {"gemma", "no list made from"},
                 {"metaspace", "GGUF:"},
                 {"mixed", "GGUF:"}};
    struct buf text = {0};
    struct json root, key, row;
    ok(file_read(&text, GOLDEN "tokenizer/cases.json"));
    ok(json_parse(&root, text.data, text.size));
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct tokenizer *t = NULL;
        char path[512];
        size_t n = 0;
        snprintf(path, sizeof path, GOLDEN "tokenizer/%s.json", kinds[i].name);
        status s = write_vocabulary(path);
        if (kinds[i].refused) {
            assert_int_equal(s, ST_UNSUPPORTED);
            assert_non_null(strstr(status_message(), kinds[i].refused));
            continue;
        }
        if (s != ST_OK) fail_msg("%s: %s", kinds[i].name, status_message());
        ok(tokenizer_open(&t, OUT));
        for (struct json_iter it = json_iter_begin(json_get(root, kinds[i].name)); json_iter_next(&it, &key, &row); n++) {
            struct json special = json_get(row, "special"), said = json_get(row, "text");
            bool ascii = true;
            for (size_t k = 0; k < said.size; k++) ascii &= said.text[k] != '\\' && (unsigned char)said.text[k] < 0x80;
            if (i == 0 && !ascii) continue; /* GGUF has no NFC for GPT-2's cuts; there is a warning */
            /* "score" counts as a whole word only and <tab> takes blanks along, which GGUF cannot say */
            if (memmem(said.text, said.size, "score", 5) || memmem(said.text, said.size, "<tab>", 5)) continue;
            same_ids(t, kinds[i].name, json_get(row, "text"), json_get(row, "ids"), false);
            same_ids(t, kinds[i].name, json_get(row, "text"), json_kind_of(special) == JSON_NONE ? json_get(row, "ids") : special, true);
        }
        assert_true(n > 5);
        tokenizer_free(t);
    }
    buf_release(&text);
}

/* What is in OUT gives sentencepiece's ids. */
static void is_plain_model(const char *name, struct json root) {
    struct tokenizer *t = NULL;
    struct json key, row, k, one;
    struct json_iter texts = json_iter_begin(json_get(root, "texts")), rows = json_iter_begin(json_get(root, "plain.model"));
    size_t n = 0;
    ok(tokenizer_open(&t, OUT));
    for (; json_iter_next(&texts, &k, &one) && json_iter_next(&rows, &key, &row); n++) same_ids(t, name, one, json_get(row, "ids"), false);
    assert_true(n > 5);
    tokenizer_free(t);
}

/* From a tokenizer.model, and from a tokenizer.json whose merges were made from its scores. */
static void sentencepiece_travels(void **state) {
    (void)state;
    struct buf text = {0};
    struct json root;
    struct tokenizer *t = NULL;
    ok(file_read(&text, GOLDEN "sentencepiece/cases.json"));
    ok(json_parse(&root, text.data, text.size));
    assert_int_equal(write_vocabulary(GOLDEN "sentencepiece/unigram.model"), ST_UNSUPPORTED);
    assert_int_equal(write_vocabulary(GOLDEN "sentencepiece/unigram.json"), ST_UNSUPPORTED);
    assert_int_equal(write_vocabulary(GOLDEN "sentencepiece/bpe.model"), ST_UNSUPPORTED); /* a normaliser of its own */
    ok(write_vocabulary(GOLDEN "sentencepiece/plain.model"));
    is_plain_model("plain.model", root);
    ok(tokenizer_open(&t, GOLDEN "sentencepiece/plain.gguf"));
    ok(tokenizer_save(t, "."));
    tokenizer_free(t);
    ok(write_vocabulary("tokenizer.json"));
    is_plain_model("tokenizer.json", root);
    unlink("tokenizer.json");
    unlink("tokenizer_config.json");
    buf_release(&text);
}

/* The name that is found for the cuts of a row is the row's own, or that of one with the same patterns. Bailing's differ from Grok's in how
 * they are written only. */
static void names_are_found(void **state) {
    (void)state;
    for (size_t i = 0; i < pretoken_count; i++) {
        const struct pretoken_row *row = &pretoken_table[i], *found = NULL, *same;
        struct pretoken p = {0};
        struct normalizer n = {0};
        bool same_form;
        if (row->flags & (PRE_CHARS | PRE_ADD_SEP)) continue;
        ok(pretoken_from_name(&p, &same, row->names, strcspn(row->names, ",")));
        ok(normalizer_add_form(&n, row->form));
        ok(pretoken_find_row(&found, &same_form, &p, &n, row->flags & PRE_IGNORE_MERGES));
        assert_non_null(found);
        assert_true(same_form);
        assert_int_equal(found->form, row->form);
        assert_int_equal(found->flags & PRE_IGNORE_MERGES, row->flags & PRE_IGNORE_MERGES);
        const bool equivalent = strncmp(row->names, "bailingmoe,", 11) == 0 && strcmp(found->names, "grok-2") == 0;
        for (size_t k = 0; !equivalent && k < sizeof row->patterns / sizeof row->patterns[0]; k++)
            if (!row->patterns[k] != !found->patterns[k] || (row->patterns[k] && strcmp(row->patterns[k], found->patterns[k]) != 0))
                fail_msg("the cuts of %s are taken for those of %s", row->names, found->names);
        pretoken_release(&p);
        normalizer_release(&n);
    }
}

/* As the models' own files write their cuts. */
static void names_of_json(void **state) {
    (void)state;
    static const struct {
        const char *name, *pre_tokenizer;
    } cases[] = {
        {"smollm",
         "{\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"Digits\", \"individual_digits\": true}, {\"type\": \"ByteLevel\", "
         "\"add_prefix_space\": false, \"use_regex\": true}]}"},
        {"gpt-2", "{\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"use_regex\": true}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct json value;
        struct pretoken p = {0};
        struct normalizer n = {0};
        const struct pretoken_row *row;
        bool same_form;
        ok(json_parse(&value, cases[i].pre_tokenizer, strlen(cases[i].pre_tokenizer)));
        ok(pretoken_from_json(&p, value));
        ok(pretoken_find_row(&row, &same_form, &p, &n, false));
        assert_non_null(row);
        assert_true(same_form);
        assert_memory_equal(row->names, cases[i].name, strlen(cases[i].name));
        pretoken_release(&p);
    }
}

int main(void) {
    char folder[] = "/tmp/rapt_export_gguf_XXXXXX";
    if (!mkdtemp(folder) || chdir(folder) != 0) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(families_come_back),      cmocka_unit_test(adapters_are_merged),
        cmocka_unit_test(equals_gguf_py),          cmocka_unit_test(lora_is_the_difference),
        cmocka_unit_test(other_windows_come_back), cmocka_unit_test(half_types),
        cmocka_unit_test(mixtures_are_llama_cpps), cmocka_unit_test(refusals),
        cmocka_unit_test(tokenizers_travel),       cmocka_unit_test(sentencepiece_travels),
        cmocka_unit_test(names_are_found),         cmocka_unit_test(names_of_json),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(OUT);
    if (chdir("/") == 0) rmdir(folder);
    return failed;
}
