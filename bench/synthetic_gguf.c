/* synthetic_gguf: a GGUF file of a given shape with random weights, for measuring what a model of that size needs. It says nothing.
 *
 * usage: synthetic_gguf SHAPE TYPE OUTPUT.gguf      e.g. synthetic_gguf llama-3.1-8b Q4_0 /tmp/8b.gguf
 *
 * Every tensor repeats the same few random rows, so that writing takes as long as the disk does. The tokenizer knows bytes only. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "format/gguf_write.h"
#include "num/quant.h"

#define DISTINCT_ROWS 64

static const struct shape {
    const char *name;
    uint32_t vocab, hidden, layers, heads, kv_heads, head_dim, ffn, positions;
    float rope_base;
} shapes[] = {
    {"llama-3.1-8b", 128256, 4096, 32, 32, 8, 128, 14336, 131072, 500000.0f},
    {"llama-3.2-1b", 128256, 2048, 16, 32, 8, 64, 8192, 131072, 500000.0f},
    {"smollm2-135m", 49152, 576, 30, 9, 3, 64, 1536, 8192, 100000.0f},
};

struct tensor_row {
    char name[64];
    enum dtype type;
    size_t rows, cols;
};

static size_t list_tensors(struct tensor_row *out, const struct shape *s, enum dtype type) {
    const size_t q = (size_t)s->heads * s->head_dim, kv = (size_t)s->kv_heads * s->head_dim;
    const struct {
        const char *name;
        size_t rows, cols;
    } layer[] = {{"attn_norm", 1, s->hidden},     {"attn_q", q, s->hidden},      {"attn_k", kv, s->hidden},
                 {"attn_v", kv, s->hidden},       {"attn_output", s->hidden, q}, {"ffn_norm", 1, s->hidden},
                 {"ffn_gate", s->ffn, s->hidden}, {"ffn_up", s->ffn, s->hidden}, {"ffn_down", s->hidden, s->ffn}};
    size_t n = 0;
    out[n++] = (struct tensor_row){"token_embd.weight", type, s->vocab, s->hidden};
    for (uint32_t l = 0; l < s->layers; l++)
        for (size_t i = 0; i < sizeof layer / sizeof layer[0]; i++, n++) {
            out[n] = (struct tensor_row){.type = layer[i].rows == 1 ? DTYPE_F32 : type, .rows = layer[i].rows, .cols = layer[i].cols};
            snprintf(out[n].name, sizeof out[n].name, "blk.%u.%s.weight", l, layer[i].name);
        }
    out[n++] = (struct tensor_row){"output_norm.weight", DTYPE_F32, 1, s->hidden};
    out[n++] = (struct tensor_row){"output.weight", type, s->vocab, s->hidden};
    return n;
}

/* GPT-2's characters for the 256 bytes, then fillers. */
static void put_tokenizer(struct gguf_writer *w, const struct shape *s) {
    static const char chat[] = "{% for m in messages %}{{ '<' + m['role'] + '>' + m['content'] + '\\n' }}{% endfor %}"
                               "{% if add_generation_prompt %}{{ '<assistant>' }}{% endif %}";
    uint32_t next = 256;
    gguf_put_text(w, "tokenizer.ggml.model", "gpt2", 4);
    gguf_put_text(w, "tokenizer.ggml.pre", "llama-bpe", 9);
    gguf_put_array(w, "tokenizer.ggml.tokens", GGUF_STRING, s->vocab);
    for (uint32_t i = 0; i < s->vocab; i++) {
        char text[32];
        const bool shown = (i >= 33 && i <= 126) || (i >= 161 && i <= 172) || (i >= 174 && i <= 255);
        const uint32_t c = i >= 256 ? 0 : shown ? i : next++;
        if (i >= 256)
            snprintf(text, sizeof text, "<filler %u>", i);
        else if (c < 128)
            text[0] = (char)c, text[1] = 0;
        else
            text[0] = (char)(0xc0 | c >> 6), text[1] = (char)(0x80 | (c & 63)), text[2] = 0;
        gguf_put_item_text(w, text, strlen(text));
    }
    gguf_put_array(w, "tokenizer.ggml.token_type", GGUF_I32, s->vocab);
    for (uint32_t i = 0; i < s->vocab; i++) gguf_put_items(w, &(int32_t){i < 256 ? 1 : 5}, sizeof(int32_t));
    gguf_put_array(w, "tokenizer.ggml.merges", GGUF_STRING, 0);
    gguf_put_u32(w, "tokenizer.ggml.eos_token_id", 255);
    gguf_put_text(w, "tokenizer.chat_template", chat, sizeof chat - 1);
}

static void put_values(struct gguf_writer *w, const struct shape *s) {
    gguf_put_text(w, "general.architecture", "llama", 5);
    gguf_put_text(w, "general.name", s->name, strlen(s->name));
    gguf_put_u32(w, "llama.vocab_size", s->vocab);
    gguf_put_u32(w, "llama.context_length", s->positions);
    gguf_put_u32(w, "llama.embedding_length", s->hidden);
    gguf_put_u32(w, "llama.block_count", s->layers);
    gguf_put_u32(w, "llama.feed_forward_length", s->ffn);
    gguf_put_u32(w, "llama.attention.head_count", s->heads);
    gguf_put_u32(w, "llama.attention.head_count_kv", s->kv_heads);
    gguf_put_u32(w, "llama.rope.dimension_count", s->head_dim);
    gguf_put_f32(w, "llama.rope.freq_base", s->rope_base);
    gguf_put_f32(w, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
    put_tokenizer(w, s);
}

static status write_tensor(struct gguf_writer *w, const struct tensor_row *t, uint64_t seed) {
    const size_t bytes = dtype_row_bytes(t->type, t->cols), distinct = t->rows < DISTINCT_ROWS ? t->rows : DISTINCT_ROWS;
    float *plain = mem_alloc(t->cols * sizeof *plain);
    char *rows = mem_alloc(distinct * bytes);
    status s = ST_OK;
    for (size_t i = 0; i < distinct; i++) {
        struct rng r = rng_at(seed, i, 0, 0);
        for (size_t j = 0; j < t->cols; j++) plain[j] = t->rows == 1 ? 1.0f : (float)(rng_normal(&r) / sqrt((double)t->cols));
        if (!quant_row(rows + i * bytes, plain, t->type, t->cols)) s = FAIL(ST_FORMAT, "%s: cannot be written", t->name);
    }
    for (size_t i = 0; s == ST_OK && i < t->rows; i += distinct)
        s = gguf_write_data(w, rows, (t->rows - i < distinct ? t->rows - i : distinct) * bytes);
    free(plain);
    free(rows);
    return s;
}

static status write_model(const struct shape *shape, enum dtype type, const char *path) {
    static struct tensor_row tensors[1024];
    struct gguf_writer w = {0};
    const size_t n = list_tensors(tensors, shape, type);
    put_values(&w, shape);
    for (size_t i = 0; i < n; i++) {
        if (tensors[i].rows > 1) tensors[i].type = quant_fallback(tensors[i].type, tensors[i].cols);
        gguf_put_tensor(&w, tensors[i].name, tensors[i].type, tensors[i].rows == 1 ? 1 : 2, tensors[i].rows, tensors[i].cols);
    }
    status s = gguf_write_begin(&w, path);
    for (size_t i = 0; s == ST_OK && i < n; i++) s = write_tensor(&w, &tensors[i], i);
    if (s == ST_OK) s = gguf_write_end(&w);
    gguf_writer_release(&w);
    return s;
}

int main(int argc, char **argv) {
    enum dtype type;
    for (size_t i = 0; argc == 4 && i < sizeof shapes / sizeof shapes[0]; i++) {
        if (strcmp(argv[1], shapes[i].name) != 0 || !dtype_from_name(&type, argv[2]) || !quant_writes(type)) continue;
        if (write_model(&shapes[i], type, argv[3]) == ST_OK) return 0;
        fprintf(stderr, "synthetic_gguf: %s\n", status_message());
        return 1;
    }
    fprintf(stderr, "usage: synthetic_gguf SHAPE TYPE OUTPUT.gguf; shapes:");
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) fprintf(stderr, " %s", shapes[i].name);
    fprintf(stderr, "; types: F32, F16, BF16, Q8_0, Q4_0, Q4_K, Q6_K, ...\n");
    return 2;
}
