#include "export/gguf_types.h"

#include <string.h>

#include "num/quant.h"

/* llama_ftype: ALL_F32, MOSTLY_F16, MOSTLY_BF16, MOSTLY_Q8_0, MOSTLY_Q4_0, MOSTLY_Q4_K_M (which is what llama-quantize calls Q4_K),
 * MOSTLY_Q6_K. */
static const struct gguf_preset presets[] = {
    {"f32", DTYPE_F32, 0},   {"f16", DTYPE_F16, 1},    {"bf16", DTYPE_BF16, 32}, {"q8_0", DTYPE_Q8_0, 7},
    {"q4_0", DTYPE_Q4_0, 2}, {"q4_k", DTYPE_Q4_K, 15}, {"q6_k", DTYPE_Q6_K, 18},
};

const struct gguf_preset *gguf_preset_find(const char *name) {
    size_t i = 0;
    while (i < sizeof presets / sizeof presets[0] && strcmp(presets[i].name, name) != 0) i++;
    CHECK(i < sizeof presets / sizeof presets[0]);
    return &presets[i];
}

/* The first and the last eighth of the layers, and every third between. */
static bool use_more_bits(size_t layer, size_t layers) {
    return layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2;
}

/* The mixture of Q4_K_M. Models of 70 billion share each value among eight heads, so more bits cost little there. */
static enum dtype mixed(const struct model_config *c, enum tensor_role role, size_t layer) {
    const bool value = role == TENSOR_V || role == TENSOR_QKV;
    const bool largest = c->layers == 80 && (strcmp(c->family->gguf_arch, "qwen2") == 0 ||
                                             (strcmp(c->family->gguf_arch, "llama") == 0 && c->heads != c->kv_heads));
    if ((value || role == TENSOR_DOWN) && use_more_bits(layer, c->layers)) return DTYPE_Q6_K;
    return value && largest ? DTYPE_Q5_K : DTYPE_Q4_K;
}

static bool is_norm(enum tensor_role role) {
    return role == TENSOR_NORM || role == TENSOR_NORM1 || role == TENSOR_NORM2 || role == TENSOR_Q_NORM || role == TENSOR_K_NORM ||
           role == TENSOR_POST1 || role == TENSOR_POST2;
}

enum dtype gguf_tensor_type(const struct gguf_preset *p, const struct model_config *c, enum tensor_role role, size_t layer, size_t cols) {
    if (is_norm(role)) return DTYPE_F32;
    const bool head = role == TENSOR_HEAD || (role == TENSOR_EMBED && c->tied);
    enum dtype type = p->type;
    if (dtype_table[type].block == 1) return type;
    if (head && (type == DTYPE_Q8_0 || cols % dtype_table[type].block != 0))
        type = DTYPE_Q8_0;
    else if (head)
        type = DTYPE_Q6_K;
    else if (type == DTYPE_Q4_K)
        type = mixed(c, role, layer);
    return quant_fallback(type, cols);
}
