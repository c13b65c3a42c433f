/* A model as one GGUF file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "export/gguf_common.h"
#include "export/gguf_meta.h"
#include "export/gguf_types.h"
#include "model/heads.h"
#include "model/peft_io.h"
#include "text/tokenizer.h"

/* All tensors are gone through twice: first they are listed, then written. */
struct job {
    struct model m;
    const float *theta; /* adapter to merge, or NULL */
    const struct gguf_preset *preset;
    struct gguf_writer w;
    struct buf baked; /* another chat template than the model's, of export_bake, or nothing */
    bool writing;
};

static void view_row(void *context, float *out, size_t i) { tensor_view_row(out, context, i); }

/* One tensor: listed, or written. */
static status put(struct job *j, const char *name, enum dtype type, size_t dims, size_t rows, size_t cols, gguf_row *at, void *context) {
    if (j->writing) return gguf_write_rows(&j->w, name, type, rows, cols, at, context);
    gguf_put_tensor(&j->w, name, type, dims, rows, cols);
    return ST_OK;
}

static void name_of(char out[TENSOR_NAME_SIZE + 8], const struct job *j, enum tensor_role role, size_t layer, const char *suffix) {
    char base[TENSOR_NAME_SIZE];
    family_tensor_name(base, j->m.config.family, role, layer, true);
    snprintf(out, TENSOR_NAME_SIZE + 8, "%s.%s", base, suffix);
}

/* A matrix that is read from the checkpoint row by row. */
static status put_view(struct job *j, enum tensor_role role, size_t rows, size_t cols) {
    struct tensor_view v;
    char name[TENSOR_NAME_SIZE + 8];
    name_of(name, j, role, 0, "weight");
    TRY(checkpoint_tensor(&v, &j->m.checkpoint, role, 0, rows, cols));
    return put(j, name, gguf_tensor_type(j->preset, &j->m.config, role, 0, cols), 2, rows, cols, view_row, &v);
}

static status put_vector(struct job *j, const char *name, const float *data, size_t n, size_t heads) {
    float *moved;
    TRY(mem_try_alloc(&moved, n, sizeof *moved, "a vector"));
    for (size_t i = 0; i < n && data; i++) moved[i] = data[gguf_row_from(i, n, heads)];
    struct gguf_memory_rows all = {moved, 1, n, 0};
    status s = put(j, name, DTYPE_F32, 1, 1, n, gguf_memory_row, &all);
    free(moved);
    return s;
}

/* Norms stand in a GGUF as what they multiply by. */
static status put_norm(struct job *j, enum tensor_role role, size_t layer, size_t n) {
    struct tensor_view v;
    char name[TENSOR_NAME_SIZE + 8];
    float *weight;
    name_of(name, j, role, layer, "weight");
    TRY(checkpoint_tensor(&v, &j->m.checkpoint, role, layer, 1, n));
    TRY(mem_try_alloc(&weight, n, sizeof *weight, "a norm"));
    tensor_view_row(weight, &v, 0);
    const float shift = j->m.checkpoint.is_gguf ? 0 : model_norm_shift(&j->m.config);
    for (size_t i = 0; i < n && shift != 0; i++) weight[i] += shift;
    status s = put_vector(j, name, weight, n, 0);
    free(weight);
    return s;
}

/* Rows [out, in] of all parts with the adapter merged; NULL while listing. */
static status read_linear(float **w, struct job *j, const struct linear *l) {
    *w = NULL;
    for (size_t i = 0; i < l->part_count; i++) {
        struct tensor_view v;
        const enum tensor_role role = l->part[i].role;
        const bool tied = role == TENSOR_HEAD && j->m.checkpoint.config.tied;
        TRY(checkpoint_tensor(&v, &j->m.checkpoint, tied ? TENSOR_EMBED : role, l->layer, l->part[i].rows, l->in));
        if (!j->writing) continue;
        if (!*w) TRY(mem_try_alloc(w, l->out * l->in, sizeof **w, "a matrix"));
        tensor_view_rows(*w + l->part[i].row * l->in, &v);
    }
    if (*w && j->theta) lora_merge_into(*w, l, j->theta);
    return ST_OK;
}

static status put_bias(struct job *j, const struct linear *l, const struct linear_part *p) {
    char name[TENSOR_NAME_SIZE + 8];
    float *bias;
    TRY(mem_try_alloc(&bias, p->rows, sizeof *bias, "a bias"));
    status s = checkpoint_bias(bias, &j->m.checkpoint, p->role, l->layer, p->rows);
    name_of(name, j, p->role, l->layer, "bias");
    if (s == ST_OK) s = put_vector(j, name, bias, p->rows, gguf_permuted_heads(&j->m.config, p->role));
    free(bias);
    return s;
}

static status put_linear(struct job *j, const struct linear *l) {
    float *w;
    char name[TENSOR_NAME_SIZE + 8];
    status s = read_linear(&w, j, l);
    for (size_t i = 0; i < l->part_count && s == ST_OK; i++) {
        const struct linear_part *p = &l->part[i];
        struct gguf_memory_rows rows = {w ? w + p->row * l->in : NULL, p->rows, l->in, gguf_permuted_heads(&j->m.config, p->role)};
        name_of(name, j, p->role, l->layer, "weight");
        s = put(j, name, gguf_tensor_type(j->preset, &j->m.config, p->role, l->layer, l->in), 2, p->rows, l->in, gguf_memory_row, &rows);
        if (s == ST_OK && l->biased) s = put_bias(j, l, p);
    }
    free(w);
    return s;
}

static status put_rope(struct job *j) {
    const struct model_config *c = &j->m.config;
    float divisors[ROPE_PAIRS_MAX];
    if (c->rope.kind == ROPE_LLAMA3 || c->rope.kind == ROPE_DIVISORS) {
        gguf_meta_divisors(divisors, c);
        return put_vector(j, "rope_freqs.weight", divisors, c->rotary / 2, 0);
    }
    if (c->rope.kind != ROPE_LONG) return ST_OK;
    TRY(put_vector(j, "rope_factors_long.weight", c->rope.long_divisor, c->rotary / 2, 0));
    return put_vector(j, "rope_factors_short.weight", c->rope.divisor, c->rotary / 2, 0);
}

/* The embedding, and the head where it is another matrix or the adapter makes it one. */
static status put_edges(struct job *j) {
    const struct model_config *c = &j->m.config;
    if (!c->tied) TRY(heads_adapted(&j->m) ? put_linear(j, &j->m.head) : put_view(j, TENSOR_HEAD, c->vocab, c->hidden));
    if (j->m.embed_offset == LINEAR_FROZEN) return put_view(j, TENSOR_EMBED, c->vocab, c->hidden);
    char name[TENSOR_NAME_SIZE + 8];
    struct gguf_memory_rows rows = {j->theta + j->m.embed_offset, c->vocab, c->hidden, 0};
    name_of(name, j, TENSOR_EMBED, 0, "weight");
    return put(j, name, gguf_tensor_type(j->preset, c, TENSOR_EMBED, 0, c->hidden), 2, c->vocab, c->hidden, gguf_memory_row, &rows);
}

static status put_tensors(struct job *j) {
    const struct model_config *c = &j->m.config;
    TRY(put_rope(j));
    TRY(put_edges(j));
    TRY(put_norm(j, TENSOR_NORM, 0, c->hidden));
    for (size_t i = 0; i < c->layers; i++) {
        struct model_layer *l = &j->m.layers[i];
        struct model_norm norm;
        for (size_t k = 0; model_norm_at(&norm, c, l, k); k++) TRY(put_norm(j, norm.role, i, norm.size));
        TRY(put_linear(j, &l->qkv));
        TRY(put_linear(j, &l->o));
        TRY(put_linear(j, &l->gate_up));
        TRY(put_linear(j, &l->down));
    }
    return ST_OK;
}

/* Values of a GGUF base that stay as they are: what the model is called and who made it, and its tokenizer. */
static void copy_values(struct job *j, const struct gguf *g) {
    static const char *const own[] = {"general.architecture", "general.type", "general.file_type", "general.quantization_version",
                                      "general.alignment"};
    static const char template_key[] = "tokenizer.chat_template";
    for (size_t i = 0; i < g->value_count; i++) {
        const struct gguf_value *v = &g->values[i];
        bool copy = (v->key.size > 8 && memcmp(v->key.data, "general.", 8) == 0) ||
                    (v->key.size > 10 && memcmp(v->key.data, "tokenizer.", 10) == 0);
        for (size_t k = 0; k < sizeof own / sizeof own[0]; k++)
            if (strlen(own[k]) == v->key.size && memcmp(own[k], v->key.data, v->key.size) == 0) copy = false;
        if (j->baked.size && v->key.size == sizeof template_key - 1 && memcmp(v->key.data, template_key, v->key.size) == 0) copy = false;
        if (copy) gguf_put_value(&j->w, v);
    }
    if (j->baked.size) gguf_put_text(&j->w, template_key, j->baked.data, j->baked.size);
}

static status put_tokenizer(struct job *j, const struct export_request *r) {
    const struct model_config *c = &j->m.config;
    const int64_t ids[3] = {c->bos, c->eos, c->pad};
    struct tokenizer *t;
    if (!tokenizer_in_folder(r->model) && !j->baked.size) {
        log_warn("%s holds no tokenizer: the GGUF will have none, and takes token ids only", r->model);
        gguf_put_text(&j->w, "tokenizer.ggml.model", "none", 4);
        return ST_OK;
    }
    TRY(tokenizer_open(&t, r->model));
    if (j->baked.size) tokenizer_set_chat_template(t, buf_text(&j->baked));
    const status s = tokenizer_put_gguf(t, &j->w, c->vocab, ids);
    tokenizer_free(t);
    return s == ST_OK ? s : status_note(s, "%s: ", r->model);
}

static status put_values(struct job *j, const struct export_request *r) {
    TRY(gguf_put_general(&j->w, r, &j->m, "model"));
    gguf_put_u32(&j->w, "general.file_type", j->preset->file_type);
    gguf_put_u32(&j->w, "general.quantization_version", 2);
    gguf_meta_put(&j->w, &j->m.config);
    if (!j->m.checkpoint.is_gguf) {
        gguf_put_name(&j->w, r->model);
        return put_tokenizer(j, r);
    }
    copy_values(j, &j->m.checkpoint.gguf);
    return ST_OK;
}

static status write_file(struct job *j, const struct export_request *r) {
    TRY(gguf_meta_check(&j->m.config));
    TRY(put_values(j, r));
    TRY(put_tensors(j));
    TRY(gguf_write_begin(&j->w, r->output));
    j->writing = true;
    TRY(put_tensors(j));
    return gguf_write_end(&j->w);
}

status export_gguf_run(const struct export_request *r) {
    struct job j = {.preset = gguf_preset_find(r->dtype)};
    TRY(gguf_check_output(r));
    TRY(adapter_describe_model(&j.m, r->model, r->adapter));
    j.theta = r->adapter ? j.m.params.value : NULL;
    j.m.config.tied = j.m.config.tied && !lora_unties(&j.m, j.theta);
    status s = export_bake(&j.baked, r);
    if (s == ST_OK) s = write_file(&j, r);
    if (s == ST_OK) s = export_modelfile(r, &j.baked);
    gguf_writer_release(&j.w);
    model_release(&j.m);
    buf_release(&j.baked);
    return s;
}
