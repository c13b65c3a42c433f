/* The metadata of a GGUF. */
#include <stdio.h>
#include <string.h>

#include "model/arch.h"
#include "model/config_read.h"

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

/* A number that may be missing. */
static void gguf_number(double *out, const struct gguf *g, const char *arch, const char *key) {
    char name[96];
    snprintf(name, sizeof name, "%s.%s", arch, key);
    gguf_double(out, g, name);
}

static status gguf_divisors(float *out, const struct gguf *g, const char *name, size_t count) {
    const struct gguf_tensor *t = gguf_tensor_find(g, name);
    if (!t || t->rows != 1 || t->cols != count || count > ROPE_PAIRS_MAX || t->type != DTYPE_F32)
        return FAIL(ST_FORMAT, "tensor '%s': expected %zu numbers of type F32", name, count);
    memcpy(out, t->data, count * sizeof *out);
    return ST_OK;
}

/* Phi-3: both lists are tensors; llama.cpp takes the long one when its context is longer than the original. */
static status gguf_long_rope(struct rope_config *r, const struct gguf *g, const char *arch, size_t pairs) {
    r->kind = ROPE_LONG;
    r->attention_factor = 1;
    gguf_number(&r->attention_factor, g, arch, "rope.scaling.attn_factor");
    TRY(gguf_size(&r->original_max_position, g, arch, "rope.scaling.original_context_length", 0));
    TRY(gguf_divisors(r->divisor, g, "rope_factors_short.weight", pairs));
    return gguf_divisors(r->long_divisor, g, "rope_factors_long.weight", pairs);
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
    } else if (gguf_text_of(&type, g, name) && !(type.size == 4 && memcmp(type.data, "none", 4) == 0) &&
               !(type.size == 8 && memcmp(type.data, "longrope", 8) == 0)) {
        return FAIL(ST_UNSUPPORTED, "'%s' is '%.*s'; supported: none, linear, longrope", name, (int)type.size, type.data);
    }
    TRY(gguf_size(&c->rotary, g, a, "rope.dimension_count", c->head_dim));
    if (gguf_tensor_find(g, "rope_factors_short.weight")) return gguf_long_rope(r, g, a, c->rotary / 2);
    if (!gguf_tensor_find(g, "rope_freqs.weight")) return ST_OK;
    r->kind = ROPE_DIVISORS;
    return gguf_divisors(r->divisor, g, "rope_freqs.weight", c->rotary / 2);
}

/* What convert_hf_to_gguf.py leaves to llama.cpp: it tells the 27-billion models, whose scale is not 1 / sqrt(D), by their layers. */
static status gguf_gemma(struct model_config *c, const struct gguf *g) {
    const char *a = c->family->gguf_arch;
    const bool largest = c->layers == (c->family->qk_norm ? 62 : 46);
    c->query_pre_attn_scalar = (double)(largest ? c->hidden / c->heads : c->head_dim);
    gguf_number(&c->attention_softcap, g, a, "attn_logit_softcapping");
    gguf_number(&c->logit_softcap, g, a, "final_logit_softcapping");
    c->local_rope.base = c->family->local_rope_base;
    gguf_number(&c->local_rope.base, g, a, "rope.freq_base_swa");
    return gguf_size(&c->window, g, a, "attention.sliding_window", 0);
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
    if (c->layers > MODEL_LAYERS_MAX || c->head_dim > 2 * ROPE_PAIRS_MAX) return model_config_finish(c);
    TRY(gguf_rope(c, g));
    if (c->family->gemma) TRY(gguf_gemma(c, g));
    double window = 0;
    if (c->family->windows == WINDOW_ALL) gguf_number(&window, g, a, "attention.sliding_window");
    if (window > 0 && window < 1e8) c->window = (size_t)window;
    size_t step = c->family->local_step;
    if (step) TRY(gguf_size(&step, g, a, "attention.sliding_window_pattern", step));
    model_config_local_layers(c, step);
    c->act = c->family->act;
    for (size_t i = 0; c->family->no_rope_step && i < c->layers; i++) c->no_rope[i] = (i + 1) % c->family->no_rope_step == 0;
    c->qkv_bias = gguf_tensor_find(g, "blk.0.attn_q.bias") != NULL;
    c->o_bias = gguf_tensor_find(g, "blk.0.attn_output.bias") != NULL;
    const struct gguf_tensor *embed = gguf_tensor_find(g, "token_embd.weight");
    if (!embed) return FAIL(ST_FORMAT, "tensor 'token_embd.weight' is missing");
    c->vocab = embed->rows;
    c->tied = !gguf_tensor_find(g, "output.weight");
    gguf_int(&c->bos, g, "tokenizer.ggml.bos_token_id");
    gguf_int(&c->eos, g, "tokenizer.ggml.eos_token_id");
    gguf_int(&c->pad, g, "tokenizer.ggml.padding_token_id");
    return model_config_finish(c);
}
