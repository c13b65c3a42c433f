#!/usr/bin/env python3
"""rapt logps on a real GGUF model against transformers (which expands the same GGUF): ids of chats, system messages and plain text as TRL
makes them, and the sums of log-probs within 1e-4. usage: check_model.py RAPT MODEL.gguf"""
import json
import pathlib
import subprocess
import sys
import tempfile

from oracle import fixed, next_logps

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl.data_utils import common_prefix_length

RAPT, MODEL = sys.argv[1], pathlib.Path(sys.argv[2])


def user(text):
    return {"role": "user", "content": text}


def bot(text):
    return [{"role": "assistant", "content": text}]


ROWS = [
    {"prompt": [user("What is 2 + 2?")], "chosen": bot("4"), "rejected": bot("Five, I think.")},
    {"prompt": [{"role": "system", "content": "Overall score: 10."}, user("Name three fruits.")], "chosen": bot("Apples, pears and plums."), "rejected": bot("No.")},
    {"prompt": [user("Say hello in German, please!")] + bot("Hallo!") + [user("And in 日本語?  \n\n(with kana)")], "chosen": bot("こんにちは 🙂"), "rejected": bot("  Hola…\n")},
    {"prompt": "def add(a, b):\n    \"\"\"Adds 1,234.5 to it's arguments.\"\"\"\n", "chosen": "    return a + b\n", "rejected": "\treturn a-b  # wrong\r\n"},
    {"prompt": "The <|im_end|> token inside a text", "chosen": " ends a turn.", "rejected": " does nothing."},
]


def ids_of(tokenizer, row, side):
    """TRL 1.16's prompt ids and response ids: a response begins where the prompt and prompt + response of either side part."""
    n = min(common_prefix_length(*both(tokenizer, row, s)) for s in ("chosen", "rejected"))
    whole = both(tokenizer, row, side)[1]
    return whole[:n], whole[n:]


def both(tokenizer, row, side):
    if isinstance(row["prompt"], str):
        end = "" if row[side].endswith(tokenizer.eos_token) else tokenizer.eos_token
        return tokenizer(row["prompt"]).input_ids, tokenizer(row["prompt"] + row[side] + end).input_ids
    prompt = tokenizer.apply_chat_template(row["prompt"], add_generation_prompt=True, tokenize=True, return_dict=True)["input_ids"]
    return prompt, tokenizer.apply_chat_template(row["prompt"] + row[side], tokenize=True, return_dict=True)["input_ids"]


def main():
    fixed()
    torch.set_num_threads(2)
    tokenizer = AutoTokenizer.from_pretrained(MODEL.parent, gguf_file=MODEL.name)
    model = AutoModelForCausalLM.from_pretrained(MODEL.parent, gguf_file=MODEL.name, dtype=torch.float32).eval()
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as rows:
        rows.write("".join(json.dumps(r) + "\n" for r in ROWS))
        rows.flush()
        done = subprocess.run([RAPT, "logps", "--model", MODEL, "--input", rows.name, "--dtype", "f32", "--tokens"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for i, (row, got) in enumerate(zip(ROWS, map(json.loads, done.stdout.splitlines()), strict=True)):
        for side in ("chosen", "rejected"):
            prompt, response = ids_of(tokenizer, row, side)
            expected, found = (prompt, response), (got["prompt_ids"], got[f"{side}_ids"])
            assert expected == found, f"row {i} {side}: ids {expected}, rapt {found}"
            whole = prompt + response
            seq = torch.tensor([whole])
            with torch.no_grad():
                want = next_logps(model(input_ids=seq).logits, seq)[len(prompt) - 1:].sum().item()
            assert abs(want - got[f"logps_{side}"]) < 1e-4 * max(1.0, abs(want)), f"row {i} {side}: {got[f'logps_{side}']}, transformers {want}"
            print(f"row {i} {side}: {len(whole)} ids, {want:.5f}, off by {abs(want - got[f'logps_{side}']):.1e}")


main()
