#!/usr/bin/env python3
"""peft adapters of every kind on the small models, each with A, B and the rest away from their start, logits and gradients as make_llama.py makes
them: tests/golden/adapter_NAME, whose adapter_config.json names its base.

rslora (also: ranks and alphas by pattern), dora, dora_bias (over biases, on some projections), dora_head (on an untied head, and rsLoRA), head (LoRA on an untied head),
head_tied (on one that is the embedding), saved (lm_head and embed_tokens trained beside, tied), saved_head (the head alone, untied), fused (Phi-3's own projections),
pattern (targets as a regular expression), layers (layers_to_transform).
start.safetensors of adapter_dora: magnitudes as peft starts them.
usage: make_adapters.py OUTPUT_FOLDER (models are read from the stored goldens)"""
import json
import pathlib

from make_llama import measure, sequences
from oracle import fixed, out

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden"
ALL = "all-linear"
CASES = [
    ("rslora", "llama_tiny", dict(r=4, use_rslora=True, target_modules=ALL, rank_pattern={"q_proj": 2, "layers.1.mlp.*_proj": 7}, alpha_pattern={"layers.0.self_attn.v_proj": 3})),
    ("dora", "llama_tiny", dict(r=4, use_dora=True, target_modules=ALL)),
    ("dora_bias", "llama_bias", dict(r=3, use_dora=True, target_modules=["q_proj", "o_proj", "up_proj"])),
    ("dora_head", "llama_untied", dict(r=5, use_dora=True, use_rslora=True, target_modules=["lm_head", "k_proj", "down_proj"])),
    ("head", "llama_untied", dict(r=4, target_modules=["lm_head", "v_proj"])),
    ("head_tied", "llama_tiny", dict(r=4, target_modules=["lm_head", "v_proj"])),
    ("saved", "llama_tiny", dict(r=4, target_modules=["q_proj", "gate_proj"], modules_to_save=["lm_head", "embed_tokens"])),
    ("saved_head", "llama_untied", dict(r=4, target_modules=ALL, modules_to_save=["lm_head"])),
    ("fused", "phi3", dict(r=4, target_modules=["qkv_proj", "o_proj", "gate_up_proj", "down_proj"])),
    ("pattern", "llama_tiny", dict(r=4, target_modules=r".*\\.(0\\.mlp\\.(up|down)_proj|1\\.self_attn\\.[kv]_proj)".replace("\\\\", "\\"))),
    ("layers", "llama_tiny", dict(r=4, target_modules=["q_proj", "mlp.down_proj"], layers_to_transform=[1])),
]


def main():
    for i, (name, base, arguments) in enumerate(CASES):
        fixed(100 + i)
        model = AutoModelForCausalLM.from_pretrained(GOLDEN / base, dtype=torch.float32, attn_implementation="eager")
        lora = get_peft_model(model, LoraConfig(lora_alpha=8, lora_dropout=0.0, task_type="CAUSAL_LM", base_model_name_or_path=f"../{base}", **arguments))
        trained = [n for n, p in lora.named_parameters() if p.requires_grad]
        folder = out(f"adapter_{name}")
        if name == "dora":
            save_file({n.replace(".default", ""): p.detach().clone() for n, p in lora.named_parameters() if "magnitude" in n}, folder / "start.safetensors")
        for n, p in lora.named_parameters():
            if "lora_magnitude" in n:
                p.data.mul_(1 + 0.3 * torch.randn_like(p))
            elif "lora_" in n:
                p.data.copy_(torch.randn_like(p) * 0.2)
            elif n in trained:
                p.data.add_(torch.randn_like(p) * 0.1)
        config = lora.peft_config["default"]
        if not isinstance(config.target_modules, str):
            config.target_modules = sorted(config.target_modules)
        lora.save_pretrained(folder)
        path = folder / "adapter_config.json"
        saved = json.loads(path.read_text())
        if isinstance(saved["target_modules"], list):
            saved["target_modules"] = sorted(saved["target_modules"])
        saved["base_model_name_or_path"] = f"../{base}"
        path.write_text(json.dumps(saved, indent=2, sort_keys=True) + "\n")
        (folder / "README.md").unlink(missing_ok=True)

        def rename(n):
            return n.replace(".modules_to_save.default", "").replace(".default", "").replace("magnitude_vector.weight", "magnitude_vector")
        save_file(measure(lora, sequences(), lambda n: n in trained, rename), folder / "golden.safetensors")


main()
