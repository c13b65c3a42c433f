#include "model/peft_io.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/json.h"
#include "format/safetensors.h"

#define PEFT_PREFIX "base_model.model."

static status refuse(struct json config, const char *key) {
    struct json v = json_get(config, key);
    bool on = false;
    enum json_kind kind = json_kind_of(v);
    if (kind == JSON_BOOL) json_bool(&on, v);
    if (kind == JSON_OBJECT || kind == JSON_ARRAY) on = json_count(v) > 0;
    if (on) return FAIL(ST_UNSUPPORTED, "'%s' is set; adapters of that kind are not supported", key);
    return ST_OK;
}

static status read_targets(struct lora_options *o, struct json targets) {
    struct json key, v;
    o->target_count = 0;
    if (json_kind_of(targets) == JSON_STRING) {
        if (!json_equals(targets, "all-linear")) return FAIL(ST_UNSUPPORTED, "'target_modules' is a pattern; a list of names is expected");
        o->targets[o->target_count++] = mem_keep(json_text(targets));
        return ST_OK;
    }
    struct json_iter it = json_iter_begin(targets);
    while (json_iter_next(&it, &key, &v)) {
        if (json_kind_of(v) != JSON_STRING)
            return FAIL(ST_FORMAT, "'target_modules' should hold strings, has %s", json_kind_name(json_kind_of(v)));
        if (o->target_count == LORA_TARGETS_MAX) return FAIL(ST_UNSUPPORTED, "more than %d target modules", LORA_TARGETS_MAX);
        o->targets[o->target_count++] = mem_keep(json_text(v));
    }
    if (!o->target_count) return FAIL(ST_FORMAT, "'target_modules' is missing or empty");
    return ST_OK;
}

/* peft writes both names for every sequence classifier, of which models here have the first. */
static status read_saved_modules(struct lora_options *o, struct json modules) {
    struct json_iter it = json_iter_begin(modules);
    struct json key, v;
    while (json_iter_next(&it, &key, &v)) {
        if (!json_equals(v, "score") && !json_equals(v, "classifier"))
            return FAIL(ST_UNSUPPORTED, "'modules_to_save' has %.*s; of these only \"score\" is supported", (int)v.size, v.text);
        o->labels = 1;
    }
    return ST_OK;
}

static status options_from_json(struct lora_options *o, struct json config) {
    static const char *const refused[] = {"use_dora",       "rank_pattern", "alpha_pattern", "layers_to_transform",
                                          "fan_in_fan_out", "lora_bias"};
    int64_t rank;
    *o = (struct lora_options){0};
    if (!json_equals(json_get(config, "peft_type"), "LORA")) return FAIL(ST_UNSUPPORTED, "'peft_type' is not \"LORA\"");
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) TRY(refuse(config, refused[i]));
    struct json bias = json_get(config, "bias");
    if (json_kind_of(bias) == JSON_STRING && !json_equals(bias, "none")) return FAIL(ST_UNSUPPORTED, "'bias' is not \"none\"");
    if (!json_int(&rank, json_get(config, "r")) || rank < 1 || rank > 65536)
        return FAIL(ST_FORMAT, "'r' should be a positive whole number");
    o->rank = (size_t)rank;
    if (!json_double(&o->alpha, json_get(config, "lora_alpha"))) return FAIL(ST_FORMAT, "'lora_alpha' should be a number");
    json_double(&o->dropout, json_get(config, "lora_dropout"));
    json_bool(&o->rslora, json_get(config, "use_rslora"));
    TRY(read_saved_modules(o, json_get(config, "modules_to_save")));
    return read_targets(o, json_get(config, "target_modules"));
}

#define SCORE_NAME PEFT_PREFIX "score.weight"

/* The config does not say how many labels the head has. */
static status read_labels(struct lora_options *o, const char *folder) {
    struct safetensors st;
    char *path = file_join(folder, "adapter_model.safetensors");
    status s = safetensors_open(&st, path);
    if (s == ST_OK) {
        const struct st_tensor *t = safetensors_find(&st, SCORE_NAME);
        o->labels = t ? t->rows : 0;
        if (!t) s = FAIL(ST_FORMAT, "%s: tensor '" SCORE_NAME "' is missing", path);
        safetensors_release(&st);
    }
    free(path);
    return s;
}

status adapter_read_options(struct lora_options *o, const char *folder) {
    char *path = file_join(folder, "adapter_config.json");
    struct buf text = {0};
    struct json config;
    status s = file_read(&text, path);
    if (s == ST_OK) {
        s = json_parse(&config, buf_text(&text), text.size);
        if (s == ST_OK) s = options_from_json(o, config);
        if (s != ST_OK) status_note(s, "%s: ", path);
    }
    buf_release(&text);
    free(path);
    return s == ST_OK && o->labels ? read_labels(o, folder) : s;
}

static status fill(struct model *m, const struct safetensors *st, const char *path) {
    size_t used = 0;
    for (size_t i = 0; i < m->params.count; i++) {
        const struct param *p = &m->params.items[i];
        char name[TENSOR_NAME_SIZE + 64];
        snprintf(name, sizeof name, PEFT_PREFIX "%s", p->name);
        const struct st_tensor *t = safetensors_find(st, name);
        if (!t) return FAIL(ST_FORMAT, "%s: tensor '%s' is missing", path, name);
        if (t->rows != p->rows || t->cols != p->cols)
            return FAIL(ST_MISMATCH, "%s: tensor '%s' has shape [%zu, %zu], this model needs [%zu, %zu]", path, name, t->rows, t->cols,
                        p->rows, p->cols);
        dtype_table[t->type].expand(m->params.value + p->offset, t->data, p->rows * p->cols);
        used++;
    }
    if (used != st->tensor_count)
        return FAIL(ST_UNSUPPORTED, "%s: holds %zu tensors, of which only %zu belong to LoRA on the listed targets", path, st->tensor_count,
                    used);
    for (size_t i = 0; i < m->params.size; i++)
        if (!isfinite(m->params.value[i])) return FAIL(ST_FORMAT, "%s: holds values that are not finite", path);
    return ST_OK;
}

status adapter_load(struct model *m, const char *folder, bool with_grad) {
    struct lora_options o;
    struct safetensors st;
    TRY(adapter_read_options(&o, folder));
    status attached = lora_attach(m, &o, 0, with_grad);
    if (attached != ST_OK)
        return status_note(attached == ST_USAGE ? ST_MISMATCH : attached, "%s: ", folder); /* the file's fault, not the user's */
    char *path = file_join(folder, "adapter_model.safetensors");
    status s = safetensors_open(&st, path);
    if (s == ST_OK) {
        s = fill(m, &st, path);
        safetensors_release(&st);
    }
    free(path);
    return s;
}

status adapter_open_model(struct model *m, const char *model, const char *adapter, enum matmul_kind kind, enum model_use use) {
    struct lora_options o = {0};
    if (adapter) TRY(adapter_read_options(&o, adapter));
    TRY(model_describe_scorer(m, model, kind, use, o.labels));
    m->storage = model_storage_within(m, model_memory_auto());
    TRY(model_load(m));
    status s = adapter ? adapter_load(m, adapter, use != MODEL_INFER) : ST_OK;
    if (s != ST_OK) model_release(m);
    return s;
}

status adapter_describe_model(struct model *m, const char *model, const char *adapter) {
    struct lora_options o = {0};
    if (adapter) TRY(adapter_read_options(&o, adapter));
    TRY(model_describe_scorer(m, model, MATMUL_REFERENCE, MODEL_INFER, o.labels));
    status s = adapter ? adapter_load(m, adapter, false) : ST_OK;
    if (s != ST_OK) model_release(m);
    return s;
}

/* The distinct last names of the adapted projections ("q_proj"): what peft writes for all-linear. */
static void put_targets(struct buf *out, const struct model *m) {
    const struct model_layer *l = &m->layers[0];
    const struct linear *all[] = {&l->down, &l->gate_up, &l->o, &l->qkv};
    const char *separator = "";
    for (size_t i = 0; i < 4; i++)
        for (size_t j = 0; j < all[i]->part_count; j++) {
            if (!all[i]->part[j].adapted) continue;
            char name[TENSOR_NAME_SIZE];
            family_tensor_name(name, m->config.family, all[i]->part[j].role, 0, false);
            buf_printf(out, "%s\n    \"%s\"", separator, strrchr(name, '.') + 1);
            separator = ",";
        }
}

static status save_config(const struct model *m, const struct lora_options *o, const char *folder, const char *base) {
    struct buf b = {0};
    bool named = o->target_count == 1 && strcmp(o->targets[0], "all-linear") == 0;
    buf_append_text(&b, "{\n  \"auto_mapping\": null,\n  \"base_model_name_or_path\": ");
    json_put_text(&b, base);
    buf_append_text(&b, ",\n  \"bias\": \"none\",\n  \"fan_in_fan_out\": false,\n  \"inference_mode\": true,\n  \"init_lora_weights\": "
                        "true,\n  \"lora_alpha\": ");
    json_put_double(&b, o->alpha);
    buf_append_text(&b, ",\n  \"lora_dropout\": ");
    json_put_double(&b, o->dropout);
    buf_printf(&b, ",\n  \"modules_to_save\": %s,\n  \"peft_type\": \"LORA\",\n  \"r\": %zu,\n  \"target_modules\": [",
               o->labels ? "[\"classifier\", \"score\"]" : "null", o->rank);
    if (named) put_targets(&b, m);
    for (size_t i = 0; i < o->target_count && !named; i++) {
        buf_append_text(&b, i ? ",\n    " : "\n    ");
        json_put_text(&b, o->targets[i]);
    }
    buf_printf(&b, "\n  ],\n  \"task_type\": \"%s\",\n  \"use_dora\": false,\n  \"use_rslora\": %s\n}\n",
               o->labels ? "SEQ_CLS" : "CAUSAL_LM", o->rslora ? "true" : "false");
    char *path = file_join(folder, "adapter_config.json");
    status s = file_write(path, b.data, b.size);
    free(path);
    buf_release(&b);
    return s;
}

status adapter_save(const struct model *m, const struct lora_options *o, const float *theta, const char *folder, const char *base) {
    TRY(file_make_dirs(folder));
    struct safetensors_writer w = {0};
    for (size_t i = 0; i < m->params.count; i++) {
        const struct param *p = &m->params.items[i];
        char name[TENSOR_NAME_SIZE + 64];
        size_t shape[2] = {p->rows, p->cols};
        snprintf(name, sizeof name, PEFT_PREFIX "%s", p->name);
        safetensors_add(&w, name, DTYPE_F32, shape, 2, theta + p->offset);
    }
    char *path = file_join(folder, "adapter_model.safetensors");
    status s = safetensors_write(&w, path);
    free(path);
    TRY(s);
    return save_config(m, o, folder, base);
}
