#!/usr/bin/env python3
"""What TRL's DPOTrainer, CPOTrainer, ORPOTrainer, SFTTrainer and RewardTrainer log, step by step, on llama_tiny and reward_tiny: tests/golden/trl: train.jsonl, eval.jsonl, sft.jsonl,
margin.jsonl and cases.json, a list of {name, model, data, options (rapt train's), steps: [metrics of each step], eval: metrics at the end}. Rows are taken in file order.

CPO, SimPO, ORPO: TRL's experimental trainers put a BOS before every prompt, its DPOTrainer (and rapt) only where the tokenizer does; here the tokenizer has none.
They log logits/* over prompts and padding too: not compared.
WPO: a random model gives pairs weights of about 1e-8, so the losses are multiplied by 1e8.
cDPO: TRL dropped label smoothing from `sigmoid` in 0.29; here log sigmoid is replaced by TRL 0.24's smoothed form.
usage: make_trl_trace.py OUTPUT_FOLDER (llama_tiny and llama_tiny_lora are read from the stored goldens)"""
import json
import pathlib
import random
import sys
import tempfile

from oracle import fixed, out

import torch.nn.functional as F
import trl.trainer.dpo_trainer as dpo_module
from datasets import Dataset
from peft import PeftModel
from transformers import AutoTokenizer, LlamaForCausalLM, LlamaForSequenceClassification
from trl.experimental.cpo import CPOConfig, CPOTrainer
from trl.experimental.orpo import ORPOConfig, ORPOTrainer
from trl import DPOConfig, DPOTrainer, RewardConfig, RewardTrainer, SFTConfig, SFTTrainer

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden"
KEPT = ["loss", "grad_norm", "learning_rate", "rewards/chosen", "rewards/rejected", "rewards/accuracies", "rewards/margins", "logps/chosen",
        "logps/rejected", "logits/chosen", "logits/rejected", "entropy", "mean_token_accuracy", "min_reward", "mean_reward", "max_reward", "accuracy", "margin", "nll_loss", "log_odds_ratio", "log_odds_chosen", "num_tokens", "epoch"]
MAX_LENGTH = 24

# name, adapter or full training, TRL's arguments (rapt's options have the same names)
CASES = [
    ("sigmoid", "adapter", dict(per_device_train_batch_size=4, lr_scheduler_type="constant", num_train_epochs=2)),
    ("cdpo", "adapter", dict(per_device_train_batch_size=4, lr_scheduler_type="constant", label_smoothing=0.3, beta=0.5)),
    ("hinge", "adapter", dict(per_device_train_batch_size=4, lr_scheduler_type="linear", loss_type="hinge", beta=0.5)),
    ("ipo", "adapter", dict(per_device_train_batch_size=4, lr_scheduler_type="constant", loss_type="ipo", max_grad_norm=0.3)),
    ("sft", "adapter", dict(per_device_train_batch_size=4, lr_scheduler_type="constant", loss_type="sft")),
    *((name, "adapter", dict(per_device_train_batch_size=4, lr_scheduler_type="constant", loss_type=name, beta=0.5, **more)) for name, more in (
        ("exo_pair", dict(label_smoothing=0.01)), ("nca_pair", {}), ("robust", dict(label_smoothing=0.2)), ("bco_pair", {}), ("sppo_hard", dict(max_grad_norm=0.3)),
        ("aot", dict(label_smoothing=0.1)), ("aot_unpaired", {}), ("apo_zero", {}), ("apo_down", {}), ("discopop", dict(discopop_tau=0.2)), ("sigmoid_norm", {}))),
    *((name, "adapter", dict(per_device_train_batch_size=4, lr_scheduler_type="constant", beta=0.5, num_train_epochs=2, **more)) for name, more in (
        ("forward_kl", dict(f_divergence_type="forward_kl")), ("js_divergence", dict(f_divergence_type="js_divergence", loss_type="sigmoid_norm")),
        ("alpha_divergence", dict(f_divergence_type="alpha_divergence", f_alpha_divergence_coef=0.7)),
        ("alpha_divergence_ipo", dict(f_divergence_type="alpha_divergence", f_alpha_divergence_coef=1.4, loss_type="ipo", learning_rate=2e-4)),
        ("combined", dict(loss_type=["sigmoid", "sft"], loss_weights=[1.0, 0.2])), ("combined_batch", dict(loss_type=["aot", "hinge", "sft"], loss_weights=[0.5, 1.0, 0.7])),
        ("combined_js", dict(loss_type=["robust", "sft"], label_smoothing=0.1, f_divergence_type="js_divergence")))),
    *((name, kind, dict(per_device_train_batch_size=4, lr_scheduler_type="constant", num_train_epochs=2, **more)) for name, kind, more in (
        ("wpo", "adapter", dict(use_weighting=True, beta=0.5, loss_type=["sigmoid"], loss_weights=[1e8])), ("wpo_combined", "adapter", dict(use_weighting=True, loss_type=["ipo", "nca_pair"], loss_weights=[1e7, 5e6])),
        ("ld", "adapter", dict(ld_alpha=0.3, beta=0.5)), ("ld_combined", "adapter", dict(ld_alpha=0.0, loss_type=["sigmoid", "sft"], loss_weights=[1.0, 0.3])),
        ("ld_full", "full", dict(ld_alpha=0.6, learning_rate=1e-3)), ("wpo_ld", "adapter", dict(use_weighting=True, ld_alpha=0.5, loss_type=["sigmoid_norm"], loss_weights=[1e8], beta=2.0)),
        ("cpo", "cpo", dict(loss_type="sigmoid", beta=0.3)), ("cpo_smoothed", "cpo", dict(loss_type="sigmoid", label_smoothing=0.2, cpo_alpha=0.4, gradient_accumulation_steps=2)),
        ("simpo", "cpo", dict(loss_type="simpo", beta=2.0, simpo_gamma=1.0, cpo_alpha=0.0)), ("simpo_nll", "cpo", dict(loss_type="simpo", beta=2.0, cpo_alpha=1.0)),
        ("orpo", "orpo", dict(beta=0.3)), ("orpo_accumulation", "orpo", dict(gradient_accumulation_steps=3)))),
    ("accumulation", "adapter", dict(per_device_train_batch_size=2, gradient_accumulation_steps=4, lr_scheduler_type="cosine", warmup_steps=2,
                                     num_train_epochs=3, weight_decay=0.1)),
    ("full", "full", dict(per_device_train_batch_size=4, lr_scheduler_type="linear", learning_rate=1e-3, num_train_epochs=2, weight_decay=0.1)),
    ("full_warmup", "full", dict(per_device_train_batch_size=3, gradient_accumulation_steps=2, lr_scheduler_type="constant_with_warmup", warmup_steps=3,
                                 learning_rate=1e-3, num_train_epochs=2, adam_beta1=0.8, adam_beta2=0.95, adam_epsilon=1e-6)),
    ("reward", "reward", dict(per_device_train_batch_size=4, lr_scheduler_type="constant", num_train_epochs=2)),
    ("reward_center", "reward", dict(per_device_train_batch_size=4, gradient_accumulation_steps=2, lr_scheduler_type="linear", center_rewards_coefficient=0.05)),
    ("reward_margin", "reward_margin", dict(per_device_train_batch_size=4, lr_scheduler_type="constant")),
    ("reward_full", "reward_full", dict(per_device_train_batch_size=4, lr_scheduler_type="linear", learning_rate=1e-3, weight_decay=0.1)),
    ("objective_sft", "sft", dict(per_device_train_batch_size=4, lr_scheduler_type="cosine", num_train_epochs=2)),
    ("objective_sft_accumulation", "sft", dict(per_device_train_batch_size=2, gradient_accumulation_steps=3, lr_scheduler_type="constant")),
]


def rows(count, seed):
    """Pairs of unequal lengths; the 8th prompt is too long for MAX_LENGTH, the 4th chosen response is cut."""
    draw = random.Random(seed)
    words = "the cat sat on a mat and dog ran to red hat again then that ate rat so had go home".split()

    def text(low, high):
        return " ".join(draw.choice(words) for _ in range(draw.randint(low, high)))

    made = []
    for i in range(count):
        prompt = text(30, 30) if i == 7 else text(1, 6)
        made.append({"prompt": prompt, "chosen": " " + (text(40, 40) if i == 3 else text(1, 8)), "rejected": " " + text(1, 8) + ".",
                     "score_chosen": 8, "score_rejected": 3})
    return made


def smoothed(eps):
    def log_sigmoid(x):
        return (1 - eps) * F.logsigmoid(x) + eps * F.logsigmoid(-x)
    return log_sigmoid


class Functional:
    """torch.nn.functional with another logsigmoid."""

    def __init__(self, log_sigmoid):
        self.logsigmoid = log_sigmoid

    def __getattr__(self, name):
        return getattr(F, name)


def pick(logged, prefix=""):
    return {prefix + k: float(f"{logged[prefix + k]:.8g}") for k in KEPT if prefix + k in logged}


def train(kind, arguments, train_rows, eval_rows, folder):
    fixed(0)
    arguments = dict(dict(learning_rate=2e-3, weight_decay=0.0, num_train_epochs=1), **arguments)
    # sigmoid with label smoothing is what TRL dropped; the other losses take it themselves
    alone = kind in ("cpo", "orpo")
    eps = arguments.pop("label_smoothing", 0.0) if arguments.get("loss_type", "sigmoid") == "sigmoid" and not alone else 0.0
    dpo_module.F = Functional(smoothed(eps)) if eps else F
    reward = kind.startswith("reward")
    base = "reward_tiny" if reward else "llama_tiny"
    model = (LlamaForSequenceClassification if reward else LlamaForCausalLM).from_pretrained(GOLDEN / base, attn_implementation="eager")
    tokenizer = AutoTokenizer.from_pretrained(GOLDEN / base)
    if not kind.endswith("full"):
        model = PeftModel.from_pretrained(model, GOLDEN / (base + "_lora"), is_trainable=True)
    keys = ("prompt", "completion") if kind == "sft" else ("prompt", "chosen", "rejected") + (("margin",) if kind == "reward_margin" else ())
    data = [Dataset.from_list([{k: r[k] for k in keys} for r in part]) for part in (train_rows, eval_rows)]
    if alone:
        tokenizer.bos_token = None
    if kind != "sft" and not reward and not alone:
        arguments["precompute_ref_log_probs"] = kind == "full"
    make, trainer_class = dict(cpo=(CPOConfig, CPOTrainer), orpo=(ORPOConfig, ORPOTrainer)).get(kind) or ((RewardConfig, RewardTrainer) if reward else (SFTConfig, SFTTrainer) if kind == "sft" else (DPOConfig, DPOTrainer))
    config = make(output_dir=folder, logging_steps=1, logging_first_step=True, report_to=[], bf16=False, use_cpu=True, max_length=MAX_LENGTH, save_strategy="no",
                       gradient_checkpointing=False, train_sampling_strategy="sequential", per_device_eval_batch_size=4, disable_tqdm=True,
                       dataloader_pin_memory=False, optim="adamw_torch", **arguments)
    arguments.pop("precompute_ref_log_probs", None)
    trainer = trainer_class(model, args=config, train_dataset=data[0], eval_dataset=data[1], processing_class=tokenizer)
    trainer.train()
    steps = [pick(e) for e in trainer.state.log_history if "grad_norm" in e]
    final = {} if kind.endswith("full") else pick({k: v for k, v in trainer.evaluate().items() if k != "eval_num_tokens"}, "eval_")
    if arguments.get("loss_type") == "sft":  # rapt computes no reference for it, so it has no rewards to log
        steps, final = [{k: v for k, v in x.items() if "rewards" not in k} for x in steps], {k: v for k, v in final.items() if "rewards" not in k}
    if alone:
        steps, final = [{k: v for k, v in x.items() if "logits/" not in k} for x in steps], {k: v for k, v in final.items() if "logits/" not in k}
        arguments["loss_type"] = {"sigmoid": "cpo"}.get(arguments.get("loss_type", kind), arguments.get("loss_type", kind))
    options = {"--max-length": MAX_LENGTH, "--logging-steps": 1, "--per-device-eval-batch-size": 4, "--no-shuffle": None}
    options.update({"--full": None} if kind.endswith("full") else {"--adapter": base + "_lora"})
    if kind == "sft" or reward:
        options["--objective"] = "reward" if reward else "sft"
    options.update({"--" + k.replace("_", "-"): ",".join(map(str, v)) if isinstance(v, list) else None if v is True else v for k, v in arguments.items()})
    if eps:
        options["--label-smoothing"] = eps
    return options, steps, final


def main():
    folder = out("trl")
    train_rows, eval_rows = rows(24, 1), rows(6, 2)
    # SFTTrainer keeps rows whose prompt fills MAX_LENGTH, without anything to learn; rapt drops them
    sft_rows, sft_eval = ([{"prompt": r["prompt"], "completion": r["chosen"]} for i, r in enumerate(part) if i != 7] for part in (train_rows, eval_rows))
    # CPOTrainer and ORPOTrainer keep such rows with an empty response, whose mean log-prob is 0 / 0. Under accumulation their gather_for_metrics
    # takes rows out of every micro-batch of a step whose last is short: there is none.
    fits = tuple([r for i, r in enumerate(part) if i != 7][:20] for part in (train_rows, eval_rows))
    margin_rows, margin_eval = ([dict(r, margin=0.25 * (i % 4)) for i, r in enumerate(part)] for part in (train_rows, eval_rows))
    data = dict(train=(train_rows, eval_rows), sft=(sft_rows, sft_eval), margin=(margin_rows, margin_eval), fits=fits)
    for name, part in ((name, part) for key, parts in data.items() for name, part in ((key, parts[0]), ("eval" if key == "train" else key + "_eval", parts[1]))):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in part))
    cases = []
    with tempfile.TemporaryDirectory() as temporary:
        for name, kind, arguments in CASES:
            rows_of = {"sft": "sft", "reward_margin": "margin", "cpo": "fits", "orpo": "fits"}.get(kind, "train")
            options, steps, final = train(kind, arguments, *data[rows_of], temporary)
            words = []
            for option, value in options.items():
                words += [option] if value is None else [option, str(value)]
            cases.append({"name": name, "model": "reward_tiny" if kind.startswith("reward") else "llama_tiny", "data": rows_of, "options": words, "steps": steps, "eval": final})
            print(name, len(steps), steps[0]["loss"], steps[-1]["loss"], steps[-1]["grad_norm"], file=sys.stderr)
    (folder / "cases.json").write_text(json.dumps(cases, indent=0) + "\n")


if __name__ == "__main__":
    main()
