#!/usr/bin/env python3
"""A small random model of every family beside plain Llama, each with logits and the gradient of every parameter, as make_llama.py makes them:
tests/golden/FAMILY, and FAMILY_gguf where convert_hf_to_gguf.py has a form of its own.

llama3 (rope of Llama 3.1, all three bands of frequencies in use), llama_bias (linear rope, biases of q, k, v, o), mistral, qwen2 (biases of q, k, v),
qwen3 (normed heads), smollm3 (one layer of four without rotation), qwen2_window (its upper layer looks back 5 positions), gemma2 (both soft-caps,
four norms, a local layer), gemma3 (normed heads, two rope bases, one of them stretched), gemma3_types (layer_types, another scale), phi3 (fused projections, half of a head rotates), phi3_long
(long rope, both lists of factors in use).
usage: make_families.py OUTPUT_FOLDER"""
import math

from make_llama import measure, sequences
from oracle import fixed, out, spread_norms

import gguf
import torch
from safetensors.torch import save_file
from transformers import (Gemma2Config, Gemma2ForCausalLM, Gemma3ForCausalLM, Gemma3TextConfig, LlamaConfig, LlamaForCausalLM, MistralConfig,
                          MistralForCausalLM, Phi3Config, Phi3ForCausalLM, Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM, SmolLM3Config,
                          SmolLM3ForCausalLM)

SIZES = dict(hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, vocab_size=80, rms_norm_eps=1e-5,
             max_position_embeddings=256, bos_token_id=1, eos_token_id=2, pad_token_id=0, attn_implementation="eager")
LLAMA3 = dict(rope_type="llama3", rope_theta=10000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=64)


def plain(theta):
    return dict(rope_type="default", rope_theta=theta)


def families():
    def of(cls, config, **extra):
        return cls(config(**{**SIZES, **extra}))
    yield "llama3", of(LlamaForCausalLM, LlamaConfig, head_dim=8, rope_parameters=LLAMA3, tie_word_embeddings=True), gguf.MODEL_ARCH.LLAMA
    yield "llama_bias", of(LlamaForCausalLM, LlamaConfig, head_dim=8, attention_bias=True, rope_parameters=dict(rope_type="linear", rope_theta=10000.0, factor=4.0)), None
    yield "mistral", of(MistralForCausalLM, MistralConfig, head_dim=8, sliding_window=7, rope_parameters=plain(10000.0)), None
    yield "qwen2", of(Qwen2ForCausalLM, Qwen2Config, num_attention_heads=3, num_key_value_heads=1, rope_parameters=plain(1000000.0), tie_word_embeddings=True), gguf.MODEL_ARCH.QWEN2
    yield "qwen3", of(Qwen3ForCausalLM, Qwen3Config, head_dim=12, rope_parameters=plain(1000000.0)), gguf.MODEL_ARCH.QWEN3
    yield "smollm3", of(SmolLM3ForCausalLM, SmolLM3Config, num_hidden_layers=4, num_attention_heads=3, num_key_value_heads=3, no_rope_layers=None,
                        no_rope_layer_interval=4, rope_parameters=plain(5000000.0), tie_word_embeddings=True), gguf.MODEL_ARCH.SMOLLM3
    yield "qwen2_window", of(Qwen2ForCausalLM, Qwen2Config, num_attention_heads=3, num_key_value_heads=1, use_sliding_window=True, sliding_window=5,
                             max_window_layers=1, rope_parameters=plain(1000000.0), tie_word_embeddings=True), None
    gemma = dict(head_dim=8, tie_word_embeddings=True, sliding_window=6)
    yield "gemma2", of(Gemma2ForCausalLM, Gemma2Config, query_pre_attn_scalar=8, attn_logit_softcapping=2.0, final_logit_softcapping=3.0,
                       rope_parameters=plain(10000.0), **gemma), gguf.MODEL_ARCH.GEMMA2
    both = dict(full_attention=dict(rope_type="linear", rope_theta=1000000.0, factor=8.0), sliding_attention=plain(10000.0))
    yield "gemma3", of(Gemma3ForCausalLM, Gemma3TextConfig, num_hidden_layers=7, query_pre_attn_scalar=8, rope_parameters=both, **gemma), gguf.MODEL_ARCH.GEMMA3
    yield "gemma3_types", of(Gemma3ForCausalLM, Gemma3TextConfig, num_hidden_layers=3, query_pre_attn_scalar=12, rope_parameters=both,
                             layer_types=["sliding_attention", "full_attention", "sliding_attention"], **gemma), None
    yield "phi3", of(Phi3ForCausalLM, Phi3Config, num_key_value_heads=4, hidden_size=32, sliding_window=9,
                     rope_parameters=dict(partial_rotary_factor=0.5, **plain(10000.0))), gguf.MODEL_ARCH.PHI3
    yield "phi3_long", of(Phi3ForCausalLM, Phi3Config, hidden_size=32, sliding_window=None, original_max_position_embeddings=16, rope_parameters=dict(
        rope_type="longrope", rope_theta=10000.0, short_factor=[1.0, 1.5, 2.0, 2.5], long_factor=[1.0, 3.0, 5.0, 9.0], original_max_position_embeddings=16)), None


def head_dim(c):
    return getattr(c, "head_dim", None) or c.hidden_size // c.num_attention_heads


def rope_divisors(c):
    """As LlamaModel.generate_extra_tensors of convert_hf_to_gguf.py."""
    p, d = c.rope_parameters, head_dim(c)
    freqs = 1.0 / (p["rope_theta"] ** (torch.arange(0, d, 2, dtype=torch.float32) / d))
    low, high, original = p["low_freq_factor"], p["high_freq_factor"], p["original_max_position_embeddings"]
    result = []
    for f in freqs:
        wave = 2 * math.pi / f
        if wave < original / high:
            result.append(1.0)
        elif wave > original / low:
            result.append(p["factor"])
        else:
            smooth = (original / wave - low) / (high - low)
            result.append(1 / ((1 - smooth) / p["factor"] + smooth))
    return torch.tensor(result, dtype=torch.float32)


def write_gguf(model, arch, path):
    c, name = model.config, gguf.MODEL_ARCH_NAMES[arch]
    w = gguf.GGUFWriter(str(path), name)
    w.add_context_length(c.max_position_embeddings)
    w.add_embedding_length(c.hidden_size)
    w.add_block_count(c.num_hidden_layers)
    w.add_feed_forward_length(c.intermediate_size)
    w.add_head_count(c.num_attention_heads)
    w.add_head_count_kv(c.num_key_value_heads)
    w.add_key_length(head_dim(c))
    w.add_value_length(head_dim(c))
    gemma = arch in (gguf.MODEL_ARCH.GEMMA2, gguf.MODEL_ARCH.GEMMA3)
    rope = c.rope_parameters.get("full_attention", c.rope_parameters)
    w.add_rope_freq_base(rope["rope_theta"])
    if rope["rope_type"] == "linear":
        w.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        w.add_rope_scaling_factor(rope["factor"])
    if "partial_rotary_factor" in rope:
        w.add_rope_dimension_count(int(head_dim(c) * rope["partial_rotary_factor"]))
    if gemma or arch == gguf.MODEL_ARCH.PHI3:
        w.add_sliding_window(c.sliding_window)
    if arch == gguf.MODEL_ARCH.GEMMA2:
        w.add_attn_logit_softcapping(c.attn_logit_softcapping)
        w.add_final_logit_softcapping(c.final_logit_softcapping)
    w.add_layer_norm_rms_eps(c.rms_norm_eps)
    w.add_vocab_size(c.vocab_size)
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("qwen2")
    w.add_token_list([f"t{i}" for i in range(c.vocab_size)])
    w.add_token_types([gguf.TokenType.NORMAL] * c.vocab_size)
    w.add_token_merges(["t 1"])
    w.add_eos_token_id(2)
    if rope["rope_type"] == "llama3":
        w.add_tensor("rope_freqs.weight", rope_divisors(c).numpy())
    names = gguf.get_tensor_name_map(arch, c.num_hidden_layers)
    for full, p in model.named_parameters():
        base, kind = full.rsplit(".", 1)
        x = p.detach()
        if arch in (gguf.MODEL_ARCH.LLAMA, gguf.MODEL_ARCH.SMOLLM3) and base.endswith(("q_proj", "k_proj")):
            heads = c.num_attention_heads if "q_proj" in base else c.num_key_value_heads
            x = x.reshape(heads, 2, x.shape[0] // heads // 2, *x.shape[1:]).swapaxes(1, 2).reshape(x.shape)
        if gemma and full.endswith("norm.weight"):
            x = x + 1
        w.add_tensor(names.get_name(base) + "." + kind, x.contiguous().numpy())
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def main():
    fixed(3)
    for name, model, arch in families():
        model = spread_norms(model)
        folder = out(name)
        model.save_pretrained(folder)
        (folder / "generation_config.json").unlink(missing_ok=True)
        save_file(measure(model, sequences(), lambda n: True), folder / "golden.safetensors")
        if arch is not None:
            write_gguf(model, arch, out(name + "_gguf") / "model.gguf")


if __name__ == "__main__":
    main()
