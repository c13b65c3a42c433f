#!/usr/bin/env python3
"""What a language model in this process says as a judge, and a goal-conditioned policy about its own responses: a tiny random Llama with a chat
template (score_chat), and with an adapter (score_chat_lora).

judge: for each question the log-probs of all answers, each as a whole turn; the likeliest answer and the mean weighted with softmax.
self: for each response and each goal log pi(y | x, g); the likeliest goal, the mean over goals, and the mean from log-probs a token.
fit: implicit rewards of the two policies score_chat_lora and score_chat_lora2, for cross-fitting.
usage: make_judges.py OUTPUT_FOLDER"""
import json
import math

from oracle import chat_model, fixed, next_logps, out, save_adapter

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

TEMPLATE = ("{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}"
            "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")
RATING = "Rate {response} to {prompt} from {a} to {b}."
PAIRWISE = "Of {prompt}: A {response_a} or B {response_b}?"
GOAL = {"text": "Aim at {s} of {a}-{b}.", "placement": "system", "low": 1, "high": 5, "quantum": 0}
ROWS = [
    {"prompt": "the cat sat on", "responses": ["the mat and slept", "a dog", "{prompt}"]},
    {"prompt": [{"role": "user", "content": "2+2"}], "chosen": [{"role": "assistant", "content": "4"}],
     "rejected": [{"role": "assistant", "content": "I would say 5, or so."}]},
    {"prompt": "why", "responses": ["the sun", "because of the weather in the north"]},
    {"prompt": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello?"}], "responses": [{"text": "Hi."}, {"text": "Go away!"}]},
]
LINES = [{"prompt": f"question {i}", "chosen": f"yes {i * 7}", "rejected": "no" * (i % 3 + 1)} for i in range(12)]


def turns(row):
    """(messages, texts of the responses)"""
    prompt = row["prompt"] if isinstance(row["prompt"], list) else [{"role": "user", "content": row["prompt"]}]
    items = row["responses"] if "responses" in row else [row["chosen"], row["rejected"]]
    texts = [r if isinstance(r, str) else r["text"] if isinstance(r, dict) else r[0]["content"] for r in items]
    return prompt, texts


def shown(row):
    """The prompt as the judge reads it: one message of the user alone, else turn by turn."""
    messages, _ = turns(row)
    if len(messages) == 1 and messages[0]["role"] == "user":
        return messages[0]["content"]
    return "\n\n".join(m["role"] + ": " + m["content"] for m in messages)


def logp(model, tokenizer, messages, answer):
    """log pi of the answer's whole turn, and its number of tokens"""
    head = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=True, return_dict=True)["input_ids"]
    ids = tokenizer.apply_chat_template(messages + [{"role": "assistant", "content": answer}], tokenize=True, return_dict=True)["input_ids"]
    assert ids[:len(head)] == head
    row = torch.tensor([ids])
    with torch.no_grad():
        return next_logps(model(row).logits.double(), row)[len(head) - 1:].sum().item(), len(ids) - len(head)


def fill(template, **places):
    for name, text in places.items():  # texts hold no places that come later
        template = template.replace("{" + name + "}", text)
    return template


def mean(logps, values):
    top = max(logps)
    weights = [math.exp(x - top) for x in logps]
    return sum(w * v for w, v in zip(weights, values)) / sum(weights)


def judge(model, tokenizer):
    ratings, verdicts = [], []
    for row in ROWS:
        _, texts = turns(row)
        for text in texts:
            question = fill(RATING, a="1", b="10", prompt=shown(row), response=text)
            logps = [logp(model, tokenizer, [{"role": "user", "content": question}], str(k))[0] for k in range(1, 11)]
            ratings.append([(max(range(10), key=lambda k: logps[k])) / 9, (mean(logps, range(1, 11)) - 1) / 9])
        wins = [[0.0, 0.0] for _ in texts]
        for i in range(len(texts)):
            for j in range(i + 1, len(texts)):
                both = []
                for a, b in ((i, j), (j, i)):
                    question = fill(PAIRWISE, prompt=shown(row), response_a=texts[a], response_b=texts[b])
                    logps = [logp(model, tokenizer, [{"role": "user", "content": question}], k)[0] for k in "ABC"]
                    both.append([(1, 0, 0.5)[max(range(3), key=lambda k: logps[k])], mean(logps, (1, 0, 0.5))])
                won = [both[0][0] if both[0][0] == 1 - both[1][0] else 0.5, (both[0][1] + 1 - both[1][1]) / 2]
                for k in range(2):
                    wins[i][k] += won[k] / (len(texts) - 1)
                    wins[j][k] += (1 - won[k]) / (len(texts) - 1)
        verdicts += wins
    return ratings, verdicts


def own(model, tokenizer):
    values, goals = [], range(1, 6)
    for row in ROWS:
        messages, texts = turns(row)
        rest = messages[1:] if messages[0]["role"] == "system" else messages
        for text in texts:
            logps, n = [], 0
            for g in goals:
                block = fill(GOAL["text"], s=str(g), a="1", b="5")
                system = block + "\n\n" + messages[0]["content"] if messages[0]["role"] == "system" else block
                x, n = logp(model, tokenizer, [{"role": "system", "content": system}] + rest, text)
                logps.append(x)
            values.append([max(goals, key=lambda g: logps[g - 1]), mean(logps, goals), mean([x / n for x in logps], goals)])
    return values


def fit(tokenizer, folder, adapters):
    values = []
    for adapter in adapters:
        model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(folder), adapter).eval()
        one = []
        for row in LINES:
            for text in (row["chosen"], row["rejected"]):
                head = tokenizer(row["prompt"]).input_ids
                ids = tokenizer(row["prompt"] + text + tokenizer.eos_token).input_ids
                t = torch.tensor([ids])
                with torch.no_grad():
                    policy = next_logps(model(t).logits, t)[len(head) - 1:].sum()
                    with model.disable_adapter():
                        one.append((policy - next_logps(model(t).logits, t)[len(head) - 1:].sum()).item())
        values.append(one)
    return values


def main():
    folder = out("score_chat")
    chat_model(folder, TEMPLATE)
    (folder / "generation_config.json").unlink(missing_ok=True)
    adapters = []
    for i, name in enumerate(("score_chat_lora", "score_chat_lora2")):
        fixed(31 + i)
        model = get_peft_model(AutoModelForCausalLM.from_pretrained(folder), LoraConfig(r=2, lora_alpha=4, target_modules=["q_proj", "v_proj", "down_proj"]))
        for key, p in model.named_parameters():
            if "lora_" in key:
                p.data.copy_(torch.randn_like(p) * 0.3)
        save_adapter(model, out(name), "../score_chat")
        adapters.append(out(name))
    (adapters[0] / "goal.json").write_text(json.dumps(GOAL, indent=2) + "\n")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    base = AutoModelForCausalLM.from_pretrained(folder).eval()
    policy = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(folder), adapters[0]).eval()
    ratings, verdicts = judge(base, tokenizer)
    expected = {"ratings": ratings, "verdicts": verdicts, "self": own(policy, tokenizer), "fit": fit(tokenizer, folder, adapters)}
    there = out("judge")
    for name, lines in (("rows.jsonl", ROWS), ("lines.jsonl", LINES)):
        (there / name).write_text("".join(json.dumps(x, ensure_ascii=False) + "\n" for x in lines))
    (there / "rating.txt").write_text(RATING + "\n")
    (there / "pairwise.txt").write_text(PAIRWISE + "\n")
    (there / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main()
