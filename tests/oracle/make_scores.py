#!/usr/bin/env python3
"""What `rapt score` gives: rewards of transformers' sequence classifiers (reward_tiny, with and without its adapter; score_multi, three labels with
names), of ArmoRM's head behind a chat template (score_armo), and implicit rewards log pi - log pi_ref of llama_tiny with its adapter; the answers
that lm-evaluation-harness takes out of a response. All over score/rows.jsonl, score/chat.jsonl, score/answers.jsonl.
usage: make_scores.py OUTPUT_FOLDER"""
import json
import pathlib
import re
import shutil

from make_families import plain
from make_rewards import Armo
from oracle import chat_model, fixed, next_logps, out, spread_norms

import torch
from peft import PeftModel
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForSequenceClassification

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden"
ROWS = [
    {"prompt": "the cat sat on", "responses": ["the mat and slept", {"text": "a dog", "model": "m"}, "the mat and ran away from the old house"]},
    {"prompt": "what is red", "chosen": "an apple is red and round", "rejected": "blue"},
    {"prompt": "one two", "completion": "three four five"},
    {"prompt": "the cat sat on", "responses": ["the mat", "the mat", "the mat and slept"]},
    {"prompt": "why", "chosen": "the sun", "rejected": "because of the weather in the north and in the south"},
]
CHAT = [
    {"prompt": [{"role": "user", "content": "Hello?"}], "responses": [{"messages": [{"role": "assistant", "content": "Hi."}]}, {"text": "Go away!"}]},
    {"prompt": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "2+2"}], "chosen": [{"role": "assistant", "content": "4"}],
     "rejected": [{"role": "assistant", "content": "I would say that it is 5, or so."}]},
]
TEMPLATE = ("{% for m in messages %}{{ '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n' + m['content'] + '<|im_end|>' }}{% endfor %}"
            "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}")


def responses(row):
    items = row["responses"] if "responses" in row else [row["chosen"], row["rejected"]] if "chosen" in row else [row["completion"]]
    for item in items:
        if isinstance(item, dict):
            item = item.get("messages") or item["text"]
        yield [{"role": "assistant", "content": item}] if isinstance(item, str) and not isinstance(row["prompt"], str) else item


def texts():
    """(prompt, whole) as ids: the text and the end-of-text token, tokenised together, as TRL does."""
    tokenizer = AutoTokenizer.from_pretrained(GOLDEN / "llama_tiny")
    for row in ROWS:
        prompt = tokenizer(row["prompt"]).input_ids
        for r in responses(row):
            ids = tokenizer(row["prompt"] + r + tokenizer.eos_token).input_ids
            assert ids[:len(prompt)] == prompt, row
            yield prompt, ids


def rewards(model):
    """The head's numbers at the last token."""
    with torch.no_grad():
        return [model(torch.tensor([ids])).logits[0].tolist() for _, ids in texts()]


def implicit():
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(GOLDEN / "llama_tiny"), GOLDEN / "llama_tiny_lora").eval()
    values = []
    with torch.no_grad():
        for prompt, ids in texts():
            row = torch.tensor([ids])
            policy = next_logps(model(row).logits, row)[len(prompt) - 1:].sum()
            with model.disable_adapter():
                values.append((policy - next_logps(model(row).logits, row)[len(prompt) - 1:].sum()).item())
    return values


def tiny_rewards():
    """Without padding that could be read past, as in the folder: the last token is read."""
    base = LlamaForSequenceClassification.from_pretrained(GOLDEN / "reward_tiny").eval()
    alone = rewards(base)
    return alone, rewards(PeftModel.from_pretrained(base, GOLDEN / "reward_tiny_lora").eval())


def multi():
    folder = out("score_multi")
    torch.manual_seed(17)
    names = {0: "helpful", 1: "correct", 2: "brief"}
    model = LlamaForSequenceClassification.from_pretrained(GOLDEN / "llama_tiny", num_labels=3, id2label=names, label2id={v: k for k, v in names.items()})
    model.score.weight.data.copy_(torch.randn_like(model.score.weight) * 0.3)
    model.save_pretrained(folder)
    for file in (GOLDEN / "llama_tiny").glob("tokenizer*"):
        shutil.copy(file, folder)
    return [[x[0]] + x for x in rewards(model.eval())]  # the score is the first


def armo():
    folder = out("score_armo")
    chat_model(folder, TEMPLATE)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|start_header_id|>", "<|end_header_id|>"]})
    tokenizer.save_pretrained(folder)
    fixed(19)
    config = LlamaConfig(vocab_size=len(tokenizer), hidden_size=16, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1,
                         max_position_embeddings=256, rope_parameters=plain(10000.0), pad_token_id=256, eos_token_id=258)
    labels, hidden, depth, temperature = 3, 12, 1, 2.0
    model = spread_norms(Armo(config, labels, hidden, depth)).eval()
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, folder / "model.safetensors")
    text = config.to_dict()
    text.update(architectures=["LlamaForRewardModelWithGating"], num_objectives=labels, gating_hidden_dim=hidden, gating_n_hidden=depth,
                gating_temperature=temperature)
    (folder / "config.json").write_text(json.dumps(text, indent=2, sort_keys=True) + "\n")
    for name in ("generation_config.json", "special_tokens_map.json"):
        (folder / name).unlink(missing_ok=True)
    gate = tokenizer("<|start_header_id|>assistant<|end_header_id|>\n\n").input_ids
    values = []
    for row in CHAT:
        for r in responses(row):
            ids = tokenizer.apply_chat_template(row["prompt"] + r, tokenize=True, return_dict=True)["input_ids"]
            at = max(j for j in range(len(ids)) if ids[j:j + len(gate)] == gate)
            last = max(j for j, t in enumerate(ids) if t != 256)
            with torch.no_grad():
                state = model.model(torch.tensor([ids])).last_hidden_state[0]
                numbers, gates = model.regression_layer(state[last]), model.gating(state[at], temperature)
                values.append([(gates * (numbers @ model.reward_transform_matrix)).sum().item()] + numbers.tolist())
    return values


IGNORE = [",", r"\$", "(?s).*#### ", r"\.$"]  # gsm8k.yaml: exact_match's regexes_to_ignore
TAKE = {"flexible": (r"(-?[$0-9.,]{2,})|(-?[0-9]+)", -1), "strict": (r"#### (\-?[0-9\.\,]+)", 0)}
ANSWERS = [
    ("He has 3 + 4 = 7 apples.", "3 + 4 = <<3+4=7>>7\n#### 7"), ("#### 1,234", "#### 1234"), ("#### $18.00", "#### 18.00"), ("#### 5\n#### 6", "#### 5"),
    ("#### 5\n#### 6", "#### 6"), ("The answer is -12.", "#### -12"), ("It costs $5.", "#### 5"), ("It is 5", "#### 5"), ("no number", "#### 0"),
    ("1.", "#### 1"), ("3..", "#### 3"), ("7 and then...", "#### 7"), ("####7", "#### 7"), ("#### .5", "#### .5"), ("99%", "#### 99"), ("x=8,", "#### 8"),
    ("2024-11-05", "#### 05"), ("2024-11-05", "#### -05"), ("$", "#### 1"), ("#### 3 #### 4.", "#### 3"), ("Total: 1,000,000", "1000000"),
]


def answers():
    """lm_eval/filters/extraction.py RegexFilter and api/metrics.py exact_match_hf_evaluate, ignore_case."""
    lines = []
    for text, answer in ANSWERS:
        right = {}
        for name, (pattern, which) in TAKE.items():
            found = re.findall(pattern, text)
            match = found[which] if found else "[invalid]"
            if isinstance(match, tuple):
                match = [m for m in match if m][0]
            a, b = match.strip(), answer
            for r in IGNORE:
                a, b = re.sub(r, "", a), re.sub(r, "", b)
            right[name] = int(a.lower() == b.lower())
        lines.append({"prompt": "q", "completion": text, "answer": answer, **right})
    return lines


def put(path, lines):
    path.write_text("".join(json.dumps(x, ensure_ascii=False) + "\n" for x in lines))


def main():
    fixed(5)
    alone, lora = tiny_rewards()
    expected = {"reward": alone, "reward_lora": lora, "multi": multi(), "implicit": [[x] for x in implicit()], "armo": armo()}
    folder = out("score")
    put(folder / "rows.jsonl", ROWS)
    put(folder / "chat.jsonl", CHAT)
    put(folder / "answers.jsonl", answers())
    (folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main()
