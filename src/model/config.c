#include "model/config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/arch.h"

static status check_sizes(const struct model_config *c) {
    const struct {
        const char *name;
        size_t value, limit;
    } sizes[] = {
        {"vocabulary", c->vocab, (size_t)1 << 22},
        {"hidden size", c->hidden, (size_t)1 << 17},
        {"layer count", c->layers, 1024},
        {"head count", c->heads, 1024},
        {"key/value head count", c->kv_heads, 1024},
        {"head size", c->head_dim, 1024},
        {"feed-forward size", c->ffn, (size_t)1 << 19},
        {"longest position", c->max_position, (size_t)1 << 28},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        if (sizes[i].value == 0 || sizes[i].value > sizes[i].limit)
            return FAIL(ST_FORMAT, "model config: %s is %zu, expected 1 to %zu", sizes[i].name, sizes[i].value, sizes[i].limit);
    if (c->heads % c->kv_heads)
        return FAIL(ST_FORMAT, "model config: %zu heads are no multiple of %zu key/value heads", c->heads, c->kv_heads);
    if (c->head_dim % 2) return FAIL(ST_FORMAT, "model config: head size %zu is odd", c->head_dim);
    if (!(c->rope_base > 0) || !isfinite(c->rope_base)) return FAIL(ST_FORMAT, "model config: rope base %g is not positive", c->rope_base);
    if (!(c->norm_eps > 0) || c->norm_eps > 1) return FAIL(ST_FORMAT, "model config: norm epsilon %g is not in (0, 1]", c->norm_eps);
    return ST_OK;
}

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

/* Features that would change the numbers if they were ignored. */
static status refuse_features(struct json config) {
    struct json scaling = json_get(config, "rope_scaling");
    if (json_kind_of(scaling) != JSON_OBJECT) scaling = json_get(config, "rope_parameters");
    if (json_kind_of(scaling) == JSON_OBJECT) {
        struct json type = json_get(scaling, "rope_type");
        if (json_kind_of(type) == JSON_NONE) type = json_get(scaling, "type");
        if (!json_equals(type, "default"))
            return FAIL(ST_UNSUPPORTED, "rope scaling %.*s is not supported", (int)scaling.size, scaling.text);
    }
    static const char *const flags[] = {"attention_bias", "mlp_bias"};
    for (size_t i = 0; i < 2; i++) {
        bool on = false;
        if (json_bool(&on, json_get(config, flags[i])) && on)
            return FAIL(ST_UNSUPPORTED, "'%s' is true; projections with a bias are not supported", flags[i]);
    }
    struct json act = json_get(config, "hidden_act");
    if (json_kind_of(act) != JSON_NONE && !json_equals(act, "silu"))
        return FAIL(ST_UNSUPPORTED, "hidden_act is %.*s, only \"silu\" is supported", (int)act.size, act.text);
    return ST_OK;
}

static status find_family(const struct family **out, struct json config) {
    struct json_iter it = json_iter_begin(json_get(config, "architectures"));
    struct json key, first = {0};
    if (!json_iter_next(&it, &key, &first) || json_kind_of(first) != JSON_STRING)
        return FAIL(ST_FORMAT, "'architectures' should name the model class, e.g. [\"LlamaForCausalLM\"]");
    char *name = json_text(first);
    *out = family_by_architecture(name);
    status s = *out ? ST_OK : FAIL(ST_UNSUPPORTED, "architecture '%s' is not supported; supported: %s", name, family_list());
    free(name);
    return s;
}

status model_config_from_json(struct model_config *c, struct json config) {
    *c = (struct model_config){0};
    TRY(find_family(&c->family, config));
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
    TRY(json_number(&c->rope_base, config, "rope_theta", 0));
    if (c->rope_base == 0) /* transformers 5 keeps it in rope_parameters */
        TRY(json_number(&c->rope_base, json_get(config, "rope_parameters"), "rope_theta", 10000));
    json_bool(&c->tied, json_get(config, "tie_word_embeddings"));
    c->bos = json_token(config, "bos_token_id");
    c->eos = json_token(config, "eos_token_id");
    c->pad = json_token(config, "pad_token_id");
    return check_sizes(c);
}

static status gguf_size(size_t *out, const struct gguf *g, const char *arch, const char *key, size_t preset) {
    char name[96];
    int64_t n;
    snprintf(name, sizeof name, "%s.%s", arch, key);
    if (!gguf_find(g, name) && preset) {
        *out = preset;
        return ST_OK;
    }
    if (!gguf_int(&n, g, name) || n <= 0) return FAIL(ST_FORMAT, "metadata '%s' should be a positive whole number", name);
    *out = (size_t)n;
    return ST_OK;
}

static status gguf_family(struct model_config *c, const struct gguf *g) {
    struct gguf_text arch, scaling;
    if (!gguf_text_of(&arch, g, "general.architecture")) return FAIL(ST_FORMAT, "metadata 'general.architecture' is missing");
    c->family = family_by_gguf(arch.data, arch.size);
    if (!c->family)
        return FAIL(ST_UNSUPPORTED, "architecture '%.*s' is not supported; supported: %s", (int)arch.size, arch.data, family_list());
    char name[96];
    snprintf(name, sizeof name, "%s.rope.scaling.type", c->family->gguf_arch);
    if (gguf_text_of(&scaling, g, name) && !(scaling.size == 4 && memcmp(scaling.data, "none", 4) == 0))
        return FAIL(ST_UNSUPPORTED, "'%s' is '%.*s'; rope scaling is not supported", name, (int)scaling.size, scaling.data);
    if (gguf_tensor_find(g, "rope_freqs.weight")) return FAIL(ST_UNSUPPORTED, "tensor 'rope_freqs.weight': rope scaling is not supported");
    return ST_OK;
}

status model_config_from_gguf(struct model_config *c, const struct gguf *g) {
    *c = (struct model_config){.bos = -1, .eos = -1, .pad = -1};
    TRY(gguf_family(c, g));
    const char *a = c->family->gguf_arch;
    char name[96];
    TRY(gguf_size(&c->hidden, g, a, "embedding_length", 0));
    TRY(gguf_size(&c->layers, g, a, "block_count", 0));
    TRY(gguf_size(&c->heads, g, a, "attention.head_count", 0));
    TRY(gguf_size(&c->kv_heads, g, a, "attention.head_count_kv", c->heads));
    if (c->heads > c->hidden) return FAIL(ST_FORMAT, "more heads (%zu) than hidden units (%zu)", c->heads, c->hidden);
    TRY(gguf_size(&c->head_dim, g, a, "attention.key_length", c->hidden / c->heads));
    TRY(gguf_size(&c->ffn, g, a, "feed_forward_length", 0));
    TRY(gguf_size(&c->max_position, g, a, "context_length", 2048));
    snprintf(name, sizeof name, "%s.attention.layer_norm_rms_epsilon", a);
    if (!gguf_double(&c->norm_eps, g, name)) return FAIL(ST_FORMAT, "metadata '%s' is missing", name);
    snprintf(name, sizeof name, "%s.rope.freq_base", a);
    if (!gguf_double(&c->rope_base, g, name)) c->rope_base = 10000;
    const struct gguf_tensor *embed = gguf_tensor_find(g, "token_embd.weight");
    if (!embed) return FAIL(ST_FORMAT, "tensor 'token_embd.weight' is missing");
    c->vocab = embed->rows;
    c->tied = !gguf_tensor_find(g, "output.weight");
    gguf_int(&c->bos, g, "tokenizer.ggml.bos_token_id");
    gguf_int(&c->eos, g, "tokenizer.ggml.eos_token_id");
    gguf_int(&c->pad, g, "tokenizer.ggml.padding_token_id");
    return check_sizes(c);
}

size_t model_config_parameters(const struct model_config *c) {
    size_t attention = c->hidden * c->head_dim * (2 * c->heads + 2 * c->kv_heads), mlp = 3 * c->hidden * c->ffn;
    return c->layers * (attention + mlp + 2 * c->hidden) + c->hidden + c->vocab * c->hidden * (c->tied ? 1 : 2);
}

void model_config_put_json(struct buf *out, const struct model_config *c, const char *torch_dtype) {
    buf_printf(out, "{\n  \"architectures\": [\"%s\"],\n  \"model_type\": \"%s\",\n", c->family->architecture, c->family->name);
    buf_printf(out, "  \"vocab_size\": %zu,\n  \"hidden_size\": %zu,\n  \"intermediate_size\": %zu,\n", c->vocab, c->hidden, c->ffn);
    buf_printf(out, "  \"num_hidden_layers\": %zu,\n  \"num_attention_heads\": %zu,\n  \"num_key_value_heads\": %zu,\n", c->layers,
               c->heads, c->kv_heads);
    buf_printf(out, "  \"head_dim\": %zu,\n  \"max_position_embeddings\": %zu,\n  \"hidden_act\": \"silu\",\n", c->head_dim,
               c->max_position);
    buf_printf(out, "  \"rms_norm_eps\": %.9g,\n  \"rope_theta\": %.9g,\n  \"rope_scaling\": null,\n", c->norm_eps, c->rope_base);
    buf_append_text(out, "  \"attention_bias\": false,\n  \"mlp_bias\": false,\n");
    if (c->bos >= 0) buf_printf(out, "  \"bos_token_id\": %lld,\n", (long long)c->bos);
    if (c->eos >= 0) buf_printf(out, "  \"eos_token_id\": %lld,\n", (long long)c->eos);
    if (c->pad >= 0) buf_printf(out, "  \"pad_token_id\": %lld,\n", (long long)c->pad);
    buf_printf(out, "  \"tie_word_embeddings\": %s,\n  \"torch_dtype\": \"%s\",\n  \"use_cache\": true\n}\n", c->tied ? "true" : "false",
               torch_dtype);
}
