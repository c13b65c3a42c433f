#include "model/export_io.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/reward_head.h"
#include "num/quant.h"

struct exporter {
    const struct model *m;
    const float *theta;
    enum dtype type;
    struct safetensors_writer writer;
    struct arena arena; /* the tensors as they will be written */
    status result;
};

static status add_named(struct exporter *x, enum tensor_role role, const char *suffix, size_t layer, const float *data, size_t rows,
                        size_t cols) {
    char base[TENSOR_NAME_SIZE], name[TENSOR_NAME_SIZE + 8];
    size_t shape[2] = {rows, cols};
    void *copy;
    family_tensor_name(base, x->m->config.family, role, layer, false);
    snprintf(name, sizeof name, "%s.%s", base, suffix);
    TRY(arena_try_take(&x->arena, &copy, rows * cols, x->type == DTYPE_F32 ? 4 : 2, "exported tensor"));
    if (!quant_row(copy, data, x->type, rows * cols))
        return FAIL(ST_UNSUPPORTED, "tensor '%s' holds values that are not finite or too large for %s", name, dtype_table[x->type].name);
    if (rows == 1 && role != TENSOR_SCORE)
        safetensors_add(&x->writer, name, x->type, shape + 1, 1, copy);
    else
        safetensors_add(&x->writer, name, x->type, shape, 2, copy);
    return ST_OK;
}

static status add(struct exporter *x, enum tensor_role role, size_t layer, const float *data, size_t rows, size_t cols) {
    return add_named(x, role, "weight", layer, data, rows, cols);
}

static status add_norm(struct exporter *x, enum tensor_role role, size_t layer, const float *weight, size_t n) {
    const float shift = model_norm_shift(&x->m->config);
    float *stored;
    TRY(mem_try_alloc(&stored, n, sizeof *stored, "exported norm"));
    for (size_t i = 0; i < n; i++) stored[i] = weight[i] - shift;
    status s = add(x, role, layer, stored, 1, n);
    free(stored);
    return s;
}

static status add_linear(struct exporter *x, const struct linear *l) {
    float *w;
    TRY(mem_try_alloc(&w, l->out * l->in, sizeof *w, "exported weights"));
    status s = ST_OK;
    for (size_t i = 0; i < l->part_count && s == ST_OK; i++) {
        struct tensor_view v;
        if (l->w_offset != LINEAR_FROZEN) break;
        s = checkpoint_tensor(&v, &x->m->checkpoint, l->part[i].role, l->layer, l->part[i].rows, l->in);
        if (s == ST_OK) tensor_view_rows(w + l->part[i].row * l->in, &v);
    }
    if (l->w_offset != LINEAR_FROZEN) memcpy(w, x->m->params.value + l->w_offset, l->out * l->in * sizeof *w);
    if (s == ST_OK && x->theta) lora_merge_into(w, l, x->theta);
    for (size_t i = 0; i < l->part_count && s == ST_OK; i++)
        s = add(x, l->part[i].role, l->layer, w + l->part[i].row * l->in, l->part[i].rows, l->in);
    for (size_t i = 0; i < l->part_count && s == ST_OK && l->bias; i++)
        s = add_named(x, l->part[i].role, "bias", l->layer, l->bias + l->part[i].row, 1, l->part[i].rows);
    free(w);
    return s;
}

static status add_all(struct exporter *x) {
    const struct model *m = x->m;
    const size_t c = m->config.hidden, v = m->config.vocab;
    float *rows;
    TRY(mem_try_alloc(&rows, v * c, sizeof *rows, "exported embedding"));
    for (size_t i = 0; i < v; i++) model_embedding_row(rows + i * c, m, x->theta, (int32_t)i);
    status s = add(x, TENSOR_EMBED, 0, rows, v, c);
    if (s == ST_OK && m->config.head == HEAD_SCORE) s = add(x, TENSOR_SCORE, 0, reward_head_weights(m, x->theta), m->config.labels, c);
    const bool apart = m->config.head == HEAD_LM && (!m->config.tied || lora_unties(m, x->theta));
    for (size_t i = 0; i < v && apart; i++) model_head_row(rows + i * c, m, (int32_t)i);
    if (apart && x->theta) lora_merge_into(rows, &m->head, x->theta);
    if (s == ST_OK && apart) s = add(x, TENSOR_HEAD, 0, rows, v, c);
    free(rows);
    for (size_t i = 0; i < m->config.layers && s == ST_OK; i++) {
        struct model_layer *l = &m->layers[i];
        struct model_norm norm;
        for (size_t k = 0; s == ST_OK && model_norm_at(&norm, &m->config, l, k); k++)
            s = add_norm(x, norm.role, i, *norm.weight, norm.size);
        if (s == ST_OK) s = add_linear(x, &l->qkv);
        if (s == ST_OK) s = add_linear(x, &l->o);
        if (s == ST_OK) s = add_linear(x, &l->gate_up);
        if (s == ST_OK) s = add_linear(x, &l->down);
    }
    return s == ST_OK ? add_norm(x, TENSOR_NORM, 0, m->norm, c) : s;
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
    status s = add_all(&x);
    if (s == ST_OK) {
        char *path = file_join(folder, "model.safetensors");
        s = safetensors_write(&x.writer, path);
        free(path);
    }
    arena_release(&x.arena);
    TRY(s);
    return write_config(m, theta, folder, type);
}
