/* config.json of a Hugging Face folder. */
#include <math.h>
#include <stdlib.h>

#include "model/arch.h"
#include "model/config_read.h"

static status json_size(size_t *out, struct json config, const char *key, size_t preset) {
    struct json v = json_get(config, key);
    int64_t n;
    enum json_kind kind = json_kind_of(v);
    if ((kind == JSON_NONE || kind == JSON_NULL) && preset) {
        *out = preset;
        return ST_OK;
    }
    if (!json_int(&n, v) || n <= 0) return FAIL(ST_FORMAT, "'%s' should be a positive whole number, is %s", key, json_kind_name(kind));
    *out = (size_t)n;
    return ST_OK;
}

static status json_number(double *out, struct json config, const char *key, double preset) {
    struct json v = json_get(config, key);
    enum json_kind kind = json_kind_of(v);
    *out = preset;
    if (kind == JSON_NONE || kind == JSON_NULL) return ST_OK;
    if (!json_double(out, v)) return FAIL(ST_FORMAT, "'%s' should be a number, is %s", key, json_kind_name(kind));
    return ST_OK;
}

static int64_t json_token(struct json config, const char *key) {
    struct json v = json_get(config, key), k, first;
    int64_t id;
    struct json_iter it = json_iter_begin(v);
    if (json_kind_of(v) == JSON_ARRAY && json_iter_next(&it, &k, &first)) v = first;
    return json_int(&id, v) ? id : -1;
}

static status read_act(struct model_config *c, struct json config) {
    struct json act = json_get(config, "hidden_activation");
    if (json_kind_of(act) != JSON_STRING) act = json_get(config, "hidden_act");
    c->act = c->family->act;
    if (json_kind_of(act) == JSON_NONE || json_kind_of(act) == JSON_NULL) return ST_OK;
    for (int i = 0; i < GLU_KINDS; i++) {
        c->act = (enum glu_kind)i;
        if (json_equals(act, glu_names[i])) return ST_OK;
    }
    return FAIL(ST_UNSUPPORTED, "hidden_act is %.*s; supported: \"silu\", \"gelu_pytorch_tanh\"", (int)act.size, act.text);
}

/* Features that would change the numbers if they were ignored. */
static status refuse_features(struct json config) {
    bool on = false;
    if (json_bool(&on, json_get(config, "mlp_bias")) && on) return FAIL(ST_UNSUPPORTED, "'mlp_bias' is true; that is not supported");
    return ST_OK;
}

static status read_numbers(float *out, size_t count, struct json o, const char *key) {
    struct json list = json_get(o, key), k, item;
    struct json_iter it = json_iter_begin(list);
    size_t i = 0;
    double x = 0;
    if (json_kind_of(list) != JSON_ARRAY || json_count(list) != count)
        return FAIL(ST_FORMAT, "'%s' should be a list of %zu numbers, is %s of %zu", key, count, json_kind_name(json_kind_of(list)),
                    json_count(list));
    while (i < count && json_iter_next(&it, &k, &item)) {
        if (!json_double(&x, item)) return FAIL(ST_FORMAT, "'%s': element %zu is no number", key, i);
        out[i++] = (float)x;
    }
    return ST_OK;
}

/* transformers' _compute_longrope_parameters. */
static status read_long_rope(struct rope_config *r, struct json scaling, const struct model_config *c, struct json config) {
    const bool own = json_kind_of(json_get(config, "original_max_position_embeddings")) == JSON_NUMBER;
    double preset = 1;
    r->kind = ROPE_LONG;
    if (c->rotary > 2 * ROPE_PAIRS_MAX) return ST_OK; /* refused where all sizes are */
    TRY(json_size(&r->original_max_position, own ? config : scaling, "original_max_position_embeddings", c->max_position));
    TRY(json_number(&r->factor, scaling, "factor", (double)c->max_position / (double)r->original_max_position));
    if (r->factor > 1) preset = sqrt(1 + log(r->factor) / log((double)r->original_max_position));
    TRY(json_number(&r->attention_factor, scaling, "attention_factor", preset));
    TRY(read_numbers(r->divisor, c->rotary / 2, scaling, "short_factor"));
    return read_numbers(r->long_divisor, c->rotary / 2, scaling, "long_factor");
}

static status read_scaling(struct rope_config *r, struct json scaling, const struct model_config *c, struct json config) {
    struct json type = json_get(scaling, "rope_type");
    if (json_kind_of(type) == JSON_NONE) type = json_get(scaling, "type");
    if (json_kind_of(type) == JSON_NONE || json_equals(type, "default")) return ST_OK;
    if (json_equals(type, "longrope") || json_equals(type, "su")) return read_long_rope(r, scaling, c, config);
    if (json_equals(type, "linear"))
        r->kind = ROPE_LINEAR;
    else if (json_equals(type, "llama3"))
        r->kind = ROPE_LLAMA3;
    else
        return FAIL(ST_UNSUPPORTED, "rope type %.*s is not supported; supported: default, linear, llama3, longrope", (int)type.size,
                    type.text);
    TRY(json_number(&r->factor, scaling, "factor", 0));
    TRY(json_number(&r->low_freq_factor, scaling, "low_freq_factor", 0));
    TRY(json_number(&r->high_freq_factor, scaling, "high_freq_factor", 0));
    if (r->kind != ROPE_LLAMA3) return ST_OK;
    return json_size(&r->original_max_position, scaling, "original_max_position_embeddings", 0);
}

/* rope_theta and rope_scaling, or since transformers 5 both in rope_parameters, there by layer type in families with two of them. */
static status read_rope(struct model_config *c, struct json config) {
    const double local_base = c->family->local_rope_base;
    struct json all = json_get(config, "rope_parameters"), local = {0};
    double partial = 1;
    if (json_kind_of(all) != JSON_OBJECT) all = json_get(config, "rope_scaling");
    if (json_kind_of(json_get(all, "full_attention")) == JSON_OBJECT) {
        local = json_get(all, "sliding_attention");
        all = json_get(all, "full_attention");
    }
    TRY(json_number(&partial, config, "partial_rotary_factor", 1));
    TRY(json_number(&partial, all, "partial_rotary_factor", partial));
    if (!(partial > 0 && partial <= 1)) return FAIL(ST_FORMAT, "partial_rotary_factor is %g, expected a number in (0, 1]", partial);
    c->rotary = (size_t)((double)c->head_dim * partial);
    TRY(json_number(&c->rope.base, config, "rope_theta", 0));
    if (c->rope.base == 0) TRY(json_number(&c->rope.base, all, "rope_theta", local_base > 0 ? 1000000 : 10000));
    if (json_kind_of(all) == JSON_OBJECT) TRY(read_scaling(&c->rope, all, c, config));
    if (local_base == 0) return ST_OK;
    TRY(json_number(&c->local_rope.base, config, "rope_local_base_freq", local_base));
    TRY(json_number(&c->local_rope.base, local, "rope_theta", c->local_rope.base));
    return json_kind_of(local) == JSON_OBJECT ? read_scaling(&c->local_rope, local, c, config) : ST_OK;
}

/* Which layers have no rotation: a list of 0 and 1, or every n-th. */
static status read_no_rope(struct model_config *c, struct json config) {
    struct json list = json_get(config, "no_rope_layers"), key, item;
    size_t step = 0, i = 0;
    if (!c->family->no_rope_step) return ST_OK;
    if (json_kind_of(list) == JSON_ARRAY) {
        struct json_iter it = json_iter_begin(list);
        int64_t rotates;
        for (; i < c->layers && json_iter_next(&it, &key, &item); i++) {
            if (!json_int(&rotates, item)) return FAIL(ST_FORMAT, "'no_rope_layers' should be a list of 0 and 1");
            c->no_rope[i] = rotates == 0;
        }
        return i == c->layers ? ST_OK : FAIL(ST_FORMAT, "'no_rope_layers' has %zu entries for %zu layers", i, c->layers);
    }
    TRY(json_size(&step, config, "no_rope_layer_interval", c->family->no_rope_step));
    for (i = 0; i < c->layers; i++) c->no_rope[i] = (i + 1) % step == 0;
    return ST_OK;
}

/* layer_types: "sliding_attention" and "full_attention". */
static status read_layer_types(struct model_config *c, struct json list) {
    struct json_iter it = json_iter_begin(list);
    struct json key, item;
    size_t i = 0;
    for (; json_iter_next(&it, &key, &item); i++) {
        const bool local = json_equals(item, "sliding_attention");
        if (!local && !json_equals(item, "full_attention"))
            return FAIL(ST_UNSUPPORTED, "'layer_types' has %.*s; supported: sliding_attention, full_attention", (int)item.size, item.text);
        if (i < c->layers) c->local[i] = local;
    }
    return i == c->layers ? ST_OK : FAIL(ST_FORMAT, "'layer_types' has %zu entries for %zu layers", i, c->layers);
}

static status read_window(struct model_config *c, struct json config) {
    const enum window_rule rule = c->family->windows;
    struct json window = json_get(config, "sliding_window"), types = json_get(config, "layer_types");
    const bool stated = json_kind_of(window) != JSON_NONE && json_kind_of(window) != JSON_NULL;
    bool used = rule == WINDOW_ALL || rule == WINDOW_PATTERN;
    size_t step = c->family->local_step, from = 28;
    if (rule == WINDOW_NEVER || rule == WINDOW_FROM) json_bool(&used, json_get(config, "use_sliding_window"));
    if (rule == WINDOW_NEVER && used && stated)
        return FAIL(ST_UNSUPPORTED, "'use_sliding_window' is true; that is not supported in %s", c->family->name);
    if (used && stated) TRY(json_size(&c->window, config, "sliding_window", 0));
    if (!used || (rule != WINDOW_PATTERN && !c->window)) return ST_OK;
    if (rule != WINDOW_ALL && json_kind_of(types) == JSON_ARRAY) return read_layer_types(c, types);
    if (rule == WINDOW_PATTERN) TRY(json_size(&step, config, "sliding_window_pattern", step));
    model_config_local_layers(c, step);
    if (rule != WINDOW_FROM) return ST_OK;
    if (json_kind_of(json_get(config, "max_window_layers")) == JSON_NUMBER) {
        int64_t n;
        if (!json_int(&n, json_get(config, "max_window_layers")) || n < 0)
            return FAIL(ST_FORMAT, "'max_window_layers' should be a whole number");
        from = (size_t)n;
    }
    for (size_t i = 0; i < c->layers; i++) c->local[i] = i >= from;
    return ST_OK;
}

static status find_family(const struct family **out, enum head_kind *head, struct json config) {
    struct json_iter it = json_iter_begin(json_get(config, "architectures"));
    struct json key, first = {0};
    if (!json_iter_next(&it, &key, &first) || json_kind_of(first) != JSON_STRING)
        return FAIL(ST_FORMAT, "'architectures' should name the model class, e.g. [\"LlamaForCausalLM\"]");
    char *name = json_text(first);
    *out = family_by_architecture(head, name);
    status s = *out ? ST_OK
                    : FAIL(ST_UNSUPPORTED, "architecture '%s' is not supported; supported: %s, and their ForSequenceClassification", name,
                           family_list());
    free(name);
    return s;
}

/* A reward model's labels: num_labels, which transformers writes as the length of id2label and takes for 2 where neither stands. */
static status read_head(struct model_config *c, struct json config) {
    if (c->head == HEAD_LM) return ST_OK;
    c->tied = true;
    if (c->head == HEAD_GATED) {
        TRY(json_size(&c->labels, config, "num_objectives", 19));
        TRY(json_size(&c->gating.hidden, config, "gating_hidden_dim", 1024));
        TRY(json_size(&c->gating.layers, config, "gating_n_hidden", 3));
        return json_number(&c->gating.temperature, config, "gating_temperature", 10);
    }
    struct json names = json_get(config, "id2label");
    return json_size(&c->labels, config, "num_labels", json_kind_of(names) == JSON_OBJECT ? json_count(names) : 2);
}

status model_config_from_json(struct model_config *c, struct json config) {
    *c = (struct model_config){0};
    TRY(find_family(&c->family, &c->head, config));
    TRY(refuse_features(config));
    TRY(json_size(&c->vocab, config, "vocab_size", 0));
    TRY(json_size(&c->hidden, config, "hidden_size", 0));
    TRY(json_size(&c->layers, config, "num_hidden_layers", 0));
    TRY(json_size(&c->heads, config, "num_attention_heads", 0));
    TRY(json_size(&c->kv_heads, config, "num_key_value_heads", c->heads));
    if (c->heads > c->hidden) return FAIL(ST_FORMAT, "more attention heads (%zu) than hidden units (%zu)", c->heads, c->hidden);
    TRY(json_size(&c->head_dim, config, "head_dim", c->hidden / c->heads));
    TRY(json_size(&c->ffn, config, "intermediate_size", 0));
    TRY(json_size(&c->max_position, config, "max_position_embeddings", 2048));
    TRY(json_number(&c->norm_eps, config, "rms_norm_eps", 1e-6));
    TRY(read_rope(c, config));
    TRY(read_act(c, config));
    TRY(json_number(&c->query_pre_attn_scalar, config, "query_pre_attn_scalar", 0));
    TRY(json_number(&c->attention_softcap, config, "attn_logit_softcapping", 0));
    TRY(json_number(&c->logit_softcap, config, "final_logit_softcapping", 0));
    if (c->layers > MODEL_LAYERS_MAX) return model_config_finish(c);
    TRY(read_no_rope(c, config));
    TRY(read_window(c, config));
    bool bias = false;
    json_bool(&bias, json_get(config, "attention_bias"));
    c->qkv_bias = bias || c->family->qkv_bias;
    c->o_bias = bias && !c->family->qkv_bias;
    c->tied = c->family->gemma; /* a config.json leaves out what its class presets */
    json_bool(&c->tied, json_get(config, "tie_word_embeddings"));
    TRY(read_head(c, config));
    c->bos = json_token(config, "bos_token_id");
    c->eos = json_token(config, "eos_token_id");
    c->pad = json_token(config, "pad_token_id");
    return model_config_finish(c);
}
