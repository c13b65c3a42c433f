/* An adapter as llama.cpp loads it beside a GGUF base (convert_lora_to_gguf.py, src/llama-adapter.cpp): y = W x + alpha / r B A x. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "export/gguf_common.h"
#include "export/gguf_meta.h"
#include "export/gguf_types.h"
#include "model/peft_io.h"

struct job {
    struct model m;
    const struct gguf_preset *preset;
    struct gguf_writer w;
    bool writing;
};

static status put(struct job *j, const struct linear *l, const struct linear_part *p, const char *suffix, struct gguf_memory_rows rows) {
    char base[TENSOR_NAME_SIZE], name[TENSOR_NAME_SIZE + 16];
    family_tensor_name(base, j->m.config.family, p->role, l->layer, true);
    snprintf(name, sizeof name, "%s.weight.%s", base, suffix);
    if (j->writing) return gguf_write_rows(&j->w, name, j->preset->type, rows.rows, rows.cols, gguf_memory_row, &rows);
    gguf_put_tensor(&j->w, name, j->preset->type, 2, rows.rows, rows.cols);
    return ST_OK;
}

static status put_linear(struct job *j, const struct linear *l) {
    const float *theta = j->m.params.value;
    for (size_t i = 0; i < l->part_count; i++) {
        const struct linear_part *p = &l->part[i];
        if (!p->adapted) continue;
        TRY(put(j, l, p, "lora_a", (struct gguf_memory_rows){theta + l->a_offset + p->u_col * l->in, p->rank, l->in, 0}));
        TRY(put(j, l, p, "lora_b",
                (struct gguf_memory_rows){theta + p->b_offset, p->rows, p->rank, gguf_permuted_heads(&j->m.config, p->role)}));
    }
    return ST_OK;
}

/* Listed first, then written. */
static status put_tensors(struct job *j) {
    for (size_t i = 0; i < j->m.config.layers; i++) {
        struct model_layer *l = &j->m.layers[i];
        TRY(put_linear(j, &l->qkv));
        TRY(put_linear(j, &l->o));
        TRY(put_linear(j, &l->gate_up));
        TRY(put_linear(j, &l->down));
    }
    return put_linear(j, &j->m.head);
}

/* One alpha for all: llama.cpp divides it by each pair's own rank. */
static status check_linear(const struct linear *l, double alpha) {
    for (size_t i = 0; i < l->part_count; i++) {
        const struct linear_part *p = &l->part[i];
        if (p->adapted && fabs((double)p->scale * (double)p->rank - alpha) > 1e-5 * fabs(alpha))
            return FAIL(ST_UNSUPPORTED, "layer %zu: alpha differs between modules, which a GGUF adapter cannot say; merge it instead",
                        l->layer);
    }
    return ST_OK;
}

/* What a GGUF adapter cannot hold. */
static status check(const struct job *j, double alpha, const char *folder) {
    const struct params *p = &j->m.params;
    for (size_t i = 0; i < p->count; i++)
        if (!strstr(p->items[i].name, ".lora_A.weight") && !strstr(p->items[i].name, ".lora_B.weight"))
            return FAIL(ST_UNSUPPORTED,
                        "%s: '%s' has no form in a GGUF adapter, which holds A and B only; merge it into the model instead (--format "
                        "gguf or hf)",
                        folder, p->items[i].name);
    for (size_t i = 0; i < j->m.config.layers; i++) {
        const struct model_layer *l = &j->m.layers[i];
        TRY(check_linear(&l->qkv, alpha));
        TRY(check_linear(&l->o, alpha));
        TRY(check_linear(&l->gate_up, alpha));
        TRY(check_linear(&l->down, alpha));
    }
    if (j->m.head.u_width && j->m.config.tied)
        return FAIL(ST_UNSUPPORTED, "%s: an adapter on a head that is the embedding too would change both in llama.cpp; merge it instead",
                    folder);
    return check_linear(&j->m.head, alpha);
}

static status write_file(struct job *j, const struct export_request *r, const struct lora_options *o) {
    const double alpha = o->rslora ? o->alpha * sqrt((double)o->rank) : o->alpha;
    TRY(check(j, alpha, r->adapter));
    TRY(gguf_meta_check(&j->m.config));
    TRY(gguf_put_general(&j->w, r, &j->m, "adapter"));
    gguf_put_name(&j->w, r->adapter);
    gguf_put_u32(&j->w, "general.file_type", j->preset->file_type);
    gguf_put_u32(&j->w, "general.quantization_version", 2);
    gguf_put_text(&j->w, "adapter.type", "lora", 4);
    gguf_put_f32(&j->w, "adapter.lora.alpha", (float)alpha);
    TRY(put_tensors(j));
    TRY(gguf_write_begin(&j->w, r->output));
    j->writing = true;
    TRY(put_tensors(j));
    return gguf_write_end(&j->w);
}

status export_gguf_lora_run(const struct export_request *r) {
    struct job j = {.preset = gguf_preset_find(r->dtype)};
    struct lora_options o;
    TRY(gguf_check_output(r));
    TRY(adapter_read_options(&o, r->adapter));
    TRY(adapter_describe_model(&j.m, r->model, r->adapter));
    status s = write_file(&j, r, &o);
    gguf_writer_release(&j.w);
    model_release(&j.m);
    return s;
}
