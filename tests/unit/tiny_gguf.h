/* tiny_gguf: a small random Llama as a .gguf file without a tokenizer, in storage types of every kind that num/qdot takes side by side. */
#ifndef RAPT_TESTS_TINY_GGUF_H
#define RAPT_TESTS_TINY_GGUF_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/rng.h"
#include "format/gguf_write.h"
#include "num/quant.h"

enum {
    TINY_GGUF_VOCAB = 160,
    TINY_GGUF_HIDDEN = 256,
    TINY_GGUF_LAYERS = 2,
    TINY_GGUF_HEADS = 4,
    TINY_GGUF_KV_HEADS = 2,
    TINY_GGUF_FFN = 288
};

/* output: of the attention's output projection, which need not be quantised. */
static void tiny_gguf_write(const char *path, enum dtype output) {
    enum { C = TINY_GGUF_HIDDEN, D = C / TINY_GGUF_HEADS, KV = TINY_GGUF_KV_HEADS * D, F = TINY_GGUF_FFN };
    const struct {
        const char *name;
        enum dtype type;
        size_t rows, cols;
    } layer[] = {{"attn_norm", DTYPE_F32, 1, C},   {"attn_q", DTYPE_Q4_1, C, C},
                 {"attn_k", DTYPE_Q4_K, KV, C},    {"attn_v", DTYPE_Q6_K, KV, C},
                 {"attn_output", output, C, C},    {"ffn_norm", DTYPE_F32, 1, C},
                 {"ffn_gate", DTYPE_Q5_0, F, C},   {"ffn_up", DTYPE_Q5_K, F, C},
                 {"ffn_down", DTYPE_Q5_1, C, F},   {"token_embd", DTYPE_F16, TINY_GGUF_VOCAB, C},
                 {"output_norm", DTYPE_F32, 1, C}, {"output", DTYPE_Q8_0, TINY_GGUF_VOCAB, C}};
    const size_t per_layer = 9, all = sizeof layer / sizeof *layer;
    static float plain[TINY_GGUF_FFN];
    static char row[TINY_GGUF_FFN * 4];
    struct gguf_writer w = {0};
    gguf_put_text(&w, "general.architecture", "llama", 5);
    gguf_put_u32(&w, "llama.vocab_size", TINY_GGUF_VOCAB);
    gguf_put_u32(&w, "llama.context_length", 512);
    gguf_put_u32(&w, "llama.embedding_length", C);
    gguf_put_u32(&w, "llama.block_count", TINY_GGUF_LAYERS);
    gguf_put_u32(&w, "llama.feed_forward_length", F);
    gguf_put_u32(&w, "llama.attention.head_count", TINY_GGUF_HEADS);
    gguf_put_u32(&w, "llama.attention.head_count_kv", TINY_GGUF_KV_HEADS);
    gguf_put_f32(&w, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
    for (int writing = 0; writing < 2; writing++) {
        if (writing && gguf_write_begin(&w, path) != ST_OK) abort();
        for (size_t l = 0; l < TINY_GGUF_LAYERS; l++)
            for (size_t i = 0; i < (l + 1 < TINY_GGUF_LAYERS ? per_layer : all); i++) {
                char name[64];
                if (i < per_layer)
                    snprintf(name, sizeof name, "blk.%zu.%s.weight", l, layer[i].name);
                else
                    snprintf(name, sizeof name, "%s.weight", layer[i].name);
                if (!writing) gguf_put_tensor(&w, name, layer[i].type, layer[i].rows == 1 ? 1 : 2, layer[i].rows, layer[i].cols);
                for (size_t r = 0; writing && r < layer[i].rows; r++) {
                    struct rng g = rng_at(7, l, i, r);
                    for (size_t k = 0; k < layer[i].cols; k++)
                        plain[k] = layer[i].rows == 1 ? 1.0f + 0.2f * (float)rng_normal(&g)
                                                      : (float)(rng_normal(&g) * 1.2 / sqrt((double)layer[i].cols));
                    if (!quant_row(row, plain, layer[i].type, layer[i].cols)) abort();
                    if (gguf_write_data(&w, row, dtype_row_bytes(layer[i].type, layer[i].cols)) != ST_OK) abort();
                }
            }
    }
    if (gguf_write_end(&w) != ST_OK) abort();
    gguf_writer_release(&w);
}

#endif
