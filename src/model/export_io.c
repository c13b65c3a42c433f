#include "model/export_io.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/reward_head.h"
#include "num/quant.h"

/* Goes over the model twice, so that no more than one tensor is in memory: first names and shapes, then, with a stream, values. */
struct exporter {
    const struct model *m;
    const float *theta;
    enum dtype type;
    struct safetensors_writer writer;
    struct safetensors_stream *stream; /* NULL: the first time */
};

static void tensor_name(char *out, size_t size, const struct exporter *x, enum tensor_role role, const char *suffix, size_t layer) {
    char base[TENSOR_NAME_SIZE];
    family_tensor_name(base, x->m->config.family, role, layer, false);
    snprintf(out, size, "%s.%s", base, suffix);
}

#define NAME_SIZE (TENSOR_NAME_SIZE + 8)
#define PIECE ((size_t)16 << 10) /* elements */

/* The next `count` values of a tensor. */
static status put(struct exporter *x, enum tensor_role role, const char *suffix, size_t layer, const float *data, size_t count) {
    _Alignas(64) char piece[PIECE * sizeof(float)];
    const size_t width = dtype_table[x->type].block_bytes;
    for (size_t at = 0; at < count; at += PIECE) {
        const size_t n = count - at < PIECE ? count - at : PIECE;
        if (!quant_row(piece, data + at, x->type, n)) {
            char name[NAME_SIZE];
            tensor_name(name, sizeof name, x, role, suffix, layer);
            return FAIL(ST_UNSUPPORTED, "tensor '%s' holds values that are not finite or too large for %s", name,
                        dtype_table[x->type].name);
        }
        TRY(safetensors_put(x->stream, piece, n * width));
    }
    return ST_OK;
}

static void declare(struct exporter *x, enum tensor_role role, const char *suffix, size_t layer, size_t rows, size_t cols) {
    char name[NAME_SIZE];
    const size_t shape[2] = {rows, cols}, vector = rows == 1 && role != TENSOR_SCORE;
    tensor_name(name, sizeof name, x, role, suffix, layer);
    safetensors_add(&x->writer, name, x->type, shape + vector, 2 - vector, NULL);
}

/* data is not looked at the first time. */
static status add(struct exporter *x, enum tensor_role role, const char *suffix, size_t layer, const float *data, size_t rows,
                  size_t cols) {
    if (x->stream) return put(x, role, suffix, layer, data, rows * cols);
    declare(x, role, suffix, layer, rows, cols);
    return ST_OK;
}

static status add_norm(struct exporter *x, enum tensor_role role, size_t layer, const float *weight, size_t n) {
    const float shift = model_norm_shift(&x->m->config);
    float *stored;
    if (!x->stream) return add(x, role, "weight", layer, NULL, 1, n);
    TRY(mem_try_alloc(&stored, n, sizeof *stored, "exported norm"));
    for (size_t i = 0; i < n; i++) stored[i] = weight[i] - shift;
    status s = add(x, role, "weight", layer, stored, 1, n);
    free(stored);
    return s;
}

/* A linear's weights as they are exported: the trained ones, or in `memory` [out, in] those of the file with the adapter merged in. */
static status linear_weights(const float **out, float *memory, const struct exporter *x, const struct linear *l) {
    *out = l->w_offset != LINEAR_FROZEN ? x->m->params.value + l->w_offset : memory;
    for (size_t i = 0; i < l->part_count && *out == memory; i++) {
        struct tensor_view v;
        TRY(checkpoint_tensor(&v, &x->m->checkpoint, l->part[i].role, l->layer, l->part[i].rows, l->in));
        tensor_view_rows(memory + l->part[i].row * l->in, &v);
    }
    if (!x->theta) return ST_OK;
    if (*out != memory) memcpy(memory, *out, l->out * l->in * sizeof *memory);
    lora_merge_into(memory, l, x->theta);
    *out = memory;
    return ST_OK;
}

static status add_linear(struct exporter *x, const struct linear *l) {
    const bool needed = x->stream && (x->theta || l->w_offset == LINEAR_FROZEN);
    float *memory = NULL;
    const float *w = NULL;
    status s = ST_OK;
    if (needed) TRY(mem_try_alloc(&memory, l->out * l->in, sizeof *memory, "exported weights"));
    if (x->stream) s = linear_weights(&w, memory, x, l);
    for (size_t i = 0; i < l->part_count && s == ST_OK; i++)
        s = add(x, l->part[i].role, "weight", l->layer, w ? w + l->part[i].row * l->in : NULL, l->part[i].rows, l->in);
    for (size_t i = 0; i < l->part_count && s == ST_OK && l->bias; i++)
        s = add(x, l->part[i].role, "bias", l->layer, l->bias + l->part[i].row, 1, l->part[i].rows);
    free(memory);
    return s;
}

static void embedding_row(float *out, const struct exporter *x, size_t i) { model_embedding_row(out, x->m, x->theta, (int32_t)i); }
static void head_row(float *out, const struct exporter *x, size_t i) { model_head_row(out, x->m, (int32_t)i); }

/* A matrix [vocab, hidden] row by row; the whole of it at once where an adapter is merged into it. */
static status add_vocabulary(struct exporter *x, enum tensor_role role, void (*row)(float *out, const struct exporter *x, size_t i),
                             const struct linear *merged) {
    const size_t c = x->m->config.hidden, v = x->m->config.vocab, most = merged ? v : PIECE / c + 1;
    float *rows;
    status s = ST_OK;
    if (!x->stream) return add(x, role, "weight", 0, NULL, v, c);
    TRY(mem_try_alloc(&rows, most * c, sizeof *rows, "exported embedding"));
    for (size_t from = 0; from < v && s == ST_OK; from += most) {
        const size_t n = v - from < most ? v - from : most;
        for (size_t i = 0; i < n; i++) row(rows + i * c, x, from + i);
        if (merged) lora_merge_into(rows, merged, x->theta);
        s = put(x, role, "weight", 0, rows, n * c);
    }
    free(rows);
    return s;
}

static status add_layer(struct exporter *x, size_t i) {
    const struct model *m = x->m;
    struct model_layer *l = &m->layers[i];
    struct model_norm norm;
    for (size_t k = 0; model_norm_at(&norm, &m->config, l, k); k++) TRY(add_norm(x, norm.role, i, *norm.weight, norm.size));
    TRY(add_linear(x, &l->qkv));
    TRY(add_linear(x, &l->o));
    TRY(add_linear(x, &l->gate_up));
    return add_linear(x, &l->down);
}

static status add_all(struct exporter *x) {
    const struct model *m = x->m;
    const size_t c = m->config.hidden;
    TRY(add_vocabulary(x, TENSOR_EMBED, embedding_row, NULL));
    if (m->config.head == HEAD_SCORE) TRY(add(x, TENSOR_SCORE, "weight", 0, reward_head_weights(m, x->theta), m->config.labels, c));
    const bool apart = m->config.head == HEAD_LM && (!m->config.tied || lora_unties(m, x->theta));
    if (apart) TRY(add_vocabulary(x, TENSOR_HEAD, head_row, x->theta ? &m->head : NULL));
    for (size_t i = 0; i < m->config.layers; i++) TRY(add_layer(x, i));
    return add_norm(x, TENSOR_NORM, 0, m->norm, c);
}

static status write_weights(struct exporter *x, const char *path) {
    struct safetensors_stream stream;
    TRY(add_all(x)); /* cannot fail: nothing is made yet */
    TRY(safetensors_begin(&stream, &x->writer, path));
    x->stream = &stream;
    return safetensors_end(&stream, add_all(x));
}

static status write_config(const struct model *m, const float *theta, const char *folder, enum dtype type) {
    struct buf b = {0};
    struct model_config config = m->config;
    config.tied = config.tied && !lora_unties(m, theta);
    char *path = file_join(folder, "config.json");
    status s = model_config_put_json(&b, &config, type == DTYPE_F32 ? "float32" : type == DTYPE_F16 ? "float16" : "bfloat16");
    if (s == ST_OK) s = file_write(path, b.data, b.size);
    free(path);
    buf_release(&b);
    return s;
}

status export_hf(const struct model *m, const float *theta, const char *folder, enum dtype type) {
    if (m->config.head == HEAD_GATED) return FAIL(ST_UNSUPPORTED, "a reward model with a gating network is not exported: use the original");
    struct exporter x = {.m = m, .theta = theta, .type = type};
    TRY(file_make_dirs(folder));
    char *path = file_join(folder, "model.safetensors");
    status s = write_weights(&x, path);
    free(path);
    TRY(s);
    return write_config(m, theta, folder, type);
}
