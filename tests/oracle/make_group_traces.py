#!/usr/bin/env python3
"""What TRL's KTOTrainer logs, and DPOTrainer with a reference that follows the policy or a rate that follows evaluation, step by step, on llama_tiny: tests/golden/trl_groups: pairs.jsonl, labels.jsonl, responses.jsonl,
goals.jsonl, each with _eval, cases.json in
the form of make_trl_trace.py, and unpaired.json, the order in which TRL takes pairs apart. Rows are taken in file order.

infonca and nca have no trainer in TRL: a loop over transformers' and peft's models with torch's AdamW, and the loss of the paper's released code
(arXiv 2402.05369; thu-ml/Noise-Contrastive-Alignment, reward_trainer.py, nca_loss) for any number of responses, without its 0.01 that breaks ties.

apo_zero_unpaired measures no KL term: TRL logs 0 for it, here it is left out.
usage: make_group_traces.py OUTPUT_FOLDER (llama_tiny and llama_tiny_lora are read from the stored goldens)"""
import json
import random
import sys
import tempfile

from oracle import fixed, next_logps, out
from make_trl_trace import GOLDEN, KEPT, MAX_LENGTH, rows

import torch
import torch.nn.functional as F
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

# The schedules that follow evaluation.
WATCHED = [
    ("plateau", "adapter", dict(lr_scheduler_type="reduce_lr_on_plateau", learning_rate=5e-3, eval_steps=2), dict(factor=0.5, patience=0, threshold=0.05, cooldown=1, min_lr=1e-4)),
    ("greedy", "adapter", dict(lr_scheduler_type="greedy", learning_rate=5e-3, eval_steps=1),
     dict(factor=0.8, patience=0, threshold=0.002, min_lr=1e-4, smooth=True, window_size=2, cooldown=1, warmup=1)),
]

NCA = [
    ("infonca", "adapter", "responses", dict(per_device_train_batch_size=3, loss_type="infonca", beta=0.5, temperature_alpha=2.0, num_train_epochs=2)),
    ("nca", "adapter", "responses", dict(per_device_train_batch_size=2, gradient_accumulation_steps=2, loss_type="nca", beta=0.3, temperature_alpha=0.0001, num_train_epochs=3)),
    ("nca_full", "full", "responses", dict(per_device_train_batch_size=4, loss_type="nca", beta=0.5, temperature_alpha=1.0, num_train_epochs=2, learning_rate=1e-3)),
    ("infonca_goals", "adapter", "goals", dict(per_device_train_batch_size=4, loss_type="infonca", beta=0.5, temperature_alpha=5.0)),
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


def watched(kind, arguments, kwargs, parts, folder):
    model, tokenizer = load(kind)
    arguments = dict(arguments, weight_decay=0.0, num_train_epochs=3, per_device_train_batch_size=4)
    train, evaluation = (Dataset.from_list(part) for part in parts)
    config = DPOConfig(**common(folder), **arguments, lr_scheduler_kwargs=kwargs, eval_strategy="steps")
    trainer = DPOTrainer(model, args=config, train_dataset=train, eval_dataset=evaluation, processing_class=tokenizer)
    trainer.train()
    steps = [dict(pick(e, "", []), learning_rate=e["learning_rate"]) for e in trainer.state.log_history if "grad_norm" in e]
    assert len({s["learning_rate"] for s in steps}) > 3
    final = pick({k: v for k, v in trainer.evaluate().items() if k != "eval_num_tokens"}, "eval_", [])
    return options_of(kind, arguments, lr_scheduler_kwargs=",".join(f"{k}={str(v).lower()}" for k, v in kwargs.items())), steps, final


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


def grouped(pairs, seed):
    """Two to five scored responses a row, in no order, with ties."""
    draw = random.Random(seed)
    made = []
    for i, p in enumerate(pairs):
        texts = [p["chosen"], p["rejected"]] + [" " + " ".join(draw.choice("a mat the dog ran home so far".split()) for _ in range(draw.randint(1, 7))) for _ in range(draw.randint(0, 3))]
        draw.shuffle(texts)
        made.append({"prompt": p["prompt"], "responses": [{"text": text, "score": draw.randint(2, 20) / 2} for text in texts]})
    return made


def goal_rows(pairs, seed):
    """What rapt augment makes of pairs: under each score as the goal, the response nearer to it is chosen."""
    draw = random.Random(seed)
    made = []
    for i, p in enumerate(pairs):
        w, l = draw.randint(12, 20) / 2, draw.randint(2, 11) / 2
        for goal, of, (a, sa), (b, sb) in ((w, "chosen", (p["chosen"], w), (p["rejected"], l)), (l, "rejected", (p["rejected"], l), (p["chosen"], w))):
            made.append({"prompt": f"{goal:g} {p['prompt']}", "chosen": a, "rejected": b, "score_chosen": sa, "score_rejected": sb, "goal": goal, "goal_of": of, "source_row": i})
    return made


def encode(tokenizer, row):
    """[(ids, prompt's tokens, score)], the best score first; None: dropped."""
    if "responses" in row:
        responses = [(r["text"], r["score"]) for r in row["responses"]]
    else:
        responses = [(row[k], -(row["goal"] - row["score_" + k]) ** 2) for k in ("chosen", "rejected")]
    responses = sorted(responses, key=lambda x: -x[1])
    prompt = tokenizer(row["prompt"])["input_ids"]
    return None if len(prompt) >= MAX_LENGTH else [
        (tokenizer(row["prompt"] + text + tokenizer.eos_token)["input_ids"][:MAX_LENGTH], len(prompt), score) for text, score in responses]


def sums(model, group):
    return torch.stack([next_logps(model(torch.tensor([ids])).logits, torch.tensor([ids]))[n - 1:].sum() for ids, n, _ in group])


def nca_micro(model, reference, groups, loss_type, beta, alpha):
    """The mean loss of some groups, and their metrics."""
    losses, seen = [], {k: 0.0 for k in ("rewards/chosen", "rewards/rejected", "rewards/accuracies", "rewards/margins", "logps/chosen", "logps/rejected")}
    for group in groups:
        policy = sums(model, group)
        rewards = beta * (policy - reference(group))
        q = (torch.tensor([score for _, _, score in group]) / alpha).softmax(-1)
        if loss_type == "infonca":
            losses.append(-(q * rewards.log_softmax(-1)).sum())
        else:
            losses.append(-F.logsigmoid(-rewards).mean() - (q * F.logsigmoid(rewards)).sum())
        r, p = rewards.detach(), policy.detach()
        for key, value in (("rewards/chosen", r[0]), ("rewards/rejected", r[1:].mean()), ("rewards/accuracies", (r[0] > r[1:]).float().mean()),
                           ("rewards/margins", r[0] - r[1:].mean()), ("logps/chosen", p[0]), ("logps/rejected", p[1:].mean())):
            seen[key] += value.item() / len(groups)
    return torch.stack(losses).mean(), seen


def nca(kind, data, arguments, parts):
    model, tokenizer = load(kind)
    original = load(kind)[0].eval()
    arguments = dict(dict(learning_rate=2e-3, weight_decay=0.0, num_train_epochs=1, lr_scheduler_type="constant"), **arguments)
    batch, accumulation = arguments["per_device_train_batch_size"], arguments.get("gradient_accumulation_steps", 1)
    train, evaluation = ([g for g in (encode(tokenizer, row) for row in part) if g] for part in parts)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=arguments["learning_rate"], weight_decay=0.0)

    @torch.no_grad()
    def reference(group):
        return sums(original, group)

    def mean(micros):
        return {k: sum(m[k] for m in micros) / len(micros) for k in micros[0]}

    steps, settings = [], (arguments["loss_type"], arguments["beta"], arguments["temperature_alpha"])
    for _ in range(arguments["num_train_epochs"]):
        for at in range(0, len(train), batch * accumulation):
            rows, logged = train[at:at + batch * accumulation], []
            micros = [rows[i:i + batch] for i in range(0, len(rows), batch)]
            for micro in micros:
                loss, seen = nca_micro(model, reference, micro, *settings)
                (loss / len(micros)).backward()
                logged.append({"loss": loss.item(), **seen})
            norm = torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            optimizer.zero_grad()
            steps.append({k: float(f"{v:.8g}") for k, v in {**mean(logged), "grad_norm": norm.item()}.items()})
    with torch.no_grad():
        losses = [nca_micro(model, reference, [g], *settings)[0].item() for g in evaluation]
        seen = mean([nca_micro(model, reference, evaluation[i:i + 4], *settings)[1] for i in range(0, len(evaluation), 4)])
    final = {"eval_" + k: float(f"{v:.8g}") for k, v in {"loss": sum(losses) / len(losses), **seen}.items()}
    return options_of(kind, arguments), steps, final


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
    data.update(responses=(grouped(pairs[0], 5), grouped(pairs[1], 6)), goals=(goal_rows(pairs[0], 7), goal_rows(pairs[1], 8)))
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
        for name, kind, arguments, kwargs in WATCHED:
            options, steps, final = watched(kind, arguments, kwargs, data["pairs"], temporary)
            cases.append({"name": name, "model": "llama_tiny", "data": "pairs", "options": options, "steps": steps, "eval": final})
            print(name, len(steps), [s["learning_rate"] for s in steps], file=sys.stderr)
    for name, kind, of, arguments in NCA:
        options, steps, final = nca(kind, of, arguments, data[of])
        cases.append({"name": name, "model": "llama_tiny", "data": of, "options": options, "steps": steps, "eval": final})
        print(name, len(steps), steps[0]["loss"], steps[-1]["loss"], steps[-1]["grad_norm"], file=sys.stderr)
    (folder / "unpaired.json").write_text(json.dumps(unpaired(2003)) + "\n")
    (folder / "cases.json").write_text(json.dumps(cases, indent=0) + "\n")


main()
