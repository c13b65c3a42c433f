#!/usr/bin/env python3
"""Small random Llamas with logits, log-probs and gradients: tests/golden/llama_tiny (fp32, tied, with a tokenizer), llama_untied (bf16, two shards,
untied), llama_tiny_lora (a PEFT adapter with A and B != 0 over llama_tiny, r 4, alpha 8, all seven projections).

llama_tiny_gguf is llama_tiny as GGUF.

heads x head size is not the hidden size, and no two sizes are equal. golden.safetensors: per sequence i `input_ids.i` fp32 [T] (ids as
numbers), `logits.i` fp32 [T,V]; `grad.NAME`: the gradient of the sum of every sequence's every next-token log-prob by each parameter, named
as in the model file (for the adapter: as in adapter_model.safetensors).
usage: make_llama.py OUTPUT_FOLDER"""
import json

from oracle import fixed, next_logps, out, save_adapter, spread_norms

import gguf
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

LENGTHS = [5, 12, 23]


def config(**extra):
    return LlamaConfig(hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=8,
                       vocab_size=80, rope_theta=10000.0, rms_norm_eps=1e-5, max_position_embeddings=128, bos_token_id=1, eos_token_id=2,
                       attn_implementation="eager", **extra)


def sequences():
    return [torch.randint(3, 80, (1, n)) for n in LENGTHS]


def measure(model, ids, trainable, rename=lambda n: n):
    model.eval()
    result, total = {}, 0
    for i, seq in enumerate(ids):
        logits = model(input_ids=seq).logits
        total = total + next_logps(logits, seq).sum()
        result[f"input_ids.{i}"] = seq[0].to(torch.float32)
        result[f"logits.{i}"] = logits[0].detach().contiguous()
    model.zero_grad()
    total.backward()
    for name, p in model.named_parameters():
        if trainable(name):
            result["grad." + rename(name)] = p.grad.clone().contiguous()
    return result


def tokenizer(folder):
    """Byte-level BPE of 80 tokens that knows lower-case words; anything else has no tokens."""
    words = "the cat sat on a mat and a dog ran to the red hat again; then that cat ate the rat, so the dog had to go home." * 2
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    letters = list("abcdefghijklmnopqrstuvwxyz.,;:?!") + ["\u0120", "\u010a"]
    bpe.train_from_iterator([words], trainers.BpeTrainer(vocab_size=80, special_tokens=["<pad>", "<s>", "</s>"], initial_alphabet=letters, show_progress=False))
    assert bpe.get_vocab_size() == 80
    PreTrainedTokenizerFast(tokenizer_object=bpe, bos_token="<s>", eos_token="</s>", pad_token="<pad>").save_pretrained(folder)


def write_gguf(model, folder, path):
    """As llama.cpp's convert_hf_to_gguf.py: interleaved halves of each q and k head, everything F32, byte-level BPE."""
    c = model.config
    w = gguf.GGUFWriter(str(path), "llama")
    w.add_context_length(c.max_position_embeddings)
    w.add_embedding_length(c.hidden_size)
    w.add_block_count(c.num_hidden_layers)
    w.add_feed_forward_length(c.intermediate_size)
    w.add_head_count(c.num_attention_heads)
    w.add_head_count_kv(c.num_key_value_heads)
    w.add_key_length(c.head_dim)
    w.add_value_length(c.head_dim)
    w.add_rope_dimension_count(c.head_dim)
    w.add_rope_freq_base(c.rope_parameters["rope_theta"])
    w.add_layer_norm_rms_eps(c.rms_norm_eps)
    w.add_vocab_size(c.vocab_size)
    saved = json.loads((folder / "tokenizer.json").read_text())
    tokens = sorted(saved["model"]["vocab"], key=saved["model"]["vocab"].get)
    special = {t["content"] for t in saved["added_tokens"]}
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("gpt-2")
    w.add_token_list(tokens)
    w.add_token_types([gguf.TokenType.CONTROL if t in special else gguf.TokenType.NORMAL for t in tokens])
    w.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in saved["model"]["merges"]])
    w.add_bos_token_id(1)
    w.add_eos_token_id(2)
    w.add_pad_token_id(0)
    w.add_add_bos_token(False)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, c.num_hidden_layers)
    for name, p in model.named_parameters():
        x = p.detach()
        if name.endswith(("q_proj.weight", "k_proj.weight")):
            heads = c.num_attention_heads if "q_proj" in name else c.num_key_value_heads
            x = x.reshape(heads, 2, x.shape[0] // heads // 2, x.shape[1]).swapaxes(1, 2).reshape(x.shape)
        w.add_tensor(names.get_name(name.removesuffix(".weight")) + ".weight", x.contiguous().numpy())
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def main():
    fixed(1)
    model = spread_norms(LlamaForCausalLM(config(tie_word_embeddings=True)))
    folder = out("llama_tiny")
    model.save_pretrained(folder)
    tokenizer(folder)
    ids = sequences()
    save_file(measure(model, ids, lambda n: True), folder / "golden.safetensors")
    write_gguf(model, folder, out("llama_tiny_gguf") / "model.gguf")

    lora_folder = out("llama_tiny_lora")
    lora = get_peft_model(model, LoraConfig(r=4, lora_alpha=8, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM",
                                            base_model_name_or_path="../llama_tiny"))
    for name, p in lora.named_parameters():
        if "lora_" in name:
            p.data.copy_(torch.randn_like(p) * 0.2)
    save_adapter(lora, lora_folder, "../llama_tiny")
    save_file(measure(lora, ids, lambda n: "lora_" in n, lambda n: n.replace(".default", "")), lora_folder / "golden.safetensors")

    fixed(2)
    model = spread_norms(LlamaForCausalLM(config(tie_word_embeddings=False))).to(torch.bfloat16)
    folder = out("llama_untied")
    model.save_pretrained(folder, max_shard_size="20KB")
    # The stored bf16 values, computed with in fp32; converting back would leave the rotary frequencies rounded.
    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    save_file(measure(model, sequences(), lambda n: True), folder / "golden.safetensors")
    for f in ("llama_tiny", "llama_untied"):
        (out(f) / "generation_config.json").unlink(missing_ok=True)


if __name__ == "__main__":
    main()
