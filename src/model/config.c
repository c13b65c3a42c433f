#include "model/config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/arch.h"

static status check_rope(const struct rope_config *r, size_t head_dim) {
    if (!(r->base > 0) || !isfinite(r->base)) return FAIL(ST_FORMAT, "model config: rope base %g is not positive", r->base);
    if (r->kind == ROPE_DEFAULT) return ST_OK;
    if (r->kind != ROPE_DIVISORS && (!(r->factor > 0) || !isfinite(r->factor)))
        return FAIL(ST_FORMAT, "model config: rope factor %g is not positive", r->factor);
    if (r->kind == ROPE_LLAMA3 && (!(r->low_freq_factor > 0) || !(r->high_freq_factor > r->low_freq_factor) || !r->original_max_position))
        return FAIL(ST_FORMAT,
                    "model config: llama3 rope wants 0 < low_freq_factor < high_freq_factor and original_max_position_embeddings, has %g, "
                    "%g and %zu",
                    r->low_freq_factor, r->high_freq_factor, r->original_max_position);
    for (size_t i = 0; r->kind == ROPE_DIVISORS && i < head_dim / 2; i++)
        if (!(r->divisor[i] > 0) || !isfinite(r->divisor[i]))
            return FAIL(ST_FORMAT, "tensor 'rope_freqs.weight': element %zu is %g, expected a positive number", i, (double)r->divisor[i]);
    return ST_OK;
}

static status check_sizes(const struct model_config *c) {
    const struct {
        const char *name;
        size_t value, limit;
    } sizes[] = {
        {"vocabulary", c->vocab, (size_t)1 << 22},      {"hidden size", c->hidden, (size_t)1 << 17},
        {"layer count", c->layers, MODEL_LAYERS_MAX},   {"head count", c->heads, 1024},
        {"key/value head count", c->kv_heads, 1024},    {"head size", c->head_dim, 2 * ROPE_PAIRS_MAX},
        {"feed-forward size", c->ffn, (size_t)1 << 19}, {"longest position", c->max_position, (size_t)1 << 28},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        if (sizes[i].value == 0 || sizes[i].value > sizes[i].limit)
            return FAIL(ST_FORMAT, "model config: %s is %zu, expected 1 to %zu", sizes[i].name, sizes[i].value, sizes[i].limit);
    if (c->heads % c->kv_heads)
        return FAIL(ST_FORMAT, "model config: %zu heads are no multiple of %zu key/value heads", c->heads, c->kv_heads);
    if (c->head_dim % 2) return FAIL(ST_FORMAT, "model config: head size %zu is odd", c->head_dim);
    TRY(check_rope(&c->rope, c->head_dim));
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
    bool on = false;
    if (json_bool(&on, json_get(config, "mlp_bias")) && on) return FAIL(ST_UNSUPPORTED, "'mlp_bias' is true; that is not supported");
    struct json act = json_get(config, "hidden_act");
    if (json_kind_of(act) != JSON_NONE && !json_equals(act, "silu"))
        return FAIL(ST_UNSUPPORTED, "hidden_act is %.*s, only \"silu\" is supported", (int)act.size, act.text);
    double partial = 1;
    TRY(json_number(&partial, config, "partial_rotary_factor", 1));
    if (partial != 1) return FAIL(ST_UNSUPPORTED, "partial_rotary_factor is %g, only 1 is supported", partial);
    return ST_OK;
}

/* rope_theta and rope_scaling, or since transformers 5 both in rope_parameters. */
static status read_rope(struct rope_config *r, struct json config) {
    struct json scaling = json_get(config, "rope_parameters");
    if (json_kind_of(scaling) != JSON_OBJECT) scaling = json_get(config, "rope_scaling");
    TRY(json_number(&r->base, config, "rope_theta", 0));
    if (r->base == 0) TRY(json_number(&r->base, scaling, "rope_theta", 10000));
    if (json_kind_of(scaling) != JSON_OBJECT) return ST_OK;
    struct json type = json_get(scaling, "rope_type");
    if (json_kind_of(type) == JSON_NONE) type = json_get(scaling, "type");
    if (json_kind_of(type) == JSON_NONE || json_equals(type, "default")) return ST_OK;
    if (json_equals(type, "linear"))
        r->kind = ROPE_LINEAR;
    else if (json_equals(type, "llama3"))
        r->kind = ROPE_LLAMA3;
    else
        return FAIL(ST_UNSUPPORTED, "rope type %.*s is not supported; supported: default, linear, llama3", (int)type.size, type.text);
    TRY(json_number(&r->factor, scaling, "factor", 0));
    TRY(json_number(&r->low_freq_factor, scaling, "low_freq_factor", 0));
    TRY(json_number(&r->high_freq_factor, scaling, "high_freq_factor", 0));
    if (r->kind != ROPE_LLAMA3) return ST_OK;
    return json_size(&r->original_max_position, scaling, "original_max_position_embeddings", 0);
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

static status read_window(struct model_config *c, struct json config) {
    bool used = c->family->windowed;
    json_bool(&used, json_get(config, "use_sliding_window"));
    struct json window = json_get(config, "sliding_window");
    if (!used || json_kind_of(window) == JSON_NONE || json_kind_of(window) == JSON_NULL) return ST_OK;
    return json_size(&c->window, config, "sliding_window", 0);
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
    TRY(read_rope(&c->rope, config));
    if (c->layers > MODEL_LAYERS_MAX) return check_sizes(c);
    TRY(read_no_rope(c, config));
    TRY(read_window(c, config));
    bool bias = false;
    json_bool(&bias, json_get(config, "attention_bias"));
    c->qkv_bias = bias || c->family->qkv_bias;
    c->o_bias = bias && !c->family->qkv_bias;
    c->qk_norm = c->family->qk_norm;
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
    struct gguf_text arch;
    if (!gguf_text_of(&arch, g, "general.architecture")) return FAIL(ST_FORMAT, "metadata 'general.architecture' is missing");
    c->family = family_by_gguf(arch.data, arch.size);
    if (!c->family)
        return FAIL(ST_UNSUPPORTED, "architecture '%.*s' is not supported; supported: %s", (int)arch.size, arch.data, family_list());
    return ST_OK;
}

static status gguf_rope(struct model_config *c, const struct gguf *g) {
    const char *a = c->family->gguf_arch;
    struct rope_config *r = &c->rope;
    struct gguf_text type;
    char name[96];
    snprintf(name, sizeof name, "%s.rope.freq_base", a);
    if (!gguf_double(&r->base, g, name)) r->base = 10000;
    snprintf(name, sizeof name, "%s.rope.scaling.type", a);
    if (gguf_text_of(&type, g, name) && type.size == 6 && memcmp(type.data, "linear", 6) == 0) {
        r->kind = ROPE_LINEAR;
        snprintf(name, sizeof name, "%s.rope.scaling.factor", a);
        if (!gguf_double(&r->factor, g, name)) return FAIL(ST_FORMAT, "metadata '%s' is missing", name);
    } else if (gguf_text_of(&type, g, name) && !(type.size == 4 && memcmp(type.data, "none", 4) == 0)) {
        return FAIL(ST_UNSUPPORTED, "'%s' is '%.*s'; supported: none, linear", name, (int)type.size, type.data);
    }
    const struct gguf_tensor *divisors = gguf_tensor_find(g, "rope_freqs.weight");
    if (!divisors) return ST_OK;
    if (divisors->rows != 1 || divisors->cols != c->head_dim / 2 || divisors->cols > ROPE_PAIRS_MAX || divisors->type != DTYPE_F32)
        return FAIL(ST_FORMAT, "tensor 'rope_freqs.weight': expected %zu numbers of type F32", c->head_dim / 2);
    r->kind = ROPE_DIVISORS;
    memcpy(r->divisor, divisors->data, divisors->cols * sizeof(float));
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
    if (c->layers > MODEL_LAYERS_MAX || c->head_dim > 2 * ROPE_PAIRS_MAX) return check_sizes(c);
    TRY(gguf_rope(c, g));
    for (size_t i = 0; c->family->no_rope_step && i < c->layers; i++) c->no_rope[i] = (i + 1) % c->family->no_rope_step == 0;
    c->qkv_bias = gguf_tensor_find(g, "blk.0.attn_q.bias") != NULL;
    c->o_bias = gguf_tensor_find(g, "blk.0.attn_output.bias") != NULL;
    c->qk_norm = c->family->qk_norm;
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
    const size_t q = c->heads * c->head_dim, kv = c->kv_heads * c->head_dim;
    const size_t attention =
        c->hidden * (2 * q + 2 * kv) + (c->qkv_bias ? q + 2 * kv : 0) + (c->o_bias ? c->hidden : 0) + (c->qk_norm ? 2 * c->head_dim : 0);
    return c->layers * (attention + 3 * c->hidden * c->ffn + 2 * c->hidden) + c->hidden + c->vocab * c->hidden * (c->tied ? 1 : 2);
}

/* transformers' _compute_llama3_parameters, in fp32 as there: long waves are slowed down by `factor`, short ones stay, between them it
 * fades over. */
static float llama3_frequency(float f, const struct rope_config *r) {
    const float original = (float)r->original_max_position, low = (float)r->low_freq_factor, high = (float)r->high_freq_factor,
                factor = (float)r->factor;
    const float wave = 6.283185307179586f / f;
    if (wave > original / low) return f / factor;
    if (wave < original / high) return f;
    const float smooth = (original / wave - low) / (high - low);
    return (1 - smooth) * f / factor + smooth * f;
}

void rope_config_frequencies(float *frequency, const struct rope_config *r, size_t head_dim) {
    for (size_t i = 0; i < head_dim / 2; i++) {
        const float f = 1.0f / powf((float)r->base, (float)(2 * i) / (float)head_dim);
        frequency[i] = f;
        if (r->kind == ROPE_LINEAR) frequency[i] = f / (float)r->factor;
        if (r->kind == ROPE_LLAMA3) frequency[i] = llama3_frequency(f, r);
        if (r->kind == ROPE_DIVISORS) frequency[i] = f / r->divisor[i];
    }
}

/* GGUF keeps divisors only. Which of the published stretchings made them? */
static status llama3_of_divisors(struct rope_config *out, const struct rope_config *r, size_t head_dim) {
    static const double factors[] = {8, 32, 16, 4};
    for (size_t k = 0; k < sizeof factors / sizeof factors[0]; k++) {
        *out = (struct rope_config){.kind = ROPE_LLAMA3,
                                    .base = r->base,
                                    .factor = factors[k],
                                    .low_freq_factor = 1,
                                    .high_freq_factor = 4,
                                    .original_max_position = 8192};
        float a[ROPE_PAIRS_MAX], b[ROPE_PAIRS_MAX];
        bool same = true;
        rope_config_frequencies(a, out, head_dim);
        rope_config_frequencies(b, r, head_dim);
        for (size_t i = 0; i < head_dim / 2; i++) same = same && fabsf(a[i] - b[i]) <= 1e-4f * b[i];
        if (same) return ST_OK;
    }
    return FAIL(ST_UNSUPPORTED, "the rope_freqs of this GGUF are none of Llama 3.1's or 3.2's; config.json has no words for them");
}

static status put_rope(struct buf *out, const struct model_config *c) {
    struct rope_config r = c->rope;
    if (r.kind == ROPE_DIVISORS) TRY(llama3_of_divisors(&r, &c->rope, c->head_dim));
    buf_printf(out, "  \"rope_theta\": %.9g,\n", r.base);
    if (r.kind == ROPE_DEFAULT) buf_append_text(out, "  \"rope_scaling\": null,\n");
    if (r.kind == ROPE_LINEAR) buf_printf(out, "  \"rope_scaling\": {\"rope_type\": \"linear\", \"factor\": %.9g},\n", r.factor);
    if (r.kind == ROPE_LLAMA3)
        buf_printf(
            out,
            "  \"rope_scaling\": {\"rope_type\": \"llama3\", \"factor\": %.9g, \"low_freq_factor\": %.9g, \"high_freq_factor\": %.9g, "
            "\"original_max_position_embeddings\": %zu},\n",
            r.factor, r.low_freq_factor, r.high_freq_factor, r.original_max_position);
    return ST_OK;
}

static void put_family(struct buf *out, const struct model_config *c) {
    const struct family *f = c->family;
    if (f->says_attention_bias) buf_printf(out, "  \"attention_bias\": %s,\n", c->qkv_bias ? "true" : "false");
    if (f->says_mlp_bias) buf_append_text(out, "  \"mlp_bias\": false,\n");
    if (f->windowed && !c->window) buf_append_text(out, "  \"sliding_window\": null,\n");
    if (f->windowed && c->window) buf_printf(out, "  \"sliding_window\": %zu,\n", c->window);
    if (f->says_use_window) buf_append_text(out, "  \"use_sliding_window\": false,\n");
    if (!f->no_rope_step) return;
    buf_append_text(out, "  \"no_rope_layers\": [");
    for (size_t i = 0; i < c->layers; i++) buf_printf(out, "%s%d", i ? ", " : "", !c->no_rope[i]);
    buf_append_text(out, "],\n");
}

/* null where it is not stated: left out, transformers would take the family's own number, which this vocabulary may not have. */
static void put_token(struct buf *out, const char *key, int64_t id) {
    if (id >= 0)
        buf_printf(out, "  \"%s\": %lld,\n", key, (long long)id);
    else
        buf_printf(out, "  \"%s\": null,\n", key);
}

status model_config_put_json(struct buf *out, const struct model_config *c, const char *torch_dtype) {
    buf_printf(out, "{\n  \"architectures\": [\"%s\"],\n  \"model_type\": \"%s\",\n", c->family->architecture, c->family->name);
    buf_printf(out, "  \"vocab_size\": %zu,\n  \"hidden_size\": %zu,\n  \"intermediate_size\": %zu,\n", c->vocab, c->hidden, c->ffn);
    buf_printf(out, "  \"num_hidden_layers\": %zu,\n  \"num_attention_heads\": %zu,\n  \"num_key_value_heads\": %zu,\n", c->layers,
               c->heads, c->kv_heads);
    buf_printf(out, "  \"head_dim\": %zu,\n  \"max_position_embeddings\": %zu,\n  \"hidden_act\": \"silu\",\n", c->head_dim,
               c->max_position);
    buf_printf(out, "  \"rms_norm_eps\": %.9g,\n", c->norm_eps);
    TRY(put_rope(out, c));
    put_family(out, c);
    put_token(out, "bos_token_id", c->bos);
    put_token(out, "eos_token_id", c->eos);
    put_token(out, "pad_token_id", c->pad);
    buf_printf(out, "  \"tie_word_embeddings\": %s,\n  \"torch_dtype\": \"%s\",\n  \"use_cache\": true\n}\n", c->tied ? "true" : "false",
               torch_dtype);
    return ST_OK;
}
