#!/usr/bin/env python3
"""What TRL's KTOTrainer logs, and DPOTrainer with a reference that follows the policy, step by step, on llama_tiny: tests/golden/trl_groups: pairs.jsonl, labels.jsonl, each with _eval, cases.json in
the form of make_trl_trace.py, and unpaired.json, the order in which TRL takes pairs apart. Rows are taken in file order.

apo_zero_unpaired measures no KL term: TRL logs 0 for it, here it is left out.
usage: make_group_traces.py OUTPUT_FOLDER (llama_tiny and llama_tiny_lora are read from the stored goldens)"""
import json
import random
import sys
import tempfile

from oracle import fixed, out
from make_trl_trace import GOLDEN, KEPT, MAX_LENGTH, rows

from datasets import Dataset
from peft import PeftModel
from transformers import AutoTokenizer, LlamaForCausalLM, TrainerCallback
from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer
from trl.data_utils import unpair_preference_dataset

# name, adapter or full training, data, TRL's arguments (rapt's options have the same names)
KTO = [
    ("kto", "adapter", "labels", dict(per_device_train_batch_size=4, lr_scheduler_type="constant", beta=0.5, num_train_epochs=2)),
    ("kto_weights", "adapter", "labels", dict(per_device_train_batch_size=3, gradient_accumulation_steps=2, lr_scheduler_type="cosine", desirable_weight=1.33,
                                              undesirable_weight=0.6, num_train_epochs=2, weight_decay=0.1)),
    ("kto_pairs", "adapter", "pairs", dict(per_device_train_batch_size=4, lr_scheduler_type="linear", beta=0.3)),
    ("kto_full", "full", "labels", dict(per_device_train_batch_size=4, lr_scheduler_type="linear", learning_rate=1e-3, num_train_epochs=2, weight_decay=0.1)),
    ("apo_zero_unpaired", "adapter", "labels", dict(per_device_train_batch_size=4, lr_scheduler_type="constant", loss_type="apo_zero_unpaired", num_train_epochs=2,
                                                    beta=0.5)),
]

# A reference that follows the policy. TRL has it for full training; for an adapter its trainer's own `ref` adapter is mixed by the same formula.
SYNC = [
    ("sync_full", "full", "dpo", "pairs", dict(per_device_train_batch_size=4, lr_scheduler_type="linear", learning_rate=1e-3, num_train_epochs=2, ref_model_sync_steps=4)),
    ("sync_full_accumulation", "full", "dpo", "pairs", dict(per_device_train_batch_size=2, gradient_accumulation_steps=3, lr_scheduler_type="constant", learning_rate=1e-3,
                                                            num_train_epochs=3, ref_model_sync_steps=3, ref_model_mixup_alpha=0.9, loss_type="ipo")),
    ("sync_kto_full", "full", "kto", "labels", dict(per_device_train_batch_size=4, lr_scheduler_type="constant", learning_rate=1e-3, num_train_epochs=2, ref_model_sync_steps=3,
                                                    beta=0.5)),
    ("sync_adapter", "adapter", "dpo", "pairs", dict(per_device_train_batch_size=4, lr_scheduler_type="constant", num_train_epochs=2, ref_model_sync_steps=2)),
    ("sync_kto_adapter", "adapter", "kto", "pairs", dict(per_device_train_batch_size=4, lr_scheduler_type="constant", ref_model_sync_steps=5, ref_model_mixup_alpha=0.3)),
]


def pick(logged, prefix, without):
    return {prefix + k: float(f"{logged[prefix + k]:.8g}") for k in KEPT + ["kl"] if k not in without and prefix + k in logged}


def labelled(pairs, seed):
    """One response of each pair or both, in any order; a micro-batch or two have labels of one kind alone."""
    draw = random.Random(seed)
    made = []
    for i, p in enumerate(pairs):
        sides = [("chosen", True), ("rejected", False)] if i % 3 else [draw.choice([("chosen", True), ("rejected", False)])]
        made += [{"prompt": p["prompt"], "completion": p[key], "label": label} for key, label in sides]
    draw.shuffle(made)
    return made


def options_of(kind, arguments, **more):
    options = {"--max-length": MAX_LENGTH, "--logging-steps": 1, "--per-device-eval-batch-size": 4, "--no-shuffle": None}
    options.update({"--full": None} if kind == "full" else {"--adapter": "llama_tiny_lora"})
    options.update({"--" + k.replace("_", "-"): v for k, v in dict(arguments, **more).items()})
    return [word for option, value in options.items() for word in ([option] if value is None else [option, str(value)])]


def load(kind):
    fixed(0)
    model = LlamaForCausalLM.from_pretrained(GOLDEN / "llama_tiny", attn_implementation="eager")
    if kind == "adapter":
        model = PeftModel.from_pretrained(model, GOLDEN / "llama_tiny_lora", is_trainable=True)
    return model, AutoTokenizer.from_pretrained(GOLDEN / "llama_tiny")


def common(folder):
    return dict(output_dir=folder, logging_steps=1, logging_first_step=True, report_to=[], bf16=False, use_cpu=True, max_length=MAX_LENGTH, save_strategy="no",
                gradient_checkpointing=False, train_sampling_strategy="sequential", per_device_eval_batch_size=4, disable_tqdm=True, dataloader_pin_memory=False,
                optim="adamw_torch")


class MixAdapters(TrainerCallback):
    def __init__(self, steps, alpha):
        self.steps, self.alpha = steps, alpha

    def on_step_end(self, args, state, control, model, **more):
        if state.global_step % self.steps == 0:
            parameters = dict(model.named_parameters())
            for name, p in parameters.items():
                if ".default." in name:
                    parameters[name.replace(".default.", ".ref.")].data.mul_(1 - self.alpha).add_(p.data, alpha=self.alpha)


def sync(kind, objective, data, arguments, parts, folder):
    model, tokenizer = load(kind)
    arguments = dict(dict(learning_rate=2e-3, weight_decay=0.0, num_train_epochs=1, ref_model_mixup_alpha=0.6), **arguments)
    keys = ("prompt", "completion", "label") if data == "labels" else ("prompt", "chosen", "rejected")
    train, evaluation = (Dataset.from_list([{k: r[k] for k in keys} for r in part]) for part in parts)
    make, trainer_class = (KTOConfig, KTOTrainer) if objective == "kto" else (DPOConfig, DPOTrainer)
    config = make(**common(folder), **arguments, sync_ref_model=kind == "full")
    callbacks = [MixAdapters(config.ref_model_sync_steps, config.ref_model_mixup_alpha)] if kind == "adapter" else []
    trainer = trainer_class(model, args=config, train_dataset=train, eval_dataset=evaluation, processing_class=tokenizer, callbacks=callbacks)
    trainer.train()
    steps = [pick(e, "", []) for e in trainer.state.log_history if "grad_norm" in e]
    final = pick({k: v for k, v in trainer.evaluate().items() if k != "eval_num_tokens"}, "eval_", [])
    return options_of(kind, dict(objective=objective, **arguments)) + ["--sync-ref-model"], steps, final


def kto(kind, data, arguments, parts, folder):
    model, tokenizer = load(kind)
    arguments = dict(dict(learning_rate=2e-3, weight_decay=0.0, num_train_epochs=1), **arguments)
    keys = ("prompt", "completion", "label") if data == "labels" else ("prompt", "chosen", "rejected")
    train, evaluation = (Dataset.from_list([{k: r[k] for k in keys} for r in part]) for part in parts)
    trainer = KTOTrainer(model, args=KTOConfig(**common(folder), **arguments), train_dataset=train, eval_dataset=evaluation, processing_class=tokenizer)
    trainer.train()
    without = ["kl"] if arguments.get("loss_type") == "apo_zero_unpaired" else []
    steps = [pick(e, "", without) for e in trainer.state.log_history if "grad_norm" in e]
    final = pick({k: v for k, v in trainer.evaluate().items() if k != "eval_num_tokens"}, "eval_", without)
    return options_of(kind, dict(objective="kto", **arguments)), steps, final


def unpaired(count):
    """The order in which TRL takes pairs apart, as runs of [first row, rows, label]."""
    made = unpair_preference_dataset(Dataset.from_list([{"prompt": str(i), "chosen": "a", "rejected": "b"} for i in range(count)]))
    runs = []
    for row, label in zip(map(int, made["prompt"]), made["label"]):
        if runs and runs[-1][2] == label and runs[-1][0] + runs[-1][1] == row:
            runs[-1][1] += 1
        else:
            runs.append([row, 1, label])
    return {"pairs": count, "runs": runs}


def main():
    folder = out("trl_groups")
    pairs = tuple([{k: r[k] for k in ("prompt", "chosen", "rejected")} for r in rows(*size)] for size in ((24, 1), (6, 2)))
    data = {"pairs": pairs, "labels": (labelled(pairs[0], 3), labelled(pairs[1], 4))}
    for name, parts in data.items():
        for suffix, part in zip(("", "_eval"), parts):
            (folder / f"{name}{suffix}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in part))
    cases = []
    with tempfile.TemporaryDirectory() as temporary:
        for name, kind, of, arguments in KTO:
            options, steps, final = kto(kind, of, arguments, data[of], temporary)
            cases.append({"name": name, "model": "llama_tiny", "data": of, "options": options, "steps": steps, "eval": final})
            print(name, len(steps), steps[0]["loss"], steps[-1]["loss"], steps[-1]["grad_norm"], file=sys.stderr)
        for name, kind, objective, of, arguments in SYNC:
            options, steps, final = sync(kind, objective, of, arguments, data[of], temporary)
            cases.append({"name": name, "model": "llama_tiny", "data": of, "options": options, "steps": steps, "eval": final})
            print(name, len(steps), steps[0]["loss"], steps[-1]["loss"], steps[-1]["grad_norm"], file=sys.stderr)
    (folder / "unpaired.json").write_text(json.dumps(unpaired(2003)) + "\n")
    (folder / "cases.json").write_text(json.dumps(cases, indent=0) + "\n")


main()
