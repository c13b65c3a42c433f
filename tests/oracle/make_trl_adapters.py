#!/usr/bin/env python3
"""Traces as make_trl_trace.py's, over every kind of adapter (tests/golden/adapter_NAME), optimizers other than AdamW, LoRA+, PiSSA, and SFT on all
tokens: tests/golden/trl_adapters.

LoRA+ is peft's create_loraplus_optimizer; Muon is torch's for matrices with torch's AdamW for the rest; Lion and 8-bit AdamW are make_optim.py's.
TRL refuses adapters on lm_head, which leaves their gradients in make_adapters.py.
usage: make_trl_adapters.py OUTPUT_FOLDER (models and adapters are read from the stored goldens)"""
import json
import sys
import tempfile

from make_optim import Eight, Lion
from make_trl_trace import GOLDEN, MAX_LENGTH, pick, rows
from oracle import fixed, out

import torch
from datasets import Dataset
from peft import LoraConfig, PeftModel, get_peft_model
from peft.optimizers import create_loraplus_optimizer
from transformers import AutoTokenizer, LlamaForCausalLM
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

PISSA = dict(r=4, lora_alpha=8, target_modules="all-linear", init_lora_weights="pissa", task_type="CAUSAL_LM")
# name, what is trained (an adapter's folder, "full" or a LoraConfig), dpo or sft, TRL's arguments, rapt's other options
CASES = [
    ("rslora", "adapter_rslora", "dpo", {}, {}),
    ("dora", "adapter_dora", "dpo", dict(num_train_epochs=2), {}),
    ("dora_sft", "adapter_dora", "sft", dict(weight_decay=0.1), {}),
    ("saved", "adapter_saved", "dpo", dict(num_train_epochs=2), {}),
    ("saved_sft", "adapter_saved", "sft", dict(gradient_accumulation_steps=2), {}),
    ("pattern", "adapter_pattern", "dpo", {}, {}),
    ("loraplus", "llama_tiny_lora", "dpo", dict(num_train_epochs=2, learning_rate=5e-4), {"--loraplus-lr-ratio": 8}),
    ("loraplus_dora", "adapter_dora", "dpo", dict(learning_rate=5e-4), {"--loraplus-lr-ratio": 4}),
    ("lion", "llama_tiny_lora", "dpo", dict(learning_rate=5e-4, weight_decay=0.1), {"--optim": "lion_32bit"}),
    ("muon", "llama_tiny_lora", "dpo", dict(learning_rate=2e-4), {"--optim": "muon"}),
    ("muon_full", "full", "sft", dict(learning_rate=1e-3, weight_decay=0.1), {"--optim": "muon", "--optim-args": "adjust_lr_fn=match_rms_adamw"}),
    ("adamw_8bit", "full", "dpo", dict(learning_rate=1e-3, num_train_epochs=2), {"--optim": "adamw_8bit", "--optim-args": "min_8bit_size=300"}),
    ("sft_all", "llama_tiny_lora", "sft", dict(completion_only_loss=False), {}),
    ("sft_all_accumulation", "llama_tiny_lora", "sft", dict(completion_only_loss=False, per_device_train_batch_size=2, gradient_accumulation_steps=3), {}),
    ("pissa", PISSA, "sft", dict(num_train_epochs=2), {"--init-lora-weights": "pissa", "--lora-r": 4, "--lora-alpha": 8}),
    ("pissa_rslora", dict(PISSA, use_rslora=True), "sft", {}, {"--init-lora-weights": "pissa", "--lora-r": 4, "--lora-alpha": 8, "--use-rslora": None}),
]


class Each(torch.optim.Optimizer):
    """One of make_optim.py's rules for every parameter, at the rate of the schedule."""

    def __init__(self, model, rule, **case):
        named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
        self.rules = {p: rule(p, dict(case, weight_decay=0.0 if "norm" in n else case["weight_decay"])) for n, p in named}
        super().__init__([p for _, p in named], dict(lr=case["rate"]))

    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                self.rules[p].c["rate"] = group["lr"]
                self.rules[p].step()


class Both(torch.optim.Optimizer):
    """torch's Muon for hidden matrices, its AdamW for the rest."""

    def __init__(self, model, lr, weight_decay, **muon):
        named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
        edge = [p for n, p in named if p.dim() == 1 or "embed_tokens" in n]
        self.parts = [torch.optim.Muon([p for _, p in named if not any(p is e for e in edge)], lr=lr, weight_decay=weight_decay, **muon)]
        for part in ([p for p in edge if p.dim() == 1], [p for p in edge if p.dim() > 1]):
            if part:
                self.parts.append(torch.optim.AdamW(part, lr=lr, weight_decay=weight_decay if part[0].dim() > 1 else 0.0))
        super().__init__([p for _, p in named], dict(lr=lr))

    def step(self, closure=None):
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = self.param_groups[0]["lr"]
            part.step()


def optimizer(model, arguments, options):
    lr, decay = arguments["learning_rate"], arguments["weight_decay"]
    name = options.get("--optim")
    if "--loraplus-lr-ratio" in options:
        return create_loraplus_optimizer(model, torch.optim.AdamW, lr=lr, loraplus_lr_ratio=options["--loraplus-lr-ratio"], loraplus_weight_decay=decay)
    if name == "lion_32bit":
        return Each(model, Lion, rate=lr, weight_decay=decay, betas=(0.9, 0.99))
    if name == "adamw_8bit":
        return Each(model, lambda p, c: Eight(p, c, smallest=300), rate=lr, weight_decay=decay, betas=(0.9, 0.999), eps=1e-8)
    if name == "muon":
        return Both(model, lr, decay, **dict(x.split("=") for x in options.get("--optim-args", "").split(",") if x))
    return None


def train(what, kind, arguments, options, data, folder):
    fixed(0)
    arguments = dict(dict(learning_rate=2e-3, weight_decay=0.0, num_train_epochs=1, per_device_train_batch_size=4, lr_scheduler_type="constant"), **arguments)
    model = LlamaForCausalLM.from_pretrained(GOLDEN / "llama_tiny", attn_implementation="eager")
    if isinstance(what, dict):
        model = get_peft_model(model, LoraConfig(**what))
    elif what != "full":
        model = PeftModel.from_pretrained(model, GOLDEN / what, is_trainable=True)
    tokenizer = AutoTokenizer.from_pretrained(GOLDEN / "llama_tiny")
    make, trainer_class = (SFTConfig, SFTTrainer) if kind == "sft" else (DPOConfig, DPOTrainer)
    more = dict(precompute_ref_log_probs=True) if kind == "dpo" and what == "full" else {}
    config = make(output_dir=folder, logging_steps=1, logging_first_step=True, report_to=[], bf16=False, use_cpu=True, max_length=MAX_LENGTH, save_strategy="no",
                  gradient_checkpointing=False, train_sampling_strategy="sequential", per_device_eval_batch_size=4, disable_tqdm=True,
                  dataloader_pin_memory=False, optim="adamw_torch", **more, **arguments)
    trainer = trainer_class(model, args=config, train_dataset=data[0], eval_dataset=data[1], processing_class=tokenizer,
                            optimizers=(optimizer(model, arguments, options), None))
    trainer.train()
    steps = [pick(e) for e in trainer.state.log_history if "grad_norm" in e]
    if options.get("--optim") == "muon" and kind == "dpo":  # a step is rounded to 8 bits, which shows in margins near 0
        steps = [{k: v for k, v in s.items() if "rewards" not in k} for s in steps]
    if options.get("--loraplus-lr-ratio"):
        steps = [{k: v for k, v in s.items() if k != "learning_rate"} for s in steps]  # it has several
    final = {} if what == "full" or options.get("--optim") == "muon" else pick({k: v for k, v in trainer.evaluate().items() if k != "eval_num_tokens"}, "eval_")
    words = {"--max-length": MAX_LENGTH, "--logging-steps": 1, "--per-device-eval-batch-size": 4, "--no-shuffle": None}
    words.update({"--full": None} if what == "full" else {} if isinstance(what, dict) else {"--adapter": what})
    words.update({"--objective": "sft"} if kind == "sft" else {})
    words.update({"--" + k.replace("_", "-"): str(v).lower() if isinstance(v, bool) else v for k, v in arguments.items()})
    words.update(options)
    return [w for k, v in words.items() for w in ([k] if v is None else [k, str(v)])], steps, final


def main():
    folder = out("trl_adapters")
    pairs = rows(24, 1), rows(6, 2)
    completions = [[{"prompt": r["prompt"], "completion": r["chosen"]} for i, r in enumerate(part) if i != 7] for part in pairs]
    pairs = [[{k: r[k] for k in ("prompt", "chosen", "rejected")} for r in part] for part in pairs]
    for name, part in (("dpo", pairs[0]), ("dpo_eval", pairs[1]), ("sft", completions[0]), ("sft_eval", completions[1])):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in part))
    cases = []
    with tempfile.TemporaryDirectory() as temporary:
        for name, what, kind, arguments, options in CASES:
            data = [Dataset.from_list(part) for part in (completions if kind == "sft" else pairs)]
            words, steps, final = train(what, kind, arguments, options, data, temporary)
            cases.append({"name": name, "model": "llama_tiny", "data": kind, "options": words, "steps": steps, "eval": final})
            print(name, len(steps), steps[0]["loss"], steps[-1]["loss"], steps[-1]["grad_norm"], file=sys.stderr)
    (folder / "cases.json").write_text(json.dumps(cases, indent=0) + "\n")


if __name__ == "__main__":
    main()
