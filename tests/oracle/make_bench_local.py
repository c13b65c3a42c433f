#!/usr/bin/env python3
"""A model in this process as the judge of AlpacaEval, MT-Bench and Arena-Hard: a tiny Llama with a chat template that was trained to judge the few questions below.
What it says to each is transformers' greedy text, and the preference that of its five likeliest tokens; questions are written down here once more.

bench_local: the model; answers, questions and short judge's prompts in each benchmark's form; expected.json.
usage: make_bench_local.py OUTPUT_FOLDER"""
import json
import random

from oracle import chat_model, fixed, out

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

TEMPLATE = ("{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}"
            "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")
GO_ON = "continue your judgment and finish by outputting a final verdict label"  # arena-hard-auto v0.1
WORDS = ["red", "oak", "sun", "fox", "ice", "jar"]


def talk(*texts, system="Judge."):
    """System text, then the user and the assistant in turn."""
    return [{"role": "system", "content": system}] + [{"role": ("user", "assistant")[i % 2], "content": t} for i, t in enumerate(texts)]


def lines(folder, name, rows):
    (folder / name).write_text("".join(json.dumps(r) + "\n" for r in rows))


# Each maker writes its files and returns {place in expected.json: (messages, texts that the model learns to say)}.
def alpaca(folder):
    (folder / "alpaca.txt").write_text("<|im_start|>system\nJudge.\n<|im_end|>\n<|im_start|>user\n{instruction}: {output_1} or {output_2}?\n<|im_end|>\n")
    rows = [{"instruction": f"Do {w}", "output": f"as {w}", "generator": "base"} for w in WORDS]
    own = [dict(r, output=("is " if i != 4 else "as ") + WORDS[i], generator="own") for i, r in enumerate(rows)]
    (folder / "alpaca_base.json").write_text(json.dumps(rows, indent=1) + "\n")
    (folder / "alpaca_own.json").write_text(json.dumps(own, indent=1) + "\n")
    asked = {}
    for i, (a, b) in enumerate(zip(rows, own)):
        # alpaca_eval's utils.random_seeded_coin: which output is shown first
        switched = random.Random("is_switched_outputs" + a["instruction"] + "0").choices([False, True])[0]
        first, second = (b, a) if switched else (a, b)
        says = {0: ["m", "m", "m", "M"], 1: ["M"], 2: ["m", "M"], 3: ["M", "M", "m"], 5: ["x", "y", "z", "v", "w"]}.get(i)
        asked["alpaca", i, switched] = (talk(f"{a['instruction']}: {first['output']} or {second['output']}?"), says)
    return asked


def mt(folder):
    single, pair = "{}: {}", "{}: {} or {}"
    prompts = []
    for kind, v, fmt, places in (("single", "v1", "[[rating]]", (["question", "answer"], ["question_1", "answer_1", "question_2", "answer_2"])),
                                 ("pair", "v2", "[[A]]", (["question", "answer_a", "answer_b"], ["question_1", "question_2", "answer_a_2", "answer_b_2"]))):
        for turns, names in zip(("", "-multi-turn"), places):
            for math in ("", "-math"):
                more = [] if not math else ["ref_answer_1"] if not turns else ["ref_answer_2"]
                prompts.append({"name": f"{kind}{math}-{'v1' if math else v}{turns}", "type": kind, "system_prompt": "Judge.", "output_format": fmt,
                                "prompt_template": kind[0] + " " + " ".join("{" + n + "}" for n in names + more), "description": "", "category": ""})
    questions = [{"question_id": 81 + i, "category": "math" if i == 1 else "writing", "turns": [f"Do {WORDS[i]}", f"And {WORDS[i + 3]}"]} for i in range(3)]
    texts = {m: [[f"{m} {t.split()[1]}" for t in q["turns"]] for q in questions] for m in ("own", "base", "ref")}
    for m in texts:
        lines(folder, f"mt_{m}.jsonl", [{"question_id": q["question_id"], "model_id": m, "choices": [{"index": 0, "turns": t}]} for q, t in zip(questions, texts[m])])
    lines(folder, "mt_question.jsonl", questions)
    lines(folder, "mt_prompts.jsonl", prompts)
    asked, grades, winners = {}, iter(["Good. [[8]]", "[[3]]", "No.", "Fair: [[5]]", "[[7]]", "[[10]]"]), iter(["[[A]]", "[[B]]", "[[C]]", "none", "So [[B]]", "[[A]]"] * 2)
    of = {p["name"]: p["prompt_template"] for p in prompts}
    for turn in (0, 1):
        for math in (False, True):
            for i, q in enumerate(questions):
                if (q["category"] == "math") != math:
                    continue
                f = {"question": q["turns"][0]}
                f.update({f"question_{k + 1}": t for k, t in enumerate(q["turns"])}, **{f"answer_{k + 1}": t for k, t in enumerate(texts["own"][i])})
                f.update({f"ref_answer_{k + 1}": t for k, t in enumerate(texts["ref"][i])}, answer=texts["own"][i][0])
                name = ("-math-v1" if math else "-{}") + ("-multi-turn" if turn else "")
                asked["mt-bench", q["question_id"], turn + 1] = (talk(of["single" + name.format("v1")].format(**f)), [next(grades)])
                for game, (a, b) in enumerate((("own", "base"), ("base", "own"))):
                    f.update({f"answer_{s}_{k + 1}": t for s, m in (("a", a), ("b", b)) for k, t in enumerate(texts[m][i])}, answer_a=texts[a][i][0], answer_b=texts[b][i][0])
                    asked["mt-bench-pair", q["question_id"], turn + 1, game + 1] = (talk(of["pair" + name.format("v2")].format(**f)), [next(winners)])
    return asked


def arena(folder):
    (folder / "arena.yaml").write_text('system_prompt: "Judge."\nprompt_template: "{QUESTION}? {ANSWER_A}, {ANSWER_B}"\n')
    questions = [{"uid": f"q{i}", "category": "arena-hard-v0.1", "prompt": f"Get {WORDS[i]}"} for i in range(3)]
    lines(folder, "arena_question.jsonl", questions)
    for m in ("own", "gpt-4-0314"):
        lines(folder, f"arena_{m}.jsonl", [{"uid": q["uid"], "model": m, "messages": [{"role": "user", "content": q["prompt"]}, {"role": "assistant", "content": {"answer": f"{m[:3]} {WORDS[i]}"}}]}
                                           for i, q in enumerate(questions)])
    asked = {}
    says = iter(["It is [[A>B]]", "[[B>>A]]", "Hm.", "[[A=B]]", "[[A>>B]]", "Well."])
    for i, q in enumerate(questions):
        for game, (a, b) in enumerate((("gpt", "own"), ("own", "gpt"))):
            text, said = f"{q['prompt']}? {a} {WORDS[i]}, {b} {WORDS[i]}", next(says)
            asked["arena", q["uid"], game] = (talk(text), [said])
            if "[[" not in said:
                asked["arena", q["uid"], game, "again"] = (talk(text, said, GO_ON), ["So [[B>A]]" if said == "Hm." else "Still not."])
    return asked


def learn(folder, asked):
    """In double precision, so that the same numbers come out everywhere."""
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder).double()
    rows = []
    for messages, says in asked.values():
        for text in says or []:
            head = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=True, return_dict=True)["input_ids"]
            rows.append((head, tokenizer.encode(text, add_special_tokens=False) + [tokenizer.eos_token_id], 1 / len(says)))
    width = max(len(h) + len(t) for h, t, _ in rows)
    ids = torch.full((len(rows), width), tokenizer.pad_token_id)
    weight = torch.zeros(len(rows), width, dtype=torch.float64)
    for i, (h, t, w) in enumerate(rows):
        ids[i, :len(h) + len(t)] = torch.tensor(h + t)
        weight[i, len(h):len(h) + len(t)] = w
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=0)
    for step in range(600):
        loss = (torch.nn.functional.cross_entropy(model(ids).logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten(), reduction="none") * weight[:, 1:].flatten()).sum() / weight.sum()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.param_groups[0]["lr"] = 4e-3 * (1 - step / 600)
        optimizer.step()
    print(f"loss {loss.item():.4f}")
    model.float().save_pretrained(folder)


def says(model, tokenizer, messages):
    """The greedy text, and the five likeliest first tokens with their log-probs."""
    ids = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)["input_ids"]
    with torch.no_grad():
        made = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=40, return_dict_in_generate=True, output_logits=True)
    top = made.logits[0][0].double().log_softmax(-1).topk(5)
    return (tokenizer.decode(made.sequences[0, ids.shape[1]:], skip_special_tokens=True),
            {tokenizer.decode([i]): p for i, p in zip(top.indices.tolist(), top.values.exp().tolist())})


def main():
    fixed(77)
    folder = out("bench_local")
    chat_model(folder, TEMPLATE)
    (folder / "generation_config.json").unlink(missing_ok=True)
    asked = {**alpaca(folder), **mt(folder), **arena(folder)}
    learn(folder, asked)
    (folder / "generation_config.json").unlink(missing_ok=True)
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder).eval()
    preferences, said = [], {}
    for key, (messages, learned) in asked.items():
        if key[0] == "alpaca":
            value = None if learned else 1.5  # equal outputs
            _, top = says(model, tokenizer, messages)
            if learned and ("m" in top or "M" in top):
                value = 2 - top.get("m", 0) / (top.get("m", 0) + top.get("M", 0))
                value = 3 - value if key[2] else value
            preferences.append(value)
            continue
        text, _ = says(model, tokenizer, messages)
        if text != learned[0]:
            print("learned otherwise:", key, text, learned)
        said.setdefault(key[0], {})["/".join(str(k) for k in key[1:])] = text
    (folder / "expected.json").write_text(json.dumps({"preferences": preferences, "said": said}, indent=1) + "\n")


if __name__ == "__main__":
    main()
