/* tiny_model: a small random Llama in a fresh temporary folder, for tests that need a whole model. */
#ifndef RAPT_TESTS_TINY_MODEL_H
#define RAPT_TESTS_TINY_MODEL_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/rng.h"
#include "format/safetensors.h"
#include "model/arch.h"

struct tiny_shape {
    size_t vocab, hidden, layers, heads, kv_heads, head_dim, ffn;
};

static void tiny_add(struct safetensors_writer *w, float **owned, const char *name, size_t rows, size_t cols, uint64_t seed) {
    struct rng r = rng_at(seed, w->count, rows, cols);
    const size_t shape[2] = {rows, cols};
    float *x = malloc(rows * cols * sizeof *x);
    for (size_t i = 0; i < rows * cols; i++)
        x[i] = rows == 1 ? 1.0f + 0.2f * (float)rng_normal(&r) : (float)(rng_normal(&r) * 1.2 / sqrt((double)cols));
    if (rows == 1)
        safetensors_add(w, name, DTYPE_F32, &shape[1], 1, x);
    else
        safetensors_add(w, name, DTYPE_F32, shape, 2, x);
    *owned = x;
}

/* folder: a template for mkdtemp, filled in. */
static void tiny_model_write(char *folder, const struct tiny_shape *s, uint64_t seed) {
    const size_t q = s->heads * s->head_dim, kv = s->kv_heads * s->head_dim;
    const size_t shapes[TENSOR_ROLES][2] = {
        [TENSOR_NORM1] = {1, s->hidden},        [TENSOR_Q] = {q, s->hidden},       [TENSOR_K] = {kv, s->hidden},
        [TENSOR_V] = {kv, s->hidden},           [TENSOR_O] = {s->hidden, q},       [TENSOR_NORM2] = {1, s->hidden},
        [TENSOR_GATE] = {s->ffn, s->hidden},    [TENSOR_UP] = {s->ffn, s->hidden}, [TENSOR_DOWN] = {s->hidden, s->ffn},
        [TENSOR_EMBED] = {s->vocab, s->hidden}, [TENSOR_NORM] = {1, s->hidden},    [TENSOR_HEAD] = {s->vocab, s->hidden},
    };
    struct safetensors_writer w = {0};
    float *owned[512];
    char base[TENSOR_NAME_SIZE], name[TENSOR_NAME_SIZE + 8], path[512];
    struct buf config = {0};
    size_t count = 0;
    if (!mkdtemp(folder)) abort();
    for (size_t layer = 0; layer < s->layers; layer++)
        for (int role = 0; role < TENSOR_ROLES; role++) {
            if (!shapes[role][0] || (role >= TENSOR_EMBED && layer)) continue;
            family_tensor_name(base, &family_table[0], (enum tensor_role)role, layer, false);
            snprintf(name, sizeof name, "%s.weight", base);
            tiny_add(&w, &owned[count++], name, shapes[role][0], shapes[role][1], seed);
        }
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    if (safetensors_write(&w, path) != ST_OK) abort();
    for (size_t i = 0; i < count; i++) free(owned[i]);
    buf_printf(&config,
               "{\"architectures\": [\"LlamaForCausalLM\"], \"vocab_size\": %zu, \"hidden_size\": %zu, \"num_hidden_layers\": %zu, "
               "\"num_attention_heads\": %zu, \"num_key_value_heads\": %zu, \"head_dim\": %zu, \"intermediate_size\": %zu, "
               "\"max_position_embeddings\": 512, \"rms_norm_eps\": 1e-5, \"rope_theta\": 10000.0, \"tie_word_embeddings\": false}\n",
               s->vocab, s->hidden, s->layers, s->heads, s->kv_heads, s->head_dim, s->ffn);
    snprintf(path, sizeof path, "%s/config.json", folder);
    if (file_write(path, config.data, config.size) != ST_OK) abort();
    buf_release(&config);
}

static void tiny_model_remove(const char *folder) {
    static const char *const names[] = {"model.safetensors", "config.json"};
    char path[512];
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    rmdir(folder);
}

#endif
