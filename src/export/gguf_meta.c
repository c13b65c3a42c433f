#include "export/gguf_meta.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"

static bool arch_is(const struct model_config *c, const char *name) { return strcmp(c->family->gguf_arch, name) == 0; }

/* Every how many layers one looks at all positions; 0 where the layers follow no such rule. */
static size_t window_step(const struct model_config *c) {
    for (size_t step = 1; step <= c->layers + 1; step++) {
        const size_t tried = step == 1 ? c->family->local_step : step == c->family->local_step ? 1 : step; /* the usual one first */
        size_t i = 0;
        while (i < c->layers && c->local[i] == ((i + 1) % tried != 0)) i++;
        if (i == c->layers) return tried;
    }
    return 0;
}

static status check_window(const struct model_config *c) {
    if (c->family->windows == WINDOW_PATTERN) {
        if (!c->window) return FAIL(ST_UNSUPPORTED, "GGUF: %s without a sliding window has no form there", c->family->name);
        return window_step(c) ? ST_OK
                              : FAIL(ST_UNSUPPORTED, "GGUF: layer_types is no rule of the form 'every n-th layer is full_attention'");
    }
    if (c->window && c->window < c->max_position && c->family->windows != WINDOW_NEVER)
        log_warn("llama.cpp knows no sliding window in %s: texts of more than %zu tokens will be seen whole there", c->family->name,
                 c->window);
    return ST_OK;
}

static status check_rope(const struct model_config *c) {
    const enum rope_kind kind = c->rope.kind;
    const bool divisors = kind == ROPE_LLAMA3 || kind == ROPE_DIVISORS;
    if (divisors && !arch_is(c, "llama"))
        return FAIL(ST_UNSUPPORTED, "GGUF: the rope type llama3 has a form in Llama's architecture only, not in %s", c->family->gguf_arch);
    if (kind == ROPE_LONG && !arch_is(c, "llama") && !arch_is(c, "phi3"))
        return FAIL(ST_UNSUPPORTED, "GGUF: the rope type longrope has a form in Llama's and Phi-3's architecture only, not in %s",
                    c->family->gguf_arch);
    if (c->family->local_rope_base > 0 && c->local_rope.kind != ROPE_DEFAULT)
        return FAIL(ST_UNSUPPORTED, "GGUF: stretched rotations of the local layers have no form there");
    if (c->rotary != c->head_dim && !arch_is(c, "phi3"))
        return FAIL(ST_UNSUPPORTED, "GGUF: partial_rotary_factor has a form in Phi-3's architecture only, not in %s", c->family->gguf_arch);
    for (size_t i = 0; i < c->layers; i++)
        if (c->no_rope[i] != (c->family->no_rope_step && (i + 1) % c->family->no_rope_step == 0))
            return FAIL(ST_UNSUPPORTED, "GGUF: layer %zu %s rotations, which llama.cpp has fixed the other way in %s", i,
                        c->no_rope[i] ? "has no" : "has", c->family->gguf_arch);
    return ST_OK;
}

/* What llama.cpp divides scores by in Gemma: it tells the 27-billion models by their layers. */
static double gemma_scalar(const struct model_config *c) {
    return (double)(c->layers == (c->family->qk_norm ? 62 : 46) ? c->hidden / c->heads : c->head_dim);
}

static status check_gemma(const struct model_config *c) {
    if (!c->family->gemma) return ST_OK;
    if (c->query_pre_attn_scalar != gemma_scalar(c))
        return FAIL(ST_UNSUPPORTED, "GGUF: query_pre_attn_scalar is %g, llama.cpp has %g fixed for such a model", c->query_pre_attn_scalar,
                    gemma_scalar(c));
    if (arch_is(c, "gemma2") && (c->attention_softcap == 0 || c->logit_softcap == 0))
        return FAIL(ST_UNSUPPORTED, "GGUF: Gemma 2 without attn_logit_softcapping or final_logit_softcapping has no form there");
    if (!arch_is(c, "gemma2") && c->attention_softcap > 0)
        return FAIL(ST_UNSUPPORTED, "GGUF: attn_logit_softcapping has no form in %s", c->family->gguf_arch);
    return ST_OK;
}

status gguf_meta_check(const struct model_config *c) {
    if (c->head != HEAD_LM)
        return FAIL(ST_UNSUPPORTED, "GGUF: a reward model has no form that llama.cpp computes; export it with --format hf");
    if (c->act != c->family->act)
        return FAIL(ST_UNSUPPORTED, "GGUF: the activation %s has no form in %s", glu_names[c->act], c->family->gguf_arch);
    if (c->family->gemma && !c->tied)
        return FAIL(ST_UNSUPPORTED, "GGUF: an output head of its own has no form in %s", c->family->gguf_arch);
    if (c->o_bias && !arch_is(c, "llama")) return FAIL(ST_UNSUPPORTED, "GGUF: a bias of o_proj has no form in %s", c->family->gguf_arch);
    if (arch_is(c, "phi3") && c->heads * c->head_dim != c->hidden)
        return FAIL(ST_UNSUPPORTED, "GGUF: %zu heads of %zu that are not the hidden size %zu have no form in phi3", c->heads, c->head_dim,
                    c->hidden);
    TRY(check_gemma(c));
    TRY(check_rope(c));
    return check_window(c);
}

/* A writer that knows the architecture. */
struct put {
    struct gguf_writer *w;
    const char *arch;
    char key[96];
};

static const char *key_of(struct put *p, const char *key) {
    snprintf(p->key, sizeof p->key, "%s.%s", p->arch, key);
    return p->key;
}
static void put_u32(struct put *p, const char *key, size_t value) { gguf_put_u32(p->w, key_of(p, key), (uint32_t)value); }
static void put_f32(struct put *p, const char *key, double value) { gguf_put_f32(p->w, key_of(p, key), (float)value); }

static void put_rope(struct put *p, const struct model_config *c) {
    const struct rope_config *r = &c->rope;
    const char *type = r->kind == ROPE_LINEAR ? "linear" : r->kind == ROPE_LONG ? "longrope" : NULL;
    put_u32(p, "rope.dimension_count", c->rotary);
    put_f32(p, "rope.freq_base", r->base);
    if (c->family->local_rope_base > 0) put_f32(p, "rope.freq_base_swa", c->local_rope.base);
    if (type) gguf_put_text(p->w, key_of(p, "rope.scaling.type"), type, strlen(type));
    if (r->kind == ROPE_LINEAR) put_f32(p, "rope.scaling.factor", r->factor);
    if (r->kind == ROPE_LONG || arch_is(c, "phi3"))
        put_u32(p, "rope.scaling.original_context_length", r->original_max_position ? r->original_max_position : c->max_position);
    if (r->kind == ROPE_LONG) put_f32(p, "rope.scaling.attn_factor", r->attention_factor);
}

static void put_window(struct put *p, const struct model_config *c) {
    const bool pattern = c->family->windows == WINDOW_PATTERN;
    if (!pattern && !arch_is(c, "phi3")) return;
    put_u32(p, "attention.sliding_window", c->window); /* phi3: 0 tells Phi-4 from the others */
    if (pattern && window_step(c) != c->family->local_step) put_u32(p, "attention.sliding_window_pattern", window_step(c));
}

void gguf_meta_put(struct gguf_writer *w, const struct model_config *c) {
    struct put p = {.w = w, .arch = c->family->gguf_arch};
    put_u32(&p, "block_count", c->layers);
    put_u32(&p, "context_length", c->max_position);
    put_u32(&p, "embedding_length", c->hidden);
    put_u32(&p, "feed_forward_length", c->ffn);
    put_u32(&p, "attention.head_count", c->heads);
    put_u32(&p, "attention.head_count_kv", c->kv_heads);
    put_u32(&p, "attention.key_length", c->head_dim);
    put_u32(&p, "attention.value_length", c->head_dim);
    put_f32(&p, "attention.layer_norm_rms_epsilon", c->norm_eps);
    put_u32(&p, "vocab_size", c->vocab);
    put_rope(&p, c);
    put_window(&p, c);
    if (c->attention_softcap > 0) put_f32(&p, "attn_logit_softcapping", c->attention_softcap);
    if (c->logit_softcap > 0) put_f32(&p, "final_logit_softcapping", c->logit_softcap);
}

/* LlamaModel.generate_extra_tensors of llama.cpp's conversion/llama.py. */
void gguf_meta_divisors(float *out, const struct model_config *c) {
    const struct rope_config *r = &c->rope;
    const double original = (double)r->original_max_position;
    for (size_t i = 0; i < c->rotary / 2; i++) {
        if (r->kind == ROPE_DIVISORS) {
            out[i] = r->divisor[i];
            continue;
        }
        const double frequency = (double)(1.0f / powf((float)r->base, (float)(2 * i) / (float)c->rotary)),
                     wave = 2 * 3.14159265358979323846 / frequency;
        const double smooth = (original / wave - r->low_freq_factor) / (r->high_freq_factor - r->low_freq_factor);
        out[i] = wave < original / r->high_freq_factor  ? 1.0f
                 : wave > original / r->low_freq_factor ? (float)r->factor
                                                        : (float)(1 / ((1 - smooth) / r->factor + smooth));
    }
}
