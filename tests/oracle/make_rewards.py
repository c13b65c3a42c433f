#!/usr/bin/env python3
"""Reward models: a small random *ForSequenceClassification of every family (reward_FAMILY), with its logits and the gradient of the sum of every
first label by every parameter, and ArmoRM's head on a small Llama (reward_armo), written from its paper's description and modeling_custom.py.

Some sequences end in the padding token, which transformers passes over.
usage: make_rewards.py OUTPUT_FOLDER"""
import json
import pathlib
import shutil

from make_families import LLAMA3, SIZES, plain
from oracle import fixed, out, save_adapter, spread_norms

import torch
from peft import LoraConfig, TaskType, get_peft_model
from safetensors.torch import save_file
from transformers import (Gemma2Config, Gemma2ForSequenceClassification, Gemma3TextConfig, Gemma3TextForSequenceClassification, LlamaConfig,
                          LlamaForSequenceClassification, LlamaModel, MistralConfig, MistralForSequenceClassification, Phi3Config,
                          Phi3ForSequenceClassification, Qwen2Config, Qwen2ForSequenceClassification, Qwen3Config, Qwen3ForSequenceClassification,
                          SmolLM3Config, SmolLM3ForSequenceClassification)

GATE = [70, 71, 72, 73]  # stands for <|start_header_id|>assistant<|end_header_id|>\n\n


def families():
    def of(cls, config, labels=1, **extra):
        return cls(config(**{**SIZES, "num_labels": labels, **extra}))
    yield "llama", of(LlamaForSequenceClassification, LlamaConfig, head_dim=8, rope_parameters=LLAMA3)
    yield "mistral", of(MistralForSequenceClassification, MistralConfig, head_dim=8, sliding_window=7, rope_parameters=plain(10000.0))
    yield "qwen2", of(Qwen2ForSequenceClassification, Qwen2Config, 3, num_attention_heads=3, num_key_value_heads=1, rope_parameters=plain(1000000.0))
    yield "qwen3", of(Qwen3ForSequenceClassification, Qwen3Config, head_dim=12, rope_parameters=plain(1000000.0))
    yield "smollm3", of(SmolLM3ForSequenceClassification, SmolLM3Config, num_hidden_layers=4, num_attention_heads=3, num_key_value_heads=3, no_rope_layers=None,
                        no_rope_layer_interval=4, rope_parameters=plain(5000000.0))
    gemma = dict(head_dim=8, sliding_window=6, query_pre_attn_scalar=8)
    yield "gemma2", of(Gemma2ForSequenceClassification, Gemma2Config, attn_logit_softcapping=2.0, rope_parameters=plain(10000.0), **gemma)
    both = dict(full_attention=plain(1000000.0), sliding_attention=plain(10000.0))
    yield "gemma3", of(Gemma3TextForSequenceClassification, Gemma3TextConfig, 2, layer_types=["sliding_attention", "full_attention"], rope_parameters=both, **gemma)
    yield "phi3", of(Phi3ForSequenceClassification, Phi3Config, num_key_value_heads=4, hidden_size=32, sliding_window=9,
                     rope_parameters=dict(partial_rotary_factor=0.5, **plain(10000.0)))


def conversations():
    """Token ids; the gate's mark in the middle, the second and third end in padding (0), and all have some in the middle: its embedding takes
    part, but torch gives it no gradient (padding_idx)."""
    torch.manual_seed(11)
    result = []
    for before, behind, pads in ((9, 8, 0), (3, 12, 2), (14, 5, 1)):
        body = torch.randint(3, 70, (before + behind,)).tolist()
        body[1] = 0
        result.append(torch.tensor([body[:before] + GATE + body[before:] + [0] * pads]))
    return result


def measure(model, score):
    tensors = {}
    for i, ids in enumerate(conversations()):
        logits = score(ids)
        logits[..., 0].sum().backward()
        tensors[f"input_ids.{i}"] = ids.to(torch.float32).contiguous()
        tensors[f"logits.{i}"] = logits.detach().reshape(1, -1).contiguous()
    for name, p in model.named_parameters():
        tensors["grad." + name] = p.grad.clone().contiguous()
    return tensors


class Gating(torch.nn.Module):
    """softmax(MLP(x) / temperature) * logit_scale"""

    def __init__(self, size, hidden, depth, labels):
        super().__init__()
        sizes = [size] + [hidden] * depth + [labels]
        self.layers = torch.nn.ModuleList(torch.nn.Linear(a, b) for a, b in zip(sizes, sizes[1:]))
        self.logit_scale = torch.nn.Parameter(torch.tensor([1.5]))

    def forward(self, x, temperature):
        for layer in self.layers[:-1]:
            x = torch.relu(layer(x))
        return torch.softmax(self.layers[-1](x) / temperature, dim=-1) * self.logit_scale


class Armo(torch.nn.Module):
    def __init__(self, config, labels, hidden, depth):
        super().__init__()
        self.model = LlamaModel(config)
        self.regression_layer = torch.nn.Linear(config.hidden_size, labels, bias=False)
        self.reward_transform_matrix = torch.nn.Parameter(torch.randn(labels, labels))
        self.gating = Gating(config.hidden_size, hidden, depth, labels)

    def forward(self, ids, temperature):
        hidden = self.model(ids).last_hidden_state[0]
        row = ids[0].tolist()
        gate = max(j for j in range(len(row) - 3) if row[j:j + 4] == GATE)
        last = max(j for j, t in enumerate(row) if t != 0)
        rewards, gates = self.regression_layer(hidden[last]), self.gating(hidden[gate], temperature)
        return rewards, gates, (gates * (rewards @ self.reward_transform_matrix)).sum()


def armo():
    config = LlamaConfig(**{**SIZES, "head_dim": 8, "rope_parameters": plain(10000.0)})
    labels, hidden, depth, temperature = 5, 20, 2, 3.0
    model = spread_norms(Armo(config, labels, hidden, depth))
    folder = out("reward_armo")
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, folder / "model.safetensors")
    text = config.to_dict()
    text.update(architectures=["LlamaForRewardModelWithGating"], num_objectives=labels, gating_hidden_dim=hidden, gating_n_hidden=depth,
                gating_temperature=temperature)
    (folder / "config.json").write_text(json.dumps(text, indent=2, sort_keys=True) + "\n")
    tensors = {}
    with torch.no_grad():
        for i, ids in enumerate(conversations()):
            rewards, gates, score = model(ids, temperature)
            tensors[f"input_ids.{i}"] = ids.to(torch.float32).contiguous()
            tensors[f"rewards.{i}"], tensors[f"gates.{i}"], tensors[f"score.{i}"] = rewards[None], gates[None], score.reshape(1, 1)
    save_file(tensors, folder / "golden.safetensors")


def tiny():
    """reward_tiny: llama_tiny with a head, and its tokenizer; reward_tiny_lora: an adapter over it as peft saves a sequence classifier's."""
    base = pathlib.Path(__file__).resolve().parent.parent / "golden" / "llama_tiny"
    folder = out("reward_tiny")
    torch.manual_seed(13)
    model = LlamaForSequenceClassification.from_pretrained(base, num_labels=1, attn_implementation="eager")
    model.score.weight.data.copy_(torch.randn_like(model.score.weight) * 0.3)
    model.save_pretrained(folder)
    for file in base.glob("tokenizer*"):
        shutil.copy(file, folder)
    model = get_peft_model(model, LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", task_type=TaskType.SEQ_CLS))
    for name, p in model.named_parameters():
        if "lora_B" in name:
            p.data.copy_(torch.randn_like(p) * 0.1)
    save_adapter(model, out("reward_tiny_lora"), "../reward_tiny")


def main():
    fixed(5)
    for name, model in families():
        model = spread_norms(model)
        folder = out("reward_" + name)
        model.save_pretrained(folder)
        save_file(measure(model, lambda ids: model(ids).logits), folder / "golden.safetensors")
    armo()
    tiny()


if __name__ == "__main__":
    main()
