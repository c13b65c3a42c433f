#!/usr/bin/env python3
"""Pairs whose prompt is no prefix of prompt + response in tokens, as TRL 1.16 cuts them (trl/trainer/dpo_trainer.py, tokenize_fn): prompt_ids,
chosen_ids, rejected_ids. Writes OUTPUT_FOLDER/prefix/cases.json.
usage: make_prefix.py OUTPUT_FOLDER"""
import json
import pathlib

from oracle import out

from transformers import AutoTokenizer
from trl.data_utils import common_prefix_length

PAIRS = [("the cat", " sat", " ran"), ("the ca", "t sat", "r ran"), ("the c", "at", "ow and the cat"), ("the cat s", "at on the mat", " sat"), ("th", "e cat", "at cat"),
         ("on the m", "at", "at the"), ("a", "nd then", " cat"), ("the cat sat o", "n the mat", "ver the mat")]


def main():
    tokenizer = AutoTokenizer.from_pretrained(pathlib.Path(__file__).resolve().parent.parent / "golden" / "llama_tiny")
    rows, moved = [], 0
    for prompt, chosen, rejected in PAIRS:
        ids = tokenizer(prompt)["input_ids"]
        both = [tokenizer(prompt + x + tokenizer.eos_token)["input_ids"] for x in (chosen, rejected)]
        n = min(common_prefix_length(ids, x) for x in both)
        moved += n < len(ids)
        rows.append({"prompt": prompt, "chosen": chosen, "rejected": rejected, "prompt_ids": ids[:n], "chosen_ids": both[0][n:], "rejected_ids": both[1][n:]})
    assert moved >= 3 and moved < len(rows), moved
    (out("prefix") / "cases.json").write_text("[\n" + ",\n".join(json.dumps(x) for x in rows) + "\n]\n")


main()
