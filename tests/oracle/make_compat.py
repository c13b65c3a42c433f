"""Token ids and masks of pairs as TRL 0.24.0 and TRL 0.8.2 make them: the functions of those releases' own source, run with the tokenizers
of tests/golden/tokenizer.

Writes OUTPUT_FOLDER/compat/cases.json: {"models": [{"tokenizer", "config"}], "rows": [...], "cases": [{"model", "compat", "max_length",
"max_prompt", "max_completion", "rows": [{"ids": [chosen, rejected], "from": [first scored, ..]} or null where TRL refuses]}]}.
The sources are fetched with pip; where that fails the stored cases are copied.
usage: make_compat.py OUTPUT_FOLDER"""
import ast
import copy
import itertools
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import types
import typing
import zipfile

import numpy as np
import torch
from transformers import PreTrainedTokenizerFast

from oracle import out

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden"
CHATML = ("{% for m in messages %}<s>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<s>assistant\n{% endif %}")
# As Gemma's and Mistral's: BOS and EOS are the template's own.
INST = ("{{ bos_token }}{% for m in messages %}{% if m.role == 'assistant' %} {{ m.content }}{{ eos_token }}{% else %}[{{ m.content }}]{% endif %}{% endfor %}")
# The generation prompt is no beginning of an answer (DeepSeek-R1's way).
THINK = ("{% for m in messages %}{% if m.role == 'assistant' %}A:{{ m.content }}</s>{% else %}U:{{ m.content }}\n{% endif %}{% endfor %}"
         "{% if add_generation_prompt %}A:th{% endif %}")
MODELS = [("smollm.json", {"bos_token": "<s>", "eos_token": "<|im_end|>", "chat_template": CHATML}),
          ("llama3.json", {"bos_token": "<s>", "eos_token": "</s>", "chat_template": INST}),
          ("llama2.json", {"bos_token": "<s>", "eos_token": "</s>", "chat_template": INST}),
          ("gemma.json", {"bos_token": "<s>", "eos_token": "</s>", "chat_template": THINK}),
          ("gpt2.json", {"eos_token": "</s>", "chat_template": CHATML})]
LENGTHS = [("trl-0.24", 1024, 512, 0), ("trl-0.24", 40, 16, 12), ("trl-0.24", 20, 16, 0), ("trl-0.24", 9, 8, 0),
           ("paper", 1024, 512, 0), ("paper", 40, 20, 0), ("paper", 24, 6, 0)]


def user(*texts):
    return [{"role": "assistant" if i % 2 else "user", "content": t} for i, t in enumerate(texts)]


def answer(text):
    return [{"role": "assistant", "content": text}]


LONG = "tell me all about the score of the cat that sat on the mat, and why the dog ran home again 1234"
ROWS = [
    {"prompt": "The sky is", "chosen": " blue.", "rejected": " green."},
    {"prompt": "The cat sat on the ma", "chosen": "t and slept", "rejected": "ze of wheat"},
    {"prompt": "a score of ", "chosen": "8", "rejected": "seven, or so they say: 7"},
    {"prompt": "é score", "chosen": "́ é", "rejected": "s  and more  \n"},
    {"prompt": LONG, "chosen": " because " + LONG, "rejected": " no"},
    {"prompt": "why?", "chosen": "" + LONG + LONG, "rejected": LONG},
    {"prompt": user("hello there"), "chosen": answer("hi"), "rejected": answer("go away, " + LONG)},
    {"prompt": [{"role": "system", "content": "Overall score: 8."}] + user(LONG), "chosen": answer("the mat"), "rejected": answer("score")},
    {"prompt": user("one", "two", "three"), "chosen": answer("th" + LONG), "rejected": answer("thx")},
    {"prompt": user("x"), "chosen": answer("y"), "rejected": answer("ye")},
]


def source(release, name):
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", f"trl=={release}", "-d", folder], check=True)
        with zipfile.ZipFile(next(pathlib.Path(folder).glob("*.whl"))) as z:
            return z.read(name).decode()


def functions(text, names, **scope):
    """The named functions of a source, methods too, without importing the rest of it."""
    scope = dict(vars(typing), torch=torch, np=np, takewhile=itertools.takewhile, **scope)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef) and node.name in names:
            node.decorator_list, node.returns = [], None
            for a in node.args.args + node.args.kwonlyargs + [node.args.vararg, node.args.kwarg]:
                if a:
                    a.annotation = None
            exec(compile(ast.Module([node], []), node.name, "exec"), scope)
    return types.SimpleNamespace(**{n: scope[n] for n in names})


def load():
    new = functions(source("0.24.0", "trl/trainer/dpo_trainer.py"), ["tokenize_row"])
    utils = functions(source("0.24.0", "trl/trainer/utils.py"), ["flush_left", "flush_right", "pad"])
    data = functions(source("0.24.0", "trl/data_utils.py"), ["is_conversational", "apply_chat_template"])
    old = functions(source("0.8.2", "trl/trainer/dpo_trainer.py"), ["build_tokenized_answer", "tokenize_row"])
    return new, utils, data, old


def row_024(lib, tokenizer, row, max_length, max_prompt, max_completion):
    new, utils, data, _ = lib
    row = copy.deepcopy(row)
    if data.is_conversational(row):
        row = data.apply_chat_template(row, tokenizer)
    x = new.tokenize_row(row, tokenizer, max_prompt, max_completion or None, add_special_tokens=False)
    ids, starts = [], []
    for side in ("chosen", "rejected"):
        prompt, completion = x["prompt_input_ids"], x[side + "_input_ids"]
        # concatenated_forward with truncation_mode keep_end, a batch of one
        input_ids, mask = torch.tensor([prompt + completion]), torch.ones(1, len(prompt) + len(completion), dtype=torch.long)
        loss_mask = torch.tensor([[0] * len(prompt) + [1] * len(completion)])
        if max_length < mask.size(1):
            mask, input_ids, loss_mask = utils.flush_right(mask, input_ids, loss_mask)
            input_ids, mask, loss_mask = input_ids[:, -max_length:], mask[:, -max_length:], loss_mask[:, -max_length:]
            mask, input_ids, loss_mask = utils.flush_left(mask, input_ids, loss_mask)
        ids.append(input_ids[0].tolist())
        starts.append(max(1, int((loss_mask[0] == 0).sum())))  # the first token is never scored: labels are shifted
    return {"ids": ids, "from": starts}


def row_paper(lib, tokenizer, row, max_length, max_prompt, _):
    """data.py of the paper's code: the whole conversation rendered, without the rendered prompt."""
    old, row = lib[3], copy.deepcopy(row)
    if isinstance(row["prompt"], list):
        text = tokenizer.apply_chat_template(row["prompt"], tokenize=False)
        for side in ("chosen", "rejected"):
            whole = tokenizer.apply_chat_template(row["prompt"] + row[side], tokenize=False)
            row[side] = whole.replace(text, "", 1)
            if not whole.startswith(text):
                return None
        row["prompt"] = text
    me = types.SimpleNamespace(tokenizer=tokenizer, is_encoder_decoder=False, max_length=max_length, max_prompt_length=max_prompt,
                               truncation_mode="keep_end", label_pad_token_id=-100)
    me.build_tokenized_answer = lambda prompt, text: old.build_tokenized_answer(me, prompt, text)
    try:
        x = old.tokenize_row(me, row)
    except ValueError:
        return None
    result = {"ids": [], "from": []}
    for side in ("chosen", "rejected"):
        ids, labels = x[side + "_input_ids"], x[side + "_labels"]
        start = sum(v == -100 for v in labels)
        if ids[0] is None or (None in ids):  # no BOS token: later versions of TRL leave it out
            assert ids[0] is None
            ids, start = ids[1:], start - 1
        result["ids"].append([int(v) for v in ids])
        result["from"].append(start)
    return result


def main():
    folder = out("compat")
    try:
        lib = load()
    except Exception as e:  # no package index in reach
        print("stored cases are copied:", e)
        shutil.copy(GOLDEN / "compat" / "cases.json", folder)
        return
    cases = []
    for m, (name, config) in enumerate(MODELS):
        tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(GOLDEN / "tokenizer" / name), **config)
        for compat, *lengths in LENGTHS:
            make = row_024 if compat == "trl-0.24" else row_paper
            if compat == "paper" and tokenizer.bos_token_id is None and lengths[0] < 1024:
                continue  # the None counts as a token there
            cases.append({"model": m, "compat": compat, "max_length": lengths[0], "max_prompt": lengths[1], "max_completion": lengths[2],
                          "rows": [make(lib, tokenizer, r, *lengths) for r in ROWS]})
    result = {"models": [{"tokenizer": n, "config": c} for n, c in MODELS], "rows": ROWS, "cases": cases}
    (folder / "cases.json").write_text(json.dumps(result, ensure_ascii=False, indent=0).replace("\n", " ") + "\n", encoding="utf-8")


main()
