/* A config.json that transformers loads. */
#include <math.h>

#include "base/buf.h"
#include "model/arch.h"
#include "model/config.h"

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
        rope_config_frequencies(a, out, head_dim, false);
        rope_config_frequencies(b, r, head_dim, false);
        for (size_t i = 0; i < head_dim / 2; i++) same = same && fabsf(a[i] - b[i]) <= 1e-4f * b[i];
        if (same) return ST_OK;
    }
    return FAIL(ST_UNSUPPORTED, "the rope_freqs of this GGUF are none of Llama 3.1's or 3.2's; config.json has no words for them");
}

static void put_numbers(struct buf *out, const char *key, const float *numbers, size_t count) {
    buf_printf(out, "\"%s\": [", key);
    for (size_t i = 0; i < count; i++) buf_printf(out, "%s%.9g", i ? ", " : "", (double)numbers[i]);
    buf_append_text(out, "]");
}

static void put_long_rope(struct buf *out, const struct rope_config *r, size_t pairs) {
    buf_append_text(out, "  \"rope_scaling\": {\"rope_type\": \"longrope\", \"type\": \"longrope\", ");
    put_numbers(out, "short_factor", r->divisor, pairs);
    buf_append_text(out, ", ");
    put_numbers(out, "long_factor", r->long_divisor, pairs);
    buf_printf(out, ", \"attention_factor\": %.9g},\n", r->attention_factor);
    buf_printf(out, "  \"original_max_position_embeddings\": %zu,\n", r->original_max_position);
}

static status put_rope(struct buf *out, const struct model_config *c) {
    struct rope_config r = c->rope;
    if (r.kind == ROPE_DIVISORS) TRY(llama3_of_divisors(&r, &c->rope, c->rotary));
    buf_printf(out, "  \"rope_theta\": %.9g,\n", r.base);
    if (c->rotary != c->head_dim) buf_printf(out, "  \"partial_rotary_factor\": %.9g,\n", (double)c->rotary / (double)c->head_dim);
    if (c->family->local_rope_base > 0) buf_printf(out, "  \"rope_local_base_freq\": %.9g,\n", c->local_rope.base);
    if (r.kind == ROPE_LONG) put_long_rope(out, &r, c->rotary / 2);
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

static void put_window(struct buf *out, const struct model_config *c) {
    const enum window_rule rule = c->family->windows;
    if (rule == WINDOW_NEVER) return;
    if (rule == WINDOW_FROM) buf_printf(out, "  \"use_sliding_window\": %s,\n", c->window ? "true" : "false");
    if (c->window)
        buf_printf(out, "  \"sliding_window\": %zu,\n", c->window);
    else
        buf_append_text(out, "  \"sliding_window\": null,\n");
    if (rule == WINDOW_ALL || (rule == WINDOW_FROM && !c->window)) return;
    buf_append_text(out, "  \"layer_types\": [");
    for (size_t i = 0; i < c->layers; i++) buf_printf(out, "%s\"%s\"", i ? ", " : "", c->local[i] ? "sliding_attention" : "full_attention");
    buf_append_text(out, "],\n");
}

static void put_softcap(struct buf *out, const char *key, double cap) {
    if (cap > 0)
        buf_printf(out, "  \"%s\": %.9g,\n", key, cap);
    else
        buf_printf(out, "  \"%s\": null,\n", key);
}

static void put_family(struct buf *out, const struct model_config *c) {
    const struct family *f = c->family;
    if (f->says_attention_bias) buf_printf(out, "  \"attention_bias\": %s,\n", c->qkv_bias ? "true" : "false");
    if (f->says_mlp_bias) buf_append_text(out, "  \"mlp_bias\": false,\n");
    put_window(out, c);
    if (f->gemma) {
        buf_printf(out, "  \"hidden_activation\": \"%s\",\n  \"query_pre_attn_scalar\": %.9g,\n", glu_names[c->act],
                   c->query_pre_attn_scalar);
        put_softcap(out, "attn_logit_softcapping", c->attention_softcap);
        put_softcap(out, "final_logit_softcapping", c->logit_softcap);
    } else {
        buf_printf(out, "  \"hidden_act\": \"%s\",\n", glu_names[c->act]);
    }
    if (!f->no_rope_step) return;
    buf_append_text(out, "  \"no_rope_layers\": [");
    for (size_t i = 0; i < c->layers; i++) buf_printf(out, "%s%d", i ? ", " : "", !c->no_rope[i]);
    buf_append_text(out, "],\n");
}

static void put_labels(struct buf *out, const struct model_config *c) {
    if (c->head != HEAD_SCORE) return;
    buf_append_text(out, "  \"id2label\": {");
    for (size_t i = 0; i < c->labels; i++) buf_printf(out, "%s\"%zu\": \"LABEL_%zu\"", i ? ", " : "", i, i);
    buf_append_text(out, "},\n  \"label2id\": {");
    for (size_t i = 0; i < c->labels; i++) buf_printf(out, "%s\"LABEL_%zu\": %zu", i ? ", " : "", i, i);
    buf_append_text(out, "},\n");
}

/* null where it is not stated: left out, transformers would take the family's own number, which this vocabulary may not have. */
static void put_token(struct buf *out, const char *key, int64_t id) {
    if (id >= 0)
        buf_printf(out, "  \"%s\": %lld,\n", key, (long long)id);
    else
        buf_printf(out, "  \"%s\": null,\n", key);
}

status model_config_put_json(struct buf *out, const struct model_config *c, const char *torch_dtype) {
    char architecture[FAMILY_ARCHITECTURE_SIZE];
    family_architecture(architecture, c->family, c->head);
    buf_printf(out, "{\n  \"architectures\": [\"%s\"],\n  \"model_type\": \"%s\",\n", architecture,
               c->family->model_type ? c->family->model_type : c->family->name);
    put_labels(out, c);
    buf_printf(out, "  \"vocab_size\": %zu,\n  \"hidden_size\": %zu,\n  \"intermediate_size\": %zu,\n", c->vocab, c->hidden, c->ffn);
    buf_printf(out, "  \"num_hidden_layers\": %zu,\n  \"num_attention_heads\": %zu,\n  \"num_key_value_heads\": %zu,\n", c->layers,
               c->heads, c->kv_heads);
    buf_printf(out, "  \"head_dim\": %zu,\n  \"max_position_embeddings\": %zu,\n", c->head_dim, c->max_position);
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
