#include "model/peft_io.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
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
        o->targets[o->target_count++] = mem_keep(json_text(targets));
        o->pattern = strcmp(o->targets[0], "all-linear") != 0;
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

/* peft writes "score" and "classifier" for every sequence classifier, of which models here have the first. */
static status read_saved_modules(struct lora_options *o, struct json modules) {
    struct json_iter it = json_iter_begin(modules);
    struct json key, v;
    while (json_iter_next(&it, &key, &v)) {
        if (json_equals(v, "score") || json_equals(v, "classifier"))
            o->labels = 1;
        else if (json_equals(v, "lm_head"))
            o->save_head = true;
        else if (json_equals(v, "embed_tokens"))
            o->save_embedding = true;
        else
            return FAIL(ST_UNSUPPORTED, "'modules_to_save' has %.*s; supported are \"lm_head\", \"embed_tokens\" and \"score\"",
                        (int)v.size, v.text);
    }
    return ST_OK;
}

/* rank_pattern, alpha_pattern: {"regular expression": number}. */
static status read_rules(struct lora_rule *rules, size_t *count, struct json config, const char *name, bool whole) {
    struct json_iter it = json_iter_begin(json_get(config, name));
    struct json key, v;
    *count = 0;
    while (json_iter_next(&it, &key, &v)) {
        if (*count == LORA_RULES_MAX) return FAIL(ST_UNSUPPORTED, "'%s' has more than %d entries", name, LORA_RULES_MAX);
        struct lora_rule *r = &rules[*count];
        if (!json_double(&r->value, v) || (whole && (r->value < 1 || r->value > 65536 || r->value != floor(r->value))))
            return FAIL(ST_FORMAT, "'%s' should hold %s, has %.*s", name, whole ? "positive whole numbers" : "numbers", (int)v.size,
                        v.text);
        r->pattern = mem_keep(json_text(key));
        ++*count;
    }
    return ST_OK;
}

static status read_layers(struct lora_options *o, struct json config) {
    struct json layers = json_get(config, "layers_to_transform"), pattern = json_get(config, "layers_pattern"), key, v;
    o->layer_count = 0;
    if (json_int(&o->layers[0], layers)) o->layer_count = 1;
    struct json_iter it = json_iter_begin(layers);
    while (json_iter_next(&it, &key, &v)) {
        if (o->layer_count == LORA_LAYERS_MAX)
            return FAIL(ST_UNSUPPORTED, "'layers_to_transform' has more than %d entries", LORA_LAYERS_MAX);
        if (!json_int(&o->layers[o->layer_count++], v))
            return FAIL(ST_FORMAT, "'layers_to_transform' should hold whole numbers, has %.*s", (int)v.size, v.text);
    }
    if (json_kind_of(pattern) == JSON_STRING && !json_equals(pattern, "layers") && !json_equals(pattern, ""))
        return FAIL(ST_UNSUPPORTED, "'layers_pattern' is %.*s; decoders here have \"layers\"", (int)pattern.size, pattern.text);
    return ST_OK;
}

/* Starts that change the base: peft changes it again in the same way when it loads such an adapter. */
static status check_init(struct json init) {
    static const char *const changing[] = {"pissa", "olora", "corda", "loftq", "lora_ga"};
    char *text = json_kind_of(init) == JSON_STRING ? json_text(init) : NULL;
    status s = ST_OK;
    for (size_t i = 0; text && i < sizeof changing / sizeof changing[0] && s == ST_OK; i++)
        if (strncmp(text, changing[i], strlen(changing[i])) == 0)
            s = FAIL(ST_UNSUPPORTED,
                     "'init_lora_weights' is \"%s\": the adapter belongs to a base that this start has changed; save it with peft's "
                     "path_initial_model_for_weight_conversion, which makes it one of the original base",
                     text);
    free(text);
    return s;
}

static status options_from_json(struct lora_options *o, struct json config) {
    static const char *const refused[] = {
        "fan_in_fan_out",          "lora_bias",  "exclude_modules",         "layer_replication", "target_parameters",
        "trainable_token_indices", "use_qalora", "alora_invocation_tokens", "arrow_config",      "layers_pattern"};
    int64_t rank;
    *o = (struct lora_options){0};
    if (!json_equals(json_get(config, "peft_type"), "LORA")) return FAIL(ST_UNSUPPORTED, "'peft_type' is not \"LORA\"");
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) TRY(refuse(config, refused[i]));
    struct json bias = json_get(config, "bias");
    if (json_kind_of(bias) == JSON_STRING && !json_equals(bias, "none")) return FAIL(ST_UNSUPPORTED, "'bias' is not \"none\"");
    TRY(check_init(json_get(config, "init_lora_weights")));
    if (!json_int(&rank, json_get(config, "r")) || rank < 1 || rank > 65536)
        return FAIL(ST_FORMAT, "'r' should be a positive whole number");
    o->rank = (size_t)rank;
    if (!json_double(&o->alpha, json_get(config, "lora_alpha"))) return FAIL(ST_FORMAT, "'lora_alpha' should be a number");
    json_double(&o->dropout, json_get(config, "lora_dropout"));
    json_bool(&o->rslora, json_get(config, "use_rslora"));
    json_bool(&o->dora, json_get(config, "use_dora"));
    TRY(read_saved_modules(o, json_get(config, "modules_to_save")));
    TRY(read_rules(o->ranks, &o->rank_count, config, "rank_pattern", true));
    TRY(read_rules(o->alphas, &o->alpha_count, config, "alpha_pattern", false));
    TRY(read_layers(o, config));
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

#define HEAD_COPY PEFT_PREFIX "lm_head.base_layer.weight"

/* Beside an adapter on the head peft keeps the head itself (save_embedding_layers), and puts it back on loading. Here the base's stays, so
 * the two must be the same: up to bf16's rounding, and not looked at where the base is quantised. */
static status check_head_copy(size_t *used, const struct model *m, const struct safetensors *st, const char *path) {
    const struct st_tensor *t = safetensors_find(st, HEAD_COPY);
    const size_t rows = m->config.vocab, cols = m->config.hidden;
    struct tensor_view v;
    float *row, largest = 0, off = 0;
    if (!t || !m->head.u_width) return ST_OK;
    if (t->rows != rows || t->cols != cols)
        return FAIL(ST_MISMATCH, "%s: tensor '" HEAD_COPY "' has shape [%zu, %zu], this model needs [%zu, %zu]", path, t->rows, t->cols,
                    rows, cols);
    ++*used;
    TRY(checkpoint_tensor(&v, &m->checkpoint, m->config.tied ? TENSOR_EMBED : TENSOR_HEAD, 0, rows, cols));
    if (dtype_table[v.type].block > 1) return ST_OK;
    TRY(mem_try_alloc(&row, 2 * cols, sizeof *row, "rows of the output head"));
    for (size_t i = 0; i < rows; i++) {
        tensor_view_row(row, &v, i);
        dtype_table[t->type].expand(row + cols, (const char *)t->data + i * dtype_row_bytes(t->type, cols), cols);
        for (size_t j = 0; j < cols; j++) {
            largest = fmaxf(largest, fabsf(row[j]));
            off = fmaxf(off, fabsf(row[j] - row[cols + j]));
        }
    }
    free(row);
    if (off <= largest / 128) return ST_OK;
    return FAIL(ST_MISMATCH, "%s: the adapter's copy of lm_head differs from this model's by up to %g: it was made for another base", path,
                (double)off);
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
    TRY(check_head_copy(&used, m, st, path));
    if (used != st->tensor_count)
        return FAIL(ST_UNSUPPORTED, "%s: holds %zu tensors, of which only %zu belong to LoRA on the listed targets", path, st->tensor_count,
                    used);
    for (size_t i = 0; i < m->params.size; i++)
        if (!isfinite(m->params.value[i])) return FAIL(ST_FORMAT, "%s: holds values that are not finite", path);
    model_changed(m);
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

static status open_described(struct model *m, const char *adapter) {
    TRY(model_load(m));
    status s = adapter ? adapter_load(m, adapter, m->use != MODEL_INFER) : ST_OK;
    if (s != ST_OK) model_release(m);
    return s;
}

static status describe(struct model *m, const char *model, const char *adapter, enum matmul_kind kind, enum model_use use) {
    struct lora_options o = {0};
    if (adapter) TRY(adapter_read_options(&o, adapter));
    return model_describe_scorer(m, model, kind, use, o.labels);
}

status adapter_open_model(struct model *m, const char *model, const char *adapter, enum matmul_kind kind, enum model_use use) {
    TRY(describe(m, model, adapter, kind, use));
    m->storage = model_storage_within(m, model_memory_auto());
    return open_described(m, adapter);
}

status adapter_open_to_copy(struct model *m, const char *model, const char *adapter) {
    TRY(describe(m, model, adapter, MATMUL_REFERENCE, MODEL_INFER));
    m->storage = STORAGE_FILE;
    return open_described(m, adapter);
}

status adapter_describe_model(struct model *m, const char *model, const char *adapter) {
    TRY(describe(m, model, adapter, MATMUL_REFERENCE, MODEL_INFER));
    status s = checkpoint_check(&m->checkpoint);
    if (s == ST_OK) s = adapter ? adapter_load(m, adapter, false) : ST_OK;
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

static void put_target_modules(struct buf *b, const struct model *m, const struct lora_options *o) {
    if (o->pattern) {
        json_put_text(b, o->targets[0]);
        return;
    }
    buf_append_char(b, '[');
    const bool all = o->target_count == 1 && strcmp(o->targets[0], "all-linear") == 0;
    if (all) put_targets(b, m);
    for (size_t i = 0; i < o->target_count && !all; i++) {
        buf_append_text(b, i ? ",\n    " : "\n    ");
        json_put_text(b, o->targets[i]);
    }
    buf_append_text(b, "\n  ]");
}

static void put_saved_modules(struct buf *b, const struct lora_options *o) {
    const struct {
        bool on;
        const char *name;
    } all[] = {{o->labels > 0, "classifier"}, {o->save_embedding, "embed_tokens"}, {o->save_head, "lm_head"}, {o->labels > 0, "score"}};
    const char *separator = "[";
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (!all[i].on) continue;
        buf_printf(b, "%s\"%s\"", separator, all[i].name);
        separator = ", ";
    }
    buf_append_text(b, separator[0] == '[' ? "null" : "]");
}

static void put_rules(struct buf *b, const struct lora_rule *rules, size_t count) {
    buf_append_char(b, '{');
    for (size_t i = 0; i < count; i++) {
        buf_append_text(b, i ? ", " : "");
        json_put_text(b, rules[i].pattern);
        buf_append_text(b, ": ");
        json_put_double(b, rules[i].value);
    }
    buf_append_char(b, '}');
}

static void put_layers(struct buf *b, const struct lora_options *o) {
    if (!o->layer_count) buf_append_text(b, "null");
    for (size_t i = 0; i < o->layer_count; i++) buf_printf(b, "%s%lld", i ? ", " : "[", (long long)o->layers[i]);
    if (o->layer_count) buf_append_char(b, ']');
}

/* DoRA's m is the one vector of an adapter. */
static bool is_magnitude(const struct param *p) { return strstr(p->name, ".lora_magnitude_vector") != NULL; }

static status save_config(const struct model *m, const struct lora_options *o, const char *folder, const char *base) {
    struct buf b = {0};
    buf_append_text(&b, "{\n  \"alpha_pattern\": ");
    put_rules(&b, o->alphas, o->alpha_count);
    buf_append_text(&b, ",\n  \"auto_mapping\": null,\n  \"base_model_name_or_path\": ");
    json_put_text(&b, base);
    buf_append_text(&b, ",\n  \"bias\": \"none\",\n  \"fan_in_fan_out\": false,\n  \"inference_mode\": true,\n  \"init_lora_weights\": "
                        "true,\n  \"layers_to_transform\": ");
    put_layers(&b, o);
    buf_append_text(&b, ",\n  \"lora_alpha\": ");
    json_put_double(&b, o->alpha);
    buf_append_text(&b, ",\n  \"lora_dropout\": ");
    json_put_double(&b, o->dropout);
    buf_append_text(&b, ",\n  \"modules_to_save\": ");
    put_saved_modules(&b, o);
    buf_printf(&b, ",\n  \"peft_type\": \"LORA\",\n  \"r\": %zu,\n  \"rank_pattern\": ", o->rank);
    put_rules(&b, o->ranks, o->rank_count);
    buf_append_text(&b, ",\n  \"target_modules\": ");
    put_target_modules(&b, m, o);
    buf_printf(&b, ",\n  \"task_type\": \"%s\",\n  \"use_dora\": %s,\n  \"use_rslora\": %s\n}\n", o->labels ? "SEQ_CLS" : "CAUSAL_LM",
               o->dora ? "true" : "false", o->rslora ? "true" : "false");
    char *path = file_join(folder, "adapter_config.json");
    status s = file_write(path, b.data, b.size);
    free(path);
    buf_release(&b);
    return s;
}

/* One of A or B with its start beside: [A; A0], or [B, -B0]. */
static void join(float *out, const struct param *p, const float *now, const float *start) {
    const size_t n = p->rows * p->cols;
    if (strstr(p->name, ".lora_A.")) {
        memcpy(out, now, n * sizeof *out);
        memcpy(out + n, start, n * sizeof *out);
        return;
    }
    for (size_t i = 0; i < p->rows; i++)
        for (size_t j = 0; j < p->cols; j++) {
            out[i * 2 * p->cols + j] = now[i * p->cols + j];
            out[i * 2 * p->cols + p->cols + j] = -start[i * p->cols + j];
        }
}

static status add_tensor(struct safetensors_writer *w, struct arena *arena, const struct param *p, const float *theta, const float *start) {
    const bool a = strstr(p->name, ".lora_A.") != NULL, b = strstr(p->name, ".lora_B.") != NULL;
    char name[TENSOR_NAME_SIZE + 64];
    size_t shape[2] = {p->rows, p->cols};
    const size_t dims = is_magnitude(p) ? 1 : 2;
    const float *data = theta + p->offset;
    snprintf(name, sizeof name, PEFT_PREFIX "%s", p->name);
    if (start && (a || b)) {
        float *both;
        TRY(arena_try_take(arena, &both, 2 * p->rows * p->cols, sizeof(float), "the adapter's file"));
        join(both, p, data, start + p->offset);
        shape[a ? 0 : 1] *= 2;
        data = both;
    }
    safetensors_add(w, name, DTYPE_F32, shape + 2 - dims, dims, data);
    return ST_OK;
}

status adapter_save(const struct model *m, const struct lora_options *o, const float *theta, const float *start, const char *folder,
                    const char *base) {
    TRY(file_make_dirs(folder));
    struct safetensors_writer w = {0};
    struct arena arena = {0};
    struct lora_options written = *o;
    status s = ST_OK;
    for (size_t i = 0; i < m->params.count && s == ST_OK; i++) s = add_tensor(&w, &arena, &m->params.items[i], theta, start);
    if (start) { /* the scale stays as it is */
        written.rank = 2 * o->rank;
        written.alpha = o->alpha * (o->rslora ? sqrt(2) : 2);
    }
    char *path = file_join(folder, "adapter_model.safetensors");
    if (s == ST_OK)
        s = safetensors_write(&w, path);
    else
        arena_release(&w.arena), free(w.tensors);
    free(path);
    arena_release(&arena);
    TRY(s);
    return save_config(m, &written, folder, base);
}

bool adapter_is_model(const char *path) {
    if (text_ends_with(path, ".gguf")) return true;
    char *config = file_join(path, "adapter_config.json"), *model = file_join(path, "config.json");
    const bool own = !file_exists(config) && file_exists(model);
    free(config);
    free(model);
    return own;
}
