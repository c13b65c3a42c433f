#include "model/arch.h"

#include <stdio.h>
#include <string.h>

/* Llama's names, which most families took over. */
static const struct tensor_name llama_names[TENSOR_ROLES] = {
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
    [TENSOR_EMBED] = {"model.embed_tokens", "token_embd"},
    [TENSOR_NORM] = {"model.norm", "output_norm"},
    [TENSOR_HEAD] = {"lm_head", "output"},
};

const struct family family_table[] = {
    {.name = "llama",
     .architecture = "LlamaForCausalLM",
     .gguf_arch = "llama",
     .gguf_permutes_qk = true,
     .says_attention_bias = true,
     .says_mlp_bias = true,
     .names = llama_names,
     .help = "Llama 2, 3, 3.1, 3.2, SmolLM, SmolLM2"},
    {.name = "mistral",
     .architecture = "MistralForCausalLM",
     .gguf_arch = "llama",
     .gguf_permutes_qk = true,
     .windowed = true,
     .names = llama_names,
     .help = "Mistral, Zephyr; sequences up to the sliding window"},
    {.name = "qwen2",
     .architecture = "Qwen2ForCausalLM",
     .gguf_arch = "qwen2",
     .qkv_bias = true,
     .says_use_window = true,
     .names = llama_names,
     .help = "Qwen2, Qwen2.5"},
    {.name = "qwen3",
     .architecture = "Qwen3ForCausalLM",
     .gguf_arch = "qwen3",
     .qk_norm = true,
     .says_use_window = true,
     .says_attention_bias = true,
     .names = llama_names,
     .help = "Qwen3"},
    {.name = "smollm3",
     .architecture = "SmolLM3ForCausalLM",
     .gguf_arch = "smollm3",
     .gguf_permutes_qk = true,
     .no_rope_step = 4,
     .says_attention_bias = true,
     .names = llama_names,
     .help = "SmolLM3"},
};
const size_t family_count = sizeof family_table / sizeof family_table[0];

const struct family *family_by_architecture(const char *name) {
    for (size_t i = 0; i < family_count; i++)
        if (strcmp(family_table[i].architecture, name) == 0) return &family_table[i];
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
    const char *pattern = gguf ? f->names[role].gguf : f->names[role].hf;
    const char *mark = strstr(pattern, "%zu");
    if (!mark)
        snprintf(out, TENSOR_NAME_SIZE, "%s", pattern);
    else
        snprintf(out, TENSOR_NAME_SIZE, "%.*s%zu%s", (int)(mark - pattern), pattern, layer, mark + 3);
}
