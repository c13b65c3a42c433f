#!/usr/bin/env python3
"""Training with losses that TRL does not have: of the gap of the scores (odpo, rpo_*) and of a pair's two halves (joint), as a plain loop of torch over llama_tiny:
tests/golden/trl_gaps: scored.jsonl, halves.jsonl, goals.jsonl (halves with scores), each with its _eval.jsonl, and cases.json in the form of make_trl_trace.py. Tokenisation, truncation, names and averages are TRL's (DPOTrainer); rows are taken in file order.
usage: make_gap_traces.py OUTPUT_FOLDER (llama_tiny and llama_tiny_lora are read from the stored goldens)"""
import json
import sys

from oracle import fixed, out
from make_loss_cases import gap_loss, joint_loss
from make_trl_trace import GOLDEN, MAX_LENGTH, rows

import torch
from peft import PeftModel
from transformers import AutoTokenizer, LlamaForCausalLM

CASES = [
    ("odpo", dict(beta=0.5, odpo_alpha=1.0)), ("odpo_gap", dict(beta=0.5, odpo_alpha=0.2, odpo_offset="gap")), ("rpo_bwd_kl", dict(beta=0.5, rpo_eta=0.7)),
    ("rpo_fwd_kl", dict(beta=0.5, rpo_eta=0.5)), ("rpo_sq", dict(beta=0.3, rpo_eta=1.0)),
    ("joint", dict(beta=0.03)),
    ("odpo_goals", dict(beta=0.05, odpo_alpha=0.5)), ("rpo_bwd_kl_goals", dict(beta=0.05, rpo_eta=0.2)), ("rpo_sq_goals", dict(beta=0.05, rpo_eta=0.1)),
]
BATCH, EPOCHS, RATE = 4, 2, 2e-3


def encode(tokenizer, row):
    prompt = tokenizer(row["prompt"])["input_ids"]
    sides = [tokenizer(row["prompt"] + row[side] + tokenizer.eos_token)["input_ids"][:MAX_LENGTH] for side in ("chosen", "rejected")]
    chosen, rejected = row.get("score_chosen", 0), row.get("score_rejected", 0)
    if "goal" in row:  # rewards, -(g - r)^2, stand for scores
        chosen, rejected = -(row["goal"] - chosen) ** 2, -(row["goal"] - rejected) ** 2
    return len(prompt), sides, chosen - rejected


def sums(model, encoded):
    """[2] log-probs of the responses"""
    made = []
    for ids in encoded[1]:
        x = torch.tensor([ids])
        logp = torch.log_softmax(model(x).logits[0, :-1].float(), -1).gather(1, x[0, 1:, None])[:, 0]
        made.append(logp[encoded[0] - 1:].sum())
    return torch.stack(made)


def batch_of(model, reference, batch, name, o):
    policy = torch.stack([sums(model, e) for e in batch])
    with torch.no_grad():
        base = torch.stack([sums(reference, e) for e in batch])
    rewards = o["beta"] * (policy - base)
    options = dict(o, odpo_linear=o.get("odpo_offset") == "gap")
    if name == "joint":
        return joint_loss(1.0, rewards[:, 0] - rewards[:, 1]), policy, rewards
    losses = gap_loss(name, rewards[:, 0] - rewards[:, 1], torch.tensor([e[2] for e in batch]), options)
    return losses, policy, rewards


def train(name, o, data, eval_data):
    fixed(0)
    load = lambda: PeftModel.from_pretrained(LlamaForCausalLM.from_pretrained(GOLDEN / "llama_tiny", attn_implementation="eager"), GOLDEN / "llama_tiny_lora", is_trainable=True)
    model, reference = load(), load().eval()
    tokenizer = AutoTokenizer.from_pretrained(GOLDEN / "llama_tiny")
    data, eval_data = ([e for e in (encode(tokenizer, r) for r in part) if e[0] < MAX_LENGTH] for part in (data, eval_data))
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer, steps = torch.optim.AdamW(trained, lr=RATE, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0), []
    for _ in range(EPOCHS):
        for at in range(0, len(data), BATCH):
            losses, policy, rewards = batch_of(model, reference, data[at:at + BATCH], name, o)
            optimizer.zero_grad()
            losses.mean().backward()
            norm = torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            values = {"loss": losses.mean(), "grad_norm": norm, "rewards/chosen": rewards[:, 0].mean(), "rewards/rejected": rewards[:, 1].mean(),
                      "rewards/accuracies": (rewards[:, 0] > rewards[:, 1]).float().mean(), "rewards/margins": (rewards[:, 0] - rewards[:, 1]).mean(),
                      "logps/chosen": policy[:, 0].mean(), "logps/rejected": policy[:, 1].mean()}
            steps.append({k: float(f"{v.item():.8g}") for k, v in values.items()})
    with torch.no_grad():
        losses = batch_of(model, reference, eval_data, name, o)[0]
    return steps, {"eval_loss": float(f"{losses.mean().item():.8g}")}


def scored(part):
    """Gaps of half a point to six, the chosen response above."""
    return [dict(r, score_chosen=round(4 + 0.75 * (i % 9), 2), score_rejected=round(3.5 + 0.75 * (i % 9) - 0.5 * (i * 5 % 12), 2)) for i, r in enumerate(part)]


def halves(part):
    """Both halves of each pair: another goal in front (words: the tokenizer has no digits), the responses swapped."""
    made = []
    for i, r in enumerate(part):
        for goal, (w, l) in (("home", ("chosen", "rejected")), ("cat", ("rejected", "chosen"))):
            made.append({"prompt": f"{goal} {r['prompt']}", "chosen": r[w], "rejected": r[l], "source_row": i})
    return made


def goals(part):
    """Both halves of scored pairs, each under the score of its chosen response: in the one above the other's, in the other below."""
    made = []
    for pair, half in zip(scored(part) * 2, halves(part)[::2] + halves(part)[1::2]):
        high, low = pair["score_chosen"], pair["score_rejected"]
        first = half["chosen"] == pair["chosen"]
        made.append(dict(half, goal=high if first else low, goal_of="chosen" if first else "rejected", score_chosen=high if first else low, score_rejected=low if first else high))
    return sorted(made, key=lambda r: r["source_row"])


def main():
    folder = out("trl_gaps")
    train_rows, eval_rows = scored(rows(24, 1)), scored(rows(6, 2))
    for name, part in (("scored", train_rows), ("scored_eval", eval_rows), ("halves", halves(rows(12, 3))), ("halves_eval", halves(rows(3, 4))),
                       ("goals", goals(rows(12, 5))), ("goals_eval", goals(rows(3, 6)))):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in part))
    cases = []
    for name, o in CASES:
        loss = name.removesuffix("_gap").removesuffix("_goals")
        data = "halves" if loss == "joint" else "goals" if name.endswith("_goals") else "scored"
        steps, final = train(loss, o, *{"halves": (halves(rows(12, 3)), halves(rows(3, 4))), "goals": (goals(rows(12, 5)), goals(rows(3, 6))), "scored": (train_rows, eval_rows)}[data])
        words = f"--max-length {MAX_LENGTH} --logging-steps 1 --per-device-eval-batch-size 4 --no-shuffle --adapter llama_tiny_lora --learning-rate {RATE} --weight-decay 0 " \
                f"--lr-scheduler-type constant --per-device-train-batch-size {BATCH} --num-train-epochs {EPOCHS} --loss-type {loss}".split()
        for key, value in o.items():
            words += ["--" + key.replace("_", "-"), str(value)]
        cases.append({"name": name, "model": "llama_tiny", "data": data, "options": words, "steps": steps, "eval": final})
        print(name, len(steps), steps[0]["loss"], steps[-1]["loss"], steps[-1]["grad_norm"], file=sys.stderr)
    (folder / "cases.json").write_text(json.dumps(cases, indent=0) + "\n")


if __name__ == "__main__":
    main()
