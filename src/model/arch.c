#include "model/arch.h"

#include <stdio.h>
#include <string.h>

/* Llama's names, which the others took over. */
static const struct tensor_name names[TENSOR_ROLES] = {
    [TENSOR_NORM1] = {"model.layers.%zu.input_layernorm", "blk.%zu.attn_norm"},
    [TENSOR_Q] = {"model.layers.%zu.self_attn.q_proj", "blk.%zu.attn_q"},
    [TENSOR_K] = {"model.layers.%zu.self_attn.k_proj", "blk.%zu.attn_k"},
    [TENSOR_V] = {"model.layers.%zu.self_attn.v_proj", "blk.%zu.attn_v"},
    [TENSOR_O] = {"model.layers.%zu.self_attn.o_proj", "blk.%zu.attn_output"},
    [TENSOR_NORM2] = {"model.layers.%zu.post_attention_layernorm", "blk.%zu.ffn_norm"},
    [TENSOR_GATE] = {"model.layers.%zu.mlp.gate_proj", "blk.%zu.ffn_gate"},
    [TENSOR_UP] = {"model.layers.%zu.mlp.up_proj", "blk.%zu.ffn_up"},
    [TENSOR_DOWN] = {"model.layers.%zu.mlp.down_proj", "blk.%zu.ffn_down"},
    [TENSOR_Q_NORM] = {"model.layers.%zu.self_attn.q_norm", "blk.%zu.attn_q_norm"},
    [TENSOR_K_NORM] = {"model.layers.%zu.self_attn.k_norm", "blk.%zu.attn_k_norm"},
    [TENSOR_POST1] = {"model.layers.%zu.post_attention_layernorm", "blk.%zu.post_attention_norm"},
    [TENSOR_POST2] = {"model.layers.%zu.post_feedforward_layernorm", "blk.%zu.post_ffw_norm"},
    [TENSOR_QKV] = {"model.layers.%zu.self_attn.qkv_proj", "blk.%zu.attn_qkv"},
    [TENSOR_GATE_UP] = {"model.layers.%zu.mlp.gate_up_proj", "blk.%zu.ffn_up"},
    [TENSOR_EMBED] = {"model.embed_tokens", "token_embd"},
    [TENSOR_NORM] = {"model.norm", "output_norm"},
    [TENSOR_HEAD] = {"lm_head", "output"},
    [TENSOR_SCORE] = {"score", "cls.output"},
    [TENSOR_REGRESSION] = {"regression_layer", "regression_layer"},
};

/* Llama's post_attention_layernorm stands before the feed-forward, Gemma's behind the attention. */
static const struct renamed gemma_renamed[] = {
    {TENSOR_NORM2, {"model.layers.%zu.pre_feedforward_layernorm", "blk.%zu.ffn_norm"}},
    {.name = {NULL}},
};

const struct family family_table[] = {
    {.name = "llama",
     .architecture = "LlamaForCausalLM",
     .gated = "LlamaForRewardModelWithGating",
     .gguf_arch = "llama",
     .gguf_permutes_qk = true,
     .says_attention_bias = true,
     .says_mlp_bias = true,
     .help = "Llama 2, 3, 3.1, 3.2, SmolLM, SmolLM2"},
    {.name = "mistral",
     .architecture = "MistralForCausalLM",
     .gguf_arch = "llama",
     .gguf_permutes_qk = true,
     .windows = WINDOW_ALL,
     .help = "Mistral, Zephyr"},
    {.name = "qwen2",
     .architecture = "Qwen2ForCausalLM",
     .gguf_arch = "qwen2",
     .qkv_bias = true,
     .windows = WINDOW_FROM,
     .help = "Qwen2, Qwen2.5"},
    {.name = "qwen3",
     .architecture = "Qwen3ForCausalLM",
     .gguf_arch = "qwen3",
     .qk_norm = true,
     .windows = WINDOW_FROM,
     .says_attention_bias = true,
     .help = "Qwen3"},
    {.name = "smollm3",
     .architecture = "SmolLM3ForCausalLM",
     .gguf_arch = "smollm3",
     .gguf_permutes_qk = true,
     .no_rope_step = 4,
     .says_attention_bias = true,
     .help = "SmolLM3"},
    {.name = "gemma2",
     .architecture = "Gemma2ForCausalLM",
     .gguf_arch = "gemma2",
     .gemma = true,
     .says_attention_bias = true,
     .windows = WINDOW_PATTERN,
     .local_step = 2,
     .act = GLU_GELU_TANH,
     .renamed = gemma_renamed,
     .help = "Gemma 2"},
    {.name = "gemma3",
     .architecture = "Gemma3ForCausalLM",
     .classifier = "Gemma3TextForSequenceClassification",
     .model_type = "gemma3_text",
     .gguf_arch = "gemma3",
     .gemma = true,
     .qk_norm = true,
     .says_attention_bias = true,
     .windows = WINDOW_PATTERN,
     .local_step = 6,
     .local_rope_base = 10000,
     .act = GLU_GELU_TANH,
     .renamed = gemma_renamed,
     .help = "Gemma 3, text only"},
    {.name = "phi3",
     .architecture = "Phi3ForCausalLM",
     .gguf_arch = "phi3",
     .fused = true,
     .windows = WINDOW_ALL,
     .help = "Phi-3, Phi-3.5, Phi-4-mini"},
};
const size_t family_count = sizeof family_table / sizeof family_table[0];

void family_architecture(char out[FAMILY_ARCHITECTURE_SIZE], const struct family *f, enum head_kind head) {
    static const char causal[] = "ForCausalLM";
    const char *name = head == HEAD_LM ? f->architecture : head == HEAD_SCORE ? f->classifier : f->gated;
    if (name || head == HEAD_GATED)
        snprintf(out, FAMILY_ARCHITECTURE_SIZE, "%s", name ? name : "");
    else
        snprintf(out, FAMILY_ARCHITECTURE_SIZE, "%.*sForSequenceClassification", (int)(strlen(f->architecture) - strlen(causal)),
                 f->architecture);
}

const struct family *family_by_architecture(enum head_kind *head, const char *name) {
    static const enum head_kind kinds[] = {HEAD_LM, HEAD_SCORE, HEAD_GATED};
    char known[FAMILY_ARCHITECTURE_SIZE];
    for (size_t i = 0; i < family_count; i++)
        for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
            family_architecture(known, &family_table[i], kinds[k]);
            *head = kinds[k];
            if (known[0] && strcmp(known, name) == 0) return &family_table[i];
        }
    return NULL;
}

const struct family *family_by_gguf(const char *name, size_t size) {
    for (size_t i = 0; i < family_count; i++)
        if (strlen(family_table[i].gguf_arch) == size && memcmp(family_table[i].gguf_arch, name, size) == 0) return &family_table[i];
    return NULL;
}

const char *family_list(void) {
    static _Thread_local char text[512];
    text[0] = '\0';
    for (size_t i = 0; i < family_count; i++) {
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%s%s (%s)", i ? ", " : "", family_table[i].name, family_table[i].architecture);
    }
    return text;
}

void family_tensor_name(char out[TENSOR_NAME_SIZE], const struct family *f, enum tensor_role role, size_t layer, bool gguf) {
    const struct tensor_name *name = &names[role];
    for (const struct renamed *r = f->renamed; r && r->name.hf; r++)
        if (r->role == role) name = &r->name;
    const char *pattern = gguf ? name->gguf : name->hf;
    const char *mark = strstr(pattern, "%zu");
    if (!mark)
        snprintf(out, TENSOR_NAME_SIZE, "%s", pattern);
    else
        snprintf(out, TENSOR_NAME_SIZE, "%.*s%zu%s", (int)(mark - pattern), pattern, layer, mark + 3);
}

void family_target_list(char *out, size_t size, const struct family *f) {
    static const enum tensor_role apart[] = {TENSOR_Q, TENSOR_K, TENSOR_V, TENSOR_O, TENSOR_GATE, TENSOR_UP, TENSOR_DOWN},
                                  fused[] = {TENSOR_QKV, TENSOR_O, TENSOR_GATE_UP, TENSOR_DOWN};
    const size_t count = f->fused ? sizeof fused / sizeof fused[0] : sizeof apart / sizeof apart[0];
    out[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        const size_t used = strlen(out);
        snprintf(out + used, size - used, "%s%s", used ? ", " : "", strrchr(names[f->fused ? fused[i] : apart[i]].hf, '.') + 1);
    }
}
