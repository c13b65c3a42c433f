#include "model/config.h"

#include <math.h>

#include "model/arch.h"
#include "model/config_read.h"

static status check_divisors(const float *divisor, size_t pairs, const char *what) {
    for (size_t i = 0; i < pairs; i++)
        if (!(divisor[i] > 0) || !isfinite(divisor[i]))
            return FAIL(ST_FORMAT, "%s: element %zu is %g, expected a positive number", what, i, (double)divisor[i]);
    return ST_OK;
}

static status check_rope(const struct rope_config *r, size_t rotary) {
    if (!(r->base > 0) || !isfinite(r->base)) return FAIL(ST_FORMAT, "model config: rope base %g is not positive", r->base);
    if (r->kind == ROPE_DEFAULT) return ST_OK;
    if (r->kind == ROPE_DIVISORS) return check_divisors(r->divisor, rotary / 2, "tensor 'rope_freqs.weight'");
    if (r->kind == ROPE_LONG) {
        if (!(r->attention_factor > 0) || !isfinite(r->attention_factor) || !r->original_max_position)
            return FAIL(ST_FORMAT,
                        "model config: long rope wants attention_factor > 0 and original_max_position_embeddings, has %g and %zu",
                        r->attention_factor, r->original_max_position);
        TRY(check_divisors(r->divisor, rotary / 2, "long rope's short_factor"));
        return check_divisors(r->long_divisor, rotary / 2, "long rope's long_factor");
    }
    if (!(r->factor > 0) || !isfinite(r->factor)) return FAIL(ST_FORMAT, "model config: rope factor %g is not positive", r->factor);
    if (r->kind == ROPE_LLAMA3 && (!(r->low_freq_factor > 0) || !(r->high_freq_factor > r->low_freq_factor) || !r->original_max_position))
        return FAIL(ST_FORMAT,
                    "model config: llama3 rope wants 0 < low_freq_factor < high_freq_factor and original_max_position_embeddings, has %g, "
                    "%g and %zu",
                    r->low_freq_factor, r->high_freq_factor, r->original_max_position);
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
    if (c->rotary % 2 || c->rotary == 0 || c->rotary > c->head_dim)
        return FAIL(ST_FORMAT, "model config: %zu of a head's %zu elements rotate, expected an even number of them", c->rotary,
                    c->head_dim);
    if (c->head != HEAD_LM && (c->labels < 1 || c->labels > 4096))
        return FAIL(ST_FORMAT, "model config: %zu labels, expected 1 to 4096", c->labels);
    if (c->head == HEAD_GATED && (c->gating.hidden > (size_t)1 << 16 || c->gating.layers > 64 || !(c->gating.temperature > 0)))
        return FAIL(ST_FORMAT, "model config: a gating network of %zu layers of %zu units with temperature %g", c->gating.layers,
                    c->gating.hidden, c->gating.temperature);
    if (c->window > (size_t)1 << 28) return FAIL(ST_FORMAT, "model config: sliding window %zu is too large", c->window);
    if (!(c->query_pre_attn_scalar > 0) || !isfinite(c->query_pre_attn_scalar))
        return FAIL(ST_FORMAT, "model config: query_pre_attn_scalar %g is not positive", c->query_pre_attn_scalar);
    if (!(c->attention_softcap >= 0) || !isfinite(c->attention_softcap) || !(c->logit_softcap >= 0) || !isfinite(c->logit_softcap))
        return FAIL(ST_FORMAT, "model config: soft-caps %g and %g should be positive, or null", c->attention_softcap, c->logit_softcap);
    TRY(check_rope(&c->rope, c->rotary));
    if (c->family->local_rope_base > 0) TRY(check_rope(&c->local_rope, c->rotary));
    if (!(c->norm_eps > 0) || c->norm_eps > 1) return FAIL(ST_FORMAT, "model config: norm epsilon %g is not in (0, 1]", c->norm_eps);
    return ST_OK;
}

status model_config_finish(struct model_config *c) {
    if (!c->rotary) c->rotary = c->head_dim;
    if (c->query_pre_attn_scalar == 0) c->query_pre_attn_scalar = (double)c->head_dim;
    c->embed_scale = c->family->gemma ? (float)sqrt((double)c->hidden) : 1.0f;
    c->qk_norm = c->family->qk_norm;
    return check_sizes(c);
}

void model_config_local_layers(struct model_config *c, size_t step) {
    for (size_t i = 0; i < c->layers; i++) c->local[i] = step ? (i + 1) % step != 0 : c->window > 0;
}

void model_config_as_scorer(struct model_config *c, size_t labels) {
    if (c->head != HEAD_LM) return;
    c->head = HEAD_SCORE;
    c->labels = labels;
    c->tied = true;
}

static size_t gating_parameters(const struct model_config *c) {
    const size_t h = c->gating.hidden;
    if (c->head != HEAD_GATED) return 0;
    return c->hidden * h + h + (c->gating.layers - 1) * (h * h + h) + h * c->labels + c->labels + c->labels * c->labels + 1;
}

size_t model_config_parameters(const struct model_config *c) {
    const size_t q = c->heads * c->head_dim, kv = c->kv_heads * c->head_dim;
    const size_t attention =
        c->hidden * (2 * q + 2 * kv) + (c->qkv_bias ? q + 2 * kv : 0) + (c->o_bias ? c->hidden : 0) + (c->qk_norm ? 2 * c->head_dim : 0);
    return c->layers * (attention + 3 * c->hidden * c->ffn + (c->family->gemma ? 4 : 2) * c->hidden) + c->hidden +
           c->vocab * c->hidden * (c->tied ? 1 : 2) + c->labels * c->hidden + gating_parameters(c);
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

float rope_config_frequencies(float *frequency, const struct rope_config *r, size_t rotary, bool longer) {
    for (size_t i = 0; i < rotary / 2; i++) {
        const float f = 1.0f / powf((float)r->base, (float)(2 * i) / (float)rotary);
        frequency[i] = f;
        if (r->kind == ROPE_LINEAR) frequency[i] = f / (float)r->factor;
        if (r->kind == ROPE_LLAMA3) frequency[i] = llama3_frequency(f, r);
        if (r->kind == ROPE_DIVISORS) frequency[i] = f / r->divisor[i];
        if (r->kind == ROPE_LONG) /* as transformers: the divisor goes in before the reciprocal */
            frequency[i] = 1.0f / ((longer ? r->long_divisor[i] : r->divisor[i]) * powf((float)r->base, (float)(2 * i) / (float)rotary));
    }
    return r->kind == ROPE_LONG ? (float)r->attention_factor : 1.0f;
}
