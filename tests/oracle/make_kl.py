#!/usr/bin/env python3
"""How far policies are from their reference, worked out from the definitions with torch and numpy: kl/*.jsonl, samples of the tiny Llama of score_chat with the
adapters score_chat_lora (trained under goals) and score_chat_lora2, and what `rapt eval kl` finds in them; also under goals of two attributes (attributes.json).

Per response log pi(y | x, g) - log pi_ref(y | x, g) over the sampled tokens: the text's, and the token that ended it unless it was cut; or response_ids as they are.
usage: make_kl.py OUTPUT_FOLDER"""
import json
import pathlib
import random

from oracle import fixed, next_logps, out

import numpy
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden"
WORDS = "the cat sat on a red mat and then it ran away; why? 2+2 = 4.".split()
PROMPTS = [[{"role": "user", "content": "the cat"}], [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello?"}], "why is it red",
           [{"role": "user", "content": "one"}, {"role": "assistant", "content": "two"}, {"role": "user", "content": "three"}], "2+2"]
ABOVE = 3
ATTRIBUTES = {"text": "Aim:\n{lines}", "placement": "system", "attributes": [{"name": "help", "low": 0, "high": 4}, {"name": "text_length", "low": 1, "high": 10}], "quantum": 0}


def samples(rng, goals, count):
    rows = []
    for prompt in PROMPTS:
        for goal in goals:
            for k in range(count):
                text = " ".join(rng.choice(WORDS) for _ in range(rng.randrange(1, 7)))
                row = {"prompt": prompt, "goal": goal, "sample": k, "text": text, "finish": rng.choice(["stop", "stop", "length"]), "score": rng.randrange(1, 6)}
                if rng.random() < 0.2:
                    row["response_ids"] = [rng.randrange(0, 256) for _ in range(rng.randrange(1, 9))]
                rows.append(row)
    rows[0]["text"], rows[0]["finish"] = "", "stop"  # an empty response: its end alone
    rows[1]["score"] = None
    rows[2]["finish"] = None
    return rows


def grouped(rows):
    found = {}
    for r in rows:
        key = json.dumps(r["prompt"])
        found.setdefault(key, {"prompt": r["prompt"], "responses": []})
        found[key]["responses"].append({k: v for k, v in r.items() if k != "prompt"})
    return list(found.values())


def turns(prompt, goal, style):
    messages = prompt if isinstance(prompt, list) else [{"role": "user", "content": prompt}]
    if goal is None:
        return messages
    if isinstance(goal, dict):
        block = style["text"].replace("{lines}", "\n".join(f"{n.capitalize().replace('_', ' ')}: {goal[n]:g}." for n in (a["name"] for a in style["attributes"])))
    else:
        block = style["text"].replace("{s}", f"{goal:g}").replace("{a}", str(style["low"])).replace("{b}", str(style["high"]))
    if messages[0]["role"] == "system":
        return [{"role": "system", "content": block + "\n\n" + messages[0]["content"]}] + messages[1:]
    return [{"role": "system", "content": block}] + messages


def logp(model, tokenizer, messages, row):
    head = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=True, return_dict=True)["input_ids"]
    ids = row.get("response_ids")
    if ids is None:
        ids = tokenizer(row["text"]).input_ids + ([] if row["finish"] == "length" else [tokenizer.convert_tokens_to_ids("<|im_end|>")])
    t = torch.tensor([head + ids])
    with torch.no_grad():
        return next_logps(model(t).logits.double(), t)[len(head) - 1:].sum().item(), len(ids)


def figures(rows, goal="all"):
    rows = [r for r in rows if goal == "all" or r["goal"] == goal]
    scored = [r["score"] for r in rows if r["score"] is not None]
    kl = numpy.array([r["logps"] - r["ref_logps"] for r in rows])
    return {"kl": kl.mean(), "kl_token": kl.sum() / sum(r["tokens"] for r in rows), "achieved": numpy.mean(scored), "above": numpy.mean(numpy.array(scored) > ABOVE)}


def by_prompt(rows, goal, value):
    found = {}
    for r in rows:
        if (goal == "all" or r["goal"] == goal) and value(r) is not None:
            found.setdefault(json.dumps(r["prompt"]), []).append(value(r))
    return {k: numpy.mean(v) for k, v in found.items()}


VALUES = {"kl": lambda r: r["logps"] - r["ref_logps"], "achieved": lambda r: r["score"], "above": lambda r: None if r["score"] is None else float(r["score"] > ABOVE)}


def minus(a, goal, b, other):
    found = {}
    for name, value in VALUES.items():
        x, y = by_prompt(a, goal, value), by_prompt(b, other, value)
        found[name] = numpy.mean([x[k] - y[k] for k in x if k in y])
    return found


def study(runs):
    names = list(runs)
    first = runs[names[0]]
    goals = lambda rows: sorted({r["goal"] for r in rows if r["goal"] is not None})
    label = lambda g: "none" if g is None else g if isinstance(g, str) else f"{g:g}"
    found = {"runs": {}, "differences": {}, "matched": []}
    for name, rows in runs.items():
        points = goals(rows) + ([None] if any(r["goal"] is None for r in rows) else [])
        found["runs"][name] = {"curve": {label(g): figures(rows, g) for g in points}, "overall": figures(rows)}
        if len(goals(rows)) > 1 and not isinstance(goals(rows)[0], str):
            high, low = by_prompt(rows, goals(rows)[-1], VALUES["achieved"]), by_prompt(rows, goals(rows)[0], VALUES["achieved"])
            found["runs"][name]["overall"]["span"] = numpy.mean([high[k] - low[k] for k in high if k in low])
        if name != names[0]:
            shared = [g for g in points if any(r["goal"] == g for r in first)]
            found["differences"][name] = {"at": {label(g): minus(rows, g, first, g) for g in shared}, "overall": minus(rows, "all", first, "all")}
    for g in goals(first):  # of attributes in the order of their names, which is that of the rows too
        free = [n for n in names[1:] if not goals(runs[n])]
        near = min(free, key=lambda n: abs(figures(runs[n])["kl"] - figures(first, g)["kl"]))
        found["matched"].append({"goal": g, "name": near, "difference": minus(first, g, runs[near], None)})
    return found


def named(goal):
    return ",".join(f"{n}={goal[n]:g}" for n in ("help", "text_length")) if goal else None


def attributes(folder, base, policies, tokenizer, rows):
    """Runs under goals of two attributes beside one without goals."""
    few, much = {"help": 1, "text_length": 5.5}, {"help": 4, "text_length": 2}
    rows = {"own": samples(random.Random(5), [few, much], 3), "other": samples(random.Random(6), [much, {"help": 4, "text_length": 9}], 2), "dpo": rows}
    rows["own"][7]["goal"] = {"text_length": few["text_length"], "help": few["help"]}  # the same goal, in another order
    (folder / "attributes.json").write_text(json.dumps(ATTRIBUTES) + "\n")
    for name in ("own", "other"):
        (folder / f"attributes_{name}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows[name]))
    runs = {}
    for name, own in rows.items():
        runs[name] = []
        for r in own:
            messages = turns(r["prompt"], r["goal"], ATTRIBUTES)
            value, n = logp(policies[name], tokenizer, messages, r)
            runs[name].append(dict(r, goal=named(r["goal"]), logps=value, ref_logps=logp(base, tokenizer, messages, r)[0], tokens=n))
    return study(runs)


def main():
    fixed(7)
    folder, chat = out("kl"), GOLDEN / "score_chat"
    style = json.loads((GOLDEN / "score_chat_lora" / "goal.json").read_text())
    tokenizer = AutoTokenizer.from_pretrained(chat)
    base = AutoModelForCausalLM.from_pretrained(chat).eval()
    lora = [PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(chat), GOLDEN / n).eval() for n in ("score_chat_lora", "score_chat_lora2")]
    rows = {"own": samples(random.Random(1), [2, 4.5], 3), "dpo": samples(random.Random(2), [None], 3), "start": samples(random.Random(3), [None], 2),
            "other": samples(random.Random(4), [4.5, 5], 2)}
    policies = {"own": lora[0], "dpo": lora[1], "start": base, "other": lora[0]}
    (folder / "own.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows["own"]))
    for name in ("dpo", "start", "other"):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in (grouped(rows[name]) if name == "dpo" else rows[name])))
    expected = {}
    for kind, reference, same in (("same", base, True), ("none", base, False), ("adapter", lora[1], True)):
        runs = {}
        for name, own in rows.items():
            runs[name] = []
            for r in own:
                messages = turns(r["prompt"], r["goal"], style)
                value, n = logp(policies[name], tokenizer, messages, r)
                ref, _ = logp(reference, tokenizer, messages if same else turns(r["prompt"], None, style), r)
                runs[name].append(dict(r, logps=value, ref_logps=ref, tokens=n))
        expected[kind] = study(runs)
        if kind == "none":  # what other programs write
            for name, own in runs.items():
                (folder / f"{name}_logps.jsonl").write_text("".join(json.dumps(r) + "\n" for r in own))
    expected["attributes"] = attributes(folder, base, policies, tokenizer, rows["dpo"])
    for m, goal in zip(expected["attributes"]["matched"], ({"help": 1, "text_length": 5.5}, {"help": 4, "text_length": 2})):
        m["goal"] = goal  # as rows have it
    (folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main()
